"""Certification paths to given roots (RFC 5280, section 6.1): signatures, names, times, basic constraints, key usage
and critical extensions.

Revocation and certificate policies are not evaluated; critical extensions that are not known are refused, name
constraints among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hwcng.errors import NTSTATUS, CngError, invalid_parameter
from hwcng.loading import host_work, load

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography.x509 import Certificate

__all__ = ["certificates_in", "path_to", "untrusted"]

LONGEST_PATH = 8
MOST_CERTIFICATES = 64
_UNDERSTOOD = frozenset(
    {
        "2.5.29.9",  # Subject directory attributes.
        "2.5.29.14",  # Subject key identifier.
        "2.5.29.15",  # Key usage.
        "2.5.29.17",  # Subject alternative name.
        "2.5.29.19",  # Basic constraints.
        "2.5.29.31",  # CRL distribution points.
        "2.5.29.32",  # Certificate policies: any will do.
        "2.5.29.35",  # Authority key identifier.
        "2.5.29.37",  # Extended key usage, which is for who asks.
    }
)


def untrusted(reason: str) -> CngError:
    return CngError(NTSTATUS.STATUS_INVALID_SIGNATURE, f"the certificate is not trusted: {reason}")


@host_work
def certificates_in(octets: bytes, name: str) -> list[Certificate]:
    """DER of a certificate, or PEM of some. Raises STATUS_INVALID_PARAMETER for anything else."""
    load("cryptography.x509")
    from cryptography import x509

    try:
        if b"-----BEGIN" in octets:
            return x509.load_pem_x509_certificates(octets)
        return [x509.load_der_x509_certificate(octets)]
    except ValueError:
        raise invalid_parameter(f"{name} is neither DER of an X.509 certificate nor PEM of some") from None


@host_work
def path_to(
    own: Certificate, roots: Sequence[Certificate], others: Sequence[Certificate], at: datetime
) -> list[Certificate]:
    """The shortest path from a certificate to one of the roots, which is its last. others: what may stand between.

    Raises STATUS_INVALID_SIGNATURE where there is none, with what came nearest to one.
    """
    from cryptography import x509

    try:
        return _search(own, roots, others[:MOST_CERTIFICATES], at)
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        raise untrusted("a certificate of the path is malformed") from None


def _search(
    own: Certificate, roots: Sequence[Certificate], others: Sequence[Certificate], at: datetime
) -> list[Certificate]:
    if fault := _fault(own, at):
        raise untrusted(fault)
    reached, seen = [[own]], [own]
    nearest = ""
    for _ in range(LONGEST_PATH):
        paths, reached = reached, []
        for path in paths:
            for root in roots:
                if _signed(path[-1], root):
                    if not (fault := _late(root, at)):
                        return [*path, root]
                    nearest = fault
            for issuer in others:
                if issuer in seen or not _signed(path[-1], issuer):
                    continue
                if fault := _fault(issuer, at) or _not_issuing(issuer, len(path) - 1):
                    nearest = fault
                    continue
                seen.append(issuer)
                reached.append([*path, issuer])
    raise untrusted(nearest or f"none of the roots has issued {_shown(seen[-1])}, nor what stands above it")


def _shown(certificate: Certificate) -> str:
    return certificate.subject.rfc4514_string() or f"number {certificate.serial_number:#x}"


def _signed(certificate: Certificate, issuer: Certificate) -> bool:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    if certificate.issuer != issuer.subject:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True


def _late(certificate: Certificate, at: datetime) -> str:
    """What is wrong with the time, empty for nothing."""
    if at < certificate.not_valid_before_utc:
        return f"{_shown(certificate)} is not valid before {certificate.not_valid_before_utc:%Y-%m-%d}"
    if at > certificate.not_valid_after_utc:
        return f"{_shown(certificate)} ended on {certificate.not_valid_after_utc:%Y-%m-%d}"
    return ""


def _fault(certificate: Certificate, at: datetime) -> str:
    for extension in certificate.extensions:
        if extension.critical and extension.oid.dotted_string not in _UNDERSTOOD:
            return f"{_shown(certificate)} has a critical extension {extension.oid.dotted_string}, which is not known"
    return _late(certificate, at)


def _not_issuing(certificate: Certificate, below: int) -> str:
    """Why it may not issue. below: how many issuers stand below it in the path."""
    from cryptography import x509

    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return f"{_shown(certificate)} is no certification authority"
    if not constraints.ca:
        return f"{_shown(certificate)} is no certification authority"
    if constraints.path_length is not None and below > constraints.path_length:
        return f"{_shown(certificate)} has more issuers below it than it allows"
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return ""
    return "" if usage.key_cert_sign else f"{_shown(certificate)} may not sign certificates"
