"""How far a call travels through hwcng: the Python calls that a warm one makes there, and in how many files."""

from __future__ import annotations

import ast
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import pytest
from isolation.child import run
from support import missing, needs_module

import hwcng
from hwcng import bcrypt, ncrypt, wincrypt
from hwcng.contract.provider import Provider
from hwcng.testing.nss import NssDatabase
from hwcng.testing.swtpm import Swtpm

PACKAGE = str(Path(hwcng.__file__).parent)


class Trip:
    """calls: of hwcng's functions, each by its file and name."""

    def __init__(self, travel: Callable[[], object]) -> None:
        self.calls: list[tuple[str, str]] = []
        sys.setprofile(self._note)
        try:
            travel()
        finally:
            sys.setprofile(None)

    def _note(self, frame: FrameType, event: str, _argument: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(PACKAGE):
            self.calls.append((code.co_filename.removeprefix(f"{PACKAGE}/"), code.co_name))


def _sealing(provider: Provider, tag_buffer: bytearray | None) -> Callable[[], object]:
    algorithm = bcrypt.BCryptOpenAlgorithmProvider("AES", provider)
    bcrypt.BCryptSetProperty(algorithm, "ChainingMode", bcrypt.BCRYPT_CHAIN_MODE_GCM)
    key = bcrypt.BCryptGenerateSymmetricKey(algorithm, None, bytes(range(32)))
    info = bcrypt.BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(bytes(12), b"header", tag_buffer)
    return lambda: bcrypt.BCryptEncrypt(key, b"message", info)


def _random(provider: Provider) -> Callable[[], object]:
    rng = bcrypt.BCryptOpenAlgorithmProvider("RNG", provider)
    return lambda: bcrypt.BCryptGenRandom(rng, 32)


def _signature(provider: Provider) -> Callable[[], object]:
    pair = _pair(bcrypt.BCryptOpenAlgorithmProvider("ECDSA_P256", provider))
    return lambda: bcrypt.BCryptSignHash(pair, None, bytes(32))


def _encryption(provider: Provider) -> Callable[[], object]:
    key = bcrypt.BCryptOpenAlgorithmProvider("AES", provider).generate_key(256)
    return lambda: bcrypt.BCryptEncrypt(key, bytes(64), None, bytes(16))


def _mac(provider: Provider) -> Callable[[], object]:
    algorithm = bcrypt.BCryptOpenAlgorithmProvider("SHA256", provider, bcrypt.BCRYPT_ALG_HANDLE_HMAC_FLAG)
    key = algorithm.generate_key(256)
    return lambda: bcrypt.BCryptHash(algorithm, key, b"message")


def _key(provider: Provider) -> Callable[[], object]:
    algorithm = bcrypt.BCryptOpenAlgorithmProvider("AES", provider)
    return lambda: algorithm.generate_key(256)


def _imported(provider: Provider) -> Callable[[], object]:
    algorithm = bcrypt.BCryptOpenAlgorithmProvider("AES", provider)
    return lambda: bcrypt.BCryptGenerateSymmetricKey(algorithm, None, bytes(range(16)))


def _pair(algorithm: bcrypt.BCRYPT_ALG_HANDLE) -> bcrypt.KeyPair:
    pair = bcrypt.BCryptGenerateKeyPair(algorithm, 256)
    bcrypt.BCryptFinalizeKeyPair(pair)
    return pair


def _pairs(provider: Provider) -> Callable[[], object]:
    algorithm = bcrypt.BCryptOpenAlgorithmProvider("ECDSA_P256", provider)
    return lambda: _pair(algorithm)


def _ml_dsa_pairs(provider: Provider) -> Callable[[], object]:
    algorithm = bcrypt.BCryptOpenAlgorithmProvider("ML-DSA", provider)

    def made() -> object:
        pair = bcrypt.BCryptGenerateKeyPair(algorithm, 0)
        bcrypt.BCryptSetProperty(pair, bcrypt.BCRYPT_PARAMETER_SET_NAME, bcrypt.BCRYPT_MLDSA_PARAMETER_SET_65)
        bcrypt.BCryptFinalizeKeyPair(pair)
        return pair

    return made


def _session_key(provider: Provider) -> Callable[[], object]:
    context = wincrypt.CryptAcquireContext(None, provider, wincrypt.PROV_RSA_AES, wincrypt.CRYPT_VERIFYCONTEXT)
    return lambda: wincrypt.CryptGenKey(context, wincrypt.CALG_AES_256, 0)


def _containers_pair(provider: Provider) -> Callable[[], object]:
    containers = [
        wincrypt.CryptAcquireContext(f"trip-{number}", provider, wincrypt.PROV_RSA_AES, wincrypt.CRYPT_NEWKEYSET)
        for number in range(WARMING + 1)
    ]
    return lambda: wincrypt.CryptGenKey(containers.pop(), wincrypt.AT_SIGNATURE, 1024 << 16)


def _named_key(provider: Provider) -> Callable[[], object]:
    storage = ncrypt.NCryptOpenStorageProvider(provider)
    ncrypt.NCryptFinalizeKey(ncrypt.NCryptCreatePersistedKey(storage, "ECDSA_P256", "trip"))
    return lambda: ncrypt.NCryptOpenKey(storage, "trip")


WARMING = 2


class Most(NamedTuple):
    """calls: of hwcng's functions. files: that they are in."""

    travel: Callable[[Provider], Callable[[], object]]
    calls: int
    files: int


MOST: dict[str, dict[str, Most]] = {
    "softhsm": {
        "AES-GCM": Most(partial(_sealing, tag_buffer=None), 15, 8),
        "AES-GCM with a buffer for the tag": Most(partial(_sealing, tag_buffer=bytearray(16)), 16, 8),
        "random numbers": Most(_random, 6, 5),
        "an ECDSA signature": Most(_signature, 9, 6),
        "AES-CBC": Most(_encryption, 9, 5),
        "an AES key": Most(_key, 30, 12),
        "an imported key": Most(_imported, 36, 13),
        "an EC pair": Most(_pairs, 55, 14),
        "a session key of the CryptoAPI": Most(_session_key, 35, 14),
        "the pair of a container": Most(_containers_pair, 224, 33),
    },
    "nss": {"an ML-DSA pair": Most(_ml_dsa_pairs, 76, 18)},
    "tpm": {
        "a named key": Most(_named_key, 39, 16),
        "AES-CBC": Most(_encryption, 28, 12),
        "an HMAC": Most(_mac, 29, 14),
        "random numbers": Most(_random, 23, 11),
        "an ECDSA signature": Most(_signature, 27, 13),
    },
}
"""What is done, by the kind of token, and the most calls of it and files."""
CASES = [(token, what) for token, trips in MOST.items() for what in trips]


def travelled(provider: Provider, token: str) -> dict[str, list[tuple[str, str]]]:
    """The calls of all warm ones."""
    try:
        return {what: _travelled(most.travel(provider)) for what, most in MOST[token].items()}
    finally:
        for record in provider.list_keys():
            if "trip" in record.name:
                provider.delete_key(record.name)


def _travelled(call: Callable[[], object]) -> list[tuple[str, str]]:
    # What it makes is kept, so that nothing ends within the trip.
    kept = [call() for _ in range(WARMING)]
    return Trip(lambda: kept.append(call())).calls


def _told(token: str, uri: str, pin: str | None) -> dict[str, list[tuple[str, str]]]:
    """In a process of its own: where another test asked for deadlines of the module, each C_ call is a call more."""
    opened = f"hwcng.open_provider(URI, pin={pin!r})"
    script = f"from unit.test_trips import travelled\nprint(travelled({opened}, {token!r}))"
    told: dict[str, list[tuple[str, str]]] = ast.literal_eval(run(script, uri))
    return told


@pytest.fixture(scope="module")
def softhsm_trips(token_uri: str, token_pin: str) -> dict[str, list[tuple[str, str]]]:
    return _told("softhsm", token_uri, token_pin)


@pytest.fixture(scope="module")
def nss_trips(nss_current_database: NssDatabase, nss_pin: str) -> dict[str, list[tuple[str, str]]]:
    return _told("nss", nss_current_database.uri, nss_pin)


@pytest.fixture(scope="module")
def tpm_trips() -> dict[str, list[tuple[str, str]]]:
    needs_module("tpm2_pytss")
    if shutil.which("swtpm") is None:
        missing("command:swtpm")
    with Swtpm() as tpm:
        return _told("tpm", tpm.uri, None)


@pytest.mark.parametrize(("token", "what"), CASES)
def test_what_is_warm_travels_no_further(token: str, what: str, request: pytest.FixtureRequest) -> None:
    calls, most = request.getfixturevalue(f"{token}_trips")[what], MOST[token][what]
    assert 0 < len(calls) <= most.calls, calls
    files = dict.fromkeys(file for file, _ in calls)
    assert len(files) <= most.files, list(files)


LISTED = 8
MOST_OF_A_LISTED_KEY = 26
"""Python calls of hwcng that one more key of a kind that is listed already costs NCryptEnumKeys."""


def listing(provider: Provider) -> int:
    """How many calls LISTED more keys cost."""
    storage = ncrypt.NCryptOpenStorageProvider(provider)

    def trip() -> int:
        return len(Trip(lambda: list(ncrypt.NCryptEnumKeys(storage))).calls)

    def store(number: int) -> None:
        ncrypt.NCryptFinalizeKey(ncrypt.NCryptCreatePersistedKey(storage, "AES", f"listed-{number:02}"))

    try:
        store(LISTED)
        trip()
        before = trip()
        for number in range(LISTED):
            store(number)
        return trip() - before
    finally:
        for number in range(LISTED + 1):
            provider.delete_key(f"listed-{number:02}")


def test_a_key_more_in_a_listing_costs_little(token_uri: str, token_pin: str) -> None:
    script = f"from unit.test_trips import listing\nprint(listing(hwcng.open_provider(URI, pin={token_pin!r})))"
    assert 0 < int(run(script, token_uri)) <= LISTED * MOST_OF_A_LISTED_KEY
