"""The algorithm that a stored key is told to be of, and what keys with names cost."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest
from conformance.helpers import refused

from hwcng import ncrypt
from hwcng.bcrypt import BCryptSignHash
from hwcng.cng import naming
from hwcng.cng.algorithm_table import ALGORITHMS
from hwcng.cng.stored_algorithm import algorithm_name
from hwcng.contract.provider import KeyRecord, Provider
from hwcng.contract.specs import PairSpec, SecretSpec
from hwcng.contract.usage import SecretFamily, Usage
from hwcng.errors import NTSTATUS
from hwcng.ksp.handles import NCryptKey, StorageProvider
from hwcng.ksp.properties import algorithm_group
from hwcng.ncrypt import NCryptCreatePersistedKey, NCryptFinalizeKey, NCryptGetProperty, NCryptOpenKey

Make = Callable[..., NCryptKey]
DIGEST = bytes(range(32))


@pytest.mark.parametrize(
    ("spec", "algorithm"),
    [
        (PairSpec("RSA", Usage.SIGN | Usage.DECRYPT, bits=2048), "RSA"),
        (PairSpec("RSA", Usage.SIGN, bits=2048), "RSA"),
        (PairSpec("RSA", Usage.DECRYPT, bits=2048), "RSA"),
        (PairSpec("EC", Usage.SIGN, curve="nistP256"), "ECDSA_P256"),
        (PairSpec("EC", Usage.SIGN, curve="nistP521"), "ECDSA_P521"),
        (PairSpec("EC", Usage.SIGN, curve="secP256k1"), "ECDSA"),
        (PairSpec("EC", Usage.DERIVE, curve="nistP384"), "ECDH_P384"),
        (PairSpec("EC", Usage.DERIVE, curve="brainpoolP256r1"), "ECDH"),
        (PairSpec("EC", Usage.SIGN | Usage.DERIVE, curve="nistP256"), "ECDSA_P256"),
        (SecretSpec(SecretFamily.AES, 128, Usage.ENCRYPT), "AES"),
        (SecretSpec(SecretFamily.CMAC, 128, Usage.SIGN), "AES-CMAC"),
        (SecretSpec(SecretFamily.GMAC, 128, Usage.ENCRYPT), "AES-GMAC"),
        (SecretSpec(SecretFamily.HMAC, 256, Usage.SIGN, hash_name="SHA256"), "HMAC-SHA256"),
        (SecretSpec(SecretFamily.KDF, 256, Usage.DERIVE), "KDF"),
        (PairSpec("EC", Usage.NONE, curve="nistP256"), "EC"),
    ],
)
def test_the_name_of_the_algorithm(spec: PairSpec | SecretSpec, algorithm: str) -> None:
    assert algorithm_name(spec) == algorithm


@pytest.mark.parametrize(
    ("algorithm", "group"),
    [
        ("RSA", "RSA"),
        ("ECDSA_P384", "ECDSA"),
        ("ECDSA", "ECDSA"),
        ("ECDH", "ECDH"),
        ("DH", "DH"),
        ("DSA", "DSA"),
        ("AES", "AES"),
        ("3DES_112", "3DES"),
        ("DESX", "DES"),
        ("ML-DSA", "MLDSA"),
        ("ML-KEM", "MLKEM"),
    ],
)
def test_the_group_of_the_algorithm(algorithm: str, group: str) -> None:
    assert algorithm_group(ALGORITHMS[algorithm]) == group


def test_a_key_that_is_of_no_algorithm(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as one that other software made without a use that we know."""
    spec = SecretSpec(SecretFamily.AES, 256, Usage.ENCRYPT | Usage.DECRYPT)
    key = provider.generate_secret(spec)
    monkeypatch.setattr(key, "spec", SecretSpec(SecretFamily.KDF, 256, Usage.DERIVE))
    monkeypatch.setattr(provider, "open_key", lambda name, pin=None: key)
    with refused(NTSTATUS.STATUS_NOT_SUPPORTED) as error:
        naming.open_named(provider, "foreign")
    assert "KDF" in error.value.message
    # It was let go of.
    with refused(NTSTATUS.STATUS_INVALID_HANDLE):
        key.duplicate()


def test_the_hardware_that_a_token_says_it_is(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    storage = ncrypt.NCryptOpenStorageProvider(provider)
    for hardware, removable, shown in ((True, False, 0x11), (True, True, 0x19), (False, False, 2), (False, True, 10)):
        monkeypatch.setattr(provider, "token", replace(provider.token, hardware=hardware, removable=removable))
        assert NCryptGetProperty(storage, "Impl Type") == shown


def test_calls(soft_storage: StorageProvider, calls: Callable[..., Any], made: Make, name: str) -> None:
    key = made(soft_storage, "ECDSA_P256", name)
    pair: Any = NCryptOpenKey(soft_storage, name).key
    with calls() as counter:
        BCryptSignHash(pair, None, DIGEST)
    assert counter.asked == ["C_SignInit", "C_Sign"]
    pickle.dumps(key)
    with calls() as counter:
        pickle.dumps(key)
        assert key.uri
    # The URI is told once.
    assert counter.names == []
    with calls() as counter:
        NCryptOpenKey(soft_storage, name)
    assert len(counter.asked) == 1


def test_a_draft_costs_nothing_but_the_look_for_its_name(
    soft_storage: StorageProvider, calls: Callable[..., Any], name: str
) -> None:
    with calls() as counter:
        NCryptCreatePersistedKey(soft_storage, "RSA", None)
    assert counter.names == []
    with calls() as counter:
        draft = NCryptCreatePersistedKey(soft_storage, "ECDSA_P256", name)
    # That there is no such key is believed where the session is logged in, to the token that was opened.
    searching = {"C_FindObjectsInit", "C_FindObjects", "C_FindObjectsFinal"}
    assert set(counter.asked) <= searching | {"C_GetSessionInfo", "C_GetTokenInfo"}
    assert len(counter.asked) == len(set(counter.asked))
    NCryptFinalizeKey(draft)


def test_listing_says_what_opening_finds(storage: StorageProvider, made: Make, name: str) -> None:
    made(storage, "ECDH_P256", name)
    record = next(record for record in storage.provider.list_keys() if record.name == name)
    assert isinstance(record, KeyRecord)
    assert algorithm_name(record.spec) == NCryptGetProperty(NCryptOpenKey(storage, name), "Algorithm Name")
