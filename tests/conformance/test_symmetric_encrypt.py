"""Reference 5.13, rows ENC-*: BCryptEncrypt in the modes CBC, ECB and CFB."""

from __future__ import annotations

import array
import itertools
import os
from collections.abc import Callable

import pytest
from conformance import oracle
from conformance.checks import COUNTING, aes, fails, generated, need
from support import needs, needs_bits

from hwcng import NTSTATUS, bcrypt
from hwcng.contract.provider import Provider
from hwcng.testing.calls import CallCounter
from hwcng.testing.faults import FaultInjector

MODES = ("ECB", "CBC", "CFB8", "CFB128")
CHAINED = MODES[1:]
KEYS = tuple(bytes(range(size, 2 * size)) for size in (16, 24, 32))
DATA = bytes(octet * 7 % 256 for octet in range(64))
FIRST = bytes.fromhex("c6a13b37878f5b826f4f8162a1c8d879")
CKR_FUNCTION_FAILED = 0x006
SECOND = bytes.fromhex("b58a1064d8aca99bd9b0405b8545f5bb")
ZERO_IV = bytes.fromhex("0a940bb5416ef045f1c39458c653ea5a")


def iv_of(mode: str) -> bytearray | None:
    return None if mode == "ECB" else bytearray(COUNTING)


@pytest.mark.row("ENC-01")
def test_handles_that_are_no_keys(provider: Provider) -> None:
    algorithm = bcrypt.BCryptOpenAlgorithmProvider("AES", provider)
    key = bcrypt.BCryptGenerateSymmetricKey(algorithm, None, COUNTING)
    bcrypt.BCryptDestroyKey(key)
    hashing = bcrypt.BCryptCreateHash(bcrypt.BCryptOpenAlgorithmProvider("SHA256", provider))
    for handle in (None, algorithm, hashing, key, 0xDEADBEEF, object()):
        with fails(NTSTATUS.STATUS_INVALID_HANDLE):
            bcrypt.BCryptEncrypt(handle, DATA)


@pytest.mark.row("ENC-01")
def test_the_handle_is_looked_at_first() -> None:
    with fails(NTSTATUS.STATUS_INVALID_HANDLE):
        bcrypt.BCryptEncrypt(None, "text", object(), b"short", 0xFFFF)


@pytest.mark.row("ENC-02", "ENC-03")
@pytest.mark.parametrize("mode", CHAINED)
def test_a_failing_call_leaves_iv_and_key_as_they_were(provider: Provider, mode: str) -> None:
    """What is left of the size query and of BUFFER_TOO_SMALL, where sizes come from the buffers."""
    key, untouched = aes(provider, mode=mode), aes(provider, mode=mode)
    bcrypt.BCryptEncrypt(key, DATA)
    bcrypt.BCryptEncrypt(untouched, DATA)
    iv = bytearray(COUNTING)
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptEncrypt(key, DATA, None, iv, 0x80)
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptEncrypt(key, DATA, bcrypt.BCRYPT_PKCS1_PADDING_INFO("SHA256"), iv)
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptEncrypt(key, "text", None, iv)
    if mode == "CBC":
        with fails(NTSTATUS.STATUS_INVALID_BUFFER_SIZE):
            bcrypt.BCryptEncrypt(key, DATA[:17], None, iv)
        with fails(NTSTATUS.STATUS_INVALID_BUFFER_SIZE):
            bcrypt.BCryptEncrypt(key, DATA[:17])
    assert iv == COUNTING
    assert bcrypt.BCryptEncrypt(key, DATA) == bcrypt.BCryptEncrypt(untouched, DATA)


@pytest.mark.row("ENC-04")
@pytest.mark.parametrize("mode", ["CBC", "ECB"])
@pytest.mark.parametrize("size", [1, 15, 17, 31, 33])
def test_partial_blocks(provider: Provider, mode: str, size: int) -> None:
    iv = iv_of(mode)
    with fails(NTSTATUS.STATUS_INVALID_BUFFER_SIZE):
        bcrypt.BCryptEncrypt(aes(provider, mode=mode), DATA[:size], None, iv)
    assert iv in (None, COUNTING)


@pytest.mark.row("ENC-04", "ENC-07", "ENC-10")
@pytest.mark.parametrize("secret", KEYS, ids=lambda secret: f"AES-{8 * len(secret)}")
@pytest.mark.parametrize("mode", MODES)
def test_whole_blocks_as_another_implementation(token: Provider, mode: str, secret: bytes) -> None:
    need(token, "AES", mode)
    key = aes(token, secret, mode)
    for size in (16, 32, 48, 64):
        iv = iv_of(mode)
        ciphertext = bcrypt.BCryptEncrypt(key, DATA[:size], None, iv)
        assert ciphertext == oracle.aes(mode, secret, COUNTING, DATA[:size])
        assert bcrypt.BCryptDecrypt(key, ciphertext, None, iv_of(mode)) == DATA[:size]
        assert iv in (None, ciphertext[-16:])


@pytest.mark.row("ENC-05")
@pytest.mark.parametrize("mode", MODES)
def test_padding_sizes(token: Provider, mode: str) -> None:
    need(token, "AES", mode)
    key = aes(token, mode=mode)
    for size in range(34):
        ciphertext = bcrypt.BCryptEncrypt(key, DATA[:size], None, iv_of(mode), bcrypt.BCRYPT_BLOCK_PADDING)
        assert len(ciphertext) == (size // 16 + 1) * 16
        assert ciphertext == oracle.aes(mode, COUNTING, COUNTING, oracle.pkcs7(DATA[:size]))


@pytest.mark.row("ENC-05")
@pytest.mark.parametrize(("size", "padded"), [(0, 16), (16, 32), (17, 32), (32, 48)])
def test_padding_sizes_of_the_reference(provider: Provider, size: int, padded: int) -> None:
    ciphertext = bcrypt.BCryptEncrypt(aes(provider), DATA[:size], None, None, bcrypt.BCRYPT_BLOCK_PADDING)
    assert len(ciphertext) == padded


@pytest.mark.row("ENC-06")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("nothing", [None, b"", bytearray(), memoryview(b"")], ids=["None", "bytes", "array", "view"])
def test_empty_input(token: Provider, mode: str, nothing: bytes | None) -> None:
    need(token, "AES", mode)
    key, iv = aes(token, mode=mode), iv_of(mode)
    assert bcrypt.BCryptEncrypt(key, nothing, None, iv) == b""
    assert iv in (None, COUNTING)


@pytest.mark.row("ENC-07")
@pytest.mark.parametrize("mode", CHAINED)
@pytest.mark.parametrize("size", [0, 1, 8, 15, 17, 32])
def test_iv_of_wrong_length(provider: Provider, mode: str, size: int) -> None:
    iv = bytearray(size)
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptEncrypt(aes(provider, mode=mode), DATA, None, iv)
    assert iv == bytes(size)


@pytest.mark.row("ENC-07")
@pytest.mark.parametrize("iv", ["0123456789abcdef", 16, [0] * 16], ids=["str", "int", "list"])
def test_iv_that_is_no_buffer(provider: Provider, iv: object) -> None:
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptEncrypt(aes(provider), DATA, None, iv)


@pytest.mark.row("ENC-07", "ENC-03")
@pytest.mark.parametrize("call", [bcrypt.BCryptEncrypt, bcrypt.BCryptDecrypt])
def test_an_iv_that_is_not_one_piece_of_memory(provider: Provider, calls: Callable[..., CallCounter], call) -> None:
    key, around = aes(provider), bytearray(COUNTING * 2)
    with calls() as counter, fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        call(key, DATA, None, memoryview(around)[::2])
    assert (around, counter.total) == (COUNTING * 2, 0)


@pytest.mark.row("ENC-07")
def test_an_iv_in_a_buffer_of_larger_items(provider: Provider) -> None:
    words = array.array("I", COUNTING)
    assert bcrypt.BCryptEncrypt(aes(provider), COUNTING, None, memoryview(words)) == FIRST
    assert words.tobytes() == FIRST


@pytest.mark.row("ENC-02", "ENC-03", "DEC-05")
@pytest.mark.parametrize("mode", CHAINED)
@pytest.mark.parametrize("operation", ["Encrypt", "Decrypt"])
def test_a_failure_in_the_token_leaves_iv_and_key_as_they_were(provider: Provider, mode: str, operation: str) -> None:
    call = getattr(bcrypt, f"BCrypt{operation}")
    key, untouched = aes(provider, mode=mode), aes(provider, mode=mode)
    assert bcrypt.BCryptEncrypt(key, DATA) == bcrypt.BCryptEncrypt(untouched, DATA)
    iv = bytearray(COUNTING)
    # Where a token composes the mode, it encrypts in either direction.
    for step in ("Init", ""):
        for given in (iv, None):
            fault = FaultInjector(provider)
            fault.fail(f"C_Encrypt{step}", CKR_FUNCTION_FAILED).fail(f"C_Decrypt{step}", CKR_FUNCTION_FAILED)
            with fault, fails(NTSTATUS.STATUS_INTERNAL_ERROR):
                call(key, DATA, None, given)
            assert fault.injected == 1
    assert iv == COUNTING
    assert bcrypt.BCryptEncrypt(key, DATA) == bcrypt.BCryptEncrypt(untouched, DATA)


@pytest.mark.row("ENC-07")
@pytest.mark.parametrize("mode", CHAINED)
def test_the_iv_buffer_is_ready_for_the_next_call(token: Provider, mode: str) -> None:
    """Both in bytearrays and in views; an immutable IV is only read."""
    need(token, "AES", mode)
    key = aes(token, mode=mode)
    expected = oracle.aes(mode, COUNTING, COUNTING, DATA)
    around = bytearray(b"\xaa" * 4 + COUNTING + b"\xbb" * 4)
    for iv in (bytearray(COUNTING), memoryview(around)[4:20]):
        parts = [bcrypt.BCryptEncrypt(key, DATA[start : start + 16], None, iv) for start in range(0, 64, 16)]
        assert b"".join(parts) == expected
        assert bytes(iv) == expected[-16:]
    assert around == b"\xaa" * 4 + expected[-16:] + b"\xbb" * 4
    for fixed in (COUNTING, memoryview(COUNTING)):
        assert bcrypt.BCryptEncrypt(key, DATA, None, fixed) == expected
        assert bytes(fixed) == bytes(range(16))


@pytest.mark.row("ENC-07", "ENC-05")
@pytest.mark.parametrize("mode", CHAINED)
def test_the_iv_after_padding_is_the_last_ciphertext_block(token: Provider, mode: str) -> None:
    need(token, "AES", mode)
    iv = bytearray(COUNTING)
    ciphertext = bcrypt.BCryptEncrypt(aes(token, mode=mode), DATA[:21], None, iv, bcrypt.BCRYPT_BLOCK_PADDING)
    assert iv == ciphertext[-16:]


@pytest.mark.row("ENC-07", "ENC-10")
def test_the_iv_of_cfb8_moves_byte_by_byte(token: Provider) -> None:
    key, iv = aes(token, mode="CFB8"), bytearray(COUNTING)
    expected = oracle.aes("CFB8", COUNTING, COUNTING, DATA[:40])
    sizes = (1, 2, 3, 5, 16, 13)
    ends = list(itertools.accumulate(sizes))
    for start, end in zip([0, *ends], ends, strict=False):
        assert bcrypt.BCryptEncrypt(key, DATA[start:end], None, iv) == expected[start:end]
        assert iv == (COUNTING + expected[:end])[-16:]


@pytest.mark.row("ENC-08")
def test_vector_of_the_running_iv(token: Provider) -> None:
    key, iv = aes(token), bytearray(COUNTING)
    assert bcrypt.BCryptEncrypt(key, COUNTING, None, iv) == FIRST
    assert iv == FIRST
    assert bcrypt.BCryptEncrypt(key, COUNTING) == SECOND
    assert iv == FIRST
    assert bcrypt.BCryptEncrypt(aes(token), COUNTING) == ZERO_IV
    assert bcrypt.BCryptEncrypt(aes(token), COUNTING, None, bytes(16)) == ZERO_IV


@pytest.mark.row("ENC-08")
@pytest.mark.parametrize("mode", CHAINED)
def test_the_running_iv_starts_zero_and_advances(token: Provider, mode: str) -> None:
    need(token, "AES", mode)
    key = aes(token, mode=mode)
    parts = [bcrypt.BCryptEncrypt(key, DATA[start : start + 32]) for start in (0, 32)]
    assert b"".join(parts) == oracle.aes(mode, COUNTING, bytes(16), DATA)
    bcrypt.BCryptSetProperty(key, "IV", COUNTING)
    parts = [bcrypt.BCryptEncrypt(key, DATA[start : start + 16]) for start in range(0, 64, 16)]
    assert b"".join(parts) == oracle.aes(mode, COUNTING, COUNTING, DATA)


@pytest.mark.row("ENC-08")
def test_each_key_has_its_own_running_iv(provider: Provider) -> None:
    one, other = aes(provider), aes(provider)
    bcrypt.BCryptEncrypt(one, DATA)
    assert bcrypt.BCryptEncrypt(other, COUNTING) == ZERO_IV


@pytest.mark.row("ENC-09")
def test_ecb_takes_no_iv(provider: Provider) -> None:
    key, iv = aes(provider, mode="ECB"), bytearray(COUNTING)
    for given in (iv, COUNTING, b""):
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptEncrypt(key, DATA, None, given)
    assert iv == COUNTING
    assert bcrypt.BCryptEncrypt(key, DATA, None, None) == oracle.aes("ECB", COUNTING, b"", DATA)


@pytest.mark.row("ENC-10")
def test_vector_of_cfb(token: Provider) -> None:
    """CFB8 is the default; 16 bytes of feedback by MessageBlockLength."""
    key = aes(token, mode="CFB")
    assert bcrypt.BCryptGetProperty(key, "MessageBlockLength") == 1
    ciphertext = bcrypt.BCryptEncrypt(key, COUNTING, None, bytearray(COUNTING))
    assert ciphertext == bytes.fromhex("0a22f796e1b93e9032cff804838adfc3")
    bcrypt.BCryptSetProperty(key, "MessageBlockLength", 16)
    ciphertext = bcrypt.BCryptEncrypt(key, DATA, None, bytearray(COUNTING))
    assert ciphertext == oracle.aes("CFB128", COUNTING, COUNTING, DATA)


@pytest.mark.row("ENC-10")
@pytest.mark.parametrize("mode", ["CFB8", "CFB128"])
def test_cfb_of_any_length(token: Provider, mode: str) -> None:
    key = aes(token, KEYS[2], mode)
    for size in (1, 2, 15, 16, 17, 31, 33, 63):
        ciphertext = bcrypt.BCryptEncrypt(key, DATA[:size], None, COUNTING)
        assert len(ciphertext) == size
        assert ciphertext == oracle.aes(mode, KEYS[2], COUNTING, DATA[:size])


@pytest.mark.row("ENC-11")
@pytest.mark.parametrize("mode", MODES)
def test_the_input_buffer_is_only_read(provider: Provider, mode: str) -> None:
    """In place: the caller stores the result where the input was."""
    key, buffer = aes(provider, mode=mode), bytearray(DATA)
    ciphertext = bcrypt.BCryptEncrypt(key, buffer, None, iv_of(mode))
    assert buffer == DATA
    buffer[:] = ciphertext
    buffer[:] = bcrypt.BCryptDecrypt(key, memoryview(buffer), None, iv_of(mode))
    assert buffer == DATA


@pytest.mark.row("ENC-11")
def test_the_buffer_may_be_input_and_iv(provider: Provider) -> None:
    buffer = bytearray(COUNTING)
    assert bcrypt.BCryptEncrypt(aes(provider), buffer, None, buffer) == FIRST
    assert buffer == FIRST


@pytest.mark.row("ENC-12")
@pytest.mark.parametrize("mode", MODES)
def test_no_padding_info(provider: Provider, mode: str) -> None:
    key, iv = aes(provider, mode=mode), iv_of(mode)
    for info in (
        bcrypt.BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(bytes(12)),
        bcrypt.BCRYPT_OAEP_PADDING_INFO("SHA256"),
        object(),
    ):
        for call in (bcrypt.BCryptEncrypt, bcrypt.BCryptDecrypt):
            with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
                call(key, DATA, info, iv)
    assert iv in (None, COUNTING)


@pytest.mark.row("ENC-13")
@pytest.mark.parametrize("mode", [*MODES, "GCM", "CCM"])
@pytest.mark.parametrize("flags", [0x2, 0x3, 0x10, 0x20, 0x80000000, -1])
def test_undefined_flags(provider: Provider, mode: str, flags: int) -> None:
    key = aes(provider, mode=mode)
    info = bcrypt.BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(bytes(12)) if mode in ("GCM", "CCM") else None
    for call in (bcrypt.BCryptEncrypt, bcrypt.BCryptDecrypt):
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            call(key, DATA, info, iv_of(mode), flags)


@pytest.mark.row("ENC-04", "ENC-08")
@pytest.mark.parametrize("mode", ["CBC", "ECB", "CFB128"])
def test_more_than_a_session_buffer(token: Provider, mode: str) -> None:
    """100,000 bytes and a bit; CFB8 costs a call per byte on these tokens."""
    need(token, "AES", mode)
    data = os.urandom(100_000)
    key = aes(token, KEYS[1], mode)
    ciphertext = bcrypt.BCryptEncrypt(key, data, None, iv_of(mode), bcrypt.BCRYPT_BLOCK_PADDING)
    assert ciphertext == oracle.aes(mode, KEYS[1], COUNTING, oracle.pkcs7(data))
    assert bcrypt.BCryptDecrypt(key, ciphertext, None, iv_of(mode), bcrypt.BCRYPT_BLOCK_PADDING) == data


@pytest.mark.row("ENC-08")
@pytest.mark.parametrize("bits", [128, 192, 256])
def test_a_token_born_key_encrypts(token: Provider, bits: int) -> None:
    needs(token, "AES", "CBC")
    needs_bits(token, "AES", bits)
    key = bcrypt.BCryptOpenAlgorithmProvider("AES", token).generate_key(bits)
    ciphertext = bcrypt.BCryptEncrypt(key, DATA, None, COUNTING)
    assert ciphertext not in (DATA, bcrypt.BCryptEncrypt(key, DATA, None, bytes(16)))
    assert bcrypt.BCryptDecrypt(key, ciphertext, None, COUNTING) == DATA


@pytest.mark.row("ENC-01")
def test_a_key_pair_that_does_not_encrypt(provider: Provider) -> None:
    pair = generated(provider, "ECDSA_P256", 256)
    with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
        bcrypt.BCryptEncrypt(pair, DATA)
