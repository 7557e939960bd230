"""A backend before and after a token is open: its scheme, its URIs, its PIN, what a provider says and its end."""

from __future__ import annotations

import pytest

from hwcng.contract.backend import Backend
from hwcng.contract.keys import PrivateKey, SecretKey
from hwcng.contract.provider import Provider
from hwcng.contract.specs import PairSpec, SecretSpec
from hwcng.contract.usage import SecretFamily, Support, Usage
from hwcng.contract.watching import Health, Statistics
from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.backends import backend_of, names_a_backend, parse_uri, schemes
from hwcng.testing.contract.token import OnToken, TokenUnderTest, needs, refused, served, skip, told_pin

__all__ = ["Opening"]

_RESTS = (
    "",
    " ",
    "\0",
    "%",
    "%zz",
    "%ff",
    "=",
    ";",
    ";;=",
    "?",
    "??",
    "?=",
    "?no-such-attribute=1",
    "?x-twice=1&x-twice=2",
    "\u00e9",
    "\ud800",
    "#",
    "a" * 70_000,
)
_LOADED = """
import sys
from hwcng.providers.backends import backend_for
backend = backend_for(sys.argv[1])
print(*[name for name in (*backend.packages, *backend.modules) if name in sys.modules])
"""


class Opening(OnToken):
    """Of a URI, and of a provider whatever keys it has."""

    def test_its_scheme_finds_it(self, token: TokenUnderTest) -> None:
        uri = parse_uri(token.uri)
        backend = backend_of(uri)
        assert isinstance(backend, Backend)
        assert backend.scheme == uri.scheme == uri.scheme.lower()
        assert names_a_backend(token.uri)
        assert backend.scheme in schemes()
        assert backend.description

    def test_a_uri_is_read_back_from_its_text(self, token: TokenUnderTest) -> None:
        uri = parse_uri(token.uri)
        assert parse_uri(f"{uri.scheme.upper()}{token.uri[len(uri.scheme) :]}") == uri
        # The text has no PIN, and is otherwise the same.
        again = parse_uri(str(uri))
        assert str(again) == str(uri)
        assert parse_uri(str(again)) == again
        assert hash(parse_uri(str(again))) == hash(again)

    @pytest.mark.parametrize("rest", _RESTS)
    def test_any_text_is_read_or_refused(self, token: TokenUnderTest, rest: str) -> None:
        scheme = parse_uri(token.uri).scheme
        try:
            uri = parse_uri(f"{scheme}:{rest}")
        except CngError as error:
            if error.status is not NTSTATUS.STATUS_INVALID_PARAMETER:
                raise
        else:
            assert str(parse_uri(str(uri))) == str(uri)

    def test_a_pin_is_in_no_text(self, token: TokenUnderTest, provider: Provider) -> None:
        uri = parse_uri(token.uri)
        pin = told_pin(token.pin if token.pin is not None else backend_of(uri).pin_in(uri))
        if not pin:
            skip("a token with a PIN")
        for text in (str(uri), repr(uri), provider.uri, repr(provider), repr(provider.token), repr(token)):
            assert pin not in text

    def test_nothing_of_an_open_token_is_loaded_before_one_is_open(self, token: TokenUnderTest) -> None:
        assert not token.run(_LOADED, parse_uri(token.uri).scheme).split()

    def test_a_token_is_found_again_by_the_providers_uri(self, token: TokenUnderTest, provider: Provider) -> None:
        uri, given = parse_uri(provider.uri), parse_uri(token.uri)
        backend = backend_of(uri)
        assert backend is backend_of(given)
        assert backend.same_token(uri, uri)
        assert backend.same_token(uri, given) and backend.same_token(given, uri)
        assert provider.answers_to(uri)
        with token.open(provider.uri) as again:
            assert again.token == provider.token

    def test_what_it_offers_is_what_it_is_capable_of(self, provider: Provider) -> None:
        capabilities = provider.capabilities()
        assert capabilities.token == provider.token
        assert capabilities.operations
        for (algorithm, operation), support in capabilities.operations.items():
            assert isinstance(support, Support)
            if support is Support.REFUSED:
                assert capabilities.reasons.get((algorithm, operation)), f"{algorithm} {operation} is refused: why?"
        assert provider.offers("no such algorithm") is Support.REFUSED
        assert provider.offers("AES", "no such mode") is Support.REFUSED

    @pytest.mark.parametrize("length", [1, 16, 1000])
    def test_random(self, provider: Provider, length: int) -> None:
        needs(provider, "RNG")
        drawn = provider.random(length)
        assert isinstance(drawn, bytes) and len(drawn) == length
        assert length < 16 or drawn != provider.random(length)

    def test_health(self, provider: Provider) -> None:
        health = provider.health()
        assert isinstance(health, Health)
        assert health.healthy, health

    def test_statistics_rise(self, provider: Provider) -> None:
        before = served(provider.statistics, "statistics")
        assert isinstance(before, Statistics)
        needs(provider, "RNG")
        provider.random(8)
        assert provider.statistics().calls > before.calls

    def test_a_closed_provider(self, token: TokenUnderTest) -> None:
        secret, pair = SecretSpec(SecretFamily.AES, 128, Usage.ENCRYPT), PairSpec("EC", Usage.SIGN, curve="nistP256")
        with token.open() as provider:
            assert not provider.closed
            keys: list[SecretKey | PrivateKey] = []
            if provider.offers("AES", "ECB") is not Support.REFUSED:
                keys.append(provider.generate_secret(secret))
            if provider.offers("ECDSA", "nistP256") is not Support.REFUSED:
                keys.append(provider.generate_pair(pair))
        assert provider.closed
        provider.close()
        for verb in (
            lambda: provider.random(8),
            lambda: provider.generate_secret(secret),
            lambda: provider.generate_pair(pair),
            lambda: provider.reload_opaque(b"anything"),
            lambda: provider.open_key("any"),
            lambda: list(provider.list_keys()),
        ):
            with refused():
                verb()
        assert not provider.health().healthy
        for key in keys:
            with refused():
                key.opaque()
            key.destroy()
