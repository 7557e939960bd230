"""How far a call travels through hwcng: the Python calls that a warm one makes there."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType

import pytest
from isolation.child import run

import hwcng
from hwcng import bcrypt
from hwcng.contract.provider import Provider

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


MOST: dict[str, tuple[Callable[[Provider], Callable[[], object]], int]] = {
    "AES-GCM": (partial(_sealing, tag_buffer=None), 20),
    "AES-GCM with a buffer for the tag": (partial(_sealing, tag_buffer=bytearray(16)), 20),
    "random numbers": (_random, 12),
    "an ECDSA signature": (_signature, 13),
    "AES-CBC": (_encryption, 13),
    "an AES key": (_key, 41),
    "an imported key": (_imported, 53),
    "an EC pair": (_pairs, 79),
}
"""What is done, and the most calls of it."""


def travelled(provider: Provider, what: str) -> list[tuple[str, str]]:
    """The calls of a warm one."""
    call = MOST[what][0](provider)
    # What it makes is kept, so that nothing ends within the trip.
    kept = [call(), call()]
    return Trip(lambda: kept.append(call())).calls


@pytest.mark.parametrize("what", MOST)
def test_what_is_warm_travels_no_further(what: str, token_uri: str) -> None:
    """In a process of its own: where another test asked for deadlines of the module, each C_ call is a call more."""
    told = run(f"from unit.test_trips import travelled\nprint(travelled(open_token(), {what!r}))", token_uri)
    calls = ast.literal_eval(told)
    assert 0 < len(calls) <= MOST[what][1], calls
