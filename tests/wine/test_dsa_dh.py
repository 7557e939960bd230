"""DSA and DH between keys in a token and keys of Wine's bcrypt.dll."""

from __future__ import annotations

import struct

import pytest
from wine.checks import digest_of, fails, have, hwcng_algorithm, need_algorithm, wine_algorithm, wine_public
from wine.wine_bcrypt import WineBcrypt

from hwcng import NTSTATUS, bcrypt
from hwcng.contract.provider import Provider

DSA_BLOB, DH_BLOB = "DSAPUBLICBLOB", "DHPUBLICBLOB"
DH_PARAMETER_MAGIC = 0x4D504844
BITS = 1024


def dh_parameters(public_blob: bytes) -> bytes:
    """The DHParameters of a DHPUBLICBLOB."""
    (size,) = struct.unpack_from("<I", public_blob, 4)
    return struct.pack("<3I", 12 + 2 * size, DH_PARAMETER_MAGIC, size) + public_blob[8 : 8 + 2 * size]


def test_bcrypt_dll_verifies_the_tokens_dsa_signature(full_token: Provider, bcrypt_dll: WineBcrypt) -> None:
    need_algorithm(full_token, "DSA")
    pair = bcrypt.BCryptGenerateKeyPair(hwcng_algorithm(full_token, "DSA"), BITS)
    bcrypt.BCryptFinalizeKeyPair(pair)
    blob = bcrypt.BCryptExportKey(pair, None, DSA_BLOB)
    key = wine_public(bcrypt_dll, "DSA", DSA_BLOB, blob)
    digest = digest_of("SHA1")
    signature = bcrypt.BCryptSignHash(pair, None, digest)
    bcrypt_dll.BCryptVerifySignature(key, None, digest, signature)
    fails(NTSTATUS.STATUS_INVALID_SIGNATURE, bcrypt_dll.BCryptVerifySignature, key, None, bytes(20), signature)


def test_hwcng_verifies_bcrypt_dlls_dsa_signature(full_token: Provider, bcrypt_dll: WineBcrypt) -> None:
    need_algorithm(full_token, "DSA")
    pair = bcrypt_dll.BCryptGenerateKeyPair(wine_algorithm(bcrypt_dll, "DSA"), BITS)
    bcrypt_dll.BCryptFinalizeKeyPair(pair)
    blob = bcrypt_dll.BCryptExportKey(pair, None, DSA_BLOB)
    key = bcrypt.BCryptImportKeyPair(hwcng_algorithm(full_token, "DSA"), None, DSA_BLOB, blob)
    assert bcrypt.BCryptExportKey(key, None, DSA_BLOB)[:4] == blob[:4]
    digest = digest_of("SHA1")
    signature = bcrypt_dll.BCryptSignHash(pair, None, digest)
    bcrypt.BCryptVerifySignature(key, None, digest, signature)
    fails(NTSTATUS.STATUS_INVALID_SIGNATURE, bcrypt.BCryptVerifySignature, key, None, bytes(20), signature)


@pytest.mark.parametrize("hash_name", ["SHA1", "SHA256", "SHA512"])
def test_both_agree_by_dh(full_token: Provider, bcrypt_dll: WineBcrypt, hash_name: str) -> None:
    need_algorithm(full_token, "DH")
    have(bcrypt_dll, "BCryptDeriveKey")
    ours = bcrypt.BCryptGenerateKeyPair(hwcng_algorithm(full_token, "DH"), BITS)
    bcrypt.BCryptFinalizeKeyPair(ours)
    blob = bcrypt.BCryptExportKey(ours, None, DH_BLOB)
    theirs = bcrypt_dll.BCryptGenerateKeyPair(wine_algorithm(bcrypt_dll, "DH"), BITS)
    bcrypt_dll.BCryptSetProperty(theirs, "DHParameters", dh_parameters(blob))
    bcrypt_dll.BCryptFinalizeKeyPair(theirs)
    parameters = [(bcrypt.KDF_HASH_ALGORITHM, hash_name)]

    key = wine_public(bcrypt_dll, "DH", DH_BLOB, blob)
    secret = bcrypt_dll.BCryptSecretAgreement(theirs, key)
    made_there = bcrypt_dll.BCryptDeriveKey(secret, "HASH", parameters, None)

    answer = bcrypt_dll.BCryptExportKey(theirs, None, DH_BLOB)
    public = bcrypt.BCryptImportKeyPair(hwcng_algorithm(full_token, "DH"), None, DH_BLOB, answer)
    made_here = bcrypt.BCryptDeriveKey(bcrypt.BCryptSecretAgreement(ours, public), "HASH", parameters, None)
    assert made_there == made_here
