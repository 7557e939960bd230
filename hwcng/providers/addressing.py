"""From the URI of a named key to its name and the provider of this process that holds it (RFC 7512; tpm2: URIs).

A key's URI carries no PIN: it comes from where this process is configured, which may reach the token by another module.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import fields, replace

from hwcng.errors import NTSTATUS, CngError
from hwcng.providers import registry
from hwcng.providers.base import Provider
from hwcng.providers.uri import Pin, Pkcs11Uri, ProviderUri, parse_uri

__all__ = ["provider_of_key", "same_token"]

_OF_A_TOKEN = ("token", "serial", "model", "manufacturer", "slot_id")
_OF_THE_OBJECT = ("object", "id", "type")


def provider_of_key(uri: str, *, pin: Pin | None = None) -> tuple[Provider, str]:
    """The shared provider that holds the key, and the key's name.

    pin: for the login, where this process has not opened the token yet. Without one, and without pin-source in the URI,
    the default provider and the configured names are looked through for the same token, whose PIN and module then
    count.

    Raises CngError: STATUS_INVALID_PARAMETER for a URI that is malformed or names no key, else as `open_provider` does.
    """
    parsed = parse_uri(uri)
    name = parsed.object
    if not name:
        raise CngError(NTSTATUS.STATUS_INVALID_PARAMETER, "the URI names no key: it has no attribute object")
    if not isinstance(parsed, Pkcs11Uri):
        token: ProviderUri = replace(parsed, object=None)
        already = (there for there in registry.open_now() if there.uri == str(token))
        return next(already, None) or registry.shared_provider(token, pin), name
    token = replace(parsed, object=None, id=None, type=None)
    provider = _first_match(token, registry.open_now())
    if provider is None and pin is None and token.pin_source is None and token.pin_value is None:
        provider = _first_match(token, _configured(token))
    return provider or registry.shared_provider(token, pin), name


def _first_match(token: Pkcs11Uri, providers: Iterable[Provider]) -> Provider | None:
    return next(
        (there for there in providers if same_token(parse_uri(there.uri), token) and token.matches_token(there.token)),
        None,
    )


def _configured(token: Pkcs11Uri) -> Iterator[Provider]:
    """What this process is configured to open that may be the token of that URI, the likeliest first."""
    chosen = registry.chosen_default()
    candidates = [*registry.configured_names().values()]
    if chosen is not None and not isinstance(chosen, Provider):
        candidates.insert(0, chosen)
    likely = [uri for uri in candidates if isinstance(uri, Pkcs11Uri) and same_token(uri, token)]
    for uri in sorted(likely, key=lambda uri: -_in_common(uri, token)):
        yield registry.shared_provider(uri)


def _in_common(one: Pkcs11Uri, other: Pkcs11Uri) -> int:
    values = ((getattr(one, name), getattr(other, name)) for name in _OF_A_TOKEN)
    return sum(first is not None and first == second for first, second in values)


def same_token(one: ProviderUri, other: ProviderUri) -> bool:
    """Whether two pkcs11: URIs may mean one token: nothing that says which token is told differently.

    Modules are compared where both files are here, because the other host's may be elsewhere.
    """
    if not isinstance(one, Pkcs11Uri) or not isinstance(other, Pkcs11Uri):
        return False
    ignored = {*_OF_THE_OBJECT, "pin_source", "pin_value", "module_name", "module_path", "vendor_path", "vendor_query"}
    for attribute in fields(Pkcs11Uri):
        if attribute.name not in ignored:
            first, second = getattr(one, attribute.name), getattr(other, attribute.name)
            if first is not None and second is not None and first != second:
                return False
    paths = {os.path.realpath(uri.module_path) for uri in (one, other) if uri.module_path is not None}
    return len(paths) < 2 or not all(os.path.exists(path) for path in paths)
