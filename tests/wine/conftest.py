"""Fixtures of the tests against Wine's DLLs, which run with `scripts/test --wine` (pytest's option --wine)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from conformance.tokens import *  # noqa: F403

if TYPE_CHECKING:
    from wine.peer import Wine
    from wine.wine_advapi32 import WineAdvapi32
    from wine.wine_bcrypt import WineBcrypt


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Without --wine none of these tests is collected, unless its file is named."""
    return None if config.getoption("wine") else True


@pytest.fixture(scope="session")
def wine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wine]:
    from wine.peer import Wine

    running = Wine(tmp_path_factory.mktemp("wine"))
    yield running
    running.close()


@pytest.fixture(scope="session")
def bcrypt_dll(wine: Wine) -> Iterator[WineBcrypt]:
    from wine.wine_bcrypt import WineBcrypt

    peer = WineBcrypt(wine)
    yield peer
    peer.close()


@pytest.fixture(scope="session")
def advapi32_dll(wine: Wine) -> Iterator[WineAdvapi32]:
    from wine.wine_advapi32 import WineAdvapi32

    peer = WineAdvapi32(wine)
    yield peer
    peer.close()
