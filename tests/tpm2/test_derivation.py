"""Derivation algorithms whose base key is an HMAC key in the TPM."""

from __future__ import annotations

import hashlib

import pytest
from conformance import oracle
from conformance.checks import fails
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.kbkdf import KBKDFHMAC, CounterLocation, Mode

from hwcng import NTSTATUS, bcrypt
from hwcng.providers.tpm2.provider import Tpm2Provider

HASH = bcrypt.KDF_HASH_ALGORITHM
SECRET = bytes(range(40))


def base_key(provider: Tpm2Provider, name: str, secret: bytes = SECRET) -> bcrypt.SymmetricKey:
    return bcrypt.BCryptGenerateSymmetricKey(bcrypt.BCryptOpenAlgorithmProvider(name, provider), None, secret)


@pytest.mark.row("5.17")
@pytest.mark.parametrize("hash_name", ["SHA1", "SHA256", "SHA384", "SHA512"])
def test_outputs(tpm_provider: Tpm2Provider, hash_name: str) -> None:
    with base_key(tpm_provider, "SP800_108_CTR_HMAC") as key:
        kdf = KBKDFHMAC(
            oracle.CRYPTOGRAPHY[hash_name], Mode.CounterMode, 70, 4, 4, CounterLocation.BeforeFixed, b"l", b"c", None
        )
        parameters = [(HASH, hash_name), (bcrypt.KDF_LABEL, b"l"), (bcrypt.KDF_CONTEXT, b"c")]
        assert bcrypt.BCryptKeyDerivation(key, parameters, 70) == kdf.derive(SECRET)
    with base_key(tpm_provider, "PBKDF2") as key:
        parameters = [(HASH, hash_name), (bcrypt.KDF_SALT, b"salt"), (bcrypt.KDF_ITERATION_COUNT, 3)]
        expected = hashlib.pbkdf2_hmac(hash_name.lower(), SECRET, b"salt", 3, 70)
        assert bcrypt.BCryptKeyDerivation(key, parameters, 70) == expected
    with base_key(tpm_provider, "TLS1_2_KDF") as key, bcrypt.BCryptDuplicateKey(key) as duplicate:
        parameters = [(HASH, hash_name), (bcrypt.KDF_TLS_PRF_LABEL, b"l"), (bcrypt.KDF_TLS_PRF_SEED, b"s")]
        for one in (key, duplicate):
            assert bcrypt.BCryptKeyDerivation(one, parameters, 70) == oracle.p_hash(hash_name, SECRET, b"ls", 70)


@pytest.mark.parametrize("name", ["SP800_56A_CONCAT", "CAPI_KDF", "TLS1_1_KDF", "HKDF"])
def test_what_needs_the_octets_of_a_key_is_not_found(tpm_provider: Tpm2Provider, name: str) -> None:
    with fails(NTSTATUS.STATUS_NOT_FOUND):
        bcrypt.BCryptOpenAlgorithmProvider(name, tpm_provider)


def test_a_key_that_the_tpm_would_hash_is_refused(tpm_provider: Tpm2Provider) -> None:
    with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
        base_key(tpm_provider, "PBKDF2", bytes(65))


def test_hkdf_of_an_agreed_secret(tpm_provider: Tpm2Provider) -> None:
    handle = bcrypt.BCryptOpenAlgorithmProvider("ECDH_P256", tpm_provider)
    pairs = []
    for _ in range(2):
        pairs.append(bcrypt.BCryptGenerateKeyPair(handle, 256))
        bcrypt.BCryptFinalizeKeyPair(pairs[-1])
    parameters = [(HASH, "SHA256"), (bcrypt.KDF_HKDF_SALT, b"salt"), (bcrypt.KDF_HKDF_INFO, b"info")]
    one, other = bcrypt.BCryptSecretAgreement(*pairs), bcrypt.BCryptSecretAgreement(*reversed(pairs))
    derived = bcrypt.BCryptDeriveKey(one, "HKDF", parameters, 50)
    assert derived == bcrypt.BCryptDeriveKey(other, "HKDF", parameters, 50)
    z = one.agreed._octets()  # type: ignore[attr-defined]
    assert derived == HKDF(oracle.CRYPTOGRAPHY["SHA256"], 50, b"salt", b"info").derive(z)
    aes = bcrypt.BCryptOpenAlgorithmProvider("AES", tpm_provider)
    with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
        one.derive_to_key(aes, "HKDF", parameters, 128)
