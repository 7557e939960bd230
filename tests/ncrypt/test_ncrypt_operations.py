"""What NCrypt keys do: signatures, encryption, agreement, claims."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from conformance.helpers import RESERVED_BITS, refused
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

import hwcng
from hwcng import ncrypt
from hwcng.bcrypt import BCRYPT_KDF_HASH, BCRYPT_KDF_RAW_SECRET, KDF_HASH_ALGORITHM
from hwcng.errors import HRESULT, CngError
from hwcng.ksp.handles import NCryptKey, StorageProvider
from hwcng.ncrypt import (
    BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO,
    BCRYPT_OAEP_PADDING_INFO,
    BCRYPT_PKCS1_PADDING_INFO,
    BCRYPT_PSS_PADDING_INFO,
    NCRYPT_CIPHER_BLOCK_PADDING_FLAG,
    NCRYPT_CIPHER_OTHER_PADDING_FLAG,
    NCRYPT_CIPHER_PADDING_INFO,
    NCRYPT_NO_PADDING_FLAG,
    NCRYPT_PAD_CIPHER_FLAG,
    NCRYPT_PAD_OAEP_FLAG,
    NCRYPT_PAD_PKCS1_FLAG,
    NCRYPT_PAD_PSS_FLAG,
    NCRYPT_SILENT_FLAG,
    NCryptCreateClaim,
    NCryptDecrypt,
    NCryptDeriveKey,
    NCryptEncrypt,
    NCryptExportKey,
    NCryptFreeObject,
    NCryptImportKey,
    NCryptSecretAgreement,
    NCryptSetProperty,
    NCryptSignHash,
    NCryptVerifySignature,
)

Make = Callable[..., NCryptKey]
DIGEST = hashlib.sha256(b"message").digest()
PKCS1 = BCRYPT_PKCS1_PADDING_INFO("SHA256")
PSS = BCRYPT_PSS_PADDING_INFO("SHA256", 32)
SIGNATURES = [(PKCS1, NCRYPT_PAD_PKCS1_FLAG), (PSS, NCRYPT_PAD_PSS_FLAG)]


@pytest.mark.parametrize(("info", "flag"), SIGNATURES)
def test_rsa_signatures(storage: StorageProvider, made: Make, name: str, info: object, flag: int) -> None:
    key = made(storage, "RSA", name, Length=2048)
    signature = NCryptSignHash(key, info, DIGEST, flag | NCRYPT_SILENT_FLAG)
    assert len(signature) == 256
    public = NCryptImportKey(storage, None, "RSAPUBLICBLOB", None, NCryptExportKey(key, None, "RSAPUBLICBLOB"))
    for verifier in (key, key.key, public):
        NCryptVerifySignature(verifier, info, DIGEST, signature, flag | NCRYPT_SILENT_FLAG)
        with refused(HRESULT.NTE_BAD_SIGNATURE):
            NCryptVerifySignature(verifier, info, DIGEST[::-1], signature, flag)
        for wrong in (signature[:-1], signature + b"\0", b""):
            with refused(HRESULT.NTE_INVALID_PARAMETER):
                NCryptVerifySignature(verifier, info, DIGEST, wrong, flag)
    with refused(HRESULT.NTE_INVALID_PARAMETER):
        NCryptSignHash(public, info, DIGEST, flag)
    for length in (0, 20, 31, 33):
        with refused(HRESULT.NTE_INVALID_PARAMETER):
            NCryptSignHash(key, info, bytes(length), flag)
        with refused(HRESULT.NTE_INVALID_PARAMETER):
            NCryptVerifySignature(key, info, bytes(length), signature, flag)


def test_rsa_signatures_without_their_padding(storage: StorageProvider, made: Make) -> None:
    key = made(storage, "RSA", Length=2048)
    for info, flag in ((None, 0), (PKCS1, 0), (None, 2), (None, 8), (PSS, 2), (PKCS1, 8)):
        with refused(HRESULT.NTE_INVALID_PARAMETER):
            NCryptSignHash(key, info, DIGEST, flag)
        with refused(HRESULT.NTE_INVALID_PARAMETER):
            NCryptVerifySignature(key, info, DIGEST, bytes(256), flag)
    for info, flag in ((BCRYPT_PKCS1_PADDING_INFO("ROT13"), 2), (BCRYPT_PSS_PADDING_INFO("AES", 32), 8)):
        with refused(HRESULT.NTE_INVALID_PARAMETER):
            NCryptSignHash(key, info, DIGEST, flag)
        with refused(HRESULT.NTE_INVALID_PARAMETER):
            NCryptVerifySignature(key, info, DIGEST, bytes(256), flag)


def test_flags_of_signatures(soft_storage: StorageProvider, made: Make) -> None:
    key = made(soft_storage, "RSA")
    for bit in RESERVED_BITS:
        if bit not in (2, 8, 0x20, NCRYPT_SILENT_FLAG):
            with refused(HRESULT.NTE_BAD_FLAGS):
                NCryptSignHash(key, PKCS1, DIGEST, NCRYPT_PAD_PKCS1_FLAG | bit)
            with refused(HRESULT.NTE_BAD_FLAGS):
                NCryptVerifySignature(key, PKCS1, DIGEST, bytes(128), bit)
    with refused(HRESULT.NTE_BAD_FLAGS):
        NCryptSignHash(key, PKCS1, DIGEST, NCRYPT_PAD_PKCS1_FLAG | NCRYPT_PAD_PSS_FLAG)


def test_ecdsa_signatures(storage: StorageProvider, made: Make, name: str) -> None:
    key = made(storage, "ECDSA_P256", name)
    signature = NCryptSignHash(key, None, DIGEST, NCRYPT_SILENT_FLAG)
    assert len(signature) == 64
    NCryptVerifySignature(key, None, DIGEST, signature)
    with refused(HRESULT.NTE_BAD_SIGNATURE):
        NCryptVerifySignature(key, None, DIGEST[::-1], signature)
    with refused(HRESULT.NTE_INVALID_PARAMETER):
        NCryptVerifySignature(key, None, DIGEST, signature[:-1])
    for info, flags in ((PKCS1, 2), (None, 2), (PKCS1, 0)):
        with refused(HRESULT.NTE_INVALID_PARAMETER):
            NCryptSignHash(key, info, DIGEST, flags)


def test_keys_that_do_not_sign(storage: StorageProvider, made: Make) -> None:
    for key in (made(storage, "ECDH_P256"), made(storage, "AES", Length=128)):
        for use in (
            lambda key=key: NCryptSignHash(key, None, DIGEST),
            lambda key=key: NCryptVerifySignature(key, None, DIGEST, bytes(64)),
        ):
            with refused(HRESULT.NTE_BAD_ALGID):
                use()


def test_pointers(soft_storage: StorageProvider, made: Make) -> None:
    key = made(soft_storage, "RSA")
    nothing: list[Callable[[], object]] = [
        lambda: NCryptSignHash(key, PKCS1, None, 2),  # type: ignore[arg-type]
        lambda: NCryptVerifySignature(key, PKCS1, None, bytes(128), 2),  # type: ignore[arg-type]
        lambda: NCryptVerifySignature(key, PKCS1, DIGEST, None, 2),  # type: ignore[arg-type]
        lambda: NCryptEncrypt(key, None, None, 2),  # type: ignore[arg-type]
        lambda: NCryptDecrypt(key, None, None, 2),  # type: ignore[arg-type]
        lambda: NCryptExportKey(key, None, None),  # type: ignore[arg-type]
        lambda: NCryptImportKey(soft_storage, None, None, None, b""),  # type: ignore[arg-type]
        lambda: NCryptImportKey(soft_storage, None, "RSAPUBLICBLOB", None, None),  # type: ignore[arg-type]
    ]
    for call in nothing:
        with refused(HRESULT.RPC_X_NULL_REF_POINTER):
            call()
    with refused(HRESULT.NTE_INVALID_PARAMETER):
        NCryptSignHash(key, PKCS1, "digest", 2)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("info", "flags"), [(None, NCRYPT_PAD_PKCS1_FLAG), (BCRYPT_OAEP_PADDING_INFO("SHA256"), NCRYPT_PAD_OAEP_FLAG)]
)
def test_rsa_encryption(storage: StorageProvider, made: Make, name: str, info: object, flags: int) -> None:
    key = made(storage, "RSA", name, Length=2048)
    public = NCryptImportKey(storage, None, "RSAPUBLICBLOB", None, NCryptExportKey(key, None, "RSAPUBLICBLOB"))
    ciphertext = NCryptEncrypt(public, b"text", info, flags | NCRYPT_SILENT_FLAG)
    assert NCryptDecrypt(key, ciphertext, info, flags | NCRYPT_SILENT_FLAG) == b"text"
    for damaged in (ciphertext[:-1], ciphertext[:-1] + bytes([ciphertext[-1] ^ 1]), b""):
        if flags == NCRYPT_PAD_PKCS1_FLAG and len(damaged) == len(ciphertext):
            continue
        with refused(HRESULT.NTE_INVALID_PARAMETER):
            NCryptDecrypt(key, damaged, info, flags)
    with refused(HRESULT.NTE_INVALID_PARAMETER):
        NCryptEncrypt(key, bytes(300), info, flags)


def test_raw_rsa(soft_storage: StorageProvider, made: Make) -> None:
    key = made(soft_storage, "RSA")
    block = b"\0" + bytes(range(127))
    for flags in (0, NCRYPT_NO_PADDING_FLAG):
        assert NCryptDecrypt(key, NCryptEncrypt(key, block, None, flags), None, flags) == block


def test_flags_of_encryption(soft_storage: StorageProvider, made: Make) -> None:
    rsa, aes = made(soft_storage, "RSA"), made(soft_storage, "AES")
    for bit in RESERVED_BITS:
        if bit not in (1, 2, 4, NCRYPT_SILENT_FLAG):
            for call in (NCryptEncrypt, NCryptDecrypt):
                with refused(HRESULT.NTE_BAD_FLAGS):
                    call(rsa, bytes(128), None, bit)
        if bit not in (NCRYPT_PAD_CIPHER_FLAG, NCRYPT_SILENT_FLAG):
            for call in (NCryptEncrypt, NCryptDecrypt):
                with refused(HRESULT.NTE_BAD_FLAGS):
                    call(aes, bytes(16), None, bit)
    with refused(HRESULT.NTE_BAD_FLAGS):
        NCryptEncrypt(rsa, b"x", None, NCRYPT_PAD_PKCS1_FLAG | NCRYPT_PAD_OAEP_FLAG)


def test_keys_that_do_not_encrypt(storage: StorageProvider, made: Make) -> None:
    key = made(storage, "ECDSA_P256")
    for call in (NCryptEncrypt, NCryptDecrypt):
        with refused(HRESULT.NTE_NOT_SUPPORTED):
            call(key, bytes(32), None, 2)


def test_cbc_with_padding(storage: StorageProvider, name: str) -> None:
    secret = bytes(range(16))
    blob = b"KDBM" + (1).to_bytes(4, "little") + (16).to_bytes(4, "little") + secret
    key = NCryptImportKey(storage, None, "KeyDataBlob", [(45, name)], blob)
    iv = bytearray(range(16))
    info = NCRYPT_CIPHER_PADDING_INFO(NCRYPT_CIPHER_BLOCK_PADDING_FLAG, iv)
    ciphertext = NCryptEncrypt(key, b"sixteen byte text", info, NCRYPT_PAD_CIPHER_FLAG | NCRYPT_SILENT_FLAG)
    reference = Cipher(algorithms.AES(secret), modes.CBC(bytes(range(16)))).encryptor()
    padded = b"sixteen byte text" + bytes([15]) * 15
    assert ciphertext == reference.update(padded) + reference.finalize()
    assert bytes(iv) == ciphertext[-16:]
    info.pbIV = bytes(range(16))
    assert NCryptDecrypt(key, ciphertext, info, NCRYPT_PAD_CIPHER_FLAG) == b"sixteen byte text"
    with refused(HRESULT.NTE_BAD_DATA):
        NCryptDecrypt(key, ciphertext[:16], info, NCRYPT_PAD_CIPHER_FLAG)
    plain = NCRYPT_CIPHER_PADDING_INFO(0, bytes(range(16)))
    assert NCryptDecrypt(key, ciphertext, plain, NCRYPT_PAD_CIPHER_FLAG) == padded
    with refused(HRESULT.NTE_INVALID_PARAMETER):
        NCryptEncrypt(key, b"partial", plain, NCRYPT_PAD_CIPHER_FLAG)
    for wrong, flags in (
        (None, NCRYPT_PAD_CIPHER_FLAG),
        (plain, 0),
        (PKCS1, NCRYPT_PAD_CIPHER_FLAG),
        (NCRYPT_CIPHER_PADDING_INFO(4), NCRYPT_PAD_CIPHER_FLAG),
        (NCRYPT_CIPHER_PADDING_INFO(0, None, BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(bytes(12))), NCRYPT_PAD_CIPHER_FLAG),
        (NCRYPT_CIPHER_PADDING_INFO(NCRYPT_CIPHER_OTHER_PADDING_FLAG), NCRYPT_PAD_CIPHER_FLAG),
    ):
        if wrong == NCRYPT_CIPHER_PADDING_INFO(NCRYPT_CIPHER_OTHER_PADDING_FLAG):
            NCryptSetProperty(key, "Chaining Mode", "ChainingModeECB")
            continue
        with refused(HRESULT.NTE_INVALID_PARAMETER):
            NCryptEncrypt(key, bytes(16), wrong, flags)


def test_gcm(soft_storage: StorageProvider, made: Make, name: str) -> None:
    key = made(soft_storage, "AES", name)
    NCryptSetProperty(key, "Chaining Mode", "ChainingModeGCM")
    with refused(HRESULT.NTE_INVALID_PARAMETER):
        NCryptEncrypt(key, b"text", NCRYPT_CIPHER_PADDING_INFO(NCRYPT_CIPHER_OTHER_PADDING_FLAG), 0x10)
    record = BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(bytes(12), b"header")
    info = NCRYPT_CIPHER_PADDING_INFO(NCRYPT_CIPHER_OTHER_PADDING_FLAG, None, record)
    ciphertext = NCryptEncrypt(key, b"text", info, NCRYPT_PAD_CIPHER_FLAG)
    assert NCryptDecrypt(key, ciphertext, info, NCRYPT_PAD_CIPHER_FLAG) == b"text"
    record.pbTag = bytes(16)
    with refused(HRESULT.NTE_DECRYPTION_FAILURE):
        NCryptDecrypt(key, ciphertext, info, NCRYPT_PAD_CIPHER_FLAG)


def test_agreement(storage: StorageProvider, made: Make, new_name: Callable[[], str]) -> None:
    ours, theirs = made(storage, "ECDH_P256", new_name()), made(storage, "ECDH_P256", new_name())
    public = NCryptImportKey(storage, None, "ECCPUBLICBLOB", None, NCryptExportKey(theirs, None, "ECCPUBLICBLOB"))
    sha256 = [(KDF_HASH_ALGORITHM, "SHA256")]
    first = NCryptSecretAgreement(ours, public, NCRYPT_SILENT_FLAG)
    second = NCryptSecretAgreement(theirs.key, ours.key)  # type: ignore[arg-type]
    agreed = NCryptDeriveKey(first, BCRYPT_KDF_HASH, sha256, None)
    assert agreed == NCryptDeriveKey(second, BCRYPT_KDF_HASH, sha256)
    assert NCryptDeriveKey(first, BCRYPT_KDF_HASH, sha256, 8) == agreed[:8]
    with refused(HRESULT.NTE_NOT_SUPPORTED):
        NCryptDeriveKey(first, "NO_KDF")
    with refused(HRESULT.NTE_NOT_SUPPORTED):
        NCryptDeriveKey(first, BCRYPT_KDF_RAW_SECRET)
    with refused(HRESULT.RPC_X_NULL_REF_POINTER):
        NCryptDeriveKey(first, None)  # type: ignore[arg-type]
    NCryptFreeObject(first)
    for wrong in (first, ours, None):
        with refused(HRESULT.NTE_INVALID_HANDLE):
            NCryptDeriveKey(wrong, BCRYPT_KDF_HASH)  # type: ignore[arg-type]


def test_agreements_that_cannot_be(soft_storage: StorageProvider, made: Make) -> None:
    ecdh, other = made(soft_storage, "ECDH_P256"), made(soft_storage, "ECDH_P384")
    public = NCryptImportKey(soft_storage, None, "ECCPUBLICBLOB", None, NCryptExportKey(ecdh, None, "ECCPUBLICBLOB"))
    ecdsa, aes = made(soft_storage, "ECDSA_P256"), made(soft_storage, "AES")
    for private, peer, status in (
        (ecdh, other, HRESULT.NTE_INVALID_HANDLE),
        (public, ecdh, HRESULT.NTE_INVALID_HANDLE),
        (ecdh, ecdsa, HRESULT.NTE_INVALID_HANDLE),
        (ecdsa, ecdsa, HRESULT.NTE_NOT_SUPPORTED),
        (aes, ecdh, HRESULT.NTE_NOT_SUPPORTED),
        (ecdh, soft_storage, HRESULT.NTE_INVALID_HANDLE),
        (None, ecdh, HRESULT.NTE_INVALID_HANDLE),
    ):
        with refused(status):
            NCryptSecretAgreement(private, peer)  # type: ignore[arg-type]
    for bit in RESERVED_BITS:
        if bit != NCRYPT_SILENT_FLAG:
            with refused(HRESULT.NTE_BAD_FLAGS):
                NCryptSecretAgreement(ecdh, ecdh, bit)


def test_a_claim_of_the_tpm(tpm_store: hwcng.Provider, made: Make) -> None:
    from hwcng.attestation import verify_attestation

    storage = ncrypt.NCryptOpenStorageProvider(tpm_store)
    key = made(storage, "ECDSA_P256")
    nonce = ncrypt.NCRYPTBUFFER_CLAIM_KEYATTESTATION_NONCE
    claim = NCryptCreateClaim(key, None, ncrypt.NCRYPT_CLAIM_AUTHORITY_AND_SUBJECT, [(nonce, b"nonce of mine")])
    attested = verify_attestation(claim, b"nonce of mine")
    assert attested.public == key.key.public  # type: ignore[union-attr]
    again = verify_attestation(key.attest(b"another"), b"another", signer_name=attested.signer_name)
    assert again.public == attested.public


def test_claims_that_are_not_made(soft_storage: StorageProvider, made: Make) -> None:
    key = made(soft_storage, "ECDSA_P256")
    nonce = [(ncrypt.NCRYPTBUFFER_CLAIM_KEYATTESTATION_NONCE, b"nonce")]
    with refused(HRESULT.NTE_NOT_SUPPORTED) as error:
        NCryptCreateClaim(key, None, 3, nonce)
    assert "statements" in str(error.value)
    with refused(HRESULT.NTE_NOT_SUPPORTED):
        NCryptCreateClaim(key, None, 1, nonce)
    with refused(HRESULT.NTE_NOT_SUPPORTED):
        NCryptCreateClaim(key, key, 3, nonce)  # type: ignore[arg-type]
    with refused(HRESULT.NTE_BAD_FLAGS):
        NCryptCreateClaim(key, None, 3, nonce, 1)
    for wrong in (None, [], [(49, "text")], [(50, b"nonce")], 7):
        with refused(HRESULT.NTE_INVALID_PARAMETER):
            NCryptCreateClaim(key, None, 3, wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ("DEVICE_ERROR", HRESULT.NTE_SYS_ERR),
        ("DEVICE_REMOVED", HRESULT.NTE_DEVICE_NOT_FOUND),
        ("DEVICE_MEMORY", HRESULT.NTE_NO_MEMORY),
        ("FUNCTION_NOT_SUPPORTED", HRESULT.NTE_NOT_SUPPORTED),
        ("TOKEN_NOT_PRESENT", HRESULT.SCARD_E_NO_SMARTCARD),
    ],
)
def test_a_failure_of_the_token_tells_what_it_said(
    fresh_provider: Any, made: Make, answer: str, status: HRESULT
) -> None:
    from hwcng.providers.pkcs11.cryptoki.return_values import CKR
    from hwcng.testing.faults import FaultInjector

    key = made(ncrypt.NCryptOpenStorageProvider(fresh_provider), "ECDSA_P256")
    with FaultInjector(fresh_provider).fail("C_SignInit", getattr(CKR, answer)), pytest.raises(CngError) as error:
        NCryptSignHash(key, None, DIGEST)
    assert error.value.status is status
    assert error.value.token_code == getattr(CKR, answer)
    assert isinstance(error.value.__cause__, CngError)
