"""The property ECCParameters: a header, then P, A, B, Gx, Gy, n and h (CNG reference, sections 3.2 and 4.4)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from hwcng import NTSTATUS, CngError
from hwcng.bcrypt import (
    BCRYPT_ECC_CURVE_NAME,
    BCRYPT_ECC_PARAMETERS,
    BCryptFinalizeKeyPair,
    BCryptGenerateKeyPair,
    BCryptGetProperty,
    BCryptOpenAlgorithmProvider,
    BCryptSetProperty,
)

if TYPE_CHECKING:
    from hwcng.contract.provider import Provider

pytestmark = pytest.mark.row("3.2 ECCParameters")

# FIPS 186-5 / SP 800-186, curve P-256.
P256 = bytes.fromhex(
    "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff"
    "ffffffff00000001000000000000000000000000fffffffffffffffffffffffc"
    "5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b"
    "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
    "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"
)
PARAMETERS = struct.pack("<8I", 0x50434345, 1, 1, 0, 32, 32, 1, 0) + P256 + b"\x01"


def refused(status: NTSTATUS, handle: object, value: object) -> None:
    with pytest.raises(CngError) as error:
        BCryptSetProperty(handle, BCRYPT_ECC_PARAMETERS, value)
    assert error.value.status is status


def test_of_a_fixed_curve(provider: Provider) -> None:
    algorithm = BCryptOpenAlgorithmProvider("ECDH_P256", provider)
    assert BCryptGetProperty(algorithm, BCRYPT_ECC_PARAMETERS) == PARAMETERS
    refused(NTSTATUS.STATUS_NOT_SUPPORTED, algorithm, PARAMETERS)


def test_name_the_curve_of_a_generic_algorithm(provider: Provider) -> None:
    algorithm = BCryptOpenAlgorithmProvider("ECDSA", provider)
    BCryptSetProperty(algorithm, BCRYPT_ECC_PARAMETERS, PARAMETERS)
    assert BCryptGetProperty(algorithm, BCRYPT_ECC_CURVE_NAME) == "nistP256"
    assert BCryptGetProperty(algorithm, BCRYPT_ECC_PARAMETERS) == PARAMETERS


def test_name_the_curve_of_an_empty_pair(provider: Provider) -> None:
    with BCryptGenerateKeyPair(BCryptOpenAlgorithmProvider("ECDH", provider), 0) as pair:
        with pytest.raises(CngError) as error:
            BCryptGetProperty(pair, BCRYPT_ECC_PARAMETERS)
        assert error.value.status is NTSTATUS.STATUS_INVALID_HANDLE
        BCryptSetProperty(pair, BCRYPT_ECC_PARAMETERS, PARAMETERS)
        BCryptFinalizeKeyPair(pair)
        assert BCryptGetProperty(pair, BCRYPT_ECC_PARAMETERS) == PARAMETERS
        refused(NTSTATUS.STATUS_INVALID_HANDLE, pair, PARAMETERS)


@pytest.mark.parametrize(
    ("value", "status"),
    [
        (PARAMETERS[:31], NTSTATUS.STATUS_INVALID_PARAMETER),
        (PARAMETERS[:-1], NTSTATUS.STATUS_INVALID_PARAMETER),
        (PARAMETERS + b"\0", NTSTATUS.STATUS_INVALID_PARAMETER),
        (b"ECKP" + PARAMETERS[4:], NTSTATUS.STATUS_INVALID_PARAMETER),
        (PARAMETERS[:4] + b"\2" + PARAMETERS[5:], NTSTATUS.STATUS_INVALID_PARAMETER),
        (PARAMETERS[:-1] + b"\2", NTSTATUS.STATUS_NOT_SUPPORTED),
        (PARAMETERS[:40] + b"\1" + PARAMETERS[41:], NTSTATUS.STATUS_NOT_SUPPORTED),
        ("nistP256", NTSTATUS.STATUS_INVALID_PARAMETER),
    ],
)
def test_malformed_and_unknown(provider: Provider, value: object, status: NTSTATUS) -> None:
    algorithm = BCryptOpenAlgorithmProvider("ECDSA", provider)
    refused(status, algorithm, value)
    with pytest.raises(CngError):
        BCryptGetProperty(algorithm, BCRYPT_ECC_CURVE_NAME)


def test_other_algorithms_have_none(provider: Provider) -> None:
    for name in ("AES", "RSA", "SHA256", "RNG"):
        algorithm = BCryptOpenAlgorithmProvider(name, provider)
        with pytest.raises(CngError) as error:
            BCryptGetProperty(algorithm, BCRYPT_ECC_PARAMETERS)
        assert error.value.status is NTSTATUS.STATUS_NOT_SUPPORTED
