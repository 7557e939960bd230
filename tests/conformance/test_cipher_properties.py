"""Properties of ciphers and of their keys: modes, block and key lengths, IVs and tags (section 3 of the reference)."""

from __future__ import annotations

import struct

import pytest
from conformance.helpers import (
    BLOCKS,
    FIXED_CURVES,
    IV,
    SECRET,
    host_cbc,
)
from conformance.test_properties import ALL, MACS, RSA, only, utf16

from hwcng.bcrypt import (
    BCRYPT_AUTH_TAG_LENGTH,
    BCRYPT_AUTH_TAG_LENGTHS_STRUCT,
    BCRYPT_BLOCK_LENGTH,
    BCRYPT_BLOCK_SIZE_LIST,
    BCRYPT_CHAIN_MODE_CBC,
    BCRYPT_CHAIN_MODE_CCM,
    BCRYPT_CHAIN_MODE_CFB,
    BCRYPT_CHAIN_MODE_ECB,
    BCRYPT_CHAIN_MODE_GCM,
    BCRYPT_CHAINING_MODE,
    BCRYPT_INITIALIZATION_VECTOR,
    BCRYPT_KEY_LENGTH,
    BCRYPT_KEY_LENGTHS,
    BCRYPT_KEY_LENGTHS_STRUCT,
    BCRYPT_KEY_STRENGTH,
    BCRYPT_MESSAGE_BLOCK_LENGTH,
    BCryptCreateHash,
    BCryptDestroyKey,
    BCryptEncrypt,
    BCryptGenerateSymmetricKey,
    BCryptGetProperty,
    BCryptSetProperty,
)
from hwcng.errors import NTSTATUS

MODES = (
    BCRYPT_CHAIN_MODE_CBC,
    BCRYPT_CHAIN_MODE_ECB,
    BCRYPT_CHAIN_MODE_CFB,
    BCRYPT_CHAIN_MODE_CCM,
    BCRYPT_CHAIN_MODE_GCM,
)


@pytest.mark.row("3.2 ChainingMode")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("form", [str, utf16, lambda mode: mode + "\0", lambda mode: utf16(mode) + utf16("junk")])
def test_chaining_mode_is_read_up_to_its_nul_whatever_the_size(aes, aes_key, mode, form):
    for handle in (aes, aes_key):
        BCryptSetProperty(handle, BCRYPT_CHAINING_MODE, form(mode))
        assert BCryptGetProperty(handle, BCRYPT_CHAINING_MODE) == mode


@pytest.mark.row("3.2 ChainingMode")
@pytest.mark.parametrize(
    "mode", ["ChainingModeN/A", "ChainingModeXTS", "chainingmodecbc", "CBC", "", "ChainingModeCB", b"CBC", b"\xff"]
)
def test_an_unknown_chaining_mode_is_not_supported_and_changes_nothing(aes, aes_key, refuses, mode):
    for handle in (aes, aes_key):
        with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
            BCryptSetProperty(handle, BCRYPT_CHAINING_MODE, mode)
        assert BCryptGetProperty(handle, BCRYPT_CHAINING_MODE) == BCRYPT_CHAIN_MODE_CBC


@pytest.mark.row("3.2 ChainingMode")
def test_only_ciphers_have_a_chaining_mode(algorithm, pair, refuses):
    only(algorithm, refuses, BCRYPT_CHAINING_MODE, {"AES": BCRYPT_CHAIN_MODE_CBC})
    mac_key = algorithm("AES-CMAC").generate_key(128)
    with BCryptCreateHash(algorithm("SHA256")) as hashing:
        for handle in (*(algorithm(name) for name in ALL if name != "AES"), mac_key, hashing, pair("RSA")):
            with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
                BCryptSetProperty(handle, BCRYPT_CHAINING_MODE, BCRYPT_CHAIN_MODE_CBC)
    BCryptDestroyKey(mac_key)


@pytest.mark.row("3.2 BlockLength")
def test_block_length(algorithm, aes_key, pair, refuses):
    only(algorithm, refuses, BCRYPT_BLOCK_LENGTH, {"AES": 16, "AES-CMAC": 16, "AES-GMAC": 16})
    assert BCryptGetProperty(aes_key, BCRYPT_BLOCK_LENGTH) == 16
    assert BCryptGetProperty(pair("RSA"), BCRYPT_BLOCK_LENGTH) == 128


@pytest.mark.row("3.2 BlockSizeList")
def test_block_size_list(algorithm, refuses):
    only(algorithm, refuses, BCRYPT_BLOCK_SIZE_LIST, {"AES": (16,)})


@pytest.mark.row("3.2 KeyLength")
def test_key_length(algorithm, aes, aes_key, pair, refuses):
    for size in (16, 24, 32):
        with BCryptGenerateSymmetricKey(aes, None, SECRET[:size]) as key:
            assert BCryptGetProperty(key, BCRYPT_KEY_LENGTH) == 8 * size
    for name, (bits, _) in FIXED_CURVES.items():
        assert BCryptGetProperty(pair(name), BCRYPT_KEY_LENGTH) == bits
    only(algorithm, refuses, BCRYPT_KEY_LENGTH, {name: bits for name, (bits, _) in FIXED_CURVES.items()})
    for handle in (aes, algorithm("RSA"), aes_key):
        with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
            BCryptSetProperty(handle, BCRYPT_KEY_LENGTH, 256)


@pytest.mark.row("3.2 KeyLength")
def test_key_length_after_finalize_is_fixed(pair, refuses):
    key = pair("RSA")
    for value in (2048, 512, struct.pack("<I", 2048)):
        with refuses(NTSTATUS.STATUS_INVALID_HANDLE):
            BCryptSetProperty(key, BCRYPT_KEY_LENGTH, value)
    for value in (1024, struct.pack("<I", 1024)):
        BCryptSetProperty(key, BCRYPT_KEY_LENGTH, value)
    assert BCryptGetProperty(key, BCRYPT_KEY_LENGTH) == 1024


@pytest.mark.row("3.2 KeyLengths")
def test_key_lengths(algorithm, refuses):
    lengths = dict.fromkeys(("AES", *MACS), (128, 256, 64)) | dict.fromkeys(RSA, (512, 16384, 64))
    lengths |= {name: (bits, bits, 0) for name, (bits, _) in FIXED_CURVES.items()}
    only(algorithm, refuses, BCRYPT_KEY_LENGTHS, lengths)
    found = BCryptGetProperty(algorithm("AES"), BCRYPT_KEY_LENGTHS)
    assert (found.dwMinLength, found.dwMaxLength, found.dwIncrement) == (128, 256, 64)
    assert isinstance(found, BCRYPT_KEY_LENGTHS_STRUCT)


@pytest.mark.row("3.2 KeyStrength")
def test_key_strength(aes, pair):
    with BCryptGenerateSymmetricKey(aes, None, SECRET[:16]) as key:
        assert BCryptGetProperty(key, BCRYPT_KEY_STRENGTH) == 128
    assert BCryptGetProperty(pair("ECDSA_P256"), BCRYPT_KEY_STRENGTH) == 256
    assert BCryptGetProperty(pair("RSA", 2048), BCRYPT_KEY_STRENGTH) == 2048


@pytest.mark.row("3.2 IV")
def test_the_iv_is_set_and_never_read(aes, aes_key, refuses):
    BCryptSetProperty(aes_key, BCRYPT_INITIALIZATION_VECTOR, IV)
    assert BCryptEncrypt(aes_key, BLOCKS) == host_cbc(SECRET, IV, BLOCKS)
    with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
        BCryptGetProperty(aes_key, BCRYPT_INITIALIZATION_VECTOR)
    with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
        BCryptSetProperty(aes, BCRYPT_INITIALIZATION_VECTOR, IV)


@pytest.mark.row("3.2 IV")
@pytest.mark.parametrize("iv", [b"", IV[:15], IV + b"\0", IV * 2, IV[:8], "x" * 16, 16])
def test_an_iv_of_another_length_changes_nothing(aes_key, refuses, iv):
    BCryptSetProperty(aes_key, BCRYPT_INITIALIZATION_VECTOR, bytearray(IV))
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptSetProperty(aes_key, BCRYPT_INITIALIZATION_VECTOR, iv)
    assert BCryptEncrypt(aes_key, BLOCKS) == host_cbc(SECRET, IV, BLOCKS)


@pytest.mark.row("3.2 IV")
def test_an_asymmetric_key_has_no_iv_and_a_hash_but_gmac_neither(algorithm, pair, refuses):
    for key in (pair("RSA"), pair("ECDSA_P256"), pair("ECDH_P256", finalize=False)):
        with refuses(NTSTATUS.STATUS_INVALID_HANDLE):
            BCryptSetProperty(key, BCRYPT_INITIALIZATION_VECTOR, IV)
    with (
        BCryptCreateHash(algorithm("SHA256")) as hashing,
        BCryptCreateHash(algorithm("AES-CMAC"), None, SECRET) as cmac,
        algorithm("AES-CMAC").generate_key(128) as mac_key,
    ):
        for handle in (hashing, cmac, mac_key):
            with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
                BCryptSetProperty(handle, BCRYPT_INITIALIZATION_VECTOR, IV)


@pytest.mark.row("3.2 AuthTagLength")
def test_auth_tag_length_is_of_an_algorithm_in_an_authenticated_mode(algorithm, aes_key, refuses):
    for mode, lengths in ((BCRYPT_CHAIN_MODE_GCM, (12, 16, 1)), (BCRYPT_CHAIN_MODE_CCM, (4, 16, 2))):
        handle = algorithm("AES", properties={BCRYPT_CHAINING_MODE: mode})
        found = BCryptGetProperty(handle, BCRYPT_AUTH_TAG_LENGTH)
        assert found == lengths
        assert isinstance(found, BCRYPT_AUTH_TAG_LENGTHS_STRUCT)
        with BCryptGenerateSymmetricKey(handle, None, SECRET) as key, refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
            BCryptGetProperty(key, BCRYPT_AUTH_TAG_LENGTH)
    for mode in (BCRYPT_CHAIN_MODE_CBC, BCRYPT_CHAIN_MODE_ECB, BCRYPT_CHAIN_MODE_CFB):
        handle = algorithm("AES", properties={BCRYPT_CHAINING_MODE: mode})
        with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
            BCryptGetProperty(handle, BCRYPT_AUTH_TAG_LENGTH)
    only(algorithm, refuses, BCRYPT_AUTH_TAG_LENGTH, {})


@pytest.mark.row("3.2 MessageBlockLength")
def test_message_block_length_is_cfbs_feedback(aes, aes_key, algorithm, refuses):
    only(algorithm, refuses, BCRYPT_MESSAGE_BLOCK_LENGTH, {"AES": 1})
    assert BCryptGetProperty(aes_key, BCRYPT_MESSAGE_BLOCK_LENGTH) == 1
    BCryptSetProperty(aes_key, BCRYPT_CHAINING_MODE, BCRYPT_CHAIN_MODE_CFB)
    cfb8 = BCryptEncrypt(aes_key, BLOCKS, None, IV)
    for value in (16, struct.pack("<I", 16)):
        BCryptSetProperty(aes_key, BCRYPT_MESSAGE_BLOCK_LENGTH, value)
        assert BCryptGetProperty(aes_key, BCRYPT_MESSAGE_BLOCK_LENGTH) == 16
    assert BCryptEncrypt(aes_key, BLOCKS, None, IV) != cfb8
    for value in (0, 2, 8, 15, 17, 32, b"\x10\0\0", "16"):
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            BCryptSetProperty(aes_key, BCRYPT_MESSAGE_BLOCK_LENGTH, value)
    assert BCryptGetProperty(aes_key, BCRYPT_MESSAGE_BLOCK_LENGTH) == 16
    for value in (1, 16):
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            BCryptSetProperty(aes, BCRYPT_MESSAGE_BLOCK_LENGTH, value)
    with algorithm("AES-CMAC").generate_key(128) as mac_key:
        for handle in (mac_key, algorithm("RSA"), algorithm("SHA256")):
            with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
                BCryptSetProperty(handle, BCRYPT_MESSAGE_BLOCK_LENGTH, 16)
