"""AES, MACs and random numbers of a TPM through hwcng.bcrypt, against `cryptography` and hashlib."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator

import pytest
from conformance import oracle
from conformance.checks import COUNTING, aes, fails
from conformance.helpers import key_data_blob
from cryptography.hazmat.primitives import cmac
from cryptography.hazmat.primitives.ciphers import algorithms

import hwcng
from hwcng import NTSTATUS, bcrypt
from hwcng.cng.keys import AlgorithmHandle, SymmetricKey
from hwcng.contract.usage import Support
from hwcng.providers.tpm2.provider import Tpm2Provider
from hwcng.testing.commands import CommandCounter
from hwcng.testing.swtpm import Swtpm

MODES = ("ECB", "CBC", "CFB8", "CFB128")
HASHES = ("SHA1", "SHA256", "SHA384", "SHA512")
BLOCK_SIZES = {"SHA1": 64, "SHA256": 64, "SHA384": 128, "SHA512": 128}
ANY = bytes(range(100, 116))


@pytest.fixture
def default_tpm(tpm_provider: Tpm2Provider) -> Iterator[Tpm2Provider]:
    """The TPM as the default provider."""
    hwcng.set_default_provider(tpm_provider)
    yield tpm_provider
    hwcng.set_default_provider(None)


def opened(provider: Tpm2Provider, name: str, flags: int = 0) -> AlgorithmHandle:
    return bcrypt.BCryptOpenAlgorithmProvider(name, provider, flags)


def hmac_of(provider: Tpm2Provider, name: str, flags: int = 0) -> AlgorithmHandle:
    return opened(provider, name, bcrypt.BCRYPT_ALG_HANDLE_HMAC_FLAG | flags)


def aes_cmac(key: bytes, data: bytes) -> bytes:
    context = cmac.CMAC(algorithms.AES(key))
    context.update(data)
    return context.finalize()


def iv_of(mode: str) -> bytearray | None:
    return None if mode == "ECB" else bytearray(ANY)


def following(iv: bytes, ciphertext: bytes) -> bytes:
    return (iv + ciphertext)[-16:]


# AES


@pytest.mark.parametrize("size", [16, 32])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("length", [0, 16, 1024, 1040, 2064])
def test_aes_with_an_explicit_iv(tpm_provider: Tpm2Provider, size: int, mode: str, length: int) -> None:
    value, data = os.urandom(size), os.urandom(min(length, 64) if mode == "CFB8" else length)
    key = aes(tpm_provider, value, mode)
    iv = iv_of(mode)
    expected = oracle.aes(mode, value, ANY, data)
    assert bcrypt.BCryptEncrypt(key, data, None, iv) == expected
    assert iv is None or bytes(iv) == following(ANY, expected)
    iv = iv_of(mode)
    assert bcrypt.BCryptDecrypt(key, expected, None, iv) == data
    assert iv is None or bytes(iv) == following(ANY, expected)
    bcrypt.BCryptDestroyKey(key)


@pytest.mark.parametrize(("mode", "chunks"), [("CFB128", (5, 1, 1030, 16, 2051)), ("CFB8", (1, 17, 5))])
def test_cfb_takes_lengths_that_are_no_blocks(tpm_provider: Tpm2Provider, mode: str, chunks: tuple[int, ...]) -> None:
    value = os.urandom(32)
    for length in chunks:
        data, key = os.urandom(length), aes(tpm_provider, value, mode)
        ciphertext = bcrypt.BCryptEncrypt(key, data, None, ANY)
        assert ciphertext == oracle.aes(mode, value, ANY, data)
        assert bcrypt.BCryptDecrypt(key, ciphertext, None, ANY) == data


@pytest.mark.parametrize("mode", ["CBC", "CFB8", "CFB128"])
def test_the_running_iv_goes_on_over_calls_of_every_size(tpm_provider: Tpm2Provider, mode: str) -> None:
    value, sizes = os.urandom(16), (16, 32, 16, 0) if mode == "CFB8" else (16, 1024, 0, 48, 1040, 2048, 16)
    data = os.urandom(sum(sizes))
    encrypting, decrypting = aes(tpm_provider, value, mode), aes(tpm_provider, value, mode)
    ciphertext = plaintext = b""
    at = 0
    for size in sizes:
        piece = bcrypt.BCryptEncrypt(encrypting, data[at : at + size])
        plaintext += bcrypt.BCryptDecrypt(decrypting, piece)
        ciphertext, at = ciphertext + piece, at + size
    assert ciphertext == oracle.aes(mode, value, bytes(16), data) and plaintext == data


def test_the_vectors_of_the_reference(tpm_provider: Tpm2Provider) -> None:
    key = aes(tpm_provider)
    assert bcrypt.BCryptEncrypt(key, COUNTING, None, COUNTING).hex() == "c6a13b37878f5b826f4f8162a1c8d879"
    assert bcrypt.BCryptEncrypt(key, COUNTING).hex() == "b58a1064d8aca99bd9b0405b8545f5bb"
    assert bcrypt.BCryptEncrypt(aes(tpm_provider), COUNTING).hex() == "0a940bb5416ef045f1c39458c653ea5a"
    cfb = aes(tpm_provider, mode="CFB8")
    assert bcrypt.BCryptEncrypt(cfb, COUNTING, None, COUNTING).hex() == "0a22f796e1b93e9032cff804838adfc3"


@pytest.mark.parametrize("mode", MODES)
def test_block_padding(tpm_provider: Tpm2Provider, mode: str) -> None:
    value = os.urandom(16)
    key = aes(tpm_provider, value, mode)
    for length in (0, 1, 15, 16, 17) if mode == "CFB8" else (0, 1, 15, 16, 17, 1023, 1024, 1025):
        data = os.urandom(length)
        ciphertext = bcrypt.BCryptEncrypt(key, data, None, iv_of(mode), bcrypt.BCRYPT_BLOCK_PADDING)
        assert ciphertext == oracle.aes(mode, value, ANY, oracle.pkcs7(data))
        assert bcrypt.BCryptDecrypt(key, ciphertext, None, iv_of(mode), bcrypt.BCRYPT_BLOCK_PADDING) == data
        with fails(NTSTATUS.STATUS_INVALID_BUFFER_SIZE):
            bcrypt.BCryptDecrypt(key, ciphertext[:-1], None, iv_of(mode), bcrypt.BCRYPT_BLOCK_PADDING)
    for bad in (bytes(16), bytes(15) + b"\x11", bytes(14) + b"\x01\x02"):
        ciphertext = oracle.aes(mode, value, ANY, bad)
        with fails(NTSTATUS.STATUS_DATA_ERROR):
            bcrypt.BCryptDecrypt(key, ciphertext, None, iv_of(mode), bcrypt.BCRYPT_BLOCK_PADDING)


def test_what_is_wrong_is_refused_before_the_tpm_hears_of_it(tpm_provider: Tpm2Provider) -> None:
    handle, cbc, ecb = opened(tpm_provider, "AES"), aes(tpm_provider), aes(tpm_provider, mode="ECB")
    with CommandCounter(tpm_provider) as counter:
        for length in (0, 1, 15, 17, 23, 25, 31):
            with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
                bcrypt.BCryptGenerateSymmetricKey(handle, None, bytes(length))
            with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
                bcrypt.BCryptImportKey(handle, None, "KeyDataBlob", None, key_data_blob(bytes(length)))
        for bits in (0, 64, 129, 512):
            with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
                handle.generate_key(bits)
        for key in (cbc, ecb):
            for crypt in (bcrypt.BCryptEncrypt, bcrypt.BCryptDecrypt):
                with fails(NTSTATUS.STATUS_INVALID_BUFFER_SIZE):
                    crypt(key, bytes(17))
                with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
                    crypt(key, bytes(16), None, bytes(15))
                with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
                    crypt(key, bytes(16), None, None, 0x8000)
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptEncrypt(ecb, bytes(16), None, bytes(16))
        with fails(NTSTATUS.STATUS_BUFFER_TOO_SMALL):
            bcrypt.BCryptGenerateSymmetricKey(handle, bytearray(10), bytes(16))
    assert counter.total == 0


def test_a_secret_that_is_too_long_is_cut(tpm_provider: Tpm2Provider) -> None:
    secret = os.urandom(40)
    key = aes(tpm_provider, secret)
    assert bcrypt.BCryptGetProperty(key, "KeyLength") == 256
    assert bcrypt.BCryptEncrypt(key, COUNTING, None, ANY) == oracle.aes("CBC", secret[:32], ANY, COUNTING)


def test_aes_192_is_what_the_probe_says(tpm_provider: Tpm2Provider) -> None:
    offered = tpm_provider.capabilities().operations["AES", "generate 192"] is Support.NATIVE
    handle = opened(tpm_provider, "AES")
    if offered:
        key = aes(tpm_provider, bytes(24))
        assert bcrypt.BCryptEncrypt(key, COUNTING, None, ANY) == oracle.aes("CBC", bytes(24), ANY, COUNTING)
        return
    with CommandCounter(tpm_provider) as counter:
        for make in (
            lambda: bcrypt.BCryptGenerateSymmetricKey(handle, None, bytes(24)),
            lambda: bcrypt.BCryptImportKey(handle, None, "KeyDataBlob", None, key_data_blob(bytes(24))),
            lambda: handle.generate_key(192),
        ):
            with fails(NTSTATUS.STATUS_NOT_SUPPORTED) as failure:
                make()
            assert "AES keys of 128, 256 bits, not of 192" in failure.value.message
    assert counter.total == 0


def test_key_data_blobs(tpm_provider: Tpm2Provider) -> None:
    value = os.urandom(16)
    key = bcrypt.BCryptImportKey(opened(tpm_provider, "AES"), None, "KeyDataBlob", None, key_data_blob(value))
    assert bcrypt.BCryptEncrypt(key, COUNTING, None, ANY) == oracle.aes("CBC", value, ANY, COUNTING)


@pytest.mark.parametrize("first", [True, False], ids=["original ends first", "duplicate ends first"])
def test_duplicates_have_their_own_mode_iv_and_life(tpm_provider: Tpm2Provider, first: bool) -> None:
    value = os.urandom(32)
    key, held = aes(tpm_provider, value), bytearray(1000)
    before = bcrypt.BCryptEncrypt(key, COUNTING, None, ANY)
    twin = bcrypt.BCryptDuplicateKey(key, held)
    assert bcrypt.BCryptEncrypt(twin, COUNTING) == oracle.aes("CBC", value, before, COUNTING)
    bcrypt.BCryptSetProperty(twin, "ChainingMode", "ChainingModeCFB")
    bcrypt.BCryptSetProperty(twin, "MessageBlockLength", 16)
    assert bcrypt.BCryptEncrypt(key, COUNTING) == oracle.aes("CBC", value, before, COUNTING)
    ends, stays, mode = (key, twin, "CFB128") if first else (twin, key, "CBC")
    bcrypt.BCryptDestroyKey(ends)
    assert bcrypt.BCryptEncrypt(stays, COUNTING, None, ANY) == oracle.aes(mode, value, ANY, COUNTING)
    again = bcrypt.BCryptDuplicateKey(stays)
    bcrypt.BCryptDestroyKey(stays)
    assert bcrypt.BCryptEncrypt(again, COUNTING, None, ANY) == oracle.aes(mode, value, ANY, COUNTING)
    assert not any(held)
    held.append(0)


def test_keys_that_the_tpm_makes(tpm_provider: Tpm2Provider) -> None:
    handle = opened(tpm_provider, "AES")
    ciphertexts = set()
    for bits in (128, 256):
        key = handle.generate_key(bits)
        assert bcrypt.BCryptGetProperty(key, "KeyLength") == bits
        for mode in ("ECB", "CBC", "CFB"):
            bcrypt.BCryptSetProperty(key, "ChainingMode", f"ChainingMode{mode}")
            iv = None if mode == "ECB" else ANY
            ciphertext = bcrypt.BCryptEncrypt(key, bytes(32), None, iv)
            assert bcrypt.BCryptDecrypt(key, ciphertext, None, iv) == bytes(32)
            ciphertexts.add(ciphertext)
    assert len(ciphertexts) == 6


def test_what_a_tpm_lacks(tpm_provider: Tpm2Provider) -> None:
    handle, key = opened(tpm_provider, "AES"), aes(tpm_provider)
    for mode in ("GCM", "CCM"):
        for target in (handle, key):
            with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
                bcrypt.BCryptSetProperty(target, "ChainingMode", f"ChainingMode{mode}")
    assert bcrypt.BCryptGetProperty(key, "ChainingMode") == "ChainingModeCBC"
    for name in ("AES-GMAC", "DH", "DSA", "3DES", "aes"):
        with fails(NTSTATUS.STATUS_NOT_FOUND):
            opened(tpm_provider, name)
    lacking = [name for name in oracle.HASHLIB if tpm_provider.offers(f"HMAC-{name}") is Support.REFUSED]
    assert {"MD5", "SHA3-256"} <= set(lacking) and not set(HASHES) & set(lacking)
    for name in lacking:
        with fails(NTSTATUS.STATUS_NOT_FOUND):
            hmac_of(tpm_provider, name)
        # Unkeyed hashes are the host's.
        assert bcrypt.BCryptHash(opened(tpm_provider, name), None, b"data") == oracle.digest(name, b"data")
    with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
        bcrypt.BCryptExportKey(key, aes(tpm_provider), "Rfc3565KeyWrapBlob")
    with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
        bcrypt.BCryptImportKey(handle, key, "Rfc3565KeyWrapBlob", None, bytes(24))
    for blob_type in ("KeyDataBlob", "PRIVATEBLOB", "PUBLICBLOB"):
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
            bcrypt.BCryptExportKey(key, None, blob_type)


def test_destroyed_keys(tpm_provider: Tpm2Provider) -> None:
    key = aes(tpm_provider)
    bcrypt.BCryptDestroyKey(key)
    with CommandCounter(tpm_provider) as counter:
        for call in (
            lambda: bcrypt.BCryptDestroyKey(key),
            lambda: bcrypt.BCryptEncrypt(key, bytes(16)),
            lambda: bcrypt.BCryptDecrypt(key, bytes(16)),
            lambda: bcrypt.BCryptDuplicateKey(key),
            lambda: bcrypt.BCryptExportKey(key, None, "OpaqueKeyBlob"),
            lambda: bcrypt.BCryptGetProperty(key, "KeyLength"),
        ):
            with fails(NTSTATUS.STATUS_INVALID_HANDLE):
                call()
    assert counter.total == 0


def reloaded(provider: Tpm2Provider, blob: bytes) -> SymmetricKey:
    return bcrypt.BCryptImportKey(opened(provider, "AES"), None, "OpaqueKeyBlob", None, blob)


def test_opaque_blobs_of_aes_need_no_policy(
    tpm_provider: Tpm2Provider, fresh_tpm: Swtpm, open_tpm: Callable[..., Tpm2Provider]
) -> None:
    value = os.urandom(32)
    original = aes(tpm_provider, value)
    assert bcrypt.BCryptGetProperty(original, "Export Policy") == 0
    blob = bcrypt.BCryptExportKey(original, None, "OpaqueKeyBlob")
    bcrypt.BCryptDestroyKey(original)
    assert value not in blob
    key = reloaded(tpm_provider, blob)
    assert bcrypt.BCryptGetProperty(key, "KeyLength") == 256
    assert bcrypt.BCryptEncrypt(key, COUNTING, None, ANY) == oracle.aes("CBC", value, ANY, COUNTING)
    made = opened(tpm_provider, "AES").generate_key(128)
    ciphertext = bcrypt.BCryptEncrypt(made, COUNTING, None, ANY)
    again = reloaded(tpm_provider, bcrypt.BCryptExportKey(made, None, "OpaqueKeyBlob"))
    assert bcrypt.BCryptDecrypt(again, ciphertext, None, ANY) == COUNTING
    with open_tpm(fresh_tpm.uri) as other, fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        reloaded(other, blob)
    for at in random.Random(1).sample(range(len(blob)), 60):
        damaged = bytearray(blob)
        damaged[at] ^= 1 << at % 8
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            reloaded(tpm_provider, bytes(damaged))
    for wrong in ("ECDSA_P256", "RSA"):
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptImportKeyPair(opened(tpm_provider, wrong), None, "OpaqueKeyBlob", blob)


def test_export_policy(tpm_provider: Tpm2Provider) -> None:
    handle = opened(tpm_provider, "AES")
    for refused in (2, 3, 4, 8):
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
            bcrypt.BCryptSetProperty(handle, "Export Policy", refused)
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptSetProperty(handle, "Export Policy", 16)
    bcrypt.BCryptSetProperty(handle, "Export Policy", bcrypt.NCRYPT_ALLOW_EXPORT_FLAG)
    key = bcrypt.BCryptGenerateSymmetricKey(handle, None, bytes(16))
    assert reloaded(tpm_provider, bcrypt.BCryptExportKey(key, None, "OpaqueKeyBlob")).bits == 128
    for blob_type in ("KeyDataBlob", "Rfc3565KeyWrapBlob"):
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
            bcrypt.BCryptExportKey(key, aes(tpm_provider), blob_type)


# MACs


@pytest.mark.parametrize("name", HASHES)
@pytest.mark.parametrize("size", [0, 1, -1, -2, 200])
def test_hmac(tpm_provider: Tpm2Provider, name: str, size: int) -> None:
    """size: -1 is the block, -2 one more."""
    key = os.urandom(size if size >= 0 else BLOCK_SIZES[name] - 1 - size)
    handle = hmac_of(tpm_provider, name)
    for length in (0, 100, 1024, 1025, 3000):
        data = os.urandom(length)
        assert bcrypt.BCryptHash(handle, key, data) == oracle.mac(name, key, data)
    running = bcrypt.BCryptCreateHash(handle, None, key)
    for at in range(0, len(data), 170):
        bcrypt.BCryptHashData(running, data[at : at + 170])
    assert bcrypt.BCryptFinishHash(running) == oracle.mac(name, key, data)
    with fails(NTSTATUS.STATUS_INVALID_HANDLE):
        bcrypt.BCryptHashData(running, b"more")
    bcrypt.BCryptDestroyHash(running)


@pytest.mark.parametrize("name", ["SHA1", "SHA512", "AES-CMAC"])
def test_running_macs_are_duplicated_and_reused(tpm_provider: Tpm2Provider, name: str) -> None:
    key = bytes(range(16))
    handle = opened(tpm_provider, name, bcrypt.BCRYPT_HASH_REUSABLE_FLAG | (0 if name == "AES-CMAC" else 0x8))

    def expected(data: bytes) -> bytes:
        return aes_cmac(key, data) if name == "AES-CMAC" else oracle.mac(name, key, data)

    running = bcrypt.BCryptCreateHash(handle, None, key)
    bcrypt.BCryptHashData(running, b"begin" * 300)
    twin = bcrypt.BCryptDuplicateHash(running)
    bcrypt.BCryptHashData(running, b"one")
    bcrypt.BCryptHashData(twin, b"other")
    assert bcrypt.BCryptFinishHash(running, bcrypt.BCRYPT_HASH_DONT_RESET_FLAG) == expected(b"begin" * 300 + b"one")
    assert bcrypt.BCryptFinishHash(running) == expected(b"begin" * 300 + b"one")
    bcrypt.BCryptHashData(running, b"again")
    assert bcrypt.BCryptFinishHash(running) == expected(b"again")
    bcrypt.BCryptDestroyHash(running)
    assert bcrypt.BCryptFinishHash(twin) == expected(b"begin" * 300 + b"other")
    bcrypt.BCryptDestroyHash(twin)
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptDestroyHash(twin)


def test_cmac(tpm_provider: Tpm2Provider) -> None:
    # RFC 4493, section 4.
    key = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
    message = bytes.fromhex(
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52ef"
        "f69f2445df4f9b17ad2b417be66c3710"
    )
    handle = opened(tpm_provider, "AES-CMAC")
    for length, expected in (
        (0, "bb1d6929e95937287fa37d129b756746"),
        (16, "070a16b46b4d4144f79bdd9dd04a287c"),
        (40, "dfa66747de9ae63030ca32611497c827"),
        (64, "51f0bebf7e3b9d92fc49741779363cfe"),
    ):
        assert bcrypt.BCryptHash(handle, key, message[:length]).hex() == expected
    for size in (16, 32):
        key = os.urandom(size)
        for length in (1, 15, 17, 1024, 1025, 1040, 2500):
            data = os.urandom(length)
            assert bcrypt.BCryptHash(handle, key, data) == aes_cmac(key, data)
    for size in (0, 15, 17, 33):
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptHash(handle, bytes(size), b"")


def test_mac_keys_that_the_tpm_makes(tpm_provider: Tpm2Provider) -> None:
    handles = [(hmac_of(tpm_provider, name), 8 * len(oracle.digest(name, b""))) for name in HASHES]
    for handle, bits in [*handles, (opened(tpm_provider, "AES-CMAC"), 256)]:
        key, other = handle.generate_key(bits), handle.generate_key(bits)
        first = bcrypt.BCryptHash(handle, key, b"data" * 400)
        assert first == bcrypt.BCryptHash(handle, key, b"data" * 400) != bcrypt.BCryptHash(handle, other, b"data" * 400)
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
            bcrypt.BCryptEncrypt(key, bytes(16))
        running = bcrypt.BCryptCreateHash(handle, None, key)
        bcrypt.BCryptDestroyKey(key)
        with fails(NTSTATUS.STATUS_INVALID_HANDLE):
            bcrypt.BCryptFinishHash(running)
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptHash(hmac_of(tpm_provider, "SHA1"), other, b"")
    # A TPM makes HMAC keys of the digest's length only.
    with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
        hmac_of(tpm_provider, "SHA256").generate_key(128)


# The default provider


def test_pseudo_handles(default_tpm: Tpm2Provider) -> None:
    for pseudo, mode in (
        (bcrypt.BCRYPT_AES_CBC_ALG_HANDLE, "CBC"),
        (bcrypt.BCRYPT_AES_ECB_ALG_HANDLE, "ECB"),
    ):
        key = bcrypt.BCryptGenerateSymmetricKey(pseudo, None, COUNTING)
        assert key.provider is default_tpm
        iv = None if mode == "ECB" else ANY
        assert bcrypt.BCryptEncrypt(key, bytes(48), None, iv) == oracle.aes(mode, COUNTING, ANY, bytes(48))
    assert bcrypt.BCryptHash(bcrypt.BCRYPT_HMAC_SHA256_ALG_HANDLE, b"key", b"data") == oracle.mac(
        "SHA256", b"key", b"data"
    )
    assert bcrypt.BCryptHash(bcrypt.BCRYPT_AES_CMAC_ALG_HANDLE, COUNTING, b"data") == aes_cmac(COUNTING, b"data")
    by_name = bcrypt.BCryptGenerateSymmetricKey(bcrypt.BCryptOpenAlgorithmProvider("AES"), None, COUNTING)
    assert by_name.provider is default_tpm
    gcm = bcrypt.BCRYPT_AES_GCM_ALG_HANDLE
    with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
        info = bcrypt.BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(bytes(12))
        bcrypt.BCryptEncrypt(bcrypt.BCryptGenerateSymmetricKey(gcm, None, COUNTING), b"data", info)
    names = {entry.pszName for entry in bcrypt.BCryptEnumAlgorithms()}
    assert {"AES", "RSA", "ECDSA_P521", "RNG", "AES-CMAC"} <= names and "AES-GMAC" not in names


def test_random_bytes(default_tpm: Tpm2Provider) -> None:
    for handle in (bcrypt.BCRYPT_RNG_ALG_HANDLE, opened(default_tpm, "RNG")):
        with CommandCounter(default_tpm) as counter:
            found = bcrypt.BCryptGenRandom(handle, 100)
        assert counter.names == ["TPM2_GetRandom"] * 2 and len(found) == 100 and len(set(found)) > 30
        assert found != bcrypt.BCryptGenRandom(handle, 100)
        assert bcrypt.BCryptGenRandom(handle, 0) == b""
