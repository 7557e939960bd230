"""Pairs of a token against the host: signatures, decryption, agreement, encapsulation; made there and brought there."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from hwcng.contract.keys import PrivateKey
from hwcng.contract.material import (
    DhDomain,
    EcPrivateKey,
    EcPublicKey,
    MlDsaPublicKey,
    MlKemPublicKey,
    RsaPrivateKey,
    RsaPublicKey,
)
from hwcng.contract.provider import Provider
from hwcng.contract.specs import (
    DecryptSpec,
    EcdsaSpec,
    MlDsaSpec,
    PairSpec,
    RsaOaepSpec,
    RsaPkcs1DecryptSpec,
    RsaPkcs1SignSpec,
    RsaPssSpec,
    SignSpec,
)
from hwcng.contract.usage import Usage
from hwcng.errors import NTSTATUS, CngError
from hwcng.hostcrypto import ecc, mlkem_mldsa
from hwcng.hostcrypto import rsa as host_rsa
from hwcng.standards.dh_groups import GENERATOR, safe_prime
from hwcng.testing.contract.secret_keys import opaque_of
from hwcng.testing.contract.token import OnToken, needs, refused, served

__all__ = ["Pairs"]

_DIGEST = hashlib.sha256(b"what is signed").digest()
_MESSAGE = b"what is hidden"
_CURVES: dict[str, ec.EllipticCurve] = {"nistP256": ec.SECP256R1(), "nistP384": ec.SECP384R1()}
_RSA_SIGNATURES: dict[str, SignSpec] = {"PKCS1": RsaPkcs1SignSpec("SHA256"), "PSS": RsaPssSpec("SHA256", 32)}
_RSA_ENCRYPTIONS: dict[str, DecryptSpec] = {"PKCS1": RsaPkcs1DecryptSpec(), "OAEP": RsaOaepSpec("SHA256")}


def _other(signature: bytes) -> bytes:
    return signature[:-1] + bytes([signature[-1] ^ 1])


def _rsa_material() -> RsaPrivateKey:
    numbers = rsa.generate_private_key(65537, 2048).private_numbers()
    return RsaPrivateKey(
        numbers.public_numbers.n,
        numbers.public_numbers.e,
        numbers.d,
        numbers.p,
        numbers.q,
        numbers.dmp1,
        numbers.dmq1,
        numbers.iqmp,
    )


def _ec_material(curve: str) -> tuple[EcPrivateKey, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(_CURVES[curve])
    numbers = key.private_numbers()
    public = EcPublicKey(curve, numbers.public_numbers.x, numbers.public_numbers.y)
    return EcPrivateKey(public, numbers.private_value), key


class Pairs(OnToken):
    @pytest.mark.parametrize("padding", list(_RSA_SIGNATURES))
    def test_an_rsa_signature(self, provider: Provider, padding: str) -> None:
        needs(provider, "RSA", padding)
        key, spec = provider.generate_pair(PairSpec("RSA", Usage.SIGN, bits=2048)), _RSA_SIGNATURES[padding]
        assert isinstance(key.public, RsaPublicKey)
        assert key.public.modulus.bit_length() == 2048
        for signature in (key.sign_digest(spec, _DIGEST), key.signing(spec)(_DIGEST)):
            host_rsa.verify(key.public, spec, _DIGEST, signature)
            with refused(NTSTATUS.STATUS_INVALID_SIGNATURE):
                host_rsa.verify(key.public, spec, _DIGEST, _other(signature))

    @pytest.mark.parametrize("padding", list(_RSA_ENCRYPTIONS))
    def test_an_rsa_decryption(self, provider: Provider, padding: str) -> None:
        needs(provider, "RSA", padding)
        key, spec = provider.generate_pair(PairSpec("RSA", Usage.DECRYPT, bits=2048)), _RSA_ENCRYPTIONS[padding]
        assert isinstance(key.public, RsaPublicKey)
        assert key.decrypt(spec, host_rsa.encrypt(key.public, spec, _MESSAGE)) == _MESSAGE
        # Nothing tells what is wrong with a ciphertext: one message, or a plaintext that means nothing.
        told = set()
        for wrong in (bytes(255) + b"\2", bytes(254) + b"\1\0", _other(host_rsa.encrypt(key.public, spec, _MESSAGE))):
            try:
                assert key.decrypt(spec, wrong) != _MESSAGE
            except CngError as error:
                told.add((error.status, error.message))
        assert len(told) <= 1
        assert {status for status, _ in told} <= {NTSTATUS.STATUS_INVALID_PARAMETER}

    def test_an_rsa_pair_that_is_brought(self, provider: Provider) -> None:
        needs(provider, "RSA", "PKCS1")
        material = _rsa_material()
        key = provider.import_pair(PairSpec("RSA", Usage.SIGN, bits=2048), material)
        assert key.public == material.public
        spec = RsaPkcs1SignSpec("SHA256")
        host_rsa.verify(material.public, spec, _DIGEST, key.sign_digest(spec, _DIGEST))
        assert repr(material.private_exponent) not in repr(key)

    @pytest.mark.parametrize("curve", list(_CURVES))
    def test_ecdsa(self, provider: Provider, curve: str) -> None:
        needs(provider, "ECDSA", curve)
        spec = PairSpec("EC", Usage.SIGN, curve=curve)
        material, _ = _ec_material(curve)
        brought = provider.import_pair(spec, material)
        assert brought.public == material.public
        made = provider.generate_pair(spec)
        assert made.public != brought.public
        for key in (made, brought):
            assert isinstance(key.public, EcPublicKey)
            assert key.spec.curve == curve
            signature = key.sign_digest(EcdsaSpec(), _DIGEST)
            ecc.verify(key.public, EcdsaSpec(), _DIGEST, signature)
            ecc.verify(key.public, EcdsaSpec(), _DIGEST, key.signing(EcdsaSpec())(_DIGEST))
            with refused(NTSTATUS.STATUS_INVALID_SIGNATURE):
                ecc.verify(key.public, EcdsaSpec(), _DIGEST, _other(signature))

    @pytest.mark.parametrize("curve", list(_CURVES))
    def test_ecdh(self, provider: Provider, curve: str) -> None:
        needs(provider, "ECDH", curve)
        spec = PairSpec("EC", Usage.DERIVE, curve=curve)
        material, host = _ec_material(curve)
        peer = ec.generate_private_key(_CURVES[curve])
        numbers = peer.public_key().public_numbers()
        key = provider.import_pair(spec, material)
        secret = key.agree(EcPublicKey(curve, numbers.x, numbers.y))
        z = host.exchange(ec.ECDH(), peer.public_key())
        assert secret.length == len(z)
        assert secret.digest("SHA256", b"before", b"after") == hashlib.sha256(b"before" + z + b"after").digest()
        assert secret.hmac("SHA256", b"data") == hmac.digest(z, b"data", "sha256")
        with refused(NTSTATUS.STATUS_NOT_SUPPORTED):
            secret.raw()
        secret.destroy()
        with refused():
            secret.digest("SHA256", b"", b"")

    def test_an_hmac_of_the_secret_itself(self, provider: Provider) -> None:
        needs(provider, "ECDH", "nistP256")
        material, host = _ec_material("nistP256")
        peer = _ec_material("nistP256")[0].public
        secret = provider.import_pair(PairSpec("EC", Usage.DERIVE, curve="nistP256"), material).agree(peer)
        answer = served(lambda: secret.hmac_of_itself("SHA256", b"<", b">"), "HMAC of a secret under itself")
        theirs = ec.EllipticCurvePublicNumbers(peer.x, peer.y, _CURVES["nistP256"]).public_key()
        z = host.exchange(ec.ECDH(), theirs)
        assert answer == hmac.digest(z, b"<" + z + b">", "sha256")

    @pytest.mark.parametrize(
        ("algorithm", "operation", "spec"),
        [
            ("ECDH", "curve25519", PairSpec("EC", Usage.DERIVE, curve="curve25519")),
            ("DH", None, PairSpec("DH", Usage.DERIVE, bits=2048, domain=DhDomain(safe_prime(2048), GENERATOR))),
        ],
        ids=["X25519", "DH"],
    )
    def test_both_sides_agree(self, provider: Provider, algorithm: str, operation: str | None, spec: PairSpec) -> None:
        needs(provider, algorithm, operation)
        one, other = provider.generate_pair(spec), provider.generate_pair(spec)
        digests = {
            ours.agree(theirs.public).digest("SHA256", b"", b"") for ours, theirs in ((one, other), (other, one))
        }
        assert len(digests) == 1

    @pytest.mark.parametrize("parameter_set", ["44", "65", "87"])
    def test_ml_dsa(self, provider: Provider, parameter_set: str) -> None:
        needs(provider, "ML-DSA", parameter_set)
        key = provider.generate_pair(PairSpec("ML-DSA", Usage.SIGN, parameter_set=parameter_set))
        assert isinstance(key.public, MlDsaPublicKey)
        spec = MlDsaSpec(context=b"here")
        signature = key.sign_message(spec, _MESSAGE)
        mlkem_mldsa.verify_ml_dsa(key.public, spec, _MESSAGE, signature)
        with refused(NTSTATUS.STATUS_INVALID_SIGNATURE):
            mlkem_mldsa.verify_ml_dsa(key.public, MlDsaSpec(context=b"there"), _MESSAGE, signature)

    @pytest.mark.parametrize("parameter_set", ["512", "768", "1024"])
    def test_ml_kem(self, provider: Provider, parameter_set: str) -> None:
        needs(provider, "ML-KEM", parameter_set)
        key = provider.generate_pair(PairSpec("ML-KEM", Usage.DECAPSULATE, parameter_set=parameter_set))
        assert isinstance(key.public, MlKemPublicKey)
        on_host = mlkem_mldsa.encapsulates(parameter_set)
        encapsulate = mlkem_mldsa.encapsulate if on_host else provider.encapsulate
        secret, ciphertext = encapsulate(key.public)
        assert key.decapsulate(ciphertext) == secret
        forged = key.decapsulate(_other(ciphertext))
        assert len(forged) == len(secret) and forged != secret

    def test_an_opaque_pair(self, provider: Provider) -> None:
        needs(provider, "ECDSA", "nistP256")
        key = provider.generate_pair(PairSpec("EC", Usage.SIGN, curve="nistP256", exportable=True))
        blob = opaque_of(key)
        public = key.public
        assert isinstance(public, EcPublicKey)
        key.destroy()
        key.destroy()
        with refused():
            key.sign_digest(EcdsaSpec(), _DIGEST)
        again = provider.reload_opaque(blob)
        assert isinstance(again, PrivateKey)
        assert again.public == public
        assert provider.opaque_contents(blob) == (again.spec, public)
        ecc.verify(public, EcdsaSpec(), _DIGEST, again.sign_digest(EcdsaSpec(), _DIGEST))
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            provider.reload_opaque(_other(blob))
