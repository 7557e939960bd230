"""BCryptDestroyKey: section 5.12 of the reference."""

from __future__ import annotations

import pytest
from conformance.helpers import SECRET, refused, rsa_public_blob

from hwcng.bcrypt import (
    BCRYPT_AES_CBC_ALG_HANDLE,
    BCRYPT_KDF_HASH,
    BCRYPT_OBJECT_LENGTH,
    BCRYPT_RSAPUBLIC_BLOB,
    BCryptCreateHash,
    BCryptDeriveKey,
    BCryptDestroyHash,
    BCryptDestroyKey,
    BCryptDestroySecret,
    BCryptDuplicateKey,
    BCryptEncrypt,
    BCryptGenerateSymmetricKey,
    BCryptGenRandom,
    BCryptGetProperty,
    BCryptImportKeyPair,
    BCryptOpenAlgorithmProvider,
    BCryptSecretAgreement,
)
from hwcng.errors import NTSTATUS
from hwcng.testing.faults import FaultInjector

CKR_OBJECT_HANDLE_INVALID = 0x82


@pytest.mark.row("5.12")
def test_a_key_is_destroyed_once(aes, pair, refuses):
    for key in (BCryptGenerateSymmetricKey(aes, None, SECRET), pair("ECDSA_P256"), pair("RSA", finalize=False)):
        BCryptDestroyKey(key)
        with refuses(NTSTATUS.STATUS_INVALID_HANDLE):
            BCryptDestroyKey(key)


@pytest.mark.row("5.12")
def test_none_and_handles_of_other_kinds_are_wrong_handles(aes, algorithm, pair, refuses):
    agreeing = pair("ECDH_P256")
    secret, hashing = BCryptSecretAgreement(agreeing, agreeing), BCryptCreateHash(algorithm("SHA256"))
    for wrong in (None, secret, aes, hashing, BCRYPT_AES_CBC_ALG_HANDLE, object()):
        with refuses(NTSTATUS.STATUS_INVALID_HANDLE):
            BCryptDestroyKey(wrong)
    assert secret.alive
    assert aes.alive
    assert hashing.alive
    BCryptDestroySecret(secret)
    BCryptDestroyHash(hashing)


@pytest.mark.row("5.12")
def test_every_object_in_the_token_goes(aes, pair, algorithm, rsa_numbers, calls):
    public = BCryptImportKeyPair(
        algorithm("RSA"), None, BCRYPT_RSAPUBLIC_BLOB, rsa_public_blob(rsa_numbers.public_numbers)
    )
    for key, objects in (
        (BCryptGenerateSymmetricKey(aes, None, SECRET), 1),
        (aes.generate_key(128), 1),
        (pair("ECDSA_P256"), 2),
        (pair("RSA", finalize=False), 0),
        (public, 0),
    ):
        with calls() as counter:
            BCryptDestroyKey(key)
        assert counter.asked == ["C_DestroyObject"] * objects


@pytest.mark.row("5.12")
def test_the_context_manager_destroys_and_destroying_within_it_is_fine(aes):
    with BCryptGenerateSymmetricKey(aes, None, SECRET) as key:
        BCryptDestroyKey(key)
    assert not key.alive
    with BCryptGenerateSymmetricKey(aes, None, SECRET) as key:
        pass
    with refused(NTSTATUS.STATUS_INVALID_HANDLE):
        BCryptDestroyKey(key)


@pytest.mark.row("5.12")
@pytest.mark.parametrize("answer", [CKR_OBJECT_HANDLE_INVALID])
def test_a_key_that_the_token_has_lost_is_destroyed_all_the_same(aes, provider, answer):
    key_object = bytearray(BCryptGetProperty(aes, BCRYPT_OBJECT_LENGTH))
    key = BCryptGenerateSymmetricKey(aes, key_object, SECRET)
    with FaultInjector(provider).fail("C_DestroyObject", answer):
        BCryptDestroyKey(key)
    key_object.append(0)
    with refused(NTSTATUS.STATUS_INVALID_HANDLE):
        BCryptDestroyKey(key)


@pytest.mark.row("5.12")
def test_a_secret_outlives_the_keys_that_agreed_on_it(pair):
    ours, theirs = pair("ECDH_P256"), pair("ECDH_P256")
    secret, mirrored = BCryptSecretAgreement(ours, theirs), BCryptSecretAgreement(theirs, ours)
    BCryptDestroyKey(ours)
    BCryptDestroyKey(theirs)
    assert BCryptDeriveKey(secret, BCRYPT_KDF_HASH, None, 20) == BCryptDeriveKey(mirrored, BCRYPT_KDF_HASH, None, 20)
    BCryptDestroySecret(secret)
    BCryptDestroySecret(mirrored)


def test_closing_the_provider_ends_its_keys_and_destroying_them_then_is_no_error(fresh_provider, calls):
    handle = BCryptOpenAlgorithmProvider("AES", fresh_provider)
    key = BCryptGenerateSymmetricKey(handle, None, SECRET)
    fresh_provider.close()
    for call in (
        lambda: BCryptEncrypt(key, bytes(16)),
        lambda: BCryptDuplicateKey(key),
        lambda: BCryptGenerateSymmetricKey(handle, None, SECRET),
        lambda: BCryptGenRandom(BCryptOpenAlgorithmProvider("RNG", fresh_provider), 16),
    ):
        with calls() as counter, refused(NTSTATUS.STATUS_INVALID_HANDLE):
            call()
        assert counter.names == []
    BCryptDestroyKey(key)
