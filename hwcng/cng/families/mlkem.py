"""ML-KEM pairs (FIPS 203): BCRYPT_MLKEM_ALGORITHM with its parameter sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwcng.cng.algorithm_table import Algorithm
from hwcng.cng.blobs import BCRYPT_PUBLIC_KEY_BLOB, BlobFamily
from hwcng.cng.families.parameterized import ParameterizedFamily
from hwcng.cng.flags import BCRYPT_NO_KEY_VALIDATION
from hwcng.cng.handles import not_supported
from hwcng.cng.pq_blobs import BCRYPT_MLKEM_PUBLIC_BLOB, PUBLIC, SEED, build_ml_kem_public, parse_ml_kem
from hwcng.contract.material import MlKemPrivateKey, MlKemPublicKey
from hwcng.contract.usage import Usage
from hwcng.errors import told
from hwcng.hostcrypto import mlkem_mldsa
from hwcng.standards.parameter_sets import ML_KEM_SETS

if TYPE_CHECKING:
    from hwcng.cng.key_pair import KeyPair

__all__ = ["MlKemFamily"]


class MlKemFamily(ParameterizedFamily[MlKemPublicKey]):
    kind = "ML-KEM"
    blobs = BlobFamily.ML_KEM
    sets = ML_KEM_SETS
    generation_flags = BCRYPT_NO_KEY_VALIDATION

    def usage(self, algorithm: Algorithm) -> Usage:
        return Usage.DECAPSULATE

    def encapsulate(self, pair: KeyPair) -> tuple[bytes, bytes]:
        public = pair.public
        if not isinstance(public, MlKemPublicKey):
            return super().encapsulate(pair)
        if mlkem_mldsa.encapsulates(public.parameter_set):
            return mlkem_mldsa.encapsulate(public)
        return pair.algorithm_handle.provider.encapsulate(public)

    def ciphertext_length(self, public: MlKemPublicKey) -> int:
        return ML_KEM_SETS[public.parameter_set].ciphertext

    def planned_ciphertext_length(self, pair: KeyPair) -> int:
        return ML_KEM_SETS[pair.parameter_set].ciphertext if pair.parameter_set is not None else 0

    def parse(self, pair: KeyPair, blob_type: str, blob: bytes) -> MlKemPublicKey | MlKemPrivateKey:
        parsed = parse_ml_kem(blob, blob_type)
        if parsed.form == PUBLIC:
            public = MlKemPublicKey(parsed.parameter_set, parsed.key)
            mlkem_mldsa.check_ml_kem_public(public)
            return public
        seed, value = (parsed.key, None) if parsed.form == SEED else (None, parsed.key)
        return mlkem_mldsa.ml_kem_private(parsed.parameter_set, value, seed)

    def build(self, pair: KeyPair, public: MlKemPublicKey, blob_type: str) -> bytes:
        if blob_type in (BCRYPT_MLKEM_PUBLIC_BLOB, BCRYPT_PUBLIC_KEY_BLOB):
            return build_ml_kem_public(public.parameter_set, public.value)
        raise not_supported(f"{told(blob_type)} is not exported")
