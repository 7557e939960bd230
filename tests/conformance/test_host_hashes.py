"""Hashes without a key that are no token's: MD2, MD4, SHAKE and cSHAKE (RFC 1319, RFC 1320, FIPS 202, SP 800-185)."""

from __future__ import annotations

import hashlib
import sys

import pytest
from conformance.helpers import refused
from support import needs_module

from hwcng import bcrypt
from hwcng.bcrypt import (
    BCRYPT_ALG_HANDLE_HMAC_FLAG,
    BCRYPT_CSHAKE128_ALG_HANDLE,
    BCRYPT_CUSTOMIZATION_STRING,
    BCRYPT_FUNCTION_NAME_STRING,
    BCRYPT_HASH_LENGTH,
    BCRYPT_HASH_REUSABLE_FLAG,
    BCRYPT_KMAC128_ALG_HANDLE,
    BCryptCreateHash,
    BCryptDuplicateHash,
    BCryptEnumAlgorithms,
    BCryptFinishHash,
    BCryptGetProperty,
    BCryptHash,
    BCryptHashData,
    BCryptOpenAlgorithmProvider,
    BCryptSetProperty,
)
from hwcng.errors import NTSTATUS
from hwcng.hostcrypto import hashes

OLD = {
    ("MD2", b""): "8350e5a3e24c153df2275c9f80692773",
    ("MD2", b"message digest"): "ab4f496bfb2a530b219ff33031fe06b0",
    ("MD4", b""): "31d6cfe0d16ae931b73c59d7e0c089c0",
    ("MD4", b"message digest"): "d9130a8164549fe818874806e1c7014b",
}
MESSAGE = bytes(range(200))
# SP 800-185, samples of cSHAKE: 1 to 4 (S is "Email Signature"), data of 4 and of 200 bytes.
SIGNATURE = b"Email Signature"
SAMPLES = [
    ("CSHAKE128", MESSAGE[:4], 32, "c1c36925b6409a04f1b504fcbca9d82b4017277cb5ed2b2065fc1d3814d5aaf5"),
    ("CSHAKE128", MESSAGE, 32, "c5221d50e4f822d96a2e8881a961420f294b7b24fe3d2094baed2c6524cc166b"),
    (
        "CSHAKE256",
        MESSAGE[:4],
        64,
        "d008828e2b80ac9d2218ffee1d070c48b8e4c87bff32c9699d5b6896eee0edd1"
        "64020e2be0560858d9c00c037e34a96937c561a74c412bb4c746469527281c8c",
    ),
    (
        "CSHAKE256",
        MESSAGE,
        64,
        "07dc27b11e51fbac75bc7b3c1d983e8b4b85fb1defaf218912ac864302730917"
        "27f42b17ed1df63e8ec118f04b23633c1dfb1574c8fb55cb45da8e25afb092bb",
    ),
]


@pytest.mark.parametrize(("name", "data"), OLD)
def test_md2_and_md4(name: str, data: bytes) -> None:
    needs_module("Crypto")
    handle = BCryptOpenAlgorithmProvider(name)
    digest = bytes.fromhex(OLD[name, data])
    assert BCryptHash(handle, None, data) == digest
    running = BCryptCreateHash(getattr(bcrypt, f"BCRYPT_{name}_ALG_HANDLE"))
    for octet in data:
        BCryptHashData(running, bytes([octet]))
    assert BCryptFinishHash(BCryptDuplicateHash(running)) == BCryptFinishHash(running) == digest
    assert BCryptGetProperty(handle, BCRYPT_HASH_LENGTH) == 16


def test_a_package_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, default_provider: object) -> None:
    monkeypatch.setattr(hashes, "_in_hashlib", lambda _: False)
    monkeypatch.setattr(hashes, "find_spec", lambda _: None)
    for module in [name for name in sys.modules if name.split(".")[0] == "Crypto"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "Crypto", None)
    for name in ("MD2", "MD4"):
        with refused(NTSTATUS.STATUS_NOT_FOUND) as error:
            BCryptOpenAlgorithmProvider(name)
        assert "pip install 'hwcng[hashes]'" in error.value.message
    assert not {"MD2", "MD4"} & {entry.pszName for entry in BCryptEnumAlgorithms(2)}


@pytest.mark.parametrize("name", ["MD2", "MD4"])
def test_no_token_keys_them(default_provider: object, name: str) -> None:
    with refused(NTSTATUS.STATUS_NOT_FOUND):
        BCryptOpenAlgorithmProvider(name, None, BCRYPT_ALG_HANDLE_HMAC_FLAG)


@pytest.mark.parametrize("bits", [128, 256])
@pytest.mark.parametrize("kind", ["SHAKE", "CSHAKE"])
def test_shake(kind: str, bits: int) -> None:
    handle = BCryptOpenAlgorithmProvider(f"{kind}{bits}")
    right = hashlib.new(f"shake_{bits}", MESSAGE).digest(500)  # type: ignore[call-arg]
    assert BCryptGetProperty(handle, BCRYPT_HASH_LENGTH) == bits // 4
    assert BCryptHash(handle, None, MESSAGE) == right[: bits // 4]
    BCryptSetProperty(handle, BCRYPT_HASH_LENGTH, 500)
    assert BCryptHash(handle, None, MESSAGE) == right
    running = BCryptCreateHash(handle, None, None, BCRYPT_HASH_REUSABLE_FLAG)
    BCryptHashData(running, MESSAGE)
    BCryptSetProperty(running, BCRYPT_HASH_LENGTH, 7)
    copy = BCryptDuplicateHash(running)
    assert BCryptFinishHash(running) == right[:7] == BCryptFinishHash(copy)
    BCryptHashData(running, MESSAGE)
    assert BCryptFinishHash(running) == right[:7]
    for length in (0, 1 << 21):
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            BCryptSetProperty(running, BCRYPT_HASH_LENGTH, length)
    with refused(NTSTATUS.STATUS_NOT_SUPPORTED):
        BCryptOpenAlgorithmProvider(f"{kind}{bits}", None, BCRYPT_ALG_HANDLE_HMAC_FLAG)


@pytest.mark.row("3.2 CustomizationString")
@pytest.mark.parametrize(("name", "data", "length", "digest"), SAMPLES)
def test_a_customization_string(name: str, data: bytes, length: int, digest: str) -> None:
    needs_module("Crypto")
    handle = BCryptOpenAlgorithmProvider(name)
    BCryptSetProperty(handle, BCRYPT_HASH_LENGTH, length)
    on_hash = BCryptCreateHash(handle)
    BCryptSetProperty(handle, BCRYPT_CUSTOMIZATION_STRING, SIGNATURE)
    assert BCryptHash(handle, None, data).hex() == digest
    BCryptSetProperty(on_hash, BCRYPT_CUSTOMIZATION_STRING, SIGNATURE)
    BCryptHashData(on_hash, data[:3])
    copy = BCryptDuplicateHash(on_hash)
    with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptSetProperty(on_hash, BCRYPT_CUSTOMIZATION_STRING, b"too late")
    BCryptHashData(copy, data[3:])
    assert BCryptFinishHash(copy).hex() == digest


@pytest.mark.row("3.2 FunctionNameString")
@pytest.mark.parametrize("bits", [128, 256])
def test_a_function_name(bits: int) -> None:
    """KMAC is cSHAKE of the name KMAC (SP 800-185, section 4.3); the package has KMAC as well."""
    needs_module("Crypto")
    from importlib import import_module

    kmac = import_module(f"Crypto.Hash.KMAC{bits}")
    key, rate = bytes(range(0x40, 0x60)), {128: 168, 256: 136}[bits]
    # bytepad(encode_string(K), rate) || X || right_encode(256 bits).
    padded = bytes([1, rate, 2, 1, 0]) + key
    message = padded.ljust(rate, b"\0") + MESSAGE + b"\1\0\2"
    handle = BCryptOpenAlgorithmProvider(f"CSHAKE{bits}")
    BCryptSetProperty(handle, BCRYPT_HASH_LENGTH, 32)
    BCryptSetProperty(handle, BCRYPT_FUNCTION_NAME_STRING, b"KMAC")
    BCryptSetProperty(handle, BCRYPT_CUSTOMIZATION_STRING, b"My Tagged Application")
    right = kmac.new(key=key, data=MESSAGE, mac_len=32, custom=b"My Tagged Application").digest()
    assert BCryptHash(handle, None, message) == right


@pytest.mark.parametrize("name", ["SHAKE128", "SHA256", "MD5", "AES-CMAC"])
@pytest.mark.parametrize("string", [BCRYPT_FUNCTION_NAME_STRING, BCRYPT_CUSTOMIZATION_STRING])
def test_others_have_no_strings(default_provider: object, name: str, string: str) -> None:
    with refused(NTSTATUS.STATUS_NOT_SUPPORTED):
        BCryptSetProperty(BCryptOpenAlgorithmProvider(name), string, b"value")


def test_kmac_needs_a_token_that_has_it(default_provider: object) -> None:
    for name in ("KMAC128", "KMAC256"):
        with refused(NTSTATUS.STATUS_NOT_FOUND):
            BCryptOpenAlgorithmProvider(name)
    with refused(NTSTATUS.STATUS_NOT_FOUND):
        BCryptCreateHash(BCRYPT_KMAC128_ALG_HANDLE, None, bytes(16))


def test_a_pseudo_handle_is_fixed() -> None:
    with refused(NTSTATUS.STATUS_ACCESS_DENIED):
        BCryptSetProperty(BCRYPT_CSHAKE128_ALG_HANDLE, BCRYPT_CUSTOMIZATION_STRING, b"x")
    assert BCryptHash(BCRYPT_CSHAKE128_ALG_HANDLE, None, b"") == hashlib.shake_128().digest(32)
