"""Reference 4.10 and 5.15, rows SIG-*: ECDSA signatures, made in tokens and checked by others."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from conformance import oracle
from conformance.checks import algorithm, fails, generated, imported, is_tpm, public_of
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from support import missing_on

from hwcng import NTSTATUS, bcrypt
from hwcng.cng.keys import KeyPair
from hwcng.contract.provider import Provider

# Algorithm, ECCCurveName of a generic one, the curve.
ROWS = (
    ("ECDSA_P256", None, "nistP256"),
    ("ECDSA_P384", None, "nistP384"),
    ("ECDSA_P521", None, "nistP521"),
    ("ECDSA", "nistP256", "nistP256"),
    ("ECDSA", "secP521r1", "nistP521"),
    ("ECDSA", "nistP192", "nistP192"),
    ("ECDSA", "secP256k1", "secP256k1"),
    ("ECDSA", "brainpoolP256r1", "brainpoolP256r1"),
)
SIGNATURE_SIZES = {
    "nistP256": 64,
    "nistP384": 96,
    "nistP521": 132,
    "nistP192": 48,
    "secP256k1": 64,
    "brainpoolP256r1": 64,
}
DIGEST_SIZES = (1, 16, 20, 31, 32, 33, 36, 48, 64, 65, 66, 67, 80, 128)

every_row = pytest.mark.parametrize(("name", "curve_name", "curve"), ROWS, ids=lambda part: part or "")


def software(curve: str, value: int = 0x0123456789ABCDEF) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(value, oracle.EC_CURVES[curve])


def longest_digest(token: Provider, curve: str) -> int:
    """In bytes. A TPM signs what one of its hashes can have made, after the cut to the curve's length."""
    return 64 if is_tpm(token) and curve == "nistP521" else sys.maxsize


def pairs(token: Provider, name: str, curve_name: str | None, curve: str) -> Iterator[KeyPair]:
    """One that the token made, one that the caller brought."""
    yield generated(token, name, oracle.EC_CURVES[curve].key_size, curve_name)
    blob = oracle.ec_blob("ECDSA", curve, software(curve), generic=curve_name is not None)
    yield imported(token, name, blob, curve_name)


def sample(size: int) -> bytes:
    return bytes(0xFF - octet % 251 for octet in range(size))


@pytest.fixture(scope="module")
def pair(provider: Provider) -> KeyPair:
    return generated(provider, "ECDSA_P256", 256)


@pytest.mark.row("SIG-05", "SIG-06", "SIG-04")
@every_row
def test_as_another_implementation(token: Provider, name: str, curve_name: str | None, curve: str) -> None:
    """r || s of the curve's width, over digests shorter and longer than the order."""
    for key in pairs(token, name, curve_name, curve):
        verifier = oracle.ec_public_key(curve, bcrypt.BCryptExportKey(key, None, "ECCPUBLICBLOB"))
        for value in (*map(sample, DIGEST_SIZES), bytes(32), b"\xff" * 66):
            if len(value) > longest_digest(token, curve):
                with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
                    bcrypt.BCryptSignHash(key, None, value)
                continue
            signature = bcrypt.BCryptSignHash(key, None, value)
            assert len(signature) == SIGNATURE_SIZES[curve] == bcrypt.BCryptGetProperty(key, "SignatureLength")
            oracle.ecdsa_verify(verifier, value, signature)
            bcrypt.BCryptVerifySignature(key, None, value, signature)
            bcrypt.BCryptVerifySignature(public_of(key), None, value, signature)


@pytest.mark.row("SIG-06")
@every_row
def test_signatures_of_another_implementation(token: Provider, name: str, curve_name: str | None, curve: str) -> None:
    private = software(curve, 0xFEDCBA9876543210)
    handle = algorithm(token, name, curve_name)
    blob = oracle.ec_blob("ECDSA", curve, private.public_key(), generic=curve_name is not None)
    public = bcrypt.BCryptImportKeyPair(handle, None, "ECCPUBLICBLOB", blob)
    for size in DIGEST_SIZES:
        signature = oracle.ecdsa_sign(private, sample(size))
        bcrypt.BCryptVerifySignature(public, None, sample(size), signature)


@pytest.mark.row("SIG-06")
@pytest.mark.parametrize(("name", "bits"), [("ECDSA_P256", 256), ("ECDSA_P384", 384), ("ECDSA_P521", 521)])
def test_only_the_leftmost_bits_count(token: Provider, name: str, bits: int) -> None:
    """As many as the order has: of P-521's last byte just the first bit."""
    key = generated(token, name, bits)
    if longest_digest(token, f"nistP{bits}") < 66:
        missing_on(token, f"{name} of 66 bytes")
    value = sample(66)
    beyond, used = bytearray(value), bytearray(value)
    byte, bit = divmod(bits, 8)
    beyond[byte] ^= 0x80 >> bit
    used[(bits - 1) // 8] ^= 0x80 >> (bits - 1) % 8
    for signed in (value, value + b"more"):
        signature = bcrypt.BCryptSignHash(key, None, signed)
        for good in (value, bytes(beyond), value + b"other"):
            bcrypt.BCryptVerifySignature(key, None, good, signature)
        with fails(NTSTATUS.STATUS_INVALID_SIGNATURE):
            bcrypt.BCryptVerifySignature(key, None, used, signature)


@pytest.mark.row("SIG-01", "SIG-04")
@every_row
def test_the_length_is_known_before_signing(provider: Provider, name: str, curve_name: str | None, curve: str) -> None:
    """What is left of the size query: SignatureLength, of a public key too."""
    key = generated(provider, name, oracle.EC_CURVES[curve].key_size, curve_name)
    for half in (key, public_of(key)):
        assert bcrypt.BCryptGetProperty(half, "SignatureLength") == SIGNATURE_SIZES[curve]


@pytest.mark.row("SIG-01")
@pytest.mark.parametrize("nothing", [None, b"", "text"])
def test_no_digest(pair: KeyPair, nothing: bytes | None) -> None:
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptSignHash(pair, None, nothing)
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptVerifySignature(pair, None, nothing, bytes(64))


@pytest.mark.row("SIG-01", "SIG-02")
def test_handles_that_do_not_sign(provider: Provider) -> None:
    handle = algorithm(provider, "ECDSA_P256")
    destroyed = generated(provider, "ECDSA_P256", 256)
    bcrypt.BCryptDestroyKey(destroyed)
    for wrong in (None, handle, destroyed, bcrypt.BCryptGenerateKeyPair(handle, 256), object()):
        with fails(NTSTATUS.STATUS_INVALID_HANDLE):
            bcrypt.BCryptSignHash(wrong, None, sample(32))
        with fails(NTSTATUS.STATUS_INVALID_HANDLE):
            bcrypt.BCryptVerifySignature(wrong, None, sample(32), bytes(64))


@pytest.mark.row("SIG-02")
def test_a_public_key_does_not_sign(pair: KeyPair) -> None:
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptSignHash(public_of(pair), None, sample(32))


@pytest.mark.row("SIG-05")
@pytest.mark.parametrize(
    ("info", "flags"),
    [
        (bcrypt.BCRYPT_PKCS1_PADDING_INFO("SHA256"), 0),
        (bcrypt.BCRYPT_PKCS1_PADDING_INFO(None), bcrypt.BCRYPT_PAD_PKCS1),
        (bcrypt.BCRYPT_PSS_PADDING_INFO("SHA256", 32), bcrypt.BCRYPT_PAD_PSS),
        (Ellipsis, 0),
        (None, bcrypt.BCRYPT_PAD_PKCS1),
        (None, bcrypt.BCRYPT_PAD_PSS),
        (None, 0x1),
        (None, 0x10),
    ],
    ids=str,
)
def test_neither_padding_info_nor_flags(pair: KeyPair, info: object, flags: int) -> None:
    signature = bcrypt.BCryptSignHash(pair, None, sample(32))
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptSignHash(pair, info, sample(32), flags)
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptVerifySignature(pair, info, sample(32), signature, flags)


@pytest.mark.row("SIG-10")
def test_signatures_that_are_not_valid(pair: KeyPair) -> None:
    value = sample(32)
    signature = bcrypt.BCryptSignHash(pair, None, value)
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    r, s = signature[:32], signature[32:]
    for wrong in (b"", r, signature[:-1], signature + b"\0", b"\0" + signature, signature * 2):
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptVerifySignature(pair, None, value, wrong)
    for wrong in (
        s + r,
        r + bytes(32),
        bytes(32) + s,
        bytes(64),
        b"\xff" * 64,
        r + order.to_bytes(32, "big"),
        bytes([r[0] ^ 1]) + signature[1:],
        signature[:-1] + bytes([signature[-1] ^ 1]),
    ):
        with fails(NTSTATUS.STATUS_INVALID_SIGNATURE):
            bcrypt.BCryptVerifySignature(pair, None, value, wrong)
    for other in (value[:31], value[:20], bytes(32), b"\0" + value):
        with fails(NTSTATUS.STATUS_INVALID_SIGNATURE):
            bcrypt.BCryptVerifySignature(pair, None, other, signature)


@pytest.mark.row("SIG-10")
def test_another_keys_signature(provider: Provider, pair: KeyPair) -> None:
    signature = bcrypt.BCryptSignHash(generated(provider, "ECDSA_P256", 256), None, sample(32))
    with fails(NTSTATUS.STATUS_INVALID_SIGNATURE):
        bcrypt.BCryptVerifySignature(pair, None, sample(32), signature)
    verifier = oracle.ec_public_key("nistP256", bcrypt.BCryptExportKey(pair, None, "ECCPUBLICBLOB"))
    with pytest.raises(InvalidSignature):
        oracle.ecdsa_verify(verifier, sample(32), signature)


@pytest.mark.row("SIG-04")
def test_halves_keep_their_leading_zeros(token: Provider) -> None:
    """One half in 256 begins with a zero byte, of P-521's all but one in 256 and half of the rest."""
    for name, bits, curve, rounds in (("ECDSA_P256", 256, "nistP256", 400), ("ECDSA_P521", 521, "nistP521", 8)):
        key = generated(token, name, bits)
        verifier = oracle.ec_public_key(curve, bcrypt.BCryptExportKey(key, None, "ECCPUBLICBLOB"))
        for step in range(rounds):
            value = step.to_bytes(32, "big")
            signature = bcrypt.BCryptSignHash(key, None, value)
            assert len(signature) == SIGNATURE_SIZES[curve]
            oracle.ecdsa_verify(verifier, value, signature)


@pytest.mark.row("SIG-13")
@pytest.mark.parametrize(("name", "curve_name"), [("ECDH_P256", None), ("ECDH", "nistP256")])
def test_agreement_keys_do_not_sign(token: Provider, name: str, curve_name: str | None) -> None:
    key = generated(token, name, 256, curve_name)
    for wrong in (key, public_of(key)):
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
            bcrypt.BCryptSignHash(wrong, None, sample(32))
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
            bcrypt.BCryptVerifySignature(wrong, None, sample(32), bytes(64))
