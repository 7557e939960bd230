"""Domain parameters of DH and DSA: public numbers, so the host makes and checks them.

Standards: FIPS 186-2, appendix 2 (DSA up to 1024 bits); FIPS 186-4, appendix A.1.1.2 (primes of a seed) and A.2.1 and
A.2.2 (generator); SP 800-89, section 4.1 (parameters from elsewhere). No library tells the seed and the counter that
CNG's blobs carry, which is why the generation is here.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass

from hwcng.contract.material import DhDomain, DsaDomain
from hwcng.errors import invalid_parameter
from hwcng.hostcrypto.primes import is_prime
from hwcng.standards import dh_groups
from hwcng.standards.hashes import HASHES

__all__ = [
    "FIPS_186_2",
    "FIPS_186_2_BITS",
    "FIPS_186_4",
    "SUBPRIME_BITS",
    "DsaRecipe",
    "check_dh_domain",
    "check_dsa_domain",
    "dh_domain",
    "dsa_domain",
    "dsa_primes",
    "subprime_size",
]

FIPS_186_2_BITS = 1024
"""The longest prime of FIPS 186-2; longer ones are of its successors."""

SUBPRIME_BITS = (160, 224, 256)
"""FIPS 186-4, section 4.2."""


@dataclass(frozen=True, slots=True)
class DsaRecipe:
    """How a seed makes p and q. first_offset: of the first digest in p's first candidate."""

    hash_name: str
    subprime_bits: int
    subprime: Callable[[DsaRecipe, bytes], int]
    first_offset: int
    counters: Callable[[int], int]

    def digest(self, seed: bytes, offset: int = 0) -> int:
        """Of (seed + offset) mod 2^seedlen."""
        moved = (int.from_bytes(seed, "big") + offset) % (1 << 8 * len(seed))
        return int.from_bytes(HASHES[self.hash_name].digest(moved.to_bytes(len(seed), "big")), "big")


def _subprime_186_2(recipe: DsaRecipe, seed: bytes) -> int:
    return (recipe.digest(seed) ^ recipe.digest(seed, 1)) | 1 << recipe.subprime_bits - 1 | 1


def _subprime_186_4(recipe: DsaRecipe, seed: bytes) -> int:
    top = 1 << recipe.subprime_bits - 1
    return recipe.digest(seed) % top | top | 1


FIPS_186_2 = DsaRecipe("SHA1", 160, _subprime_186_2, 2, lambda _bits: 4096)
FIPS_186_4 = DsaRecipe("SHA256", 256, _subprime_186_4, 1, lambda bits: 4 * bits)


def dsa_primes(recipe: DsaRecipe, bits: int, seed: bytes) -> tuple[int, int, int] | None:
    """p of `bits` bits, q, and the counter at which p was found; None where the seed makes none."""
    q = recipe.subprime(recipe, seed)
    if not is_prime(q):
        return None
    digest_bits = 8 * HASHES[recipe.hash_name].digest_size
    digests = -(-bits // digest_bits)
    for counter in range(recipe.counters(bits)):
        first = recipe.first_offset + counter * digests
        w = sum(recipe.digest(seed, first + place) << place * digest_bits for place in range(digests))
        x = w % (1 << bits - 1) | 1 << bits - 1
        p = x - x % (2 * q) + 1
        if p.bit_length() == bits and is_prime(p):
            return p, q, counter
    return None


def _generator(p: int, q: int) -> int:
    """An element of order q (FIPS 186-4, A.2.1): of the smallest h that has one."""
    h = 2
    while (g := pow(h, (p - 1) // q, p)) == 1:
        h += 1
    return g


def _recipe(bits: int) -> DsaRecipe:
    return FIPS_186_2 if bits <= FIPS_186_2_BITS else FIPS_186_4


def subprime_size(bits: int) -> int:
    """Bytes of q of new domain parameters whose prime has `bits` bits."""
    return _recipe(bits).subprime_bits // 8


def dsa_domain(bits: int) -> DsaDomain:
    """New domain parameters with a prime of `bits` bits, a multiple of 64 from 512 to 3072.

    Takes some 0.2 s for 1024 bits, 1 s for 2048 and 5 s for 3072, with much variation.
    """
    recipe = _recipe(bits)
    while True:
        seed = os.urandom(recipe.subprime_bits // 8)
        if found := dsa_primes(recipe, bits, seed):
            p, q, counter = found
            return DsaDomain(p, q, _generator(p, q), seed, counter, recipe.hash_name)


def dh_domain(bits: int) -> DhDomain:
    """The well-known group with a safe prime of `bits` bits, a multiple of 64 from 512 to 4096."""
    return DhDomain(dh_groups.safe_prime(bits), dh_groups.GENERATOR)


@functools.lru_cache(maxsize=256)
def _is_prime_once(number: int) -> bool:
    """Of a prime that keys share, the test is made once."""
    return is_prime(number)


def check_dh_domain(domain: DhDomain, bits: int) -> None:
    """Raises STATUS_INVALID_PARAMETER unless p is a prime of exactly `bits` bits and 1 < g < p - 1."""
    p, g = domain.prime, domain.generator
    if p.bit_length() != bits:
        raise invalid_parameter(f"DH: the prime has {p.bit_length()} bits, not {bits}")
    if not 1 < g < p - 1:
        raise invalid_parameter("DH: the generator is out of range")
    if p != dh_groups.safe_prime(bits) and not _is_prime_once(p):
        raise invalid_parameter("DH: the modulus is not prime")


def check_dsa_domain(domain: DsaDomain, bits: int) -> None:
    """Raises STATUS_INVALID_PARAMETER unless p and q are primes, p of exactly `bits` bits, q of a length that goes
    with it and a divisor of p - 1, and g is of order q.
    """
    p, q, g = domain.prime, domain.subprime, domain.generator
    lengths = SUBPRIME_BITS[:1] if bits <= FIPS_186_2_BITS else SUBPRIME_BITS
    if p.bit_length() != bits or q.bit_length() not in lengths:
        raise invalid_parameter(
            f"DSA: primes of {p.bit_length()} and {q.bit_length()} bits do not make a {bits}-bit key"
        )
    if (p - 1) % q or not (_is_prime_once(q) and _is_prime_once(p)):
        raise invalid_parameter("DSA: p and q are not primes of which q divides p - 1")
    if not 1 < g < p or pow(g, q, p) != 1:
        raise invalid_parameter("DSA: the generator is not of order q")
