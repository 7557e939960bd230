"""Marshalling of commands and responses: TPM 2.0 Library, Part 1, section 18. Big-endian."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from hwcng.providers.tpm2.wire.constants import ST

__all__ = ["Exchange", "MalformedError", "Reader", "command", "sized", "u8", "u16", "u32"]

Exchange: TypeAlias = Callable[[bytes], bytes]
"""A command to the TPM, and its response."""


class MalformedError(ValueError):
    """Octets that are not the structure they should be. The message never shows them."""


def u8(value: int) -> bytes:
    return value.to_bytes(1, "big")


def u16(value: int) -> bytes:
    return value.to_bytes(2, "big")


def u32(value: int) -> bytes:
    return value.to_bytes(4, "big")


def sized(data: bytes) -> bytes:
    """A TPM2B: a 16-bit length, then the octets."""
    return u16(len(data)) + data


def command(code: int, handles: Sequence[int], authorizations: bytes, parameters: bytes) -> bytes:
    """A whole command. authorizations: the authorization area without its size, empty for none."""
    area = u32(len(authorizations)) + authorizations if authorizations else b""
    body = b"".join(map(u32, handles)) + area + parameters
    tag = ST.SESSIONS if authorizations else ST.NO_SESSIONS
    return u16(tag) + u32(10 + len(body)) + u32(code) + body


class Reader:
    """Takes a structure apart, front to back. Raises MalformedError where it is too short."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def take(self, length: int) -> bytes:
        end = self._position + length
        if end > len(self._data):
            raise MalformedError(f"{length} octets expected at {self._position} of {len(self._data)}")
        piece = self._data[self._position : end]
        self._position = end
        return piece

    def u8(self) -> int:
        return self.take(1)[0]

    def u16(self) -> int:
        return int.from_bytes(self.take(2), "big")

    def u32(self) -> int:
        return int.from_bytes(self.take(4), "big")

    def u64(self) -> int:
        return int.from_bytes(self.take(8), "big")

    def sized(self) -> bytes:
        """The octets of a TPM2B."""
        return self.take(self.u16())

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._position)

    @property
    def position(self) -> int:
        return self._position

    @property
    def left(self) -> int:
        return len(self._data) - self._position

    def end(self) -> None:
        """Raises MalformedError where octets are left over."""
        if self.left:
            raise MalformedError(f"{self.left} octets too many")
