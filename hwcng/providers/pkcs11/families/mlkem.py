"""ML-KEM pairs (PKCS#11 3.2; FIPS 203)."""

from __future__ import annotations

from functools import partial
from typing import Any

from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass

from hwcng.contract.material import MlKemPrivateKey, MlKemPublicKey
from hwcng.contract.specs import PairSpec
from hwcng.contract.usage import Usage
from hwcng.forking import foreign_work
from hwcng.loading import load
from hwcng.providers.pkcs11 import mechanisms
from hwcng.providers.pkcs11.capabilities import Rule
from hwcng.providers.pkcs11.families.base import Attributes, Encapsulation, TokenPrivateKey
from hwcng.providers.pkcs11.families.parameterized import ParameterizedKind
from hwcng.providers.pkcs11.mechanisms import MechanismCall
from hwcng.providers.pkcs11.probes.base import Probe
from hwcng.standards.parameter_sets import ML_KEM_SETS, SHARED_SECRET_SIZE

__all__ = ["MlKemKind"]

_ML_KEM = mechanisms.call(int(Mechanism.ML_KEM))


class MlKemKind(ParameterizedKind[MlKemPublicKey, MlKemPrivateKey]):
    kind = "ML-KEM"
    key_type = KeyType.ML_KEM
    generation_mechanism = Mechanism.ML_KEM_KEY_PAIR_GEN
    material = MlKemPublicKey
    usages = Usage.DECAPSULATE
    sets = ML_KEM_SETS
    rules = tuple(
        Rule("ML-KEM", name, (Mechanism.ML_KEM_KEY_PAIR_GEN, Mechanism.ML_KEM)) for name in (None, *ML_KEM_SETS)
    )

    def probe(self, probe: Probe) -> None:
        for name in ML_KEM_SETS:
            probe.attempt("ML-KEM", name, probe.offered.offers("ML-KEM", name), partial(_round_trip, probe, name))

    def public_attributes(self, spec: PairSpec) -> Attributes:
        return {**super().public_attributes(spec), Attribute.ENCAPSULATE: True}

    def private_attributes(self, spec: PairSpec) -> Attributes:
        return {**super().private_attributes(spec), Attribute.DECAPSULATE: True}

    def encapsulation(self, public: MlKemPublicKey) -> Encapsulation:
        public_object: Attributes = {
            Attribute.CLASS: ObjectClass.PUBLIC_KEY,
            Attribute.KEY_TYPE: self.key_type,
            Attribute.TOKEN: False,
            Attribute.PRIVATE: False,
            Attribute.ENCAPSULATE: True,
            **self.public_values(public),
        }
        room = ML_KEM_SETS[public.parameter_set].ciphertext
        return Encapsulation(_ML_KEM, public_object, room, "ML-KEM encapsulation")

    def decapsulation(self, key: TokenPrivateKey) -> MechanismCall:
        return _ML_KEM


def _round_trip(probe: Probe, name: str) -> bool:
    pair = probe.provider.generate_pair(PairSpec("ML-KEM", Usage.DECAPSULATE, parameter_set=name))
    try:
        if not isinstance(pair.public, MlKemPublicKey):
            return False
        secret, ciphertext = _encapsulated(pair.public) or probe.provider.encapsulate(pair.public)
        return len(secret) == SHARED_SECRET_SIZE and pair.decapsulate(ciphertext) == secret
    finally:
        pair.destroy()


@foreign_work()
def _encapsulated(public: MlKemPublicKey) -> tuple[bytes, bytes] | None:
    """The host's shared secret and its ciphertext, None where its `cryptography` has not the set."""
    load("cryptography.exceptions")
    mlkem = load("cryptography.hazmat.primitives.asymmetric.mlkem")
    from cryptography.exceptions import UnsupportedAlgorithm

    host: Any = getattr(mlkem, f"MLKEM{public.parameter_set}PublicKey", None)
    if host is None:
        return None
    try:
        secret, ciphertext = host.from_public_bytes(public.value).encapsulate()
    except UnsupportedAlgorithm:
        return None
    return secret, ciphertext
