"""Modules that are slow, in use, remote or SoftHSM by another name, and slots that do not answer."""

from __future__ import annotations

import glob
import os
import shutil
import threading
from pathlib import Path

import pytest
from isolation.child import run

import hwcng
from hwcng import NTSTATUS, CngError
from hwcng.providers.pkcs11 import module as module_layer
from hwcng.providers.pkcs11 import quirks
from hwcng.providers.pkcs11.cryptoki.calls import CFunction
from hwcng.providers.pkcs11.module import Module, load_module
from hwcng.providers.pkcs11.provider import Pkcs11Provider
from hwcng.providers.pkcs11.quirks import logins_race, one_call_at_a_time
from hwcng.providers.pkcs11.store import turns
from hwcng.testing.nss import NssDatabase
from hwcng.testing.softhsm import SoftHsm

DEVICE_ERROR, GENERAL_ERROR, FUNCTION_FAILED, VENDOR, SLOT_ID_INVALID = 0x30, 0x05, 0x06, 0x80000384, 0x03


@pytest.mark.parametrize("rv", [GENERAL_ERROR, DEVICE_ERROR, SLOT_ID_INVALID, VENDOR, FUNCTION_FAILED])
@pytest.mark.parametrize("function", ["C_GetTokenInfo", "C_GetSlotInfo"])
def test_a_slot_that_does_not_answer_blocks_no_other(
    function: str, rv: int, provider: Pkcs11Provider, token_uri: str, token_pin: str, unopened_token_uri: str
) -> None:
    good, uri = provider._current.slot, token_uri.replace("?", ";slot-manufacturer=SoftHSM%20project?")

    def bad(name: str, real: CFunction) -> CFunction:
        return (lambda slot, info: real(slot, info) if slot == good else rv) if name == function else real

    undo = provider.cryptoki.instrument(bad)
    try:
        with hwcng.open_provider(uri, pin=token_pin) as opened:
            assert opened.token == provider.token
        with pytest.raises(CngError, match="does not say which") as caught:
            hwcng.open_provider(unopened_token_uri.replace("?", ";slot-manufacturer=SoftHSM%20project?"), pin=token_pin)
        assert caught.value.status == NTSTATUS.STATUS_NOT_FOUND
    finally:
        undo()


def test_a_slow_module_is_initialised_once_and_holds_up_nobody(
    softhsm: SoftHsm, tmp_path: Path, token_uri: str, token_pin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "slow.so"
    shutil.copy(os.path.realpath(softhsm.module), slow)
    initialises, may_go_on, real = threading.Event(), threading.Event(), Module._call_initialize
    calls: list[str] = []

    def initialize(module: Module) -> int:
        if module.path == str(slow):
            calls.append(module.path)
            initialises.set()
            assert may_go_on.wait(30)
        return real(module)

    monkeypatch.setattr(Module, "_call_initialize", initialize)
    opened: list[Module] = []
    threads = [threading.Thread(target=lambda: opened.append(load_module(str(slow)))) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert initialises.wait(30)
    with hwcng.open_provider(token_uri, pin=token_pin) as other:
        assert len(other.random(8)) == 8
    may_go_on.set()
    for thread in threads:
        thread.join(30)
    assert len(opened) == 2 and opened[0] is opened[1]
    # By its name it is no SoftHSM, so that it began anew when it said what it is.
    assert len(calls) == 2
    assert opened[0]._was_alone


def test_a_token_that_is_not_there_costs_no_other_initialisation(
    softhsm: SoftHsm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module that has just been initialised has nothing else to say, and may take its time to say it again."""
    copy = tmp_path / "softhsm-copy.so"
    shutil.copy(os.path.realpath(softhsm.module), copy)
    calls: list[str] = []
    real = Module._call_initialize
    monkeypatch.setattr(Module, "_call_initialize", lambda module: calls.append(module.path) or real(module))
    with pytest.raises(CngError) as caught:
        hwcng.open_provider(f"pkcs11:token=absent?module-path={copy}", pin="no matter")
    assert caught.value.status == NTSTATUS.STATUS_NOT_FOUND
    assert calls == [str(copy)]


def test_another_slot_without_a_mechanism_list_blocks_no_token(nss_database: NssDatabase, nss_pin: str) -> None:
    """NSS' database takes what its other slot lists."""
    with hwcng.open_provider(nss_database.uri, pin=nss_pin) as opened:
        assert isinstance(opened, Pkcs11Provider)
        good = opened._current.slot

        def bad(name: str, real: CFunction) -> CFunction:
            def call(slot: int, *arguments: object) -> int:
                return real(slot, *arguments) if slot == good else GENERAL_ERROR

            return call if name == "C_GetMechanismList" else real

        undo = opened.cryptoki.instrument(bad)
        try:
            with hwcng.open_provider(nss_database.uri, pin=nss_pin) as second:
                assert len(second.random(8)) == 8
        finally:
            undo()


def test_a_module_is_not_finalised_in_the_middle_of_a_call(
    softhsm: SoftHsm, tmp_path: Path, token_pin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "another.so"
    shutil.copy(os.path.realpath(softhsm.module), copy)
    uri = f"pkcs11:token=hwcng-test?module-path={copy}"
    with hwcng.open_provider(uri, pin=token_pin) as provider:
        assert isinstance(provider, Pkcs11Provider)
        at_work, may_go_on, order = threading.Event(), threading.Event(), []

        def slow(name: str, function: CFunction) -> CFunction:
            def call(*arguments: object) -> int:
                if name == "C_GenerateRandom":
                    at_work.set()
                    assert may_go_on.wait(30)
                if name in ("C_GenerateRandom", "C_Finalize"):
                    order.append(name)
                return function(*arguments)

            return call

        undo = provider.cryptoki.instrument(slow)
        thread = threading.Thread(target=lambda: provider.random(8))
        thread.start()
        assert at_work.wait(30)
        provider._current._lose()
        monkeypatch.setattr(module_layer, "CALLS_SECONDS", 0.05)
        with pytest.raises(CngError, match="under way") as caught:
            provider.module.revive(anew=True)
        assert caught.value.status == NTSTATUS.STATUS_DEVICE_BUSY
        assert order == []
        may_go_on.set()
        thread.join(30)
        provider.module.revive(anew=True)
        assert order == ["C_GenerateRandom", "C_Finalize"]
        undo()
        assert len(provider.random(8)) == 8


# --- p11-kit


KILLED = """
from hwcng.testing.p11kit import P11KitServer
from hwcng.contract import EcdsaSpec, PairSpec, Usage
ECDSA = PairSpec("EC", Usage.SIGN, curve="nistP256")
server = P11KitServer(sys.argv[2])
server.start()
os.environ.update(server.environ())
provider = hwcng.open_provider(server.uri(sys.argv[3]), pin=PIN)
named = provider.persist_key(provider.generate_pair(ECDSA), "killed")
stop, seen = threading.Event(), set()
calls = (
    lambda: named.sign_digest(EcdsaSpec(), bytes(32)),
    lambda: provider.generate_pair(ECDSA).destroy(),
    lambda: provider.random(16),
    lambda: provider.open_key("killed"),
)

def use(number):
    while not stop.is_set():
        try:
            calls[number % len(calls)]()
        except CngError as error:
            seen.add(error.status.name)
            time.sleep(0.005)

threads = [threading.Thread(target=use, args=(number,), daemon=True) for number in range(8)]
for thread in threads:
    thread.start()
for turn in range(5):
    time.sleep(0.1)
    server.kill()
    time.sleep(0.05 * (turn % 2))
    server.start()
    end = time.monotonic() + 15
    while True:
        try:
            calls[0]()
            break
        except CngError as error:
            assert time.monotonic() < end, error
            time.sleep(0.01)
stop.set()
for thread in threads:
    thread.join(15)
    assert not thread.is_alive()
provider.delete_key("killed")
provider.close()
server.close()
"""


def test_a_server_that_is_killed_under_threads(softhsm: SoftHsm, p11_kit_uri: str) -> None:
    del p11_kit_uri
    run(KILLED, "", str(softhsm.module), "hwcng-test")


def test_which_modules_take_one_call_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quirks, "P11_KIT_FOLDERS", (str(tmp_path),))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    assert one_call_at_a_time("/usr/lib/pkcs11/p11-kit-client.so", "PKCS#11 Kit")
    assert one_call_at_a_time("/opt/renamed.so", "PKCS#11 Kit")
    assert not one_call_at_a_time("/usr/lib/softhsm/libsofthsm2.so", "SoftHSM")
    (tmp_path / "local.module").write_text("module: softhsm2.so\n# remote: no\n")
    assert not one_call_at_a_time("/usr/lib/libp11-kit.so.0.3.0", "PKCS#11 Kit")
    (tmp_path / "far.module").write_text("remote: unix:path=/run/far\n")
    assert one_call_at_a_time("/usr/lib/libp11-kit.so.0.3.0", "PKCS#11 Kit")


# --- SoftHSM by another name


def test_softhsm_is_known_by_what_it_says() -> None:
    assert logins_race("/usr/lib/softhsm/libsofthsm2.so")
    assert logins_race("SoftHSM project", "SoftHSM v2")
    assert not logins_race("PKCS#11 Kit", "PKCS#11 Kit Proxy Module")


def test_every_path_to_softhsm_takes_turns_at_one_file(
    softhsm: SoftHsm, tmp_path: Path, token_uri: str, token_pin: str, p11_kit_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "vendor-hsm.so"
    shutil.copy(os.path.realpath(softhsm.module), copy)
    held: list[str] = []
    real = turns._lock_file

    def lock_file() -> int | None:
        descriptor = real()
        held.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        return descriptor

    monkeypatch.setattr(turns, "_lock_file", lock_file)
    for uri in (token_uri, f"pkcs11:token=hwcng-test?module-path={copy}", p11_kit_uri):
        # What is behind p11-kit is known after the first look.
        hwcng.open_provider(uri, pin=token_pin).close()
        held.clear()
        hwcng.open_provider(uri, pin=token_pin).close()
        # Looking at the token, and logging in.
        assert len(held) >= 2
        assert {os.path.basename(path) for path in held} == {turns.LOCK_FILE}
        held.clear()


RACING = """
begin = time.monotonic() + 0.2
def work():
    while time.monotonic() < begin:
        pass
    return len(hwcng.open_provider(URI, pin=PIN).random(4))
pids = []
for _ in range(4):
    if (pid := os.fork()) == 0:
        try:
            os._exit(0 if work() == 4 else 1)
        except BaseException as error:
            print(error, file=sys.stderr, flush=True)
            os._exit(1)
    pids.append(pid)
assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * 4
"""


@pytest.mark.parametrize("path", ["renamed", "proxy"])
def test_processes_that_log_in_at_once_by_another_path(
    path: str, softhsm: SoftHsm, tmp_path: Path, p11_kit_server: object
) -> None:
    copy = tmp_path / "vendor-hsm.so"
    shutil.copy(os.path.realpath(softhsm.module), copy)
    proxies = glob.glob("/usr/lib/*/p11-kit-proxy.so")
    module = copy if path == "renamed" or not proxies else proxies[0]
    for _ in range(5):
        run(RACING, f"pkcs11:token=hwcng-test?module-path={module}")
