"""Pickling and copying: a named key is its URI, everything else stays in its process and says so."""

from __future__ import annotations

import concurrent.futures
import copy
import json
import pickle
import threading
from collections.abc import Callable
from typing import Any

import pytest
from conformance.helpers import refused
from conftest import TOKEN_PIN

import hwcng
from hwcng import bcrypt, named_keys
from hwcng.cng.keys import KeyPair, SymmetricKey
from hwcng.contract.provider import Provider
from hwcng.errors import HRESULT, NTSTATUS, CngError, TokenCode, Win32Error
from hwcng.ksp.handles import NCryptKey, StorageProvider
from hwcng.ncrypt import (
    NCryptCreatePersistedKey,
    NCryptDeleteKey,
    NCryptExportKey,
    NCryptFreeObject,
    NCryptGetProperty,
    NCryptOpenKey,
    NCryptSetProperty,
    NCryptSignHash,
    NCryptVerifySignature,
)

Make = Callable[..., NCryptKey]
DIGEST = bytes(range(32))
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


@pytest.fixture(autouse=True)
def _default(storage: StorageProvider) -> object:
    """The worker's own configuration: here, the provider that is open already."""
    hwcng.set_default_provider(storage.provider)
    yield
    hwcng.set_default_provider(None)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_named_pair(storage: StorageProvider, made: Make, name: str, protocol: int) -> None:
    key = made(storage, "ECDSA_P256", name)
    for thing in (key, key.key):
        pickled = pickle.dumps(thing, protocol)
        assert key.uri.encode() in pickled
        assert TOKEN_PIN.encode() not in pickled
        again = pickle.loads(pickled)
        assert isinstance(again, type(thing))
        assert (again.name, again.uri) == (name, key.uri)
        NCryptVerifySignature(key, None, DIGEST, NCryptSignHash(again, None, DIGEST))
        NCryptFreeObject(again)
    NCryptSignHash(key, None, DIGEST)


def test_a_pickle_holds_the_uri_and_nothing_of_the_key(storage: StorageProvider, made: Make, name: str) -> None:
    key = made(storage, "ECDSA_P256", name)
    public = NCryptExportKey(key, None, "ECCPUBLICBLOB")[8:]
    pickled = pickle.dumps(key.key)
    assert len(pickled) < len(key.uri) + 100
    assert public[:32] not in pickled
    assert pickle.loads(pickled).algorithm.name == "ECDSA_P256"


def test_a_named_symmetric_key(storage: StorageProvider, made: Make, name: str) -> None:
    key = made(storage, "AES", name, Length=128)
    NCryptSetProperty(key, "Chaining Mode", "ChainingModeECB")
    again = pickle.loads(pickle.dumps(key.key))
    assert isinstance(again, SymmetricKey)
    # Mode and IV are the handle's.
    assert again.chaining_mode == "ChainingModeCBC"
    again.set_chaining_mode("ChainingModeECB")
    assert again.encrypt(bytes(16)) == key.key.encrypt(bytes(16))  # type: ignore[call-arg]


def test_a_structure_with_keys(storage: StorageProvider, made: Make, new_name: Callable[[], str]) -> None:
    keys = {name: made(storage, "ECDSA_P256", name).key for name in (new_name(), new_name())}
    again = pickle.loads(pickle.dumps(keys))
    for name, key in keys.items():
        NCryptVerifySignature(key, None, DIGEST, NCryptSignHash(again[name], None, DIGEST))


@pytest.mark.parametrize("copying", [copy.copy, copy.deepcopy])
def test_copies_of_named_keys(
    storage: StorageProvider, made: Make, name: str, copying: Callable[..., NCryptKey]
) -> None:
    key = made(storage, "ECDSA_P256", name)
    for original in (key, key.key):
        twin = copying(original)
        assert twin is not original
        assert twin.name == name
        NCryptFreeObject(twin)
        NCryptVerifySignature(key, None, DIGEST, NCryptSignHash(original, None, DIGEST))  # type: ignore[arg-type]
    twin = copying(key)
    assert twin.storage is key.storage
    NCryptFreeObject(key)
    NCryptSignHash(twin, None, DIGEST)


def test_session_keys_say_why_not(storage: StorageProvider, made: Make) -> None:
    for algorithm in ("ECDSA_P256", "AES"):
        key = made(storage, algorithm)
        for thing in (key, key.key, {"in": [key.key]}):
            for act in (pickle.dumps, copy.deepcopy):
                with refused(NTSTATUS.STATUS_NOT_SUPPORTED) as error:
                    act(thing)
                assert "name" in error.value.message
        with refused(NTSTATUS.STATUS_NOT_SUPPORTED) as error:
            pickle.dumps(key.key)
        for word in (algorithm, "cannot be pickled", "session", "NCryptCreatePersistedKey", "persist", "URI"):
            assert word in error.value.message
        with refused(NTSTATUS.STATUS_NOT_SUPPORTED) as error:
            copy.copy(key.key)
        assert "BCryptDuplicateKey" in error.value.message


def test_other_handles_say_why_not(storage: StorageProvider, made: Make) -> None:
    ecdh = made(storage, "ECDH_P256")
    algorithm = bcrypt.BCryptOpenAlgorithmProvider("SHA256", storage.provider)
    handles = [
        storage,
        algorithm,
        bcrypt.BCryptCreateHash(algorithm),
        bcrypt.BCryptSecretAgreement(ecdh.key, ecdh.key),  # type: ignore[arg-type]
    ]
    for handle in handles:
        for act in (pickle.dumps, copy.copy, copy.deepcopy):
            with refused(NTSTATUS.STATUS_NOT_SUPPORTED) as error:
                act(handle)
            assert type(handle).__name__ in error.value.message
            assert "named key" in error.value.message


def test_a_provider_says_why_not(storage: StorageProvider) -> None:
    for act in (pickle.dumps, copy.copy, copy.deepcopy):
        with refused(NTSTATUS.STATUS_NOT_SUPPORTED) as error:
            act(storage.provider)
        assert "named key" in error.value.message


def test_an_unfinished_key(storage: StorageProvider, name: str) -> None:
    key = NCryptCreatePersistedKey(storage, "ECDSA_P256", name)
    for act in (pickle.dumps, copy.copy, copy.deepcopy):
        with refused(HRESULT.NTE_BAD_KEY_STATE):
            act(key)


def test_a_freed_key(storage: StorageProvider, made: Make, name: str) -> None:
    key = made(storage, "ECDSA_P256", name)
    pair = key.key
    NCryptFreeObject(key)
    for thing in (key, pair):
        for act in (pickle.dumps, copy.copy, copy.deepcopy):
            with refused(NTSTATUS.STATUS_INVALID_HANDLE):
                act(thing)


def test_a_key_that_is_gone_when_it_arrives(storage: StorageProvider, made: Make, name: str) -> None:
    key = made(storage, "ECDSA_P256", name)
    pickled = pickle.dumps(key)
    NCryptDeleteKey(key)
    again = pickle.loads(pickled)
    for _ in range(2):
        with refused(HRESULT.NTE_BAD_KEYSET):
            NCryptSignHash(again, None, DIGEST)
    # A failure is not kept: the key is there again, and the same handle opens it.
    made(storage, "ECDSA_P256", name)
    assert NCryptSignHash(again, None, DIGEST)


def test_a_refusal_travels(storage: StorageProvider, made: Make) -> None:
    """What a worker raises comes back as it is."""
    with pytest.raises(CngError) as error:
        pickle.dumps(made(storage, "AES").key)
    again = pickle.loads(pickle.dumps(error.value))
    assert (again.status, again.message) == (error.value.status, error.value.message)


def test_a_public_key_stays(storage: StorageProvider, made: Make) -> None:
    from hwcng.ncrypt import NCryptImportKey

    blob = NCryptExportKey(made(storage, "ECDSA_P256"), None, "ECCPUBLICBLOB")
    public = NCryptImportKey(storage, None, "ECCPUBLICBLOB", None, blob)
    assert isinstance(public.key, KeyPair)
    with refused(NTSTATUS.STATUS_NOT_SUPPORTED) as error:
        pickle.dumps(public.key)
    assert "BCryptExportKey" in error.value.message
    with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
        public.key.persist("public")


def test_the_handle_of_a_pickled_key_is_of_the_shared_provider(
    storage: StorageProvider, provider: Provider, made: Make, name: str
) -> None:
    made(storage, "ECDSA_P256", name)
    key = pickle.loads(pickle.dumps(NCryptOpenKey(storage, name)))
    assert key.storage.provider is storage.provider
    assert NCryptGetProperty(key, "Provider Handle") is key.storage
    assert provider.token.label


class Openings:
    """Counts, on every thread, how often a provider opens a key."""

    def __init__(self, token: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: list[str] = []
        opens = token.open_key

        def open_key(name: str, **options: Any) -> Any:
            self.names.append(name)
            return opens(name, **options)

        monkeypatch.setattr(token, "open_key", open_key)


@pytest.fixture
def openings(storage: StorageProvider, monkeypatch: pytest.MonkeyPatch) -> Openings:
    return Openings(storage.provider, monkeypatch)


def test_a_key_is_opened_where_it_is_used(storage: StorageProvider, made: Make, name: str, openings: Openings) -> None:
    """What an engine does with a task's arguments opens nothing."""
    key = made(storage, "ECDSA_P256", name)
    for thing in (key, key.key):
        openings.names.clear()
        again = pickle.loads(pickle.dumps(thing))
        assert isinstance(again, type(thing))
        assert again.alive
        assert (again.name, again.uri) == (name, key.uri)
        assert name in repr(again)
        assert TOKEN_PIN not in repr(again)
        assert not hasattr(again, "__dask_tokenize__")
        assert pickle.dumps(again) == pickle.dumps(thing)
        copies = [copy.copy(again), copy.deepcopy(again), pickle.loads(pickle.dumps(again))]
        NCryptFreeObject(copies.pop())
        assert openings.names == []
        for one in (again, *copies):
            NCryptVerifySignature(key, None, DIGEST, NCryptSignHash(one, None, DIGEST))
        assert len(openings.names) == 3
        NCryptSignHash(again, None, DIGEST)
        assert len(openings.names) == 3
        assert type(again) is type(thing)
        assert again.name == name


def test_a_freed_key_that_was_never_opened(storage: StorageProvider, made: Make, name: str, openings: Openings) -> None:
    key = made(storage, "ECDSA_P256", name)
    openings.names.clear()
    again = pickle.loads(pickle.dumps(key.key))
    again.destroy()
    for act in (lambda: bcrypt.BCryptSignHash(again, None, DIGEST), lambda: again.bits, lambda: pickle.dumps(again)):
        with refused(NTSTATUS.STATUS_INVALID_HANDLE):
            act()
    assert "destroyed" in repr(again)
    assert openings.names == []


def test_racing_threads_open_a_key_once(storage: StorageProvider, made: Make, name: str, openings: Openings) -> None:
    key = made(storage, "ECDSA_P256", name)
    openings.names.clear()
    again = pickle.loads(pickle.dumps(key.key))
    begin = threading.Barrier(8)

    def work() -> bytes:
        begin.wait(30)
        return bcrypt.BCryptSignHash(again, None, DIGEST)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        signatures = [task.result(60) for task in [pool.submit(work) for _ in range(8)]]
    for signature in signatures:
        NCryptVerifySignature(key, None, DIGEST, signature)
    assert len(openings.names) == 1


def test_a_key_of_another_kind_by_now(storage: StorageProvider, made: Make, name: str) -> None:
    key = made(storage, "ECDSA_P256", name)
    pickled = pickle.dumps(key.key)
    NCryptDeleteKey(key)
    made(storage, "AES", name)
    with refused(HRESULT.NTE_BAD_KEYSET):
        bcrypt.BCryptSignHash(pickle.loads(pickled), None, DIGEST)


def test_what_is_wrong_with_a_uri_is_told_at_the_first_use() -> None:
    for uri in ("pkcs11:object", "no uri", "", "pkcs11:token=nowhere;object=k", "tpm2:nowhere?object=k"):
        for kind in ("KeyPair", "SymmetricKey"):
            key = named_keys.unopened_key(kind, uri)
            for _ in range(2):
                with pytest.raises(CngError):
                    key.bits  # noqa: B018


def test_a_pickle_of_an_older_version(storage: StorageProvider, made: Make, name: str) -> None:
    """It calls open_key, and NCryptKey.of with what that returns."""
    key = made(storage, "ECDSA_P256", name)
    old = b"chwcng.named_keys\nopen_key\n(V" + key.uri.encode("raw-unicode-escape") + b"\ntR."
    NCryptVerifySignature(key, None, DIGEST, NCryptSignHash(pickle.loads(old), None, DIGEST))
    of = b"cbuiltins\ngetattr\n(chwcng.cng.ncrypt_keys\nNCryptKey\nVof\ntR("
    again = pickle.loads(of + old[:-1] + b"tR.")
    assert type(again) is NCryptKey
    NCryptVerifySignature(key, None, DIGEST, NCryptSignHash(again, None, DIGEST))


@pytest.mark.parametrize("status", [NTSTATUS.STATUS_NOT_SUPPORTED, HRESULT.NTE_BAD_KEYSET, Win32Error.ERROR_BUSY])
def test_an_error_that_travels_as_numbers(status: Any) -> None:
    error = CngError(status, "what was asked", TokenCode(0xA0, "CKR_PIN_INCORRECT"))
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert again.status is status
        assert str(again) == str(error)
        assert again.token_code == 0xA0
    plain = CngError(*json.loads(json.dumps(error.args)))
    assert plain.status is status
    assert plain.token_code == 0xA0
    assert status.name in str(plain)
    assert "0xa0" in str(plain)
    assert CngError(int(status) - (1 << 32 if status >> 31 else 0), "with a sign").status is status
    for none in (0xC0FFEE, 1 << 32, 1 << 70, -(1 << 40)):
        assert CngError(none, "no code of today").status == none
    unknown = CngError(0xC0FFEE, "a code of a later version")
    assert unknown.status == 0xC0FFEE
    assert "a code of a later version" in str(unknown)
