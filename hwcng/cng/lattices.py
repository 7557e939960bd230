"""Public keys of ML-DSA and ML-KEM worked out of private ones that a caller hands over for import.

Standards: FIPS 204, algorithms 6, 23, 25, 30 to 35, 41 and 42 (t1 of sk); FIPS 203, algorithms 5 to 13 (ek of a seed).

`cryptography` takes ML-DSA keys as seeds only and has no ML-KEM-512, and a token does not give out the public half of a
private key. Nothing here signs or decapsulates: what a token must keep secret is never computed with on the host.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from hwcng.parameter_sets import MlDsaSet, MlKemSet

__all__ = ["ml_dsa_public", "ml_kem_coefficients", "ml_kem_public"]

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


def ml_dsa_public(row: MlDsaSet, private: bytes) -> bytes | None:
    """pk of the sk `private`, which has the right size. None where its parts do not belong together.

    t = A s1 + s2, whose low bits are t0 and whose high bits are t1; tr is the hash of pk.
    """
    width = (2 * row.eta).bit_length()
    short, low_bits = N * width // 8, N * ML_DSA_DROPPED // 8
    rho, tr = private[:_SEED], private[2 * _SEED : 2 * _SEED + _TR]
    start = 2 * _SEED + _TR
    vectors = [
        _unpacked(private[i : i + short], width) for i in range(start, start + (row.rows + row.columns) * short, short)
    ]
    if any(value > 2 * row.eta for vector in vectors for value in vector):
        return None
    secrets = [[row.eta - value for value in vector] for vector in vectors]
    s1 = [_transform(vector, _ml_dsa_zetas(), ML_DSA_Q, 1) for vector in secrets[: row.columns]]
    start += len(vectors) * short
    high: list[Polynomial] = []
    for r, s2 in enumerate(secrets[row.columns :]):
        total = [0] * N
        for c, vector in enumerate(s1):
            uniform = _ml_dsa_uniform(rho + bytes((c, r)))
            total = [(sum_ + a * b) % ML_DSA_Q for sum_, a, b in zip(total, uniform, vector, strict=True)]
        t = [(value + noise) % ML_DSA_Q for value, noise in zip(_transform_back(total), s2, strict=True)]
        half = 1 << ML_DSA_DROPPED - 1
        high.append([(value + half - 1) >> ML_DSA_DROPPED for value in t])
        low = [half - (value - (top << ML_DSA_DROPPED)) for value, top in zip(t, high[-1], strict=True)]
        if _packed(low, ML_DSA_DROPPED) != private[start + r * low_bits : start + (r + 1) * low_bits]:
            return None
    public = rho + b"".join(_packed(vector, 10) for vector in high)
    return public if hashlib.shake_256(public).digest(_TR) == tr else None


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
    return public + rho
