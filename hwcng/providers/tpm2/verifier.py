"""What checks the statements of TPMs on any host, without TPM software."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from hwcng.contract.attestation import (
    Attestation,
    AttestedKey,
    AttestedPlatform,
    Credential,
    EndorsedTpm,
    Endorsement,
    Quote,
)
from hwcng.contract.material import PublicKeyMaterial
from hwcng.contract.verifying import Verifier
from hwcng.providers.tpm2 import credentials, endorsement_certificates, quotes, statements

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["Tpm2Verifier"]


class Tpm2Verifier(Verifier):
    def verify_attestation(
        self,
        record: Attestation,
        nonce: bytes,
        *,
        signer_name: bytes | None,
        require_fixed_tpm: bool,
        require_made_by_tpm: bool,
    ) -> AttestedKey:
        return statements.verify_attestation(
            record,
            nonce,
            signer_name=signer_name,
            require_fixed_tpm=require_fixed_tpm,
            require_made_by_tpm=require_made_by_tpm,
        )

    def verify_quote(
        self, record: Quote, nonce: bytes, *, signer_name: bytes | None, expected: Mapping[int, bytes]
    ) -> AttestedPlatform:
        return quotes.verify_quote(record, nonce, signer_name=signer_name, expected=expected)

    def verify_endorsement(
        self, endorsement: Endorsement, roots: Sequence[bytes], *, issuers: Sequence[bytes], at: datetime
    ) -> EndorsedTpm:
        return endorsement_certificates.verify_endorsement(endorsement, roots, issuers, at)

    def public_key(self, public: bytes) -> PublicKeyMaterial:
        return statements.public_key(public)

    def attestation_key_name(self, public: bytes) -> bytes:
        return credentials.attestation_key_name(public)

    def make_credential(self, endorsement: Endorsement | EndorsedTpm, name: bytes, secret: bytes) -> Credential:
        return credentials.make_credential(endorsement.public, name, secret)

    def credential_to_file(self, credential: Credential) -> bytes:
        return credentials.to_file(credentials.checked(credential))

    def credential_from_file(self, octets: bytes) -> Credential:
        return credentials.from_file(octets)
