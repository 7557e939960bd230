"""NCryptGetProperty and NCryptSetProperty on keys."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable

import pytest
from conformance.helpers import RESERVED_BITS, refused, token_attributes
from support import needs

from hwcng import CngError, bcrypt, ncrypt
from hwcng.bcrypt import BCryptDecrypt, BCryptEncrypt, BCryptSignHash
from hwcng.errors import HRESULT, NTSTATUS
from hwcng.ksp.handles import NCryptKey, StorageProvider
from hwcng.ncrypt import (
    BCRYPT_PKCS1_PADDING_INFO,
    NCRYPT_ALLOW_ALL_USAGES,
    NCRYPT_ALLOW_DECRYPT_FLAG,
    NCRYPT_ALLOW_EXPORT_FLAG,
    NCRYPT_ALLOW_KEY_AGREEMENT_FLAG,
    NCRYPT_ALLOW_SIGNING_FLAG,
    NCRYPT_PERSIST_FLAG,
    NCRYPT_PERSIST_ONLY_FLAG,
    NCRYPT_SILENT_FLAG,
    NCRYPT_SUPPORTED_LENGTHS,
    NCRYPT_UI_POLICY,
    NCryptCreatePersistedKey,
    NCryptDecrypt,
    NCryptEncrypt,
    NCryptExportKey,
    NCryptFinalizeKey,
    NCryptGetProperty,
    NCryptOpenKey,
    NCryptSetProperty,
    NCryptSignHash,
    NCryptVerifySignature,
)

Make = Callable[..., NCryptKey]
DIGEST = bytes(range(32))
PKCS1 = BCRYPT_PKCS1_PADDING_INFO("SHA256")
DEFAULTS = {
    "RSA": ("RSA", 1024, NCRYPT_SUPPORTED_LENGTHS(512, 16384, 8, 1024), NCRYPT_ALLOW_ALL_USAGES),
    "ECDSA_P256": ("ECDSA", 256, NCRYPT_SUPPORTED_LENGTHS(256, 256, 0, 256), 2),
    "ECDH_P256": ("ECDH", 256, NCRYPT_SUPPORTED_LENGTHS(256, 256, 0, 256), 4),
    "AES": ("AES", 256, NCRYPT_SUPPORTED_LENGTHS(128, 256, 64, 256), 1),
}


@pytest.mark.parametrize("algorithm", DEFAULTS)
def test_a_new_key(storage: StorageProvider, name: str, algorithm: str) -> None:
    group, bits, lengths, usage = DEFAULTS[algorithm]
    key = NCryptCreatePersistedKey(storage, algorithm, name)
    for _ in ("unfinished", "finished"):
        assert NCryptGetProperty(key, "Algorithm Name") == algorithm
        assert NCryptGetProperty(key, "Algorithm Group") == group
        assert NCryptGetProperty(key, "Length") == bits
        assert NCryptGetProperty(key, "Lengths") == lengths
        assert NCryptGetProperty(key, "Export Policy") == 0
        assert NCryptGetProperty(key, "Key Usage") == usage
        assert NCryptGetProperty(key, "Key Type") == 0
        assert NCryptGetProperty(key, "Name") == name
        assert NCryptGetProperty(key, "Provider Handle") is storage
        if not key.finalized:
            NCryptFinalizeKey(key)
    assert NCryptGetProperty(key, "Unique Name") == key.uri


def test_a_key_without_a_name(soft_storage: StorageProvider, made: Make) -> None:
    key = made(soft_storage, "ECDSA_P256")
    for absent in ("Name", "Unique Name"):
        with refused(HRESULT.NTE_NOT_SUPPORTED):
            NCryptGetProperty(key, absent)
    with refused(HRESULT.NTE_NOT_FOUND):
        NCryptGetProperty(key, "Modified")


@pytest.mark.parametrize("algorithm", ["RSA", "ECDSA_P256", "ECDH", "AES"])
@pytest.mark.parametrize(
    ("absent", "status"),
    [
        *((name, HRESULT.NTE_NOT_FOUND) for name in ("UI Policy", "HWND Handle", "Use Context")),
        ("SmartCardKeyCertificate", HRESULT.NTE_NOT_FOUND),
        *((name, HRESULT.NTE_NOT_SUPPORTED) for name in ("Use Count", "Enabled Use Count", "SmartCardPin")),
        *((name, HRESULT.NTE_NOT_SUPPORTED) for name in ("Impl Type", "Version", "Max Name Length")),
        *((name, HRESULT.NTE_NOT_SUPPORTED) for name in ("KeyStrength", "KeyLength", "AlgorithmName", "ObjectLength")),
        *((name, HRESULT.NTE_NOT_SUPPORTED) for name in ("ParameterSetName", "DHParameters", "PrivKeyVal", "", "x")),
    ],
)
def test_what_no_key_has(
    soft_storage: StorageProvider, name: str, algorithm: str, absent: str, status: HRESULT
) -> None:
    """Before NCryptFinalizeKey as after it: what a key never has is no question of its state."""
    key = NCryptCreatePersistedKey(soft_storage, algorithm, name)
    with refused(status):
        NCryptGetProperty(key, absent)
    if algorithm == "ECDH":
        NCryptSetProperty(key, "ECCCurveName", "nistP384")
    NCryptFinalizeKey(key)
    with refused(status):
        NCryptGetProperty(key, absent)


FOLLOWS = ("Block Length", "SignatureLength", "PublicKeyLength", "ECCCurveName", "ECCParameters", "Length")


@pytest.mark.parametrize(
    ("algorithm", "set_before"),
    [
        ("RSA", {}),
        ("RSA", {"Length": 2048}),
        ("RSA", {"Length": 1032}),
        ("ECDSA_P384", {}),
        ("ECDSA", {"ECCCurveName": "nistP384"}),
        ("ECDH", {"ECCCurveName": "nistP256"}),
        ("DH", {"Length": 512}),
        ("DSA", {"Length": 1024}),
    ],
)
def test_an_unfinished_pair_tells_what_follows_from_what_is_set(
    soft_storage: StorageProvider, algorithm: str, set_before: dict[str, object]
) -> None:
    """What the finished one then has, or else NTE_BAD_KEY_STATE where it has it."""
    needs(soft_storage.provider, algorithm.split("_")[0])
    key = NCryptCreatePersistedKey(soft_storage, algorithm, None)
    for name, value in set_before.items():
        NCryptSetProperty(key, name, value)
    planned = {name: answer(key, name) for name in FOLLOWS}
    NCryptFinalizeKey(key)
    assert planned == {name: answer(key, name) for name in FOLLOWS}


def answer(key: NCryptKey, name: str) -> object:
    try:
        return NCryptGetProperty(key, name)
    except CngError as error:
        return error.status


def test_an_unfinished_pair_without_a_curve_is_in_a_bad_state(soft_storage: StorageProvider) -> None:
    key = NCryptCreatePersistedKey(soft_storage, "ECDSA", None)
    for known_later in ("SignatureLength", "ECCCurveName", "ECCParameters"):
        with refused(HRESULT.NTE_BAD_KEY_STATE):
            NCryptGetProperty(key, known_later)
    domain = NCryptCreatePersistedKey(soft_storage, "DH", None)
    with refused(HRESULT.NTE_BAD_KEY_STATE):
        NCryptGetProperty(domain, "DHParameters")


def test_lengths_of_rsa_keys_go_in_steps_of_8(soft_storage: StorageProvider) -> None:
    """BCryptGenerateKeyPair has the documented multiples of 64."""
    key = NCryptCreatePersistedKey(soft_storage, "RSA", None)
    for bits in (512, 1032, 2056, 16384):
        NCryptSetProperty(key, "Length", bits)
        assert NCryptGetProperty(key, "Length") == bits
    for bits in (504, 1030, 16392, 0):
        with refused(HRESULT.NTE_INVALID_PARAMETER):
            NCryptSetProperty(key, "Length", bits)
    NCryptSetProperty(key, "Length", 1032)
    NCryptFinalizeKey(key)
    assert sign(key) is None and NCryptGetProperty(key, "SignatureLength") == 129
    rsa = bcrypt.BCryptOpenAlgorithmProvider("RSA", soft_storage.provider)
    with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptGenerateKeyPair(rsa, 1032)


def test_the_length_of_a_finished_key(soft_storage: StorageProvider, made: Make) -> None:
    """May be set to what it is; of a public key, which is the host's, to anything that could be one."""
    key = made(soft_storage, "RSA", None)
    NCryptSetProperty(key, "Length", 1024)
    with refused(HRESULT.NTE_INVALID_HANDLE):
        NCryptSetProperty(key, "Length", 2048)
    blob = NCryptExportKey(key, None, "RSAPUBLICBLOB")
    public = ncrypt.NCryptImportKey(soft_storage, None, "RSAPUBLICBLOB", None, blob)
    for bits in (1024, 2048, 1032):
        NCryptSetProperty(public, "Length", bits)
    with refused(HRESULT.NTE_INVALID_HANDLE):
        NCryptSetProperty(public, "Length", 1030)
    assert NCryptExportKey(public, None, "RSAPUBLICBLOB") == blob and NCryptGetProperty(public, "Length") == 1024
    assert NCryptGetProperty(public, "Key Usage") == NCRYPT_ALLOW_ALL_USAGES


@pytest.mark.parametrize("usage", [NCRYPT_ALLOW_ALL_USAGES, 1, 2, 3, 5])
def test_the_key_usage_that_was_set_is_read(soft_storage: StorageProvider, usage: int) -> None:
    key = NCryptCreatePersistedKey(soft_storage, "RSA", None)
    NCryptSetProperty(key, "Key Usage", usage)
    assert NCryptGetProperty(key, "Key Usage") == usage
    NCryptFinalizeKey(key)
    assert NCryptGetProperty(key, "Key Usage") == usage


def test_when_a_key_was_stored(storage: StorageProvider, made: Make, name: str) -> None:
    begun = int(time.time()) - 2
    made(storage, "ECDSA_P256", name)
    told = NCryptGetProperty(NCryptOpenKey(storage, name), "Modified")
    assert isinstance(told, ncrypt.FILETIME)
    seconds = (told.dwHighDateTime << 32 | told.dwLowDateTime) // 10**7 - (369 * 365 + 89) * 86400
    assert begun <= seconds <= time.time() + 2
    unfinished = NCryptCreatePersistedKey(storage, "ECDSA_P256", name, 0, ncrypt.NCRYPT_OVERWRITE_KEY_FLAG)
    with refused(HRESULT.NTE_NOT_FOUND):
        NCryptGetProperty(unfinished, "Modified")


@pytest.mark.parametrize(
    "name_of_another", ["Impl Type", "Version", "Max Name Length", "SmartCardSecurePin", "MyOwn", "", "x"]
)
def test_what_belongs_to_something_else(soft_storage: StorageProvider, made: Make, name_of_another: str) -> None:
    key = made(soft_storage, "ECDSA_P256")
    with refused(HRESULT.NTE_NOT_SUPPORTED):
        NCryptGetProperty(key, name_of_another)
    for flags in (0, NCRYPT_PERSIST_FLAG):
        with refused(HRESULT.NTE_NOT_SUPPORTED):
            NCryptSetProperty(key, name_of_another, b"value", flags)


@pytest.mark.parametrize(
    "read_only", ["Name", "Unique Name", "Algorithm Name", "Algorithm Group", "Lengths", "Key Type", "Provider Handle"]
)
def test_what_is_read_only(soft_storage: StorageProvider, name: str, read_only: str) -> None:
    key = NCryptCreatePersistedKey(soft_storage, "RSA", name)
    with refused(HRESULT.NTE_NOT_SUPPORTED):
        NCryptSetProperty(key, read_only, "value")
    NCryptFinalizeKey(key)
    with refused(HRESULT.NTE_NOT_SUPPORTED):
        NCryptSetProperty(key, read_only, "value")


def test_security_descriptors(soft_storage: StorageProvider, made: Make) -> None:
    key = made(soft_storage, "ECDSA_P256")
    with refused(HRESULT.NTE_BAD_FLAGS):
        NCryptGetProperty(key, "Security Descr")
    for wanted in (1, 2, 4, 8, 7):
        with refused(HRESULT.NTE_NOT_SUPPORTED):
            NCryptGetProperty(key, "Security Descr", wanted)
    with refused(HRESULT.NTE_BAD_FLAGS):
        NCryptGetProperty(key, "Security Descr", 0x10)


def test_arguments(soft_storage: StorageProvider, made: Make) -> None:
    key = made(soft_storage, "ECDSA_P256")
    with refused(HRESULT.RPC_X_NULL_REF_POINTER):
        NCryptGetProperty(key, None)  # type: ignore[arg-type]
    with refused(HRESULT.RPC_X_NULL_REF_POINTER):
        NCryptSetProperty(key, None, 1)  # type: ignore[arg-type]
    with refused(HRESULT.RPC_X_NULL_REF_POINTER):
        NCryptSetProperty(key, "Length", None)
    with refused(HRESULT.NTE_INVALID_PARAMETER):
        NCryptGetProperty(key, "x" * 65)
    for known, call in (
        (NCRYPT_PERSIST_ONLY_FLAG, lambda flags: NCryptGetProperty(key, "Length", flags)),
        (NCRYPT_PERSIST_FLAG, lambda flags: NCryptSetProperty(key, "Length", 256, flags)),
    ):
        for bit in RESERVED_BITS:
            if bit not in (known, NCRYPT_SILENT_FLAG):
                with refused(HRESULT.NTE_BAD_FLAGS):
                    call(bit)
    assert NCryptGetProperty(key, "Length", NCRYPT_PERSIST_ONLY_FLAG | NCRYPT_SILENT_FLAG) == 256


def test_length(storage: StorageProvider, name: str) -> None:
    key = NCryptCreatePersistedKey(storage, "RSA", name)
    NCryptSetProperty(key, "Length", struct.pack("<I", 2048), NCRYPT_PERSIST_FLAG | NCRYPT_SILENT_FLAG)
    assert NCryptGetProperty(key, "Length") == 2048
    for wrong in (0, 511, 2047, 16448, -1, "2048", b"\x00\x08", 2.0):
        with refused(HRESULT.NTE_INVALID_PARAMETER):
            NCryptSetProperty(key, "Length", wrong)
    assert NCryptGetProperty(key, "Length") == 2048
    NCryptFinalizeKey(key)
    assert len(NCryptSignHash(key, PKCS1, DIGEST, 2)) == NCryptGetProperty(key, "SignatureLength") == 256
    assert NCryptGetProperty(key, "PublicKeyLength") == 2048
    assert NCryptGetProperty(key, "Block Length") == 256
    with refused(HRESULT.NTE_INVALID_HANDLE):
        NCryptSetProperty(key, "Length", 3072)


def test_the_length_of_a_symmetric_key(storage: StorageProvider, made: Make, name: str) -> None:
    key = NCryptCreatePersistedKey(storage, "AES", name)
    for wrong in (0, 100, 512):
        with refused(HRESULT.NTE_INVALID_PARAMETER):
            NCryptSetProperty(key, "Length", wrong)
    NCryptSetProperty(key, "Length", 128)
    NCryptFinalizeKey(key)
    assert NCryptGetProperty(NCryptOpenKey(storage, name), "Length") == 128


def test_the_curve_of_a_generic_algorithm(storage: StorageProvider, name: str) -> None:
    key = NCryptCreatePersistedKey(storage, "ECDSA", name)
    with refused(HRESULT.NTE_NOT_SUPPORTED):
        NCryptSetProperty(key, "ECCCurveName", "no such curve")
    with refused(HRESULT.NTE_INVALID_PARAMETER):
        NCryptFinalizeKey(key)
    NCryptSetProperty(key, "ECCCurveName", "nistP256\0".encode("utf-16-le"))
    assert NCryptGetProperty(key, "Length") == 256
    with refused(HRESULT.NTE_NOT_SUPPORTED):
        NCryptGetProperty(key, "Lengths")
    NCryptFinalizeKey(key)
    assert NCryptGetProperty(key, "ECCCurveName") == "nistP256"
    with refused(HRESULT.NTE_INVALID_HANDLE):
        NCryptSetProperty(key, "ECCCurveName", "nistP384")
    fixed = NCryptCreatePersistedKey(storage, "ECDSA_P256", None)
    with refused(HRESULT.NTE_NOT_SUPPORTED):
        NCryptSetProperty(fixed, "ECCCurveName", "nistP256")


def test_the_export_policy(soft_storage: StorageProvider, made: Make, name: str) -> None:
    key = NCryptCreatePersistedKey(soft_storage, "RSA", name)
    for plaintext in (2, 3, 4, 8):
        with refused(HRESULT.NTE_NOT_SUPPORTED):
            NCryptSetProperty(key, "Export Policy", plaintext)
    with refused(HRESULT.NTE_INVALID_PARAMETER):
        NCryptSetProperty(key, "Export Policy", 0x10)
    NCryptSetProperty(key, "Export Policy", NCRYPT_ALLOW_EXPORT_FLAG)
    assert NCryptGetProperty(key, "Export Policy") == NCRYPT_ALLOW_EXPORT_FLAG
    NCryptFinalizeKey(key)
    again = NCryptOpenKey(soft_storage, name)
    assert NCryptGetProperty(again, "Export Policy") == NCRYPT_ALLOW_EXPORT_FLAG
    assert token_attributes(again.key, "EXTRACTABLE", "SENSITIVE", "TOKEN") == [b"\1", b"\1", b"\1"]
    assert NCryptExportKey(again, None, "OpaqueKeyBlob")
    with refused(HRESULT.NTE_INVALID_HANDLE):
        NCryptSetProperty(again, "Export Policy", 0)
    locked = made(soft_storage, "AES", None)
    assert token_attributes(locked.key, "EXTRACTABLE", "SENSITIVE") == [b"\0", b"\1"]
    with refused(HRESULT.NTE_NOT_SUPPORTED):
        NCryptExportKey(locked, None, "OpaqueKeyBlob")


def sign(key: NCryptKey) -> object:
    return NCryptVerifySignature(key, PKCS1, DIGEST, NCryptSignHash(key, PKCS1, DIGEST, 2), 2)


def decrypt(key: NCryptKey) -> object:
    return NCryptDecrypt(key, NCryptEncrypt(key, b"text", None, 2), None, 2)


@pytest.mark.parametrize(
    ("allowed", "shown"),
    [
        (NCRYPT_ALLOW_SIGNING_FLAG, 2),
        (NCRYPT_ALLOW_DECRYPT_FLAG, 1),
        (NCRYPT_ALLOW_DECRYPT_FLAG | NCRYPT_ALLOW_KEY_AGREEMENT_FLAG, 1),
        (NCRYPT_ALLOW_ALL_USAGES, NCRYPT_ALLOW_ALL_USAGES),
    ],
)
def test_key_usage_restricts_the_token_key(
    storage: StorageProvider, made: Make, name: str, allowed: int, shown: int
) -> None:
    made(storage, "RSA", name, Length=2048, Key_Usage=allowed)
    key = NCryptOpenKey(storage, name)
    assert NCryptGetProperty(key, "Key Usage") == shown
    for flag, use in ((NCRYPT_ALLOW_SIGNING_FLAG, sign), (NCRYPT_ALLOW_DECRYPT_FLAG, decrypt)):
        if shown & flag:
            use(key)
        else:
            with refused(HRESULT.NTE_PERM):
                use(key)
    # The same holds on the road through bcrypt.py.
    if not shown & NCRYPT_ALLOW_SIGNING_FLAG:
        with refused(NTSTATUS.STATUS_NOT_SUPPORTED):
            BCryptSignHash(key.key, PKCS1, DIGEST, 2)  # type: ignore[arg-type]
    if not shown & NCRYPT_ALLOW_DECRYPT_FLAG:
        with refused(NTSTATUS.STATUS_NOT_SUPPORTED):
            BCryptDecrypt(key.key, BCryptEncrypt(key.key, b"text", None, None, 2), None, None, 2)


def test_the_token_itself_knows_the_usage(soft_storage: StorageProvider, made: Make, name: str) -> None:
    made(soft_storage, "RSA", name, Key_Usage=NCRYPT_ALLOW_SIGNING_FLAG)
    pair = NCryptOpenKey(soft_storage, name).key
    assert token_attributes(pair, "SIGN", "DECRYPT", "UNWRAP") == [b"\1", b"\0", b"\0"]


@pytest.mark.parametrize(
    ("algorithm", "wrong", "status"),
    [
        ("RSA", 0, HRESULT.NTE_INVALID_PARAMETER),
        ("RSA", 0x01000000, HRESULT.NTE_INVALID_PARAMETER),
        ("RSA", "2", HRESULT.NTE_INVALID_PARAMETER),
        ("RSA", NCRYPT_ALLOW_KEY_AGREEMENT_FLAG, HRESULT.NTE_NOT_SUPPORTED),
        ("RSA", ncrypt.NCRYPT_ALLOW_KEY_ATTESTATION_FLAG, HRESULT.NTE_NOT_SUPPORTED),
        ("ECDSA_P256", NCRYPT_ALLOW_DECRYPT_FLAG, HRESULT.NTE_NOT_SUPPORTED),
        ("ECDH_P256", NCRYPT_ALLOW_SIGNING_FLAG, HRESULT.NTE_NOT_SUPPORTED),
        ("AES", NCRYPT_ALLOW_SIGNING_FLAG, HRESULT.NTE_NOT_SUPPORTED),
    ],
)
def test_a_key_usage_that_cannot_be(
    soft_storage: StorageProvider, algorithm: str, wrong: object, status: HRESULT
) -> None:
    key = NCryptCreatePersistedKey(soft_storage, algorithm, None)
    before = NCryptGetProperty(key, "Key Usage")
    with refused(status):
        NCryptSetProperty(key, "Key Usage", wrong)
    assert NCryptGetProperty(key, "Key Usage") == before
    NCryptFinalizeKey(key)
    with refused(HRESULT.NTE_INVALID_HANDLE):
        NCryptSetProperty(key, "Key Usage", before)


def test_the_ui_policy(soft_storage: StorageProvider) -> None:
    key = NCryptCreatePersistedKey(soft_storage, "RSA", None)
    NCryptSetProperty(key, "UI Policy", NCRYPT_UI_POLICY(pszFriendlyName="key"))
    with refused(HRESULT.NTE_NOT_FOUND):
        NCryptGetProperty(key, "UI Policy")
    for asks in (ncrypt.NCRYPT_UI_PROTECT_KEY_FLAG, ncrypt.NCRYPT_UI_FORCE_HIGH_PROTECTION_FLAG):
        with refused(HRESULT.NTE_NOT_SUPPORTED):
            NCryptSetProperty(key, "UI Policy", NCRYPT_UI_POLICY(dwFlags=asks))
    with refused(HRESULT.NTE_INVALID_PARAMETER):
        NCryptSetProperty(key, "UI Policy", b"policy")
    NCryptFinalizeKey(key)
    with refused(HRESULT.NTE_INVALID_HANDLE):
        NCryptSetProperty(key, "UI Policy", NCRYPT_UI_POLICY())


def test_chaining(storage: StorageProvider, made: Make) -> None:
    key = NCryptCreatePersistedKey(storage, "AES", None)
    NCryptSetProperty(key, "Length", 128)
    assert NCryptGetProperty(key, "Chaining Mode") == "ChainingModeCBC"
    NCryptSetProperty(key, "Chaining Mode", "ChainingModeECB")
    assert NCryptGetProperty(key, "Chaining Mode") == "ChainingModeECB"
    assert NCryptGetProperty(key, "Block Length") == 16
    NCryptFinalizeKey(key)
    assert NCryptGetProperty(key, "Chaining Mode") == "ChainingModeECB"
    assert NCryptEncrypt(key, bytes(32)) == NCryptEncrypt(key, bytes(16)) * 2
    NCryptSetProperty(key, "Chaining Mode", "ChainingModeCBC")
    first = NCryptEncrypt(key, bytes(16))
    NCryptSetProperty(key, "IV", bytes(16))
    assert NCryptEncrypt(key, bytes(16)) == first
    with refused(HRESULT.NTE_INVALID_PARAMETER):
        NCryptSetProperty(key, "IV", bytes(15))
    with refused(HRESULT.NTE_NOT_SUPPORTED):
        NCryptSetProperty(key, "Chaining Mode", "ChainingModeXYZ")
    with refused(HRESULT.NTE_NOT_SUPPORTED):
        NCryptGetProperty(key, "IV")
