"""Enumerations and defaults of providers, PINs of a context, SubjectPublicKeyInfo, and handles translated to NCrypt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from conformance.helpers import refused
from cryptography.hazmat.primitives.asymmetric import dsa, ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from support import needs_bits, needs_module
from wincrypt.helpers import RSA_BITS, TEXT, Verify, hashed

import hwcng
from hwcng import ncrypt as n
from hwcng import wincrypt as w
from hwcng.capi import provider_defaults
from hwcng.capi.containers import TokenContainer
from hwcng.errors import HRESULT, Win32Error

if TYPE_CHECKING:
    from hwcng.capi.contexts import Context
    from hwcng.contract.provider import Provider

SPKI = Encoding.DER, PublicFormat.SubjectPublicKeyInfo


@pytest.fixture
def default_provider(provider: Provider) -> Iterator[Provider]:
    hwcng.set_default_provider(provider)
    yield provider
    hwcng.set_default_provider(None)


@pytest.fixture(autouse=True)
def _no_choices() -> Iterator[None]:
    yield
    provider_defaults._chosen.clear()


@pytest.mark.parametrize("function", [w.CryptEnumProviders, w.CryptEnumProviderTypes])
def test_an_enumeration_ends(function: Callable[..., tuple[int, str]]) -> None:
    found = []
    with refused(Win32Error.ERROR_NO_MORE_ITEMS):
        for index in range(100):
            found.append(function(index, None, 0))
    assert len(found) == len(set(found)) == {w.CryptEnumProviders: 11, w.CryptEnumProviderTypes: 7}[function]
    assert {kind for kind, _ in found} == {1, 2, 3, 12, 13, 18, 24}
    with refused(HRESULT.NTE_BAD_FLAGS):
        function(0, None, 1)
    for arguments in ((0, b"reserved", 0), (-1,), ("0",)):
        with refused(Win32Error.ERROR_INVALID_PARAMETER):
            function(*arguments)


def test_every_listed_provider_opens(provider: Provider) -> None:
    for index in range(11):
        kind, name = w.CryptEnumProviders(index)
        with w.CryptAcquireContext(None, (name, provider), kind, w.CRYPT_VERIFYCONTEXT) as context:
            assert w.CryptGetProvParam(context, w.PP_NAME) == name


def default_of(kind: int, flags: int = w.CRYPT_USER_DEFAULT) -> str:
    return w.CryptGetDefaultProvider(kind, None, flags)


def test_a_default_is_chosen_and_taken_back(default_provider: Any) -> None:
    def opened() -> str:
        with w.CryptAcquireContext(None, None, w.PROV_RSA_FULL, w.CRYPT_VERIFYCONTEXT) as context:
            return str(w.CryptGetProvParam(context, w.PP_NAME))

    assert default_of(w.PROV_RSA_FULL) == opened() == w.MS_STRONG_PROV
    w.CryptSetProviderEx(w.MS_DEF_PROV, w.PROV_RSA_FULL, None, w.CRYPT_MACHINE_DEFAULT)
    assert default_of(w.PROV_RSA_FULL) == opened() == w.MS_DEF_PROV
    w.CryptSetProvider(w.MS_ENHANCED_PROV, w.PROV_RSA_FULL)
    assert default_of(w.PROV_RSA_FULL) == opened() == w.MS_ENHANCED_PROV
    assert default_of(w.PROV_RSA_FULL, w.CRYPT_MACHINE_DEFAULT) == w.MS_DEF_PROV
    w.CryptSetProviderEx(None, w.PROV_RSA_FULL, None, w.CRYPT_USER_DEFAULT | w.CRYPT_DELETE_DEFAULT)
    assert opened() == w.MS_DEF_PROV
    w.CryptSetProviderEx(None, w.PROV_RSA_FULL, 0, w.CRYPT_MACHINE_DEFAULT | w.CRYPT_DELETE_DEFAULT)
    assert opened() == w.MS_STRONG_PROV and default_of(w.PROV_RSA_AES) == w.MS_ENH_RSA_AES_PROV


def test_defaults_that_there_are_not() -> None:
    for flags in (0, 3, 4, 8, -1):
        with refused(HRESULT.NTE_BAD_FLAGS):
            default_of(w.PROV_RSA_FULL, flags)
    for kind, status in ((0, HRESULT.NTE_BAD_PROV_TYPE), (1000, HRESULT.NTE_BAD_PROV_TYPE)):
        with refused(status):
            default_of(kind)
    with refused(HRESULT.NTE_PROV_TYPE_NOT_DEF):
        default_of(4)
    with refused(HRESULT.NTE_BAD_PROVIDER):
        w.CryptSetProvider("no such provider", w.PROV_RSA_FULL)
    with refused(HRESULT.NTE_PROV_TYPE_NO_MATCH):
        w.CryptSetProvider(w.MS_DEF_PROV, w.PROV_RSA_AES)
    with refused(Win32Error.ERROR_INVALID_PARAMETER):
        w.CryptSetProvider(None, w.PROV_RSA_FULL)  # type: ignore[arg-type]


def test_what_a_context_is_told(context: Context) -> None:
    for parameter in (w.PP_KEYEXCHANGE_PIN, w.PP_SIGNATURE_PIN):
        for pin in ("1234", b"1234\0", None):
            w.CryptSetProvParam(context, parameter, pin, 0)
        for wrong in (31415926, [b"31415926"], b"\xff3141"):
            with refused(Win32Error.ERROR_INVALID_PARAMETER) as error:
                w.CryptSetProvParam(context, parameter, wrong)
            assert "3141" not in str(error.value)
        with refused(HRESULT.NTE_BAD_TYPE):
            w.CryptGetProvParam(context, parameter)
    w.CryptSetProvParam(context, w.PP_USE_HARDWARE_RNG, None)
    for parameter in (w.PP_ADMIN_PIN, w.PP_CHANGE_PASSWORD, w.PP_KEYSET_SEC_DESCR, w.PP_CRYPT_COUNT_KEY_USE):
        with refused(HRESULT.NTE_NOT_SUPPORTED):
            w.CryptSetProvParam(context, parameter, b"value")
    for parameter in (w.PP_NAME, w.PP_ENUMALGS, 0, 0x7777):
        with refused(HRESULT.NTE_BAD_TYPE):
            w.CryptSetProvParam(context, parameter, b"value")
    with refused(HRESULT.NTE_BAD_FLAGS):
        w.CryptSetProvParam(context, w.PP_SIGNATURE_PIN, None, 1)


def test_a_pin_goes_to_the_token_with_the_pair(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    name = ("a container with PINs", (w.MS_ENH_RSA_AES_PROV, provider), w.PROV_RSA_AES)
    held = w.CryptAcquireContext(*name, w.CRYPT_NEWKEYSET)
    try:
        w.CryptGenKey(held, w.AT_SIGNATURE, RSA_BITS << 16)
        given: list[object] = []
        opened = provider.open_key

        def open_key(key_name: str, *, pin: object = None) -> Any:
            given.append(pin)
            return opened(key_name)

        monkeypatch.setattr(provider, "open_key", open_key)
        assert isinstance(held.container, TokenContainer)
        w.CryptSetProvParam(held, w.PP_SIGNATURE_PIN, "1111")
        w.CryptSetProvParam(held, w.PP_KEYEXCHANGE_PIN, "9999")
        key = w.CryptGetUserKey(held, w.AT_SIGNATURE)
        assert given == ["1111"]
        w.CryptSetKeyParam(key, w.KP_SIGNATURE_PIN, b"2222\0")
        assert given == ["1111", "2222"]
        digest = hashed(held, w.CALG_SHA1)
        w.CryptVerifySignature(digest, w.CryptSignHash(digest, w.AT_SIGNATURE), key)
        assert given == ["1111", "2222", "2222"] and "2222" not in repr(held) + repr(key)
        with refused(HRESULT.NTE_BAD_KEY):
            w.CryptSetKeyParam(w.CryptGenKey(held, w.CALG_AES_128, 0), w.KP_SIGNATURE_PIN, "1")
    finally:
        monkeypatch.undo()
        w.CryptAcquireContext(*name, w.CRYPT_DELETEKEYSET)


def test_a_public_key_info_of_a_container(context: Context) -> None:
    needs_bits(context.provider, "RSA", RSA_BITS)
    for spec in (w.AT_SIGNATURE, w.AT_KEYEXCHANGE):
        with w.CryptGenKey(context, spec, RSA_BITS << 16) as key:
            info = w.CryptExportPublicKeyInfo(context, spec, w.X509_ASN_ENCODING)
            numbers = load_der_public_key(info).public_numbers()  # type: ignore[union-attr]
            assert numbers.n == key.public.modulus  # type: ignore[attr-defined, union-attr]
            public = w.CryptImportPublicKeyInfo(context, w.X509_ASN_ENCODING | w.PKCS_7_ASN_ENCODING, info)
            assert w.CryptGetKeyParam(public, w.KP_ALGID) == w.CALG_RSA_KEYX
            digest = hashed(context, w.CALG_SHA1)
            w.CryptVerifySignature(digest, w.CryptSignHash(digest, spec), public)
            with refused(HRESULT.NTE_BAD_SIGNATURE):
                w.CryptVerifySignature(hashed(context, w.CALG_MD5), bytes(RSA_BITS // 8), public)


def test_public_key_infos_of_other_keys(verify: Verify, provider: Provider) -> None:
    storage = n.NCryptOpenStorageProvider(provider)
    key = n.NCryptCreatePersistedKey(storage, "ECDSA_P256", None)
    n.NCryptFinalizeKey(key)
    info = w.CryptExportPublicKeyInfo(key, 0, w.X509_ASN_ENCODING)
    point = load_der_public_key(info).public_numbers()  # type: ignore[union-attr]
    assert info == w.CryptExportPublicKeyInfo(key.key, 0, w.X509_ASN_ENCODING)  # type: ignore[arg-type]
    assert (point.x, point.y) == (key.key.public.x, key.key.public.y)  # type: ignore[union-attr]
    dss = dsa.generate_private_key(1024).public_key().public_bytes(*SPKI)  # noqa: S505
    imported = w.CryptImportPublicKeyInfo(verify(w.MS_DEF_DSS_PROV), w.X509_ASN_ENCODING, dss)
    assert w.CryptGetKeyParam(imported, w.KP_ALGID) == w.CALG_DSS_SIGN
    rsa_context = verify(w.MS_ENH_RSA_AES_PROV)
    for wrong in (dss, info, ec.generate_private_key(ec.SECP256K1()).public_key().public_bytes(*SPKI)):
        with refused(HRESULT.NTE_BAD_ALGID):
            w.CryptImportPublicKeyInfo(rsa_context, w.X509_ASN_ENCODING, wrong)
    for wrong in (b"", info[:-1], b"no DER"):
        with refused(HRESULT.NTE_BAD_DATA):
            w.CryptImportPublicKeyInfo(rsa_context, w.X509_ASN_ENCODING, wrong)
    for encoding in (0, w.PKCS_7_ASN_ENCODING, 2, None):
        with refused(Win32Error.ERROR_INVALID_PARAMETER):
            w.CryptImportPublicKeyInfo(rsa_context, encoding, info)  # type: ignore[arg-type]
    with refused(HRESULT.NTE_NO_KEY):
        w.CryptExportPublicKeyInfo(rsa_context, w.AT_SIGNATURE, w.X509_ASN_ENCODING)
    aes = n.NCryptCreatePersistedKey(storage, "AES", None)
    n.NCryptFinalizeKey(aes)
    with refused(HRESULT.NTE_BAD_KEY):
        w.CryptExportPublicKeyInfo(aes, 0, w.X509_ASN_ENCODING)


def test_handles_translated(context: Context) -> None:
    needs_bits(context.provider, "RSA", RSA_BITS)
    key = w.CryptGenKey(context, w.AT_SIGNATURE, RSA_BITS << 16)
    signed = hashed(context, w.CALG_SHA_256)
    digest = w.CryptGetHashParam(signed, w.HP_HASHVAL)
    assert isinstance(digest, bytes)
    for handle, spec in ((key, 0), (0, w.AT_SIGNATURE)):
        storage, translated = n.NCryptTranslateHandle(context, handle, spec)  # type: ignore[arg-type]
        assert storage.provider is context.provider and n.NCryptGetProperty(translated, "Algorithm Name") == "RSA"
        signature = n.NCryptSignHash(translated, n.BCRYPT_PKCS1_PADDING_INFO("SHA256"), digest, 2)
        w.CryptVerifySignature(signed, signature[::-1], key)
        n.NCryptFreeObject(translated)
        n.NCryptFreeObject(storage)
    assert w.CryptSignHash(signed, w.AT_SIGNATURE) == signature[::-1]
    _, survivor = n.NCryptTranslateHandle(context, key)
    w.CryptReleaseContext(context)
    n.NCryptSignHash(survivor, n.BCRYPT_PKCS1_PADDING_INFO("SHA256"), digest, 2)
    n.NCryptFreeObject(survivor)


def test_handles_that_are_not_translated(context: Context) -> None:
    session = w.CryptGenKey(context, w.CALG_AES_128, 0)
    with refused(HRESULT.NTE_NOT_SUPPORTED):
        n.NCryptTranslateHandle(context, session)
    for arguments in ((None,), (session,), (context, context)):
        with refused(HRESULT.NTE_INVALID_HANDLE):
            n.NCryptTranslateHandle(*arguments)  # type: ignore[arg-type]
    with refused(HRESULT.NTE_NO_KEY):
        n.NCryptTranslateHandle(context, 0, w.AT_KEYEXCHANGE)
    with refused(HRESULT.NTE_BAD_FLAGS):
        n.NCryptTranslateHandle(context, 0, w.AT_KEYEXCHANGE, 1)


def test_macros_take_an_alg_id_apart() -> None:
    for algid in (w.CALG_SHA_512, w.CALG_RC4, w.CALG_ECDH_EPHEM, w.CALG_DH_SF):
        assert w.GET_ALG_CLASS(algid) | w.GET_ALG_TYPE(algid) | w.GET_ALG_SID(algid) == algid
    assert w.GET_ALG_CLASS(w.CALG_AES_256) == w.ALG_CLASS_DATA_ENCRYPT
    assert w.GET_ALG_TYPE(w.CALG_AES_256) == w.ALG_TYPE_BLOCK
    assert w.GET_ALG_SID(w.CALG_AES_256) == w.ALG_SID_AES_256
    assert TEXT


@pytest.mark.parametrize("algid", [w.CALG_MD2, w.CALG_MD4])
def test_the_oldest_hashes(context: Context, algid: int) -> None:
    needs_module("Crypto")
    needs_bits(context.provider, "RSA", RSA_BITS)
    value = w.CryptGetHashParam(hashed(context, algid), w.HP_HASHVAL)
    assert isinstance(value, bytes) and len(value) == 16
    key = w.CryptGenKey(context, w.AT_KEYEXCHANGE, RSA_BITS << 16)
    signed = hashed(context, algid)
    signature = w.CryptSignHash(signed, w.AT_KEYEXCHANGE)
    w.CryptVerifySignature(signed, signature, key)
    numbers = load_der_public_key(w.CryptExportPublicKeyInfo(context, w.AT_KEYEXCHANGE, 1)).public_numbers()  # type: ignore[union-attr]
    padded = pow(int.from_bytes(signature, "little"), numbers.e, numbers.n).to_bytes(RSA_BITS // 8, "big")
    prefix = {w.CALG_MD2: "2a864886f70d0202", w.CALG_MD4: "2a864886f70d0204"}[algid]
    assert padded.endswith(bytes.fromhex(f"3020300c0608{prefix}05000410") + value)
    with refused(HRESULT.NTE_BAD_SIGNATURE):
        w.CryptVerifySignature(hashed(context, w.CALG_MD5), signature, key)
    mac = w.CryptCreateHash(context, w.CALG_HMAC, w.CryptGenKey(context, w.CALG_AES_128, 0))
    with refused(HRESULT.NTE_BAD_ALGID):
        w.CryptSetHashParam(mac, w.HP_HMAC_INFO, w.HMAC_INFO(algid))
