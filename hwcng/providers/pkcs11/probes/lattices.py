"""ML-DSA and ML-KEM, tried once with every parameter set."""

from __future__ import annotations

from functools import partial

from hwcng.parameter_sets import ML_DSA_SETS, ML_KEM_SETS, SHARED_SECRET_SIZE
from hwcng.providers.base import MlDsaSpec, MlKemPublicKey, PairSpec, PrivateKey, Support, Usage
from hwcng.providers.pkcs11.mechanisms import HASH_ML_DSA
from hwcng.providers.pkcs11.probes.base import SAMPLE, Probe

__all__ = ["ml_dsa", "ml_kem"]


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
        return len(pair.sign_message(spec, 2 * SAMPLE)) == ML_DSA_SETS[name].signature
    finally:
        pair.destroy()


def _repeats(probe: Probe, name: str, spec: MlDsaSpec) -> bool:
    pair = _pair(probe, "ML-DSA", Usage.SIGN, name)
    try:
        return pair.sign_message(spec, SAMPLE) == pair.sign_message(spec, SAMPLE)
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
        secret, ciphertext = probe.provider.encapsulate(pair.public)
        return len(secret) == SHARED_SECRET_SIZE and pair.decapsulate(ciphertext) == secret
    finally:
        pair.destroy()
