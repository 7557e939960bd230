"""NCryptEncapsulate, NCryptDecapsulate, NCryptKeyDerivation, NCryptVerifyClaim, NCryptFreeBuffer."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from conformance.helpers import refused
from conformance.tokens import nss_current_provider  # noqa: F401 - a fixture

from hwcng import bcrypt, ncrypt
from hwcng.errors import HRESULT
from hwcng.ksp.handles import NCryptKey, StorageProvider
from hwcng.ncrypt import (
    NCRYPT_CLAIM_AUTHORITY_AND_SUBJECT,
    NCRYPT_KDF_SECRET_VALUE,
    NCRYPTBUFFER_CLAIM_KEYATTESTATION_NONCE,
    NCryptCreateClaim,
    NCryptCreatePersistedKey,
    NCryptDecapsulate,
    NCryptEncapsulate,
    NCryptFinalizeKey,
    NCryptFreeBuffer,
    NCryptFreeObject,
    NCryptGetProperty,
    NCryptImportKey,
    NCryptKeyDerivation,
    NCryptOpenStorageProvider,
    NCryptSetProperty,
    NCryptVerifyClaim,
)

if TYPE_CHECKING:
    from hwcng.contract.provider import Provider

Make = Callable[..., NCryptKey]
PBKDF2 = [
    (bcrypt.KDF_HASH_ALGORITHM, "SHA256"),
    (bcrypt.KDF_SALT, b"salt"),
    (bcrypt.KDF_ITERATION_COUNT, 3),
]
NONCE = b"what the verifier sent"
CLAIM = NCRYPT_CLAIM_AUTHORITY_AND_SUBJECT
PARAMETERS = [(NCRYPTBUFFER_CLAIM_KEYATTESTATION_NONCE, NONCE)]


def base_key(storage: StorageProvider, secret: bytes = b"password") -> NCryptKey:
    key = NCryptCreatePersistedKey(storage, ncrypt.NCRYPT_PBKDF2_ALGORITHM, None)
    NCryptSetProperty(key, NCRYPT_KDF_SECRET_VALUE, secret)
    NCryptFinalizeKey(key)
    return key


def test_keys_are_derived(soft_storage: StorageProvider) -> None:
    right = hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 3, 20)
    key = base_key(soft_storage)
    assert NCryptGetProperty(key, "Length") == 64 and NCryptGetProperty(key, "Algorithm Name") == "PBKDF2"
    assert NCryptKeyDerivation(key, PBKDF2, 20, 0) == right
    assert NCryptKeyDerivation(key, PBKDF2, 20, ncrypt.NCRYPT_SILENT_FLAG) == right
    buffers = ncrypt.NCryptBufferDesc(0, 3, [ncrypt.NCryptBuffer(None, kind, value) for kind, value in PBKDF2])
    assert NCryptKeyDerivation(key, buffers, 20) == right
    handle = bcrypt.BCryptOpenAlgorithmProvider("PBKDF2", soft_storage.provider)
    assert NCryptKeyDerivation(bcrypt.BCryptGenerateSymmetricKey(handle, None, b"password"), PBKDF2, 20) == right
    NCryptFreeObject(key)
    with refused(HRESULT.NTE_INVALID_HANDLE):
        NCryptKeyDerivation(key, PBKDF2, 20)


def test_a_derivation_key_before_it_is_finalized(soft_storage: StorageProvider, name: str) -> None:
    key = NCryptCreatePersistedKey(soft_storage, "PBKDF2", None)
    with refused(HRESULT.NTE_BAD_KEY_STATE):
        NCryptKeyDerivation(key, PBKDF2, 20)
    with refused(HRESULT.NTE_INVALID_PARAMETER):
        NCryptFinalizeKey(key)
    for wrong in (bytes(2049), 5, "text"):
        with refused(HRESULT.NTE_INVALID_PARAMETER):
            NCryptSetProperty(key, NCRYPT_KDF_SECRET_VALUE, wrong)
    NCryptSetProperty(key, NCRYPT_KDF_SECRET_VALUE, b"")
    NCryptFinalizeKey(key)
    with refused(HRESULT.NTE_INVALID_HANDLE):
        NCryptSetProperty(key, NCRYPT_KDF_SECRET_VALUE, b"late")
    with refused(HRESULT.NTE_NOT_SUPPORTED):
        NCryptGetProperty(key, NCRYPT_KDF_SECRET_VALUE)
    with refused(HRESULT.NTE_NOT_SUPPORTED):
        NCryptCreatePersistedKey(soft_storage, "PBKDF2", name)
    with refused(HRESULT.NTE_NOT_SUPPORTED):
        ncrypt.NCryptIsAlgSupported(soft_storage, "PBKDF2")
    with refused(HRESULT.NTE_NOT_SUPPORTED):
        NCryptSetProperty(NCryptCreatePersistedKey(soft_storage, "AES", None), NCRYPT_KDF_SECRET_VALUE, bytes(16))


def test_other_keys_derive_nothing(soft_storage: StorageProvider, made: Make) -> None:
    for algorithm in ("AES", "ECDH_P256"):
        with refused(HRESULT.NTE_NOT_SUPPORTED):
            NCryptKeyDerivation(made(soft_storage, algorithm), PBKDF2, 16)


def test_keys_that_do_not_encapsulate(soft_storage: StorageProvider, made: Make) -> None:
    for algorithm in ("AES", "ECDSA_P256"):
        key = made(soft_storage, algorithm)
        for call in (lambda key=key: NCryptEncapsulate(key), lambda key=key: NCryptDecapsulate(key, b"")):
            with refused(HRESULT.NTE_NOT_SUPPORTED):
                call()
    with refused(HRESULT.NTE_INVALID_HANDLE):
        NCryptEncapsulate(0)  # type: ignore[arg-type]


def test_a_claim_holds(tpm_store: Provider, soft_storage: StorageProvider, made: Make) -> None:
    storage = NCryptOpenStorageProvider(tpm_store)
    key, other, aes = made(storage, "ECDSA_P256"), made(storage, "ECDSA_P256"), made(storage, "AES")
    claim = NCryptCreateClaim(key, 0, CLAIM, PARAMETERS)
    for subject in (key, key.key, None, 0):
        attested = NCryptVerifyClaim(subject, 0, CLAIM, PARAMETERS, claim)  # type: ignore[arg-type]
        assert attested.public == key.key.public and attested.fixed_tpm  # type: ignore[union-attr]
    for wrong_subject in (other, aes):
        with refused(HRESULT.NTE_BAD_SIGNATURE):
            NCryptVerifyClaim(wrong_subject, 0, CLAIM, PARAMETERS, claim)
    assert NCryptVerifyClaim(aes, 0, CLAIM, PARAMETERS, NCryptCreateClaim(aes, 0, CLAIM, PARAMETERS)).public is None
    nonce = [(NCRYPTBUFFER_CLAIM_KEYATTESTATION_NONCE, b"another")]
    forged = dataclasses.replace(claim, signature=claim.signature[:-1] + bytes([claim.signature[-1] ^ 1]))
    for parameters, blob in ((nonce, claim), (PARAMETERS, forged)):
        with refused(HRESULT.NTE_BAD_SIGNATURE):
            NCryptVerifyClaim(key, 0, CLAIM, parameters, blob)
    with refused(HRESULT.NTE_NOT_SUPPORTED):
        NCryptVerifyClaim(key, 0, 1, PARAMETERS, claim)
    with refused(HRESULT.NTE_BAD_SIGNATURE):
        NCryptVerifyClaim(key, other, CLAIM, PARAMETERS, claim)  # type: ignore[arg-type]
    for blob, status in ((None, HRESULT.RPC_X_NULL_REF_POINTER), (b"claim", HRESULT.NTE_INVALID_PARAMETER)):
        with refused(status):
            NCryptVerifyClaim(key, 0, CLAIM, PARAMETERS, blob)  # type: ignore[arg-type]
    with refused(HRESULT.NTE_INVALID_PARAMETER):
        NCryptVerifyClaim(key, 0, CLAIM, None, claim)


def test_a_buffer_frees_itself(soft_storage: StorageProvider) -> None:
    for value in (b"blob", [], None, NCryptImportKey):
        NCryptFreeBuffer(value)


def test_a_secret_is_encapsulated(request: pytest.FixtureRequest) -> None:
    storage = NCryptOpenStorageProvider(request.getfixturevalue("nss_current_provider"))
    key = NCryptCreatePersistedKey(storage, "ML-KEM", None)
    NCryptSetProperty(key, "ParameterSetName", "768")
    with refused(HRESULT.NTE_BAD_KEY_STATE):
        NCryptEncapsulate(key)
    NCryptFinalizeKey(key)
    blob = ncrypt.NCryptExportKey(key, 0, ncrypt.BCRYPT_MLKEM_ENCAPSULATION_BLOB)
    header = ncrypt.BCRYPT_MLKEM_KEY_BLOB.unpack(blob)
    assert (header.dwMagic, header.cbParameterSet, header.cbKey) == (ncrypt.BCRYPT_MLKEM_PUBLIC_MAGIC, 8, 1184)
    public = NCryptImportKey(storage, 0, ncrypt.BCRYPT_MLKEM_ENCAPSULATION_BLOB, None, blob)
    secret, ciphertext = NCryptEncapsulate(public, ncrypt.NCRYPT_SILENT_FLAG)
    assert NCryptDecapsulate(key, ciphertext) == secret == bcrypt.BCryptDecapsulate(key.key, ciphertext)  # type: ignore[arg-type]
    for call, status in (
        (lambda: NCryptDecapsulate(key, ciphertext[:-1]), HRESULT.NTE_INVALID_PARAMETER),
        (lambda: NCryptDecapsulate(public, ciphertext), HRESULT.NTE_INVALID_PARAMETER),
        (lambda: NCryptDecapsulate(key, None), HRESULT.RPC_X_NULL_REF_POINTER),  # type: ignore[arg-type]
        (lambda: NCryptEncapsulate(key, 1), HRESULT.NTE_BAD_FLAGS),
    ):
        with refused(status):
            call()
