"""ML-DSA pairs (PKCS#11 3.2; FIPS 204)."""

from __future__ import annotations

from functools import partial
from typing import Any

from pkcs11 import KeyType, Mechanism

from hwcng.contract.material import MlDsaPrivateKey, MlDsaPublicKey, PublicKeyMaterial
from hwcng.contract.specs import MlDsaSpec, PairSpec, SignSpec
from hwcng.contract.usage import Support, Usage
from hwcng.errors import NTSTATUS, CngError
from hwcng.forking import foreign_work
from hwcng.loading import load
from hwcng.providers.pkcs11 import mechanisms
from hwcng.providers.pkcs11.capabilities import Rule
from hwcng.providers.pkcs11.cryptoki.calls import ffi
from hwcng.providers.pkcs11.cryptoki.constants import CKH, CKM
from hwcng.providers.pkcs11.families.base import TokenPrivateKey
from hwcng.providers.pkcs11.families.parameterized import ParameterizedKind
from hwcng.providers.pkcs11.probes.base import SAMPLE, Probe
from hwcng.standards.parameter_sets import ML_DSA_SETS

__all__ = ["MlDsaKind", "ml_dsa"]


def ml_dsa(spec: MlDsaSpec) -> mechanisms.MechanismCall:
    """CKM_ML_DSA of a message, or CKM_HASH_ML_DSA of a digest; the latter's structure is the former's and the hash."""
    context = ffi.from_buffer(spec.context)
    if spec.prehash is None:
        mechanism, parameters = int(Mechanism.ML_DSA), ffi.new("CK_SIGN_ADDITIONAL_CONTEXT *")
    else:
        mechanism, parameters = CKM.HASH_ML_DSA, ffi.new("CK_HASH_SIGN_ADDITIONAL_CONTEXT *")
        parameters.hash = mechanisms.DIGEST_MECHANISMS[spec.prehash]
    parameters.hedgeVariant = CKH.DETERMINISTIC_REQUIRED if spec.deterministic else CKH.HEDGE_PREFERRED
    parameters.pContext, parameters.ulContextLen = (context, len(spec.context)) if spec.context else (ffi.NULL, 0)
    return mechanisms.structured(mechanism, parameters, context)


class MlDsaKind(ParameterizedKind[MlDsaPublicKey, MlDsaPrivateKey]):
    kind = "ML-DSA"
    key_type = KeyType.ML_DSA
    generation_mechanism = Mechanism.ML_DSA_KEY_PAIR_GEN
    material = MlDsaPublicKey
    usages = Usage.SIGN
    sets = ML_DSA_SETS
    rules = tuple(
        Rule("ML-DSA", name, (Mechanism.ML_DSA_KEY_PAIR_GEN, Mechanism.ML_DSA)) for name in (None, *ML_DSA_SETS)
    )

    def probe(self, probe: Probe) -> None:
        for name in ML_DSA_SETS:
            offered = probe.offered.offers("ML-DSA", name)
            prehashing = offered if probe.offered.has(CKM.HASH_ML_DSA) else Support.REFUSED
            probe.attempt("ML-DSA", name, offered, partial(_signs, probe, name, MlDsaSpec(b"context")))
            deterministic = MlDsaSpec(deterministic=True)
            probe.attempt("ML-DSA", f"{name} deterministic", offered, partial(_repeats, probe, name, deterministic))
            prehash = MlDsaSpec(prehash="SHA512")
            probe.attempt("ML-DSA", f"{name} HashML-DSA", prehashing, partial(_signs, probe, name, prehash))

    def sign(self, key: TokenPrivateKey, spec: SignSpec, digest: bytes) -> bytes:
        if not isinstance(spec, MlDsaSpec):
            return super().sign(key, spec, digest)
        if spec.external_mu:
            raise CngError(NTSTATUS.STATUS_NOT_SUPPORTED, "no mechanism of PKCS#11 signs a message representative (mu)")
        if spec.prehash is not None and not key.offered.has(CKM.HASH_ML_DSA):
            raise CngError(
                NTSTATUS.STATUS_NOT_SUPPORTED,
                f"token {key.connection.token_name!r} does not do HashML-DSA: sign the message itself",
            )
        room = ML_DSA_SETS[key.spec.parameter_set].signature
        return key.sign_with(ml_dsa(spec), digest, room, "an ML-DSA signature")


def _signs(probe: Probe, name: str, spec: MlDsaSpec) -> bool:
    pair = probe.provider.generate_pair(PairSpec("ML-DSA", Usage.SIGN, parameter_set=name))
    try:
        return _is_good(pair.public, spec, 2 * SAMPLE, pair.sign_message(spec, 2 * SAMPLE))
    finally:
        pair.destroy()


@foreign_work()
def _is_good(public: PublicKeyMaterial, spec: MlDsaSpec, message: bytes, signature: bytes) -> bool:
    """As `cryptography` sees it, where its OpenSSL has the set; a prehashed one by its length."""
    if not isinstance(public, MlDsaPublicKey) or len(signature) != ML_DSA_SETS[public.parameter_set].signature:
        return False
    load("cryptography.exceptions")
    mldsa = load("cryptography.hazmat.primitives.asymmetric.mldsa")
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    if spec.prehash is None:
        host: Any = getattr(mldsa, f"MLDSA{public.parameter_set}PublicKey")
        try:
            host.from_public_bytes(public.value).verify(signature, message, spec.context)
        except UnsupportedAlgorithm:
            return True
        except InvalidSignature:
            return False
    return True


def _repeats(probe: Probe, name: str, spec: MlDsaSpec) -> bool:
    pair = probe.provider.generate_pair(PairSpec("ML-DSA", Usage.SIGN, parameter_set=name))
    try:
        signature = pair.sign_message(spec, SAMPLE)
        return signature == pair.sign_message(spec, SAMPLE) and _is_good(pair.public, spec, SAMPLE, signature)
    finally:
        pair.destroy()
