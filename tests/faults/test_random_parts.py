"""Tokens that make few random octets in one call (PKCS#11, C_GenerateRandom)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hwcng.contract.provider import Provider
from hwcng.errors import NTSTATUS, CngError
from hwcng.testing.calls import CFunction
from hwcng.testing.instrumenting import Instrumenting

OK, ARGUMENTS_BAD, DATA_LEN_RANGE, BUFFER_TOO_SMALL = 0x00, 0x07, 0x21, 0x150


class Meagre(Instrumenting):
    """Within it, a token refuses more than `most` octets with a CKR."""

    def __init__(self, provider: Any, most: int, rv: int) -> None:
        super().__init__()
        self._provider, self._most, self._rv = provider, most, rv
        self.served: list[int] = []

    def _install(self) -> Callable[[], None]:
        def round_(name: str, function: CFunction) -> CFunction:
            def answer(*arguments: Any) -> int:
                if name == "C_GenerateRandom" and arguments[2] > self._most:
                    return self._rv
                if name == "C_GenerateRandom":
                    self.served.append(arguments[2])
                return function(*arguments)

            return answer

        return self._provider.cryptoki.instrument(round_)  # type: ignore[no-any-return]


@pytest.fixture
def token(token_uri: str, token_pin: str) -> Any:
    from hwcng.providers.registry import open_provider

    with open_provider(token_uri, pin=token_pin) as opened:
        yield opened


@pytest.mark.parametrize("rv", [ARGUMENTS_BAD, DATA_LEN_RANGE, BUFFER_TOO_SMALL])
@pytest.mark.parametrize("most", [1000, 2016, 65_535])
def test_a_token_that_makes_few_at_a_time(token: Provider, most: int, rv: int) -> None:
    with Meagre(token, most, rv) as meagre:
        octets = token.random(70_001)
        assert sum(meagre.served) == len(octets) == 70_001
        assert len({octets[at : at + 16] for at in range(0, 70_000, 100)}) == 700
        meagre.served.clear()
        # What it refused once is not asked for again.
        token.random(70_001)
        assert max(meagre.served) <= most


def test_a_token_that_makes_none(token: Provider) -> None:
    with Meagre(token, 0, ARGUMENTS_BAD), pytest.raises(CngError) as error:
        token.random(5000)
    assert error.value.status is NTSTATUS.STATUS_INVALID_PARAMETER
    assert len(token.random(5000)) == 5000


@pytest.mark.parametrize("length", [1001, 40_000, 65_536])
def test_what_one_call_would_hold_comes_whole_too(token: Provider, length: int) -> None:
    with Meagre(token, 1000, DATA_LEN_RANGE) as meagre:
        assert len(token.random(length)) == length == sum(meagre.served)
