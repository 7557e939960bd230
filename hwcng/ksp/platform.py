"""The properties of the Platform Crypto Provider's keys (ncrypt.h: NCRYPT_PCP_), over tokens that have them: TPMs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from hwcng.arguments import authorization, dword, octets
from hwcng.cng.key_pair import KeyPair
from hwcng.contract.attestation import Credential
from hwcng.contract.material import RsaPublicKey
from hwcng.contract.platform import BoundPcrs, Held, HeldKey
from hwcng.contract.protection import KeyScheme
from hwcng.contract.usage import Usage
from hwcng.errors import HRESULT, invalid_parameter, not_supported
from hwcng.headers import ncrypt_h
from hwcng.ksp.binding import TPM_HASHES, Binding, mask_of_pcrs, pcr_bank, pcrs_of_mask
from hwcng.ksp.drafts import PairDraft
from hwcng.ksp.handles import NCryptKey
from hwcng.ksp.platform_provider import pss_salt_size
from hwcng.ksp.status import refuse
from hwcng.standards.hashes import HASHES

__all__ = ["GETTERS", "SETTERS", "binding"]

TPM_ALG_NULL = 0x10
_SHORTEST_MODULUS = 256
_SCHEMES = {0x14: "RSASSA", 0x15: "RSAES", 0x16: "RSAPSS", 0x17: "OAEP"}
"""TPM_ALG_ID of the schemes of RSA keys."""
_DECRYPTING = frozenset({"RSAES", "OAEP"})
_SIGNING_FLAG = ncrypt_h.NCRYPT_ALLOW_SIGNING_FLAG
_DECRYPTING_FLAGS = ncrypt_h.NCRYPT_ALLOW_DECRYPT_FLAG | ncrypt_h.NCRYPT_ALLOW_KEY_AGREEMENT_FLAG
_USAGES = {
    ncrypt_h.NCRYPT_PCP_SIGNATURE_KEY: _SIGNING_FLAG,
    ncrypt_h.NCRYPT_PCP_ENCRYPTION_KEY: _DECRYPTING_FLAGS,
    ncrypt_h.NCRYPT_PCP_GENERIC_KEY: _SIGNING_FLAG | _DECRYPTING_FLAGS,
}
"""PCP_KEY_USAGE_POLICY to Key Usage."""


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


def _set_uncounted(key: NCryptKey, value: object) -> None:
    """Of a key with a PIN; the TPM counts nothing of another in any case."""
    name = ncrypt_h.NCRYPT_PCP_NO_DA_PROTECTION_PROPERTY
    wanted = dword(value, name)
    if wanted not in (0, 1):
        raise invalid_parameter(f"{name} is 0 or 1, not {wanted}")
    binding(key).counted = not wanted


def _new_pair(key: NCryptKey, name: str) -> PairDraft:
    draft = key.draft
    binding(key)
    if not isinstance(draft, PairDraft):
        raise not_supported(f"{name} is of key pairs")
    return draft


def _set_usage_policy(key: NCryptKey, value: object) -> None:
    name = ncrypt_h.NCRYPT_PCP_KEY_USAGE_POLICY_PROPERTY
    draft, policy = _new_pair(key, name), dword(value, name)
    if policy == ncrypt_h.NCRYPT_PCP_STORAGE_KEY:
        raise not_supported("keys are made below the storage root key, and nothing below them")
    if policy == ncrypt_h.NCRYPT_PCP_IDENTITY_KEY:
        draft.set_attesting()
    elif policy in _USAGES:
        draft.set_key_usage(_USAGES[policy])
    else:
        raise invalid_parameter(f"{name} is one of the NCRYPT_PCP_ key usages, not {policy:#x}")


def _set_scheme(key: NCryptKey, value: object) -> None:
    name = ncrypt_h.NCRYPT_PCP_RSA_SCHEME_PROPERTY
    number = dword(value, name)
    if number == TPM_ALG_NULL:
        _require_rsa_draft(key, name)
        binding(key).scheme = None
        return
    algorithm = _SCHEMES.get(number)
    if algorithm is None:
        raise not_supported(f"{name} is TPM_ALG_RSASSA, _RSAPSS, _RSAES or _OAEP, not {number:#x}")
    before = binding(key).scheme
    _hold(key, name, algorithm, before.hash_name if before is not None else "")


def _set_scheme_hash(key: NCryptKey, value: object) -> None:
    """Without a scheme: PKCS #1 signatures, or OAEP of a key that only decrypts."""
    name = ncrypt_h.NCRYPT_PCP_RSA_SCHEME_HASH_ALG_PROPERTY
    number = dword(value, name)
    hash_name = next((hash_name for hash_name, of in TPM_HASHES.items() if of == number), None)
    if hash_name is None:
        raise not_supported(f"{name} is the TPM_ALG_ID of SHA-1 or SHA-2, not {number:#x}")
    before, signs = binding(key).scheme, key.draft.usage & (Usage.SIGN | Usage.ATTEST)
    _hold(key, name, before.algorithm if before is not None else "RSASSA" if signs else "OAEP", hash_name)


def _require_rsa_draft(key: NCryptKey, name: str) -> PairDraft:
    draft = _new_pair(key, name)
    if key.algorithm.family != "RSA":
        raise not_supported(f"{name} is of RSA keys")
    return draft


def _hold(key: NCryptKey, name: str, algorithm: str, hash_name: str) -> None:
    """Has the key serve one scheme, which leaves it one use. SHA-256 where no hash is set."""
    draft = _require_rsa_draft(key, name)
    if algorithm in _DECRYPTING:
        draft.set_key_usage(ncrypt_h.NCRYPT_ALLOW_DECRYPT_FLAG)
    elif not draft.usage & Usage.ATTEST:
        draft.set_key_usage(ncrypt_h.NCRYPT_ALLOW_SIGNING_FLAG)
    binding(key).scheme = KeyScheme(algorithm, "" if algorithm == "RSAES" else hash_name or "SHA256")


_LONGEST_NONCE = 32


def _set_binding_nonce(key: NCryptKey, value: object) -> None:
    name = ncrypt_h.NCRYPT_PCP_TPM12_IDBINDING_PROPERTY
    _new_pair(key, name)
    nonce = octets(value, name)
    if len(nonce) > _LONGEST_NONCE:
        raise invalid_parameter(f"{name} is a nonce of at most {_LONGEST_NONCE} bytes")
    key.binding_nonce = nonce


def _activate(key: NCryptKey, value: object) -> None:
    """TPM2B_ID_OBJECT and TPM2B_ENCRYPTED_SECRET, one after the other. The secret is read afterwards."""
    name = ncrypt_h.NCRYPT_PCP_TPM12_IDACTIVATION_PROPERTY
    credential, provider = _credential(octets(value, name)), key.storage.provider
    _held(key)
    # Of an RSA key the secret has the modulus' length, and a point is shorter.
    endorsement = provider.endorsement("RSA" if len(credential.encrypted_secret) >= _SHORTEST_MODULUS else "EC")
    key.activated = provider.activate_credential(credential, key=key.key.in_token(), endorsement=endorsement)


def _credential(blob: bytes) -> Credential:
    end = 2 + int.from_bytes(blob[:2], "big")
    if len(blob) < end + 2 or len(blob) != end + 2 + int.from_bytes(blob[end : end + 2], "big"):
        raise invalid_parameter("a credential is a TPM2B_ID_OBJECT and a TPM2B_ENCRYPTED_SECRET")
    return Credential(blob[2:end], blob[end + 2 :])


SETTERS: Mapping[str, Callable[[NCryptKey, object], None]] = MappingProxyType(
    {
        ncrypt_h.NCRYPT_PCP_USAGEAUTH_PROPERTY: _set_usage_auth,
        ncrypt_h.NCRYPT_PCP_CHANGEPASSWORD_PROPERTY: _change_password,
        ncrypt_h.NCRYPT_PCP_PLATFORM_BINDING_PCRMASK_PROPERTY: _set_mask,
        ncrypt_h.NCRYPT_PCP_PLATFORM_BINDING_PCRALGID_PROPERTY: _set_bank,
        ncrypt_h.NCRYPT_PCP_PLATFORM_BINDING_PCRDIGESTLIST_PROPERTY: lambda key, value: binding(key).set_digests(value),
        ncrypt_h.NCRYPT_PCP_NO_DA_PROTECTION_PROPERTY: _set_uncounted,
        ncrypt_h.NCRYPT_PCP_KEY_USAGE_POLICY_PROPERTY: _set_usage_policy,
        ncrypt_h.NCRYPT_PCP_RSA_SCHEME_PROPERTY: _set_scheme,
        ncrypt_h.NCRYPT_PCP_RSA_SCHEME_HASH_ALG_PROPERTY: _set_scheme_hash,
        ncrypt_h.NCRYPT_PCP_TPM12_IDBINDING_PROPERTY: _set_binding_nonce,
        ncrypt_h.NCRYPT_PCP_TPM12_IDACTIVATION_PROPERTY: _activate,
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
    """A restricted key that is open attests: storage keys are never opened."""
    if key.finalized:
        held = _held(key)
        attests, signs, decrypts = held.restricted, held.signs, held.decrypts
    else:
        usage = _new_pair(key, ncrypt_h.NCRYPT_PCP_KEY_USAGE_POLICY_PROPERTY).usage
        attests, signs = bool(usage & Usage.ATTEST), bool(usage & Usage.SIGN)
        decrypts = bool(usage & (Usage.DECRYPT | Usage.DERIVE))
    if attests:
        return ncrypt_h.NCRYPT_PCP_IDENTITY_KEY
    return ncrypt_h.NCRYPT_PCP_SIGNATURE_KEY * signs | ncrypt_h.NCRYPT_PCP_ENCRYPTION_KEY * decrypts


def _export_allowed(key: NCryptKey) -> int:
    """No key is made so that another TPM could have it, and none is duplicated."""
    _held(key)
    return 0


def _require_rsa(key: NCryptKey) -> None:
    pair = key.key
    if not isinstance(pair, KeyPair) or not isinstance(pair.public, RsaPublicKey):
        raise not_supported(f"{key.algorithm.name} keys have no RSA scheme")


def _scheme(key: NCryptKey) -> tuple[int, int]:
    if not key.finalized:
        _require_rsa_draft(key, ncrypt_h.NCRYPT_PCP_RSA_SCHEME_PROPERTY)
        scheme = binding(key).scheme
        if scheme is None:
            return TPM_ALG_NULL, TPM_ALG_NULL
        number = next(number for number, name in _SCHEMES.items() if name == scheme.algorithm)
        return number, TPM_HASHES.get(scheme.hash_name, TPM_ALG_NULL)
    _require_rsa(key)
    algorithm, digest = _held(key).scheme or (TPM_ALG_NULL, TPM_ALG_NULL)
    return algorithm, digest or TPM_ALG_NULL


def _salt_size(key: NCryptKey) -> int:
    _held(key)
    _require_rsa(key)
    return pss_salt_size(key.storage.provider)


def _origin(key: NCryptKey) -> Any:
    return _held(key).origin or _absent("how the key was made is not known: it was imported, or its file does not say")


def _id_binding(key: NCryptKey) -> bytes:
    """TPM2B_PUBLIC, TPM2B_CREATION_DATA, TPM2B_ATTEST and TPMT_SIGNATURE: what an identity key states of its birth."""
    if not key.finalized:
        return key.binding_nonce or _absent("PCP_TPM12_IDBINDING is not set")
    record = key.attest(key.binding_nonce, key)
    if not record.creation_statement:
        _origin(key)
    parts = record.key_public, record.creation_data, record.creation_statement
    return b"".join(len(part).to_bytes(2, "big") + part for part in parts) + record.creation_signature


def _activated(key: NCryptKey) -> bytes:
    _held(key)
    if key.activated is None:
        refuse(HRESULT.NTE_NOT_FOUND, "no credential was activated: set PCP_TPM12_IDACTIVATION first")
    return key.activated


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
        ncrypt_h.NCRYPT_PCP_NO_DA_PROTECTION_PROPERTY: lambda key: int(
            not (_held(key).counted if key.finalized else binding(key).pin and binding(key).counted)
        ),
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
        ncrypt_h.NCRYPT_PCP_TPM12_IDBINDING_PROPERTY: _id_binding,
        ncrypt_h.NCRYPT_PCP_TPM12_IDACTIVATION_PROPERTY: _activated,
    }
)
