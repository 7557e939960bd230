"""The well-known groups of Diffie-Hellman: one safe prime for every key size of CNG.

Standards: RFC 2412, appendix E (how such primes are made); RFC 2409, section 6 (768 and 1024 bits); RFC 3526 (1536,
2048, 3072 and 4096 bits; SP 800-56A r3 approves those from 2048 on). The other sizes follow the same formula, in which
nothing can be chosen: p = 2^n - 2^(n-64) - 1 + 2^64 * ([2^(n-130) * pi] + c) with the smallest c that makes p and
(p - 1) / 2 prime. All of them are 7 modulo 8, so 2 generates the subgroup of the prime order (p - 1) / 2.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["GENERATOR", "safe_prime"]

GENERATOR = 2

_SMALLEST_C: Mapping[int, int] = MappingProxyType(
    {
        512: 131,
        576: 145480,
        640: 335775,
        704: 65808,
        768: 149686,
        832: 13056,
        896: 26718,
        960: 139761,
        1024: 129093,
        1088: 227387,
        1152: 28341,
        1216: 1006253,
        1280: 380308,
        1344: 805572,
        1408: 318422,
        1472: 1031485,
        1536: 741804,
        1600: 495144,
        1664: 68382,
        1728: 302832,
        1792: 21352,
        1856: 391919,
        1920: 1288368,
        1984: 885517,
        2048: 124476,
        2112: 409949,
        2176: 1429780,
        2240: 96243,
        2304: 336077,
        2368: 829445,
        2432: 281375,
        2496: 1015159,
        2560: 249488,
        2624: 607359,
        2688: 82811,
        2752: 592780,
        2816: 3014959,
        2880: 582769,
        2944: 1070005,
        3008: 1376616,
        3072: 1690314,
        3136: 2083519,
        3200: 57581,
        3264: 9485249,
        3328: 5129177,
        3392: 5413,
        3456: 2894192,
        3520: 3226089,
        3584: 2005159,
        3648: 5819758,
        3712: 2330845,
        3776: 5070362,
        3840: 2242340,
        3904: 7006701,
        3968: 1502693,
        4032: 2634998,
        4096: 240904,
    }
)


def _arccot_scaled(x: int, one: int) -> int:
    """one * arccot(x), rounded."""
    term, total, divisor, sign = one // x, 0, 1, 1
    while term:
        total += sign * (term // divisor)
        term //= x * x
        divisor, sign = divisor + 2, -sign
    return total


def _pi_scaled(bits: int) -> int:
    """[2^bits * pi] by Machin's formula, with 64 bits to spare for what is rounded on the way."""
    one = 1 << bits + 64
    return (16 * _arccot_scaled(5, one) - 4 * _arccot_scaled(239, one)) >> 64


@functools.cache
def safe_prime(bits: int) -> int:
    """bits: a multiple of 64 from 512 to 4096."""
    return (1 << bits) - (1 << bits - 64) - 1 + (_pi_scaled(bits - 130) + _SMALLEST_C[bits] << 64)
