"""Signatures of hashes and encryption with pairs: RSA's numbers are little-endian."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils
from support import needs_bits
from wincrypt.helpers import (
    FINAL,
    HOST_HASHES,
    INVALID_PARAMETER,
    RSA_BITS,
    TEXT,
    digest_of,
    every_hash,
    hashed,
    refused,
    rsa_public_numbers,
)

from hwcng import wincrypt as w
from hwcng.errors import HRESULT

if TYPE_CHECKING:
    from hwcng.capi.contexts import Context
    from hwcng.capi.handle_base import CapiKey
    from hwcng.contract.provider import Provider


@pytest.fixture(params=[w.AT_SIGNATURE, w.AT_KEYEXCHANGE], ids=["signature", "exchange"])
def signer(context: Context, request: pytest.FixtureRequest) -> tuple[int, CapiKey, rsa.RSAPublicKey]:
    """The key specification, the pair and the host's form of its public half."""
    pair = w.CryptGenKey(context, request.param, RSA_BITS << 16)
    modulus, exponent = rsa_public_numbers(w.CryptExportKey(pair, None, w.PUBLICKEYBLOB))
    return request.param, pair, rsa.RSAPublicNumbers(exponent, modulus).public_key()


@every_hash
def test_rsa_signatures_are_little_endian(
    token: Provider, context: Context, signer: tuple[int, CapiKey, rsa.RSAPublicKey], algid: int
) -> None:
    spec, pair, host = signer
    handle = hashed(context, algid)
    if token.uri.startswith("tpm2:") and spec == w.AT_SIGNATURE and algid == w.CALG_MD5:
        # A TPM's key that only signs knows its hashes.
        with refused(HRESULT.NTE_NOT_SUPPORTED):
            w.CryptSignHash(handle, spec)
        return
    signature = w.CryptSignHash(handle, spec)
    assert len(signature) == RSA_BITS // 8
    host.verify(signature[::-1], digest_of(algid), padding.PKCS1v15(), utils.Prehashed(HOST_HASHES[algid]))
    w.CryptVerifySignature(handle, signature, pair)
    w.CryptVerifySignature(hashed(context, algid), bytearray(signature), w.CryptDuplicateKey(pair))
    for broken in (signature[::-1], signature[:-1], b"", signature + b"\0", bytes(len(signature))):
        with refused(HRESULT.NTE_BAD_SIGNATURE):
            w.CryptVerifySignature(handle, broken, pair)
    with refused(HRESULT.NTE_BAD_SIGNATURE):
        w.CryptVerifySignature(hashed(context, algid, b"other"), signature, pair)


def test_a_signature_without_the_hashs_identifier(
    context: Context, signer: tuple[int, CapiKey, rsa.RSAPublicKey], token: Provider
) -> None:
    spec, pair, host = signer
    if token.uri.startswith("tpm2:") and spec == w.AT_SIGNATURE:
        # A TPM's key that only signs knows its hashes.
        with refused(HRESULT.NTE_NOT_SUPPORTED):
            w.CryptSignHash(hashed(context, w.CALG_SHA1), spec, None, w.CRYPT_NOHASHOID)
        return
    handle = hashed(context, w.CALG_SHA1)
    signature = w.CryptSignHash(handle, spec, None, w.CRYPT_NOHASHOID)
    numbers = host.public_numbers()
    block = pow(int.from_bytes(signature, "little"), numbers.e, numbers.n).to_bytes(RSA_BITS // 8, "big")
    digest = digest_of(w.CALG_SHA1)
    assert block == b"\0\1" + b"\xff" * (RSA_BITS // 8 - 3 - len(digest)) + b"\0" + digest
    w.CryptVerifySignature(handle, signature, pair, None, w.CRYPT_NOHASHOID)
    with refused(HRESULT.NTE_BAD_SIGNATURE):
        w.CryptVerifySignature(handle, signature, pair)


def test_the_signature_of_tls_1_0(context: Context, token: Provider) -> None:
    pair = w.CryptGenKey(context, w.AT_KEYEXCHANGE, RSA_BITS << 16)
    handle = w.CryptCreateHash(context, w.CALG_SSL3_SHAMD5)
    value = digest_of(w.CALG_MD5) + digest_of(w.CALG_SHA1)
    w.CryptSetHashParam(handle, w.HP_HASHVAL, value)
    signature = w.CryptSignHash(handle, w.AT_KEYEXCHANGE)
    modulus, exponent = rsa_public_numbers(w.CryptExportKey(pair, None, w.PUBLICKEYBLOB))
    block = pow(int.from_bytes(signature, "little"), exponent, modulus).to_bytes(RSA_BITS // 8, "big")
    assert block == b"\0\1" + b"\xff" * (RSA_BITS // 8 - 39) + b"\0" + value
    w.CryptVerifySignature(handle, signature, pair)


def test_signatures_that_are_refused(context: Context) -> None:
    handle = hashed(context, w.CALG_SHA1)
    for spec in (w.AT_KEYEXCHANGE, w.AT_SIGNATURE, 0, 3, "1"):
        with refused(HRESULT.NTE_NO_KEY):
            w.CryptSignHash(handle, spec)  # type: ignore[arg-type]
    pair = w.CryptGenKey(context, w.AT_SIGNATURE, RSA_BITS << 16)
    with refused(INVALID_PARAMETER):
        w.CryptSignHash(handle, w.AT_SIGNATURE, "description")  # type: ignore[arg-type]
    for flags in (w.CRYPT_TYPE2_FORMAT, w.CRYPT_X931_FORMAT, 8):
        with refused(HRESULT.NTE_BAD_FLAGS):
            w.CryptSignHash(handle, w.AT_SIGNATURE, None, flags)
        with refused(HRESULT.NTE_BAD_FLAGS):
            w.CryptVerifySignature(handle, bytes(256), pair, None, flags)
    with refused(HRESULT.NTE_BAD_KEY):
        w.CryptVerifySignature(handle, bytes(256), w.CryptGenKey(context, w.CALG_AES_128, 0))


def test_a_hash_too_long_for_the_pair(token: Provider, context: Context) -> None:
    needs_bits(token, "RSA", 512)
    w.CryptGenKey(context, w.AT_SIGNATURE, 512 << 16)
    with refused(HRESULT.NTE_BAD_LEN):
        w.CryptSignHash(hashed(context, w.CALG_SHA_512), w.AT_SIGNATURE)
    assert len(w.CryptSignHash(hashed(context, w.CALG_SHA1), w.AT_SIGNATURE)) == 64


# Encryption with pairs.


@pytest.mark.parametrize("flags", [0, w.CRYPT_OAEP], ids=["PKCS1", "OAEP"])
def test_rsa_ciphertexts_are_little_endian(context: Context, flags: int) -> None:
    pair = w.CryptGenKey(context, w.AT_KEYEXCHANGE, RSA_BITS << 16)
    modulus, exponent = rsa_public_numbers(w.CryptExportKey(pair, None, w.PUBLICKEYBLOB))
    scheme = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None) if flags else padding.PKCS1v15()  # noqa: S303
    theirs = rsa.RSAPublicNumbers(exponent, modulus).public_key().encrypt(TEXT, scheme)
    assert w.CryptDecrypt(pair, None, FINAL, flags, theirs[::-1]) == TEXT
    ours = w.CryptEncrypt(w.CryptDuplicateKey(pair), None, FINAL, flags, TEXT)
    assert len(ours) == RSA_BITS // 8 and w.CryptDecrypt(pair, None, FINAL, flags, ours) == TEXT
    room = RSA_BITS // 8 - (42 if flags else 11)
    assert w.CryptDecrypt(pair, None, FINAL, flags, w.CryptEncrypt(pair, None, FINAL, flags, bytes(room))) == bytes(
        room
    )
    with refused(HRESULT.NTE_BAD_LEN):
        w.CryptEncrypt(pair, None, FINAL, flags, bytes(room + 1))
    for broken in (ours[:-1], ours + b"\0", b"", b"\xff" * len(ours)):
        with refused(HRESULT.NTE_BAD_DATA):
            w.CryptDecrypt(pair, None, FINAL, flags, broken)


def test_pairs_that_do_not_encrypt(context: Context) -> None:
    signer = w.CryptGenKey(context, w.AT_SIGNATURE, RSA_BITS << 16)
    for call in (w.CryptEncrypt, w.CryptDecrypt):
        with refused(HRESULT.NTE_BAD_KEY):
            call(signer, None, FINAL, 0, TEXT)
    exchange = w.CryptGenKey(context, w.AT_KEYEXCHANGE, RSA_BITS << 16)
    public = w.CryptImportKey(context, w.CryptExportKey(exchange, None, w.PUBLICKEYBLOB))
    ciphertext = w.CryptEncrypt(public, None, FINAL, 0, TEXT)
    with refused(HRESULT.NTE_NO_KEY):
        w.CryptDecrypt(public, None, FINAL, 0, ciphertext)
    for call in (w.CryptEncrypt, w.CryptDecrypt):
        with refused(HRESULT.NTE_BAD_FLAGS):
            call(exchange, None, FINAL, w.CRYPT_DECRYPT_RSA_NO_PADDING_CHECK, ciphertext)
