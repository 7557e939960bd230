"""What wincrypt.h's key blobs share: the headers of the private ones, and the seed of domain parameters.

Standards: wincrypt.h (BLOBHEADER; DSSPUBKEY and DHPUBKEY in version 2; DSSPRIVKEY_VER3 and DHPRIVKEY_VER3 in version 3;
DSSSEED). All of it is little-endian, the numbers too.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from hwcng.cng.blobs.fields import Fields
from hwcng.errors import invalid_parameter
from hwcng.headers.wincrypt_h import PRIVATEKEYBLOB

__all__ = ["NO_COUNTER", "LegacyHeader", "read_private_header", "seed_of"]

_HEADER = struct.Struct("<BBHI2I")
_HEADER_3 = struct.Struct("<BBHI5II20s")
NO_COUNTER = 0xFFFFFFFF
"""DSSSEED's where nobody knows the seed."""


@dataclass(frozen=True, slots=True)
class LegacyHeader:
    """Sizes in bytes. subprime_size None: version 2, which has neither it nor what follows."""

    prime_size: int
    subprime_size: int | None = None
    cofactor_size: int = 0
    exponent_size: int = 0
    seed: tuple[bytes, int] | None = None
    """Big-endian, with its counter; None where nobody knows it."""


def read_private_header(blob: bytes, magic_2: int, magic_3: int, name: str) -> tuple[LegacyHeader, Fields]:
    """The header of a private blob of version 2 or 3, told apart by their magics, and what comes after it.

    Raises STATUS_INVALID_PARAMETER for a wrong type, version, magic or size.
    """
    if len(blob) < _HEADER.size:
        raise invalid_parameter(f"{name}: a header of {_HEADER.size} bytes expected, {len(blob)} bytes given")
    kind, version, _, _, magic, bits = _HEADER.unpack_from(blob)
    if kind != PRIVATEKEYBLOB or (version, magic) not in ((2, magic_2), (3, magic_3)):
        raise invalid_parameter(f"{name}: type {kind} version {version} magic {magic:#010x} is not such a private key")
    if version == 2:
        return LegacyHeader(_size(bits, name)), Fields(blob, _HEADER.size, "little")
    if len(blob) < _HEADER_3.size:
        raise invalid_parameter(f"{name}: a header of {_HEADER_3.size} bytes expected, {len(blob)} bytes given")
    *_, prime, subprime, cofactor, exponent, counter, seed = _HEADER_3.unpack_from(blob)
    p, q, j, x = (_size(length, name) for length in (prime, subprime, cofactor, exponent))
    return LegacyHeader(p, q, j, x, seed_of(counter, seed)), Fields(blob, _HEADER_3.size, "little")


def seed_of(counter: int, seed: bytes) -> tuple[bytes, int] | None:
    """DSSSEED, whose seed is a little-endian number."""
    return None if counter == NO_COUNTER else (seed[::-1], counter)


def _size(bits: int, name: str) -> int:
    if bits % 8:
        raise invalid_parameter(f"{name}: {bits} bits are not whole bytes")
    return bits // 8
