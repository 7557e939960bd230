"""What a token states of its keys (TCG TPM 2.0 Library, Part 1, section 31), as records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from hwcng.contract.material import (
    PublicKeyMaterial,
)

__all__ = [
    "Attestable",
    "Attestation",
    "AttestedKey",
    "Origin",
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


@runtime_checkable
class Attestable(Protocol):
    """A key whose token can state that it holds it. Not every token can."""

    def attest(self, nonce: bytes) -> Attestation:
        """nonce: at most 32 bytes of the verifier's choice."""
