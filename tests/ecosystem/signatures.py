"""Signatures of packages, of names, of XML and of HTTP messages."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from pyca import certificates

if TYPE_CHECKING:
    from ecosystem.keys import HeldKey

__all__ = ["cryptography", "dnspython", "http_message_signatures", "securesystemslib", "signxml"]


def cryptography(held: HeldKey) -> None:
    """A request and a certificate by the builders of X.509."""
    from cryptography import x509

    request = certificates.request(held.private, "hwcng")
    assert request.is_signature_valid and request.public_key() == held.public
    certificate = certificates.certificate(held.private, "hwcng")
    certificate.verify_directly_issued_by(certificate)
    assert isinstance(certificate, x509.Certificate)


def securesystemslib(held: HeldKey) -> None:
    """What TUF and in-toto sign their metadata with."""
    from securesystemslib.signer import CryptoSigner

    signer = CryptoSigner(held.private)
    signer.public_key.verify_signature(signer.sign(b"metadata"), b"metadata")


def dnspython(held: HeldKey) -> None:
    """DNSSEC (RFC 4034, RFC 8080): RSASHA256, ECDSAP256SHA256, ED25519."""
    import dns.dnssec
    import dns.name
    import dns.rrset

    zone = dns.name.from_text("example.org.")
    known = dns.dnssec.Algorithm
    algorithm = held.by_kind(rsa=known.RSASHA256, ecdsa=known.ECDSAP256SHA256, ed25519=known.ED25519)
    public = dns.dnssec.make_dnskey(held.public, algorithm)
    records = dns.rrset.from_text(zone, 3600, "IN", "A", "192.0.2.1")
    # A token draws a random number for each signature of ECDSA.
    signature = dns.dnssec.sign(records, held.private, zone, public, lifetime=3600, deterministic=False)
    signatures = dns.rrset.from_rdata(zone, 3600, signature)
    keys = {zone: dns.rrset.from_rdata(zone, 3600, public)}
    dns.dnssec.validate(records, signatures, keys, now=time.time())


def signxml(held: HeldKey) -> None:
    import signxml
    from lxml import etree

    methods = signxml.algorithms.SignatureMethod
    method = methods.RSA_SHA256 if held.is_rsa else methods.ECDSA_SHA256
    certificate = certificates.certificate(held.private, "hwcng")
    signed = signxml.XMLSigner(signature_algorithm=method).sign(
        etree.fromstring("<invoice>42</invoice>"),
        key=held.private,
        cert=[certificate],
    )
    verified: Any = signxml.XMLVerifier().verify(
        etree.tostring(signed), x509_cert=certificate, expect_config=signxml.SignatureConfiguration()
    )
    assert verified.signed_xml.text == "42"


def http_message_signatures(held: HeldKey) -> None:
    """RFC 9421."""
    import requests
    from http_message_signatures import HTTPMessageSigner, HTTPMessageVerifier, HTTPSignatureKeyResolver, algorithms

    class Resolver(HTTPSignatureKeyResolver):
        def resolve_private_key(self, key_id: str) -> Any:
            return held.private

        def resolve_public_key(self, key_id: str) -> Any:
            return held.public

    for name in held.by_kind(
        rsa=("RSA_PSS_SHA512", "RSA_V1_5_SHA256"), ecdsa=("ECDSA_P256_SHA256",), ed25519=("ED25519",)
    ):
        algorithm = getattr(algorithms, name)
        message = requests.Request("POST", "https://example.org/pay?to=me", json={"amount": 42}).prepare()
        HTTPMessageSigner(signature_algorithm=algorithm, key_resolver=Resolver()).sign(
            message, key_id="hardware", covered_component_ids=("@method", "@authority", "@target-uri", "content-type")
        )
        verifier = HTTPMessageVerifier(signature_algorithm=algorithm, key_resolver=Resolver())
        (result,) = verifier.verify(message)
        assert result.parameters["keyid"] == "hardware"
