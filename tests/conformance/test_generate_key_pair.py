"""BCryptGenerateKeyPair and BCryptFinalizeKeyPair: rows GKP and FIN of the reference."""

from __future__ import annotations

import struct

import pytest
from conformance.helpers import (
    ASYMMETRIC,
    FIXED_CURVES,
    RESERVED_BITS,
    ecc_blob,
    ecc_key,
    refused,
    rsa_public_blob,
    token_attributes,
)

from hwcng.bcrypt import (
    BCRYPT_ALGORITHM_NAME,
    BCRYPT_BLOCK_LENGTH,
    BCRYPT_ECC_CURVE_NAME,
    BCRYPT_ECCPRIVATE_BLOB,
    BCRYPT_ECCPUBLIC_BLOB,
    BCRYPT_ECDH_P256_ALG_HANDLE,
    BCRYPT_ECDH_P384_ALG_HANDLE,
    BCRYPT_ECDH_P521_ALG_HANDLE,
    BCRYPT_ECDSA_P256_ALG_HANDLE,
    BCRYPT_ECDSA_P384_ALG_HANDLE,
    BCRYPT_ECDSA_P521_ALG_HANDLE,
    BCRYPT_IS_IFX_TPM_WEAK_KEY,
    BCRYPT_KEY_LENGTH,
    BCRYPT_KEY_STRENGTH,
    BCRYPT_KEY_VALIDATION_RANGE,
    BCRYPT_KEY_VALIDATION_RANGE_AND_ORDER,
    BCRYPT_KEY_VALIDATION_REGENERATE,
    BCRYPT_NO_KEY_VALIDATION,
    BCRYPT_OPAQUE_KEY_BLOB,
    BCRYPT_PAD_PKCS1,
    BCRYPT_PKCS1_PADDING_INFO,
    BCRYPT_PRIVATE_KEY_BLOB,
    BCRYPT_PROVIDER_HANDLE,
    BCRYPT_PUBLIC_KEY_BLOB,
    BCRYPT_PUBLIC_KEY_LENGTH,
    BCRYPT_RSA_ALG_HANDLE,
    BCRYPT_RSA_SIGN_ALG_HANDLE,
    BCRYPT_RSAPUBLIC_BLOB,
    BCRYPT_SIGNATURE_LENGTH,
    NCRYPT_ALLOW_EXPORT_FLAG,
    NCRYPT_EXPORT_POLICY_PROPERTY,
    BCryptDecrypt,
    BCryptDestroyKey,
    BCryptDuplicateKey,
    BCryptEncrypt,
    BCryptExportKey,
    BCryptFinalizeKeyPair,
    BCryptGenerateKeyPair,
    BCryptGetProperty,
    BCryptImportKeyPair,
    BCryptSecretAgreement,
    BCryptSetProperty,
    BCryptSignHash,
    BCryptVerifySignature,
)
from hwcng.errors import NTSTATUS
from hwcng.testing.faults import FaultInjector

PKCS1 = BCRYPT_PKCS1_PADDING_INFO("SHA256")
DIGEST = bytes(range(32))
CKR_FUNCTION_FAILED = 0x06
CKR_DEVICE_MEMORY = 0x31
CKR_DOMAIN_PARAMS_INVALID = 0x130
VALIDATIONS = (
    0,
    BCRYPT_KEY_VALIDATION_RANGE,
    BCRYPT_KEY_VALIDATION_RANGE_AND_ORDER,
    BCRYPT_KEY_VALIDATION_REGENERATE,
)


@pytest.mark.row("GKP-01", "GKP-02")
@pytest.mark.parametrize("name", ASYMMETRIC)
def test_an_empty_pair_becomes_a_key_by_finalizing(pair, name):
    key = pair(name, finalize=False)
    assert not key.finalized
    BCryptFinalizeKeyPair(key)
    assert key.finalized
    assert BCryptExportKey(key, None, BCRYPT_PUBLIC_KEY_BLOB)


@pytest.mark.row("GKP-02")
@pytest.mark.parametrize(
    ("handle", "bits"),
    [
        (BCRYPT_RSA_ALG_HANDLE, 1024),
        (BCRYPT_RSA_SIGN_ALG_HANDLE, 1024),
        (BCRYPT_ECDSA_P256_ALG_HANDLE, 256),
        (BCRYPT_ECDSA_P384_ALG_HANDLE, 384),
        (BCRYPT_ECDSA_P521_ALG_HANDLE, 521),
        (BCRYPT_ECDH_P256_ALG_HANDLE, 256),
        (BCRYPT_ECDH_P384_ALG_HANDLE, 384),
        (BCRYPT_ECDH_P521_ALG_HANDLE, 521),
    ],
)
def test_a_pseudo_handle_makes_pairs(default_provider, handle, bits):
    with BCryptGenerateKeyPair(handle, bits) as key:
        BCryptFinalizeKeyPair(key)
        assert BCryptGetProperty(key, BCRYPT_KEY_LENGTH) == bits


@pytest.mark.row("GKP-04")
@pytest.mark.parametrize("name", ["AES", "AES-CMAC", "AES-GMAC", "SHA256", "MD5", "SHA3-512", "RNG"])
def test_an_algorithm_without_pairs_is_not_supported(algorithm, refuses, name):
    handle = algorithm(name)
    with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
        BCryptGenerateKeyPair(handle, 256)


@pytest.mark.row("GKP-06", "GKP-21")
@pytest.mark.parametrize("name", ASYMMETRIC)
def test_the_token_is_not_touched_before_finalize(algorithm, calls, name):
    bits = FIXED_CURVES.get(name, (2048, 0))[0]
    handle = algorithm(name)
    with calls() as counter:
        key = BCryptGenerateKeyPair(handle, bits)
        BCryptSetProperty(key, BCRYPT_KEY_LENGTH, bits)
        BCryptSetProperty(key, NCRYPT_EXPORT_POLICY_PROPERTY, NCRYPT_ALLOW_EXPORT_FLAG)
        assert BCryptGetProperty(key, BCRYPT_KEY_LENGTH) == bits
        BCryptDestroyKey(key)
    assert counter.names == []
    with refused(NTSTATUS.STATUS_INVALID_HANDLE):
        BCryptFinalizeKeyPair(key)


@pytest.mark.row("GKP-21")
def test_finalize_costs_one_generation_and_at_most_one_attribute_read(pair, calls):
    for name in ("RSA", "ECDSA_P384", "ECDH_P521"):
        key = pair(name, finalize=False)
        with calls() as counter:
            BCryptFinalizeKeyPair(key)
        # Keys that earlier tests let go of are destroyed on the way.
        made = [name for name in counter.asked if name != "C_DestroyObject"]
        assert made == ["C_GenerateKeyPair", "C_GetAttributeValue"]


@pytest.mark.row("GKP-07", "GKP-15")
@pytest.mark.parametrize("name", ["RSA", "RSA_SIGN"])
@pytest.mark.parametrize("bits", [512, 576, 1024, 2048])
def test_the_length_is_in_bits(pair, name, bits):
    key = pair(name, bits)
    blob = BCryptExportKey(key, None, BCRYPT_RSAPUBLIC_BLOB)
    assert struct.unpack_from("<4I", blob, 4) == (bits, 3, bits // 8, 0)
    assert blob[27] & 0x80
    assert len(BCryptSignHash(key, BCRYPT_PKCS1_PADDING_INFO(None), DIGEST, BCRYPT_PAD_PKCS1)) == bits // 8


@pytest.mark.row("GKP-15")
@pytest.mark.parametrize("name", ["RSA", "RSA_SIGN"])
@pytest.mark.parametrize("bits", [512, 576, 3072, 4096, 16320, 16384])
def test_every_documented_rsa_length_makes_an_empty_pair(algorithm, name, bits):
    with BCryptGenerateKeyPair(algorithm(name), bits) as key:
        assert BCryptGetProperty(key, BCRYPT_KEY_LENGTH) == bits


@pytest.mark.row("GKP-15")
@pytest.mark.parametrize("name", ["RSA", "RSA_SIGN"])
@pytest.mark.parametrize("bits", [0, 1, 64, 448, 511, 513, 520, 1000, 1023, 1025, 2047, 16385, 16448, 0xFFFFFFC0])
def test_another_rsa_length_is_refused(algorithm, refuses, name, bits):
    handle = algorithm(name)
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptGenerateKeyPair(handle, bits)


@pytest.mark.row("GKP-11")
@pytest.mark.parametrize("name", FIXED_CURVES)
def test_a_fixed_curve_has_one_length(algorithm, refuses, name):
    handle = algorithm(name)
    right = FIXED_CURVES[name][0]
    BCryptDestroyKey(BCryptGenerateKeyPair(handle, right))
    for bits in {0, 1, 224, 255, 256, 257, 384, 512, 520, 521, 522, 528} - {right}:
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            BCryptGenerateKeyPair(handle, bits)


@pytest.mark.row("GKP-07")
@pytest.mark.parametrize("bits", [-1, None, "1024", 1024.0, b"\0\4\0\0"])
def test_what_is_no_length_is_refused(algorithm, refuses, bits):
    handle = algorithm("RSA")
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptGenerateKeyPair(handle, bits)


@pytest.mark.row("GKP-12")
@pytest.mark.parametrize("name", ["ECDSA", "ECDH"])
@pytest.mark.parametrize(
    ("curve", "bits"), [("nistP256", 256), ("nistP384", 384), ("nistP521", 521), ("secP256k1", 256)]
)
@pytest.mark.parametrize("zero", [False, True])
def test_a_generic_algorithm_takes_the_curve_of_its_handle(algorithm, name, curve, bits, zero):
    handle = algorithm(name, properties={BCRYPT_ECC_CURVE_NAME: curve})
    with BCryptGenerateKeyPair(handle, 0 if zero else bits) as key:
        BCryptFinalizeKeyPair(key)
        assert BCryptGetProperty(key, BCRYPT_KEY_LENGTH) == bits
        assert BCryptGetProperty(key, BCRYPT_ECC_CURVE_NAME) == curve
        assert BCryptExportKey(key, None, BCRYPT_ECCPUBLIC_BLOB)[:4] == {"ECDSA": b"ECDP", "ECDH": b"ECKP"}[name]


@pytest.mark.row("GKP-12")
@pytest.mark.parametrize("name", ["ECDSA", "ECDH"])
def test_a_generic_length_must_be_the_curves(algorithm, refuses, name):
    handle = algorithm(name, properties={BCRYPT_ECC_CURVE_NAME: "nistP384"})
    for bits in (1, 256, 383, 385, 521):
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            BCryptGenerateKeyPair(handle, bits)


@pytest.mark.row("GKP-12", "FIN-04")
@pytest.mark.parametrize("name", ["ECDSA", "ECDH"])
def test_without_a_curve_there_is_nothing_to_finalize(algorithm, refuses, name):
    with BCryptGenerateKeyPair(algorithm(name), 384) as key:
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            BCryptFinalizeKeyPair(key)
        BCryptSetProperty(key, BCRYPT_ECC_CURVE_NAME, "nistP384")
        BCryptFinalizeKeyPair(key)
        assert BCryptGetProperty(key, BCRYPT_KEY_LENGTH) == 384


@pytest.mark.row("GKP-12", "FIN-04")
def test_a_curve_that_does_not_fit_the_length_fails_at_finalize_and_can_be_mended(algorithm, refuses):
    with BCryptGenerateKeyPair(algorithm("ECDH"), 256) as key:
        BCryptSetProperty(key, BCRYPT_ECC_CURVE_NAME, "nistP521")
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            BCryptFinalizeKeyPair(key)
        BCryptSetProperty(key, BCRYPT_KEY_LENGTH, 521)
        BCryptFinalizeKeyPair(key)
        assert len(BCryptExportKey(key, None, BCRYPT_ECCPUBLIC_BLOB)) == 8 + 2 * 66


@pytest.mark.row("GKP-12")
def test_two_pairs_of_one_handle_may_have_two_curves(algorithm):
    handle = algorithm("ECDSA", properties={BCRYPT_ECC_CURVE_NAME: "nistP256"})
    with BCryptGenerateKeyPair(handle, 256) as first, BCryptGenerateKeyPair(handle, 0) as second:
        BCryptSetProperty(handle, BCRYPT_ECC_CURVE_NAME, "nistP521")
        BCryptSetProperty(second, BCRYPT_ECC_CURVE_NAME, "brainpoolP256r1")
        for key, curve in ((first, "nistP256"), (second, "brainpoolP256r1")):
            BCryptFinalizeKeyPair(key)
            assert BCryptGetProperty(key, BCRYPT_ECC_CURVE_NAME) == curve


@pytest.mark.row("GKP-16")
@pytest.mark.parametrize("name", ASYMMETRIC)
@pytest.mark.parametrize("flags", [BCRYPT_NO_KEY_VALIDATION, 0x1, 0x10, 0x20, 0x80000000, 0xFFFFFFFF])
def test_no_flag_is_for_these_algorithms(algorithm, refuses, name, flags):
    handle = algorithm(name)
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptGenerateKeyPair(handle, FIXED_CURVES.get(name, (1024, 0))[0], flags)


EMPTY_PAIR_CALLS = {
    "BCryptEncrypt": lambda key: BCryptEncrypt(key, b"x", None, None, BCRYPT_PAD_PKCS1),
    "BCryptDecrypt": lambda key: BCryptDecrypt(key, bytes(128), None, None, BCRYPT_PAD_PKCS1),
    "BCryptSignHash": lambda key: BCryptSignHash(key, PKCS1, DIGEST, BCRYPT_PAD_PKCS1),
    "BCryptVerifySignature": lambda key: BCryptVerifySignature(key, PKCS1, DIGEST, bytes(128), BCRYPT_PAD_PKCS1),
    "BCryptExportKey": lambda key: BCryptExportKey(key, None, BCRYPT_PUBLIC_KEY_BLOB),
    "BCryptExportKey private": lambda key: BCryptExportKey(key, None, BCRYPT_PRIVATE_KEY_BLOB),
    "BCryptExportKey opaque": lambda key: BCryptExportKey(key, None, BCRYPT_OPAQUE_KEY_BLOB),
    "BCryptSecretAgreement": lambda key: BCryptSecretAgreement(key, key),
    "BCryptDuplicateKey": BCryptDuplicateKey,
}


@pytest.mark.row("GKP-17", "EXP-04")
@pytest.mark.parametrize("name", ["RSA", "RSA_SIGN", "ECDSA_P256", "ECDH_P256", "ECDSA"])
@pytest.mark.parametrize("call", EMPTY_PAIR_CALLS)
def test_an_empty_pair_is_no_key_yet(pair, refuses, name, call):
    key = pair(name, 1024 if name.startswith("RSA") else 256, finalize=False)
    with refuses(NTSTATUS.STATUS_INVALID_HANDLE):
        EMPTY_PAIR_CALLS[call](key)  # type: ignore[operator]


@pytest.mark.row("GKP-17")
def test_an_empty_pair_is_no_peer_either(pair, refuses):
    whole, empty = pair("ECDH_P256"), pair("ECDH_P256", finalize=False)
    for ours, theirs in ((whole, empty), (empty, whole)):
        with refuses(NTSTATUS.STATUS_INVALID_HANDLE):
            BCryptSecretAgreement(ours, theirs)


@pytest.mark.row("GKP-18")
def test_the_length_of_an_empty_pair_may_change_and_counts(pair):
    key = pair("RSA", 512, finalize=False)
    BCryptSetProperty(key, BCRYPT_KEY_LENGTH, struct.pack("<I", 1024))
    assert BCryptGetProperty(key, BCRYPT_KEY_LENGTH) == 1024
    BCryptFinalizeKeyPair(key)
    assert len(BCryptExportKey(key, None, BCRYPT_RSAPUBLIC_BLOB)) == 155


@pytest.mark.row("GKP-18")
@pytest.mark.parametrize(
    "value", [b"", b"\0\4\0", 0, 448, 1025, 16448, -1, 1 << 32, "1024", None, struct.pack("<I", 520)]
)
def test_a_length_that_is_none_changes_nothing(pair, refuses, value):
    key = pair("RSA", 1024, finalize=False)
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptSetProperty(key, BCRYPT_KEY_LENGTH, value)
    assert BCryptGetProperty(key, BCRYPT_KEY_LENGTH) == 1024


@pytest.mark.row("GKP-18")
@pytest.mark.parametrize("name", FIXED_CURVES)
def test_a_fixed_curve_takes_its_own_length_only(pair, refuses, name):
    key = pair(name, finalize=False)
    BCryptSetProperty(key, BCRYPT_KEY_LENGTH, FIXED_CURVES[name][0])
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptSetProperty(key, BCRYPT_KEY_LENGTH, FIXED_CURVES[name][0] + 64)


@pytest.mark.row("GKP-20")
@pytest.mark.parametrize(
    ("name", "bits", "flags", "status"),
    [
        (None, 1, 1, NTSTATUS.STATUS_INVALID_HANDLE),
        ("AES", 1, 1, NTSTATUS.STATUS_NOT_SUPPORTED),
        ("RSA", 1, 0, NTSTATUS.STATUS_INVALID_PARAMETER),
        ("RSA", 1024, 1, NTSTATUS.STATUS_INVALID_PARAMETER),
    ],
)
def test_the_documented_statuses_in_the_order_of_the_checks(algorithm, refuses, name, bits, flags, status):
    handle = algorithm(name) if name else None
    with refuses(status):
        BCryptGenerateKeyPair(handle, bits, flags)


@pytest.mark.row("GKP-22")
def test_the_public_exponent_is_65537(pair):
    blob = BCryptExportKey(pair("RSA"), None, BCRYPT_RSAPUBLIC_BLOB)
    assert struct.unpack_from("<I", blob, 8) == (3,)
    assert blob[24:27] == b"\1\0\1"


@pytest.mark.row("GKP-24")
@pytest.mark.parametrize("finalize", [False, True])
def test_a_pair_is_not_duplicated(pair, refuses, finalize):
    for name in ("RSA", "ECDSA_P256", "ECDH_P256"):
        key = pair(name, finalize=finalize)
        with refuses(NTSTATUS.STATUS_INVALID_HANDLE):
            BCryptDuplicateKey(key)


@pytest.mark.row("GKP-25")
@pytest.mark.parametrize("name", ["RSA", "ECDSA_P256"])
def test_of_an_empty_pair_only_length_strength_and_name_are_known(pair, refuses, name):
    key = pair(name, finalize=False)
    bits = {"RSA": 1024, "ECDSA_P256": 256}[name]
    assert BCryptGetProperty(key, BCRYPT_KEY_LENGTH) == BCryptGetProperty(key, BCRYPT_KEY_STRENGTH) == bits
    assert BCryptGetProperty(key, BCRYPT_ALGORITHM_NAME) == name
    for known_later in (
        BCRYPT_BLOCK_LENGTH,
        BCRYPT_SIGNATURE_LENGTH,
        BCRYPT_PUBLIC_KEY_LENGTH,
        BCRYPT_ECC_CURVE_NAME,
        BCRYPT_PROVIDER_HANDLE,
        BCRYPT_IS_IFX_TPM_WEAK_KEY,
    ):
        with refuses(NTSTATUS.STATUS_INVALID_HANDLE):
            BCryptGetProperty(key, known_later)


@pytest.mark.row("GKP-25")
@pytest.mark.parametrize("algorithm_name", ["ECDSA", "ECDH"])
def test_the_strength_of_an_empty_generic_pair_is_its_curves(algorithm, refuses, algorithm_name):
    for curve, bits in (("secP256r1", 256), ("nistP384", 384), ("nistP521", 521)):
        handle = algorithm(algorithm_name, properties={BCRYPT_ECC_CURVE_NAME: curve})
        with BCryptGenerateKeyPair(handle, 0) as key:
            assert BCryptGetProperty(key, BCRYPT_KEY_STRENGTH) == bits
    with BCryptGenerateKeyPair(algorithm(algorithm_name), 0) as key, refuses(NTSTATUS.STATUS_INVALID_HANDLE):
        BCryptGetProperty(key, BCRYPT_KEY_STRENGTH)


@pytest.mark.row("FIN-01", "IKP-02")
def test_what_is_finalized_already_is_no_handle_for_it(pair, algorithm, refuses, rsa_numbers):
    public_key = BCryptImportKeyPair(
        algorithm("RSA"), None, BCRYPT_RSAPUBLIC_BLOB, rsa_public_blob(rsa_numbers.public_numbers)
    )
    x, y, scalar = ecc_key(256)
    imported = BCryptImportKeyPair(
        algorithm("ECDSA_P256"), None, BCRYPT_ECCPRIVATE_BLOB, ecc_blob(b"ECS2", 32, x, y, scalar)
    )
    for key in (pair("RSA"), pair("ECDH_P256"), public_key, imported):
        with refuses(NTSTATUS.STATUS_INVALID_HANDLE):
            BCryptFinalizeKeyPair(key)
        assert BCryptExportKey(key, None, BCRYPT_PUBLIC_KEY_BLOB)


@pytest.mark.row("FIN-01")
def test_none_and_a_symmetric_key_are_no_pair(aes_key, refuses):
    for key in (None, aes_key):
        with refuses(NTSTATUS.STATUS_INVALID_HANDLE):
            BCryptFinalizeKeyPair(key)


@pytest.mark.row("FIN-02")
@pytest.mark.parametrize("name", ["RSA", "ECDSA_P256"])
@pytest.mark.parametrize("flags", VALIDATIONS)
def test_the_validations_are_accepted(pair, name, flags):
    key = pair(name, finalize=False)
    BCryptFinalizeKeyPair(key, flags)
    assert key.finalized


@pytest.mark.row("FIN-02")
@pytest.mark.parametrize("flags", sorted({*RESERVED_BITS, 0x30, 0x38, 0xFFFFFFFF} - set(VALIDATIONS)))
def test_other_flags_are_refused_and_leave_the_pair_empty(pair, refuses, flags):
    key = pair("ECDSA_P256", finalize=False)
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptFinalizeKeyPair(key, flags)
    assert not key.finalized


@pytest.mark.row("FIN-03")
@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (CKR_DOMAIN_PARAMS_INVALID, NTSTATUS.STATUS_NOT_SUPPORTED),
        (CKR_DEVICE_MEMORY, NTSTATUS.STATUS_INSUFFICIENT_RESOURCES),
        (CKR_FUNCTION_FAILED, NTSTATUS.STATUS_INTERNAL_ERROR),
    ],
)
@pytest.mark.parametrize("function", ["C_GenerateKeyPair", "C_GetAttributeValue"])
def test_a_failure_leaves_the_pair_empty_and_it_can_be_tried_again(pair, provider, function, answer, status):
    key = pair("ECDSA_P256", finalize=False)
    with FaultInjector(provider).fail(function, answer), refused(status):
        BCryptFinalizeKeyPair(key)
    assert not key.finalized
    with refused(NTSTATUS.STATUS_INVALID_HANDLE):
        BCryptSignHash(key, None, DIGEST)
    BCryptFinalizeKeyPair(key)
    BCryptVerifySignature(key, None, DIGEST, BCryptSignHash(key, None, DIGEST))


@pytest.mark.row("FIN-03")
def test_the_private_half_is_made_in_the_token_and_stays_there(pair):
    for name in ("RSA", "ECDH_P384"):
        found = token_attributes(pair(name), "TOKEN", "PRIVATE", "SENSITIVE", "EXTRACTABLE", "LOCAL")
        assert found == [b"\0", b"\1", b"\1", b"\0", b"\1"]


@pytest.mark.row("FIN-05")
def test_after_finalize_the_properties_are_fixed(pair, refuses):
    rsa_pair, generic = pair("RSA"), pair("ECDSA", 256, properties={BCRYPT_ECC_CURVE_NAME: "nistP256"})
    for key, name, value in (
        (rsa_pair, BCRYPT_KEY_LENGTH, 2048),
        (generic, BCRYPT_KEY_LENGTH, 384),
        (generic, BCRYPT_ECC_CURVE_NAME, "nistP384"),
        (rsa_pair, NCRYPT_EXPORT_POLICY_PROPERTY, NCRYPT_ALLOW_EXPORT_FLAG),
    ):
        with refuses(NTSTATUS.STATUS_INVALID_HANDLE):
            BCryptSetProperty(key, name, value)
    assert BCryptGetProperty(rsa_pair, BCRYPT_KEY_LENGTH) == 1024
    assert BCryptGetProperty(generic, BCRYPT_ECC_CURVE_NAME) == "nistP256"
