"""Hash objects, MACs and derived keys."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

import pytest
from pkcs11 import Mechanism
from support import needs
from wincrypt.helpers import (
    BLOCK_CIPHERS,
    EXPORTABLE,
    FINAL,
    HASHES,
    INVALID_HANDLE,
    INVALID_PARAMETER,
    KEY_BYTES,
    RSA_BITS,
    TEXT,
    Verify,
    digest_of,
    encrypted,
    every_hash,
    hashed,
    imported,
    key_of,
    name_of,
    needs_algid,
    plaintext_blob,
    refused,
)

from hwcng import wincrypt as w
from hwcng.capi.algids import ALGIDS
from hwcng.errors import HRESULT
from hwcng.providers.pkcs11.provider import Pkcs11Provider

if TYPE_CHECKING:
    from hwcng.capi.contexts import Context
    from hwcng.capi.handle_base import CapiKey
    from hwcng.contract.provider import Provider


@every_hash
def test_a_hash(context: Context, algid: int) -> None:
    handle = w.CryptCreateHash(context, algid)
    w.CryptHashData(handle, TEXT[:10])
    copy = w.CryptDuplicateHash(handle)
    w.CryptHashData(handle, bytearray(TEXT[10:]))
    assert w.CryptGetHashParam(handle, w.HP_ALGID) == algid
    assert w.CryptGetHashParam(handle, w.HP_HASHSIZE) == len(digest_of(algid))
    assert w.CryptGetHashParam(handle, w.HP_HASHVAL) == digest_of(algid)
    with refused(HRESULT.NTE_BAD_HASH_STATE):
        w.CryptHashData(handle, b"more")
    w.CryptHashData(copy, b"other")
    assert w.CryptGetHashParam(copy, w.HP_HASHVAL) == digest_of(algid, TEXT[:10] + b"other")


@pytest.mark.parametrize("csp", [w.MS_DEF_PROV, w.MS_STRONG_PROV, w.MS_ENH_DSS_DH_PROV])
def test_sha2_needs_the_aes_provider(verify: Verify, csp: str) -> None:
    context = verify(csp)
    assert w.CryptCreateHash(context, w.CALG_SHA1).alive
    for algid in (w.CALG_SHA_256, w.CALG_SHA_512, 0, w.CALG_RC4):
        with refused(HRESULT.NTE_BAD_ALGID):
            w.CryptCreateHash(context, algid)


def test_a_value_that_was_computed_elsewhere(context: Context) -> None:
    handle = w.CryptCreateHash(context, w.CALG_SHA1)
    with refused(HRESULT.NTE_BAD_LEN):
        w.CryptSetHashParam(handle, w.HP_HASHVAL, bytes(19))
    w.CryptSetHashParam(handle, w.HP_HASHVAL, bytes(20))
    assert w.CryptGetHashParam(handle, w.HP_HASHVAL) == bytes(20)
    for value in (bytes(20),):
        with refused(HRESULT.NTE_BAD_HASH_STATE):
            w.CryptSetHashParam(handle, w.HP_HASHVAL, value)
    tls = w.CryptCreateHash(context, w.CALG_SSL3_SHAMD5)
    assert w.CryptGetHashParam(tls, w.HP_HASHSIZE) == 36
    with refused(HRESULT.NTE_BAD_ALGID):
        w.CryptHashData(tls, TEXT)
    with refused(HRESULT.NTE_BAD_HASH_STATE):
        w.CryptGetHashParam(tls, w.HP_HASHVAL)


def test_parameters_and_flags_of_hashes(context: Context) -> None:
    handle = hashed(context, w.CALG_SHA1)
    for parameter in (0, 3, w.HP_HMAC_INFO, 99):
        with refused(HRESULT.NTE_BAD_TYPE):
            w.CryptGetHashParam(handle, parameter)
    for parameter in (w.HP_ALGID, w.HP_HASHSIZE, w.HP_TLS1PRF_LABEL, w.HP_HMAC_INFO):
        with refused(HRESULT.NTE_BAD_TYPE):
            w.CryptSetHashParam(handle, parameter, b"")
    for call in (
        lambda: w.CryptHashData(handle, b"", 2),
        lambda: w.CryptGetHashParam(handle, w.HP_HASHVAL, 1),
        lambda: w.CryptSetHashParam(handle, w.HP_HASHVAL, bytes(20), 1),
        lambda: w.CryptDuplicateHash(handle, None, 1),
        lambda: w.CryptCreateHash(context, w.CALG_SHA1, None, 1),
    ):
        with refused(HRESULT.NTE_BAD_FLAGS):
            call()
    with refused(INVALID_PARAMETER):
        w.CryptDuplicateHash(handle, b"reserved")  # type: ignore[arg-type]
    with refused(INVALID_PARAMETER):
        w.CryptHashData(handle, "text")  # type: ignore[arg-type]
    w.CryptDestroyHash(handle)
    with refused(INVALID_HANDLE):
        w.CryptDestroyHash(handle)


# MACs.


def hmac_key(context: Context, secret: bytes) -> CapiKey:
    return w.CryptImportKey(context, plaintext_blob(w.CALG_RC2, secret), None, w.CRYPT_IPSEC_HMAC_KEY)


@every_hash
@pytest.mark.parametrize("length", [1, 16, 20, 64])
def test_hmac(token: Provider, context: Context, algid: int, length: int) -> None:
    needs(token, f"HMAC-{ALGIDS[algid].algorithm}")
    secret = bytes(range(1, length + 1))
    handle = w.CryptCreateHash(context, w.CALG_HMAC, hmac_key(context, secret))
    w.CryptSetHashParam(handle, w.HP_HMAC_INFO, w.HMAC_INFO(algid))
    w.CryptHashData(handle, TEXT[:5])
    copy = w.CryptDuplicateHash(handle)
    for one in (handle, copy):
        w.CryptHashData(one, TEXT[5:])
        assert w.CryptGetHashParam(one, w.HP_HASHSIZE) == len(digest_of(algid))
        assert w.CryptGetHashParam(one, w.HP_HASHVAL) == hmac.digest(secret, TEXT, HASHES[algid])
        with refused(HRESULT.NTE_BAD_HASH_STATE):
            w.CryptHashData(one, TEXT)


def test_hmac_needs_its_hash_and_a_key(context: Context) -> None:
    key = hmac_key(context, b"secret")
    with refused(HRESULT.NTE_BAD_KEY):
        w.CryptCreateHash(context, w.CALG_HMAC)
    with refused(HRESULT.NTE_BAD_KEY):
        w.CryptCreateHash(context, w.CALG_SHA1, key)
    handle = w.CryptCreateHash(context, w.CALG_HMAC, key)
    for call in (
        lambda: w.CryptHashData(handle, TEXT),
        lambda: w.CryptGetHashParam(handle, w.HP_HASHVAL),
        lambda: w.CryptGetHashParam(handle, w.HP_HASHSIZE),
    ):
        with refused(HRESULT.NTE_BAD_HASH_STATE):
            call()
    for info, status in (
        (w.HMAC_INFO(w.CALG_AES_128), HRESULT.NTE_BAD_ALGID),
        (w.HMAC_INFO(w.CALG_MD4), HRESULT.NTE_BAD_ALGID),
        (w.HMAC_INFO(w.CALG_SHA1, b"inner"), HRESULT.NTE_NOT_SUPPORTED),
        (w.HMAC_INFO(w.CALG_SHA1, b"", b"outer"), HRESULT.NTE_NOT_SUPPORTED),
        (w.HMAC_INFO(w.CALG_SHA1, bytes(64), b"outer"), HRESULT.NTE_NOT_SUPPORTED),
        (b"\x04\x80\x00\x00", HRESULT.NTE_BAD_DATA),
    ):
        with refused(status):
            w.CryptSetHashParam(handle, w.HP_HMAC_INFO, info)
    w.CryptSetHashParam(handle, w.HP_HMAC_INFO, (w.CALG_SHA1,))
    w.CryptHashData(handle, TEXT)
    with refused(HRESULT.NTE_BAD_HASH):
        w.CryptSignHash(handle, w.AT_SIGNATURE)
    with refused(HRESULT.NTE_BAD_HASH_STATE):
        w.CryptSetHashParam(handle, w.HP_HASHVAL, bytes(20))
    w.CryptDestroyKey(key)
    with refused(HRESULT.NTE_BAD_KEY):
        w.CryptGetHashParam(handle, w.HP_HASHVAL)


def test_the_key_of_an_hmac_does_not_encrypt(context: Context) -> None:
    key = hmac_key(context, b"secret")
    assert w.CryptGetKeyParam(key, w.KP_ALGID) == w.CALG_RC2
    for call in (w.CryptEncrypt, w.CryptDecrypt):
        with refused(HRESULT.NTE_BAD_KEY):
            call(key, None, FINAL, 0, bytes(8))
    for algid in (w.CALG_AES_128, w.CALG_RC4):
        with refused(HRESULT.NTE_BAD_ALGID):
            w.CryptImportKey(context, plaintext_blob(algid, bytes(16)), None, w.CRYPT_IPSEC_HMAC_KEY)
    with refused(HRESULT.NTE_BAD_LEN):
        hmac_key(context, b"")


@pytest.mark.parametrize("length", [65, 80, 128, 129, 200, 2048])
@pytest.mark.parametrize("algid", [w.CALG_MD5, w.CALG_SHA1, w.CALG_SHA_256, w.CALG_SHA_512], ids=name_of)
def test_keys_of_hmac_have_any_length(token: Provider, context: Context, length: int, algid: int) -> None:
    """RFC 2104: what is over a block is hashed first. RFC 2202 has keys of 80 bytes in its cases 6 and 7."""
    needs(token, f"HMAC-{ALGIDS[algid].algorithm}")
    secret = bytes(number * 7 & 255 for number in range(length))
    if token.uri.startswith("tpm2:"):
        with refused(HRESULT.NTE_NOT_SUPPORTED):
            hmac_key(context, secret)
        return
    handle = w.CryptCreateHash(context, w.CALG_HMAC, hmac_key(context, secret))
    w.CryptSetHashParam(handle, w.HP_HMAC_INFO, w.HMAC_INFO(algid))
    w.CryptHashData(handle, TEXT, w.CRYPT_USERDATA)
    assert w.CryptGetHashParam(handle, w.HP_HASHVAL) == hmac.digest(secret, TEXT, HASHES[algid])


def masked(key: bytes, string: bytes) -> bytes:
    return bytes(left ^ right for left, right in zip(key.ljust(len(string), b"\0"), string, strict=True))


ZEROS, INNER, OUTER = bytes(136), bytes(range(1, 101)), bytes(range(200, 100, -1))


@pytest.mark.parametrize("algid", [w.CALG_MD5, w.CALG_SHA1], ids=name_of)
@pytest.mark.parametrize(("inner", "outer"), [(ZEROS, ZEROS), (INNER, OUTER), (INNER, b""), (b"", OUTER)])
def test_hmac_with_other_strings(token: Provider, context: Context, algid: int, inner: bytes, outer: bytes) -> None:
    """Either takes the place of RFC 2104's. A token digests its key, and masks it where there is anything over it."""
    needs(token, f"HMAC-{ALGIDS[algid].algorithm}")
    secret, digest = b"\xcc" * 17, HASHES[algid]
    handle = w.CryptCreateHash(context, w.CALG_HMAC, hmac_key(context, secret))
    w.CryptSetHashParam(handle, w.HP_HMAC_INFO, w.HMAC_INFO(algid, inner, outer))
    w.CryptHashData(handle, b"\0")
    assert w.CryptGetHashParam(handle, w.HP_HASHSIZE) == len(digest_of(algid))
    masks = isinstance(token, Pkcs11Provider) and token._offered.has(int(Mechanism.XOR_BASE_AND_DATA))
    digests = isinstance(token, Pkcs11Provider) and not any(inner + outer) and inner == outer and algid == w.CALG_SHA1
    if not masks and not digests:
        with refused(HRESULT.NTE_NOT_SUPPORTED):
            w.CryptGetHashParam(handle, w.HP_HASHVAL)
        return
    first = hashlib.new(digest, masked(secret, inner or b"\x36" * 64) + b"\0").digest()
    expected = hashlib.new(digest, masked(secret, outer or b"\x5c" * 64) + first).digest()
    assert w.CryptGetHashParam(handle, w.HP_HASHVAL) == expected
    if algid == w.CALG_MD5 and inner == outer:
        assert expected.hex() == "6d58442f9f4cd07603fce8dabd70e827"  # Windows'.


@pytest.mark.parametrize("algid", [w.CALG_MD5, w.CALG_SHA1, w.CALG_SHA_384], ids=name_of)
def test_userdata_means_nothing(context: Context, algid: int) -> None:
    handle = w.CryptCreateHash(context, algid)
    w.CryptHashData(handle, TEXT[:5], w.CRYPT_USERDATA)
    for flags in (2, w.CRYPT_USERDATA | 2, 0x80000000):
        with refused(HRESULT.NTE_BAD_FLAGS):
            w.CryptHashData(handle, TEXT, flags)
    w.CryptHashData(handle, TEXT[5:])
    assert w.CryptGetHashParam(handle, w.HP_HASHVAL) == digest_of(algid)


def test_a_ciphers_key_is_no_key_of_hmac_in_most_tokens(context: Context) -> None:
    handle = w.CryptCreateHash(context, w.CALG_HMAC, w.CryptGenKey(context, w.CALG_AES_128, 0))
    w.CryptSetHashParam(handle, w.HP_HMAC_INFO, w.HMAC_INFO(w.CALG_SHA1))
    with refused(HRESULT.NTE_BAD_KEY) as error:
        w.CryptGetHashParam(handle, w.HP_HASHVAL)
    assert "CRYPT_IPSEC_HMAC_KEY" in error.value.message


def test_an_rc4_key_of_a_password_keys_an_hmac(token: Provider, context: Context) -> None:
    """The documentation's own example."""
    needs_algid(token, w.CALG_RC4)
    key = w.CryptDeriveKey(context, w.CALG_RC4, hashed(context, w.CALG_SHA1, b"password"), 0)
    handle = w.CryptCreateHash(context, w.CALG_HMAC, key)
    w.CryptSetHashParam(handle, w.HP_HMAC_INFO, w.HMAC_INFO(w.CALG_SHA1))
    w.CryptHashData(handle, TEXT)
    expected = hmac.digest(digest_of(w.CALG_SHA1, b"password")[:16], TEXT, "sha1")
    assert w.CryptGetHashParam(handle, w.HP_HASHVAL) == expected


def test_an_hmac_key_that_the_token_makes(token: Provider, context: Context) -> None:
    if token.uri.startswith("tpm2:"):
        return
    values = []
    for key in [w.CryptGenKey(context, w.CALG_HMAC, 0) for _ in range(2)]:
        handle = w.CryptCreateHash(context, w.CALG_HMAC, key)
        w.CryptSetHashParam(handle, w.HP_HMAC_INFO, w.HMAC_INFO(w.CALG_SHA_256))
        values.append(w.CryptGetHashParam(handle, w.HP_HASHVAL))
        exchange = w.CryptGenKey(context, w.AT_KEYEXCHANGE, 1024 << 16)
        with refused(HRESULT.NTE_BAD_KEY_STATE):
            w.CryptExportKey(key, exchange, w.SIMPLEBLOB)
    assert values[0] != values[1]
    exportable = w.CryptGenKey(context, w.CALG_HMAC, EXPORTABLE)
    with refused(HRESULT.NTE_BAD_TYPE):
        w.CryptExportKey(exportable, exchange, w.SIMPLEBLOB)


@pytest.mark.parametrize("algid", BLOCK_CIPHERS, ids=name_of)
def test_a_mac_is_the_last_block_of_a_padded_message(context: Context, algid: int) -> None:
    key = imported(context, algid, key_of(algid))
    w.CryptSetKeyParam(key, w.KP_MODE, w.CRYPT_MODE_ECB)
    handle = w.CryptCreateHash(context, w.CALG_MAC, key)
    w.CryptHashData(handle, TEXT)
    block = ALGIDS[algid].block_bits // 8
    assert w.CryptGetHashParam(handle, w.HP_HASHSIZE) == block
    assert w.CryptGetHashParam(handle, w.HP_HASHVAL) == encrypted(algid, key_of(algid), TEXT)[-block:]
    assert w.CryptEncrypt(key, None, FINAL, 0, TEXT) == encrypted(algid, key_of(algid), TEXT, ecb=True)


def test_a_mac_needs_a_block_cipher(token: Provider, context: Context) -> None:
    with refused(HRESULT.NTE_BAD_KEY):
        w.CryptCreateHash(context, w.CALG_MAC, hmac_key(context, b"secret"))
    needs_algid(token, w.CALG_RC4)
    with refused(HRESULT.NTE_BAD_KEY):
        w.CryptCreateHash(context, w.CALG_MAC, w.CryptGenKey(context, w.CALG_RC4, 0))


def test_a_session_key_is_not_hashed(context: Context) -> None:
    handle, key = hashed(context, w.CALG_SHA1), w.CryptGenKey(context, w.CALG_AES_128, EXPORTABLE)
    for flags in (0, w.CRYPT_LITTLE_ENDIAN):
        with refused(HRESULT.NTE_NOT_SUPPORTED):
            w.CryptHashSessionKey(handle, key, flags)
    with refused(HRESULT.NTE_BAD_FLAGS):
        w.CryptHashSessionKey(handle, key, 2)
    with refused(HRESULT.NTE_BAD_KEY):
        w.CryptHashSessionKey(handle, w.CryptGenKey(context, w.AT_SIGNATURE, RSA_BITS << 16))
    assert w.CryptGetHashParam(handle, w.HP_HASHVAL) == digest_of(w.CALG_SHA1)


# Derived keys.


def derived(algid: int, digest: bytes, hash_name: str) -> bytes:
    """The key by the documented steps, counted out byte by byte."""
    length = KEY_BYTES[algid]
    sha2 = hash_name in ("sha256", "sha384", "sha512")
    if length <= len(digest) and (sha2 or algid in (w.CALG_RC2, w.CALG_RC4, w.CALG_DES, w.CALG_3DES_112)):
        return digest[:length]
    inner, outer = bytearray([0x36] * 64), bytearray([0x5C] * 64)
    for position, octet in enumerate(digest):
        inner[position] ^= octet
        outer[position] ^= octet
    joined = b"".join(hashlib.new(hash_name, bytes(block), usedforsecurity=False).digest() for block in (inner, outer))
    return joined[:length]


@every_hash
@pytest.mark.parametrize("algid_of_key", KEY_BYTES, ids=name_of)
def test_a_derived_key(token: Provider, context: Context, algid: int, algid_of_key: int) -> None:
    needs_algid(token, algid_of_key)
    handle = hashed(context, algid, b"password")
    key = w.CryptDeriveKey(context, algid_of_key, handle, 0)
    secret = derived(algid_of_key, digest_of(algid, b"password"), HASHES[algid])
    assert w.CryptEncrypt(key, None, FINAL, 0, TEXT) == encrypted(algid_of_key, secret, TEXT)
    with refused(HRESULT.NTE_BAD_HASH_STATE):
        w.CryptHashData(handle, b"more")
    assert w.CryptGetKeyParam(key, w.KP_PERMISSIONS) == 0x3B


@pytest.mark.parametrize("algid", [w.CALG_RC2, w.CALG_RC4], ids=name_of)
@pytest.mark.parametrize(
    ("flags", "salt"), [(0, bytes(11)), (w.CRYPT_NO_SALT, b""), (w.CRYPT_CREATE_SALT, digest_of(w.CALG_MD5)[5:])]
)
def test_salts_of_derived_keys(token: Provider, verify: Verify, algid: int, flags: int, salt: bytes) -> None:
    """CRYPT_CREATE_SALT takes what the hash has left."""
    needs_algid(token, algid)
    context = verify(w.MS_DEF_PROV)
    key = w.CryptDeriveKey(context, algid, hashed(context, w.CALG_MD5), flags)
    assert w.CryptGetKeyParam(key, w.KP_SALT) == salt and w.CryptGetKeyParam(key, w.KP_KEYLEN) == 40
    if algid == w.CALG_RC4:
        expected = encrypted(algid, digest_of(w.CALG_MD5)[:5] + salt, TEXT)
        assert w.CryptEncrypt(key, None, FINAL, 0, TEXT) == expected


@pytest.mark.parametrize(
    ("algid", "csp", "first", "ciphertext"),
    [
        (w.CALG_RC4, w.MS_DEF_PROV, "", "2faceaeaff687e77f4b9487c4e79a6b5"),
        (w.CALG_RC4, w.MS_STRONG_PROV, "", "2faceaeaff687e77f4b9487c4e79a6b5"),
        (w.CALG_RC4, w.MS_ENHANCED_PROV, "", "41e633c950a1bf88124dd3e347886da5"),
        (
            w.CALG_RC2,
            w.MS_DEF_PROV,
            "23c87013422ea8985cdf7a9beadb961b",
            "8c4ea6009b15ef9e8881d065d65357080a7780fa7e891455",
        ),
        (
            w.CALG_RC2,
            w.MS_STRONG_PROV,
            "8281f7ffddd7888c2a2ac0ce4c89b666",
            "b933b67a35c30688bfd5ccaf14aee231c69aaa3f052f22da",
        ),
        (
            w.CALG_RC2,
            w.MS_ENHANCED_PROV,
            "8281f7ffddd7888c2a2ac0ce4c89b666",
            "a3d741877ad018dbd46a4feef3cacd34b3159a2a885f43a5",
        ),
    ],
)
def test_salted_keys_are_those_of_windows(
    token: Provider, verify: Verify, algid: int, csp: str, first: str, ciphertext: str
) -> None:
    """Published values of Windows: the Enhanced provider gives no salt to a derived key with CRYPT_CREATE_SALT."""
    needs_algid(token, algid)
    context = verify(csp)
    counted = bytes(number & 255 for number in range(2000))
    data = bytes.fromhex(first) + counted[len(first) // 2 :]
    key = w.CryptDeriveKey(context, algid, hashed(context, w.CALG_MD5, data), 40 << 16 | w.CRYPT_CREATE_SALT)
    assert len(w.CryptGetKeyParam(key, w.KP_SALT)) == (0 if csp == w.MS_ENHANCED_PROV else 11)  # type: ignore[arg-type]
    assert w.CryptEncrypt(key, None, FINAL, 0, b"\xaf" * 16).hex() == ciphertext


def test_derivations_that_are_refused(context: Context) -> None:
    def base() -> object:
        return hashed(context, w.CALG_SHA1)

    for algid in (w.AT_KEYEXCHANGE, w.CALG_RSA_KEYX, w.CALG_SHA1, w.CALG_HMAC, 0, w.CALG_AES):
        with refused(HRESULT.NTE_BAD_ALGID):
            w.CryptDeriveKey(context, algid, base(), 0)  # type: ignore[arg-type]
    with refused(INVALID_PARAMETER):
        w.CryptDeriveKey(context, w.CALG_AES_128, base(), 256 << 16)  # type: ignore[arg-type]
    for flags in (w.CRYPT_PREGEN, w.CRYPT_USER_PROTECTED, 0x20, -1):
        with refused(HRESULT.NTE_BAD_FLAGS):
            w.CryptDeriveKey(context, w.CALG_AES_128, base(), flags)  # type: ignore[arg-type]
    mac = w.CryptCreateHash(context, w.CALG_HMAC, hmac_key(context, b"secret"))
    with refused(HRESULT.NTE_BAD_HASH):
        w.CryptDeriveKey(context, w.CALG_AES_128, mac, 0)
    with refused(INVALID_HANDLE):
        w.CryptDeriveKey(context, w.CALG_AES_128, None, 0)  # type: ignore[arg-type]
