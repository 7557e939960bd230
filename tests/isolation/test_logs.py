"""What `logging` is told below "hwcng": every event with its fields, never a PIN or key byte, and nothing unasked."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import needs_module

import hwcng
from hwcng import CngError, tracing
from hwcng.contract.specs import EcdsaSpec, HmacSpec, PairSpec, SecretSpec
from hwcng.contract.usage import SecretFamily, Usage
from hwcng.providers.events import EVENTS, ROOT
from hwcng.testing.faults import FaultInjector
from hwcng.testing.softhsm import SoftHsm, TokenRequest, provision
from hwcng.testing.swtpm import Swtpm

SECRET = bytes(range(64, 96))
ECDSA = PairSpec("EC", Usage.SIGN, curve="nistP256")
DEVICE_REMOVED = 0x32


class Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def records() -> Iterator[list[logging.LogRecord]]:
    handler, logger = Kept(), logging.getLogger(ROOT)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler.records
    logger.setLevel(level)
    logger.removeHandler(handler)


def events(records: list[logging.LogRecord]) -> list[str]:
    return [record.hwcng_event for record in records if record.name.startswith(f"{ROOT}.")]


def the(event: str, records: list[logging.LogRecord]) -> logging.LogRecord:
    (found,) = [record for record in records if getattr(record, "hwcng_event", None) == event]
    return found


def hides(records: list[logging.LogRecord], *secrets: bytes) -> None:
    """No record says one of them, in its message or in any of its attributes."""
    forms = {form for secret in secrets for form in (secret.hex(), repr(secret)[2:-1], secret.decode("latin-1"))}
    assert records
    for record in records:
        said = record.getMessage() + repr(sorted(vars(record).items(), key=lambda item: item[0]))
        assert not [form for form in forms if form in said], record


def work_with_keys(provider, name: str) -> None:
    """A named key's whole life, and an imported one."""
    key = provider.persist_key(provider.generate_pair(ECDSA), name)
    key.sign_digest(EcdsaSpec(), SECRET)
    provider.open_key(name).sign_digest(EcdsaSpec(), SECRET)
    mac = provider.import_secret(SecretSpec(SecretFamily.HMAC, 256, Usage.SIGN, hash_name="SHA256"), SECRET)
    mac.mac(HmacSpec("SHA256"), SECRET)
    mac.destroy()
    provider.delete_key(name)


def test_the_life_of_a_key_in_a_pkcs11_token(softhsm: SoftHsm, token_uri, token_pin, records) -> None:
    with hwcng.open_provider(token_uri, pin=token_pin) as provider, tracing.trace():
        work_with_keys(provider, "a logged key")
    told = [event for event in events(records) if event != "call.done"]
    expected = ["login.accepted", "token.opened", "key.created", "key.opened", "key.deleted", "token.closed"]
    assert [event for event in told if event in expected] == expected
    opened = the("token.opened", records)
    assert (opened.levelname, opened.name, opened.hwcng_token) == ("INFO", "hwcng.token", provider.token.label)
    assert the("key.created", records).hwcng_key == "a logged key"
    assert "der_peer_point" in the("quirks.applied", records).hwcng_quirks
    hides(records, SECRET, token_pin.encode())


@pytest.mark.requires("command:swtpm")
def test_the_life_of_a_key_in_a_tpm(records) -> None:
    needs_module("tpm2_pytss")
    with Swtpm() as tpm, hwcng.open_provider(tpm.uri) as provider, tracing.trace():
        work_with_keys(provider, "a logged key")
        provider.persist_key(provider.generate_pair(ECDSA), "another")
        tpm.restart()
        assert len(provider.random(8)) == 8
    told = [event for event in events(records) if event not in ("call.done", "key.opened")]
    assert told == [
        *("storage_root.made", "token.opened", "key.created", "key.deleted", "key.created"),
        *("connection.lost", "connection.recovered", "token.closed"),
    ]
    assert the("connection.lost", records).levelname == "WARNING"
    assert tpm.tcti in the("token.opened", records).hwcng_token
    hides(records, SECRET)


def test_a_wrong_pin_is_told_with_its_code_and_without_it(unopened_token_uri, records) -> None:
    with pytest.raises(CngError):
        hwcng.open_provider(unopened_token_uri, pin="a-wrong-pin-of-mine")
    refused = the("login.refused", records)
    assert (refused.levelname, refused.hwcng_token_code, refused.hwcng_token_code_number) == (
        "WARNING",
        "CKR_PIN_INCORRECT",
        0xA0,
    )
    assert refused.hwcng_status == "STATUS_SMARTCARD_WRONG_PIN"
    hides(records, b"a-wrong-pin-of-mine")


def test_a_loss_and_what_comes_back(fresh_provider, records) -> None:
    with FaultInjector(fresh_provider) as faults, pytest.raises(CngError):
        faults.fail("C_GenerateRandom", DEVICE_REMOVED).fail("C_GetSessionInfo", DEVICE_REMOVED)
        fresh_provider.random(8)
    assert the("connection.lost", records).hwcng_token == fresh_provider.token.label
    assert len(fresh_provider.random(8)) == 8
    assert events(records).index("connection.lost") < events(records).index("connection.recovered")


def test_a_trace_has_every_call_its_time_and_answer(fresh_provider, records) -> None:
    with tracing.trace(), FaultInjector(fresh_provider) as faults:
        fresh_provider.random(8)
        faults.fail("C_GenerateRandom", 0x54)
        with pytest.raises(CngError):
            fresh_provider.random(8)
    fresh_provider.random(8)
    traced = [record for record in records if record.hwcng_event == "call.done"]
    assert [record.hwcng_call for record in traced if record.hwcng_call == "C_GenerateRandom"] == ["C_GenerateRandom"]
    assert traced[0].hwcng_answer == "CKR_OK" and traced[0].hwcng_milliseconds > 0
    assert re.fullmatch(r"C_OpenSession took \d+\.\d{3} ms: CKR_OK", traced[0].getMessage())


def test_a_call_is_slow_from_the_time_that_is_asked_for(fresh_provider, records) -> None:
    with tracing.trace(slow=0.0, only_slow=True):
        fresh_provider.random(8)
    assert {(record.hwcng_event, record.levelname) for record in records} == {("call.slow", "WARNING")}
    records.clear()
    with tracing.trace(slow=3600, only_slow=True):
        fresh_provider.random(8)
    assert not records


def run(program: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, env={**os.environ, **environ}, capture_output=True, text=True, check=True)


OPEN = "import sys, hwcng\nprovider = hwcng.open_provider(sys.argv[1], pin=sys.argv[2]); provider.random(8)\n"
REFUSED = """
try:
    hwcng.open_provider(sys.argv[3], pin='wrong-pin')
except hwcng.CngError:
    pass
"""


def test_nothing_is_told_unasked(tmp_path: Path, softhsm: SoftHsm) -> None:
    made = provision(tmp_path, [TokenRequest("one", "pin-1234"), TokenRequest("two", "pin-1234")], "so-1234")
    uris = made.uri("one"), "pin-1234", made.uri("two")
    assert run(f"import logging\n{OPEN}{REFUSED}", *uris, **made.environ()).stderr == ""
    assert run(f"{OPEN}{REFUSED}print('hwcng.tracing' in sys.modules)", *uris, **made.environ()).stdout == "False\n"
    told = run(f"import logging\nlogging.basicConfig(level='INFO')\n{OPEN}{REFUSED}", *uris, **made.environ()).stderr
    assert "INFO:hwcng.token:token 'one' is open" in told
    assert "WARNING:hwcng.login:no login to token 'two': login to token 'two' failed" in told


@pytest.mark.parametrize("where", ["stderr", "file"])
def test_the_environment_asks_for_a_trace(tmp_path: Path, where: str) -> None:
    made = provision(tmp_path, [TokenRequest("one", "pin-1234")], "so-1234")
    target = "stderr" if where == "stderr" else str(tmp_path / "trace")
    environ = {**made.environ(), "HWCNG_TRACE": target}
    ran = run(f"{OPEN}hwcng.open_provider(sys.argv[1], pin=sys.argv[2])", made.uri("one"), "pin-1234", **environ)
    lines = (ran.stderr if where == "stderr" else (tmp_path / "trace").read_text()).splitlines()
    called = [line.split()[4] for line in lines]
    assert called[:2] == ["C_Initialize", "C_GetInfo"] and called.count("C_GenerateRandom") == 1
    assert "pin-1234" not in "".join(lines)


def test_a_trace_to_a_relative_path_is_refused(tmp_path: Path) -> None:
    program = "import hwcng\ntry: hwcng.open_provider('pkcs11:')\nexcept hwcng.CngError as error: print(error.message)"
    assert "HWCNG_TRACE is stderr or an absolute path, not 'trace'" in run(program, HWCNG_TRACE="trace").stdout


@pytest.mark.parametrize("where", ["no-such-folder/trace", "."])
def test_a_trace_to_what_is_not_written_is_refused_before_the_token(tmp_path: Path, where: str) -> None:
    program = "import hwcng\ntry: hwcng.open_provider('pkcs11:')\nexcept hwcng.CngError as error: print(error.message)"
    assert "HWCNG_TRACE: cannot write " in run(program, HWCNG_TRACE=str(tmp_path / where)).stdout


def test_every_event_is_in_the_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "monitoring.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `([a-z_.]+)` \| `hwcng\.([a-z0-9]+), [A-Z]+` \|", page, re.MULTILINE))
    assert rows == {name: event.logger for name, event in EVENTS.items()}
