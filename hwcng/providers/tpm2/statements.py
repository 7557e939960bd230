"""Statements of a TPM about a key: TPM2_Certify and TPM2_CertifyCreation (TPM 2.0 Library, Part 3, section 18).

Checked here without a TPM and without TPM software; `attestor` makes them. Whether the attestation key is that of a
genuine TPM is for the verifier to know, by its name: enrolment, or an endorsement certificate with
TPM2_ActivateCredential.
"""

from __future__ import annotations

import hashlib
import hmac

from hwcng.contract.attestation import Attestation, AttestedKey
from hwcng.contract.material import PublicKeyMaterial
from hwcng.errors import invalid_parameter
from hwcng.providers.tpm2.wire.attest import (
    FIXED,
    check_signature,
    read_statement,
    refused,
    require_attestation_key,
)
from hwcng.providers.tpm2.wire.constants import ST, Attributes
from hwcng.providers.tpm2.wire.marshal import MalformedError, Reader
from hwcng.providers.tpm2.wire.public_area import Public, name_of, parse_public

__all__ = [
    "parent_of",
    "public_key",
    "verify_attestation",
]


def public_key(public: bytes) -> PublicKeyMaterial:
    """`hwcng.attestation.public_key`, its argument checked."""
    try:
        material = parse_public(public).material
    except MalformedError as error:
        raise invalid_parameter(f"this is no public area of a key: {error}") from None
    if material is None:
        raise invalid_parameter("a secret key has no public half")
    return material


def verify_attestation(
    record: Attestation,
    nonce: bytes,
    *,
    signer_name: bytes | None = None,
    require_fixed_tpm: bool = True,
    require_made_by_tpm: bool = True,
) -> AttestedKey:
    """`hwcng.attestation.verify_attestation`, its arguments checked."""
    try:
        return _verify(record, nonce, signer_name, require_fixed_tpm, require_made_by_tpm)
    except MalformedError as error:
        raise refused(f"malformed, {error}") from None


def _verify(
    record: Attestation, nonce: bytes, signer_name: bytes | None, require_fixed_tpm: bool, require_made_by_tpm: bool
) -> AttestedKey:
    signer, key = parse_public(record.signer_public), parse_public(record.key_public)
    name, name_of_signer = name_of(record.key_public), name_of(record.signer_public)
    require_attestation_key(signer, name_of_signer, signer_name)
    check_signature(signer, record.statement, record.signature)
    certified = read_statement(record.statement, ST.ATTEST_CERTIFY, nonce)
    if not hmac.compare_digest(certified.about.sized(), name):
        raise refused("it is about another key")
    certified.about.sized()
    certified.about.end()
    parent_name = b""
    if record.creation_statement:
        parent_name = _creation(record, signer, name, nonce)
    attested = AttestedKey(
        name,
        key.material,
        key.attributes & FIXED == FIXED,
        Attributes.SENSITIVEDATAORIGIN in key.attributes,
        bool(record.creation_statement),
        parent_name,
        name_of_signer,
        certified.reset_count,
        certified.firmware,
    )
    if require_fixed_tpm and not attested.fixed_tpm:
        raise refused("the key is not fixed to its TPM")
    if require_made_by_tpm and not attested.made_by_tpm:
        raise refused("the key was not made by the TPM, somebody brought it")
    return attested


def _creation(record: Attestation, signer: Public, name: bytes, nonce: bytes) -> bytes:
    """Checks TPM2_CertifyCreation's statement; returns the parent's name."""
    check_signature(signer, record.creation_statement, record.creation_signature)
    reader = read_statement(record.creation_statement, ST.ATTEST_CREATION, nonce).about
    if not hmac.compare_digest(reader.sized(), name):
        raise refused("the creation statement is about another key")
    if not hmac.compare_digest(reader.sized(), hashlib.sha256(record.creation_data).digest()):
        raise refused("the creation data is not what the TPM signed")
    reader.end()
    return parent_of(record.creation_data)


def parent_of(creation_data: bytes) -> bytes:
    """The name of the storage key that a key was made under. Raises MalformedError."""
    # TPMS_CREATION_DATA: PCR selection, PCR digest, locality, the parent's name algorithm and names, outside info.
    data = Reader(creation_data)
    for _ in range(data.u32()):
        data.u16()
        data.take(data.u8())
    data.sized()
    data.take(3)
    return data.sized()
