"""How far a call travels through hwcng: the Python calls that a warm one makes there."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest

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


@pytest.mark.parametrize("tag_buffer", [None, bytearray(16)], ids=["no buffer", "a buffer"])
def test_a_warm_gcm_encryption(provider: Provider, tag_buffer: bytearray | None) -> None:
    algorithm = bcrypt.BCryptOpenAlgorithmProvider("AES", provider)
    bcrypt.BCryptSetProperty(algorithm, "ChainingMode", bcrypt.BCRYPT_CHAIN_MODE_GCM)
    with algorithm, bcrypt.BCryptGenerateSymmetricKey(algorithm, None, bytes(range(32))) as key:
        info = bcrypt.BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(bytes(12), b"header", tag_buffer)
        bcrypt.BCryptEncrypt(key, b"message", info)
        trip = Trip(lambda: bcrypt.BCryptEncrypt(key, b"message", info))
    assert 0 < len(trip.calls) <= 20, trip.calls


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


@pytest.mark.parametrize(
    ("prepare", "most"),
    [(_random, 12), (_signature, 13), (_encryption, 13), (_key, 41), (_imported, 53), (_pairs, 79)],
    ids=["random numbers", "an ECDSA signature", "AES-CBC", "an AES key", "an imported key", "an EC pair"],
)
def test_what_is_warm_travels_no_further(
    provider: Provider, prepare: Callable[[Provider], Callable[[], object]], most: int
) -> None:
    call = prepare(provider)
    # What it makes is kept, so that nothing ends within the trip.
    kept = [call(), call()]
    trip = Trip(lambda: kept.append(call()))
    assert 0 < len(trip.calls) <= most, trip.calls
