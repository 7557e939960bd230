"""Keys of other software that are held to one scheme: digests of other lengths, and refusals that name the hash."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from tpm2.helpers import below_root

from hwcng.contract.material import EcPublicKey, RsaPublicKey
from hwcng.contract.specs import EcdsaSpec, RsaOaepSpec, RsaPkcs1DecryptSpec, RsaPkcs1SignSpec, RsaPssSpec, RsaRawSpec
from hwcng.errors import NTSTATUS, CngError
from hwcng.hostcrypto import ecc
from hwcng.providers.tpm2.keys.private import Tpm2PrivateKey
from hwcng.providers.tpm2.provider import Tpm2Provider
from hwcng.providers.tpm2.wire import key_file_asn1
from hwcng.testing.swtpm import Swtpm

Load = Callable[..., Tpm2PrivateKey]


@pytest.fixture
def load(tpm: Swtpm, tpm_provider: Tpm2Provider) -> Load:
    """Makes a key of a template by other software, and loads it."""

    def load(template: str, attributes: str = "sign") -> Tpm2PrivateKey:
        tpm_provider.connection.release_slots()
        public, private = below_root(tpm, template, attributes + "|noda")
        return tpm_provider.reload_opaque(key_file_asn1.build(key_file_asn1.TssKey(0x81000001, public, private)))  # type: ignore[return-value]

    return load


def named(call: Callable[[], object], *words: str) -> None:
    with pytest.raises(CngError) as error:
        call()
    assert error.value.status is NTSTATUS.STATUS_NOT_SUPPORTED
    assert error.value.token_code is None, "the TPM was asked"
    for word in words:
        assert word in error.value.message


@pytest.mark.parametrize("hash_name", ["sha1", "sha256", "sha384", "sha512"])
@pytest.mark.parametrize("curve", [256, 384])
def test_every_digest_that_the_hash_has_room_for(load: Load, curve: int, hash_name: str) -> None:
    key = load(f"ecc{curve}:ecdsa-{hash_name}")
    assert isinstance(key.public, EcPublicKey)
    size = {"sha1": 20, "sha256": 32, "sha384": 48, "sha512": 64}[hash_name]
    for length in (1, 16, 20, 28, 32, 48, 64, 70):
        digest = bytes(range(1, length + 1))
        if min(length, curve // 8) <= size:
            signature = key.sign_digest(EcdsaSpec(), digest)
            ecc.verify(key.public, EcdsaSpec(), digest[: curve // 8], signature)
        else:
            named(lambda: key.sign_digest(EcdsaSpec(), digest), hash_name.upper(), f"{size} bytes")  # noqa: B023


def test_an_ecdsa_signature_is_one_to_others_too(load: Load) -> None:
    key = load("ecc384:ecdsa-sha384")
    assert isinstance(key.public, EcPublicKey)
    digest = bytes(range(32))
    signature = key.sign_digest(EcdsaSpec(), digest)
    encoded = utils.encode_dss_signature(int.from_bytes(signature[:48], "big"), int.from_bytes(signature[48:], "big"))
    public = ec.EllipticCurvePublicNumbers(key.public.x, key.public.y, ec.SECP384R1()).public_key()
    public.verify(encoded, digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))


def test_rsa_signing_keys(load: Load) -> None:
    for template, spec in (
        ("rsa1024:rsassa-sha256:null", RsaPkcs1SignSpec("SHA256")),
        ("rsa1024:rsapss-sha256:null", RsaPssSpec("SHA256", 32)),
    ):
        key = load(template)
        assert len(key.sign_digest(spec, bytes(32))) == 128
        others = {RsaPkcs1SignSpec("SHA1"): 20, RsaPkcs1SignSpec("SHA256"): 32, RsaPssSpec("SHA1", 20): 20}
        for other, size in others.items():
            if other != spec:
                named(lambda: key.sign_digest(other, bytes(size)), "held to", "SHA256")  # noqa: B023


def test_rsa_decrypting_keys(load: Load) -> None:
    for template, spec, pad in (
        (
            "rsa1024:oaep-sha256",
            RsaOaepSpec("SHA256"),
            padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None),
        ),
        ("rsa1024:rsaes:null", RsaPkcs1DecryptSpec(), padding.PKCS1v15()),
    ):
        key = load(template, "decrypt")
        assert isinstance(key.public, RsaPublicKey)
        public = rsa.RSAPublicNumbers(key.public.public_exponent, key.public.modulus).public_key()
        ciphertext = public.encrypt(b"secret", pad)
        assert key.decrypt(spec, ciphertext) == b"secret"
        for other in (RsaOaepSpec("SHA1"), RsaOaepSpec("SHA256", b"label"), RsaPkcs1DecryptSpec(), RsaRawSpec()):
            if other != spec:
                named(lambda: key.decrypt(other, ciphertext), "held to", template.split(":")[1].split("-")[0].upper())  # noqa: B023
