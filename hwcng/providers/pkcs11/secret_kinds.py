"""How each family of secret keys is made and typed (PKCS#11 3.2, section 6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pkcs11 import KeyType, Mechanism

from hwcng.providers.base import SecretFamily, SecretSpec

__all__ = ["SECRET_KINDS", "SecretKind", "offered_as"]


@dataclass(frozen=True, slots=True)
class SecretKind:
    """says_length: whether CKA_VALUE_LEN belongs into the template of a generation."""

    key_type: KeyType
    generation: Mechanism
    says_length: bool = True


_AES = SecretKind(KeyType.AES, Mechanism.AES_KEY_GEN)
_GENERIC = SecretKind(KeyType.GENERIC_SECRET, Mechanism.GENERIC_SECRET_KEY_GEN)

SECRET_KINDS: Mapping[SecretFamily, SecretKind] = MappingProxyType(
    {
        SecretFamily.AES: _AES,
        SecretFamily.CMAC: _AES,
        SecretFamily.GMAC: _AES,
        SecretFamily.HMAC: _GENERIC,
        SecretFamily.KDF: _GENERIC,
    }
)


def offered_as(spec: SecretSpec) -> str:
    """The algorithm of `Provider.offers` that holding such a key needs."""
    if spec.family is not SecretFamily.HMAC:
        return str(spec.family.value)
    return f"HMAC-{spec.hash_name}" if spec.hash_name else "KDF"
