"""C_GenerateRandom (OASIS PKCS#11 3.2, section 5.22), in parts that the token makes."""

from __future__ import annotations

from hwcng.providers.pkcs11.cryptoki.calls import Cryptoki, ffi
from hwcng.providers.pkcs11.cryptoki.return_values import CKR
from hwcng.providers.pkcs11.operations import OUTPUT_ROOM, Session

__all__ = ["RANDOM_PART", "RandomOctets"]

RANDOM_PART = 65536
"""Octets asked for in one C_GenerateRandom: NSS makes no more."""
SMALLEST_RANDOM_PART = 64
_TOO_MANY_OCTETS = frozenset((CKR.ARGUMENTS_BAD, CKR.DATA_LEN_RANGE, CKR.DATA_INVALID, CKR.BUFFER_TOO_SMALL))


class RandomOctets:
    """Up to `length` octets made in a session."""

    __slots__ = ("cryptoki", "length", "octets")

    def __init__(self, cryptoki: Cryptoki, length: int) -> None:
        self.cryptoki = cryptoki
        self.length = length
        self.octets = b""

    def __call__(self, session: Session) -> int:
        size, output, handle, generate = self.length, session.output, session.handle, self.cryptoki.C_GenerateRandom
        if size > OUTPUT_ROOM:
            output = session.output_of(size)
        while (rv := generate(handle, output, size)) in _TOO_MANY_OCTETS and size > SMALLEST_RANDOM_PART:
            size //= 2
        if not rv:
            buffer = ffi.buffer(output, size)
            self.octets = buffer[:]
            buffer[:] = bytes(size)
        return rv
