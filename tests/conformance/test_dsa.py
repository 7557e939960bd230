"""Reference 4.6, 5.7, 5.10 and 5.15: DSA pairs in tokens, against FIPS 186-2 and FIPS 186-4 written out."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from conformance.checks import algorithm, fails, need, public_of
from conformance.finite_fields import (
    DSA_DOMAINS,
    MISSING,
    Domain,
    dsa_blob,
    dsa_capi_2,
    dsa_capi_3,
    dsa_parameters,
    from_seed,
    octets,
    size_of,
    verifies,
)
from conformance.helpers import token_attributes
from support import missing

from hwcng import NTSTATUS, CngError, bcrypt
from hwcng.cng.keys import KeyPair
from hwcng.contract.provider import Provider

V1, V2 = DSA_DOMAINS[1024], DSA_DOMAINS[2048]
X = int.from_bytes(hashlib.sha1(b"a throw-away exponent").digest(), "big") >> 1
DIGESTS = tuple(bytes(0xFF - octet for octet in range(size)) for size in (1, 16, 20, 28, 31, 32, 33, 48, 64))
BOTH = pytest.mark.parametrize("domain", [V1, V2], ids=["version 1", "version 2"])
EVERY = pytest.mark.parametrize("domain", DSA_DOMAINS.values(), ids=map(str, DSA_DOMAINS))


def empty(token: Provider, bits: int = 1024) -> KeyPair:
    return bcrypt.BCryptGenerateKeyPair(algorithm(token, "DSA"), bits)


def finalized(pair: KeyPair) -> KeyPair:
    """Skips where the token makes no pairs of this length."""
    try:
        bcrypt.BCryptFinalizeKeyPair(pair)
    except CngError as error:
        if error.status is not NTSTATUS.STATUS_NOT_SUPPORTED:
            raise
        label = pair.algorithm_handle.provider.token.label
        missing(f"DSA {bcrypt.BCryptGetProperty(pair, 'KeyLength')} generation on {label}")
    return pair


def with_parameters(token: Provider, domain: Domain, *, seeded: bool = True) -> KeyPair:
    pair = empty(token, domain.p.bit_length())
    bcrypt.BCryptSetProperty(pair, "DSAParameters", dsa_parameters(domain, seeded=seeded))
    return finalized(pair)


def private(token: Provider, domain: Domain = V1, x: int = X) -> KeyPair:
    blob = dsa_blob(domain, pow(domain.g, x, domain.p), x)
    return bcrypt.BCryptImportKeyPair(algorithm(token, "DSA"), None, "DSAPRIVATEBLOB", blob)


def public(token: Provider, domain: Domain, y: int) -> KeyPair:
    return bcrypt.BCryptImportKeyPair(algorithm(token, "DSA"), None, "DSAPUBLICBLOB", dsa_blob(domain, y))


class Exported(NamedTuple):
    domain: Domain
    y: int


def exported(pair: KeyPair) -> Exported:
    """A DSAPUBLICBLOB, taken apart."""
    blob = bcrypt.BCryptExportKey(pair, None, "DSAPUBLICBLOB")
    magic, size = struct.unpack_from("<4sI", blob)
    start, seed_size, group_size = 8, 20, 20
    if size > 128:
        hash_number, standard, seed_size, group_size = struct.unpack_from("<4I", blob, 8)
        assert (magic, hash_number, standard) == (b"DPB2", 1, 1)
        start += 16
    else:
        assert magic == b"DSPB"
    (counter,) = struct.unpack_from(">I", blob, start)
    fields, start = [], start + 4
    for width in (seed_size, group_size, size, size, size):
        fields.append(blob[start : start + width])
        start += width
    assert start == len(blob)
    q, p, g, y = (int.from_bytes(field, "big") for field in fields[1:])
    return Exported(Domain(p, q, g, fields[0], counter), y)


def check_signatures(pair: KeyPair) -> None:
    domain, y = exported(pair)
    width = 2 * size_of(domain.q)
    assert bcrypt.BCryptGetProperty(pair, "SignatureLength") == width
    for digest in (*DIGESTS, bytes(32), b"\xff" * 64):
        signature = bcrypt.BCryptSignHash(pair, None, digest)
        assert len(signature) == width
        assert verifies(domain, y, digest, signature)
        bcrypt.BCryptVerifySignature(pair, None, digest, signature)
        bcrypt.BCryptVerifySignature(public_of(pair), None, digest, signature)


@pytest.mark.row("GKP-09", "GKP-07", "GKP-21")
@pytest.mark.parametrize("bits", [0, 160, 448, 511, 513, 1000, 1025, 2047, 3071, 3073, 3136, 4096])
def test_lengths_that_do_not_exist(warm: Provider, refuses: Callable[..., Any], bits: int) -> None:
    handle = algorithm(warm, "DSA")
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptGenerateKeyPair(handle, bits)


@pytest.mark.row("GKP-09", "GKP-10", "GKP-19", "FIN-03", "SIG-05")
@pytest.mark.parametrize("bits", [512, 768, 1024])
def test_parameters_are_made_where_none_are_set(token: Provider, bits: int) -> None:
    """With the seed and the counter that prove it: FIPS 186-2."""
    check_made_parameters(token, bits)


@pytest.mark.row("GKP-09", "GKP-10", "GKP-19", "FIN-03", "SIG-05")
@pytest.mark.parametrize("bits", [1280, 2048])
def test_long_parameters_are_made_where_none_are_set(warm: Provider, bits: int) -> None:
    """By FIPS 186-3. The host makes them, alike for every token."""
    check_made_parameters(warm, bits)


def check_made_parameters(token: Provider, bits: int) -> None:
    pair = finalized(empty(token, bits))
    domain = exported(pair).domain
    version_1 = bits <= 1024
    hash_name, subprime_bits = ("sha1", 160) if version_1 else ("sha256", 256)
    assert (domain.p.bit_length(), domain.q.bit_length()) == (bits, subprime_bits)
    assert from_seed(bits, domain.seed, domain.counter, hash_name, subprime_bits, fips_186_2=version_1) == domain
    assert bcrypt.BCryptGetProperty(pair, "DSAParameters") == dsa_parameters(domain)
    assert bcrypt.BCryptGetProperty(pair, "KeyLength") == bits
    check_signatures(pair)


@pytest.mark.row("GKP-10", "GKP-19", "3.2 DSAParameters", "SIG-05", "SIG-04", "3.2 SignatureLength")
@EVERY
def test_pairs_of_the_token(token: Provider, domain: Domain) -> None:
    pair = with_parameters(token, domain)
    assert exported(pair).domain == domain
    check_signatures(pair)


@pytest.mark.row("IKP-14", "IKP-02", "IKP-08", "SIG-05", "GKP-09")
@EVERY
def test_pairs_of_the_callers(token: Provider, domain: Domain) -> None:
    """Also of lengths that the token makes no pairs of."""
    pair = private(token, domain)
    y = pow(domain.g, X, domain.p)
    assert bcrypt.BCryptExportKey(pair, None, "DSAPUBLICBLOB") == dsa_blob(domain, y)
    check_signatures(pair)
    with fails(NTSTATUS.STATUS_INVALID_HANDLE):
        bcrypt.BCryptFinalizeKeyPair(pair)


@pytest.mark.row("EXP-03", "EXP-05", "EXP-07", "EXP-08")
@BOTH
def test_what_is_exported(provider: Provider, domain: Domain) -> None:
    pair = private(provider, domain)
    blob = dsa_blob(domain, pow(domain.g, X, domain.p))
    assert len(blob) == (436 if domain is V1 else 28 + 2 * 32 + 3 * 256)
    half = public_of(pair)
    for key in (pair, half):
        for name in ("DSAPUBLICBLOB", "PUBLICBLOB"):
            assert bcrypt.BCryptExportKey(key, None, name) == blob
        for name in ("CAPIDSAPUBLICBLOB", "V2CAPIDSAPUBLICBLOB", "DHPUBLICBLOB", "ECCPUBLICBLOB", "KeyDataBlob"):
            with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
                bcrypt.BCryptExportKey(key, None, name)
    for name in ("DSAPRIVATEBLOB", "PRIVATEBLOB", "CAPIDSAPRIVATEBLOB", "V2CAPIDSAPRIVATEBLOB"):
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
            bcrypt.BCryptExportKey(pair, None, name)
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptExportKey(half, None, name)


@pytest.mark.row("IKP-14", "EXP-08")
@pytest.mark.parametrize("hash_number", [0, 1, 2])
def test_blobs_come_back_as_they_were(provider: Provider, hash_number: int) -> None:
    handle = algorithm(provider, "DSA")
    y = pow(V2.g, X, V2.p)
    long_seed, no_seed = V2._replace(seed=bytes(range(64))), V2._replace(seed=b"", counter=0xFFFFFFFF)
    for blob in (
        dsa_blob(V2, y, hash_number=hash_number),
        dsa_blob(V2, y, hash_number=hash_number, seeded=False),
        dsa_blob(long_seed, y, hash_number=hash_number),
        dsa_blob(no_seed, y, hash_number=hash_number),
        dsa_blob(V1, pow(V1.g, X, V1.p), seeded=False),
        dsa_blob(V1._replace(seed=MISSING * 20), pow(V1.g, X, V1.p)),
    ):
        with bcrypt.BCryptImportKeyPair(handle, None, "PUBLICBLOB", blob) as key:
            assert bcrypt.BCryptExportKey(key, None, "DSAPUBLICBLOB") == blob


@pytest.mark.row("IKP-14")
@BOTH
@pytest.mark.parametrize("name", ["DSAPUBLICBLOB", "DSAPRIVATEBLOB", "PUBLICBLOB", "PRIVATEBLOB"])
def test_blobs_of_wrong_size_or_magic(warm: Provider, refuses: Callable[..., Any], name: str, domain: Domain) -> None:
    handle = algorithm(warm, "DSA")
    x, y = X if "PRIVATE" in name else None, pow(domain.g, X, domain.p)
    good = dsa_blob(domain, y, x)
    size = struct.pack("<I", len(octets(domain.p, size_of(domain.p))) + 8)
    other_version = {b"DSPB": b"DPB2", b"DSPV": b"DPV2", b"DPB2": b"DSPB", b"DPV2": b"DSPV"}[good[:4]]
    for blob in (
        b"",
        good[:7],
        good[:51],
        good[:-1],
        good + b"\0",
        dsa_blob(domain, y, X if x is None else None),
        good[:4] + size + good[8:],
        good[:4] + b"\xff" * 4 + good[8:],
        other_version + good[4:],
        b"DSPM" + good[4:],
    ):
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptImportKeyPair(handle, None, name, blob)


@pytest.mark.row("IKP-14")
def test_version_2_headers_that_do_not_exist(warm: Provider, refuses: Callable[..., Any]) -> None:
    good = dsa_blob(V2, pow(V2.g, X, V2.p))
    for offset, value in ((8, 3), (12, 0), (12, 2), (16, 31), (16, 0xFFFFFFFF), (20, 31), (20, 64), (20, 0xFFFFFFFF)):
        blob = good[:offset] + struct.pack("<I", value) + good[offset + 4 :]
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptImportKeyPair(algorithm(warm, "DSA"), None, "DSAPUBLICBLOB", blob)


def bad_domains(domain: Domain) -> dict[str, Domain]:
    p, q, g = domain[:3]
    top = 1 << q.bit_length() - 1
    other = next(value for value in range(top + 1, top + 9999, 2) if (p - 1) % value)
    return {
        "even p": domain._replace(p=p - 1),
        "composite p": domain._replace(p=p + 2 * q),
        "q does not divide p - 1": domain._replace(q=other),
        "short q": domain._replace(q=q >> 1),
        "g 0": domain._replace(g=0),
        "g 1": domain._replace(g=1),
        "g p-1": domain._replace(g=p - 1),
        "g of another order": domain._replace(g=2),
        "g p": domain._replace(g=p),
        "g + p": domain._replace(g=g + p) if (g + p).bit_length() <= p.bit_length() else domain._replace(g=1),
    }


BAD_DOMAINS = [
    pytest.param(bad, id=f"{bits} {name}")
    for bits, domain in ((1024, V1), (2048, V2))
    for name, bad in bad_domains(domain).items()
]


@pytest.mark.row("IKP-14", "3.2 DSAParameters")
@pytest.mark.parametrize("bad", BAD_DOMAINS)
def test_malformed_domain_parameters(warm: Provider, refuses: Callable[..., Any], bad: Domain) -> None:
    handle = algorithm(warm, "DSA")
    for name, blob in (("DSAPUBLICBLOB", dsa_blob(bad, 4)), ("DSAPRIVATEBLOB", dsa_blob(bad, 4, 2))):
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptImportKeyPair(handle, None, name, blob)
    pair = bcrypt.BCryptGenerateKeyPair(handle, 2048 if bad.q.bit_length() > 160 else 1024)
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptSetProperty(pair, "DSAParameters", dsa_parameters(bad))


@pytest.mark.row("IKP-14")
def test_a_composite_subprime(warm: Provider, refuses: Callable[..., Any]) -> None:
    """Of 160 bits and a divisor of p - 1: q times what else divides it, in a domain made for it."""
    q1, q2 = 2**79 + 9, 2**80 + 13
    q = q1 * q2
    assert q.bit_length() == 160
    p = next(
        value
        for k in range(2**863 // 1, 2**863 + 4000)
        if (value := 2 * k * q + 1).bit_length() == 1024 and pow(2, value - 1, value) == 1
    )
    g = next(found for h in range(2, 99) if (found := pow(h, (p - 1) // q, p)) != 1)
    bad = Domain(p, q, g, bytes(20), 0)
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptImportKeyPair(algorithm(warm, "DSA"), None, "DSAPUBLICBLOB", dsa_blob(bad, g))


@pytest.mark.row("IKP-14")
@BOTH
def test_keys_that_do_not_fit(warm: Provider, refuses: Callable[..., Any], domain: Domain) -> None:
    handle, y = algorithm(warm, "DSA"), pow(domain.g, X, domain.p)
    for wrong in (0, 1, domain.p - 1, domain.p, domain.p - y, 2):
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptImportKeyPair(handle, None, "DSAPUBLICBLOB", dsa_blob(domain, wrong))
    for x in (0, domain.q, X + 1):
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptImportKeyPair(handle, None, "DSAPRIVATEBLOB", dsa_blob(domain, y, x))


@pytest.mark.row("3.2 DSAParameters", "GKP-17", "FIN-05")
@BOTH
def test_parameters(token: Provider, domain: Domain) -> None:
    pair, value = empty(token, domain.p.bit_length()), dsa_parameters(domain, seeded=False)
    with fails(NTSTATUS.STATUS_INVALID_HANDLE):
        bcrypt.BCryptGetProperty(pair, "DSAParameters")
    bcrypt.BCryptSetProperty(pair, "DSAParameters", value)
    with fails(NTSTATUS.STATUS_INVALID_HANDLE):
        bcrypt.BCryptGetProperty(pair, "DSAParameters")
    finalized(pair)
    assert bcrypt.BCryptGetProperty(pair, "DSAParameters") == value
    assert len(value) == (56 + 2 * 128 if domain is V1 else 32 + 2 * 32 + 2 * 256)
    assert exported(pair).domain == domain._replace(seed=MISSING * size_of(domain.q), counter=0xFFFFFFFF)
    with fails(NTSTATUS.STATUS_INVALID_HANDLE):
        bcrypt.BCryptSetProperty(pair, "DSAParameters", value)


@pytest.mark.row("3.2 DSAParameters")
@BOTH
def test_parameters_that_are_none(warm: Provider, refuses: Callable[..., Any], domain: Domain) -> None:
    pair, good = empty(warm, domain.p.bit_length()), dsa_parameters(domain)
    magic, size = good[4:8], size_of(domain.p)
    header = struct.Struct("<I4sI")
    other = dsa_parameters(DSA_DOMAINS[512] if domain is V1 else DSA_DOMAINS[3072])
    for value in (
        b"",
        good[:11],
        good[:-1],
        good + b"\0",
        header.pack(len(good) + 1, magic, size) + good[12:],
        header.pack(len(good), b"DSPB", size) + good[12:],
        header.pack(len(good), b"DPM2" if magic == b"DSPM" else b"DSPM", size) + good[12:],
        header.pack(len(good), magic, size + 8) + good[12:],
        header.pack(len(good) + 1, magic, size) + good[12:] + b"\0",
        other,
    ):
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptSetProperty(pair, "DSAParameters", value)
    with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
        bcrypt.BCryptSetProperty(pair, "DHParameters", good)


@pytest.mark.row("3.2 PrivKeyVal", "FIN-03")
@BOTH
def test_a_private_value_of_the_callers(token: Provider, domain: Domain) -> None:
    pair = empty(token, domain.p.bit_length())
    bcrypt.BCryptSetProperty(pair, "PrivKeyVal", octets(X, 20))
    bcrypt.BCryptSetProperty(pair, "DSAParameters", dsa_parameters(domain))
    bcrypt.BCryptFinalizeKeyPair(pair)
    assert exported(pair) == (domain, pow(domain.g, X, domain.p))
    assert pair.private_value is None
    check_signatures(pair)
    for x in (b"", b"\0", octets(domain.q, 32), b"\xff" * 40):
        pair = empty(token, domain.p.bit_length())
        bcrypt.BCryptSetProperty(pair, "DSAParameters", dsa_parameters(domain))
        bcrypt.BCryptSetProperty(pair, "PrivKeyVal", x)
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptFinalizeKeyPair(pair)


@pytest.mark.row("3.2 PrivKeyVal", "3.2 DSAParameters", "3.2 DHParameters")
@pytest.mark.parametrize(("name", "bits"), [("RSA", 1024), ("ECDSA_P256", 256), ("ECDH_P256", 256)])
def test_pairs_without_domain_parameters(provider: Provider, name: str, bits: int) -> None:
    pair = bcrypt.BCryptGenerateKeyPair(algorithm(provider, name), bits)
    for name in ("PrivKeyVal", "DSAParameters", "DHParameters"):
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
            bcrypt.BCryptSetProperty(pair, name, bytes(20))
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
            bcrypt.BCryptGetProperty(pair, name)


@pytest.mark.row("SIG-05")
@BOTH
def test_only_the_leftmost_bits_count(token: Provider, domain: Domain) -> None:
    """As many as q has (FIPS 186-4, section 4.2)."""
    pair, size = private(token, domain), size_of(domain.q)
    value = DIGESTS[-1]
    signature = bcrypt.BCryptSignHash(pair, None, value)
    bcrypt.BCryptVerifySignature(pair, None, value[:size], signature)
    bcrypt.BCryptVerifySignature(pair, None, value[:size] + b"other", signature)
    with fails(NTSTATUS.STATUS_INVALID_SIGNATURE):
        bcrypt.BCryptVerifySignature(pair, None, value[: size - 1] + bytes([value[size - 1] ^ 1]), signature)


@pytest.mark.row("SIG-05", "SIG-02", "SIG-01", "SIG-10")
@pytest.mark.parametrize("domain", [DSA_DOMAINS[512], V1, V2], ids=["512", "1024", "2048"])
def test_what_is_no_signature(warm: Provider, refuses: Callable[..., Any], domain: Domain) -> None:
    pair, size = private(warm, domain), size_of(domain.q)
    value = DIGESTS[-1][:size]
    signature = bcrypt.BCryptSignHash(pair, None, value)
    r, s = signature[:size], signature[size:]
    verify = bcrypt.BCryptVerifySignature
    for wrong in (b"", r, signature[:-1], signature + b"\0", b"\0" + signature):
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            verify(pair, None, value, wrong)
    order = octets(domain.q, size)
    zero = bytes(size)
    altered = signature[:-1] + bytes([signature[-1] ^ 1])
    for wrong in (s + r, r + zero, zero + s, zero + zero, order + s, r + order, b"\xff" * 2 * size, altered):
        with refuses(NTSTATUS.STATUS_INVALID_SIGNATURE):
            verify(pair, None, value, wrong)
    for other in (value[:-1], b"\0" + value, bytes(20)):
        with refuses(NTSTATUS.STATUS_INVALID_SIGNATURE):
            verify(pair, None, other, signature)
    for info, flags in ((bcrypt.BCRYPT_PKCS1_PADDING_INFO("SHA1"), 0), (None, bcrypt.BCRYPT_PAD_PKCS1), (None, 1)):
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptSignHash(pair, info, value, flags)
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            verify(pair, info, value, signature, flags)
    for nothing in (None, b""):
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptSignHash(pair, None, nothing)
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            verify(pair, None, nothing, signature)
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptSignHash(public_of(pair), None, value)
    with refuses(NTSTATUS.STATUS_INVALID_HANDLE):
        bcrypt.BCryptSignHash(empty(warm), None, value)
    with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
        bcrypt.BCryptSecretAgreement(pair, pair)


@pytest.mark.row("SIG-04")
def test_halves_keep_their_leading_zeros(token: Provider) -> None:
    """One half in 256 begins with a zero byte."""
    domain = DSA_DOMAINS[512]
    pair, y = private(token, domain), pow(domain.g, X, domain.p)
    found = set()
    for step in range(4000):
        signature = bcrypt.BCryptSignHash(pair, None, octets(step, 20))
        assert len(signature) == 40
        for place in (0, 20):
            if signature[place] == 0 and place not in found:
                assert verifies(domain, y, octets(step, 20), signature)
                found.add(place)
        if found == {0, 20}:
            return
    raise AssertionError(found)


@pytest.mark.row("SIG-05")
@BOTH
def test_two_tokens(provider: Provider, nss_provider: Provider, domain: Domain) -> None:
    """Each verifies what the other made."""
    for signer, verifier in ((provider, nss_provider), (nss_provider, provider)):
        pair = with_parameters(signer, domain)
        signature = bcrypt.BCryptSignHash(pair, None, DIGESTS[5])
        peer = public(verifier, *exported(pair))
        bcrypt.BCryptVerifySignature(peer, None, DIGESTS[5], signature)


@pytest.mark.row("IKP-09")
@pytest.mark.parametrize("blob_type", [bcrypt.LEGACY_DSA_PRIVATE_BLOB, bcrypt.LEGACY_DSA_V2_PRIVATE_BLOB])
def test_legacy_private_blobs(token: Provider, blob_type: str) -> None:
    handle = algorithm(token, "DSA")
    assert len(dsa_capi_2(V1, X)) == 336
    for blob, domain, seeded in (
        (dsa_capi_2(V1, X), V1, True),
        (dsa_capi_2(V1, X, seeded=False), V1, False),
        (dsa_capi_3(V1, X), V1, False),
        (dsa_capi_3(V2, X), V2, False),
    ):
        pair = bcrypt.BCryptImportKeyPair(handle, None, blob_type, blob)
        expected = dsa_blob(domain, pow(domain.g, X, domain.p), seeded=seeded)
        assert bcrypt.BCryptExportKey(pair, None, "DSAPUBLICBLOB") == expected
        check_signatures(pair)


@pytest.mark.row("IKP-09")
def test_legacy_blobs_that_do_not_import(warm: Provider, refuses: Callable[..., Any]) -> None:
    handle = algorithm(warm, "DSA")
    for name in (bcrypt.LEGACY_DSA_PUBLIC_BLOB, bcrypt.LEGACY_DSA_V2_PUBLIC_BLOB):
        with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
            bcrypt.BCryptImportKeyPair(handle, None, name, dsa_capi_2(V1, X, kind=6))
    for good in (dsa_capi_2(V1, X), dsa_capi_3(V1, X)):
        for bad in (b"", good[:15], good[:30], good[:-1], good + b"\0", good[:8] + b"DSS1" + good[12:]):
            with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
                bcrypt.BCryptImportKeyPair(handle, None, bcrypt.LEGACY_DSA_PRIVATE_BLOB, bad)
    for bad in (
        dsa_capi_2(V1, 0),
        dsa_capi_2(V1, V1.q),
        dsa_capi_2(bad_domains(V1)["g 1"], X),
        dsa_capi_2(V1, X, kind=6),
    ):
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptImportKeyPair(handle, None, bcrypt.LEGACY_DSA_PRIVATE_BLOB, bad)


@pytest.mark.row("EXP-07", "IMP-10")
@BOTH
@pytest.mark.parametrize("seeded", [True, False])
def test_opaque_blobs(provider: Provider, domain: Domain, seeded: bool) -> None:
    handle = algorithm(provider, "DSA")
    bcrypt.BCryptSetProperty(handle, "Export Policy", bcrypt.NCRYPT_ALLOW_EXPORT_FLAG)
    pair = bcrypt.BCryptGenerateKeyPair(handle, domain.p.bit_length())
    bcrypt.BCryptSetProperty(pair, "DSAParameters", dsa_parameters(domain, seeded=seeded))
    bcrypt.BCryptFinalizeKeyPair(pair)
    again = bcrypt.BCryptImportKeyPair(
        handle, None, "OpaqueKeyBlob", bcrypt.BCryptExportKey(pair, None, "OpaqueKeyBlob")
    )
    for name in ("DSAPUBLICBLOB", "PUBLICBLOB"):
        assert bcrypt.BCryptExportKey(again, None, name) == bcrypt.BCryptExportKey(pair, None, name)
    bcrypt.BCryptVerifySignature(pair, None, DIGESTS[5], bcrypt.BCryptSignHash(again, None, DIGESTS[5]))
    assert token_attributes(again, "SENSITIVE", "EXTRACTABLE") == [b"\1", b"\1"]
    with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
        bcrypt.BCryptExportKey(private(provider), None, "OpaqueKeyBlob")


@pytest.mark.row("EXP-07")
def test_private_halves_stay(token: Provider) -> None:
    for pair in (with_parameters(token, V1), private(token, V2)):
        assert token_attributes(pair, "SENSITIVE", "EXTRACTABLE", "VALUE") == [b"\1", b"\0", None]


@pytest.mark.row("FIN-03")
def test_a_length_that_the_token_makes_no_pairs_of(provider: Provider, nss_provider: Provider) -> None:
    """SoftHSM none under 1024 bits, NSS only the lengths of the standards; the pair stays empty."""
    for token, bits in ((provider, 512), (nss_provider, 1088)):
        pair = empty(token, bits)
        bcrypt.BCryptSetProperty(pair, "DSAParameters", dsa_parameters(DSA_DOMAINS[bits]))
        for _ in range(2):
            with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
                bcrypt.BCryptFinalizeKeyPair(pair)
        assert bcrypt.BCryptGetProperty(pair, "KeyLength") == bits


@pytest.mark.row("GKP-09")
def test_capabilities(token: Provider) -> None:
    need(token, "DSA")
    capabilities = token.capabilities()
    for bits in (1024, 2048):
        assert capabilities.operations["DSA", f"sign {bits}"].name == "NATIVE"
    assert capabilities.key_bits["DSA"] == (1024, 2048)
    assert "DSA" in capabilities.weak


@pytest.mark.row("GKP-02", "2.5")
def test_the_pseudo_handle(default_provider: Provider) -> None:
    pair = bcrypt.BCryptGenerateKeyPair(bcrypt.BCRYPT_DSA_ALG_HANDLE, 1024)
    bcrypt.BCryptFinalizeKeyPair(pair)
    assert repr(pair) == "<KeyPair DSA 1024 bits pair>"
