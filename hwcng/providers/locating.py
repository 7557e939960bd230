"""From the URI of a named key to its name and the provider of this process that holds it (RFC 7512; tpm2: URIs).

A key's URI carries no PIN: it comes from where this process is configured, which may reach the token by another module.
"""

from __future__ import annotations

import os
from dataclasses import fields, replace

from hwcng.contract.provider import Provider
from hwcng.errors import NTSTATUS, CngError
from hwcng.providers import registry
from hwcng.providers.key_addresses import KeyAddress
from hwcng.providers.uri import Pin, Pkcs11Uri, ProviderUri, parse_uri

__all__ = ["provider_of_key", "same_token"]

_OF_A_TOKEN = ("token", "serial", "model", "manufacturer", "slot_id")
_PIN_REFUSED = (NTSTATUS.STATUS_SMARTCARD_WRONG_PIN, NTSTATUS.STATUS_SMARTCARD_CARD_BLOCKED)
_OF_THE_OBJECT = ("object", "id", "type")


def provider_of_key(uri: str | ProviderUri, *, pin: Pin | None = None) -> tuple[Provider, str]:
    """The shared provider that holds the key, and the name by which that opens it.

    A provider of the same token that is open in this process serves. Else the default provider's URI and the configured
    names are looked through for the token, whose module and PIN then count; the URI's own pin-source, which is that of
    the process that made the URI, comes last. pin, or a pin-value in the URI, goes before both.

    Raises CngError: STATUS_INVALID_PARAMETER for a URI that is malformed or names no key, STATUS_NOT_FOUND for one with
    a vendor's attribute in its path, else as `open_provider` does.
    """
    parsed = parse_uri(uri) if isinstance(uri, str) else uri
    if not isinstance(parsed, Pkcs11Uri):
        name = parsed.object
        if not name:
            raise CngError(NTSTATUS.STATUS_INVALID_PARAMETER, "the URI names no key: it has no attribute object")
        token: ProviderUri = replace(parsed, object=None)
        already = (there for there in registry.open_now() if there.uri == str(token))
        return next(already, None) or registry.shared_provider(token, pin), name
    name = KeyAddress.of_uri(parsed).name
    if parsed.vendor_path:
        raise CngError(
            NTSTATUS.STATUS_NOT_FOUND,
            f"no token matches a URI with {', '.join(parsed.vendor_path)} in its path: it is unknown here, and every "
            "attribute there has to match (RFC 7512, section 2.5)",
        )
    token = replace(parsed, object=None, id=None, type=None)
    if (there := _already_open(token)) is not None:
        return there, name
    provider = _as_configured(token) if pin is None and token.pin_value is None else None
    return provider or registry.shared_provider(token, pin), name


def _ambiguous(token: Pkcs11Uri) -> CngError:
    return CngError(
        NTSTATUS.STATUS_INVALID_PARAMETER,
        f"{token} may mean several tokens of this process: say token= or serial= in the key's URI",
    )


def _already_open(token: Pkcs11Uri) -> Provider | None:
    chosen = registry.chosen_default()
    there = [
        provider
        for provider in registry.open_now()
        if same_token(parse_uri(provider.uri), token, by_module=_is_vague(token)) and provider.answers_to(token)
    ]
    there.sort(key=lambda provider: not same_token(parse_uri(provider.uri), token))
    if len({provider.token for provider in there}) > 1 and there[0] is not chosen:
        raise _ambiguous(token)
    return there[0] if there else None


def _as_configured(token: Pkcs11Uri) -> Provider | None:
    """The provider of that token which this process is configured to open, None where there is none.

    Raises CngError where the one that there is cannot be opened and the URI says no other way.
    """
    chosen = registry.chosen_default()
    candidates: list[ProviderUri] = [*registry.configured_names().values()]
    if chosen is not None and not isinstance(chosen, Provider):
        candidates.insert(0, chosen)
    vague = _is_vague(token)
    likely = [uri for uri in candidates if isinstance(uri, Pkcs11Uri) and same_token(uri, token, by_module=vague)]
    if vague and chosen not in likely and len(likely) > 1:
        raise _ambiguous(token)
    failure: CngError | None = None
    for uri in sorted(likely, key=lambda uri: -_in_common(uri, token)):
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
    if failure is not None and token.pin_source is None:
        raise failure
    return None


def _is_vague(token: Pkcs11Uri) -> bool:
    """Whether nothing but the module says which token it is."""
    return all(getattr(token, name) is None for name in _OF_A_TOKEN)


def _in_common(one: Pkcs11Uri, other: Pkcs11Uri) -> int:
    values = ((getattr(one, name), getattr(other, name)) for name in _OF_A_TOKEN)
    return sum(first is not None and first == second for first, second in values)


def same_token(one: ProviderUri, other: ProviderUri, *, by_module: bool = True) -> bool:
    """Whether two pkcs11: URIs may mean one token: nothing that says which token is told differently.

    by_module: whether modules are compared too, where both files are here: the other host's may be elsewhere.
    """
    if not isinstance(one, Pkcs11Uri) or not isinstance(other, Pkcs11Uri):
        return False
    ignored = {*_OF_THE_OBJECT, "pin_source", "pin_value", "module_name", "module_path", "vendor_path", "vendor_query"}
    # A vendor's attribute may say which token too: NSS softokn's says which database.
    for name, value in one.vendor_query.items():
        if other.vendor_query.get(name, value) != value:
            return False
    for attribute in fields(Pkcs11Uri):
        if attribute.name not in ignored:
            first, second = getattr(one, attribute.name), getattr(other, attribute.name)
            if first is not None and second is not None and first != second:
                return False
    if not by_module:
        return True
    paths = {os.path.realpath(uri.module_path) for uri in (one, other) if uri.module_path is not None}
    return len(paths) < 2 or not all(os.path.exists(path) for path in paths)
