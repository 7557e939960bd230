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
