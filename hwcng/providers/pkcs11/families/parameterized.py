"""What ML-DSA and ML-KEM pairs have in common: CKA_PARAMETER_SET, and keys that are octets (PKCS#11 3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

from pkcs11 import Attribute, Mechanism

from hwcng.contract.material import MlDsaPrivateKey, MlDsaPublicKey, MlKemPrivateKey, MlKemPublicKey
from hwcng.contract.specs import PairSpec
from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.pkcs11.families.base import Attributes, PairKind, Reader
from hwcng.providers.pkcs11.families.values import ULONG, Values, number, unserved
from hwcng.providers.pkcs11.quirks import Quirks
from hwcng.standards.parameter_sets import MlDsaSet, MlKemSet

__all__ = ["PARAMETER_SET_NUMBERS", "ParameterizedKind"]

Public = TypeVar("Public", MlDsaPublicKey, MlKemPublicKey)
Private = TypeVar("Private", MlDsaPrivateKey, MlKemPrivateKey)

PARAMETER_SET_NUMBERS: Mapping[str, int] = MappingProxyType({"44": 1, "65": 2, "87": 3, "512": 1, "768": 2, "1024": 3})
"""CKP_ML_DSA_ and CKP_ML_KEM_ values."""


class ParameterizedKind(PairKind[Public, Private]):
    known = ("parameter_set",)
    stored = MappingProxyType({Attribute.PARAMETER_SET: ULONG})
    generation_mechanism: ClassVar[Mechanism]
    sets: ClassVar[Mapping[str, MlDsaSet] | Mapping[str, MlKemSet]]

    def generation(self, spec: PairSpec) -> Mechanism:
        return self.generation_mechanism

    def describe(self, spec: PairSpec) -> str:
        return f"an {self.kind}-{spec.parameter_set} pair"

    def offered_as(self, spec: PairSpec) -> tuple[str, str | None]:
        return self.kind, spec.parameter_set

    def public_attributes(self, spec: PairSpec) -> Attributes:
        return {Attribute.PARAMETER_SET: PARAMETER_SET_NUMBERS[spec.parameter_set]}

    def private_values(self, material: Private) -> Attributes:
        """CKA_PARAMETER_SET belongs here: neither a generation nor C_UnwrapKey is told it of the private key. The seed
        alone does where the expanded key is not known: the token expands it by itself.
        """
        known = {Attribute.SEED: material.seed, Attribute.VALUE: material.value}
        given = {attribute: octets for attribute, octets in known.items() if octets is not None}
        return {Attribute.PARAMETER_SET: PARAMETER_SET_NUMBERS[material.public.parameter_set], **given}

    def public_values(self, public: Public, quirks: Quirks | None = None) -> Attributes:
        return {Attribute.PARAMETER_SET: PARAMETER_SET_NUMBERS[public.parameter_set], Attribute.VALUE: public.value}

    def traits(self, values: Values) -> dict[str, Any]:
        told = number(values, Attribute.PARAMETER_SET)
        name = next((name for name in self.sets if PARAMETER_SET_NUMBERS[name] == told), None)
        if name is None:
            raise unserved("of an unknown parameter set")
        return {"parameter_set": name}

    def read_public(self, read: Reader, spec: PairSpec, token_name: str) -> Public:
        size = self.sets[spec.parameter_set].public
        value = read([Attribute.VALUE], size + 8)[Attribute.VALUE] or b""
        if len(value) != size:
            raise CngError(
                NTSTATUS.STATUS_INTERNAL_ERROR,
                f"token {token_name!r} gave a public key of {len(value)} bytes, {self.kind}-{spec.parameter_set} has "
                f"{size}",
            )
        return self.material(spec.parameter_set, value)

    def to_json(self, public: Public) -> dict[str, Any]:
        return {"set": public.parameter_set, "value": public.value.hex()}

    def from_json(self, spec: PairSpec, described: Mapping[str, Any]) -> Public:
        return self.material(spec.parameter_set, bytes.fromhex(described["value"]))
