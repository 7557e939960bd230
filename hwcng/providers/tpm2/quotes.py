"""Statements of a TPM about its PCRs: TPM2_Quote (TPM 2.0 Library, Part 3, section 18.4; Part 2, section 10.12.4).

Checked here without a TPM and without TPM software; `attestor` makes them.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from hwcng.contract.attestation import AttestedPlatform, Quote
from hwcng.providers.tpm2.wire.attest import (
    Statement,
    check_signature,
    read_statement,
    refused,
    require_attestation_key,
)
from hwcng.providers.tpm2.wire.constants import ST
from hwcng.providers.tpm2.wire.marshal import MalformedError
from hwcng.providers.tpm2.wire.policies import composite, read_selection
from hwcng.providers.tpm2.wire.public_area import name_of, parse_public
from hwcng.standards.hashes import HASHES

__all__ = ["quoted", "verify_quote"]


def verify_quote(
    record: Quote, nonce: bytes, *, signer_name: bytes | None, expected: Mapping[int, bytes]
) -> AttestedPlatform:
    """As `hwcng.attestation.verify_quote`, of checked arguments."""
    try:
        attested = _verify(record, nonce, signer_name)
    except MalformedError as error:
        raise refused(f"malformed, {error}") from None
    if missing := sorted(expected.keys() - attested.pcrs.keys()):
        raise refused(f"it says nothing of PCR {', '.join(map(str, missing))}")
    if others := [pcr for pcr in sorted(expected) if expected[pcr] != attested.pcrs[pcr]]:
        raise refused(f"other values are expected of PCR {', '.join(map(str, others))}")
    return attested


def _verify(record: Quote, nonce: bytes, trusted: bytes | None) -> AttestedPlatform:
    signer, name = parse_public(record.signer_public), name_of(record.signer_public)
    require_attestation_key(signer, name, trusted)
    hash_name = check_signature(signer, record.statement, record.signature)
    statement = read_statement(record.statement, ST.ATTEST_QUOTE, nonce)
    banks, digest = quoted(statement)
    pcrs = sorted(record.pcrs)
    if [(bank, quoted) for bank, quoted in banks if quoted] != [(record.bank, tuple(pcrs))]:
        raise refused("it is about other PCRs than those whose values it comes with")
    if any(len(value) != HASHES[record.bank].digest_size for value in record.pcrs.values()):
        raise refused(f"a value is no digest of {record.bank}")
    if not hmac.compare_digest(composite([record.pcrs[pcr] for pcr in pcrs], hash_name), digest):
        raise refused("the values are not those that the TPM signed")
    return AttestedPlatform(record.bank, record.pcrs, name, statement.reset_count, statement.firmware)


def quoted(statement: Statement) -> tuple[list[tuple[str, tuple[int, ...]]], bytes]:
    """TPMS_QUOTE_INFO: banks with their PCRs, and the digest of the values. Raises MalformedError."""
    banks, digest = read_selection(statement.about), statement.about.sized()
    statement.about.end()
    return banks, digest
