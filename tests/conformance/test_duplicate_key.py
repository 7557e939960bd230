"""BCryptDuplicateKey: rows DUP of the reference."""

from __future__ import annotations

import pytest
from conformance.helpers import BLOCKS, IV, SECRET, host_cbc, host_ecb, refused, token_attributes

from hwcng.bcrypt import (
    BCRYPT_ALG_HANDLE_HMAC_FLAG,
    BCRYPT_ALGORITHM_NAME,
    BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO,
    BCRYPT_CHAIN_MODE_CBC,
    BCRYPT_CHAIN_MODE_CFB,
    BCRYPT_CHAIN_MODE_ECB,
    BCRYPT_CHAIN_MODE_GCM,
    BCRYPT_CHAINING_MODE,
    BCRYPT_INITIALIZATION_VECTOR,
    BCRYPT_KEY_LENGTH,
    BCRYPT_MESSAGE_BLOCK_LENGTH,
    BCRYPT_OBJECT_LENGTH,
    BCryptDecrypt,
    BCryptDestroyKey,
    BCryptDuplicateKey,
    BCryptEncrypt,
    BCryptGenerateSymmetricKey,
    BCryptGetProperty,
    BCryptHash,
    BCryptSetProperty,
)
from hwcng.errors import NTSTATUS, CngError
from hwcng.testing.faults import FaultInjector

OBJECT_LENGTH = 654
CKR_DEVICE_MEMORY = 0x31
CKR_FUNCTION_NOT_SUPPORTED = 0x54


@pytest.mark.row("DUP-01", "DUP-07")
def test_a_duplicate_is_a_key_of_the_same_value(aes_key):
    with BCryptDuplicateKey(aes_key) as copy:
        assert copy is not aes_key
        assert BCryptGetProperty(copy, BCRYPT_KEY_LENGTH) == 256
        assert BCryptGetProperty(copy, BCRYPT_ALGORITHM_NAME) == "AES"
        assert BCryptEncrypt(copy, BLOCKS, None, IV) == host_cbc(SECRET, IV, BLOCKS)


@pytest.mark.row("DUP-03")
@pytest.mark.parametrize("name", ["RSA", "RSA_SIGN", "ECDSA_P256", "ECDH_P521"])
def test_an_asymmetric_key_is_a_wrong_handle(pair, refuses, name):
    key = pair(name)
    with refuses(NTSTATUS.STATUS_INVALID_HANDLE):
        BCryptDuplicateKey(key, bytearray(OBJECT_LENGTH))


@pytest.mark.row("DUP-05")
def test_a_failure_leaves_the_key_and_the_callers_buffer_as_they_were(aes_key, refuses):
    expected = host_cbc(SECRET, bytes(16), BLOCKS)
    key_object = bytearray(b"\x5a" * (OBJECT_LENGTH - 1))
    with refuses(NTSTATUS.STATUS_BUFFER_TOO_SMALL):
        BCryptDuplicateKey(aes_key, key_object)
    assert key_object == b"\x5a" * (OBJECT_LENGTH - 1)
    assert BCryptEncrypt(aes_key, BLOCKS) == expected


@pytest.mark.row("DUP-05", "DUP-08")
def test_a_failure_in_the_token_lets_go_of_the_key_object_at_once(aes_key, provider):
    key_object = bytearray(OBJECT_LENGTH)
    with FaultInjector(provider).fail("C_CopyObject", CKR_DEVICE_MEMORY), pytest.raises(CngError) as error:
        BCryptDuplicateKey(aes_key, key_object)
    key_object.append(0)
    assert error.value.status is NTSTATUS.STATUS_INSUFFICIENT_RESOURCES
    assert BCryptEncrypt(aes_key, BLOCKS, None, IV) == host_cbc(SECRET, IV, BLOCKS)


@pytest.mark.row("DUP-06")
def test_a_duplicate_is_destroyed_on_its_own(aes_key):
    copy = BCryptDuplicateKey(aes_key)
    BCryptDestroyKey(copy)
    for call in (BCryptDestroyKey, BCryptDuplicateKey):
        with refused(NTSTATUS.STATUS_INVALID_HANDLE):
            call(copy)


@pytest.mark.row("DUP-08")
@pytest.mark.parametrize("room", [OBJECT_LENGTH, OBJECT_LENGTH + 100])
def test_the_key_object_is_held_until_the_duplicate_is_destroyed(aes, aes_key, room):
    assert BCryptGetProperty(aes, BCRYPT_OBJECT_LENGTH) == OBJECT_LENGTH
    assert BCryptGetProperty(aes_key, BCRYPT_OBJECT_LENGTH) == OBJECT_LENGTH
    key_object = bytearray(b"\x5a" * room)
    copy = BCryptDuplicateKey(aes_key, key_object)
    with pytest.raises(BufferError):
        key_object.clear()
    assert BCryptEncrypt(copy, BLOCKS, None, IV) == host_cbc(SECRET, IV, BLOCKS)
    BCryptDestroyKey(copy)
    assert key_object == b"\x5a" * room
    key_object.clear()


@pytest.mark.row("DUP-08", "DUP-09")
@pytest.mark.parametrize("room", [0, 1, OBJECT_LENGTH - 1])
def test_a_key_object_that_is_too_small(aes_key, refuses, room):
    with refuses(NTSTATUS.STATUS_BUFFER_TOO_SMALL):
        BCryptDuplicateKey(aes_key, bytearray(room))


@pytest.mark.row("DUP-09")
@pytest.mark.parametrize("key_object", [bytes(OBJECT_LENGTH), OBJECT_LENGTH, "x" * OBJECT_LENGTH])
def test_a_key_object_that_is_no_writable_buffer(aes_key, refuses, key_object):
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptDuplicateKey(aes_key, key_object)


@pytest.mark.row("DUP-10")
@pytest.mark.parametrize("flags", [0x1, 0x20, 0x80000000, 0xFFFFFFFF, -1])
def test_no_flag_is_defined(aes_key, refuses, flags):
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptDuplicateKey(aes_key, None, flags)


@pytest.mark.row("DUP-11")
@pytest.mark.parametrize("size", [16, 24, 32])
def test_length_mode_and_message_block_length_are_copied(aes, size):
    with BCryptGenerateSymmetricKey(aes, None, SECRET[:size]) as key:
        BCryptSetProperty(key, BCRYPT_CHAINING_MODE, BCRYPT_CHAIN_MODE_CFB)
        BCryptSetProperty(key, BCRYPT_MESSAGE_BLOCK_LENGTH, 16)
        with BCryptDuplicateKey(key) as copy:
            assert BCryptGetProperty(copy, BCRYPT_KEY_LENGTH) == 8 * size
            assert BCryptGetProperty(copy, BCRYPT_CHAINING_MODE) == BCRYPT_CHAIN_MODE_CFB
            assert BCryptGetProperty(copy, BCRYPT_MESSAGE_BLOCK_LENGTH) == 16
            assert BCryptEncrypt(copy, b"five.", None, IV) == BCryptEncrypt(key, b"five.", None, IV)


@pytest.mark.row("DUP-11")
def test_a_gcm_duplicate_decrypts_what_the_original_sealed(aes_key):
    BCryptSetProperty(aes_key, BCRYPT_CHAINING_MODE, BCRYPT_CHAIN_MODE_GCM)
    sealing = BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(IV[:12], b"aad")
    ciphertext = BCryptEncrypt(aes_key, b"a message", sealing)
    with BCryptDuplicateKey(aes_key) as copy:
        opening = BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(IV[:12], b"aad", sealing.pbTag)
        assert BCryptDecrypt(copy, ciphertext, opening) == b"a message"


@pytest.mark.row("DUP-12", "DUP-18")
@pytest.mark.parametrize("first", ["original", "duplicate"])
def test_either_outlives_the_other(aes, first):
    original = BCryptGenerateSymmetricKey(aes, None, SECRET)
    keys = {"original": original, "duplicate": BCryptDuplicateKey(original)}
    BCryptDestroyKey(keys.pop(first))
    (other,) = keys.values()
    assert BCryptEncrypt(other, BLOCKS, None, IV) == host_cbc(SECRET, IV, BLOCKS)
    BCryptDestroyKey(other)


@pytest.mark.row("DUP-18")
def test_a_token_that_copies_nothing_shares_the_object_until_the_last_key_is_gone(aes, provider, calls):
    key = BCryptGenerateSymmetricKey(aes, None, SECRET)
    with FaultInjector(provider).fail("C_CopyObject", CKR_FUNCTION_NOT_SUPPORTED):
        copy = BCryptDuplicateKey(key)
        again = BCryptDuplicateKey(copy)
    with calls() as counter:
        BCryptDestroyKey(key)
        BCryptDestroyKey(copy)
    assert counter.names == []
    assert BCryptEncrypt(again, BLOCKS, None, IV) == host_cbc(SECRET, IV, BLOCKS)
    with calls() as counter:
        BCryptDestroyKey(again)
    assert counter.asked == ["C_DestroyObject"]


@pytest.mark.row("DUP-18")
def test_a_duplicate_costs_one_copy_in_the_token_and_stays_as_secret(aes_key, calls):
    with calls() as counter:
        copy = BCryptDuplicateKey(aes_key)
    assert [name for name in counter.asked if name != "C_DestroyObject"] == ["C_CopyObject"]
    with copy:
        names = ("TOKEN", "PRIVATE", "SENSITIVE", "EXTRACTABLE", "ENCRYPT", "DECRYPT", "WRAP", "UNWRAP", "SIGN")
        assert token_attributes(copy, *names) == token_attributes(aes_key, *names)


@pytest.mark.row("DUP-13")
def test_the_running_iv_is_copied_as_it_stands_and_then_runs_apart(aes_key):
    whole = host_cbc(SECRET, bytes(16), BLOCKS)
    assert BCryptEncrypt(aes_key, BLOCKS[:16]) == whole[:16]
    with BCryptDuplicateKey(aes_key) as copy:
        assert BCryptEncrypt(copy, BLOCKS[16:]) == whole[16:]
        assert BCryptEncrypt(aes_key, BLOCKS[16:]) == whole[16:]


@pytest.mark.row("DUP-14")
def test_the_mode_and_iv_of_either_are_its_own(aes_key):
    with BCryptDuplicateKey(aes_key) as copy:
        BCryptSetProperty(copy, BCRYPT_CHAINING_MODE, BCRYPT_CHAIN_MODE_ECB)
        assert BCryptGetProperty(aes_key, BCRYPT_CHAINING_MODE) == BCRYPT_CHAIN_MODE_CBC
        BCryptSetProperty(aes_key, BCRYPT_INITIALIZATION_VECTOR, IV)
        BCryptSetProperty(aes_key, BCRYPT_MESSAGE_BLOCK_LENGTH, 16)
        assert BCryptGetProperty(copy, BCRYPT_MESSAGE_BLOCK_LENGTH) == 1
        assert BCryptEncrypt(aes_key, BLOCKS) == host_cbc(SECRET, IV, BLOCKS)
        assert BCryptEncrypt(copy, BLOCKS) == host_ecb(SECRET, BLOCKS)


@pytest.mark.row("DUP-15")
def test_a_duplicate_of_a_duplicate(aes_key):
    with BCryptDuplicateKey(aes_key) as copy, BCryptDuplicateKey(copy) as again:
        BCryptDestroyKey(copy)
        assert BCryptEncrypt(again, BLOCKS, None, IV) == host_cbc(SECRET, IV, BLOCKS)


@pytest.mark.row("DUP-17")
def test_the_documented_statuses_in_the_order_of_the_checks(aes_key, refuses):
    for key, key_object, flags, status in (
        (None, bytearray(1), 1, NTSTATUS.STATUS_INVALID_HANDLE),
        (aes_key, bytearray(1), 1, NTSTATUS.STATUS_INVALID_PARAMETER),
        (aes_key, bytearray(1), 0, NTSTATUS.STATUS_BUFFER_TOO_SMALL),
    ):
        with refuses(status):
            BCryptDuplicateKey(key, key_object, flags)


@pytest.mark.row("DUP-01")
def test_token_born_imported_and_mac_keys_are_duplicated_too(aes, algorithm):
    hmac = algorithm("SHA256", BCRYPT_ALG_HANDLE_HMAC_FLAG)
    with aes.generate_key(256) as key, BCryptDuplicateKey(key) as copy:
        assert BCryptDecrypt(copy, BCryptEncrypt(key, BLOCKS, None, IV), None, IV) == BLOCKS
    with hmac.generate_key(256) as key:
        copy = BCryptDuplicateKey(key)
        expected = BCryptHash(hmac, key, b"data")
    with copy:
        assert BCryptHash(hmac, copy, b"data") == expected
