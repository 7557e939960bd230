"""Every function with handles of another kind, and the interface as it is written down."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest
from conformance.helpers import token_attributes
from wincrypt.helpers import (
    EXPORTABLE,
    INVALID_HANDLE,
    INVALID_PARAMETER,
    RSA_BITS,
    hashed,
    needs_algid,
    refused,
)

from hwcng import wincrypt as w
from hwcng.headers import wincrypt_h

if TYPE_CHECKING:
    from hwcng.capi.contexts import Context
    from hwcng.contract.provider import Provider

WRONG: dict[str, tuple[str, tuple[Any, ...]]] = {
    "CryptContextAddRef": ("context", ()),
    "CryptReleaseContext": ("context", ()),
    "CryptGetProvParam": ("context", (w.PP_NAME,)),
    "CryptGenKey": ("context", (w.CALG_AES_128, 0)),
    "CryptGetUserKey": ("context", (w.AT_SIGNATURE,)),
    "CryptImportKey": ("context", (b"",)),
    "CryptCreateHash": ("context", (w.CALG_SHA1,)),
    "CryptDeriveKey": ("context", (w.CALG_AES_128, None, 0)),
    "CryptGenRandom": ("context", (8,)),
    "CryptSetProvParam": ("context", (w.PP_SIGNATURE_PIN, None)),
    "CryptExportPublicKeyInfo": ("context", (w.AT_SIGNATURE, w.X509_ASN_ENCODING)),
    "CryptImportPublicKeyInfo": ("context", (w.X509_ASN_ENCODING, b"")),
    "CryptDestroyKey": ("key", ()),
    "CryptDuplicateKey": ("key", ()),
    "CryptGetKeyParam": ("key", (w.KP_ALGID,)),
    "CryptSetKeyParam": ("key", (w.KP_MODE, 1)),
    "CryptExportKey": ("key", (None, w.PUBLICKEYBLOB)),
    "CryptEncrypt": ("key", (None, True, 0, b"")),
    "CryptDecrypt": ("key", (None, True, 0, b"")),
    "CryptHashData": ("hash", (b"",)),
    "CryptHashSessionKey": ("hash", (None,)),
    "CryptGetHashParam": ("hash", (w.HP_HASHVAL,)),
    "CryptSetHashParam": ("hash", (w.HP_HASHVAL, b"")),
    "CryptDuplicateHash": ("hash", ()),
    "CryptDestroyHash": ("hash", ()),
    "CryptSignHash": ("hash", (w.AT_SIGNATURE,)),
    "CryptVerifySignature": ("hash", (b"", None)),
}
"""Function -> the kind of its first handle, and what follows it."""


@pytest.fixture
def handles(context: Context) -> dict[str, Any]:
    return {
        "context": context,
        "key": w.CryptGenKey(context, w.CALG_AES_128, EXPORTABLE),
        "hash": hashed(context, w.CALG_SHA1),
        "none": None,
        "zero": 0,
        "algorithm": context.algorithm("AES"),
    }


@pytest.mark.parametrize("name", WRONG)
def test_a_handle_of_another_kind(handles: dict[str, Any], name: str) -> None:
    kind, rest = WRONG[name]
    for other, handle in handles.items():
        if other != kind:
            with refused(INVALID_HANDLE):
                getattr(w, name)(handle, *rest)


def test_second_handles_of_another_kind(handles: dict[str, Any]) -> None:
    context, key, digest = handles["context"], handles["key"], handles["hash"]
    for call in (
        lambda: w.CryptEncrypt(key, key, True, 0, b""),
        lambda: w.CryptDecrypt(key, context, True, 0, b""),
        lambda: w.CryptExportKey(key, digest, w.SIMPLEBLOB),
        lambda: w.CryptImportKey(context, b"", digest),
        lambda: w.CryptCreateHash(context, w.CALG_HMAC, digest),
        lambda: w.CryptHashSessionKey(digest, context),
        lambda: w.CryptVerifySignature(digest, b"", digest),
        lambda: w.CryptDeriveKey(context, w.CALG_AES_128, key, 0),
    ):
        with refused(INVALID_HANDLE):
            call()


def test_buffers_that_are_none(handles: dict[str, Any]) -> None:
    context, key, digest = handles["context"], handles["key"], handles["hash"]
    for wrong in (None, "text", 5):
        for call in (
            lambda wrong=wrong: w.CryptEncrypt(key, None, True, 0, wrong),
            lambda wrong=wrong: w.CryptDecrypt(key, None, True, 0, wrong),
            lambda wrong=wrong: w.CryptImportKey(context, wrong),
            lambda wrong=wrong: w.CryptHashData(digest, wrong),
            lambda wrong=wrong: w.CryptSetKeyParam(key, w.KP_IV, wrong),
            lambda wrong=wrong: w.CryptSetHashParam(digest, w.HP_HASHVAL, wrong),
            lambda wrong=wrong: w.CryptVerifySignature(digest, wrong, key),
        ):
            with refused(INVALID_PARAMETER):
                call()
    for wrong in ("text", None, 1 << 32, -1, b"\1"):
        with refused(INVALID_PARAMETER):
            w.CryptSetKeyParam(key, w.KP_MODE, wrong)
    with refused(INVALID_PARAMETER):
        w.CryptDuplicateKey(key, b"reserved")


def test_a_session_key_of_a_token_is_as_secret_as_was_asked(token: Provider, context: Context) -> None:
    if token.uri.startswith("tpm2:"):
        return
    for flags, extractable in ((0, b"\0"), (EXPORTABLE, b"\1"), (w.CRYPT_ARCHIVABLE, b"\1")):
        key = w.CryptGenKey(context, w.CALG_AES_128, flags)
        assert token_attributes(key, "SENSITIVE", "EXTRACTABLE", "WRAP", "UNWRAP") == [b"\1", extractable, b"\0", b"\0"]
    pair = w.CryptGenKey(context, w.AT_KEYEXCHANGE, RSA_BITS << 16)
    private = pair.pair  # type: ignore[attr-defined]
    assert token_attributes(private, "SENSITIVE", "EXTRACTABLE", "UNWRAP") == [b"\1", b"\0", b"\1"]
    needs_algid(token, w.CALG_RC4)
    salted = w.CryptGenKey(context, w.CALG_RC4, 40 << 16 | EXPORTABLE)
    joined = salted._cipher  # type: ignore[attr-defined]
    assert token_attributes(joined, "SENSITIVE", "EXTRACTABLE") == [b"\1", b"\0"]


def test_every_function_and_constant_is_in_all() -> None:
    functions = [name for name, _ in inspect.getmembers(w, inspect.isfunction) if name.startswith("Crypt")]
    without_handle = {
        "CryptAcquireContext",
        "CryptEnumProviders",
        "CryptEnumProviderTypes",
        "CryptGetDefaultProvider",
        "CryptSetProvider",
        "CryptSetProviderEx",
    }
    assert set(functions) == {*WRONG, *without_handle}
    assert set(functions) <= set(w.__all__) and set(wincrypt_h.__all__) <= set(w.__all__)
    assert len(w.__all__) == len(set(w.__all__)) and all(hasattr(w, name) for name in w.__all__)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("CryptAcquireContext", "pszContainer pszProvider dwProvType dwFlags"),
        ("CryptReleaseContext", "hProv dwFlags"),
        ("CryptGenKey", "hProv Algid dwFlags"),
        ("CryptGetUserKey", "hProv dwKeySpec"),
        ("CryptGetKeyParam", "hKey dwParam dwFlags"),
        ("CryptSetKeyParam", "hKey dwParam pbData dwFlags"),
        ("CryptExportKey", "hKey hExpKey dwBlobType dwFlags"),
        ("CryptImportKey", "hProv pbData hPubKey dwFlags"),
        ("CryptEncrypt", "hKey hHash Final dwFlags pbData"),
        ("CryptDecrypt", "hKey hHash Final dwFlags pbData"),
        ("CryptCreateHash", "hProv Algid hKey dwFlags"),
        ("CryptSignHash", "hHash dwKeySpec sDescription dwFlags"),
        ("CryptVerifySignature", "hHash pbSignature hPubKey sDescription dwFlags"),
        ("CryptDeriveKey", "hProv Algid hBaseData dwFlags"),
        ("CryptSetProvParam", "hProv dwParam pbData dwFlags"),
        ("CryptEnumProviders", "dwIndex pdwReserved dwFlags"),
        ("CryptEnumProviderTypes", "dwIndex pdwReserved dwFlags"),
        ("CryptGetDefaultProvider", "dwProvType pdwReserved dwFlags"),
        ("CryptSetProvider", "pszProvName dwProvType"),
        ("CryptSetProviderEx", "pszProvName dwProvType pdwReserved dwFlags"),
        ("CryptExportPublicKeyInfo", "hCryptProvOrNCryptKey dwKeySpec dwCertEncodingType"),
        ("CryptImportPublicKeyInfo", "hCryptProv dwCertEncodingType pInfo"),
    ],
)
def test_the_documented_order_with_sizes_dropped(name: str, parameters: str) -> None:
    assert list(inspect.signature(getattr(w, name)).parameters) == parameters.split()
