"""Keys by their URI: the one thing about a key that may travel to another process (RFC 7512; tpm2: URIs)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING

from hwcng.arguments import string
from hwcng.cng import naming
from hwcng.cng.keys import KeyPair, SymmetricKey
from hwcng.cng.storable_key import StorableKey
from hwcng.contract.pins import checked_pin
from hwcng.errors import HRESULT, CngError, told
from hwcng.hostcrypto.certificates import loaded
from hwcng.providers.backends import backend_of, parse_uri
from hwcng.providers.locating import provider_of_key

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from hwcng.contract.pins import Pin

__all__ = ["open_certificate", "open_key", "unopened_key"]

_KINDS: Mapping[str, type[KeyPair | SymmetricKey]] = MappingProxyType(
    {kind.__name__: kind for kind in (KeyPair, SymmetricKey)}
)


def open_key(uri: str, *, pin: Pin | None = None) -> KeyPair | SymmetricKey:
    """The key that a URI names, on the one provider that this process shares for its token.

    uri: `key.uri` of a named key: a URI of a provider with object, or, of PKCS#11, with what of object, id and type
    says which key it is. Every attribute that is given has to fit.
    pin: str, bytes or a callable: the user's PIN of a PKCS#11 token that is not open in this process yet, the
    authorization value of a TPM's key that has one. Without it the PIN, and the module, are those of the default
    provider or of the configured name that means the same token, else the URI's.

    Raises CngError: STATUS_INVALID_PARAMETER for a URI that is malformed or names no key, NTE_BAD_KEYSET where the
    token has no such key, NTE_KEYSET_ENTRY_BAD where it has several, and what `open_provider` raises.
    """
    uri, pin = string(uri, "the URI of a key"), checked_pin(pin)
    parsed = parse_uri(uri)
    if not backend_of(parsed).pin_is_the_keys(parsed):
        provider, name = provider_of_key(parsed, pin=pin)
        return naming.open_named(provider, name)
    provider, name = provider_of_key(parsed)
    return naming.open_named(provider, name, pin=pin() if callable(pin) else pin)


def open_certificate(uri: str, *, pin: Pin | None = None) -> Certificate:
    """The X.509 certificate that a URI names: that of a key, or of a PKCS#11 token one whose key is elsewhere.

    uri: a key's, as `open_key` takes it, or with type=cert. pin: as of `open_key`; a TPM's certificates need none. The
    issuers' certificates are in `hwcng.open_key(uri).certificates`.

    Raises CngError: NTE_NOT_FOUND for a key that has none, NTE_BAD_KEYSET where there is neither, NTE_KEYSET_ENTRY_BAD
    where there are several, and what `open_key` raises.
    """
    parsed = parse_uri(string(uri, "the URI of a certificate"))
    key = backend_of(parsed).key_of_certificate(parsed)
    provider, name = provider_of_key(key, pin=checked_pin(pin))
    found = provider.certificates(name)
    if not found:
        raise CngError(HRESULT.NTE_NOT_FOUND, f"no certificate is stored for the key named {told(name)}")
    return loaded(found[0])


def unopened_key(kind: str, uri: str) -> KeyPair | SymmetricKey:
    """What a pickled key becomes where it is unpickled: its token is opened at its first use, which raises what
    `open_key` raises, and so does every later use until one succeeds.

    kind: "KeyPair" or "SymmetricKey".
    """
    return _KINDS[kind].unopened(uri, _name_in(uri), open_key)


def _name_in(uri: str) -> str:
    with suppress(CngError):
        parsed = parse_uri(uri)
        return backend_of(parsed).shown_name(parsed)
    # What is wrong with it, the first use says.
    return uri


StorableKey.reopen = staticmethod(unopened_key)
