"""Where keys of other software are loaded below: storage keys at persistent handles, and primary keys that are made for
the call.

TPM 2.0 Library, Part 3, section 24.1 (TPM2_CreatePrimary); TCG TPM v2.0 Provisioning Guidance, section 7.5 (templates);
ASN.1 Specification for TPM 2.0 Key Files, section 3.1 (what a parent of a key file means).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.tpm2.keys.handles import Authorization, KeyHandle, owner_authorization
from hwcng.providers.tpm2.wire import commands
from hwcng.providers.tpm2.wire.commands import Link
from hwcng.providers.tpm2.wire.constants import RC, RH, Attributes
from hwcng.providers.tpm2.wire.errors import TpmError, TransportError
from hwcng.providers.tpm2.wire.marshal import MalformedError, u32
from hwcng.providers.tpm2.wire.public_area import ECC_PRIMARIES, RSA_PRIMARIES, Template, parse_public

__all__ = ["FIRST_PERSISTENT", "LAST_PERSISTENT", "Place", "below", "places", "primary"]

FIRST_PERSISTENT, LAST_PERSISTENT = 0x81000000, 0x81FFFFFF
_OWNER = frozenset({0, int(RH.OWNER)})
"""The oldest files say 0 for the owner's hierarchy."""
_LOCKED = "hwcng sends none to storage keys but the storage root key"


@dataclass(frozen=True, slots=True)
class Place:
    """handle: a persistent handle, or the owner's hierarchy. template: of the primary key that is made there.

    owner_auth: gives the owner's authorization value, when a primary key is made.
    """

    handle: int
    template: Template | None = None
    owner_auth: Callable[[], bytes] = field(default=bytes, repr=False)

    @property
    def is_rsa(self) -> bool:
        return self.template in RSA_PRIMARIES


def places(parent: int, rsa: bool, root: int, owner_auth: Callable[[], bytes]) -> tuple[Place | None, ...]:
    """Where a key may be whose file names `parent`, likeliest first; None: below the storage root key, at `root`.

    rsa: whether the file says that its parent is an RSA key. Files do not say which of the TCG's templates was used.

    Raises STATUS_INVALID_PARAMETER for a parent that is neither in the owner's hierarchy nor persistent.
    """
    if parent == root:
        return (None,)
    if FIRST_PERSISTENT <= parent <= LAST_PERSISTENT:
        return (Place(parent),)
    if parent not in _OWNER:
        raise CngError(
            NTSTATUS.STATUS_INVALID_PARAMETER,
            f"the key's parent is {parent:#x}: keys are loaded below a persistent handle, such as the storage root key "
            f"at {root:#x}, or below a primary key of the owner's hierarchy ({int(RH.OWNER):#x})",
        )
    templates = RSA_PRIMARIES if rsa else (*ECC_PRIMARIES, *RSA_PRIMARIES)
    return tuple(Place(int(RH.OWNER), template, owner_auth) for template in templates)


@contextmanager
def below(link: Link, place: Place, expect: Callable[[bytes], None]) -> Iterator[KeyHandle]:
    """The storage key of a place, for as long as a key is loaded or imported below it.

    expect: is told how the public area of a key begins that is made.
    """
    if place.template is None:
        yield _persistent(link, place.handle)
        return
    auth = place.owner_auth()
    owner = KeyHandle(place.handle, u32(place.handle), auth, owner_authorization(bool(auth)))
    with primary(link, owner, place.template, expect) as (key, _):
        yield key


@contextmanager
def primary(
    link: Link, hierarchy: KeyHandle, template: Template, expect: Callable[[bytes], None]
) -> Iterator[tuple[KeyHandle, bytes]]:
    """A primary key that is made for the while, and its TPMT_PUBLIC. expect: as `below` has it."""
    expect(template.area)
    handle, name, public = commands.create_primary(link, hierarchy, template.public)
    try:
        yield KeyHandle(handle, name, authorization=Authorization("the primary key")), public
    except BaseException:
        with suppress(TpmError, TransportError):
            commands.flush(link, handle)
        raise
    # A line that breaks here breaks the work: opened again, it takes out what is written down, this key too.
    with suppress(TpmError):
        commands.flush(link, handle)


def _persistent(link: Link, handle: int) -> KeyHandle:
    try:
        public, name = commands.read_public(link, handle)
        attributes = parse_public(public).attributes
    except TpmError as error:
        if error.code != RC.HANDLE:
            raise
        raise CngError(
            NTSTATUS.STATUS_INVALID_PARAMETER, f"the key's parent is at {handle:#x}, and nothing is there in this TPM"
        ) from None
    except MalformedError:
        attributes = Attributes(0)
    if not attributes & Attributes.RESTRICTED or not attributes & Attributes.DECRYPT:
        raise CngError(
            NTSTATUS.STATUS_INVALID_PARAMETER, f"the key's parent is at {handle:#x}: no storage key is there"
        )
    counted = not attributes & Attributes.NODA
    title = f"the storage key at {handle:#x}"
    return KeyHandle(handle, name, authorization=Authorization(title, _LOCKED, counted=counted, fixed=True))
