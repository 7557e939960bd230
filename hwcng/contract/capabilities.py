"""What a token is and what it really does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from hwcng.contract.usage import WEAK_ALGORITHMS, Support

__all__ = [
    "TokenInfo",
    "Capabilities",
]


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """Who the token is: strings as it reports them. hardware, removable: as it says of itself."""

    label: str
    manufacturer: str
    model: str
    serial: str
    firmware: str
    library: str
    hardware: bool = True
    removable: bool = False


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What this token really does.

    operations: maps (algorithm, operation), such as ("AES", "GCM") or ("RSA", "PSS SHA256"), to how it is served.
    key_bits: maps an algorithm to the key lengths in bits that the token makes.
    reasons: for what is refused or composed, why. held: of a token that makes no such keys, what was tried with a key
    that it holds, and its name. weak: those of its algorithms that are for old data only.
    """

    token: TokenInfo
    operations: Mapping[tuple[str, str], Support]
    key_bits: Mapping[str, tuple[int, ...]]
    reasons: Mapping[tuple[str, str], str]
    held: Mapping[tuple[str, str], str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def weak(self) -> frozenset[str]:
        return WEAK_ALGORITHMS & {
            algorithm for (algorithm, _), support in self.operations.items() if support is not Support.REFUSED
        }
