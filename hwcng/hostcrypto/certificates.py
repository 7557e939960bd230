"""X.509 certificates (RFC 5280) beside a key: whose they are, and which stands under which."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from hwcng.contract.material import DsaPublicKey, PublicKeyMaterial
from hwcng.errors import CngError, invalid_parameter
from hwcng.hostcrypto.host_keys import public_material
from hwcng.loading import host_work, load

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

__all__ = ["chain_from", "checked_chain", "is_of", "loaded", "stands_under"]

LONGEST_CHAIN = 16


@host_work
def loaded(der: bytes) -> Certificate:
    """Raises STATUS_INVALID_PARAMETER for what is no certificate."""
    load("cryptography.x509")
    from cryptography.x509 import load_der_x509_certificate

    try:
        return load_der_x509_certificate(der)
    except ValueError:
        raise invalid_parameter("there is no DER of an X.509 certificate") from None


@host_work
def is_of(certificate: Certificate, public: PublicKeyMaterial) -> bool:
    """Whether the certificate is for that public key."""
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        its = public_material(certificate.public_key())
    except (CngError, UnsupportedAlgorithm, ValueError):
        return False
    # Only what both know: of DSA's primes a certificate does not say how they were made.
    return _comparable(its) == _comparable(public)


def _comparable(public: PublicKeyMaterial) -> object:
    if isinstance(public, DsaPublicKey):
        return public.domain.prime, public.domain.subprime, public.domain.generator, public.value
    return public


@host_work
def stands_under(certificate: Certificate, issuer: Certificate) -> bool:
    """Whether the issuer's key signed the certificate, as far as the host can tell."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    if certificate.issuer != issuer.subject:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except UnsupportedAlgorithm:
        # Who signed it is known by name alone.
        return True
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def checked_chain(certificates: Sequence[Certificate], public: PublicKeyMaterial) -> list[bytes]:
    """The DER of a key's own certificate and those of its issuers, each of which signed the one before.

    Raises STATUS_INVALID_PARAMETER for a certificate of another key, and for one that did not sign the one before.
    """
    from cryptography.hazmat.primitives.serialization import Encoding

    if certificates and not is_of(certificates[0], public):
        raise invalid_parameter(
            "the first certificate is for another key than this one: give the key's own, then its issuers'"
        )
    for place, (one, issuer) in enumerate(pairwise(certificates), start=1):
        if not stands_under(one, issuer):
            raise invalid_parameter(f"certificate {place + 1} of the chain did not issue certificate {place}")
    return [one.public_bytes(Encoding.DER) for one in certificates]


def chain_from(own: Certificate, named: Callable[[bytes], Iterable[bytes]]) -> list[bytes]:
    """The certificate and its issuers, as far as they are there. named: the certificates of a subject, both in DER."""
    from cryptography.hazmat.primitives.serialization import Encoding

    chain, last = [own.public_bytes(Encoding.DER)], own
    while last.issuer != last.subject and len(chain) < LONGEST_CHAIN:
        above = (loaded(der) for der in named(last.issuer.public_bytes()))
        issuer = next((one for one in above if stands_under(last, one)), None)
        if issuer is None or issuer.public_bytes(Encoding.DER) in chain:
            break
        chain.append(issuer.public_bytes(Encoding.DER))
        last = issuer
    return chain
