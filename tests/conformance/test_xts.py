"""Reference 2.1, 3.2, 5.6 and 5.13 for XTS-AES: data units numbered from pbIV on (IEEE 1619, SP 800-38E)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from conformance import cipher_oracle as oracle
from conformance.checks import cipher_key, fails, need

from hwcng import NTSTATUS, bcrypt
from hwcng.cng.keys import SymmetricKey
from hwcng.contract.provider import Provider
from hwcng.contract.usage import Usage
from hwcng.testing.calls import CallCounter
from hwcng.testing.faults import FaultInjector

SECRETS = (bytes(range(32)), bytes(range(64)))
DATA = bytes(octet * 11 % 256 for octet in range(4096))
CKR_HOST_MEMORY = 0x02


def number(value: int, size: int = 16) -> bytearray:
    return bytearray(value.to_bytes(size, "little"))


def xts(token: Provider, secret: bytes = SECRETS[0], unit: int = 512) -> SymmetricKey:
    key = cipher_key(token, "XTS-AES", secret)
    bcrypt.BCryptSetProperty(key, "MessageBlockLength", unit)
    return key


# IEEE 1619, annex B: vectors 2, 3 and 15 to 18.
FALLING = "fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0"
STEALING = FALLING + "bfbebdbcbbbab9b8b7b6b5b4b3b2b1b0"
VECTORS = (
    (
        "11" * 16 + "22" * 16,
        0x3333333333,
        "44" * 32,
        "c454185e6a16936e39334038acef838bfb186fff7480adc4289382ecd6d394f0",
    ),
    (FALLING + "22" * 16, 0x3333333333, "44" * 32, "af85336b597afc1a900b2eb21ec949d292df4c047e0b21532186a5971a227a89"),
    (STEALING, 0x123456789A, bytes(range(17)).hex(), "6c1625db4671522d3d7599601de7ca09ed"),
    (STEALING, 0x123456789A, bytes(range(18)).hex(), "d069444b7a7e0cab09e24447d24deb1fedbf"),
    (STEALING, 0x123456789A, bytes(range(19)).hex(), "e5df1351c0544ba1350b3363cd8ef4beedbf9d"),
    (STEALING, 0x123456789A, bytes(range(20)).hex(), "9d84c813f719aa2c7be3f66171c7c5c2edbf9dac"),
)


@pytest.mark.row("GSK-28")
@pytest.mark.parametrize(("secret", "first", "plaintext", "ciphertext"), VECTORS)
def test_published_vectors(token: Provider, secret: str, first: int, plaintext: str, ciphertext: str) -> None:
    key = xts(token, bytes.fromhex(secret))
    assert bcrypt.BCryptEncrypt(key, bytes.fromhex(plaintext), None, number(first)).hex() == ciphertext
    assert bcrypt.BCryptDecrypt(key, bytes.fromhex(ciphertext), None, number(first)).hex() == plaintext


@pytest.mark.row("GSK-28", "3.2 MessageBlockLength")
@pytest.mark.parametrize("secret", SECRETS, ids=["AES-128", "AES-256"])
@pytest.mark.parametrize("unit", [16, 17, 31, 32, 33, 512, 520, 4096, 1 << 24])
def test_as_another_implementation(token: Provider, secret: bytes, unit: int) -> None:
    key = xts(token, secret, unit)
    for size in (unit, 3 * unit, 2 * unit + 16, 2 * unit + unit // 2, 100, 1000):
        if size > len(DATA) or 0 < size % unit < 16:
            continue
        iv = number(0xFFFF)
        ciphertext = bcrypt.BCryptEncrypt(key, DATA[:size], None, iv)
        assert ciphertext == oracle.xts(secret, 0xFFFF, unit, DATA[:size])
        assert iv == number(0xFFFF + -(-size // unit))
        iv = number(0xFFFF)
        assert bcrypt.BCryptDecrypt(key, ciphertext, None, iv) == DATA[:size]
        assert iv == number(0xFFFF + -(-size // unit))


@pytest.mark.row("GSK-15", "GSK-16", "GSK-17", "GSK-28")
def test_lengths_of_secrets(token: Provider) -> None:
    need(token, "XTS-AES")
    handle = bcrypt.BCryptOpenAlgorithmProvider("XTS-AES", token)
    for length in (0, 1, 16, 24, 31, 33, 48, 63):
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptGenerateSymmetricKey(handle, None, bytes(range(length)))
    for length, bits in ((32, 256), (64, 512), (65, 512), (100, 512)):
        key = bcrypt.BCryptGenerateSymmetricKey(handle, None, bytes(range(length)))
        assert bcrypt.BCryptGetProperty(key, "KeyLength") == bits
        bcrypt.BCryptSetProperty(key, "MessageBlockLength", 512)
        ciphertext = bcrypt.BCryptEncrypt(key, DATA, None, number(0))
        assert ciphertext == oracle.xts(bytes(range(bits // 8)), 0, 512, DATA)


@pytest.mark.row("GSK-28")
@pytest.mark.parametrize("half", [bytes(16), bytes(range(32))])
def test_equal_halves(token: Provider, half: bytes) -> None:
    need(token, "XTS-AES")
    handle = bcrypt.BCryptOpenAlgorithmProvider("XTS-AES", token)
    with CallCounter(token) as calls, fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptGenerateSymmetricKey(handle, None, half + half)
    assert calls.names == []


@pytest.mark.row("ENC-04", "DEC-03")
@pytest.mark.parametrize("size", [1, 15, 513, 527, 1025])
def test_a_data_unit_of_less_than_a_block(token: Provider, size: int) -> None:
    key, iv = xts(token), number(7)
    for call in (bcrypt.BCryptEncrypt, bcrypt.BCryptDecrypt):
        with CallCounter(token) as calls, fails(NTSTATUS.STATUS_INVALID_BUFFER_SIZE):
            call(key, DATA[:size], None, iv)
        assert (calls.names, iv) == ([], number(7))


@pytest.mark.row("ENC-06")
def test_empty_input(token: Provider) -> None:
    key, iv = xts(token), number(7)
    assert bcrypt.BCryptEncrypt(key, None, None, iv) == bcrypt.BCryptDecrypt(key, b"", None, iv) == b""
    assert iv == number(7)


@pytest.mark.row("ENC-07")
def test_a_number_of_8_bytes(token: Provider) -> None:
    key, iv = xts(token), number(5, 8)
    assert bcrypt.BCryptEncrypt(key, DATA[:1024], None, iv) == oracle.xts(SECRETS[0], 5, 512, DATA[:1024])
    assert iv == number(7, 8)
    assert bcrypt.BCryptEncrypt(key, DATA[:512]) == oracle.xts(SECRETS[0], 7, 512, DATA[:512])


@pytest.mark.row("ENC-07", "3.2 IV")
@pytest.mark.parametrize("size", [0, 1, 7, 9, 15, 17, 32])
def test_a_number_of_wrong_length(token: Provider, size: int) -> None:
    key = xts(token)
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptEncrypt(key, DATA, None, bytes(size))
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptSetProperty(key, "IV", bytes(size))


@pytest.mark.row("ENC-07")
def test_the_last_numbers(token: Provider) -> None:
    key, last = xts(token, unit=16), (1 << 128) - 1
    iv = number(last)
    assert bcrypt.BCryptEncrypt(key, DATA[:16], None, iv) == oracle.xts(SECRETS[0], last, 16, DATA[:16])
    assert iv == number(0)
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptEncrypt(key, DATA[:32], None, number(last))


@pytest.mark.row("ENC-08", "DEC-05", "GSK-23", "3.2 IV")
@pytest.mark.parametrize("size", [16, 8])
def test_the_running_number(token: Provider, size: int) -> None:
    key, whole = xts(token), oracle.xts(SECRETS[0], 0, 512, DATA)
    assert bcrypt.BCryptEncrypt(key, DATA[:512]) + bcrypt.BCryptEncrypt(key, DATA[512:]) == whole
    bcrypt.BCryptSetProperty(key, "IV", number(2, size))
    assert bcrypt.BCryptDecrypt(key, whole[1024:2048]) + bcrypt.BCryptDecrypt(key, whole[2048:]) == DATA[1024:]


@pytest.mark.row("ENC-12", "ENC-13")
def test_what_it_does_not_take(token: Provider) -> None:
    key = xts(token)
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptEncrypt(key, DATA, None, number(0), bcrypt.BCRYPT_BLOCK_PADDING)
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptEncrypt(key, DATA, bcrypt.BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(bytes(12)), number(0))


@pytest.mark.row(
    "3.2 ChainingMode", "3.2 BlockLength", "3.2 BlockSizeList", "3.2 KeyLengths", "3.2 MessageBlockLength",
    "3.2 AuthTagLength",
)  # fmt: skip
def test_properties(token: Provider) -> None:
    key = xts(token)
    handle = bcrypt.BCryptGetProperty(key, "ProviderHandle")
    for one in (handle, key):
        assert bcrypt.BCryptGetProperty(one, "ChainingMode") == "ChainingModeN/A"
        assert bcrypt.BCryptGetProperty(one, "BlockLength") == 16
        for mode in ("ChainingModeCBC", "ChainingModeECB", "ChainingModeXTS"):
            with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
                bcrypt.BCryptSetProperty(one, "ChainingMode", mode)
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
            bcrypt.BCryptGetProperty(one, "AuthTagLength")
    assert bcrypt.BCryptGetProperty(handle, "BlockSizeList") == (16,)
    assert bcrypt.BCryptGetProperty(handle, "KeyLengths") == (256, 512, 256)
    assert bcrypt.BCryptGetProperty(cipher_key(token, "XTS-AES", SECRETS[0]), "MessageBlockLength") == 0
    with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
        bcrypt.BCryptSetProperty(handle, "MessageBlockLength", 512)
    for length in (0, 1, 15, (1 << 24) + 1):
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptSetProperty(key, "MessageBlockLength", length)
    assert bcrypt.BCryptGetProperty(key, "MessageBlockLength") == 512


@pytest.mark.row("DUP-11", "DUP-12", "DUP-13", "DUP-14", "DUP-15", "5.12")
def test_duplicates(token: Provider) -> None:
    key = xts(token, unit=1024)
    first = bcrypt.BCryptEncrypt(key, DATA[:1024])
    duplicate = bcrypt.BCryptDuplicateKey(bcrypt.BCryptDuplicateKey(key))
    assert bcrypt.BCryptGetProperty(duplicate, "MessageBlockLength") == 1024
    bcrypt.BCryptDestroyKey(key)
    assert first + bcrypt.BCryptEncrypt(duplicate, DATA[1024:]) == oracle.xts(SECRETS[0], 0, 1024, DATA)
    with fails(NTSTATUS.STATUS_INVALID_HANDLE):
        bcrypt.BCryptEncrypt(key, DATA, None, number(0))


@pytest.mark.parametrize("bits", [256, 512])
def test_keys_that_the_token_makes(token: Provider, bits: int) -> None:
    need(token, "XTS-AES")
    handle = bcrypt.BCryptOpenAlgorithmProvider("XTS-AES", token)
    key, other = handle.generate_key(bits), handle.generate_key(bits)
    for one in (key, other):
        bcrypt.BCryptSetProperty(one, "MessageBlockLength", 512)
    ciphertext = bcrypt.BCryptEncrypt(key, DATA, None, number(0))
    assert bcrypt.BCryptDecrypt(key, ciphertext, None, number(0)) == DATA
    assert bcrypt.BCryptEncrypt(other, DATA, None, number(0)) != ciphertext
    reading = handle.generate_key(bits, usage=Usage.DECRYPT)
    bcrypt.BCryptSetProperty(reading, "MessageBlockLength", 512)
    bcrypt.BCryptDecrypt(reading, ciphertext, None, number(0))
    with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
        bcrypt.BCryptEncrypt(reading, DATA, None, number(0))
    for wrong in (128, 192, 384):
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            handle.generate_key(wrong)


@pytest.mark.parametrize("made", ["imported", "generated", "duplicated"])
def test_a_half_that_cannot_be_made_leaves_none(provider: Provider, made: str) -> None:
    handle = bcrypt.BCryptOpenAlgorithmProvider("XTS-AES", provider)
    key = xts(provider)
    function, call = {
        "imported": ("C_CreateObject", lambda: bcrypt.BCryptGenerateSymmetricKey(handle, None, SECRETS[0])),
        "generated": ("C_GenerateKey", lambda: handle.generate_key(256)),
        "duplicated": ("C_CopyObject", lambda: bcrypt.BCryptDuplicateKey(key)),
    }[made]
    with FaultInjector(provider) as faults, CallCounter(provider) as calls:
        faults.fail(function, CKR_HOST_MEMORY, nth=2)
        with fails(NTSTATUS.STATUS_NO_MEMORY):
            call()
    # The objects of earlier tests' keys may be destroyed first, and an owner session is asked whether it lives.
    made_and_ended = [name for name in calls.asked if name != "C_GetSessionInfo"]
    assert made_and_ended[-3:] == [function, function, "C_DestroyObject"]


def test_what_a_call_costs(provider: Provider) -> None:
    """However many data units: one call for their numbers, one for their blocks, one for what is stolen."""
    for unit, data, operations in ((512, DATA, 2), (520, DATA[: 7 * 520], 3)):
        key = xts(provider, unit=unit)
        with CallCounter(provider) as calls:
            bcrypt.BCryptEncrypt(key, data, None, number(0))
        assert calls.asked == ["C_EncryptInit", "C_Encrypt"] * operations


def test_the_capabilities_say_what_reaches_the_host(token: Provider) -> None:
    capabilities = token.capabilities()
    need(token, "XTS-AES")
    assert capabilities.operations["XTS-AES", "XTS"] is token.offers("XTS-AES", "XTS")
    assert capabilities.key_bits["XTS-AES"] == (256, 512)
    assert "XTS-AES" not in capabilities.weak
    if capabilities.operations["XTS-AES", "XTS"].value == "composed":
        assert "on the host" in capabilities.reasons["XTS-AES", "XTS"]


@pytest.mark.row("GSK-03", "2.5")
def test_the_pseudo_handle(as_default: Provider) -> None:
    need(as_default, "XTS-AES")
    key = bcrypt.BCryptGenerateSymmetricKey(bcrypt.BCRYPT_XTS_AES_ALG_HANDLE, None, SECRETS[0])
    bcrypt.BCryptSetProperty(key, "MessageBlockLength", 512)
    assert bcrypt.BCryptEncrypt(key, DATA, None, number(0)) == oracle.xts(SECRETS[0], 0, 512, DATA)


def test_threads_on_one_key(token: Provider) -> None:
    key = xts(token, unit=32)

    def work(first: int) -> bool:
        ciphertext = bcrypt.BCryptEncrypt(key, DATA[:64], None, number(first))
        return ciphertext == oracle.xts(SECRETS[0], first, 32, DATA[:64])

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(work, range(100)))
