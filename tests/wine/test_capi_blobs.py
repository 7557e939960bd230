"""CryptoAPI's blobs and byte order between hwcng.bcrypt and Wine's advapi32.dll: its numbers are little-endian."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from conformance.checks import need
from wine.checks import MESSAGE, digest_of, hwcng_algorithm
from wine.wine_advapi32 import WineAdvapi32

from hwcng import bcrypt
from hwcng.cng.keys import KeyPair
from hwcng.contract.provider import Provider

PROV_RSA_AES, CRYPT_NEWKEYSET, CRYPT_DELETEKEYSET = 24, 0x8, 0x10
AT_KEYEXCHANGE, AT_SIGNATURE, CRYPT_EXPORTABLE, CRYPT_OAEP = 1, 2, 0x1, 0x40
SIMPLEBLOB, PUBLICKEYBLOB, PRIVATEKEYBLOB, PLAINTEXTKEYBLOB = 1, 6, 7, 8
HASHES = {"MD5": 0x8003, "SHA1": 0x8004, "SHA256": 0x800C, "SHA384": 0x800D, "SHA512": 0x800E}
SESSION_KEYS = {"RC2": 0x6602, "3DES": 0x6603, "AES_128": 0x660E, "AES_256": 0x6610, "RC4": 0x6801}
BLOB_HEADER, ALGORITHM_ID = 8, 4
BITS = 1024
PKCS1 = bcrypt.BCRYPT_PAD_PKCS1


class Container(NamedTuple):
    """A container of advapi32.dll with an exportable exchange pair, and the same pair inside a token."""

    handle: Any
    pair: Any
    in_token: KeyPair


@pytest.fixture(scope="module")
def container(token: Provider, advapi32_dll: WineAdvapi32) -> Iterator[Container]:
    handle = advapi32_dll.CryptAcquireContext("wine-blobs", None, PROV_RSA_AES, CRYPT_NEWKEYSET)
    assert handle is not None
    pair = advapi32_dll.CryptGenKey(handle, AT_KEYEXCHANGE, BITS << 16 | CRYPT_EXPORTABLE)
    blob = advapi32_dll.CryptExportKey(pair, None, PRIVATEKEYBLOB)
    imported = bcrypt.BCryptImportKeyPair(hwcng_algorithm(token, "RSA"), None, bcrypt.LEGACY_RSAPRIVATE_BLOB, blob)
    yield Container(handle, pair, imported)
    bcrypt.BCryptDestroyKey(imported)
    advapi32_dll.CryptReleaseContext(handle)
    advapi32_dll.CryptAcquireContext("wine-blobs", None, PROV_RSA_AES, CRYPT_DELETEKEYSET)


def hashed(dll: WineAdvapi32, container: Container, hash_name: str) -> Any:
    hashing = dll.CryptCreateHash(container.handle, HASHES[hash_name])
    dll.CryptHashData(hashing, MESSAGE)
    return hashing


def test_public_key_blob(advapi32_dll: WineAdvapi32, container: Container) -> None:
    """CAPIPUBLICBLOB is the PUBLICKEYBLOB that advapi32.dll makes of the same pair, and it reads the token's."""
    blob = bcrypt.BCryptExportKey(container.in_token, None, bcrypt.LEGACY_RSAPUBLIC_BLOB)
    assert blob == advapi32_dll.CryptExportKey(container.pair, None, PUBLICKEYBLOB)
    key = advapi32_dll.CryptImportKey(container.handle, blob)
    assert advapi32_dll.CryptExportKey(key, None, PUBLICKEYBLOB) == blob


def test_public_key_blob_of_a_signature_pair(token: Provider, advapi32_dll: WineAdvapi32, container: Container) -> None:
    pair = advapi32_dll.CryptGenKey(container.handle, AT_SIGNATURE, BITS << 16 | CRYPT_EXPORTABLE)
    blob = advapi32_dll.CryptExportKey(pair, None, PRIVATEKEYBLOB)
    handle = hwcng_algorithm(token, "RSA_SIGN")
    with bcrypt.BCryptImportKeyPair(handle, None, bcrypt.LEGACY_RSAPRIVATE_BLOB, blob) as imported:
        ours = bcrypt.BCryptExportKey(imported, None, bcrypt.LEGACY_RSAPUBLIC_BLOB)
    assert ours == advapi32_dll.CryptExportKey(pair, None, PUBLICKEYBLOB)


@pytest.mark.parametrize("hash_name", HASHES)
def test_signatures(advapi32_dll: WineAdvapi32, container: Container, hash_name: str) -> None:
    padding, digest = bcrypt.BCRYPT_PKCS1_PADDING_INFO(hash_name), digest_of(hash_name)
    signature = bcrypt.BCryptSignHash(container.in_token, padding, digest, PKCS1)
    hashing = hashed(advapi32_dll, container, hash_name)
    advapi32_dll.CryptVerifySignature(hashing, signature[::-1], container.pair)
    # PKCS #1 v1.5 has one signature for a digest.
    assert advapi32_dll.CryptSignHash(hashing, AT_KEYEXCHANGE) == signature[::-1]


@pytest.mark.parametrize("cipher", SESSION_KEYS)
def test_simple_blob(advapi32_dll: WineAdvapi32, container: Container, cipher: str) -> None:
    """The token decrypts the session key that advapi32.dll wraps; a blob made here is unwrapped there."""
    session_key = advapi32_dll.CryptGenKey(container.handle, SESSION_KEYS[cipher], CRYPT_EXPORTABLE)
    plain = advapi32_dll.CryptExportKey(session_key, None, PLAINTEXTKEYBLOB)
    value = plain[BLOB_HEADER + 4 :]
    blob = advapi32_dll.CryptExportKey(session_key, container.pair, SIMPLEBLOB)
    head, wrapped = blob[: BLOB_HEADER + ALGORITHM_ID], blob[BLOB_HEADER + ALGORITHM_ID :]
    assert bcrypt.BCryptDecrypt(container.in_token, wrapped[::-1], None, None, PKCS1) == value

    ours = head + bcrypt.BCryptEncrypt(container.in_token, value, None, None, PKCS1)[::-1]
    unwrapped = advapi32_dll.CryptImportKey(container.handle, ours, container.pair, CRYPT_EXPORTABLE)
    assert advapi32_dll.CryptExportKey(unwrapped, None, PLAINTEXTKEYBLOB) == plain


@pytest.mark.parametrize(
    ("capi", "padding", "flags"),
    [(0, None, PKCS1), (CRYPT_OAEP, bcrypt.BCRYPT_OAEP_PADDING_INFO("SHA1"), bcrypt.BCRYPT_PAD_OAEP)],
    ids=["PKCS1", "OAEP"],
)
def test_ciphertexts(advapi32_dll: WineAdvapi32, container: Container, capi: int, padding: object, flags: int) -> None:
    ciphertext = advapi32_dll.CryptEncrypt(container.pair, None, True, capi, MESSAGE)
    assert bcrypt.BCryptDecrypt(container.in_token, ciphertext[::-1], padding, None, flags) == MESSAGE
    ours = bcrypt.BCryptEncrypt(container.in_token, MESSAGE, padding, None, flags)[::-1]
    assert advapi32_dll.CryptDecrypt(container.pair, None, True, capi, ours) == MESSAGE


@pytest.mark.parametrize(("cipher", "size"), [("AES_128", 16), ("AES_256", 32)])
def test_aes(token: Provider, advapi32_dll: WineAdvapi32, container: Container, cipher: str, size: int) -> None:
    """CBC from an IV of zeros, padded: what a session key of CryptGenKey does and a key of CNG can."""
    need(token, "AES", "CBC")
    session_key = advapi32_dll.CryptGenKey(container.handle, SESSION_KEYS[cipher], CRYPT_EXPORTABLE)
    value = advapi32_dll.CryptExportKey(session_key, None, PLAINTEXTKEYBLOB)[BLOB_HEADER + 4 :]
    assert len(value) == size
    with bcrypt.BCryptGenerateSymmetricKey(hwcng_algorithm(token, "AES"), None, value) as key:
        for text in (b"", b"13 characters", MESSAGE):
            ours = bcrypt.BCryptEncrypt(key, text, None, bytes(16), bcrypt.BCRYPT_BLOCK_PADDING)
            assert advapi32_dll.CryptEncrypt(session_key, None, True, 0, text) == ours
