"""Points of curves over prime fields in plain arithmetic (SEC 1, section 2.2.1). For public numbers: it takes its time
by them.

Coordinates are Jacobian: (X, Y, Z) is (X / Z^2, Y / Z^3), and the point at infinity has Z = 0. No step inverts.
"""

from __future__ import annotations

from typing import TypeAlias

from hwcng.standards.curves import Domain

__all__ = ["INFINITY", "Point", "added", "affine", "doubled", "product"]

Point: TypeAlias = tuple[int, int, int]

INFINITY: Point = 1, 1, 0


def doubled(domain: Domain, point: Point) -> Point:
    p, (x, y, z) = domain.p, point
    s, m = 4 * x * y * y % p, (3 * x * x + domain.a * pow(z, 4, p)) % p
    x = (m * m - 2 * s) % p
    return x, (m * (s - x) - 8 * pow(y, 4, p)) % p, 2 * point[1] * z % p


def added(domain: Domain, left: Point, right: Point) -> Point:
    p, (x1, y1, z1), (x2, y2, z2) = domain.p, left, right
    if not z1 or not z2:
        return left if z1 else right
    u1, u2 = x1 * z2 * z2 % p, x2 * z1 * z1 % p
    s1, s2 = y1 * pow(z2, 3, p) % p, y2 * pow(z1, 3, p) % p
    if u1 == u2:
        return doubled(domain, left) if s1 == s2 else INFINITY
    h, r = u2 - u1, s2 - s1
    x = (r * r - h**3 - 2 * u1 * h * h) % p
    return x, (r * (u1 * h * h - x) - s1 * h**3) % p, h * z1 * z2 % p


def product(domain: Domain, scalar: int, point: Point) -> Point:
    """scalar * point. scalar: at least 0."""
    result = INFINITY
    for bit in bin(scalar)[2:]:
        result = doubled(domain, result)
        if bit == "1":
            result = added(domain, result, point)
    return result


def affine(domain: Domain, point: Point) -> tuple[int, int]:
    """Raises ValueError for the point at infinity."""
    inverse = pow(point[2], -1, domain.p)
    return point[0] * inverse**2 % domain.p, point[1] * inverse**3 % domain.p
