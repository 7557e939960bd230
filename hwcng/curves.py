"""Elliptic curves by their CNG names.

Standards: SEC 2, FIPS 186-5, RFC 5639 (Brainpool); names: "CNG Named Elliptic Curves" of the Windows documentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

__all__ = ["CURVES", "CURVE_ALIASES", "Curve", "canonical_curve_name"]


@dataclass(frozen=True, slots=True)
class Curve:
    """A short Weierstrass curve over a prime field. bits: of the field, which here is also the length of the order."""

    name: str
    bits: int
    oid: str
    class_name: str

    @property
    def coordinate_size(self) -> int:
        """Bytes of one coordinate, of the scalar, and of half an ECDSA signature."""
        return (self.bits + 7) // 8

    def host(self) -> ec.EllipticCurve:
        """The curve object of the `cryptography` package."""
        from cryptography.hazmat.primitives.asymmetric import ec

        curve: ec.EllipticCurve = getattr(ec, self.class_name)()
        return curve


CURVES: Mapping[str, Curve] = MappingProxyType(
    {
        curve.name: curve
        for curve in (
            Curve("nistP224", 224, "1.3.132.0.33", "SECP224R1"),
            Curve("nistP256", 256, "1.2.840.10045.3.1.7", "SECP256R1"),
            Curve("nistP384", 384, "1.3.132.0.34", "SECP384R1"),
            Curve("nistP521", 521, "1.3.132.0.35", "SECP521R1"),
            Curve("secP256k1", 256, "1.3.132.0.10", "SECP256K1"),
            Curve("brainpoolP256r1", 256, "1.3.36.3.3.2.8.1.1.7", "BrainpoolP256R1"),
            Curve("brainpoolP384r1", 384, "1.3.36.3.3.2.8.1.1.11", "BrainpoolP384R1"),
            Curve("brainpoolP512r1", 512, "1.3.36.3.3.2.8.1.1.13", "BrainpoolP512R1"),
        )
    }
)

CURVE_ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "secP224r1": "nistP224",
        "wtls12": "nistP224",
        "secP256r1": "nistP256",
        "x962P256v1": "nistP256",
        "secP384r1": "nistP384",
        "secP521r1": "nistP521",
    }
)


def canonical_curve_name(name: str) -> str:
    """One name per curve: "secP256r1" and "x962P256v1" are "nistP256". An unknown name comes back as it is."""
    return CURVE_ALIASES.get(name, name)
