"""A key in the wrong place of a call is in no message: arguments of every function, each given key octets in turn."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import pytest

from hwcng import bcrypt, ncrypt, wincrypt
from hwcng.contract.provider import Provider

SECRET = b"octets of a key!"
TEXT = SECRET.decode()
FUNCTIONS = [
    function
    for module, prefix in ((bcrypt, "BCrypt"), (ncrypt, "NCrypt"), (wincrypt, "Crypt"))
    for name, function in sorted(vars(module).items())
    if name.startswith(prefix) and inspect.isfunction(function)
]


@pytest.fixture
def handles(provider: Provider) -> Iterator[dict[str, dict[str, Any]]]:
    """Module -> what a parameter of this name is given where it is not the misplaced one."""
    with (
        bcrypt.BCryptOpenAlgorithmProvider("AES", provider) as algorithm,
        bcrypt.BCryptGenerateSymmetricKey(algorithm, None, bytes(16)) as key,
        bcrypt.BCryptOpenAlgorithmProvider("SHA256", provider) as sha,
        ncrypt.NCryptOpenStorageProvider(provider) as storage,
        wincrypt.CryptAcquireContext(None, provider, wincrypt.PROV_RSA_AES, wincrypt.CRYPT_VERIFYCONTEXT) as context,
    ):
        data = {name: bytes(32) for name in ("pbInput", "pbData", "pbSecret", "pbHashValue")}
        yield {
            "hwcng.bcrypt": {**data, "hAlgorithm": algorithm, "hKey": key, "hHash": bcrypt.BCryptCreateHash(sha)},
            "hwcng.ncrypt": {**data, "hProvider": storage, "hKey": key, "hObject": storage, "pszKeyName": "none"},
            "hwcng.wincrypt": {
                **data,
                "hProv": context,
                "hKey": wincrypt.CryptGenKey(context, wincrypt.CALG_AES_128, 0),
                "hHash": wincrypt.CryptCreateHash(context, wincrypt.CALG_SHA_256, None, 0),
            },
        }


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_no_message_has_them(function: Any, handles: dict[str, dict[str, Any]]) -> None:
    good = handles[function.__module__]
    parameters = inspect.signature(function).parameters
    for misplaced in parameters:
        arguments = {
            name: good.get(name, None if parameter.default is inspect.Parameter.empty else parameter.default)
            for name, parameter in parameters.items()
        }
        message = ""
        try:
            function(**{**arguments, misplaced: SECRET})
        except Exception as error:
            message = f"{error} {error!r}"
        assert TEXT not in message, misplaced
