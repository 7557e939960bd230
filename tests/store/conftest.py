"""Tokens that keep keys: SoftHSM, and NSS with a database where the tests of tokens provide one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import pytest
from support import missing, needs_module

if TYPE_CHECKING:
    from pathlib import Path

    from store.roads import Walker

    from hwcng.providers.pkcs11.provider import Pkcs11Provider
    from hwcng.providers.tpm2.provider import Tpm2Provider
    from hwcng.testing.swtpm import Swtpm

NAMES = (
    "a name",
    "../../etc/passwd",
    ".hidden",
    "dir/with/slashes",
    "a.b.c",
    "ключ 鍵 🔑",
    "e\u0301",
    "\u00e9",
    "x" * 512,
)


class KeepingToken(NamedTuple):
    uri: str
    pin: str


@pytest.fixture(scope="session", params=["softhsm", "nss-db"])
def keeping_token(request: pytest.FixtureRequest) -> KeepingToken:
    if request.param == "softhsm":
        return KeepingToken(request.getfixturevalue("token_uri"), request.getfixturevalue("token_pin"))
    try:
        database = request.getfixturevalue("nss_database")
    except pytest.FixtureLookupError:
        missing("NSS database")
    return KeepingToken(database.uri, request.getfixturevalue("nss_pin"))


@pytest.fixture
def keeper(keeping_token: KeepingToken) -> Iterator[Pkcs11Provider]:
    """A provider of this test's own on a token that keeps keys; what it keeps is removed at the end."""
    import hwcng

    with hwcng.open_provider(keeping_token.uri, pin=keeping_token.pin) as opened:
        objects_of(opened, destroy=True)  # type: ignore[arg-type]
        yield opened  # type: ignore[misc]
        objects_of(opened, destroy=True)  # type: ignore[arg-type]


@pytest.fixture
def softhsm_keeper(token_uri: str, token_pin: str) -> Iterator[Pkcs11Provider]:
    """The same on SoftHSM."""
    import hwcng

    with hwcng.open_provider(token_uri, pin=token_pin) as opened:
        objects_of(opened, destroy=True)  # type: ignore[arg-type]
        yield opened  # type: ignore[misc]
        objects_of(opened, destroy=True)  # type: ignore[arg-type]


@pytest.fixture
def walker(softhsm_keeper: Pkcs11Provider, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Walker:
    """For whom nothing is waited, nor for anybody: no other process has this token."""
    from store.roads import Walker

    from hwcng.providers.pkcs11 import losses
    from hwcng.providers.pkcs11.store import key_store, turns

    monkeypatch.setattr(turns, "LOCK_FOLDERS", (str(tmp_path),))
    monkeypatch.setattr(key_store, "SHORTEST_PAUSE_SECONDS", 0)
    monkeypatch.setattr(losses, "TOKEN_PAUSE_SECONDS", 0)
    return Walker(softhsm_keeper)


@pytest.fixture
def another(keeping_token: KeepingToken) -> Iterator[Callable[[], Pkcs11Provider]]:
    """More providers on the same token."""
    import hwcng

    opened = []

    def open_another() -> Pkcs11Provider:
        opened.append(hwcng.open_provider(keeping_token.uri, pin=keeping_token.pin))
        return opened[-1]  # type: ignore[return-value]

    yield open_another
    for provider in opened:
        provider.close()


def objects_of(provider: Pkcs11Provider, name: str | None = None, *, destroy: bool = False) -> list[int]:
    """Handles of the token objects of a name, or of all."""
    from pkcs11 import Attribute

    from hwcng.providers.pkcs11 import objects

    connection = provider._connection
    template = {Attribute.TOKEN: True} | ({Attribute.LABEL: name} if name is not None else {})
    handles = objects.find(connection, template, 4096)
    for handle in handles if destroy else ():
        with connection.owning() as session:
            assert connection.cryptoki.C_DestroyObject(session.handle, handle) == 0
    return handles


@pytest.fixture(scope="session")
def swtpm() -> Iterator[Swtpm]:
    """A software TPM for the tests of its store."""
    if shutil.which("swtpm") is None:
        missing("command:swtpm")
    needs_module("tpm2_pytss")
    from hwcng.testing.swtpm import Swtpm

    with Swtpm() as running:
        yield running


@pytest.fixture
def tpm_uri(swtpm: Swtpm) -> Iterator[str]:
    """The TPM with an empty store."""
    yield swtpm.uri
    shutil.rmtree(swtpm.directory / "store" / "keys", ignore_errors=True)


@pytest.fixture
def tpm_keeper(tpm_uri: str) -> Iterator[Tpm2Provider]:
    import hwcng

    with hwcng.open_provider(tpm_uri) as opened:
        yield opened  # type: ignore[misc]
