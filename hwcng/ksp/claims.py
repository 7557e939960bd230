"""Claims: what a token states of a key or of its platform, and what that proves (ncrypt.h: NCryptCreateClaim,
NCryptVerifyClaim).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from hwcng.arguments import dword, number, octets
from hwcng.cng.key_pair import KeyPair
from hwcng.errors import HRESULT, invalid_parameter, not_supported
from hwcng.headers import ncrypt_h
from hwcng.ksp.binding import pcrs_of_mask
from hwcng.ksp.handles import NCryptKey, StorageProvider
from hwcng.ksp.importing import ReadList, parameter
from hwcng.ksp.status import refuse

if TYPE_CHECKING:
    from hwcng.attestation import Attestation, AttestedKey, AttestedPlatform, Quote

__all__ = ["create", "verify"]

Subject = NCryptKey | StorageProvider


class _Kind(NamedTuple):
    """create: of a subject and a parameter list. verify: of a claim, a subject or None, and a parameter list."""

    create: Callable[[Subject, ReadList], Attestation | Quote]
    verify: Callable[[object, Subject | None, ReadList], AttestedKey | AttestedPlatform]


def _nonce(parameters: ReadList, kind: int, name: str) -> bytes:
    return octets(parameter(parameters, kind), name)


def _key_nonce(parameters: ReadList) -> bytes:
    name = "NCRYPTBUFFER_CLAIM_KEYATTESTATION_NONCE"
    return _nonce(parameters, ncrypt_h.NCRYPTBUFFER_CLAIM_KEYATTESTATION_NONCE, name)


def _create_of_key(subject: Subject, parameters: ReadList) -> Attestation:
    if not isinstance(subject, NCryptKey):
        raise invalid_parameter("a claim of a key has that key as hSubjectKey")
    return subject.attest(_key_nonce(parameters))


def _verify_of_key(claim: object, subject: Subject | None, parameters: ReadList) -> AttestedKey:
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


def _create_of_platform(subject: Subject, parameters: ReadList) -> Quote:
    return (subject.storage if isinstance(subject, NCryptKey) else subject).provider.quote(
        *_platform_parameters(parameters)
    )


def _verify_of_platform(claim: object, subject: Subject | None, parameters: ReadList) -> AttestedPlatform:
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


def _kind(kind: object, has_authority: bool) -> _Kind:
    found = _KINDS.get(number(kind, "dwClaimType"))
    if found is None or has_authority:
        raise not_supported(
            "the claims are NCRYPT_CLAIM_AUTHORITY_AND_SUBJECT and NCRYPT_CLAIM_PLATFORM by the token's own "
            "attestation key: hAuthorityKey is NULL"
        )
    return found


def create(subject: Subject, has_authority: bool, kind: object, parameters: ReadList) -> Attestation | Quote:
    """Raises STATUS_NOT_SUPPORTED where the token makes none, for another claim and another authority,
    STATUS_INVALID_PARAMETER for parameters that are missing or malformed.
    """
    return _kind(kind, has_authority).create(subject, parameters)


def verify(
    claim: object, subject: Subject | None, has_authority: bool, kind: object, parameters: ReadList
) -> AttestedKey | AttestedPlatform:
    """Raises STATUS_INVALID_SIGNATURE or NTE_BAD_SIGNATURE for a claim that does not hold, and as `create`."""
    return _kind(kind, has_authority).verify(claim, subject, parameters)
