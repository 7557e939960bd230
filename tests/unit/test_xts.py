"""XTS built from ECB: against another implementation, in every length that steals."""

from __future__ import annotations

import pytest
from conformance import cipher_oracle as oracle
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from hwcng.hostcrypto import xts

DATA_KEY, TWEAK_KEY = bytes(range(32)), bytes(range(32, 64))
DATA = bytes(octet * 13 % 251 for octet in range(500))


class Token:
    """AES-ECB under two keys, counting its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def _run(self, key: bytes, data: bytes, *, decrypting: bool = False) -> bytes:
        self.calls += 1
        cipher = Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305
        return (cipher.decryptor() if decrypting else cipher.encryptor()).update(data)

    def tweak(self, data: bytes) -> bytes:
        return self._run(TWEAK_KEY, data)

    def encrypt(self, data: bytes) -> bytes:
        return self._run(DATA_KEY, data)

    def decrypt(self, data: bytes) -> bytes:
        return self._run(DATA_KEY, data, decrypting=True)


@pytest.mark.parametrize("unit", [16, 17, 24, 31, 32, 33, 48, 100])
def test_every_length(unit: int) -> None:
    for size in range(len(DATA)):
        if 0 < size % unit < xts.BLOCK:
            continue
        token, expected = Token(), oracle.xts(DATA_KEY + TWEAK_KEY, 12345, unit, DATA[:size])
        assert xts.encrypt(token.tweak, token.encrypt, 12345, unit, DATA[:size]) == expected
        assert token.calls == 0 if not size else token.calls in (2, 3)
        assert xts.decrypt(token.tweak, token.decrypt, 12345, unit, expected) == DATA[:size]


def test_units() -> None:
    assert xts.units(DATA[:5], 2) == [DATA[:2], DATA[2:4], DATA[4:5]]
    assert xts.units(b"", 2) == []
    assert [xts.unit_count(length, 2) for length in (0, 1, 2, 3)] == [0, 1, 1, 2]
