"""Reference 5.13, rows AEAD-01 to AEAD-07: GCM and CCM in one call."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from conformance.checks import COUNTING, aes, fails, need
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM

from hwcng import NTSTATUS, bcrypt
from hwcng.bcrypt import BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO as Info
from hwcng.contract.provider import Provider
from hwcng.testing.faults import FaultInjector

MODES = ("GCM", "CCM")
CKR_FUNCTION_FAILED = 0x006
KEYS = tuple(bytes(range(size, 2 * size)) for size in (16, 24, 32))
DATA = bytes(octet * 13 % 256 for octet in range(300))
AAD = bytes(range(200, 230))
NONCE = bytes.fromhex("102030405060102030405060")
TAG_LENGTHS = {"GCM": range(12, 17), "CCM": range(4, 17, 2)}
NONCE_LENGTHS = {"GCM": range(12, 13), "CCM": range(7, 14)}

VECTOR_PLAINTEXT = COUNTING + b"\x10" * 16
VECTOR_CIPHERTEXT = bytes.fromhex("e182c3c024fb8685f3f12b7d09b473678664c3fea30761f816c9787fe7b1c494")
VECTOR_AAD = bytes.fromhex("605040302010605040302010")
VECTOR_TAGS = {
    "no AAD": (b"", VECTOR_PLAINTEXT, VECTOR_CIPHERTEXT, "89b39200392009b46ad6afca4b5bfdd0"),
    "AAD": (VECTOR_AAD, VECTOR_PLAINTEXT, VECTOR_CIPHERTEXT, "179dc07af0cfaad51c11c44bd6a33e77"),
    "AAD alone": (VECTOR_AAD, b"", b"", "4c42839e8d40f119d62b1c66032b3963"),
}


def sealed(mode: str, key: bytes, nonce: bytes, plaintext: bytes, aad: bytes, tag_length: int) -> tuple[bytes, bytes]:
    """Ciphertext and tag of another implementation; its GCM makes 16-byte tags, of which shorter ones are the start."""
    if mode == "CCM":
        both = AESCCM(key, tag_length).encrypt(nonce, plaintext, aad)
        return both[:-tag_length], both[-tag_length:]
    both = AESGCM(key).encrypt(nonce, plaintext, aad)
    return both[:-16], both[-16:][:tag_length]


@pytest.mark.row("AEAD-01")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("call", [bcrypt.BCryptEncrypt, bcrypt.BCryptDecrypt])
def test_nonces_that_the_mode_does_not_take(provider: Provider, mode: str, call) -> None:
    key = aes(provider, mode=mode)
    for nonce in (None, b"", *(bytes(size) for size in range(1, 20) if size not in NONCE_LENGTHS[mode]), 12, "n" * 12):
        info = Info(nonce, pbTag=bytes(16))
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            call(key, DATA, info)
        assert info.pbTag == bytes(16)


@pytest.mark.row("AEAD-01", "AEAD-02")
@pytest.mark.parametrize("secret", KEYS, ids=lambda secret: f"AES-{8 * len(secret)}")
@pytest.mark.parametrize("mode", MODES)
def test_as_another_implementation(token: Provider, mode: str, secret: bytes) -> None:
    """Every nonce and tag length, with and without authenticated data, for lengths round whole blocks."""
    need(token, "AES", mode)
    key = aes(token, secret, mode)
    lengths = [(nonce, tag) for nonce in NONCE_LENGTHS[mode] for tag in TAG_LENGTHS[mode]]
    sizes = (0, 1, 15, 16, 17, 31, 32, 300)
    for step, (nonce_length, tag_length) in enumerate(lengths * (2 if mode == "GCM" else 1)):
        nonce, aad, plaintext = NONCE.ljust(13, b"\x77")[:nonce_length], AAD[: step % 3 * 15], DATA[: sizes[step % 8]]
        expected, expected_tag = sealed(mode, secret, nonce, plaintext, aad, tag_length)
        info = Info(nonce, aad, cbTag=tag_length)
        assert bcrypt.BCryptEncrypt(key, plaintext, info) == expected
        assert info.pbTag == expected_tag
        assert bcrypt.BCryptDecrypt(key, expected, Info(nonce, aad, expected_tag, tag_length)) == plaintext


@pytest.mark.row("AEAD-04")
@pytest.mark.parametrize("mode", MODES)
def test_any_input_length(token: Provider, mode: str) -> None:
    need(token, "AES", mode)
    key = aes(token, mode=mode)
    for size in (*range(34), 255, 256, 257):
        expected, tag = sealed(mode, COUNTING, NONCE, DATA[:size], AAD, 16)
        info = Info(NONCE, AAD)
        assert bcrypt.BCryptEncrypt(key, DATA[:size], info) == expected
        assert info.pbTag == tag
        assert bcrypt.BCryptDecrypt(key, expected, Info(NONCE, AAD, tag)) == DATA[:size]


@pytest.mark.row("AEAD-04")
@pytest.mark.parametrize("mode", MODES)
def test_more_than_a_session_buffer(token: Provider, mode: str) -> None:
    need(token, "AES", mode)
    key, data, aad = aes(token, mode=mode), DATA * 700, AAD * 3000
    expected, tag = sealed(mode, COUNTING, NONCE, data, aad, 16)
    info = Info(NONCE, aad)
    assert bcrypt.BCryptEncrypt(key, data, info) == expected
    assert info.pbTag == tag
    assert bcrypt.BCryptDecrypt(key, expected, Info(NONCE, aad, tag)) == data


@pytest.mark.row("AEAD-05")
@pytest.mark.parametrize("mode", MODES)
def test_authenticated_data_where_its_length_is_written_otherwise(token: Provider, mode: str) -> None:
    """CCM writes lengths from 0xFF00 on in six bytes (SP 800-38C, A.2.2)."""
    need(token, "AES", mode)
    key = aes(token, mode=mode)
    for size in (0xFEFF, 0xFF00, 0xFFFF, 0x10000):
        expected, tag = sealed(mode, COUNTING, NONCE, DATA, bytes(size), 16)
        info = Info(NONCE, bytes(size))
        assert bcrypt.BCryptEncrypt(key, DATA, info) == expected
        assert info.pbTag == tag
        assert bcrypt.BCryptDecrypt(key, expected, Info(NONCE, bytes(size), tag)) == DATA


@pytest.mark.row("AEAD-02")
@pytest.mark.parametrize("mode", MODES)
def test_tag_lengths_that_the_mode_does_not_have(provider: Provider, mode: str) -> None:
    key = aes(provider, mode=mode)
    for size in (-1, 0, *(size for size in range(1, 18) if size not in TAG_LENGTHS[mode]), 32):
        buffer = bytearray(b"\xee" * 32)
        for info in (Info(NONCE, AAD, buffer, cbTag=size), Info(NONCE, AAD, cbTag=size)):
            info.cbTag = size
            for call in (bcrypt.BCryptEncrypt, bcrypt.BCryptDecrypt):
                with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
                    call(key, DATA, info)
        assert buffer == b"\xee" * 32


@pytest.mark.row("AEAD-02")
@pytest.mark.parametrize("mode", MODES)
def test_decryption_needs_the_tag(provider: Provider, mode: str) -> None:
    key = aes(provider, mode=mode)
    ciphertext, tag = sealed(mode, COUNTING, NONCE, DATA, AAD, 16)
    for given in (None, b"", tag[:12], tag[:15]):
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptDecrypt(key, ciphertext, Info(NONCE, AAD, given))


@pytest.mark.row("AEAD-02")
@pytest.mark.parametrize("mode", MODES)
def test_where_the_tag_goes(provider: Provider, mode: str) -> None:
    """Into a writable pbTag, whose first cbTag bytes it fills; else the record's pbTag becomes it."""
    key = aes(provider, mode=mode)
    _, tag = sealed(mode, COUNTING, NONCE, DATA, AAD, 12)
    buffer = bytearray(b"\xee" * 16)
    bcrypt.BCryptEncrypt(key, DATA, Info(NONCE, AAD, buffer, cbTag=12))
    assert buffer == tag + b"\xee" * 4
    exact = bytearray(12)
    bcrypt.BCryptEncrypt(key, DATA, Info(NONCE, AAD, memoryview(exact)))
    assert exact == tag
    for absent in (None, b"old tag"):
        info = Info(NONCE, AAD, absent, cbTag=12)
        bcrypt.BCryptEncrypt(key, DATA, info)
        assert info.pbTag == tag
    short = bytearray(8)
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptEncrypt(key, DATA, Info(NONCE, AAD, short, cbTag=12))
    assert short == bytes(8)


@pytest.mark.row("AEAD-03")
@pytest.mark.parametrize("mode", MODES)
def test_the_iv_is_ignored(token: Provider, mode: str) -> None:
    need(token, "AES", mode)
    key = aes(token, mode=mode)
    expected, tag = sealed(mode, COUNTING, NONCE, DATA, AAD, 16)
    for size in (0, 5, 16, 40):
        iv = bytearray(b"\x5a" * size)
        assert bcrypt.BCryptEncrypt(key, DATA, Info(NONCE, AAD), iv) == expected
        assert bcrypt.BCryptDecrypt(key, expected, Info(NONCE, AAD, tag), iv) == DATA
        assert iv == b"\x5a" * size


@pytest.mark.row("AEAD-03")
@pytest.mark.parametrize("mode", MODES)
def test_the_running_iv_is_not_touched(token: Provider, mode: str) -> None:
    need(token, "AES", mode)
    key = aes(token, mode="CBC")
    first = bcrypt.BCryptEncrypt(key, COUNTING)
    bcrypt.BCryptSetProperty(key, "ChainingMode", f"ChainingMode{mode}")
    bcrypt.BCryptEncrypt(key, DATA, Info(NONCE, AAD))
    bcrypt.BCryptSetProperty(key, "ChainingMode", "ChainingModeCBC")
    other = aes(token, mode="CBC")
    assert bcrypt.BCryptEncrypt(other, COUNTING) == first
    assert bcrypt.BCryptEncrypt(key, COUNTING) == bcrypt.BCryptEncrypt(other, COUNTING)


@pytest.mark.row("AEAD-04")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [0, 16, 17])
def test_block_padding_is_refused(provider: Provider, mode: str, size: int) -> None:
    """There is no output buffer that could be too small first."""
    key, tag = aes(provider, mode=mode), bytearray(16)
    for call in (bcrypt.BCryptEncrypt, bcrypt.BCryptDecrypt):
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            call(key, DATA[:size], Info(NONCE, AAD, tag), None, bcrypt.BCRYPT_BLOCK_PADDING)
    assert tag == bytes(16)


@pytest.mark.row("AEAD-05")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("nothing", [None, b""])
def test_the_tag_of_authenticated_data_alone(token: Provider, mode: str, nothing: bytes | None) -> None:
    """Without a size query, empty input of either kind computes the tag."""
    need(token, "AES", mode)
    key = aes(token, mode=mode)
    for aad in (b"", AAD, AAD * 20):
        _, tag = sealed(mode, COUNTING, NONCE, b"", aad, 16)
        info = Info(NONCE, aad)
        assert bcrypt.BCryptEncrypt(key, nothing, info) == b""
        assert info.pbTag == tag
        assert bcrypt.BCryptDecrypt(key, nothing, Info(NONCE, aad, tag)) == b""
        with fails(NTSTATUS.STATUS_AUTH_TAG_MISMATCH):
            bcrypt.BCryptDecrypt(key, nothing, Info(NONCE, aad + b"\0", tag))


@pytest.mark.row("AEAD-05")
@pytest.mark.parametrize("mode", MODES)
def test_no_authenticated_data_is_none_or_empty(provider: Provider, mode: str) -> None:
    key = aes(provider, mode=mode)
    expected, tag = sealed(mode, COUNTING, NONCE, DATA, b"", 16)
    for aad in (None, b"", bytearray(), memoryview(b"")):
        info = Info(NONCE, aad)
        assert bcrypt.BCryptEncrypt(key, DATA, info) == expected
        assert info.pbTag == tag


@pytest.mark.row("AEAD-06")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("changed", ["tag", "tag's end", "ciphertext", "AAD", "nonce", "cut", "longer"])
def test_anything_changed_is_a_tag_mismatch(token: Provider, mode: str, changed: str) -> None:
    need(token, "AES", mode)
    key = aes(token, mode=mode)
    ciphertext, tag = sealed(mode, COUNTING, NONCE, DATA[:32], AAD, 16)
    flip = {
        "tag": (ciphertext, NONCE, AAD, bytes([tag[0] ^ 1]) + tag[1:]),
        "tag's end": (ciphertext, NONCE, AAD, tag[:-1] + bytes([tag[-1] ^ 0x80])),
        "ciphertext": (ciphertext[:-1] + bytes([ciphertext[-1] ^ 1]), NONCE, AAD, tag),
        "AAD": (ciphertext, NONCE, AAD[:-1], tag),
        "nonce": (ciphertext, bytes(12), AAD, tag),
        "cut": (ciphertext[:-1], NONCE, AAD, tag),
        "longer": (ciphertext + b"\0", NONCE, AAD, tag),
    }
    given, nonce, aad, given_tag = flip[changed]
    buffer, iv = bytearray(given_tag), bytearray(COUNTING)
    info = Info(nonce, aad, buffer)
    with fails(NTSTATUS.STATUS_AUTH_TAG_MISMATCH) as caught:
        bcrypt.BCryptDecrypt(key, given, info, iv)
    assert (buffer, iv, info.dwFlags) == (given_tag, COUNTING, 0)
    assert not any(part in str(caught.value) for part in (DATA[:32].hex(), tag.hex(), repr(DATA[:32])))
    assert bcrypt.BCryptDecrypt(key, ciphertext, Info(NONCE, AAD, tag)) == DATA[:32]


@pytest.mark.row("AEAD-06")
@pytest.mark.parametrize("mode", MODES)
def test_a_short_tag_is_checked_in_its_length_only(token: Provider, mode: str) -> None:
    need(token, "AES", mode)
    key = aes(token, mode=mode)
    for size in TAG_LENGTHS[mode]:
        ciphertext, tag = sealed(mode, COUNTING, NONCE, DATA, AAD, size)
        assert bcrypt.BCryptDecrypt(key, ciphertext, Info(NONCE, AAD, tag + b"beyond", size)) == DATA
        with fails(NTSTATUS.STATUS_AUTH_TAG_MISMATCH):
            bcrypt.BCryptDecrypt(key, ciphertext, Info(NONCE, AAD, tag[:-1] + bytes([tag[-1] ^ 1]), size))


@pytest.mark.row("AEAD-07")
@pytest.mark.parametrize("vector", VECTOR_TAGS)
def test_vector_of_gcm(token: Provider, vector: str) -> None:
    aad, plaintext, ciphertext, tag = VECTOR_TAGS[vector]
    key, buffer = aes(token, mode="GCM"), bytearray(16)
    assert bcrypt.BCryptEncrypt(key, plaintext, Info(NONCE, aad, buffer)) == ciphertext
    assert buffer.hex() == tag
    assert bcrypt.BCryptDecrypt(key, ciphertext, Info(NONCE, aad, bytes.fromhex(tag))) == plaintext


@pytest.mark.row("AEAD-07")
@pytest.mark.parametrize("mode", MODES)
def test_one_key_in_four_threads(token: Provider, mode: str) -> None:
    need(token, "AES", mode)
    key = aes(token, mode=mode)

    def work(thread: int) -> int:
        good = 0
        for step in range(60):
            nonce = bytes([thread, step]) + bytes(10)
            plaintext, aad = DATA[: 4 * step + thread], AAD[:step]
            expected, tag = sealed(mode, COUNTING, nonce, plaintext, aad, 16)
            info = Info(nonce, aad)
            good += bcrypt.BCryptEncrypt(key, plaintext, info) == expected and info.pbTag == tag
            good += bcrypt.BCryptDecrypt(key, expected, Info(nonce, aad, tag)) == plaintext
            with fails(NTSTATUS.STATUS_AUTH_TAG_MISMATCH):
                bcrypt.BCryptDecrypt(key, expected, Info(nonce, aad, tag[1:] + tag[:1]))
        return good

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(work, range(4))) == [120] * 4


@pytest.mark.row("AEAD-02")
@pytest.mark.parametrize("mode", MODES)
def test_the_record_is_mandatory(provider: Provider, mode: str) -> None:
    key = aes(provider, mode=mode)
    for info in (None, b"", object(), bcrypt.BCRYPT_OAEP_PADDING_INFO("SHA256"), {"pbNonce": NONCE}):
        for call in (bcrypt.BCryptEncrypt, bcrypt.BCryptDecrypt):
            with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
                call(key, DATA, info)


@pytest.mark.row("AEAD-02")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "tag", ["0123456789abcdef", 16, [0] * 16, memoryview(bytearray(32))[::2]], ids=lambda tag: type(tag).__name__
)
def test_tags_that_are_no_buffer(provider: Provider, mode: str, tag: object) -> None:
    key = aes(provider, mode=mode)
    for call in (bcrypt.BCryptEncrypt, bcrypt.BCryptDecrypt):
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            call(key, DATA, Info(NONCE, AAD, tag, cbTag=16))
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            call(key, DATA, Info(NONCE, AAD, tag))


@pytest.mark.row("AEAD-01", "AEAD-02")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_the_record_takes_any_buffer(provider: Provider, mode: str, kind: type) -> None:
    key = aes(provider, mode=mode)
    ciphertext, tag = sealed(mode, COUNTING, NONCE, DATA, AAD, 16)
    assert bcrypt.BCryptDecrypt(key, kind(ciphertext), Info(kind(NONCE), kind(AAD), kind(tag))) == DATA
    assert bcrypt.BCryptEncrypt(key, kind(DATA), Info(kind(NONCE), kind(AAD))) == ciphertext


@pytest.mark.row("AEAD-01", "AEAD-04")
def test_ccm_of_more_than_the_nonce_leaves_room_for(token: Provider) -> None:
    """13 bytes of nonce leave two for the length."""
    key, nonce, data = aes(token, mode="CCM"), bytes(13), bytes(65536)
    expected, tag = sealed("CCM", COUNTING, nonce, data[:-1], b"", 16)
    info = Info(nonce)
    assert bcrypt.BCryptEncrypt(key, data[:-1], info) == expected
    assert info.pbTag == tag
    for call in (bcrypt.BCryptEncrypt, bcrypt.BCryptDecrypt):
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            call(key, data, Info(nonce, pbTag=tag))


@pytest.mark.row("AEAD-06")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["C_EncryptInit", "C_Encrypt"])
def test_a_failure_in_the_token_leaves_the_record_as_it_was(provider: Provider, mode: str, name: str) -> None:
    key, tag = aes(provider, mode=mode), bytearray(b"\xee" * 16)
    with FaultInjector(provider).fail(name, CKR_FUNCTION_FAILED) as fault:
        with fails(NTSTATUS.STATUS_INTERNAL_ERROR):
            bcrypt.BCryptEncrypt(key, DATA, Info(NONCE, AAD, tag))
        assert fault.injected == 1
    assert tag == b"\xee" * 16
    info = Info(NONCE, AAD, tag)
    assert (bcrypt.BCryptEncrypt(key, DATA, info), tag) == sealed(mode, COUNTING, NONCE, DATA, AAD, 16)


@pytest.mark.row("AEAD-02")
@pytest.mark.parametrize("flags", [0x4, 0x80000000])
def test_undefined_flags_of_the_record(provider: Provider, flags: int) -> None:
    key = aes(provider, mode="GCM")
    for call in (bcrypt.BCryptEncrypt, bcrypt.BCryptDecrypt):
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            call(key, DATA, Info(NONCE, AAD, bytes(16), dwFlags=flags))
