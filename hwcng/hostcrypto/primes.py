"""Primality of public numbers (FIPS 186-4, appendix C.3): trial division, Miller-Rabin, and one Lucas test.

The rounds of Miller-Rabin are at least those of table C.1 for primes that a Lucas test follows, also for numbers that
somebody chose: bases are random, and no composite is known that passes both tests.
"""

from __future__ import annotations

import functools
import math
import secrets

__all__ = ["is_prime"]

_TRIAL_LIMIT = 1 << 17

# Bits of the number at most, rounds.
_ROUNDS = ((256, 27), (1024, 7), (4096, 3))


@functools.cache
def _small_primes_product() -> int:
    """Of all odd primes below _TRIAL_LIMIT: one gcd is as good as thousands of divisions."""
    sieve = bytearray([1]) * _TRIAL_LIMIT
    for number in range(3, math.isqrt(_TRIAL_LIMIT) + 1, 2):
        if sieve[number]:
            sieve[number * number :: 2 * number] = bytes(len(range(number * number, _TRIAL_LIMIT, 2 * number)))
    return math.prod(number for number in range(3, _TRIAL_LIMIT, 2) if sieve[number])


def is_prime(number: int) -> bool:
    """Whether a number of more than 32 bits is prime."""
    if number.bit_length() <= 32:
        raise ValueError("a number of more than 32 bits expected")
    if number % 2 == 0 or math.gcd(number, _small_primes_product() % number) != 1:
        return False
    bits = number.bit_length()
    rounds = next((rounds for limit, rounds in _ROUNDS if bits <= limit), 2)
    return _miller_rabin(number, rounds) and _lucas(number)


def _miller_rabin(number: int, rounds: int) -> bool:
    """FIPS 186-4, C.3.1, with random bases."""
    twos = (number - 1 & 1 - number).bit_length() - 1
    odd = number - 1 >> twos
    return all(_is_no_witness(secrets.randbelow(number - 3) + 2, number, odd, twos) for _ in range(rounds))


def _is_no_witness(base: int, number: int, odd: int, twos: int) -> bool:
    power = pow(base, odd, number)
    if power in (1, number - 1):
        return True
    for _ in range(twos - 1):
        power = power * power % number
        if power == number - 1:
            return True
    return False


def _lucas(number: int) -> bool:
    """FIPS 186-4, C.3.3."""
    if math.isqrt(number) ** 2 == number:
        return False
    discriminant = 5
    while (symbol := _jacobi(discriminant, number)) == 1:
        discriminant = -discriminant - 2 if discriminant > 0 else -discriminant + 2
    if symbol == 0:
        return False
    u, v = 1, 1
    for bit in bin(number + 1)[3:]:
        u, v = u * v % number, _half(v * v + discriminant * u * u, number)
        if bit == "1":
            u, v = _half(u + v, number), _half(v + discriminant * u, number)
    return u == 0


def _half(value: int, modulus: int) -> int:
    """value / 2 modulo an odd number."""
    return (value + modulus >> 1 if value & 1 else value >> 1) % modulus


def _jacobi(upper: int, lower: int) -> int:
    """The Jacobi symbol (FIPS 186-4, C.5) of `upper` over an odd positive number."""
    upper, symbol = upper % lower, 1
    while upper:
        while upper % 2 == 0:
            upper //= 2
            if lower % 8 in (3, 5):
                symbol = -symbol
        upper, lower = lower, upper
        if upper % 4 == lower % 4 == 3:
            symbol = -symbol
        upper %= lower
    return symbol if lower == 1 else 0
