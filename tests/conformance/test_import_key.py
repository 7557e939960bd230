"""BCryptImportKey: rows IMP of the reference."""

from __future__ import annotations

import struct

import pytest
from conformance.helpers import BLOCKS, IV, SECRET, host_cbc, host_ecb, key_data_blob, refused, token_attributes
from cryptography.hazmat.primitives.keywrap import aes_key_wrap

from hwcng.bcrypt import (
    BCRYPT_AES_CBC_ALG_HANDLE,
    BCRYPT_AES_ECB_ALG_HANDLE,
    BCRYPT_AES_GCM_ALG_HANDLE,
    BCRYPT_AES_WRAP_KEY_BLOB,
    BCRYPT_ALG_HANDLE_HMAC_FLAG,
    BCRYPT_CHAIN_MODE_CBC,
    BCRYPT_CHAIN_MODE_ECB,
    BCRYPT_CHAIN_MODE_GCM,
    BCRYPT_CHAINING_MODE,
    BCRYPT_ECCPUBLIC_BLOB,
    BCRYPT_KEY_DATA_BLOB,
    BCRYPT_KEY_LENGTH,
    BCRYPT_OPAQUE_KEY_BLOB,
    BCRYPT_PRIVATE_KEY_BLOB,
    BCRYPT_PUBLIC_KEY_BLOB,
    BCRYPT_RSAPRIVATE_BLOB,
    BCRYPT_RSAPUBLIC_BLOB,
    NCRYPT_ALLOW_EXPORT_FLAG,
    NCRYPT_EXPORT_POLICY_PROPERTY,
    BCryptDestroyKey,
    BCryptDuplicateKey,
    BCryptEncrypt,
    BCryptExportKey,
    BCryptGenerateSymmetricKey,
    BCryptGetProperty,
    BCryptImportKey,
    BCryptSetProperty,
)
from hwcng.contract.usage import Usage
from hwcng.errors import NTSTATUS, CngError

OBJECT_LENGTH = 654
KEK = bytes(range(0xC0, 0xE0))
WRAPPED = aes_key_wrap(KEK, SECRET)


@pytest.fixture
def kek(aes):
    with BCryptGenerateSymmetricKey(aes, None, KEK) as key:
        yield key


@pytest.fixture
def opaque(exporting_aes):
    with BCryptGenerateSymmetricKey(exporting_aes, None, SECRET) as key:
        return BCryptExportKey(key, None, BCRYPT_OPAQUE_KEY_BLOB)


@pytest.mark.row("IMP-01", "IMP-07", "IMP-13", "IMP-14")
@pytest.mark.parametrize("size", [16, 24, 32])
def test_a_key_data_blob(aes, size):
    key = BCryptImportKey(aes, None, BCRYPT_KEY_DATA_BLOB, None, key_data_blob(SECRET[:size]))
    assert BCryptGetProperty(key, BCRYPT_KEY_LENGTH) == 8 * size
    assert BCryptEncrypt(key, BLOCKS, None, IV) == host_cbc(SECRET[:size], IV, BLOCKS)
    BCryptDestroyKey(key)
    with refused(NTSTATUS.STATUS_INVALID_HANDLE):
        BCryptDestroyKey(key)


@pytest.mark.row("IMP-01", "IMP-11")
@pytest.mark.parametrize(
    "blob_type",
    [
        BCRYPT_RSAPUBLIC_BLOB,
        BCRYPT_RSAPRIVATE_BLOB,
        BCRYPT_ECCPUBLIC_BLOB,
        BCRYPT_PUBLIC_KEY_BLOB,
        BCRYPT_PRIVATE_KEY_BLOB,
        "keydatablob",
        "",
        "no such blob",
    ],
)
def test_another_blob_type_is_not_supported(aes, kek, refuses, blob_type):
    with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
        BCryptImportKey(aes, kek, blob_type, None, key_data_blob(SECRET))


@pytest.mark.row("IMP-02", "IMP-16")
@pytest.mark.parametrize(
    ("handle", "mode"),
    [
        (BCRYPT_AES_CBC_ALG_HANDLE, BCRYPT_CHAIN_MODE_CBC),
        (BCRYPT_AES_ECB_ALG_HANDLE, BCRYPT_CHAIN_MODE_ECB),
        (BCRYPT_AES_GCM_ALG_HANDLE, BCRYPT_CHAIN_MODE_GCM),
    ],
)
def test_pseudo_handles_work_and_give_the_mode(default_provider, kek, handle, mode):
    for importing, blob_type, blob in (
        (None, BCRYPT_KEY_DATA_BLOB, key_data_blob(SECRET)),
        (kek, BCRYPT_AES_WRAP_KEY_BLOB, WRAPPED),
    ):
        with BCryptImportKey(handle, importing, blob_type, None, blob) as key:
            assert BCryptGetProperty(key, BCRYPT_CHAINING_MODE) == mode


@pytest.mark.row("IMP-16")
def test_the_mode_is_that_of_the_algorithm_handle(aes, kek, opaque):
    BCryptSetProperty(aes, BCRYPT_CHAINING_MODE, BCRYPT_CHAIN_MODE_ECB)
    for importing, blob_type, blob in (
        (None, BCRYPT_KEY_DATA_BLOB, key_data_blob(SECRET)),
        (kek, BCRYPT_AES_WRAP_KEY_BLOB, WRAPPED),
        (None, BCRYPT_OPAQUE_KEY_BLOB, opaque),
    ):
        with BCryptImportKey(aes, importing, blob_type, None, blob) as key:
            assert BCryptEncrypt(key, BLOCKS) == host_ecb(SECRET, BLOCKS)


@pytest.mark.row("IMP-03", "IMP-06")
@pytest.mark.parametrize("size", [16, 24, 32])
@pytest.mark.parametrize("kek_size", [16, 24, 32])
def test_a_wrapped_key_is_undone_inside_the_token(aes, calls, size, kek_size):
    blob = aes_key_wrap(KEK[:kek_size], SECRET[:size])
    assert len(blob) == size + 8
    with BCryptGenerateSymmetricKey(aes, None, KEK[:kek_size]) as kek:
        with calls() as counter:
            key = BCryptImportKey(aes, kek, BCRYPT_AES_WRAP_KEY_BLOB, None, blob)
        assert [name for name in counter.asked if name != "C_DestroyObject"] == ["C_UnwrapKey", "C_GetAttributeValue"]
    with key:
        assert BCryptGetProperty(key, BCRYPT_KEY_LENGTH) == 8 * size
        assert BCryptEncrypt(key, BLOCKS, None, IV) == host_cbc(SECRET[:size], IV, BLOCKS)
        found = token_attributes(key, "TOKEN", "PRIVATE", "SENSITIVE", "EXTRACTABLE", "VALUE")
        assert found == [b"\0", b"\1", b"\1", b"\0", None]


@pytest.mark.row("IMP-03", "IMP-06")
def test_the_key_of_the_wrapping_may_be_token_born(aes, exporting_aes):
    with aes.generate_key(256) as kek, BCryptGenerateSymmetricKey(exporting_aes, None, SECRET) as key:
        blob = BCryptExportKey(key, kek, BCRYPT_AES_WRAP_KEY_BLOB)
        with BCryptImportKey(aes, kek, BCRYPT_AES_WRAP_KEY_BLOB, None, blob) as again:
            assert BCryptEncrypt(again, BLOCKS, None, IV) == host_cbc(SECRET, IV, BLOCKS)


@pytest.mark.row("IMP-04")
def test_a_wrapping_key_is_ignored_where_the_blob_needs_none(aes, kek, pair, opaque):
    destroyed = BCryptDuplicateKey(kek)
    BCryptDestroyKey(destroyed)
    for ignored in (kek, destroyed, pair("ECDH_P256"), object()):
        for blob_type, blob in ((BCRYPT_KEY_DATA_BLOB, key_data_blob(SECRET)), (BCRYPT_OPAQUE_KEY_BLOB, opaque)):
            with BCryptImportKey(aes, ignored, blob_type, None, blob) as key:
                assert BCryptEncrypt(key, BLOCKS, None, IV) == host_cbc(SECRET, IV, BLOCKS)


@pytest.mark.row("IMP-05")
def test_a_wrapped_key_needs_its_wrapping_key(aes, refuses):
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptImportKey(aes, None, BCRYPT_AES_WRAP_KEY_BLOB, None, WRAPPED)


@pytest.mark.row("IMP-06")
@pytest.mark.parametrize("size", [0, 1, 8, 16, 23, 25, 31, 33, 39, 41, 48, 72])
def test_a_wrapped_key_of_a_length_that_no_aes_key_has(aes, kek, refuses, size):
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptImportKey(aes, kek, BCRYPT_AES_WRAP_KEY_BLOB, None, (WRAPPED * 2)[:size])


@pytest.mark.row("IMP-06", "IMP-13")
@pytest.mark.parametrize("position", range(len(WRAPPED)))
def test_a_flipped_bit_in_a_wrapped_key_is_a_wrong_parameter(aes, kek, position):
    blob = bytearray(WRAPPED)
    blob[position] ^= 1 << position % 8
    with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptImportKey(aes, kek, BCRYPT_AES_WRAP_KEY_BLOB, None, blob)
    assert BCryptEncrypt(kek, BLOCKS, None, IV) == host_cbc(KEK, IV, BLOCKS)


@pytest.mark.row("IMP-06", "IMP-13")
def test_the_wrong_wrapping_key_is_a_wrong_parameter_and_lets_go_of_the_key_object(aes, aes_key):
    key_object = bytearray(OBJECT_LENGTH)
    with pytest.raises(CngError) as error:
        BCryptImportKey(aes, aes_key, BCRYPT_AES_WRAP_KEY_BLOB, key_object, WRAPPED)
    key_object.append(0)
    assert error.value.status is NTSTATUS.STATUS_INVALID_PARAMETER


@pytest.mark.row("IMP-06")
def test_the_wrapping_key_must_be_an_aes_cipher_key(algorithm, aes, refuses):
    for handle in (algorithm("SHA256", BCRYPT_ALG_HANDLE_HMAC_FLAG), algorithm("AES-CMAC"), algorithm("AES-GMAC")):
        with handle.generate_key(256) as mac_key, refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            BCryptImportKey(aes, mac_key, BCRYPT_AES_WRAP_KEY_BLOB, None, WRAPPED)


@pytest.mark.row("IMP-06")
def test_a_wrapping_key_without_the_right_to_unwrap_is_not_supported(aes):
    with aes.generate_key(256, usage=Usage.ENCRYPT) as kek, refused(NTSTATUS.STATUS_NOT_SUPPORTED):
        BCryptImportKey(aes, kek, BCRYPT_AES_WRAP_KEY_BLOB, None, WRAPPED)


@pytest.mark.row("IMP-08")
@pytest.mark.parametrize("size", range(12))
def test_a_key_data_blob_shorter_than_its_header(aes, refuses, size):
    with refuses(NTSTATUS.STATUS_BUFFER_TOO_SMALL):
        BCryptImportKey(aes, None, BCRYPT_KEY_DATA_BLOB, None, key_data_blob(SECRET)[:size])


@pytest.mark.row("IMP-08")
@pytest.mark.parametrize(
    "blob",
    [
        key_data_blob(SECRET, magic=b"MBDK"),
        key_data_blob(SECRET, magic=b"KDBN"),
        key_data_blob(SECRET, version=0),
        key_data_blob(SECRET, version=2),
        key_data_blob(SECRET, length=33),
        key_data_blob(SECRET, length=0xFFFFFFF4),
        key_data_blob(SECRET, length=0xFFFFFFFF),
        key_data_blob(SECRET)[:-1],
        key_data_blob(b"", length=16),
    ],
)
def test_a_malformed_key_data_blob(aes, refuses, blob):
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptImportKey(aes, None, BCRYPT_KEY_DATA_BLOB, None, blob)


@pytest.mark.row("IMP-08")
def test_bytes_after_the_key_are_tolerated(aes):
    blob = key_data_blob(SECRET[:16]) + b"trailing"
    with BCryptImportKey(aes, None, BCRYPT_KEY_DATA_BLOB, None, blob) as key:
        assert BCryptGetProperty(key, BCRYPT_KEY_LENGTH) == 128
        assert BCryptEncrypt(key, BLOCKS, None, IV) == host_cbc(SECRET[:16], IV, BLOCKS)


@pytest.mark.row("IMP-09")
@pytest.mark.parametrize("size", [0, 1, 8, 15, 17, 20, 23, 25, 31])
def test_a_key_data_blob_of_a_wrong_key_length(aes, refuses, size):
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptImportKey(aes, None, BCRYPT_KEY_DATA_BLOB, None, key_data_blob(SECRET[:size]))


@pytest.mark.row("IMP-09")
@pytest.mark.parametrize("size", [33, 40, 64])
def test_an_over_long_key_data_blob_is_cut(aes, size):
    blob = key_data_blob(SECRET + bytes(size - 32))
    with BCryptImportKey(aes, None, BCRYPT_KEY_DATA_BLOB, None, blob) as key:
        assert BCryptGetProperty(key, BCRYPT_KEY_LENGTH) == 256
        assert BCryptEncrypt(key, BLOCKS, None, IV) == host_cbc(SECRET, IV, BLOCKS)


@pytest.mark.row("IMP-10")
def test_an_opaque_blob_comes_back_in_the_token_that_made_it(aes, opaque):
    assert SECRET not in opaque
    assert SECRET[:16] not in opaque
    with BCryptImportKey(aes, None, BCRYPT_OPAQUE_KEY_BLOB, None, opaque) as key:
        assert BCryptGetProperty(key, BCRYPT_KEY_LENGTH) == 256
        assert BCryptEncrypt(key, BLOCKS, None, IV) == host_cbc(SECRET, IV, BLOCKS)
        assert token_attributes(key, "TOKEN", "SENSITIVE", "VALUE") == [b"\0", b"\1", None]


@pytest.mark.row("IMP-10")
def test_another_providers_opaque_blob_is_a_wrong_parameter(algorithm, other_provider, opaque):
    elsewhere = algorithm("AES", of=other_provider)
    with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptImportKey(elsewhere, None, BCRYPT_OPAQUE_KEY_BLOB, None, opaque)


@pytest.mark.row("IMP-10", "IMP-13")
def test_a_flipped_bit_anywhere_in_an_opaque_blob_is_a_wrong_parameter(aes, opaque):
    for position in range(len(opaque)):
        blob = bytearray(opaque)
        blob[position] ^= 1 << position % 8
        key_object = bytearray(OBJECT_LENGTH)
        with pytest.raises(CngError) as error:
            BCryptImportKey(aes, None, BCRYPT_OPAQUE_KEY_BLOB, key_object, blob)
        key_object.append(0)
        assert error.value.status is NTSTATUS.STATUS_INVALID_PARAMETER, position


@pytest.mark.row("IMP-10")
def test_an_opaque_blob_cut_or_lengthened_is_a_wrong_parameter(aes, opaque):
    for blob in (*(opaque[:size] for size in range(0, len(opaque), 7)), opaque[:-1], opaque + b"\0", opaque[1:]):
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            BCryptImportKey(aes, None, BCRYPT_OPAQUE_KEY_BLOB, None, blob)


@pytest.mark.row("IMP-10")
def test_an_opaque_blob_of_a_pair_is_no_symmetric_key(aes, pair):
    key = pair("ECDSA_P256", properties={NCRYPT_EXPORT_POLICY_PROPERTY: NCRYPT_ALLOW_EXPORT_FLAG})
    blob = BCryptExportKey(key, None, BCRYPT_OPAQUE_KEY_BLOB)
    with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptImportKey(aes, None, BCRYPT_OPAQUE_KEY_BLOB, None, blob)


@pytest.mark.row("IMP-12")
@pytest.mark.parametrize("blob_type", [None, 1, b"KeyDataBlob"])
def test_the_blob_type_is_a_string(aes, refuses, blob_type):
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptImportKey(aes, None, blob_type, None, key_data_blob(SECRET))


@pytest.mark.row("IMP-12")
@pytest.mark.parametrize("blob_type", [BCRYPT_KEY_DATA_BLOB, BCRYPT_AES_WRAP_KEY_BLOB, BCRYPT_OPAQUE_KEY_BLOB])
@pytest.mark.parametrize("blob", [None, "text", 40])
def test_the_blob_is_a_buffer(aes, kek, refuses, blob_type, blob):
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptImportKey(aes, kek, blob_type, None, blob)


@pytest.mark.row("IMP-14")
@pytest.mark.parametrize("blob_type", [BCRYPT_KEY_DATA_BLOB, BCRYPT_AES_WRAP_KEY_BLOB, BCRYPT_OPAQUE_KEY_BLOB])
def test_the_key_object_is_checked_held_and_never_written(aes, kek, opaque, refuses, blob_type):
    blob = {
        BCRYPT_KEY_DATA_BLOB: key_data_blob(SECRET),
        BCRYPT_AES_WRAP_KEY_BLOB: WRAPPED,
        BCRYPT_OPAQUE_KEY_BLOB: opaque,
    }[blob_type]
    for room in (0, OBJECT_LENGTH - 1):
        with refuses(NTSTATUS.STATUS_BUFFER_TOO_SMALL):
            BCryptImportKey(aes, kek, blob_type, bytearray(room), blob)
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptImportKey(aes, kek, blob_type, bytes(OBJECT_LENGTH), blob)
    key_object = bytearray(b"\x5a" * OBJECT_LENGTH)
    key = BCryptImportKey(aes, kek, blob_type, key_object, blob)
    with pytest.raises(BufferError):
        key_object.append(0)
    assert BCryptEncrypt(key, BLOCKS, None, IV) == host_cbc(SECRET, IV, BLOCKS)
    BCryptDestroyKey(key)
    assert key_object == b"\x5a" * OBJECT_LENGTH
    key_object.append(0)


@pytest.mark.row("IMP-15")
@pytest.mark.parametrize("flags", [0x1, 0x8, 0x20, 0x80000000, 0xFFFFFFFF, -1])
def test_no_flag_is_defined(aes, refuses, flags):
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptImportKey(aes, None, BCRYPT_KEY_DATA_BLOB, None, key_data_blob(SECRET), flags)


@pytest.mark.row("IMP-17", "EXP-07")
def test_the_imported_key_does_not_come_back_in_plaintext(aes, exporting_aes, refuses):
    for handle in (aes, exporting_aes):
        key = BCryptImportKey(handle, None, BCRYPT_KEY_DATA_BLOB, None, key_data_blob(SECRET))
        with key, refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
            BCryptExportKey(key, None, BCRYPT_KEY_DATA_BLOB)


@pytest.mark.row("IMP-18")
@pytest.mark.parametrize("name", ["RSA", "ECDSA_P256", "ECDH", "SHA256", "AES-CMAC", "AES-GMAC", "RNG"])
@pytest.mark.parametrize("blob_type", [BCRYPT_KEY_DATA_BLOB, BCRYPT_OPAQUE_KEY_BLOB, BCRYPT_AES_WRAP_KEY_BLOB])
def test_an_algorithm_without_cipher_keys_is_a_wrong_parameter(algorithm, kek, refuses, name, blob_type):
    handle = algorithm(name)
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptImportKey(handle, kek, blob_type, None, key_data_blob(SECRET))


@pytest.mark.row("IMP-19", "IMP-20")
def test_the_checks_come_as_handle_pointers_wrapping_key_type_header_length(aes, kek, refuses):
    destroyed = BCryptDuplicateKey(kek)
    BCryptDestroyKey(destroyed)
    short = struct.pack("<3I", 0, 0, 0)[:11]
    wrong_header_and_length = key_data_blob(SECRET[:17], version=2)
    for handle, importing, blob_type, room, blob, status in (
        (None, destroyed, None, 1, None, NTSTATUS.STATUS_INVALID_HANDLE),
        (aes, destroyed, BCRYPT_AES_WRAP_KEY_BLOB, 1, None, NTSTATUS.STATUS_INVALID_PARAMETER),
        (aes, destroyed, BCRYPT_AES_WRAP_KEY_BLOB, 1, b"short", NTSTATUS.STATUS_INVALID_HANDLE),
        (aes, kek, "no such blob", 1, short, NTSTATUS.STATUS_NOT_SUPPORTED),
        (aes, None, BCRYPT_KEY_DATA_BLOB, 1, short, NTSTATUS.STATUS_BUFFER_TOO_SMALL),
        (aes, None, BCRYPT_KEY_DATA_BLOB, 1, wrong_header_and_length, NTSTATUS.STATUS_INVALID_PARAMETER),
        (aes, None, BCRYPT_KEY_DATA_BLOB, 1, key_data_blob(SECRET[:17]), NTSTATUS.STATUS_INVALID_PARAMETER),
        (aes, None, BCRYPT_KEY_DATA_BLOB, 1, key_data_blob(SECRET), NTSTATUS.STATUS_BUFFER_TOO_SMALL),
    ):
        with refuses(status):
            BCryptImportKey(handle, importing, blob_type, bytearray(room), blob)
