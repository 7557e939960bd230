"""Many threads, many signatures."""

from __future__ import annotations

import hmac
import random

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from tpm2.helpers import in_four_threads

from hwcng.contract.material import EcPublicKey, RsaPublicKey
from hwcng.contract.specs import CipherSpec, EcdsaSpec, HmacSpec, PairSpec, RsaOaepSpec, RsaPkcs1SignSpec, SecretSpec
from hwcng.contract.usage import CipherMode, SecretFamily, Usage
from hwcng.providers.tpm2.provider import Tpm2Provider
from hwcng.testing.swtpm import Swtpm

BOTH = Usage.ENCRYPT | Usage.DECRYPT


def test_four_threads_of_mixed_operations(tpm_provider: Tpm2Provider) -> None:
    aes = tpm_provider.generate_secret(SecretSpec(SecretFamily.AES, 256, BOTH))
    mac = tpm_provider.import_secret(SecretSpec(SecretFamily.HMAC, 256, Usage.SIGN, hash_name="SHA256"), bytes(32))
    signing = tpm_provider.generate_pair(PairSpec("EC", Usage.SIGN, curve="nistP256"))
    agreeing = tpm_provider.generate_pair(PairSpec("EC", Usage.DERIVE, curve="nistP256"))
    pair = tpm_provider.generate_pair(PairSpec("RSA", Usage.SIGN | Usage.DECRYPT, bits=1024))
    assert isinstance(pair.public, RsaPublicKey) and isinstance(signing.public, EcPublicKey)
    rsa_public = rsa.RSAPublicNumbers(65537, pair.public.modulus).public_key()
    ec_public = ec.EllipticCurvePublicNumbers(signing.public.x, signing.public.y, ec.SECP256R1()).public_key()
    z = agreeing.agree(agreeing.public).raw()
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    hidden = rsa_public.encrypt(b"message", oaep)
    prehashed = utils.Prehashed(hashes.SHA256())

    def cipher(octets: bytes) -> None:
        spec = CipherSpec(CipherMode.CBC, octets[:16])
        assert aes.decrypt(spec, aes.encrypt(spec, octets * 50)) == octets * 50

    def ecdsa(octets: bytes) -> None:
        signature = signing.sign_digest(EcdsaSpec(), octets)
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        ec_public.verify(utils.encode_dss_signature(r, s), octets, ec.ECDSA(prehashed))

    def rsassa(octets: bytes) -> None:
        signature = pair.sign_digest(RsaPkcs1SignSpec("SHA256"), octets)
        rsa_public.verify(signature, octets, padding.PKCS1v15(), prehashed)

    def hmac_(octets: bytes) -> None:
        data = octets * random.choice((1, 100))
        assert mac.mac(HmacSpec("SHA256"), data) == hmac.digest(bytes(32), data, "sha256")

    def decrypt(octets: bytes) -> None:
        assert pair.decrypt(RsaOaepSpec("SHA256"), hidden) == b"message"

    def agree(octets: bytes) -> None:
        assert agreeing.agree(agreeing.public).raw() == z

    def churn(octets: bytes) -> None:
        key = tpm_provider.import_secret(SecretSpec(SecretFamily.AES, 256, BOTH), octets)
        twin = key.duplicate()
        ciphertext = key.encrypt(CipherSpec(CipherMode.ECB), octets)
        key.destroy()
        assert twin.decrypt(CipherSpec(CipherMode.ECB), ciphertext) == octets
        twin.destroy()

    operations = [cipher, ecdsa, rsassa, hmac_, decrypt, agree, churn]
    assert in_four_threads(operations) == []


def test_two_thousand_signatures_beside_a_second_session(tpm: Swtpm, tpm_provider: Tpm2Provider) -> None:
    import tpm2_pytss as tss

    key = tpm_provider.generate_pair(PairSpec("EC", Usage.SIGN, curve="nistP256"))
    with tss.ESAPI(tpm.tcti) as context:
        session = context.start_auth_session(
            tss.ESYS_TR.NONE, tss.ESYS_TR.NONE, tss.TPM2_SE.HMAC, tss.TPMT_SYM_DEF(algorithm=0x10), 0xB
        )
        for number in range(2000):
            assert len(key.sign_digest(EcdsaSpec(), number.to_bytes(32, "big"))) == 64
            if number % 100 == 0:
                tpm_provider.random(16)
        context.flush_context(session)
