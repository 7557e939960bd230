"""Operations in one part and the sessions they are done in (OASIS PKCS#11 3.2, sections 5.8 to 5.13)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple

from hwcng.contract.keys import Message
from hwcng.errors import NTSTATUS
from hwcng.forking import at_work
from hwcng.providers.pkcs11.cryptoki.calls import CData, ffi
from hwcng.providers.pkcs11.module import Module
from hwcng.providers.tallies import BUCKETS

__all__ = ["MEASURED", "OUTPUT_ROOM", "Operation", "Session", "Work", "at_length"]

OUTPUT_ROOM = 4096
_ZEROS = bytes(OUTPUT_ROOM)
MEASURED = 63
"""Of the uses of a session the first is measured, and the first of each 64 after it."""


class Operation(NamedTuple):
    """Two C_ functions of an operation in one part, by name, and what to make of their answers.

    asked: what it is, for messages. verdicts: what the token's answers to the second one mean. wipe: the result is a
    secret of the caller's, which must not stay in the session's memory. authenticate: whether the key asks for a login
    between the two (CKA_ALWAYS_AUTHENTICATE). quiet: a failure that `verdicts` names costs no further call, so that the
    number of calls does not tell it from a success. told: bytes of room that the token is told of, where it refuses
    more than the result has.
    """

    begin: str
    end: str
    asked: str
    verdicts: Mapping[int, NTSTATUS] | None = None
    wipe: bool = False
    authenticate: bool = False
    quiet: bool = False
    told: int = OUTPUT_ROOM


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
    # Nobody else has this object yet, as after PyBytes_FromStringAndSize with NULL, and its memory is still fresh.
    result = bytes(room)
    output = ffi.from_buffer("unsigned char[]", result)
    length = session.length
    length[0] = room
    with ffi.from_buffer(data) as octets:
        rv = end(session.handle, octets, len(data), output, length)
    if rv or length[0] == room:
        return rv, result
    shorter = result[: length[0]]
    if wipe:
        for start in range(0, len(shorter), OUTPUT_ROOM):
            ffi.memmove(output + start, _ZEROS, min(OUTPUT_ROOM, len(shorter) - start))
    return rv, shorter
