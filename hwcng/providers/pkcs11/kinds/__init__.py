"""The kinds of key pairs, by PairSpec.kind."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from hwcng.providers.pkcs11.kinds.base import PairKind
from hwcng.providers.pkcs11.kinds.dh import DhKind
from hwcng.providers.pkcs11.kinds.dsa import DsaKind
from hwcng.providers.pkcs11.kinds.ec import EcKind
from hwcng.providers.pkcs11.kinds.rsa import RsaKind

__all__ = ["PAIR_KINDS", "PairKind"]

PAIR_KINDS: Mapping[str, PairKind[Any, Any]] = MappingProxyType(
    {
        kind.kind: kind
        for kind in (
            RsaKind(),
            EcKind(),
            DhKind(),
            DsaKind(),
        )
    }
)
