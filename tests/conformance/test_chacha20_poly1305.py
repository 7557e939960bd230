"""Reference 2.1, 3.2, 5.6 and 5.13 (AEAD-*) for CHACHA20_POLY1305 (RFC 8439)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from conformance import cipher_oracle as oracle
from conformance.checks import cipher_key, fails, need

from hwcng import NTSTATUS, bcrypt
from hwcng.bcrypt import BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO as Info
from hwcng.cng.keys import SymmetricKey
from hwcng.contract.provider import Provider
from hwcng.contract.usage import Usage
from hwcng.testing.calls import CallCounter

SECRET = bytes(range(0x80, 0xA0))
NONCE = bytes.fromhex("070000004041424344454647")
AAD = bytes.fromhex("50515253c0c1c2c3c4c5c6c7")
DATA = bytes(octet * 3 % 256 for octet in range(300))


def chacha(token: Provider, secret: bytes = SECRET) -> SymmetricKey:
    return cipher_key(token, "CHACHA20_POLY1305", secret)


@pytest.mark.row("AEAD-01", "AEAD-02", "GSK-28")
def test_the_published_vector(token: Provider) -> None:
    """RFC 8439, section 2.8.2."""
    key, info = chacha(token), Info(NONCE, AAD)
    plaintext = (
        b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would "
        b"be it."
    )
    ciphertext = bcrypt.BCryptEncrypt(key, plaintext, info)
    assert ciphertext.hex() == (
        "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b"
        "1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
        "3ff4def08e4b7a9de576d26586cec64b6116"
    )
    assert bytes(info.pbTag or b"").hex() == "1ae10b594f09e26a7e902ecbd0600691"
    assert bcrypt.BCryptDecrypt(key, ciphertext, info) == plaintext


@pytest.mark.row("AEAD-04", "AEAD-05", "AEAD-06")
@pytest.mark.parametrize("aad", [b"", b"a", AAD, bytes(100)])
@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 63, 64, 65, 300])
def test_as_another_implementation(token: Provider, size: int, aad: bytes) -> None:
    key, tag = chacha(token), bytearray(16)
    ciphertext = bcrypt.BCryptEncrypt(key, DATA[:size], Info(NONCE, aad, tag))
    assert ciphertext + tag == oracle.poly1305(SECRET, NONCE, aad, DATA[:size])
    assert bcrypt.BCryptDecrypt(key, ciphertext, Info(NONCE, aad, bytes(tag))) == DATA[:size]
    for place in range(16):
        wrong = bytearray(tag)
        wrong[place] ^= 1
        with fails(NTSTATUS.STATUS_AUTH_TAG_MISMATCH):
            bcrypt.BCryptDecrypt(key, ciphertext, Info(NONCE, aad, bytes(wrong)))
    with fails(NTSTATUS.STATUS_AUTH_TAG_MISMATCH):
        bcrypt.BCryptDecrypt(key, ciphertext, Info(NONCE, aad + b"x", bytes(tag)))
    with fails(NTSTATUS.STATUS_AUTH_TAG_MISMATCH):
        bcrypt.BCryptDecrypt(key, ciphertext, Info(bytes(12), aad, bytes(tag)))


@pytest.mark.row("AEAD-01")
@pytest.mark.parametrize("nonce", [b"", bytes(8), bytes(11), bytes(13), bytes(24)])
def test_nonces_of_other_lengths(token: Provider, nonce: bytes) -> None:
    key = chacha(token)
    with CallCounter(token) as calls:
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptEncrypt(key, DATA, Info(nonce))
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptDecrypt(key, DATA, Info(nonce, pbTag=bytes(16)))
    assert calls.names == []


@pytest.mark.row("AEAD-02")
@pytest.mark.parametrize("length", [0, 8, 12, 15, 17])
def test_tags_of_other_lengths(token: Provider, length: int) -> None:
    key = chacha(token)
    with CallCounter(token) as calls:
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptEncrypt(key, DATA, Info(NONCE, cbTag=length))
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptDecrypt(key, DATA, Info(NONCE, pbTag=bytes(20), cbTag=length))
    assert calls.names == []


@pytest.mark.row("AEAD-01", "AEAD-03", "AEAD-04")
def test_what_it_takes_beside_the_record(token: Provider) -> None:
    key = chacha(token)
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptEncrypt(key, DATA)
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptEncrypt(key, DATA, Info(NONCE), None, bcrypt.BCRYPT_BLOCK_PADDING)
    iv = bytearray(b"as it was")
    sealed = oracle.poly1305(SECRET, NONCE, b"", DATA)
    assert bcrypt.BCryptEncrypt(key, DATA, Info(NONCE), iv) == sealed[:-16]
    assert iv == b"as it was"
    with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
        bcrypt.BCryptSetProperty(key, "IV", bytes(12))


@pytest.mark.row("AEAD-10")
def test_calls_are_not_chained(token: Provider) -> None:
    info = Info(NONCE, pbMacContext=bytearray(16), dwFlags=bcrypt.BCRYPT_AUTH_MODE_CHAIN_CALLS_FLAG)
    with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
        bcrypt.BCryptEncrypt(chacha(token), DATA[:64], info)


@pytest.mark.row("GSK-15", "GSK-16", "GSK-17", "GSK-28")
def test_lengths_of_secrets(token: Provider) -> None:
    need(token, "CHACHA20_POLY1305")
    handle = bcrypt.BCryptOpenAlgorithmProvider("CHACHA20_POLY1305", token)
    for length in (0, 1, 16, 24, 31):
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptGenerateSymmetricKey(handle, None, bytes(range(length)))
    for length in (32, 33, 64):
        key = bcrypt.BCryptGenerateSymmetricKey(handle, None, bytes(range(length)))
        assert bcrypt.BCryptGetProperty(key, "KeyLength") == 256
        assert bcrypt.BCryptEncrypt(key, DATA, Info(NONCE)) == oracle.poly1305(bytes(range(32)), NONCE, b"", DATA)[:-16]


@pytest.mark.row(
    "3.2 AuthTagLength", "3.2 ChainingMode", "3.2 BlockLength", "3.2 KeyLengths", "3.2 MessageBlockLength",
    "3.2 ObjectLength",
)  # fmt: skip
def test_properties(token: Provider) -> None:
    key = chacha(token)
    handle = bcrypt.BCryptGetProperty(key, "ProviderHandle")
    for one in (handle, key):
        assert bcrypt.BCryptGetProperty(one, "ChainingMode") == "ChainingModeN/A"
        assert bcrypt.BCryptGetProperty(one, "BlockLength") == 1
        assert bcrypt.BCryptGetProperty(one, "ObjectLength") == 166
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
            bcrypt.BCryptGetProperty(one, "MessageBlockLength")
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
            bcrypt.BCryptSetProperty(one, "ChainingMode", "ChainingModeGCM")
    assert bcrypt.BCryptGetProperty(handle, "AuthTagLength") == (16, 16, 1)
    assert bcrypt.BCryptGetProperty(handle, "KeyLengths") == (256, 256, 0)
    assert bcrypt.BCryptGetProperty(handle, "KeyLength") == 256
    with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
        bcrypt.BCryptGetProperty(key, "AuthTagLength")


@pytest.mark.row("DUP-11", "DUP-12")
def test_duplicates(token: Provider) -> None:
    key = chacha(token)
    duplicate = bcrypt.BCryptDuplicateKey(key)
    bcrypt.BCryptDestroyKey(key)
    assert bcrypt.BCryptEncrypt(duplicate, DATA, Info(NONCE)) == oracle.poly1305(SECRET, NONCE, b"", DATA)[:-16]


def test_keys_that_the_token_makes(token: Provider) -> None:
    need(token, "CHACHA20_POLY1305")
    handle = bcrypt.BCryptOpenAlgorithmProvider("CHACHA20_POLY1305", token)
    key, other, info = handle.generate_key(256), handle.generate_key(256), Info(NONCE, AAD)
    ciphertext = bcrypt.BCryptEncrypt(key, DATA, info)
    assert bcrypt.BCryptDecrypt(key, ciphertext, info) == DATA
    with fails(NTSTATUS.STATUS_AUTH_TAG_MISMATCH):
        bcrypt.BCryptDecrypt(other, ciphertext, info)
    sealing = handle.generate_key(256, usage=Usage.ENCRYPT)
    bcrypt.BCryptEncrypt(sealing, DATA, info)
    with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
        bcrypt.BCryptDecrypt(sealing, ciphertext, info)
    capabilities = token.capabilities()
    assert capabilities.key_bits["CHACHA20_POLY1305"] == (256,)
    assert capabilities.operations["CHACHA20_POLY1305", "POLY1305"].value == "native"
    assert "CHACHA20_POLY1305" not in capabilities.weak


@pytest.mark.row("GSK-03", "2.5")
def test_the_pseudo_handle(as_default: Provider) -> None:
    need(as_default, "CHACHA20_POLY1305")
    key = bcrypt.BCryptGenerateSymmetricKey(bcrypt.BCRYPT_CHACHA20_POLY1305_ALG_HANDLE, None, SECRET)
    assert bcrypt.BCryptEncrypt(key, DATA, Info(NONCE)) == oracle.poly1305(SECRET, NONCE, b"", DATA)[:-16]


@pytest.mark.row("AEAD-07")
def test_threads_on_one_key(token: Provider) -> None:
    key = chacha(token)

    def work(number: int) -> bool:
        info = Info(number.to_bytes(12, "big"), AAD)
        sealed = oracle.poly1305(SECRET, info.pbNonce, AAD, DATA)
        return bcrypt.BCryptEncrypt(key, DATA, info) + bytes(info.pbTag or b"") == sealed

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(work, range(200)))
