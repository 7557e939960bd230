"""Which property exists on a key store and on its keys, and the rules of reading and setting it (NCryptGetProperty,
NCryptSetProperty, "Key Storage Property Identifiers").

Values are typed as those of `hwcng.cng.properties`, which answers for what both APIs have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NoReturn

from hwcng.arguments import dword, number, octets, text
from hwcng.cng import certificates, properties
from hwcng.cng.algorithm import Algorithm
from hwcng.cng.families import FAMILIES
from hwcng.cng.key_pair import KeyPair
from hwcng.cng.platform import version
from hwcng.errors import HRESULT, invalid_parameter, told
from hwcng.headers import ncrypt_h
from hwcng.headers.ncrypt_h import FILETIME, NCRYPT_SUPPORTED_LENGTHS, NCRYPT_UI_POLICY
from hwcng.ksp import platform, platform_provider
from hwcng.ksp.drafts import BaseKeyDraft, default_bits, key_lengths
from hwcng.ksp.handles import NCryptKey, StorageProvider
from hwcng.ksp.implementation import impl_type
from hwcng.ksp.planned import planned
from hwcng.ksp.status import refuse

__all__ = ["algorithm_group", "get_property", "set_property"]

_CIPHER_GROUPS = {"DESX": "DES", "3DES_112": "3DES"}

_SHARED: Mapping[str, str] = MappingProxyType(
    {
        ncrypt_h.NCRYPT_BLOCK_LENGTH_PROPERTY: "BlockLength",
        ncrypt_h.NCRYPT_CHAINING_MODE_PROPERTY: "ChainingMode",
        ncrypt_h.NCRYPT_KEM_SHARED_SECRET_LENGTH_PROPERTY: "KEMSharedSecretLength",
        ncrypt_h.NCRYPT_KEM_CIPHERTEXT_LENGTH_PROPERTY: "KEMCiphertextLength",
        **{
            name: name
            for name in (
                ncrypt_h.NCRYPT_AUTH_TAG_LENGTH,
                ncrypt_h.NCRYPT_INITIALIZATION_VECTOR,
                ncrypt_h.NCRYPT_ECC_CURVE_NAME_PROPERTY,
                ncrypt_h.NCRYPT_ECC_PARAMETERS_PROPERTY,
                ncrypt_h.NCRYPT_DH_PARAMETERS_PROPERTY,
                ncrypt_h.NCRYPT_DSA_PARAMETERS_PROPERTY,
                ncrypt_h.NCRYPT_PARAMETER_SET_NAME_PROPERTY,
                ncrypt_h.NCRYPT_PUBLIC_KEY_LENGTH_PROPERTY,
                ncrypt_h.NCRYPT_SIGNATURE_LENGTH_PROPERTY,
                "PrivKeyVal",
                "MessageBlockLength",
            )
        },
    }
)
"""Properties that bcrypt.h has too -> their names there."""

_ABSENT = frozenset(
    {
        ncrypt_h.NCRYPT_UI_POLICY_PROPERTY,
        ncrypt_h.NCRYPT_WINDOW_HANDLE_PROPERTY,
        ncrypt_h.NCRYPT_USE_CONTEXT_PROPERTY,
    }
)
"""Properties that a key may have, and none of a token's has."""

Getter = Callable[[Any], Any]
Setter = Callable[[NCryptKey, object], None]


def algorithm_group(algorithm: Algorithm) -> str:
    """Such as "ECDSA" for ECDSA_P256."""
    family = FAMILIES.get(algorithm.family)
    return family.group(algorithm) if family else _CIPHER_GROUPS.get(algorithm.name, algorithm.name)


def _lengths(key: NCryptKey) -> NCRYPT_SUPPORTED_LENGTHS | None:
    algorithm = key.algorithm
    lengths = key_lengths(algorithm)
    return NCRYPT_SUPPORTED_LENGTHS(*lengths, default_bits(algorithm)) if lengths else None


def _named(key: NCryptKey) -> str:
    if key.name is None:
        refuse(HRESULT.NTE_NOT_SUPPORTED, "the key has no name: it ends with this process")
    return key.name


def _modified(key: NCryptKey) -> FILETIME:
    """When the key was stored, where its token knows."""
    for record in key.storage.provider.list_keys() if key.name is not None and key.finalized else ():
        if key.name in (record.name, record.address) and record.created is not None:
            return FILETIME.of(record.created)
    refuse(HRESULT.NTE_NOT_FOUND, "the token does not know when the key was stored")


def _certificate(key: NCryptKey) -> bytes:
    """The key's own, in DER."""
    pair = key.key if key.finalized else None
    found = certificates.stored(pair.algorithm_handle.provider, key.name) if isinstance(pair, KeyPair) else []
    if not found:
        refuse(HRESULT.NTE_NOT_FOUND, "no certificate is stored for the key")
    return found[0]


def _set_certificate(key: NCryptKey, value: object) -> None:
    """An empty one removes it, and its issuers' where nothing else holds them."""
    pair, der = key.key, octets(value, ncrypt_h.NCRYPT_CERTIFICATE_PROPERTY)
    if not isinstance(pair, KeyPair):
        _no_such(ncrypt_h.NCRYPT_CERTIFICATE_PROPERTY)
    if der:
        certificates.store_own(pair.algorithm_handle.provider, pair.name, pair.public, der)
    else:
        pair.store_certificates([])


def _version(_storage: StorageProvider) -> int:
    """hwcng's: the major number in the upper 16 bits, the minor one in the lower."""
    major, minor = version()
    return major << 16 | minor


_OF_STORES: Mapping[str, Getter] = MappingProxyType(
    {
        ncrypt_h.NCRYPT_NAME_PROPERTY: lambda storage: storage.name,
        ncrypt_h.NCRYPT_IMPL_TYPE_PROPERTY: lambda storage: impl_type(storage.provider),
        ncrypt_h.NCRYPT_VERSION_PROPERTY: _version,
        ncrypt_h.NCRYPT_MAX_NAME_LENGTH_PROPERTY: lambda _: ncrypt_h.NCRYPT_MAX_KEY_NAME_LENGTH,
        ncrypt_h.NCRYPT_SECURITY_DESCR_SUPPORT_PROPERTY: lambda _: 0,
        **platform_provider.GETTERS,
    }
)

_OF_KEYS: Mapping[str, Getter] = MappingProxyType(
    {
        ncrypt_h.NCRYPT_NAME_PROPERTY: _named,
        ncrypt_h.NCRYPT_UNIQUE_NAME_PROPERTY: lambda key: _named(key) and key.uri,
        ncrypt_h.NCRYPT_ALGORITHM_PROPERTY: lambda key: key.algorithm.name,
        ncrypt_h.NCRYPT_ALGORITHM_GROUP_PROPERTY: lambda key: algorithm_group(key.algorithm),
        ncrypt_h.NCRYPT_LENGTH_PROPERTY: lambda key: key.key.bits if key.finalized else key.draft.bits,
        ncrypt_h.NCRYPT_LENGTHS_PROPERTY: _lengths,
        ncrypt_h.NCRYPT_KEY_TYPE_PROPERTY: lambda key: key.key_type,
        ncrypt_h.NCRYPT_EXPORT_POLICY_PROPERTY: lambda key: (
            key.key.export_policy if key.finalized else key.draft.export_policy
        ),
        ncrypt_h.NCRYPT_KEY_USAGE_PROPERTY: lambda key: key.key_usage,
        ncrypt_h.NCRYPT_PROVIDER_HANDLE_PROPERTY: lambda key: key.storage,
        ncrypt_h.NCRYPT_LAST_MODIFIED_PROPERTY: _modified,
        ncrypt_h.NCRYPT_CERTIFICATE_PROPERTY: _certificate,
        **platform.GETTERS,
    }
)


def _set_length(key: NCryptKey, value: object) -> None:
    """Of a finished key: what it is. On a public key, which is the host's, Windows takes any length and ignores it."""
    bits = dword(value, ncrypt_h.NCRYPT_LENGTH_PROPERTY)
    if key.finalized:
        public = isinstance(key.key, KeyPair) and not key.key.has_private
        if bits == key.key.bits or (public and bits in (key_lengths(key.algorithm) or ())):
            return
    key.draft.set_bits(bits)


def _set_export_policy(key: NCryptKey, value: object) -> None:
    key.draft.set_export_policy(dword(value, ncrypt_h.NCRYPT_EXPORT_POLICY_PROPERTY))


def _set_key_usage(key: NCryptKey, value: object) -> None:
    key.draft.set_key_usage(dword(value, ncrypt_h.NCRYPT_KEY_USAGE_PROPERTY))


def _set_ui_policy(key: NCryptKey, value: object) -> None:
    key.draft  # noqa: B018
    if not isinstance(value, NCRYPT_UI_POLICY):
        raise invalid_parameter("UI Policy is an NCRYPT_UI_POLICY")
    if number(value.dwFlags, "dwFlags of UI Policy"):
        refuse(HRESULT.NTE_NOT_SUPPORTED, "a token asks nobody before a key is used: dwFlags of UI Policy is 0")


def _set_pin(handle: StorageProvider | NCryptKey, value: object) -> None:
    pin = text(value, ncrypt_h.NCRYPT_PIN_PROPERTY)
    if isinstance(handle, StorageProvider):
        handle.pin = pin or None
    else:
        handle.authorize(pin)


_SETTERS_OF_STORES: Mapping[str, Callable[[StorageProvider, object], None]] = MappingProxyType(
    {ncrypt_h.NCRYPT_PIN_PROPERTY: _set_pin}
)


def _set_kdf_secret(key: NCryptKey, value: object) -> None:
    draft = key.draft
    if not isinstance(draft, BaseKeyDraft):
        _no_such(ncrypt_h.NCRYPT_KDF_SECRET_VALUE)
    draft.set_secret(octets(value, ncrypt_h.NCRYPT_KDF_SECRET_VALUE))


_SETTERS: Mapping[str, Setter] = MappingProxyType(
    {
        ncrypt_h.NCRYPT_KDF_SECRET_VALUE: _set_kdf_secret,
        ncrypt_h.NCRYPT_PIN_PROPERTY: _set_pin,
        ncrypt_h.NCRYPT_LENGTH_PROPERTY: _set_length,
        ncrypt_h.NCRYPT_EXPORT_POLICY_PROPERTY: _set_export_policy,
        ncrypt_h.NCRYPT_KEY_USAGE_PROPERTY: _set_key_usage,
        ncrypt_h.NCRYPT_UI_POLICY_PROPERTY: _set_ui_policy,
        ncrypt_h.NCRYPT_CERTIFICATE_PROPERTY: _set_certificate,
        **platform.SETTERS,
    }
)


def _no_such(name: str) -> NoReturn:
    refuse(HRESULT.NTE_NOT_SUPPORTED, f"the object has no property {told(name)}")


def get_property(handle: StorageProvider | NCryptKey, name: str) -> Any:
    """Raises NTE_NOT_SUPPORTED for a property that such an object never has, NTE_NOT_FOUND for one that this one lacks,
    NTE_BAD_KEY_STATE for what is known only after NCryptFinalizeKey.
    """
    if isinstance(handle, StorageProvider):
        return (_OF_STORES.get(name) or _no_such(name))(handle)
    if name in _ABSENT:
        refuse(HRESULT.NTE_NOT_FOUND, f"the key has no {name}")
    getter = _OF_KEYS.get(name)
    if getter is not None:
        value = getter(handle)
        return _no_such(name) if value is None else value
    shared = _SHARED.get(name) or _no_such(name)
    told_by = handle.key if handle.finalized else handle.draft.told_by
    if isinstance(told_by, KeyPair) and not told_by.finalized:
        value = planned(told_by, shared)
        return _no_such(name) if value is None else value
    return properties.get_property(told_by, shared)


def set_property(handle: StorageProvider | NCryptKey, name: str, value: object) -> None:
    """Raises NTE_NOT_SUPPORTED for a property that is absent or read-only, STATUS_INVALID_HANDLE for one that
    NCryptFinalizeKey has fixed, STATUS_INVALID_PARAMETER for a value of the wrong type or outside the rules.
    """
    if isinstance(handle, StorageProvider):
        (_SETTERS_OF_STORES.get(name) or _no_such(name))(handle, value)
        return
    setter = _SETTERS.get(name)
    if setter is not None:
        setter(handle, value)
        return
    target = handle.key if handle.finalized else handle.draft.target
    properties.set_property(target, _SHARED.get(name) or _no_such(name), value)
