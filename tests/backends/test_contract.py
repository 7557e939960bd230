"""Every backend of hwcng keeps the contract that it publishes for others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import missing

from hwcng.testing.contract import BackendContract, TokenUnderTest

if TYPE_CHECKING:
    from hwcng.testing.nss import NssDatabase
    from hwcng.testing.swtpm import Swtpm


@pytest.fixture(scope="module")
def tpm() -> Iterator[Swtpm]:
    from hwcng.testing.swtpm import Swtpm, SwtpmError

    try:
        tpm = Swtpm()
    except SwtpmError:
        missing("swtpm")
    with tpm:
        yield tpm


class TestSoftHsm(BackendContract):
    @pytest.fixture
    def token(self, token_uri: str, token_pin: str) -> TokenUnderTest:
        return TokenUnderTest(token_uri, token_pin)


class TestNss(BackendContract):
    @pytest.fixture
    def token(
        self, nss_database: NssDatabase, nss_pin: str, tmp_path_factory: pytest.TempPathFactory
    ) -> TokenUnderTest:
        pin_file: Path = tmp_path_factory.mktemp("nss-pin") / "pin"
        pin_file.write_text(nss_pin)
        return TokenUnderTest(f"{nss_database.uri}&pin-source=file:{pin_file}")


class TestCurrentNss(BackendContract):
    """ML-DSA, ML-KEM."""

    @pytest.fixture
    def token(self, nss_current_database: NssDatabase, nss_pin: str) -> TokenUnderTest:
        return TokenUnderTest(nss_current_database.uri, lambda: nss_pin)


class TestSwtpm(BackendContract):
    @pytest.fixture
    def token(self, tpm: Swtpm) -> TokenUnderTest:
        return TokenUnderTest(tpm.uri)
