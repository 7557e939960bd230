"""Parameter lists of the derivation functions (bcrypt.h, BCryptBufferDesc)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from hwcng import arguments
from hwcng.arguments import Octets
from hwcng.errors import invalid_parameter, not_supported, told
from hwcng.headers.bcrypt_h import BufferType
from hwcng.headers.records import BCryptBuffer, BCryptBufferDesc
from hwcng.standards.hashes import HASHES, HashFunction

__all__ = ["ParameterList", "Parameters", "require_hash"]


ParameterList: TypeAlias = Sequence[tuple[int, Octets | str | int]] | Sequence[BCryptBuffer] | BCryptBufferDesc
"""BCryptBuffers, or pairs of buffer type and value: bytes, a hash's name as str, TLS's protocol as int."""


_HASH = BufferType.KDF_HASH_ALGORITHM.name


class Parameters:
    """A parameter list, read."""

    def __init__(self, pairs: ParameterList | None) -> None:
        self._values: dict[int, list[object]] = {}
        for kind, value in arguments.pairs(pairs):
            self._values.setdefault(kind, []).append(value)

    def octets(self, kind: BufferType) -> bytes:
        """All buffers of one type, concatenated in the order of the list."""
        if kind not in self._values:
            return b""
        return b"".join(arguments.octets(value, kind.name) for value in self._values[kind])

    def required(self, kind: BufferType) -> bytes:
        if kind not in self._values:
            raise invalid_parameter(f"{kind.name} is missing")
        return self.octets(kind)

    def hash_function(self, default: str | None) -> HashFunction | None:
        found = self._values.get(BufferType.KDF_HASH_ALGORITHM)
        value = found[-1] if found else default
        if value is None:
            return None
        name = arguments.text(value, _HASH)
        hash_function = HASHES.get(name)
        if hash_function is None:
            raise not_supported(f"{told(name)} is not a hash algorithm")
        return hash_function

    def required_hash(self) -> HashFunction:
        return require_hash(self.hash_function(None))

    def number(self, kind: BufferType, default: int, size: int) -> int:
        """An unsigned number: an int, or exactly `size` little-endian bytes."""
        found = self._values.get(kind)
        value = found[-1] if found else default
        if isinstance(value, (bytes, bytearray, memoryview)):
            given = arguments.octets(value, kind.name)
            if len(given) != size:
                raise invalid_parameter(f"{kind.name} is a number of {size} bytes, {len(given)} given")
            return int.from_bytes(given, "little")
        return arguments.number(value, kind.name, largest=(1 << 8 * size) - 1)

    def __contains__(self, kind: BufferType) -> bool:
        return kind in self._values


def require_hash(hash_function: HashFunction | None) -> HashFunction:
    if hash_function is None:
        raise invalid_parameter("KDF_HASH_ALGORITHM is missing")
    return hash_function
