"""The properties of the Platform Crypto Provider (ncrypt.h: NCRYPT_PCP_), over tokens that have them: TPMs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from hwcng.arguments import authorization
from hwcng.errors import HRESULT, not_supported
from hwcng.headers import ncrypt_h
from hwcng.ksp.binding import Binding, pcr_bank, pcrs_of_mask
from hwcng.ksp.handles import NCryptKey
from hwcng.ksp.status import refuse

__all__ = ["SETTERS", "binding"]


def binding(key: NCryptKey) -> Binding:
    """What an unfinished key is to be bound to. Raises NTE_NOT_SUPPORTED for a token whose keys are bound to nothing,
    STATUS_INVALID_HANDLE for a finished key.
    """
    draft = key.draft
    if not key.storage.provider.protects_keys:
        raise not_supported(f"keys of token {key.storage.provider.token.label!r} have no PINs of their own")
    return draft.binding


def _set_usage_auth(key: NCryptKey, value: object) -> None:
    """Before NCryptFinalizeKey: the key's PIN; after it: the PIN that goes with what the key does next."""
    pin = authorization(value, ncrypt_h.NCRYPT_PCP_USAGEAUTH_PROPERTY)
    if key.finalized:
        key.authorize(pin)
    else:
        binding(key).pin = pin


def _change_password(key: NCryptKey, value: object) -> None:
    if not key.finalized:
        refuse(HRESULT.NTE_BAD_KEY_STATE, "the key is not finalized: set PCP_USAGEAUTH, which will be its PIN")
    key.key.change_pin(authorization(value, ncrypt_h.NCRYPT_PCP_CHANGEPASSWORD_PROPERTY))


def _set_mask(key: NCryptKey, value: object) -> None:
    binding(key).pcrs = pcrs_of_mask(value, ncrypt_h.NCRYPT_PCP_PLATFORM_BINDING_PCRMASK_PROPERTY)


def _set_bank(key: NCryptKey, value: object) -> None:
    binding(key).bank = pcr_bank(value)


SETTERS: Mapping[str, Callable[[NCryptKey, object], None]] = MappingProxyType(
    {
        ncrypt_h.NCRYPT_PCP_USAGEAUTH_PROPERTY: _set_usage_auth,
        ncrypt_h.NCRYPT_PCP_CHANGEPASSWORD_PROPERTY: _change_password,
        ncrypt_h.NCRYPT_PCP_PLATFORM_BINDING_PCRMASK_PROPERTY: _set_mask,
        ncrypt_h.NCRYPT_PCP_PLATFORM_BINDING_PCRALGID_PROPERTY: _set_bank,
        ncrypt_h.NCRYPT_PCP_PLATFORM_BINDING_PCRDIGESTLIST_PROPERTY: lambda key, value: binding(key).set_digests(value),
    }
)
"""Of keys."""
