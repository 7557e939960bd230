"""Pairs whose size is a named parameter set, ParameterSetName, and no number of bits: ML-DSA and ML-KEM."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, TypeVar

from hwcng.cng.algorithm_table import Algorithm
from hwcng.cng.families.base import PairFamily
from hwcng.cng.handles import invalid_parameter
from hwcng.contract.material import MlDsaPublicKey, MlKemPublicKey
from hwcng.contract.specs import PairSpec
from hwcng.standards.curves import Curve
from hwcng.standards.parameter_sets import MlDsaSet, MlKemSet

if TYPE_CHECKING:
    from hwcng.cng.key_pair import KeyPair

__all__ = ["ParameterizedFamily"]

Public = TypeVar("Public", MlDsaPublicKey, MlKemPublicKey)


class ParameterizedFamily(PairFamily[Public]):
    sets: ClassVar[Mapping[str, MlDsaSet] | Mapping[str, MlKemSet]]

    def check_length(self, algorithm: Algorithm, curve: Curve | None, bits: int) -> None:
        if bits:
            raise invalid_parameter(f"{algorithm.name} takes the length 0: ParameterSetName says how long its keys are")

    def bits(self, public: Public) -> int:
        return 8 * len(public.value)

    def strength(self, public: Public) -> int:
        return self.sets[public.parameter_set].strength

    def planned_bits(self, pair: KeyPair) -> int:
        return 8 * self.sets[pair.parameter_set].public if pair.parameter_set is not None else 0

    def planned_strength(self, pair: KeyPair) -> int:
        return self.sets[pair.parameter_set].strength if pair.parameter_set is not None else 0

    def spec(self, pair: KeyPair, public: Public | None = None) -> PairSpec:
        name = pair.parameter_set if public is None else public.parameter_set
        if name is None:
            raise invalid_parameter(f"{pair.algorithm.name} needs a parameter set: set ParameterSetName")
        return PairSpec(self.kind, self.usage(pair.algorithm), exportable=pair.exportable, parameter_set=name)

    def adopt(self, pair: KeyPair, public: Public) -> None:
        pair.parameter_set = public.parameter_set
