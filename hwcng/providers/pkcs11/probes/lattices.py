"""ML-DSA and ML-KEM, tried once with every parameter set."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import mldsa, mlkem

from hwcng.contract.keys import PrivateKey
from hwcng.contract.material import MlDsaPublicKey, MlKemPublicKey, PublicKeyMaterial
from hwcng.contract.specs import MlDsaSpec, PairSpec
from hwcng.contract.usage import Support, Usage
from hwcng.forking import foreign_work
from hwcng.providers.pkcs11.mechanisms import HASH_ML_DSA
from hwcng.providers.pkcs11.probes.base import SAMPLE, Probe
from hwcng.standards.parameter_sets import ML_DSA_SETS, ML_KEM_SETS, SHARED_SECRET_SIZE

__all__ = ["ml_dsa", "ml_kem"]

_VERIFIERS: Mapping[str, Any] = MappingProxyType(
    {"44": mldsa.MLDSA44PublicKey, "65": mldsa.MLDSA65PublicKey, "87": mldsa.MLDSA87PublicKey}
)
_ENCAPSULATORS: Mapping[str, Any] = MappingProxyType({"768": mlkem.MLKEM768PublicKey, "1024": mlkem.MLKEM1024PublicKey})


def ml_dsa(probe: Probe) -> None:
    for name in ML_DSA_SETS:
        offered = probe.offered.offers("ML-DSA", name)
        prehashing = offered if probe.offered.has(HASH_ML_DSA) else Support.REFUSED
        probe.attempt("ML-DSA", name, offered, partial(_signs, probe, name, MlDsaSpec(b"context")))
        deterministic = MlDsaSpec(deterministic=True)
        probe.attempt("ML-DSA", f"{name} deterministic", offered, partial(_repeats, probe, name, deterministic))
        prehash = MlDsaSpec(prehash="SHA512")
        probe.attempt("ML-DSA", f"{name} HashML-DSA", prehashing, partial(_signs, probe, name, prehash))


def _pair(probe: Probe, kind: str, usage: Usage, name: str) -> PrivateKey:
    return probe.provider.generate_pair(PairSpec(kind, usage, parameter_set=name))


def _signs(probe: Probe, name: str, spec: MlDsaSpec) -> bool:
    pair = _pair(probe, "ML-DSA", Usage.SIGN, name)
    try:
        return _is_good(pair.public, spec, 2 * SAMPLE, pair.sign_message(spec, 2 * SAMPLE))
    finally:
        pair.destroy()


@foreign_work()
def _is_good(public: PublicKeyMaterial, spec: MlDsaSpec, message: bytes, signature: bytes) -> bool:
    """As `cryptography` sees it, where its OpenSSL has the set; a prehashed one by its length."""
    if not isinstance(public, MlDsaPublicKey) or len(signature) != ML_DSA_SETS[public.parameter_set].signature:
        return False
    host = _VERIFIERS.get(public.parameter_set)
    if spec.prehash is None and host is not None:
        try:
            host.from_public_bytes(public.value).verify(signature, message, spec.context)
        except UnsupportedAlgorithm:
            return True
        except InvalidSignature:
            return False
    return True


def _repeats(probe: Probe, name: str, spec: MlDsaSpec) -> bool:
    pair = _pair(probe, "ML-DSA", Usage.SIGN, name)
    try:
        signature = pair.sign_message(spec, SAMPLE)
        return signature == pair.sign_message(spec, SAMPLE) and _is_good(pair.public, spec, SAMPLE, signature)
    finally:
        pair.destroy()


def ml_kem(probe: Probe) -> None:
    for name in ML_KEM_SETS:
        probe.attempt("ML-KEM", name, probe.offered.offers("ML-KEM", name), partial(_round_trip, probe, name))


def _round_trip(probe: Probe, name: str) -> bool:
    pair = _pair(probe, "ML-KEM", Usage.DECAPSULATE, name)
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
    host = _ENCAPSULATORS.get(public.parameter_set)
    if host is None:
        return None
    try:
        secret, ciphertext = host.from_public_bytes(public.value).encapsulate()
    except UnsupportedAlgorithm:
        return None
    return secret, ciphertext
