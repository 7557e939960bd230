"""Diffie-Hellman and DSS pairs on the caller's parameters: row CGK-13; agreement, and DSS signatures."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dh, dsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from support import needs
from wincrypt.helpers import EXPORTABLE, FINAL, TEXT, Verify, encrypted, hashed, name_of, needs_algid, refused

from hwcng import wincrypt as w
from hwcng.errors import HRESULT, Win32Error
from hwcng.hostcrypto.domains import dsa_domain

if TYPE_CHECKING:
    from hwcng.capi.contexts import Context
    from hwcng.capi.handle_base import CapiKey
    from hwcng.contract.material import DsaDomain
    from hwcng.contract.provider import Provider


GROUP = dh.generate_parameters(2, 512).parameter_numbers()


@pytest.fixture(scope="module")
def dss_domain() -> DsaDomain:
    return dsa_domain(1024)


def little(number: int, size: int) -> bytes:
    return number.to_bytes(size, "little")


@pytest.fixture
def dss(token: Provider, verify: Verify) -> Context:
    needs(token, "DSA")
    return verify(w.MS_ENH_DSS_DH_PROV)


def waiting_dh(context: Context, algid: int = w.CALG_DH_EPHEM) -> CapiKey:
    """A pair that has its parameters."""
    key = w.CryptGenKey(context, algid, 512 << 16 | w.CRYPT_PREGEN)
    w.CryptSetKeyParam(key, w.KP_P, little(GROUP.p, 64))
    w.CryptSetKeyParam(key, w.KP_G, little(GROUP.g, 64))
    return key


@pytest.mark.row("CGK-13")
@pytest.mark.parametrize("algid", [w.CALG_DH_EPHEM, w.CALG_DH_SF, w.AT_KEYEXCHANGE])
def test_a_diffie_hellman_pair_on_given_parameters(token: Provider, verify: Verify, algid: int) -> None:
    needs(token, "DH")
    context = verify(w.MS_DEF_DSS_DH_PROV)
    key = waiting_dh(context, algid)
    assert w.CryptGetKeyParam(key, w.KP_KEYLEN) == 512
    with refused(HRESULT.NTE_BAD_KEY_STATE):
        w.CryptExportKey(key, None, w.PUBLICKEYBLOB)
    if algid != w.CALG_DH_EPHEM:
        with refused(HRESULT.NTE_NO_KEY):
            w.CryptGetUserKey(context, w.AT_KEYEXCHANGE)
    w.CryptSetKeyParam(key, w.KP_X, None)
    assert w.CryptGetKeyParam(key, w.KP_P) == little(GROUP.p, 64)
    assert w.CryptGetKeyParam(key, w.KP_G) == little(GROUP.g, 64)
    y = w.CryptGetKeyParam(key, w.KP_Y)
    assert isinstance(y, bytes) and 1 < int.from_bytes(y, "little") < GROUP.p - 1
    if algid != w.CALG_DH_EPHEM:
        stored = w.CryptGetUserKey(context, w.AT_KEYEXCHANGE)
        assert w.CryptGetKeyParam(stored, w.KP_Y) == y
    for parameter, value in ((w.KP_X, None), (w.KP_P, little(GROUP.p, 64))):
        with refused(HRESULT.NTE_BAD_KEY_STATE):
            w.CryptSetKeyParam(key, parameter, value)


@pytest.mark.row("CGK-13")
def test_parameters_must_fit_the_length(dss: Context) -> None:
    key = w.CryptGenKey(dss, w.CALG_DH_EPHEM, w.CRYPT_PREGEN)
    assert w.CryptGetKeyParam(key, w.KP_KEYLEN) == 1024
    for parameter, value in ((w.KP_P, little(GROUP.p, 64)), (w.KP_P, b"\xff" * 129), (w.KP_G, b"\xff" * 129)):
        with refused(HRESULT.NTE_BAD_DATA):
            w.CryptSetKeyParam(key, parameter, value)
    with refused(HRESULT.NTE_BAD_KEY_STATE):
        w.CryptSetKeyParam(key, w.KP_X, None)
    with refused(Win32Error.ERROR_INVALID_PARAMETER):
        w.CryptSetKeyParam(key, w.KP_X, b"\1" * 128)


@pytest.mark.row("CGK-13")
@pytest.mark.parametrize("bad", [GROUP.p - 2, GROUP.p + 1], ids=["composite", "even"])
def test_a_modulus_that_is_no_prime_never_reaches_the_token(dss: Context, bad: int) -> None:
    key = waiting_dh(dss)
    w.CryptSetKeyParam(key, w.KP_P, little(bad, 64))
    with refused(HRESULT.NTE_BAD_DATA):
        w.CryptSetKeyParam(key, w.KP_X, None)
    for generator in (0, 1, GROUP.p - 1):
        other = waiting_dh(dss)
        w.CryptSetKeyParam(other, w.KP_G, little(generator, 64))
        with refused(HRESULT.NTE_BAD_DATA):
            w.CryptSetKeyParam(other, w.KP_X, None)


@pytest.mark.row("CGK-13")
def test_pregen_of_keys_that_have_no_parameters(context: Context) -> None:
    key = w.CryptGenKey(context, w.CALG_AES_128, w.CRYPT_PREGEN)
    assert w.CryptEncrypt(key, None, FINAL, 0, TEXT)
    for parameter in (w.KP_P, w.KP_G, w.KP_Q):
        with refused(HRESULT.NTE_BAD_KEY):
            w.CryptSetKeyParam(key, parameter, bytes(64))


@pytest.mark.row("CGK-13")
@pytest.mark.parametrize("at_once", [True, False], ids=["KP_PUB_PARAMS", "KP_P, KP_Q, KP_G"])
def test_a_dss_pair_on_given_parameters(dss: Context, dss_domain: DsaDomain, at_once: bool) -> None:
    domain = dss_domain
    key = w.CryptGenKey(dss, w.CALG_DSS_SIGN, 1024 << 16 | w.CRYPT_PREGEN)
    if at_once:
        assert domain.seed is not None
        header = (
            struct.pack("<BBHI", 6, 3, 0, w.CALG_DSS_SIGN) + b"DSS3" + struct.pack("<4I", 1024, 160, 0, domain.counter)
        )
        numbers = little(domain.prime, 128) + little(domain.subprime, 20) + little(domain.generator, 128)
        w.CryptSetKeyParam(key, w.KP_PUB_PARAMS, header + domain.seed[::-1] + numbers)
    else:
        for parameter, number, size in (
            (w.KP_P, domain.prime, 128),
            (w.KP_Q, domain.subprime, 20),
            (w.KP_G, domain.generator, 128),
        ):
            w.CryptSetKeyParam(key, parameter, little(number, size))
    w.CryptSetKeyParam(key, w.KP_X, None)
    assert w.CryptGetKeyParam(key, w.KP_Q) == little(domain.subprime, 20)
    signature = w.CryptSignHash(hashed(dss, w.CALG_SHA1), w.AT_SIGNATURE)
    w.CryptVerifySignature(hashed(dss, w.CALG_SHA1), signature, key)
    blob = w.CryptExportKey(key, None, w.PUBLICKEYBLOB)
    seed = struct.pack("<I", domain.counter) + (domain.seed or b"")[::-1] if at_once else b"\xff" * 24
    assert blob[-24:] == seed


def test_dss_signatures_are_two_little_endian_numbers(dss: Context) -> None:
    key = w.CryptGenKey(dss, w.AT_SIGNATURE, 0)
    blob = w.CryptExportKey(key, None, w.PUBLICKEYBLOB)
    assert blob[:8] == struct.pack("<BBHI", 6, 2, 0, w.CALG_DSS_SIGN) and blob[8:16] == b"DSS1" + struct.pack(
        "<I", 1024
    )
    p, g, y = (int.from_bytes(blob[start : start + 128], "little") for start in (16, 164, 292))
    q = int.from_bytes(blob[144:164], "little")
    assert len(blob) == 16 + 128 + 20 + 128 + 128 + 24
    for algid, algorithm in ((w.CALG_SHA1, hashes.SHA1()), (w.CALG_MD5, hashes.MD5())):  # noqa: S303
        handle = hashed(dss, algid)
        signature = w.CryptSignHash(handle, w.AT_SIGNATURE)
        assert len(signature) == 40
        r, s = (int.from_bytes(half, "little") for half in (signature[:20], signature[20:]))
        public = dsa.DSAPublicNumbers(y, dsa.DSAParameterNumbers(p, q, g)).public_key()
        digest = w.CryptGetHashParam(handle, w.HP_HASHVAL)
        assert isinstance(digest, bytes)
        public.verify(encode_dss_signature(r, s), digest, Prehashed(algorithm))
        for broken in (signature[::-1], signature[:-1], signature + b"\0", bytes(40)):
            with refused(HRESULT.NTE_BAD_SIGNATURE):
                w.CryptVerifySignature(handle, broken, key)


def test_the_public_blobs_of_dss(dss: Context) -> None:
    key = w.CryptGenKey(dss, w.AT_SIGNATURE, 0)
    for flags, version in ((0, 2), (w.CRYPT_BLOB_VER3, 3)):
        blob = w.CryptExportKey(key, None, w.PUBLICKEYBLOB, flags)
        assert blob[1] == version
        again = w.CryptImportKey(dss, blob)
        assert w.CryptExportKey(again, None, w.PUBLICKEYBLOB, flags) == blob
        for broken in (blob[:-1], blob + b"\0", blob[:8] + b"DSS9" + blob[12:], blob[:20]):
            with refused(HRESULT.NTE_BAD_DATA):
                w.CryptImportKey(dss, broken)


def test_a_private_dss_blob_becomes_the_containers_pair(dss: Context) -> None:
    numbers = dsa.generate_private_key(1024).private_numbers()  # noqa: S505
    parameters = numbers.public_numbers.parameter_numbers
    blob = (
        struct.pack("<BBHI", 7, 2, 0, w.CALG_DSS_SIGN)
        + b"DSS2"
        + struct.pack("<I", 1024)
        + little(parameters.p, 128)
        + little(parameters.q, 20)
        + little(parameters.g, 128)
        + little(numbers.x, 20)
        + b"\xff" * 24
    )
    assert len(blob) == 336
    key = w.CryptImportKey(dss, blob)
    assert w.CryptGetKeyParam(key, w.KP_Y) == little(numbers.public_numbers.y, 128)
    handle = hashed(dss, w.CALG_SHA1)
    w.CryptVerifySignature(handle, w.CryptSignHash(handle, w.AT_SIGNATURE), key)


class TestAgreement:
    @pytest.fixture
    def parties(self, raw_secret_token: Provider) -> Iterator[tuple[Context, Context]]:
        csp = (w.MS_ENH_DSS_DH_PROV, raw_secret_token)
        one, other = (w.CryptAcquireContext(None, csp, w.PROV_DSS_DH, w.CRYPT_VERIFYCONTEXT) for _ in range(2))
        yield one, other
        one.destroy()
        other.destroy()

    @pytest.mark.parametrize("version", [0, w.CRYPT_BLOB_VER3])
    @pytest.mark.parametrize("algid", [w.CALG_RC4, w.CALG_3DES], ids=name_of)
    def test_two_parties_get_one_session_key(
        self, raw_secret_token: Provider, parties: tuple[Context, Context], version: int, algid: int
    ) -> None:
        needs_algid(raw_secret_token, algid)
        keys = [waiting_dh(context) for context in parties]
        for key in keys:
            w.CryptSetKeyParam(key, w.KP_X, None)
        blobs = [w.CryptExportKey(key, None, w.PUBLICKEYBLOB, version) for key in keys]
        agreed = [
            w.CryptImportKey(context, blob, key) for context, blob, key in zip(parties, blobs[::-1], keys, strict=True)
        ]
        for key in agreed:
            assert w.CryptGetKeyParam(key, w.KP_ALGID) == w.CALG_AGREEDKEY_ANY
            with refused(HRESULT.NTE_BAD_KEY):
                w.CryptEncrypt(key, None, FINAL, 0, TEXT)
            w.CryptSetKeyParam(key, w.KP_ALGID, algid)
            assert w.CryptGetKeyParam(key, w.KP_ALGID) == algid
            with refused(HRESULT.NTE_BAD_KEY_STATE):
                w.CryptSetKeyParam(key, w.KP_ALGID, algid)
        ciphertext = w.CryptEncrypt(agreed[0], None, FINAL, 0, TEXT)
        assert w.CryptDecrypt(agreed[1], None, FINAL, 0, ciphertext) == TEXT

    def test_the_session_key_is_the_secrets_low_bytes(
        self, raw_secret_token: Provider, parties: tuple[Context, Context]
    ) -> None:
        needs_algid(raw_secret_token, w.CALG_3DES)
        key = waiting_dh(parties[0])
        w.CryptSetKeyParam(key, w.KP_X, None)
        host = GROUP.parameters().generate_private_key()
        y = little(host.public_key().public_numbers().y, 64)
        header = struct.pack("<BBHI", 6, 2, 0, w.CALG_DH_EPHEM) + struct.pack("<2I", 0x31484400, 512)
        ours = w.CryptGetKeyParam(key, w.KP_Y)
        assert isinstance(ours, bytes)
        assert w.CryptExportKey(key, None, w.PUBLICKEYBLOB) == header + ours
        agreed = w.CryptImportKey(parties[0], header + y, key)
        w.CryptSetKeyParam(agreed, w.KP_ALGID, w.CALG_3DES)
        secret = host.exchange(dh.DHPublicNumbers(int.from_bytes(ours, "little"), GROUP).public_key())
        expected = encrypted(w.CALG_3DES, secret.rjust(64, b"\0")[::-1][:24], TEXT)
        assert w.CryptEncrypt(agreed, None, FINAL, 0, TEXT) == expected


def test_an_agreed_secret_does_not_leave_the_token(token: Provider, verify: Verify) -> None:
    """Opened without allow_raw_secret, the secret's bytes cannot be cut on the host."""
    needs(token, "DH")
    needs_algid(token, w.CALG_3DES)
    context = verify(w.MS_ENH_DSS_DH_PROV)
    keys = [waiting_dh(context) for _ in range(2)]
    for key in keys:
        w.CryptSetKeyParam(key, w.KP_X, None)
    agreed = w.CryptImportKey(context, w.CryptExportKey(keys[0], None, w.PUBLICKEYBLOB), keys[1])
    with refused(HRESULT.NTE_NOT_SUPPORTED):
        w.CryptSetKeyParam(agreed, w.KP_ALGID, w.CALG_3DES)


@pytest.mark.parametrize("value", [0, 1, GROUP.p - 1, GROUP.p], ids=["0", "1", "p - 1", "p"])
def test_a_public_value_out_of_range_never_reaches_the_token(token: Provider, verify: Verify, value: int) -> None:
    needs(token, "DH")
    context = verify(w.MS_ENH_DSS_DH_PROV)
    key = waiting_dh(context)
    w.CryptSetKeyParam(key, w.KP_X, None)
    blob = struct.pack("<BBHI", 6, 2, 0, w.CALG_DH_EPHEM) + struct.pack("<2I", 0x31484400, 512) + little(value, 64)
    with refused(HRESULT.NTE_BAD_DATA):
        w.CryptImportKey(context, blob, key)
    with refused(HRESULT.NTE_BAD_PUBLIC_KEY):
        w.CryptImportKey(context, blob)


def test_an_exportable_diffie_hellman_pair_stays_inside(token: Provider, verify: Verify) -> None:
    needs(token, "DH")
    key = waiting_dh(verify(w.MS_ENH_DSS_DH_PROV))
    w.CryptSetKeyParam(key, w.KP_X, None)
    exportable = w.CryptGenKey(verify(w.MS_ENH_DSS_DH_PROV), w.CALG_DH_SF, 512 << 16 | EXPORTABLE)
    for pair in (key, exportable):
        with refused(HRESULT.NTE_BAD_KEY_STATE):
            w.CryptExportKey(pair, None, w.PRIVATEKEYBLOB)
