"""The kinds of key pairs, by PairSpec.kind."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from hwcng.contract.specs import PairSpec
from hwcng.providers.pkcs11.families.base import PairKind
from hwcng.providers.pkcs11.families.dh import DhKind
from hwcng.providers.pkcs11.families.dsa import DsaKind
from hwcng.providers.pkcs11.families.ec import EcKind
from hwcng.providers.pkcs11.families.mldsa import MlDsaKind
from hwcng.providers.pkcs11.families.mlkem import MlKemKind
from hwcng.providers.pkcs11.families.rsa import RsaKind
from hwcng.providers.pkcs11.families.x25519 import MontgomeryKind
from hwcng.standards.curves import CURVES

__all__ = ["ML_KEM", "PAIR_KINDS", "PairKind", "kind_of"]

ML_KEM = MlKemKind()
_MONTGOMERY = MontgomeryKind()

PAIR_KINDS: Mapping[str, PairKind[Any, Any]] = MappingProxyType(
    {
        kind.kind: kind
        for kind in (
            RsaKind(),
            EcKind(),
            DhKind(),
            DsaKind(),
            MlDsaKind(),
            ML_KEM,
        )
    }
)


def kind_of(spec: PairSpec) -> PairKind[Any, Any]:
    """The kind of a pair: curves of Montgomery's form have a key type and an encoding of their own."""
    if spec.curve and CURVES[spec.curve].montgomery:
        return _MONTGOMERY
    return PAIR_KINDS[spec.kind]
