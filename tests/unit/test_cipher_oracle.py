"""The references that the conformance tests trust, against the vectors of their standards."""

from __future__ import annotations

import pytest
from conformance import cipher_oracle as oracle
from cryptography.hazmat.decrepit.ciphers import algorithms as decrepit
from cryptography.hazmat.primitives.ciphers import Cipher, modes

# RFC 2268, section 5: key, effective bits, plaintext, ciphertext.
RC2_VECTORS = (
    ("0000000000000000", 63, "0000000000000000", "ebb773f993278eff"),
    ("ffffffffffffffff", 64, "ffffffffffffffff", "278b27e42e2f0d49"),
    ("3000000000000000", 64, "1000000000000001", "30649edf9be7d2c2"),
    ("88", 64, "0000000000000000", "61a8a244adacccf0"),
    ("88bca90e90875a", 64, "0000000000000000", "6ccf4308974c267f"),
    ("88bca90e90875a7f0f79c384627bafb2", 64, "0000000000000000", "1a807d272bbe5db1"),
    ("88bca90e90875a7f0f79c384627bafb2", 128, "0000000000000000", "2269552ab0f85ca6"),
    ("88bca90e90875a7f0f79c384627bafb216f80a6f85920584c42fceb0be255daf1e", 129, "0" * 16, "5b78d3a43dfff1f1"),
)
# RFC 6229, section 2: key, {offset: key stream}.
RC4_VECTORS = (
    ("0102030405", {0: "b2396305f03dc027ccc3524a0a1118a8", 4096: "ff25b58995996707e51fbdf08b34d875"}),
    ("0102030405060708090a0b0c0d0e0f10", {0: "9ac7cc9a609d1ef7b2932899cde41b97"}),
)


@pytest.mark.parametrize(("key", "bits", "plaintext", "ciphertext"), RC2_VECTORS)
def test_rc2(key: str, bits: int, plaintext: str, ciphertext: str) -> None:
    assert oracle.rc2_block(bytes.fromhex(key), bits, bytes.fromhex(plaintext)).hex() == ciphertext


def test_rc2_modes() -> None:
    key, iv, data = bytes(range(16)), bytes(range(8)), bytes(range(40))
    encryptor = Cipher(decrepit.RC2(key), modes.CBC(iv)).encryptor()
    assert oracle.rc2("CBC", key, iv, data) == encryptor.update(data) + encryptor.finalize()


@pytest.mark.parametrize(("key", "streams"), RC4_VECTORS)
def test_rc4(key: str, streams: dict[int, str]) -> None:
    for offset, stream in streams.items():
        assert oracle.rc4(bytes.fromhex(key), bytes(offset + 16))[offset:].hex() == stream


@pytest.mark.parametrize("size", [5, 7, 8, 10, 16, 20, 24, 32])
def test_rc4_as_another_implementation(size: int) -> None:
    key, data = bytes(range(size)), bytes(1000)
    assert oracle.rc4(key, data) == Cipher(decrepit.ARC4(key), None).encryptor().update(data)
