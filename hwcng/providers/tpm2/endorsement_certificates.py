"""Certificates of endorsement keys (TCG EK Credential Profile for TPM Family 2.0, section 3.2), checked on the host."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hwcng.contract.attestation import EndorsedTpm, Endorsement
from hwcng.errors import CngError
from hwcng.hostcrypto.certificates import is_of
from hwcng.hostcrypto.certification_paths import certificates_in, path_to, untrusted
from hwcng.loading import host_work
from hwcng.providers.tpm2.credentials import endorsement_key
from hwcng.providers.tpm2.wire.public_area import name_of

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography.x509 import Certificate

__all__ = ["verify_endorsement"]

_OF_ENDORSEMENT = "2.23.133.8.1"
"""tcg-kp-EKCertificate."""
_MANUFACTURER, _MODEL, _VERSION = "2.23.133.2.1", "2.23.133.2.2", "2.23.133.2.3"
_IN_HEX = "id:"


@host_work
def verify_endorsement(
    endorsement: Endorsement, roots: Sequence[bytes], issuers: Sequence[bytes], at: datetime
) -> EndorsedTpm:
    """As `hwcng.attestation.verify_endorsement`, of checked arguments."""
    from cryptography.hazmat.primitives.serialization import Encoding

    key = endorsement_key(endorsement.public)
    if not endorsement.certificate:
        raise untrusted("the TPM has none; give the endorsement one of its maker's, by dataclasses.replace")
    trusted = [one for octets in roots for one in certificates_in(octets, "a root")]
    between = [one for octets in issuers for one in certificates_in(octets, "an issuer")]
    try:
        own = certificates_in(endorsement.certificate, "the certificate")[0]
        between += [one for octets in endorsement.issuers for one in certificates_in(octets, "an issuer of the TPM's")]
    except CngError as error:
        raise untrusted(error.message) from None
    path = path_to(own, trusted, between, at)
    if not is_of(own, key.public):
        raise untrusted("it is for another key than the endorsement key")
    _require_endorsing(own)
    names = _names(own)
    return EndorsedTpm(
        endorsement.public,
        name_of(endorsement.public),
        _manufacturer(names.get(_MANUFACTURER, "")),
        names.get(_MODEL, ""),
        names.get(_VERSION, ""),
        tuple(one.public_bytes(Encoding.DER) for one in path),
    )


def _require_endorsing(certificate: Certificate) -> None:
    from cryptography import x509

    for extension in certificate.extensions:
        value = extension.value
        if isinstance(value, x509.BasicConstraints) and value.ca:
            raise untrusted("it is of a certification authority, and of no endorsement key")
        if isinstance(value, x509.ExtendedKeyUsage) and _OF_ENDORSEMENT not in (use.dotted_string for use in value):
            raise untrusted("it is for other uses than that of an endorsement key")


def _names(certificate: Certificate) -> dict[str, str]:
    """What the directory name among the subject's alternative names says, by object identifier."""
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return {}
    found = names.get_values_for_type(x509.DirectoryName)
    return {attribute.oid.dotted_string: str(attribute.value) for name in found for attribute in name}


def _manufacturer(text: str) -> str:
    """The four letters of TPM_PT_MANUFACTURER, which the certificate has in hexadecimal."""
    try:
        letters = bytes.fromhex(text.removeprefix(_IN_HEX)).rstrip(b"\0 ").decode("ascii")
    except ValueError:
        return text
    return letters if letters.isprintable() else text
