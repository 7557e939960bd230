"""ML-DSA pairs (PKCS#11 3.2; FIPS 204)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkcs11 import KeyType, Mechanism

from hwcng.contract.material import MlDsaPrivateKey, MlDsaPublicKey
from hwcng.contract.specs import MlDsaSpec, SignSpec
from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.pkcs11 import mechanisms
from hwcng.providers.pkcs11.families.parameterized import ParameterizedKind
from hwcng.standards.parameter_sets import ML_DSA_SETS

if TYPE_CHECKING:
    from hwcng.providers.pkcs11.keys.private import Pkcs11PrivateKey

__all__ = ["MlDsaKind"]


class MlDsaKind(ParameterizedKind[MlDsaPublicKey, MlDsaPrivateKey]):
    kind = "ML-DSA"
    key_type = KeyType.ML_DSA
    generation_mechanism = Mechanism.ML_DSA_KEY_PAIR_GEN
    material = MlDsaPublicKey
    sets = ML_DSA_SETS

    def sign(self, key: Pkcs11PrivateKey, spec: SignSpec, digest: bytes) -> bytes:
        if not isinstance(spec, MlDsaSpec):
            return super().sign(key, spec, digest)
        if spec.external_mu:
            raise CngError(NTSTATUS.STATUS_NOT_SUPPORTED, "no mechanism of PKCS#11 signs a message representative (mu)")
        if spec.prehash is not None and not key.offered.has(mechanisms.HASH_ML_DSA):
            raise CngError(
                NTSTATUS.STATUS_NOT_SUPPORTED,
                f"token {key.connection.token_name!r} does not do HashML-DSA: sign the message itself",
            )
        room = ML_DSA_SETS[key.spec.parameter_set].signature
        return key.sign_with(mechanisms.ml_dsa(spec), digest, room, "an ML-DSA signature")
