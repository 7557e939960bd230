"""Operations in one part and the sessions they are done in (OASIS PKCS#11 3.2, sections 5.8 to 5.13)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from io import BytesIO

from hwcng.contract.keys import Message
from hwcng.contract.octets import shortened
from hwcng.errors import NTSTATUS
from hwcng.forking import at_work
from hwcng.providers.pkcs11.cryptoki.calls import CData, ffi
from hwcng.providers.pkcs11.module import Module
from hwcng.providers.tallies import BUCKETS

__all__ = ["MEASURED", "OUTPUT_ROOM", "Operation", "Session", "Stream", "Work", "at_length"]

OUTPUT_ROOM = 4096
_ZEROS = bytes(OUTPUT_ROOM)
MEASURED = 63
"""Of the uses of a session the first is measured, and the first of each 64 after it."""


class Operation:
    """Two C_ functions of an operation in one part, by name, and what to make of their answers.

    asked: what it is, for messages. verdicts: what the token's answers to the second one mean. wipe: the result is a
    secret of the caller's, which must not stay in the session's memory. authenticate: whether the key asks for a login
    between the two (CKA_ALWAYS_AUTHENTICATE). quiet: a failure that `verdicts` names costs no further call, so that the
    number of calls does not tell it from a success. told: bytes of room that the token is told of, where it refuses
    more than the result has.
    """

    __slots__ = ("asked", "authenticate", "begin", "end", "quiet", "told", "verdicts", "wipe")

    def __init__(
        self,
        begin: str,
        end: str,
        asked: str,
        verdicts: Mapping[int, NTSTATUS] | None = None,
        *,
        wipe: bool = False,
        authenticate: bool = False,
        quiet: bool = False,
        told: int = OUTPUT_ROOM,
    ) -> None:
        self.begin = begin
        self.end = end
        self.asked = asked
        self.verdicts = verdicts
        self.wipe = wipe
        self.authenticate = authenticate
        self.quiet = quiet
        self.told = told


class Work:
    """What a session is at, and what it did.

    keys: the handles of those that the operation uses which it is at or was at last. uses: how often it was borrowed.
    began: time.perf_counter_ns() where this use is measured, else 0. nanoseconds, buckets: what those uses took that
    were measured, in all and by their bit length.
    """

    __slots__ = ("began", "buckets", "keys", "module", "nanoseconds", "uses")

    def __init__(self, module: Module) -> None:
        self.module = module
        self.uses = self.began = self.nanoseconds = 0
        self.buckets = [0] * BUCKETS
        self.keys: tuple[int, ...] = ()


class Stream:
    """A key's own object, which goes with the key."""

    __slots__ = ("__weakref__",)


class Session:
    """An open session and the memory its operations reuse.

    judged: whether an operation in it ended with the token's verdict on the data, after which some tokens may not have
    ended it. octets: what is in `output`. owns: whether objects live as long as it.

    One that whoever borrowed it lost, because a signal's handler raised an exception between two steps, is at work no
    more and goes to `strays`, which is None once it is closed.
    """

    __slots__ = ("handle", "judged", "length", "octets", "output", "owns", "strays", "work")

    def __init__(self, handle: int, work: Work, strays: deque[Session], *, owns: bool = False) -> None:
        self.handle = handle
        self.work = work
        self.owns = owns
        self.strays: deque[Session] | None = strays
        self.judged = False
        self.length: CData = ffi.new("CK_ULONG *")
        self.output: CData = ffi.new("unsigned char[]", OUTPUT_ROOM)
        self.octets = ffi.buffer(self.output)

    def __del__(self) -> None:
        # One in whose making the exception came has none.
        if (strays := getattr(self, "strays", None)) is not None:
            strays.append(self)
            at_work.discard(self.work)

    def output_of(self, room: int) -> CData:
        """A buffer of at least `room` bytes, and its size in `length`."""
        if room <= OUTPUT_ROOM:
            self.length[0] = OUTPUT_ROOM
            return self.output
        self.length[0] = room
        return ffi.new("unsigned char[]", room)


def at_length(end: Callable[..., int], session: Session, data: Message, room: int, *, wipe: bool) -> tuple[int, bytes]:
    """The CKR and the result of an operation that has begun, whose result the token writes where it stays.

    end: the C_ function that ends it. room: bytes that the result can have at most. wipe: as of `Operation`.
    """
    # The token writes into it, as after PyBytes_FromStringAndSize with NULL: cffi hands over the object's own memory,
    # and nobody else has it yet.
    result = bytes(room)
    length = session.length
    length[0] = room
    if type(data) is bytes:
        rv = end(session.handle, data, len(data), result, length)
    else:
        with ffi.from_buffer(data) as octets:
            rv = end(session.handle, octets, len(data), result, length)
    size = length[0]
    if rv or size == room:
        return rv, result
    if wipe:
        with ffi.from_buffer("unsigned char[]", result) as written:
            ffi.memmove(written + size, bytes(room - size), room - size)
    held = BytesIO(result)
    del result
    return rv, shortened(held, size)
