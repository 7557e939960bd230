"""BCryptImportKeyPair: rows IKP of the reference."""

from __future__ import annotations

import itertools
import struct

import pytest
from conformance.helpers import (
    ECC_MAGICS,
    FIXED_CURVES,
    RESERVED_BITS,
    capi_private_blob,
    ecc_blob,
    ecc_key,
    octets,
    refused,
    rsa_private_blob,
    rsa_public_blob,
    token_attributes,
)
from cryptography.hazmat.primitives.asymmetric import rsa

from hwcng.bcrypt import (
    BCRYPT_AES_WRAP_KEY_BLOB,
    BCRYPT_ECC_CURVE_NAME,
    BCRYPT_ECCFULLPRIVATE_BLOB,
    BCRYPT_ECCFULLPUBLIC_BLOB,
    BCRYPT_ECCPRIVATE_BLOB,
    BCRYPT_ECCPUBLIC_BLOB,
    BCRYPT_KEY_DATA_BLOB,
    BCRYPT_KEY_LENGTH,
    BCRYPT_KEY_VALIDATION_RANGE,
    BCRYPT_KEY_VALIDATION_RANGE_AND_ORDER,
    BCRYPT_NO_KEY_VALIDATION,
    BCRYPT_OPAQUE_KEY_BLOB,
    BCRYPT_PAD_PKCS1,
    BCRYPT_PKCS1_PADDING_INFO,
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
    BCryptDestroySecret,
    BCryptExportKey,
    BCryptFinalizeKeyPair,
    BCryptGetProperty,
    BCryptImportKeyPair,
    BCryptSecretAgreement,
    BCryptSignHash,
    BCryptVerifySignature,
)
from hwcng.errors import HRESULT, NTSTATUS

DIGEST = bytes(range(32))
PKCS1 = BCRYPT_PKCS1_PADDING_INFO("SHA256")
NIST_P256_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
NIST_P256_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
CURVES = tuple(FIXED_CURVES)


def ecc_pair_blob(name: str, *, private: bool) -> bytes:
    bits, size = FIXED_CURVES[name]
    x, y, scalar = ecc_key(bits)
    return ecc_blob(ECC_MAGICS[name, private], size, x, y, *((scalar,) if private else ()))


@pytest.mark.row("IKP-01", "IKP-08")
@pytest.mark.parametrize("name", ["RSA", "RSA_SIGN"])
@pytest.mark.parametrize("blob_type", [BCRYPT_RSAPRIVATE_BLOB, BCRYPT_RSAFULLPRIVATE_BLOB, LEGACY_RSAPRIVATE_BLOB])
def test_a_private_rsa_blob_becomes_a_pair_in_the_token(algorithm, rsa_numbers, name, blob_type):
    blob = {
        BCRYPT_RSAPRIVATE_BLOB: rsa_private_blob(rsa_numbers),
        BCRYPT_RSAFULLPRIVATE_BLOB: rsa_private_blob(rsa_numbers, full=True),
        LEGACY_RSAPRIVATE_BLOB: capi_private_blob(rsa_numbers),
    }[blob_type]
    with BCryptImportKeyPair(algorithm(name), None, blob_type, blob) as key:
        assert BCryptExportKey(key, None, BCRYPT_RSAPUBLIC_BLOB) == rsa_public_blob(rsa_numbers.public_numbers)
        BCryptVerifySignature(
            key, PKCS1, DIGEST, BCryptSignHash(key, PKCS1, DIGEST, BCRYPT_PAD_PKCS1), BCRYPT_PAD_PKCS1
        )
        found = token_attributes(key, "TOKEN", "PRIVATE", "SENSITIVE", "EXTRACTABLE", "PRIME_1")
        assert found == [b"\0", b"\1", b"\1", b"\0", None]


@pytest.mark.row("IKP-08", "EXP-07")
@pytest.mark.parametrize(
    "blob_type",
    [BCRYPT_RSAPRIVATE_BLOB, BCRYPT_RSAFULLPRIVATE_BLOB, BCRYPT_PRIVATE_KEY_BLOB, LEGACY_RSAPRIVATE_BLOB],
)
def test_an_imported_private_key_does_not_come_back(algorithm, rsa_numbers, refuses, blob_type):
    key = BCryptImportKeyPair(algorithm("RSA"), None, BCRYPT_RSAPRIVATE_BLOB, rsa_private_blob(rsa_numbers))
    with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
        BCryptExportKey(key, None, blob_type)
    BCryptDestroyKey(key)


@pytest.mark.row("IKP-01")
@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("blob_type", [BCRYPT_ECCPRIVATE_BLOB, BCRYPT_PRIVATE_KEY_BLOB])
def test_a_private_ecc_blob_becomes_a_pair_in_the_token(algorithm, name, blob_type):
    bits, size = FIXED_CURVES[name]
    x, y, scalar = ecc_key(bits)
    blob = ecc_blob(ECC_MAGICS[name, True], size, x, y, scalar)
    with BCryptImportKeyPair(algorithm(name), None, blob_type, blob) as key:
        public = ecc_blob(ECC_MAGICS[name, False], size, x, y)
        assert BCryptExportKey(key, None, BCRYPT_ECCPUBLIC_BLOB) == public
        if name.startswith("ECDSA"):
            BCryptVerifySignature(key, None, DIGEST, BCryptSignHash(key, None, DIGEST))
        else:
            BCryptDestroySecret(BCryptSecretAgreement(key, key))
        assert token_attributes(key, "SENSITIVE", "EXTRACTABLE", "VALUE") == [b"\1", b"\0", None]


@pytest.mark.row("IKP-01")
@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("blob_type", [BCRYPT_ECCPRIVATE_BLOB, BCRYPT_PRIVATE_KEY_BLOB])
def test_a_private_ecc_blob_without_its_point_gets_it(algorithm, refuses, name, blob_type):
    bits, size = FIXED_CURVES[name]
    x, y, scalar = ecc_key(bits)
    magic = ECC_MAGICS[name, True]
    with BCryptImportKeyPair(algorithm(name), None, blob_type, ecc_blob(magic, size, 0, 0, scalar)) as key:
        public = ecc_blob(ECC_MAGICS[name, False], size, x, y)
        assert BCryptExportKey(key, None, BCRYPT_ECCPUBLIC_BLOB) == public
        if name.startswith("ECDSA"):
            BCryptVerifySignature(key, None, DIGEST, BCryptSignHash(key, None, DIGEST))
    handle = algorithm(name)
    # Half of a point is none, and zero is no scalar.
    for numbers in ((x, 0, scalar), (0, y, scalar), (0, 0, 0)):
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            BCryptImportKeyPair(handle, None, blob_type, ecc_blob(magic, size, *numbers))


@pytest.mark.row("IKP-01")
@pytest.mark.parametrize("name", ["ECDSA", "ECDH"])
def test_a_generic_algorithm_needs_its_curve_and_has_its_own_magics(algorithm, refuses, name):
    x, y, scalar = ecc_key(256)
    public = ecc_blob(ECC_MAGICS[name, False], 32, x, y)
    private = ecc_blob(ECC_MAGICS[name, True], 32, x, y, scalar)
    without = algorithm(name)
    for blob_type, blob in ((BCRYPT_ECCPUBLIC_BLOB, public), (BCRYPT_ECCPRIVATE_BLOB, private)):
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            BCryptImportKeyPair(without, None, blob_type, blob)
    handle = algorithm(name, properties={BCRYPT_ECC_CURVE_NAME: "nistP256"})
    for blob_type, blob in ((BCRYPT_PUBLIC_KEY_BLOB, public), (BCRYPT_PRIVATE_KEY_BLOB, private)):
        with BCryptImportKeyPair(handle, None, blob_type, blob) as key:
            assert BCryptExportKey(key, None, BCRYPT_ECCPUBLIC_BLOB) == public
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptImportKeyPair(handle, None, BCRYPT_ECCPUBLIC_BLOB, ecc_blob(ECC_MAGICS[f"{name}_P256", False], 32, x, y))


@pytest.mark.row("IKP-01", "IKP-02")
def test_a_public_key_stays_on_the_host_and_is_finalized(algorithm, rsa_numbers, calls):
    x, y, _ = ecc_key(384)
    handles = algorithm("RSA"), algorithm("ECDSA_P384")
    with calls() as counter:
        keys = (
            BCryptImportKeyPair(handles[0], None, BCRYPT_PUBLIC_KEY_BLOB, rsa_public_blob(rsa_numbers.public_numbers)),
            BCryptImportKeyPair(handles[1], None, BCRYPT_PUBLIC_KEY_BLOB, ecc_blob(b"ECS3", 48, x, y)),
        )
        for key in keys:
            with refused(NTSTATUS.STATUS_INVALID_HANDLE):
                BCryptFinalizeKeyPair(key)
            BCryptDestroyKey(key)
    assert counter.names == []


@pytest.mark.row("IKP-01")
def test_the_import_key_is_not_used(algorithm, aes_key, rsa_numbers):
    blob = rsa_public_blob(rsa_numbers.public_numbers)
    for ignored in (None, aes_key):
        BCryptDestroyKey(BCryptImportKeyPair(algorithm("RSA"), ignored, BCRYPT_RSAPUBLIC_BLOB, blob))


@pytest.mark.row("IKP-01")
@pytest.mark.parametrize(
    ("name", "blob_type"),
    [
        ("RSA", BCRYPT_ECCPUBLIC_BLOB),
        ("RSA", BCRYPT_ECCFULLPRIVATE_BLOB),
        ("RSA", BCRYPT_KEY_DATA_BLOB),
        ("RSA", BCRYPT_AES_WRAP_KEY_BLOB),
        ("ECDSA_P256", BCRYPT_RSAPUBLIC_BLOB),
        ("ECDH_P256", BCRYPT_RSAFULLPRIVATE_BLOB),
        ("ECDSA_P256", BCRYPT_KEY_DATA_BLOB),
        ("ECDSA_P256", "DSAPUBLICBLOB"),
        ("RSA", "rsapublicblob"),
        ("RSA", ""),
    ],
)
def test_a_blob_type_of_another_algorithm_is_not_supported(algorithm, rsa_numbers, refuses, name, blob_type):
    handle = algorithm(name)
    with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
        BCryptImportKeyPair(handle, None, blob_type, rsa_public_blob(rsa_numbers.public_numbers))


@pytest.mark.row("IKP-01")
@pytest.mark.parametrize(("blob_type", "blob"), [(None, b""), (1, b""), (BCRYPT_RSAPUBLIC_BLOB, None), ("", "text")])
def test_type_and_blob_are_mandatory(algorithm, refuses, blob_type, blob):
    handle = algorithm("RSA")
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptImportKeyPair(handle, None, blob_type, blob)


@pytest.mark.row("IKP-03")
@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("private", [False, True])
def test_a_generic_blob_type_is_decided_by_the_magic(algorithm, refuses, name, private):
    handle = algorithm(name)
    blob_type = BCRYPT_PRIVATE_KEY_BLOB if private else BCRYPT_PUBLIC_KEY_BLOB
    BCryptDestroyKey(BCryptImportKeyPair(handle, None, blob_type, ecc_pair_blob(name, private=private)))
    for other in CURVES:
        if other != name:
            blob = ecc_pair_blob(other, private=private)
            with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
                BCryptImportKeyPair(handle, None, blob_type, blob)


@pytest.mark.row("IKP-03")
def test_the_generic_private_type_takes_both_private_rsa_magics(algorithm, rsa_numbers, refuses):
    handle = algorithm("RSA")
    for full in (False, True):
        blob = rsa_private_blob(rsa_numbers, full=full)
        with BCryptImportKeyPair(handle, None, BCRYPT_PRIVATE_KEY_BLOB, blob) as key:
            assert key.has_private
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            BCryptImportKeyPair(handle, None, BCRYPT_PUBLIC_KEY_BLOB, blob)
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptImportKeyPair(handle, None, BCRYPT_PRIVATE_KEY_BLOB, rsa_public_blob(rsa_numbers.public_numbers))
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptImportKeyPair(handle, None, BCRYPT_RSAFULLPRIVATE_BLOB, rsa_private_blob(rsa_numbers))


@pytest.mark.row("IKP-04")
@pytest.mark.parametrize(
    ("name", "magic"),
    [
        ("ECDSA_P256", b"ECK1"),
        ("ECDH_P256", b"ECS1"),
        ("ECDSA_P256", b"ECDP"),
        ("ECDH_P256", b"ECKP"),
        ("ECDSA_P256", b"ECS2"),
        ("ECDSA_P256", b"RSA1"),
        ("ECDSA_P256", bytes(4)),
    ],
)
def test_another_familys_magic_is_a_wrong_parameter(algorithm, refuses, name, magic):
    x, y, _ = ecc_key(256)
    handle = algorithm(name)
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptImportKeyPair(handle, None, BCRYPT_ECCPUBLIC_BLOB, ecc_blob(magic, 32, x, y))


@pytest.mark.row("IKP-04")
@pytest.mark.parametrize("announced", [0, 31, 33, 48, 0xFFFFFFFF])
@pytest.mark.parametrize("private", [False, True])
def test_a_coordinate_size_that_is_not_the_curves(algorithm, refuses, announced, private):
    x, y, scalar = ecc_key(256)
    numbers = (x, y, scalar) if private else (x, y)
    blob_type = BCRYPT_ECCPRIVATE_BLOB if private else BCRYPT_ECCPUBLIC_BLOB
    handle = algorithm("ECDSA_P256")
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptImportKeyPair(
            handle, None, blob_type, ecc_blob(b"ECS2" if private else b"ECS1", 32, *numbers, announced=announced)
        )


@pytest.mark.row("IKP-04")
@pytest.mark.parametrize("private", [False, True])
def test_an_ecc_blob_cut_or_lengthened(algorithm, refuses, private):
    blob = ecc_pair_blob("ECDH_P256", private=private)
    blob_type = BCRYPT_ECCPRIVATE_BLOB if private else BCRYPT_ECCPUBLIC_BLOB
    handle = algorithm("ECDH_P256")
    for wrong in (b"", blob[:4], blob[:7], blob[:8], blob[:-1], blob + b"\0"):
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            BCryptImportKeyPair(handle, None, blob_type, wrong)


@pytest.mark.row("IKP-06")
@pytest.mark.parametrize("blob_type", [BCRYPT_RSAPUBLIC_BLOB, BCRYPT_RSAPRIVATE_BLOB, BCRYPT_RSAFULLPRIVATE_BLOB])
def test_an_rsa_blob_of_a_wrong_size_is_bad_data(algorithm, rsa_numbers, refuses, blob_type):
    blob = {
        BCRYPT_RSAPUBLIC_BLOB: rsa_public_blob(rsa_numbers.public_numbers),
        BCRYPT_RSAPRIVATE_BLOB: rsa_private_blob(rsa_numbers),
        BCRYPT_RSAFULLPRIVATE_BLOB: rsa_private_blob(rsa_numbers, full=True),
    }[blob_type]
    handle = algorithm("RSA")
    for wrong in (b"", blob[:3], blob[:23], blob[:24], blob[:-1], blob + b"\0"):
        with refuses(HRESULT.NTE_BAD_DATA):
            BCryptImportKeyPair(handle, None, blob_type, wrong)


@pytest.mark.row("IKP-06")
def test_an_exponent_of_over_eight_bytes_is_bad_data(algorithm, rsa_numbers, refuses):
    n = octets(rsa_numbers.public_numbers.n)
    handle = algorithm("RSA")
    for size, status in ((9, HRESULT.NTE_BAD_DATA), (0x80000000, HRESULT.NTE_BAD_DATA)):
        blob = b"RSA1" + struct.pack("<5I", 1024, size, len(n), 0, 0) + octets(65537, 9) + n
        with refuses(status):
            BCryptImportKeyPair(handle, None, BCRYPT_RSAPUBLIC_BLOB, blob)
    blob = b"RSA1" + struct.pack("<5I", 1024, 8, len(n), 0, 0) + octets(65537, 8) + n
    with BCryptImportKeyPair(handle, None, BCRYPT_RSAPUBLIC_BLOB, blob) as key:
        assert BCryptExportKey(key, None, BCRYPT_RSAPUBLIC_BLOB) == rsa_public_blob(rsa_numbers.public_numbers)


@pytest.mark.row("IKP-06")
@pytest.mark.parametrize("exponent", [0, 1, 2, 65536])
def test_an_exponent_that_is_none_is_a_wrong_parameter(algorithm, rsa_numbers, refuses, exponent):
    handle = algorithm("RSA")
    n = octets(rsa_numbers.public_numbers.n)
    blob = b"RSA1" + struct.pack("<5I", 1024, 3, len(n), 0, 0) + octets(exponent, 3) + n
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptImportKeyPair(handle, None, BCRYPT_RSAPUBLIC_BLOB, blob)


@pytest.mark.row("IKP-06")
def test_rsa_numbers_that_make_no_key_are_a_wrong_parameter(algorithm, rsa_numbers, refuses):
    handle = algorithm("RSA")
    public = rsa_numbers.public_numbers
    even = rsa.RSAPublicNumbers(public.e, public.n - 1)
    small = rsa.RSAPublicNumbers(public.e, (1 << 503) + 1)
    for numbers in (even, small):
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            BCryptImportKeyPair(handle, None, BCRYPT_RSAPUBLIC_BLOB, rsa_public_blob(numbers))
    good = rsa_private_blob(rsa_numbers)
    start = 24 + 3 + 128
    for position in (27 + 127, start, start + 64 + 63):
        wrong = bytearray(good)
        wrong[position] ^= 2
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            BCryptImportKeyPair(handle, None, BCRYPT_RSAPRIVATE_BLOB, wrong)


@pytest.mark.row("IKP-07")
@pytest.mark.parametrize("bits", [0, 1, 1023, 2048, 0xFFFFFFFF])
def test_the_bit_length_of_an_rsa_blob_is_not_looked_at(algorithm, rsa_numbers, bits):
    for blob_type, blob in (
        (BCRYPT_RSAPUBLIC_BLOB, rsa_public_blob(rsa_numbers.public_numbers, bits=bits)),
        (BCRYPT_RSAPRIVATE_BLOB, rsa_private_blob(rsa_numbers, bits=bits)),
    ):
        with BCryptImportKeyPair(algorithm("RSA"), None, blob_type, blob) as key:
            assert BCryptGetProperty(key, BCRYPT_KEY_LENGTH) == 1024


@pytest.mark.row("IKP-08")
def test_a_full_blob_is_recomputed(algorithm, rsa_numbers):
    blob = bytearray(rsa_private_blob(rsa_numbers, full=True))
    blob[24 + 3 + 128 + 2 * 64 :] = bytes(3 * 64 + 128)
    with BCryptImportKeyPair(algorithm("RSA"), None, BCRYPT_RSAFULLPRIVATE_BLOB, blob) as key:
        BCryptVerifySignature(
            key, PKCS1, DIGEST, BCryptSignHash(key, PKCS1, DIGEST, BCRYPT_PAD_PKCS1), BCRYPT_PAD_PKCS1
        )


@pytest.mark.row("IKP-09")
@pytest.mark.parametrize("blob_type", [LEGACY_RSAPUBLIC_BLOB, "CAPIDHPUBLICBLOB", "CAPIDSAPUBLICBLOB"])
def test_legacy_public_blobs_are_not_importable(algorithm, rsa_numbers, refuses, blob_type):
    n = rsa_numbers.public_numbers.n
    blob = struct.pack("<BBHI", 6, 2, 0, 0xA400) + b"RSA1" + struct.pack("<2I", 1024, 65537) + n.to_bytes(128, "little")
    handle = algorithm("RSA")
    with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
        BCryptImportKeyPair(handle, None, blob_type, blob)


@pytest.mark.row("IKP-09")
def test_a_legacy_private_blob_that_is_malformed(algorithm, rsa_numbers, refuses):
    good = capi_private_blob(rsa_numbers)
    handle = algorithm("RSA")
    for wrong, status in (
        (good[:-1], HRESULT.NTE_BAD_DATA),
        (good + b"\0", HRESULT.NTE_BAD_DATA),
        (good[:19], HRESULT.NTE_BAD_DATA),
        (b"\6" + good[1:], NTSTATUS.STATUS_INVALID_PARAMETER),
        (good[:1] + b"\3" + good[2:], NTSTATUS.STATUS_INVALID_PARAMETER),
        (good[:8] + b"RSA1" + good[12:], NTSTATUS.STATUS_INVALID_PARAMETER),
    ):
        with refuses(status):
            BCryptImportKeyPair(handle, None, LEGACY_RSAPRIVATE_BLOB, wrong)


IMPORT_FLAGS = (0, BCRYPT_NO_KEY_VALIDATION, BCRYPT_KEY_VALIDATION_RANGE, BCRYPT_KEY_VALIDATION_RANGE_AND_ORDER)


@pytest.mark.row("IKP-10")
@pytest.mark.parametrize("flags", IMPORT_FLAGS)
def test_the_validations_are_accepted_and_a_bad_point_is_refused_under_each(algorithm, refuses, flags):
    x, y, _ = ecc_key(256)
    handle = algorithm("ECDSA_P256")
    BCryptDestroyKey(BCryptImportKeyPair(handle, None, BCRYPT_ECCPUBLIC_BLOB, ecc_blob(b"ECS1", 32, x, y), flags))
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptImportKeyPair(handle, None, BCRYPT_ECCPUBLIC_BLOB, ecc_blob(b"ECS1", 32, x, y ^ 1), flags)


@pytest.mark.row("IKP-10")
@pytest.mark.parametrize("flags", sorted({*RESERVED_BITS, 0x28, 0x30, 0xFFFFFFFF} - set(IMPORT_FLAGS)))
def test_another_flag_is_a_wrong_parameter(algorithm, rsa_numbers, refuses, flags):
    handle = algorithm("RSA")
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptImportKeyPair(handle, None, BCRYPT_RSAPUBLIC_BLOB, rsa_public_blob(rsa_numbers.public_numbers), flags)


@pytest.mark.row("IKP-11")
@pytest.mark.parametrize("name", ["ECDSA_P256", "ECDH_P256"])
@pytest.mark.parametrize(
    ("point", "private"),
    [
        *itertools.product(
            (
                lambda x, y: (x, y ^ 1),
                lambda x, y: (x, NIST_P256_P),
                lambda x, y: (NIST_P256_P, y),
                lambda x, y: (2**256 - 1, 2**256 - 1),
            ),
            (False, True),
        ),
        # A private key whose point is zero gets its own.
        (lambda x, y: (0, 0), False),
    ],
)
def test_a_point_off_the_curve_is_a_wrong_parameter(algorithm, refuses, name, point, private):
    x, y, scalar = ecc_key(256)
    numbers = (*point(x, y), scalar) if private else point(x, y)
    blob_type = BCRYPT_ECCPRIVATE_BLOB if private else BCRYPT_ECCPUBLIC_BLOB
    handle = algorithm(name)
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptImportKeyPair(handle, None, blob_type, ecc_blob(ECC_MAGICS[name, private], 32, *numbers))


@pytest.mark.row("IKP-11")
def test_a_scalar_out_of_range_or_of_another_point_is_a_wrong_parameter(algorithm, refuses):
    x, y, scalar = ecc_key(256)
    handle = algorithm("ECDH_P256")
    for wrong in (0, NIST_P256_N, NIST_P256_N + scalar % 2**128, scalar ^ 1, 2**256 - 1):
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            BCryptImportKeyPair(handle, None, BCRYPT_ECCPRIVATE_BLOB, ecc_blob(b"ECK2", 32, x, y, wrong))


@pytest.mark.row("IKP-12")
@pytest.mark.parametrize("name", ["AES", "AES-CMAC", "SHA256", "RNG"])
def test_an_algorithm_without_pairs_is_not_supported(algorithm, rsa_numbers, refuses, name):
    handle = algorithm(name)
    with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
        BCryptImportKeyPair(handle, None, BCRYPT_RSAPUBLIC_BLOB, rsa_public_blob(rsa_numbers.public_numbers))


OPAQUE_NAMES = ("RSA", "RSA_SIGN", "ECDSA_P256", "ECDH_P384")
EXPORTABLE = {NCRYPT_EXPORT_POLICY_PROPERTY: NCRYPT_ALLOW_EXPORT_FLAG}


@pytest.mark.row("IKP-01", "IKP-02")
@pytest.mark.parametrize("name", OPAQUE_NAMES)
def test_an_opaque_blob_comes_back_in_the_token_that_made_it(algorithm, pair, name):
    key = pair(name, properties=EXPORTABLE)
    blob = BCryptExportKey(key, None, BCRYPT_OPAQUE_KEY_BLOB)
    public = BCryptExportKey(key, None, BCRYPT_PUBLIC_KEY_BLOB)
    BCryptDestroyKey(key)
    with BCryptImportKeyPair(algorithm(name), None, BCRYPT_OPAQUE_KEY_BLOB, blob) as again:
        assert BCryptExportKey(again, None, BCRYPT_PUBLIC_KEY_BLOB) == public
        assert token_attributes(again, "TOKEN", "SENSITIVE") == [b"\0", b"\1"]
        with refused(NTSTATUS.STATUS_INVALID_HANDLE):
            BCryptFinalizeKeyPair(again)
        if name == "ECDH_P384":
            BCryptDestroySecret(BCryptSecretAgreement(again, again))
        else:
            arguments = (None, DIGEST) if name == "ECDSA_P256" else (PKCS1, DIGEST)
            flags = 0 if name == "ECDSA_P256" else BCRYPT_PAD_PKCS1
            signature = BCryptSignHash(again, *arguments, flags)
            BCryptVerifySignature(again, *arguments, signature, flags)


@pytest.mark.row("IKP-01")
@pytest.mark.parametrize("name", OPAQUE_NAMES)
def test_an_opaque_blob_of_another_algorithm_or_token_or_altered(algorithm, pair, other_provider, name):
    blob = BCryptExportKey(pair(name, properties=EXPORTABLE), None, BCRYPT_OPAQUE_KEY_BLOB)
    # A pair that signs only does not become one that decrypts as well, but the other way round takes nothing from it.
    others = {*OPAQUE_NAMES, "ECDSA_P384", "ECDH_P256"} - {name} - ({"RSA_SIGN"} if name == "RSA" else set())
    for handle in (*(algorithm(other) for other in sorted(others)), algorithm(name, of=other_provider)):
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            BCryptImportKeyPair(handle, None, BCRYPT_OPAQUE_KEY_BLOB, blob)
    handle = algorithm(name)
    for position in range(0, len(blob), 11):
        altered = bytearray(blob)
        altered[position] ^= 0x80
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            BCryptImportKeyPair(handle, None, BCRYPT_OPAQUE_KEY_BLOB, altered)
    for wrong in (b"", blob[:-1], blob + b"\0"):
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            BCryptImportKeyPair(handle, None, BCRYPT_OPAQUE_KEY_BLOB, wrong)


@pytest.mark.row("IKP-11")
def test_a_full_blob_names_its_curve_by_its_parameters(algorithm, pair, refuses):
    blob = BCryptExportKey(pair("ECDSA_P256"), None, BCRYPT_ECCFULLPUBLIC_BLOB)
    for handle in (algorithm("ECDSA"), algorithm("ECDSA_P256")):
        with BCryptImportKeyPair(handle, None, BCRYPT_ECCFULLPUBLIC_BLOB, blob) as key:
            assert BCryptGetProperty(key, BCRYPT_KEY_LENGTH) == 256
    handle = algorithm("ECDSA_P384")
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptImportKeyPair(handle, None, BCRYPT_ECCFULLPUBLIC_BLOB, blob)
    invented = bytearray(blob)
    invented[32 + 5] ^= 1
    with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
        BCryptImportKeyPair(handle, None, BCRYPT_ECCFULLPUBLIC_BLOB, invented)
