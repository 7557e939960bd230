"""A software TPM for the session, and a provider on it. Tests that break a TPM start one of their own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from support import MISSING, needs_module

if TYPE_CHECKING:
    from hwcng.providers.tpm2.provider import Tpm2Provider
    from hwcng.testing.swtpm import Swtpm


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = None if shutil.which("swtpm") else MISSING + "command:swtpm"
    if missing:
        for item in items:
            if "/tests/tpm2/" in str(item.path):
                item.add_marker(pytest.mark.skip(reason=missing))


@pytest.fixture(scope="session")
def open_tpm() -> Callable[..., Tpm2Provider]:
    """Opens a provider by its URI."""
    needs_module("tpm2_pytss")
    from hwcng.providers.tpm2.provider import open_uri
    from hwcng.providers.uri import Tpm2Uri, parse_uri

    def opened(uri: str, *, pin: object = None, allow_raw_secret: bool = True) -> Tpm2Provider:
        parsed = parse_uri(uri)
        assert isinstance(parsed, Tpm2Uri)
        return open_uri(parsed, pin=pin, allow_raw_secret=allow_raw_secret)  # type: ignore[arg-type]

    return opened


@pytest.fixture(scope="session")
def tpm() -> Iterator[Swtpm]:
    """The session's TPM, for tests that leave it as it was."""
    from hwcng.testing.swtpm import Swtpm

    with Swtpm() as running:
        yield running


@pytest.fixture(scope="session")
def tpm_provider(tpm: Swtpm, open_tpm: Callable[..., Tpm2Provider]) -> Iterator[Tpm2Provider]:
    with open_tpm(tpm.uri) as provider:
        yield provider


@pytest.fixture
def fresh_tpm() -> Iterator[Swtpm]:
    """A TPM for one test."""
    from hwcng.testing.swtpm import Swtpm

    with Swtpm() as running:
        yield running
