"""HKDF-Expand over any HMAC (RFC 5869, section 2.3)."""

from __future__ import annotations

from hwcng.hostcrypto.modes import Primitive


def hkdf_expand(mac: Primitive, info: bytes, length: int) -> bytes:
    """HKDF-Expand (RFC 5869, section 2.3), `mac` being HMAC under the pseudorandom key. length: at most 255 digests."""
    output, step, number = b"", b"", 0
    while len(output) < length:
        number += 1
        step = mac(step + info + bytes([number]))
        output += step
    return output[:length]
