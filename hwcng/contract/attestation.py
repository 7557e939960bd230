"""What a token states of its keys and its platform (TCG TPM 2.0 Library, Part 1, section 31), as records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from hwcng.contract.material import (
    PublicKeyMaterial,
)

__all__ = [
    "Attestable",
    "Attestation",
    "AttestedKey",
    "AttestedPlatform",
    "Credential",
    "EndorsedTpm",
    "Endorsement",
    "Origin",
    "Quote",
]


@dataclass(frozen=True, slots=True)
class Origin:
    """What TPM2_Create said when it made a key; TPMS_CREATION_DATA, its hash and TPMT_TK_CREATION."""

    data: bytes
    digest: bytes
    ticket: bytes


@dataclass(frozen=True, slots=True)
class Attestation:
    """Octets as the TPM gave them: TPMT_PUBLIC, TPMS_ATTEST and TPMT_SIGNATURE.

    creation_data, creation_statement, creation_signature: empty for a key that this process did not make.
    """

    key_public: bytes
    signer_public: bytes
    statement: bytes
    signature: bytes
    creation_data: bytes = b""
    creation_statement: bytes = b""
    creation_signature: bytes = b""


@dataclass(frozen=True, slots=True)
class AttestedKey:
    """What a verified attestation says.

    fixed_tpm: the key cannot leave its TPM. made_by_tpm: the TPM drew it (sensitiveDataOrigin); nobody ever knew it.
    creation_certified: the TPM vouches for the moment of creation. parent_name: of the storage key it was made under,
    empty without that. signer_name: the attestation key's, for the verifier to recognise. public: None of a secret key.

    obfuscated_reset_count, obfuscated_firmware_version: the TPM's own with a secret number added, which is always the
    same for one attestation key (Part 1, Attestation): another value than before tells of a reset or of new firmware,
    and none tells which. Only keys of the endorsement and platform hierarchies state them as they are.
    """

    name: bytes
    public: PublicKeyMaterial | None
    fixed_tpm: bool
    made_by_tpm: bool
    creation_certified: bool
    parent_name: bytes
    signer_name: bytes
    obfuscated_reset_count: int
    obfuscated_firmware_version: int


@dataclass(frozen=True, slots=True)
class Quote:
    """Octets as the TPM gave them: TPMT_PUBLIC of the signer, TPMS_ATTEST and TPMT_SIGNATURE.

    bank: the CNG name of the hash of the PCRs. pcrs: PCR to the value that it had.
    """

    signer_public: bytes
    statement: bytes
    signature: bytes
    bank: str
    pcrs: Mapping[int, bytes] = field(hash=False)


@dataclass(frozen=True, slots=True)
class AttestedPlatform:
    """What a verified quote says: the PCRs of a bank had these values, all at one time after the nonce was known.

    bank: the CNG name of their hash. signer_name, obfuscated_reset_count, obfuscated_firmware_version: as of an
    `AttestedKey`.
    """

    bank: str
    pcrs: Mapping[int, bytes] = field(hash=False)
    signer_name: bytes
    obfuscated_reset_count: int
    obfuscated_firmware_version: int


@dataclass(frozen=True, slots=True)
class Endorsement:
    """A TPM's endorsement key, by which its maker vouches for the TPM. public: TPMT_PUBLIC.

    certificate: X.509, in DER, empty where the TPM keeps none; dataclasses.replace puts the maker's there. issuers: of
    it, in DER, as far as the TPM keeps them.
    """

    public: bytes
    certificate: bytes = b""
    issuers: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class EndorsedTpm:
    """A TPM whose endorsement certificate leads to a trusted root.

    public, name: of its endorsement key. manufacturer, model, version: as the certificate says. path: the certificate
    and those above it, in DER, the root last.
    """

    public: bytes
    name: bytes
    manufacturer: str
    model: str
    version: str
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Credential:
    """A secret that only one TPM can recover, and only where it holds a key of one name: contents of TPM2B_ID_OBJECT
    and TPM2B_ENCRYPTED_SECRET.
    """

    id_object: bytes
    encrypted_secret: bytes


@runtime_checkable
class Attestable(Protocol):
    """A key whose token can state that it holds it. Not every token can."""

    def attest(self, nonce: bytes, by: object = None) -> Attestation:
        """nonce: at most 32 bytes of the verifier's choice. by: the token's key of Usage.ATTEST that signs, None for
        the attestation key that the token has.

        Raises STATUS_NOT_SUPPORTED for a key that attests nothing, STATUS_INVALID_PARAMETER for one of another token.
        """
