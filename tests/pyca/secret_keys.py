"""Secret keys that the tests of `hwcng.pyca` make in a token, of bytes that the host knows too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support import needs

from hwcng import bcrypt

if TYPE_CHECKING:
    from hwcng.cng.keys import SymmetricKey
    from hwcng.contract.provider import Provider

__all__ = ["aes_key", "hmac_key"]


def aes_key(token: Provider, secret: bytes, mode: str) -> SymmetricKey:
    needs(token, "AES", mode)
    return bcrypt.BCryptGenerateSymmetricKey(bcrypt.BCryptOpenAlgorithmProvider("AES", token), None, secret)


def hmac_key(token: Provider, secret: bytes, hash_name: str = "SHA256") -> SymmetricKey:
    """What the token keeps is a key of the same value."""
    from hwcng.cng import naming
    from hwcng.contract.specs import SecretSpec
    from hwcng.contract.usage import SecretFamily, Usage

    needs(token, f"HMAC-{hash_name}")
    spec = SecretSpec(SecretFamily.HMAC, 8 * len(secret), Usage.SIGN, hash_name=hash_name)
    return naming.handle_of(token, token.import_secret(spec, secret), None)  # type: ignore[return-value]
