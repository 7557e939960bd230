"""A handle that one thread ends while others use it answers them with STATUS_INVALID_HANDLE."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from hwcng import bcrypt, ncrypt, wincrypt
from hwcng.contract.provider import Provider
from hwcng.contract.specs import SecretSpec
from hwcng.contract.usage import SecretFamily, Usage
from hwcng.errors import HRESULT, NTSTATUS, CngError, Win32Error
from hwcng.testing.calls import CallCounter

ROUNDS = 12
SECONDS = 30
ENDED = {NTSTATUS.STATUS_INVALID_HANDLE, HRESULT.NTE_INVALID_HANDLE, Win32Error.ERROR_INVALID_HANDLE}
COUNTER_KDF = [(bcrypt.KDF_HASH_ALGORITHM, "SHA256"), (bcrypt.KDF_LABEL, b"l"), (bcrypt.KDF_CONTEXT, b"c")]

Make = Callable[[Provider], Any]
Use = Callable[[Any], object]


def _key(algorithm: str, secret: bytes = bytes(range(16))) -> Make:
    return lambda token: bcrypt.BCryptGenerateSymmetricKey(
        bcrypt.BCryptOpenAlgorithmProvider(algorithm, token), None, secret
    )


def _pair(algorithm: str, bits: int = 256) -> Make:
    def make(token: Provider) -> Any:
        pair = bcrypt.BCryptGenerateKeyPair(bcrypt.BCryptOpenAlgorithmProvider(algorithm, token), bits)
        bcrypt.BCryptFinalizeKeyPair(pair)
        return pair

    return make


def _secret(token: Provider) -> Any:
    pair = _pair("ECDH_P256")(token)
    return bcrypt.BCryptSecretAgreement(pair, pair)


def _hmac(token: Provider) -> Any:
    algorithm = bcrypt.BCryptOpenAlgorithmProvider("SHA256", token, bcrypt.BCRYPT_ALG_HANDLE_HMAC_FLAG)
    return bcrypt.BCryptCreateHash(algorithm, None, b"k" * 32, bcrypt.BCRYPT_HASH_REUSABLE_FLAG)


def _session_key(token: Provider) -> Any:
    context = wincrypt.CryptAcquireContext(None, token, wincrypt.PROV_RSA_AES, wincrypt.CRYPT_VERIFYCONTEXT)
    return wincrypt.CryptGenKey(context, wincrypt.CALG_AES_128, 0)


def _decrypt_own(pair: Any) -> object:
    ciphertext = bcrypt.BCryptEncrypt(pair, b"x", None, None, bcrypt.BCRYPT_PAD_PKCS1)
    return bcrypt.BCryptDecrypt(pair, ciphertext, None, None, bcrypt.BCRYPT_PAD_PKCS1)


HANDLES: Mapping[str, tuple[Make, Use, Callable[[Any], object]]] = {
    "ECDSA": (_pair("ECDSA_P256"), lambda key: bcrypt.BCryptSignHash(key, None, bytes(32)), bcrypt.BCryptDestroyKey),
    "RSA": (_pair("RSA", 1024), _decrypt_own, bcrypt.BCryptDestroyKey),
    "ECDH": (_pair("ECDH_P256"), lambda key: bcrypt.BCryptSecretAgreement(key, key), bcrypt.BCryptDestroyKey),
    "AES": (_key("AES"), lambda key: bcrypt.BCryptEncrypt(key, bytes(64)), bcrypt.BCryptDestroyKey),
    "duplicates": (_key("AES"), bcrypt.BCryptDuplicateKey, bcrypt.BCryptDestroyKey),
    "derivation": (
        _key("SP800_108_CTR_HMAC"),
        lambda key: bcrypt.BCryptKeyDerivation(key, COUNTER_KDF, 48),
        bcrypt.BCryptDestroyKey,
    ),
    "secret": (_secret, lambda secret: bcrypt.BCryptDeriveKey(secret, "HASH", None, 16), bcrypt.BCryptDestroySecret),
    "HMAC": (_hmac, lambda hmac: hmac.finish(), bcrypt.BCryptDestroyHash),
    "NCrypt": (
        _pair("ECDSA_P256"),
        lambda key: ncrypt.NCryptSignHash(key, None, bytes(32)),
        ncrypt.NCryptFreeObject,
    ),
    "CryptoAPI": (
        _session_key,
        lambda key: wincrypt.CryptEncrypt(key, None, True, 0, bytes(20)),
        wincrypt.CryptDestroyKey,
    ),
}


def _stop() -> None:
    raise AssertionError("the handle serves on")


class Threads:
    """Three threads that use a handle until that fails."""

    def __init__(self, use: Callable[[], object]) -> None:
        self.failures: list[BaseException] = []
        self._use = use
        self._used = threading.Semaphore(0)
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(3)]
        for thread in self._threads:
            thread.start()
        for _ in self._threads:
            assert self._used.acquire(timeout=SECONDS)

    def _work(self) -> None:
        try:
            while True:
                self._use()
                self._used.release()
        except BaseException as error:
            self.failures.append(error)

    def statuses(self) -> set[object]:
        for thread in self._threads:
            thread.join(SECONDS)
        # A thread that goes on would be in the way of every test behind this one.
        self._use = _stop
        return {error.status if isinstance(error, CngError) else error for error in self.failures}


@pytest.mark.parametrize("name", HANDLES)
def test_destroyed_by_another_thread(provider: Provider, name: str) -> None:
    make, use, end = HANDLES[name]
    for _ in range(ROUNDS):
        handle = make(provider)
        threads = Threads(lambda handle=handle: use(handle))  # type: ignore[misc]
        end(handle)
        statuses = threads.statuses()
        assert len(threads.failures) == 3
        assert statuses <= ENDED


def test_a_provider_that_another_thread_closes(token_uri: str, token_pin: str) -> None:
    from hwcng.providers.registry import open_provider

    token = open_provider(token_uri, pin=token_pin)
    pair = _pair("ECDSA_P256")(token)
    threads = [
        Threads(lambda: bcrypt.BCryptSignHash(pair, None, bytes(32))),
        Threads(lambda: token.random(16)),
        Threads(lambda: list(token.list_keys())),
    ]
    token.close()
    for group in threads:
        assert group.statuses() == {NTSTATUS.STATUS_INVALID_HANDLE}
        assert len(group.failures) == 3


def _exportable(token: Provider) -> Any:
    algorithm = bcrypt.BCryptOpenAlgorithmProvider("AES", token)
    bcrypt.BCryptSetProperty(algorithm, bcrypt.NCRYPT_EXPORT_POLICY_PROPERTY, bcrypt.NCRYPT_ALLOW_EXPORT_FLAG)
    return bcrypt.BCryptGenerateSymmetricKey(algorithm, None, bytes(16))


def _wrap(key: Any) -> object:
    return bcrypt.BCryptExportKey(key, None, bcrypt.BCRYPT_OPAQUE_KEY_BLOB)


def _unwrap_under(key: Any) -> object:
    blob = bytes.fromhex("1FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5")
    algorithm = bcrypt.BCryptOpenAlgorithmProvider("AES", key.algorithm_handle.provider)
    return bcrypt.BCryptImportKey(algorithm, key, bcrypt.BCRYPT_AES_WRAP_KEY_BLOB, None, blob)


# Each function of PKCS#11 that an operation with a key waits in: what takes the key's handle, and in which place; then
# the handle, its use and its end.
CALLS: Mapping[str, tuple[str, int, tuple[Make, Use, Callable[[Any], object]]]] = {
    "C_SignInit": ("C_SignInit", 2, HANDLES["ECDSA"]),
    "C_Sign": ("C_SignInit", 2, HANDLES["ECDSA"]),
    "C_Decrypt": ("C_DecryptInit", 2, HANDLES["RSA"]),
    "C_Encrypt": ("C_EncryptInit", 2, HANDLES["AES"]),
    "C_DeriveKey": ("C_DeriveKey", 2, HANDLES["ECDH"]),
    "C_CopyObject": ("C_CopyObject", 1, HANDLES["duplicates"]),
    "C_DigestKey": ("C_DigestKey", 1, HANDLES["secret"]),
    "C_WrapKey": ("C_WrapKey", 3, (_exportable, _wrap, bcrypt.BCryptDestroyKey)),
    "C_UnwrapKey": ("C_UnwrapKey", 2, (_key("AES"), _unwrap_under, bcrypt.BCryptDestroyKey)),
}


@pytest.mark.parametrize("name", CALLS)
def test_no_key_is_destroyed_in_the_middle_of_a_call(provider: Provider, name: str) -> None:
    """SoftHSM reads freed memory where one is. It is destroyed when the operation is over."""
    taker, place, (make, use, end) = CALLS[name]
    handle = make(provider)
    entered, leave = threading.Event(), threading.Event()
    used: list[int] = []
    destroyed: list[int] = []
    failures: list[CngError] = []

    def instrument(function: str, call: Callable[..., int]) -> Callable[..., int]:
        def instrumented(*arguments: Any) -> int:
            if function == "C_DestroyObject":
                destroyed.append(int(arguments[1]))
            if function == taker:
                used.append(int(arguments[place]))
            if function == name:
                entered.set()
                assert leave.wait(SECONDS)
            return call(*arguments)

        return instrumented

    def work() -> None:
        try:
            use(handle)
        except CngError as error:
            failures.append(error)

    thread = threading.Thread(target=work, daemon=True)
    undo = provider.cryptoki.instrument(instrument)  # type: ignore[attr-defined]
    try:
        thread.start()
        assert entered.wait(SECONDS)
        end(handle)
        assert used[0] not in destroyed
        leave.set()
        thread.join(SECONDS)
        assert used[0] in destroyed
    finally:
        leave.set()
        undo()
    assert {error.status for error in failures} <= ENDED


@pytest.mark.parametrize("holders", [1, 2, 32])
def test_an_object_of_many_holders_is_destroyed_once(provider: Provider, holders: int) -> None:
    """By the last of them, however they meet, and whoever lets go twice."""
    spec = SecretSpec(SecretFamily.AES, 256, Usage.ENCRYPT)
    for _ in range(ROUNDS):
        held: Any = getattr(provider.generate_secret(spec), "held")  # noqa: B009 - of PKCS#11 alone
        for _holder in range(holders - 1):
            held.share()
        gate = threading.Barrier(2 * holders)

        def let_go(held: Any = held, gate: threading.Barrier = gate) -> None:
            gate.wait(SECONDS)
            held.release()

        team = [threading.Thread(target=let_go) for _ in range(2 * holders)]
        with CallCounter(provider) as counter:
            for thread in team:
                thread.start()
            for thread in team:
                thread.join(SECONDS)
        assert counter.names.count("C_DestroyObject") == 1
