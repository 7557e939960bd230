"""CryptEncrypt and CryptDecrypt with session keys, and their parameters, against the `cryptography` package."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from conformance import cipher_oracle
from wincrypt.helpers import (
    BLOCK_CIPHERS,
    CIPHERS,
    FINAL,
    TEXT,
    Verify,
    cfb8,
    encrypted,
    hashed,
    imported,
    key_of,
    name_of,
    needs_algid,
    refused,
)

from hwcng import CngError
from hwcng import wincrypt as w
from hwcng.capi.algids import ALGIDS
from hwcng.errors import HRESULT, Win32Error

if TYPE_CHECKING:
    from hwcng.capi.contexts import Context
    from hwcng.capi.handle_base import CapiKey
    from hwcng.contract.provider import Provider

    Verify = Callable[..., Context]

every_cipher = pytest.mark.parametrize("algid", CIPHERS, ids=name_of)
every_block_cipher = pytest.mark.parametrize("algid", BLOCK_CIPHERS, ids=name_of)


def block_of(algid: int) -> int:
    return ALGIDS[algid].block_bits // 8


def key_in(context: Context, algid: int) -> CapiKey:
    return imported(context, algid, key_of(algid))


@every_cipher
@pytest.mark.parametrize("length", [0, 1, 7, 8, 15, 16, 17, 100])
def test_a_whole_message(context: Context, algid: int, length: int) -> None:
    key, text = key_in(context, algid), bytes(range(length))
    ciphertext = w.CryptEncrypt(key, None, FINAL, 0, text)
    assert ciphertext == encrypted(algid, key_of(algid), text)
    if not ciphertext:
        with refused(HRESULT.NTE_BAD_LEN):
            w.CryptDecrypt(key, None, FINAL, 0, ciphertext)
        assert w.CryptDecrypt(key, None, False, 0, ciphertext) == b""
        return
    assert w.CryptDecrypt(key, None, FINAL, 0, bytearray(ciphertext)) == text


@every_cipher
def test_a_message_in_parts(context: Context, algid: int) -> None:
    """Final ends it: the next message begins where the first one began."""
    key, part = key_in(context, algid), bytes(range(16))
    whole = encrypted(algid, key_of(algid), part * 2 + b"the end")
    for _ in range(2):
        found = b"".join(
            w.CryptEncrypt(key, None, final, 0, text)
            for text, final in ((part, False), (part, False), (b"the end", True))
        )
        assert found == whole
        plain = w.CryptDecrypt(key, None, False, 0, whole[:16]) + w.CryptDecrypt(key, None, True, 0, whole[16:])
        assert plain == part * 2 + b"the end"


@every_block_cipher
def test_a_partial_block_is_only_for_the_end(context: Context, algid: int) -> None:
    key, block = key_in(context, algid), block_of(algid)
    for call in (w.CryptEncrypt, w.CryptDecrypt):
        with refused(HRESULT.NTE_BAD_DATA):
            call(key, None, False, 0, bytes(block + 1))
    with refused(HRESULT.NTE_BAD_DATA):
        w.CryptDecrypt(key, None, FINAL, 0, bytes(block + 1))
    assert w.CryptEncrypt(key, None, False, 0, b"") == b""
    assert w.CryptEncrypt(key, None, FINAL, 0, TEXT) == encrypted(algid, key_of(algid), TEXT)


@every_block_cipher
def test_wrong_padding_is_bad_data_and_begins_anew(context: Context, algid: int) -> None:
    key, block = key_in(context, algid), block_of(algid)
    padless = w.CryptEncrypt(key, None, False, 0, bytes(block))
    w.CryptSetKeyParam(key, w.KP_IV, bytes(block))
    for ciphertext in (padless, b""):
        with refused(HRESULT.NTE_BAD_DATA):
            w.CryptDecrypt(key, None, FINAL, 0, ciphertext)
    assert w.CryptDecrypt(key, None, FINAL, 0, encrypted(algid, key_of(algid), TEXT)) == TEXT


@every_block_cipher
def test_an_iv(context: Context, algid: int) -> None:
    key, iv = key_in(context, algid), bytes(range(0xA0, 0xA0 + block_of(algid)))
    w.CryptSetKeyParam(key, w.KP_IV, iv + b"cut off")
    assert w.CryptGetKeyParam(key, w.KP_IV) == iv
    expected = encrypted(algid, key_of(algid), TEXT, iv=iv)
    for _ in range(2):
        assert w.CryptEncrypt(key, None, FINAL, 0, TEXT) == expected
    w.CryptEncrypt(key, None, False, 0, iv)
    assert w.CryptGetKeyParam(key, w.KP_IV) == iv, "the IV, not how far the message is"
    with refused(HRESULT.NTE_BAD_DATA):
        w.CryptSetKeyParam(key, w.KP_IV, iv[:-1])
    with refused(Win32Error.ERROR_INVALID_PARAMETER):
        w.CryptSetKeyParam(key, w.KP_IV, 5)


@every_block_cipher
def test_ecb_mode(context: Context, algid: int) -> None:
    key = key_in(context, algid)
    w.CryptSetKeyParam(key, w.KP_MODE, w.CRYPT_MODE_ECB.to_bytes(4, "little"))
    assert w.CryptGetKeyParam(key, w.KP_MODE) == w.CRYPT_MODE_ECB
    assert w.CryptEncrypt(key, None, FINAL, 0, TEXT) == encrypted(algid, key_of(algid), TEXT, ecb=True)


@every_block_cipher
def test_cfb_mode_has_segments_of_8_bits_and_is_padded(context: Context, algid: int) -> None:
    key, block = key_in(context, algid), block_of(algid)
    w.CryptSetKeyParam(key, w.KP_MODE, w.CRYPT_MODE_CFB)
    assert w.CryptGetKeyParam(key, w.KP_MODE_BITS) == 8
    text = bytes(2 * block)
    ciphertext = w.CryptEncrypt(key, None, False, 0, text)
    assert ciphertext == cfb8(algid, key_of(algid), text)
    w.CryptSetKeyParam(key, w.KP_MODE_BITS, 8 * block)
    assert w.CryptEncrypt(key, None, False, 0, text)[:1] == ciphertext[:1]
    with refused(HRESULT.NTE_BAD_DATA):
        w.CryptSetKeyParam(key, w.KP_MODE_BITS, 24)
    w.CryptSetKeyParam(key, w.KP_MODE_BITS, 8)
    padded = w.CryptEncrypt(key, None, FINAL, 0, TEXT)
    assert len(padded) % block == 0 and w.CryptDecrypt(key, None, FINAL, 0, padded) == TEXT


@pytest.mark.parametrize("mode", [w.CRYPT_MODE_OFB, w.CRYPT_MODE_CTS])
def test_modes_that_can_be_set_and_not_used(context: Context, mode: int) -> None:
    key = key_in(context, w.CALG_AES_128)
    w.CryptSetKeyParam(key, w.KP_MODE, mode)
    assert w.CryptGetKeyParam(key, w.KP_MODE) == mode
    for call in (w.CryptEncrypt, w.CryptDecrypt):
        with refused(HRESULT.NTE_BAD_ALGID):
            call(key, None, FINAL, 0, bytes(16))
    for unknown in (0, 6, 99):
        with refused(HRESULT.NTE_BAD_DATA):
            w.CryptSetKeyParam(key, w.KP_MODE, unknown)


@pytest.mark.parametrize("csp", [w.MS_DEF_DSS_DH_PROV, w.MS_ENH_DSS_DH_PROV])
def test_modes_that_the_providers_of_dss_refuse(token: Provider, verify: Verify, csp: str) -> None:
    """The Base provider of DSS and Diffie-Hellman has triple DES, as Microsoft's table says."""
    needs_algid(token, w.CALG_3DES)
    key = w.CryptGenKey(verify(csp), w.CALG_3DES, 0)
    for mode in (w.CRYPT_MODE_OFB, w.CRYPT_MODE_CTS):
        with refused(HRESULT.NTE_BAD_DATA):
            w.CryptSetKeyParam(key, w.KP_MODE, mode)
    for mode in (w.CRYPT_MODE_ECB, w.CRYPT_MODE_CBC, w.CRYPT_MODE_CFB):
        w.CryptSetKeyParam(key, w.KP_MODE, mode)
        assert w.CryptDecrypt(key, None, FINAL, 0, w.CryptEncrypt(key, None, FINAL, 0, TEXT)) == TEXT


@every_cipher
def test_a_duplicate_goes_on_from_where_the_key_was(context: Context, algid: int) -> None:
    key, part = key_in(context, algid), bytes(range(16))
    if block_of(algid):
        w.CryptSetKeyParam(key, w.KP_IV, bytes([9]) * block_of(algid))
    w.CryptEncrypt(key, None, False, 0, part)
    copy = w.CryptDuplicateKey(key)
    rest = w.CryptEncrypt(key, None, FINAL, 0, TEXT)
    w.CryptDestroyKey(key)
    assert w.CryptEncrypt(copy, None, FINAL, 0, TEXT) == rest
    assert w.CryptGetKeyParam(copy, w.KP_ALGID) == algid
    first = w.CryptEncrypt(copy, None, FINAL, 0, TEXT)
    assert first != rest and w.CryptEncrypt(copy, None, FINAL, 0, TEXT) == first


def test_effective_key_length_of_rc2(token: Provider, context: Context) -> None:
    needs_algid(token, w.CALG_RC2)
    key = key_in(context, w.CALG_RC2)
    assert w.CryptGetKeyParam(key, w.KP_EFFECTIVE_KEYLEN) == 128
    full = w.CryptEncrypt(key, None, FINAL, 0, TEXT)
    w.CryptSetKeyParam(key, w.KP_EFFECTIVE_KEYLEN, 40)
    assert w.CryptGetKeyParam(key, w.KP_EFFECTIVE_KEYLEN) == 40 and w.CryptGetKeyParam(key, w.KP_KEYLEN) == 128
    assert w.CryptEncrypt(key, None, FINAL, 0, TEXT) != full
    w.CryptSetKeyParam(key, w.KP_EFFECTIVE_KEYLEN, 128)
    assert w.CryptEncrypt(key, None, FINAL, 0, TEXT) == full
    for bits in (0, 1025):
        with refused(HRESULT.NTE_BAD_DATA):
            w.CryptSetKeyParam(key, w.KP_EFFECTIVE_KEYLEN, bits)
    for bits in (1, 136, 512, 1024):
        w.CryptSetKeyParam(key, w.KP_EFFECTIVE_KEYLEN, bits)
        assert w.CryptGetKeyParam(key, w.KP_EFFECTIVE_KEYLEN) == bits
    with refused(Win32Error.ERROR_INVALID_PARAMETER):
        w.CryptSetKeyParam(key, w.KP_EFFECTIVE_KEYLEN, None)


@pytest.mark.parametrize("csp", [w.MS_DEF_PROV, w.MS_DEF_DSS_DH_PROV])
def test_effective_key_lengths_of_the_base_providers(token: Provider, verify: Verify, csp: str) -> None:
    """1 to 40 bits, by default 40, whatever the key's own."""
    secret = bytes.fromhex("d5e1a7e9ac38c1")
    key = imported(verify(csp), w.CALG_RC2, secret)
    with refused(HRESULT.NTE_BAD_DATA):
        w.CryptSetKeyParam(key, w.KP_EFFECTIVE_KEYLEN, 128)
    assert w.CryptGetKeyParam(key, w.KP_KEYLEN) == 56 and w.CryptGetKeyParam(key, w.KP_EFFECTIVE_KEYLEN) == 40
    # A published value of Windows.
    assert w.CryptEncrypt(key, None, FINAL, 0, bytes(range(13))).hex() == "23c87013422ea8985cdf7a9beadb961b"
    w.CryptSetKeyParam(key, w.KP_EFFECTIVE_KEYLEN, 40)
    for bits in (0, 41):
        with refused(HRESULT.NTE_BAD_DATA):
            w.CryptSetKeyParam(key, w.KP_EFFECTIVE_KEYLEN, bits)


def choices(keys: list[CapiKey]) -> set[bytes]:
    """What an attacker sees of one text, who tries every effective length on handles to one key."""
    seen = set()
    for key, bits in zip(itertools.cycle(keys), range(8, 136, 8), strict=False):
        with suppress(CngError):
            w.CryptSetKeyParam(key, w.KP_EFFECTIVE_KEYLEN, bits)
        seen.add(w.CryptEncrypt(key, None, FINAL, 0, TEXT))
    return seen


@pytest.mark.parametrize("csp", [w.MS_DEF_PROV, w.MS_ENHANCED_PROV])
@pytest.mark.parametrize("flags", [0, w.CRYPT_NO_SALT])
def test_a_generated_key_works_under_one_effective_length(
    token: Provider, verify: Verify, csp: str, flags: int
) -> None:
    """It is chosen once, before anything is encrypted, and for all duplicates."""
    needs_algid(token, w.CALG_RC2)
    context = verify(csp)
    key = w.CryptGenKey(context, w.CALG_RC2, 40 << 16 | flags)
    copies = [key, w.CryptDuplicateKey(key)]
    w.CryptSetKeyParam(key, w.KP_EFFECTIVE_KEYLEN, 16)
    copies.append(w.CryptDuplicateKey(key))
    for one in copies:
        assert w.CryptGetKeyParam(one, w.KP_EFFECTIVE_KEYLEN) == 16
        with refused(HRESULT.NTE_FIXEDPARAMETER):
            w.CryptSetKeyParam(one, w.KP_EFFECTIVE_KEYLEN, 24)
    assert len(choices(copies)) == 1
    used = w.CryptGenKey(context, w.CALG_RC2, 40 << 16 | flags)
    assert len(choices([w.CryptDuplicateKey(used), used])) == 1


@pytest.mark.parametrize("csp", [w.MS_DEF_PROV, w.MS_ENHANCED_PROV])
def test_a_key_that_authenticated_keeps_its_effective_length(token: Provider, verify: Verify, csp: str) -> None:
    needs_algid(token, w.CALG_RC2)
    context = verify(csp)
    key = w.CryptGenKey(context, w.CALG_RC2, 56 << 16)
    handle = w.CryptCreateHash(context, w.CALG_MAC, key)
    w.CryptHashData(handle, TEXT)
    w.CryptGetHashParam(handle, w.HP_HASHVAL)
    with refused(HRESULT.NTE_FIXEDPARAMETER):
        w.CryptSetKeyParam(key, w.KP_EFFECTIVE_KEYLEN, 8)


@pytest.mark.parametrize(("csp", "bits"), [(w.MS_DEF_PROV, 40), (w.MS_ENHANCED_PROV, 56)])
def test_a_simple_blob_comes_back_under_one_effective_length(
    token: Provider, verify: Verify, csp: str, bits: int
) -> None:
    """However often it is imported: the blob says none, and the provider's default is the key's for good."""
    needs_algid(token, w.CALG_RC2)
    context = verify(csp)
    exchange = w.CryptGenKey(context, w.AT_KEYEXCHANGE, 1024 << 16)
    key = w.CryptGenKey(context, w.CALG_RC2, 56 << 16 | w.CRYPT_EXPORTABLE)
    blob = w.CryptExportKey(key, exchange, w.SIMPLEBLOB)
    again = [w.CryptImportKey(context, blob) for _ in range(4)]
    for one in again:
        assert w.CryptGetKeyParam(one, w.KP_EFFECTIVE_KEYLEN) == bits
        w.CryptSetKeyParam(one, w.KP_EFFECTIVE_KEYLEN, bits)
        with refused(HRESULT.NTE_FIXEDPARAMETER):
            w.CryptSetKeyParam(one, w.KP_EFFECTIVE_KEYLEN, 8)
    assert choices(again) == {w.CryptEncrypt(key, None, FINAL, 0, TEXT)}


def test_effective_key_length_by_rfc_2268(token: Provider, context: Context) -> None:
    """The vectors of section 5 whose key and effective length the provider has."""
    needs_algid(token, w.CALG_RC2)
    for key, bits, plain, cipher in (
        ("88bca90e90875a7f0f79c384627bafb2", 64, "0000000000000000", "1a807d272bbe5db1"),
        ("88bca90e90875a7f0f79c384627bafb2", 128, "0000000000000000", "2269552ab0f85ca6"),
    ):
        handle = imported(context, w.CALG_RC2, bytes.fromhex(key))
        w.CryptSetKeyParam(handle, w.KP_EFFECTIVE_KEYLEN, bits)
        w.CryptSetKeyParam(handle, w.KP_MODE, w.CRYPT_MODE_ECB)
        assert w.CryptEncrypt(handle, None, False, 0, bytes.fromhex(plain)).hex() == cipher


def test_parameters_of_other_ciphers(context: Context) -> None:
    key = key_in(context, w.CALG_AES_128)
    for parameter in (w.KP_EFFECTIVE_KEYLEN, 0, 99, w.KP_OAEP_PARAMS):
        with refused(HRESULT.NTE_BAD_TYPE):
            w.CryptGetKeyParam(key, parameter)
        with refused(HRESULT.NTE_BAD_TYPE):
            w.CryptSetKeyParam(key, parameter, 1)
    for parameter in (w.KP_P, w.KP_G, w.KP_Q, w.KP_Y):
        with refused(HRESULT.NTE_BAD_KEY):
            w.CryptGetKeyParam(key, parameter)
    with refused(HRESULT.NTE_BAD_TYPE):
        w.CryptSetKeyParam(key, w.KP_ALGID, w.CALG_AES_256)


@pytest.mark.parametrize(("permission", "call"), [(w.CRYPT_ENCRYPT, w.CryptEncrypt), (w.CRYPT_DECRYPT, w.CryptDecrypt)])
def test_permissions_that_are_taken_away(context: Context, permission: int, call: object) -> None:
    key = key_in(context, w.CALG_AES_128)
    w.CryptSetKeyParam(key, w.KP_PERMISSIONS, 0x3B & ~permission)
    for function in (w.CryptEncrypt, w.CryptDecrypt):
        if function is call:
            with refused(HRESULT.NTE_PERM):
                function(key, None, False, 0, bytes(16))
        else:
            assert len(function(key, None, False, 0, bytes(16))) == 16


def test_the_plaintext_is_hashed_beside(context: Context) -> None:
    key = key_in(context, w.CALG_AES_128)
    expected = w.CryptGetHashParam(hashed(context, w.CALG_SHA1), w.HP_HASHVAL)
    one, other = (w.CryptCreateHash(context, w.CALG_SHA1) for _ in range(2))
    ciphertext = w.CryptEncrypt(key, one, FINAL, 0, TEXT)
    assert w.CryptDecrypt(key, other, FINAL, 0, ciphertext) == TEXT
    assert w.CryptGetHashParam(one, w.HP_HASHVAL) == w.CryptGetHashParam(other, w.HP_HASHVAL) == expected
    with refused(HRESULT.NTE_BAD_HASH_STATE):
        w.CryptEncrypt(key, one, FINAL, 0, TEXT)


@pytest.mark.parametrize("flags", [1, w.CRYPT_OAEP, w.CRYPT_DECRYPT_RSA_NO_PADDING_CHECK])
def test_flags_of_session_keys(context: Context, flags: int) -> None:
    key = key_in(context, w.CALG_AES_128)
    for call in (w.CryptEncrypt, w.CryptDecrypt):
        with refused(HRESULT.NTE_BAD_FLAGS):
            call(key, None, FINAL, flags, bytes(16))


class TestSalts:
    """RC2 and RC4 keys in a token: the salt joins the key inside it."""

    @pytest.fixture(params=[w.CALG_RC2, w.CALG_RC4], ids=name_of)
    def key(self, token: Provider, context: Context, request: pytest.FixtureRequest) -> CapiKey:
        needs_algid(token, request.param)
        return imported(context, request.param, b"12345", w.CRYPT_NO_SALT)

    def test_sizes(self, key: CapiKey) -> None:
        for size in range(25):
            w.CryptSetKeyParam(key, w.KP_SALT_EX, bytes(size))
            assert w.CryptGetKeyParam(key, w.KP_SALT) == bytes(size)
            assert w.CryptDecrypt(key, None, FINAL, 0, w.CryptEncrypt(key, None, FINAL, 0, TEXT)) == TEXT
        with refused(HRESULT.NTE_BAD_DATA):
            w.CryptSetKeyParam(key, w.KP_SALT_EX, bytes(25))
        assert w.CryptGetKeyParam(key, w.KP_KEYLEN) == 40

    def test_the_salt_follows_the_key(self, key: CapiKey) -> None:
        w.CryptSetKeyParam(key, w.KP_SALT_EX, b"salty sugar")
        if w.CryptGetKeyParam(key, w.KP_ALGID) == w.CALG_RC2:
            w.CryptSetKeyParam(key, w.KP_EFFECTIVE_KEYLEN, 128)
        algid = w.CryptGetKeyParam(key, w.KP_ALGID)
        assert isinstance(algid, int)
        assert w.CryptEncrypt(key, None, FINAL, 0, TEXT) == encrypted(algid, b"12345salty sugar", TEXT)

    def test_the_salt_can_be_taken_away(self, key: CapiKey) -> None:
        without = w.CryptEncrypt(key, None, FINAL, 0, TEXT)
        w.CryptSetKeyParam(key, w.KP_SALT_EX, bytes(11))
        assert w.CryptEncrypt(key, None, FINAL, 0, TEXT) != without
        copy = w.CryptDuplicateKey(key)
        assert w.CryptEncrypt(copy, None, FINAL, 0, TEXT) == w.CryptEncrypt(key, None, FINAL, 0, TEXT)
        w.CryptSetKeyParam(key, w.KP_SALT_EX, b"")
        assert w.CryptEncrypt(key, None, FINAL, 0, TEXT) == without
        assert w.CryptEncrypt(copy, None, FINAL, 0, TEXT) != without


def test_a_key_that_left_in_a_simple_blob_keeps_its_effective_length(token: Provider, verify: Verify) -> None:
    needs_algid(token, w.CALG_RC2)
    context = verify(w.MS_ENHANCED_PROV)
    exchange = w.CryptGenKey(context, w.AT_KEYEXCHANGE, 1024 << 16)
    key = w.CryptGenKey(context, w.CALG_RC2, w.CRYPT_EXPORTABLE)
    again = w.CryptImportKey(context, w.CryptExportKey(key, exchange, w.SIMPLEBLOB))
    with refused(HRESULT.NTE_FIXEDPARAMETER):
        w.CryptSetKeyParam(key, w.KP_EFFECTIVE_KEYLEN, 8)
    assert len(choices([key, again])) == 1


@pytest.mark.parametrize(
    ("csp", "bits", "clear", "mac"),
    [
        (w.MS_DEF_PROV, 136, "05ffc448900b889d", "44a2947e17aea912"),
        (w.MS_DEF_PROV, 512, "6c33c9236eb2677f", "e20c732e1660be9e"),
        (w.MS_ENHANCED_PROV, 136, "e21b7eb34870d61e", "cf5036c1fb3ee9a3"),
        (w.MS_ENHANCED_PROV, 256, "040b7d7c76bb743a", "48e27b6fb2384b44"),
        (w.MS_ENHANCED_PROV, 512, "2c23fd7b4f2cd593", "d234352c0ca1fc29"),
    ],
)
def test_long_rc2_keys_of_simple_blobs(
    token: Provider, verify: Verify, csp: str, bits: int, clear: str, mac: str
) -> None:
    """They decrypt and authenticate, with published values of Windows, and do not encrypt."""
    needs_algid(token, w.CALG_RC2)
    context = verify(csp)
    exchange = w.CryptGenKey(context, w.AT_KEYEXCHANGE, 1024 << 16)
    key = w.CryptImportKey(context, simple_blob(exchange, b"\xcc" * (bits // 8)))
    assert w.CryptGetKeyParam(key, w.KP_KEYLEN) == bits
    effective = w.CryptGetKeyParam(key, w.KP_EFFECTIVE_KEYLEN)
    assert effective == (40 if csp == w.MS_DEF_PROV else bits)
    for final in (True, False):
        with refused(HRESULT.NTE_BAD_KEY):
            w.CryptEncrypt(key, None, final, 0, bytes(8))
    with refused(HRESULT.NTE_BAD_KEY):
        w.CryptSetKeyParam(key, w.KP_SALT_EX, b"salt")
    assert w.CryptDecrypt(key, None, False, 0, b"\xcc" * 8).hex() == clear
    handle = w.CryptCreateHash(context, w.CALG_MAC, key)
    w.CryptHashData(handle, b"\0")
    value = w.CryptGetHashParam(handle, w.HP_HASHVAL)
    assert isinstance(value, bytes) and value.hex() == mac


@pytest.mark.parametrize(
    ("csp", "lengths"), [(w.MS_DEF_PROV, (4, 8, 16, 65)), (w.MS_ENHANCED_PROV, (4, 65, 80)), (w.MS_STRONG_PROV, (65,))]
)
def test_rc2_keys_of_other_lengths_are_in_no_simple_blob(
    token: Provider, verify: Verify, csp: str, lengths: tuple[int, ...]
) -> None:
    needs_algid(token, w.CALG_RC2)
    context = verify(csp)
    exchange = w.CryptGenKey(context, w.AT_KEYEXCHANGE, 1024 << 16)
    for length in lengths:
        with refused(HRESULT.NTE_BAD_DATA):
            w.CryptImportKey(context, simple_blob(exchange, b"\xcc" * length))


def simple_blob(exchange: CapiKey, secret: bytes) -> bytes:
    wrapped = w.CryptEncrypt(exchange, None, FINAL, 0, secret)
    return struct.pack("<2BH2I", w.SIMPLEBLOB, 2, 0, w.CALG_RC2, w.CALG_RSA_KEYX) + wrapped


SALTED = pytest.mark.parametrize("algid", [w.CALG_RC2, w.CALG_RC4], ids=name_of)


@SALTED
@pytest.mark.parametrize("bits", [40, 56])
@pytest.mark.parametrize(
    ("csp", "size"),
    [(w.MS_DEF_PROV, 11), (w.MS_STRONG_PROV, 11), (w.MS_ENHANCED_PROV, 0), (w.MS_ENH_RSA_AES_PROV, 0)],
)
def test_kp_salt_has_the_length_of_the_provider(
    token: Provider, verify: Verify, algid: int, bits: int, csp: str, size: int
) -> None:
    """Whether or not the key had a salt before."""
    needs_algid(token, algid)
    for flags in (0, w.CRYPT_NO_SALT):
        key = imported(verify(csp), algid, key_of(algid)[: bits // 8], flags)
        w.CryptSetKeyParam(key, w.KP_SALT, b"another salt is cut")
        assert w.CryptGetKeyParam(key, w.KP_SALT) == b"another salt is cut"[:size]
        if algid == w.CALG_RC4:
            secret = key_of(algid)[: bits // 8] + b"another salt is cut"[:size]
            assert w.CryptEncrypt(key, None, FINAL, 0, TEXT) == cipher_oracle.rc4(secret, TEXT)
        if size:
            with refused(HRESULT.NTE_BAD_DATA):
                w.CryptSetKeyParam(key, w.KP_SALT, bytes(size - 1))


def test_a_salt_in_a_token_that_cannot_join_it(provider: Provider) -> None:
    """SoftHSM has neither RC2 nor the joining: asked of its AES key, it is refused rather than done on the host."""
    from hwcng import NTSTATUS, CngError
    from hwcng.contract.specs import SecretSpec
    from hwcng.contract.usage import SecretFamily, Usage

    key = provider.generate_secret(SecretSpec(SecretFamily.AES, 128, Usage.DERIVE))
    with pytest.raises(CngError) as error:
        key.followed_by(bytes(16), SecretSpec(SecretFamily.AES, 256, Usage.ENCRYPT))
    assert error.value.status is NTSTATUS.STATUS_NOT_SUPPORTED
