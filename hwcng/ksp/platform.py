"""The properties of the Platform Crypto Provider's keys (ncrypt.h: NCRYPT_PCP_), over tokens that have them: TPMs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from hwcng.arguments import authorization
from hwcng.cng.key_pair import KeyPair
from hwcng.contract.material import RsaPublicKey
from hwcng.contract.platform import BoundPcrs, Held, HeldKey
from hwcng.errors import HRESULT, not_supported
from hwcng.headers import ncrypt_h
from hwcng.ksp.binding import TPM_HASHES, Binding, mask_of_pcrs, pcr_bank, pcrs_of_mask
from hwcng.ksp.handles import NCryptKey
from hwcng.ksp.platform_provider import pss_salt_size
from hwcng.ksp.status import refuse
from hwcng.standards.hashes import HASHES

__all__ = ["GETTERS", "SETTERS", "binding"]

TPM_ALG_NULL = 0x10


def binding(key: NCryptKey) -> Binding:
    """What an unfinished key is to be bound to. Raises NTE_NOT_SUPPORTED for a token whose keys are bound to nothing,
    STATUS_INVALID_HANDLE for a finished key.
    """
    draft = key.draft
    if not key.storage.provider.protects_keys:
        raise not_supported(f"keys of token {key.storage.provider.token.label!r} have no PINs of their own")
    return draft.binding


def _held(key: NCryptKey) -> HeldKey:
    """What the token says of a finished key. Raises NTE_BAD_KEY_STATE before, NTE_NOT_SUPPORTED for another token."""
    held = key.key.in_token()
    if not isinstance(held, Held):
        raise not_supported(
            f"token {key.storage.provider.token.label!r} is no platform's: its keys are bound to nothing"
        )
    return held.describe()


def _absent(what: str) -> Any:
    refuse(HRESULT.NTE_NOT_FOUND, what)


# What is set.


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


# What is read.


def _bound(key: NCryptKey) -> BoundPcrs:
    found = _held(key).pcrs
    if found is None:
        refuse(HRESULT.NTE_NOT_FOUND, "the key is bound to no PCRs")
    if not found.bank:
        refuse(HRESULT.NTE_NOT_FOUND, "the key is bound to PCRs of several banks or at several times")
    return found


def _mask(key: NCryptKey) -> int:
    if not key.finalized:
        return mask_of_pcrs(binding(key).pcrs)
    return mask_of_pcrs(_bound(key).pcrs) if _held(key).pcrs is not None else 0


def _bank(key: NCryptKey) -> int:
    return TPM_HASHES[_bound(key).bank if key.finalized else binding(key).bank]


def _digests(key: NCryptKey) -> bytes:
    """Of a finished key: what the PCRs are, where they are what it is bound to. It holds no more than their digest."""
    if not key.finalized:
        return binding(key).digests or _absent("PCP_PLATFORM_BINDING_PCRDIGESTLIST is not set")
    bound = _bound(key)
    values = key.storage.provider.pcr_values(bound.pcrs, bound.bank)
    listed = b"".join(values[pcr] for pcr in bound.pcrs)
    if HASHES["SHA256"].digest(listed) != bound.digest:
        refuse(
            HRESULT.NTE_NOT_FOUND,
            "the PCRs are not what the key is bound to, and of that it holds PCP_PLATFORM_BINDING_PCRDIGEST only",
        )
    return listed


def _usage_policy(key: NCryptKey) -> int:
    held = _held(key)
    if held.restricted:
        return ncrypt_h.NCRYPT_PCP_IDENTITY_KEY if held.signs else ncrypt_h.NCRYPT_PCP_STORAGE_KEY
    signs = ncrypt_h.NCRYPT_PCP_SIGNATURE_KEY if held.signs else 0
    return signs | (ncrypt_h.NCRYPT_PCP_ENCRYPTION_KEY if held.decrypts else 0)


def _export_allowed(key: NCryptKey) -> int:
    """No key is made so that another TPM could have it, and none is duplicated."""
    _held(key)
    return 0


def _require_rsa(key: NCryptKey) -> None:
    pair = key.key
    if not isinstance(pair, KeyPair) or not isinstance(pair.public, RsaPublicKey):
        raise not_supported(f"{key.algorithm.name} keys have no RSA scheme")


def _scheme(key: NCryptKey) -> tuple[int, int]:
    _require_rsa(key)
    algorithm, digest = _held(key).scheme or (TPM_ALG_NULL, TPM_ALG_NULL)
    return algorithm, digest or TPM_ALG_NULL


def _salt_size(key: NCryptKey) -> int:
    _held(key)
    _require_rsa(key)
    return pss_salt_size(key.storage.provider)


def _origin(key: NCryptKey) -> Any:
    return _held(key).origin or _absent("how the key was made is not known: it was imported, or its file does not say")


GETTERS: Mapping[str, Callable[[NCryptKey], Any]] = MappingProxyType(
    {
        ncrypt_h.NCRYPT_PCP_PLATFORM_BINDING_PCRMASK_PROPERTY: _mask,
        ncrypt_h.NCRYPT_PCP_PLATFORM_BINDING_PCRALGID_PROPERTY: _bank,
        ncrypt_h.NCRYPT_PCP_PLATFORM_BINDING_PCRDIGESTLIST_PROPERTY: _digests,
        ncrypt_h.NCRYPT_PCP_PLATFORM_BINDING_PCRDIGEST_PROPERTY: lambda key: _bound(key).digest,
        ncrypt_h.NCRYPT_PCP_RAW_POLICYDIGEST_PROPERTY: lambda key: (
            _held(key).policy or _absent("the key is used by no policy")
        ),
        ncrypt_h.NCRYPT_PCP_PASSWORD_REQUIRED_PROPERTY: lambda key: int(
            _held(key).has_pin if key.finalized else bool(binding(key).pin)
        ),
        ncrypt_h.NCRYPT_PCP_NO_DA_PROTECTION_PROPERTY: lambda key: int(not _held(key).counted),
        ncrypt_h.NCRYPT_PCP_EXPORT_ALLOWED_PROPERTY: _export_allowed,
        ncrypt_h.NCRYPT_PCP_KEY_USAGE_POLICY_PROPERTY: _usage_policy,
        ncrypt_h.NCRYPT_PCP_STORAGEPARENT_PROPERTY: lambda key: (
            _held(key).parent or _absent("the TPM does not say what the key is below")
        ),
        ncrypt_h.NCRYPT_PCP_RSA_SCHEME_PROPERTY: lambda key: _scheme(key)[0],
        ncrypt_h.NCRYPT_PCP_RSA_SCHEME_HASH_ALG_PROPERTY: lambda key: _scheme(key)[1],
        ncrypt_h.NCRYPT_PCP_PSS_SALT_SIZE_PROPERTY: _salt_size,
        ncrypt_h.NCRYPT_PCP_TPM2BNAME_PROPERTY: lambda key: _held(key).name,
        ncrypt_h.NCRYPT_PCP_KEY_CREATIONHASH_PROPERTY: lambda key: _origin(key).digest,
        ncrypt_h.NCRYPT_PCP_KEY_CREATIONTICKET_PROPERTY: lambda key: _origin(key).ticket,
    }
)
