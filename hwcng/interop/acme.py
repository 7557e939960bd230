"""Account keys of ACME (RFC 8555) in a token, for the packages acme and josepy, and so for what is built on them.

josepy writes a private key with its private numbers, and hashes what it wrote for a challenge's answer. These are
written as their public half (RFC 7517), which is all that ACME ever sends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import rsa

from hwcng.interop.needed import needed
from hwcng.interop.private_keys import rsa_or_nist_key

with needed("josepy", "acme"):
    from josepy.jwk import JWK, JWKEC, JWKRSA

if TYPE_CHECKING:
    from hwcng.pyca.opening import TokenKey

__all__ = ["account_key"]


class _RsaAccountKey(JWKRSA):
    __slots__ = ("key",)

    def public_key(self) -> JWKRSA:
        return JWKRSA(key=self.key.public_key())

    def fields_to_partial_json(self) -> dict[str, Any]:
        fields: dict[str, Any] = self.public_key().fields_to_partial_json()
        return fields


class _EcAccountKey(JWKEC):
    __slots__ = ("key",)

    def public_key(self) -> JWKEC:
        return JWKEC(key=self.key.public_key())

    def fields_to_partial_json(self) -> dict[str, Any]:
        fields: dict[str, Any] = self.public_key().fields_to_partial_json()
        return fields


def account_key(key: TokenKey) -> JWK:
    """The key as `acme.client.ClientNetwork`, challenges and `josepy.JWS` take it.

    key: a URI or a key, as `hwcng.pyca.private_key` takes it: RSA, or ECDSA on P-256, P-384 or P-521, with
    `alg=josepy.ES256` and its like.

    Raises UnsupportedAlgorithm for other kinds, and what `private_key` raises.
    """
    private = rsa_or_nist_key(key, "josepy")
    return _RsaAccountKey(key=private) if isinstance(private, rsa.RSAPrivateKey) else _EcAccountKey(key=private)
