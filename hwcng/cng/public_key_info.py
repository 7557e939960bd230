"""Public keys as SubjectPublicKeyInfo (RFC 5280, section 4.1; RFC 3279, RFC 5480), in DER."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwcng.cng.handles import invalid_parameter, not_supported
from hwcng.contract.material import DsaDomain, DsaPublicKey, EcPublicKey, PublicKeyMaterial, RsaPublicKey
from hwcng.hostcrypto.finite_field import check_dsa
from hwcng.hostcrypto.rsa import check_public
from hwcng.standards.curves import CURVES

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

__all__ = ["build", "parse"]


def _host_key(public: PublicKeyMaterial) -> PublicKeyTypes:
    from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa

    if isinstance(public, RsaPublicKey):
        return rsa.RSAPublicNumbers(public.public_exponent, public.modulus).public_key()
    if isinstance(public, DsaPublicKey):
        domain = dsa.DSAParameterNumbers(public.domain.prime, public.domain.subprime, public.domain.generator)
        return dsa.DSAPublicNumbers(public.value, domain).public_key()
    if isinstance(public, EcPublicKey) and not CURVES[public.curve].montgomery:
        return ec.EllipticCurvePublicNumbers(public.x, public.y, CURVES[public.curve].host()).public_key()
    raise not_supported("a SubjectPublicKeyInfo is made of RSA, DSA and EC keys")


def build(public: PublicKeyMaterial) -> bytes:
    """The DER of a public key. Raises STATUS_NOT_SUPPORTED for a kind that has none here."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return _host_key(public).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def parse(info: bytes) -> RsaPublicKey | DsaPublicKey | EcPublicKey:
    """The checked key of a DER. Raises STATUS_INVALID_PARAMETER for what is none, STATUS_NOT_SUPPORTED for a kind that
    is not read.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        key = load_der_public_key(info)
    except UnsupportedAlgorithm:
        raise not_supported("the SubjectPublicKeyInfo is of an algorithm or curve that is not known") from None
    except ValueError:
        raise invalid_parameter("there is no DER of a SubjectPublicKeyInfo") from None
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        public = RsaPublicKey(numbers.n, numbers.e)
        check_public(public)
        return public
    if isinstance(key, dsa.DSAPublicKey):
        values = key.public_numbers()
        domain = values.parameter_numbers
        made = DsaPublicKey(DsaDomain(domain.p, domain.q, domain.g), values.y)
        check_dsa(made)
        return made
    if isinstance(key, ec.EllipticCurvePublicKey):
        known = (curve for curve in CURVES.values() if not curve.montgomery)
        ours = next((curve for curve in known if curve.host().name == key.curve.name), None)
        if ours is None:
            raise not_supported(f"curve {key.curve.name!r} is not one of {', '.join(CURVES)}")
        point = key.public_numbers()
        return EcPublicKey(ours.name, point.x, point.y)
    raise not_supported("a SubjectPublicKeyInfo is read of RSA, DSA and EC keys")
