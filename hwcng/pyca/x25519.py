"""Private keys on curve25519 (RFC 7748)."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import x25519

from hwcng.pyca.agreement import agreed
from hwcng.pyca.base import TokenPrivateKey

__all__ = ["X25519TokenKey"]


class X25519TokenKey(TokenPrivateKey, x25519.X25519PrivateKey):
    def exchange(self, peer_public_key: x25519.X25519PublicKey) -> bytes:
        if not isinstance(peer_public_key, x25519.X25519PublicKey):
            raise TypeError("peer_public_key must be X25519PublicKey.")
        return agreed(self.cng_key, peer_public_key)
