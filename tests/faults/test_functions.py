"""Every C_ function that an operation calls fails in every way that is told apart: status, cause, pool and recovery."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pkcs11
import pytest
from isolation.ledger import OpenSessions, pool, session_objects

from hwcng import NTSTATUS, CngError, bcrypt
from hwcng.contract.provider import Provider
from hwcng.testing.faults import FaultInjector


class Fault(NamedTuple):
    """status: of an operation that failed alone. lost: of one that was answered so because the sessions were dead."""

    rv: int
    status: NTSTATUS
    cause: type[pkcs11.PKCS11Error]
    lost: NTSTATUS = NTSTATUS.STATUS_DEVICE_NOT_CONNECTED


NO_CARD, NOT_AUTHENTICATED = NTSTATUS.STATUS_SMARTCARD_NO_CARD, NTSTATUS.STATUS_SMARTCARD_CARD_NOT_AUTHENTICATED
FAULTS = {
    "CKR_HOST_MEMORY": Fault(0x02, NTSTATUS.STATUS_NO_MEMORY, pkcs11.HostMemory),
    "CKR_SLOT_ID_INVALID": Fault(0x03, NTSTATUS.STATUS_DEVICE_NOT_CONNECTED, pkcs11.SlotIDInvalid),
    "CKR_GENERAL_ERROR": Fault(0x05, NTSTATUS.STATUS_INTERNAL_ERROR, pkcs11.GeneralError),
    "CKR_FUNCTION_FAILED": Fault(0x06, NTSTATUS.STATUS_INTERNAL_ERROR, pkcs11.FunctionFailed),
    "CKR_DEVICE_ERROR": Fault(0x30, NTSTATUS.STATUS_IO_DEVICE_ERROR, pkcs11.DeviceError),
    "CKR_DEVICE_MEMORY": Fault(0x31, NTSTATUS.STATUS_INSUFFICIENT_RESOURCES, pkcs11.DeviceMemory),
    "CKR_DEVICE_REMOVED": Fault(0x32, NTSTATUS.STATUS_DEVICE_NOT_CONNECTED, pkcs11.DeviceRemoved),
    "CKR_FUNCTION_CANCELED": Fault(0x50, NTSTATUS.STATUS_CANCELLED, pkcs11.FunctionCancelled),
    "CKR_KEY_HANDLE_INVALID": Fault(0x60, NTSTATUS.STATUS_INVALID_HANDLE, pkcs11.KeyHandleInvalid),
    "CKR_MECHANISM_INVALID": Fault(0x70, NTSTATUS.STATUS_NOT_SUPPORTED, pkcs11.MechanismInvalid),
    "CKR_OPERATION_ACTIVE": Fault(0x90, NTSTATUS.STATUS_INTERNAL_ERROR, pkcs11.OperationActive),
    "CKR_SESSION_CLOSED": Fault(0xB0, NTSTATUS.STATUS_DEVICE_NOT_CONNECTED, pkcs11.SessionClosed),
    "CKR_SESSION_HANDLE_INVALID": Fault(0xB3, NTSTATUS.STATUS_DEVICE_NOT_CONNECTED, pkcs11.SessionHandleInvalid),
    "CKR_TOKEN_NOT_PRESENT": Fault(0xE0, NO_CARD, pkcs11.TokenNotPresent, NO_CARD),
    "CKR_USER_NOT_LOGGED_IN": Fault(0x101, NOT_AUTHENTICATED, pkcs11.UserNotLoggedIn, NOT_AUTHENTICATED),
    "CKR_BUFFER_TOO_SMALL": Fault(0x150, NTSTATUS.STATUS_INTERNAL_ERROR, pkcs11.PKCS11Error),
    "CKR_CRYPTOKI_NOT_INITIALIZED": Fault(0x190, NTSTATUS.STATUS_DEVICE_NOT_CONNECTED, pkcs11.PKCS11Error),
    "CKR_VENDOR_DEFINED": Fault(0x80001234, NTSTATUS.STATUS_INTERNAL_ERROR, pkcs11.PKCS11Error),
}

# A damaged blob and a failing token answer alike when a key is unwrapped.
BAD_BLOB = frozenset({"CKR_GENERAL_ERROR", "CKR_FUNCTION_FAILED", "CKR_DEVICE_ERROR", "CKR_VENDOR_DEFINED"})


class Bench:
    """A provider of its own with keys of every kind, and the operations on them."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.aes = bcrypt.BCryptOpenAlgorithmProvider("AES", provider)
        bcrypt.BCryptSetProperty(self.aes, bcrypt.NCRYPT_EXPORT_POLICY_PROPERTY, bcrypt.NCRYPT_ALLOW_EXPORT_FLAG)
        self.hmac = bcrypt.BCryptOpenAlgorithmProvider("SHA256", provider, bcrypt.BCRYPT_ALG_HANDLE_HMAC_FLAG)
        self.key, self.kek = self.aes.generate_key(256), self.aes.generate_key(256)
        self.mac_key = self.hmac.generate_key(256)
        self.ecdsa, self.ecdh, self.peer = (self.pair(name) for name in ("ECDSA_P256", "ECDH_P256", "ECDH_P256"))
        self.secret = bcrypt.BCryptSecretAgreement(self.ecdh, self.peer)
        self.wrapped = self.wrap()
        self.first = self.encrypt()

    def pair(self, name: str) -> bcrypt.KeyPair:
        pair = bcrypt.BCryptGenerateKeyPair(bcrypt.BCryptOpenAlgorithmProvider(name, self.provider), 256)
        bcrypt.BCryptFinalizeKeyPair(pair)
        return pair

    def random(self) -> bytes:
        return self.provider.random(8)

    def encrypt(self) -> bytes:
        return bcrypt.BCryptEncrypt(self.key, bytes(32), None, bytes(16))

    def decrypt(self) -> bytes:
        return bcrypt.BCryptDecrypt(self.key, self.first, None, bytes(16))

    def mac(self) -> bytes:
        return bcrypt.BCryptHash(self.hmac, self.mac_key, b"data")

    def sign(self) -> bytes:
        return bcrypt.BCryptSignHash(self.ecdsa, None, bytes(32))

    def generate(self) -> None:
        bcrypt.BCryptDestroyKey(self.aes.generate_key(128))

    def generate_pair(self) -> None:
        bcrypt.BCryptDestroyKey(self.pair("ECDSA_P256"))

    def create(self) -> None:
        bcrypt.BCryptDestroyKey(bcrypt.BCryptGenerateSymmetricKey(self.aes, None, bytes(16)))

    def duplicate(self) -> None:
        bcrypt.BCryptDestroyKey(bcrypt.BCryptDuplicateKey(self.key))

    def wrap(self) -> bytes:
        return bcrypt.BCryptExportKey(self.key, self.kek, bcrypt.BCRYPT_AES_WRAP_KEY_BLOB)

    def unwrap(self) -> None:
        bcrypt.BCryptDestroyKey(
            bcrypt.BCryptImportKey(self.aes, self.kek, bcrypt.BCRYPT_AES_WRAP_KEY_BLOB, None, self.wrapped)
        )

    def opaque(self) -> bytes:
        return bcrypt.BCryptExportKey(self.key, None, bcrypt.BCRYPT_OPAQUE_KEY_BLOB)

    def agree(self) -> None:
        bcrypt.BCryptDestroySecret(bcrypt.BCryptSecretAgreement(self.ecdh, self.peer))

    def derive(self) -> bytes:
        prefix = [(bcrypt.KDF_HASH_ALGORITHM, "SHA256"), (bcrypt.KDF_SECRET_PREPEND, b"prefix")]
        return bcrypt.BCryptDeriveKey(self.secret, bcrypt.BCRYPT_KDF_HASH, prefix, None)


CALLS: tuple[tuple[str, Callable[[Bench], object]], ...] = (
    ("C_GenerateRandom", Bench.random),
    ("C_EncryptInit", Bench.encrypt),
    ("C_Encrypt", Bench.encrypt),
    ("C_DecryptInit", Bench.decrypt),
    ("C_Decrypt", Bench.decrypt),
    ("C_SignInit", Bench.mac),
    ("C_Sign", Bench.mac),
    ("C_SignInit", Bench.sign),
    ("C_Sign", Bench.sign),
    ("C_GenerateKey", Bench.generate),
    ("C_GenerateKeyPair", Bench.generate_pair),
    ("C_GetAttributeValue", Bench.generate_pair),
    ("C_CreateObject", Bench.create),
    ("C_CopyObject", Bench.duplicate),
    ("C_WrapKey", Bench.wrap),
    ("C_UnwrapKey", Bench.unwrap),
    ("C_GetAttributeValue", Bench.unwrap),
    ("C_FindObjectsInit", Bench.opaque),
    ("C_FindObjects", Bench.opaque),
    ("C_FindObjectsFinal", Bench.opaque),
    ("C_DeriveKey", Bench.agree),
    ("C_GetAttributeValue", Bench.agree),
    ("C_DigestInit", Bench.derive),
    ("C_DigestUpdate", Bench.derive),
    ("C_DigestKey", Bench.derive),
    ("C_DigestFinal", Bench.derive),
)
CASES = [pytest.param(function, operation, id=f"{function}-{operation.__name__}") for function, operation in CALLS]


@pytest.fixture
def bench(fresh_provider: Provider) -> Bench:
    return Bench(fresh_provider)


@pytest.fixture
def sessions(bench: Bench) -> Iterator[OpenSessions]:
    """What is open at the end must stand in the provider's pool, and nothing at all after it is closed."""
    opened = OpenSessions(bench.provider)
    yield opened
    assert opened.handles == pool(bench.provider)
    assert opened.closed_twice == 0
    bench.provider.close()
    opened.undo()
    assert not opened.handles


@pytest.mark.parametrize(("function", "operation"), CASES)
def test_every_failure(
    function: str, operation: Callable[[Bench], object], bench: Bench, sessions: OpenSessions
) -> None:
    """No answer to one operation ends another key: an owner session is asked, and it lives."""
    for name, fault in FAULTS.items():
        bench.random()
        objects = session_objects(bench.provider)
        with FaultInjector(bench.provider) as faults:
            faults.fail(function, fault.rv, nth=1)
            with pytest.raises(CngError) as caught:
                operation(bench)
            assert faults.injected == 1
        status = NTSTATUS.STATUS_INVALID_PARAMETER if function == "C_UnwrapKey" and name in BAD_BLOB else fault.status
        assert caught.value.status == status, name
        assert caught.value.token_code == fault.rv and caught.value.token_code.name == name
        assert type(caught.value.__cause__) is fault.cause, name
        assert name in str(caught.value) and "lost" not in str(caught.value)
        assert bench.decrypt() == bytes(32)
        operation(bench)
        del caught
        gc.collect()
        bench.generate()
        assert session_objects(bench.provider) == objects, name
        assert sessions.handles == pool(bench.provider), name


@pytest.mark.parametrize(("function", "operation"), CASES)
def test_every_loss(function: str, operation: Callable[[Bench], object], bench: Bench, sessions: OpenSessions) -> None:
    """Whatever a token calls it when its sessions are dead: the connection ends, and is made anew."""
    for name, fault in FAULTS.items():
        # The first call after a loss connects again; here it has the pool warm.
        bench.random()
        with FaultInjector(bench.provider) as faults:
            faults.fail(function, fault.rv, nth=1).fail("C_GetSessionInfo", fault.rv)
            with pytest.raises(CngError, match="lost") as caught:
                operation(bench)
        assert (caught.value.status, caught.value.token_code) == (fault.lost, fault.rv), name
        with pytest.raises(CngError, match="lost") as lost:
            bench.encrypt()
        assert lost.value.status == NTSTATUS.STATUS_INVALID_DEVICE_STATE
        assert lost.value.token_code is None
        bench = Bench(bench.provider)
        operation(bench)
        del caught, lost
        gc.collect()
        assert sessions.handles == pool(bench.provider), name


@pytest.mark.parametrize("function", ["C_EncryptInit", "C_DecryptInit", "C_SignInit", "C_DigestInit", "C_DigestUpdate"])
@pytest.mark.parametrize("rv", [0x05, 0x06, 0x90])
def test_operation_left_in_a_session_ends_with_it(function: str, rv: int, bench: Bench, sessions: OpenSessions) -> None:
    """The token did begin, and only said that it did not."""
    operation = next(operation for name, operation in CALLS if name == function)
    with FaultInjector(bench.provider) as faults:
        faults.fail(function, rv, nth=1, after=True)
        with pytest.raises(CngError):
            operation(bench)
    before = sessions.opened
    operation(bench)
    bench.encrypt(), bench.decrypt(), bench.mac(), bench.derive()
    assert sessions.opened == before + 1


@pytest.mark.parametrize("name", FAULTS)
def test_destroying_never_fails(name: str, bench: Bench, sessions: OpenSessions) -> None:
    fault = FAULTS[name]
    with FaultInjector(bench.provider) as faults:
        faults.fail("C_DestroyObject", fault.rv, nth=1)
        bcrypt.BCryptDestroyKey(bench.aes.generate_key(128))
        assert faults.injected == 1
    bench.encrypt()
    bench.generate()


@pytest.mark.parametrize("name", FAULTS)
def test_closing_a_session_never_fails(name: str, bench: Bench) -> None:
    with FaultInjector(bench.provider) as faults:
        faults.fail("C_CloseSession", FAULTS[name].rv, after=True)
        faults.fail("C_Sign", 0x05, nth=1)
        with pytest.raises(CngError, match="CKR_GENERAL_ERROR"):
            bench.sign()
        assert bench.sign()
        bench.provider.close()
    with pytest.raises(CngError, match="closed"):
        bench.provider.random(8)


@pytest.mark.parametrize("name", FAULTS)
def test_opening_of_another_session(name: str, fresh_provider: Provider) -> None:
    fault = FAULTS[name]
    bench = Bench(fresh_provider)
    current = fresh_provider._current
    while current._idle:
        current.discard(current._idle.pop())
    with FaultInjector(fresh_provider) as faults:
        faults.fail("C_OpenSession", fault.rv, nth=1)
        with pytest.raises(CngError) as caught:
            bench.encrypt()
    assert caught.value.status == fault.status and caught.value.token_code == fault.rv
    assert len(fresh_provider.random(8)) == 8
    assert bench.encrypt() == bench.first
