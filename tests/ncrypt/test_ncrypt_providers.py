"""NCryptOpenStorageProvider, and what is asked of a provider."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conformance.helpers import RESERVED_BITS, refused

import hwcng
from hwcng import ncrypt
from hwcng.contract.provider import Provider
from hwcng.errors import HRESULT, CngError
from hwcng.ksp.handles import NCryptKey, StorageProvider
from hwcng.ncrypt import *  # noqa: F403
from hwcng.ncrypt import (
    MS_KEY_STORAGE_PROVIDER,
    MS_PLATFORM_CRYPTO_PROVIDER,
    MS_SMART_CARD_KEY_STORAGE_PROVIDER,
    NCRYPT_SILENT_FLAG,
    NCryptEnumAlgorithms,
    NCryptEnumStorageProviders,
    NCryptFreeObject,
    NCryptGetProperty,
    NCryptIsAlgSupported,
    NCryptIsKeyHandle,
    NCryptOpenStorageProvider,
    NCryptSetProperty,
)
from hwcng.providers import config_file, registry


@pytest.fixture
def configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, token_pin: str) -> Iterator[Callable[[str], None]]:
    """configuration(lines): the file of providers, and a registry as a new process has it."""
    monkeypatch.setattr(registry, "_shared", {})
    monkeypatch.setattr(registry, "_names", {})
    monkeypatch.setattr(config_file, "_read", None)
    monkeypatch.setattr(registry, "_default", None)
    monkeypatch.delenv("HWCNG_PROVIDER", raising=False)
    file = tmp_path / "providers.ini"
    monkeypatch.setenv("HWCNG_CONFIG", str(file))
    monkeypatch.setenv("HWCNG_TEST_PIN", token_pin)
    file.write_text("")

    def write(lines: str) -> None:
        file.write_text(f"[providers]\n{lines}\n")

    yield write
    for provider in registry.open_now():
        provider.close()


def test_a_provider_object_opens_itself(provider: Provider) -> None:
    storage = NCryptOpenStorageProvider(provider)
    assert storage.provider is provider
    assert NCryptGetProperty(storage, "Name") == provider.uri
    assert repr(storage) == f"<StorageProvider {provider.uri!r}>"


@pytest.mark.usefixtures("configuration")
def test_none_is_the_default_provider(provider: Provider) -> None:
    with refused(HRESULT.NTE_NOT_FOUND):
        NCryptOpenStorageProvider()
    hwcng.set_default_provider(provider)
    assert NCryptOpenStorageProvider().provider is provider
    # Configured as nothing else, the software provider of Windows is the default too.
    assert NCryptOpenStorageProvider(MS_KEY_STORAGE_PROVIDER).provider is provider
    assert NCryptGetProperty(NCryptOpenStorageProvider(MS_KEY_STORAGE_PROVIDER), "Name") == MS_KEY_STORAGE_PROVIDER
    hwcng.set_default_provider(None)


@pytest.mark.parametrize(
    "name", [MS_KEY_STORAGE_PROVIDER, MS_PLATFORM_CRYPTO_PROVIDER, MS_SMART_CARD_KEY_STORAGE_PROVIDER, "the hsm"]
)
def test_configured_names(configuration: Callable[[str], None], token_uri: str, name: str) -> None:
    configuration(f"{name} = {token_uri}&pin-source=env:HWCNG_TEST_PIN")
    storage = NCryptOpenStorageProvider(name)
    assert storage.provider.token.label == "hwcng-test"
    assert NCryptGetProperty(storage, "Name") == name
    assert NCryptOpenStorageProvider(name).provider is storage.provider
    listed = token_uri.replace("?", "?pin-source=env:HWCNG_TEST_PIN&")
    assert NCryptEnumStorageProviders() == [(name, listed)]


def test_a_uri_opens_and_its_pin_is_not_its_name(
    configuration: Callable[[str], None], token_uri: str, token_pin: str
) -> None:
    storage = NCryptOpenStorageProvider(f"{token_uri}&pin-value={token_pin}")
    assert NCryptGetProperty(storage, "Name") == token_uri
    configuration(f"a = {token_uri}&pin-value={token_pin}")
    assert NCryptEnumStorageProviders() == [("a", token_uri)]


@pytest.mark.usefixtures("configuration")
@pytest.mark.parametrize("name", ["no such name", MS_PLATFORM_CRYPTO_PROVIDER, ""])
def test_an_unknown_name(name: str) -> None:
    with refused(HRESULT.NTE_NOT_FOUND):
        NCryptOpenStorageProvider(name)


@pytest.mark.usefixtures("configuration")
def test_what_is_no_provider() -> None:
    with refused(HRESULT.NTE_INVALID_PARAMETER):
        NCryptOpenStorageProvider("pkcs11:tokn=a")
    with refused(HRESULT.NTE_INVALID_PARAMETER):
        NCryptOpenStorageProvider(7)  # type: ignore[arg-type]
    with refused(HRESULT.NTE_NOT_FOUND):
        NCryptOpenStorageProvider("pkcs11:token=absent?module-path=/nowhere/libabsent.so")


def test_flags(soft_storage: StorageProvider) -> None:
    calls: list[Callable[[int], object]] = [
        lambda flags: NCryptOpenStorageProvider(soft_storage.provider, flags),
        lambda flags: NCryptIsAlgSupported(soft_storage, "RSA", flags),
        lambda flags: NCryptEnumAlgorithms(soft_storage, 0, flags),
        NCryptEnumStorageProviders,
    ]
    for call in calls:
        call(NCRYPT_SILENT_FLAG)
        for bit in RESERVED_BITS:
            if bit != NCRYPT_SILENT_FLAG:
                with refused(HRESULT.NTE_BAD_FLAGS):
                    call(bit)


@pytest.mark.parametrize("algorithm", ["RSA", "ECDSA_P256", "ECDH_P256"])
def test_supported_algorithms(storage: StorageProvider, algorithm: str) -> None:
    NCryptIsAlgSupported(storage, algorithm)
    assert algorithm in {row.pszName for row in NCryptEnumAlgorithms(storage)}


@pytest.mark.parametrize("algorithm", ["SHA256", "MD5", "RNG", "RSA_SIGN", "AES-CMAC", "HKDF", "rsa", "", "ROT13"])
def test_unsupported_algorithms(storage: StorageProvider, algorithm: str) -> None:
    with refused(HRESULT.NTE_NOT_SUPPORTED):
        NCryptIsAlgSupported(storage, algorithm)
    assert algorithm not in {row.pszName for row in NCryptEnumAlgorithms(storage)}


def test_an_algorithm_that_the_token_lacks(tpm_store: Provider) -> None:
    storage = NCryptOpenStorageProvider(tpm_store)
    with refused(HRESULT.NTE_NOT_SUPPORTED):
        NCryptIsAlgSupported(storage, "ML-DSA")


def test_the_algorithm_is_mandatory(soft_storage: StorageProvider) -> None:
    with refused(HRESULT.RPC_X_NULL_REF_POINTER):
        NCryptIsAlgSupported(soft_storage, None)  # type: ignore[arg-type]
    with refused(HRESULT.NTE_INVALID_PARAMETER):
        NCryptIsAlgSupported(soft_storage, b"RSA")  # type: ignore[arg-type]


def test_algorithms_by_operation(soft_storage: StorageProvider) -> None:
    rows = {row.pszName: row for row in NCryptEnumAlgorithms(soft_storage)}
    assert rows["RSA"] == (
        "RSA",
        3,
        ncrypt.NCRYPT_ASYMMETRIC_ENCRYPTION_OPERATION | ncrypt.NCRYPT_SIGNATURE_OPERATION,
        0,
    )
    assert rows["AES"] == ("AES", 1, ncrypt.NCRYPT_CIPHER_OPERATION, 0)
    agreeing = {row.pszName for row in NCryptEnumAlgorithms(soft_storage, ncrypt.NCRYPT_SECRET_AGREEMENT_OPERATION)}
    assert {"ECDH_P256", "ECDH_P384"} <= agreeing
    assert not agreeing & {"RSA", "ECDSA_P256", "AES"}
    with refused(HRESULT.NTE_INVALID_PARAMETER):
        NCryptEnumAlgorithms(soft_storage, 0x100)


def test_properties_of_a_provider(storage: StorageProvider) -> None:
    # Both tokens of the tests are programs, and say so.
    assert NCryptGetProperty(storage, "Impl Type") == ncrypt.NCRYPT_IMPL_SOFTWARE_FLAG
    assert NCryptGetProperty(storage, "Max Name Length") == 512
    assert NCryptGetProperty(storage, "Security Descr Support") == 0
    major, minor, *_ = hwcng.__version__.split(".")
    assert NCryptGetProperty(storage, "Version") == int(major) << 16 | int(minor)
    for absent in ("Length", "Algorithm Name", "Key Usage", "UI Policy", "Security Descr", "no such property"):
        with refused(HRESULT.NTE_NOT_SUPPORTED):
            NCryptGetProperty(storage, absent)
    for read_only in ("Name", "Version", "Length"):
        with refused(HRESULT.NTE_NOT_SUPPORTED):
            NCryptSetProperty(storage, read_only, "x")


def test_freeing_a_provider_leaves_the_token_open(provider: Provider) -> None:
    storage = NCryptOpenStorageProvider(provider)
    NCryptFreeObject(storage)
    assert len(provider.random(1)) == 1
    assert repr(storage).endswith(" closed>")
    for call in (NCryptFreeObject, NCryptEnumAlgorithms, lambda handle: NCryptGetProperty(handle, "Name")):
        with refused(HRESULT.NTE_INVALID_HANDLE):
            call(storage)


@pytest.mark.parametrize("garbage", [0, None, "handle", object(), 0xDEADBEEF])
def test_freeing_garbage(garbage: object) -> None:
    with refused(HRESULT.NTE_INVALID_HANDLE):
        NCryptFreeObject(garbage)  # type: ignore[arg-type]
    assert not NCryptIsKeyHandle(garbage)


def test_key_handles(soft_storage: StorageProvider, made: Callable[..., NCryptKey]) -> None:
    key = made(soft_storage, "ECDSA_P256")
    assert NCryptIsKeyHandle(key)
    assert NCryptIsKeyHandle(key.key)
    assert not NCryptIsKeyHandle(soft_storage)
    NCryptFreeObject(key)
    assert not NCryptIsKeyHandle(key)
    assert repr(key) == "<NCryptKey freed>"


def test_what_the_module_exports() -> None:
    assert len(set(ncrypt.__all__)) == len(ncrypt.__all__)
    for exported in ncrypt.__all__:
        assert getattr(ncrypt, exported) is not None
    functions = {name for name in dir(ncrypt) if name.startswith("NCrypt") and callable(getattr(ncrypt, name))}
    assert functions - {"NCryptKey", "NCryptHandle"} <= set(ncrypt.__all__)
    assert issubclass(CngError, Exception)
