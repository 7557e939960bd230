"""The tokens that comparisons run on, beside the session's SoftHSM."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import missing

if TYPE_CHECKING:
    from hwcng.providers.base import Provider

__all__ = ["nss_current", "nss_provider", "raw_secret_token", "token"]

NSS_SOFTOKN = Path("/usr/lib/x86_64-linux-gnu/libsoftokn3.so")
NSS_CURRENT = Path.home() / ".cache/hwcng/nss/current/libsoftokn3.so"


def _nss_uri() -> str:
    if not NSS_SOFTOKN.exists():
        missing("NSS softokn")
    return f"pkcs11:slot-id=1?module-path={NSS_SOFTOKN}"


@pytest.fixture(scope="session")
def nss_provider() -> Iterator[Provider]:
    """NSS softokn's slot of crypto services, which asks for no login."""
    import hwcng

    with hwcng.open_provider(_nss_uri()) as opened:
        yield opened


@pytest.fixture(scope="session")
def nss_current() -> Iterator[Provider]:
    """A current NSS's slot of crypto services: ML-DSA, ML-KEM and X25519."""
    import hwcng
    from hwcng.providers.pkcs11.cryptoki import ffi

    folder = Path(os.environ.get("HWCNG_CURRENT_NSS", NSS_CURRENT)).parent
    if not (folder / NSS_SOFTOKN.name).exists():
        missing("a current NSS (ML-DSA, ML-KEM)")
    # Its libraries have names of their own, so that it can live beside the system's NSS; the loader does not know them.
    utilities = ffi.dlopen(str(folder / "libnssutilC.so"), ffi.RTLD_NOW)
    with hwcng.open_provider(f"pkcs11:slot-id=1?module-path={folder / NSS_SOFTOKN.name}") as opened:
        yield opened
    del utilities


@pytest.fixture(scope="session", params=["softhsm", "nss"])
def token(request: pytest.FixtureRequest) -> Provider:
    """Each token in turn."""
    opened: Provider = request.getfixturevalue("provider" if request.param == "softhsm" else "nss_provider")
    return opened


@pytest.fixture(scope="session", params=["softhsm", "nss"])
def raw_secret_token(request: pytest.FixtureRequest, token_uri: str, token_pin: str) -> Iterator[Provider]:
    """Each token in turn, opened so that agreed secrets may be read."""
    import hwcng

    uri, pin = (token_uri, token_pin) if request.param == "softhsm" else (_nss_uri(), None)
    with hwcng.open_provider(uri, pin=pin, allow_raw_secret=True) as opened:
        yield opened
