"""Public keys as SubjectPublicKeyInfo (RFC 5280, section 4.1; RFC 3279, RFC 5480), in DER."""

from __future__ import annotations

from hwcng.cng.handles import invalid_parameter, not_supported
from hwcng.contract.material import DsaPublicKey, EcPublicKey, PublicKeyMaterial, RsaPublicKey
from hwcng.hostcrypto.finite_field import check_dsa
from hwcng.hostcrypto.host_keys import host_key, public_material
from hwcng.hostcrypto.rsa import check_public
from hwcng.standards.curves import CURVES

__all__ = ["build", "parse"]


def build(public: PublicKeyMaterial) -> bytes:
    """The DER of a public key. Raises STATUS_NOT_SUPPORTED for a kind that has none here."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    if not isinstance(public, (RsaPublicKey, DsaPublicKey, EcPublicKey)) or _montgomery(public):
        raise not_supported("a SubjectPublicKeyInfo is made of RSA, DSA and EC keys")
    return host_key(public).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _montgomery(public: PublicKeyMaterial) -> bool:
    return isinstance(public, EcPublicKey) and CURVES[public.curve].montgomery


def parse(info: bytes) -> RsaPublicKey | DsaPublicKey | EcPublicKey:
    """The checked key of a DER. Raises STATUS_INVALID_PARAMETER for what is none, STATUS_NOT_SUPPORTED for a kind that
    is not read.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        key = load_der_public_key(info)
    except UnsupportedAlgorithm:
        raise not_supported("the SubjectPublicKeyInfo is of an algorithm or curve that is not known") from None
    except ValueError:
        raise invalid_parameter("there is no DER of a SubjectPublicKeyInfo") from None
    public = public_material(key)
    if isinstance(public, RsaPublicKey):
        check_public(public)
        return public
    if isinstance(public, DsaPublicKey):
        check_dsa(public)
        return public
    if isinstance(public, EcPublicKey) and not _montgomery(public):
        return public
    raise not_supported("a SubjectPublicKeyInfo is read of RSA, DSA and EC keys")
