"""ML-KEM pairs (FIPS 203): BCRYPT_MLKEM_ALGORITHM with its parameter sets."""

from __future__ import annotations

from collections.abc import Callable

from hwcng.cng.algorithm import Algorithm
from hwcng.cng.families.parameterized import PRIVATE, PUBLIC, SEED, Form, ParameterizedFamily
from hwcng.cng.families.request import PairRequest
from hwcng.contract.material import MlKemPrivateKey, MlKemPublicKey
from hwcng.contract.provider import Provider
from hwcng.contract.usage import Usage
from hwcng.headers import bcrypt_h
from hwcng.hostcrypto import mlkem_mldsa
from hwcng.standards.parameter_sets import ML_KEM_SETS

__all__ = ["MlKemFamily"]


class MlKemFamily(ParameterizedFamily[MlKemPublicKey]):
    kind = "ML-KEM"
    public_type = MlKemPublicKey
    algorithms = (
        Algorithm(
            "ML-KEM",
            (bcrypt_h.Interface.BCRYPT_KEY_ENCAPSULATION_INTERFACE,),
            "ML-KEM",
            family="ML-KEM",
            parameter_sets=tuple(ML_KEM_SETS),
        ),
    )
    sets = ML_KEM_SETS
    forms = (
        Form(PUBLIC, bcrypt_h.BCRYPT_MLKEM_PUBLIC_BLOB, bcrypt_h.BCRYPT_MLKEM_PUBLIC_MAGIC),
        Form(PRIVATE, bcrypt_h.BCRYPT_MLKEM_PRIVATE_BLOB, bcrypt_h.BCRYPT_MLKEM_PRIVATE_MAGIC),
        Form(SEED, bcrypt_h.BCRYPT_MLKEM_PRIVATE_SEED_BLOB, bcrypt_h.BCRYPT_MLKEM_PRIVATE_SEED_MAGIC),
    )
    generation_flags = bcrypt_h.BCRYPT_NO_KEY_VALIDATION

    def usage(self, algorithm: Algorithm) -> Usage:
        return Usage.DECAPSULATE

    def group(self, algorithm: Algorithm) -> str:
        return "MLKEM"

    def encapsulate(self, public: MlKemPublicKey, provider: Callable[[], Provider]) -> tuple[bytes, bytes]:
        if mlkem_mldsa.encapsulates(public.parameter_set):
            return mlkem_mldsa.encapsulate(public)
        return provider().encapsulate(public)

    def ciphertext_length(self, public: MlKemPublicKey) -> int:
        return ML_KEM_SETS[public.parameter_set].ciphertext

    def planned_ciphertext_length(self, request: PairRequest) -> int:
        return ML_KEM_SETS[request.parameter_set].ciphertext if request.parameter_set is not None else 0

    def public_key(self, parameter_set: str, value: bytes) -> MlKemPublicKey:
        public = MlKemPublicKey(parameter_set, value)
        mlkem_mldsa.check_ml_kem_public(public)
        return public

    def private_key(self, parameter_set: str, value: bytes | None, seed: bytes | None) -> MlKemPrivateKey:
        return mlkem_mldsa.ml_kem_private(parameter_set, value, seed)
