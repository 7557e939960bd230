"""Keys on curve25519 before a token sees them (RFC 7748; SP 800-186, section 3.2.2).

EcPublicKey has u as x and 0 as y; EcPrivateKey has the scalar's 32 octets as a little-endian number, not yet clamped.
"""

from __future__ import annotations

from hwcng.contract.material import EcPrivateKey, EcPublicKey
from hwcng.errors import CngError, invalid_parameter
from hwcng.forking import foreign_work

__all__ = ["SIZE", "checked", "octets"]

PRIME = (1 << 255) - 19
SIZE = 32
# Any scalar: clamping makes each a multiple of the cofactor.
_PROBE = bytes(SIZE)


def _refused(message: str) -> CngError:
    return invalid_parameter(f"curve25519: {message}")


def octets(number: int) -> bytes:
    """A coordinate or a scalar as RFC 7748 has it."""
    return number.to_bytes(SIZE, "little")


def _check_public(public: EcPublicKey) -> None:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

    if public.y:
        raise _refused("there is no coordinate y, it must be 0")
    if public.x >= PRIME:
        raise _refused("the coordinate u is not below the prime")
    try:
        X25519PrivateKey.from_private_bytes(_PROBE).exchange(X25519PublicKey.from_public_bytes(octets(public.x)))
    except ValueError:
        raise _refused("the point is of low order: every secret with it would be zero") from None


@foreign_work()
def checked(material: EcPublicKey | EcPrivateKey) -> EcPublicKey | EcPrivateKey:
    """The key as it may go on. A private key without public half, u being 0, gets it.

    Raises STATUS_INVALID_PARAMETER for a u that is not below the prime, a point of low order (RFC 7748, section 6.1), a
    y, and a public half that is not that of the scalar.
    """
    if isinstance(material, EcPublicKey):
        _check_public(material)
        return material
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    own = X25519PrivateKey.from_private_bytes(octets(material.scalar)).public_key().public_bytes_raw()
    public = EcPublicKey(material.public.curve, int.from_bytes(own, "little"), 0)
    if material.public not in (public, EcPublicKey(material.public.curve, 0, 0)):
        raise _refused("the public half is not that of the private scalar")
    return EcPrivateKey(public, material.scalar)
