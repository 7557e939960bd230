"""Key lengths of each provider: rows CGK-08 and CGK-26, and the table of section 6.3."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support import has_bits
from wincrypt.helpers import INVALID_PARAMETER, Verify, has, name_of, needs_algid, refused

from hwcng import CngError
from hwcng import wincrypt as w

if TYPE_CHECKING:
    from hwcng.capi.contexts import Context
    from hwcng.contract.provider import Provider


PAIR_LENGTHS = {
    (w.MS_DEF_PROV, w.AT_SIGNATURE): (384, 512, 16384, 8),
    (w.MS_DEF_PROV, w.AT_KEYEXCHANGE): (384, 512, 1024, 8),
    (w.MS_STRONG_PROV, w.AT_SIGNATURE): (384, 1024, 16384, 8),
    (w.MS_STRONG_PROV, w.AT_KEYEXCHANGE): (384, 1024, 16384, 8),
    (w.MS_ENHANCED_PROV, w.AT_KEYEXCHANGE): (384, 1024, 16384, 8),
    (w.MS_ENH_RSA_AES_PROV, w.AT_SIGNATURE): (384, 1024, 16384, 8),
    (w.MS_DEF_DSS_PROV, w.AT_SIGNATURE): (512, 1024, 1024, 64),
    (w.MS_DEF_DSS_DH_PROV, w.AT_SIGNATURE): (512, 1024, 1024, 64),
    (w.MS_DEF_DSS_DH_PROV, w.AT_KEYEXCHANGE): (512, 512, 1024, 64),
    (w.MS_ENH_DSS_DH_PROV, w.AT_SIGNATURE): (512, 1024, 1024, 64),
    (w.MS_ENH_DSS_DH_PROV, w.AT_KEYEXCHANGE): (512, 1024, 4096, 64),
}
"""Minimum, default, maximum, increment, in bits."""

SESSION_LENGTHS = {
    (w.MS_DEF_PROV, w.CALG_RC2): (40, 40, 56),
    (w.MS_DEF_PROV, w.CALG_RC4): (40, 40, 56),
    (w.MS_STRONG_PROV, w.CALG_RC2): (40, 128, 128),
    (w.MS_ENHANCED_PROV, w.CALG_RC4): (40, 128, 128),
    (w.MS_DEF_DSS_DH_PROV, w.CALG_RC2): (40, 40, 56),
    (w.MS_ENH_DSS_DH_PROV, w.CALG_RC4): (40, 128, 128),
    (w.MS_ENH_RSA_AES_PROV, w.CALG_RC4): (40, 128, 128),
}

FIXED = {
    w.CALG_DES: (56, 64),
    w.CALG_3DES_112: (112, 128),
    w.CALG_3DES: (168, 192),
    w.CALG_AES_128: (128,),
    w.CALG_AES_192: (192,),
    w.CALG_AES_256: (256,),
}
"""ALG_ID -> the lengths that can be asked for, the first without parity."""


@pytest.mark.row("CGK-08")
@pytest.mark.parametrize(("csp", "spec"), PAIR_LENGTHS)
def test_lengths_of_pairs_outside_the_providers_limits(verify: Verify, csp: str, spec: int) -> None:
    minimum, _, maximum, increment = PAIR_LENGTHS[csp, spec]
    context = verify(csp)
    for bits in {minimum - 1, minimum - increment, minimum + increment - 1, maximum + increment, 1, 0xFFFF}:
        with refused(INVALID_PARAMETER):
            w.CryptGenKey(context, spec, bits << 16)


@pytest.mark.row("CGK-08")
@pytest.mark.parametrize("csp", [w.MS_DEF_PROV, w.MS_STRONG_PROV])
@pytest.mark.parametrize("bits", [384, 512, 520, 1000, 1024])
def test_lengths_of_rsa_pairs_that_tokens_differ_in(token: Provider, verify: Verify, csp: str, bits: int) -> None:
    """What the token refuses is refused with a documented code and the length in the message."""
    try:
        key = w.CryptGenKey(verify(csp), w.AT_SIGNATURE, bits << 16)
    except CngError as error:
        assert not has_bits(token, "RSA", bits) or bits % 16, "a length that the token claims"
        refusal = error
    else:
        assert w.CryptGetKeyParam(key, w.KP_KEYLEN) == bits
        return
    assert refusal.status is INVALID_PARAMETER and str(bits) in refusal.message


@pytest.mark.row("CGK-08")
@pytest.mark.row("CGK-26")
@pytest.mark.parametrize(("csp", "algid"), SESSION_LENGTHS)
def test_lengths_of_rc2_and_rc4(token: Provider, verify: Verify, csp: str, algid: int) -> None:
    needs_algid(token, algid)
    minimum, default, maximum = SESSION_LENGTHS[csp, algid]
    context = verify(csp)
    assert w.CryptGetKeyParam(w.CryptGenKey(context, algid, 0), w.KP_KEYLEN) == default
    for bits in range(minimum, maximum + 1, 8):
        assert w.CryptGetKeyParam(w.CryptGenKey(context, algid, bits << 16), w.KP_KEYLEN) == bits
    for bits in (minimum - 8, minimum + 4, maximum + 8, maximum + 1):
        with refused(INVALID_PARAMETER):
            w.CryptGenKey(context, algid, bits << 16)


@pytest.mark.row("CGK-08")
@pytest.mark.row("CGK-26")
@pytest.mark.parametrize("algid", FIXED, ids=name_of)
def test_ciphers_of_one_length(token: Provider, context: Context, algid: int) -> None:
    asked = FIXED[algid]
    if has(token, algid):
        for bits in (0, *asked):
            assert w.CryptGetKeyParam(w.CryptGenKey(context, algid, bits << 16), w.KP_KEYLEN) == asked[-1]
    for bits in {40, 57, 128, 192, 256} - set(asked):
        with refused(INVALID_PARAMETER):
            w.CryptGenKey(context, algid, bits << 16)


def test_lengths_of_hmac_keys(token: Provider, context: Context) -> None:
    """Beyond the CryptoAPI: CryptGenKey makes the keys of CALG_HMAC."""
    if token.uri.startswith("tpm2:"):
        # A TPM's HMAC key is for one hash, which CryptGenKey does not know yet.
        with refused(INVALID_PARAMETER):
            w.CryptGenKey(context, w.CALG_HMAC, 0)
        return
    for asked, bits in ((0, 512), (160, 160), (512, 512)):
        assert w.CryptGetKeyParam(w.CryptGenKey(context, w.CALG_HMAC, asked << 16), w.KP_KEYLEN) == bits
    for asked in (4, 161, 520):
        with refused(INVALID_PARAMETER):
            w.CryptGenKey(context, w.CALG_HMAC, asked << 16)
