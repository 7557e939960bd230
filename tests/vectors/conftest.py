"""The tokens that the vectors run on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from conformance.tokens import nss_current_provider  # noqa: F401
from vectors.wycheproof import Token

import hwcng
from hwcng.contract.provider import Provider


@pytest.fixture(scope="session", params=["SoftHSM", "NSS"])
def token(request: pytest.FixtureRequest) -> Iterator[Token]:
    if request.param == "SoftHSM":
        yield Token("SoftHSM", request.getfixturevalue("provider"))
        return
    with hwcng.open_provider(request.getfixturevalue("nss_database").services_uri) as provider:
        yield Token("NSS", provider)


@pytest.fixture(scope="session")
def lattice_token(nss_current_provider: Provider) -> Token:  # noqa: F811
    """One with ML-DSA and ML-KEM."""
    return Token("current NSS", nss_current_provider)
