"""The agreed value itself, which leaves a token only where its provider was opened with allow_raw_secret=True."""

from __future__ import annotations

from hwcng.contract.material import DhPublicKey, EcPublicKey, PublicKeyMaterial
from hwcng.hostcrypto import ecc, x25519
from hwcng.hostcrypto.finite_field import check_dh
from hwcng.hostcrypto.host_keys import public_material
from hwcng.pyca.base import TokenPair
from hwcng.pyca.failures import as_cryptography_raises
from hwcng.standards.curves import CURVES

__all__ = ["agreed"]


def agreed(pair: TokenPair, peer: object) -> bytes:
    """Z with its leading zeros: big-endian, of curve25519 as RFC 7748 has it. peer: a public key of `cryptography`."""
    with as_cryptography_raises():
        material = public_material(peer)
        _check(material)
        secret = pair.agree_with(material)
        try:
            return secret.raw()
        finally:
            secret.destroy()


def _check(peer: PublicKeyMaterial) -> None:
    """No token sees a peer's key that is not sound: `cryptography` checks some of it when it agrees."""
    if isinstance(peer, DhPublicKey):
        check_dh(peer)
    elif isinstance(peer, EcPublicKey) and CURVES[peer.curve].montgomery:
        x25519.checked(peer)
    elif isinstance(peer, EcPublicKey):
        ecc.check_public(peer)
