"""CryptGenKey: rows CGK-01 to CGK-28."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from support import has_bits, needs, needs_bits
from wincrypt.helpers import (
    BLOCK_CIPHERS,
    CIPHERS,
    EXPORTABLE,
    FINAL,
    INVALID_HANDLE,
    INVALID_PARAMETER,
    RSA_BITS,
    TEXT,
    Verify,
    enumerated,
    has,
    name_of,
    needs_algid,
    refused,
)

from hwcng import wincrypt as w
from hwcng.capi.algids import ALGIDS
from hwcng.capi.csps import CSPS
from hwcng.contract.usage import Support
from hwcng.errors import HRESULT

if TYPE_CHECKING:
    from hwcng.capi.contexts import Context
    from hwcng.contract.provider import Provider


RSA_SPECS = ((w.AT_KEYEXCHANGE, w.CALG_RSA_KEYX), (w.AT_SIGNATURE, w.CALG_RSA_SIGN))
HASHES = (w.CALG_MD5, w.CALG_SHA1, w.CALG_SHA_256, w.CALG_SSL3_SHAMD5, w.CALG_MAC)
DSS_CSPS = (w.MS_DEF_DSS_DH_PROV, w.MS_ENH_DSS_DH_PROV)


@pytest.mark.row("CGK-01")
@pytest.mark.parametrize("algid", CIPHERS, ids=name_of)
def test_a_session_key_is_made_and_keeps_its_algorithm(token: Provider, context: Context, algid: int) -> None:
    needs_algid(token, algid)
    key = w.CryptGenKey(context, algid, 0)
    assert w.CryptGetKeyParam(key, w.KP_ALGID) == algid
    ciphertext = w.CryptEncrypt(key, None, FINAL, 0, TEXT)
    assert ciphertext != TEXT and w.CryptDecrypt(key, None, FINAL, 0, ciphertext) == TEXT


@pytest.mark.row("CGK-01")
@pytest.mark.row("CGK-05")
@pytest.mark.parametrize(("spec", "algid"), RSA_SPECS)
@pytest.mark.parametrize("by_spec", [True, False], ids=["AT", "CALG"])
def test_a_pair_is_the_containers_whichever_way_it_is_named(
    context: Context, spec: int, algid: int, by_spec: bool
) -> None:
    key = w.CryptGenKey(context, spec if by_spec else algid, RSA_BITS << 16)
    assert w.CryptGetKeyParam(key, w.KP_ALGID) == algid
    user_key = w.CryptGetUserKey(context, spec)
    assert w.CryptExportKey(user_key, None, w.PUBLICKEYBLOB) == w.CryptExportKey(key, None, w.PUBLICKEYBLOB)
    assert w.CryptGetKeyParam(user_key, w.KP_ALGID) == algid
    with refused(HRESULT.NTE_NO_KEY):
        w.CryptGetUserKey(context, 3 - spec)


@pytest.mark.row("CGK-02")
@pytest.mark.parametrize("handle", [0, None, 0xDEAD, "context", object()])
def test_no_context(handle: object) -> None:
    with refused(INVALID_HANDLE):
        w.CryptGenKey(handle, w.CALG_AES_128, 0)  # type: ignore[arg-type]


@pytest.mark.row("CGK-02")
def test_a_released_context(verify: Verify) -> None:
    context = verify()
    w.CryptReleaseContext(context)
    with refused(HRESULT.NTE_BAD_UID):
        w.CryptGenKey(context, w.CALG_AES_128, 0)


@pytest.mark.row("CGK-03")
@pytest.mark.row("CGK-21")
@pytest.mark.parametrize("algid", [*HASHES, 0, 3, 0x1234, w.CALG_AES, w.CALG_DH_SF, w.CALG_DSS_SIGN, w.CALG_RC5, -1])
def test_an_algorithm_that_the_provider_does_not_have(context: Context, algid: int) -> None:
    with refused(HRESULT.NTE_BAD_ALGID):
        w.CryptGenKey(context, algid, 0)


@pytest.mark.row("CGK-03")
@pytest.mark.parametrize(
    ("csp", "algid"),
    [
        (w.MS_DEF_PROV, w.CALG_3DES),
        (w.MS_DEF_PROV, w.CALG_AES_128),
        (w.MS_STRONG_PROV, w.CALG_AES_128),
        (w.MS_ENHANCED_PROV, w.CALG_DH_EPHEM),
        (w.MS_DEF_RSA_SIG_PROV, w.AT_KEYEXCHANGE),
        (w.MS_DEF_RSA_SIG_PROV, w.CALG_RC4),
        (w.MS_DEF_DSS_PROV, w.AT_KEYEXCHANGE),
        (w.MS_DEF_DSS_PROV, w.CALG_RSA_SIGN),
        (w.MS_DEF_DSS_DH_PROV, w.CALG_CYLINK_MEK),
    ],
)
def test_algorithms_depend_on_the_provider(verify: Verify, csp: str, algid: int) -> None:
    with refused(HRESULT.NTE_BAD_ALGID):
        w.CryptGenKey(verify(csp), algid, 0)


@pytest.mark.row("CGK-03")
def test_an_algorithm_that_the_token_lacks(token: Provider, context: Context) -> None:
    lacking = [algid for algid in CIPHERS if token.offers(ALGIDS[algid].algorithm) is Support.REFUSED]
    for algid in lacking:
        with refused(HRESULT.NTE_BAD_ALGID):
            w.CryptGenKey(context, algid, 0)
    assert not {row.aiAlgid for row in enumerated(context, w.PP_ENUMALGS_EX)} & set(lacking)


@pytest.mark.row("CGK-04")
@pytest.mark.parametrize("csp", DSS_CSPS)
@pytest.mark.parametrize("algid", [w.CALG_DH_EPHEM, w.CALG_DH_SF, w.AT_KEYEXCHANGE])
def test_diffie_hellman_pairs(token: Provider, verify: Verify, csp: str, algid: int) -> None:
    needs(token, "DH")
    context = verify(csp)
    key = w.CryptGenKey(context, algid, 512 << 16)
    assert w.CryptGetKeyParam(key, w.KP_KEYLEN) == 512
    if algid == w.CALG_DH_EPHEM:
        assert w.CryptGetKeyParam(key, w.KP_ALGID) == w.CALG_DH_EPHEM
        with refused(HRESULT.NTE_NO_KEY):
            w.CryptGetUserKey(context, w.AT_KEYEXCHANGE)
    else:
        assert w.CryptGetKeyParam(key, w.KP_ALGID) == w.CALG_DH_SF
        stored = w.CryptGetUserKey(context, w.AT_KEYEXCHANGE)
        assert w.CryptExportKey(stored, None, w.PUBLICKEYBLOB) == w.CryptExportKey(key, None, w.PUBLICKEYBLOB)


@pytest.mark.row("CGK-06")
def test_a_second_pair_takes_the_place_of_the_first_whose_handles_go_on(context: Context) -> None:
    first = w.CryptGenKey(context, w.AT_KEYEXCHANGE, RSA_BITS << 16)
    opened = w.CryptGetUserKey(context, w.AT_KEYEXCHANGE)
    modulus = w.CryptExportKey(first, None, w.PUBLICKEYBLOB)
    ciphertext = w.CryptEncrypt(first, None, FINAL, w.CRYPT_OAEP, TEXT)
    second = w.CryptGenKey(context, w.CALG_RSA_KEYX, RSA_BITS << 16)
    assert w.CryptExportKey(second, None, w.PUBLICKEYBLOB) != modulus
    stored = w.CryptGetUserKey(context, w.AT_KEYEXCHANGE)
    assert w.CryptExportKey(stored, None, w.PUBLICKEYBLOB) == w.CryptExportKey(second, None, w.PUBLICKEYBLOB)
    for old in (first, opened):
        assert w.CryptDecrypt(old, None, FINAL, w.CRYPT_OAEP, ciphertext) == TEXT
        assert w.CryptExportKey(old, None, w.PUBLICKEYBLOB) == modulus
    with refused(HRESULT.NTE_BAD_DATA):
        w.CryptDecrypt(second, None, FINAL, w.CRYPT_OAEP, ciphertext)


@pytest.mark.row("CGK-06")
def test_the_replaced_pair_of_a_container_in_the_token(container: Callable[..., Context], keeper: Provider) -> None:
    context = container("replaced")
    first = w.CryptGenKey(context, w.AT_KEYEXCHANGE, RSA_BITS << 16)
    opened = w.CryptGetUserKey(context, w.AT_KEYEXCHANGE)
    ciphertext = w.CryptEncrypt(first, None, FINAL, w.CRYPT_OAEP, TEXT)
    w.CryptGenKey(context, w.AT_KEYEXCHANGE, RSA_BITS << 16)
    for old in (first, opened):
        assert w.CryptDecrypt(old, None, FINAL, w.CRYPT_OAEP, ciphertext) == TEXT
        w.CryptDestroyKey(old)
    with refused(HRESULT.NTE_BAD_DATA):
        w.CryptDecrypt(w.CryptGetUserKey(context, w.AT_KEYEXCHANGE), None, FINAL, w.CRYPT_OAEP, ciphertext)
    names = [record.name for record in keeper.list_keys() if record.name.endswith(":replaced")]
    assert len(names) == 2, "the marker and one pair"


@pytest.mark.row("CGK-07")
@pytest.mark.parametrize("bits", [1024, 2048])
def test_the_upper_half_of_the_flags_is_the_length(token: Provider, context: Context, bits: int) -> None:
    needs_bits(token, "RSA", bits)
    assert w.CryptGetKeyParam(w.CryptGenKey(context, w.AT_SIGNATURE, bits << 16), w.KP_KEYLEN) == bits


@pytest.mark.row("CGK-07")
@pytest.mark.row("CGK-09")
@pytest.mark.parametrize(
    ("csp", "bits"),
    [(w.MS_DEF_PROV, 512), (w.MS_STRONG_PROV, 1024), (w.MS_ENHANCED_PROV, 1024), (w.MS_ENH_RSA_AES_PROV, 1024)],
)
@pytest.mark.parametrize("spec", [w.AT_KEYEXCHANGE, w.AT_SIGNATURE])
def test_default_lengths_of_pairs(token: Provider, verify: Verify, csp: str, bits: int, spec: int) -> None:
    if has_bits(token, "RSA", bits):
        assert w.CryptGetKeyParam(w.CryptGenKey(verify(csp), spec, 0), w.KP_KEYLEN) == bits
    else:
        # The token's own limit, named in the message.
        with refused(INVALID_PARAMETER) as error:
            w.CryptGenKey(verify(csp), spec, 0)
        assert str(bits) in str(error.value)


@pytest.mark.row("CGK-09")
def test_the_provider_that_a_type_means(token: Provider) -> None:
    for kind, name in (
        (w.PROV_RSA_FULL, w.MS_STRONG_PROV),
        (w.PROV_RSA_AES, w.MS_ENH_RSA_AES_PROV),
        (w.PROV_DSS_DH, w.MS_ENH_DSS_DH_PROV),
        (w.PROV_DSS, w.MS_DEF_DSS_PROV),
    ):
        with w.CryptAcquireContext(None, token, kind, w.CRYPT_VERIFYCONTEXT) as context:
            assert w.CryptGetProvParam(context, w.PP_NAME) == name


@pytest.mark.row("CGK-09")
@pytest.mark.parametrize("algid", [w.CALG_RC2, w.CALG_RC4], ids=name_of)
@pytest.mark.parametrize(("csp", "bits"), [(w.MS_DEF_PROV, 40), (w.MS_STRONG_PROV, 128), (w.MS_ENH_DSS_DH_PROV, 128)])
def test_default_lengths_of_session_keys(token: Provider, verify: Verify, algid: int, csp: str, bits: int) -> None:
    needs_algid(token, algid)
    assert w.CryptGetKeyParam(w.CryptGenKey(verify(csp), algid, 0), w.KP_KEYLEN) == bits


@pytest.mark.row("CGK-17")
def test_there_is_no_output_pointer_the_key_is_returned(context: Context) -> None:
    from inspect import signature

    assert list(signature(w.CryptGenKey).parameters) == ["hProv", "Algid", "dwFlags"]
    assert w.CryptGenKey(context, w.CALG_AES_128, 0).alive
    with pytest.raises(TypeError):
        w.CryptGenKey(context, w.CALG_AES_128, 0, None)  # type: ignore[call-arg]


@pytest.mark.row("CGK-18")
@pytest.mark.parametrize("algid", BLOCK_CIPHERS, ids=name_of)
def test_block_ciphers_begin_in_cbc_mode_with_an_iv_of_zeros(token: Provider, context: Context, algid: int) -> None:
    needs_algid(token, algid)
    key = w.CryptGenKey(context, algid, 0)
    block = 16 if "AES" in name_of(algid) else 8
    assert w.CryptGetKeyParam(key, w.KP_MODE) == w.CRYPT_MODE_CBC
    assert w.CryptGetKeyParam(key, w.KP_IV) == bytes(block)
    two = w.CryptEncrypt(key, None, False, 0, bytes(2 * block))
    w.CryptSetKeyParam(key, w.KP_MODE, w.CRYPT_MODE_ECB)
    one = w.CryptEncrypt(key, None, False, 0, bytes(block))
    assert two[:block] == one and w.CryptEncrypt(key, None, False, 0, one) == two[block:]


@pytest.mark.row("CGK-18")
@pytest.mark.row("CGK-23")
def test_a_stream_cipher_has_neither_mode_nor_iv(token: Provider, context: Context) -> None:
    needs_algid(token, w.CALG_RC4)
    key = w.CryptGenKey(context, w.CALG_RC4, 0)
    assert w.CryptGetKeyParam(key, w.KP_MODE) == 0
    assert w.CryptGetKeyParam(key, w.KP_IV) == b""
    assert w.CryptGetKeyParam(key, w.KP_BLOCKLEN) == 0
    for parameter, value in ((w.KP_IV, bytes(8)), (w.KP_MODE, w.CRYPT_MODE_ECB)):
        with refused(HRESULT.NTE_BAD_TYPE):
            w.CryptSetKeyParam(key, parameter, value)


@pytest.mark.row("CGK-19")
@pytest.mark.parametrize("algid", BLOCK_CIPHERS, ids=name_of)
def test_the_padding_is_pkcs5(token: Provider, context: Context, algid: int) -> None:
    needs_algid(token, algid)
    key = w.CryptGenKey(context, algid, 0)
    assert w.CryptGetKeyParam(key, w.KP_PADDING) == w.PKCS5_PADDING
    w.CryptSetKeyParam(key, w.KP_PADDING, w.PKCS5_PADDING)
    for other in (w.RANDOM_PADDING, w.ZERO_PADDING, 0):
        with refused(HRESULT.NTE_BAD_DATA):
            w.CryptSetKeyParam(key, w.KP_PADDING, other)
    padded = w.CryptEncrypt(key, None, FINAL, 0, b"1234567")
    assert len(padded) == (16 if "AES" in name_of(algid) else 8)


@pytest.mark.row("CGK-20")
@pytest.mark.row("CGK-21")
@pytest.mark.parametrize("algid", [w.CALG_AES_128, w.AT_KEYEXCHANGE])
def test_a_key_is_destroyed_once(context: Context, algid: int) -> None:
    key = w.CryptGenKey(context, algid, RSA_BITS << 16 if algid == w.AT_KEYEXCHANGE else 0)
    w.CryptDestroyKey(key)
    assert not key.alive
    for call in (w.CryptDestroyKey, lambda key: w.CryptEncrypt(key, None, FINAL, 0, TEXT)):
        with refused(INVALID_HANDLE):
            call(key)


@pytest.mark.row("CGK-20")
def test_the_context_ends_its_keys(verify: Verify) -> None:
    context = verify()
    key = w.CryptGenKey(context, w.CALG_AES_128, 0)
    w.CryptReleaseContext(context)
    with refused(INVALID_HANDLE):
        w.CryptEncrypt(key, None, FINAL, 0, TEXT)


@pytest.mark.row("CGK-21")
def test_what_the_token_refuses_has_a_documented_code(verify: Verify) -> None:
    """Each listed code but NTE_FAIL, which is what an unexpected answer of the token becomes."""
    from hwcng import NTSTATUS, CngError
    from hwcng.capi.errors import documented

    @documented
    def fails() -> None:
        raise CngError(NTSTATUS.STATUS_INTERNAL_ERROR, "the token broke")

    with refused(HRESULT.NTE_FAIL):
        fails()


@pytest.mark.row("CGK-22")
@pytest.mark.parametrize(("flags", "permissions"), [(0, 0x3B), (EXPORTABLE, 0x3F)])
@pytest.mark.parametrize("algid", [w.CALG_AES_128, w.AT_SIGNATURE])
def test_permissions(context: Context, flags: int, permissions: int, algid: int) -> None:
    length = RSA_BITS << 16 if algid == w.AT_SIGNATURE else 0
    key = w.CryptGenKey(context, algid, flags | length)
    assert w.CryptGetKeyParam(key, w.KP_PERMISSIONS) == permissions
    if flags:
        w.CryptSetKeyParam(key, w.KP_PERMISSIONS, permissions & ~w.CRYPT_EXPORT)
        assert w.CryptGetKeyParam(key, w.KP_PERMISSIONS) == permissions
    else:
        with refused(HRESULT.NTE_BAD_DATA):
            w.CryptSetKeyParam(key, w.KP_PERMISSIONS, permissions | w.CRYPT_EXPORT)


@pytest.mark.row("CGK-23")
@pytest.mark.parametrize(
    ("algid", "key_bits", "block_bits"),
    [
        (w.CALG_DES, 64, 64),
        (w.CALG_3DES_112, 128, 64),
        (w.CALG_3DES, 192, 64),
        (w.CALG_RC2, 128, 64),
        (w.CALG_RC4, 128, 0),
        (w.CALG_AES_128, 128, 128),
        (w.CALG_AES_192, 192, 128),
        (w.CALG_AES_256, 256, 128),
    ],
)
def test_lengths_are_in_bits(token: Provider, context: Context, algid: int, key_bits: int, block_bits: int) -> None:
    needs_algid(token, algid)
    key = w.CryptGenKey(context, algid, 0)
    assert w.CryptGetKeyParam(key, w.KP_KEYLEN) == key_bits
    assert w.CryptGetKeyParam(key, w.KP_BLOCKLEN) == block_bits


@pytest.mark.row("CGK-24")
def test_salts_of_keys_that_have_none(context: Context) -> None:
    key = w.CryptGenKey(context, w.CALG_AES_128, w.CRYPT_CREATE_SALT)
    assert w.CryptGetKeyParam(key, w.KP_SALT) == b""
    pair = w.CryptGenKey(context, w.AT_KEYEXCHANGE, RSA_BITS << 16)
    with refused(HRESULT.NTE_BAD_KEY):
        w.CryptGetKeyParam(pair, w.KP_SALT)
    with refused(HRESULT.NTE_BAD_KEY):
        w.CryptSetKeyParam(key, w.KP_SALT_EX, b"salt")


@pytest.mark.row("CGK-25")
@pytest.mark.parametrize("algid", [*CIPHERS, w.AT_SIGNATURE])
def test_two_calls_never_give_the_same_key(token: Provider, context: Context, algid: int) -> None:
    if algid == w.AT_SIGNATURE:
        pairs = [w.CryptGenKey(context, algid, RSA_BITS << 16) for _ in range(2)]
        assert len({w.CryptExportKey(pair, None, w.PUBLICKEYBLOB) for pair in pairs}) == 2
        return
    needs_algid(token, algid)
    keys = [w.CryptGenKey(context, algid, 0) for _ in range(4)]
    assert len({w.CryptEncrypt(key, None, FINAL, 0, TEXT) for key in keys}) == 4


@pytest.mark.row("CGK-27")
@pytest.mark.parametrize("csp", CSPS)
def test_the_enumerated_lengths_are_those_that_are_taken(token: Provider, verify: Verify, csp: str) -> None:
    context = verify(csp)
    found = {row.aiAlgid: row for row in enumerated(context, w.PP_ENUMALGS_EX)}
    for row in found.values():
        assert row.dwMinLen <= row.dwDefaultLen <= row.dwMaxLen
        assert (row.dwNameLen, row.dwLongNameLen) == (len(row.szName) + 1, len(row.szLongName) + 1)
    assert set(found) <= set(CSPS[csp].algorithms)
    for algid, row in found.items():
        if algid in CIPHERS and has(token, algid):
            key = w.CryptGenKey(context, algid, row.dwMinLen << 16)
            assert w.CryptGetKeyParam(key, w.KP_ALGID) == algid
            assert w.CryptGenKey(context, algid, row.dwMaxLen << 16).alive
            with refused(INVALID_PARAMETER):
                w.CryptGenKey(context, algid, row.dwMaxLen + 32 << 16)


@pytest.mark.row("CGK-28")
def test_every_thread_with_a_key_of_its_own(context: Context) -> None:
    def work(number: int) -> bool:
        key = w.CryptGenKey(context, w.CALG_AES_128, 0)
        text = bytes([number]) * 100
        good = all(
            w.CryptDecrypt(key, None, FINAL, 0, w.CryptEncrypt(key, None, FINAL, 0, text)) == text for _ in range(5)
        )
        w.CryptDestroyKey(key)
        return good

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(12)))


@pytest.mark.row("CGK-28")
def test_threads_that_share_a_key_take_turns(context: Context) -> None:
    key = w.CryptGenKey(context, w.CALG_AES_128, 0)
    expected = w.CryptEncrypt(key, None, FINAL, 0, TEXT)
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: w.CryptEncrypt(key, None, FINAL, 0, TEXT), range(24))) == {expected}
