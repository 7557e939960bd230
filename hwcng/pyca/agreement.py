"""The agreed value itself, which leaves a token only where its provider was opened with allow_raw_secret=True."""

from __future__ import annotations

from hwcng.hostcrypto.host_keys import host_kind_of, public_material
from hwcng.pyca.base import TokenPrivateKey
from hwcng.pyca.failures import as_cryptography_raises

__all__ = ["agreed"]


def agreed(key: TokenPrivateKey, peer: object) -> bytes:
    """Z with its leading zeros: big-endian, of curve25519 as RFC 7748 has it. peer: a public key of `cryptography`."""
    with as_cryptography_raises():
        material = public_material(peer)
        # No token sees a peer's key that is not sound: `cryptography` checks some of it when it agrees.
        host_kind_of(material).check(material)
        secret = key.cng_key.agree_with(material)
        try:
            return secret.raw()
        finally:
            secret.destroy()
