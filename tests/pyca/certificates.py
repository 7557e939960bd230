"""Certificates, requests, lists and responses that the tests have keys of tokens sign."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID

__all__ = ["NOW", "certificate", "hash_for", "name", "ocsp_response", "request", "revocation_list", "written"]

NOW = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
DAY = datetime.timedelta(days=1)


def name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def hash_for(key: Any) -> Any:
    """SHA-256, and none for keys that hash by themselves."""
    return None if "MLDSA" in type(key).__name__ or "Ed25519" in type(key).__name__ else hashes.SHA256()


def request(key: Any, common: str, **options: Any) -> x509.CertificateSigningRequest:
    builder = x509.CertificateSigningRequestBuilder().subject_name(name(common))
    return builder.sign(key, hash_for(key), **options)


def certificate(
    key: Any, common: str, public: Any = None, issuer: x509.Certificate | None = None, **options: Any
) -> x509.Certificate:
    """Signed by `key`: its own authority, or an end's certificate for `public` under `issuer`."""
    authority = issuer is None
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(common))
        .issuer_name(name(common) if issuer is None else issuer.subject)
        .public_key(key.public_key() if public is None else public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + 30 * DAY)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    return builder.sign(key, hash_for(key), **options)


def revocation_list(key: Any, issuer: x509.Certificate, serial: int) -> x509.CertificateRevocationList:
    revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW).build()
    builder = x509.CertificateRevocationListBuilder().issuer_name(issuer.subject).last_update(NOW - DAY)
    return builder.next_update(NOW + DAY).add_revoked_certificate(revoked).sign(key, hash_for(key))


def ocsp_response(key: Any, issuer: x509.Certificate, asked: x509.Certificate) -> ocsp.OCSPResponse:
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=asked,
        issuer=issuer,
        algorithm=hashes.SHA256(),
        cert_status=ocsp.OCSPCertStatus.GOOD,
        this_update=NOW - DAY,
        next_update=NOW + DAY,
        revocation_time=None,
        revocation_reason=None,
    )
    return builder.responder_id(ocsp.OCSPResponderEncoding.HASH, issuer).sign(key, hash_for(key))


def written(path: Path, *made: Any) -> Path:
    """What was made, in PEM; a response in DER."""
    encoding = serialization.Encoding.DER if hasattr(made[0], "response_status") else serialization.Encoding.PEM
    path.write_bytes(b"".join(one.public_bytes(encoding) for one in made))
    return path
