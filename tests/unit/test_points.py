"""Points of curves, and the key that signatures tell, against `cryptography`."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from support import missing

from hwcng.contract.material import EcPublicKey
from hwcng.hostcrypto import ecc, points
from hwcng.standards.curves import CURVES, DOMAINS, Domain


@pytest.fixture(params=DOMAINS)
def curve(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    try:
        ec.derive_private_key(1, CURVES[name].host())
    except UnsupportedAlgorithm:
        missing(f"the host's {name}")
    return name


def base(domain: Domain) -> points.Point:
    return domain.gx, domain.gy, 1


def test_products_and_sums(curve: str) -> None:
    domain = DOMAINS[curve]
    u, v = (int.from_bytes(hashlib.sha512(text).digest(), "big") % domain.n for text in (b"u", b"v"))
    total = points.added(domain, points.product(domain, u, base(domain)), points.product(domain, v, base(domain)))
    expected = ec.derive_private_key((u + v) % domain.n, CURVES[curve].host()).public_key().public_numbers()
    assert points.affine(domain, total) == (expected.x, expected.y)


def test_infinity(curve: str) -> None:
    domain = DOMAINS[curve]
    one = base(domain)
    minus_one = points.product(domain, domain.n - 1, one)
    assert points.affine(domain, minus_one) == (domain.gx, domain.p - domain.gy)
    for nothing in (points.added(domain, one, minus_one), points.product(domain, domain.n, one), points.INFINITY):
        assert nothing[2] == 0
        assert points.added(domain, one, nothing) == points.added(domain, nothing, one) == one
        with pytest.raises(ValueError):
            points.affine(domain, nothing)
    doubled = points.affine(domain, points.doubled(domain, one))
    assert points.affine(domain, points.added(domain, one, one)) == doubled != (domain.gx, domain.gy)


def test_signatures_tell_their_key(curve: str) -> None:
    domain, size = DOMAINS[curve], CURVES[curve].coordinate_size
    key = ec.generate_private_key(CURVES[curve].host())
    signed = []
    for number in range(2):
        digest = hashlib.sha256(bytes([number])).digest()
        r, s = utils.decode_dss_signature(key.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256()))))
        signed.append((digest, r.to_bytes(size, "big") + s.to_bytes(size, "big")))
    numbers = key.public_key().public_numbers()
    known = EcPublicKey(curve, numbers.x, numbers.y) if domain.p % 4 == 3 else None
    assert ecc.signer(curve, signed) == known
    other = hashlib.sha256(b"another").digest()
    assert ecc.signer(curve, [signed[0], (other, signed[1][1])]) is None
