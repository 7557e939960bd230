"""The functions' parameters: documented names in documented order, out-parameters and sizes dropped."""

from __future__ import annotations

import inspect

import pytest

import hwcng.bcrypt

# What is left of "the output pointer is NULL" and "it is written only on success": there is none, the result is
# returned, and a failure returns nothing.
PARAMETERS = {
    "BCryptOpenAlgorithmProvider": "pszAlgId, pszImplementation=None, dwFlags=0",
    "BCryptCloseAlgorithmProvider": "hAlgorithm, dwFlags=0",
    "BCryptEnumAlgorithms": "dwAlgOperations=0, dwFlags=0",
    "BCryptGetProperty": "hObject, pszProperty, dwFlags=0",
    "BCryptSetProperty": "hObject, pszProperty, pbInput, dwFlags=0",
    "BCryptGenerateSymmetricKey": "hAlgorithm, pbKeyObject, pbSecret, dwFlags=0",
    "BCryptGenerateKeyPair": "hAlgorithm, dwLength, dwFlags=0",
    "BCryptFinalizeKeyPair": "hKey, dwFlags=0",
    "BCryptDuplicateKey": "hKey, pbKeyObject=None, dwFlags=0",
    "BCryptImportKey": "hAlgorithm, hImportKey, pszBlobType, pbKeyObject, pbInput, dwFlags=0",
    "BCryptImportKeyPair": "hAlgorithm, hImportKey, pszBlobType, pbInput, dwFlags=0",
    "BCryptExportKey": "hKey, hExportKey, pszBlobType, dwFlags=0",
    "BCryptDestroyKey": "hKey",
    "BCryptEncrypt": "hKey, pbInput, pPaddingInfo=None, pbIV=None, dwFlags=0",
    "BCryptDecrypt": "hKey, pbInput, pPaddingInfo=None, pbIV=None, dwFlags=0",
    "BCryptSignHash": "hKey, pPaddingInfo, pbInput, dwFlags=0",
    "BCryptVerifySignature": "hKey, pPaddingInfo, pbHash, pbSignature, dwFlags=0",
    "BCryptSecretAgreement": "hPrivKey, hPubKey, dwFlags=0",
    "BCryptDeriveKey": "hSharedSecret, pwszKDF, pParameterList, cbDerivedKey, dwFlags=0",
    "BCryptDestroySecret": "hSecret",
    "BCryptEncapsulate": "hKey, dwFlags=0",
    "BCryptDecapsulate": "hKey, pbCipherText, dwFlags=0",
    "BCryptGenRandom": "hAlgorithm, cbBuffer, dwFlags=0",
    "BCryptCreateHash": "hAlgorithm, pbHashObject=None, pbSecret=None, dwFlags=0",
    "BCryptHashData": "hHash, pbInput, dwFlags=0",
    "BCryptFinishHash": "hHash, dwFlags=0",
    "BCryptDuplicateHash": "hHash, pbHashObject=None, dwFlags=0",
    "BCryptDestroyHash": "hHash",
    "BCryptHash": "hAlgorithm, pbSecret, pbInput",
}


@pytest.mark.row("GSK-06", "GKP-05", "DUP-04", "IMP-12", "IMP-13", "OAP-02", "EXP-01", "HSH-04", "HSH-08")
@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_the_documented_ones_without_outputs(name):
    parameters = inspect.signature(getattr(hwcng.bcrypt, name)).parameters.values()
    shown = (
        parameter.name + ("" if parameter.default is inspect.Parameter.empty else f"={parameter.default!r}")
        for parameter in parameters
    )
    assert ", ".join(shown) == PARAMETERS[name]


def test_every_function_is_here():
    assert set(PARAMETERS) <= {name for name in hwcng.bcrypt.__all__ if name.startswith("BCrypt")}
