"""Properties of key pairs and of their algorithms: lengths, schemes, curves (section 3 of the reference)."""

from __future__ import annotations

import pytest
from conformance.helpers import (
    FIXED_CURVES,
    rsa_public_blob,
)
from conformance.test_properties import CURVES, GENERIC, HASHES, MACS, RSA, only, utf16

from hwcng.bcrypt import (
    BCRYPT_ECC_CURVE_NAME,
    BCRYPT_ECC_CURVE_NAME_LIST,
    BCRYPT_IS_IFX_TPM_WEAK_KEY,
    BCRYPT_PADDING_SCHEMES,
    BCRYPT_PRIMITIVE_TYPE,
    BCRYPT_PUBLIC_KEY_LENGTH,
    BCRYPT_RSAPUBLIC_BLOB,
    BCRYPT_SIGNATURE_LENGTH,
    BCryptGetProperty,
    BCryptImportKeyPair,
    BCryptSetProperty,
)
from hwcng.errors import NTSTATUS

CLASSES = {"RSA": 3, "RSA_SIGN": 5, "AES": 1, "RNG": 6} | dict.fromkeys((*HASHES, *MACS), 2)
CLASSES |= {name: 5 if name.startswith("ECDSA") else 4 for name in (*CURVES, *GENERIC)}


@pytest.mark.row("3.2 PaddingSchemes")
def test_padding_schemes(algorithm, refuses):
    only(algorithm, refuses, BCRYPT_PADDING_SCHEMES, {"RSA": 0x1F, "RSA_SIGN": 0x15})


@pytest.mark.row("3.2 SignatureLength")
def test_signature_length(pair, refuses):
    for name, length in (("RSA", 128), ("RSA_SIGN", 128), ("ECDSA_P256", 64), ("ECDSA_P384", 96), ("ECDSA_P521", 132)):
        assert BCryptGetProperty(pair(name), BCRYPT_SIGNATURE_LENGTH) == length
    agreeing = pair("ECDH_P256")
    with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
        BCryptGetProperty(agreeing, BCRYPT_SIGNATURE_LENGTH)


@pytest.mark.row("3.2 PublicKeyLength")
def test_public_key_length(pair, algorithm, rsa_numbers):
    assert BCryptGetProperty(pair("ECDH_P521"), BCRYPT_PUBLIC_KEY_LENGTH) == 521
    blob = rsa_public_blob(rsa_numbers.public_numbers)
    with BCryptImportKeyPair(algorithm("RSA"), None, BCRYPT_RSAPUBLIC_BLOB, blob) as key:
        assert BCryptGetProperty(key, BCRYPT_PUBLIC_KEY_LENGTH) == 1024
        assert BCryptGetProperty(key, BCRYPT_SIGNATURE_LENGTH) == 128


@pytest.mark.row("3.2 ECCCurveName")
@pytest.mark.parametrize("name", GENERIC)
@pytest.mark.parametrize("form", [str, utf16])
def test_the_curve_name_of_a_generic_algorithm(algorithm, refuses, name, form):
    handle = algorithm(name)
    with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
        BCryptGetProperty(handle, BCRYPT_ECC_CURVE_NAME)
    for curve in ("nistP256", "secP256r1", "nistP521"):
        BCryptSetProperty(handle, BCRYPT_ECC_CURVE_NAME, form(curve))
        assert BCryptGetProperty(handle, BCRYPT_ECC_CURVE_NAME) == curve
    for unknown in ("", "P-256", "nistp256", "NISTP256", "Curve25519", "prime256v1"):
        with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
            BCryptSetProperty(handle, BCRYPT_ECC_CURVE_NAME, form(unknown))
    assert BCryptGetProperty(handle, BCRYPT_ECC_CURVE_NAME) == "nistP521"


@pytest.mark.row("3.2 ECCCurveName")
@pytest.mark.parametrize("name", CURVES)
def test_the_curve_name_of_a_fixed_algorithm_stays(algorithm, pair, refuses, name):
    curve = f"nistP{FIXED_CURVES[name][0]}"
    handle = algorithm(name)
    assert BCryptGetProperty(handle, BCRYPT_ECC_CURVE_NAME) == curve
    assert BCryptGetProperty(pair(name), BCRYPT_ECC_CURVE_NAME) == curve
    empty = pair(name, finalize=False)
    for fixed in (handle, empty):
        for value in (curve, "nistP256", "nistP384"):
            with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
                BCryptSetProperty(fixed, BCRYPT_ECC_CURVE_NAME, value)


@pytest.mark.row("3.2 ECCCurveName")
def test_other_algorithms_have_no_curve(algorithm, pair, refuses):
    for handle in (*(algorithm(name) for name in (*RSA, "AES", "SHA256", "RNG")), pair("RSA", finalize=False)):
        with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
            BCryptSetProperty(handle, BCRYPT_ECC_CURVE_NAME, "nistP256")


@pytest.mark.row("3.2 ECCCurveNameList")
def test_the_list_of_curves_holds_what_can_be_set(algorithm, refuses):
    for name in (*GENERIC, *CURVES):
        assert {"nistP256", "nistP384", "nistP521"} <= set(
            BCryptGetProperty(algorithm(name), BCRYPT_ECC_CURVE_NAME_LIST)
        )
    handle = algorithm("ECDSA")
    for curve in BCryptGetProperty(handle, BCRYPT_ECC_CURVE_NAME_LIST):
        BCryptSetProperty(handle, BCRYPT_ECC_CURVE_NAME, curve)
    for name in ("RSA", "AES", "SHA256", "RNG"):
        other = algorithm(name)
        with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
            BCryptGetProperty(other, BCRYPT_ECC_CURVE_NAME_LIST)


@pytest.mark.row("3.2 PrimitiveType")
def test_primitive_type(algorithm, refuses):
    only(algorithm, refuses, BCRYPT_PRIMITIVE_TYPE, CLASSES)


@pytest.mark.row("3.2 IsIfxTpmWeakKey")
def test_the_infineon_weakness(pair, algorithm, refuses):
    assert BCryptGetProperty(pair("RSA"), BCRYPT_IS_IFX_TPM_WEAK_KEY) == 0
    curve = pair("ECDSA_P256")
    with refuses(NTSTATUS.STATUS_NOT_SUPPORTED):
        BCryptGetProperty(curve, BCRYPT_IS_IFX_TPM_WEAK_KEY)
    primorial = 1
    for prime in (n for n in range(2, 168) if all(n % p for p in range(2, n))):
        primorial *= prime
    modulus = pow(65537, 5, primorial)
    while modulus.bit_length() < 1024 or modulus % 2 == 0:
        modulus += primorial << 800
    numbers = type("Numbers", (), {"e": 65537, "n": modulus})
    with BCryptImportKeyPair(algorithm("RSA"), None, BCRYPT_RSAPUBLIC_BLOB, rsa_public_blob(numbers)) as weak:
        assert BCryptGetProperty(weak, BCRYPT_IS_IFX_TPM_WEAK_KEY) == 1
