"""Fixtures of the tests with other libraries: keys in tokens, and the record of what ran."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import TYPE_CHECKING

import pytest
from ecosystem.keys import (
    KINDS,
    PROGRAMS,
    HeldKey,
    Place,
    made_by_hwcng,
    made_by_pkcs11_tool,
    made_by_tpm2_tools,
    opened,
)
from support import missing, needs_module

if TYPE_CHECKING:
    from hwcng.contract.provider import Provider
    from hwcng.testing.softhsm import SoftHsm
    from hwcng.testing.swtpm import Swtpm


@pytest.fixture(scope="session")
def tpm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swtpm]:
    """With the keys of tpm2-tools, which need its slots, before hwcng does."""
    import hwcng
    from hwcng.testing.swtpm import Swtpm, SwtpmError

    needs_module("tpm2_pytss")
    try:
        running = Swtpm().__enter__()
    except SwtpmError:
        missing("command:swtpm")
    hwcng.open_provider(running.uri).close()
    if shutil.which(PROGRAMS["tpm2-tools"]):
        for kind in filter(lambda kind: KINDS[kind].of_tpm2_tools, KINDS):
            made_by_tpm2_tools(running, tmp_path_factory.mktemp("tpm2-tools"), kind)
    yield running
    running.close()


@pytest.fixture(scope="session")
def tpm_provider(tpm: Swtpm) -> Iterator[Provider]:
    import hwcng

    with hwcng.open_provider(tpm.uri) as opened:
        yield opened


@pytest.fixture(scope="session")
def softhsm_provider(other_token_uri: str, other_token_pin: str) -> Iterator[Provider]:
    """A token that no test empties: its keys stay for as long as the tests."""
    import hwcng

    with hwcng.open_provider(other_token_uri, pin=other_token_pin) as opened:
        yield opened


@pytest.fixture(scope="session")
def held_at(
    request: pytest.FixtureRequest, softhsm: SoftHsm, other_token_pin: str
) -> Iterator[Callable[[Place], HeldKey]]:
    """Makes the key of a place once, when a test first asks for it: the tests come in any order."""
    from conftest import OTHER_TOKEN

    with ExitStack() as kept:

        @cache
        def held(place: Place) -> HeldKey:
            token, kind, maker = place
            provider = request.getfixturevalue("softhsm_provider" if token == "SoftHSM" else "tpm_provider")
            if maker == "hwcng":
                with made_by_hwcng(provider, kind) as fresh:
                    # Under a name it outlives the loss of a session. It goes with the tests' own token.
                    return HeldKey(*place, fresh.persist(f"{kind} of hwcng", replace=True))
            if shutil.which(PROGRAMS[maker]) is None:
                missing(f"command:{PROGRAMS[maker]}")
            if maker == "pkcs11-tool":
                name = kept.enter_context(made_by_pkcs11_tool(softhsm, OTHER_TOKEN, other_token_pin, kind))
            else:
                name = f"handle:{KINDS[kind].handle}"
            return HeldKey(*place, opened(provider, name))

        yield held


@pytest.fixture
def held(request: pytest.FixtureRequest, held_at: Callable[[Place], HeldKey]) -> HeldKey:
    """The key of a place in PLACES, which the test names."""
    return held_at(request.param)
