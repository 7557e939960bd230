"""ML-KEM pairs (PKCS#11 3.2; FIPS 203)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass

from hwcng.contract.material import MlKemPrivateKey, MlKemPublicKey
from hwcng.contract.specs import PairSpec
from hwcng.providers.pkcs11 import mechanisms
from hwcng.providers.pkcs11.families.base import Attributes
from hwcng.providers.pkcs11.families.parameterized import PARAMETER_SET_NUMBERS, ParameterizedKind
from hwcng.standards.parameter_sets import ML_KEM_SETS

if TYPE_CHECKING:
    from hwcng.providers.pkcs11.keys.private import Pkcs11PrivateKey
    from hwcng.providers.pkcs11.mechanisms import MechanismCall

__all__ = ["MlKemKind"]


class MlKemKind(ParameterizedKind[MlKemPublicKey, MlKemPrivateKey]):
    kind = "ML-KEM"
    key_type = KeyType.ML_KEM
    generation_mechanism = Mechanism.ML_KEM_KEY_PAIR_GEN
    material = MlKemPublicKey
    sets = ML_KEM_SETS

    def public_attributes(self, spec: PairSpec) -> Attributes:
        return {**super().public_attributes(spec), Attribute.ENCAPSULATE: True}

    def private_attributes(self, spec: PairSpec) -> Attributes:
        return {**super().private_attributes(spec), Attribute.DECAPSULATE: True}

    def public_object(self, public: MlKemPublicKey) -> Attributes:
        """A session object to encapsulate with."""
        return {
            Attribute.CLASS: ObjectClass.PUBLIC_KEY,
            Attribute.KEY_TYPE: self.key_type,
            Attribute.TOKEN: False,
            Attribute.PRIVATE: False,
            Attribute.PARAMETER_SET: PARAMETER_SET_NUMBERS[public.parameter_set],
            Attribute.ENCAPSULATE: True,
            Attribute.VALUE: public.value,
        }

    def decapsulation(self, key: Pkcs11PrivateKey) -> MechanismCall:
        return mechanisms.call(int(Mechanism.ML_KEM))
