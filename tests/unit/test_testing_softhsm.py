"""hwcng.testing: throw-away SoftHSM tokens, the call counter and the fault injector."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from hwcng.testing import _provisioning
from hwcng.testing import softhsm as softhsm_module
from hwcng.testing.calls import CallCounter
from hwcng.testing.faults import FaultInjector
from hwcng.testing.softhsm import SoftHsmError, TokenRequest, find_module, provision

ROOT = Path(__file__).parents[2]
PIN = "pin-of-the-user"
SO_PIN = "pin-of-the-officer"
CKR_DEVICE_ERROR = 0x30


def one_token(directory, label="one"):
    return provision(directory, [TokenRequest(label, PIN)], SO_PIN)


def test_session_tokens_include_two_of_one_label(softhsm):
    labels = [token.label for token in softhsm.tokens]
    assert labels == ["hwcng-test", "hwcng-other", "hwcng-twin", "hwcng-twin", "hwcng-unopened"]
    assert len({token.serial for token in softhsm.tokens}) == 5
    assert os.environ["SOFTHSM2_CONF"] == str(softhsm.conf)


def test_uri_is_percent_encoded_and_holds_no_pin(tmp_path):
    made = one_token(tmp_path, label="ä b/c;?")
    assert made.uri("ä b/c;?") == f"pkcs11:token=%C3%A4%20b%2Fc%3B%3F?module-path={find_module()}"
    with pytest.raises(KeyError, match="no token 'two'"):
        made.uri("two")


@pytest.mark.requires("command:pkcs11-tool")
@pytest.mark.parametrize(("pin", "accepted"), [(PIN, True), ("another-pin", False)])
def test_token_accepts_its_pin_alone(tmp_path, pin, accepted):
    made = one_token(tmp_path)
    tool = ["pkcs11-tool", "--module", str(made.module), "--token-label", "one", "--login", "--pin", "env:TEST_PIN"]
    environ = {**os.environ, **made.environ(), "TEST_PIN": pin}
    listed = subprocess.run([*tool, "--list-objects"], env=environ, capture_output=True, check=False)
    assert (listed.returncode == 0) is accepted


def test_second_provision_keeps_the_token(tmp_path):
    first = one_token(tmp_path)
    conf = first.conf.stat()
    second = provision(tmp_path, [TokenRequest("one", "some-other-pin")], "some-other-so-pin")
    assert [token.created for token in first.tokens] == [True]
    assert [token.created for token in second.tokens] == [False]
    assert first.tokens[0].serial == second.tokens[0].serial
    assert conf.st_mtime_ns == second.conf.stat().st_mtime_ns


def test_two_of_a_label_add_to_the_one_that_is_there(tmp_path):
    first = one_token(tmp_path)
    twins = provision(tmp_path, [TokenRequest("one", PIN), TokenRequest("one", PIN)], SO_PIN)
    assert [token.created for token in twins.tokens] == [False, True]
    assert twins.tokens[0].serial == first.tokens[0].serial != twins.tokens[1].serial


def test_token_left_without_a_user_pin_is_finished(tmp_path):
    made = one_token(tmp_path)
    begin = (
        "import sys; from hwcng.testing._init_softhsm_token import TokenModule, make;"
        "module = TokenModule(sys.argv[1]);"
        "module.call('C_Initialize', None); make(module, 'half', sys.argv[2].encode()); module.call('C_Finalize', None)"
    )
    environ = {**os.environ, **made.environ(), "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", begin, made.module, SO_PIN], env=environ, check=True)
    assert [token.created for token in one_token(tmp_path, label="half").tokens] == [True]
    assert [token.created for token in one_token(tmp_path, label="half").tokens] == [False]


def test_provisioning_at_the_same_time_makes_one_token(tmp_path):
    with ThreadPoolExecutor(3) as pool:
        made = list(pool.map(one_token, [tmp_path] * 3))
    assert len({each.tokens[0].serial for each in made}) == 1
    assert sum(each.tokens[0].created for each in made) == 1


def test_pins_are_neither_arguments_nor_environment(tmp_path, monkeypatch):
    child = {}
    real_run = subprocess.run

    def run(command, **keywords):
        child.update(command=command, **keywords)
        return real_run(command, **keywords)

    monkeypatch.setattr(_provisioning.subprocess, "run", run)
    one_token(tmp_path)
    for pin in (PIN, SO_PIN):
        assert pin.encode() in child["input"]
        assert not any(pin in argument for argument in child["command"])
        assert pin not in child["env"].values()
    assert PIN not in repr(TokenRequest("one", PIN))


def test_files_are_for_their_owner_only(tmp_path):
    made = one_token(tmp_path / "new")
    paths = [tmp_path / "new", *(tmp_path / "new" / "tokens").rglob("*")]
    assert len(paths) > 3
    assert not [path for path in paths if stat.S_IMODE(path.stat().st_mode) & 0o077]
    assert f"directories.tokendir = {made.conf.parent / 'tokens'}\n" in made.conf.read_text()


@pytest.mark.parametrize("label", ["", "x" * 33, "ä" * 17, "blank "])
def test_bad_label_is_refused(tmp_path, label):
    with pytest.raises(ValueError, match="a label has 1 to 32 bytes"):
        one_token(tmp_path, label=label)


@pytest.mark.parametrize("pin", ["123", "x" * 256])
def test_bad_pin_is_refused_and_not_shown(tmp_path, pin):
    with pytest.raises(ValueError, match="4 to 255 bytes") as user:
        provision(tmp_path, [TokenRequest("one", pin)], SO_PIN)
    with pytest.raises(ValueError, match="4 to 255 bytes") as officer:
        provision(tmp_path, [TokenRequest("one", PIN)], pin)
    assert pin not in str(user.value) + str(officer.value)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a=b", "a#b", "a\nb", "x" * 1100])
def test_directory_that_the_configuration_cannot_hold_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match=r"softhsm2\.conf cannot hold this path"):
        one_token(tmp_path / name)
    assert not any(tmp_path.iterdir())


def test_module_is_found_by_environment_or_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(softhsm_module, "_USUAL_PLACES", ())
    with pytest.raises(SoftHsmError, match="apt-get install softhsm2"):
        find_module()
    monkeypatch.setenv("SOFTHSM2_MODULE", str(tmp_path / "none.so"))
    with pytest.raises(SoftHsmError, match=r"names .*none\.so, which is no file"):
        find_module()
    (tmp_path / "none.so").touch()
    assert find_module() == tmp_path / "none.so"


def test_failure_names_the_call_and_no_pin(tmp_path, monkeypatch):
    (tmp_path / "tokens").touch()
    with pytest.raises(FileExistsError):
        one_token(tmp_path)
    (tmp_path / "tokens").unlink()
    (tmp_path / "false.so").write_text("no module")
    monkeypatch.setenv("SOFTHSM2_MODULE", str(tmp_path / "false.so"))
    with pytest.raises(SoftHsmError, match=r"false\.so cannot be loaded") as refused:
        one_token(tmp_path)
    assert PIN not in str(refused.value)
    assert SO_PIN not in str(refused.value)


def test_wrong_officer_pin_is_reported(tmp_path):
    made = one_token(tmp_path)
    begin = (
        "import sys; from hwcng.testing._init_softhsm_token import TokenModule, make;"
        "module = TokenModule(sys.argv[1]);"
        "module.call('C_Initialize', None); make(module, 'half', b'the-first'); module.call('C_Finalize', None)"
    )
    environ = {**os.environ, **made.environ(), "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", begin, made.module], env=environ, check=True)
    with pytest.raises(SoftHsmError, match="C_Login failed with CKR 0xa0"):
        one_token(tmp_path, label="half")


def test_child_that_dies_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(_provisioning.sys, "executable", "/bin/false")
    with pytest.raises(SoftHsmError, match="ended with 1 and said: nothing"):
        one_token(tmp_path)


def run_script(*arguments, **environ):
    command = [sys.executable, ROOT / "softhsm" / "provision", *arguments]
    return subprocess.run(command, env={**os.environ, **environ}, capture_output=True, text=True, check=False)


def test_script_makes_a_token_and_keeps_it(tmp_path):
    first = run_script(tmp_path / "d", "--label", "a b")
    pin_file = tmp_path / "d" / "a b.pin"
    conf, uri = first.stdout.splitlines()
    assert conf == f"SOFTHSM2_CONF={tmp_path}/d/softhsm2.conf"
    source = f"{tmp_path}/d/a%20b.pin"
    assert uri == f"pkcs11:token=a%20b?module-path={find_module()}&pin-source=file:{source}"
    assert stat.S_IMODE(pin_file.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "d" / "a b.so-pin").stat().st_mode) == 0o600
    pin = pin_file.read_text()
    second = run_script(tmp_path / "d", "--label", "a b")
    assert second.stdout == first.stdout
    assert "already there and was kept" in second.stderr
    assert pin_file.read_text() == pin


def test_script_takes_pins_from_a_file_and_the_environment(tmp_path):
    (tmp_path / "pin").write_text(PIN + "\n")
    sources = ["--pin-source", f"file:{tmp_path}/pin", "--so-pin-source", "env:OFFICER"]
    made = run_script(tmp_path / "d", "--label", "one", *sources, OFFICER=SO_PIN)
    assert made.stdout.endswith(f"&pin-source=file:{tmp_path}/pin\n")
    assert not [*(tmp_path / "d").glob("*pin")]
    sources = ["--pin-source", "env:USER_PIN", "--so-pin-source", "env:OFFICER"]
    kept = run_script(tmp_path / "d", "--label", "one", *sources, OFFICER=SO_PIN, USER_PIN=PIN)
    assert "pin-source" not in kept.stdout


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("123456", "a PIN's source is file:PATH or env:NAME"),
        ("file:", "a PIN's source is file:PATH or env:NAME"),
        ("file:/nowhere/at/all", "No such file"),
        ("env:HWCNG_UNSET", "the environment has no HWCNG_UNSET"),
    ],
)
def test_script_refuses_a_bad_source_and_leaves_no_pin_behind(tmp_path, source, message):
    refused = run_script(tmp_path, "--label", "one", "--pin-source", source)
    assert refused.returncode == 1
    assert message in refused.stderr
    assert not refused.stdout
    assert not any(tmp_path.iterdir())


class FakeCryptoki:
    """`instrument` as hwcng's cryptoki has it, round functions that return 0."""

    def __init__(self):
        self.instruments = []
        self.served = []

    def instrument(self, instrument):
        self.instruments.append(instrument)
        return lambda: self.instruments.remove(instrument)

    def call(self, name, *args):
        def function(*args):
            self.served.append(name)
            return 0

        for instrument in self.instruments:
            function = instrument(name, function)
        return function(*args)


@pytest.fixture
def fake():
    return SimpleNamespace(cryptoki=FakeCryptoki())


def test_counter_records_names_and_mechanisms(fake):
    with CallCounter(fake) as counter:
        fake.cryptoki.call("C_EncryptInit", 1, SimpleNamespace(mechanism=0x1087), 2)
        fake.cryptoki.call("C_SignInit", 1, None, 2)
        fake.cryptoki.call("C_Encrypt", 1, SimpleNamespace(mechanism=5))
        with pytest.raises(RuntimeError):
            counter.__enter__()
    fake.cryptoki.call("C_Encrypt", 1)
    assert counter.names == ["C_EncryptInit", "C_SignInit", "C_Encrypt"]
    assert counter.total == 3
    assert counter.mechanisms == [0x1087]
    counter.clear()
    assert counter.names == counter.mechanisms == []


def test_the_counter_tells_an_operation_from_the_sessions_it_needs(fake):
    with CallCounter(fake) as counter:
        for name in ("C_OpenSession", "C_GetSessionInfo", "C_GenerateKey", "C_CloseSession"):
            fake.cryptoki.call(name, 1)
    assert counter.asked == ["C_GetSessionInfo", "C_GenerateKey"]
    assert len(counter.names) == 4


def test_counter_counts_every_thread(fake):
    def work():
        for _ in range(500):
            fake.cryptoki.call("C_GenerateRandom", 1)

    with CallCounter(fake) as counter:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert counter.total == 2000


def test_fault_hits_the_nth_call_before_or_after_it(fake):
    with FaultInjector(fake) as faults:
        faults.fail("C_Sign", CKR_DEVICE_ERROR, nth=2).fail("C_Sign", 5, nth=3, after=True)
        assert [fake.cryptoki.call("C_Sign") for _ in range(4)] == [0, CKR_DEVICE_ERROR, 5, 0]
        assert fake.cryptoki.served == ["C_Sign"] * 3
        assert fake.cryptoki.call("C_SignInit") == 0
        assert faults.injected == 2
        with pytest.raises(RuntimeError):
            faults.__enter__()


def test_fault_hits_every_call_until_cleared(fake):
    with FaultInjector(fake) as faults:
        faults.fail("C_Sign", CKR_DEVICE_ERROR)
        assert [fake.cryptoki.call("C_Sign") for _ in range(3)] == [CKR_DEVICE_ERROR] * 3
        faults.clear()
        assert fake.cryptoki.call("C_Sign") == 0
        faults.fail("C_Sign", CKR_DEVICE_ERROR)
    assert fake.cryptoki.call("C_Sign") == 0
    with pytest.raises(ValueError, match="counts from 1"):
        faults.fail("C_Sign", 1, nth=0)
