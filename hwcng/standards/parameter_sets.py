"""The parameter sets of ML-DSA (FIPS 204, tables 1 and 2) and ML-KEM (FIPS 203, tables 2 and 3), by CNG's names.

All sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["ML_DSA_SETS", "ML_KEM_SETS", "MU_SIZE", "SHARED_SECRET_SIZE", "MlDsaSet", "MlKemSet"]

MU_SIZE = 64
"""The message representative of ML-DSA (FIPS 204, algorithm 7, line 6)."""

SHARED_SECRET_SIZE = 32


@dataclass(frozen=True, slots=True)
class MlDsaSet:
    """strength: the security strength in bits. rows, columns: k and l, the shape of the matrix A. eta: bound of s1, s2.

    public, private, signature: sizes of pk, sk and a signature.
    """

    name: str
    strength: int
    rows: int
    columns: int
    eta: int
    public: int
    private: int
    signature: int

    seed = 32


@dataclass(frozen=True, slots=True)
class MlKemSet:
    """strength: the security strength in bits. rank: k. eta1: of the noise of the key.

    public, private, ciphertext: sizes of ek, dk and a ciphertext.
    """

    name: str
    strength: int
    rank: int
    eta1: int
    public: int
    private: int
    ciphertext: int

    seed = 64


ML_DSA_SETS: Mapping[str, MlDsaSet] = MappingProxyType(
    {
        row.name: row
        for row in (
            MlDsaSet("44", 128, 4, 4, 2, 1312, 2560, 2420),
            MlDsaSet("65", 192, 6, 5, 4, 1952, 4032, 3309),
            MlDsaSet("87", 256, 8, 7, 2, 2592, 4896, 4627),
        )
    }
)

ML_KEM_SETS: Mapping[str, MlKemSet] = MappingProxyType(
    {
        row.name: row
        for row in (
            MlKemSet("512", 128, 2, 3, 800, 1632, 768),
            MlKemSet("768", 192, 3, 2, 1184, 2400, 1088),
            MlKemSet("1024", 256, 4, 2, 1568, 3168, 1568),
        )
    }
)
