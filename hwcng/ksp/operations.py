"""What NCrypt keys do: the operations of bcrypt.h under the flags and statuses of ncrypt.h, and within Key Usage."""

from __future__ import annotations

from dataclasses import replace

from hwcng.arguments import Octets, number, string
from hwcng.cng.blobs.blob_type import PAIR, SYMMETRIC
from hwcng.cng.families import BLOB_TYPES
from hwcng.cng.key_pair import KeyPair
from hwcng.cng.padding import BCRYPT_PSS_PADDING_INFO, NCRYPT_CIPHER_PADDING_INFO
from hwcng.cng.symmetric_key import SymmetricKey
from hwcng.contract.usage import Usage
from hwcng.errors import HRESULT, invalid_parameter, not_supported, told
from hwcng.headers.ncrypt_h import (
    NCRYPT_CIPHER_BLOCK_PADDING_FLAG,
    NCRYPT_CIPHER_NO_PADDING_FLAG,
    NCRYPT_CIPHER_OTHER_PADDING_FLAG,
    NCRYPT_NO_PADDING_FLAG,
    NCRYPT_OPAQUETRANSPORT_BLOB,
    NCRYPT_PAD_CIPHER_FLAG,
    NCRYPT_PAD_OAEP_FLAG,
    NCRYPT_PAD_PKCS1_FLAG,
    NCRYPT_PAD_PSS_FLAG,
    NCRYPT_PKCS8_PRIVATE_KEY_BLOB,
    NCRYPT_SILENT_FLAG,
    NCRYPT_TPM_PAD_PSS_IGNORE_SALT,
)
from hwcng.ksp.status import refuse
from hwcng.standards.hashes import HASHES

__all__ = ["decrypt", "encrypt", "export", "sign", "verify"]

_OF_PAIRS = (0, NCRYPT_NO_PADDING_FLAG, NCRYPT_PAD_PKCS1_FLAG, NCRYPT_PAD_OAEP_FLAG)
_OF_CIPHERS = (0, NCRYPT_PAD_CIPHER_FLAG)
_PQDSA = 0x20
_OF_SIGNATURES = (0, NCRYPT_PAD_PKCS1_FLAG, NCRYPT_PAD_PSS_FLAG, _PQDSA)
_TOKENS_SALT = NCRYPT_PAD_PSS_FLAG | NCRYPT_TPM_PAD_PSS_IGNORE_SALT
_PLAINTEXT_BLOBS = (NCRYPT_PKCS8_PRIVATE_KEY_BLOB,)

Key = KeyPair | SymmetricKey


def _padding(flags: int, known: tuple[int, ...]) -> int:
    """The one padding of dwFlags."""
    padding = number(flags, "dwFlags", refused=HRESULT.NTE_BAD_FLAGS) & ~NCRYPT_SILENT_FLAG
    if padding not in known:
        refuse(HRESULT.NTE_BAD_FLAGS, f"dwFlags {told(flags)} is not one of the paddings that go with the key")
    return padding


def encrypt(key: Key, plaintext: bytes, padding_info: object, flags: int) -> bytes:
    if isinstance(key, KeyPair):
        return key.encrypt(plaintext, padding_info, _padding(flags, _OF_PAIRS))
    iv, block_padding, auth_info = _cipher_padding(padding_info, _padding(flags, _OF_CIPHERS))
    return key.encrypt(plaintext, iv=iv, padding=block_padding, auth_info=auth_info)


def decrypt(key: Key, ciphertext: bytes, padding_info: object, flags: int) -> bytes:
    if isinstance(key, KeyPair):
        padding = _padding(flags, _OF_PAIRS)
        if key.algorithm.encrypts and key.has_private and not key.usage & Usage.DECRYPT:
            refuse(HRESULT.NTE_PERM, "the key's Key Usage is without NCRYPT_ALLOW_DECRYPT_FLAG")
        return key.decrypt(ciphertext, padding_info, padding)
    iv, block_padding, auth_info = _cipher_padding(padding_info, _padding(flags, _OF_CIPHERS))
    return key.decrypt(ciphertext, iv=iv, padding=block_padding, auth_info=auth_info)


def _cipher_padding(info: object, flags: int) -> tuple[Octets | None, bool, object]:
    """IV, whether blocks are padded, and the record of an authenticated mode."""
    if bool(flags) != isinstance(info, NCRYPT_CIPHER_PADDING_INFO) or (info is not None and not flags):
        raise invalid_parameter("NCRYPT_PAD_CIPHER_FLAG and NCRYPT_CIPHER_PADDING_INFO go together")
    if not isinstance(info, NCRYPT_CIPHER_PADDING_INFO):
        return None, False, None
    padding = number(info.dwFlags, "the record's dwFlags")
    if padding == NCRYPT_CIPHER_OTHER_PADDING_FLAG:
        return info.pbIV, False, info.pbOtherInfo
    if padding not in (NCRYPT_CIPHER_NO_PADDING_FLAG, NCRYPT_CIPHER_BLOCK_PADDING_FLAG) or info.pbOtherInfo is not None:
        raise invalid_parameter("NCRYPT_CIPHER_PADDING_INFO: dwFlags is one of the NCRYPT_CIPHER_ paddings")
    return info.pbIV, padding == NCRYPT_CIPHER_BLOCK_PADDING_FLAG, None


def _signing_pair(key: Key) -> KeyPair:
    if not isinstance(key, KeyPair) or not key.family.usage(key.algorithm) & Usage.SIGN:
        refuse(HRESULT.NTE_BAD_ALGID, f"{key.algorithm.name} keys make no signatures")
    return key


def _known_hash(padding_info: object) -> None:
    name = getattr(padding_info, "pszAlgId", None)
    if name is not None and string(name, "pszAlgId") not in HASHES:
        raise invalid_parameter(f"{told(name)} is not a hash algorithm")


def sign(key: Key, padding_info: object, digest: bytes, flags: int) -> bytes:
    pair = _signing_pair(key)
    padding = _padding(flags, (*_OF_SIGNATURES, _TOKENS_SALT))
    if pair.has_private and pair.usage & Usage.ATTEST:
        refuse(HRESULT.NTE_PERM, "an identity key signs what its token states (NCryptCreateClaim), and nothing else")
    if pair.has_private and not pair.usage & Usage.SIGN:
        refuse(HRESULT.NTE_PERM, "the key's Key Usage is without NCRYPT_ALLOW_SIGNING_FLAG")
    _known_hash(padding_info)
    if padding == _TOKENS_SALT:
        padding = NCRYPT_PAD_PSS_FLAG
        if isinstance(padding_info, BCRYPT_PSS_PADDING_INFO):
            padding_info = replace(padding_info, cbSalt=HASHES[padding_info.pszAlgId].digest_size)
    return pair.sign(padding_info, digest, padding)


def verify(key: Key, padding_info: object, digest: bytes, signature: bytes, flags: int) -> None:
    pair = _signing_pair(key)
    padding = _padding(flags, _OF_SIGNATURES)
    _known_hash(padding_info)
    length = pair.family.signature_length(pair.public)
    if length is not None and len(signature) != length:
        raise invalid_parameter(f"a signature of {length} bytes expected, {len(signature)} given")
    pair.verify(padding_info, digest, signature, padding)


def export(key: Key, export_key: Key | None, blob_type: str) -> bytes:
    if blob_type == NCRYPT_OPAQUETRANSPORT_BLOB:
        blob_type = "OpaqueKeyBlob"
    if blob_type in _PLAINTEXT_BLOBS:
        raise not_supported(f"the private key stays in its token: {blob_type} would be its plaintext")
    if blob_type not in BLOB_TYPES:
        refuse(HRESULT.NTE_BAD_TYPE, f"{told(blob_type)} is not a blob type of key export")
    kind = BLOB_TYPES[blob_type].kind
    if isinstance(key, KeyPair):
        if kind not in (key.family.kind, PAIR) and blob_type != "OpaqueKeyBlob":
            refuse(HRESULT.NTE_BAD_TYPE, f"{told(blob_type)} is not a blob type of {key.algorithm.name} keys")
        return key.export(blob_type)
    if kind != SYMMETRIC:
        refuse(HRESULT.NTE_BAD_TYPE, f"{told(blob_type)} is not a blob type of symmetric keys")
    if isinstance(export_key, KeyPair):
        raise invalid_parameter("hExportKey is an AES key")
    return key.export(blob_type, export_key)
