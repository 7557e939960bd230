"""ECDH with peer points that SoftHSM mistakes for DER: 04, then a byte that could be the length of what follows."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from support import missing

from hwcng.contract.material import EcPublicKey
from hwcng.contract.provider import Provider
from hwcng.contract.specs import PairSpec
from hwcng.contract.usage import Support, Usage

CURVES = {
    "nistP224": ec.SECP224R1(),
    "nistP256": ec.SECP256R1(),
    "nistP384": ec.SECP384R1(),
    "brainpoolP512r1": ec.BrainpoolP512R1(),
}


def key_like_der(curve: ec.EllipticCurve, size: int) -> ec.EllipticCurvePrivateKey:
    """A key whose public point, 04 x y, has the length of x and y as the first byte of x."""
    while True:
        key = ec.generate_private_key(curve)
        if key.public_key().public_numbers().x >> 8 * (size - 1) == 2 * size - 1:
            return key


@pytest.mark.parametrize("name", CURVES)
def test_point_that_looks_like_der(name: str, provider: Provider) -> None:
    if provider.offers("ECDH", name) is Support.REFUSED:
        missing(f"ECDH {name}")
    curve = CURVES[name]
    peer = key_like_der(curve, (curve.key_size + 7) // 8)
    ours = provider.generate_pair(PairSpec("EC", Usage.DERIVE, curve=name))
    numbers = peer.public_key().public_numbers()
    secret = ours.agree(EcPublicKey(name, numbers.x, numbers.y))
    assert isinstance(ours.public, EcPublicKey)
    public = ec.EllipticCurvePublicNumbers(ours.public.x, ours.public.y, curve).public_key()
    shared = peer.exchange(ec.ECDH(), public)
    assert secret.digest("SHA256", b"", b"") == hashlib.sha256(shared).digest()
    secret.destroy()
    ours.destroy()
