"""What a caller's private key of ML-DSA or ML-KEM makes, worked out for its import: public halves, keys of seeds.

Standards: FIPS 204, algorithms 6, 23 to 25, 30 to 35, 41 and 42; FIPS 203, algorithms 5 to 13 and 16.

`cryptography` takes and gives keys as seeds only and has no ML-KEM-512, a token does not give out the public half of a
private key, and some take no seed. Nothing here signs or decapsulates, and no key of a token's is computed with.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from hwcng.standards.parameter_sets import MlDsaSet, MlKemSet

__all__ = ["ml_dsa_expanded", "ml_dsa_public", "ml_kem_coefficients", "ml_kem_expanded", "ml_kem_public"]

Polynomial: TypeAlias = list[int]

N = 256
ML_DSA_Q, ML_DSA_ROOT, ML_DSA_DROPPED = 8380417, 1753, 13
ML_KEM_Q, ML_KEM_ROOT = 3329, 17
_SEED, _TR = 32, 64


def _reversed_bits(number: int, bits: int) -> int:
    return int(f"{number:0{bits}b}"[::-1], 2)


@functools.cache
def _ml_dsa_zetas() -> Polynomial:
    return [pow(ML_DSA_ROOT, _reversed_bits(i, 8), ML_DSA_Q) for i in range(N)]


@functools.cache
def _ml_kem_zetas() -> Polynomial:
    return [pow(ML_KEM_ROOT, _reversed_bits(i, 7), ML_KEM_Q) for i in range(N // 2)]


@functools.cache
def _ml_kem_gammas() -> Polynomial:
    return [pow(ML_KEM_ROOT, 2 * _reversed_bits(i, 7) + 1, ML_KEM_Q) for i in range(N // 2)]


def _transform(values: Sequence[int], zetas: Sequence[int], modulus: int, smallest: int) -> Polynomial:
    """The number-theoretic transform (FIPS 204, algorithm 41; FIPS 203, algorithm 9), down to blocks of `smallest`."""
    result, index, length = list(values), 0, N // 2
    while length >= smallest:
        for start in range(0, N, 2 * length):
            index += 1
            zeta = zetas[index]
            for i in range(start, start + length):
                product = zeta * result[i + length] % modulus
                result[i + length] = (result[i] - product) % modulus
                result[i] = (result[i] + product) % modulus
        length //= 2
    return result


def _transform_back(values: Sequence[int]) -> Polynomial:
    """FIPS 204, algorithm 42."""
    result, index, length, zetas = list(values), N, 1, _ml_dsa_zetas()
    while length < N:
        for start in range(0, N, 2 * length):
            index -= 1
            zeta = -zetas[index]
            for i in range(start, start + length):
                lower, upper = result[i], result[i + length]
                result[i] = (lower + upper) % ML_DSA_Q
                result[i + length] = zeta * (lower - upper) % ML_DSA_Q
        length *= 2
    scale = pow(N, -1, ML_DSA_Q)
    return [value * scale % ML_DSA_Q for value in result]


def _unpacked(octets: bytes, width: int) -> Polynomial:
    """Little-endian numbers of `width` bits each."""
    number, mask = int.from_bytes(octets, "little"), (1 << width) - 1
    return [number >> shift & mask for shift in range(0, 8 * len(octets), width)]


def _packed(values: Sequence[int], width: int) -> bytes:
    number = sum(value << width * i for i, value in enumerate(values))
    return number.to_bytes(len(values) * width // 8, "little")


def _triples(seed: bytes, rate: int = 168) -> Iterator[bytes]:
    """The output of SHAKE128 in threes."""
    blocks = 5
    done = 0
    while True:
        output = hashlib.shake_128(seed).digest(blocks * rate)
        for i in range(done, len(output) - 2, 3):
            yield output[i : i + 3]
        done = len(output)
        blocks *= 2


def _ml_dsa_uniform(seed: bytes) -> Polynomial:
    """FIPS 204, algorithm 30."""
    values: Polynomial = []
    for low, middle, high in _triples(seed):
        value = low | middle << 8 | (high & 0x7F) << 16
        if value < ML_DSA_Q:
            values.append(value)
            if len(values) == N:
                break
    return values


def _ml_kem_uniform(seed: bytes) -> Polynomial:
    """FIPS 203, algorithm 7."""
    values: Polynomial = []
    for low, middle, high in _triples(seed):
        values += (value for value in (low | (middle & 0xF) << 8, middle >> 4 | high << 4) if value < ML_KEM_Q)
        if len(values) >= N:
            break
    return values[:N]


def _ml_dsa_vector(row: MlDsaSet, rho: bytes, s1: Sequence[Polynomial], s2: Sequence[Polynomial]) -> list[Polynomial]:
    """t = A s1 + s2."""
    transformed = [_transform(vector, _ml_dsa_zetas(), ML_DSA_Q, 1) for vector in s1]
    result = []
    for r, noise in enumerate(s2):
        total = [0] * N
        for c, vector in enumerate(transformed):
            uniform = _ml_dsa_uniform(rho + bytes((c, r)))
            total = [(sum_ + a * b) % ML_DSA_Q for sum_, a, b in zip(total, uniform, vector, strict=True)]
        result.append([(value + e) % ML_DSA_Q for value, e in zip(_transform_back(total), noise, strict=True)])
    return result


def _rounded(t: Polynomial) -> tuple[Polynomial, Polynomial]:
    """t1 and t0, the latter as it is packed (FIPS 204, algorithm 35)."""
    half = 1 << ML_DSA_DROPPED - 1
    high = [(value + half - 1) >> ML_DSA_DROPPED for value in t]
    return high, [half - (value - (top << ML_DSA_DROPPED)) for value, top in zip(t, high, strict=True)]


def ml_dsa_public(row: MlDsaSet, private: bytes) -> bytes | None:
    """pk of the sk `private`, which has the right size. None where its parts do not belong together.

    t = A s1 + s2, whose low bits are t0 and whose high bits are t1; tr is the hash of pk.
    """
    width = (2 * row.eta).bit_length()
    short = N * width // 8
    rho, tr = private[:_SEED], private[2 * _SEED : 2 * _SEED + _TR]
    start = 2 * _SEED + _TR
    end = start + (row.rows + row.columns) * short
    vectors = [_unpacked(private[i : i + short], width) for i in range(start, end, short)]
    if any(value > 2 * row.eta for vector in vectors for value in vector):
        return None
    secrets = [[row.eta - value for value in vector] for vector in vectors]
    t = _ml_dsa_vector(row, rho, secrets[: row.columns], secrets[row.columns :])
    rounded = [_rounded(vector) for vector in t]
    if b"".join(_packed(low, ML_DSA_DROPPED) for _, low in rounded) != private[end:]:
        return None
    public = rho + b"".join(_packed(high, 10) for high, _ in rounded)
    return public if hashlib.shake_256(public).digest(_TR) == tr else None


def _ml_dsa_short(seed: bytes, eta: int) -> Polynomial:
    """FIPS 204, algorithm 31."""
    values: Polynomial = []
    output = hashlib.shake_256(seed).digest(2 * N)
    for number in _unpacked(output, 4):
        if eta == 2 and number < 15:
            values.append(2 - number % 5)
        elif eta == 4 and number < 9:
            values.append(4 - number)
    return values[:N]


def ml_dsa_expanded(row: MlDsaSet, seed: bytes) -> bytes:
    """sk of the seed xi (FIPS 204, algorithm 6)."""
    expanded = hashlib.shake_256(seed + bytes((row.rows, row.columns))).digest(4 * _SEED)
    rho, rho_of_secrets, key = expanded[:_SEED], expanded[_SEED : 3 * _SEED], expanded[3 * _SEED :]
    numbers = range(row.columns + row.rows)
    secrets = [_ml_dsa_short(rho_of_secrets + number.to_bytes(2, "little"), row.eta) for number in numbers]
    t = _ml_dsa_vector(row, rho, secrets[: row.columns], secrets[row.columns :])
    rounded = [_rounded(vector) for vector in t]
    tr = hashlib.shake_256(rho + b"".join(_packed(high, 10) for high, _ in rounded)).digest(_TR)
    width = (2 * row.eta).bit_length()
    short = b"".join(_packed([row.eta - value for value in vector], width) for vector in secrets)
    return rho + key + tr + short + b"".join(_packed(low, ML_DSA_DROPPED) for _, low in rounded)


def ml_kem_coefficients(encoded: bytes) -> Polynomial:
    """The numbers of 12 bits in an encapsulation key, its seed left out (FIPS 203, algorithm 6, unreduced)."""
    return _unpacked(encoded, 12)


def _ml_kem_noise(sigma: bytes, nonce: int, eta: int) -> Polynomial:
    """FIPS 203, algorithm 8, transformed."""
    bits = _unpacked(hashlib.shake_256(sigma + bytes((nonce,))).digest(64 * eta), 1)
    pairs = (bits[i : i + 2 * eta] for i in range(0, len(bits), 2 * eta))
    return _transform([(sum(pair[:eta]) - sum(pair[eta:])) % ML_KEM_Q for pair in pairs], _ml_kem_zetas(), ML_KEM_Q, 2)


def _ml_kem_product(left: Polynomial, right: Polynomial) -> Iterator[int]:
    """FIPS 203, algorithms 11 and 12."""
    for i, gamma in enumerate(_ml_kem_gammas()):
        a0, a1, b0, b1 = *left[2 * i : 2 * i + 2], *right[2 * i : 2 * i + 2]
        yield a0 * b0 + a1 * b1 * gamma
        yield a0 * b1 + a1 * b0


def ml_kem_public(row: MlKemSet, seed: bytes) -> bytes:
    """ek of the seed d || z (FIPS 203, algorithm 13): A s + e in the transformed domain, and rho."""
    return _ml_kem_pair(row, seed)[0]


def ml_kem_expanded(row: MlKemSet, seed: bytes) -> bytes:
    """dk of the seed d || z (FIPS 203, algorithm 16)."""
    public, s = _ml_kem_pair(row, seed)
    return b"".join(_packed(vector, 12) for vector in s) + public + hashlib.sha3_256(public).digest() + seed[_SEED:]


def _ml_kem_pair(row: MlKemSet, seed: bytes) -> tuple[bytes, list[Polynomial]]:
    expanded = hashlib.sha3_512(seed[:_SEED] + bytes((row.rank,))).digest()
    rho, sigma = expanded[:_SEED], expanded[_SEED:]
    s = [_ml_kem_noise(sigma, nonce, row.eta1) for nonce in range(row.rank)]
    public = b""
    for r in range(row.rank):
        total = _ml_kem_noise(sigma, row.rank + r, row.eta1)
        for c, vector in enumerate(s):
            product = _ml_kem_product(_ml_kem_uniform(rho + bytes((c, r))), vector)
            total = [(sum_ + value) % ML_KEM_Q for sum_, value in zip(total, product, strict=True)]
        public += _packed(total, 12)
    return public + rho, s
