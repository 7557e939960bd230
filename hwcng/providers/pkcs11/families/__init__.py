"""The kinds of keys, and what is put together of them: a new kind of pair is one line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from hwcng.contract.material import PublicKeyMaterial
from hwcng.contract.specs import PairSpec
from hwcng.providers.pkcs11.families.base import Family, PairKind
from hwcng.providers.pkcs11.families.ciphers import Ciphers
from hwcng.providers.pkcs11.families.derivations import Derivations
from hwcng.providers.pkcs11.families.dh import DhKind
from hwcng.providers.pkcs11.families.dsa import DsaKind
from hwcng.providers.pkcs11.families.ec import EcKind
from hwcng.providers.pkcs11.families.ed25519 import Ed25519Kind
from hwcng.providers.pkcs11.families.macs import Macs
from hwcng.providers.pkcs11.families.mldsa import MlDsaKind
from hwcng.providers.pkcs11.families.mlkem import MlKemKind
from hwcng.providers.pkcs11.families.rsa import RsaKind
from hwcng.providers.pkcs11.families.x25519 import MontgomeryKind

__all__ = [
    "FAMILIES",
    "PAIR_KINDS",
    "RELEVANT_MECHANISMS",
    "STORED_PAIRS",
    "Family",
    "PairKind",
    "kind_of",
    "kind_of_public",
]

_PAIRS: tuple[PairKind[Any, Any], ...] = (
    RsaKind(),
    EcKind(),
    MontgomeryKind(),
    DhKind(),
    DsaKind(),
    Ed25519Kind(),
    MlDsaKind(),
    MlKemKind(),
)
FAMILIES: tuple[Family, ...] = (Ciphers(), Macs(), *_PAIRS, Derivations())

PAIR_KINDS: Mapping[str, PairKind[Any, Any]] = MappingProxyType({kind.kind: kind for kind in _PAIRS if not kind.curves})
"""By PairSpec.kind."""
_BY_CURVE: Mapping[str, PairKind[Any, Any]] = MappingProxyType(
    {curve: kind for kind in _PAIRS for curve in kind.curves}
)


STORED_PAIRS: Mapping[int, PairKind[Any, Any]] = MappingProxyType({int(kind.key_type): kind for kind in _PAIRS})
"""By CKA_KEY_TYPE."""

RELEVANT_MECHANISMS = frozenset(
    int(mechanism)
    for family in FAMILIES
    for mechanism in (*family.sized, *(one for rule in family.rules for one in (*rule.native, *rule.composed)))
)
"""Those whose key sizes and flags are asked for."""


def kind_of(spec: PairSpec) -> PairKind[Any, Any]:
    """The kind of a pair: some curves have a key type and an encoding of their own."""
    return _BY_CURVE.get(spec.curve) or PAIR_KINDS[spec.kind]


def kind_of_public(public: PublicKeyMaterial) -> PairKind[Any, Any]:
    """The kind of a public key; of one on a curve, that of most curves."""
    return next(kind for kind in PAIR_KINDS.values() if isinstance(public, kind.material))
