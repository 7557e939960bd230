"""3DES, 3DES_112, DES, RC2, RC4, XTS-AES and CHACHA20_POLY1305 on every token that has them, against `cryptography`."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from conformance.checks import cipher_key, fails, need, needs_generation
from conformance.helpers import key_data_blob
from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4, RC2, TripleDES
from cryptography.hazmat.decrepit.ciphers.modes import CFB, CFB8
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from hwcng import NTSTATUS, bcrypt
from hwcng.cng.algorithm_table import ALGORITHMS
from hwcng.contract.provider import Provider
from hwcng.testing.calls import CallCounter

INVALID, NOT_SUPPORTED = NTSTATUS.STATUS_INVALID_PARAMETER, NTSTATUS.STATUS_NOT_SUPPORTED
MODE, UNIT, EFFECTIVE = "ChainingMode", bcrypt.BCRYPT_MESSAGE_BLOCK_LENGTH, bcrypt.BCRYPT_EFFECTIVE_KEY_LENGTH
SECRET = bytes(range(1, 65))
DATA = bytes(range(200, 256)) + bytes(range(64))
IV = bytes(range(50, 58))
BLOCK_CIPHERS: dict[str, tuple[int, Callable[[bytes], Any]]] = {
    "3DES": (24, TripleDES),
    "3DES_112": (16, TripleDES),
    "DES": (8, TripleDES),
    "RC2": (16, RC2),
}
HOST_MODES = {"ECB": None, "CBC": modes.CBC(IV), "CFB8": CFB8(IV), "CFB64": CFB(IV)}

every_block_cipher = pytest.mark.parametrize("name", BLOCK_CIPHERS)


def rc2_block(secret: bytes, block: bytes) -> bytes:
    """cryptography has RC2 in CBC only, of which one block is ECB."""
    return Cipher(RC2(secret), modes.CBC(bytes(8))).encryptor().update(block)


def encrypted(name: str, secret: bytes, mode: str, data: bytes) -> bytes:
    if name != "RC2" or mode == "CBC":
        return Cipher(BLOCK_CIPHERS[name][1](secret), HOST_MODES[mode] or modes.ECB()).encryptor().update(data)  # noqa: S305
    if mode == "ECB":
        return b"".join(rc2_block(secret, data[start : start + 8]) for start in range(0, len(data), 8))
    unit, register, output = (1 if mode == "CFB8" else 8), IV, b""
    for start in range(0, len(data), unit):
        segment = data[start : start + unit]
        output += bytes(one ^ other for one, other in zip(segment, rc2_block(secret, register), strict=False))
        register = (register + output[start:])[-8:]
    return output


@pytest.mark.row("GSK-26", "ENC-07", "ENC-09", "ENC-10")
@every_block_cipher
@pytest.mark.parametrize("mode", HOST_MODES)
def test_block_ciphers_in_every_mode(token: Provider, name: str, mode: str) -> None:
    secret = SECRET[: BLOCK_CIPHERS[name][0]]
    with cipher_key(token, name, secret, mode) as key:
        iv = None if mode == "ECB" else bytearray(IV)
        ciphertext = bcrypt.BCryptEncrypt(key, DATA, None, iv)
        assert ciphertext == encrypted(name, secret, mode, DATA)
        assert iv is None or iv == ciphertext[-8:]
        if mode.startswith("CFB"):
            partial = bcrypt.BCryptEncrypt(key, DATA[:13], None, IV)
            assert partial == encrypted(name, secret, mode, DATA[:13])
        assert bcrypt.BCryptDecrypt(key, ciphertext, None, None if mode == "ECB" else IV) == DATA
        padded = bcrypt.BCryptEncrypt(key, DATA[:13], None, None if mode == "ECB" else IV, bcrypt.BCRYPT_BLOCK_PADDING)
        assert len(padded) == 16
        iv_again = None if mode == "ECB" else IV
        assert bcrypt.BCryptDecrypt(key, padded, None, iv_again, bcrypt.BCRYPT_BLOCK_PADDING) == DATA[:13]


@pytest.mark.row("GSK-23", "ENC-08", "DEC-05")
@every_block_cipher
def test_the_running_iv_has_one_block(token: Provider, name: str) -> None:
    secret = SECRET[: BLOCK_CIPHERS[name][0]]
    with cipher_key(token, name, secret, "CBC") as key:
        whole = Cipher(BLOCK_CIPHERS[name][1](secret), modes.CBC(bytes(8))).encryptor().update(DATA)
        assert bcrypt.BCryptEncrypt(key, DATA[:24]) + bcrypt.BCryptEncrypt(key, DATA[24:]) == whole
        bcrypt.BCryptSetProperty(key, bcrypt.BCRYPT_INITIALIZATION_VECTOR, IV)
        with bcrypt.BCryptDuplicateKey(key) as duplicate:
            assert bcrypt.BCryptEncrypt(duplicate, DATA) == encrypted(name, secret, "CBC", DATA)
        for length in (0, 7, 9, 16):
            with fails(INVALID):
                bcrypt.BCryptSetProperty(key, bcrypt.BCRYPT_INITIALIZATION_VECTOR, bytes(length))
            with fails(INVALID):
                bcrypt.BCryptEncrypt(key, DATA, None, bytes(length))
        with fails(NTSTATUS.STATUS_INVALID_BUFFER_SIZE):
            bcrypt.BCryptEncrypt(key, DATA[:13])
        with fails(INVALID):
            bcrypt.BCryptSetProperty(key, UNIT, 16)


@pytest.mark.row("GSK-15", "GSK-16", "GSK-18", "GSK-26", "GSK-27")
@pytest.mark.parametrize(
    ("name", "good", "cut", "bad"),
    [
        ("3DES", (24,), (25, 64), (0, 8, 16, 23)),
        ("3DES_112", (16,), (17, 24), (0, 8, 15)),
        ("DES", (8,), (9, 24), (0, 7)),
        ("RC2", (2, 5, 8, 16), (17, 64), (0, 1)),
        ("RC4", (1, 5, 16, 64), (65, 128), (0,)),
        ("XTS-AES", (32, 64), (65, 128), (0, 16, 31, 33, 48, 63)),
        ("CHACHA20_POLY1305", (32,), (33, 64), (0, 16, 31)),
    ],
)
def test_lengths_of_secrets(
    token: Provider, name: str, good: tuple[int, ...], cut: tuple[int, ...], bad: tuple[int, ...]
) -> None:
    need(token, name)
    secret = bytes(octet % 251 for octet in range(1, 200))
    with bcrypt.BCryptOpenAlgorithmProvider(name, token) as handle:
        for size in good:
            with bcrypt.BCryptGenerateSymmetricKey(handle, None, secret[:size]) as key:
                assert bcrypt.BCryptGetProperty(key, bcrypt.BCRYPT_KEY_LENGTH) == 8 * size
                assert bcrypt.BCryptGetProperty(key, bcrypt.BCRYPT_KEY_STRENGTH) == 8 * size
        for size in cut:
            with bcrypt.BCryptGenerateSymmetricKey(handle, None, secret[:size]) as key:
                assert bcrypt.BCryptGetProperty(key, bcrypt.BCRYPT_KEY_LENGTH) == 8 * max(good)
        for size in bad:
            with fails(INVALID):
                bcrypt.BCryptGenerateSymmetricKey(handle, None, secret[:size])
            with fails(INVALID):
                bcrypt.BCryptImportKey(handle, None, bcrypt.BCRYPT_KEY_DATA_BLOB, None, key_data_blob(secret[:size]))
        blob = key_data_blob(secret[: good[-1]])
        with bcrypt.BCryptImportKey(handle, None, bcrypt.BCRYPT_KEY_DATA_BLOB, None, blob) as key:
            assert bcrypt.BCryptGetProperty(key, bcrypt.BCRYPT_ALGORITHM_NAME) == name


@pytest.mark.row("GSK-26")
def test_parity_bits_do_not_count(token: Provider) -> None:
    plain = bytes(octet & 0xFE for octet in SECRET[:24])
    ciphertexts = set()
    for secret in (plain, bytes(octet | 1 for octet in plain)):
        with cipher_key(token, "3DES", secret, "CBC") as key:
            ciphertexts.add(bcrypt.BCryptEncrypt(key, DATA, None, IV))
    assert len(ciphertexts) == 1


@pytest.mark.row("3.2 ChainingMode", "3.2 KeyLengths", "3.2 BlockLength", "3.2 BlockSizeList", "3.2 ObjectLength")
@pytest.mark.parametrize(
    ("name", "block", "mode", "lengths"),
    [
        ("3DES", 8, "CBC", (192, 192, 0)),
        ("3DES_112", 8, "CBC", (128, 128, 0)),
        ("DES", 8, "CBC", (64, 64, 0)),
        ("RC2", 8, "CBC", (16, 128, 8)),
        ("RC4", 1, "N/A", (8, 512, 8)),
        ("XTS-AES", 16, "N/A", (256, 512, 256)),
        ("CHACHA20_POLY1305", 1, "N/A", (256, 256, 0)),
    ],
)
def test_properties_of_the_algorithms(
    token: Provider, name: str, block: int, mode: str, lengths: tuple[int, int, int]
) -> None:
    need(token, name, mode if mode != "N/A" else None)
    with bcrypt.BCryptOpenAlgorithmProvider(name, token) as handle:
        get = bcrypt.BCryptGetProperty
        assert get(handle, bcrypt.BCRYPT_BLOCK_LENGTH) == block
        assert get(handle, bcrypt.BCRYPT_BLOCK_SIZE_LIST) == (block,)
        assert get(handle, bcrypt.BCRYPT_KEY_LENGTHS) == lengths
        assert get(handle, bcrypt.BCRYPT_CHAINING_MODE) == f"ChainingMode{mode}"
        assert get(handle, bcrypt.BCRYPT_OBJECT_LENGTH) == ALGORITHMS[name].object_length
        refused = ("GCM", "CCM", "N/A") if mode == "CBC" else ("CBC", "ECB", "CFB", "GCM", "CCM")
        key = bcrypt.BCryptGenerateSymmetricKey(handle, None, SECRET[: lengths[1] // 8])
        for other in refused:
            for target in (handle, key):
                with fails(NOT_SUPPORTED):
                    bcrypt.BCryptSetProperty(target, MODE, f"ChainingMode{other}")
        bcrypt.BCryptSetProperty(key, MODE, f"ChainingMode{mode}")
        assert get(key, bcrypt.BCRYPT_BLOCK_LENGTH) == block
        if name != "RC2":
            for target in (handle, key):
                with fails(NOT_SUPPORTED):
                    get(target, EFFECTIVE)
                with fails(NOT_SUPPORTED):
                    bcrypt.BCryptSetProperty(target, EFFECTIVE, 64)
        if name == "CHACHA20_POLY1305":
            assert get(handle, bcrypt.BCRYPT_AUTH_TAG_LENGTH) == (16, 16, 1)


def test_weak_ones_are_marked(token: Provider) -> None:
    capabilities = token.capabilities()
    for name in ("DES", "3DES", "3DES_112", "RC2", "RC4"):
        offered = token.offers(name).name != "REFUSED"
        assert (name in capabilities.weak) is offered
    assert not {"AES", "XTS-AES", "CHACHA20_POLY1305", "HMAC-SHA256"} & capabilities.weak


@pytest.mark.parametrize("name", ["DESX"])
def test_what_no_token_has_is_not_found(token: Provider, name: str) -> None:
    with fails(NTSTATUS.STATUS_NOT_FOUND):
        bcrypt.BCryptOpenAlgorithmProvider(name, token)


# RC2: RFC 2268, section 5: key, effective bits, plaintext, ciphertext.
RC2_VECTORS = (
    ("ffffffffffffffff", 64, "ffffffffffffffff", "278b27e42e2f0d49"),
    ("3000000000000000", 64, "1000000000000001", "30649edf9be7d2c2"),
    ("88bca90e90875a", 64, "0000000000000000", "6ccf4308974c267f"),
    ("88bca90e90875a7f0f79c384627bafb2", 64, "0000000000000000", "1a807d272bbe5db1"),
    ("88bca90e90875a7f0f79c384627bafb2", 128, "0000000000000000", "2269552ab0f85ca6"),
)


@pytest.mark.row("GSK-27", "3.2 EffectiveKeyLength")
@pytest.mark.parametrize(("secret", "effective", "plaintext", "ciphertext"), RC2_VECTORS)
def test_rc2_vectors(token: Provider, secret: str, effective: int, plaintext: str, ciphertext: str) -> None:
    with cipher_key(token, "RC2", bytes.fromhex(secret), "ECB") as key:
        bcrypt.BCryptSetProperty(key, EFFECTIVE, effective)
        assert bcrypt.BCryptEncrypt(key, bytes.fromhex(plaintext)).hex() == ciphertext
        assert bcrypt.BCryptDecrypt(key, bytes.fromhex(ciphertext)).hex() == plaintext
        with bcrypt.BCryptDuplicateKey(key) as duplicate:
            assert bcrypt.BCryptGetProperty(duplicate, EFFECTIVE) == effective
            assert bcrypt.BCryptEncrypt(duplicate, bytes.fromhex(plaintext)).hex() == ciphertext


@pytest.mark.row("3.2 EffectiveKeyLength", "GSK-22", "DUP-11")
def test_effective_key_length(token: Provider) -> None:
    need(token, "RC2")
    with bcrypt.BCryptOpenAlgorithmProvider("RC2", token) as handle:
        assert bcrypt.BCryptGetProperty(handle, EFFECTIVE) == 128
        with bcrypt.BCryptGenerateSymmetricKey(handle, None, SECRET[:5]) as key:
            assert bcrypt.BCryptGetProperty(key, EFFECTIVE) == 40
        bcrypt.BCryptSetProperty(handle, EFFECTIVE, (64).to_bytes(4, "little"))
        assert bcrypt.BCryptGetProperty(handle, EFFECTIVE) == 64
        with bcrypt.BCryptGenerateSymmetricKey(handle, None, SECRET[:16]) as key:
            bcrypt.BCryptSetProperty(handle, EFFECTIVE, 128)
            assert bcrypt.BCryptGetProperty(key, EFFECTIVE) == 64
            for bad in (0, 1025, b"\1"):
                for target in (handle, key):
                    with fails(INVALID):
                        bcrypt.BCryptSetProperty(target, EFFECTIVE, bad)


# RC4: RFC 6229, section 2, the first 32 bytes of the key stream.
RC4_VECTORS = (
    ("0102030405", "b2396305f03dc027ccc3524a0a1118a86982944f18fc82d589c403a47a0d0919"),
    ("0102030405060708", "97ab8a1bf0afb96132f2f67258da15a88263efdb45c4a18684ef87e6b19e5b09"),
    ("0102030405060708090a0b0c0d0e0f10", "9ac7cc9a609d1ef7b2932899cde41b975248c4959014126a6e8a84f11d1a9e1c"),
)


@pytest.mark.row("GSK-27")
@pytest.mark.parametrize(("secret", "stream"), RC4_VECTORS)
def test_rc4_vectors(token: Provider, secret: str, stream: str) -> None:
    with cipher_key(token, "RC4", bytes.fromhex(secret)) as key:
        assert bcrypt.BCryptEncrypt(key, bytes(32)).hex() == stream


@pytest.mark.row("DUP-13")
def test_rc4_goes_on_where_it_was(token: Provider) -> None:
    with cipher_key(token, "RC4", SECRET[:16]) as key:
        stream = Cipher(ARC4(SECRET[:16]), None).encryptor().update(bytes(200))
        assert bcrypt.BCryptEncrypt(key, bytes(7)) == stream[:7]
        with bcrypt.BCryptDuplicateKey(key) as duplicate:
            assert bcrypt.BCryptDecrypt(duplicate, bytes(20)) == stream[7:27]
        assert bcrypt.BCryptEncrypt(key, b"") == b""
        assert bcrypt.BCryptDecrypt(key, bytes(93)) == stream[7:100]
        for name, value in ((bcrypt.BCRYPT_INITIALIZATION_VECTOR, b"\0"), (UNIT, 1)):
            with fails(NOT_SUPPORTED):
                bcrypt.BCryptSetProperty(key, name, value)
        with fails(INVALID):
            bcrypt.BCryptEncrypt(key, b"x", None, b"\0")
        with fails(INVALID):
            bcrypt.BCryptEncrypt(key, b"x", None, None, bcrypt.BCRYPT_BLOCK_PADDING)
        assert bcrypt.BCryptEncrypt(key, bytes(100)) == stream[100:]


def test_threads_take_turns_at_an_rc4_key(token: Provider) -> None:
    with cipher_key(token, "RC4", SECRET[:16]) as key, ThreadPoolExecutor(4) as pool:
        pieces = list(pool.map(lambda _: bcrypt.BCryptEncrypt(key, bytes(16)), range(64)))
        stream = Cipher(ARC4(SECRET[:16]), None).encryptor().update(bytes(16 * 64))
    assert sorted(pieces) == sorted(stream[start : start + 16] for start in range(0, len(stream), 16))


@pytest.mark.row("GSK-28")
@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("unit", [16, 32, 512])
def test_xts(token: Provider, size: int, unit: int) -> None:
    with cipher_key(token, "XTS-AES", SECRET[:size]) as key:
        data = os.urandom(4 * unit)
        with fails(INVALID):
            bcrypt.BCryptEncrypt(key, data, None, bytes(16))
        assert bcrypt.BCryptGetProperty(key, UNIT) == 0
        bcrypt.BCryptSetProperty(key, UNIT, unit)
        number = bytearray((0xFFFFFFFF).to_bytes(16, "little"))
        expected = b"".join(
            Cipher(algorithms.AES(SECRET[:size]), modes.XTS((0xFFFFFFFF + step).to_bytes(16, "little")))
            .encryptor()
            .update(data[unit * step : unit * (step + 1)])
            for step in range(4)
        )
        assert bcrypt.BCryptEncrypt(key, data, None, number) == expected
        assert number == (0xFFFFFFFF + 4).to_bytes(16, "little")
        short = bytearray((0xFFFFFFFF).to_bytes(8, "little"))
        assert bcrypt.BCryptDecrypt(key, expected, None, short) == data
        assert short == (0xFFFFFFFF + 4).to_bytes(8, "little")
        # Without pbIV the units are numbered from 0 on, or from where the last call ended.
        with bcrypt.BCryptDuplicateKey(key) as duplicate:
            bcrypt.BCryptSetProperty(duplicate, bcrypt.BCRYPT_INITIALIZATION_VECTOR, bytes(16))
            one = bcrypt.BCryptEncrypt(duplicate, data[: 2 * unit]) + bcrypt.BCryptEncrypt(duplicate, data[2 * unit :])
            assert one == bcrypt.BCryptEncrypt(key, data, None, bytes(16))


@pytest.mark.row("GSK-28")
@pytest.mark.parametrize("size", [32, 64])
def test_xts_steals_ciphertext_for_a_partial_block(token: Provider, size: int) -> None:
    with cipher_key(token, "XTS-AES", SECRET[:size]) as key:
        bcrypt.BCryptSetProperty(key, UNIT, 100)
        for length in (16, 17, 31, 33, 47, 99, 100, 116, 133, 200, 299):
            data = os.urandom(length)
            expected = b"".join(
                Cipher(algorithms.AES(SECRET[:size]), modes.XTS((7 + start // 100).to_bytes(16, "little")))
                .encryptor()
                .update(data[start : start + 100])
                for start in range(0, length, 100)
            )
            assert bcrypt.BCryptEncrypt(key, data, None, (7).to_bytes(16, "little")) == expected
            assert bcrypt.BCryptDecrypt(key, expected, None, (7).to_bytes(16, "little")) == data
        for length in (1, 15, 101, 115):
            with fails(NTSTATUS.STATUS_INVALID_BUFFER_SIZE):
                bcrypt.BCryptEncrypt(key, bytes(length), None, bytes(16))


# IEEE 1619-2007, annex B, vectors 2 and 15: key 1, key 2, data unit number, plaintext, ciphertext.
XTS_VECTORS = (
    (
        "11" * 16 + "22" * 16,
        0x3333333333,
        "44" * 32,
        "c454185e6a16936e39334038acef838bfb186fff7480adc4289382ecd6d394f0",
    ),
    (
        "fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0bfbebdbcbbbab9b8b7b6b5b4b3b2b1b0",
        0x123456789A,
        "000102030405060708090a0b0c0d0e0f10",
        "6c1625db4671522d3d7599601de7ca09ed",
    ),
)


@pytest.mark.row("GSK-28")
@pytest.mark.parametrize(("secret", "number", "plaintext", "ciphertext"), XTS_VECTORS)
def test_xts_vectors(token: Provider, secret: str, number: int, plaintext: str, ciphertext: str) -> None:
    with cipher_key(token, "XTS-AES", bytes.fromhex(secret)) as key:
        bcrypt.BCryptSetProperty(key, UNIT, 32)
        iv = number.to_bytes(16, "little")
        assert bcrypt.BCryptEncrypt(key, bytes.fromhex(plaintext), None, iv).hex() == ciphertext


@pytest.mark.row("GSK-28")
def test_what_xts_refuses(token: Provider, calls: Callable[..., CallCounter]) -> None:
    need(token, "XTS-AES")
    with bcrypt.BCryptOpenAlgorithmProvider("XTS-AES", token) as handle:
        with calls(token) as counter, fails(INVALID):
            bcrypt.BCryptGenerateSymmetricKey(handle, None, SECRET[:16] * 2)
        assert counter.names == []
        with bcrypt.BCryptGenerateSymmetricKey(handle, None, SECRET[:32]) as key:
            for length in (0, 1, 15):
                with fails(INVALID):
                    bcrypt.BCryptSetProperty(key, UNIT, length)
            bcrypt.BCryptSetProperty(key, UNIT, 32)
            for iv in (b"", bytes(7), bytes(12), bytes(17)):
                with fails(INVALID):
                    bcrypt.BCryptEncrypt(key, bytes(32), None, iv)
            with fails(INVALID):
                bcrypt.BCryptEncrypt(key, bytes(32), None, bytes(16), bcrypt.BCRYPT_BLOCK_PADDING)
            for blob_type in (bcrypt.BCRYPT_OPAQUE_KEY_BLOB, bcrypt.BCRYPT_KEY_DATA_BLOB):
                with fails(NOT_SUPPORTED):
                    bcrypt.BCryptExportKey(key, None, blob_type)


@pytest.mark.row("GSK-28", "AEAD-01", "AEAD-02", "AEAD-06")
def test_chacha20_poly1305(token: Provider) -> None:
    with cipher_key(token, "CHACHA20_POLY1305", SECRET[:32]) as key:
        for length in (0, 1, 64, 1000):
            data = os.urandom(length)
            info = bcrypt.BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(bytes(12), b"header")
            ciphertext = bcrypt.BCryptEncrypt(key, data, info)
            assert info.pbTag is not None
            sealed = ciphertext + bytes(info.pbTag)
            assert sealed == ChaCha20Poly1305(SECRET[:32]).encrypt(bytes(12), data, b"header")
            again = bcrypt.BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(bytes(12), b"header", info.pbTag)
            assert bcrypt.BCryptDecrypt(key, ciphertext, again) == data
            forged = bytes(info.pbTag[:-1]) + bytes([info.pbTag[-1] ^ 1])
            wrong = bcrypt.BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(bytes(12), b"header", forged)
            with fails(NTSTATUS.STATUS_AUTH_TAG_MISMATCH):
                bcrypt.BCryptDecrypt(key, ciphertext, wrong)
        for nonce, tag in ((b"", 16), (bytes(8), 16), (bytes(24), 16), (bytes(12), 12), (bytes(12), 17)):
            with fails(INVALID):
                bcrypt.BCryptEncrypt(key, b"x", bcrypt.BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(nonce, cbTag=tag))
        with fails(INVALID):
            bcrypt.BCryptEncrypt(key, b"x")
        chained = bcrypt.BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(bytes(12), pbMacContext=bytearray(16), dwFlags=1)
        with fails(NOT_SUPPORTED):
            bcrypt.BCryptEncrypt(key, bytes(16), chained)


@pytest.mark.parametrize(
    ("name", "lengths"),
    [
        ("3DES", (192,)),
        ("3DES_112", (128,)),
        ("DES", (64,)),
        ("RC2", (40, 128)),
        ("RC4", (40, 128)),
        ("XTS-AES", (256, 512)),
        ("CHACHA20_POLY1305", (256,)),
    ],
)
def test_the_token_makes_keys(token: Provider, name: str, lengths: tuple[int, ...]) -> None:
    need(token, name, "CBC" if name in BLOCK_CIPHERS else None)
    made = token.capabilities().key_bits[name]
    with bcrypt.BCryptOpenAlgorithmProvider(name, token) as handle:
        for bits in lengths:
            needs_generation(token, name, bits)
            assert bits in made
            with handle.generate_key(bits) as one, handle.generate_key(bits) as other:
                if name == "XTS-AES":
                    bcrypt.BCryptSetProperty(one, UNIT, len(DATA))
                    bcrypt.BCryptSetProperty(other, UNIT, len(DATA))
                info = bcrypt.BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(bytes(12)) if name.startswith("CHACHA") else None
                with bcrypt.BCryptDuplicateKey(one) as duplicate:
                    ciphertext = bcrypt.BCryptEncrypt(one, DATA, info)
                    assert bcrypt.BCryptDecrypt(duplicate, ciphertext, info) == DATA
                info = bcrypt.BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(bytes(12)) if info else None
                assert bcrypt.BCryptEncrypt(other, DATA, info) != ciphertext
        with fails(INVALID):
            handle.generate_key(lengths[0] - 4)


@pytest.mark.row("EXP-07")
@pytest.mark.parametrize("name", ["3DES", "RC2"])
def test_opaque_and_wrapped_blobs_by_policy(token: Provider, name: str) -> None:
    need(token, name)
    need(token, "AES", "WRAP")
    aes = bcrypt.BCryptOpenAlgorithmProvider("AES", token)
    secret = SECRET[: BLOCK_CIPHERS[name][0]]
    with bcrypt.BCryptOpenAlgorithmProvider(name, token) as handle, aes.generate_key(256) as wrapping_key:
        with bcrypt.BCryptGenerateSymmetricKey(handle, None, secret) as key:
            for blob_type in (bcrypt.BCRYPT_OPAQUE_KEY_BLOB, bcrypt.BCRYPT_AES_WRAP_KEY_BLOB):
                with fails(NOT_SUPPORTED):
                    bcrypt.BCryptExportKey(key, wrapping_key, blob_type)
        bcrypt.BCryptSetProperty(handle, bcrypt.NCRYPT_EXPORT_POLICY_PROPERTY, bcrypt.NCRYPT_ALLOW_EXPORT_FLAG)
        with bcrypt.BCryptGenerateSymmetricKey(handle, None, secret) as key:
            blob = bcrypt.BCryptExportKey(key, wrapping_key, bcrypt.BCRYPT_AES_WRAP_KEY_BLOB)
            assert len(blob) == len(secret) + 8
            with bcrypt.BCryptImportKey(handle, wrapping_key, bcrypt.BCRYPT_AES_WRAP_KEY_BLOB, None, blob) as again:
                assert bcrypt.BCryptEncrypt(again, DATA) == bcrypt.BCryptEncrypt(key, DATA)
        with bcrypt.BCryptGenerateSymmetricKey(handle, None, SECRET[: len(secret)]) as other, fails(INVALID):
            bcrypt.BCryptImportKey(aes, other, bcrypt.BCRYPT_AES_WRAP_KEY_BLOB, None, blob)
