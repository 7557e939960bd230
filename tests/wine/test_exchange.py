"""Public blobs, signatures and RSA ciphertexts between keys in a token and keys of Wine's bcrypt.dll."""

from __future__ import annotations

import pytest
from wine.checks import MESSAGE, digest_of, fails, have, hwcng_algorithm, wine_algorithm, wine_public
from wine.wine_bcrypt import WineBcrypt, WineHandle

from hwcng import NTSTATUS, bcrypt
from hwcng.cng.derive.functions import ParameterList
from hwcng.cng.keys import KeyPair
from hwcng.contract.provider import Provider

PKCS1, PSS, OAEP = bcrypt.BCRYPT_PAD_PKCS1, bcrypt.BCRYPT_PAD_PSS, bcrypt.BCRYPT_PAD_OAEP
RSA_BLOB, ECC_BLOB = bcrypt.BCRYPT_RSAPUBLIC_BLOB, bcrypt.BCRYPT_ECCPUBLIC_BLOB
PAIRS = (
    ("RSA", 1024, RSA_BLOB),
    ("RSA", 2048, RSA_BLOB),
    ("RSA_SIGN", 2048, RSA_BLOB),
    ("ECDSA_P256", 256, ECC_BLOB),
    ("ECDSA_P384", 384, ECC_BLOB),
    ("ECDSA_P521", 521, ECC_BLOB),
    ("ECDH_P256", 256, ECC_BLOB),
    ("ECDH_P384", 384, ECC_BLOB),
    ("ECDH_P521", 521, ECC_BLOB),
)
PKCS1_HASHES = ("MD5", "SHA1", "SHA256", "SHA384", "SHA512", None)
PSS_SALTS = (("SHA1", 20), ("SHA256", 32), ("SHA256", 0), ("SHA384", 48), ("SHA512", 64), ("SHA256", 20))
SIGNATURES = (
    *((f"PKCS1 {name}", bcrypt.BCRYPT_PKCS1_PADDING_INFO(name), PKCS1, name) for name in PKCS1_HASHES),
    *((f"PSS {name} {salt}", bcrypt.BCRYPT_PSS_PADDING_INFO(name, salt), PSS, name) for name, salt in PSS_SALTS),
)
# A modulus of 1024 bits has no room for SHA-512 and a salt of 64 bytes.
SIZED = [(f"{bits} {row[0]}", bits, *row[1:]) for bits in (1024, 2048) for row in SIGNATURES]
SIZED = [row for row in SIZED if row[0] != "1024 PSS SHA512 64"]
RSA_SIGNATURES = pytest.mark.parametrize(
    ("bits", "padding", "flags", "hash_name"), [row[1:] for row in SIZED], ids=[row[0] for row in SIZED]
)
ENCRYPTIONS = (
    ("PKCS1", None, PKCS1),
    ("OAEP SHA1", bcrypt.BCRYPT_OAEP_PADDING_INFO("SHA1"), OAEP),
    ("OAEP SHA1 label", bcrypt.BCRYPT_OAEP_PADDING_INFO("SHA1", b"label"), OAEP),
    ("OAEP SHA256", bcrypt.BCRYPT_OAEP_PADDING_INFO("SHA256"), OAEP),
    ("OAEP SHA256 label", bcrypt.BCRYPT_OAEP_PADDING_INFO("SHA256", b"label"), OAEP),
)
RSA_ENCRYPTIONS = pytest.mark.parametrize(
    ("padding", "flags"), [row[1:] for row in ENCRYPTIONS], ids=[row[0] for row in ENCRYPTIONS]
)
MESSAGES = (b"", b"\0", MESSAGE)


def have_signature(dll: WineBcrypt, padding: object, hash_name: str | None, *, signing: bool) -> None:
    """Skips where Wine cannot sign, or verify, so."""
    if isinstance(padding, bcrypt.BCRYPT_PSS_PADDING_INFO):
        if hash_name == "SHA1":
            have(dll, "PSS with SHA1")
        if signing and padding.cbSalt != len(digest_of(hash_name)):
            have(dll, "PSS with a chosen salt")
    elif hash_name is None:
        have(dll, "signatures without DigestInfo")
    elif hash_name == "MD5" and not signing:
        have(dll, "verification of MD5")


def have_oaep(dll: WineBcrypt, padding: object, *, encrypting: bool) -> None:
    if isinstance(padding, bcrypt.BCRYPT_OAEP_PADDING_INFO):
        have(dll, "OAEP")
        if padding.pszAlgId == "SHA1":
            have(dll, "OAEP with SHA1")
        if encrypting and not padding.pbLabel:
            have(dll, "OAEP encryption without a label")


def hwcng_pair(token: Provider, name: str, bits: int) -> KeyPair:
    pair = bcrypt.BCryptGenerateKeyPair(hwcng_algorithm(token, name), bits)
    bcrypt.BCryptFinalizeKeyPair(pair)
    return pair


def wine_pair(dll: WineBcrypt, name: str, bits: int) -> WineHandle:
    pair = dll.BCryptGenerateKeyPair(wine_algorithm(dll, name), bits)
    dll.BCryptFinalizeKeyPair(pair)
    return pair


@pytest.mark.parametrize(("name", "bits", "blob_type"), PAIRS)
def test_bcrypt_dll_takes_the_tokens_public_blob(
    token: Provider, bcrypt_dll: WineBcrypt, name: str, bits: int, blob_type: str
) -> None:
    blob = bcrypt.BCryptExportKey(hwcng_pair(token, name, bits), None, blob_type)
    for type_of_import in (blob_type, bcrypt.BCRYPT_PUBLIC_KEY_BLOB):
        key = wine_public(bcrypt_dll, name, type_of_import, blob)
        assert bcrypt_dll.BCryptExportKey(key, None, blob_type) == blob


@pytest.mark.parametrize(("name", "bits", "blob_type"), PAIRS)
def test_hwcng_takes_bcrypt_dlls_public_blob(
    token: Provider, bcrypt_dll: WineBcrypt, name: str, bits: int, blob_type: str
) -> None:
    blob = bcrypt_dll.BCryptExportKey(wine_pair(bcrypt_dll, name, bits), None, blob_type)
    for type_of_import in (blob_type, bcrypt.BCRYPT_PUBLIC_KEY_BLOB):
        key = bcrypt.BCryptImportKeyPair(hwcng_algorithm(token, name), None, type_of_import, blob)
        assert bcrypt.BCryptExportKey(key, None, blob_type) == blob
        assert bcrypt.BCryptGetProperty(key, "KeyLength") == bits


@RSA_SIGNATURES
def test_bcrypt_dll_verifies_the_tokens_rsa_signature(
    token: Provider, bcrypt_dll: WineBcrypt, padding: object, flags: int, hash_name: str | None, bits: int
) -> None:
    have_signature(bcrypt_dll, padding, hash_name, signing=False)
    pair, digest = hwcng_pair(token, "RSA", bits), digest_of(hash_name)
    signature = bcrypt.BCryptSignHash(pair, padding, digest, flags)
    key = wine_public(bcrypt_dll, "RSA", RSA_BLOB, bcrypt.BCryptExportKey(pair, None, RSA_BLOB))
    bcrypt_dll.BCryptVerifySignature(key, padding, digest, signature, flags)
    wrong = bytes([digest[0] ^ 1]) + digest[1:]
    invalid = NTSTATUS.STATUS_INVALID_SIGNATURE
    fails(invalid, bcrypt_dll.BCryptVerifySignature, key, padding, wrong, signature, flags)


@RSA_SIGNATURES
def test_hwcng_verifies_bcrypt_dlls_rsa_signature(
    token: Provider, bcrypt_dll: WineBcrypt, padding: object, flags: int, hash_name: str | None, bits: int
) -> None:
    have_signature(bcrypt_dll, padding, hash_name, signing=True)
    pair, digest = wine_pair(bcrypt_dll, "RSA", bits), digest_of(hash_name)
    signature = bcrypt_dll.BCryptSignHash(pair, padding, digest, flags)
    blob = bcrypt_dll.BCryptExportKey(pair, None, RSA_BLOB)
    key = bcrypt.BCryptImportKeyPair(hwcng_algorithm(token, "RSA"), None, RSA_BLOB, blob)
    bcrypt.BCryptVerifySignature(key, padding, digest, signature, flags)
    wrong = bytes([digest[0] ^ 1]) + digest[1:]
    fails(NTSTATUS.STATUS_INVALID_SIGNATURE, bcrypt.BCryptVerifySignature, key, padding, wrong, signature, flags)


@pytest.mark.parametrize("hash_name", ["SHA1", "SHA256", "SHA384", "SHA512"])
@pytest.mark.parametrize(("name", "bits"), [("ECDSA_P256", 256), ("ECDSA_P384", 384), ("ECDSA_P521", 521)])
def test_ecdsa_signatures_verify_on_the_other_side(
    token: Provider, bcrypt_dll: WineBcrypt, name: str, bits: int, hash_name: str
) -> None:
    digest = digest_of(hash_name)
    wrong = bytes([digest[0] ^ 1]) + digest[1:]
    invalid = NTSTATUS.STATUS_INVALID_SIGNATURE
    if hash_name == "SHA512":
        have(bcrypt_dll, "ECDSA with SHA512")

    pair = hwcng_pair(token, name, bits)
    signature = bcrypt.BCryptSignHash(pair, None, digest)
    key = wine_public(bcrypt_dll, name, ECC_BLOB, bcrypt.BCryptExportKey(pair, None, ECC_BLOB))
    bcrypt_dll.BCryptVerifySignature(key, None, digest, signature)
    fails(invalid, bcrypt_dll.BCryptVerifySignature, key, None, wrong, signature)

    theirs = wine_pair(bcrypt_dll, name, bits)
    signature = bcrypt_dll.BCryptSignHash(theirs, None, digest)
    blob = bcrypt_dll.BCryptExportKey(theirs, None, ECC_BLOB)
    ours = bcrypt.BCryptImportKeyPair(hwcng_algorithm(token, name), None, ECC_BLOB, blob)
    bcrypt.BCryptVerifySignature(ours, None, digest, signature)
    fails(invalid, bcrypt.BCryptVerifySignature, ours, None, wrong, signature)


@pytest.mark.parametrize("bits", [1024, 2048])
@RSA_ENCRYPTIONS
def test_the_token_decrypts_what_bcrypt_dll_encrypts(
    token: Provider, bcrypt_dll: WineBcrypt, padding: object, flags: int, bits: int
) -> None:
    have_oaep(bcrypt_dll, padding, encrypting=True)
    pair = hwcng_pair(token, "RSA", bits)
    key = wine_public(bcrypt_dll, "RSA", RSA_BLOB, bcrypt.BCryptExportKey(pair, None, RSA_BLOB))
    for message in MESSAGES:
        ciphertext = bcrypt_dll.BCryptEncrypt(key, message, padding, None, flags)
        assert bcrypt.BCryptDecrypt(pair, ciphertext, padding, None, flags) == message


@pytest.mark.parametrize("bits", [1024, 2048])
@RSA_ENCRYPTIONS
def test_bcrypt_dll_decrypts_what_hwcng_encrypts(
    token: Provider, bcrypt_dll: WineBcrypt, padding: object, flags: int, bits: int
) -> None:
    have_oaep(bcrypt_dll, padding, encrypting=False)
    pair = wine_pair(bcrypt_dll, "RSA", bits)
    blob = bcrypt_dll.BCryptExportKey(pair, None, RSA_BLOB)
    key = bcrypt.BCryptImportKeyPair(hwcng_algorithm(token, "RSA"), None, RSA_BLOB, blob)
    for message in MESSAGES:
        ciphertext = bcrypt.BCryptEncrypt(key, message, padding, None, flags)
        assert bcrypt_dll.BCryptDecrypt(pair, ciphertext, padding, None, flags) == message


PARAMETERS = (
    ("HASH", None),
    *(("HASH", [(bcrypt.KDF_HASH_ALGORITHM, name)]) for name in ("SHA1", "SHA256", "SHA384", "SHA512")),
    ("HASH", [(bcrypt.KDF_HASH_ALGORITHM, "SHA256"), (bcrypt.KDF_SECRET_PREPEND, b"before")]),
    ("HASH", [(bcrypt.KDF_HASH_ALGORITHM, "SHA256"), (bcrypt.KDF_SECRET_APPEND, b"after")]),
    ("HMAC", [(bcrypt.KDF_HASH_ALGORITHM, "SHA256"), (bcrypt.KDF_HMAC_KEY, bytes(32))]),
    ("TRUNCATE", None),
)


@pytest.mark.parametrize(("function", "parameters"), PARAMETERS, ids=lambda part: str(part))
@pytest.mark.parametrize(("name", "bits"), [("ECDH_P256", 256), ("ECDH_P384", 384), ("ECDH_P521", 521)])
def test_both_agree(
    raw_secret_token: Provider, bcrypt_dll: WineBcrypt, name: str, bits: int, function: str, parameters: ParameterList
) -> None:
    """Each side has its own pair and the other's public blob."""
    have(bcrypt_dll, "BCryptDeriveKey")
    if any(kind in (bcrypt.KDF_SECRET_PREPEND, bcrypt.KDF_SECRET_APPEND) for kind, _ in parameters or ()):
        have(bcrypt_dll, "SECRET_PREPEND and SECRET_APPEND")
    if function == "HMAC":
        have(bcrypt_dll, "the function HMAC")
    theirs, ours = wine_pair(bcrypt_dll, name, bits), hwcng_pair(raw_secret_token, name, bits)
    blob = bcrypt_dll.BCryptExportKey(theirs, None, ECC_BLOB)
    public = bcrypt.BCryptImportKeyPair(hwcng_algorithm(raw_secret_token, name), None, ECC_BLOB, blob)
    mine = bcrypt.BCryptDeriveKey(bcrypt.BCryptSecretAgreement(ours, public), function, parameters, None)
    key = wine_public(bcrypt_dll, name, ECC_BLOB, bcrypt.BCryptExportKey(ours, None, ECC_BLOB))
    secret = bcrypt_dll.BCryptSecretAgreement(theirs, key)
    assert bcrypt_dll.BCryptDeriveKey(secret, function, parameters, None) == mine
