"""Reference 4.2, 5.9 and 5.11 for the ciphers beside AES: KeyDataBlob, Rfc3565KeyWrapBlob and OpaqueKeyBlob."""

from __future__ import annotations

import pytest
from conformance import cipher_oracle as oracle
from conformance.checks import fails, need
from conformance.helpers import key_data_blob
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap, aes_key_wrap

from hwcng import NTSTATUS, bcrypt
from hwcng.cng.keys import AlgorithmHandle, SymmetricKey
from hwcng.contract.provider import Provider

SECRETS = {
    "DES": bytes.fromhex("0123456789abcdef"),
    "3DES": bytes.fromhex("0123456789abcdef23456789abcdef01456789abcdef0123"),
    "3DES_112": bytes.fromhex("0123456789abcdef23456789abcdef01"),
    "RC2": bytes(range(40, 56)),
    "RC4": bytes(range(16)),
    "CHACHA20_POLY1305": bytes(range(32)),
    "XTS-AES": bytes(range(32)),
}
NAMES = tuple(SECRETS)
BLOCK_CIPHERS = NAMES[:4]
WRAPPABLE = ("3DES", "3DES_112", "RC2", "RC4", "CHACHA20_POLY1305")
KEK = bytes(range(0x40, 0x60))
DATA = bytes(range(64))


def handle_of(token: Provider, name: str, *, exporting: bool = False) -> AlgorithmHandle:
    need(token, name, "CBC" if name in BLOCK_CIPHERS else None)
    handle = bcrypt.BCryptOpenAlgorithmProvider(name, token)
    if exporting:
        bcrypt.BCryptSetProperty(handle, "Export Policy", bcrypt.NCRYPT_ALLOW_EXPORT_FLAG)
    return handle


def wrapping_key(token: Provider) -> SymmetricKey:
    need(token, "AES", "WRAP")
    return bcrypt.BCryptGenerateSymmetricKey(bcrypt.BCryptOpenAlgorithmProvider("AES", token), None, KEK)


def works_as(key: SymmetricKey, name: str, secret: bytes) -> bool:
    if name == "RC4":
        return bcrypt.BCryptEncrypt(key, DATA) == oracle.rc4(secret, DATA)
    if name == "XTS-AES":
        bcrypt.BCryptSetProperty(key, "MessageBlockLength", 512)
        return bcrypt.BCryptEncrypt(key, DATA, None, bytes(16)) == oracle.xts(secret, 0, 512, DATA)
    if name == "CHACHA20_POLY1305":
        info = bcrypt.BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(bytes(12))
        return bcrypt.BCryptEncrypt(key, DATA, info) + bytes(info.pbTag or b"") == oracle.poly1305(
            secret, bytes(12), b"", DATA
        )
    return bcrypt.BCryptEncrypt(key, DATA, None, bytes(8)) == oracle.block_cipher(name, "CBC", secret, bytes(8), DATA)


@pytest.mark.row("IMP-07", "IMP-09", "IMP-16")
@pytest.mark.parametrize("name", NAMES)
def test_key_data_blob(token: Provider, name: str) -> None:
    handle, secret = handle_of(token, name), SECRETS[name]
    key = bcrypt.BCryptImportKey(handle, None, "KeyDataBlob", None, key_data_blob(secret))
    assert key.bits == 8 * len(secret)
    assert works_as(key, name, secret)
    if name not in ("RC2", "RC4", "XTS-AES"):
        longer = bcrypt.BCryptImportKey(handle, None, "KeyDataBlob", None, key_data_blob(secret + bytes(9)))
        assert works_as(longer, name, secret)
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptImportKey(handle, None, "KeyDataBlob", None, key_data_blob(b""))


@pytest.mark.row("EXP-07", "IMP-17")
@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_exported_unless_the_policy_allows_it(token: Provider, name: str) -> None:
    key = bcrypt.BCryptGenerateSymmetricKey(handle_of(token, name), None, SECRETS[name])
    exporting = bcrypt.BCryptGenerateSymmetricKey(handle_of(token, name, exporting=True), None, SECRETS[name])
    for one, blob_type in ((key, "KeyDataBlob"), (key, "OpaqueKeyBlob"), (exporting, "KeyDataBlob")):
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
            bcrypt.BCryptExportKey(one, None, blob_type)
    with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
        bcrypt.BCryptExportKey(key, wrapping_key(token), "Rfc3565KeyWrapBlob")


def without_parity(secret: bytes) -> bytes:
    return bytes(octet & 0xFE for octet in secret)


@pytest.mark.row("EXP-06", "IMP-06", "IMP-09", "EXP-11")
@pytest.mark.parametrize("name", WRAPPABLE)
def test_a_wrapped_key_is_the_bare_key(token: Provider, name: str) -> None:
    handle, secret, kek = handle_of(token, name, exporting=True), SECRETS[name], wrapping_key(token)
    key = bcrypt.BCryptGenerateSymmetricKey(handle, None, secret)
    blob = bcrypt.BCryptExportKey(key, kek, "Rfc3565KeyWrapBlob")
    bare = aes_key_unwrap(KEK, blob)
    # A token may set the parity bits of DES keys.
    assert bare == secret or (name.startswith("3DES") and without_parity(bare) == without_parity(secret))
    assert works_as(bcrypt.BCryptImportKey(handle, kek, "Rfc3565KeyWrapBlob", None, blob), name, secret)
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptImportKey(handle, kek, "Rfc3565KeyWrapBlob", None, blob[:-1] + bytes([blob[-1] ^ 1]))


@pytest.mark.row("IMP-06", "IMP-09")
@pytest.mark.parametrize("name", WRAPPABLE)
def test_a_wrapped_key_of_the_host(token: Provider, name: str) -> None:
    handle, secret, kek = handle_of(token, name), SECRETS[name], wrapping_key(token)
    key = bcrypt.BCryptImportKey(handle, kek, "Rfc3565KeyWrapBlob", None, aes_key_wrap(KEK, secret))
    assert key.bits == 8 * len(secret)
    assert works_as(key, name, secret)
    if name not in ("RC2", "RC4"):
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptImportKey(handle, kek, "Rfc3565KeyWrapBlob", None, aes_key_wrap(KEK, secret + bytes(8)))


@pytest.mark.row("IMP-06")
@pytest.mark.parametrize("bits", [1, 8, 64, 127, 129, 1024])
def test_a_wrapped_key_does_not_come_back_as_a_weak_one(token: Provider, bits: int) -> None:
    """An AES key's blob as RC2 of 8, 16, 24 ... effective bits would give it away."""
    handle, kek = handle_of(token, "RC2"), wrapping_key(token)
    blob = aes_key_wrap(KEK, SECRETS["RC2"])
    bcrypt.BCryptSetProperty(handle, bcrypt.BCRYPT_EFFECTIVE_KEY_LENGTH, bits)
    with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
        bcrypt.BCryptImportKey(handle, kek, "Rfc3565KeyWrapBlob", None, blob)
    bcrypt.BCryptSetProperty(handle, bcrypt.BCRYPT_EFFECTIVE_KEY_LENGTH, 8 * len(SECRETS["RC2"]))
    assert works_as(bcrypt.BCryptImportKey(handle, kek, "Rfc3565KeyWrapBlob", None, blob), "RC2", SECRETS["RC2"])


@pytest.mark.row("EXP-06", "EXP-07")
@pytest.mark.parametrize(
    ("name", "secret"), [("DES", bytes(8)), ("RC2", bytes(5)), ("RC2", bytes(range(12))), ("RC4", bytes(17))]
)
def test_lengths_that_aes_key_wrap_does_not_take(token: Provider, name: str, secret: bytes) -> None:
    key = bcrypt.BCryptGenerateSymmetricKey(handle_of(token, name, exporting=True), None, secret)
    with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
        bcrypt.BCryptExportKey(key, wrapping_key(token), "Rfc3565KeyWrapBlob")


@pytest.mark.row("EXP-07", "IMP-10")
def test_xts_keys_are_neither_wrapped_nor_unwrapped(token: Provider) -> None:
    handle, kek = handle_of(token, "XTS-AES", exporting=True), wrapping_key(token)
    key = bcrypt.BCryptGenerateSymmetricKey(handle, None, SECRETS["XTS-AES"])
    for export_key, blob_type in ((kek, "Rfc3565KeyWrapBlob"), (None, "OpaqueKeyBlob")):
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
            bcrypt.BCryptExportKey(key, export_key, blob_type)
    for size in (32, 64):
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
            bcrypt.BCryptImportKey(handle, kek, "Rfc3565KeyWrapBlob", None, aes_key_wrap(KEK, bytes(range(size))))


@pytest.mark.row("EXP-06")
@pytest.mark.parametrize("name", NAMES)
def test_they_wrap_nothing(token: Provider, name: str) -> None:
    aes = bcrypt.BCryptOpenAlgorithmProvider("AES", token)
    bcrypt.BCryptSetProperty(aes, "Export Policy", bcrypt.NCRYPT_ALLOW_EXPORT_FLAG)
    inner = bcrypt.BCryptGenerateSymmetricKey(aes, None, KEK)
    key = bcrypt.BCryptGenerateSymmetricKey(handle_of(token, name), None, SECRETS[name])
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptExportKey(inner, key, "Rfc3565KeyWrapBlob")
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptImportKey(aes, key, "Rfc3565KeyWrapBlob", None, bytes(40))


@pytest.mark.row("IMP-10", "EXP-07")
@pytest.mark.parametrize("name", ["3DES", "3DES_112"])
def test_opaque_blobs(provider: Provider, name: str) -> None:
    handle, secret = handle_of(provider, name, exporting=True), SECRETS[name]
    key = bcrypt.BCryptGenerateSymmetricKey(handle, None, secret)
    blob = bcrypt.BCryptExportKey(key, None, "OpaqueKeyBlob")
    assert works_as(bcrypt.BCryptImportKey(handle, None, "OpaqueKeyBlob", None, blob), name, secret)
    for other in {"3DES", "3DES_112", "AES"} - {name}:
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptImportKey(handle_of(provider, other), None, "OpaqueKeyBlob", None, blob)
    for place in (0, len(blob) // 2, len(blob) - 1):
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            altered = blob[:place] + bytes([blob[place] ^ 1]) + blob[place + 1 :]
            bcrypt.BCryptImportKey(handle, None, "OpaqueKeyBlob", None, altered)


@pytest.mark.row("IMP-10", "EXP-07")
@pytest.mark.parametrize("database", ["nss_db_provider", "nss_current_provider"])
@pytest.mark.parametrize(
    ("name", "secret"),
    [("DES", bytes(range(8))), ("RC2", bytes(range(5))), ("RC4", bytes(range(17))), ("CHACHA20_POLY1305", KEK)],
)
def test_opaque_blobs_of_any_length(request: pytest.FixtureRequest, database: str, name: str, secret: bytes) -> None:
    """RFC 5649 where RFC 3394 does not take the length."""
    provider: Provider = request.getfixturevalue(database)
    handle = handle_of(provider, name, exporting=True)
    with bcrypt.BCryptGenerateSymmetricKey(handle, None, secret) as key:
        blob = bcrypt.BCryptExportKey(key, None, "OpaqueKeyBlob")
    with bcrypt.BCryptImportKey(handle, None, "OpaqueKeyBlob", None, blob) as again:
        assert again.bits == 8 * len(secret)
        assert works_as(again, name, secret)
