"""Object identifiers in DER (ITU-T X.690, section 8.19)."""

from __future__ import annotations

__all__ = ["encoded"]

_TAG = 0x06


def encoded(identifier: str) -> bytes:
    """The DER of an object identifier. identifier: its arcs in decimal, with dots between them; up to 127 octets."""
    first, second, *others = map(int, identifier.split("."))
    content = b"".join(map(_arc, (40 * first + second, *others)))
    return bytes((_TAG, len(content))) + content


def _arc(number: int) -> bytes:
    """Seven bits an octet, the highest first; all but the last one have their highest bit set."""
    octets = [number & 0x7F]
    while number := number >> 7:
        octets.append(number & 0x7F | 0x80)
    return bytes(reversed(octets))
