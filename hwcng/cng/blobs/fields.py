"""The numbers of a key blob, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from hwcng.errors import invalid_parameter

__all__ = ["Fields", "numbers"]

# Bytes of CNG's longest DH modulus: without a bound a huge blob would buy minutes of arithmetic.
_MODULUS_SIZE = 512


class Fields:
    """The numbers of a blob, from an offset on. Raises STATUS_INVALID_PARAMETER where it is too short or too long."""

    def __init__(self, blob: bytes, offset: int, byteorder: Literal["big", "little"] = "big") -> None:
        self._blob = blob
        self._offset = offset
        self._byteorder = byteorder

    def octets(self, size: int) -> bytes:
        end = self._offset + size
        if end > len(self._blob):
            raise invalid_parameter(f"key blob: {end} bytes or more expected, {len(self._blob)} given")
        taken, self._offset = self._blob[self._offset : end], end
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.octets(size), self._byteorder)

    def modulus(self, size: int) -> int:
        """An odd number that fills its `size` bytes."""
        if size > _MODULUS_SIZE:
            raise invalid_parameter(f"key blob: a modulus of {size} bytes, at most {_MODULUS_SIZE} expected")
        number = self.number(size)
        if number.bit_length() != 8 * size or number % 2 == 0:
            raise invalid_parameter(f"key blob: the modulus is not an odd number of {8 * size} bits")
        return number

    def end(self) -> None:
        if self._offset != len(self._blob):
            raise invalid_parameter(f"key blob: {self._offset} bytes expected, {len(self._blob)} given")


def numbers(
    blob: bytes, offset: int, sizes: Sequence[int], byteorder: Literal["big", "little"] = "big"
) -> tuple[int, ...]:
    """Consecutive unsigned numbers of `sizes` bytes each, starting at `offset`; the caller has checked the total."""
    read = []
    for size in sizes:
        read.append(int.from_bytes(blob[offset : offset + size], byteorder))
        offset += size
    return tuple(read)
