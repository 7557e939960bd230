"""Contexts of the legacy CryptoAPI on each token: SoftHSM, NSS with and without its database, a software TPM."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from conformance.tokens import *  # noqa: F403
from conformance.tokens import PROVIDERS
from support import name_token

from hwcng import CngError, wincrypt

if TYPE_CHECKING:
    from hwcng.capi.contexts import Context
    from hwcng.contract.provider import Provider

TOKENS = ("softhsm", "nss", "nss-db", "swtpm")
KEEPERS = ("softhsm", "nss-db", "swtpm")


@pytest.fixture(scope="session", params=TOKENS)  # type: ignore[no-redef]
def token(request: pytest.FixtureRequest) -> Provider:
    opened: Provider = request.getfixturevalue(PROVIDERS[request.param])
    return name_token(opened, request.param)


@pytest.fixture(scope="session", params=KEEPERS)
def keeper(request: pytest.FixtureRequest) -> Provider:
    """Each token in turn that keeps named keys."""
    opened: Provider = request.getfixturevalue(PROVIDERS[request.param])
    return name_token(opened, request.param)


@pytest.fixture
def verify(token: Provider) -> Iterator[Callable[..., Context]]:
    """verify(csp=MS_ENH_RSA_AES_PROV, flags=0): a context without a container, released at the end."""
    from hwcng.capi.csps import CSPS

    opened: list[Context] = []

    def acquire(csp: str = wincrypt.MS_ENH_RSA_AES_PROV, flags: int = 0) -> Context:
        context = wincrypt.CryptAcquireContext(None, (csp, token), CSPS[csp].kind, wincrypt.CRYPT_VERIFYCONTEXT | flags)
        opened.append(context)
        return context

    yield acquire
    for context in opened:
        context.destroy()


@pytest.fixture
def context(verify: Callable[..., Context]) -> Context:
    return verify()


@pytest.fixture
def container(keeper: Provider) -> Iterator[Callable[..., Context]]:
    """container(name, flags=CRYPT_NEWKEYSET, csp=...): a context with a container, deleted at the end."""
    from hwcng.capi.csps import CSPS

    opened: list[tuple[Context, str, str]] = []

    def acquire(name: str, flags: int = wincrypt.CRYPT_NEWKEYSET, csp: str = wincrypt.MS_ENH_RSA_AES_PROV) -> Context:
        made = wincrypt.CryptAcquireContext(name, (csp, keeper), CSPS[csp].kind, flags)
        opened.append((made, name, csp))
        return made

    yield acquire
    for made, name, csp in opened:
        made.destroy()
        machine = wincrypt.CRYPT_MACHINE_KEYSET if made.machine else 0
        with suppress(CngError):
            wincrypt.CryptAcquireContext(name, (csp, keeper), CSPS[csp].kind, wincrypt.CRYPT_DELETEKEYSET | machine)
