"""Reference 5.17 to 5.19: derivation algorithms with the base key in the token, and the two that need none.

Every output is compared with a second implementation: `cryptography`, hashlib, or the standard's formula.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from conformance import oracle
from conformance.checks import fails, need
from conformance.helpers import key_data_blob
from conformance.tokens import LESS
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand
from cryptography.hazmat.primitives.kdf.kbkdf import KBKDFHMAC, CounterLocation, Mode
from support import missing, missing_on, token_name

from hwcng import NTSTATUS, CngError, bcrypt
from hwcng.cng.keys import SymmetricKey
from hwcng.contract.provider import Provider
from hwcng.contract.usage import Support
from hwcng.providers.tpm2.provider import Tpm2Provider
from hwcng.testing.calls import CallCounter
from hwcng.testing.commands import CommandCounter

KDFS = ("PBKDF2", "SP800_108_CTR_HMAC", "SP800_56A_CONCAT", "CAPI_KDF", "TLS1_1_KDF", "TLS1_2_KDF", "HKDF")
HASHES = ("SHA1", "SHA256", "SHA384", "SHA512")
SECRETS = (b"", b"k", bytes(range(16)), bytes(range(48)), bytes(range(100)), bytes(range(256)) * 8)
LONGEST_ON_A_TPM = 64
LENGTHS = (1, 16, 20, 33, 100)
HASH, LABEL, CONTEXT = bcrypt.KDF_HASH_ALGORITHM, bcrypt.KDF_LABEL, bcrypt.KDF_CONTEXT
SALT, ITERATIONS, GENERIC = bcrypt.KDF_SALT, bcrypt.KDF_ITERATION_COUNT, bcrypt.KDF_GENERIC_PARAMETER
ALGORITHM_ID, PARTY_U, PARTY_V = bcrypt.KDF_ALGORITHMID, bcrypt.KDF_PARTYUINFO, bcrypt.KDF_PARTYVINFO
TLS_LABEL, TLS_SEED, INFO = bcrypt.KDF_TLS_PRF_LABEL, bcrypt.KDF_TLS_PRF_SEED, bcrypt.KDF_HKDF_INFO

every_hash = pytest.mark.parametrize("hash_name", HASHES)
every_secret = pytest.mark.parametrize("secret", SECRETS, ids=lambda secret: f"{len(secret)} bytes")


def is_tpm(token: Provider) -> bool:
    return token.uri.startswith("tpm2:")


@contextmanager
def base_key(token: Provider, name: str, secret: bytes) -> Iterator[SymmetricKey]:
    need(token, name)
    if is_tpm(token) and len(secret) > LONGEST_ON_A_TPM:
        missing_on(token, f"base keys of over {LONGEST_ON_A_TPM} bytes")
    with bcrypt.BCryptOpenAlgorithmProvider(name, token) as handle:
        try:
            key = bcrypt.BCryptGenerateSymmetricKey(handle, None, secret)
        except CngError as error:
            # opencryptoki 3.23 holds no value of no bytes, which 3.8 does.
            if secret or error.status != NTSTATUS.STATUS_NOT_SUPPORTED or token_name(token) not in LESS:
                raise
            missing_on(token, "base keys of no bytes")
        with key:
            yield key


@pytest.mark.row("5.17")
@every_hash
@every_secret
def test_pbkdf2(token: Provider, hash_name: str, secret: bytes) -> None:
    name = hash_name.lower()
    with base_key(token, "PBKDF2", secret) as key:
        for length, iterations, salt in ((20, 1, b"salt"), (70, 3, b""), (1, 2, bytes(100))):
            expected = hashlib.pbkdf2_hmac(name, secret, salt, iterations, length)
            parameters = [(HASH, hash_name), (SALT, salt), (ITERATIONS, iterations)]
            assert bcrypt.BCryptKeyDerivation(key, parameters, length) == expected
            as_bytes = [(HASH, hash_name), (GENERIC, salt), (ITERATIONS, iterations.to_bytes(8, "little"))]
            assert bcrypt.BCryptKeyDerivation(key, as_bytes, length) == expected


@pytest.mark.row("5.17")
def test_pbkdf2_has_10000_iterations_and_no_salt_where_none_is_said(token: Provider) -> None:
    with base_key(token, "PBKDF2", b"password") as key:
        derived = bcrypt.BCryptKeyDerivation(key, [(HASH, "SHA256")], 32)
    assert derived == hashlib.pbkdf2_hmac("sha256", b"password", b"", 10000, 32)


@pytest.mark.row("5.17")
@every_hash
@every_secret
def test_sp800_108(token: Provider, hash_name: str, secret: bytes) -> None:
    algorithm = oracle.CRYPTOGRAPHY[hash_name]
    with base_key(token, "SP800_108_CTR_HMAC", secret) as key:
        for length in LENGTHS:
            kdf = KBKDFHMAC(
                algorithm, Mode.CounterMode, length, 4, 4, CounterLocation.BeforeFixed, b"label", b"context", None
            )
            # KBKDFHMAC takes no empty key: HMAC's is one of zeros.
            expected = kdf.derive(secret or b"\0")
            parameters = [(HASH, hash_name), (LABEL, b"label"), (CONTEXT, b"context")]
            assert bcrypt.BCryptKeyDerivation(key, parameters, length) == expected
            joined = [(HASH, hash_name), (GENERIC, b"label\0context")]
            assert bcrypt.BCryptKeyDerivation(key, joined, length) == expected


@pytest.mark.row("5.17")
@every_hash
@every_secret
def test_sp800_56a(token: Provider, hash_name: str, secret: bytes) -> None:
    parts = [(ALGORITHM_ID, b"algorithm"), (PARTY_U, b"u"), (PARTY_V, b"v"), (bcrypt.KDF_SUPPPUBINFO, b"public")]
    info = b"".join(value for _, value in parts)
    with base_key(token, "SP800_56A_CONCAT", secret) as key:
        for length in LENGTHS:
            expected = ConcatKDFHash(oracle.CRYPTOGRAPHY[hash_name], length, info).derive(secret)
            assert bcrypt.BCryptKeyDerivation(key, [(HASH, hash_name), *parts], length) == expected
            assert bcrypt.BCryptKeyDerivation(key, [(HASH, hash_name), (GENERIC, info)], length) == expected


def capi(hash_name: str, digest: bytes, length: int, expanded: bool) -> bytes:
    """The remarks of CryptDeriveKey, spelt out."""
    if not expanded:
        return digest[:length]
    name = hash_name.lower()
    one = bytes(octet ^ 0x36 for octet in digest) + b"\x36" * (64 - len(digest))
    two = bytes(octet ^ 0x5C for octet in digest) + b"\x5c" * (64 - len(digest))
    return (hashlib.new(name, one).digest() + hashlib.new(name, two).digest())[:length]


@pytest.mark.row("5.17")
@pytest.mark.parametrize("hash_name", ["MD5", *HASHES])
@every_secret
def test_capi_kdf(token: Provider, hash_name: str, secret: bytes) -> None:
    digest = hashlib.new(hash_name.lower(), secret).digest()
    sha2 = hash_name in ("SHA256", "SHA384", "SHA512")
    if hash_name == "MD5" and "SoftHSM" in token.token.manufacturer:
        missing(f"digests of sensitive keys by MD5 on {token.token.label}")
    with base_key(token, "CAPI_KDF", secret) as key:
        for length in (1, 16, len(digest), len(digest) + 1, 2 * len(digest)):
            for flags in (0, bcrypt.BCRYPT_CAPI_AES_FLAG):
                expanded = length > len(digest) or (bool(flags) and not sha2)
                derived = bcrypt.BCryptKeyDerivation(key, [(HASH, hash_name)], length, flags)
                assert derived == capi(hash_name, digest, length, expanded)
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptKeyDerivation(key, [(HASH, hash_name)], 2 * len(digest) + 1)


@pytest.mark.row("5.17")
@pytest.mark.parametrize("secret", [secret for secret in SECRETS if secret], ids=lambda secret: f"{len(secret)} bytes")
def test_tls1_1_kdf(token: Provider, secret: bytes) -> None:
    with base_key(token, "TLS1_1_KDF", secret) as key:
        for length in LENGTHS:
            derived = bcrypt.BCryptKeyDerivation(key, [(TLS_LABEL, b"label"), (TLS_SEED, b"seed")], length)
            assert derived == oracle.tls10_prf(secret, b"label", b"seed", length)


@pytest.mark.row("5.17")
@every_hash
@every_secret
def test_tls1_2_kdf(token: Provider, hash_name: str, secret: bytes) -> None:
    with base_key(token, "TLS1_2_KDF", secret) as key:
        for length in LENGTHS:
            parameters = [(TLS_LABEL, b"label"), (TLS_SEED, b"seed"), (HASH, hash_name)]
            derived = bcrypt.BCryptKeyDerivation(key, parameters, length)
            assert derived == oracle.p_hash(hash_name, secret, b"labelseed", length)


def set_hkdf(key: SymmetricKey, hash_name: str, name: str, value: bytes | None) -> None:
    bcrypt.BCryptSetProperty(key, bcrypt.BCRYPT_HKDF_HASH_ALGORITHM, hash_name)
    bcrypt.BCryptSetProperty(key, name, value)


@pytest.mark.row("5.17", "3.2 HkdfHashAlgorithm", "3.2 HkdfSaltAndFinalize")
@every_hash
@every_secret
@pytest.mark.parametrize("salt", [None, b"", b"salt", bytes(200)], ids=["none", "empty", "short", "long"])
def test_hkdf(token: Provider, hash_name: str, secret: bytes, salt: bytes | None) -> None:
    need(token, "HKDF", "KEY")
    for length in LENGTHS:
        with base_key(token, "HKDF", secret) as key:
            set_hkdf(key, hash_name, bcrypt.BCRYPT_HKDF_SALT_AND_FINALIZE, salt)
            derived = bcrypt.BCryptKeyDerivation(key, [(INFO, b"info")], length)
        assert derived == HKDF(oracle.CRYPTOGRAPHY[hash_name], length, salt, b"info").derive(secret)


@pytest.mark.row("5.17", "3.2 HkdfPrkAndFinalize")
@every_hash
def test_hkdf_of_a_pseudorandom_key(token: Provider, hash_name: str) -> None:
    secret = bytes(range(64))
    with base_key(token, "HKDF", secret) as key:
        set_hkdf(key, hash_name, bcrypt.BCRYPT_HKDF_PRK_AND_FINALIZE, None)
        for length in LENGTHS:
            derived = bcrypt.BCryptKeyDerivation(key, [(INFO, b"info")], length)
            assert derived == HKDFExpand(oracle.CRYPTOGRAPHY[hash_name], length, b"info").derive(secret)
        longest = 255 * oracle.CRYPTOGRAPHY[hash_name].digest_size
        assert len(bcrypt.BCryptKeyDerivation(key, None, longest)) == longest
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptKeyDerivation(key, None, longest + 1)


@pytest.mark.row("5.17")
def test_hkdf_that_would_put_the_pseudorandom_key_on_the_host_is_refused(provider: Provider) -> None:
    if provider.offers("HKDF", "KEY") is not Support.REFUSED:
        missing("a token without CKM_HKDF_DERIVE")
    with base_key(provider, "HKDF", bytes(32)) as key:
        set_hkdf(key, "SHA256", bcrypt.BCRYPT_HKDF_SALT_AND_FINALIZE, b"salt")
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
            bcrypt.BCryptKeyDerivation(key, None, 32)


@pytest.mark.row("3.2 HkdfHashAlgorithm", "3.2 HkdfSaltAndFinalize", "3.2 HkdfPrkAndFinalize")
def test_rules_of_the_hkdf_properties(provider: Provider, refuses: Callable[..., object]) -> None:
    hash_name, salt = bcrypt.BCRYPT_HKDF_HASH_ALGORITHM, bcrypt.BCRYPT_HKDF_SALT_AND_FINALIZE
    prk = bcrypt.BCRYPT_HKDF_PRK_AND_FINALIZE
    with base_key(provider, "HKDF", bytes(32)) as key, base_key(provider, "PBKDF2", bytes(32)) as other:
        invalid = NTSTATUS.STATUS_INVALID_PARAMETER
        for name, value in ((salt, b""), (prk, None), (hash_name, "SHA224"), (hash_name, 1)):
            with fails(invalid):
                bcrypt.BCryptSetProperty(key, name, value)
        with fails(invalid):
            bcrypt.BCryptKeyDerivation(key, None, 32)
        bcrypt.BCryptSetProperty(key, hash_name, "SHA384")
        bcrypt.BCryptSetProperty(key, hash_name, "SHA256\0".encode("utf-16-le"))
        with fails(invalid):
            bcrypt.BCryptKeyDerivation(key, None, 32)
        with fails(invalid):
            bcrypt.BCryptSetProperty(key, prk, b"value")
        bcrypt.BCryptSetProperty(key, prk, b"")
        for name, value in ((hash_name, "SHA256"), (salt, b"salt"), (prk, None)):
            with fails(invalid):
                bcrypt.BCryptSetProperty(key, name, value)
            with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
                bcrypt.BCryptSetProperty(other, name, value)
            with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
                bcrypt.BCryptGetProperty(key, name)
        expected = HKDFExpand(oracle.CRYPTOGRAPHY["SHA256"], 32, b"").derive(bytes(32))
        with bcrypt.BCryptDuplicateKey(key) as duplicate:
            assert bcrypt.BCryptKeyDerivation(duplicate, None, 32) == expected


@pytest.mark.row("GSK-02", "GSK-19", "DUP-16", "IMP-16")
@pytest.mark.parametrize("name", KDFS)
def test_base_keys_are_symmetric_keys(token: Provider, name: str) -> None:
    need(token, name)
    handle = bcrypt.BCryptOpenAlgorithmProvider(name, token)
    assert bcrypt.BCryptGetProperty(handle, bcrypt.BCRYPT_KEY_LENGTHS) == (0, 16384, 8)
    for absent in (bcrypt.BCRYPT_BLOCK_LENGTH, bcrypt.BCRYPT_CHAINING_MODE, bcrypt.BCRYPT_HASH_LENGTH):
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
            bcrypt.BCryptGetProperty(handle, absent)
    longest, most = bytes(2048), bytes(LONGEST_ON_A_TPM if is_tpm(token) else 2048)
    key_object = bytearray(bcrypt.BCryptGetProperty(handle, bcrypt.BCRYPT_OBJECT_LENGTH))
    with bcrypt.BCryptGenerateSymmetricKey(handle, key_object, most) as key:
        assert bcrypt.BCryptGetProperty(key, bcrypt.BCRYPT_KEY_LENGTH) == 8 * len(most)
        assert bcrypt.BCryptGetProperty(key, bcrypt.BCRYPT_ALGORITHM_NAME) == name
        for absent in (bcrypt.BCRYPT_BLOCK_LENGTH, bcrypt.BCRYPT_CHAINING_MODE):
            with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
                bcrypt.BCryptGetProperty(key, absent)
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
            bcrypt.BCryptEncrypt(key, bytes(16))
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
            bcrypt.BCryptExportKey(key, None, bcrypt.BCRYPT_KEY_DATA_BLOB)
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptGenerateSymmetricKey(handle, None, longest + b"x")
    with fails(NTSTATUS.STATUS_BUFFER_TOO_SMALL):
        bcrypt.BCryptGenerateSymmetricKey(handle, key_object[:-1], most)
    with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
        bcrypt.BCryptImportKey(handle, None, bcrypt.BCRYPT_AES_WRAP_KEY_BLOB, None, bytes(24))


PARAMETERS = {
    "PBKDF2": [(HASH, "SHA256"), (SALT, b"salt"), (ITERATIONS, 2)],
    "SP800_108_CTR_HMAC": [(HASH, "SHA256"), (LABEL, b"l"), (CONTEXT, b"c")],
    "SP800_56A_CONCAT": [(HASH, "SHA256"), (ALGORITHM_ID, b"a"), (PARTY_U, b"u"), (PARTY_V, b"v")],
    "CAPI_KDF": [(HASH, "SHA256")],
    "TLS1_1_KDF": [(TLS_LABEL, b"l"), (TLS_SEED, b"s")],
    "TLS1_2_KDF": [(TLS_LABEL, b"l"), (TLS_SEED, b"s"), (HASH, "SHA256")],
    "HKDF": [],
}
MANDATORY = {name: [kind for kind, _ in pairs if kind not in (SALT, ITERATIONS)] for name, pairs in PARAMETERS.items()}


@pytest.mark.row("DUP-12", "DUP-16", "IMP-16")
@pytest.mark.parametrize("name", KDFS)
def test_duplicates_and_imports_derive_the_same(token: Provider, name: str) -> None:
    secret = bytes(range(32))
    with base_key(token, name, secret) as key:
        blob = key_data_blob(secret)
        imported = bcrypt.BCryptImportKey(key.algorithm_handle, None, bcrypt.BCRYPT_KEY_DATA_BLOB, None, blob)
        duplicate = bcrypt.BCryptDuplicateKey(key)
        results = set()
        for one in (key, duplicate, imported):
            if name == "HKDF":
                set_hkdf(one, "SHA256", bcrypt.BCRYPT_HKDF_PRK_AND_FINALIZE, None)
            results.add(bcrypt.BCryptKeyDerivation(one, PARAMETERS[name], 40))
            bcrypt.BCryptDestroyKey(one)
        assert len(results) == 1
        with fails(NTSTATUS.STATUS_INVALID_HANDLE):
            bcrypt.BCryptKeyDerivation(key, PARAMETERS[name], 40)


@pytest.mark.row("5.17")
@pytest.mark.parametrize("name", KDFS)
def test_what_is_missing_or_malformed(token: Provider, name: str, calls: Callable[..., CallCounter]) -> None:
    with base_key(token, name, bytes(32)) as key:
        if name == "HKDF":
            set_hkdf(key, "SHA256", bcrypt.BCRYPT_HKDF_PRK_AND_FINALIZE, None)
        good = PARAMETERS[name]
        with CommandCounter(token) if isinstance(token, Tpm2Provider) else calls(token) as counter:
            for kind in MANDATORY[name]:
                with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
                    bcrypt.BCryptKeyDerivation(key, [pair for pair in good if pair[0] != kind], 16)
            for length in (0, -1, None, "16"):
                with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
                    bcrypt.BCryptKeyDerivation(key, good, length)  # type: ignore[arg-type]
            if HASH in MANDATORY[name]:
                for bad in ("SHA224", "AES", "RNG", ""):
                    with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
                        bcrypt.BCryptKeyDerivation(key, [*good, (HASH, bad)], 16)
            with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
                bcrypt.BCryptKeyDerivation(key, [1, 2], 16)  # type: ignore[list-item]
        assert counter.names == []


@pytest.mark.row("5.17")
@pytest.mark.parametrize("count", [0, -1, 1 << 64, b"1234567", b"123456789", "10", None])
def test_an_iteration_count_that_is_none(provider: Provider, refuses: Callable[..., object], count: object) -> None:
    with base_key(provider, "PBKDF2", b"x") as key, fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptKeyDerivation(key, [(HASH, "SHA256"), (ITERATIONS, count)], 16)  # type: ignore[list-item]


@pytest.mark.row("5.17")
def test_a_generic_parameter_of_sp800_108_has_a_zero_octet(provider: Provider) -> None:
    with base_key(provider, "SP800_108_CTR_HMAC", b"x") as key, fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptKeyDerivation(key, [(HASH, "SHA256"), (GENERIC, b"label")], 16)


@pytest.mark.parametrize("name", KDFS)
def test_a_generated_base_key_derives(token: Provider, name: str) -> None:
    need(token, name)
    if is_tpm(token):
        missing_on(token, "generated HMAC keys for every hash")
    with bcrypt.BCryptOpenAlgorithmProvider(name, token) as handle:
        with handle.generate_key(256) as one, handle.generate_key(256) as other:
            derived = []
            for key in (one, other):
                if name == "HKDF":
                    set_hkdf(key, "SHA256", bcrypt.BCRYPT_HKDF_PRK_AND_FINALIZE, None)
                derived.append(bcrypt.BCryptKeyDerivation(key, PARAMETERS[name], 32))
            assert len(set(derived)) == 2
        for bits in (0, 4, 16392):
            with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
                handle.generate_key(bits)


def test_opaque_blobs_of_base_keys(provider: Provider) -> None:
    for name in ("PBKDF2", "SP800_56A_CONCAT"):
        need(provider, name)
        with bcrypt.BCryptOpenAlgorithmProvider(name, provider) as handle:
            bcrypt.BCryptSetProperty(handle, bcrypt.NCRYPT_EXPORT_POLICY_PROPERTY, bcrypt.NCRYPT_ALLOW_EXPORT_FLAG)
            with handle.generate_key(256) as key:
                blob = bcrypt.BCryptExportKey(key, None, bcrypt.BCRYPT_OPAQUE_KEY_BLOB)
                with bcrypt.BCryptImportKey(handle, None, bcrypt.BCRYPT_OPAQUE_KEY_BLOB, None, blob) as again:
                    results = {bcrypt.BCryptKeyDerivation(one, PARAMETERS[name], 32) for one in (key, again)}
            assert len(results) == 1
        other = "TLS1_2_KDF" if name == "SP800_56A_CONCAT" else "HKDF"
        for taken in (other, "AES"):
            handle = bcrypt.BCryptOpenAlgorithmProvider(taken, provider)
            with handle, fails(NTSTATUS.STATUS_INVALID_PARAMETER):
                bcrypt.BCryptImportKey(handle, None, bcrypt.BCRYPT_OPAQUE_KEY_BLOB, None, blob)


@pytest.mark.row("5.18")
def test_pbkdf2_of_a_password(provider: Provider, calls: Callable[..., CallCounter]) -> None:
    # RFC 6070, section 2.
    for iterations, length, expected in (
        (1, 20, "0c60c80f961f0e71f3a9b524af6012062fe037a6"),
        (2, 20, "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957"),
        (4096, 20, "4b007901b765489abead49d926f721d065a429c1"),
    ):
        derived = bcrypt.BCryptDeriveKeyPBKDF2(
            bcrypt.BCRYPT_HMAC_SHA1_ALG_HANDLE, b"password", b"salt", iterations, length
        )
        assert derived.hex() == expected
    with bcrypt.BCryptOpenAlgorithmProvider("SHA256", provider, bcrypt.BCRYPT_ALG_HANDLE_HMAC_FLAG) as handle:
        with calls() as counter:
            derived = bcrypt.BCryptDeriveKeyPBKDF2(handle, None, None, 1, 32)
        assert counter.names == []
        assert derived == hashlib.pbkdf2_hmac("sha256", b"", b"", 1, 32)
        for iterations, length in ((0, 20), (1, 0), (-1, 20), (1, -1)):
            with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
                bcrypt.BCryptDeriveKeyPBKDF2(handle, b"", b"", iterations, length)
    for plain in (bcrypt.BCRYPT_SHA1_ALG_HANDLE, bcrypt.BCRYPT_AES_CMAC_ALG_HANDLE, bcrypt.BCRYPT_AES_CBC_ALG_HANDLE):
        with fails(NTSTATUS.STATUS_INVALID_HANDLE):
            bcrypt.BCryptDeriveKeyPBKDF2(plain, b"", b"", 1, 20)


@pytest.mark.row("5.19")
@pytest.mark.parametrize("hash_name", ["MD5", *HASHES, "SHA3-256"])
def test_capi_derivation_of_a_hash(provider: Provider, hash_name: str) -> None:
    sha2 = hash_name in ("SHA256", "SHA384", "SHA512")
    algorithm = bcrypt.BCryptOpenAlgorithmProvider(hash_name, provider)
    name = "sha3_256" if hash_name == "SHA3-256" else hash_name.lower()
    digest = hashlib.new(name, b"password").digest()
    for target, block_cipher in ((None, False), (bcrypt.BCRYPT_AES_CBC_ALG_HANDLE, True), (algorithm, False)):
        for length in (1, len(digest), len(digest) + 1, 2 * len(digest)):
            hashing = bcrypt.BCryptCreateHash(algorithm)
            bcrypt.BCryptHashData(hashing, b"password")
            expanded = length > len(digest) or (block_cipher and not sha2)
            assert bcrypt.BCryptDeriveKeyCapi(hashing, target, length) == capi(name, digest, length, expanded)
            with fails(NTSTATUS.STATUS_INVALID_HANDLE):
                bcrypt.BCryptHashData(hashing, b"more")
    hashing = bcrypt.BCryptCreateHash(algorithm)
    for length in (0, -1, 2 * len(digest) + 1):
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptDeriveKeyCapi(hashing, None, length)
    # A refusal leaves the hash as it was.
    assert bcrypt.BCryptFinishHash(hashing) == hashlib.new(name, b"").digest()


def test_a_key_is_the_first_bytes_of_sha2_also_for_aes(provider: Provider) -> None:
    with bcrypt.BCryptOpenAlgorithmProvider("SHA256", provider) as algorithm:
        hashing = bcrypt.BCryptCreateHash(algorithm)
        derived = bcrypt.BCryptDeriveKeyCapi(hashing, bcrypt.BCRYPT_AES_CBC_ALG_HANDLE, 32)
    assert derived == hashlib.sha256(b"").digest()
    assert AES(derived).key_size == 256
