"""From the URI of a named key to its name and the provider of this process that holds it (RFC 7512; tpm2: URIs).

A key's URI carries no PIN: it comes from where this process is configured, which may reach the token by another module.
"""

from __future__ import annotations

from hwcng.contract.pins import Pin
from hwcng.contract.provider import Provider
from hwcng.contract.provider_uri import ProviderUri
from hwcng.errors import NTSTATUS, CngError, invalid_parameter
from hwcng.providers import registry
from hwcng.providers.backends import AnyBackend, backend_of, parse_uri
from hwcng.providers.uri_syntax import scheme_of

__all__ = ["provider_of_key", "same_token"]

_PIN_REFUSED = (NTSTATUS.STATUS_SMARTCARD_WRONG_PIN, NTSTATUS.STATUS_SMARTCARD_CARD_BLOCKED)


def provider_of_key(uri: str | ProviderUri, *, pin: Pin | None = None) -> tuple[Provider, str]:
    """The shared provider that holds the key, and the name by which that opens it.

    A provider of the same token that is open in this process serves. Else the default provider's URI and the configured
    names are looked through for the token, whose module and PIN then count; the URI's own pin-source, which is that of
    the process that made the URI, comes last. pin, or a pin-value in the URI, goes before both.

    Raises CngError: STATUS_INVALID_PARAMETER for a URI that is malformed or names no key, STATUS_NOT_FOUND for one with
    a vendor's attribute in its path, STATUS_SMARTCARD_WRONG_PIN where the token is open with another PIN than the one
    given, else as `open_provider` does.
    """
    parsed = parse_uri(uri) if isinstance(uri, str) else uri
    backend = backend_of(parsed)
    token, name = backend.split(parsed)
    given = backend.pin_in(token) if pin is None else pin
    # One that has to be asked for is asked for where a login needs it.
    known = None if callable(given) else given
    if (there := _already_open(backend, token)) is not None:
        if known is not None:
            there.require_pin(known)
        return there, name
    provider = _as_configured(backend, token) if pin is None and known is None else None
    return provider or registry.shared_provider(token, pin), name


def _ambiguous(backend: AnyBackend, token: ProviderUri) -> CngError:
    return invalid_parameter(
        f"{token} may mean several tokens of this process: say {backend.told_apart_by(token)} in the key's URI"
    )


def _already_open(backend: AnyBackend, token: ProviderUri) -> Provider | None:
    chosen = registry.chosen_default()
    vague = backend.is_vague(token)
    there = [
        (uri, provider)
        for provider in registry.open_now()
        if scheme_of(provider.uri) == token.scheme
        and backend.same_token(uri := parse_uri(provider.uri), token, by_module=vague)
        and provider.answers_to(token)
    ]
    there.sort(key=lambda found: not backend.same_token(found[0], token))
    if len({provider.token for _, provider in there}) > 1 and there[0][1] is not chosen:
        raise _ambiguous(backend, token)
    return there[0][1] if there else None


def _as_configured(backend: AnyBackend, token: ProviderUri) -> Provider | None:
    """The provider of that token which this process is configured to open, None where there is none.

    Raises CngError where the one that there is cannot be opened and the URI says no other way.
    """
    chosen = registry.chosen_default()
    candidates: list[ProviderUri] = [*registry.configured_names().values()]
    if chosen is not None and not isinstance(chosen, Provider):
        candidates.insert(0, chosen)
    vague = backend.is_vague(token)
    likely = [uri for uri in candidates if same_token(uri, token, by_module=vague)]
    if vague and chosen not in likely and len(likely) > 1:
        raise _ambiguous(backend, token)
    failure: CngError | None = None
    for uri in sorted(likely, key=lambda uri: -backend.in_common(uri, token)):
        try:
            provider = registry.shared_provider(uri)
        except CngError as error:
            # One more try, of the same PIN or another, may be the one that locks the token.
            if error.status in _PIN_REFUSED:
                raise
            failure = failure or error
            continue
        # What is configured may say less than the key's URI.
        if provider.answers_to(token):
            return provider
    if failure is not None and backend.pin_in(token) is None:
        raise failure
    return None


def same_token(one: ProviderUri, other: ProviderUri, *, by_module: bool = True) -> bool:
    """Whether two URIs may mean one token: nothing that says which token is told differently.

    by_module: whether modules are compared too, where both files are here: the other host's may be elsewhere.
    """
    return one.scheme == other.scheme and backend_of(one).same_token(one, other, by_module=by_module)
