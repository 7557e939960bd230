"""The families of key pairs, by the name that `hwcng.cng.algorithm_table` gives them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from hwcng.cng.families.base import PairFamily
from hwcng.cng.families.dh import DhFamily
from hwcng.cng.families.dsa import DsaFamily
from hwcng.cng.families.ec import EcFamily
from hwcng.cng.families.mldsa import MlDsaFamily
from hwcng.cng.families.mlkem import MlKemFamily
from hwcng.cng.families.rsa import RsaFamily

__all__ = ["FAMILIES", "PairFamily"]

FAMILIES: Mapping[str, PairFamily[Any]] = MappingProxyType(
    {
        family.kind: family
        for family in (
            RsaFamily(),
            EcFamily(),
            DhFamily(),
            DsaFamily(),
            MlDsaFamily(),
            MlKemFamily(),
        )
    }
)
