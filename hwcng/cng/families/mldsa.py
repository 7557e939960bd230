"""ML-DSA pairs (FIPS 204): BCRYPT_MLDSA_ALGORITHM with its parameter sets."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from hwcng.arguments import number, optional_octets
from hwcng.cng.algorithm_table import Algorithm
from hwcng.cng.blobs import BCRYPT_PUBLIC_KEY_BLOB, BlobFamily
from hwcng.cng.families.base import hash_named
from hwcng.cng.families.parameterized import ParameterizedFamily
from hwcng.cng.flags import PaddingFlag
from hwcng.cng.handles import invalid_parameter, not_supported
from hwcng.cng.padding import BCRYPT_PQDSA_PADDING_INFO
from hwcng.cng.pq_blobs import BCRYPT_PQDSA_PUBLIC_BLOB, PUBLIC, SEED, build_ml_dsa_public, parse_ml_dsa
from hwcng.contract.keys import PrivateKey
from hwcng.contract.material import MlDsaPrivateKey, MlDsaPublicKey
from hwcng.contract.specs import MlDsaSpec, SignSpec
from hwcng.contract.usage import Usage
from hwcng.errors import told
from hwcng.hostcrypto import mlkem_mldsa
from hwcng.standards.hashes import HASHES
from hwcng.standards.parameter_sets import ML_DSA_SETS, MU_SIZE

if TYPE_CHECKING:
    from hwcng.cng.key_pair import KeyPair

__all__ = ["MlDsaFamily"]

LONGEST_CONTEXT = 255
# Not collision-resistant, and not among those of FIPS 204, section 5.4.
_NEVER_PREHASH = ("MD5", "SHA1")


class MlDsaFamily(ParameterizedFamily[MlDsaPublicKey]):
    kind = "ML-DSA"
    blobs = BlobFamily.ML_DSA
    sets = ML_DSA_SETS

    def usage(self, algorithm: Algorithm) -> Usage:
        return Usage.SIGN

    def sign_spec(self, pair: KeyPair, padding_info: object, flags: int) -> SignSpec:
        # As an int: the complement of an IntFlag has no undefined bits.
        if flags & ~int(PaddingFlag.BCRYPT_PAD_PQDSA | PaddingFlag.BCRYPT_MLDSA_EXTERNAL_MU):
            raise invalid_parameter("ML-DSA takes BCRYPT_PAD_PQDSA and BCRYPT_MLDSA_EXTERNAL_MU")
        external_mu = bool(flags & PaddingFlag.BCRYPT_MLDSA_EXTERNAL_MU)
        if padding_info is None:
            return MlDsaSpec(external_mu=external_mu)
        if not isinstance(padding_info, BCRYPT_PQDSA_PADDING_INFO) or not flags & PaddingFlag.BCRYPT_PAD_PQDSA:
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

    def planned_signature_length(self, pair: KeyPair) -> int:
        return ML_DSA_SETS[pair.parameter_set].signature if pair.parameter_set is not None else 0

    def parse(self, pair: KeyPair, blob_type: str, blob: bytes) -> MlDsaPublicKey | MlDsaPrivateKey:
        parsed = parse_ml_dsa(blob, blob_type)
        if parsed.form == PUBLIC:
            return MlDsaPublicKey(parsed.parameter_set, parsed.key)
        seed, value = (parsed.key, None) if parsed.form == SEED else (None, parsed.key)
        return mlkem_mldsa.ml_dsa_private(parsed.parameter_set, value, seed)

    def build(self, pair: KeyPair, public: MlDsaPublicKey, blob_type: str) -> bytes:
        if blob_type in (BCRYPT_PQDSA_PUBLIC_BLOB, BCRYPT_PUBLIC_KEY_BLOB):
            return build_ml_dsa_public(public.parameter_set, public.value)
        raise not_supported(f"{told(blob_type)} is not exported")
