"""Statuses, constants and parameters of NCrypt, against ncrypt.h and winerror.h."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
from support import missing

from hwcng import ncrypt
from hwcng.errors import HRESULT, NTSTATUS, CngError, TokenCode, Win32Error
from hwcng.ksp.status import NTSTATUS_TO_HRESULT, answering_security_status, security_status

HEADERS = Path("/usr/share/mingw-w64/include")

PARAMETERS = {
    "NCryptOpenStorageProvider": "pszProviderName=None, dwFlags=0",
    "NCryptEnumStorageProviders": "dwFlags=0",
    "NCryptIsAlgSupported": "hProvider, pszAlgId, dwFlags=0",
    "NCryptEnumAlgorithms": "hProvider, dwAlgOperations=0, dwFlags=0",
    "NCryptCreatePersistedKey": "hProvider, pszAlgId, pszKeyName, dwLegacyKeySpec=0, dwFlags=0",
    "NCryptFinalizeKey": "hKey, dwFlags=0",
    "NCryptOpenKey": "hProvider, pszKeyName, dwLegacyKeySpec=0, dwFlags=0",
    "NCryptEnumKeys": "hProvider, dwFlags=0",
    "NCryptDeleteKey": "hKey, dwFlags=0",
    "NCryptFreeObject": "hObject",
    "NCryptIsKeyHandle": "hKey",
    "NCryptGetProperty": "hObject, pszProperty, dwFlags=0",
    "NCryptSetProperty": "hObject, pszProperty, pbInput, dwFlags=0",
    "NCryptImportKey": "hProvider, hImportKey, pszBlobType, pParameterList, pbData, dwFlags=0",
    "NCryptExportKey": "hKey, hExportKey, pszBlobType, pParameterList=None, dwFlags=0",
    "NCryptEncrypt": "hKey, pbInput, pPaddingInfo=None, dwFlags=0",
    "NCryptDecrypt": "hKey, pbInput, pPaddingInfo=None, dwFlags=0",
    "NCryptSignHash": "hKey, pPaddingInfo, pbHashValue, dwFlags=0",
    "NCryptVerifySignature": "hKey, pPaddingInfo, pbHashValue, pbSignature, dwFlags=0",
    "NCryptSecretAgreement": "hPrivKey, hPubKey, dwFlags=0",
    "NCryptDeriveKey": "hSharedSecret, pwszKDF, pParameterList=None, cbDerivedKey=None, dwFlags=0",
    "NCryptCreateClaim": "hSubjectKey, hAuthorityKey, dwClaimType, pParameterList, dwFlags=0",
    "NCryptVerifyClaim": "hSubjectKey, hAuthorityKey, dwClaimType, pParameterList, pbClaimBlob, dwFlags=0",
    "NCryptEncapsulate": "hKey, dwFlags=0",
    "NCryptDecapsulate": "hKey, pbCipherText, dwFlags=0",
    "NCryptKeyDerivation": "hKey, pParameterList, cbDerivedKey, dwFlags=0",
    "NCryptTranslateHandle": "hLegacyProv, hLegacyKey=None, dwLegacyKeySpec=0, dwFlags=0",
    "NCryptFreeBuffer": "pvInput",
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_the_documented_ones_without_outputs(name: str) -> None:
    parameters = inspect.signature(getattr(ncrypt, name)).parameters.values()
    shown = (
        parameter.name + ("" if parameter.default is inspect.Parameter.empty else f"={parameter.default!r}")
        for parameter in parameters
    )
    assert ", ".join(shown) == PARAMETERS[name]


def test_every_function_is_here() -> None:
    records = {"NCryptKeyName", "NCryptAlgorithmName", "NCryptProviderName", "NCryptBuffer", "NCryptBufferDesc"}
    assert {name for name in ncrypt.__all__ if name.startswith("NCrypt")} - records == set(PARAMETERS)


def defined_in(header: str) -> dict[str, int | str]:
    """The numbers and strings that a header defines outright."""
    if not (path := HEADERS / header).exists():
        missing("mingw-w64 headers")
    text = path.read_text("latin-1")
    found: dict[str, int | str] = {}
    for name, value in re.findall(r"^#define (\w+)\s+(.+?)\s*$", text, re.MULTILINE):
        number = re.fullmatch(r"\(?(?:_HRESULT_TYPEDEF_\()?(0x[0-9a-fA-F]+|\d+)L?\)*", value)
        string = re.fullmatch(r'L"(.*)"', value)
        if number:
            found[name] = int(number[1], 0)
        elif string:
            found[name] = string[1]
    return found


def test_constants_are_those_of_the_header() -> None:
    header = defined_in("ncrypt.h")
    shared = [name for name in ncrypt.__all__ if name in header]
    assert len(shared) > 70
    for name in shared:
        assert getattr(ncrypt, name) == header[name], name


def test_statuses_are_those_of_the_header() -> None:
    header = defined_in("winerror.h")
    shared = [status for status in HRESULT if status.name in header and status.name != "RPC_X_NULL_REF_POINTER"]
    assert len(shared) > 50
    for status in shared:
        assert status == header[status.name], status
    # HRESULT_FROM_WIN32(1780).
    assert HRESULT.RPC_X_NULL_REF_POINTER.value == 0x80070000 | 1780


def test_every_failure_becomes_a_security_status() -> None:
    for status in NTSTATUS:
        with pytest.raises(CngError) as error, security_status():
            raise CngError(status, "message", TokenCode(5, "CKR_GENERAL_ERROR"))
        assert error.value.status is NTSTATUS_TO_HRESULT.get(status, HRESULT.NTE_INTERNAL_ERROR)
        assert (error.value.message, error.value.token_code) == ("message", 5)
        assert error.value.__cause__.status is status  # type: ignore[union-attr]
    left_to_the_rest = set(NTSTATUS) - set(NTSTATUS_TO_HRESULT)
    assert left_to_the_rest == {NTSTATUS.STATUS_SUCCESS, NTSTATUS.STATUS_INTERNAL_ERROR}


def test_what_is_a_security_status_stays() -> None:
    original = CngError(HRESULT.NTE_BAD_DATA, "message")

    @answering_security_status
    def fail() -> None:
        raise original

    with pytest.raises(CngError) as error:
        fail()
    assert error.value is original
    with pytest.raises(CngError) as error, security_status():
        raise CngError(Win32Error.ERROR_BUSY, "message")
    assert error.value.status is HRESULT.NTE_FAIL
    with pytest.raises(KeyError), security_status():
        raise KeyError("not ours")
