"""How each family of secret keys is made and typed (PKCS#11 3.2, section 6)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from pkcs11 import KeyType, Mechanism

from hwcng.contract.specs import SecretSpec
from hwcng.contract.usage import SecretFamily
from hwcng.providers.pkcs11.cryptoki.constants import CKK, CKM
from hwcng.standards.hashes import HASHES

__all__ = ["SECRET_KINDS", "STORED_SECRETS", "SecretKind", "hmac_value", "offered_as"]

# No digest is longer, no block shorter.
_ANY_HMAC_KEY_LENGTH = 64


class SecretKind(NamedTuple):
    """says_length: whether CKA_VALUE_LEN belongs into the template of a generation. wraps: whether such keys may be
    wrapped and unwrapped.
    """

    key_type: int
    generation: int
    says_length: bool = True
    wraps: bool = True


_AES = SecretKind(KeyType.AES, Mechanism.AES_KEY_GEN)

_GENERIC = SecretKind(KeyType.GENERIC_SECRET, Mechanism.GENERIC_SECRET_KEY_GEN)

SECRET_KINDS: Mapping[SecretFamily, SecretKind] = MappingProxyType(
    {
        SecretFamily.AES: _AES,
        SecretFamily.CMAC: _AES,
        SecretFamily.GMAC: _AES,
        # Inside a token nobody can see that the two halves of an unwrapped key differ, as SP 800-38E asks.
        SecretFamily.XTS: SecretKind(CKK.AES_XTS, CKM.AES_XTS_KEY_GEN, wraps=False),
        SecretFamily.DES: SecretKind(KeyType._DES, Mechanism._DES_KEY_GEN, says_length=False),
        SecretFamily.DES3: SecretKind(KeyType.DES3, Mechanism.DES3_KEY_GEN, says_length=False),
        SecretFamily.DES3_112: SecretKind(KeyType.DES2, Mechanism.DES2_KEY_GEN, says_length=False),
        SecretFamily.RC2: SecretKind(KeyType._RC2, Mechanism._RC2_KEY_GEN),
        SecretFamily.RC4: SecretKind(KeyType._RC4, Mechanism._RC4_KEY_GEN),
        SecretFamily.CHACHA20_POLY1305: SecretKind(CKK.CHACHA20, CKM.CHACHA20_KEY_GEN, says_length=False),
        SecretFamily.HMAC: _GENERIC,
        SecretFamily.KDF: _GENERIC,
    }
)

STORED_SECRETS: Mapping[int, tuple[SecretFamily, str | None, int]] = MappingProxyType(
    {
        int(KeyType.AES): (SecretFamily.AES, None, 0),
        int(KeyType.GENERIC_SECRET): (SecretFamily.HMAC, None, 0),
        CKK.RC2: (SecretFamily.RC2, None, 0),
        CKK.RC4: (SecretFamily.RC4, None, 0),
        CKK.DES: (SecretFamily.DES, None, 64),
        int(KeyType.DES2): (SecretFamily.DES3_112, None, 128),
        int(KeyType.DES3): (SecretFamily.DES3, None, 192),
        CKK.CHACHA20: (SecretFamily.CHACHA20_POLY1305, None, 256),
        CKK.AES_XTS: (SecretFamily.XTS, None, 0),
        CKK.MD5_HMAC: (SecretFamily.HMAC, "MD5", 0),
        int(KeyType.SHA_1_HMAC): (SecretFamily.HMAC, "SHA1", 0),
        int(KeyType.SHA256_HMAC): (SecretFamily.HMAC, "SHA256", 0),
        int(KeyType.SHA384_HMAC): (SecretFamily.HMAC, "SHA384", 0),
        int(KeyType.SHA512_HMAC): (SecretFamily.HMAC, "SHA512", 0),
        int(KeyType.SHA3_256_HMAC): (SecretFamily.HMAC, "SHA3-256", 0),
        int(KeyType.SHA3_384_HMAC): (SecretFamily.HMAC, "SHA3-384", 0),
        int(KeyType.SHA3_512_HMAC): (SecretFamily.HMAC, "SHA3-512", 0),
    }
)
"""Key type to family, HMAC's hash, and the bits of types that have no CKA_VALUE_LEN."""


def offered_as(spec: SecretSpec) -> str:
    """The algorithm of `Provider.offers` that holding such a key needs."""
    if spec.family is not SecretFamily.HMAC:
        return str(spec.family.value)
    return f"HMAC-{spec.hash_name}" if spec.hash_name else "KDF"


def hmac_value(hash_name: str | None, value: bytes) -> bytes:
    """The same HMAC key (RFC 2104, section 2) in a length that tokens take: SoftHSM refuses those shorter than the
    hash.
    """
    if hash_name is None:
        return value.ljust(_ANY_HMAC_KEY_LENGTH, b"\0")
    hash_function = HASHES[hash_name]
    if len(value) > hash_function.block_size:
        return hash_function.digest(value)
    return value.ljust(hash_function.digest_size, b"\0")
