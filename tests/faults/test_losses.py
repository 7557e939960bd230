"""What ends and what goes on where sessions die, a login or a token goes, or a daemon is killed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import SO_PIN
from isolation.child import run

import hwcng
from hwcng import HRESULT, NTSTATUS, CngError, bcrypt
from hwcng.contract.specs import EcdsaSpec, PairSpec
from hwcng.contract.usage import Usage
from hwcng.providers.pkcs11.cryptoki.calls import CFunction
from hwcng.providers.pkcs11.provider import Pkcs11Provider
from hwcng.testing.faults import FaultInjector
from hwcng.testing.softhsm import SoftHsm, TokenRequest, provision

DEVICE_ERROR, GENERAL_ERROR, FUNCTION_FAILED, VENDOR = 0x30, 0x05, 0x06, 0x80000384
SESSION_CLOSED, SESSION_HANDLE_INVALID, SLOT_ID_INVALID, TOKEN_NOT_PRESENT = 0xB0, 0xB3, 0x03, 0xE0
USER_NOT_LOGGED_IN = 0x101
DEAD = (
    DEVICE_ERROR,
    GENERAL_ERROR,
    FUNCTION_FAILED,
    VENDOR,
    SESSION_CLOSED,
    SESSION_HANDLE_INVALID,
    SLOT_ID_INVALID,
    TOKEN_NOT_PRESENT,
)
ECDSA = PairSpec("EC", Usage.SIGN, curve="nistP256")
DIGEST = bytes(32)
PIN = "1234-loss"
THREADS = 8


OF_NO_SESSION = {
    *("C_GetSlotList", "C_GetSlotInfo", "C_GetTokenInfo", "C_GetMechanismList", "C_GetMechanismInfo"),
    *("C_OpenSession", "C_CloseAllSessions"),
}
"""Their first argument is another number."""


class DeadSessions:
    """Within it every call in one of the sessions answers `rv`, whatever it is; without one it is what lives."""

    def __init__(self, provider: Pkcs11Provider, rv: int) -> None:
        self._provider, self._rv = provider, rv
        self.handles: set[int] = set()

    def __enter__(self) -> DeadSessions:
        self._undo = self._provider.cryptoki.instrument(self._dead)
        return self

    def __exit__(self, *_: object) -> None:
        self._undo()

    def _dead(self, name: str, function: CFunction) -> CFunction:
        def call(*arguments: Any) -> int:
            dead = bool(arguments) and isinstance(arguments[0], int) and arguments[0] in self.handles
            if name == "C_Finalize":
                # Sessions are numbered anew.
                self.handles.clear()
            return self._rv if dead and name not in OF_NO_SESSION else function(*arguments)

        return call


class Work:
    """Session keys of a provider, a named key, and what is done with them."""

    def __init__(self, provider: Pkcs11Provider) -> None:
        self.provider = provider
        self.aes = bcrypt.BCryptOpenAlgorithmProvider("AES", provider)
        self.gcm = bcrypt.BCryptOpenAlgorithmProvider("AES", provider)
        bcrypt.BCryptSetProperty(self.gcm, bcrypt.BCRYPT_CHAINING_MODE, bcrypt.BCRYPT_CHAIN_MODE_GCM)
        self.hmac = bcrypt.BCryptOpenAlgorithmProvider("SHA256", provider, bcrypt.BCRYPT_ALG_HANDLE_HMAC_FLAG)
        self.key, self.gcm_key = self.aes.generate_key(256), self.gcm.generate_key(256)
        self.mac_key = self.hmac.generate_key(256)
        self.pair = provider.generate_pair(ECDSA)
        self.named = provider.persist_key(provider.generate_pair(ECDSA), "losses", replace=True)
        self.block = self.encrypt()
        self.info = bcrypt.BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(bytes(12))
        self.sealed = bcrypt.BCryptEncrypt(self.gcm_key, b"text", self.info)

    def random(self) -> object:
        return self.provider.random(8)

    def encrypt(self) -> bytes:
        return bcrypt.BCryptEncrypt(self.key, bytes(16), None, bytes(16))

    def decrypt(self) -> None:
        assert bcrypt.BCryptDecrypt(self.key, self.block, None, bytes(16)) == bytes(16)

    def decrypt_gcm(self) -> None:
        assert bcrypt.BCryptDecrypt(self.gcm_key, self.sealed, self.info) == b"text"

    def mac(self) -> object:
        return bcrypt.BCryptHash(self.hmac, self.mac_key, b"data")

    def sign(self) -> object:
        return self.pair.sign_digest(EcdsaSpec(), DIGEST)

    def sign_named(self) -> object:
        return self.named.sign_digest(EcdsaSpec(), DIGEST)

    def open(self) -> object:
        return self.provider.open_key("losses")

    def list(self) -> None:
        assert "losses" in [record.name for record in self.provider.list_keys()]

    def generate(self) -> None:
        bcrypt.BCryptDestroyKey(self.aes.generate_key(128))

    def all(self) -> list[Callable[[], object]]:  # type: ignore[valid-type]
        return [
            *(self.random, self.encrypt, self.decrypt, self.decrypt_gcm, self.mac),
            *(self.sign, self.sign_named, self.open, self.list, self.generate),
        ]

    def warm(self, sessions: int = THREADS) -> None:
        """Leaves so many idle sessions in the pool."""
        connection = self.provider._connection
        for session in [connection.borrow() for _ in range(sessions)]:
            connection.give_back(session)


@pytest.fixture
def work(fresh_provider: Pkcs11Provider) -> Iterator[Work]:
    made = Work(fresh_provider)
    yield made
    fresh_provider.delete_key("losses")


def statuses(calls: list[Callable[[], object]]) -> list[int]:
    """Of those that fail."""
    failed = []
    for call in calls:
        try:
            call()
        except CngError as error:
            failed.append(int(error.status))
    return failed


# --- sessions


@pytest.mark.parametrize("rv", DEAD)
@pytest.mark.parametrize("operation", range(10))
def test_pooled_sessions_that_died_cost_nothing(operation: int, rv: int, work: Work) -> None:
    """The owner session answers, so nothing is lost, and what was asked of a dead session was not done."""
    work.warm()
    with DeadSessions(work.provider, rv) as dead:
        dead.handles.update(session.handle for session in work.provider._current._idle)
        assert statuses([work.all()[operation], *work.all()]) == []  # type: ignore[index]


@pytest.mark.parametrize("rv", DEAD)
@pytest.mark.parametrize("operation", range(10))
def test_all_sessions_that_died_cost_one_operation(operation: int, rv: int, work: Work) -> None:
    work.warm()
    with DeadSessions(work.provider, rv) as dead:
        current = work.provider._current
        dead.handles.update(session.handle for session in (*current._idle, *current._owners))
        assert len(statuses([work.all()[operation], work.random])) <= 1  # type: ignore[index]
        assert statuses([work.sign_named, work.open, work.list, work.generate, work.random]) == []
        lost = statuses([work.encrypt, work.decrypt, work.mac, work.sign])
    assert lost == [NTSTATUS.STATUS_INVALID_DEVICE_STATE] * 4


def test_an_owner_session_that_died_ends_its_keys_alone(work: Work) -> None:
    connection = work.provider._current
    with connection.owning():
        other = work.aes.generate_key(128)
    assert len(connection._owners) == 2
    with DeadSessions(work.provider, SESSION_HANDLE_INVALID) as dead:
        dead.handles.update({session.handle for session in connection._owners} - {connection._witness.session})
        if connection._owners[-1].handle == connection._witness.session:
            connection._owners.rotate(1)
        assert statuses([work.generate, work.generate, work.encrypt, work.sign, work.generate]) == []
        assert dead.handles.isdisjoint(session.handle for session in connection._owners)
    bcrypt.BCryptDestroyKey(other)


@pytest.mark.parametrize("rv", [*DEAD, USER_NOT_LOGGED_IN])
@pytest.mark.parametrize("function", ["C_SignInit", "C_Sign"])
def test_one_keys_error_ends_no_other_key(function: str, rv: int, work: Work) -> None:
    with FaultInjector(work.provider) as faults:
        faults.fail(function, rv)
        with pytest.raises(CngError) as caught:
            work.sign()
        assert "lost" not in str(caught.value)
        # However often it is done.
        assert len(statuses([work.sign, work.mac, work.sign_named] * 4)) == 12
    assert statuses(work.all()) == []


def test_damaged_ciphertext_means_what_it_means_elsewhere(work: Work) -> None:
    """kryoptic answers DEVICE_ERROR to each of them."""
    for rv in (DEVICE_ERROR, VENDOR):
        with FaultInjector(work.provider) as faults:
            faults.fail("C_Decrypt", rv)
            assert statuses([work.decrypt_gcm]) == [NTSTATUS.STATUS_AUTH_TAG_MISMATCH]
    assert statuses(work.all()) == []


def test_a_loss_is_no_verdict_on_data(work: Work) -> None:
    with FaultInjector(work.provider) as faults:
        faults.fail("C_Decrypt", GENERAL_ERROR).fail("C_GetSessionInfo", GENERAL_ERROR)
        assert statuses([work.decrypt_gcm]) == [NTSTATUS.STATUS_DEVICE_NOT_CONNECTED]


def test_a_module_without_session_info_is_believed_by_what_it_answers(work: Work) -> None:
    with FaultInjector(work.provider) as faults:
        faults.fail("C_GetSessionInfo", 0x54).fail("C_SignInit", GENERAL_ERROR, nth=1)
        assert statuses(work.all()) == [NTSTATUS.STATUS_INTERNAL_ERROR]
        faults.fail("C_SignInit", SESSION_HANDLE_INVALID, nth=1)
        assert statuses([work.sign, work.sign]) == [
            NTSTATUS.STATUS_DEVICE_NOT_CONNECTED,
            NTSTATUS.STATUS_INVALID_DEVICE_STATE,
        ]
    assert statuses([work.sign_named, work.random]) == []


# --- a token that goes, comes back or is another


REMOVED = """
import glob, shutil, subprocess, tempfile
from hwcng.contract import EcdsaSpec, PairSpec, Usage
folder, SO_PIN = sys.argv[2], sys.argv[3]
ECDSA = PairSpec("EC", Usage.SIGN, curve="nistP256")

def util(*arguments, said=""):
    subprocess.run(["softhsm2-util", *arguments], input=said, text=True, check=True, capture_output=True)

def status(call):
    try:
        call()
    except CngError as error:
        return error.status.name

provider = open_token()
named = provider.persist_key(provider.generate_pair(ECDSA), "k")
secret = provider.persist_key(provider.generate_secret(SecretSpec(SecretFamily.AES, 256, Usage.ENCRYPT)), "s")
sign = lambda: named.sign_digest(EcdsaSpec(), bytes(32))
serial = provider.token.serial
[token] = [path for path in glob.glob(folder + "/tokens/*") if serial in path.replace("-", "")]
shutil.move(token, folder + "/aside")
seen = [status(sign) for _ in range(3)]
assert seen[1:] == ["STATUS_DEVICE_NOT_CONNECTED"] * 2, seen
assert status(lambda: provider.random(8)) == status(lambda: list(provider.list_keys())) == "STATUS_DEVICE_NOT_CONNECTED"
shutil.move(folder + "/aside", token)
sign()
assert sorted(record.name for record in provider.list_keys()) == ["k", "s"]
# Initialised anew in its place.
util("--init-token", "--serial", serial, "--label", provider.token.label, "--pin", PIN, "--so-pin", SO_PIN)
assert status(sign) and status(sign) == status(lambda: provider.open_key("k")) == "NTE_BAD_KEYSET"
provider.persist_key(provider.generate_pair(ECDSA), "k")
provider.open_key("k").sign_digest(EcdsaSpec(), bytes(32))
named = provider.open_key("k")
# Another of the same label.
util("--delete-token", "--serial", serial, said="y\\n")
util("--init-token", "--free", "--label", provider.token.label, "--pin", PIN, "--so-pin", SO_PIN)
assert status(sign) and status(sign) == "NTE_BAD_KEYSET"
assert len(provider.random(8)) == 8 and provider.token.serial != serial
provider.persist_key(provider.generate_pair(ECDSA), "k")
fails(HRESULT.NTE_BAD_KEYSET, sign, serial, provider.token.serial)
provider.open_key("k").sign_digest(EcdsaSpec(), bytes(32))
"""


def test_a_token_that_is_removed_brought_back_and_replaced(tmp_path: Path, token_pin: str) -> None:
    made = provision(tmp_path, [TokenRequest("losses", token_pin)], SO_PIN)
    script = f"import os\nos.environ.update({made.environ()!r})\nfrom hwcng import HRESULT\n{REMOVED}"
    run(script, made.uri("losses"), str(tmp_path), SO_PIN)


NO_NAME_IS_FREE = """
import glob, shutil
from hwcng.ncrypt import NCryptCreatePersistedKey, NCryptFinalizeKey, NCryptOpenStorageProvider
folder = sys.argv[2]
storage = NCryptOpenStorageProvider(open_token())
for algorithm in ("AES", "ECDSA_P256"):
    NCryptFinalizeKey(NCryptCreatePersistedKey(storage, algorithm, f"taken {algorithm}"))
[token] = [path.removesuffix("/token.object") for path in glob.glob(folder + "/tokens/*/token.object")]
shutil.move(token, folder + "/aside")
for algorithm in ("AES", "ECDSA_P256"):
    for name in ("new", f"taken {algorithm}"):
        fails(HRESULT.NTE_DEVICE_NOT_FOUND, lambda: NCryptCreatePersistedKey(storage, algorithm, name))
shutil.move(folder + "/aside", token)
fails(HRESULT.NTE_EXISTS, lambda: NCryptCreatePersistedKey(storage, "AES", "taken AES"))
NCryptFinalizeKey(NCryptCreatePersistedKey(storage, "AES", "new"))
"""


def test_no_name_is_free_in_a_token_that_is_removed(tmp_path: Path, token_pin: str) -> None:
    made = provision(tmp_path, [TokenRequest("losses", token_pin)], SO_PIN)
    script = f"import os\nos.environ.update({made.environ()!r})\nfrom hwcng import HRESULT\n{NO_NAME_IS_FREE}"
    run(script, made.uri("losses"), str(tmp_path))


@pytest.fixture
def exchanged(provider: Pkcs11Provider) -> Iterator[dict[int, int]]:
    """Slot to the slot whose token is seen in it instead; 0: no token."""
    slots: dict[int, int] = {}

    def shown(name: str, function: CFunction) -> CFunction:
        def call(slot: int, *arguments: Any) -> int:
            there = slots.get(slot, slot)
            return function(there, *arguments) if there else TOKEN_NOT_PRESENT

        return call if name in ("C_GetTokenInfo", "C_OpenSession") else function

    undo = provider.cryptoki.instrument(shown)
    yield slots
    undo()


def test_another_token_in_the_slot_is_not_taken_for_the_one_that_was_open(
    exchanged: dict[int, int], token_uri: str, token_pin: str, unopened_token_uri: str, other_token_pin: str
) -> None:
    module = token_uri.partition("?")[2]
    with (
        hwcng.open_provider(token_uri, pin=token_pin) as first,
        hwcng.open_provider(unopened_token_uri, pin=other_token_pin) as second,
    ):
        assert isinstance(first, Pkcs11Provider)
        assert isinstance(second, Pkcs11Provider)
        slot, other = first._current.slot, second._current.slot
        with hwcng.open_provider(f"pkcs11:slot-id={slot}?{module}", pin=token_pin) as by_slot:
            assert isinstance(by_slot, Pkcs11Provider)
            key = by_slot.persist_key(by_slot.generate_pair(ECDSA), "slots")
            exchanged.update({slot: other, other: 0})
            by_slot._current._lose()
            for call in (lambda: by_slot.random(8), lambda: key.sign_digest(EcdsaSpec(), DIGEST)):
                with pytest.raises(CngError, match="not there") as caught:
                    call()
                assert caught.value.status == NTSTATUS.STATUS_DEVICE_NOT_CONNECTED
            # It is in another slot by now.
            exchanged.update({slot: other, other: slot})
            key.sign_digest(EcdsaSpec(), DIGEST)
            assert by_slot._current.slot == other
            exchanged.clear()
            by_slot._current._lose()
            by_slot.delete_key("slots")


@pytest.mark.parametrize("theirs", [0, 1, 2**64 - 1])
def test_a_token_that_went_ends_nothing_of_another_librarys(
    theirs: int, softhsm: SoftHsm, tmp_path: Path, token_pin: str
) -> None:
    """theirs: the sessions that the other token says are open with it."""
    copy = tmp_path / "softhsm-theirs.so"
    shutil.copy(os.path.realpath(softhsm.module), copy)
    gone, finalised = [0], []
    with hwcng.open_provider(f"pkcs11:token=hwcng-test?module-path={copy}", pin=token_pin) as provider:
        assert isinstance(provider, Pkcs11Provider)

        def shown(name: str, function: CFunction) -> CFunction:
            def token_info(slot: int, info: Any) -> int:
                rv = function(slot, info)
                info.ulSessionCount = theirs
                return TOKEN_NOT_PRESENT if slot == gone[0] else rv

            def finalize(*arguments: object) -> int:
                finalised.append(name)
                return function(*arguments)

            return {"C_GetTokenInfo": token_info, "C_Finalize": finalize}.get(name, function)

        undo = provider.cryptoki.instrument(shown)
        gone[0] = provider._current.slot
        provider._current._lose()
        with pytest.raises(CngError) as caught:
            provider.random(8)
        assert caught.value.status == NTSTATUS.STATUS_DEVICE_NOT_CONNECTED
        assert bool(finalised) == (theirs != 1)
        undo()
        assert len(provider.random(8)) == 8


def test_a_key_of_another_token_is_not_taken_for_the_one_that_was_opened(
    exchanged: dict[int, int], token_uri: str, token_pin: str, unopened_token_uri: str, other_token_pin: str
) -> None:
    """A URI that means another token, too, once the first is gone; with a key of the same name."""
    pins = [token_pin, other_token_pin]
    with (
        hwcng.open_provider(token_uri, pin=lambda: pins[0]) as first,
        hwcng.open_provider(unopened_token_uri, pin=other_token_pin) as second,
    ):
        assert isinstance(first, Pkcs11Provider)
        assert isinstance(second, Pkcs11Provider)
        mine = first.persist_key(first.generate_pair(ECDSA), "twins")
        second.persist_key(second.generate_pair(ECDSA), "twins")
        requested, first._requested = first._requested, second._requested
        pins.reverse()
        exchanged[first._current.slot] = 0
        first._current._lose()
        with pytest.raises(CngError, match=second.token.serial) as caught:
            mine.sign_digest(EcdsaSpec(), DIGEST)
        assert caught.value.status == HRESULT.NTE_BAD_KEYSET
        assert first.random(8)
        exchanged.clear()
        first._requested = requested
        pins.reverse()
        first._current._lose()
        mine.sign_digest(EcdsaSpec(), DIGEST)
        for provider in (first, second):
            provider.delete_key("twins")
