"""Keys on curve25519 before a token sees them (RFC 7748; SP 800-186, section 3.2.2), and those of Ed25519, with its
verification (RFC 8032, section 5.1).

Of X25519 EcPublicKey has u as x and 0 as y; EcPrivateKey has the scalar's 32 octets as a little-endian number, not yet
clamped.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from hwcng.contract.material import EcPrivateKey, EcPublicKey, Ed25519PrivateKey, Ed25519PublicKey
from hwcng.contract.specs import EddsaSpec, SignSpec
from hwcng.errors import NTSTATUS, CngError, invalid_parameter, not_supported
from hwcng.hostcrypto.host_kind import HostKind
from hwcng.loading import host_work
from hwcng.standards.curves import CURVES

__all__ = [
    "HOST_KINDS",
    "SIGNATURE_SIZE",
    "SIZE",
    "check_ed25519",
    "checked",
    "ed25519_private",
    "octets",
    "verify_ed25519",
]

PRIME = (1 << 255) - 19
_CURVE = "curve25519"
_BASE = 9
_EDWARDS_D = -121665 * pow(121666, -1, PRIME) % PRIME
SIZE = 32
"""Bytes of a key."""
SIGNATURE_SIZE = 64
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


@host_work
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


def _to_host(public: EcPublicKey) -> object:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

    return X25519PublicKey.from_public_bytes(octets(public.x))


def _to_public(key: Any) -> EcPublicKey:
    """With u as RFC 7748, section 5, takes it: without the highest bit, and reduced."""
    return EcPublicKey(_CURVE, int.from_bytes(key.public_bytes_raw(), "little") % (1 << 255) % PRIME, 0)


def _to_private(key: Any) -> EcPrivateKey:
    return EcPrivateKey(_to_public(key.public_key()), int.from_bytes(key.private_bytes_raw(), "little"))


def _first_use() -> None:
    with suppress(CngError):
        checked(EcPrivateKey(EcPublicKey(_CURVE, 0, 0), 1))
        checked(EcPublicKey(_CURVE, _BASE, 0))


def check_ed25519(public: Ed25519PublicKey) -> None:
    """Raises STATUS_INVALID_PARAMETER for 32 bytes that are no point (RFC 8032, section 5.1.3)."""
    odd, y = divmod(int.from_bytes(public.value, "little"), 1 << 255)
    square = (y * y - 1) * pow(_EDWARDS_D * y * y + 1, -1, PRIME) % PRIME
    has_root = pow(square, (PRIME - 1) // 2, PRIME) <= 1
    if len(public.value) != SIZE or y >= PRIME or not has_root or (odd and not square):
        raise invalid_parameter("Ed25519: the public key is no point of the curve")


@host_work
def ed25519_private(seed: bytes) -> Ed25519PrivateKey:
    """The pair of a private key of 32 bytes, its own or, as others call it, its seed."""
    from cryptography.hazmat.primitives.asymmetric import ed25519

    public = ed25519.Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    return Ed25519PrivateKey(Ed25519PublicKey(public), seed)


@host_work
def verify_ed25519(public: Ed25519PublicKey, spec: SignSpec, message: bytes, signature: bytes) -> None:
    """Returns where the signature is good. Raises STATUS_INVALID_SIGNATURE, also for one of another length than 64
    bytes; STATUS_NOT_SUPPORTED for a spec of another kind of key.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ed25519

    if not isinstance(spec, EddsaSpec):
        raise not_supported(f"{type(spec).__name__} is not for a {type(public).__name__}")
    good = True
    try:
        ed25519.Ed25519PublicKey.from_public_bytes(public.value).verify(signature, message)
    except InvalidSignature:
        good = False
    if not good:
        raise CngError(NTSTATUS.STATUS_INVALID_SIGNATURE, "the signature is not valid")


def _ed25519_to_host(public: Ed25519PublicKey) -> object:
    from cryptography.hazmat.primitives.asymmetric import ed25519

    return ed25519.Ed25519PublicKey.from_public_bytes(public.value)


def _first_use_of_ed25519() -> None:
    with suppress(CngError):
        verify_ed25519(ed25519_private(_PROBE).public, EddsaSpec(), b"", bytes(SIGNATURE_SIZE))


HOST_KINDS = (
    HostKind(
        "x25519",
        "X25519",
        EcPublicKey,
        _to_host,
        _to_public,
        _to_private,
        _first_use,
        _check_public,
        of=lambda public: CURVES[public.curve].montgomery,
    ),
    HostKind(
        "ed25519",
        "Ed25519",
        Ed25519PublicKey,
        _ed25519_to_host,
        lambda key: Ed25519PublicKey(key.public_bytes_raw()),
        lambda key: ed25519_private(key.private_bytes_raw()),
        _first_use_of_ed25519,
        check_ed25519,
        spki=True,
    ),
)
