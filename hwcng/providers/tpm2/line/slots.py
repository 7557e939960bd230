"""Keys in and out of the TPM's few slots: TPM 2.0 Library, Part 1, section 30 (context management).

A TPM has three slots or so, and one more is taken while a persistent parent is at work: two keys may stay, one during
Create, Import and Load. A key that must go is flushed; it comes back from its saved context, else from its blob.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field

from hwcng.providers.tpm2.keys.handles import Authorization, KeyHandle
from hwcng.providers.tpm2.line.parents import Place, below, primary
from hwcng.providers.tpm2.wire import commands
from hwcng.providers.tpm2.wire.commands import Link
from hwcng.providers.tpm2.wire.constants import RC, Attributes
from hwcng.providers.tpm2.wire.errors import FOREIGN_BLOB, NO_ROOM, TpmError, TransportError
from hwcng.providers.tpm2.wire.policies import Policy
from hwcng.providers.tpm2.wire.public_area import Template

__all__ = ["ObjectCache", "TpmObject", "blaming_the_blob", "is_counted"]

_ALONE, _SHARED = 2, 1
_FORMAT_ONE, _OF_A_PARAMETER, _OF_SOMETHING = 0x80, 0x40, 0xF00


def is_counted(public: bytes) -> bool:
    """Whether the TPM counts wrong authorization values of an object against its lockout. public: TPMT_PUBLIC."""
    return not int.from_bytes(public[4:8], "big") & Attributes.NODA


@dataclass(eq=False, slots=True)
class TpmObject:
    """A key that its blob can always bring back. public: TPMT_PUBLIC; private: TPM2B_PRIVATE's content; name: its name.

    place: where it is loaded, None: below the storage root key. fixed: the persistent handle of a key that is never
    loaded, 0 for none. policy: the steps by which it is used. handle: 0 while it is in no slot. context: a saved
    TPMS_CONTEXT, which a reset of the TPM makes worthless.
    """

    public: bytes
    private: bytes = field(repr=False)
    name: bytes
    auth: bytes = field(default=b"", repr=False)
    handle: int = 0
    context: bytes | None = field(default=None, repr=False)
    title: str = "the key"
    place: Place | None = None
    fixed: int = 0
    policy: Policy = ()
    authorization: Authorization = field(init=False, repr=False)
    shown: KeyHandle | None = field(init=False, default=None, repr=False)

    def __post_init__(self) -> None:
        self.authorization = Authorization(
            self.title, given=bool(self.auth), counted=is_counted(self.public), fixed=bool(self.fixed)
        )

    def at_hand(self) -> KeyHandle:
        """The key in its slot, for commands. Raises STATUS_WRONG_PASSWORD where its value was counted as wrong."""
        if self.authorization.refused:
            self.authorization.check()
        shown, handle = self.shown, self.handle or self.fixed
        if shown is None or shown.handle != handle:
            shown = self.shown = KeyHandle(handle, self.name, self.auth, self.authorization, self.policy)
        return shown


@contextmanager
def blaming_the_blob() -> Iterator[None]:
    """Says of a parameter that the TPM refuses that the blob in it is not of this TPM, or not below this parent."""
    try:
        yield
    except TpmError as error:
        code = error.rc
        if code & _FORMAT_ONE and not code & 0xFF0000 and (code & _OF_A_PARAMETER or not code & _OF_SOMETHING):
            raise TpmError(code, error.command, FOREIGN_BLOB) from None
        raise


def _of_a_slot(error: TpmError) -> TpmError:
    """Of a command on a key in a slot. It was there: somebody flushed it, or the TPM was reset."""
    return TpmError(RC.REFERENCE_H0 if error.code == RC.HANDLE else error.rc, error.command)


class ObjectCache:
    """The keys in slots, least recently used first. Its caller holds the connection's lock.

    parent: where keys are loaded under. alone: whether nobody else uses this TPM's slots. expect: is told the name of
    what is loaded next.
    """

    def __init__(
        self, parent: Callable[[], KeyHandle], alone: Callable[[], bool], expect: Callable[[bytes], None]
    ) -> None:
        self._parent = parent
        self._alone = alone
        self._expect = expect
        self._resident: OrderedDict[int, TpmObject] = OrderedDict()

    def __len__(self) -> int:
        return len(self._resident)

    def names(self) -> dict[int, bytes]:
        """The names of the keys in slots, by handle."""
        return {handle: key.name for handle, key in self._resident.items()}

    def acquire(self, link: Link, key: TpmObject, *, together: bool = False) -> KeyHandle:
        """Brings `key` into a slot: no command where it is there, else one, and one more where another key is there: it
        goes, or its context is saved, because it goes next. A key that stays the only one needs no context.

        together: whether the key that was acquired before must stay.
        """
        if key.handle:
            self._resident.move_to_end(key.handle)
            return key.at_hand()
        if key.fixed:
            return key.at_hand()
        limit = _ALONE if together or self._alone() else _SHARED
        flushed = self.make_room(link, limit - 1)
        handle = self._from_context(link, key) if key.context is not None else 0
        if not handle:
            with self.parent_of(link, key.place) as parent:
                self._expect(key.name)
                handle, name = commands.load(link, parent, key.private, key.public)
            if name != key.name:
                raise TransportError("the TPM loaded another key than it was given")
        following = next(iter(self._resident.values()), None)
        self._arrived(handle, key)
        # A context loads faster than a blob, but saving one must not make this a fourth command.
        if following is not None and not flushed:
            self._save(link, following)
        return key.at_hand()

    def parent_of(self, link: Link, place: Place | None) -> AbstractContextManager[KeyHandle]:
        """What keys of a place are loaded or imported below."""
        return nullcontext(self._parent()) if place is None else below(link, place, self._expect)

    def primary(
        self, link: Link, hierarchy: KeyHandle, template: Template
    ) -> AbstractContextManager[tuple[KeyHandle, bytes]]:
        """A primary key that is made for the while, and its TPMT_PUBLIC."""
        return primary(link, hierarchy, template, self._expect)

    def load(self, link: Link, key: TpmObject) -> KeyHandle:
        """`acquire`, for a blob that was not seen before: what is wrong with a parameter of TPM2_Load is its fault."""
        with blaming_the_blob():
            return self.acquire(link, key)

    def _from_context(self, link: Link, key: TpmObject) -> int:
        context, key.context = key.context or b"", None
        self._expect(key.name)
        try:
            handle = commands.context_load(link, context)
        except TpmError as error:
            if error.code in NO_ROOM:
                key.context = context
                raise
            # The TPM was reset since: the blob still holds.
            return 0
        key.context = context
        return handle

    def _save(self, link: Link, key: TpmObject) -> None:
        if key.context is None and key.handle:
            try:
                key.context = commands.context_save(link, key.handle)
            except TpmError as error:
                raise _of_a_slot(error) from None

    def _arrived(self, handle: int, key: TpmObject) -> None:
        if handle in self._resident:
            # The TPM gave a handle away that we thought taken: it was reset, and none of ours is there any more.
            self.forget()
        key.handle = handle
        self._resident[handle] = key

    def make_room(self, link: Link, leave: int) -> bool:
        """Flushes the least recently used keys until only `leave` are in slots; whether there were any."""
        flushed = False
        while len(self._resident) > leave:
            self.evict(link)
            flushed = True
        return flushed

    def evict(self, link: Link) -> bool:
        """Flushes one key; False where there is none."""
        if not self._resident:
            return False
        handle, key = self._resident.popitem(last=False)
        key.handle = 0
        try:
            commands.flush(link, handle)
        except TpmError as error:
            raise _of_a_slot(error) from None
        return True

    def remove(self, link: Link, key: TpmObject) -> None:
        """Frees the slot of a key that ends."""
        handle, key.handle, key.context = key.handle, 0, None
        if handle and self._resident.pop(handle, None) is not None:
            commands.flush(link, handle)

    def forget(self) -> None:
        """Takes note that every slot is lost. The context of a key that was in one may be of what took its place; all
        others may still hold.
        """
        for key in self._resident.values():
            key.handle, key.context = 0, None
        self._resident.clear()
