"""Every operation of a TPM key against `cryptography` and hashlib."""

from __future__ import annotations

import hmac
import os

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import cmac, hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

try:
    from cryptography.hazmat.decrepit.ciphers.modes import CFB, CFB8
except ImportError:
    from cryptography.hazmat.primitives.ciphers.modes import CFB, CFB8

from hwcng.contract.material import EcPublicKey, RsaPublicKey
from hwcng.contract.specs import (
    AeadSpec,
    CipherSpec,
    CmacSpec,
    EcdsaSpec,
    GmacSpec,
    HmacSpec,
    PairSpec,
    RsaOaepSpec,
    RsaPkcs1DecryptSpec,
    RsaPkcs1SignSpec,
    RsaPssSpec,
    RsaRawSpec,
    SecretSpec,
)
from hwcng.contract.usage import CipherMode, SecretFamily, Support, Usage
from hwcng.errors import NTSTATUS, CngError
from hwcng.hostcrypto import rsa_encodings
from hwcng.providers.tpm2.keys.host_secret import HostSecret
from hwcng.providers.tpm2.keys.private import Tpm2PrivateKey
from hwcng.providers.tpm2.provider import Tpm2Provider
from hwcng.standards.curves import CURVES
from hwcng.standards.hashes import HASHES

BOTH = Usage.ENCRYPT | Usage.DECRYPT
IV = bytes(range(16))
MODES = {
    CipherMode.ECB: lambda: modes.ECB(),  # noqa: S305
    CipherMode.CBC: lambda: modes.CBC(IV),
    CipherMode.CFB128: lambda: CFB(IV),
    CipherMode.CFB8: lambda: CFB8(IV),
}


def cipher_spec(mode: CipherMode) -> CipherSpec:
    return CipherSpec(mode, b"" if mode is CipherMode.ECB else IV)


def refused(error: pytest.ExceptionInfo[CngError], status: NTSTATUS = NTSTATUS.STATUS_NOT_SUPPORTED) -> None:
    assert error.value.status is status


# AES


@pytest.mark.parametrize("bits", [128, 256])
@pytest.mark.parametrize("mode", list(MODES))
@pytest.mark.parametrize("length", [0, 16, 1008, 1024, 1040, 3072])
def test_aes_is_what_software_computes(tpm_provider: Tpm2Provider, bits: int, mode: CipherMode, length: int) -> None:
    if mode is CipherMode.CFB8:
        length = min(length, 48)
    value, data = os.urandom(bits // 8), os.urandom(length)
    context = Cipher(algorithms.AES(value), MODES[mode]()).encryptor()
    expected = context.update(data) + context.finalize()
    with_key = tpm_provider.import_secret(SecretSpec(SecretFamily.AES, bits, BOTH), value)
    assert with_key.encrypt(cipher_spec(mode), data) == expected
    assert with_key.decrypt(cipher_spec(mode), expected) == data
    with_key.destroy()


def test_aes_cfb128_takes_a_short_last_segment(tpm_provider: Tpm2Provider) -> None:
    value, data = os.urandom(16), os.urandom(2051)
    context = Cipher(algorithms.AES(value), CFB(IV)).encryptor()
    key = tpm_provider.import_secret(SecretSpec(SecretFamily.AES, 128, BOTH), value)
    ciphertext = key.encrypt(CipherSpec(CipherMode.CFB128, IV), data)
    assert ciphertext == context.update(data) + context.finalize()
    assert key.decrypt(CipherSpec(CipherMode.CFB128, IV), ciphertext) == data


def test_a_generated_aes_key_and_its_duplicate_are_independent(tpm_provider: Tpm2Provider) -> None:
    key = tpm_provider.generate_secret(SecretSpec(SecretFamily.AES, 256, BOTH))
    ciphertext = key.encrypt(cipher_spec(CipherMode.CBC), bytes(32))
    twin = key.duplicate()
    key.destroy()
    key.destroy()
    assert twin.decrypt(cipher_spec(CipherMode.CBC), ciphertext) == bytes(32)
    with pytest.raises(CngError) as error:
        key.encrypt(cipher_spec(CipherMode.CBC), bytes(32))
    refused(error, NTSTATUS.STATUS_INVALID_HANDLE)


def test_what_a_tpm_does_not_do_with_aes_is_refused(tpm_provider: Tpm2Provider) -> None:
    key = tpm_provider.generate_secret(SecretSpec(SecretFamily.AES, 128, BOTH))
    for mode in (CipherMode.GCM, CipherMode.CCM):
        assert tpm_provider.offers("AES", mode.value) is Support.REFUSED
        with pytest.raises(CngError) as error:
            key.encrypt(AeadSpec(mode, bytes(12), b"", 16), b"data")
        refused(error)
    with pytest.raises(CngError) as error:
        key.wrap_key(key)
    refused(error)
    with pytest.raises(CngError) as error:
        tpm_provider.unwrap_secret(key.spec, key, bytes(24))
    refused(error)
    for family in (GmacSpec(bytes(12)), CmacSpec(), HmacSpec("SHA256")):
        with pytest.raises(CngError) as error:
            key.mac(family, b"data")
        refused(error)
    for family, bits in ((SecretFamily.GMAC, 128), (SecretFamily.AES, 512)):
        with pytest.raises(CngError) as error:
            tpm_provider.generate_secret(SecretSpec(family, bits, BOTH))
        refused(error)
    with pytest.raises(CngError) as error:
        key.encrypt(CipherSpec(CipherMode.CBC, IV), b"no block")
    refused(error, NTSTATUS.STATUS_INVALID_BUFFER_SIZE)
    with pytest.raises(CngError) as error:
        key.encrypt(CipherSpec(CipherMode.CBC, b"short"), bytes(16))
    refused(error, NTSTATUS.STATUS_INVALID_PARAMETER)
    with pytest.raises(CngError) as error:
        tpm_provider.import_secret(SecretSpec(SecretFamily.AES, 128, BOTH), bytes(15))
    refused(error, NTSTATUS.STATUS_INVALID_PARAMETER)


def test_a_key_does_only_what_it_was_made_for(tpm_provider: Tpm2Provider) -> None:
    key = tpm_provider.generate_secret(SecretSpec(SecretFamily.AES, 128, Usage.ENCRYPT))
    ciphertext = key.encrypt(cipher_spec(CipherMode.ECB), bytes(16))
    with pytest.raises(CngError) as error:
        key.decrypt(cipher_spec(CipherMode.ECB), ciphertext)
    refused(error, NTSTATUS.STATUS_INVALID_HANDLE)
    assert error.value.token_code is not None and error.value.token_code.name == "TPM_RC_ATTRIBUTES"


# MACs


@pytest.mark.parametrize("name", ["SHA1", "SHA256", "SHA384", "SHA512"])
@pytest.mark.parametrize("key_length", [0, 1, 20, 64, 65, 128, 200])
def test_hmac(tpm_provider: Tpm2Provider, name: str, key_length: int) -> None:
    value = os.urandom(key_length)
    spec = SecretSpec(SecretFamily.HMAC, 8 * key_length, Usage.SIGN, hash_name=name)
    key = tpm_provider.import_secret(spec, value)
    for length in (0, 3, 1024, 1025, 2048, 5000):
        data = os.urandom(length)
        assert key.mac(HmacSpec(name), data) == hmac.digest(value, data, HASHES[name].hashlib_name)
    key.destroy()


def test_one_hmac_key_for_every_hash(tpm_provider: Tpm2Provider) -> None:
    value = os.urandom(48)
    key = tpm_provider.import_secret(SecretSpec(SecretFamily.HMAC, 384, Usage.SIGN), value)
    for name in ("SHA1", "SHA256", "SHA384", "SHA512"):
        for length in (10, 3000):
            expected = hmac.digest(value, bytes(length), HASHES[name].hashlib_name)
            assert key.mac(HmacSpec(name), bytes(length)) == expected
    with pytest.raises(CngError) as error:
        tpm_provider.import_secret(SecretSpec(SecretFamily.HMAC, 520, Usage.SIGN), bytes(65))
    refused(error)


def test_generated_hmac_keys_are_as_long_as_the_digest(tpm_provider: Tpm2Provider) -> None:
    for name in ("SHA1", "SHA256", "SHA384", "SHA512"):
        bits = 8 * HASHES[name].digest_size
        spec = SecretSpec(SecretFamily.HMAC, bits, Usage.SIGN, hash_name=name)
        first, second = tpm_provider.generate_secret(spec), tpm_provider.generate_secret(spec)
        assert first.mac(HmacSpec(name), b"a") != second.mac(HmacSpec(name), b"a")
        assert first.duplicate().mac(HmacSpec(name), b"a") == first.mac(HmacSpec(name), b"a")
        with pytest.raises(CngError) as error:
            tpm_provider.generate_secret(SecretSpec(SecretFamily.HMAC, bits + 8, Usage.SIGN, hash_name=name))
        refused(error)


def test_hashes_that_the_tpm_lacks_are_refused(tpm_provider: Tpm2Provider) -> None:
    for name in ("MD5", "SHA3-256"):
        assert tpm_provider.offers(f"HMAC-{name}") is Support.REFUSED
        with pytest.raises(CngError) as error:
            tpm_provider.import_secret(SecretSpec(SecretFamily.HMAC, 256, Usage.SIGN, hash_name=name), bytes(32))
        refused(error)
    key = tpm_provider.import_secret(SecretSpec(SecretFamily.HMAC, 256, Usage.SIGN, hash_name="SHA256"), bytes(32))
    for spec in (HmacSpec("SHA1"), CmacSpec()):
        with pytest.raises(CngError) as error:
            key.mac(spec, b"")
        refused(error)
    with pytest.raises(CngError) as error:
        key.encrypt(cipher_spec(CipherMode.ECB), bytes(16))
    refused(error)


@pytest.mark.parametrize("bits", [128, 256])
def test_cmac(tpm_provider: Tpm2Provider, bits: int) -> None:
    value = os.urandom(bits // 8)
    key = tpm_provider.import_secret(SecretSpec(SecretFamily.CMAC, bits, Usage.SIGN), value)
    for length in (0, 1, 16, 17, 1024, 3000):
        data = os.urandom(length)
        context = cmac.CMAC(algorithms.AES(value))
        context.update(data)
        assert key.mac(CmacSpec(), data) == context.finalize()
    generated = tpm_provider.generate_secret(SecretSpec(SecretFamily.CMAC, bits, Usage.SIGN))
    assert len(generated.mac(CmacSpec(), b"")) == 16


# RSA


@pytest.fixture(scope="module")
def rsa_keys(tpm_provider: Tpm2Provider) -> dict[int, Tpm2PrivateKey]:
    usage = Usage.SIGN | Usage.DECRYPT
    return {bits: tpm_provider.generate_pair(PairSpec("RSA", usage, bits=bits)) for bits in (1024, 2048, 3072)}


def rsa_public(key: Tpm2PrivateKey) -> rsa.RSAPublicKey:
    assert isinstance(key.public, RsaPublicKey)
    return rsa.RSAPublicNumbers(key.public.public_exponent, key.public.modulus).public_key()


def host_hash(name: str) -> hashes.HashAlgorithm:
    algorithm: hashes.HashAlgorithm = getattr(hashes, name.replace("-", "_"))()
    return algorithm


@pytest.mark.parametrize("bits", [1024, 2048, 3072])
@pytest.mark.parametrize("name", ["MD5", "SHA1", "SHA256", "SHA384", "SHA512", "SHA3-256"])
def test_rsa_pkcs1_signatures(rsa_keys: dict[int, Tpm2PrivateKey], bits: int, name: str) -> None:
    digest = HASHES[name].digest(b"message")
    signature = rsa_keys[bits].sign_digest(RsaPkcs1SignSpec(name), digest)
    rsa_public(rsa_keys[bits]).verify(signature, digest, padding.PKCS1v15(), utils.Prehashed(host_hash(name)))


def test_rsa_pkcs1_without_a_hash(rsa_keys: dict[int, Tpm2PrivateKey]) -> None:
    for digest in (b"", bytes(36), bytes(245)):
        signature = rsa_keys[2048].sign_digest(RsaPkcs1SignSpec(None), digest)
        assert rsa_public(rsa_keys[2048]).recover_data_from_signature(signature, padding.PKCS1v15(), None) == digest


@pytest.mark.parametrize(
    ("bits", "name", "salt"),
    [
        (1024, "SHA256", 32),
        (1024, "SHA512", 62),
        (2048, "SHA1", 20),
        (2048, "SHA256", 32),
        (2048, "SHA384", 48),
        (2048, "SHA512", 64),
        (2048, "SHA256", 0),
        (2048, "SHA256", 20),
        (2048, "SHA256", 222),
        (3072, "SHA512", 64),
        (2048, "SHA3-256", 32),
    ],
)
def test_rsa_pss_signatures(rsa_keys: dict[int, Tpm2PrivateKey], bits: int, name: str, salt: int) -> None:
    digest, algorithm = HASHES[name].digest(b"message"), host_hash(name)
    for _ in range(2):
        signature = rsa_keys[bits].sign_digest(RsaPssSpec(name, salt), digest)
        scheme = padding.PSS(padding.MGF1(algorithm), salt)
        rsa_public(rsa_keys[bits]).verify(signature, digest, scheme, utils.Prehashed(algorithm))


def test_a_sign_only_rsa_key_signs_as_the_tpm_does_and_refuses_the_rest(tpm_provider: Tpm2Provider) -> None:
    key = tpm_provider.generate_pair(PairSpec("RSA", Usage.SIGN, bits=1024))
    key.sign_digest(RsaPkcs1SignSpec("SHA256"), bytes(32))
    key.sign_digest(RsaPssSpec("SHA256", 32), bytes(32))
    for spec, length in (
        (RsaPssSpec("SHA256", 20), 32),
        (RsaPkcs1SignSpec(None), 32),
        (RsaPkcs1SignSpec("MD5"), 16),
    ):
        with pytest.raises(CngError) as error:
            key.sign_digest(spec, bytes(length))
        refused(error)
    with pytest.raises(CngError) as error:
        key.decrypt(RsaPkcs1DecryptSpec(), bytes(128))
    refused(error)
    decrypting = tpm_provider.generate_pair(PairSpec("RSA", Usage.DECRYPT, bits=1024))
    with pytest.raises(CngError) as error:
        decrypting.sign_digest(RsaPkcs1SignSpec("SHA256"), bytes(32))
    refused(error)


def test_a_digest_of_the_wrong_length(tpm_provider: Tpm2Provider, rsa_keys: dict[int, Tpm2PrivateKey]) -> None:
    for spec in (RsaPkcs1SignSpec("SHA256"), RsaPssSpec("SHA256", 32), RsaPssSpec("SHA256", 20)):
        with pytest.raises(CngError) as error:
            rsa_keys[2048].sign_digest(spec, bytes(31))
        refused(error, NTSTATUS.STATUS_INVALID_PARAMETER)
    key = tpm_provider.generate_pair(PairSpec("EC", Usage.SIGN, curve="nistP256"))
    with pytest.raises(CngError) as error:
        key.sign_digest(EcdsaSpec(), b"")
    refused(error, NTSTATUS.STATUS_INVALID_PARAMETER)


@pytest.mark.parametrize("bits", [1024, 2048, 3072])
def test_rsa_decryption(rsa_keys: dict[int, Tpm2PrivateKey], bits: int) -> None:
    key, public, message = rsa_keys[bits], rsa_public(rsa_keys[bits]), b"attack at dawn"
    assert key.decrypt(RsaPkcs1DecryptSpec(), public.encrypt(message, padding.PKCS1v15())) == message
    for name in ("SHA1", "SHA256"):
        for label in (b"", b"label", b"label\0"):
            scheme = padding.OAEP(padding.MGF1(host_hash(name)), host_hash(name), label or None)
            assert key.decrypt(RsaOaepSpec(name, label), public.encrypt(message, scheme)) == message

    def raw(block: bytes) -> bytes:
        numbers = public.public_numbers()
        return pow(int.from_bytes(block, "big"), numbers.e, numbers.n).to_bytes(bits // 8, "big")

    for name in ("MD5", "SHA3-256"):
        ciphertext = raw(rsa_encodings.eme_oaep_encode(message, bits // 8, name, b"label"))
        assert key.decrypt(RsaOaepSpec(name, b"label"), ciphertext) == message
    block = b"\0\0" + os.urandom(bits // 8 - 2)
    assert key.decrypt(RsaRawSpec(), raw(block)) == block


def test_every_failed_rsa_decryption_looks_the_same(rsa_keys: dict[int, Tpm2PrivateKey]) -> None:
    key, public = rsa_keys[2048], rsa_public(rsa_keys[2048])
    sha1 = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)  # noqa: S303
    modulus = public.public_numbers().n
    bad_padding = pow(2, 65537, modulus).to_bytes(256, "big")
    attempts = [
        (RsaOaepSpec("SHA256"), public.encrypt(b"other hash", sha1)),
        (RsaOaepSpec("SHA256", b"label"), public.encrypt(b"other hash", sha1)),
        (RsaOaepSpec("SHA256"), bytes(256)),
        (RsaOaepSpec("SHA256"), b"\xff" * 256),
        (RsaOaepSpec("SHA256"), bytes(255)),
        (RsaOaepSpec("MD5"), bad_padding),
        (RsaPkcs1DecryptSpec(), b"\xff" * 256),
        (RsaPkcs1DecryptSpec(), b""),
        (RsaRawSpec(), modulus.to_bytes(256, "big")),
    ]
    seen = set()
    for spec, ciphertext in attempts:
        with pytest.raises(CngError) as error:
            key.decrypt(spec, ciphertext)
        seen.add((error.value.status, error.value.message, error.value.token_code))
    # Newer libtpms answers wrong PKCS #1 padding with random octets instead (implicit rejection).
    try:
        key.decrypt(RsaPkcs1DecryptSpec(), bad_padding)
    except CngError as failure:
        seen.add((failure.status, failure.message, failure.token_code))
    assert seen == {(NTSTATUS.STATUS_INVALID_PARAMETER, "decryption error", None)}


def test_rsa_sizes_that_the_tpm_lacks(tpm_provider: Tpm2Provider) -> None:
    for bits in (512, 1536, 4096, 8192):
        with pytest.raises(CngError) as error:
            tpm_provider.generate_pair(PairSpec("RSA", Usage.SIGN, bits=bits))
        refused(error)


# Elliptic curves


@pytest.mark.parametrize("curve", ["nistP224", "nistP256", "nistP384", "nistP521"])
@pytest.mark.parametrize("length", [1, 16, 20, 28, 32, 40, 48, 64])
def test_ecdsa(tpm_provider: Tpm2Provider, curve: str, length: int) -> None:
    key = tpm_provider.generate_pair(PairSpec("EC", Usage.SIGN, curve=curve))
    assert isinstance(key.public, EcPublicKey)
    digest, width = os.urandom(length), CURVES[curve].coordinate_size
    signature = key.sign_digest(EcdsaSpec(), digest)
    assert len(signature) == 2 * width
    r, s = int.from_bytes(signature[:width], "big"), int.from_bytes(signature[width:], "big")
    public = ec.EllipticCurvePublicNumbers(key.public.x, key.public.y, CURVES[curve].host()).public_key()

    class Given(hashes.HashAlgorithm):
        name, digest_size, block_size = "given", length, None

    public.verify(utils.encode_dss_signature(r, s), digest, ec.ECDSA(utils.Prehashed(Given())))
    with pytest.raises(InvalidSignature):
        public.verify(utils.encode_dss_signature(r, s ^ 1), digest, ec.ECDSA(utils.Prehashed(Given())))
    key.destroy()


@pytest.mark.parametrize("curve", ["nistP256", "nistP384", "nistP521"])
def test_ecdh(tpm_provider: Tpm2Provider, curve: str) -> None:
    key = tpm_provider.generate_pair(PairSpec("EC", Usage.DERIVE, curve=curve))
    peer = ec.generate_private_key(CURVES[curve].host())
    numbers = peer.public_key().public_numbers()
    assert isinstance(key.public, EcPublicKey)
    ours = ec.EllipticCurvePublicNumbers(key.public.x, key.public.y, CURVES[curve].host()).public_key()
    z = peer.exchange(ec.ECDH(), ours)
    secret = key.agree(EcPublicKey(curve, numbers.x, numbers.y))
    assert isinstance(secret, HostSecret)
    assert secret.raw() == z and secret.length == len(z)
    assert secret.digest("SHA256", b"a", b"b") == HASHES["SHA256"].digest(b"a" + z + b"b")
    assert secret.hmac("SHA1", b"data") == hmac.digest(z, b"data", "sha1")
    size = (len(z) + 1) // 2
    assert secret.half_hmac(0, "MD5", b"data") == hmac.digest(z[:size], b"data", "md5")
    assert secret.half_hmac(1, "SHA1", b"data") == hmac.digest(z[-size:], b"data", "sha1")
    assert z.hex() not in repr(secret)
    secret.destroy()
    with pytest.raises(CngError) as error:
        secret.raw()
    refused(error, NTSTATUS.STATUS_INVALID_HANDLE)


def test_what_an_elliptic_key_does_not_do(tpm_provider: Tpm2Provider) -> None:
    signing = tpm_provider.generate_pair(PairSpec("EC", Usage.SIGN, curve="nistP256"))
    agreeing = tpm_provider.generate_pair(PairSpec("EC", Usage.DERIVE, curve="nistP256"))
    other = tpm_provider.generate_pair(PairSpec("EC", Usage.DERIVE, curve="nistP384"))
    with pytest.raises(CngError) as error:
        signing.agree(agreeing.public)
    refused(error)
    with pytest.raises(CngError) as error:
        agreeing.sign_digest(EcdsaSpec(), bytes(32))
    refused(error)
    with pytest.raises(CngError) as error:
        agreeing.agree(other.public)
    refused(error, NTSTATUS.STATUS_INVALID_PARAMETER)
    for spec in (RsaPkcs1SignSpec("SHA256"), RsaPssSpec("SHA256", 32)):
        with pytest.raises(CngError) as error:
            signing.sign_digest(spec, bytes(32))
        refused(error)
    with pytest.raises(CngError) as error:
        signing.decrypt(RsaPkcs1DecryptSpec(), bytes(32))
    refused(error)
    with pytest.raises(CngError) as error:
        agreeing.agree(EcPublicKey("nistP256", 1, 1))
    refused(error, NTSTATUS.STATUS_INVALID_PARAMETER)
    assert error.value.token_code is not None and error.value.token_code.name == "TPM_RC_ECC_POINT"
    for curve in ("brainpoolP256r1", "secP256k1", "nonsense"):
        assert tpm_provider.offers("ECDSA", curve) is Support.REFUSED
        with pytest.raises(CngError) as error:
            tpm_provider.generate_pair(PairSpec("EC", Usage.SIGN, curve=curve))
        refused(error)


# Others


@pytest.mark.parametrize("length", [0, 1, 64, 65, 1000])
def test_random(tpm_provider: Tpm2Provider, length: int) -> None:
    octets = tpm_provider.random(length)
    assert len(octets) == length
    assert length < 64 or octets != tpm_provider.random(length)


def test_raw_secrets_need_an_opt_in(tpm_provider: Tpm2Provider) -> None:
    secret = HostSecret(b"\1\2", allow_raw=False)
    with pytest.raises(CngError) as error:
        secret.raw()
    refused(error)


def test_capabilities_agree_with_offers_and_give_reasons(tpm_provider: Tpm2Provider) -> None:
    found = tpm_provider.capabilities()
    assert found.token.manufacturer == "IBM" and found.token.label.startswith("TPM 2.0")
    assert found.key_bits["RSA"][:3] == (1024, 2048, 3072)
    assert {128, 256} <= set(found.key_bits["AES"])
    assert found.operations["AES", "CBC"] is Support.NATIVE
    assert found.operations["AES", "CFB8"] is Support.COMPOSED
    for key, support in found.operations.items():
        assert (support is Support.NATIVE) is (key not in found.reasons)
    # libtpms has TDES, and libtss2 cannot say it.
    assert "libtss2" in found.reasons["3DES", "CBC"]
    for algorithm in ("DH", "DSA", "ML-KEM", "3DES"):
        assert tpm_provider.offers(algorithm) is Support.REFUSED
    for algorithm in ("AES", "AES-CMAC", "HMAC-SHA256", "RSA", "ECDSA", "ECDH", "RNG"):
        assert tpm_provider.offers(algorithm) is Support.NATIVE


def test_representations_hold_no_secret(tpm_provider: Tpm2Provider) -> None:
    value = b"0123456789abcdef"
    key = tpm_provider.import_secret(SecretSpec(SecretFamily.AES, 128, BOTH), value)
    pair = tpm_provider.generate_pair(PairSpec("EC", Usage.SIGN, curve="nistP256"))
    key.encrypt(cipher_spec(CipherMode.ECB), bytes(16))
    shown = repr([key, pair, tpm_provider, tpm_provider.connection, tpm_provider.connection.session, vars(key)])
    assert value.hex() not in shown and repr(value) not in shown
    session = tpm_provider.connection.session
    assert session is not None and repr(session.key) not in shown
