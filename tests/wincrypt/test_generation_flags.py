"""The flags of CryptGenKey: what leaves the token, salts, whom a context asks, and those that do nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from wincrypt.helpers import (
    EXPORTABLE,
    FINAL,
    INVALID_HANDLE,
    RSA_BITS,
    TEXT,
    Verify,
    encrypted,
    imported,
    name_of,
    needs_aes,
    needs_algid,
    needs_wrapping,
    refused,
)

from hwcng import wincrypt as w
from hwcng.errors import HRESULT
from hwcng.testing.faults import FaultInjector

if TYPE_CHECKING:
    from hwcng.capi.contexts import Context
    from hwcng.contract.provider import Provider


NOT_USED = (
    w.CRYPT_ONLINE,
    w.CRYPT_SF,
    w.CRYPT_CREATE_IV,
    w.CRYPT_KEK,
    w.CRYPT_DATA_KEY,
    w.CRYPT_VOLATILE,
    w.CRYPT_SGCKEY,
    w.CRYPT_INITIATOR,
    w.CRYPT_RECIPIENT,
)


@pytest.mark.row("CGK-10")
def test_an_exportable_session_key_leaves_wrapped(token: Provider, context: Context) -> None:
    needs_wrapping(token)
    needs_aes(token)
    exchange = w.CryptGenKey(context, w.AT_KEYEXCHANGE, RSA_BITS << 16)
    assert w.CryptExportKey(w.CryptGenKey(context, w.CALG_AES_128, EXPORTABLE), exchange, w.SIMPLEBLOB)
    with refused(HRESULT.NTE_BAD_KEY_STATE):
        w.CryptExportKey(w.CryptGenKey(context, w.CALG_AES_128, 0), exchange, w.SIMPLEBLOB)


@pytest.mark.row("CGK-10")
@pytest.mark.parametrize("flags", [0, EXPORTABLE])
def test_plaintext_never_leaves(context: Context, flags: int) -> None:
    session = w.CryptGenKey(context, w.CALG_AES_128, flags)
    pair = w.CryptGenKey(context, w.AT_KEYEXCHANGE, RSA_BITS << 16 | flags)
    with refused(HRESULT.NTE_BAD_KEY_STATE):
        w.CryptExportKey(session, None, w.PLAINTEXTKEYBLOB)
    with refused(HRESULT.NTE_BAD_KEY_STATE):
        w.CryptExportKey(pair, None, w.PRIVATEKEYBLOB)
    assert w.CryptExportKey(pair, None, w.PUBLICKEYBLOB)


CKR_MECHANISM_INVALID = 0x70


@pytest.mark.row("CGK-03")
@pytest.mark.parametrize("algid", [w.CALG_3DES_112, w.CALG_3DES, w.CALG_DES], ids=name_of)
def test_a_cipher_whose_keys_the_token_does_not_make(token: Provider, context: Context, algid: int) -> None:
    """DES keys of one, two and three parts are algorithms, and no lengths of one."""
    needs_algid(token, algid)
    with FaultInjector(token) as faults:
        faults.fail("C_GenerateKey", CKR_MECHANISM_INVALID)
        with refused(HRESULT.NTE_BAD_ALGID):
            w.CryptGenKey(context, algid, 0)


SALTED = pytest.mark.parametrize("algid", [w.CALG_RC2, w.CALG_RC4], ids=name_of)


@pytest.mark.row("CGK-11")
@SALTED
@pytest.mark.parametrize("csp", [w.MS_DEF_PROV, w.MS_STRONG_PROV])
def test_create_salt(token: Provider, verify: Verify, algid: int, csp: str) -> None:
    needs_algid(token, algid)
    context = verify(csp)
    salts = []
    for _ in range(2):
        key = w.CryptGenKey(context, algid, 40 << 16 | w.CRYPT_CREATE_SALT)
        salts.append(w.CryptGetKeyParam(key, w.KP_SALT))
        assert w.CryptDecrypt(key, None, FINAL, 0, w.CryptEncrypt(key, None, FINAL, 0, TEXT)) == TEXT
    assert salts[0] != salts[1]
    assert all(isinstance(salt, bytes) and len(salt) == 11 for salt in salts)


@pytest.mark.row("CGK-11")
@SALTED
@pytest.mark.parametrize("bits", [40, 56])
@pytest.mark.parametrize(
    ("csp", "size"),
    [(w.MS_DEF_PROV, 11), (w.MS_DEF_DSS_DH_PROV, 11), (w.MS_ENHANCED_PROV, 0), (w.MS_ENH_RSA_AES_PROV, 0)],
)
def test_created_salts_have_the_length_of_the_provider(
    token: Provider, verify: Verify, algid: int, bits: int, csp: str, size: int
) -> None:
    needs_algid(token, algid)
    salt = w.CryptGetKeyParam(w.CryptGenKey(verify(csp), algid, bits << 16 | w.CRYPT_CREATE_SALT), w.KP_SALT)
    assert isinstance(salt, bytes) and len(salt) == size and any(salt) == bool(size)


@pytest.mark.row("CGK-11")
@SALTED
def test_the_salt_is_kept_beside_a_simple_blob(token: Provider, verify: Verify, algid: int) -> None:
    needs_algid(token, algid)
    context = verify(w.MS_DEF_PROV)
    exchange = w.CryptGenKey(context, w.AT_KEYEXCHANGE, 1024 << 16)
    key = w.CryptGenKey(context, algid, w.CRYPT_CREATE_SALT | EXPORTABLE)
    ciphertext = w.CryptEncrypt(key, None, FINAL, 0, TEXT)
    other = w.CryptImportKey(context, w.CryptExportKey(key, exchange, w.SIMPLEBLOB))
    assert w.CryptGetKeyParam(other, w.KP_SALT) == bytes(11)
    assert w.CryptEncrypt(other, None, FINAL, 0, TEXT) != ciphertext
    w.CryptSetKeyParam(other, w.KP_SALT, w.CryptGetKeyParam(key, w.KP_SALT))
    assert w.CryptEncrypt(other, None, FINAL, 0, TEXT) == ciphertext


@pytest.mark.row("CGK-12")
@SALTED
@pytest.mark.parametrize(
    ("bits", "flags", "salt"), [(40, 0, bytes(11)), (40, w.CRYPT_NO_SALT, b""), (48, 0, b""), (56, 0, b"")]
)
def test_default_salts(token: Provider, verify: Verify, algid: int, bits: int, flags: int, salt: bytes) -> None:
    needs_algid(token, algid)
    for csp in (w.MS_DEF_PROV, w.MS_STRONG_PROV):
        assert w.CryptGetKeyParam(w.CryptGenKey(verify(csp), algid, bits << 16 | flags), w.KP_SALT) == salt


@pytest.mark.row("CGK-12")
def test_a_salt_of_zeros_is_not_no_salt(token: Provider, verify: Verify) -> None:
    context = verify(w.MS_DEF_PROV)
    secret = b"\x01\x02\x03\x04\x05"
    with_zeros = imported(context, w.CALG_RC4, secret)
    without = imported(context, w.CALG_RC4, secret, w.CRYPT_NO_SALT)
    assert w.CryptGetKeyParam(with_zeros, w.KP_SALT) == bytes(11) and w.CryptGetKeyParam(without, w.KP_SALT) == b""
    assert w.CryptEncrypt(with_zeros, None, FINAL, 0, TEXT) == encrypted(w.CALG_RC4, secret + bytes(11), TEXT)
    assert w.CryptEncrypt(without, None, FINAL, 0, TEXT) == encrypted(w.CALG_RC4, secret, TEXT)


@pytest.mark.row("CGK-14")
@pytest.mark.parametrize("algid", [w.CALG_AES_128, w.AT_SIGNATURE])
def test_a_silent_context_asks_nobody(verify: Verify, algid: int) -> None:
    length = RSA_BITS << 16 if algid == w.AT_SIGNATURE else 0
    silent, verifying = verify(flags=w.CRYPT_SILENT), verify()
    for context, flag in (
        (silent, w.CRYPT_USER_PROTECTED),
        (silent, w.CRYPT_FORCE_KEY_PROTECTION_HIGH),
        (verifying, w.CRYPT_FORCE_KEY_PROTECTION_HIGH),
    ):
        with refused(HRESULT.NTE_SILENT_CONTEXT):
            w.CryptGenKey(context, algid, flag | length)
    assert w.CryptGenKey(verifying, algid, w.CRYPT_USER_PROTECTED | length).alive
    assert w.CryptGenKey(silent, algid, length).alive


@pytest.mark.row("CGK-14")
def test_a_context_that_may_ask(container: Callable[..., Context]) -> None:
    context = container("asking")
    flags = RSA_BITS << 16 | w.CRYPT_FORCE_KEY_PROTECTION_HIGH | w.CRYPT_USER_PROTECTED
    assert w.CryptGenKey(context, w.AT_SIGNATURE, flags).alive


@pytest.mark.row("CGK-15")
def test_archivable_until_it_is_destroyed(token: Provider, context: Context) -> None:
    needs_wrapping(token)
    needs_aes(token)
    exchange = w.CryptGenKey(context, w.AT_KEYEXCHANGE, RSA_BITS << 16)
    key = w.CryptGenKey(context, w.CALG_AES_128, w.CRYPT_ARCHIVABLE)
    ciphertext = w.CryptEncrypt(key, None, FINAL, 0, TEXT)
    blob = w.CryptExportKey(key, exchange, w.SIMPLEBLOB)
    w.CryptDestroyKey(key)
    with refused(INVALID_HANDLE):
        w.CryptExportKey(key, exchange, w.SIMPLEBLOB)
    again = w.CryptImportKey(context, blob)
    assert w.CryptDecrypt(again, None, FINAL, 0, ciphertext) == TEXT
    with refused(HRESULT.NTE_BAD_KEY_STATE):
        w.CryptExportKey(again, exchange, w.SIMPLEBLOB)


@pytest.mark.row("CGK-15")
def test_an_archivable_pair_is_not_so_for_those_who_open_it(container: Callable[..., Context]) -> None:
    context = container("archive")
    key = w.CryptGenKey(context, w.AT_KEYEXCHANGE, RSA_BITS << 16 | w.CRYPT_ARCHIVABLE)
    permissions = w.CryptGetKeyParam(key, w.KP_PERMISSIONS)
    assert isinstance(permissions, int) and permissions & w.CRYPT_ARCHIVE
    assert w.CryptGetKeyParam(w.CryptGetUserKey(context, w.AT_KEYEXCHANGE), w.KP_PERMISSIONS) == 0x3B


@pytest.mark.row("CGK-16")
@pytest.mark.parametrize("flag", NOT_USED, ids=hex)
def test_flags_that_are_not_used(token: Provider, context: Context, flag: int) -> None:
    needs_aes(token)
    assert w.CryptGetKeyParam(w.CryptGenKey(context, w.CALG_AES_128, flag), w.KP_KEYLEN) == 128


@pytest.mark.row("CGK-16")
@pytest.mark.row("CGK-21")
@pytest.mark.parametrize("flag", [0x8, 0x20, -1, 1 << 32, "1", None])
def test_flags_that_are_none(context: Context, flag: int) -> None:
    with refused(HRESULT.NTE_BAD_FLAGS):
        w.CryptGenKey(context, w.CALG_AES_128, flag)
