"""Every bit of every dwFlags that a function does not define is STATUS_INVALID_PARAMETER, before any token call."""

from __future__ import annotations

import pytest
from conformance.helpers import BLOCKS, IV, RESERVED_BITS, SECRET, ecc_blob, ecc_key, host_cbc, key_data_blob

from hwcng.bcrypt import (
    BCRYPT_ALG_HANDLE_HMAC_FLAG,
    BCRYPT_ECCPUBLIC_BLOB,
    BCRYPT_INITIALIZATION_VECTOR,
    BCRYPT_KDF_HASH,
    BCRYPT_KDF_HMAC,
    BCRYPT_KDF_TLS_PRF,
    BCRYPT_KEY_DATA_BLOB,
    BCRYPT_KEY_LENGTH,
    BCRYPT_MULTI_FLAG,
    BCRYPT_OPAQUE_KEY_BLOB,
    BCRYPT_OPERATION_TYPE_HASH,
    BCRYPT_PAD_PKCS1,
    BCRYPT_PKCS1_PADDING_INFO,
    BCRYPT_PSS_PADDING_INFO,
    BCRYPT_PUBLIC_KEY_BLOB,
    CRYPT_ALL_FUNCTIONS,
    CRYPT_ALL_PROVIDERS,
    CRYPT_UM,
    KDF_GENERIC_PARAMETER,
    KDF_HASH_ALGORITHM,
    BCryptCloseAlgorithmProvider,
    BCryptCreateHash,
    BCryptCreateMultiHash,
    BCryptDecapsulate,
    BCryptDecrypt,
    BCryptDeriveKey,
    BCryptDeriveKeyCapi,
    BCryptDeriveKeyPBKDF2,
    BCryptDestroyHash,
    BCryptDestroySecret,
    BCryptDuplicateHash,
    BCryptDuplicateKey,
    BCryptEncapsulate,
    BCryptEncrypt,
    BCryptEnumAlgorithms,
    BCryptEnumProviders,
    BCryptExportKey,
    BCryptFinishHash,
    BCryptGenerateKeyPair,
    BCryptGenerateSymmetricKey,
    BCryptGetProperty,
    BCryptHashData,
    BCryptImportKey,
    BCryptImportKeyPair,
    BCryptKeyDerivation,
    BCryptProcessMultiOperations,
    BCryptResolveProviders,
    BCryptSecretAgreement,
    BCryptSetProperty,
    BCryptSignHash,
    BCryptVerifySignature,
)
from hwcng.errors import NTSTATUS

DIGEST = bytes(range(32))
PKCS1 = BCRYPT_PKCS1_PADDING_INFO("SHA256")
KDF_HASH = [(KDF_HASH_ALGORITHM, "SHA256")]
KDF_PARAMETERS = [*KDF_HASH, (KDF_GENERIC_PARAMETER, b"info")]
PSS = BCRYPT_PSS_PADDING_INFO("SHA256", 32)

# Function, a row that says so where there is one, the bits that it takes on their own, and the call.
FLAGS = {
    "BCryptGenerateSymmetricKey": ("GSK-21", 0, lambda s, f: BCryptGenerateSymmetricKey(s.aes, None, SECRET, f)),
    "BCryptGenerateKeyPair": ("GKP-16", 0, lambda s, f: BCryptGenerateKeyPair(s.ecdsa_algorithm, 256, f)),
    "BCryptDuplicateKey": ("DUP-10", 0, lambda s, f: BCryptDuplicateKey(s.key, None, f)),
    "BCryptImportKey": (
        "IMP-15",
        0,
        lambda s, f: BCryptImportKey(s.aes, None, BCRYPT_KEY_DATA_BLOB, None, key_data_blob(SECRET), f),
    ),
    "BCryptImportKeyPair": (
        "IKP-10",
        0x18,
        lambda s, f: BCryptImportKeyPair(s.ecdsa_algorithm, None, BCRYPT_ECCPUBLIC_BLOB, s.public_blob, f),
    ),
    "BCryptExportKey": ("EXP-09", 0, lambda s, f: BCryptExportKey(s.ecdsa, None, BCRYPT_PUBLIC_KEY_BLOB, f)),
    "BCryptExportKey symmetric": ("EXP-09", 0, lambda s, f: BCryptExportKey(s.key, None, BCRYPT_OPAQUE_KEY_BLOB, f)),
    "BCryptEncrypt": (None, 0x1, lambda s, f: BCryptEncrypt(s.key, BLOCKS, None, IV, f)),
    "BCryptDecrypt": (None, 0x1, lambda s, f: BCryptDecrypt(s.key, BLOCKS, None, IV, f)),
    "BCryptEncrypt RSA": (None, 0x7, lambda s, f: BCryptEncrypt(s.rsa, b"x", None, None, f)),
    "BCryptDecrypt RSA": (None, 0x7, lambda s, f: BCryptDecrypt(s.rsa, bytes(127) + b"\1", None, None, f)),
    "BCryptSignHash PKCS1": (None, 0x2, lambda s, f: BCryptSignHash(s.rsa, PKCS1, DIGEST, f)),
    "BCryptSignHash PSS": (None, 0x8, lambda s, f: BCryptSignHash(s.rsa, PSS, DIGEST, f)),
    "BCryptSignHash PKCS1 too": (None, 0x2, lambda s, f: BCryptSignHash(s.rsa, PKCS1, DIGEST, f | 0x2)),
    "BCryptSignHash ECDSA": (None, 0, lambda s, f: BCryptSignHash(s.ecdsa, None, DIGEST, f)),
    "BCryptVerifySignature PKCS1": (
        None,
        0x12,
        lambda s, f: BCryptVerifySignature(s.rsa, PKCS1, DIGEST, s.rsa_signature, f | 0x2),
    ),
    "BCryptVerifySignature ECDSA": (
        None,
        0,
        lambda s, f: BCryptVerifySignature(s.ecdsa, None, DIGEST, s.ecdsa_signature, f),
    ),
    "BCryptSecretAgreement": (None, 0, lambda s, f: BCryptSecretAgreement(s.ecdh, s.ecdh, f)),
    "BCryptEncapsulate": ("KEM-08", 0, lambda s, f: BCryptEncapsulate(s.ecdh, f)),
    "BCryptDecapsulate": ("KEM-08", 0, lambda s, f: BCryptDecapsulate(s.ecdh, DIGEST, f)),
    "BCryptDeriveKey HASH": (None, 0, lambda s, f: BCryptDeriveKey(s.secret, BCRYPT_KDF_HASH, None, 20, f)),
    "BCryptDeriveKey HMAC": (None, 0x1, lambda s, f: BCryptDeriveKey(s.secret, BCRYPT_KDF_HMAC, None, 20, f)),
    "BCryptDeriveKey TLS_PRF": (None, 0, lambda s, f: BCryptDeriveKey(s.secret, BCRYPT_KDF_TLS_PRF, None, 48, f)),
    "BCryptKeyDerivation": ("5.17", 0, lambda s, f: BCryptKeyDerivation(s.concat, KDF_PARAMETERS, 16, f)),
    "BCryptKeyDerivation CAPI_KDF": ("5.17", 0x10, lambda s, f: BCryptKeyDerivation(s.capi, KDF_HASH, 16, f)),
    "BCryptDeriveKeyPBKDF2": ("5.18", 0, lambda s, f: BCryptDeriveKeyPBKDF2(s.hmac, b"", b"", 1, 16, f)),
    "BCryptDeriveKeyCapi": ("5.19", 0, lambda s, f: BCryptDeriveKeyCapi(s.hashing, None, 16, f)),
    "BCryptGetProperty": ("3.1", 0, lambda s, f: BCryptGetProperty(s.key, BCRYPT_KEY_LENGTH, f)),
    "BCryptSetProperty": ("3.1", 0, lambda s, f: BCryptSetProperty(s.key, BCRYPT_INITIALIZATION_VECTOR, IV, f)),
    "BCryptCreateHash": ("HSH-01", 0x20, lambda s, f: BCryptCreateHash(s.sha256, None, None, f)),
    "BCryptHashData": ("HSH-03", 0, lambda s, f: BCryptHashData(s.hashing, b"x", f)),
    "BCryptFinishHash": ("HSH-04", 0, lambda s, f: BCryptFinishHash(s.hashing, f)),
    "BCryptDuplicateHash": ("HSH-07", 0, lambda s, f: BCryptDuplicateHash(s.hashing, None, f)),
    "BCryptEnumAlgorithms": ("5.3", 0, lambda s, f: BCryptEnumAlgorithms(0, f)),
    "BCryptEnumProviders": (None, 0, lambda s, f: BCryptEnumProviders("AES", f)),
    "BCryptResolveProviders": (
        None,
        CRYPT_ALL_FUNCTIONS | CRYPT_ALL_PROVIDERS,
        lambda s, f: BCryptResolveProviders(None, 0, None, None, CRYPT_UM, f),
    ),
    "BCryptCreateMultiHash": (None, 0x20, lambda s, f: BCryptCreateMultiHash(s.multi, 1, None, None, f)),
    "BCryptProcessMultiOperations": (
        None,
        0,
        lambda s, f: BCryptProcessMultiOperations(s.hashes, BCRYPT_OPERATION_TYPE_HASH, [], f),
    ),
    "BCryptCloseAlgorithmProvider": ("5.2", 0, lambda s, f: BCryptCloseAlgorithmProvider(s.aes, f)),
}


class Set:
    """The handles of the calls."""

    def __init__(self, algorithm, pair, key):
        self.aes, self.sha256 = algorithm("AES"), algorithm("SHA256")
        self.ecdsa_algorithm = algorithm("ECDSA_P256")
        self.key, self.rsa, self.ecdsa, self.ecdh = key, pair("RSA"), pair("ECDSA_P256"), pair("ECDH_P256")
        self.secret, self.hashing = BCryptSecretAgreement(self.ecdh, self.ecdh), BCryptCreateHash(self.sha256)
        self.hmac = algorithm("SHA256", BCRYPT_ALG_HANDLE_HMAC_FLAG)
        self.multi = algorithm("SHA256", BCRYPT_MULTI_FLAG)
        self.hashes = BCryptCreateMultiHash(self.multi, 1)
        self.concat = BCryptGenerateSymmetricKey(algorithm("SP800_56A_CONCAT"), None, SECRET)
        self.capi = BCryptGenerateSymmetricKey(algorithm("CAPI_KDF"), None, SECRET)
        x, y, _ = ecc_key(256)
        self.public_blob = ecc_blob(b"ECS1", 32, x, y)
        self.rsa_signature = BCryptSignHash(self.rsa, PKCS1, DIGEST, BCRYPT_PAD_PKCS1)
        self.ecdsa_signature = BCryptSignHash(self.ecdsa, None, DIGEST)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.row(row) if row else ()) for name, (row, _, _) in FLAGS.items()],
)
def test_every_reserved_bit(algorithm, pair, aes_key, refuses, name):
    handles = Set(algorithm, pair, aes_key)
    _, taken, call = FLAGS[name]
    for flag in (*RESERVED_BITS, 1 << 32):
        if not flag & taken:
            with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
                call(handles, flag)
    for handle in (handles.aes, handles.key, handles.rsa, handles.ecdsa, handles.secret, handles.hashing):
        assert handle.alive
    assert BCryptEncrypt(handles.key, BLOCKS) == host_cbc(SECRET, bytes(16), BLOCKS)
    BCryptDestroySecret(handles.secret)
    BCryptDestroyHash(handles.hashing)


def test_every_function_with_flags_is_in_the_sweep():
    import inspect

    import hwcng.bcrypt

    flagged = {
        name
        for name in hwcng.bcrypt.__all__
        if name.startswith("BCrypt") and "dwFlags" in inspect.signature(getattr(hwcng.bcrypt, name)).parameters
    }
    # These three have tests of their own: some of their bits are defined for some algorithms.
    elsewhere = {"BCryptOpenAlgorithmProvider", "BCryptFinalizeKeyPair", "BCryptGenRandom"}
    assert {name.split()[0] for name in FLAGS} == flagged - elsewhere
