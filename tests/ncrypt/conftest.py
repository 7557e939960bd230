"""Key stores for the NCrypt tests: SoftHSM and a software TPM, and names that are gone after the test."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from support import missing, needs_module

if TYPE_CHECKING:
    from hwcng.contract.provider import Provider
    from hwcng.ksp.handles import NCryptKey, StorageProvider

_numbers = itertools.count()


@pytest.fixture(scope="session")
def tpm_store() -> Iterator[Provider]:
    if shutil.which("swtpm") is None:
        missing("command:swtpm")
    needs_module("tpm2_pytss")
    import hwcng
    from hwcng.testing.swtpm import Swtpm

    with Swtpm() as tpm, hwcng.open_provider(tpm.uri) as opened:
        yield opened


@pytest.fixture
def soft_storage(provider: Provider) -> StorageProvider:
    """The session's SoftHSM token as a key store."""
    from hwcng.ncrypt import NCryptOpenStorageProvider

    return NCryptOpenStorageProvider(provider)


@pytest.fixture(params=["softhsm", "swtpm"])
def storage(request: pytest.FixtureRequest) -> StorageProvider:
    """Each key store in turn."""
    from hwcng.ncrypt import NCryptOpenStorageProvider

    return NCryptOpenStorageProvider(request.getfixturevalue("provider" if request.param == "softhsm" else "tpm_store"))


@pytest.fixture
def new_name(request: pytest.FixtureRequest) -> Iterator[Callable[[], str]]:
    """new_name(): a name that no key has; keys that got one are deleted after the test."""
    given: list[str] = []
    providers = [request.getfixturevalue("provider")]
    if "storage" in request.fixturenames:
        providers.append(request.getfixturevalue("storage").provider)

    def make() -> str:
        given.append(f"ncrypt-test-{os.getpid()}-{next(_numbers)}")
        return given[-1]

    yield make
    from hwcng.errors import CngError

    for provider in providers:
        for name in given:
            with contextlib.suppress(CngError):
                provider.delete_key(name)


@pytest.fixture
def name(new_name: Callable[[], str]) -> str:
    return new_name()


@pytest.fixture
def made() -> Callable[..., NCryptKey]:
    """made(storage, "RSA", name, flags, Length=2048): a finalized key."""
    from hwcng.ncrypt import NCryptCreatePersistedKey, NCryptFinalizeKey, NCryptSetProperty

    def make(
        storage: StorageProvider, algorithm: str, name: str | None = None, flags: int = 0, **properties: object
    ) -> NCryptKey:
        key = NCryptCreatePersistedKey(storage, algorithm, name, 0, flags)
        for property_name, value in properties.items():
            NCryptSetProperty(key, property_name.replace("_", " "), value)
        NCryptFinalizeKey(key)
        return key

    return make
