"""A PIN that a token refused is sent once by a process, on whatever road; the last try is nobody's but the caller's."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import hwcng
from hwcng import NTSTATUS, CngError
from hwcng.contract.provider import Provider
from hwcng.contract.specs import PairSpec
from hwcng.contract.usage import Usage
from hwcng.providers import registry
from hwcng.providers.pin_sources import read_pin_source
from hwcng.providers.pkcs11 import logins
from hwcng.providers.pkcs11.cryptoki.calls import CFunction
from hwcng.testing.faults import FaultInjector
from hwcng.testing.softhsm import SoftHsm

WRONG_PIN = "Wr0ng-geheim"
CKR_PIN_INCORRECT, CKR_PIN_INVALID, CKR_PIN_LEN_RANGE = 0xA0, 0xA1, 0xA2
COUNT_LOW, FINAL_TRY, LOCKED = 0x10000, 0x20000, 0x40000


@pytest.fixture(autouse=True)
def _no_refused_pins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logins, "_tries", {})


@pytest.fixture
def sent(provider: Provider) -> Iterator[list[bytes]]:
    """Every PIN that C_Login was given."""
    pins: list[bytes] = []

    def noted(name: str, function: CFunction) -> CFunction:
        def login(session: int, user: int, pin: bytes, length: int) -> int:
            pins.append(bytes(pin)[:length])
            return function(session, user, pin, length)

        return login if name == "C_Login" else function

    undo = provider.cryptoki.instrument(noted)
    yield pins
    undo()


@pytest.fixture
def flags(provider: Provider) -> Iterator[Callable[[int], None]]:
    """What C_TOKEN_INFO says of the PIN from now on, whatever earlier tests left in the token."""
    said = [0]

    def saying(name: str, function: CFunction) -> CFunction:
        def token_info(slot: int, info: object) -> int:
            rv = function(slot, info)
            info.flags = info.flags & ~(COUNT_LOW | FINAL_TRY | LOCKED) | said[0]  # type: ignore[attr-defined]
            return rv

        return token_info if name == "C_GetTokenInfo" else function

    undo = provider.cryptoki.instrument(saying)
    yield lambda value: said.__setitem__(0, value)
    undo()


def status(call: Callable[[], object]) -> tuple[int, str]:
    with pytest.raises(CngError) as caught:
        call()
    return caught.value.status, str(caught.value)


def roads(uri: str, pin: str) -> list[Callable[[], object]]:
    """Ways to log in to a token that nobody has open."""
    return [
        lambda: hwcng.open_provider(uri, pin=pin),
        lambda: hwcng.open_provider(uri, pin=pin.encode()),
        lambda: hwcng.open_provider(uri, pin=lambda: pin),
        lambda: hwcng.open_provider(f"{uri}&pin-value={pin}"),
        lambda: registry.resolve_implementation(f"{uri}&pin-value={pin}"),
        lambda: hwcng.set_default_provider(f"{uri}&pin-value={pin}"),
        lambda: hwcng.open_key(uri.replace("?", ";object=k?"), pin=pin),
    ]


@pytest.mark.parametrize("first", range(7))
def test_a_refused_pin_is_sent_once_on_every_road(first: int, unopened_token_uri: str, sent: list[bytes]) -> None:
    every = roads(unopened_token_uri, WRONG_PIN)
    told = [status(road) for road in (every[first], *every)]
    assert {code for code, _ in told} == {NTSTATUS.STATUS_SMARTCARD_WRONG_PIN}
    assert "tried once" in told[0][1]
    assert all("not tried again" in text for _, text in told[1:])
    assert WRONG_PIN not in "".join(text for _, text in told)
    assert sent == [WRONG_PIN.encode()]


@pytest.mark.parametrize("rv", [CKR_PIN_INCORRECT, CKR_PIN_INVALID, CKR_PIN_LEN_RANGE])
def test_whatever_the_refusal_is_called(rv: int, unopened_token_uri: str, provider: Provider) -> None:
    with FaultInjector(provider) as faults:
        faults.fail("C_Login", rv)
        for _ in range(3):
            status(lambda: hwcng.open_provider(unopened_token_uri, pin=WRONG_PIN))
        assert faults.injected == 1


@pytest.mark.parametrize("rv", [0x5, 0x6, 0x30, 0x32, 0x101, 0x80000105])
def test_a_pin_that_the_token_may_have_counted_is_sent_once_a_call(
    rv: int, unopened_token_uri: str, other_token_pin: str, provider: Provider, sent: list[bytes]
) -> None:
    with FaultInjector(provider) as faults:
        faults.fail("C_Login", rv, nth=1, after=True)
        status(lambda: hwcng.open_provider(unopened_token_uri, pin=WRONG_PIN))
    assert sent == [WRONG_PIN.encode()]
    # What the token took before costs no try.
    with hwcng.open_provider(unopened_token_uri, pin=other_token_pin) as opened:
        assert isinstance(opened, type(provider))
        opened._current._lose()
        if rv in (0x30, 0x32, 0x101):
            with FaultInjector(provider) as faults:
                faults.fail("C_Login", rv, nth=1)
                assert len(opened.random(8)) == 8


@pytest.mark.parametrize("rv", [0xB3, 0xB0, 0x190])
def test_a_pin_that_no_token_saw_is_sent_once_more(
    rv: int, unopened_token_uri: str, other_token_pin: str, provider: Provider
) -> None:
    with FaultInjector(provider) as faults:
        faults.fail("C_Login", rv, nth=1)
        hwcng.open_provider(unopened_token_uri, pin=other_token_pin).close()


@pytest.mark.parametrize("rv", [0x5, 0x6, 0x30, 0x80000105])
@pytest.mark.parametrize("flag", [COUNT_LOW, FINAL_TRY, LOCKED])
def test_a_refusal_by_another_name_is_known_by_the_count(
    rv: int, flag: int, unopened_token_uri: str, provider: Provider, flags: Callable[[int], None]
) -> None:
    tries = []

    def refusing(name: str, function: CFunction) -> CFunction:
        def login(*_arguments: object) -> int:
            tries.append(name)
            flags(flag)
            return rv

        return login if name == "C_Login" else function

    undo = provider.cryptoki.instrument(refusing)
    try:
        told = [status(lambda: hwcng.open_provider(unopened_token_uri, pin=WRONG_PIN))[1] for _ in range(3)]
    finally:
        undo()
    assert len(tries) == 1
    assert "tried once (" in told[0]


def test_a_token_is_known_by_another_path_and_in_another_slot(
    softhsm: SoftHsm, unopened_token_uri: str, sent: list[bytes], tmp_path: Path
) -> None:
    status(lambda: hwcng.open_provider(unopened_token_uri, pin=WRONG_PIN))
    copy = tmp_path / "another.so"
    shutil.copy(os.path.realpath(softhsm.module), copy)
    token = unopened_token_uri.partition("?")[0]
    _, text = status(lambda: hwcng.open_provider(f"{token}?module-path={copy}", pin=WRONG_PIN))
    assert "not tried again" in text
    assert len(sent) == 1


def test_another_pin_is_tried_and_a_login_clears_the_memory(
    unopened_token_uri: str, other_token_pin: str, sent: list[bytes]
) -> None:
    for pin in (WRONG_PIN, WRONG_PIN, "another-wrong"):
        status(lambda pin=pin: hwcng.open_provider(unopened_token_uri, pin=pin))  # type: ignore[misc]
    assert len(sent) == 2
    hwcng.open_provider(unopened_token_uri, pin=other_token_pin).close()
    _, text = status(lambda: hwcng.open_provider(unopened_token_uri, pin=WRONG_PIN))
    assert "tried once" in text
    assert sent == [WRONG_PIN.encode(), b"another-wrong", other_token_pin.encode(), WRONG_PIN.encode()]


def test_two_threads_do_not_send_it_twice(unopened_token_uri: str, sent: list[bytes]) -> None:
    together = threading.Barrier(4, timeout=20)

    def work() -> None:
        together.wait()
        status(lambda: hwcng.open_provider(unopened_token_uri, pin=WRONG_PIN))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sent == [WRONG_PIN.encode()]


def test_recovery_after_a_loss_sends_a_refused_pin_once(
    unopened_token_uri: str, other_token_pin: str, provider: Provider, sent: list[bytes], tmp_path: Path
) -> None:
    file = tmp_path / "pin"
    file.write_text(other_token_pin)
    with hwcng.open_provider(f"{unopened_token_uri}&pin-source=file:{file}") as opened:
        assert isinstance(opened, type(provider))
        opened.persist_key(opened.generate_pair(PairSpec("EC", Usage.SIGN, curve="nistP256")), "pins")
        opened._current._lose()
        file.write_text(WRONG_PIN)
        del sent[:]
        operations: list[Callable[[], object]] = [
            lambda: opened.random(8),
            lambda: opened.open_key("pins"),
            lambda: list(opened.list_keys()),
            lambda: opened.delete_key("pins"),
            lambda: opened.generate_pair(PairSpec("EC", Usage.SIGN, curve="nistP256")),
        ]
        assert {status(operation)[0] for operation in operations} == {NTSTATUS.STATUS_SMARTCARD_WRONG_PIN}
        assert sent == [WRONG_PIN.encode()]
        file.write_text(other_token_pin + "\r\n")
        opened.delete_key("pins")


@pytest.mark.parametrize("source", ["pin-source", "pin-value"])
def test_the_last_try_is_not_a_sources(
    source: str,
    unopened_token_uri: str,
    other_token_pin: str,
    sent: list[bytes],
    flags: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HWCNG_TEST_PIN", other_token_pin)
    uri = (
        unopened_token_uri
        + {
            "pin-source": "&pin-source=env:HWCNG_TEST_PIN",
            "pin-value": f"&pin-value={other_token_pin}",
        }[source]
    )
    flags(FINAL_TRY)
    code, text = status(lambda: hwcng.open_provider(uri))
    assert code == NTSTATUS.STATUS_SMARTCARD_CARD_NOT_AUTHENTICATED
    assert "one more wrong PIN locks" in text
    assert sent == []
    # Who is asked at this moment may give it, and others of the process are then let in without a try.
    with hwcng.open_provider(unopened_token_uri, pin=other_token_pin), hwcng.open_provider(uri) as second:
        assert len(second.random(8)) == 8
    assert sent == [other_token_pin.encode()]


def test_a_locked_pin_is_never_tried(
    unopened_token_uri: str, other_token_pin: str, sent: list[bytes], flags: Callable[[int], None]
) -> None:
    flags(LOCKED)
    for road in roads(unopened_token_uri, other_token_pin):
        code, text = status(road)
        assert code == NTSTATUS.STATUS_SMARTCARD_CARD_BLOCKED
        assert "locked" in text
    assert sent == []


@pytest.mark.parametrize(
    ("flag", "word"), [(COUNT_LOW, "a few more"), (FINAL_TRY, "one more wrong PIN"), (LOCKED, "is locked")]
)
def test_what_is_left_is_told(
    flag: int,
    word: str,
    unopened_token_uri: str,
    provider: Provider,
    flags: Callable[[int], None],
) -> None:
    def refusing(name: str, function: CFunction) -> CFunction:
        def login(*_arguments: object) -> int:
            flags(flag)
            return CKR_PIN_INCORRECT

        return login if name == "C_Login" else function

    undo = provider.cryptoki.instrument(refusing)
    try:
        _, text = status(lambda: hwcng.open_provider(unopened_token_uri, pin=WRONG_PIN))
    finally:
        undo()
    assert word in text


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_one_newline_of_a_source_is_no_part_of_the_pin(
    end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pin").write_bytes(f"12 34{end}".encode())
    monkeypatch.setenv("HWCNG_TEST_PIN", f"12 34{end}")
    assert read_pin_source(f"file:{tmp_path}/pin") == read_pin_source("env:HWCNG_TEST_PIN") == b"12 34"
    monkeypatch.setenv("HWCNG_TEST_PIN", f"1234{end}\n")
    assert read_pin_source("env:HWCNG_TEST_PIN") == f"1234{end}".encode()
    monkeypatch.setenv("HWCNG_TEST_PIN", "\n")
    with pytest.raises(CngError, match="empty"):
        read_pin_source("env:HWCNG_TEST_PIN")


def test_the_pin_of_a_provider_serves_a_keys_own_authentication(
    unopened_token_uri: str, other_token_pin: str, provider: Provider
) -> None:
    with hwcng.open_provider(unopened_token_uri, pin=other_token_pin) as opened:
        assert isinstance(opened, type(provider))
        with FaultInjector(provider) as faults, opened._connection.owning() as session:
            faults.fail("C_Login", 0)
            opened._connection.login.authenticate(session.handle)
            faults.clear()
            faults.fail("C_Login", CKR_PIN_INCORRECT)
            for word in ("tried once", "not tried again"):
                assert word in status(lambda: opened._connection.login.authenticate(session.handle))[1]
            assert faults.injected == 1
