"""The tokens that comparisons run on, beside the session's SoftHSM. Each starts when a test first asks for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import opencryptoki
import pytest
from support import missing, missing_on, name_token

if TYPE_CHECKING:
    from hwcng.contract.provider import Provider
    from hwcng.testing.nss import NssDatabase

__all__ = [
    "as_default",
    "extra_provider",
    "full_token",
    "keys_of_its_own",
    "nss_current_provider",
    "nss_db_provider",
    "nss_provider",
    "opencryptoki_provider",
    "p11_kit_provider",
    "pkcs11_token",
    "raw_secret_token",
    "swtpm_provider",
    "token",
]

PROVIDERS = {
    "softhsm": "provider",
    "nss": "nss_provider",
    "nss-db": "nss_db_provider",
    "nss-current": "nss_current_provider",
    "p11-kit": "p11_kit_provider",
    "swtpm": "swtpm_provider",
}
"""Each token's name and the fixture that opens it."""
# Any token beyond those that the tests set up: its URI with pin-source or pin-value.
EXTRA_TOKEN = "HWCNG_TEST_TOKEN"
if os.environ.get(EXTRA_TOKEN):
    PROVIDERS["extra"] = "extra_provider"
if opencryptoki.is_wanted():
    PROVIDERS["opencryptoki"] = "opencryptoki_provider"
LESS = frozenset({"extra", "opencryptoki"})
"""Of these tokens not everything is expected that all others have."""
FULL = ("softhsm", "nss")
"""The tokens on which everything works that is compared on them."""


@pytest.fixture(scope="session")
def nss_provider(nss_database: NssDatabase) -> Iterator[Provider]:
    """NSS softokn's slot of crypto services, which asks for no login."""
    import hwcng

    with hwcng.open_provider(nss_database.services_uri) as opened:
        yield opened


@pytest.fixture(scope="session")
def nss_db_provider(nss_database: NssDatabase, nss_pin: str) -> Iterator[Provider]:
    """NSS softokn's database, which has a PIN and keeps keys."""
    import hwcng

    with hwcng.open_provider(nss_database.uri, pin=nss_pin) as opened:
        yield opened


@pytest.fixture(scope="session")
def nss_current_provider(nss_current_database: NssDatabase, nss_pin: str) -> Iterator[Provider]:
    """The database of an NSS with ML-DSA and ML-KEM."""
    import hwcng

    with hwcng.open_provider(nss_current_database.uri, pin=nss_pin) as opened:
        yield opened


@pytest.fixture(scope="session")
def p11_kit_provider(p11_kit_uri: str, token_pin: str) -> Iterator[Provider]:
    """SoftHSM behind p11-kit, whose older versions pass few mechanisms."""
    import hwcng

    with hwcng.open_provider(p11_kit_uri, pin=token_pin) as opened:
        yield opened


@pytest.fixture(scope="session")
def swtpm_provider() -> Iterator[Provider]:
    """A software TPM."""
    import hwcng
    from hwcng.testing.swtpm import Swtpm, SwtpmError

    try:
        import tpm2_pytss  # noqa: F401
    except ImportError:
        missing("tpm2-pytss")
    try:
        running = Swtpm().__enter__()
    except SwtpmError:
        missing("command:swtpm")
    try:
        with hwcng.open_provider(running.uri) as opened:
            yield opened
    finally:
        running.close()


@pytest.fixture(scope="session")
def opencryptoki_provider() -> Iterator[Provider]:
    """opencryptoki's software token."""
    import hwcng

    token = opencryptoki.running()
    with hwcng.open_provider(token.uri, pin=token.pin) as opened:
        yield opened


@pytest.fixture(scope="session")
def extra_provider() -> Iterator[Provider]:
    """The token whose URI is in HWCNG_TEST_TOKEN."""
    import hwcng

    with hwcng.open_provider(os.environ[EXTRA_TOKEN]) as opened:
        yield opened


@pytest.fixture(scope="session", params=PROVIDERS)
def token(request: pytest.FixtureRequest) -> Provider:
    """Each token in turn. A test says with `support.needs` what it cannot do without."""
    opened: Provider = request.getfixturevalue(PROVIDERS[request.param])
    return name_token(opened, request.param)


@pytest.fixture(autouse=True)
def keys_of_its_own(request: pytest.FixtureRequest) -> Iterator[None]:
    """Other tests of the machine destroy what they find in opencryptoki's token, but not while this one uses it."""
    parameters = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    if parameters.get("token") != "opencryptoki":
        yield
        return
    with opencryptoki.used_with_others():
        yield


@pytest.fixture
def pkcs11_token(token: Provider) -> Provider:
    """Each token in turn whose agreed secrets stay in it."""
    return token if token.uri.startswith("pkcs11:") else missing_on(token, "agreed secrets that stay in the token")


@pytest.fixture
def as_default(token: Provider) -> Iterator[Provider]:
    """Each token in turn, as what pseudo-handles mean."""
    import hwcng

    hwcng.set_default_provider(token)
    yield token
    hwcng.set_default_provider(None)


@pytest.fixture(scope="session", params=FULL)
def full_token(request: pytest.FixtureRequest) -> Provider:
    """Each token in turn that has everything which the comparisons use."""
    opened: Provider = request.getfixturevalue(PROVIDERS[request.param])
    return opened


@pytest.fixture(scope="session", params=FULL)
def raw_secret_token(request: pytest.FixtureRequest) -> Iterator[Provider]:
    """Each token in turn, opened so that agreed secrets may be read."""
    import hwcng

    if request.param == "softhsm":
        uri, pin = request.getfixturevalue("token_uri"), request.getfixturevalue("token_pin")
    else:
        uri, pin = request.getfixturevalue("nss_database").services_uri, None
    with hwcng.open_provider(uri, pin=pin, allow_raw_secret=True) as opened:
        yield opened
