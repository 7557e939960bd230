"""Blobs of wrapped keys: BCRYPT_AES_WRAP_KEY_BLOB (RFC 3394), AES_KWP_KEY_BLOB (RFC 5649) and
BCRYPT_PKCS11_RSA_AES_WRAP_KEY_BLOB (bcrypt.h; PKCS#11 3.2, section 6.1.22). Header fields are little-endian, 32 bits.
"""

from __future__ import annotations

from hwcng.contract.specs import RFC_3394, AesKeyWrapSpec, RsaAesKeyWrapSpec, RsaOaepSpec, WrapSpec
from hwcng.errors import invalid_parameter, not_supported, told
from hwcng.headers.bcrypt_h import (
    BCRYPT_AES_WRAP_KEY_BLOB,
    BCRYPT_PKCS11_RSA_AES_WRAP_BLOB_MAGIC,
    BCRYPT_PKCS11_RSA_AES_WRAP_KEY_BLOB,
)
from hwcng.headers.records import BCRYPT_PKCS11_RSA_AES_WRAP_BLOB
from hwcng.standards.hashes import HASHES

__all__ = ["AES_KWP_KEY_BLOB", "WRAPPED_BLOBS", "WRAPPED_PAIR_BLOBS", "parse_wrapped"]

AES_KWP_KEY_BLOB = "Rfc5649KeyWrapBlob"
"""A key under an AES key by RFC 5649, which bcrypt.h has no name for."""

WRAPPED_BLOBS = frozenset({BCRYPT_AES_WRAP_KEY_BLOB, AES_KWP_KEY_BLOB, BCRYPT_PKCS11_RSA_AES_WRAP_KEY_BLOB})

WRAPPED_PAIR_BLOBS = WRAPPED_BLOBS - {BCRYPT_AES_WRAP_KEY_BLOB}
"""Those that hold a PKCS #8 private key, whose length is seldom one of whole blocks as RFC 3394 needs it."""

_HEADER = BCRYPT_PKCS11_RSA_AES_WRAP_BLOB.layout()
_KWP = AesKeyWrapSpec(padded=True)


def parse_wrapped(blob_type: str, blob: bytes) -> tuple[WrapSpec, bytes]:
    """How the key of one of WRAPPED_BLOBS is wrapped, and the wrapped key itself.

    Raises STATUS_INVALID_PARAMETER for a header that does not describe the blob, STATUS_NOT_SUPPORTED for a hash that
    is none.
    """
    if blob_type == BCRYPT_PKCS11_RSA_AES_WRAP_KEY_BLOB:
        return _parse_rsa_aes(blob)
    return (RFC_3394 if blob_type == BCRYPT_AES_WRAP_KEY_BLOB else _KWP), blob


def _parse_rsa_aes(blob: bytes) -> tuple[RsaAesKeyWrapSpec, bytes]:
    """The wrapped key, the name of OAEP's hash in UTF-16 with its NUL, and OAEP's label follow the header."""
    name = BCRYPT_PKCS11_RSA_AES_WRAP_KEY_BLOB
    if len(blob) < _HEADER.size:
        raise invalid_parameter(f"{name}: a header of {_HEADER.size} bytes expected, {len(blob)} bytes given")
    header = BCRYPT_PKCS11_RSA_AES_WRAP_BLOB.unpack(blob)
    if header.dwMagic != BCRYPT_PKCS11_RSA_AES_WRAP_BLOB_MAGIC:
        raise invalid_parameter(f"{name}: wrong magic {header.dwMagic:#010x}")
    key_end = _HEADER.size + header.cbKey
    hash_end = key_end + header.cbPaddingAlgId
    if hash_end + header.cbPaddingLabel != len(blob):
        raise invalid_parameter(f"{name}: its header does not describe {len(blob)} bytes")
    hash_name = blob[key_end:hash_end].decode("utf-16-le", "replace").rstrip("\0")
    if hash_name not in HASHES:
        raise not_supported(f"{name}: {told(hash_name)} is not a hash algorithm")
    return RsaAesKeyWrapSpec(RsaOaepSpec(hash_name, blob[hash_end:])), blob[_HEADER.size : key_end]
