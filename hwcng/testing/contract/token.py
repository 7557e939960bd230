"""The token that the contract is tested on, and what the tests share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NoReturn, TypeVar

import pytest

from hwcng.contract.pins import Pin
from hwcng.contract.provider import Provider
from hwcng.contract.usage import Support
from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.registry import open_provider

__all__ = ["OnToken", "TokenUnderTest", "needs", "refused", "served", "skip", "told_pin"]

T = TypeVar("T")


@dataclass(frozen=True)
class TokenUnderTest:
    """uri: of an empty token that may be filled, its backend installed. pin: what opens it, None where the URI says."""

    uri: str
    pin: Pin | None = field(default=None, repr=False)

    def open(self, uri: str | None = None) -> Provider:
        """uri: another one of the same token."""
        return open_provider(uri or self.uri, pin=self.pin)

    def run(self, program: str, *arguments: str) -> str:
        """What a Python program prints in another process, which finds the PIN, if there is one, on standard input."""
        run = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            input=told_pin(self.pin) or "",
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert run.returncode == 0, run.stderr
        return run.stdout


def told_pin(pin: Pin | None) -> str | None:
    value = pin() if callable(pin) else pin
    return value.decode() if isinstance(value, bytes) else value


class OnToken:
    """What is tested with an open token."""

    @pytest.fixture
    def token(self) -> TokenUnderTest:
        raise NotImplementedError("a subclass has a fixture `token`, which returns a TokenUnderTest")

    @pytest.fixture
    def provider(self, token: TokenUnderTest) -> Iterator[Provider]:
        with token.open() as opened:
            yield opened


def skip(lacking: str) -> NoReturn:
    pytest.skip(f"capability missing: {lacking}")


def needs(provider: Provider, algorithm: str, operation: str | None = None) -> None:
    """Skips unless the token offers it."""
    if provider.offers(algorithm, operation) is Support.REFUSED:
        skip(f"{provider.token.label or provider.uri}: {algorithm} {operation or ''}".rstrip())


def served(verb: Callable[[], T], lacking: str) -> T:
    """What an optional verb returns; skips where the backend does not have it."""
    try:
        return verb()
    except CngError as error:
        if error.status is not NTSTATUS.STATUS_NOT_SUPPORTED:
            raise
        skip(f"{lacking}: {error.message}")


@contextmanager
def refused(*statuses: int) -> Iterator[pytest.ExceptionInfo[CngError]]:
    """`pytest.raises` for a CngError, with one of these statuses where any are given."""
    with pytest.raises(CngError) as caught:
        yield caught
    assert not statuses or caught.value.status in statuses, repr(caught.value)
