"""Statements of a TPM about a key: TPM2_Certify and TPM2_CertifyCreation (TPM 2.0 Library, Part 3, section 18).

Checked here without a TPM and without TPM software; `attestor` makes them. Whether the attestation key is that of a
genuine TPM is for the verifier to know, by its name: enrolment, or an endorsement certificate with
TPM2_ActivateCredential.
"""

from __future__ import annotations

import hashlib
import hmac

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from hwcng.arguments import octets
from hwcng.contract.attestation import Attestation, AttestedKey
from hwcng.contract.material import EcPublicKey
from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.tpm2.wire.constants import ALG, ST, Attributes
from hwcng.providers.tpm2.wire.marshal import MalformedError, Reader
from hwcng.providers.tpm2.wire.public_area import Public, name_of, parse_public
from hwcng.standards.curves import CURVES

__all__ = [
    "parent_of",
    "verify_attestation",
]

_GENERATED = 0xFF544347
_FIXED = Attributes.FIXEDTPM | Attributes.FIXEDPARENT


def _refused(reason: str) -> CngError:
    return CngError(NTSTATUS.STATUS_INVALID_SIGNATURE, f"the attestation does not hold: {reason}")


def verify_attestation(
    record: Attestation,
    nonce: bytes,
    *,
    signer_name: bytes | None = None,
    require_fixed_tpm: bool = True,
    require_made_by_tpm: bool = True,
) -> AttestedKey:
    """Checks every signature, hash, name and attribute of `record`, on the host alone.

    nonce: what the verifier sent. signer_name: the attestation key's name that the verifier trusts; None: any that
    says it is one, which proves nothing about whose TPM it is. require_fixed_tpm, require_made_by_tpm: refuse keys
    that can leave the TPM, or that somebody knew before (imported ones).

    Raises CngError (STATUS_INVALID_SIGNATURE) that says what does not hold.
    """
    if not isinstance(record, Attestation):
        raise CngError(NTSTATUS.STATUS_INVALID_PARAMETER, f"an Attestation is checked, not {type(record).__name__}")
    nonce, trusted = octets(nonce, "nonce"), None if signer_name is None else octets(signer_name, "signer_name")
    try:
        return _verify(record, nonce, trusted, require_fixed_tpm, require_made_by_tpm)
    except MalformedError as error:
        raise _refused(f"malformed, {error}") from None


def _verify(
    record: Attestation, nonce: bytes, signer_name: bytes | None, require_fixed_tpm: bool, require_made_by_tpm: bool
) -> AttestedKey:
    signer, key = parse_public(record.signer_public), parse_public(record.key_public)
    name, name_of_signer = name_of(record.key_public), name_of(record.signer_public)
    if signer_name is not None and not hmac.compare_digest(signer_name, name_of_signer):
        raise _refused("another attestation key signed it")
    needed = Attributes.RESTRICTED | Attributes.SIGN | _FIXED | Attributes.SENSITIVEDATAORIGIN
    if signer.attributes & needed != needed or Attributes.DECRYPT in signer.attributes:
        raise _refused("the signer is no restricted signing key of a TPM")
    _check_signature(signer, record.statement, record.signature)
    reader, reset_count, firmware = _statement(record.statement, ST.ATTEST_CERTIFY, nonce)
    if not hmac.compare_digest(reader.sized(), name):
        raise _refused("it is about another key")
    reader.sized()
    reader.end()
    parent_name = b""
    if record.creation_statement:
        parent_name = _creation(record, signer, name, nonce)
    attested = AttestedKey(
        name,
        key.material,
        key.attributes & _FIXED == _FIXED,
        Attributes.SENSITIVEDATAORIGIN in key.attributes,
        bool(record.creation_statement),
        parent_name,
        name_of_signer,
        reset_count,
        firmware,
    )
    if require_fixed_tpm and not attested.fixed_tpm:
        raise _refused("the key is not fixed to its TPM")
    if require_made_by_tpm and not attested.made_by_tpm:
        raise _refused("the key was not made by the TPM, somebody brought it")
    return attested


def _statement(statement: bytes, kind: ST, nonce: bytes) -> tuple[Reader, int, int]:
    """The part of a TPMS_ATTEST that depends on its kind, the TPM's reset count and its firmware version."""
    reader = Reader(statement)
    if reader.u32() != _GENERATED or reader.u16() != kind:
        raise _refused("no such statement of a TPM")
    reader.sized()
    if not hmac.compare_digest(reader.sized(), nonce):
        raise _refused("the nonce is another one")
    reader.u64()
    reset_count = reader.u32()
    reader.take(5)
    return reader, reset_count, reader.u64()


def _creation(record: Attestation, signer: Public, name: bytes, nonce: bytes) -> bytes:
    """Checks TPM2_CertifyCreation's statement; returns the parent's name."""
    _check_signature(signer, record.creation_statement, record.creation_signature)
    reader = _statement(record.creation_statement, ST.ATTEST_CREATION, nonce)[0]
    if not hmac.compare_digest(reader.sized(), name):
        raise _refused("the creation statement is about another key")
    if not hmac.compare_digest(reader.sized(), hashlib.sha256(record.creation_data).digest()):
        raise _refused("the creation data is not what the TPM signed")
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


def _check_signature(signer: Public, statement: bytes, signature: bytes) -> None:
    """TPMT_SIGNATURE, ECDSA with SHA-256: what our attestation keys make."""
    if not isinstance(signer.material, EcPublicKey) or signer.scheme != (ALG.ECDSA, ALG.SHA256):
        raise _refused("the signer is no ECDSA key for SHA-256")
    reader = Reader(signature)
    if (reader.u16(), reader.u16()) != (ALG.ECDSA, ALG.SHA256):
        raise _refused("the signature is of another scheme")
    r, s = int.from_bytes(reader.sized(), "big"), int.from_bytes(reader.sized(), "big")
    reader.end()
    curve = CURVES[signer.material.curve].host()
    try:
        key = ec.EllipticCurvePublicNumbers(signer.material.x, signer.material.y, curve).public_key()
        key.verify(encode_dss_signature(r, s), statement, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError):
        raise _refused("the signature is wrong") from None
