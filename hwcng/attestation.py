"""Statements of a TPM about its keys and its platform, and their verification on any host (TCG TPM 2.0 Library, Part 1,
section 31).

`key.attest(nonce)` of a pair or a symmetric key in a TPM makes an `Attestation`, and its provider's `quote` a `Quote`;
`verify_attestation` and `verify_quote` need no TPM. Whose TPM it is: `verify_endorsement` checks its maker's
certificate, and a secret of `make_credential` that comes back from `provider.activate_credential` shows that the
attestation key of that name is in the same TPM.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone

from hwcng.arguments import number, octets
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
from hwcng.errors import invalid_parameter, not_supported
from hwcng.providers.backends import backends

__all__ = [
    "Attestation",
    "AttestedKey",
    "AttestedPlatform",
    "Credential",
    "EndorsedTpm",
    "Endorsement",
    "Quote",
    "attestation_key_name",
    "credential_from_file",
    "credential_to_file",
    "make_credential",
    "public_key",
    "verify_attestation",
    "verify_endorsement",
    "verify_quote",
]

_LAST_PCR = 0xFF


def _verifier(record: object) -> Verifier:
    for backend in backends():
        if (verifier := backend.verifier(record)) is not None:
            return verifier
    raise not_supported("no backend knows such statements")


def _optional(value: object, name: str) -> bytes | None:
    return None if value is None else octets(value, name)


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
        raise invalid_parameter(f"an Attestation is checked, not {type(record).__name__}")
    nonce, trusted = octets(nonce, "nonce"), _optional(signer_name, "signer_name")
    return _verifier(record).verify_attestation(
        record,
        nonce,
        signer_name=trusted,
        require_fixed_tpm=require_fixed_tpm,
        require_made_by_tpm=require_made_by_tpm,
    )


def verify_quote(
    record: Quote,
    nonce: bytes,
    *,
    signer_name: bytes | None = None,
    expected: Mapping[int, bytes] | None = None,
) -> AttestedPlatform:
    """Checks signature, hash, nonce and selection of `record`, on the host alone.

    nonce: what the verifier sent. signer_name: the attestation key's name that the verifier trusts; None: any that
    says it is one, which proves nothing about whose TPM it is. expected: PCR to the value that it must have; the
    quote may be about more.

    Raises CngError (STATUS_INVALID_SIGNATURE) that says what does not hold, and which PCRs have other values.
    """
    if not isinstance(record, Quote):
        raise invalid_parameter(f"a Quote is checked, not {type(record).__name__}")
    nonce, trusted = octets(nonce, "nonce"), _optional(signer_name, "signer_name")
    wanted, values = _values(expected or {}, "expected"), _values(record.pcrs, "pcrs")
    record = Quote(
        octets(record.signer_public, "signer_public"),
        octets(record.statement, "statement"),
        octets(record.signature, "signature"),
        record.bank,
        values,
    )
    return _verifier(record).verify_quote(record, nonce, signer_name=trusted, expected=wanted)


def _values(given: object, name: str) -> dict[int, bytes]:
    if not isinstance(given, Mapping):
        raise invalid_parameter(f"{name} has PCRs and their values, and is no {type(given).__name__}")
    return {number(pcr, "a PCR", largest=_LAST_PCR): octets(value, "a PCR's value") for pcr, value in given.items()}


def verify_endorsement(
    endorsement: Endorsement,
    roots: Sequence[bytes],
    *,
    issuers: Sequence[bytes] = (),
    at: datetime | None = None,
) -> EndorsedTpm:
    """Checks that the certificate of an endorsement key is the key's, of such a key, and leads to one of the roots.

    roots: certificates of TPM makers that the verifier trusts. issuers: others that may stand between, beside those
    that come with the endorsement. Each of both is DER, or PEM of one or more. at: when, with its time zone; None: now.
    Signatures, times, basic constraints, key usage and critical extensions are checked; revocation is not.

    Raises STATUS_INVALID_SIGNATURE that says what does not hold, STATUS_INVALID_PARAMETER for what is no certificate.
    """
    if not isinstance(endorsement, Endorsement):
        raise invalid_parameter(f"an Endorsement is checked, not {type(endorsement).__name__}")
    moment = at if at is not None else datetime.now(timezone.utc)
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise invalid_parameter("at is a datetime with its time zone")
    record = Endorsement(
        octets(endorsement.public, "public"),
        octets(endorsement.certificate, "certificate"),
        _certificates(endorsement.issuers, "issuers of the endorsement"),
    )
    trusted, between = _certificates(roots, "roots"), _certificates(issuers, "issuers")
    return _verifier(record).verify_endorsement(record, trusted, issuers=between, at=moment)


def _certificates(given: object, name: str) -> tuple[bytes, ...]:
    if not isinstance(given, list | tuple):
        raise invalid_parameter(f"{name} is a list of certificates, not {type(given).__name__}")
    return tuple(octets(one, f"a certificate of {name}") for one in given)


def public_key(public: bytes) -> PublicKeyMaterial:
    """The RSA or elliptic-curve key of a public area (TPMT_PUBLIC), such as that of an `Endorsement`.

    Raises STATUS_INVALID_PARAMETER for what is no public area of such a key.
    """
    public = octets(public, "public")
    return _verifier(public).public_key(public)


def attestation_key_name(public: bytes) -> bytes:
    """The name of an attestation key, as `signer_name` takes it. public: `provider.attestation_key()`.

    Raises STATUS_INVALID_SIGNATURE for a key that signs other things than what its TPM states,
    STATUS_INVALID_PARAMETER for what is no public area.
    """
    public = octets(public, "public")
    return _verifier(public).attestation_key_name(public)


def make_credential(endorsement: Endorsement | EndorsedTpm, name: bytes, secret: bytes) -> Credential:
    """A secret for the TPM of an endorsement key, which recovers it by `activate_credential` only where it holds a key
    of this name.

    name: of `attestation_key_name`. secret: at least one byte, at most as many as the digest of the endorsement key's
    name algorithm, which are 32 or more; random ones, which the verifier compares. Made on this host.

    Raises STATUS_INVALID_PARAMETER for a key that is no endorsement key, for a name or a secret that can be none.
    """
    if not isinstance(endorsement, Endorsement | EndorsedTpm):
        raise invalid_parameter(f"an Endorsement or EndorsedTpm is expected, not {type(endorsement).__name__}")
    octets(endorsement.public, "public")
    return _verifier(endorsement).make_credential(endorsement, octets(name, "name"), octets(secret, "secret"))


def credential_to_file(credential: Credential) -> bytes:
    """As tpm2_makecredential writes and tpm2_activatecredential reads it."""
    return _verifier(credential).credential_to_file(credential)


def credential_from_file(octets_of_file: bytes) -> Credential:
    """Raises STATUS_INVALID_PARAMETER for what is no file of tpm2_makecredential."""
    given = octets(octets_of_file, "octets_of_file")
    return _verifier(given).credential_from_file(given)
