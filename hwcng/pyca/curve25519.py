"""Private keys on curve25519: X25519 (RFC 7748) and Ed25519 (RFC 8032)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ed25519, x25519

from hwcng.contract.specs import EddsaSpec
from hwcng.errors import CngError
from hwcng.pyca.agreement import agreed
from hwcng.pyca.base import TokenPrivateKey
from hwcng.pyca.digests import octets_of
from hwcng.pyca.failures import refusal, translated

if TYPE_CHECKING:
    from cryptography.utils import Buffer

__all__ = ["Ed25519TokenKey", "X25519TokenKey"]

_EDDSA = EddsaSpec()


class X25519TokenKey(TokenPrivateKey, x25519.X25519PrivateKey, of="x25519"):
    def exchange(self, peer_public_key: x25519.X25519PublicKey) -> bytes:
        if not isinstance(peer_public_key, x25519.X25519PublicKey):
            raise refusal(TypeError, "peer_public_key must be X25519PublicKey.")
        return agreed(self, peer_public_key)


class Ed25519TokenKey(TokenPrivateKey, ed25519.Ed25519PrivateKey, of="ed25519"):
    def sign(self, data: Buffer) -> bytes:
        try:
            return self.cng_key.sign_as(_EDDSA, octets_of(data))
        except CngError as error:
            raise translated(error) from error
