"""SmartCardPin: the PIN of keys that have one of their own, set on what is about to use them and never read back."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from conformance.helpers import refused
from support import missing, needs_module
from tpm2.helpers import below_root, key_with_pin

import hwcng
from hwcng.bcrypt import BCryptImportKeyPair, BCryptOpenAlgorithmProvider, BCryptSetProperty, BCryptSignHash
from hwcng.errors import HRESULT, NTSTATUS
from hwcng.ksp.handles import NCryptKey, StorageProvider
from hwcng.ncrypt import (
    NCRYPT_PIN_PROPERTY,
    NCRYPTBUFFER_PKCS_KEY_NAME,
    NCRYPTBUFFER_PKCS_SECRET,
    NCryptFreeObject,
    NCryptGetProperty,
    NCryptImportKey,
    NCryptOpenKey,
    NCryptOpenStorageProvider,
    NCryptSetProperty,
    NCryptSignHash,
    NCryptVerifySignature,
)
from hwcng.providers.tpm2.wire import key_file_asn1
from hwcng.testing.swtpm import Swtpm

DIGEST = bytes(range(32))
PIN = "zwölf-12"
WIDE = (PIN + "\0").encode("utf-16-le")


@pytest.fixture(scope="module")
def tpm() -> Iterator[Swtpm]:
    import shutil

    if shutil.which("swtpm") is None:
        missing("command:swtpm")
    needs_module("tpm2_pytss")
    with Swtpm() as running:
        yield running


@pytest.fixture
def opened(tpm: Swtpm) -> Iterator[StorageProvider]:
    with hwcng.open_provider(tpm.uri) as provider:
        yield NCryptOpenStorageProvider(provider)


@pytest.fixture(scope="module")
def blob(tpm: Swtpm) -> bytes:
    with hwcng.open_provider(tpm.uri):
        return key_with_pin(tpm, PIN.encode(), no_da=True)


def signs(key: NCryptKey) -> bool:
    NCryptVerifySignature(key, None, DIGEST, NCryptSignHash(key, None, DIGEST))
    return True


def stored(opened: StorageProvider, blob: bytes, name: str) -> None:
    NCryptImportKey(
        opened,
        None,
        "OpaqueKeyBlob",
        [(NCRYPTBUFFER_PKCS_KEY_NAME, name), (NCRYPTBUFFER_PKCS_SECRET, PIN)],
        blob,
        0x80,
    )


@pytest.mark.parametrize("value", [PIN, WIDE], ids=["str", "UTF-16"])
def test_on_a_provider_for_what_it_imports(opened: StorageProvider, blob: bytes, value: str | bytes) -> None:
    with refused(HRESULT.NTE_INCORRECT_PASSWORD) as error:
        NCryptImportKey(opened, None, "OpaqueKeyBlob", None, blob)
    assert PIN not in str(error.value)
    NCryptSetProperty(opened, NCRYPT_PIN_PROPERTY, value)
    assert signs(NCryptImportKey(opened, None, "OpaqueKeyBlob", None, blob))


def test_on_a_provider_for_what_it_opens(opened: StorageProvider, blob: bytes) -> None:
    stored(opened, blob, "opened with a PIN")
    with refused(HRESULT.NTE_INCORRECT_PASSWORD):
        NCryptOpenKey(opened, "opened with a PIN")
    NCryptSetProperty(opened, NCRYPT_PIN_PROPERTY, PIN)
    assert signs(NCryptOpenKey(opened, "opened with a PIN"))
    NCryptSetProperty(opened, NCRYPT_PIN_PROPERTY, "")
    with refused(HRESULT.NTE_INCORRECT_PASSWORD):
        NCryptOpenKey(opened, "opened with a PIN")


def test_on_a_key(opened: StorageProvider, blob: bytes) -> None:
    stored(opened, blob, "a key with a PIN")
    NCryptSetProperty(opened, NCRYPT_PIN_PROPERTY, "a wrong one")
    key = NCryptOpenKey(opened, "a key with a PIN")
    with refused(HRESULT.NTE_INCORRECT_PASSWORD):
        NCryptSignHash(key, None, DIGEST)
    pair = key.key
    NCryptSetProperty(key, NCRYPT_PIN_PROPERTY, PIN)
    assert signs(key)
    assert key.key is pair
    NCryptFreeObject(key)


def test_on_a_key_without_a_name_it_is_too_late(opened: StorageProvider, blob: bytes) -> None:
    key = NCryptImportKey(opened, None, "OpaqueKeyBlob", [(NCRYPTBUFFER_PKCS_SECRET, PIN)], blob)
    assert signs(key)
    with refused(HRESULT.NTE_NOT_SUPPORTED):
        NCryptSetProperty(key, NCRYPT_PIN_PROPERTY, PIN)


@pytest.mark.parametrize("stated", [True, False, None])
def test_an_empty_secret_is_an_empty_authorization(opened: StorageProvider, tpm: Swtpm, stated: bool | None) -> None:
    parts = below_root(tpm, "ecc256", "sign|noda")
    pem = key_file_asn1.build(key_file_asn1.TssKey(0x81000001, *parts, stated))
    assert signs(NCryptImportKey(opened, None, "OpaqueKeyBlob", [(NCRYPTBUFFER_PKCS_SECRET, "")], pem))


def test_on_an_algorithm_handle(opened: StorageProvider, blob: bytes) -> None:
    algorithm = BCryptOpenAlgorithmProvider("ECDSA_P256", opened.provider)
    with refused(NTSTATUS.STATUS_WRONG_PASSWORD):
        BCryptImportKeyPair(algorithm, None, "OpaqueKeyBlob", blob)
    BCryptSetProperty(algorithm, NCRYPT_PIN_PROPERTY, WIDE)
    key = BCryptImportKeyPair(algorithm, None, "OpaqueKeyBlob", blob)
    assert len(BCryptSignHash(key, None, DIGEST)) == 64


def test_nothing_reads_it(opened: StorageProvider, blob: bytes) -> None:
    stored(opened, blob, "never read")
    NCryptSetProperty(opened, NCRYPT_PIN_PROPERTY, PIN)
    for handle in (opened, NCryptOpenKey(opened, "never read")):
        with refused(HRESULT.NTE_NOT_SUPPORTED):
            NCryptGetProperty(handle, NCRYPT_PIN_PROPERTY)
        assert PIN not in repr(handle)
        with refused(HRESULT.NTE_INVALID_PARAMETER) as error:
            NCryptSetProperty(handle, NCRYPT_PIN_PROPERTY, 31415926)
        assert "31415926" not in str(error.value)
    opened.destroy()
    assert opened.pin is None


def test_a_logged_in_token_asks_for_no_other(
    soft_storage: StorageProvider, made: Callable[..., NCryptKey], name: str
) -> None:
    key = made(soft_storage, "AES", name)
    NCryptSetProperty(key, NCRYPT_PIN_PROPERTY, "1234")
    assert NCryptGetProperty(key, "Length") == 256
    pair = made(soft_storage, "ECDSA_P256")
    with refused(HRESULT.NTE_NOT_SUPPORTED):
        NCryptSetProperty(pair, NCRYPT_PIN_PROPERTY, "1234")
