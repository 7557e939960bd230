"""The keys of RSA and on NIST's curves, which is what most protocols know (RFC 5656, RFC 7518)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from hwcng import pyca
from hwcng.pyca.failures import refusal

if TYPE_CHECKING:
    from hwcng.pyca.opening import TokenKey

__all__ = ["lacking", "rsa_or_nist_key"]

_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)


def rsa_or_nist_key(key: TokenKey, library: str) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    """The private key. library: whose limits these are. Raises UnsupportedAlgorithm, and what `private_key` raises."""
    private = pyca.private_key(key)
    if isinstance(private, rsa.RSAPrivateKey):
        return private
    if isinstance(private, ec.EllipticCurvePrivateKey) and isinstance(private.curve, _CURVES):
        return private
    raise lacking(library, private)


def lacking(library: str, private: object) -> UnsupportedAlgorithm:
    """The refusal of a key whose kind or curve a library does not know."""
    return refusal(
        UnsupportedAlgorithm, f"{library} has no keys like {private!r}: use RSA, or ECDSA on P-256, P-384 or P-521"
    )
