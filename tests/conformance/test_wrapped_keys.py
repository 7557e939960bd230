"""Keys that others wrapped, unwrapped inside every token: RFC 5649 and CKM_RSA_AES_KEY_WRAP, secret and private keys.

What wraps is `cryptography`, as a cloud or another HSM does it.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable, Iterator
from copy import copy
from typing import Any

import asn1crypto.keys
import pytest
from conformance import cipher_oracle, oracle
from conformance.checks import fails, needs
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap_with_padding, aes_key_wrap_with_padding
from pkcs11 import Mechanism
from support import missing_on, token_name

from hwcng import (
    AES_KWP_KEY_BLOB,
    NTSTATUS,
    CngError,
    Provider,
    SecretFamily,
    SecretSpec,
    Support,
    Usage,
    bcrypt,
    ncrypt,
)
from hwcng.cng.keys import KeyPair, SymmetricKey
from hwcng.contract.specs import AesKeyWrapSpec, HmacSpec
from hwcng.hostcrypto.host_keys import host_key
from hwcng.providers.pkcs11 import mechanisms, templates
from hwcng.providers.pkcs11.cryptoki.calls import CFunction, ffi
from hwcng.providers.pkcs11.cryptoki.constants import CKM
from hwcng.providers.pkcs11.mechanisms import MechanismCall

KEK = bytes(range(0x40, 0x60))
SECRETS = {
    "AES": bytes(range(32)),
    "3DES": bytes.fromhex("0123456789abcdef23456789abcdef01456789abcdef0123"),
    "DES": bytes.fromhex("0123456789abcdef"),
}
DIGEST = bytes(range(32))
DATA = bytes(64)
CKR_MECHANISM_PARAM_INVALID = 0x71
CURVES: dict[str, ec.EllipticCurve] = {
    "nistP256": ec.SECP256R1(),
    "nistP384": ec.SECP384R1(),
    "nistP521": ec.SECP521R1(),
    "secP256k1": ec.SECP256K1(),
}


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def handle(token: Provider, name: str, **properties: Any) -> bcrypt.BCRYPT_ALG_HANDLE:
    opened = bcrypt.BCryptOpenAlgorithmProvider(name, token)
    for key, value in properties.items():
        bcrypt.BCryptSetProperty(opened, key, value)
    return opened


def kek(token: Provider, secret: bytes = KEK) -> SymmetricKey:
    needs(token, "AES", "KWP")
    return bcrypt.BCryptGenerateSymmetricKey(handle(token, "AES"), None, secret)


@pytest.fixture
def transport(token: Provider) -> Iterator[KeyPair]:
    """The pair whose public half the other side is given."""
    needs(token, "RSA", "AES_KEY_WRAP")
    with import_pair_of(token) as pair:
        yield pair


def import_pair_of(token: Provider) -> KeyPair:
    pair = bcrypt.BCryptGenerateKeyPair(handle(token, "RSA"), 2048)
    bcrypt.BCryptSetProperty(pair, ncrypt.NCRYPT_KEY_USAGE_PROPERTY, ncrypt.NCRYPT_ALLOW_KEY_IMPORT_FLAG)
    bcrypt.BCryptFinalizeKeyPair(pair)
    assert bcrypt.BCryptGetProperty(pair, ncrypt.NCRYPT_KEY_USAGE_PROPERTY) == ncrypt.NCRYPT_ALLOW_KEY_IMPORT_FLAG
    return pair


def pkcs8(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def rsa_aes_blob(
    to: KeyPair, value: bytes, *, hash_name: str = "SHA1", label: bytes = b"", aes_bits: int = 256
) -> bytes:
    """BCRYPT_PKCS11_RSA_AES_WRAP_BLOB, made as Azure Key Vault's and AWS KMS' documentation has it done."""
    algorithm = {"SHA1": hashes.SHA1, "SHA256": hashes.SHA256}[hash_name]()
    between = os.urandom(aes_bits // 8)
    public: Any = to.public_key()
    oaep = padding.OAEP(padding.MGF1(algorithm), algorithm, label or None)
    wrapped = public.encrypt(between, oaep) + aes_key_wrap_with_padding(between, value)
    name = hash_name.encode("utf-16-le") + bytes(2)
    header = bcrypt.BCRYPT_PKCS11_RSA_AES_WRAP_BLOB(
        bcrypt.BCRYPT_PKCS11_RSA_AES_WRAP_BLOB_MAGIC, len(wrapped), len(name), len(label)
    )
    return header.pack() + wrapped + name + label


def encrypts_as(key: SymmetricKey, name: str, secret: bytes) -> bool:
    bcrypt.BCryptSetProperty(key, "ChainingMode", "ChainingModeCBC")
    if name == "AES":
        return bcrypt.BCryptEncrypt(key, DATA, None, bytes(16)) == oracle.aes("CBC", secret, bytes(16), DATA)
    expected = cipher_oracle.block_cipher(name, "CBC", secret, bytes(8), DATA)
    return bcrypt.BCryptEncrypt(key, DATA, None, bytes(8)) == expected


def signs_as(pair: KeyPair, private: ec.EllipticCurvePrivateKey) -> None:
    """Both say that the signature is good: hwcng with the public half that the token did not tell."""
    signature = bcrypt.BCryptSignHash(pair, None, DIGEST)
    bcrypt.BCryptVerifySignature(pair, None, DIGEST, signature)
    half = len(signature) // 2
    r, s = (int.from_bytes(part, "big") for part in (signature[:half], signature[half:]))
    private.public_key().verify(encode_dss_signature(r, s), DIGEST, ec.ECDSA(Prehashed(hashes.SHA256())))
    assert pair.public_key() == private.public_key()


def refused_here(token: Provider, unwrap: Callable[[], KeyPair], name: str, what: str) -> KeyPair:
    """What `unwrap` gives, where the token does it; the test is skipped where the token is known not to."""
    try:
        return unwrap()
    except CngError as error:
        if error.status is not NTSTATUS.STATUS_NOT_SUPPORTED or token_name(token) not in name:
            raise
        missing_on(token, what)


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_key_under_kwp(token: Provider, name: str) -> None:
    needs(token, name, "CBC")
    blob = aes_key_wrap_with_padding(KEK, SECRETS[name])
    with (
        kek(token) as wrapping,
        bcrypt.BCryptImportKey(handle(token, name), wrapping, AES_KWP_KEY_BLOB, None, blob) as key,
    ):
        assert encrypts_as(key, name, SECRETS[name])
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
            bcrypt.BCryptExportKey(key, None, bcrypt.BCRYPT_OPAQUE_KEY_BLOB)
        for damaged in (blob[:-1] + bytes([blob[-1] ^ 1]), bytes(len(blob))):
            with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
                bcrypt.BCryptImportKey(handle(token, name), wrapping, AES_KWP_KEY_BLOB, None, damaged)


def test_a_key_of_another_length_is_no_key(token: Provider) -> None:
    """Padding hides up to 7 bytes, and SoftHSM takes keys of any length: 25 bytes are no AES key."""
    with kek(token) as wrapping:
        for size in (25, 31):
            blob = aes_key_wrap_with_padding(KEK, bytes(range(size)))
            with pytest.raises(CngError) as caught:
                bcrypt.BCryptImportKey(handle(token, "AES"), wrapping, AES_KWP_KEY_BLOB, None, blob)
            assert caught.value.status in (NTSTATUS.STATUS_INVALID_PARAMETER, NTSTATUS.STATUS_NOT_SUPPORTED)


def test_rsa_under_kwp(token: Provider, rsa_key: rsa.RSAPrivateKey) -> None:
    blob = aes_key_wrap_with_padding(KEK, pkcs8(rsa_key))
    with (
        kek(token) as wrapping,
        bcrypt.BCryptImportKeyPair(handle(token, "RSA"), wrapping, AES_KWP_KEY_BLOB, blob) as pair,
    ):
        assert pair.public_key() == rsa_key.public_key() and pair.bits == 2048
        info = bcrypt.BCRYPT_PKCS1_PADDING_INFO("SHA256")
        signature = bcrypt.BCryptSignHash(pair, info, DIGEST, bcrypt.BCRYPT_PAD_PKCS1)
        rsa_key.public_key().verify(signature, DIGEST, padding.PKCS1v15(), Prehashed(hashes.SHA256()))
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
            bcrypt.BCryptExportKey(pair, None, bcrypt.BCRYPT_OPAQUE_KEY_BLOB)
        damaged = blob[:100] + bytes([blob[100] ^ 1]) + blob[101:]
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptImportKeyPair(handle(token, "RSA"), wrapping, AES_KWP_KEY_BLOB, damaged)


OLD_NSS = ("nss", "nss-db")


@pytest.mark.parametrize("curve", CURVES)
def test_a_key_on_a_curve_under_kwp(token: Provider, curve: str) -> None:
    needs(token, "ECDSA", curve)
    private = ec.generate_private_key(CURVES[curve])
    blob = aes_key_wrap_with_padding(KEK, pkcs8(private))
    with kek(token) as wrapping:
        # The curve is the wrapped key's own.
        import_pair = lambda: bcrypt.BCryptImportKeyPair(handle(token, "ECDSA"), wrapping, AES_KWP_KEY_BLOB, blob)  # noqa: E731
        with refused_here(token, import_pair, OLD_NSS, "unwraps no private keys on curves") as pair:
            signs_as(pair, private)
            assert bcrypt.BCryptGetProperty(pair, bcrypt.BCRYPT_ECC_CURVE_NAME) == curve
        wrong = "nistP384" if curve != "nistP384" else "nistP256"
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptImportKeyPair(handle(token, "ECDSA", ECCCurveName=wrong), wrapping, AES_KWP_KEY_BLOB, blob)
        with pytest.raises(CngError):
            bcrypt.BCryptImportKeyPair(handle(token, "RSA"), wrapping, AES_KWP_KEY_BLOB, blob)


def test_an_agreement_key_under_kwp(token: Provider) -> None:
    needs(token, "ECDH", "nistP256")
    private, other = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    blob = aes_key_wrap_with_padding(KEK, pkcs8(private))
    with kek(token) as wrapping:
        import_pair = lambda: bcrypt.BCryptImportKeyPair(handle(token, "ECDH_P256"), wrapping, AES_KWP_KEY_BLOB, blob)  # noqa: E731
        with refused_here(token, import_pair, OLD_NSS, "unwraps no private keys on curves") as pair:
            assert pair.public_key() == private.public_key()
            assert pair.private.spec.usage == Usage.DERIVE
            numbers = other.public_key().public_numbers()
            blob = b"ECK1" + (32).to_bytes(4, "little") + numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")
            with bcrypt.BCryptImportKeyPair(handle(token, "ECDH_P256"), None, "ECCPUBLICBLOB", blob) as peer:
                secret = bcrypt.BCryptSecretAgreement(pair, peer)
            derived = bcrypt.BCryptDeriveKey(secret, "HASH", [(0, "SHA256")], 32)
            digest = hashes.Hash(hashes.SHA256())
            digest.update(private.exchange(ec.ECDH(), other.public_key()))
            assert derived == digest.finalize()


@pytest.mark.parametrize("aes_bits", [128, 192, 256])
def test_a_secret_key_brought_along(token: Provider, transport: KeyPair, aes_bits: int) -> None:
    blob = rsa_aes_blob(transport, SECRETS["AES"], aes_bits=aes_bits)
    kind = bcrypt.BCRYPT_PKCS11_RSA_AES_WRAP_KEY_BLOB
    with bcrypt.BCryptImportKey(handle(token, "AES"), transport, kind, None, blob) as key:
        assert encrypts_as(key, "AES", SECRETS["AES"])
    for position in (20, 16 + 256 + 3):
        damaged = blob[:position] + bytes([blob[position] ^ 1]) + blob[position + 1 :]
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptImportKey(handle(token, "AES"), transport, kind, None, damaged)


def test_a_private_key_brought_along(token: Provider, transport: KeyPair, rsa_key: rsa.RSAPrivateKey) -> None:
    kind = bcrypt.BCRYPT_PKCS11_RSA_AES_WRAP_KEY_BLOB
    blob = rsa_aes_blob(transport, pkcs8(rsa_key))
    with bcrypt.BCryptImportKeyPair(handle(token, "RSA"), transport, kind, blob) as pair:
        info = bcrypt.BCRYPT_PKCS1_PADDING_INFO("SHA256")
        signature = bcrypt.BCryptSignHash(pair, info, DIGEST, bcrypt.BCRYPT_PAD_PKCS1)
        rsa_key.public_key().verify(signature, DIGEST, padding.PKCS1v15(), Prehashed(hashes.SHA256()))


@pytest.mark.parametrize(("hash_name", "label"), [("SHA256", b""), ("SHA1", b"a label"), ("SHA256", b"a label")])
def test_other_oaep(token: Provider, transport: KeyPair, hash_name: str, label: bytes) -> None:
    """The AES key between the two would be on the host if raw RSA stood in for an OAEP that the token lacks."""
    kind = bcrypt.BCRYPT_PKCS11_RSA_AES_WRAP_KEY_BLOB
    blob = rsa_aes_blob(transport, SECRETS["AES"], hash_name=hash_name, label=label)
    unwrap = bcrypt.BCryptImportKey, handle(token, "AES"), transport, kind, None, blob
    if token_name(token) == "softhsm":
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED) as caught:
            unwrap[0](*unwrap[1:])
        assert "OAEP" in caught.value.message and "SHA1" in caught.value.message
        return
    with unwrap[0](*unwrap[1:]) as key:
        assert encrypts_as(key, "AES", SECRETS["AES"])


def test_what_the_token_lacks_is_refused_with_its_reason(token: Provider) -> None:
    refused = [
        operation
        for operation in (("AES", "KWP"), ("RSA", "AES_KEY_WRAP"))
        if token.offers(*operation) is Support.REFUSED
    ]
    assert refused == [] or token_name(token) in ("p11-kit", "swtpm", "opencryptoki")
    if ("AES", "KWP") not in refused:
        return
    needs(token, "AES")
    with bcrypt.BCryptGenerateSymmetricKey(handle(token, "AES"), None, KEK) as wrapping:
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED) as caught:
            blob = aes_key_wrap_with_padding(KEK, SECRETS["AES"])
            bcrypt.BCryptImportKey(handle(token, "AES"), wrapping, AES_KWP_KEY_BLOB, None, blob)
        assert "AES_KEY_WRAP_KWP" in caught.value.message or "AES key wrap" in caught.value.message


# RFC 5649, section 6: a key of 20 octets and one of 7 under one of 24.
RFC_KEK = bytes.fromhex("5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8")
RFC_VECTORS = {
    "c37b7e6492584340bed12207808941155068f738": "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a",
    "466f7250617369": "afbeb0f07dfbf5419200f2ccb50bb24f",
}


@pytest.mark.parametrize("value", RFC_VECTORS)
def test_the_vectors_of_the_rfc(token: Provider, value: str) -> None:
    """They are of no cipher's length: HMAC shows which key came out."""
    secret, wrapped = bytes.fromhex(value), bytes.fromhex(RFC_VECTORS[value])
    needs(token, "HMAC-SHA1")
    spec = SecretSpec(SecretFamily.HMAC, 8 * len(secret), Usage.SIGN, hash_name="SHA1")
    with kek(token, RFC_KEK) as wrapping:
        key = token.unwrap_secret(spec, wrapping.token_key, wrapped, AesKeyWrapSpec(padded=True))
        if token_name(token) == "softhsm" and len(secret) < 20:
            # A key under the length of the hash works in no SoftHSM.
            with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
                key.mac(HmacSpec("SHA1"), DATA)
        else:
            assert key.mac(HmacSpec("SHA1"), DATA) == hmac.digest(secret, DATA, "sha1")
        key.destroy()
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            token.unwrap_secret(spec, wrapping.token_key, wrapped[::-1], AesKeyWrapSpec(padded=True))


def test_which_key_unwraps(provider: Provider, other_provider: Provider) -> None:
    blob = aes_key_wrap_with_padding(KEK, SECRETS["AES"])
    kind, aes = bcrypt.BCRYPT_PKCS11_RSA_AES_WRAP_KEY_BLOB, handle(provider, "AES")
    with kek(provider) as wrapping, kek(other_provider) as foreign, import_pair_of(provider) as pair:
        wrapped = rsa_aes_blob(pair, SECRETS["AES"])
        for key, blob_type, octets in ((wrapping, kind, wrapped), (pair, AES_KWP_KEY_BLOB, blob)):
            with fails(NTSTATUS.STATUS_INVALID_HANDLE):
                bcrypt.BCryptImportKey(aes, key, blob_type, None, octets)
        for key, blob_type, octets in (
            (foreign, AES_KWP_KEY_BLOB, blob),
            (None, AES_KWP_KEY_BLOB, blob),
            (None, kind, wrapped),
            (wrapping, AES_KWP_KEY_BLOB, blob[:8]),
            (wrapping, AES_KWP_KEY_BLOB, blob + b"\0"),
            (pair, kind, wrapped[:15]),
            (pair, kind, wrapped + b"\0"),
            (pair, kind, b"RAPQ" + wrapped[4:]),
        ):
            with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
                bcrypt.BCryptImportKey(aes, key, blob_type, None, octets)


def test_a_length_that_padding_hides(token: Provider) -> None:
    """RC4's keys have any length of whole bytes: which of 9 to 16 are in the blob, nothing tells."""
    needs(token, "RC4", "STREAM")
    with kek(token) as wrapping, fails(NTSTATUS.STATUS_NOT_SUPPORTED) as caught:
        blob = aes_key_wrap_with_padding(KEK, bytes(16))
        bcrypt.BCryptImportKey(handle(token, "RC4"), wrapping, AES_KWP_KEY_BLOB, None, blob)
    assert "72 to 128 bits" in caught.value.message


def test_the_right_to_unwrap(provider: Provider) -> None:
    aes = bcrypt.BCryptOpenAlgorithmProvider("AES", provider)
    with aes.generate_key(256, usage=Usage.ENCRYPT) as key, fails(NTSTATUS.STATUS_NOT_SUPPORTED) as caught:
        bcrypt.BCryptImportKey(aes, key, AES_KWP_KEY_BLOB, None, bytes(24))
    assert "right to unwrap" in caught.value.message
    with bcrypt.BCryptGenerateKeyPair(handle(provider, "RSA"), 2048) as pair:
        bcrypt.BCryptFinalizeKeyPair(pair)
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED) as caught:
            kind = bcrypt.BCRYPT_PKCS11_RSA_AES_WRAP_KEY_BLOB
            bcrypt.BCryptImportKey(aes, pair, kind, None, rsa_aes_blob(pair, SECRETS["AES"]))
    assert "NCRYPT_ALLOW_KEY_IMPORT_FLAG" in caught.value.message


class OneCall:
    """SoftHSM with a CKM_RSA_AES_KEY_WRAP made of its own calls. bits: of the AES key between the two that it takes."""

    def __init__(self, provider: Any, bits: int) -> None:
        self._provider = provider
        self._bits = bits
        self.told: list[int] = []

    def __call__(self, name: str, function: CFunction) -> CFunction:
        return self._unwrapping(function) if name == "C_UnwrapKey" else function

    def _unwrapping(self, function: CFunction) -> CFunction:
        def unwrap(session: int, mechanism: Any, key: int, wrapped: bytes, size: int, *rest: Any) -> int:
            if mechanism.mechanism != CKM.RSA_AES_KEY_WRAP:
                return function(session, mechanism, key, wrapped, size, *rest)
            given = ffi.cast("CK_RSA_AES_KEY_WRAP_PARAMS *", mechanism.pParameter)
            self.told.append(int(given.ulAESKeyBits))
            if given.ulAESKeyBits != self._bits:
                return CKR_MECHANISM_PARAM_INVALID
            oaep = MechanismCall(
                int(Mechanism.RSA_PKCS_OAEP), given.pOAEPParams, ffi.sizeof("CK_RSA_PKCS_OAEP_PARAMS"), (given,)
            )
            between, octets = ffi.new("CK_ULONG *"), bytes(wrapped)
            spec = SecretSpec(SecretFamily.AES, 256, Usage.UNWRAP)
            with templates.packed(templates.secret(spec)) as (attributes, count):
                rv = function(session, oaep.structure, key, octets[:256], 256, attributes, count, between)
            kwp = mechanisms.call(int(Mechanism.AES_KEY_WRAP_PAD))
            return rv or function(session, kwp.structure, between[0], octets[256:], size - 256, *rest)

        return unwrap


@pytest.mark.parametrize("bits", [256, 128])
def test_a_token_that_does_it_in_one_call(fresh_provider: Any, bits: int) -> None:
    """It is told of 256 bits, as the field has them; where the key between was another, two calls find that out."""
    # What others have of such a token stays.
    offered = fresh_provider._offered = copy(fresh_provider._offered)
    token = OneCall(fresh_provider, bits)
    with import_pair_of(fresh_provider) as pair:
        offered.listed |= {int(CKM.RSA_AES_KEY_WRAP)}
        undo = fresh_provider.cryptoki.instrument(token)
        try:
            blob = rsa_aes_blob(pair, SECRETS["AES"], aes_bits=bits)
            kind = bcrypt.BCRYPT_PKCS11_RSA_AES_WRAP_KEY_BLOB
            with bcrypt.BCryptImportKey(handle(fresh_provider, "AES"), pair, kind, None, blob) as key:
                assert encrypts_as(key, "AES", SECRETS["AES"])
            assert token.told == [256]
            damaged = blob[:-12] + bytes([blob[-12] ^ 1]) + blob[-11:]
            with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
                bcrypt.BCryptImportKey(handle(fresh_provider, "AES"), pair, kind, None, damaged)
        finally:
            undo()


@pytest.mark.parametrize("name", ["RSA", "ECDSA_P256"])
def test_a_private_key_leaves_under_an_aes_key(token: Provider, name: str) -> None:
    """And comes back as what it was; without the policy, or without a key that wraps, it stays."""
    needs(token, "AES", "KWP")
    with kek(token) as wrapping:
        for policy in (0, ncrypt.NCRYPT_ALLOW_EXPORT_FLAG):
            with bcrypt.BCryptGenerateKeyPair(handle(token, name), 2048 if name == "RSA" else 256) as pair:
                bcrypt.BCryptSetProperty(pair, "Export Policy", policy.to_bytes(4, "little"))
                bcrypt.BCryptFinalizeKeyPair(pair)
                if not policy:
                    with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
                        bcrypt.BCryptExportKey(pair, wrapping, AES_KWP_KEY_BLOB)
                    continue
                with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
                    bcrypt.BCryptExportKey(pair, None, AES_KWP_KEY_BLOB)
                blob = bcrypt.BCryptExportKey(pair, wrapping, AES_KWP_KEY_BLOB)
                public = pair.public
        # SoftHSM 2.6.1 fills the last block with zeros before it pads.
        unwrapped = asn1crypto.keys.PrivateKeyInfo.load(aes_key_unwrap_with_padding(KEK, blob)).dump()
        assert serialization.load_der_private_key(unwrapped, None).public_key() == host_key(public)

        def import_pair() -> KeyPair:
            return bcrypt.BCryptImportKeyPair(handle(token, name), wrapping, AES_KWP_KEY_BLOB, blob)

        with refused_here(token, import_pair, OLD_NSS, "unwraps no private keys on curves") as back:
            assert back.public == public
