"""The host's side of an agreement or a signature, of public numbers and of its own, in plain arithmetic.

Standards: SEC 1, 3.3.1 (ECDH), FIPS 186-4, 4.7 and 6.4 (verification), RFC 7748, 5 (X25519). Not for
secrets that matter: it takes its time by them.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator

from hwcng.contract.material import DhDomain, DsaPublicKey, EcPublicKey
from hwcng.hostcrypto import points
from hwcng.standards.curves import DOMAINS

__all__ = ["dh_agreements", "dsa_is_good", "ec_agreements", "ecdsa_is_good", "x25519_agreement"]

_SHORT_SCALAR_BITS = 64
_X25519_PRIME = 2**255 - 19
_X25519_CONSTANT = 121665
_X25519_BASE = 9


def ec_agreements(theirs: EcPublicKey) -> Iterator[tuple[EcPublicKey, int]]:
    """Public keys of ever other private ones, and the x coordinate that each agrees on with `theirs`."""
    domain = DOMAINS[theirs.curve]
    base, other = (domain.gx, domain.gy, 1), (theirs.x, theirs.y, 1)
    scalar = secrets.randbits(_SHORT_SCALAR_BITS) + 2
    ours, agreed = points.product(domain, scalar, base), points.product(domain, scalar, other)
    while True:
        yield EcPublicKey(theirs.curve, *points.affine(domain, ours)), points.affine(domain, agreed)[0]
        ours, agreed = points.added(domain, ours, base), points.added(domain, agreed, other)


def dh_agreements(group: DhDomain, theirs: int) -> Iterator[tuple[int, int]]:
    """Public values of ever other private ones, and what each agrees on with `theirs`."""
    p = group.prime
    exponent = secrets.randbits(_SHORT_SCALAR_BITS) + (1 << _SHORT_SCALAR_BITS)
    ours, agreed = pow(group.generator, exponent, p), pow(theirs, exponent, p)
    while True:
        yield ours, agreed
        ours, agreed = ours * group.generator % p, agreed * theirs % p


def x25519_agreement(theirs: int) -> tuple[int, int]:
    """The u of a public key, and the u that it agrees on with `theirs`."""
    scalar = secrets.randbits(_SHORT_SCALAR_BITS) << 3 | 1 << 254
    return _ladder(scalar, _X25519_BASE), _ladder(scalar, theirs)


def _ladder(scalar: int, u: int) -> int:
    p = _X25519_PRIME
    x2, z2, x3, z3 = 1, 0, u, 1
    for bit in reversed(range(255)):
        swap = scalar >> bit & 1
        if swap:
            x2, z2, x3, z3 = x3, z3, x2, z2
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a, b * b, d * a, c * b
        x3, z3 = (da + cb) ** 2 % p, u * (da - cb) ** 2 % p
        x2, z2 = aa * bb % p, (aa - bb) * (aa + _X25519_CONSTANT * (aa - bb)) % p
        if swap:
            x2, z2, x3, z3 = x3, z3, x2, z2
    return x2 * pow(z2, -1, p) % p


def _numbers(signature: bytes) -> tuple[int, int]:
    half = len(signature) // 2
    return int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")


def _leftmost(digest: bytes, order: int) -> int:
    return int.from_bytes(digest, "big") >> max(0, 8 * len(digest) - order.bit_length())


def ecdsa_is_good(public: EcPublicKey, digest: bytes, signature: bytes) -> bool:
    domain = DOMAINS[public.curve]
    r, s = _numbers(signature)
    if not (0 < r < domain.n and 0 < s < domain.n):
        return False
    inverse = pow(s, -1, domain.n)
    ours = points.product(domain, _leftmost(digest, domain.n) * inverse % domain.n, (domain.gx, domain.gy, 1))
    point = points.added(domain, ours, points.product(domain, r * inverse % domain.n, (public.x, public.y, 1)))
    return bool(point[2]) and points.affine(domain, point)[0] % domain.n == r


def dsa_is_good(public: DsaPublicKey, digest: bytes, signature: bytes) -> bool:
    domain, value = public.domain, public.value
    p, q, (r, s) = domain.prime, domain.subprime, _numbers(signature)
    if not (0 < r < q and 0 < s < q):
        return False
    inverse = pow(s, -1, q)
    ours = pow(domain.generator, _leftmost(digest, q) * inverse % q, p)
    return ours * pow(value, r * inverse % q, p) % p % q == r
