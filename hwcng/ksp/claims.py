"""Claims: what a token states of a key or of its platform, and what that proves (ncrypt.h: NCryptCreateClaim,
NCryptVerifyClaim).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from hwcng.arguments import dword, number, octets
from hwcng.cng.key_pair import KeyPair
from hwcng.contract.usage import Usage
from hwcng.errors import HRESULT, invalid_parameter, not_supported
from hwcng.headers import ncrypt_h
from hwcng.ksp.binding import pcrs_of_mask
from hwcng.ksp.handles import NCryptKey, StorageProvider
from hwcng.ksp.importing import ReadList, parameter
from hwcng.ksp.status import refuse
from hwcng.loading import load

if TYPE_CHECKING:
    from hwcng.attestation import Attestation, AttestedKey, AttestedPlatform, Quote

__all__ = ["create", "verify"]

Subject = NCryptKey | StorageProvider


class _Kind(NamedTuple):
    """create: of a subject, an authority or None, and a parameter list. verify: of a claim, a subject or None, and a
    parameter list.
    """

    create: Callable[[Subject, NCryptKey | None, ReadList], Attestation | Quote]
    verify: Callable[[object, Subject | None, ReadList], AttestedKey | AttestedPlatform]


def _nonce(parameters: ReadList, kind: int, name: str) -> bytes:
    return octets(parameter(parameters, kind), name)


def _key_nonce(parameters: ReadList) -> bytes:
    name = "NCRYPTBUFFER_CLAIM_KEYATTESTATION_NONCE"
    return _nonce(parameters, ncrypt_h.NCRYPTBUFFER_CLAIM_KEYATTESTATION_NONCE, name)


def _create_of_key(subject: Subject, authority: NCryptKey | None, parameters: ReadList) -> Attestation:
    if not isinstance(subject, NCryptKey):
        raise invalid_parameter("a claim of a key has that key as hSubjectKey")
    return subject.attest(_key_nonce(parameters), authority)


def _verify_of_key(claim: object, subject: Subject | None, parameters: ReadList) -> AttestedKey:
    load("hwcng.attestation")
    from hwcng.attestation import Attestation, verify_attestation

    nonce = _key_nonce(parameters)
    if not isinstance(claim, Attestation):
        raise invalid_parameter(f"pbClaimBlob is what NCryptCreateClaim returned, not {type(claim).__name__}")
    attested = verify_attestation(claim, nonce)
    if isinstance(subject, NCryptKey):
        key = subject.key
        if attested.public != (key.public if isinstance(key, KeyPair) else None):
            refuse(HRESULT.NTE_BAD_SIGNATURE, "the claim is about another key than hSubjectKey")
    return attested


def _platform_parameters(parameters: ReadList) -> tuple[tuple[int, ...], bytes]:
    """PCRs and nonce."""
    static = parameter(parameters, ncrypt_h.NCRYPTBUFFER_TPM_PLATFORM_CLAIM_STATIC_CREATE)
    if static is not None and dword(static, "NCRYPTBUFFER_TPM_PLATFORM_CLAIM_STATIC_CREATE"):
        raise not_supported("a claim is made when it is asked for: there is none of the boot to be had")
    name = "NCRYPTBUFFER_TPM_PLATFORM_CLAIM_PCR_MASK"
    pcrs = pcrs_of_mask(parameter(parameters, ncrypt_h.NCRYPTBUFFER_TPM_PLATFORM_CLAIM_PCR_MASK), name)
    if not pcrs:
        raise invalid_parameter(f"{name} has no PCR")
    nonce = ncrypt_h.NCRYPTBUFFER_TPM_PLATFORM_CLAIM_NONCE
    return pcrs, _nonce(parameters, nonce, "NCRYPTBUFFER_TPM_PLATFORM_CLAIM_NONCE")


def _create_of_platform(subject: Subject, authority: NCryptKey | None, parameters: ReadList) -> Quote:
    """An identity key as the subject signs, as on Windows; another key only says which token."""
    asked = _platform_parameters(parameters)
    if isinstance(subject, StorageProvider):
        provider = subject.provider
    else:
        provider = subject.storage.provider
        authority = authority or (subject if _attests(subject) else None)
    return provider.quote(*asked, by=None if authority is None else _pair_of(authority).in_token())


def _pair_of(authority: NCryptKey) -> KeyPair:
    pair = authority.key
    if not isinstance(pair, KeyPair):
        raise invalid_parameter("hAuthorityKey is an identity key, which is a pair")
    return pair


def _attests(key: NCryptKey) -> bool:
    pair = key.key if key.finalized else None
    return isinstance(pair, KeyPair) and pair.has_private and bool(pair.usage & Usage.ATTEST)


def _verify_of_platform(claim: object, subject: Subject | None, parameters: ReadList) -> AttestedPlatform:
    load("hwcng.attestation")
    from hwcng.attestation import Quote, verify_quote

    pcrs, nonce = _platform_parameters(parameters)
    if not isinstance(claim, Quote):
        raise invalid_parameter(f"pbClaimBlob is what NCryptCreateClaim returned, not {type(claim).__name__}")
    attested = verify_quote(claim, nonce)
    if tuple(sorted(attested.pcrs)) != pcrs:
        refuse(HRESULT.NTE_BAD_SIGNATURE, "the claim is about other PCRs than the mask")
    return attested


_KINDS: Mapping[int, _Kind] = MappingProxyType(
    {
        ncrypt_h.NCRYPT_CLAIM_AUTHORITY_AND_SUBJECT: _Kind(_create_of_key, _verify_of_key),
        ncrypt_h.NCRYPT_CLAIM_PLATFORM: _Kind(_create_of_platform, _verify_of_platform),
    }
)


def _kind(kind: object) -> _Kind:
    found = _KINDS.get(number(kind, "dwClaimType"))
    if found is None:
        raise not_supported("the claims are NCRYPT_CLAIM_AUTHORITY_AND_SUBJECT and NCRYPT_CLAIM_PLATFORM")
    return found


def create(subject: Subject, authority: NCryptKey | None, kind: object, parameters: ReadList) -> Attestation | Quote:
    """authority: the identity key that signs, None for the token's own attestation key.

    Raises STATUS_NOT_SUPPORTED where the token makes none, for another claim and an authority that is no identity key,
    STATUS_INVALID_PARAMETER for parameters that are missing or malformed and for an authority of another token.
    """
    return _kind(kind).create(subject, authority, parameters)


def verify(
    claim: object, subject: Subject | None, authority: NCryptKey | None, kind: object, parameters: ReadList
) -> AttestedKey | AttestedPlatform:
    """authority: the identity key that must have signed, or its public half; None for any.

    Raises STATUS_INVALID_SIGNATURE or NTE_BAD_SIGNATURE for a claim that does not hold, and as `create`.
    """
    load("hwcng.attestation")
    from hwcng.attestation import Attestation, Quote, public_key

    attested = _kind(kind).verify(claim, subject, parameters)
    signer = public_key(claim.signer_public) if isinstance(claim, Attestation | Quote) else None
    if authority is not None and signer != _pair_of(authority).public:
        refuse(HRESULT.NTE_BAD_SIGNATURE, "the claim is signed by another key than hAuthorityKey")
    return attested
