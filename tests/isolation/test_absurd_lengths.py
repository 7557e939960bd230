"""A length or a number of iterations that no call can serve is refused before the token or the host begins."""

from __future__ import annotations

from typing import Any

import pytest

from hwcng import bcrypt
from hwcng.contract.provider import Provider
from hwcng.errors import NTSTATUS, CngError
from hwcng.testing.calls import CallCounter

PARAMETERS: dict[str, list[tuple[int, Any]]] = {
    "SP800_108_CTR_HMAC": [
        (bcrypt.KDF_HASH_ALGORITHM, "SHA256"),
        (bcrypt.KDF_LABEL, b"l"),
        (bcrypt.KDF_CONTEXT, b"c"),
    ],
    "SP800_56A_CONCAT": [
        (bcrypt.KDF_HASH_ALGORITHM, "SHA256"),
        (bcrypt.KDF_ALGORITHMID, b"a"),
        (bcrypt.KDF_PARTYUINFO, b"u"),
        (bcrypt.KDF_PARTYVINFO, b"v"),
    ],
    "PBKDF2": [(bcrypt.KDF_HASH_ALGORITHM, "SHA256"), (bcrypt.KDF_ITERATION_COUNT, 2)],
    "CAPI_KDF": [(bcrypt.KDF_HASH_ALGORITHM, "SHA256")],
    "TLS1_2_KDF": [
        (bcrypt.KDF_HASH_ALGORITHM, "SHA256"),
        (bcrypt.KDF_TLS_PRF_LABEL, b"l"),
        (bcrypt.KDF_TLS_PRF_SEED, bytes(64)),
    ],
}


def _base_key(token: Provider, algorithm: str) -> Any:
    handle = bcrypt.BCryptOpenAlgorithmProvider(algorithm, token)
    return bcrypt.BCryptGenerateSymmetricKey(handle, None, b"k" * 32)


@pytest.mark.parametrize("length", [2**20 + 1, 2**31, 2**32 - 1, 2**40, 2**70])
@pytest.mark.parametrize("algorithm", PARAMETERS)
def test_lengths_of_derivations(provider: Provider, algorithm: str, length: int) -> None:
    with _base_key(provider, algorithm) as key:
        assert len(bcrypt.BCryptKeyDerivation(key, PARAMETERS[algorithm], 48)) == 48
        with CallCounter(provider) as counter, pytest.raises(CngError) as error:  # type: ignore[arg-type]
            bcrypt.BCryptKeyDerivation(key, PARAMETERS[algorithm], length)
        assert error.value.status is NTSTATUS.STATUS_INVALID_PARAMETER
        assert counter.names == []


@pytest.mark.parametrize("iterations", [2**24 + 1, 2**60, 2**64 - 1])
def test_iterations_with_the_password_in_the_token(provider: Provider, iterations: int) -> None:
    parameters = [(bcrypt.KDF_HASH_ALGORITHM, "SHA256"), (bcrypt.KDF_ITERATION_COUNT, iterations)]
    with (
        _base_key(provider, "PBKDF2") as key,
        CallCounter(provider) as counter,  # type: ignore[arg-type]
        pytest.raises(CngError) as error,
    ):
        bcrypt.BCryptKeyDerivation(key, parameters, 32)
    assert error.value.status is NTSTATUS.STATUS_INVALID_PARAMETER
    assert counter.names == []


@pytest.mark.parametrize(("iterations", "length"), [(2**60, 32), (2**70, 32), (1, 2**33), (2**20, 2**20)])
def test_work_of_the_host(provider: Provider, iterations: int, length: int) -> None:
    prf = bcrypt.BCryptOpenAlgorithmProvider("SHA256", provider, bcrypt.BCRYPT_ALG_HANDLE_HMAC_FLAG)
    with pytest.raises(CngError) as error:
        bcrypt.BCryptDeriveKeyPBKDF2(prf, b"p", b"s", iterations, length)
    assert error.value.status is NTSTATUS.STATUS_INVALID_PARAMETER
