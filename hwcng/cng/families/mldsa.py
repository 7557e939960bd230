"""ML-DSA pairs (FIPS 204): BCRYPT_MLDSA_ALGORITHM with its parameter sets."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from hwcng.arguments import number, optional_octets
from hwcng.cng.algorithm import SIGNATURE, Algorithm
from hwcng.cng.families.base import hash_named
from hwcng.cng.families.parameterized import PRIVATE, PUBLIC, SEED, Form, ParameterizedFamily
from hwcng.cng.families.request import PairRequest
from hwcng.cng.padding import BCRYPT_PQDSA_PADDING_INFO
from hwcng.contract.keys import PrivateKey
from hwcng.contract.material import MlDsaPrivateKey, MlDsaPublicKey
from hwcng.contract.specs import MlDsaSpec, SignSpec
from hwcng.contract.usage import Usage
from hwcng.errors import invalid_parameter, not_supported
from hwcng.headers import bcrypt_h
from hwcng.hostcrypto import mlkem_mldsa
from hwcng.standards.hashes import HASHES
from hwcng.standards.parameter_sets import ML_DSA_SETS, MU_SIZE

__all__ = ["MlDsaFamily"]

LONGEST_CONTEXT = 255
# Not collision-resistant, and not among those of FIPS 204, section 5.4.
_NEVER_PREHASH = ("MD5", "SHA1")


class MlDsaFamily(ParameterizedFamily[MlDsaPublicKey]):
    kind = "ML-DSA"
    public_type = MlDsaPublicKey
    algorithms = (Algorithm("ML-DSA", SIGNATURE, "ML-DSA", family="ML-DSA", parameter_sets=tuple(ML_DSA_SETS)),)
    sets = ML_DSA_SETS
    forms = (
        Form(PUBLIC, bcrypt_h.BCRYPT_PQDSA_PUBLIC_BLOB, bcrypt_h.BCRYPT_MLDSA_PUBLIC_MAGIC),
        Form(PRIVATE, bcrypt_h.BCRYPT_PQDSA_PRIVATE_BLOB, bcrypt_h.BCRYPT_MLDSA_PRIVATE_MAGIC),
        Form(SEED, bcrypt_h.BCRYPT_PQDSA_PRIVATE_SEED_BLOB, bcrypt_h.BCRYPT_MLDSA_PRIVATE_SEED_MAGIC),
    )

    def group(self, algorithm: Algorithm) -> str:
        return "MLDSA"

    def usage(self, algorithm: Algorithm) -> Usage:
        return Usage.SIGN

    def sign_spec(self, algorithm: Algorithm, padding_info: object, flags: int) -> SignSpec:
        # As an int: the complement of an IntFlag has no undefined bits.
        if flags & ~int(bcrypt_h.PaddingFlag.BCRYPT_PAD_PQDSA | bcrypt_h.PaddingFlag.BCRYPT_MLDSA_EXTERNAL_MU):
            raise invalid_parameter("ML-DSA takes BCRYPT_PAD_PQDSA and BCRYPT_MLDSA_EXTERNAL_MU")
        external_mu = bool(flags & bcrypt_h.PaddingFlag.BCRYPT_MLDSA_EXTERNAL_MU)
        if padding_info is None:
            return MlDsaSpec(external_mu=external_mu)
        if not isinstance(padding_info, BCRYPT_PQDSA_PADDING_INFO) or not flags & bcrypt_h.PaddingFlag.BCRYPT_PAD_PQDSA:
            raise invalid_parameter("ML-DSA takes BCRYPT_PAD_PQDSA with BCRYPT_PQDSA_PADDING_INFO, or no padding info")
        context = optional_octets(padding_info.pbCtx, "pbCtx")
        if len(context) > LONGEST_CONTEXT:
            raise invalid_parameter(f"a context has {LONGEST_CONTEXT} bytes at most, {len(context)} given")
        prehash = None if padding_info.pszPrehashAlgId is None else hash_named(padding_info.pszPrehashAlgId).name
        if prehash in _NEVER_PREHASH:
            raise not_supported(f"{prehash} is no hash of HashML-DSA")
        if external_mu and (context or prehash):
            raise invalid_parameter("mu holds context and hash already: neither goes with BCRYPT_MLDSA_EXTERNAL_MU")
        deterministic = bool(number(padding_info.deterministic, "deterministic", largest=1))
        return MlDsaSpec(context, deterministic, external_mu, prehash)

    def signable(self, public: MlDsaPublicKey, spec: SignSpec, data: bytes) -> bytes:
        if isinstance(spec, MlDsaSpec):
            if spec.external_mu and len(data) != MU_SIZE:
                raise invalid_parameter(f"mu has {MU_SIZE} bytes, {len(data)} given")
            if spec.prehash is not None and len(data) != HASHES[spec.prehash].digest_size:
                raise invalid_parameter(
                    f"a {spec.prehash} digest has {HASHES[spec.prehash].digest_size} bytes, {len(data)} given"
                )
        return data

    def signing(self, private: PrivateKey, spec: SignSpec) -> Callable[[bytes], bytes]:
        if not isinstance(spec, MlDsaSpec):
            raise not_supported(f"an ML-DSA key makes no {type(spec).__name__.removesuffix('Spec')} signature")
        return partial(private.sign_message, spec)

    def verify(
        self, public: MlDsaPublicKey, spec: SignSpec, data: bytes, signature: bytes, *, optional_oid: bool
    ) -> None:
        if not isinstance(spec, MlDsaSpec):
            raise not_supported(f"an ML-DSA key verifies no {type(spec).__name__.removesuffix('Spec')} signature")
        mlkem_mldsa.verify_ml_dsa(public, spec, self.signable(public, spec, data), signature)

    def signature_length(self, public: MlDsaPublicKey) -> int:
        return ML_DSA_SETS[public.parameter_set].signature

    def planned_signature_length(self, request: PairRequest) -> int:
        return ML_DSA_SETS[request.parameter_set].signature if request.parameter_set is not None else 0

    def public_key(self, parameter_set: str, value: bytes) -> MlDsaPublicKey:
        return MlDsaPublicKey(parameter_set, value)

    def private_key(self, parameter_set: str, value: bytes | None, seed: bytes | None) -> MlDsaPrivateKey:
        return mlkem_mldsa.ml_dsa_private(parameter_set, value, seed)
