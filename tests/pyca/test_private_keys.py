"""Private keys of every kind, on every token: what they sign, decrypt and agree on is what `cryptography` verifies."""

from __future__ import annotations

import copy
import hashlib
import inspect
import pickle
import tracemalloc
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from conformance.finite_fields import DSA_DOMAINS, dsa_parameters
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, mldsa, mlkem, padding, rsa, utils, x25519
from pyca.pairs import make_pair
from support import MISSING, missing_on, needs

import hwcng
from hwcng import CngError, bcrypt, pyca
from hwcng.contract.provider import Provider
from hwcng.errors import NTSTATUS
from hwcng.hostcrypto.host_keys import host_class
from hwcng.standards.curves import CURVES

if TYPE_CHECKING:
    from pyca.pairs import MakePair

DSA_1024 = dsa_parameters(DSA_DOMAINS[1024])
MESSAGE = b"what is signed"
WEIERSTRASS = [curve.name for curve in CURVES.values() if not curve.montgomery]
HASHES = (hashes.SHA1, hashes.SHA256, hashes.SHA384, hashes.SHA512)
KINDS: dict[str, tuple[str, int, dict[str, Any]]] = {
    "RSA": ("RSA", 2048, {}),
    "EC": ("ECDSA", 0, {"ECCCurveName": "nistP256"}),
    "X25519": ("ECDH", 0, {"ECCCurveName": "curve25519"}),
    "DH": ("DH", 2048, {}),
    "DSA": ("DSA", 1024, {"DSAParameters": DSA_1024}),
    "Ed25519": ("ED25519", 0, {}),
    "ML-DSA": ("ML-DSA", 0, {"ParameterSetName": "65"}),
    "ML-KEM": ("ML-KEM", 0, {"ParameterSetName": "768"}),
}
CLASSES: dict[str, type[Any]] = {
    "RSA": rsa.RSAPrivateKey,
    "EC": ec.EllipticCurvePrivateKey,
    "X25519": x25519.X25519PrivateKey,
    "DH": host_class("dh", "DHPrivateKey") or object,
    "DSA": dsa.DSAPrivateKey,
    "Ed25519": ed25519.Ed25519PrivateKey,
    "ML-DSA": mldsa.MLDSA65PrivateKey,
    "ML-KEM": mlkem.MLKEM768PrivateKey,
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def key(kind: str, pair: MakePair) -> Any:
    algorithm, bits, properties = KINDS[kind]
    return pair(algorithm, bits, **properties).as_cryptography()


def test_it_is_one_of_the_abstract_class_with_its_parameter_names(kind: str, key: Any) -> None:
    abstract = CLASSES[kind]
    assert isinstance(key, abstract)
    for name in abstract.__abstractmethods__:
        theirs, ours = getattr(abstract, name), getattr(type(key), name)
        if not isinstance(theirs, property):
            assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters), name


def test_its_public_key_is_a_builtin_one_that_saves_and_loads(key: Any) -> None:
    public = key.public_key()
    assert type(public).__module__.startswith("cryptography.hazmat.bindings._rust")
    encoded = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert serialization.load_der_public_key(encoded) == public == key.cng_key.public_key()


def test_copies_are_the_key_and_keys_are_known_by_their_public_half(kind: str, key: Any, pair: MakePair) -> None:
    algorithm, bits, properties = KINDS[kind]
    other = pair(algorithm, bits, **properties).as_cryptography()
    again = key.cng_key.as_cryptography()
    assert copy.copy(key) is key and copy.deepcopy([key])[0] is key
    assert again is not key and again == key and hash(again) == hash(key)
    assert key != other and key != key.public_key() and key != 1


def test_nothing_hands_out_the_private_half(key: Any) -> None:
    encoding = (
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    said = set()
    for refused in (key.private_numbers, lambda: key.private_bytes(*encoding), key.private_bytes_raw):
        with pytest.raises(UnsupportedAlgorithm, match="stays in its token") as caught:
            refused()
        assert isinstance(caught.value.__cause__, CngError)
        assert caught.value.__cause__.status is NTSTATUS.STATUS_NOT_SUPPORTED
        said.add(str(caught.value))
    assert len(said) == 1


@pytest.mark.parametrize("curve", WEIERSTRASS)
def test_ecdsa_on_every_curve(curve: str, pair: MakePair) -> None:
    key = pair("ECDSA", ECCCurveName=curve).as_cryptography()
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert (key.key_size, key.curve.name.lower()) == (CURVES[curve].bits, CURVES[curve].class_name.lower())
    for kind in (hashes.SHA256, hashes.SHA384, hashes.SHA512, hashes.SHA3_256, hashes.BLAKE2s):
        algorithm = ec.ECDSA(kind(32) if kind is hashes.BLAKE2s else kind())
        key.public_key().verify(key.sign(MESSAGE, algorithm), MESSAGE, algorithm)


def test_ecdsa_of_a_digest_and_of_any_buffer(pair: MakePair) -> None:
    key = pair("ECDSA", ECCCurveName="nistP256").as_cryptography()
    digest = hashlib.sha256(MESSAGE).digest()
    for data in (digest, bytearray(digest), memoryview(digest)):
        signature = key.sign(data, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
        key.public_key().verify(signature, MESSAGE, ec.ECDSA(hashes.SHA256()))
    key.public_key().verify(
        key.sign(data=bytearray(MESSAGE), signature_algorithm=ec.ECDSA(hashes.SHA384())),
        MESSAGE,
        ec.ECDSA(hashes.SHA384()),
    )


def test_what_is_hashed_is_not_copied(pair: MakePair) -> None:
    data = bytearray(1 << 24)
    schemes: tuple[Any, ...] = ((ec.ECDSA(hashes.SHA256()),), (ec.ECDSA(hashes.BLAKE2s(32)),))
    key: Any = pair("ECDSA", ECCCurveName="nistP256").as_cryptography()
    for scheme in schemes:
        key.sign(b"warm", *scheme)
        tracemalloc.start()
        try:
            key.sign(data, *scheme)
            assert tracemalloc.get_traced_memory()[1] < len(data) // 2
        finally:
            tracemalloc.stop()


def test_what_ecdsa_refuses(pair: MakePair) -> None:
    key: Any = pair("ECDSA", ECCCurveName="nistP256").as_cryptography()
    with pytest.raises(ValueError, match="same length"):
        key.sign(b"short", ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    with pytest.raises(UnsupportedAlgorithm, match=r"ec\.ECDSA"):
        key.sign(MESSAGE, hashes.SHA256())
    with pytest.raises(UnsupportedAlgorithm, match="deterministic_signing"):
        key.sign(MESSAGE, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    with pytest.raises(TypeError):
        key.sign("text", ec.ECDSA(hashes.SHA256()))
    with pytest.raises(UnsupportedAlgorithm, match="not made to agree"):
        key.exchange(ec.ECDH(), ec.generate_private_key(ec.SECP256R1()).public_key())


@pytest.mark.parametrize("kind_of_hash", HASHES)
def test_rsa_signatures(kind_of_hash: type[hashes.HashAlgorithm], pair: MakePair, token: Provider) -> None:
    key = pair("RSA", 2048).as_cryptography()
    assert isinstance(key, rsa.RSAPrivateKey) and key.key_size == 2048
    algorithm = kind_of_hash()
    digest = hashes.Hash(algorithm)
    digest.update(MESSAGE)
    hashed = digest.finalize()
    schemes: tuple[Any, ...] = (
        padding.PKCS1v15(),
        padding.PSS(padding.MGF1(algorithm), padding.PSS.DIGEST_LENGTH),
        padding.PSS(padding.MGF1(algorithm), padding.PSS.MAX_LENGTH),
        padding.PSS(padding.MGF1(algorithm), 7),
    )
    for scheme in schemes:
        try:
            signature = key.sign(MESSAGE, scheme, algorithm)
        except UnsupportedAlgorithm:
            missing_on(token, f"RSA {scheme.name} with {algorithm.name}")
        key.public_key().verify(signature, MESSAGE, scheme, algorithm)
        again = key.sign(data=hashed, padding=scheme, algorithm=utils.Prehashed(algorithm))
        key.public_key().verify(again, MESSAGE, scheme, algorithm)
        # securesystemslib hands on copies.
        key.public_key().verify(key.sign(MESSAGE, copy.deepcopy(scheme), algorithm), MESSAGE, scheme, algorithm)


def test_what_rsa_refuses(pair: MakePair) -> None:
    key: Any = pair("RSA", 2048).as_cryptography()
    sha256, sha384 = hashes.SHA256(), hashes.SHA384()
    with pytest.raises(ValueError, match="Auto when verifying"):
        key.sign(MESSAGE, padding.PSS(padding.MGF1(sha256), padding.PSS.AUTO), sha256)
    with pytest.raises(ValueError, match="block of"):
        key.sign(MESSAGE, padding.PSS(padding.MGF1(sha256), 250), sha256)
    with pytest.raises(UnsupportedAlgorithm, match="one hash"):
        key.sign(MESSAGE, padding.PSS(padding.MGF1(sha384), 32), sha256)
    with pytest.raises(UnsupportedAlgorithm, match="blake2s"):
        key.sign(MESSAGE, padding.PKCS1v15(), hashes.BLAKE2s(32))
    with pytest.raises(UnsupportedAlgorithm, match="no padding of RSA signatures"):
        key.sign(MESSAGE, padding.OAEP(padding.MGF1(sha256), sha256, None), sha256)
    with pytest.raises(TypeError, match="AsymmetricPadding"):
        key.sign(MESSAGE, "PKCS1v15", sha256)
    with pytest.raises(TypeError, match="HashAlgorithm"):
        key.sign(MESSAGE, padding.PKCS1v15(), "sha256")
    with pytest.raises(ValueError, match="same length"):
        key.sign(b"short", padding.PKCS1v15(), utils.Prehashed(sha256))
    with pytest.raises(ValueError, match="equal to key size"):
        key.decrypt(b"short", padding.PKCS1v15())
    with pytest.raises(UnsupportedAlgorithm, match="no padding of RSA decryption"):
        key.decrypt(bytes(256), padding.PSS(padding.MGF1(sha256), 32))


@pytest.mark.parametrize("label", [None, b"a label"])
@pytest.mark.parametrize("kind_of_hash", [hashes.SHA1, hashes.SHA256])
def test_rsa_oaep(
    kind_of_hash: type[hashes.HashAlgorithm], label: bytes | None, pair: MakePair, token: Provider
) -> None:
    needs(token, "RSA", "OAEP")
    key = pair("RSA", 2048).as_cryptography()
    assert isinstance(key, rsa.RSAPrivateKey)
    scheme = padding.OAEP(padding.MGF1(kind_of_hash()), kind_of_hash(), label)
    ciphertext = key.public_key().encrypt(MESSAGE, scheme)
    assert key.decrypt(ciphertext, scheme) == MESSAGE
    with pytest.raises(ValueError, match="decryption error") as caught:
        key.decrypt(ciphertext[:-1] + bytes([ciphertext[-1] ^ 1]), scheme)
    assert isinstance(caught.value.__cause__, CngError)


def test_rsa_pkcs1_decryption_and_signatures_without_digest_info(pair: MakePair) -> None:
    key: Any = pair("RSA", 2048).as_cryptography()
    assert key.decrypt(key.public_key().encrypt(MESSAGE, padding.PKCS1v15()), padding.PKCS1v15()) == MESSAGE
    try:
        signature = key.sign(MESSAGE, padding.PKCS1v15(), utils.NoDigestInfo())
    except UnsupportedAlgorithm:
        pass
    else:
        assert key.public_key().recover_data_from_signature(signature, padding.PKCS1v15(), None) == MESSAGE


def test_a_sign_only_key_does_not_decrypt(token: Provider) -> None:
    from hwcng.contract.specs import PairSpec
    from hwcng.contract.usage import Usage

    software = rsa.generate_private_key(65537, 2048)
    needs(token, "RSA", "PKCS1")
    with pyca.import_private_key(token, software, usage=Usage.SIGN) as imported:
        assert imported.usage == Usage.SIGN and isinstance(imported.private.spec, PairSpec)
        key: Any = imported.as_cryptography()
        with pytest.raises(UnsupportedAlgorithm, match="not made to decrypt") as caught:
            key.decrypt(bytes(255) + b"\1", padding.PKCS1v15())
        assert isinstance(caught.value.__cause__, CngError)


def test_dsa(pair: MakePair) -> None:
    key = pair("DSA", 1024, DSAParameters=DSA_1024).as_cryptography()
    assert isinstance(key, dsa.DSAPrivateKey)
    assert key.key_size == 1024
    assert key.parameters().parameter_numbers() == key.public_key().parameters().parameter_numbers()
    for algorithm in (hashes.SHA224(), hashes.SHA256(), hashes.SHA512()):
        key.public_key().verify(key.sign(MESSAGE, algorithm), MESSAGE, algorithm)
    digest = hashlib.sha256(MESSAGE).digest()
    signature = key.sign(data=digest, algorithm=utils.Prehashed(hashes.SHA256()))
    key.public_key().verify(signature, MESSAGE, hashes.SHA256())


@pytest.mark.parametrize("parameter_set", ["44", "65", "87"])
def test_ml_dsa(parameter_set: str, pair: MakePair) -> None:
    key: Any = pair("ML-DSA", ParameterSetName=parameter_set).as_cryptography()
    assert isinstance(key, getattr(mldsa, f"MLDSA{parameter_set}PrivateKey"))
    key.public_key().verify(key.sign(MESSAGE), MESSAGE)
    key.public_key().verify(key.sign(MESSAGE, context=b"a context"), MESSAGE, b"a context")
    with pytest.raises(InvalidSignature):
        key.public_key().verify(key.sign(MESSAGE, b"a context"), MESSAGE)
    with pytest.raises(ValueError, match="255"):
        key.sign(MESSAGE, bytes(256))
    with pytest.raises(ValueError, match="64"):
        key.sign_mu(bytes(63))


@pytest.mark.parametrize("parameter_set", ["768", "1024"])
def test_ml_kem(parameter_set: str, pair: MakePair) -> None:
    key: Any = pair("ML-KEM", ParameterSetName=parameter_set).as_cryptography()
    secret, ciphertext = key.public_key().encapsulate()
    assert key.decapsulate(ciphertext) == secret
    with pytest.raises(ValueError, match="ciphertext"):
        key.decapsulate(ciphertext[1:])


def test_a_parameter_set_that_cryptography_lacks(pair: MakePair) -> None:
    made = pair("ML-KEM", ParameterSetName="512")
    for refused, raised in ((made.as_cryptography, UnsupportedAlgorithm), (made.public_key, CngError)):
        with pytest.raises(raised, match="512"):
            refused()


RAW = {
    "EC": ("ECDH", 0, {"ECCCurveName": "nistP521"}),
    "X25519": ("ECDH", 0, {"ECCCurveName": "curve25519"}),
    "DH": ("DH", 1024, {}),
}


def peer_of(key: Any) -> tuple[Any, Callable[[Any], bytes]]:
    """A key of the host's on the same curve or parameters, and what it agrees on."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        own = ec.generate_private_key(key.curve)
        return own, lambda theirs: own.exchange(ec.ECDH(), theirs)
    peer: Any = (
        x25519.X25519PrivateKey.generate()
        if isinstance(key, x25519.X25519PrivateKey)
        else key.parameters().generate_private_key()
    )
    return peer, peer.exchange


def exchanged(key: Any, peer: Any) -> bytes:
    result: bytes = key.exchange(ec.ECDH(), peer) if isinstance(key, ec.EllipticCurvePrivateKey) else key.exchange(peer)
    return result


@pytest.mark.parametrize("kind", RAW)
def test_agreed_secrets_where_they_may_leave(kind: str, raw_secret_token: Provider) -> None:
    algorithm, bits, properties = RAW[kind]
    with make_pair(raw_secret_token, algorithm, bits, **properties) as made:
        key: Any = made.as_cryptography()
        for _ in range(3):
            own, agree = peer_of(key)
            assert exchanged(key, own.public_key()) == agree(key.public_key())


@pytest.mark.parametrize("kind", RAW)
def test_agreed_secrets_stay_where_nobody_said_that_they_may_leave(kind: str, pair: MakePair) -> None:
    algorithm, bits, properties = RAW[kind]
    key: Any = pair(algorithm, bits, **properties).as_cryptography()
    own, _ = peer_of(key)
    with pytest.raises(UnsupportedAlgorithm, match="allow_raw_secret=True") as caught:
        exchanged(key, own.public_key())
    assert isinstance(caught.value.__cause__, CngError)
    with pytest.raises(TypeError, match="must be"):
        exchanged(key, rsa.generate_private_key(65537, 2048).public_key())


def test_no_token_sees_a_peer_that_is_not_sound(raw_secret_token: Provider) -> None:
    from hwcng.testing.calls import CallCounter

    with make_pair(raw_secret_token, "DH", 1024) as made:
        key: Any = made.as_cryptography()
        numbers = key.public_key().public_numbers()
        peers = [
            type(numbers)(value, numbers.parameter_numbers).public_key()
            for value in (2, numbers.parameter_numbers.p - 1)
        ]
        counter = CallCounter(raw_secret_token)  # type: ignore[arg-type]
        with counter, pytest.raises(ValueError, match="public value"):
            key.exchange(peers[1])
        assert not counter.names
        assert len(key.exchange(peers[0])) == 128
    with make_pair(raw_secret_token, "ECDH", ECCCurveName="curve25519") as made:
        key = made.as_cryptography()
        counter = CallCounter(raw_secret_token)  # type: ignore[arg-type]
        with counter, pytest.raises(ValueError, match="low order"):
            key.exchange(x25519.X25519PublicKey.from_public_bytes(bytes(32)))
        assert not counter.names


def test_an_imported_key_that_signs_and_agrees(raw_secret_token: Provider) -> None:
    software, peer = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    both = hwcng.Usage.SIGN | hwcng.Usage.DERIVE
    with pyca.import_private_key(raw_secret_token, software, usage=both) as imported:
        key: Any = imported.as_cryptography()
        software.public_key().verify(key.sign(MESSAGE, ec.ECDSA(hashes.SHA256())), MESSAGE, ec.ECDSA(hashes.SHA256()))
        assert key.exchange(ec.ECDH(), peer.public_key()) == peer.exchange(ec.ECDH(), software.public_key())


@pytest.mark.parametrize(("kem", "curve"), [("P256", "nistP256"), ("X25519", "curve25519")])
def test_hybrid_public_key_encryption(kem: str, curve: str, raw_secret_token: Provider) -> None:
    hpke = pytest.importorskip("cryptography.hazmat.primitives.hpke", reason=MISSING + "cryptography's HPKE")
    with make_pair(raw_secret_token, "ECDH", ECCCurveName=curve) as made:
        suite = hpke.Suite(getattr(hpke.KEM, kem), hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_128_GCM)
        sealed = suite.encrypt(MESSAGE, made.public_key(), b"info")
        assert suite.decrypt(sealed, made.as_cryptography(), b"info") == MESSAGE


def test_hybrid_public_key_encryption_by_ml_kem(pair: MakePair) -> None:
    hpke = pytest.importorskip("cryptography.hazmat.primitives.hpke", reason=MISSING + "cryptography's HPKE")
    made = pair("ML-KEM", ParameterSetName="768")
    suite = hpke.Suite(hpke.KEM.MLKEM768, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_128_GCM)
    sealed = suite.encrypt(MESSAGE, made.public_key(), b"info")
    assert suite.decrypt(sealed, made.as_cryptography(), b"info") == MESSAGE


def test_what_ecdh_refuses(pair: MakePair) -> None:
    key: Any = pair("ECDH", ECCCurveName="nistP256").as_cryptography()
    with pytest.raises(ValueError, match="same curve"):
        key.exchange(ec.ECDH(), ec.generate_private_key(ec.SECP384R1()).public_key())
    with pytest.raises(UnsupportedAlgorithm, match="ECDH"):
        key.exchange(ec.ECDSA(hashes.SHA256()), ec.generate_private_key(ec.SECP256R1()).public_key())
    with pytest.raises(UnsupportedAlgorithm, match="not made to sign"):
        key.sign(MESSAGE, ec.ECDSA(hashes.SHA256()))


def test_pairs_that_are_not_ready(provider: Provider) -> None:
    handle = bcrypt.BCryptOpenAlgorithmProvider("ECDSA_P256", provider)
    empty = bcrypt.BCryptGenerateKeyPair(handle, 256)
    with pytest.raises(ValueError, match="not finalized") as caught:
        empty.as_cryptography()
    assert isinstance(caught.value.__cause__, CngError)
    bcrypt.BCryptFinalizeKeyPair(empty)
    blob = bcrypt.BCryptExportKey(empty, None, bcrypt.BCRYPT_ECCPUBLIC_BLOB)
    public = bcrypt.BCryptImportKeyPair(handle, None, bcrypt.BCRYPT_ECCPUBLIC_BLOB, blob)
    assert public.public_key() == empty.public_key()
    with pytest.raises(ValueError, match="no private half"):
        public.as_cryptography()


def test_a_key_that_is_lost_in_the_middle(fresh_provider: Provider) -> None:
    pair = make_pair(fresh_provider, "ECDSA", ECCCurveName="nistP256")
    key: Any = pair.as_cryptography()
    key.sign(MESSAGE, ec.ECDSA(hashes.SHA256()))
    pair.destroy()
    with pytest.raises(ValueError, match="destroyed") as caught:
        key.sign(MESSAGE, ec.ECDSA(hashes.SHA256()))
    assert isinstance(caught.value.__cause__, CngError)
    other: Any = make_pair(fresh_provider, "ECDSA", ECCCurveName="nistP256").as_cryptography()
    fresh_provider.close()
    with pytest.raises(ValueError, match="closed") as caught:
        other.sign(MESSAGE, ec.ECDSA(hashes.SHA256()))
    assert isinstance(caught.value.__cause__, CngError)


def test_by_uri_and_by_every_kind_of_handle(provider: Provider) -> None:
    from hwcng import ncrypt

    storage = ncrypt.NCryptOpenStorageProvider(provider)
    stored = ncrypt.NCryptCreatePersistedKey(storage, ncrypt.NCRYPT_ECDSA_P256_ALGORITHM, "by any handle")
    with pytest.raises(CngError, match="not finalized"):
        stored.as_cryptography()
    ncrypt.NCryptFinalizeKey(stored)
    hwcng.set_default_provider(provider)
    try:
        opened = hwcng.open_key(stored.uri)
        keys = [pyca.private_key(one) for one in (stored.uri, stored, stored.key, opened)]
        keys += [stored.as_cryptography(), opened.as_cryptography()]
        assert len({hash(key) for key in keys}) == 1 and all(key == keys[0] for key in keys)
        assert stored.public_key() == keys[0].public_key()
    finally:
        hwcng.set_default_provider(None)
        ncrypt.NCryptDeleteKey(stored)


def test_a_named_key_travels_as_its_uri_and_one_without_a_name_stays(provider: Provider) -> None:
    software = ec.generate_private_key(ec.SECP256R1())
    with pyca.import_private_key(provider, software, "travels") as named:
        try:
            hwcng.set_default_provider(provider)
            sent = pickle.dumps(named.as_cryptography())
            key: Any = pickle.loads(sent)
            assert key == named.as_cryptography() and b"travels" in sent
            signature = key.sign(MESSAGE, ec.ECDSA(hashes.SHA256()))
            software.public_key().verify(signature, MESSAGE, ec.ECDSA(hashes.SHA256()))
        finally:
            hwcng.set_default_provider(None)
            provider.delete_key("travels")
    with pyca.import_private_key(provider, software) as own, pytest.raises(CngError, match="cannot be pickled"):
        pickle.dumps(own.as_cryptography())


def test_what_is_no_key(provider: Provider) -> None:
    from hwcng import ncrypt

    with pytest.raises(TypeError, match="not bytes"):
        pyca.private_key(b"pkcs11:")  # type: ignore[arg-type]
    secret = bcrypt.BCryptOpenAlgorithmProvider("AES", provider).generate_key(128)
    for refused in (secret, ncrypt.NCryptOpenStorageProvider(provider)):
        with pytest.raises((TypeError, UnsupportedAlgorithm)):
            pyca.private_key(refused)  # type: ignore[arg-type]
    with pytest.raises(CngError, match=r"hwcng\.pyca has AESGCM"):
        secret.as_cryptography()
    with pytest.raises(CngError, match="no public half"):
        secret.public_key()
    with pytest.raises(AttributeError, match="privat_key"):
        pyca.privat_key  # type: ignore[attr-defined]  # noqa: B018


def test_any_number_of_threads_sign_with_one_key(provider: Provider) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with make_pair(provider, "ECDSA", ECCCurveName="nistP256") as made:
        key: Any = made.as_cryptography()
        messages = [b"%d" % number for number in range(64)]
        with ThreadPoolExecutor(8) as pool:
            signatures = list(pool.map(lambda message: key.sign(message, ec.ECDSA(hashes.SHA256())), messages))
        for message, signature in zip(messages, signatures, strict=True):
            key.public_key().verify(signature, message, ec.ECDSA(hashes.SHA256()))
