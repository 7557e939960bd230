"""ML-KEM: rows KEM-*, GKP-14, GKP-16, FIN-04, IKP-13 and sections 4.7 and 3.2, on a token that has it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from conformance.helpers import Refuses, host_ecb, refused, token_attributes
from conformance.lattice_keys import ML_KEM, blob, expanded, generated, malformed
from cryptography.hazmat.primitives.asymmetric import mlkem
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap

import hwcng
from hwcng import bcrypt
from hwcng.bcrypt import STATUS_INVALID_BUFFER_SIZE, STATUS_INVALID_PARAMETER, STATUS_NOT_SUPPORTED
from hwcng.cng.keys import AlgorithmHandle, KeyPair
from hwcng.contract.material import MlKemPublicKey
from hwcng.contract.provider import Provider
from hwcng.contract.specs import MlDsaSpec, SecretSpec
from hwcng.contract.usage import SecretFamily, Support, Usage
from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.pkcs11.cryptoki import calls as cryptoki
from hwcng.providers.pkcs11.cryptoki.calls import Cryptoki
from hwcng.providers.pkcs11.cryptoki.return_values import CKR
from hwcng.providers.pkcs11.provider import Pkcs11Provider
from hwcng.testing.calls import CallCounter
from hwcng.testing.faults import FaultInjector

SEED = bytes(range(64))
PRIVATE_KEYS: dict[str, Any] = {"768": mlkem.MLKEM768PrivateKey, "1024": mlkem.MLKEM1024PrivateKey}
"""`cryptography` has no ML-KEM-512."""

PUBLIC_KEYS: dict[str, Any] = {"768": mlkem.MLKEM768PublicKey, "1024": mlkem.MLKEM1024PublicKey}
ON_THE_HOST = tuple(PUBLIC_KEYS)

every_set = pytest.mark.parametrize("name", ML_KEM)


@pytest.fixture
def algorithm(nss_current_provider: Provider) -> Iterator[AlgorithmHandle]:
    with bcrypt.BCryptOpenAlgorithmProvider(bcrypt.BCRYPT_MLKEM_ALGORITHM, nss_current_provider) as handle:
        yield handle


def seeded(algorithm: AlgorithmHandle, name: str, seed: bytes = SEED) -> KeyPair:
    data = blob(b"MLKS", name, seed)
    return bcrypt.BCryptImportKeyPair(algorithm, None, bcrypt.BCRYPT_MLKEM_PRIVATE_SEED_BLOB, data)


def public_octets(pair: KeyPair, name: str) -> bytes:
    """ek, out of a blob of exactly the documented layout."""
    exported = bcrypt.BCryptExportKey(pair, None, bcrypt.BCRYPT_MLKEM_PUBLIC_BLOB)
    key = exported[-ML_KEM[name][0] :]
    assert exported == blob(b"MLKP", name, key)
    return key


def public_key(algorithm: AlgorithmHandle, name: str, key: bytes) -> KeyPair:
    data = blob(b"MLKP", name, key)
    return bcrypt.BCryptImportKeyPair(algorithm, None, bcrypt.BCRYPT_MLKEM_PUBLIC_BLOB, data)


@pytest.mark.row("KEM-02", "KEM-03", "KEM-05", "KEM-07", "GKP-14", "GKP-16", "3.2 KEMCiphertextLength")
@every_set
def test_both_sides_have_one_secret(algorithm: AlgorithmHandle, name: str) -> None:
    for flags in (0, bcrypt.BCRYPT_NO_KEY_VALIDATION):
        with (
            generated(algorithm, name, flags) as pair,
            public_key(algorithm, name, public_octets(pair, name)) as public,
        ):
            for handle in (pair, public):
                secret, ciphertext = bcrypt.BCryptEncapsulate(handle)
                assert len(secret) == bcrypt.BCryptGetProperty(handle, bcrypt.BCRYPT_KEM_SHARED_SECRET_LENGTH) == 32
                length = bcrypt.BCryptGetProperty(handle, bcrypt.BCRYPT_KEM_CIPHERTEXT_LENGTH)
                assert len(ciphertext) == length == ML_KEM[name][2]
                assert bcrypt.BCryptDecapsulate(pair, ciphertext) == secret
                assert bcrypt.BCryptDecapsulate(pair, bytearray(ciphertext)) == secret
                assert bcrypt.BCryptEncapsulate(handle) != (secret, ciphertext)
            assert token_attributes(pair, "SENSITIVE", "EXTRACTABLE", "VALUE", "SEED") == [b"\1", b"\0", None, None]


@pytest.mark.row("KEM-07", "IKP-13")
@pytest.mark.parametrize("name", ON_THE_HOST)
def test_as_another_implementation(algorithm: AlgorithmHandle, name: str) -> None:
    host = PRIVATE_KEYS[name].from_seed_bytes(SEED)
    with seeded(algorithm, name) as pair, generated(algorithm, name) as other:
        assert public_octets(pair, name) == host.public_key().public_bytes_raw()
        secret, ciphertext = host.public_key().encapsulate()
        assert bcrypt.BCryptDecapsulate(pair, ciphertext) == secret
        secret, ciphertext = bcrypt.BCryptEncapsulate(pair)
        assert host.decapsulate(ciphertext) == secret
        secret, ciphertext = PUBLIC_KEYS[name].from_public_bytes(public_octets(other, name)).encapsulate()
        assert bcrypt.BCryptDecapsulate(other, ciphertext) == secret


@pytest.mark.row("KEM-05")
@every_set
def test_where_the_work_is_done(nss_current_provider: Provider, algorithm: AlgorithmHandle, name: str) -> None:
    """The host encapsulates where it can; the token's secret objects are destroyed when they have been read."""
    with generated(algorithm, name) as pair, CallCounter(nss_current_provider) as calls:
        _, ciphertext = bcrypt.BCryptEncapsulate(pair)
        reading = ["C_GetAttributeValue", "C_DestroyObject"]
        encapsulating = ["C_CreateObject", "C_EncapsulateKey", "C_DestroyObject", *reading]
        assert calls.asked == ([] if name in ON_THE_HOST else encapsulating)
        calls.clear()
        bcrypt.BCryptDecapsulate(pair, ciphertext)
        # The first reading checks that the object is what the template said.
        assert calls.asked == ["C_DecapsulateKey", "C_GetAttributeValue", *reading]


@pytest.mark.row("KEM-07")
def test_any_number_of_threads(algorithm: AlgorithmHandle) -> None:
    with generated(algorithm, "512") as pair:

        def round_trip(_: int) -> bool:
            secret, ciphertext = bcrypt.BCryptEncapsulate(pair)
            return bcrypt.BCryptDecapsulate(pair, ciphertext) == secret

        with ThreadPoolExecutor(8) as threads:
            assert all(threads.map(round_trip, range(200)))


@pytest.mark.row("KEM-04")
@every_set
def test_a_ciphertext_that_is_not_ours(algorithm: AlgorithmHandle, untouched: Refuses, name: str) -> None:
    with generated(algorithm, name) as pair:
        secret, ciphertext = bcrypt.BCryptEncapsulate(pair)
        altered = bytearray(ciphertext)
        altered[-1] ^= 1
        for forged in (bytes(altered), ciphertext[::-1], bytes(len(ciphertext)), b"\xff" * len(ciphertext)):
            other = bcrypt.BCryptDecapsulate(pair, forged)
            assert len(other) == 32 and other != secret
            assert other == bcrypt.BCryptDecapsulate(pair, forged)
        for wrong in (b"", ciphertext[:-1], ciphertext + b"\0", bytes(32), bytes(10_000)):
            with untouched(STATUS_INVALID_BUFFER_SIZE):
                bcrypt.BCryptDecapsulate(pair, wrong)


@pytest.mark.row("KEM-04")
def test_implicit_rejection_is_that_of_the_standard(algorithm: AlgorithmHandle) -> None:
    """FIPS 203, algorithm 18, line 7: SHAKE256 of z and the ciphertext."""
    with seeded(algorithm, "768") as pair:
        forged = bytes(1088)
        assert bcrypt.BCryptDecapsulate(pair, forged) == hashlib.shake_256(SEED[32:] + forged).digest(32)


@pytest.mark.row("KEM-01", "KEM-05", "KEM-06", "KEM-08")
def test_handles_and_parameters(algorithm: AlgorithmHandle, untouched: Refuses) -> None:
    with (
        bcrypt.BCryptGenerateKeyPair(algorithm, 0) as empty,
        generated(algorithm, "768") as pair,
        public_key(algorithm, "768", public_octets(pair, "768")) as public,
    ):
        ciphertext = bytes(1088)
        for call in (
            lambda: bcrypt.BCryptEncapsulate(None),
            lambda: bcrypt.BCryptDecapsulate(None, ciphertext),
            lambda: bcrypt.BCryptDecapsulate(pair, None),
            lambda: bcrypt.BCryptDecapsulate(pair, "text"),
            lambda: bcrypt.BCryptDecapsulate(public, ciphertext),
            lambda: bcrypt.BCryptEncapsulate(pair, 1),
            lambda: bcrypt.BCryptEncapsulate(pair, 1 << 32),
            lambda: bcrypt.BCryptDecapsulate(pair, ciphertext, bcrypt.BCRYPT_NO_KEY_VALIDATION),
        ):
            with untouched(STATUS_INVALID_PARAMETER):
                call()
        for wrong in (empty, algorithm, object(), 5, bcrypt.BCRYPT_MLKEM_ALG_HANDLE):
            with untouched(NTSTATUS.STATUS_INVALID_HANDLE):
                bcrypt.BCryptEncapsulate(wrong)
            with untouched(NTSTATUS.STATUS_INVALID_HANDLE):
                bcrypt.BCryptDecapsulate(wrong, ciphertext)
    for destroyed in (pair, public):
        with untouched(NTSTATUS.STATUS_INVALID_HANDLE):
            bcrypt.BCryptEncapsulate(destroyed)


@pytest.mark.row("GKP-14", "GKP-16", "GKP-21", "FIN-04", "3.2 ParameterSetName")
def test_the_parameter_set_of_an_empty_pair(algorithm: AlgorithmHandle, untouched: Refuses) -> None:
    for length in (1, 256, 512, 768, 1024):
        with untouched(STATUS_INVALID_PARAMETER):
            bcrypt.BCryptGenerateKeyPair(algorithm, length)
    for bit in range(33):
        if 1 << bit != bcrypt.BCRYPT_NO_KEY_VALIDATION:
            with untouched(STATUS_INVALID_PARAMETER):
                bcrypt.BCryptGenerateKeyPair(algorithm, 0, 1 << bit)
    with bcrypt.BCryptGenerateKeyPair(algorithm, 0, bcrypt.BCRYPT_NO_KEY_VALIDATION) as pair:
        with untouched(STATUS_INVALID_PARAMETER):
            bcrypt.BCryptFinalizeKeyPair(pair)
        for name in ("", "44", "768-P256", "ML-KEM-768", "0768", 768):
            with untouched(STATUS_INVALID_PARAMETER):
                bcrypt.BCryptSetProperty(pair, bcrypt.BCRYPT_PARAMETER_SET_NAME, name)
        for key in (bcrypt.BCRYPT_KEM_CIPHERTEXT_LENGTH, bcrypt.BCRYPT_KEM_SHARED_SECRET_LENGTH):
            with untouched(NTSTATUS.STATUS_INVALID_HANDLE):
                bcrypt.BCryptGetProperty(pair, key)
        for name in ("512", "1024"):
            bcrypt.BCryptSetProperty(pair, bcrypt.BCRYPT_PARAMETER_SET_NAME, name)
        bcrypt.BCryptFinalizeKeyPair(pair)
        assert bcrypt.BCryptGetProperty(pair, bcrypt.BCRYPT_PARAMETER_SET_NAME) == "1024"
        assert bcrypt.BCryptGetProperty(pair, bcrypt.BCRYPT_KEY_STRENGTH) == 256
        with untouched(NTSTATUS.STATUS_INVALID_HANDLE):
            bcrypt.BCryptSetProperty(pair, bcrypt.BCRYPT_PARAMETER_SET_NAME, "768")
    assert bcrypt.BCryptGetProperty(algorithm, bcrypt.BCRYPT_KEM_SHARED_SECRET_LENGTH) == 32
    assert bcrypt.BCryptGetProperty(algorithm, bcrypt.BCRYPT_PRIMITIVE_TYPE) == 8


@pytest.mark.row("3.2 KEMSharedSecretLength", "3.2 KEMCiphertextLength", "3.2 ParameterSetName")
def test_other_algorithms_have_no_such_properties(provider: Provider) -> None:
    with (
        bcrypt.BCryptOpenAlgorithmProvider("ECDH_P256", provider) as algorithm,
        bcrypt.BCryptGenerateKeyPair(algorithm, 256) as pair,
    ):
        with refused(STATUS_NOT_SUPPORTED):
            bcrypt.BCryptSetProperty(pair, bcrypt.BCRYPT_PARAMETER_SET_NAME, "768")
        bcrypt.BCryptFinalizeKeyPair(pair)
        for key in (
            bcrypt.BCRYPT_KEM_SHARED_SECRET_LENGTH,
            bcrypt.BCRYPT_KEM_CIPHERTEXT_LENGTH,
            bcrypt.BCRYPT_PARAMETER_SET_NAME,
        ):
            for handle in (algorithm, pair):
                with refused(STATUS_NOT_SUPPORTED):
                    bcrypt.BCryptGetProperty(handle, key)


@pytest.mark.row("IKP-13", "IKP-02", "IKP-03", "IKP-10", "EXP-08")
@every_set
def test_every_blob_gives_the_same_key(nss_current_provider: Provider, algorithm: AlgorithmHandle, name: str) -> None:
    public_size, private_size, _ = ML_KEM[name]
    dk = expanded(nss_current_provider, "ML-KEM", name, SEED)
    # FIPS 203, algorithm 16: dk is the secret vector, ek, its hash and z.
    ek = dk[private_size - 64 - public_size : private_size - 64]
    assert dk[-64:] == hashlib.sha3_256(ek).digest() + SEED[32:]
    with public_key(algorithm, name, ek) as public:
        secret, ciphertext = bcrypt.BCryptEncapsulate(public)
        assert public_octets(public, name) == ek
        for private in (bcrypt.BCRYPT_MLKEM_PRIVATE_BLOB, bcrypt.BCRYPT_MLKEM_PRIVATE_SEED_BLOB):
            with refused(STATUS_INVALID_PARAMETER):
                bcrypt.BCryptExportKey(public, None, private)
    for blob_type, data in (
        (bcrypt.BCRYPT_MLKEM_PRIVATE_SEED_BLOB, blob(b"MLKS", name, SEED)),
        (bcrypt.BCRYPT_PRIVATE_KEY_BLOB, blob(b"MLKS", name, SEED)),
        (bcrypt.BCRYPT_MLKEM_PRIVATE_BLOB, blob(b"MLKR", name, dk)),
        (bcrypt.BCRYPT_PRIVATE_KEY_BLOB, blob(b"MLKR", name, dk)),
    ):
        for flags in (0, bcrypt.BCRYPT_NO_KEY_VALIDATION):
            with bcrypt.BCryptImportKeyPair(algorithm, None, blob_type, data, flags) as pair:
                assert public_octets(pair, name) == ek
                assert bcrypt.BCryptDecapsulate(pair, ciphertext) == secret
                assert token_attributes(pair, "SENSITIVE", "EXTRACTABLE", "VALUE", "SEED") == [b"\1", b"\0", None, None]
                with refused(NTSTATUS.STATUS_INVALID_HANDLE):
                    bcrypt.BCryptFinalizeKeyPair(pair)
                for private in (
                    bcrypt.BCRYPT_MLKEM_PRIVATE_BLOB,
                    bcrypt.BCRYPT_MLKEM_PRIVATE_SEED_BLOB,
                    bcrypt.BCRYPT_OPAQUE_KEY_BLOB,
                    bcrypt.BCRYPT_PQDSA_PUBLIC_BLOB,
                ):
                    with refused(STATUS_NOT_SUPPORTED):
                        bcrypt.BCryptExportKey(pair, None, private)


@pytest.mark.row("IKP-13")
@every_set
def test_a_malformed_blob_reaches_no_token(
    nss_current_provider: Provider, algorithm: AlgorithmHandle, untouched: Refuses, name: str
) -> None:
    dk = expanded(nss_current_provider, "ML-KEM", name, SEED)
    with seeded(algorithm, name) as pair:
        ek = public_octets(pair, name)
    other_set = next(other for other in ML_KEM if other != name)
    for generic, own, magic, key in (
        (bcrypt.BCRYPT_PUBLIC_KEY_BLOB, bcrypt.BCRYPT_MLKEM_PUBLIC_BLOB, b"MLKP", ek),
        (bcrypt.BCRYPT_PRIVATE_KEY_BLOB, bcrypt.BCRYPT_MLKEM_PRIVATE_BLOB, b"MLKR", dk),
        (bcrypt.BCRYPT_PRIVATE_KEY_BLOB, bcrypt.BCRYPT_MLKEM_PRIVATE_SEED_BLOB, b"MLKS", SEED),
    ):
        # Every set has seeds of one size.
        of_other_set = [] if key is SEED else [blob(magic, other_set, key)]
        for bad in (*malformed(blob(magic, name, key)), *of_other_set):
            for blob_type in (generic, own):
                with untouched(STATUS_INVALID_PARAMETER):
                    bcrypt.BCryptImportKeyPair(algorithm, None, blob_type, bad)
    with untouched(STATUS_INVALID_PARAMETER):
        bcrypt.BCryptImportKeyPair(algorithm, None, bcrypt.BCRYPT_MLKEM_PUBLIC_BLOB, blob(b"MLKS", name, SEED))
    with untouched(STATUS_NOT_SUPPORTED):
        bcrypt.BCryptImportKeyPair(algorithm, None, bcrypt.BCRYPT_PQDSA_PUBLIC_BLOB, blob(b"MLKP", name, ek))


@pytest.mark.row("IKP-13", "IKP-10")
@every_set
def test_keys_that_fail_the_checks_of_the_standard(
    nss_current_provider: Provider, algorithm: AlgorithmHandle, untouched: Refuses, name: str
) -> None:
    """FIPS 203, sections 7.2 (numbers below 3329) and 7.3 (hash of ek in dk), whatever the flags say."""
    public_size, private_size, _ = ML_KEM[name]
    dk = expanded(nss_current_provider, "ML-KEM", name, SEED)
    start = private_size - 64 - public_size
    ek = dk[start:-64]
    bad_publics = []
    for position, number in (
        (0, 3329),
        (0, 4095),
        (public_size - 35, 3329 << 12),
        (public_size // 2 // 3 * 3, 0xFFFFFF),
    ):
        bad = bytearray(ek)
        bad[position : position + 3] = number.to_bytes(3, "little")
        bad_publics.append(bytes(bad))
    bad_publics.append(b"\xff" * public_size)
    for flags in (0, bcrypt.BCRYPT_NO_KEY_VALIDATION):
        for key in bad_publics:
            data = blob(b"MLKP", name, key)
            with untouched(STATUS_INVALID_PARAMETER):
                bcrypt.BCryptImportKeyPair(algorithm, None, bcrypt.BCRYPT_MLKEM_PUBLIC_BLOB, data, flags)
            rehashed = dk[:start] + key + hashlib.sha3_256(key).digest() + dk[-32:]
            with untouched(STATUS_INVALID_PARAMETER):
                bcrypt.BCryptImportKeyPair(
                    algorithm, None, bcrypt.BCRYPT_MLKEM_PRIVATE_BLOB, blob(b"MLKR", name, rehashed), flags
                )
        for position in (start, private_size - 65, private_size - 64, private_size - 33):
            altered = bytearray(dk)
            altered[position] ^= 1
            with untouched(STATUS_INVALID_PARAMETER):
                bcrypt.BCryptImportKeyPair(
                    algorithm, None, bcrypt.BCRYPT_MLKEM_PRIVATE_BLOB, blob(b"MLKR", name, bytes(altered)), flags
                )


@pytest.mark.row("KEM-07")
@every_set
def test_a_secret_that_stays_in_the_token(
    nss_current_provider: Provider, algorithm: AlgorithmHandle, name: str
) -> None:
    """decapsulate_to_key, beyond CNG: the same value as BCryptDecapsulate's, which nobody can read there."""
    with seeded(algorithm, name) as pair:
        secret, ciphertext = bcrypt.BCryptEncapsulate(pair)
        with (
            bcrypt.BCryptOpenAlgorithmProvider("AES", nss_current_provider) as aes,
            CallCounter(nss_current_provider) as calls,
            pair.decapsulate_to_key(aes, ciphertext) as key,
        ):
            # A pool that has no second session at hand opens one.
            assert calls.asked == [
                "C_DecapsulateKey",
                "C_GetAttributeValue",
            ]
            assert bcrypt.BCryptGetProperty(key, bcrypt.BCRYPT_KEY_LENGTH) == 256
            bcrypt.BCryptSetProperty(key, bcrypt.BCRYPT_CHAINING_MODE, bcrypt.BCRYPT_CHAIN_MODE_ECB)
            assert bcrypt.BCryptEncrypt(key, bytes(16)) == host_ecb(secret, bytes(16))
            assert token_attributes(key, "VALUE", "SENSITIVE", "EXTRACTABLE") == [None, b"\1", b"\0"]
        for hash_name, host_name in (("SHA256", "sha256"), ("SHA512", "sha512")):
            handle = bcrypt.BCryptOpenAlgorithmProvider(
                hash_name, nss_current_provider, bcrypt.BCRYPT_ALG_HANDLE_HMAC_FLAG
            )
            with handle, pair.decapsulate_to_key(handle, ciphertext) as key:
                assert bcrypt.BCryptHash(handle, key, b"data") == hmac.digest(secret, b"data", host_name)
                assert token_attributes(key, "VALUE", "SENSITIVE", "EXTRACTABLE") == [None, b"\1", b"\0"]


@pytest.mark.row("KEM-01", "KEM-04")
def test_a_secret_that_cannot_stay_in_the_token(
    nss_current_provider: Provider, provider: Provider, algorithm: AlgorithmHandle, untouched: Refuses
) -> None:
    with (
        generated(algorithm, "768") as pair,
        bcrypt.BCryptOpenAlgorithmProvider("AES", nss_current_provider) as aes,
        bcrypt.BCryptOpenAlgorithmProvider("AES", provider) as elsewhere,
        bcrypt.BCryptOpenAlgorithmProvider("RSA", nss_current_provider) as rsa,
        public_key(algorithm, "768", public_octets(pair, "768")) as public,
    ):
        ciphertext = bytes(1088)
        for status, key, handle, data in (
            (STATUS_INVALID_BUFFER_SIZE, pair, aes, ciphertext[:-1]),
            (STATUS_INVALID_PARAMETER, pair, elsewhere, ciphertext),
            (STATUS_INVALID_PARAMETER, pair, rsa, ciphertext),
            (STATUS_INVALID_PARAMETER, public, aes, ciphertext),
            (NTSTATUS.STATUS_INVALID_HANDLE, pair, None, ciphertext),
            (NTSTATUS.STATUS_INVALID_HANDLE, pair, pair, ciphertext),
        ):
            with untouched(status):
                key.decapsulate_to_key(handle, data)


@pytest.mark.row("OAP-04", "GKP-02")
def test_what_tokens_offer(provider: Provider, nss_current_provider: Provider) -> None:
    with refused(NTSTATUS.STATUS_NOT_FOUND):
        bcrypt.BCryptOpenAlgorithmProvider(bcrypt.BCRYPT_MLKEM_ALGORITHM, provider)
    with refused(STATUS_NOT_SUPPORTED):
        provider.encapsulate(MlKemPublicKey("768", bytes(1184)))
    operations = nss_current_provider.capabilities().operations
    for name in ML_KEM:
        assert nss_current_provider.offers("ML-KEM", name) is operations["ML-KEM", name] is Support.NATIVE
        assert provider.offers("ML-KEM", name) is provider.capabilities().operations["ML-KEM", name] is Support.REFUSED


@pytest.mark.row("OAP-04")
def test_an_older_function_list_has_no_key_encapsulation(
    nss_current_provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C_DecapsulateKey is in the list of Cryptoki 3.2 alone, whatever the mechanism list says."""
    assert isinstance(nss_current_provider, Pkcs11Provider)
    path = nss_current_provider.module.path
    assert Cryptoki(path).version == (3, 2)
    monkeypatch.setattr(cryptoki, "SUPPORTED_VERSIONS", ((3, 0), (2, 40)))
    older = Cryptoki(path)
    assert (
        older.version == (3, 0) and older.C_DecapsulateKey() == older.C_EncapsulateKey() == CKR.FUNCTION_NOT_SUPPORTED
    )
    monkeypatch.setattr(nss_current_provider.cryptoki, "version", older.version)
    with hwcng.open_provider(nss_current_provider.uri) as provider:
        assert provider.offers("ML-KEM") is provider.offers("ML-KEM", "768") is Support.REFUSED
        assert provider.offers("ML-DSA") is Support.NATIVE


@pytest.mark.row("EXP-06", "EXP-07", "KEM-07")
def test_a_key_out_of_a_secret_has_the_policy_of_its_algorithm(
    nss_current_provider: Provider, algorithm: AlgorithmHandle
) -> None:
    with (
        seeded(algorithm, "1024") as pair,
        bcrypt.BCryptOpenAlgorithmProvider("AES", nss_current_provider) as aes,
        bcrypt.BCryptGenerateSymmetricKey(aes, None, SEED[:32]) as wrapping,
    ):
        secret, ciphertext = bcrypt.BCryptEncapsulate(pair)
        with pair.decapsulate_to_key(aes, ciphertext) as key, refused(STATUS_NOT_SUPPORTED):
            bcrypt.BCryptExportKey(key, wrapping, bcrypt.BCRYPT_AES_WRAP_KEY_BLOB)
        bcrypt.BCryptSetProperty(aes, bcrypt.NCRYPT_EXPORT_POLICY_PROPERTY, bcrypt.NCRYPT_ALLOW_EXPORT_FLAG)
        with pair.decapsulate_to_key(aes, ciphertext) as key:
            wrapped = bcrypt.BCryptExportKey(key, wrapping, bcrypt.BCRYPT_AES_WRAP_KEY_BLOB)
            assert aes_key_unwrap(SEED[:32], wrapped) == secret
            assert token_attributes(key, "SENSITIVE", "EXTRACTABLE", "VALUE") == [b"\1", b"\1", None]


def test_a_secret_that_cannot_be_looked_at_is_destroyed(
    nss_current_provider: Provider, algorithm: AlgorithmHandle
) -> None:
    with (
        seeded(algorithm, "512") as pair,
        bcrypt.BCryptOpenAlgorithmProvider("AES", nss_current_provider) as aes,
    ):
        secret, ciphertext = bcrypt.BCryptEncapsulate(pair)
        calls = (
            lambda: bcrypt.BCryptDecapsulate(pair, ciphertext),
            lambda: pair.decapsulate_to_key(aes, ciphertext),
            lambda: bcrypt.BCryptEncapsulate(pair),
        )
        for call in calls:
            with CallCounter(nss_current_provider) as counter, FaultInjector(nss_current_provider) as faults:
                faults.fail("C_GetAttributeValue", CKR.FUNCTION_FAILED)
                with pytest.raises(CngError) as error:
                    call()
                assert error.value.token_code == CKR.FUNCTION_FAILED
                makers = ("C_CreateObject", "C_DecapsulateKey", "C_EncapsulateKey")
                assert counter.names.count("C_DestroyObject") == sum(map(counter.names.count, makers)) > 0
        functions = ("C_DecapsulateKey", "C_DecapsulateKey", "C_EncapsulateKey")
        for name, call in zip(functions, calls, strict=True):
            with FaultInjector(nss_current_provider) as faults, pytest.raises(CngError) as error:
                faults.fail(name, CKR.FUNCTION_FAILED)
                call()
            assert error.value.token_code == CKR.FUNCTION_FAILED
        assert bcrypt.BCryptDecapsulate(pair, ciphertext) == secret


def test_the_provider_makes_keys_of_256_bits_alone(nss_current_provider: Provider, algorithm: AlgorithmHandle) -> None:
    with seeded(algorithm, "768") as pair:
        for bits in (128, 192, 512):
            spec = SecretSpec(SecretFamily.AES, bits, Usage.ENCRYPT)
            with CallCounter(nss_current_provider) as calls, refused(STATUS_NOT_SUPPORTED):
                pair.private.decapsulate_key(bytes(1088), spec)
            assert calls.names == []
        with CallCounter(nss_current_provider) as calls, refused(STATUS_NOT_SUPPORTED):
            pair.private.sign_message(MlDsaSpec(), b"message")
        assert calls.names == []


@pytest.mark.row("5.3")
def test_enumeration(nss_current_provider: Provider) -> None:
    hwcng.set_default_provider(nss_current_provider)
    try:
        (found,) = bcrypt.BCryptEnumAlgorithms(bcrypt.BCRYPT_KEY_ENCAPSULATION_OPERATION)
        assert (found.pszName, found.dwClass) == ("ML-KEM", bcrypt.BCRYPT_KEY_ENCAPSULATION_INTERFACE)
        signing = {row.pszName for row in bcrypt.BCryptEnumAlgorithms(bcrypt.BCRYPT_SIGNATURE_OPERATION)}
        assert "ML-DSA" in signing
        with bcrypt.BCryptGenerateKeyPair(bcrypt.BCRYPT_MLKEM_ALG_HANDLE, 0) as pair:
            bcrypt.BCryptSetProperty(pair, bcrypt.BCRYPT_PARAMETER_SET_NAME, "768")
            bcrypt.BCryptFinalizeKeyPair(pair)
            secret, ciphertext = bcrypt.BCryptEncapsulate(pair)
            assert bcrypt.BCryptDecapsulate(pair, ciphertext) == secret
    finally:
        hwcng.set_default_provider(None)
