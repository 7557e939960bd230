"""0 and None are NULL wherever a handle may be NULL; a wrong handle is told what was expected."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from conformance.helpers import SECRET, refused
from support import missing

from hwcng import bcrypt as b
from hwcng import ncrypt as n
from hwcng import wincrypt as w
from hwcng.errors import HRESULT, NTSTATUS, CngError, Win32Error

NULLS = (None, 0)
null = pytest.mark.parametrize("null", NULLS, ids=str)


@pytest.fixture
def pair(provider: Any) -> Any:
    made = b.BCryptGenerateKeyPair(b.BCryptOpenAlgorithmProvider("ECDSA_P256", provider), 256)
    b.BCryptFinalizeKeyPair(made)
    return made


@pytest.fixture
def context(provider: Any) -> Any:
    return w.CryptAcquireContext(None, (w.MS_ENH_RSA_AES_PROV, provider), w.PROV_RSA_AES, w.CRYPT_VERIFYCONTEXT)


@null
def test_where_bcrypt_takes_none(provider: Any, pair: Any, null: Any) -> None:
    aes = b.BCryptOpenAlgorithmProvider("AES", provider)
    blob = b.BCryptExportKey(pair, null, "ECCPUBLICBLOB")
    assert b.BCryptImportKeyPair(pair.algorithm_handle, null, "ECCPUBLICBLOB", blob).finalized
    header = b.BCRYPT_KEY_DATA_BLOB_HEADER(b.BCRYPT_KEY_DATA_BLOB_MAGIC, 1, 16).pack()
    key = b.BCryptImportKey(aes, null, "KeyDataBlob", None, header + bytes(16))
    with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
        b.BCryptImportKey(aes, null, "Rfc3565KeyWrapBlob", None, bytes(24))
    with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
        b.BCryptExportKey(key, null, "Rfc3565KeyWrapBlob")
    assert len(b.BCryptGenRandom(null, 5, b.BCRYPT_USE_SYSTEM_PREFERRED_RNG)) == 5
    with refused(NTSTATUS.STATUS_INVALID_HANDLE):
        b.BCryptGenRandom(null, 5)
    assert len(b.BCryptDeriveKeyCapi(b.BCryptCreateHash(b.BCRYPT_SHA256_ALG_HANDLE), null, 16)) == 16
    assert b.BCryptHash(b.BCRYPT_SHA256_ALG_HANDLE, null, b"") == b.BCryptHash(b.BCRYPT_SHA256_ALG_HANDLE, None, b"")
    for function in (b.BCryptEncapsulate, lambda handle: b.BCryptDecapsulate(handle, b"")):
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            function(null)


@null
def test_where_ncrypt_takes_none(provider: Any, pair: Any, null: Any) -> None:
    storage = n.NCryptOpenStorageProvider(provider)
    blob = n.NCryptExportKey(pair, null, "ECCPUBLICBLOB", None)
    assert n.NCryptImportKey(storage, null, "ECCPUBLICBLOB", None, blob).finalized
    with refused(HRESULT.NTE_NOT_SUPPORTED):
        n.NCryptCreateClaim(pair, null, n.NCRYPT_CLAIM_AUTHORITY_AND_SUBJECT, [(49, b"nonce")])
    assert not n.NCryptIsKeyHandle(null)


@null
def test_where_wincrypt_takes_none(context: Any, null: Any) -> None:
    digest = w.CryptCreateHash(context, w.CALG_SHA_256, null, 0)
    with refused(HRESULT.NTE_NO_KEY):
        w.CryptSignHash(digest, w.AT_SIGNATURE, null, 0)
    with refused(HRESULT.NTE_BAD_KEY):
        w.CryptCreateHash(context, w.CALG_HMAC, null, 0)
    key = w.CryptGenKey(context, w.CALG_AES_128, 0)
    assert w.CryptDecrypt(key, null, True, 0, w.CryptEncrypt(key, null, True, 0, b"text")) == b"text"
    blob = w.CryptExportKey(w.CryptGenKey(context, w.AT_SIGNATURE, 2048 << 16), null, w.PUBLICKEYBLOB)
    assert w.CryptImportKey(context, blob, null, 0).alive
    w.CryptContextAddRef(context, null)
    w.CryptReleaseContext(context)
    assert w.CryptDuplicateHash(digest, null).alive and w.CryptDuplicateKey(key, null).alive


@pytest.mark.parametrize("other", [False, 1, "", b"", 0.0])
def test_nothing_else_is_null(pair: Any, context: Any, other: Any) -> None:
    with refused(NTSTATUS.STATUS_INVALID_HANDLE):
        b.BCryptExportKey(b.BCryptGenerateSymmetricKey(pair_free_aes(pair), None, SECRET), other, "Rfc3565KeyWrapBlob")
    with refused(HRESULT.NTE_INVALID_HANDLE):
        n.NCryptExportKey(pair, other, "ECCPUBLICBLOB")
    with refused(Win32Error.ERROR_INVALID_HANDLE):
        w.CryptCreateHash(context, w.CALG_SHA1, other)


def pair_free_aes(pair: Any) -> Any:
    return b.BCryptOpenAlgorithmProvider("AES", pair.algorithm_handle.provider)


def test_a_wrong_handle_is_told_what_was_expected(provider: Any, pair: Any, context: Any) -> None:
    storage = n.NCryptOpenStorageProvider(provider)
    key = n.NCryptCreatePersistedKey(storage, "ECDSA_P256", None)
    n.NCryptFinalizeKey(key)
    for call in (
        lambda: b.BCryptSignHash(key, None, bytes(32)),
        lambda: b.BCryptDestroyKey(key),
        lambda: b.BCryptGetProperty(key, "AlgorithmName"),
        lambda: b.BCryptEncrypt(key, b""),
    ):
        with refused(NTSTATUS.STATUS_INVALID_HANDLE) as error:
            call()
        assert "an NCrypt key" in error.value.message and ".key" in error.value.message
        assert "expected" in error.value.message
    assert len(b.BCryptSignHash(key.key, None, bytes(32))) == 64
    told = {
        "hKey is NULL, a key pair expected": lambda: b.BCryptSignHash(0, None, b""),  # type: ignore[arg-type]
        "hAlgorithm is a key pair, an algorithm handle expected": lambda: b.BCryptGenerateKeyPair(pair, 256),
        "hPubKey is an algorithm handle, a key pair expected": lambda: b.BCryptSecretAgreement(
            pair, pair.algorithm_handle
        ),
        "hProvider is a key pair, a key storage provider expected": lambda: n.NCryptOpenKey(pair, "name"),
        "hKey is of type str, a key expected": lambda: n.NCryptEncrypt("key", b""),  # type: ignore[arg-type]
        "hProv is a key storage provider, a CryptoAPI context expected": lambda: w.CryptGenKey(storage, 1, 0),
        "hSharedSecret is a key pair, an agreed secret expected": lambda: n.NCryptDeriveKey(pair, "HASH"),
    }
    for message, call in told.items():
        with pytest.raises(CngError) as e:
            call()
        assert e.value.message == message and e.value.status.name.endswith("INVALID_HANDLE")
    b.BCryptDestroyKey(pair)
    with refused(NTSTATUS.STATUS_INVALID_HANDLE) as error:
        b.BCryptSignHash(pair, None, bytes(32))
    assert "closed or destroyed" in error.value.message


def test_a_refused_export_says_what_would_allow_it(provider: Any, pair: Any) -> None:
    if provider.uri.startswith("tpm2:"):
        missing("a policy that opaque blobs need")
    aes = b.BCryptOpenAlgorithmProvider("AES", provider)
    key, other = (b.BCryptGenerateSymmetricKey(aes, None, SECRET) for _ in range(2))
    for call in (
        lambda: b.BCryptExportKey(key, 0, "OpaqueKeyBlob"),
        lambda: b.BCryptExportKey(key, other, "Rfc3565KeyWrapBlob"),
        lambda: b.BCryptExportKey(pair, 0, "OpaqueKeyBlob"),
        lambda: n.NCryptExportKey(pair, 0, "OpaqueKeyBlob"),
    ):
        with pytest.raises(CngError) as error:
            call()
        assert error.value.status.name.endswith("NOT_SUPPORTED")
        for part in ("Export Policy", "NCRYPT_ALLOW_EXPORT_FLAG", "algorithm handle", "not finalized"):
            assert part in error.value.message


def test_a_key_whose_length_nobody_set_warns(provider: Any) -> None:
    storage = n.NCryptOpenStorageProvider(provider)
    key = n.NCryptCreatePersistedKey(storage, "RSA", None)
    with pytest.warns(UserWarning, match="1024 bits") as caught:
        n.NCryptFinalizeKey(key)
    assert caught[0].filename == __file__
    assert n.NCryptGetProperty(key, "Length") == 1024
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for algorithm, length in (("RSA", 1024), ("RSA", 2048), ("AES", None), ("ECDSA_P256", None)):
            key = n.NCryptCreatePersistedKey(storage, algorithm, None)
            if length:
                n.NCryptSetProperty(key, "Length", length)
            n.NCryptFinalizeKey(key)
