"""Reference 5.13, rows DEC-*: BCryptDecrypt in the modes CBC, ECB and CFB."""

from __future__ import annotations

import itertools

import pytest
from conformance import oracle
from conformance.checks import COUNTING, aes, fails, need

from hwcng import NTSTATUS, bcrypt
from hwcng.contract.provider import Provider

MODES = ("ECB", "CBC", "CFB8", "CFB128")
CHAINED = MODES[1:]
DATA = bytes(octet * 11 % 256 for octet in range(64))
PADDING = bcrypt.BCRYPT_BLOCK_PADDING


def iv_of(mode: str) -> bytearray | None:
    return None if mode == "ECB" else bytearray(COUNTING)


def sealed(mode: str, plaintext: bytes) -> bytes:
    """Ciphertext of another implementation, made without padding."""
    return oracle.aes(mode, COUNTING, COUNTING, plaintext)


@pytest.mark.row("DEC-01", "DEC-02", "DEC-07")
@pytest.mark.parametrize("mode", MODES)
def test_the_result_is_exactly_the_plaintext(token: Provider, mode: str) -> None:
    """What is left of the size rules: no caller has to guess."""
    need(token, "AES", mode)
    key = aes(token, mode=mode)
    for size in range(34):
        ciphertext = sealed(mode, oracle.pkcs7(DATA[:size]))
        assert bcrypt.BCryptDecrypt(key, ciphertext, None, iv_of(mode), PADDING) == DATA[:size]


@pytest.mark.row("DEC-01", "DEC-02")
@pytest.mark.parametrize(("size", "padded"), [(17, 32), (32, 48)])
def test_the_sizes_of_the_reference(provider: Provider, size: int, padded: int) -> None:
    key = aes(provider)
    ciphertext = bcrypt.BCryptEncrypt(key, DATA[:size], None, COUNTING, PADDING)
    assert len(ciphertext) == padded
    assert len(bcrypt.BCryptDecrypt(key, ciphertext, None, COUNTING, PADDING)) == size


@pytest.mark.row("DEC-03")
@pytest.mark.parametrize("mode", ["CBC", "ECB"])
@pytest.mark.parametrize("flags", [0, PADDING])
@pytest.mark.parametrize("size", [1, 15, 17, 33])
def test_partial_blocks(provider: Provider, mode: str, flags: int, size: int) -> None:
    iv = iv_of(mode)
    with fails(NTSTATUS.STATUS_INVALID_BUFFER_SIZE):
        bcrypt.BCryptDecrypt(aes(provider, mode=mode), DATA[:size], None, iv, flags)
    assert iv in (None, COUNTING)


@pytest.mark.row("DEC-03")
@pytest.mark.parametrize("mode", ["CFB8", "CFB128"])
def test_partial_blocks_of_padded_cfb(provider: Provider, mode: str) -> None:
    with fails(NTSTATUS.STATUS_INVALID_BUFFER_SIZE):
        bcrypt.BCryptDecrypt(aes(provider, mode=mode), DATA[:17], None, COUNTING, PADDING)


@pytest.mark.row("DEC-04", "ENC-03")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "tail",
    [
        b"\x00",
        b"\x11",
        b"\xff",
        b"\x01\x02",
        b"\x02\x03\x03",
        bytes(16),
        b"\x00" + b"\x10" * 15,
        b"\x11" * 16,
    ],
    ids=bytes.hex,
)
def test_malformed_padding(token: Provider, mode: str, tail: bytes) -> None:
    need(token, "AES", mode)
    key, untouched = aes(token, mode=mode), aes(token, mode=mode)
    plaintext = (bytes(32) + tail)[-32:]
    iv = iv_of(mode)
    with fails(NTSTATUS.STATUS_DATA_ERROR) as caught:
        bcrypt.BCryptDecrypt(key, sealed(mode, plaintext), None, iv, PADDING)
    assert plaintext.hex() not in str(caught.value)
    assert iv in (None, COUNTING)
    if mode != "ECB":
        with fails(NTSTATUS.STATUS_DATA_ERROR):
            bcrypt.BCryptDecrypt(key, oracle.aes(mode, COUNTING, bytes(16), plaintext), None, None, PADDING)
    assert bcrypt.BCryptEncrypt(key, DATA) == bcrypt.BCryptEncrypt(untouched, DATA)


@pytest.mark.row("DEC-05", "ENC-07")
@pytest.mark.parametrize("mode", CHAINED)
def test_the_iv_advances_on_decryption(token: Provider, mode: str) -> None:
    need(token, "AES", mode)
    key, ciphertext = aes(token, mode=mode), sealed(mode, DATA)
    iv = bytearray(COUNTING)
    parts = []
    for start in range(0, 64, 16):
        parts.append(bcrypt.BCryptDecrypt(key, ciphertext[start : start + 16], None, iv))
        assert iv == ciphertext[start : start + 16]
    assert b"".join(parts) == DATA
    bcrypt.BCryptSetProperty(key, "IV", COUNTING)
    assert bcrypt.BCryptDecrypt(key, ciphertext[:32]) + bcrypt.BCryptDecrypt(key, ciphertext[32:]) == DATA


@pytest.mark.row("DEC-05")
@pytest.mark.parametrize("mode", CHAINED)
def test_encryption_and_decryption_share_the_running_iv(token: Provider, mode: str) -> None:
    need(token, "AES", mode)
    key = aes(token, mode=mode)
    first = bcrypt.BCryptEncrypt(key, DATA[:32])
    second = oracle.aes(mode, COUNTING, first[-16:], DATA[32:])
    assert bcrypt.BCryptDecrypt(key, second) == DATA[32:]
    assert bcrypt.BCryptEncrypt(key, COUNTING) == oracle.aes(mode, COUNTING, second[-16:], COUNTING)


@pytest.mark.row("DEC-05")
def test_the_running_iv_of_a_fresh_key_is_zero(token: Provider) -> None:
    for mode in CHAINED:
        ciphertext = oracle.aes(mode, COUNTING, bytes(16), DATA)
        assert bcrypt.BCryptDecrypt(aes(token, mode=mode), ciphertext) == DATA


@pytest.mark.row("DEC-06")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("nothing", [None, b""])
def test_padded_empty_input(provider: Provider, mode: str, nothing: bytes | None) -> None:
    """[choice] It cannot hold the block of padding: STATUS_DATA_ERROR, like any other malformed padding."""
    iv = iv_of(mode)
    with fails(NTSTATUS.STATUS_DATA_ERROR):
        bcrypt.BCryptDecrypt(aes(provider, mode=mode), nothing, None, iv, PADDING)
    assert iv in (None, COUNTING)


@pytest.mark.row("DEC-07")
@pytest.mark.parametrize("mode", MODES)
def test_without_padding_output_is_as_long_as_input(token: Provider, mode: str) -> None:
    need(token, "AES", mode)
    key = aes(token, mode=mode)
    for size in (0, 16, 48) if mode in ("ECB", "CBC") else (0, 1, 15, 16, 17, 48, 63):
        ciphertext = sealed(mode, DATA[:size])
        assert bcrypt.BCryptDecrypt(key, ciphertext, None, iv_of(mode)) == DATA[:size]


@pytest.mark.row("DEC-07", "DEC-05")
def test_cfb8_in_any_pieces(token: Provider) -> None:
    key, iv, ciphertext = aes(token, mode="CFB8"), bytearray(COUNTING), sealed("CFB8", DATA)
    ends = list(itertools.accumulate((1, 2, 3, 5, 16, 17, 20)))
    parts = [
        bcrypt.BCryptDecrypt(key, ciphertext[start:end], None, iv) for start, end in zip([0, *ends], ends, strict=False)
    ]
    assert b"".join(parts) == DATA
    assert iv == ciphertext[-16:]


@pytest.mark.row("ENC-01", "ENC-07", "ENC-09")
def test_the_parameters_of_encryption_are_those_of_decryption(provider: Provider) -> None:
    for handle in (None, bcrypt.BCryptOpenAlgorithmProvider("AES", provider), object()):
        with fails(NTSTATUS.STATUS_INVALID_HANDLE):
            bcrypt.BCryptDecrypt(handle, DATA)
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptDecrypt(aes(provider), DATA, None, bytearray(15))
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptDecrypt(aes(provider, mode="ECB"), DATA, None, bytearray(16))
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptDecrypt(aes(provider), 64)
