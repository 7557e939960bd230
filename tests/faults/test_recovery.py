"""Connecting that fails, sessions that run out, and what other users of the module do to us."""

from __future__ import annotations

import threading
import time

import pytest
from isolation.child import NSS_URI, run
from isolation.ledger import OpenSessions, pool

import hwcng
from hwcng import NTSTATUS, CngError, bcrypt
from hwcng.contract.provider import Provider
from hwcng.providers.pkcs11 import connection as sessions_module
from hwcng.testing.calls import CFunction
from hwcng.testing.faults import FaultInjector

CKR_DEVICE_ERROR, CKR_GENERAL_ERROR, CKR_TOKEN_NOT_PRESENT = 0x30, 0x05, 0xE0
CKR_SESSION_COUNT, CKR_SESSION_HANDLE_INVALID = 0xB1, 0xB3
CONNECTING = ("C_GetSlotList", "C_GetTokenInfo", "C_GetMechanismList", "C_OpenSession", "C_Login")


def looks(provider: Provider, function: str) -> int:
    """How often an attempt to connect calls `function` where it always fails: every slot is asked for its token."""
    return len(provider._module.slots()) if function == "C_GetTokenInfo" else 1


@pytest.mark.parametrize("function", CONNECTING)
def test_opening_fails_and_leaves_nothing(function: str, provider: Provider, token_uri: str, token_pin: str) -> None:
    sessions = OpenSessions(provider)
    try:
        with FaultInjector(provider) as faults:
            faults.fail(function, CKR_GENERAL_ERROR)
            with pytest.raises(CngError, match="CKR_GENERAL_ERROR") as caught:
                hwcng.open_provider(token_uri, pin=token_pin)
            assert faults.injected == looks(provider, function)
        assert caught.value.status == NTSTATUS.STATUS_INTERNAL_ERROR
        assert sessions.handles == pool(provider)
        with hwcng.open_provider(token_uri, pin=token_pin) as opened:
            assert len(opened.random(8)) == 8
        assert sessions.handles == pool(provider)
    finally:
        sessions.undo()


@pytest.mark.parametrize("function", CONNECTING)
@pytest.mark.parametrize("rv", [CKR_DEVICE_ERROR, CKR_SESSION_HANDLE_INVALID, 0x190])
def test_a_loss_while_connecting_is_tried_once_more(
    function: str, rv: int, provider: Provider, token_uri: str, token_pin: str
) -> None:
    finalised: list[str] = []
    undo = provider.cryptoki.instrument(
        lambda name, real: (lambda *arguments: finalised.append(name) or 0) if name == "C_Finalize" else real
    )
    sessions = OpenSessions(provider)
    try:
        with FaultInjector(provider) as faults:
            faults.fail(function, rv, nth=1)
            with hwcng.open_provider(token_uri, pin=token_pin) as opened:
                assert len(opened.random(8)) == 8
            assert faults.injected == 1
        with FaultInjector(provider) as faults:
            faults.fail(function, rv)
            with pytest.raises(CngError) as caught:
                hwcng.open_provider(token_uri, pin=token_pin)
            assert faults.injected == 2 * looks(provider, function)
        assert caught.value.status == NTSTATUS.STATUS_DEVICE_NOT_CONNECTED
        assert sessions.handles == pool(provider)
        # The session's provider uses the module.
        assert finalised == []
        assert provider._module._serialising is None
    finally:
        sessions.undo()
        undo()


def test_module_stays_ours_after_a_loss(fresh_provider: Provider) -> None:
    """C_Initialize then answers ALREADY_INITIALIZED, which is no reason to let one thread work at a time."""
    key = bcrypt.BCryptOpenAlgorithmProvider("AES", fresh_provider).generate_key(256)
    with FaultInjector(fresh_provider) as faults:
        faults.fail("C_EncryptInit", CKR_TOKEN_NOT_PRESENT, nth=1).fail("C_GetSessionInfo", CKR_TOKEN_NOT_PRESENT)
        with pytest.raises(CngError, match="CKR_TOKEN_NOT_PRESENT"):
            bcrypt.BCryptEncrypt(key, bytes(16), None, bytes(16))
        faults.clear()
        faults.fail("C_GetMechanismList", CKR_DEVICE_ERROR, nth=1)
        assert len(fresh_provider.random(8)) == 8
        assert faults.injected == 1
    assert fresh_provider._module._owned
    assert fresh_provider._module._serialising is None


def test_reconnecting_that_fails_is_tried_again_by_the_next_call(fresh_provider: Provider) -> None:
    sessions = OpenSessions(fresh_provider)
    with FaultInjector(fresh_provider) as faults:
        faults.fail("C_GenerateRandom", CKR_DEVICE_ERROR, nth=1)
        faults.fail("C_OpenSession", CKR_GENERAL_ERROR)
        while fresh_provider._current._idle:
            fresh_provider._current.discard(fresh_provider._current._idle.pop())
        with pytest.raises(CngError, match="CKR_GENERAL_ERROR"):
            fresh_provider.random(8)
        faults.clear()
        faults.fail("C_GenerateRandom", CKR_DEVICE_ERROR, nth=1).fail("C_GetSessionInfo", CKR_DEVICE_ERROR)
        with pytest.raises(CngError, match="CKR_DEVICE_ERROR"):
            fresh_provider.random(8)
        faults.clear()
        faults.fail("C_Login", CKR_GENERAL_ERROR)
        for _ in range(3):
            with pytest.raises(CngError, match="login"):
                fresh_provider.random(8)
        faults.clear()
        assert len(fresh_provider.random(8)) == 8
    assert sessions.handles == pool(fresh_provider)
    sessions.undo()


def test_an_operation_overtaken_by_a_loss_says_so(fresh_provider: Provider) -> None:
    """Two threads work; the first to see the loss marks it, and the other's misleading answer is not its verdict."""
    algorithm = bcrypt.BCryptOpenAlgorithmProvider("AES", fresh_provider)
    bcrypt.BCryptSetProperty(algorithm, bcrypt.BCRYPT_CHAINING_MODE, bcrypt.BCRYPT_CHAIN_MODE_GCM)
    key = algorithm.generate_key(256)
    current = fresh_provider._current

    def lost(name: str, function):  # type: ignore[no-untyped-def]
        def decrypt(*_arguments: object) -> int:
            current._lose()
            return CKR_GENERAL_ERROR

        return decrypt if name == "C_Decrypt" else function

    info = bcrypt.BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(bytes(12), pbTag=bytes(16))
    undo = fresh_provider.cryptoki.instrument(lost)
    try:
        with pytest.raises(CngError, match="lost") as caught:
            bcrypt.BCryptDecrypt(key, bytes(16), info)
    finally:
        undo()
    assert caught.value.status == NTSTATUS.STATUS_INVALID_DEVICE_STATE


@pytest.mark.parametrize("owner", [False, True])
def test_sessions_that_run_out_are_waited_for(
    owner: bool, fresh_provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh_provider.random(8)
    current = fresh_provider._current
    algorithm = bcrypt.BCryptOpenAlgorithmProvider("AES", fresh_provider)
    answers: list[object] = []

    def work() -> None:
        try:
            answers.append(algorithm.generate_key(128) if owner else fresh_provider.random(16))
        except CngError as error:
            answers.append(error)

    def give_back(session: sessions_module.Session) -> None:
        (current._owners if owner else current._idle).append(session)
        current._returned_to(current._owners if owner else current._idle)

    held = current._owners.pop() if owner else current._idle.pop()
    with FaultInjector(fresh_provider) as faults:
        faults.fail("C_OpenSession", CKR_SESSION_COUNT)
        thread = threading.Thread(target=work)
        thread.start()
        while not faults.injected:
            time.sleep(0.001)
        time.sleep(0.1)
        assert thread.is_alive() and not answers
        give_back(held)
        thread.join(5)
        assert not thread.is_alive() and not isinstance(answers[0], CngError)

        monkeypatch.setattr(sessions_module, "SESSION_WAIT_SECONDS", 0.1)
        held = current._owners.pop() if owner else current._idle.pop()
        work()
        assert isinstance(answers[1], CngError)
        assert answers[1].status == NTSTATUS.STATUS_INSUFFICIENT_RESOURCES
        give_back(held)
    work()
    assert not isinstance(answers[2], CngError)


def test_one_session_serves_eight_threads(fresh_provider: Provider) -> None:
    """A token with room for one working session and one owner session."""
    fresh_provider.random(8)
    algorithm = bcrypt.BCryptOpenAlgorithmProvider("AES", fresh_provider)
    key = algorithm.generate_key(256)
    first = bcrypt.BCryptEncrypt(key, bytes(16), None, bytes(16))
    errors: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(20):
                assert bcrypt.BCryptEncrypt(key, bytes(16), None, bytes(16)) == first
                bcrypt.BCryptDestroyKey(algorithm.generate_key(128))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    with FaultInjector(fresh_provider) as faults:
        faults.fail("C_OpenSession", CKR_SESSION_COUNT)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    assert not errors, errors[0]
    assert len(pool(fresh_provider)) == 2


OTHERS = """
# Another user of the module in this process closes, logs out, finalises.
from hwcng.providers.pkcs11.cryptoki import calls as raw_layer
from isolation.ledger import OpenSessions, pool

def raw(name):
    functions = provider.cryptoki._library.C_GetFunctionList
    pointer = raw_layer.ffi.new("CK_FUNCTION_LIST **")
    assert functions(pointer) == 0
    return raw_layer.ffi.cast("CK_ULONG (*)(CK_ULONG)", raw_layer.ffi.cast("void *", getattr(pointer[0], name)))

provider = open_token()
logs_in = "token=" in URI
ends = {
    "C_CloseAllSessions": lambda: provider._current.slot,
    "C_Finalize": lambda: 0,
}
if logs_in:
    ends["C_Logout"] = lambda: provider._current._owners[0].handle
generations = []
for name, argument in ends.items():
    key, pair = aes(provider).generate_key(256), ec_key(provider)
    block(key)
    assert raw(name)(argument()) == 0, name
    seen = []
    for _ in range(4):
        try:
            provider.random(8)
            fresh = aes(provider).generate_key(256)
            block(fresh)
            break
        except CngError as error:
            seen.append(error.status)
    else:
        raise AssertionError((name, seen))
    assert len(seen) <= 2, (name, seen)
    for use in (lambda: block(key), lambda: BCryptSignHash(pair, None, bytes(32))):
        fails(NTSTATUS.STATUS_INVALID_DEVICE_STATE, use, "lost")
    print(name, [status.name for status in seen])
    generations.append(provider._module.generation)
assert provider._module._owned and provider._module._serialising is None
assert generations[1] == generations[0] + 1
provider.close()
"""


@pytest.mark.parametrize("token", ["SoftHSM", "NSS"])
def test_what_other_users_of_the_module_do(token: str, token_uri: str) -> None:
    print(run(OTHERS, token_uri if token == "SoftHSM" else NSS_URI))


REVIVED = """
# With the device gone and nobody else connected, the module starts anew; with somebody else, it is left alone.
from hwcng.testing.faults import FaultInjector

provider = open_token()
finalised = []
def noted(name, function):
    return (lambda *arguments: finalised.append(name) or function(*arguments)) if name == "C_Finalize" else function
provider.cryptoki.instrument(noted)

def dead(name, function):
    def answer(session, *arguments):
        return 0x30 if session in sessions else function(session, *arguments)
    return answer if name in ("C_GenerateRandom", "C_GetSessionInfo") else function

def lose(function):
    provider.random(8)
    sessions.update(session.handle for session in (*provider._current._idle, *provider._current._owners))
    undo = provider.cryptoki.instrument(dead)
    fails(NTSTATUS.STATUS_DEVICE_NOT_CONNECTED, lambda: provider.random(8), "CKR_DEVICE_ERROR")
    with FaultInjector(provider) as faults:
        faults.fail(function, 0x30, nth=1)
        undo()
        sessions.clear()
        assert len(provider.random(8)) == 8
        assert faults.injected == 1

sessions = set()

for number, function in enumerate(("C_GetSlotList", "C_OpenSession", "C_Login"), 1):
    if function != "C_Login" or "token=" in URI:
        lose(function)
        assert len(finalised) == number, (function, finalised)
other = open_token()
key = aes(other).generate_key(128)
first, before = block(key), len(finalised)
lose("C_GetSlotList")
assert len(finalised) == before and block(key) == first
"""


@pytest.mark.parametrize("token", ["SoftHSM", "NSS"])
def test_module_starts_anew_after_a_device_error_where_nobody_else_uses_it(token: str, token_uri: str) -> None:
    run(REVIVED, token_uri if token == "SoftHSM" else NSS_URI)


@pytest.mark.parametrize("rv", [0x32, CKR_TOKEN_NOT_PRESENT, 0xE1])
def test_the_slot_is_looked_at_where_the_token_is_said_to_be_gone(rv: int, fresh_provider: Provider) -> None:
    """OpenSC knows that a card was out of its reader when it has looked there, and no sooner."""
    looked: list[int] = []

    def answers(name: str, function: CFunction) -> CFunction:
        def slot_info(*arguments: object) -> int:
            looked.append(1)
            return function(*arguments)

        def session_info(*arguments: object) -> int:
            return CKR_SESSION_HANDLE_INVALID if looked else function(*arguments)

        return {"C_GetSlotInfo": slot_info, "C_GetSessionInfo": session_info}.get(name, function)

    connection = fresh_provider._connection  # type: ignore[attr-defined]
    undo = fresh_provider.cryptoki.instrument(answers)  # type: ignore[attr-defined]
    try:
        with FaultInjector(fresh_provider) as faults:  # type: ignore[arg-type]
            faults.fail("C_GenerateRandom", rv, nth=1)
            with pytest.raises(CngError):
                fresh_provider.random(8)
    finally:
        undo()
    assert not connection.alive
    assert len(fresh_provider.random(8)) == 8
