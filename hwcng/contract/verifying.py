"""What checks the statements of one kind of token, on any host: no token is needed for it."""

from __future__ import annotations

import abc
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

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["Verifier"]


class Verifier(abc.ABC):
    """Arguments are those of the functions of `hwcng.attestation` that have these names, checked."""

    @abc.abstractmethod
    def verify_attestation(
        self,
        record: Attestation,
        nonce: bytes,
        *,
        signer_name: bytes | None,
        require_fixed_tpm: bool,
        require_made_by_tpm: bool,
    ) -> AttestedKey: ...

    @abc.abstractmethod
    def verify_quote(
        self, record: Quote, nonce: bytes, *, signer_name: bytes | None, expected: Mapping[int, bytes]
    ) -> AttestedPlatform: ...

    @abc.abstractmethod
    def verify_endorsement(
        self, endorsement: Endorsement, roots: Sequence[bytes], *, issuers: Sequence[bytes], at: datetime
    ) -> EndorsedTpm: ...

    @abc.abstractmethod
    def public_key(self, public: bytes) -> PublicKeyMaterial: ...

    @abc.abstractmethod
    def attestation_key_name(self, public: bytes) -> bytes: ...

    @abc.abstractmethod
    def make_credential(self, endorsement: Endorsement | EndorsedTpm, name: bytes, secret: bytes) -> Credential: ...

    @abc.abstractmethod
    def credential_to_file(self, credential: Credential) -> bytes: ...

    @abc.abstractmethod
    def credential_from_file(self, octets: bytes) -> Credential: ...
