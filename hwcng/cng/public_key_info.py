"""Public keys as SubjectPublicKeyInfo (RFC 5280, section 4.1; RFC 3279, RFC 5480), in DER."""

from __future__ import annotations

from hwcng.contract.material import PublicKeyMaterial
from hwcng.errors import invalid_parameter, not_supported
from hwcng.hostcrypto.host_keys import host_key, host_kind_of, public_material
from hwcng.loading import host_work

__all__ = ["build", "parse"]


@host_work
def build(public: PublicKeyMaterial) -> bytes:
    """The DER of a public key. Raises STATUS_NOT_SUPPORTED for a kind that has none here."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    if not host_kind_of(public).spki:
        raise not_supported("no SubjectPublicKeyInfo is made of such keys")
    return host_key(public).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@host_work
def parse(info: bytes) -> PublicKeyMaterial:
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
    kind = host_kind_of(public)
    if not kind.spki:
        raise not_supported("no SubjectPublicKeyInfo of such keys is read")
    kind.check(public)
    return public
