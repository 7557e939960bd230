"""The families of key pairs, by their kind, and what is put together of them: a new one is one line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from hwcng.cng.blobs.blob_type import PAIR_BLOBS, BlobType
from hwcng.cng.blobs.symmetric import SYMMETRIC_BLOBS
from hwcng.cng.families.base import PairFamily
from hwcng.cng.families.dh import DhFamily
from hwcng.cng.families.dsa import DsaFamily
from hwcng.cng.families.ec import EcFamily
from hwcng.cng.families.ed25519 import Ed25519Family
from hwcng.cng.families.mldsa import MlDsaFamily
from hwcng.cng.families.mlkem import MlKemFamily
from hwcng.cng.families.rsa import RsaFamily
from hwcng.contract.material import PublicKeyMaterial

__all__ = ["BLOB_TYPES", "FAMILIES", "MAGICS", "PairFamily", "family_of"]

FAMILIES: Mapping[str, PairFamily[Any]] = MappingProxyType(
    {
        family.kind: family
        for family in (
            RsaFamily(),
            EcFamily(),
            DhFamily(),
            DsaFamily(),
            Ed25519Family(),
            MlDsaFamily(),
            MlKemFamily(),
        )
    }
)


def family_of(public: PublicKeyMaterial) -> PairFamily[Any]:
    """The family whose pairs have such a public half."""
    return next(family for family in FAMILIES.values() if isinstance(public, family.public_type))


BLOB_TYPES: Mapping[str, BlobType] = MappingProxyType(
    {
        row.name: row
        for row in (
            *SYMMETRIC_BLOBS,
            *PAIR_BLOBS,
            *(row for family in FAMILIES.values() for row in family.blob_types),
        )
    }
)

MAGICS: Mapping[int, str] = MappingProxyType(
    {magic: name for family in FAMILIES.values() for magic, name in family.magics.items()}
)
"""`PairFamily.magics` of all of them."""
