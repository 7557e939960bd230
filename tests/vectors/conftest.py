"""The tokens that the vectors run on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conformance.tokens import nss_current  # noqa: F401
from support import missing
from vectors.wycheproof import Token

import hwcng
from hwcng.providers.base import Provider

NSS_LIBRARY = "libsoftokn3.so"


@pytest.fixture(scope="session", params=["SoftHSM", "NSS"])
def token(request: pytest.FixtureRequest) -> Iterator[Token]:
    if request.param == "SoftHSM":
        yield Token("SoftHSM", request.getfixturevalue("provider"))
        return
    library = next(Path("/usr/lib").glob(f"*/{NSS_LIBRARY}"), None)
    if library is None:
        missing(f"NSS's {NSS_LIBRARY}")
    with hwcng.open_provider(f"pkcs11:slot-id=1?module-path={library}") as provider:
        yield Token("NSS", provider)


@pytest.fixture(scope="session")
def lattice_token(nss_current: Provider) -> Token:  # noqa: F811
    """One with ML-DSA and ML-KEM."""
    return Token("current NSS", nss_current)
