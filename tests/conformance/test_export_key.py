"""BCryptExportKey: rows EXP of the reference."""

from __future__ import annotations

import struct

import pytest
from conformance.helpers import (
    BLOCKS,
    ECC_MAGICS,
    FIXED_CURVES,
    IV,
    SECRET,
    ecc_blob,
    ecc_key,
    host_cbc,
    refused,
    rsa_public_blob,
)
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap

from hwcng.bcrypt import (
    BCRYPT_AES_WRAP_KEY_BLOB,
    BCRYPT_ALG_HANDLE_HMAC_FLAG,
    BCRYPT_ECCFULLPRIVATE_BLOB,
    BCRYPT_ECCFULLPUBLIC_BLOB,
    BCRYPT_ECCPRIVATE_BLOB,
    BCRYPT_ECCPUBLIC_BLOB,
    BCRYPT_KEY_DATA_BLOB,
    BCRYPT_KEY_LENGTH,
    BCRYPT_OPAQUE_KEY_BLOB,
    BCRYPT_PRIVATE_KEY_BLOB,
    BCRYPT_PUBLIC_KEY_BLOB,
    BCRYPT_RSAFULLPRIVATE_BLOB,
    BCRYPT_RSAPRIVATE_BLOB,
    BCRYPT_RSAPUBLIC_BLOB,
    LEGACY_RSAPRIVATE_BLOB,
    LEGACY_RSAPUBLIC_BLOB,
    NCRYPT_ALLOW_EXPORT_FLAG,
    NCRYPT_EXPORT_POLICY_PROPERTY,
    BCryptDestroyKey,
    BCryptDuplicateKey,
    BCryptEncrypt,
    BCryptExportKey,
    BCryptFinalizeKeyPair,
    BCryptGenerateSymmetricKey,
    BCryptGetProperty,
    BCryptImportKey,
    BCryptImportKeyPair,
    BCryptSetProperty,
)
from hwcng.contract.usage import Usage
from hwcng.errors import NTSTATUS

KEK = bytes(range(0xC0, 0xE0))
EXPORTABLE = {NCRYPT_EXPORT_POLICY_PROPERTY: NCRYPT_ALLOW_EXPORT_FLAG}
PRIVATE_RSA = (BCRYPT_RSAPRIVATE_BLOB, BCRYPT_RSAFULLPRIVATE_BLOB, BCRYPT_PRIVATE_KEY_BLOB, LEGACY_RSAPRIVATE_BLOB)
PRIVATE_ECC = (BCRYPT_ECCPRIVATE_BLOB, BCRYPT_ECCFULLPRIVATE_BLOB, BCRYPT_PRIVATE_KEY_BLOB)


@pytest.fixture
def kek(aes):
    with BCryptGenerateSymmetricKey(aes, None, KEK) as key:
        yield key


@pytest.fixture
def exportable_key(exporting_aes):
    with BCryptGenerateSymmetricKey(exporting_aes, None, SECRET) as key:
        yield key


@pytest.mark.row("EXP-01", "EXP-08", "EXP-09", "EXP-10")
@pytest.mark.parametrize("name", ["RSA", "RSA_SIGN"])
@pytest.mark.parametrize("blob_type", [BCRYPT_RSAPUBLIC_BLOB, BCRYPT_PUBLIC_KEY_BLOB])
def test_the_public_half_of_an_rsa_pair_is_exactly_its_documented_size(pair, calls, name, blob_type):
    key = pair(name, 1024)
    with calls() as counter:
        blob = BCryptExportKey(key, None, blob_type)
    assert counter.names == []
    assert type(blob) is bytes
    assert len(blob) == 155
    assert blob[:4] == b"RSA1"
    assert struct.unpack_from("<5I", blob, 4) == (1024, 3, 128, 0, 0)


@pytest.mark.row("EXP-01", "EXP-08", "EXP-10")
@pytest.mark.parametrize("name", FIXED_CURVES)
@pytest.mark.parametrize("blob_type", [BCRYPT_ECCPUBLIC_BLOB, BCRYPT_PUBLIC_KEY_BLOB])
def test_the_public_half_of_an_ecc_pair_is_exactly_its_documented_size(pair, name, blob_type):
    size = FIXED_CURVES[name][1]
    blob = BCryptExportKey(pair(name), None, blob_type)
    assert len(blob) == 8 + 2 * size
    assert blob[:8] == ECC_MAGICS[name, False] + struct.pack("<I", size)


@pytest.mark.row("EXP-08")
@pytest.mark.parametrize("name", FIXED_CURVES)
def test_the_full_public_blob_has_the_generic_magic(pair, name):
    size = FIXED_CURVES[name][1]
    blob = BCryptExportKey(pair(name), None, BCRYPT_ECCFULLPUBLIC_BLOB)
    assert blob[:4] == ECC_MAGICS[name.split("_")[0], False]
    assert struct.unpack_from("<7I", blob, 4) == (1, 1, 0, size, size, 1, 0)
    assert len(blob) == 32 + 8 * size + 1


@pytest.mark.row("EXP-08")
def test_a_public_key_exports_what_was_imported(algorithm, rsa_numbers):
    x, y, _ = ecc_key(521)
    for name, blob in (
        ("RSA", rsa_public_blob(rsa_numbers.public_numbers)),
        ("ECDH_P521", ecc_blob(b"ECK5", 66, x, y)),
    ):
        with BCryptImportKeyPair(algorithm(name), None, BCRYPT_PUBLIC_KEY_BLOB, blob) as key:
            assert BCryptExportKey(key, None, BCRYPT_PUBLIC_KEY_BLOB) == blob


@pytest.mark.row("EXP-01", "EXP-08", "EXP-09")
@pytest.mark.parametrize(("name", "algid"), [("RSA", 0xA400), ("RSA_SIGN", 0x2400)])
def test_a_legacy_public_blob_is_a_publickeyblob_of_wincrypt(pair, algorithm, calls, rsa_numbers, name, algid):
    key = pair(name, 1088)
    exponent, modulus = BCryptExportKey(key, None, BCRYPT_RSAPUBLIC_BLOB)[24:27], key.public.modulus
    with calls() as counter:
        blob = BCryptExportKey(key, None, LEGACY_RSAPUBLIC_BLOB)
    assert counter.names == []
    header = struct.pack("<BBHI", 6, 2, 0, algid) + b"RSA1" + struct.pack("<I", 1088) + exponent[::-1] + b"\0"
    assert blob == header + modulus.to_bytes(136, "little")

    numbers = rsa_numbers.public_numbers
    with BCryptImportKeyPair(algorithm(name), None, BCRYPT_RSAPUBLIC_BLOB, rsa_public_blob(numbers)) as public:
        blob = BCryptExportKey(public, None, LEGACY_RSAPUBLIC_BLOB)
    header = struct.pack("<BBHI", 6, 2, 0, algid) + b"RSA1" + struct.pack("<2I", 1024, 65537)
    assert blob == header + numbers.n.to_bytes(128, "little")


@pytest.mark.row("EXP-05")
@pytest.mark.parametrize("exponent", [2**32 - 1, 2**32 + 1])
def test_a_legacy_public_blob_has_room_for_exponents_of_32_bits(algorithm, rsa_numbers, refuses, exponent):
    blob = rsa_public_blob(rsa.RSAPublicNumbers(exponent, rsa_numbers.public_numbers.n))
    with BCryptImportKeyPair(algorithm("RSA"), None, BCRYPT_RSAPUBLIC_BLOB, blob) as key:
        if exponent >> 32:
            with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
                BCryptExportKey(key, None, LEGACY_RSAPUBLIC_BLOB)
        else:
            assert BCryptExportKey(key, None, LEGACY_RSAPUBLIC_BLOB)[16:20] == b"\xff" * 4


@pytest.mark.row("EXP-02")
@pytest.mark.parametrize("blob_type", [None, 0, b"KeyDataBlob"])
def test_the_blob_type_is_a_string(aes_key, pair, refuses, blob_type):
    for key in (aes_key, pair("RSA")):
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            BCryptExportKey(key, None, blob_type)


@pytest.mark.row("EXP-02")
def test_no_key_is_a_wrong_handle_before_all_else(refuses):
    with refuses(NTSTATUS.STATUS_INVALID_HANDLE):
        BCryptExportKey(None, object(), None, 0xFFFFFFFF)


@pytest.mark.row("EXP-03")
def test_a_private_blob_of_a_public_key_is_a_wrong_parameter(algorithm, rsa_numbers, refuses):
    x, y, _ = ecc_key(256)
    for name, blob, types in (
        ("RSA", rsa_public_blob(rsa_numbers.public_numbers), PRIVATE_RSA),
        ("ECDSA_P256", ecc_blob(b"ECS1", 32, x, y), PRIVATE_ECC),
    ):
        key = BCryptImportKeyPair(algorithm(name), None, BCRYPT_PUBLIC_KEY_BLOB, blob)
        for blob_type in (*types, BCRYPT_OPAQUE_KEY_BLOB):
            with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
                BCryptExportKey(key, None, blob_type)


@pytest.mark.row("EXP-05")
@pytest.mark.parametrize(
    ("name", "blob_types"),
    [
        ("RSA", (BCRYPT_ECCPUBLIC_BLOB, BCRYPT_ECCFULLPUBLIC_BLOB, BCRYPT_KEY_DATA_BLOB, BCRYPT_AES_WRAP_KEY_BLOB)),
        ("RSA", ("CAPIDSAPUBLICBLOB", "rsapublicblob", "", "DHPUBLICBLOB")),
        ("ECDSA_P256", (BCRYPT_RSAPUBLIC_BLOB, BCRYPT_RSAPRIVATE_BLOB, BCRYPT_KEY_DATA_BLOB, "DSAPUBLICBLOB")),
        ("ECDSA_P256", (LEGACY_RSAPUBLIC_BLOB, LEGACY_RSAPRIVATE_BLOB)),
        ("ECDH_P256", (BCRYPT_RSAPUBLIC_BLOB, BCRYPT_AES_WRAP_KEY_BLOB, "SSLECCPUBLICBLOB")),
    ],
)
def test_a_type_that_the_algorithm_does_not_have(pair, kek, refuses, name, blob_types):
    key = pair(name, properties=EXPORTABLE)
    for blob_type in blob_types:
        with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
            BCryptExportKey(key, kek, blob_type)


@pytest.mark.row("EXP-05")
@pytest.mark.parametrize("blob_type", [BCRYPT_RSAPUBLIC_BLOB, BCRYPT_ECCPRIVATE_BLOB, BCRYPT_PUBLIC_KEY_BLOB, "", "x"])
def test_a_type_that_symmetric_keys_do_not_have(exportable_key, kek, refuses, blob_type):
    with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
        BCryptExportKey(exportable_key, kek, blob_type)


@pytest.mark.row("EXP-06", "EXP-10")
@pytest.mark.parametrize("size", [16, 24, 32])
@pytest.mark.parametrize("kek_size", [16, 32])
def test_a_wrapped_key_is_rfc_3394_and_nothing_else(exporting_aes, aes, calls, size, kek_size):
    with (
        BCryptGenerateSymmetricKey(exporting_aes, None, SECRET[:size]) as key,
        BCryptGenerateSymmetricKey(aes, None, KEK[:kek_size]) as kek,
    ):
        with calls() as counter:
            blob = BCryptExportKey(key, kek, BCRYPT_AES_WRAP_KEY_BLOB)
        assert counter.asked == ["C_WrapKey"]
    assert len(blob) == size + 8
    assert aes_key_unwrap(KEK[:kek_size], blob) == SECRET[:size]


@pytest.mark.row("EXP-06")
def test_wrapping_needs_an_aes_key_of_the_same_provider(exportable_key, algorithm, other_provider, refuses):
    hmac_key = algorithm("SHA256", BCRYPT_ALG_HANDLE_HMAC_FLAG).generate_key(256)
    cmac_key = algorithm("AES-CMAC").generate_key(256)
    foreign = BCryptGenerateSymmetricKey(algorithm("AES", of=other_provider), None, KEK)
    for export_key in (None, hmac_key, cmac_key, foreign):
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            BCryptExportKey(exportable_key, export_key, BCRYPT_AES_WRAP_KEY_BLOB)
    for key in (hmac_key, cmac_key, foreign):
        BCryptDestroyKey(key)
        with refuses(NTSTATUS.STATUS_INVALID_HANDLE):
            BCryptExportKey(exportable_key, key, BCRYPT_AES_WRAP_KEY_BLOB)


@pytest.mark.row("EXP-06")
def test_a_wrapping_key_without_the_right_to_wrap_is_not_supported(aes, exportable_key, refuses):
    with aes.generate_key(256, usage=Usage.UNWRAP) as kek, refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
        BCryptExportKey(exportable_key, kek, BCRYPT_AES_WRAP_KEY_BLOB)


@pytest.mark.row("EXP-07")
def test_a_key_of_the_default_policy_does_not_leave_the_token(aes, aes_key, kek, refuses):
    token_born, copy = aes.generate_key(256), BCryptDuplicateKey(aes_key)
    for key in (aes_key, token_born, copy):
        assert BCryptGetProperty(key, NCRYPT_EXPORT_POLICY_PROPERTY) == 0
        for blob_type in (BCRYPT_KEY_DATA_BLOB, BCRYPT_OPAQUE_KEY_BLOB, BCRYPT_AES_WRAP_KEY_BLOB):
            with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
                BCryptExportKey(key, kek, blob_type)
    BCryptDestroyKey(token_born)
    BCryptDestroyKey(copy)


@pytest.mark.row("EXP-07")
def test_plaintext_never_leaves_the_token_whatever_the_policy(exportable_key, exporting_aes, refuses):
    copy = BCryptDuplicateKey(exportable_key)
    token_born = exporting_aes.generate_key(128)
    for key in (exportable_key, copy, token_born):
        assert BCryptGetProperty(key, NCRYPT_EXPORT_POLICY_PROPERTY) == NCRYPT_ALLOW_EXPORT_FLAG
        with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
            BCryptExportKey(key, None, BCRYPT_KEY_DATA_BLOB)
    BCryptDestroyKey(copy)
    BCryptDestroyKey(token_born)


@pytest.mark.row("EXP-07")
@pytest.mark.parametrize("name", ["RSA", "RSA_SIGN", "ECDSA_P256", "ECDH_P256"])
@pytest.mark.parametrize("properties", [None, EXPORTABLE])
def test_a_private_half_is_never_exported_in_plaintext(pair, refuses, name, properties):
    key = pair(name, properties=properties)
    for blob_type in PRIVATE_RSA if name.startswith("RSA") else PRIVATE_ECC:
        with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
            BCryptExportKey(key, None, blob_type)


@pytest.mark.row("EXP-07")
@pytest.mark.parametrize("name", ["RSA", "ECDSA_P256"])
def test_the_opaque_form_of_a_pair_needs_the_policy_too(pair, refuses, name):
    key = pair(name)
    with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
        BCryptExportKey(key, None, BCRYPT_OPAQUE_KEY_BLOB)
    empty = pair(name, finalize=False)
    BCryptSetProperty(empty, NCRYPT_EXPORT_POLICY_PROPERTY, NCRYPT_ALLOW_EXPORT_FLAG)
    BCryptFinalizeKeyPair(empty)
    assert BCryptExportKey(empty, None, BCRYPT_OPAQUE_KEY_BLOB)


@pytest.mark.row("EXP-07")
def test_the_policy_is_that_of_the_moment_of_creation(aes, kek, refuses):
    with BCryptGenerateSymmetricKey(aes, None, SECRET) as before:
        BCryptSetProperty(aes, NCRYPT_EXPORT_POLICY_PROPERTY, NCRYPT_ALLOW_EXPORT_FLAG)
        with BCryptGenerateSymmetricKey(aes, None, SECRET) as after:
            BCryptSetProperty(aes, NCRYPT_EXPORT_POLICY_PROPERTY, 0)
            assert aes_key_unwrap(KEK, BCryptExportKey(after, kek, BCRYPT_AES_WRAP_KEY_BLOB)) == SECRET
        with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
            BCryptExportKey(before, kek, BCRYPT_AES_WRAP_KEY_BLOB)


@pytest.mark.row("EXP-07")
def test_a_key_that_came_by_a_blob_has_the_policy_of_its_own_handle(aes, exporting_aes, exportable_key, kek, refuses):
    wrapped = BCryptExportKey(exportable_key, kek, BCRYPT_AES_WRAP_KEY_BLOB)
    with BCryptImportKey(exporting_aes, kek, BCRYPT_AES_WRAP_KEY_BLOB, None, wrapped) as key:
        assert BCryptExportKey(key, kek, BCRYPT_AES_WRAP_KEY_BLOB) == wrapped
    key = BCryptImportKey(aes, kek, BCRYPT_AES_WRAP_KEY_BLOB, None, wrapped)
    with key, refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
        BCryptExportKey(key, kek, BCRYPT_AES_WRAP_KEY_BLOB)


@pytest.mark.row("EXP-07")
def test_a_mac_key_is_never_exported(algorithm, kek, refuses):
    for handle in (algorithm("SHA256", BCRYPT_ALG_HANDLE_HMAC_FLAG), algorithm("AES-CMAC"), algorithm("AES-GMAC")):
        with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
            BCryptSetProperty(handle, NCRYPT_EXPORT_POLICY_PROPERTY, NCRYPT_ALLOW_EXPORT_FLAG)
        with handle.generate_key(256) as key:
            for blob_type in (BCRYPT_KEY_DATA_BLOB, BCRYPT_OPAQUE_KEY_BLOB, BCRYPT_AES_WRAP_KEY_BLOB):
                with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
                    BCryptExportKey(key, kek, blob_type)


@pytest.mark.row("EXP-09")
@pytest.mark.parametrize("flags", [0x1, 0x80000000, 0xFFFFFFFF])
def test_no_flag_is_defined(aes_key, pair, refuses, flags):
    for key, blob_type in ((aes_key, BCRYPT_OPAQUE_KEY_BLOB), (pair("ECDSA_P256"), BCRYPT_PUBLIC_KEY_BLOB)):
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            BCryptExportKey(key, None, blob_type, flags)


@pytest.mark.row("EXP-11", "GSK-15")
@pytest.mark.parametrize("size", [33, 40, 64])
def test_a_cut_secret_exports_only_what_is_in_use(exporting_aes, aes, kek, size):
    with BCryptGenerateSymmetricKey(exporting_aes, None, SECRET + bytes(range(size - 32))) as key:
        blob = BCryptExportKey(key, kek, BCRYPT_AES_WRAP_KEY_BLOB)
        assert aes_key_unwrap(KEK, blob) == SECRET
        opaque = BCryptExportKey(key, None, BCRYPT_OPAQUE_KEY_BLOB)
    with BCryptImportKey(aes, None, BCRYPT_OPAQUE_KEY_BLOB, None, opaque) as key:
        assert BCryptGetProperty(key, BCRYPT_KEY_LENGTH) == 256
        assert BCryptEncrypt(key, BLOCKS, None, IV) == host_cbc(SECRET, IV, BLOCKS)


@pytest.mark.row("EXP-02", "EXP-06")
def test_a_destroyed_key_exports_nothing(exporting_aes, kek, pair):
    key = BCryptGenerateSymmetricKey(exporting_aes, None, SECRET)
    ecdsa = pair("ECDSA_P256")
    for destroyed, blob_type in ((key, BCRYPT_AES_WRAP_KEY_BLOB), (ecdsa, BCRYPT_PUBLIC_KEY_BLOB)):
        BCryptDestroyKey(destroyed)
        with refused(NTSTATUS.STATUS_INVALID_HANDLE):
            BCryptExportKey(destroyed, kek, blob_type)
