"""Operations in one part and the sessions they are done in (OASIS PKCS#11 3.2, sections 5.8 to 5.13)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from hwcng.errors import NTSTATUS
from hwcng.providers.pkcs11.cryptoki.calls import CData, ffi
from hwcng.providers.pkcs11.module import Module

__all__ = ["OUTPUT_ROOM", "Operation", "Session"]

OUTPUT_ROOM = 4096


class Operation(NamedTuple):
    """Two C_ functions of an operation in one part, by name, and what to make of their answers.

    asked: what it is, for messages. verdicts: what the token's answers to the second one mean. wipe: the result is a
    secret of the caller's, which must not stay in the session's memory. authenticate: whether the key asks for a login
    between the two (CKA_ALWAYS_AUTHENTICATE). quiet: a failure that `verdicts` names costs no further call, so that the
    number of calls does not tell it from a success.
    """

    begin: str
    end: str
    asked: str
    verdicts: Mapping[int, NTSTATUS] | None = None
    wipe: bool = False
    authenticate: bool = False
    quiet: bool = False


class Session:
    """An open session and the memory its operations reuse.

    judged: whether an operation in it ended with the token's verdict on the data, after which some tokens may not have
    ended it. keys: the handles of those that the operation uses which it is at or was at last. octets: what is in
    `output`.
    """

    __slots__ = ("handle", "judged", "keys", "length", "module", "octets", "output")

    def __init__(self, handle: int, module: Module) -> None:
        self.handle = handle
        self.module = module
        self.judged = False
        self.keys: tuple[int, ...] = ()
        self.length: CData = ffi.new("CK_ULONG *")
        self.output: CData = ffi.new("unsigned char[]", OUTPUT_ROOM)
        self.octets = ffi.buffer(self.output)

    def output_of(self, room: int) -> CData:
        """A buffer of at least `room` bytes, and its size in `length`."""
        if room <= OUTPUT_ROOM:
            self.length[0] = OUTPUT_ROOM
            return self.output
        self.length[0] = room
        return ffi.new("unsigned char[]", room)
