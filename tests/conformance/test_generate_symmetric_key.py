"""BCryptGenerateSymmetricKey: rows GSK of the reference."""

from __future__ import annotations

from array import array

import pytest
from conformance.helpers import BLOCKS, IV, SECRET, host_cbc, host_ecb, refused, token_attributes

from hwcng.bcrypt import (
    BCRYPT_AES_CBC_ALG_HANDLE,
    BCRYPT_AES_CCM_ALG_HANDLE,
    BCRYPT_AES_CFB_ALG_HANDLE,
    BCRYPT_AES_ECB_ALG_HANDLE,
    BCRYPT_AES_GCM_ALG_HANDLE,
    BCRYPT_CHAIN_MODE_CBC,
    BCRYPT_CHAIN_MODE_CCM,
    BCRYPT_CHAIN_MODE_CFB,
    BCRYPT_CHAIN_MODE_ECB,
    BCRYPT_CHAIN_MODE_GCM,
    BCRYPT_CHAINING_MODE,
    BCRYPT_HMAC_SHA256_ALG_HANDLE,
    BCRYPT_KEY_DATA_BLOB,
    BCRYPT_KEY_LENGTH,
    BCRYPT_MESSAGE_BLOCK_LENGTH,
    BCRYPT_OBJECT_LENGTH,
    BCRYPT_RNG_ALG_HANDLE,
    BCRYPT_RSA_ALG_HANDLE,
    BCryptCloseAlgorithmProvider,
    BCryptDecrypt,
    BCryptDestroyKey,
    BCryptDuplicateKey,
    BCryptEncrypt,
    BCryptExportKey,
    BCryptFinalizeKeyPair,
    BCryptGenerateSymmetricKey,
    BCryptGetProperty,
    BCryptSecretAgreement,
    BCryptSetProperty,
    BCryptSignHash,
    BCryptVerifySignature,
)
from hwcng.errors import NTSTATUS, CngError
from hwcng.testing.faults import FaultInjector

OBJECT_LENGTH = 654
CKR_KEY_SIZE_RANGE = 0x62
CKR_ATTRIBUTE_VALUE_INVALID = 0x13
CKR_DEVICE_MEMORY = 0x31


@pytest.mark.row("GSK-01", "GSK-02", "GSK-09", "GSK-14", "GSK-18", "GSK-20")
@pytest.mark.parametrize("size", [16, 24, 32])
def test_the_key_is_the_callers_bytes_in_their_order(aes, size):
    with BCryptGenerateSymmetricKey(aes, None, SECRET[:size]) as key:
        assert BCryptGetProperty(key, BCRYPT_KEY_LENGTH) == 8 * size
        assert BCryptEncrypt(key, BLOCKS, None, IV) == host_cbc(SECRET[:size], IV, BLOCKS)


@pytest.mark.row("GSK-01", "GSK-32")
def test_one_call_creates_the_object_and_nothing_random_is_asked_for(aes, calls):
    with calls() as counter:
        key = BCryptGenerateSymmetricKey(aes, None, SECRET)
    assert [name for name in counter.asked if name != "C_DestroyObject"] == ["C_CreateObject"]
    BCryptDestroyKey(key)


@pytest.mark.row("GSK-32")
def test_the_secret_lives_in_the_session_only_and_stays_in_the_token(aes_key):
    found = token_attributes(aes_key, "TOKEN", "PRIVATE", "SENSITIVE", "EXTRACTABLE", "VALUE")
    assert found == [b"\0", b"\1", b"\1", b"\0", None]


@pytest.mark.row("GSK-32")
@pytest.mark.parametrize("answer", [CKR_KEY_SIZE_RANGE, CKR_ATTRIBUTE_VALUE_INVALID])
def test_a_size_that_the_token_refuses_is_not_supported(aes, provider, answer):
    with FaultInjector(provider).fail("C_CreateObject", answer), refused(NTSTATUS.STATUS_NOT_SUPPORTED) as error:
        BCryptGenerateSymmetricKey(aes, None, SECRET)
    assert error.value.token_code == answer


@pytest.mark.row("GSK-03")
@pytest.mark.parametrize(
    ("handle", "mode"),
    [
        (BCRYPT_AES_CBC_ALG_HANDLE, BCRYPT_CHAIN_MODE_CBC),
        (BCRYPT_AES_ECB_ALG_HANDLE, BCRYPT_CHAIN_MODE_ECB),
        (BCRYPT_AES_CFB_ALG_HANDLE, BCRYPT_CHAIN_MODE_CFB),
        (BCRYPT_AES_CCM_ALG_HANDLE, BCRYPT_CHAIN_MODE_CCM),
        (BCRYPT_AES_GCM_ALG_HANDLE, BCRYPT_CHAIN_MODE_GCM),
    ],
)
def test_a_pseudo_handle_gives_the_key_its_chaining_mode(default_provider, handle, mode):
    with BCryptGenerateSymmetricKey(handle, None, SECRET[:16]) as key:
        assert BCryptGetProperty(key, BCRYPT_CHAINING_MODE) == mode
        assert BCryptGetProperty(key, BCRYPT_KEY_LENGTH) == 128


@pytest.mark.row("GSK-03")
def test_a_key_of_a_pseudo_handle_may_change_its_mode(default_provider):
    with BCryptGenerateSymmetricKey(BCRYPT_AES_GCM_ALG_HANDLE, None, SECRET) as key:
        BCryptSetProperty(key, BCRYPT_CHAINING_MODE, BCRYPT_CHAIN_MODE_ECB)
        assert BCryptEncrypt(key, BLOCKS) == host_ecb(SECRET, BLOCKS)


@pytest.mark.row("GSK-05", "GSK-25")
@pytest.mark.parametrize(
    "name", ["RSA", "RSA_SIGN", "ECDSA_P256", "ECDH_P521", "ECDSA", "ECDH", "SHA256", "AES-CMAC", "AES-GMAC", "RNG"]
)
def test_an_algorithm_without_cipher_keys_is_a_wrong_parameter(algorithm, refuses, name):
    handle = algorithm(name)
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptGenerateSymmetricKey(handle, None, SECRET)


@pytest.mark.row("GSK-05")
@pytest.mark.parametrize("handle", [BCRYPT_HMAC_SHA256_ALG_HANDLE, BCRYPT_RSA_ALG_HANDLE, BCRYPT_RNG_ALG_HANDLE])
def test_a_pseudo_handle_of_another_class_is_a_wrong_parameter_too(default_provider, refuses, handle):
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptGenerateSymmetricKey(handle, None, SECRET)


@pytest.mark.row("GSK-07")
@pytest.mark.parametrize(
    ("size", "room", "status"),
    [
        (17, OBJECT_LENGTH, NTSTATUS.STATUS_INVALID_PARAMETER),
        (0, OBJECT_LENGTH, NTSTATUS.STATUS_INVALID_PARAMETER),
        (16, OBJECT_LENGTH - 1, NTSTATUS.STATUS_BUFFER_TOO_SMALL),
    ],
)
def test_a_failure_leaves_the_callers_buffers_as_they_were(aes, refuses, size, room, status):
    secret, key_object = bytearray(SECRET[:size]), bytearray(b"\x5a" * room)
    with refuses(status):
        BCryptGenerateSymmetricKey(aes, key_object, secret)
    assert secret == SECRET[:size]
    assert key_object == b"\x5a" * room


@pytest.mark.row("GSK-07", "GSK-12")
@pytest.mark.parametrize("answer", [CKR_KEY_SIZE_RANGE, CKR_DEVICE_MEMORY])
def test_a_failure_in_the_token_lets_go_of_the_key_object_at_once(aes, provider, answer):
    key_object = bytearray(OBJECT_LENGTH)
    with FaultInjector(provider).fail("C_CreateObject", answer), pytest.raises(CngError) as error:
        BCryptGenerateSymmetricKey(aes, key_object, SECRET)
    # The error, with the frames it holds, is still alive here.
    key_object.append(0)
    assert error.value.token_code == answer


@pytest.mark.row("GSK-08")
def test_destroying_ends_the_key_here_and_in_the_token(aes, calls):
    key = BCryptGenerateSymmetricKey(aes, None, SECRET)
    with calls() as counter:
        BCryptDestroyKey(key)
    assert counter.asked == ["C_DestroyObject"]
    with refused(NTSTATUS.STATUS_INVALID_HANDLE):
        BCryptEncrypt(key, BLOCKS, None, IV)


@pytest.mark.row("GSK-10", "GSK-11")
@pytest.mark.parametrize("missing", [1, 16, OBJECT_LENGTH - 1])
def test_a_key_object_shorter_than_the_algorithms_object_length_is_too_small(aes, refuses, missing):
    needed = BCryptGetProperty(aes, BCRYPT_OBJECT_LENGTH)
    with refuses(NTSTATUS.STATUS_BUFFER_TOO_SMALL):
        BCryptGenerateSymmetricKey(aes, bytearray(needed - missing), SECRET)


@pytest.mark.row("GSK-13")
def test_a_key_object_of_no_bytes_is_too_small(aes, refuses):
    with refuses(NTSTATUS.STATUS_BUFFER_TOO_SMALL):
        BCryptGenerateSymmetricKey(aes, bytearray(), SECRET)


@pytest.mark.row("GSK-10")
@pytest.mark.parametrize("key_object", [bytes(OBJECT_LENGTH), memoryview(bytes(OBJECT_LENGTH)), "x" * 700, 700])
def test_a_key_object_that_cannot_be_written_is_a_wrong_parameter(aes, refuses, key_object):
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptGenerateSymmetricKey(aes, key_object, SECRET)


@pytest.mark.row("GSK-12")
@pytest.mark.parametrize("spare", [0, 1, 1000])
def test_the_key_object_is_held_until_the_key_is_destroyed_and_never_written(aes, spare):
    key_object = bytearray(b"\x5a" * (BCryptGetProperty(aes, BCRYPT_OBJECT_LENGTH) + spare))
    before = bytes(key_object)
    key = BCryptGenerateSymmetricKey(aes, key_object, SECRET)
    with pytest.raises(BufferError):
        key_object.append(0)
    assert BCryptEncrypt(key, BLOCKS, None, IV) == host_cbc(SECRET, IV, BLOCKS)
    assert key_object == before
    BCryptDestroyKey(key)
    assert key_object == before
    key_object.append(0)


@pytest.mark.row("GSK-12")
def test_any_writable_buffer_is_a_key_object_measured_in_bytes(aes):
    for key_object in (memoryview(bytearray(OBJECT_LENGTH)), array("Q", bytes(8 * 82))):
        with BCryptGenerateSymmetricKey(aes, key_object, SECRET) as key:
            assert BCryptEncrypt(key, BLOCKS, None, IV) == host_cbc(SECRET, IV, BLOCKS)


@pytest.mark.row("GSK-15")
@pytest.mark.parametrize("size", [33, 40, 64, 4096])
def test_a_secret_longer_than_the_longest_key_is_cut(aes, size):
    with BCryptGenerateSymmetricKey(aes, None, SECRET + bytes(size - 32)) as key:
        assert BCryptGetProperty(key, BCRYPT_KEY_LENGTH) == 256
        assert BCryptEncrypt(key, BLOCKS, None, IV) == host_cbc(SECRET, IV, BLOCKS)


@pytest.mark.row("GSK-16", "GSK-17")
@pytest.mark.parametrize("size", [size for size in range(32) if size not in (16, 24)])
def test_a_secret_of_any_other_length_is_refused_not_cut(aes, refuses, size):
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptGenerateSymmetricKey(aes, None, SECRET[:size])


@pytest.mark.row("GSK-17")
@pytest.mark.parametrize("secret", [None, "sixteen letters.", 16, [0] * 16])
def test_what_is_no_buffer_is_no_secret(aes, refuses, secret):
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptGenerateSymmetricKey(aes, None, secret)


@pytest.mark.row("GSK-21")
@pytest.mark.parametrize("flags", [0x1, 0x20, 0x80000000, 0xFFFFFFFF, -1])
def test_no_flag_is_defined(aes, refuses, flags):
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptGenerateSymmetricKey(aes, None, SECRET, flags)


@pytest.mark.row("GSK-22")
def test_the_key_inherits_the_mode_of_this_moment(aes):
    BCryptSetProperty(aes, BCRYPT_CHAINING_MODE, BCRYPT_CHAIN_MODE_ECB)
    with BCryptGenerateSymmetricKey(aes, None, SECRET) as earlier:
        BCryptSetProperty(aes, BCRYPT_CHAINING_MODE, BCRYPT_CHAIN_MODE_CFB)
        with BCryptGenerateSymmetricKey(aes, None, SECRET) as later:
            assert BCryptGetProperty(earlier, BCRYPT_CHAINING_MODE) == BCRYPT_CHAIN_MODE_ECB
            assert BCryptEncrypt(earlier, BLOCKS) == host_ecb(SECRET, BLOCKS)
            assert BCryptGetProperty(later, BCRYPT_CHAINING_MODE) == BCRYPT_CHAIN_MODE_CFB
            assert BCryptGetProperty(later, BCRYPT_MESSAGE_BLOCK_LENGTH) == 1


@pytest.mark.row("GSK-23")
def test_the_running_iv_starts_as_zeros(aes_key):
    assert BCryptEncrypt(aes_key, BLOCKS) == host_cbc(SECRET, bytes(16), BLOCKS)


@pytest.mark.row("GSK-24")
def test_the_key_outlives_its_algorithm_handle(algorithm):
    handle = algorithm("AES")
    with BCryptGenerateSymmetricKey(handle, None, SECRET) as key:
        BCryptCloseAlgorithmProvider(handle)
        assert BCryptEncrypt(key, BLOCKS, None, IV) == host_cbc(SECRET, IV, BLOCKS)
        with BCryptDuplicateKey(key) as copy:
            assert BCryptEncrypt(copy, BLOCKS, None, IV) == host_cbc(SECRET, IV, BLOCKS)


@pytest.mark.row("GSK-29", "GSK-31")
@pytest.mark.parametrize(
    ("name", "secret", "room", "flags", "status"),
    [
        (None, None, 1, 1, NTSTATUS.STATUS_INVALID_HANDLE),
        ("RSA", SECRET, OBJECT_LENGTH, 0, NTSTATUS.STATUS_INVALID_PARAMETER),
        ("AES", SECRET[:17], 1, 0, NTSTATUS.STATUS_INVALID_PARAMETER),
        ("AES", SECRET, 1, 0, NTSTATUS.STATUS_BUFFER_TOO_SMALL),
        ("AES", SECRET, 1, 1, NTSTATUS.STATUS_INVALID_PARAMETER),
    ],
)
def test_the_checks_come_as_handle_class_flags_length_object(algorithm, refuses, name, secret, room, flags, status):
    handle = algorithm(name) if name else None
    with refuses(status):
        BCryptGenerateSymmetricKey(handle, bytearray(room), secret, flags)


@pytest.mark.row("GSK-30")
@pytest.mark.parametrize("kind", [bytearray, lambda secret: memoryview(bytearray(secret))])
def test_the_secret_is_copied_and_may_be_wiped_at_once(aes, kind):
    secret = kind(SECRET)
    with BCryptGenerateSymmetricKey(aes, None, secret) as key:
        assert secret == SECRET
        secret[:] = bytes(len(SECRET))
        assert BCryptEncrypt(key, BLOCKS, None, IV) == host_cbc(SECRET, IV, BLOCKS)


@pytest.mark.row("GSK-30")
def test_the_library_keeps_no_copy_of_the_secret(aes, exporting_aes):
    import gc

    marker = bytes.fromhex("c0ffee0ddba11feed5ca1ab1e0ddc0de") + bytes(reversed(range(16)))
    for handle in (aes, exporting_aes):
        with BCryptGenerateSymmetricKey(handle, None, bytearray(marker)) as key:
            assert marker.hex() not in repr(key)
            held = gc.get_referents(key, key.__dict__, key.token_key, key.token_key.__dict__)
            assert not [found for found in held if isinstance(found, (bytes, bytearray)) and marker in bytes(found)]


@pytest.mark.row("GSK-33")
def test_the_key_serves_every_symmetric_call_and_no_asymmetric_one(aes_key, pair, refuses):
    assert BCryptDecrypt(aes_key, BCryptEncrypt(aes_key, BLOCKS, None, IV), None, IV) == BLOCKS
    BCryptDestroyKey(BCryptDuplicateKey(aes_key))
    BCryptSetProperty(aes_key, BCRYPT_CHAINING_MODE, BCRYPT_CHAIN_MODE_CFB)
    assert BCryptGetProperty(aes_key, BCRYPT_CHAINING_MODE) == BCRYPT_CHAIN_MODE_CFB
    with refused(NTSTATUS.STATUS_NOT_SUPPORTED):
        BCryptExportKey(aes_key, None, BCRYPT_KEY_DATA_BLOB)
    ecdh = pair("ECDH_P256")
    for call in (
        lambda: BCryptSignHash(aes_key, None, bytes(32)),
        lambda: BCryptVerifySignature(aes_key, None, bytes(32), bytes(64)),
        lambda: BCryptSecretAgreement(aes_key, ecdh),
        lambda: BCryptSecretAgreement(ecdh, aes_key),
        lambda: BCryptFinalizeKeyPair(aes_key),
    ):
        with refuses(NTSTATUS.STATUS_INVALID_HANDLE):
            call()


def test_a_token_born_key_needs_no_secret_and_keeps_the_same_rules(aes, refuses):
    for bits in (128, 192, 256):
        with aes.generate_key(bits) as key:
            assert BCryptGetProperty(key, BCRYPT_KEY_LENGTH) == bits
            assert BCryptDecrypt(key, BCryptEncrypt(key, BLOCKS, None, IV), None, IV) == BLOCKS
    for bits in (0, 64, 127, 129, 320):
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            aes.generate_key(bits)
    with refuses(NTSTATUS.STATUS_BUFFER_TOO_SMALL):
        aes.generate_key(256, key_object=bytearray(OBJECT_LENGTH - 1))
