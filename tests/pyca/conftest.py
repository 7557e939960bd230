"""Fixtures of the tests of `hwcng.pyca`: the tokens, and pairs in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from conformance.tokens import *  # noqa: F403
from pyca.pairs import MakePair, make_pair
from support import name_token

if TYPE_CHECKING:
    from hwcng.cng.keys import KeyPair
    from hwcng.contract.provider import Provider


@pytest.fixture(scope="session", params=["softhsm", "nss", "nss-current", "swtpm"])  # type: ignore[no-redef]
def raw_secret_token(request: pytest.FixtureRequest) -> Iterator[Provider]:
    """Each token in turn, opened so that agreed secrets may be read."""
    import hwcng

    pin = None
    if request.param == "softhsm":
        uri, pin = request.getfixturevalue("token_uri"), request.getfixturevalue("token_pin")
    elif request.param == "nss-current":
        uri, pin = request.getfixturevalue("nss_current_database").uri, request.getfixturevalue("nss_pin")
    elif request.param == "nss":
        uri = request.getfixturevalue("nss_database").services_uri
    else:
        uri = request.getfixturevalue("swtpm_provider").uri
    with hwcng.open_provider(uri, pin=pin, allow_raw_secret=True) as opened:
        yield name_token(opened, request.param)


@pytest.fixture(params=["softhsm", "nss-current"])
def own_token(request: pytest.FixtureRequest) -> Iterator[Provider]:
    """A token that this test may break, opened so that agreed secrets may be read."""
    uri, pin = ("token_uri", "token_pin") if request.param == "softhsm" else ("nss_current_database", "nss_pin")
    found, pin = request.getfixturevalue(uri), request.getfixturevalue(pin)
    import hwcng

    with hwcng.open_provider(getattr(found, "uri", found), pin=pin, allow_raw_secret=True) as opened:
        yield name_token(opened, request.param)


@pytest.fixture
def pair(token: Provider) -> Iterator[MakePair]:
    """`pair("ECDSA", ECCCurveName="nistP256")`: a pair of each token in turn; pairs end with the test."""
    made: list[KeyPair] = []

    def make(algorithm: str, bits: int = 0, **properties: Any) -> KeyPair:
        made.append(make_pair(token, algorithm, bits, **properties))
        return made[-1]

    yield make
    for one in made:
        one.destroy()
