"""The tokens that the vectors run on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from vectors.wycheproof import Token

import hwcng


@pytest.fixture(scope="session", params=["SoftHSM", "NSS"])
def token(request: pytest.FixtureRequest) -> Iterator[Token]:
    if request.param == "SoftHSM":
        yield Token("SoftHSM", request.getfixturevalue("provider"))
        return
    with hwcng.open_provider(request.getfixturevalue("nss_database").services_uri) as provider:
        yield Token("NSS", provider)
