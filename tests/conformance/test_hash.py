"""BCryptCreateHash and what follows it, BCryptHash: rows HSH of the reference."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from conformance.helpers import SECRET
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC

from hwcng import bcrypt
from hwcng.bcrypt import (
    BCRYPT_ALG_HANDLE_HMAC_FLAG,
    BCRYPT_ALGORITHM_NAME,
    BCRYPT_HASH_DONT_RESET_FLAG,
    BCRYPT_HASH_LENGTH,
    BCRYPT_HASH_REUSABLE_FLAG,
    BCRYPT_INITIALIZATION_VECTOR,
    BCRYPT_OBJECT_LENGTH,
    BCryptCreateHash,
    BCryptDestroyHash,
    BCryptDestroyKey,
    BCryptDestroySecret,
    BCryptDuplicateHash,
    BCryptFinishHash,
    BCryptGetProperty,
    BCryptHash,
    BCryptHashData,
    BCryptSecretAgreement,
    BCryptSetProperty,
)
from hwcng.errors import NTSTATUS, CngError
from hwcng.testing.faults import FaultInjector

HASHLIB = {
    "MD5": "md5",
    "SHA1": "sha1",
    "SHA256": "sha256",
    "SHA384": "sha384",
    "SHA512": "sha512",
    "SHA3-256": "sha3_256",
    "SHA3-384": "sha3_384",
    "SHA3-512": "sha3_512",
}
HMAC = BCRYPT_ALG_HANDLE_HMAC_FLAG
REUSABLE = BCRYPT_HASH_REUSABLE_FLAG
DATA = bytes(range(200))
NONCE = bytes(range(12))
CKR_KEY_SIZE_RANGE = 0x62
HMAC_HASHES = tuple(pytest.param(name, marks=pytest.mark.requires(f"HMAC-{name}")) for name in HASHLIB)


def host_hash(name: str, data: bytes) -> bytes:
    return hashlib.new(HASHLIB[name], data, usedforsecurity=False).digest()


def host_hmac(name: str, key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, HASHLIB[name])


def host_cmac(key: bytes, data: bytes) -> bytes:
    running = CMAC(AES(key))
    running.update(data)
    return running.finalize()


def host_gmac(key: bytes, nonce: bytes, data: bytes) -> bytes:
    return AESGCM(key).encrypt(nonce, b"", data)


def digest_of(hashing, *chunks) -> bytes:
    for chunk in chunks:
        BCryptHashData(hashing, chunk)
    return BCryptFinishHash(hashing)


@pytest.mark.row("HSH-01")
@pytest.mark.parametrize("name", HASHLIB)
def test_an_unkeyed_hash_is_the_hosts(algorithm, calls, name):
    handle = algorithm(name)
    with calls() as counter, BCryptCreateHash(handle) as hashing:
        digest = digest_of(hashing, DATA[:1], DATA[1:130], bytearray(DATA[130:]))
    assert counter.names == []
    assert digest == host_hash(name, DATA)
    assert type(digest) is bytes


@pytest.mark.row("HSH-02")
@pytest.mark.parametrize("name", HMAC_HASHES)
@pytest.mark.parametrize("size", [0, 1, 16, 20, 63, 64, 65, 128, 129, 200])
def test_an_hmac_of_any_key_length(algorithm, name, size):
    with BCryptCreateHash(algorithm(name, HMAC), None, DATA[:size]) as hashing:
        assert digest_of(hashing, DATA[:50], DATA[50:]) == host_hmac(name, DATA[:size], DATA)


@pytest.mark.row("HSH-02")
@pytest.mark.parametrize("name", HMAC_HASHES)
def test_no_secret_is_hmacs_empty_key(algorithm, name):
    assert BCryptHash(algorithm(name, HMAC), None, DATA) == host_hmac(name, b"", DATA)


@pytest.mark.row("HSH-02")
@pytest.mark.parametrize("size", [16, 24, 32])
def test_cmac_takes_an_aes_key(algorithm, size):
    for data in (b"", DATA[:16], DATA):
        assert BCryptHash(algorithm("AES-CMAC"), SECRET[:size], data) == host_cmac(SECRET[:size], data)


@pytest.mark.row("HSH-02")
@pytest.mark.parametrize("name", ["AES-CMAC", "AES-GMAC"])
@pytest.mark.parametrize("size", [None, 0, 1, 15, 17, 31, 33, 64])
def test_a_mac_key_that_is_no_aes_key(algorithm, refuses, name, size):
    handle = algorithm(name)
    secret = None if size is None else (SECRET * 2)[:size]
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptCreateHash(handle, None, secret)
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptHash(handle, secret, DATA)


@pytest.mark.row("HSH-02")
@pytest.mark.parametrize("secret", ["text", 16, object()])
def test_what_is_no_buffer_is_no_secret(algorithm, refuses, secret):
    handle = algorithm("SHA256", HMAC)
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptCreateHash(handle, None, secret)


@pytest.mark.row("HSH-02")
def test_the_secret_is_copied(algorithm):
    secret = bytearray(SECRET)
    with BCryptCreateHash(algorithm("SHA256", HMAC), None, secret) as hashing:
        secret[:] = bytes(32)
        assert digest_of(hashing, DATA) == host_hmac("SHA256", SECRET, DATA)


@pytest.mark.row("HSH-02")
def test_a_token_born_mac_key_keys_a_hash_and_is_lent_only(algorithm, refuses):
    for name, flags in (("SHA256", HMAC), ("AES-CMAC", 0)):
        handle = algorithm(name, flags)
        with handle.generate_key(256) as key:
            first = BCryptHash(handle, key, DATA)
            assert BCryptHash(handle, key, DATA) == first
            hashing = BCryptCreateHash(handle, None, key)
            BCryptDestroyKey(key)
        with refuses(NTSTATUS.STATUS_INVALID_HANDLE):
            BCryptHashData(hashing, DATA)
        with refuses(NTSTATUS.STATUS_INVALID_HANDLE):
            BCryptFinishHash(hashing)
        with refuses(NTSTATUS.STATUS_INVALID_HANDLE):
            BCryptCreateHash(handle, None, key)
        BCryptDestroyHash(hashing)


@pytest.mark.row("HSH-02")
def test_a_key_for_another_mac_or_of_another_provider_is_a_wrong_parameter(algorithm, aes_key, other_provider, refuses):
    sha256, sha1, cmac = algorithm("SHA256", HMAC), algorithm("SHA1", HMAC), algorithm("AES-CMAC")
    plain, elsewhere = algorithm("SHA256"), algorithm("SHA256", HMAC, of=other_provider)
    with sha256.generate_key(256) as key, cmac.generate_key(128) as cmac_key, elsewhere.generate_key(256) as foreign:
        for handle, wrong in (
            (sha1, key),
            (cmac, key),
            (sha256, cmac_key),
            (sha256, aes_key),
            (cmac, aes_key),
            (plain, key),
            (sha256, foreign),
            (elsewhere, key),
        ):
            with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
                BCryptCreateHash(handle, None, wrong)


@pytest.mark.row("HSH-01")
@pytest.mark.parametrize(("name", "flags"), [("SHA256", 0), ("SHA512", HMAC), ("AES-CMAC", 0)])
def test_the_hash_object_is_checked_held_and_never_written(algorithm, refuses, name, flags):
    handle = algorithm(name, flags)
    secret = SECRET if flags or name == "AES-CMAC" else None
    needed = BCryptGetProperty(handle, BCRYPT_OBJECT_LENGTH)
    for room in (0, 1, needed - 1):
        with refuses(NTSTATUS.STATUS_BUFFER_TOO_SMALL):
            BCryptCreateHash(handle, bytearray(room), secret)
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptCreateHash(handle, bytes(needed), secret)
    for room in (needed, needed + 100):
        hash_object = bytearray(b"\x5a" * room)
        hashing = BCryptCreateHash(handle, hash_object, secret)
        digest_of(hashing, DATA)
        with pytest.raises(BufferError):
            hash_object.append(0)
        BCryptDestroyHash(hashing)
        assert hash_object == b"\x5a" * room
        hash_object.append(0)


@pytest.mark.row("HSH-01")
def test_a_failure_in_the_token_lets_go_of_the_hash_object_at_once(algorithm, provider):
    handle = algorithm("SHA256", HMAC)
    hash_object = bytearray(BCryptGetProperty(handle, BCRYPT_OBJECT_LENGTH))
    with FaultInjector(provider).fail("C_CreateObject", CKR_KEY_SIZE_RANGE), pytest.raises(CngError) as error:
        BCryptCreateHash(handle, hash_object, SECRET)
    hash_object.append(0)
    assert error.value.status is NTSTATUS.STATUS_NOT_SUPPORTED


@pytest.mark.row("HSH-01")
@pytest.mark.parametrize("flags", [1 << bit for bit in range(32) if 1 << bit != REUSABLE])
def test_no_other_flag_of_create_is_defined(algorithm, refuses, flags):
    for handle, secret in ((algorithm("SHA256"), None), (algorithm("SHA256", HMAC), SECRET)):
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            BCryptCreateHash(handle, None, secret, flags)


@pytest.mark.row("HSH-03")
@pytest.mark.parametrize(("name", "flags"), [("SHA256", 0), ("SHA256", HMAC)])
def test_no_data_is_fine_and_any_size_is(algorithm, name, flags):
    secret = SECRET if flags else None
    with BCryptCreateHash(algorithm(name, flags), None, secret) as hashing:
        digest = digest_of(hashing, None, b"", DATA, None, memoryview(bytes(100_000)))
    data = DATA + bytes(100_000)
    assert digest == (host_hmac(name, SECRET, data) if flags else host_hash(name, data))


@pytest.mark.row("HSH-03")
@pytest.mark.parametrize("data", ["text", 1, [1]])
def test_what_is_no_buffer_is_no_data_and_changes_nothing(algorithm, refuses, data):
    with BCryptCreateHash(algorithm("SHA256")) as hashing:
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            BCryptHashData(hashing, data)
        assert digest_of(hashing, DATA) == host_hash("SHA256", DATA)


@pytest.mark.row("HSH-04", "HSH-09")
@pytest.mark.parametrize("name", HASHLIB)
def test_the_digest_has_exactly_the_documented_length(algorithm, name):
    with BCryptCreateHash(algorithm(name)) as hashing:
        assert len(digest_of(hashing)) == BCryptGetProperty(hashing, BCRYPT_HASH_LENGTH)


@pytest.mark.row("HSH-04")
@pytest.mark.parametrize("flags", [1 << bit for bit in range(1, 32)])
def test_no_other_flag_of_finish_is_defined(algorithm, refuses, flags):
    with BCryptCreateHash(algorithm("SHA256", REUSABLE)) as hashing:
        BCryptHashData(hashing, DATA)
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            BCryptFinishHash(hashing, flags)
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            BCryptHashData(hashing, DATA, flags)
        assert BCryptFinishHash(hashing) == host_hash("SHA256", DATA)


@pytest.mark.row("HSH-04")
@pytest.mark.parametrize(("name", "flags"), [("SHA256", 0), ("SHA256", HMAC), ("AES-CMAC", 0)])
def test_dont_reset_leaves_a_reusable_object_as_it_is(algorithm, refuses, name, flags):
    secret = SECRET if flags or name == "AES-CMAC" else None
    expected = {0: host_hash, HMAC: lambda name, data: host_hmac(name, SECRET, data)}[flags]
    if name == "AES-CMAC":
        expected = lambda _, data: host_cmac(SECRET, data)  # noqa: E731
    with BCryptCreateHash(algorithm(name, flags), None, secret, REUSABLE) as hashing:
        BCryptHashData(hashing, b"one")
        assert BCryptFinishHash(hashing, BCRYPT_HASH_DONT_RESET_FLAG) == expected(name, b"one")
        BCryptHashData(hashing, b"two")
        assert BCryptFinishHash(hashing) == expected(name, b"onetwo")
        assert BCryptFinishHash(hashing) == expected(name, b"")
    with BCryptCreateHash(algorithm(name, flags), None, secret) as hashing:
        BCryptHashData(hashing, b"one")
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            BCryptFinishHash(hashing, BCRYPT_HASH_DONT_RESET_FLAG)
        assert BCryptFinishHash(hashing) == expected(name, b"one")


@pytest.mark.row("HSH-05")
@pytest.mark.parametrize(("name", "flags"), [("SHA256", 0), ("SHA256", HMAC), ("AES-CMAC", 0)])
def test_a_finished_hash_is_dead(algorithm, refuses, name, flags):
    secret = SECRET if flags or name == "AES-CMAC" else None
    with BCryptCreateHash(algorithm(name, flags), None, secret) as hashing:
        digest_of(hashing, DATA)
        for call in (
            lambda: BCryptHashData(hashing, DATA),
            lambda: BCryptHashData(hashing, None),
            lambda: BCryptFinishHash(hashing),
            lambda: BCryptDuplicateHash(hashing),
        ):
            with refuses(NTSTATUS.STATUS_INVALID_HANDLE):
                call()
        BCryptDestroyHash(hashing)


@pytest.mark.row("HSH-05")
@pytest.mark.parametrize(("name", "flags"), [("SHA256", 0), ("SHA256", HMAC), ("AES-CMAC", 0)])
def test_a_reusable_hash_starts_again_with_its_key(algorithm, calls, name, flags):
    secret = SECRET if flags or name == "AES-CMAC" else None
    with BCryptCreateHash(algorithm(name, flags), None, secret, REUSABLE) as hashing:
        first = digest_of(hashing, DATA)
        digest_of(hashing, b"something else")
        with calls() as counter:
            assert digest_of(hashing, DATA) == first
        assert counter.asked == ([] if secret is None else ["C_SignInit", "C_Sign"])


@pytest.mark.row("HSH-06")
def test_destroying_no_hash_is_a_wrong_parameter(algorithm, pair, aes_key, refuses):
    agreeing = pair("ECDH_P256")
    secret = BCryptSecretAgreement(agreeing, agreeing)
    hashing = BCryptCreateHash(algorithm("SHA256"))
    BCryptDestroyHash(hashing)
    for wrong in (None, hashing, secret, aes_key, algorithm("SHA256"), object()):
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            BCryptDestroyHash(wrong)
    assert secret.alive
    BCryptDestroySecret(secret)


@pytest.mark.row("HSH-06")
def test_destroying_a_keyed_hash_destroys_its_key(algorithm, calls):
    hashing = BCryptCreateHash(algorithm("SHA256", HMAC), None, SECRET)
    with calls() as counter:
        BCryptDestroyHash(hashing)
    assert counter.asked == ["C_DestroyObject"]


@pytest.mark.row("HSH-07")
@pytest.mark.parametrize(("name", "flags"), [("SHA256", 0), ("SHA384", HMAC), ("AES-CMAC", 0)])
def test_a_duplicate_goes_on_from_here_on_its_own(algorithm, name, flags):
    secret = SECRET if flags or name == "AES-CMAC" else None
    handle = algorithm(name, flags)
    original = BCryptCreateHash(handle, None, secret)
    BCryptHashData(original, b"common ")
    copy = BCryptDuplicateHash(original)
    BCryptHashData(original, b"left")
    BCryptHashData(copy, b"right")
    again = BCryptDuplicateHash(copy)
    assert BCryptFinishHash(original) == BCryptHash(handle, secret, b"common left")
    BCryptDestroyHash(original)
    assert BCryptFinishHash(copy) == BCryptHash(handle, secret, b"common right")
    BCryptDestroyHash(copy)
    assert BCryptFinishHash(again) == BCryptHash(handle, secret, b"common right")
    BCryptDestroyHash(again)


@pytest.mark.row("HSH-07")
def test_the_statuses_of_duplicating(algorithm, refuses):
    handle = algorithm("SHA256")
    needed = BCryptGetProperty(handle, BCRYPT_OBJECT_LENGTH)
    with BCryptCreateHash(handle) as hashing:
        for hash_object, flags, status in (
            (bytearray(needed - 1), 0, NTSTATUS.STATUS_BUFFER_TOO_SMALL),
            (bytearray(), 0, NTSTATUS.STATUS_BUFFER_TOO_SMALL),
            (bytes(needed), 0, NTSTATUS.STATUS_INVALID_PARAMETER),
            (None, 1, NTSTATUS.STATUS_INVALID_PARAMETER),
            (None, 0x80000000, NTSTATUS.STATUS_INVALID_PARAMETER),
        ):
            with refuses(status):
                BCryptDuplicateHash(hashing, hash_object, flags)
        held = bytearray(needed)
        with BCryptDuplicateHash(hashing, held), pytest.raises(BufferError):
            held.append(0)
        held.append(0)
        assert digest_of(hashing, DATA) == host_hash("SHA256", DATA)
    with refuses(NTSTATUS.STATUS_INVALID_HANDLE):
        BCryptDuplicateHash(hashing)


@pytest.mark.row("HSH-08")
@pytest.mark.parametrize("name", HASHLIB)
def test_the_one_call_hash_accepts_pseudo_handles(name):
    handle = vars(bcrypt)[f"BCRYPT_{name.replace('-', '_')}_ALG_HANDLE"]
    assert BCryptHash(handle, None, DATA) == host_hash(name, DATA)
    assert BCryptHash(handle, None, None) == host_hash(name, b"")


@pytest.mark.row("HSH-08")
@pytest.mark.parametrize("name", HMAC_HASHES)
def test_the_one_call_hmac_accepts_pseudo_handles(default_provider, name):
    handle = vars(bcrypt)[f"BCRYPT_HMAC_{name.replace('-', '_')}_ALG_HANDLE"]
    assert BCryptHash(handle, SECRET, DATA) == host_hmac(name, SECRET, DATA)


@pytest.mark.row("HSH-08")
def test_the_one_call_hash_leaves_nothing_behind(algorithm, calls):
    handle = algorithm("SHA256", HMAC)
    with calls() as counter:
        BCryptHash(handle, SECRET, DATA)
    made = [name for name in counter.names if name in ("C_CreateObject", "C_SignInit", "C_Sign")]
    assert made == ["C_CreateObject", "C_SignInit", "C_Sign"]
    assert counter.names[-1] == "C_DestroyObject"


@pytest.mark.row("HSH-09")
@pytest.mark.parametrize("name", HMAC_HASHES)
def test_the_properties_of_an_hmac_hash(algorithm, name):
    with BCryptCreateHash(algorithm(name, HMAC), None, SECRET) as hashing:
        assert BCryptGetProperty(hashing, BCRYPT_ALGORITHM_NAME) == name
        assert BCryptGetProperty(hashing, BCRYPT_HASH_LENGTH) == len(host_hash(name, b""))


@pytest.mark.row("HSH-10")
@pytest.mark.parametrize("size", [16, 24, 32])
def test_gmac_needs_its_nonce(algorithm, refuses, size):
    with BCryptCreateHash(algorithm("AES-GMAC"), None, SECRET[:size]) as hashing:
        BCryptHashData(hashing, DATA)
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            BCryptFinishHash(hashing)
        for wrong in (b"", NONCE[:11], NONCE + b"\0", None, "twelve bytes"):
            with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
                BCryptSetProperty(hashing, BCRYPT_INITIALIZATION_VECTOR, wrong)
        BCryptSetProperty(hashing, BCRYPT_INITIALIZATION_VECTOR, NONCE)
        assert BCryptFinishHash(hashing) == host_gmac(SECRET[:size], NONCE, DATA)


@pytest.mark.row("HSH-10")
def test_a_gmac_nonce_serves_one_digest(algorithm, refuses):
    with BCryptCreateHash(algorithm("AES-GMAC"), None, SECRET, REUSABLE) as hashing:
        BCryptSetProperty(hashing, BCRYPT_INITIALIZATION_VECTOR, NONCE)
        digest_of(hashing, DATA)
        BCryptHashData(hashing, DATA)
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            BCryptFinishHash(hashing)
        BCryptSetProperty(hashing, BCRYPT_INITIALIZATION_VECTOR, NONCE[::-1])
        assert BCryptFinishHash(hashing) == host_gmac(SECRET, NONCE[::-1], DATA)


@pytest.mark.row("HSH-10")
def test_a_gmac_nonce_serves_one_digest_of_a_hash_that_goes_on(algorithm, refuses):
    with BCryptCreateHash(algorithm("AES-GMAC"), None, SECRET, REUSABLE) as hashing:
        BCryptSetProperty(hashing, BCRYPT_INITIALIZATION_VECTOR, NONCE)
        BCryptHashData(hashing, DATA)
        assert BCryptFinishHash(hashing, BCRYPT_HASH_DONT_RESET_FLAG) == host_gmac(SECRET, NONCE, DATA)
        for flags in (BCRYPT_HASH_DONT_RESET_FLAG, 0):
            with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
                BCryptFinishHash(hashing, flags)
        BCryptHashData(hashing, DATA)
        BCryptSetProperty(hashing, BCRYPT_INITIALIZATION_VECTOR, NONCE[::-1])
        assert BCryptFinishHash(hashing) == host_gmac(SECRET, NONCE[::-1], DATA + DATA)


@pytest.mark.row("HSH-10")
@pytest.mark.parametrize("first", range(3))
def test_a_gmac_nonce_serves_one_of_a_hash_and_its_duplicates(algorithm, refuses, first):
    with BCryptCreateHash(algorithm("AES-GMAC"), None, SECRET, REUSABLE) as hashing:
        BCryptSetProperty(hashing, BCRYPT_INITIALIZATION_VECTOR, NONCE)
        BCryptHashData(hashing, DATA)
        copy = BCryptDuplicateHash(hashing)
        hashes = [hashing, copy, BCryptDuplicateHash(copy)]
        assert BCryptFinishHash(hashes.pop(first)) == host_gmac(SECRET, NONCE, DATA)
        for number, other in enumerate(hashes):
            with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
                BCryptFinishHash(other)
            nonce = bytes([number]) * 12
            BCryptSetProperty(other, BCRYPT_INITIALIZATION_VECTOR, nonce)
            assert BCryptFinishHash(other) == host_gmac(SECRET, nonce, DATA)


@pytest.mark.row("HSH-10")
def test_a_gmac_nonce_is_still_good_where_the_token_gave_no_digest(algorithm, provider):
    with BCryptCreateHash(algorithm("AES-GMAC"), None, SECRET, REUSABLE) as hashing:
        BCryptSetProperty(hashing, BCRYPT_INITIALIZATION_VECTOR, NONCE)
        BCryptHashData(hashing, DATA)
        with FaultInjector(provider).fail("C_EncryptInit", CKR_KEY_SIZE_RANGE), pytest.raises(CngError):
            BCryptFinishHash(hashing)
        assert BCryptFinishHash(hashing) == host_gmac(SECRET, NONCE, DATA)


@pytest.mark.row("HSH-11")
@pytest.mark.parametrize("name", ["AES", "RSA", "ECDSA_P256", "ECDH", "RNG"])
def test_an_algorithm_that_is_no_hash_is_not_supported(algorithm, refuses, name):
    handle = algorithm(name)
    with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
        BCryptCreateHash(handle)
    with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
        BCryptHash(handle, None, DATA)
