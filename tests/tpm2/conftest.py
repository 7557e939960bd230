"""A software TPM for the session, and a provider on it. Tests that break a TPM start one of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from support import MISSING, needs_module

if TYPE_CHECKING:
    from pathlib import Path

    from hwcng.ksp.handles import StorageProvider
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
    from hwcng.providers.backends import parse_uri
    from hwcng.providers.tpm2.provider import open_uri
    from hwcng.providers.tpm2.uri import Tpm2Uri

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


@pytest.fixture
def storage(fresh_tpm: Swtpm) -> Iterator[StorageProvider]:
    import hwcng
    from hwcng import ncrypt

    with hwcng.open_provider(fresh_tpm.uri) as provider:
        yield ncrypt.NCryptOpenStorageProvider(provider)


@pytest.fixture
def tools(fresh_tpm: Swtpm, tmp_path: Path) -> Callable[[str], bytes]:
    """Runs a line of tpm2-tools in tmp_path, and leaves no slot and no session taken."""

    def run(line: str) -> bytes:
        environ = {**os.environ, "TPM2TOOLS_TCTI": fresh_tpm.tcti, "TSS2_LOG": "all+none"}
        done = subprocess.run(line.split(), env=environ, cwd=tmp_path, capture_output=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    return run
