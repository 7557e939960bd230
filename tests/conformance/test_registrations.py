"""BCryptEnumProviders, BCryptEnumRegisteredProviders, BCryptResolveProviders, BCryptGetFipsAlgorithmMode and macros."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conformance.helpers import refused

import hwcng
from hwcng import bcrypt
from hwcng.bcrypt import (
    BCRYPT_SUCCESS,
    CRYPT_ALL_FUNCTIONS,
    CRYPT_ALL_PROVIDERS,
    CRYPT_ANY,
    CRYPT_KM,
    CRYPT_PROVIDER_REF,
    CRYPT_UM,
    MS_PRIMITIVE_PROVIDER,
    BCryptEnumProviders,
    BCryptEnumRegisteredProviders,
    BCryptFreeBuffer,
    BCryptGetFipsAlgorithmMode,
    BCryptOpenAlgorithmProvider,
    BCryptResolveProviders,
)
from hwcng.cng import registrations
from hwcng.errors import NTSTATUS
from hwcng.providers import registry


@pytest.fixture
def configured(default_provider: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The names that the configuration gives: one that opens, and one whose token is not there."""
    names = {"Held": default_provider.uri, "Gone": "pkcs11:token=nowhere?module-path=/nonexistent.so"}
    monkeypatch.setattr(registry, "configured_names", lambda: names)
    resolve = registry.resolve_implementation

    def resolved(name: Any) -> Any:
        if name == "Held":
            return default_provider
        return hwcng.open_provider(names[name]) if name in names else resolve(name)

    monkeypatch.setattr(registry, "resolve_implementation", resolved)
    return default_provider


def test_the_providers_of_an_algorithm(configured: Any) -> None:
    names = [entry.pszProviderName for entry in BCryptEnumProviders("AES")]
    assert names == [MS_PRIMITIVE_PROVIDER, "Held"]
    assert BCryptOpenAlgorithmProvider("AES", names[0]).provider is configured
    assert BCryptEnumRegisteredProviders() == [MS_PRIMITIVE_PROVIDER, "Held", "Gone"]
    assert len(BCryptEnumProviders("SHA256")) == 3


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("no such", NTSTATUS.STATUS_NOT_FOUND),
        ("DESX", NTSTATUS.STATUS_NOT_FOUND),
        ("KMAC128", NTSTATUS.STATUS_NOT_FOUND),
        (None, NTSTATUS.STATUS_INVALID_PARAMETER),
        (b"AES", NTSTATUS.STATUS_INVALID_PARAMETER),
    ],
)
def test_algorithms_that_nobody_has(default_provider: Any, name: Any, status: NTSTATUS) -> None:
    with refused(status):
        BCryptEnumProviders(name)
    with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptEnumProviders("AES", 1)


def test_resolving(configured: Any) -> None:
    everything = CRYPT_ALL_FUNCTIONS | CRYPT_ALL_PROVIDERS
    first = CRYPT_PROVIDER_REF(1, "AES", MS_PRIMITIVE_PROVIDER)
    assert BCryptResolveProviders(None, 1, "AES", None, CRYPT_UM) == [first]
    assert BCryptResolveProviders(None, 0, "AES", None, CRYPT_ANY, CRYPT_ALL_PROVIDERS) == [
        first,
        first._replace(pszProvider="Held"),
    ]
    assert BCryptResolveProviders(None, 0, "AES", "Held", CRYPT_UM) == [first._replace(pszProvider="Held")]
    found = BCryptResolveProviders(None, 0, None, None, CRYPT_ANY, everything)
    assert {ref.pszFunction for ref in found} == {entry.pszName for entry in bcrypt.BCryptEnumAlgorithms()}
    assert [ref.dwInterface for ref in found if ref.pszFunction == "RSA" and ref.pszProvider == "Held"] == [3, 5]
    assert len(BCryptResolveProviders(None, 6, None, None, CRYPT_ANY)) == 1
    for arguments in (("Default", 0, None, None, 1), (None, 0, None, None, CRYPT_KM), (None, 0, "AES", "Gone", 1)):
        with refused(NTSTATUS.STATUS_NOT_FOUND):
            BCryptResolveProviders(*arguments)
    for arguments in ((None, 0, None, None, 0), (None, 0, None, None, 5), (None, -1, None, None, 1)):
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            BCryptResolveProviders(*arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("variable", "kernel", "mode"),
    [("1", "0\n", True), ("0", "1\n", False), (None, "1\n", True), (None, "0\n", False), (None, None, False)],
)
def test_fips_mode(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str | None, kernel: str | None, mode: bool
) -> None:
    monkeypatch.delenv("HWCNG_FIPS", raising=False)
    if variable is not None:
        monkeypatch.setenv("HWCNG_FIPS", variable)
    monkeypatch.setattr(registrations, "_KERNEL", path := tmp_path / "fips_enabled")
    if kernel is not None:
        path.write_text(kernel)
    assert BCryptGetFipsAlgorithmMode() is mode


def test_macros() -> None:
    assert BCRYPT_SUCCESS(NTSTATUS.STATUS_SUCCESS) and BCRYPT_SUCCESS(0x40000000)
    assert not BCRYPT_SUCCESS(NTSTATUS.STATUS_NOT_FOUND) and not BCRYPT_SUCCESS(NTSTATUS.STATUS_BUFFER_OVERFLOW)
    assert BCryptFreeBuffer(BCryptEnumRegisteredProviders()) is None  # type: ignore[func-returns-value]
