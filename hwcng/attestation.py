"""Statements of a TPM about its keys, and their verification on any host (TCG TPM 2.0 Library, Part 1, section 31).

`key.attest(nonce)` of a pair or a symmetric key in a TPM makes an `Attestation`; `verify_attestation` needs no TPM.
"""

from __future__ import annotations

from hwcng.contract.attestation import Attestation, AttestedKey
from hwcng.providers.tpm2.statements import verify_attestation

__all__ = ["Attestation", "AttestedKey", "verify_attestation"]
