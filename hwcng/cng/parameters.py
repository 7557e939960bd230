"""Parameter lists of the derivation functions (bcrypt.h, BCryptBufferDesc)."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import TypeAlias

from hwcng.cng.handles import invalid_parameter, not_supported
from hwcng.cng.padding import Octets
from hwcng.errors import told
from hwcng.hashes import HASHES, HashFunction

__all__ = ["BufferType", "ParameterList", "Parameters", "require_hash"]


class BufferType(enum.IntEnum):
    """BCryptBuffer.BufferType of a parameter list."""

    KDF_HASH_ALGORITHM = 0x0
    KDF_SECRET_PREPEND = 0x1
    KDF_SECRET_APPEND = 0x2
    KDF_HMAC_KEY = 0x3
    KDF_TLS_PRF_LABEL = 0x4
    KDF_TLS_PRF_SEED = 0x5
    KDF_SECRET_HANDLE = 0x6
    KDF_TLS_PRF_PROTOCOL = 0x7
    KDF_ALGORITHMID = 0x8
    KDF_PARTYUINFO = 0x9
    KDF_PARTYVINFO = 0xA
    KDF_SUPPPUBINFO = 0xB
    KDF_SUPPPRIVINFO = 0xC
    KDF_LABEL = 0xD
    KDF_CONTEXT = 0xE
    KDF_SALT = 0xF
    KDF_ITERATION_COUNT = 0x10
    KDF_GENERIC_PARAMETER = 0x11
    KDF_KEYBITLENGTH = 0x12
    KDF_HKDF_SALT = 0x13
    KDF_HKDF_INFO = 0x14


ParameterList: TypeAlias = Sequence[tuple[int, Octets | str | int]]
"""Pairs of buffer type and value: bytes, a hash's name as str, TLS's protocol as int."""


class Parameters:
    """A parameter list, read."""

    def __init__(self, pairs: ParameterList | None) -> None:
        self._values: dict[int, list[Octets | str | int]] = {}
        try:
            for kind, value in pairs or ():
                self._values.setdefault(int(kind), []).append(value)
        except (TypeError, ValueError):
            raise invalid_parameter("pParameterList is a sequence of (buffer type, value) pairs") from None

    def octets(self, kind: BufferType) -> bytes:
        """All buffers of one type, concatenated in the order of the list."""
        found = self._values.get(kind, [])
        if not all(isinstance(value, (bytes, bytearray, memoryview)) for value in found):
            raise invalid_parameter(f"{kind.name} must be bytes")
        return b"".join(bytes(value) for value in found if not isinstance(value, (str, int)))

    def required(self, kind: BufferType) -> bytes:
        if kind not in self._values:
            raise invalid_parameter(f"{kind.name} is missing")
        return self.octets(kind)

    def hash_function(self, default: str | None) -> HashFunction | None:
        found = self._values.get(BufferType.KDF_HASH_ALGORITHM)
        name = found[-1] if found else default
        if isinstance(name, (bytes, bytearray, memoryview)):
            name = bytes(name).decode("utf-16-le", "replace")
        if name is None:
            return None
        hash_function = HASHES.get(name.rstrip("\0")) if isinstance(name, str) else None
        if hash_function is None:
            raise not_supported(f"{told(name)} is not a hash algorithm")
        return hash_function

    def required_hash(self) -> HashFunction:
        return require_hash(self.hash_function(None))

    def number(self, kind: BufferType, default: int, size: int) -> int:
        """An unsigned number: an int, or exactly `size` little-endian bytes."""
        found = self._values.get(kind)
        value = found[-1] if found else default
        if isinstance(value, (bytes, bytearray, memoryview)) and len(value) == size:
            return int.from_bytes(value, "little")
        if not isinstance(value, int) or not 0 <= value < 1 << 8 * size:
            raise invalid_parameter(f"{kind.name} is a number of {size} bytes")
        return value

    def __contains__(self, kind: BufferType) -> bool:
        return kind in self._values


def require_hash(hash_function: HashFunction | None) -> HashFunction:
    if hash_function is None:
        raise invalid_parameter("KDF_HASH_ALGORITHM is missing")
    return hash_function
