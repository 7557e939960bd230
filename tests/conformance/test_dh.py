"""Reference 4.5, 5.7, 5.10 and 5.16: Diffie-Hellman pairs in tokens, against the arithmetic of PKCS #3."""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Callable
from typing import Any

import pytest
from conformance.checks import algorithm, fails, generated, need, public_of
from conformance.finite_fields import (
    DH_GENERATOR,
    DH_PRIMES,
    dh_blob,
    dh_capi_2,
    dh_capi_3,
    dh_parameters,
    octets,
    size_of,
)
from conformance.helpers import token_attributes

from hwcng import NTSTATUS, bcrypt
from hwcng.cng.keys import KeyPair
from hwcng.contract.provider import Provider

P, G = DH_PRIMES[1024], DH_GENERATOR
SIZE = 128
SHA256 = [(bcrypt.KDF_HASH_ALGORITHM, "SHA256")]
X = int.from_bytes(hashlib.sha512(b"a throw-away exponent").digest(), "big")
Y = pow(G, X, P)


def empty(token: Provider, bits: int = 1024) -> KeyPair:
    return bcrypt.BCryptGenerateKeyPair(algorithm(token, "DH"), bits)


def with_parameters(token: Provider, p: int = P, g: int = G) -> KeyPair:
    pair = empty(token, p.bit_length())
    bcrypt.BCryptSetProperty(pair, "DHParameters", dh_parameters(p, g))
    bcrypt.BCryptFinalizeKeyPair(pair)
    return pair


def public(token: Provider, y: int, p: int = P, g: int = G) -> KeyPair:
    return bcrypt.BCryptImportKeyPair(algorithm(token, "DH"), None, "DHPUBLICBLOB", dh_blob(p, g, y))


def private(token: Provider, x: int = X, p: int = P, g: int = G) -> KeyPair:
    blob = dh_blob(p, g, pow(g, x, p), x)
    return bcrypt.BCryptImportKeyPair(algorithm(token, "DH"), None, "DHPRIVATEBLOB", blob)


def numbers(blob: bytes) -> list[int]:
    """p, g, y of a DHPUBLICBLOB."""
    magic, size = struct.unpack_from("<4sI", blob)
    assert (magic, len(blob)) == (b"DHPB", 8 + 3 * size)
    return [int.from_bytes(blob[8 + n * size : 8 + (n + 1) * size], "big") for n in range(3)]


def exported(pair: KeyPair) -> list[int]:
    return numbers(bcrypt.BCryptExportKey(pair, None, "DHPUBLICBLOB"))


def digest_of(ours: KeyPair, theirs: KeyPair) -> bytes:
    with bcrypt.BCryptSecretAgreement(ours, theirs) as secret:
        return bcrypt.BCryptDeriveKey(secret, bcrypt.BCRYPT_KDF_HASH, SHA256, None)


def z_digest(z: int, size: int = SIZE) -> bytes:
    return hashlib.sha256(octets(z, size)).digest()


@pytest.mark.row("GKP-08", "GKP-07", "GKP-21")
@pytest.mark.parametrize("bits", [0, 256, 448, 511, 513, 1000, 1025, 2047, 4095, 4097, 4160, 8192])
def test_lengths_that_do_not_exist(warm: Provider, refuses: Callable[..., Any], bits: int) -> None:
    handle = algorithm(warm, "DH")
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptGenerateKeyPair(handle, bits)
    pair = bcrypt.BCryptGenerateKeyPair(handle, 1024)
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptSetProperty(pair, "KeyLength", bits)


@pytest.mark.row("GKP-08", "GKP-19", "FIN-03")
@pytest.mark.parametrize("bits", [512, 576, 768, 1024, 1088, 1536, 2048, 2112, 3072, 4096])
def test_pairs_of_every_length(token: Provider, bits: int) -> None:
    """Without parameters in a well-known group; both sides agree on g^(x1 x2)."""
    one, other = generated(token, "DH", bits), generated(token, "DH", bits)
    p, g, y = exported(one)
    assert (p.bit_length(), g) == (bits, 2)
    assert 1 < y < p - 1
    assert exported(other)[:2] == [p, g]
    assert bcrypt.BCryptGetProperty(one, "KeyLength") == bits
    assert bcrypt.BCryptGetProperty(one, "DHParameters") == dh_parameters(p, g)
    assert digest_of(one, public_of(other)) == digest_of(other, public_of(one))


@pytest.mark.row("EXP-10", "EXP-08", "EXP-03", "EXP-07", "IKP-05", "IKP-02", "IKP-08")
def test_blobs_are_exact(token: Provider) -> None:
    pair = private(token)
    blob = bcrypt.BCryptExportKey(pair, None, "DHPUBLICBLOB")
    assert (len(blob), len(dh_blob(P, G, Y, X))) == (392, 520)
    assert blob == dh_blob(P, G, Y) == bcrypt.BCryptExportKey(pair, None, "PUBLICBLOB")
    half = public_of(pair)
    assert bcrypt.BCryptExportKey(half, None, "DHPUBLICBLOB") == blob
    for name in ("DHPRIVATEBLOB", "PRIVATEBLOB", "CAPIDHPRIVATEBLOB"):
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
            bcrypt.BCryptExportKey(pair, None, name)
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptExportKey(half, None, name)
    for name in ("CAPIDHPUBLICBLOB", "RSAPUBLICBLOB", "DSAPUBLICBLOB", "KeyDataBlob"):
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
            bcrypt.BCryptExportKey(pair, None, name)
    for either in (pair, half):
        with fails(NTSTATUS.STATUS_INVALID_HANDLE):
            bcrypt.BCryptFinalizeKeyPair(either)


@pytest.mark.row("IKP-05")
@pytest.mark.parametrize("name", ["DHPUBLICBLOB", "DHPRIVATEBLOB", "PUBLICBLOB", "PRIVATEBLOB"])
def test_blobs_of_wrong_size_or_magic(warm: Provider, refuses: Callable[..., Any], name: str) -> None:
    handle = algorithm(warm, "DH")
    x = X if "PRIVATE" in name else None
    good = dh_blob(P, G, Y, x)
    other_half = dh_blob(P, G, Y, X if x is None else None)
    huge = good[:4] + struct.pack("<I", 0xFFFFFFFF) + good[8:]
    long_key = dh_blob(P, G, Y, x, size=SIZE + 1)
    wrong_magic = dh_blob(P, G, Y, x, magic=b"DHPM")
    for blob in (b"", good[:7], good[:8], good[:-1], good + b"\0", other_half, huge, long_key, wrong_magic):
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptImportKeyPair(handle, None, name, blob)


@pytest.mark.row("IKP-05", "SEC-01")
@pytest.mark.parametrize("y", [0, 1, P - 1, P, P + 1, 2**1024 - 1], ids=["0", "1", "p-1", "p", "p+1", "all ones"])
def test_public_values_out_of_range(warm: Provider, refuses: Callable[..., Any], y: int) -> None:
    handle = algorithm(warm, "DH")
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptImportKeyPair(handle, None, "DHPUBLICBLOB", dh_blob(P, G, y))
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptImportKeyPair(handle, None, "DHPRIVATEBLOB", dh_blob(P, G, y, X))


def bad_domains() -> list[Any]:
    composite = DH_PRIMES[512] * (2**511 + 111)
    rows = (
        ("even p", P - 1, G),
        ("composite p", P - 2, G),
        ("a product", composite | 1 << 1023, G),
        ("g 0", P, 0),
        ("g 1", P, 1),
        ("g p-1", P, P - 1),
        ("g p", P, P),
        ("448 bits", 2**448 - 2**224 - 1, 2),
        ("1023 bits", 2**1023 - 361, 2),
    )
    return [pytest.param(p, g, id=name) for name, p, g in rows]


@pytest.mark.row("IKP-05", "3.2 DHParameters")
@pytest.mark.parametrize(("p", "g"), bad_domains())
def test_malformed_domain_parameters(warm: Provider, refuses: Callable[..., Any], p: int, g: int) -> None:
    handle = algorithm(warm, "DH")
    for name, blob in (("DHPUBLICBLOB", dh_blob(p, g, 4)), ("DHPRIVATEBLOB", dh_blob(p, g, 4, 2))):
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptImportKeyPair(handle, None, name, blob)
    pair = bcrypt.BCryptGenerateKeyPair(handle, 1024)
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptSetProperty(pair, "DHParameters", dh_parameters(p, g))


@pytest.mark.row("IKP-05")
@pytest.mark.parametrize("x", [0, P - 1, P, X + 1], ids=["0", "p-1", "p", "another key's"])
def test_private_values_that_do_not_fit(warm: Provider, refuses: Callable[..., Any], x: int) -> None:
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptImportKeyPair(algorithm(warm, "DH"), None, "DHPRIVATEBLOB", dh_blob(P, G, Y, x))


@pytest.mark.row("3.2 DHParameters", "GKP-19", "GKP-17", "FIN-05")
def test_parameters(token: Provider) -> None:
    pair = empty(token)
    with fails(NTSTATUS.STATUS_INVALID_HANDLE):
        bcrypt.BCryptGetProperty(pair, "DHParameters")
    value = dh_parameters(P, 5)
    bcrypt.BCryptSetProperty(pair, "DHParameters", bytearray(value))
    with fails(NTSTATUS.STATUS_INVALID_HANDLE):
        bcrypt.BCryptGetProperty(pair, "DHParameters")
    bcrypt.BCryptFinalizeKeyPair(pair)
    assert bcrypt.BCryptGetProperty(pair, "DHParameters") == value
    assert len(value) == 12 + 2 * SIZE
    assert exported(pair)[:2] == [P, 5]
    assert bcrypt.BCryptGetProperty(public_of(pair), "DHParameters") == value
    with fails(NTSTATUS.STATUS_INVALID_HANDLE):
        bcrypt.BCryptSetProperty(pair, "DHParameters", value)
    with fails(NTSTATUS.STATUS_INVALID_HANDLE):
        bcrypt.BCryptSetProperty(pair, "KeyLength", 2048)


@pytest.mark.row("3.2 DHParameters")
def test_parameters_that_are_none(warm: Provider, refuses: Callable[..., Any]) -> None:
    pair, good = empty(warm), dh_parameters(P, G)
    shorter, longer = good[:-1], good + b"\0"
    header = struct.Struct("<I4sI")
    for value in (
        b"",
        good[:11],
        shorter,
        longer,
        header.pack(len(good) + 1, b"DHPM", SIZE) + good[12:],
        header.pack(len(good), b"DHPB", SIZE) + good[12:],
        header.pack(len(good), b"DHPM", SIZE - 8) + good[12:],
        header.pack(len(longer), b"DHPM", SIZE) + longer[12:],
        dh_parameters(DH_PRIMES[512], G),
    ):
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptSetProperty(pair, "DHParameters", value)
    for value in (None, "text", 1024):
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptSetProperty(pair, "DHParameters", value)
    with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
        bcrypt.BCryptSetProperty(pair, "DSAParameters", good)
    with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
        bcrypt.BCryptGetProperty(pair, "DSAParameters")
    handle = bcrypt.BCryptGetProperty(generated(warm, "DH", 512), "ProviderHandle")
    with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
        bcrypt.BCryptSetProperty(handle, "DHParameters", good)


@pytest.mark.row("3.2 DHParameters", "3.2 KeyLength", "GKP-18", "FIN-03")
def test_parameters_of_another_length_than_the_pair(warm: Provider, refuses: Callable[..., Any]) -> None:
    pair = empty(warm, 512)
    bcrypt.BCryptSetProperty(pair, "DHParameters", dh_parameters(DH_PRIMES[512], G))
    bcrypt.BCryptSetProperty(pair, "KeyLength", 1024)
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptFinalizeKeyPair(pair)
    bcrypt.BCryptSetProperty(pair, "DHParameters", dh_parameters(P, G))
    bcrypt.BCryptFinalizeKeyPair(pair)
    assert exported(pair)[0] == P


@pytest.mark.row("3.2 PrivKeyVal", "FIN-03", "FIN-05")
def test_a_private_value_of_the_callers(token: Provider) -> None:
    pair = empty(token)
    bcrypt.BCryptSetProperty(pair, "DHParameters", dh_parameters(P, G))
    bcrypt.BCryptSetProperty(pair, "PrivKeyVal", b"\0" + octets(X, 64))
    bcrypt.BCryptFinalizeKeyPair(pair)
    assert exported(pair) == [P, G, Y]
    assert pair.private_value is None
    y = pow(G, 0xABCDEF, P)
    assert digest_of(pair, public(token, y)) == z_digest(pow(y, X, P))
    with fails(NTSTATUS.STATUS_INVALID_HANDLE):
        bcrypt.BCryptSetProperty(pair, "PrivKeyVal", octets(X, 64))
    with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
        bcrypt.BCryptGetProperty(pair, "PrivKeyVal")


@pytest.mark.row("3.2 PrivKeyVal", "FIN-03")
@pytest.mark.parametrize("x", [b"", b"\0", octets(P - 1, SIZE), octets(P, SIZE), b"\1" + bytes(SIZE)])
def test_private_values_out_of_range(warm: Provider, refuses: Callable[..., Any], x: bytes) -> None:
    """Known at the latest when the pair is finalized: the parameters may be set after it."""
    pair = empty(warm)
    bcrypt.BCryptSetProperty(pair, "PrivKeyVal", x)
    bcrypt.BCryptSetProperty(pair, "DHParameters", dh_parameters(P, G))
    for _ in range(2):
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptFinalizeKeyPair(pair)
    bcrypt.BCryptDestroyKey(pair)
    assert pair.private_value is None


@pytest.mark.row("SEC-01", "SEC-02", "DRV-03")
def test_agreements_are_powers(token: Provider) -> None:
    pair = private(token)
    for exponent in (2, 3, 0x10001, 2**160 + 7):
        y = pow(G, exponent, P)
        assert digest_of(pair, public(token, y)) == z_digest(pow(y, X, P))
    assert digest_of(pair, pair) == z_digest(pow(Y, X, P))
    peer = public(token, 4)
    secret = bcrypt.BCryptSecretAgreement(pair, peer)
    bcrypt.BCryptDestroyKey(pair)
    bcrypt.BCryptDestroyKey(peer)
    assert bcrypt.BCryptDeriveKey(secret, "HASH", SHA256, None) == z_digest(pow(4, X, P))


SHORT_P = DH_PRIMES[512]
SHORT_X = X % SHORT_P | 1


@pytest.mark.row("DRV-03", "DRV-05")
@pytest.mark.parametrize("z", [SHORT_P >> 8, SHORT_P >> 20, 2], ids=["one", "two", "all but one"])
def test_leading_zeros_of_z_stay(token: Provider, raw_secret_token: Provider, z: int) -> None:
    """In the digest, as an HMAC key, and read. The peer's value is the root that makes Z what it shall be."""
    y = pow(z, pow(SHORT_X, -1, SHORT_P - 1), SHORT_P)
    value = octets(z, 64)
    assert value[0] == 0
    secret = bcrypt.BCryptSecretAgreement(private(token, SHORT_X, SHORT_P), public(token, y, SHORT_P))
    around = [*SHA256, (bcrypt.KDF_SECRET_PREPEND, b"before"), (bcrypt.KDF_SECRET_APPEND, b"after")]
    expected = hashlib.sha256(b"before" + value + b"after").digest()
    assert bcrypt.BCryptDeriveKey(secret, "HASH", around, None) == expected
    readable = bcrypt.BCryptSecretAgreement(
        private(raw_secret_token, SHORT_X, SHORT_P), public(raw_secret_token, y, SHORT_P)
    )
    keyed = bcrypt.BCryptDeriveKey(readable, "HMAC", around, None, bcrypt.KDF_USE_SECRET_AS_HMAC_KEY_FLAG)
    assert keyed == hmac.digest(value, b"before" + value + b"after", "sha256")
    assert bcrypt.BCryptDeriveKey(readable, bcrypt.BCRYPT_KDF_RAW_SECRET, None, None) == value[::-1]


@pytest.mark.row("DRV-05")
@pytest.mark.parametrize("bits", [512, 2048, 4096])
def test_the_concatenation_kdf_takes_sha256_where_nothing_is_said(token: Provider, bits: int) -> None:
    """Groups of all lengths are as strong as a curve of 256 bits at most (SP 800-57 part 1, table 2)."""
    p, g, _ = exported(generated(token, "DH", bits))
    x, y = 0x1234567, pow(g, 0x7654321, p)
    secret = bcrypt.BCryptSecretAgreement(private(token, x, p, g), public(token, y, p, g))
    info = [(bcrypt.KDF_ALGORITHMID, b"id"), (bcrypt.KDF_PARTYUINFO, b"u"), (bcrypt.KDF_PARTYVINFO, b"v")]
    expected = hashlib.sha256(b"\0\0\0\1" + octets(pow(y, x, p), size_of(p)) + b"iduv").digest()
    assert bcrypt.BCryptDeriveKey(secret, "SP800_56A_CONCAT", info, None) == expected


@pytest.mark.row("SEC-03")
def test_keys_of_different_parameters(warm: Provider, refuses: Callable[..., Any]) -> None:
    ours = private(warm)
    for theirs in (public(warm, 4, g=5), generated(warm, "DH", 512), generated(warm, "DH", 2048)):
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptSecretAgreement(ours, theirs)


@pytest.mark.row("SEC-01", "SEC-03", "GKP-17", "SIG-13")
def test_handles_that_do_not_agree(warm: Provider, refuses: Callable[..., Any]) -> None:
    ours, theirs = private(warm), public(warm, 4)
    destroyed = public(warm, 4)
    bcrypt.BCryptDestroyKey(destroyed)
    for wrong in (None, algorithm(warm, "DH"), empty(warm), destroyed, generated(warm, "ECDH_P256", 256)):
        with refuses(NTSTATUS.STATUS_INVALID_HANDLE):
            bcrypt.BCryptSecretAgreement(wrong, theirs)
        with refuses(NTSTATUS.STATUS_INVALID_HANDLE):
            bcrypt.BCryptSecretAgreement(ours, wrong)
    with refuses(NTSTATUS.STATUS_INVALID_HANDLE):
        bcrypt.BCryptSecretAgreement(theirs, theirs)
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptSecretAgreement(ours, theirs, 1)
    for call in (
        lambda: bcrypt.BCryptSignHash(ours, None, bytes(20)),
        lambda: bcrypt.BCryptVerifySignature(ours, None, bytes(20), bytes(40)),
        lambda: bcrypt.BCryptEncrypt(ours, bytes(16)),
        lambda: bcrypt.BCryptGetProperty(ours, "SignatureLength"),
    ):
        with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
            call()


@pytest.mark.row("SEC-01")
def test_two_tokens_agree(provider: Provider, nss_provider: Provider) -> None:
    for p in (DH_PRIMES[512], P):
        one, other = with_parameters(provider, p), with_parameters(nss_provider, p)
        assert digest_of(one, public_of(other)) == digest_of(other, public_of(one))


@pytest.mark.row("IKP-09")
@pytest.mark.parametrize("blob", [dh_capi_2(X, P, G), dh_capi_3(X, P, G)], ids=["version 2", "version 3"])
def test_legacy_private_blobs(token: Provider, blob: bytes) -> None:
    pair = bcrypt.BCryptImportKeyPair(algorithm(token, "DH"), None, bcrypt.LEGACY_DH_PRIVATE_BLOB, blob)
    assert exported(pair) == [P, G, Y]
    assert digest_of(pair, public(token, 4)) == z_digest(pow(4, X, P))


@pytest.mark.row("IKP-09")
def test_legacy_blobs_that_do_not_import(warm: Provider, refuses: Callable[..., Any]) -> None:
    handle = algorithm(warm, "DH")
    with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
        bcrypt.BCryptImportKeyPair(handle, None, bcrypt.LEGACY_DH_PUBLIC_BLOB, dh_capi_2(X, P, G, kind=6))
    for good in (dh_capi_2(X, P, G), dh_capi_3(X, P, G)):
        wrong_version = good[:1] + bytes([5 - good[1]]) + good[2:]
        odd_bits = good[:12] + struct.pack("<I", 1021) + good[16:]
        for bad in (
            b"",
            good[:15],
            good[:-1],
            good + b"\0",
            dh_capi_2(X, P, G, kind=6),
            wrong_version,
            odd_bits,
            good[:20],
        ):
            with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
                bcrypt.BCryptImportKeyPair(handle, None, bcrypt.LEGACY_DH_PRIVATE_BLOB, bad)
    for bad in (dh_capi_2(0, P, G), dh_capi_2(P - 1, P, G), dh_capi_2(X, P, 1), dh_capi_2(X, P - 2, G)):
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptImportKeyPair(handle, None, bcrypt.LEGACY_DH_PRIVATE_BLOB, bad)


@pytest.mark.row("EXP-07", "IMP-10")
def test_opaque_blobs(provider: Provider) -> None:
    handle = algorithm(provider, "DH")
    bcrypt.BCryptSetProperty(handle, "Export Policy", bcrypt.NCRYPT_ALLOW_EXPORT_FLAG)
    pair = bcrypt.BCryptGenerateKeyPair(handle, 1024)
    bcrypt.BCryptSetProperty(pair, "DHParameters", dh_parameters(P, G))
    bcrypt.BCryptFinalizeKeyPair(pair)
    blob = bcrypt.BCryptExportKey(pair, None, "OpaqueKeyBlob")
    again = bcrypt.BCryptImportKeyPair(handle, None, "OpaqueKeyBlob", blob)
    assert exported(again) == exported(pair)
    assert bcrypt.BCryptGetProperty(again, "KeyLength") == 1024
    assert digest_of(again, public(provider, Y)) == digest_of(private(provider), public_of(pair))
    assert token_attributes(again, "SENSITIVE", "EXTRACTABLE") == [b"\1", b"\1"]
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptImportKeyPair(algorithm(provider, "DSA"), None, "OpaqueKeyBlob", blob)
    with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
        bcrypt.BCryptExportKey(private(provider), None, "OpaqueKeyBlob")


@pytest.mark.row("EXP-07")
def test_a_token_that_does_not_wrap_such_keys(nss_provider: Provider) -> None:
    """NSS would answer DEVICE_ERROR, which is how a lost connection looks."""
    handle = algorithm(nss_provider, "DH")
    bcrypt.BCryptSetProperty(handle, "Export Policy", bcrypt.NCRYPT_ALLOW_EXPORT_FLAG)
    pair = bcrypt.BCryptGenerateKeyPair(handle, 512)
    bcrypt.BCryptFinalizeKeyPair(pair)
    with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
        bcrypt.BCryptExportKey(pair, None, "OpaqueKeyBlob")
    assert len(digest_of(pair, pair)) == 32


@pytest.mark.row("EXP-07")
def test_private_halves_stay(token: Provider) -> None:
    for pair in (with_parameters(token), private(token)):
        assert token_attributes(pair, "SENSITIVE", "EXTRACTABLE", "VALUE") == [b"\1", b"\0", None]
        secret = bcrypt.BCryptSecretAgreement(pair, pair)
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
            bcrypt.BCryptDeriveKey(secret, bcrypt.BCRYPT_KDF_RAW_SECRET, None, None)


@pytest.mark.row("GKP-08")
def test_capabilities(token: Provider) -> None:
    need(token, "DH")
    capabilities = token.capabilities()
    assert capabilities.operations["DH", "agree"].name == "NATIVE"
    assert {512, 1024, 2048, 4096} <= set(capabilities.key_bits["DH"])


@pytest.mark.row("GKP-02", "2.5")
def test_the_pseudo_handle(default_provider: Provider) -> None:
    pair = bcrypt.BCryptGenerateKeyPair(bcrypt.BCRYPT_DH_ALG_HANDLE, 512)
    bcrypt.BCryptFinalizeKeyPair(pair)
    assert repr(pair) == "<KeyPair DH 512 bits pair>"
    assert len(digest_of(pair, pair)) == 32
