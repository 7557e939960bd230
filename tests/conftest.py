"""The session's SoftHSM tokens, providers on them, and the ledger of rows and capabilities.

hwcng itself is imported within the fixtures, so that a test of one module does not need all of them.
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from support import LIBRARIES_THAT_RAN, PLUGIN_NAME, TOOLS_THAT_RAN, Ledger, missing, require

if TYPE_CHECKING:
    from hwcng.contract.provider import Provider
    from hwcng.testing.calls import CallCounter
    from hwcng.testing.nss import NssDatabase
    from hwcng.testing.p11kit import P11KitServer
    from hwcng.testing.softhsm import SoftHsm

# A machine that is busy is no fault of an example.
settings.register_profile("no clocks", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("no clocks")

TOKEN = "hwcng-test"
TOKEN_PIN = "1234-user"
OTHER_TOKEN = "hwcng-other"
OTHER_TOKEN_PIN = "5678-user"
TWIN_TOKEN = "hwcng-twin"
UNOPENED_TOKEN = "hwcng-unopened"
SO_PIN = "so-1234-officer"
NSS_PIN = "1234-nss"
REMOTE_TOKEN = "hwcng-remote"
CURRENT_NSS_SECONDS = 120
MEMORY = "/dev/shm"
MEMORY_BYTES = 1 << 30
"""What must be free there."""

# A project of its own, which tests/unit/test_plugin.py runs.
collect_ignore = ["downstream"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--wine", action="store_true", help="also run tests/wine, against the DLLs of Wine")
    parser.addoption(
        "--write-docs", action="store_true", help="make docs/{conformance,ecosystem,tools}.md from what runs"
    )
    parser.addoption(
        "--beside", action="store_true", help="with --write-docs: tokens of other versions get columns of their own"
    )


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if session.config.getoption("--write-docs") and exitstatus == pytest.ExitCode.OK:
        from conformance import report

        if seen := session.config.stash[report.RESULTS]:
            report.save(seen, session.config.getoption("--beside"))
        if ran := session.config.stash[LIBRARIES_THAT_RAN]:
            from ecosystem.report import save

            save(ran)
        if used := session.config.stash[TOOLS_THAT_RAN]:
            from tools.report import save as save_tools

            save_tools(used)


def pytest_collection_finish() -> None:
    # Tests that collect garbage need not look through all that collecting the tests made.
    gc.collect()
    gc.freeze()


def holds_tokens(folder: str) -> bool:
    """Whether tokens and programs of the tests have room there."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return False
    room = found.f_bavail * found.f_frsize >= MEMORY_BYTES
    return room and not found.f_flag & os.ST_NOEXEC and os.access(folder, os.W_OK | os.X_OK)


def uncovered() -> None:
    """What hands the tests out runs none of them, and is slow where each of its lines is told."""
    if "coverage" in sys.modules:
        from coverage import Coverage

        if (looking := Coverage.current()) is not None:
            looking.stop()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    from conformance import report

    # Tokens wait for the disk at each object that they store.
    if "TMPDIR" not in os.environ and holds_tokens(MEMORY):
        os.environ["TMPDIR"] = tempfile.tempdir = MEMORY
    if config.getoption("numprocesses", None):
        uncovered()
    config.pluginmanager.register(Ledger(), PLUGIN_NAME)
    config.stash[report.RESULTS] = {}
    config.stash[LIBRARIES_THAT_RAN] = {}
    config.stash[TOOLS_THAT_RAN] = {}


@pytest.fixture(scope="session", autouse=True)
def softhsm(tmp_path_factory: pytest.TempPathFactory) -> SoftHsm:
    """Five tokens, two of one label. SOFTHSM2_CONF names them before any C_Initialize."""
    from hwcng.testing.softhsm import TokenRequest, provision

    requests = [
        TokenRequest(TOKEN, TOKEN_PIN),
        TokenRequest(OTHER_TOKEN, OTHER_TOKEN_PIN),
        TokenRequest(TWIN_TOKEN, TOKEN_PIN),
        TokenRequest(TWIN_TOKEN, TOKEN_PIN),
        TokenRequest(UNOPENED_TOKEN, OTHER_TOKEN_PIN),
    ]
    provisioned = provision(tmp_path_factory.mktemp("softhsm"), requests, SO_PIN)
    # Left set at the end: a module that is finalised late still reads it.
    os.environ.update(provisioned.environ())
    return provisioned


@pytest.fixture(scope="session")
def token_uri(softhsm: SoftHsm) -> str:
    return softhsm.uri(TOKEN)


@pytest.fixture(scope="session")
def token_pin() -> str:
    return TOKEN_PIN


@pytest.fixture(scope="session")
def other_token_uri(softhsm: SoftHsm) -> str:
    return softhsm.uri(OTHER_TOKEN)


@pytest.fixture(scope="session")
def other_token_pin() -> str:
    return OTHER_TOKEN_PIN


@pytest.fixture(scope="session")
def unopened_token_uri(softhsm: SoftHsm) -> str:
    """A token that no other fixture logs in to; its PIN is `other_token_pin`."""
    return softhsm.uri(UNOPENED_TOKEN)


@pytest.fixture(scope="session")
def twin_token_uri(softhsm: SoftHsm) -> str:
    """Fits two tokens."""
    return softhsm.uri(TWIN_TOKEN)


@pytest.fixture(scope="session")
def nss_database(tmp_path_factory: pytest.TempPathFactory) -> NssDatabase:
    """The database of the system's NSS, and the crypto services beside it. A process has one, so all tests share it."""
    from hwcng.testing import nss

    try:
        module = nss.find_module()
    except nss.NssError:
        missing("NSS softokn")
    return nss.provision(tmp_path_factory.mktemp("nss"), NSS_PIN, label="hwcng-nss", module=module)


@pytest.fixture(scope="session")
def nss_current_database(tmp_path_factory: pytest.TempPathFactory) -> NssDatabase:
    """The same of a current NSS."""
    from hwcng.testing import nss

    try:
        module = nss.current_nss(seconds=CURRENT_NSS_SECONDS)
    except nss.NssError:
        missing("a current NSS (ML-DSA, ML-KEM)")
    return nss.provision(tmp_path_factory.mktemp("nss-current"), NSS_PIN, label="hwcng-nss-current", module=module)


@pytest.fixture(scope="session")
def nss_pin() -> str:
    return NSS_PIN


@pytest.fixture(scope="session")
def p11_kit_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[P11KitServer]:
    """A SoftHSM token behind p11-kit, its PIN `token_pin`; this process reaches this server and no other."""
    from hwcng.testing.p11kit import P11KitError, P11KitServer
    from hwcng.testing.softhsm import TokenRequest, provision

    served = provision(tmp_path_factory.mktemp("p11-kit"), [TokenRequest(REMOTE_TOKEN, TOKEN_PIN)], SO_PIN)
    try:
        server = P11KitServer(served.module, served.environ()).start()
    except P11KitError:
        missing("p11-kit")
    os.environ.update(server.environ())
    yield server
    server.close()


@pytest.fixture(scope="session")
def p11_kit_uri(p11_kit_server: P11KitServer) -> str:
    return p11_kit_server.uri(REMOTE_TOKEN)


@pytest.fixture(scope="session")
def provider(token_uri: str, token_pin: str) -> Iterator[Provider]:
    import hwcng

    with hwcng.open_provider(token_uri, pin=token_pin) as opened:
        yield opened


@pytest.fixture
def fresh_provider(token_uri: str, token_pin: str) -> Iterator[Provider]:
    """A provider of this test's own, which it may close or break."""
    import hwcng

    with hwcng.open_provider(token_uri, pin=token_pin) as opened:
        yield opened


@pytest.fixture
def calls(request: pytest.FixtureRequest) -> Callable[..., CallCounter]:
    """`with calls() as counter:` counts the C_ calls of the session's provider; `calls(other)` those of another one."""
    from hwcng.testing.calls import CallCounter

    def counter(of: Provider | None = None) -> CallCounter:
        return CallCounter(of if of is not None else request.getfixturevalue("provider"))

    return counter


@pytest.fixture(autouse=True)
def _required_capabilities(request: pytest.FixtureRequest) -> None:
    for marker in request.node.iter_markers("requires"):
        for capability in marker.args:
            require(request, capability)
