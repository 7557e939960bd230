"""CryptExportKey and CryptImportKey: every blob against one built by its documented layout."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from conformance.helpers import capi_private_blob, token_attributes
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from support import missing_on, needs_bits
from wincrypt.helpers import (
    CIPHERS,
    EXPORTABLE,
    FINAL,
    RSA_BITS,
    TEXT,
    encrypted,
    hashed,
    imported,
    key_of,
    name_of,
    needs_algid,
    needs_wrapping,
    plaintext_blob,
    refused,
    rsa_public_numbers,
)

from hwcng import CngError
from hwcng import wincrypt as w
from hwcng.capi.algids import ALGIDS
from hwcng.errors import HRESULT

if TYPE_CHECKING:
    from hwcng.capi.contexts import Context
    from hwcng.capi.handle_base import CapiKey
    from hwcng.contract.provider import Provider

every_cipher = pytest.mark.parametrize("algid", CIPHERS, ids=name_of)
SHA1_OAEP = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)  # noqa: S303
PADDINGS = {0: padding.PKCS1v15(), w.CRYPT_OAEP: SHA1_OAEP}
paddings = pytest.mark.parametrize("flags", PADDINGS, ids=["PKCS1", "OAEP"])


@pytest.fixture
def exchange(context: Context) -> CapiKey:
    return w.CryptGenKey(context, w.AT_KEYEXCHANGE, RSA_BITS << 16 | EXPORTABLE)


@pytest.fixture(scope="module")
def host_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, RSA_BITS)


def public_blob(key: rsa.RSAPublicKey, algid: int = w.CALG_RSA_KEYX) -> bytes:
    numbers = key.public_numbers()
    size = key.key_size // 8
    return (
        struct.pack("<BBHI", 6, 2, 0, algid)
        + b"RSA1"
        + struct.pack("<2I", key.key_size, numbers.e)
        + numbers.n.to_bytes(size, "little")
    )


def simple_blob(algid: int, wrapped: bytes) -> bytes:
    return struct.pack("<BBHI", 1, 2, 0, algid) + struct.pack("<I", w.CALG_RSA_KEYX) + wrapped[::-1]


# Public keys.


@pytest.mark.parametrize("algid", [w.CALG_RSA_KEYX, w.CALG_RSA_SIGN])
def test_the_public_blob_of_a_pair(context: Context, algid: int) -> None:
    key = w.CryptGenKey(context, algid, RSA_BITS << 16)
    blob = w.CryptExportKey(key, None, w.PUBLICKEYBLOB)
    modulus, exponent = rsa_public_numbers(blob)
    assert modulus.bit_length() == RSA_BITS and exponent == 65537
    assert int.from_bytes(blob[4:8], "little") == algid
    handle = hashed(context, w.CALG_SHA1)
    signature = w.CryptSignHash(handle, w.AT_KEYEXCHANGE if algid == w.CALG_RSA_KEYX else w.AT_SIGNATURE)
    host = rsa.RSAPublicNumbers(exponent, modulus).public_key()
    host.verify(signature[::-1], TEXT, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303


@pytest.mark.parametrize("algid", [w.CALG_RSA_KEYX, w.CALG_RSA_SIGN])
def test_a_public_blob_of_the_hosts(context: Context, host_key: rsa.RSAPrivateKey, algid: int) -> None:
    blob = public_blob(host_key.public_key(), algid)
    key = w.CryptImportKey(context, blob)
    assert w.CryptGetKeyParam(key, w.KP_ALGID) == algid
    assert w.CryptGetKeyParam(key, w.KP_KEYLEN) == w.CryptGetKeyParam(key, w.KP_BLOCKLEN) == RSA_BITS
    assert w.CryptExportKey(key, None, w.PUBLICKEYBLOB) == blob
    signature = host_key.sign(TEXT, padding.PKCS1v15(), hashes.SHA1())[::-1]  # noqa: S303
    w.CryptVerifySignature(hashed(context, w.CALG_SHA1), signature, key)
    with refused(HRESULT.NTE_NO_KEY):
        w.CryptExportKey(key, None, w.PRIVATEKEYBLOB)
    with refused(HRESULT.NTE_NO_KEY):
        w.CryptGetUserKey(context, w.AT_KEYEXCHANGE)


@pytest.mark.parametrize("top", [0x11, 0x01, 0x7F, 0xFF])
def test_a_modulus_with_zero_top_bits_keeps_its_announced_length(context: Context, top: int) -> None:
    blob = struct.pack("<BBHI4s2I", 6, 2, 0, w.CALG_RSA_KEYX, b"RSA1", 512, 65537) + b"\x11" * 63 + bytes([top])
    key = w.CryptImportKey(context, blob)
    for one in (key, w.CryptDuplicateKey(key)):
        assert w.CryptExportKey(one, None, w.PUBLICKEYBLOB) == blob
        assert w.CryptGetKeyParam(one, w.KP_KEYLEN) == 512
        assert len(w.CryptEncrypt(one, None, FINAL, 0, TEXT)) == 64


def test_short_moduli_are_the_hosts_business(context: Context) -> None:
    """A public key of 384 bits is in no token, and what it verifies can be checked all the same."""
    prime_product = 0xC4A1E1C5B1F0A95B6A1D9E3F6C2F5D1F87A3C1D2E4F50617283940516273849FABCDEF0123456789ABCDEF0123456789
    blob = struct.pack("<BBHI", 6, 2, 0, w.CALG_RSA_SIGN) + b"RSA1" + struct.pack("<2I", 384, 3)
    key = w.CryptImportKey(context, blob + (prime_product | 1).to_bytes(48, "little"))
    assert w.CryptGetKeyParam(key, w.KP_KEYLEN) == 384
    with refused(HRESULT.NTE_BAD_SIGNATURE):
        w.CryptVerifySignature(hashed(context, w.CALG_SHA1), bytes(48), key)


def mutations(blob: bytes) -> dict[str, tuple[bytes, HRESULT]]:
    data, version = HRESULT.NTE_BAD_DATA, HRESULT.NTE_BAD_VER
    return {
        "empty": (b"", data),
        "header cut": (blob[:7], data),
        "header alone": (blob[:8], data),
        "no modulus": (blob[:20], data),
        "one byte short": (blob[:-1], data),
        "one byte long": (blob + b"\0", data),
        "version 1": (blob[:1] + b"\1" + blob[2:], version),
        "version 4": (blob[:1] + b"\4" + blob[2:], version),
        "unknown type": (b"\x0f" + blob[1:], HRESULT.NTE_BAD_TYPE),
        "unknown algorithm": (blob[:4] + b"\0\0\0\0" + blob[8:], HRESULT.NTE_BAD_ALGID),
        "a hash's algorithm": (blob[:4] + struct.pack("<I", w.CALG_MD5) + blob[8:], HRESULT.NTE_BAD_ALGID),
        "magic of a private key": (blob[:8] + b"RSA2" + blob[12:], data),
        "even modulus": (blob[:20] + bytes([blob[20] & 0xFE]) + blob[21:], data),
        "exponent 1": (blob[:16] + b"\1\0\0\0" + blob[20:], data),
        "exponent 2": (blob[:16] + b"\2\0\0\0" + blob[20:], data),
        "length that is not the modulus'": (blob[:-1] + b"\0", data),
        "length under the modulus'": (blob[:12] + struct.pack("<I", RSA_BITS - 1) + blob[16:], data),
        "length of a gigabyte": (blob[:12] + b"\xf8\xff\xff\xff" + blob[16:], data),
    }


@pytest.mark.parametrize("mutation", mutations(bytes(24)))
def test_malformed_public_blobs(context: Context, host_key: rsa.RSAPrivateKey, mutation: str) -> None:
    blob, status = mutations(public_blob(host_key.public_key()))[mutation]
    with refused(status):
        w.CryptImportKey(context, blob)


# Private keys.


@pytest.fixture
def private_numbers(token: Provider, host_key: rsa.RSAPrivateKey) -> rsa.RSAPrivateNumbers:
    needs_bits(token, "RSA", RSA_BITS)
    return host_key.private_numbers()


@pytest.mark.parametrize(("algid", "spec"), [(w.CALG_RSA_KEYX, w.AT_KEYEXCHANGE), (w.CALG_RSA_SIGN, w.AT_SIGNATURE)])
@pytest.mark.parametrize("flags", [0, EXPORTABLE])
def test_a_private_blob_becomes_the_containers_pair(
    context: Context, private_numbers: rsa.RSAPrivateNumbers, algid: int, spec: int, flags: int
) -> None:
    blob = capi_private_blob(private_numbers)
    key = w.CryptImportKey(context, blob[:4] + struct.pack("<I", algid) + blob[8:], None, flags)
    stored = w.CryptGetUserKey(context, spec)
    for pair in (key, stored):
        assert rsa_public_numbers(w.CryptExportKey(pair, None, w.PUBLICKEYBLOB))[0] == private_numbers.public_numbers.n
        assert w.CryptGetKeyParam(pair, w.KP_PERMISSIONS) == (0x3F if flags else 0x3B)
        with refused(HRESULT.NTE_BAD_KEY_STATE):
            w.CryptExportKey(pair, None, w.PRIVATEKEYBLOB)
    signature = w.CryptSignHash(hashed(context, w.CALG_SHA_256), spec)
    host = private_numbers.public_numbers.public_key()
    host.verify(signature[::-1], TEXT, padding.PKCS1v15(), hashes.SHA256())


@pytest.mark.parametrize("cut", [1, 2, RSA_BITS // 16, RSA_BITS // 8 - 1, RSA_BITS // 8])
def test_a_private_blob_may_end_in_its_exponent(
    context: Context, private_numbers: rsa.RSAPrivateNumbers, cut: int
) -> None:
    """p, q and e tell d, which Windows takes cut or missing."""
    w.CryptImportKey(context, capi_private_blob(private_numbers)[:-cut])
    signature = w.CryptSignHash(hashed(context, w.CALG_SHA_256), w.AT_KEYEXCHANGE)
    host = private_numbers.public_numbers.public_key()
    host.verify(signature[::-1], TEXT, padding.PKCS1v15(), hashes.SHA256())


@pytest.mark.parametrize("position", [0, 1, 8, 12, 20, 300, -1])
def test_malformed_private_blobs(context: Context, private_numbers: rsa.RSAPrivateNumbers, position: int) -> None:
    blob = bytearray(capi_private_blob(private_numbers))
    if position == -1:
        blob = blob[: 20 + RSA_BITS // 8 + 5 * (RSA_BITS // 16) - 1]
    else:
        blob[position] ^= 0x40
    with pytest.raises(CngError) as error:
        w.CryptImportKey(context, bytes(blob))
    assert error.value.status in (HRESULT.NTE_BAD_DATA, HRESULT.NTE_BAD_VER, HRESULT.NTE_BAD_TYPE)
    with refused(HRESULT.NTE_NO_KEY):
        w.CryptGetUserKey(context, w.AT_KEYEXCHANGE)


def test_an_encrypted_private_blob_would_be_decrypted_on_the_host(context: Context) -> None:
    session = w.CryptGenKey(context, w.CALG_AES_128, 0)
    blob = struct.pack("<BBHI", 7, 2, 0, w.CALG_RSA_KEYX) + bytes(100)
    with refused(HRESULT.NTE_NOT_SUPPORTED):
        w.CryptImportKey(context, blob, session)


def test_a_silent_context_imports_nothing_that_asks(
    verify: Callable[..., Context], private_numbers: rsa.RSAPrivateNumbers
) -> None:
    with refused(HRESULT.NTE_SILENT_CONTEXT):
        w.CryptImportKey(verify(flags=w.CRYPT_SILENT), capi_private_blob(private_numbers), None, w.CRYPT_USER_PROTECTED)


# Session keys.


@every_cipher
def test_a_plaintext_blob_goes_in_and_never_comes_out(context: Context, algid: int) -> None:
    key = imported(context, algid, key_of(algid), EXPORTABLE)
    assert w.CryptEncrypt(key, None, FINAL, 0, TEXT) == encrypted(algid, key_of(algid), TEXT)
    with refused(HRESULT.NTE_BAD_KEY_STATE):
        w.CryptExportKey(key, None, w.PLAINTEXTKEYBLOB)
    assert key_of(algid).hex() not in repr(key) + str(vars(key))


@every_cipher
def test_plaintext_blobs_of_wrong_lengths(token: Provider, context: Context, algid: int) -> None:
    needs_algid(token, algid)
    good = key_of(algid)
    for blob in (
        plaintext_blob(algid, b""),
        plaintext_blob(algid, good + bytes(24)),
        plaintext_blob(algid, good, announced=len(good) + 1),
        plaintext_blob(algid, good, announced=len(good) - 1),
        plaintext_blob(algid, good)[:11],
    ):
        with refused(HRESULT.NTE_BAD_DATA):
            w.CryptImportKey(context, blob)
    if ALGIDS[algid].fixed:
        with refused(HRESULT.NTE_BAD_DATA):
            w.CryptImportKey(context, plaintext_blob(algid, good[:-1]))


@every_cipher
@paddings
def test_a_simple_blob_for_the_host(
    token: Provider, context: Context, host_key: rsa.RSAPrivateKey, algid: int, flags: int
) -> None:
    needs_wrapping(token)
    key = imported(context, algid, key_of(algid), EXPORTABLE)
    theirs = w.CryptImportKey(context, public_blob(host_key.public_key()))
    blob = w.CryptExportKey(key, theirs, w.SIMPLEBLOB, flags)
    assert blob[:12] == struct.pack("<BBHI", 1, 2, 0, algid) + struct.pack("<I", w.CALG_RSA_KEYX)
    secret = host_key.decrypt(blob[12:][::-1], PADDINGS[flags])
    assert secret == key_of(algid)


@every_cipher
@paddings
def test_a_simple_blob_of_the_hosts_is_unwrapped_inside(
    token: Provider, context: Context, exchange: CapiKey, algid: int, flags: int
) -> None:
    needs_wrapping(token)
    needs_algid(token, algid)
    modulus, exponent = rsa_public_numbers(w.CryptExportKey(exchange, None, w.PUBLICKEYBLOB))
    host = rsa.RSAPublicNumbers(exponent, modulus).public_key()
    blob = simple_blob(algid, host.encrypt(key_of(algid), PADDINGS[flags]))
    for pair in (None, exchange):
        key = w.CryptImportKey(context, blob, pair, flags)
        assert w.CryptEncrypt(key, None, FINAL, 0, TEXT) == encrypted(algid, key_of(algid), TEXT)
        assert w.CryptGetKeyParam(key, w.KP_KEYLEN) == 8 * len(key_of(algid))
        assert token_attributes(key, "SENSITIVE", "EXTRACTABLE") == [b"\1", b"\0"]
    exportable = w.CryptImportKey(context, blob, None, flags | EXPORTABLE)
    assert token_attributes(exportable, "SENSITIVE", "EXTRACTABLE") == [b"\1", b"\1"]
    assert w.CryptExportKey(exportable, exchange, w.SIMPLEBLOB)


@pytest.mark.parametrize("length", [1, 8, 15, 17, 24, 32])
def test_a_simple_blob_with_a_key_of_another_length(
    token: Provider, context: Context, exchange: CapiKey, length: int
) -> None:
    needs_wrapping(token)
    modulus, exponent = rsa_public_numbers(w.CryptExportKey(exchange, None, w.PUBLICKEYBLOB))
    host = rsa.RSAPublicNumbers(exponent, modulus).public_key()
    with refused(HRESULT.NTE_BAD_DATA) as error:
        w.CryptImportKey(
            context, simple_blob(w.CALG_AES_128, host.encrypt(bytes(length), SHA1_OAEP)), None, w.CRYPT_OAEP
        )
    assert error.value.message == "decryption error"


@paddings
@pytest.mark.parametrize("more", [1, 8, 200])
def test_bytes_behind_a_simple_blob_are_not_read(
    token: Provider, context: Context, exchange: CapiKey, flags: int, more: int
) -> None:
    needs_wrapping(token)
    session = w.CryptGenKey(context, w.CALG_AES_128, EXPORTABLE)
    blob = w.CryptExportKey(session, exchange, w.SIMPLEBLOB, flags)
    other = w.CryptImportKey(context, blob + b"\xee" * more, exchange, flags)
    assert w.CryptEncrypt(other, None, FINAL, 0, TEXT) == w.CryptEncrypt(session, None, FINAL, 0, TEXT)


def test_simple_blobs_that_are_none(token: Provider, context: Context, exchange: CapiKey) -> None:
    needs_wrapping(token)
    blob = w.CryptExportKey(w.CryptGenKey(context, w.CALG_AES_128, EXPORTABLE), exchange, w.SIMPLEBLOB, w.CRYPT_OAEP)
    for broken, status in (
        (blob[:-1], HRESULT.NTE_BAD_DATA),
        (blob[:11], HRESULT.NTE_BAD_DATA),
        (blob[:40] + bytes([blob[40] ^ 1]) + blob[41:], HRESULT.NTE_BAD_DATA),
        (blob[:8] + struct.pack("<I", w.CALG_RSA_SIGN) + blob[12:], HRESULT.NTE_BAD_ALGID),
        (blob[:4] + struct.pack("<I", w.CALG_RSA_KEYX) + blob[8:], HRESULT.NTE_BAD_ALGID),
    ):
        with refused(status):
            w.CryptImportKey(context, broken, None, w.CRYPT_OAEP)
    signer = w.CryptGenKey(context, w.AT_SIGNATURE, RSA_BITS << 16)
    public = w.CryptImportKey(context, w.CryptExportKey(exchange, None, w.PUBLICKEYBLOB))
    session = w.CryptGenKey(context, w.CALG_AES_128, EXPORTABLE)
    for key, status in (
        (signer, HRESULT.NTE_BAD_KEY),
        (session, HRESULT.NTE_BAD_KEY),
        (public, HRESULT.NTE_NO_KEY),
    ):
        with refused(status):
            w.CryptImportKey(context, blob, key, w.CRYPT_OAEP)
    for key, status in (
        (signer, HRESULT.NTE_BAD_KEY),
        (session, HRESULT.NTE_BAD_KEY),
        (None, HRESULT.NTE_BAD_PUBLIC_KEY),
    ):
        with refused(status):
            w.CryptExportKey(session, key, w.SIMPLEBLOB)


def test_a_simple_blob_without_an_exchange_pair(context: Context) -> None:
    with refused(HRESULT.NTE_NO_KEY):
        w.CryptImportKey(context, simple_blob(w.CALG_AES_128, bytes(256)))


def test_a_tpm_wraps_nothing(token: Provider, context: Context, exchange: CapiKey) -> None:
    if not token.uri.startswith("tpm2:"):
        return
    with refused(HRESULT.NTE_NOT_SUPPORTED):
        w.CryptExportKey(w.CryptGenKey(context, w.CALG_AES_128, EXPORTABLE), exchange, w.SIMPLEBLOB)
    with refused(HRESULT.NTE_NOT_SUPPORTED):
        w.CryptImportKey(context, simple_blob(w.CALG_AES_128, bytes(256)))


def test_a_key_too_long_for_the_exchange_key(token: Provider, context: Context) -> None:
    needs_wrapping(token)
    small = w.CryptGenKey(context, w.AT_KEYEXCHANGE, 512 << 16)
    with refused(HRESULT.NTE_BAD_LEN):
        w.CryptExportKey(w.CryptGenKey(context, w.CALG_AES_256, EXPORTABLE), small, w.SIMPLEBLOB, w.CRYPT_OAEP)


# The token's own form.


def opaque(token: Provider, key: CapiKey) -> bytes:

    try:
        return w.CryptExportKey(key, None, w.OPAQUEKEYBLOB)
    except CngError as error:
        if error.status is HRESULT.NTE_BAD_KEY_STATE:
            raise
        missing_on(token, "opaque blobs")


def test_an_opaque_blob_of_a_session_key(token: Provider, context: Context) -> None:
    key = w.CryptGenKey(context, w.CALG_AES_128, EXPORTABLE)
    blob = opaque(token, key)
    assert blob[:8] == struct.pack("<BBHI", 9, 2, 0, w.CALG_AES_128)
    again = w.CryptImportKey(context, blob)
    assert w.CryptDecrypt(again, None, FINAL, 0, w.CryptEncrypt(key, None, FINAL, 0, TEXT)) == TEXT
    with refused(HRESULT.NTE_BAD_KEY_STATE):
        w.CryptExportKey(w.CryptGenKey(context, w.CALG_AES_128, 0), None, w.OPAQUEKEYBLOB)
    # A TPM's blob is a PEM file, whose last end of line may be missing.
    for broken in (blob.rstrip()[:-1], blob[:30] + bytes([blob[30] ^ 1]) + blob[31:]):
        with refused(HRESULT.NTE_BAD_DATA):
            w.CryptImportKey(context, broken)
    with refused(HRESULT.NTE_BAD_DATA):
        w.CryptImportKey(context, blob[:4] + struct.pack("<I", w.CALG_RSA_KEYX) + blob[8:])


def test_an_opaque_blob_of_a_pair(token: Provider, context: Context, exchange: CapiKey) -> None:
    blob = opaque(token, exchange)
    ciphertext = w.CryptEncrypt(exchange, None, FINAL, 0, TEXT)
    w.CryptGenKey(context, w.AT_KEYEXCHANGE, RSA_BITS << 16)
    again = w.CryptImportKey(context, blob)
    assert w.CryptDecrypt(again, None, FINAL, 0, ciphertext) == TEXT
    assert w.CryptDecrypt(w.CryptGetUserKey(context, w.AT_KEYEXCHANGE), None, FINAL, 0, ciphertext) == TEXT
    with refused(HRESULT.NTE_BAD_KEY_STATE):
        w.CryptExportKey(w.CryptGenKey(context, w.AT_SIGNATURE, RSA_BITS << 16), None, w.OPAQUEKEYBLOB)


# Types and flags.


@pytest.mark.parametrize("kind", [0, 2, w.PUBLICKEYBLOBEX, w.SYMMETRICWRAPKEYBLOB, w.KEYSTATEBLOB, 99])
def test_blob_types_that_are_not_served(context: Context, exchange: CapiKey, kind: int) -> None:
    with refused(HRESULT.NTE_BAD_TYPE):
        w.CryptExportKey(exchange, None, kind)
    with refused(HRESULT.NTE_BAD_TYPE):
        w.CryptImportKey(context, struct.pack("<BBHI", kind, 2, 0, w.CALG_RSA_KEYX) + bytes(20))


@pytest.mark.parametrize(
    ("algid", "kind"),
    [
        (w.CALG_AES_128, w.PUBLICKEYBLOB),
        (w.CALG_AES_128, w.PRIVATEKEYBLOB),
        (w.CALG_RSA_KEYX, w.SIMPLEBLOB),
        (w.CALG_RSA_KEYX, w.PLAINTEXTKEYBLOB),
    ],
)
def test_blobs_of_the_other_kind_of_key(context: Context, algid: int, kind: int) -> None:
    key = w.CryptGenKey(context, algid, RSA_BITS << 16 if algid == w.CALG_RSA_KEYX else EXPORTABLE)
    with refused(HRESULT.NTE_BAD_KEY):
        w.CryptExportKey(key, None, kind)
    blob: Any = struct.pack("<BBHI", kind, 2, 0, algid) + struct.pack("<I", 16) + bytes(16)
    with refused(HRESULT.NTE_BAD_ALGID):
        w.CryptImportKey(context, blob)


@pytest.mark.parametrize("flags", [w.CRYPT_DESTROYKEY, w.CRYPT_SSL2_FALLBACK, w.CRYPT_Y_ONLY, 0x8, 0x100, 1 << 31])
def test_flags_of_export(exchange: CapiKey, flags: int) -> None:
    with refused(HRESULT.NTE_BAD_FLAGS):
        w.CryptExportKey(exchange, None, w.PUBLICKEYBLOB, flags)


@pytest.mark.parametrize("flags", [0x4, 0x8, 0x20, 0x200, 1 << 31])
def test_flags_of_import(context: Context, host_key: rsa.RSAPrivateKey, flags: int) -> None:
    with refused(HRESULT.NTE_BAD_FLAGS):
        w.CryptImportKey(context, public_blob(host_key.public_key()), None, flags)
