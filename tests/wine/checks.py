"""What the tests of both DLLs share."""

from __future__ import annotations

from typing import Any

import pytest
from conformance import oracle
from support import missing
from wine.differences import LACKS, MEASURED
from wine.wine_bcrypt import WineBcrypt, WineHandle

from hwcng import NTSTATUS, CngError, bcrypt
from hwcng.cng.algorithm_table import ALGORITHMS
from hwcng.cng.keys import AlgorithmHandle
from hwcng.contract.provider import Provider
from hwcng.contract.usage import Support

__all__ = [
    "MESSAGE",
    "digest_of",
    "fails",
    "have",
    "hwcng_algorithm",
    "need_algorithm",
    "wine_algorithm",
    "wine_public",
]

MESSAGE = b"both implementations of CNG see this message"


def digest_of(hash_name: str | None) -> bytes:
    """36 bytes, as TLS 1.1 signs, where there is no hash."""
    if hash_name is None:
        return bytes(range(36))
    return oracle.digest(hash_name, MESSAGE)


def need_algorithm(token: Provider, name: str) -> None:
    """Skips where hwcng has not the algorithm on this token, or not a function of this name."""
    if hasattr(bcrypt, name):
        return
    row = ALGORITHMS.get(name)
    if row is None or token.offers(row.offered_as, row.curve) is Support.REFUSED:
        missing(f"hwcng: {name}")


def hwcng_algorithm(token: Provider, name: str) -> AlgorithmHandle:
    need_algorithm(token, name)
    return bcrypt.BCryptOpenAlgorithmProvider(name, token)


def wine_algorithm(dll: WineBcrypt, name: str) -> WineHandle:
    try:
        return dll.BCryptOpenAlgorithmProvider(name)
    except CngError as error:
        if error.status is not NTSTATUS.STATUS_NOT_IMPLEMENTED:
            raise
        missing(f"Wine's bcrypt.dll: {name}")


def have(dll: WineBcrypt, *uses: str) -> None:
    """Skips where Wine lacks one of LACKS; of a version that was not measured the last one's are taken."""
    version = dll.version.removeprefix("wine-")
    for use in uses:
        if (version if version in MEASURED else MEASURED[-1]) in LACKS[use]:
            missing(f"Wine {version}'s bcrypt.dll: {use}")


def wine_public(dll: WineBcrypt, name: str, blob_type: str, blob: bytes) -> WineHandle:
    """bcrypt.dll's key of a public blob."""
    return dll.BCryptImportKeyPair(wine_algorithm(dll, name), None, blob_type, blob)


def fails(status: Any, function: Any, *arguments: Any) -> None:
    with pytest.raises(CngError) as error:
        function(*arguments)
    assert error.value.status is status
