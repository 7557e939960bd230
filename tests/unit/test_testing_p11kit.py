"""hwcng.testing.p11kit: a module behind `p11-kit server`, and what hwcng makes of a server that dies."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import TOKEN, TOKEN_PIN
from isolation.child import run
from support import missing

from hwcng.testing import p11kit
from hwcng.testing.p11kit import P11KitError, P11KitServer, find_client
from hwcng.testing.softhsm import SoftHsm

DEATH = """
import os
from hwcng.testing.p11kit import P11KitServer

def away(call):
    fails(NTSTATUS.STATUS_DEVICE_NOT_CONNECTED, call)

with P11KitServer(sys.argv[1], {"SOFTHSM2_CONF": os.environ["SOFTHSM2_CONF"]}) as server:
    os.environ.update(server.environ())
    URI = server.uri(TOKEN)
    first, second = open_token(), open_token()
    keys = [ec_key(first), ec_key(second)]
    for key in keys:
        assert len(BCryptSignHash(key, None, bytes(32))) == 64
    server.kill()
    away(lambda: BCryptSignHash(keys[0], None, bytes(32)))
    for _ in range(2):
        away(lambda: first.random(8))
        fails(NTSTATUS.STATUS_INVALID_DEVICE_STATE, lambda: BCryptSignHash(keys[0], None, bytes(32)), "lost")
    server.start()
    # The other connection, which has not noticed, is lost with the first, so that its handles mean nobody else's.
    for provider in (first, second, first):
        assert len(provider.random(8)) == 8
        ec_key(provider)
        fails(NTSTATUS.STATUS_INVALID_DEVICE_STATE, lambda: BCryptSignHash(keys[1], None, bytes(32)), "lost")
print("done")
"""

LATE = """
import os
from hwcng.testing.p11kit import P11KitServer

server = P11KitServer(sys.argv[1], {"SOFTHSM2_CONF": os.environ["SOFTHSM2_CONF"]})
os.environ.update(server.environ())
URI = server.uri(TOKEN)
fails(NTSTATUS.STATUS_NOT_FOUND, open_token, "no token")
with server, open_token() as token:
    assert len(token.random(8)) == 8
print("done")
"""


@pytest.fixture(scope="module", autouse=True)
def _p11_kit() -> None:
    if shutil.which("p11-kit") is None:
        missing("command:p11-kit")
    try:
        find_client()
    except P11KitError:
        missing("p11-kit-client")


@pytest.mark.parametrize("program", [DEATH, LATE], ids=["death", "late"])
def test_a_server_that_is_not_there(softhsm: SoftHsm, program: str) -> None:
    """A clear error while it is away, and a new connection when it is back, for every provider on it."""
    assert "done" in run(f"TOKEN = {TOKEN!r}\n{program}", str(softhsm.module))


def test_an_application_reaches_it(softhsm: SoftHsm) -> None:
    with P11KitServer(softhsm.module, softhsm.environ()) as server:
        assert server.uri(TOKEN) == f"pkcs11:token={TOKEN}?module-path={find_client()}"
        program = "import hwcng, sys; print(hwcng.open_provider(sys.argv[1], pin=sys.argv[2]).token.label)"
        child = subprocess.run(
            [sys.executable, "-c", program, server.uri(TOKEN), TOKEN_PIN],
            env={**os.environ, **server.environ(), "PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            check=True,
        )
        assert child.stdout.strip() == TOKEN
        directory, pid = server.directory, server.pid
    assert not directory.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(P11KitError, match="not running"):
        _ = server.pid
    server.kill()


def test_a_restart_keeps_the_address(softhsm: SoftHsm, tmp_path: Path) -> None:
    place = tmp_path / "s"
    if len(str(place)) > 90:
        place = Path(os.path.relpath(place))
    server = P11KitServer(softhsm.module, softhsm.environ(), directory=place)
    with server:
        address, pid = server.environ(), server.pid
        server.restart()
        assert server.environ() == address
        assert server.pid != pid
    assert place.exists()


def test_a_module_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(p11kit, "_READY_SECONDS", 0.0)
    with pytest.raises(P11KitError, match="did not start for"), P11KitServer(tmp_path / "absent.so"):
        pass


def test_where_p11_kit_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = tmp_path / "p11-kit-client.so"
    monkeypatch.setenv("P11_KIT_CLIENT", str(named))
    with pytest.raises(P11KitError, match="P11_KIT_CLIENT names"):
        find_client()
    named.touch()
    assert find_client() == named
    monkeypatch.delenv("P11_KIT_CLIENT")
    monkeypatch.setattr(p11kit, "_CLIENT_PLACES", ())
    with pytest.raises(P11KitError, match="apt-get install p11-kit p11-kit-modules"):
        find_client()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(P11KitError, match="p11-kit is not installed"), P11KitServer(named):
        pass
