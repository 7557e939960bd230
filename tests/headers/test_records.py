"""Structures of the headers: what they hold and how they lie in blobs."""

from __future__ import annotations

import dataclasses
import struct
from typing import Any

import pytest
from conformance.helpers import refused

from hwcng import bcrypt, ncrypt, wincrypt
from hwcng.bcrypt import (
    BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO,
    BCRYPT_INIT_AUTH_MODE_INFO,
    BCryptBuffer,
    BCryptBufferDesc,
    BCryptDecrypt,
    BCryptDeriveKey,
    BCryptEncrypt,
    BCryptExportKey,
    BCryptFinalizeKeyPair,
    BCryptGenerateKeyPair,
    BCryptGenerateSymmetricKey,
    BCryptImportKey,
    BCryptKeyDerivation,
    BCryptOpenAlgorithmProvider,
    BCryptSecretAgreement,
    BCryptSetProperty,
)
from hwcng.errors import NTSTATUS
from hwcng.headers import records

SIZES = {
    "BCRYPT_KEY_BLOB": 4,
    "BCRYPT_KEY_DATA_BLOB_HEADER": 12,
    "BCRYPT_PKCS11_RSA_AES_WRAP_BLOB": 16,
    "BCRYPT_RSAKEY_BLOB": 24,
    "BCRYPT_ECCKEY_BLOB": 8,
    "BCRYPT_ECCFULLKEY_BLOB": 32,
    "BCRYPT_DH_KEY_BLOB": 8,
    "BCRYPT_DH_PARAMETER_HEADER": 12,
    "BCRYPT_DSA_KEY_BLOB": 52,
    "BCRYPT_DSA_KEY_BLOB_V2": 28,
    "BCRYPT_DSA_PARAMETER_HEADER": 56,
    "BCRYPT_DSA_PARAMETER_HEADER_V2": 32,
    "BCRYPT_MLKEM_KEY_BLOB": 12,
    "BCRYPT_PQDSA_KEY_BLOB": 12,
    "NCRYPT_KEY_BLOB_HEADER": 16,
    "BLOBHEADER": 8,
    "RSAPUBKEY": 12,
    "PUBKEY": 8,
    "DSSSEED": 24,
    "PUBKEYVER3": 40,
    "PRIVKEYVER3": 44,
}


@pytest.mark.parametrize("name", SIZES)
def test_a_header_packs_and_unpacks_itself(name: str) -> None:
    record: Any = getattr(wincrypt, name)
    size = SIZES[name]
    assert record.layout().size == size == len(record().pack())
    blob = bytes(range(1, size + 1))
    read = record.unpack(b"??" + blob + b"what follows", 2)
    assert read.pack() == bytes(read) == blob and read == record.unpack(bytearray(blob)) != record()
    with pytest.raises(ValueError, match=f"{name} has {size} bytes"):
        record.unpack(blob[:-1])
    for field in dataclasses.fields(record):
        if not isinstance(getattr(read, field.name), int):
            continue
        with pytest.raises(ValueError, match=name):
            dataclasses.replace(read, **{field.name: 1 << 32}).pack()


def test_fields_are_the_documented_ones() -> None:
    rsa = bcrypt.BCRYPT_RSAKEY_BLOB.unpack(struct.pack("<6I", bcrypt.BCRYPT_RSAPUBLIC_MAGIC, 2048, 3, 256, 0, 0))
    assert (rsa.Magic, rsa.BitLength, rsa.cbPublicExp, rsa.cbModulus) == (0x31415352, 2048, 3, 256)
    header = wincrypt.BLOBHEADER(wincrypt.PUBLICKEYBLOB, wincrypt.CUR_BLOB_VERSION, 0, wincrypt.CALG_RSA_KEYX)
    assert header.pack() == bytes.fromhex("06020000 00a40000") and wincrypt.PUBLICKEYSTRUC is wincrypt.BLOBHEADER
    seeded = wincrypt.DHPUBKEY_VER3(1, 2, 3, 4, wincrypt.DSSSEED(5, b"\7" * 20))
    assert wincrypt.DSSPUBKEY_VER3.unpack(seeded.pack()).DSSSeed == wincrypt.DSSSEED(5, b"\7" * 20)


def test_a_blob_that_was_exported_and_one_that_is_imported(provider: Any) -> None:
    pair = BCryptGenerateKeyPair(BCryptOpenAlgorithmProvider("ECDSA_P256", provider), 256)
    BCryptFinalizeKeyPair(pair)
    blob = BCryptExportKey(pair, 0, bcrypt.BCRYPT_ECCPUBLIC_BLOB)
    header = bcrypt.BCRYPT_ECCKEY_BLOB.unpack(blob)
    assert (header.dwMagic, header.cbKey) == (bcrypt.BCRYPT_ECDSA_PUBLIC_P256_MAGIC, 32)
    head = bcrypt.BCRYPT_KEY_DATA_BLOB_HEADER(
        bcrypt.BCRYPT_KEY_DATA_BLOB_MAGIC, bcrypt.BCRYPT_KEY_DATA_BLOB_VERSION1, 16
    )
    aes = BCryptOpenAlgorithmProvider("AES", provider)
    assert BCryptImportKey(aes, 0, bcrypt.BCRYPT_KEY_DATA_BLOB, None, head.pack() + bytes(16)).bits == 128


@pytest.fixture
def gcm_key(provider: Any) -> Any:
    handle = BCryptOpenAlgorithmProvider("AES", provider)
    BCryptSetProperty(handle, "ChainingMode", "ChainingModeGCM")
    return BCryptGenerateSymmetricKey(handle, None, bytes(16))


def test_an_auth_record_is_filled_field_by_field(gcm_key: Any) -> None:
    info = BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO()
    assert (info.pbNonce, info.cbNonce, info.cbAuthData, info.cbMacContext, info.dwInfoVersion) == (None, 0, 0, 0, 1)
    buffer = bytearray(20)
    info.pbNonce, info.cbNonce = bytes(100), 12
    info.pbAuthData, info.cbAuthData = b"header and more", 6
    info.pbTag, info.cbTag = memoryview(buffer)[:14], 14
    assert info.cbNonce == 12 and info.cbAuthData == 6
    secret = BCryptEncrypt(gcm_key, b"text", info)
    whole = BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(bytes(12), b"header", bytes(buffer[:14]), 14)
    assert (whole.cbNonce, whole.cbAuthData, whole.cbTag) == (12, 6, 14)
    assert BCryptDecrypt(gcm_key, secret, whole) == b"text"


def test_the_length_of_a_tag_that_nobody_set() -> None:
    info = BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO()
    assert info.cbTag == 16
    info.pbTag = bytearray(12)
    assert info.cbTag == 12
    made = BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(b"n", pbTag=bytearray(13))
    made.pbTag = bytes(13)
    assert made.cbTag == 13


@pytest.mark.parametrize("field", ["cbNonce", "cbAuthData"])
@pytest.mark.parametrize("size", [13, -1, "12", 1 << 32])
def test_sizes_that_are_none(gcm_key: Any, field: str, size: Any) -> None:
    info = BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(bytes(12), bytes(12))
    setattr(info, field, size)
    with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptEncrypt(gcm_key, b"", info)


@pytest.mark.parametrize(
    ("field", "value"), [("dwInfoVersion", 2), ("dwInfoVersion", 0), ("cbSize", 0), ("cbSize", 80), ("cbSize", "88")]
)
def test_a_record_of_another_version_or_size(gcm_key: Any, field: str, value: Any) -> None:
    info = BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(bytes(12))
    setattr(info, field, value)
    with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptEncrypt(gcm_key, b"", info)


def test_a_record_is_made_fresh(gcm_key: Any) -> None:
    info = BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(bytes(12), pbMacContext=bytes(16), dwFlags=1)
    BCryptEncrypt(gcm_key, bytes(16), info)
    assert BCRYPT_INIT_AUTH_MODE_INFO(info) is info and info == BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO()
    info.pbNonce = bytes(12)
    BCryptEncrypt(gcm_key, b"text", info)
    assert BCRYPT_INIT_AUTH_MODE_INFO() == BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO()
    wrong: Any = b"no record"
    with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCRYPT_INIT_AUTH_MODE_INFO(wrong)


def test_a_buffer_description_is_a_parameter_list(provider: Any) -> None:
    base = BCryptGenerateSymmetricKey(BCryptOpenAlgorithmProvider("PBKDF2", provider), None, b"password")
    pairs = [
        (bcrypt.KDF_HASH_ALGORITHM, "SHA256"),
        (bcrypt.KDF_SALT, b"salt"),
        (bcrypt.KDF_ITERATION_COUNT, (5).to_bytes(8, "little")),
    ]
    name = "SHA256\0".encode("utf-16-le")
    buffers = [
        BCryptBuffer(len(name), bcrypt.KDF_HASH_ALGORITHM, name + b"beyond"),
        BCryptBuffer(4, bcrypt.KDF_SALT, b"salt and pepper"),
        BCryptBuffer(BufferType=bcrypt.KDF_ITERATION_COUNT, pvBuffer=5),
        BCryptBuffer(4, bcrypt.KDF_SALT, b"more"),
    ]
    right = BCryptKeyDerivation(base, pairs, 20)
    described = BCryptBufferDesc(bcrypt.BCRYPTBUFFER_VERSION, 3, buffers)
    assert right == BCryptKeyDerivation(base, described, 20) == BCryptKeyDerivation(base, buffers[:3], 20)
    for wrong in (
        BCryptBufferDesc(1, 3, buffers),
        BCryptBufferDesc(0, 5, buffers),
        BCryptBufferDesc(0, 3, "buffers"),  # type: ignore[arg-type]
        [BCryptBuffer(5, bcrypt.KDF_SALT, b"salt")],
        [BCryptBuffer(4, -1, b"salt")],
        [BCryptBuffer(4, bcrypt.KDF_SALT, object())],  # type: ignore[arg-type]
    ):
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            BCryptKeyDerivation(base, wrong, 20)  # type: ignore[arg-type]


def test_other_parameter_lists_take_them_too(provider: Any) -> None:
    algorithm = BCryptOpenAlgorithmProvider("ECDH_P256", provider)
    pair = BCryptGenerateKeyPair(algorithm, 256)
    BCryptFinalizeKeyPair(pair)
    secret = BCryptSecretAgreement(pair, pair)
    described = BCryptBufferDesc(pBuffers=[BCryptBuffer(None, bcrypt.KDF_HASH_ALGORITHM, "SHA256")])
    right = BCryptDeriveKey(secret, "HASH", [(bcrypt.KDF_HASH_ALGORITHM, "SHA256")], None)
    assert BCryptDeriveKey(secret, "HASH", described, None) == right
    storage = ncrypt.NCryptOpenStorageProvider(provider)
    blob = BCryptExportKey(pair, 0, "PUBLICBLOB")
    key = ncrypt.NCryptImportKey(storage, 0, "ECCPUBLICBLOB", BCryptBufferDesc(), blob)
    assert ncrypt.NCryptExportKey(key, 0, "PUBLICBLOB", BCryptBufferDesc()) == blob


def test_every_record_is_in_every_module() -> None:
    for name in records.__all__:
        assert getattr(bcrypt, name) is getattr(ncrypt, name) is getattr(wincrypt, name) is getattr(records, name)
