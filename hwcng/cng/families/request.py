"""What is asked of a kind of key pair before the pair is there: by BCryptGenerateKeyPair, a property or an import."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from hwcng.cng.algorithm import Algorithm
from hwcng.contract.material import DhDomain, DsaDomain
from hwcng.contract.usage import Usage
from hwcng.standards.curves import Curve

__all__ = ["PairRequest", "Traits"]


# Not frozen, which would make each of them several times as slowly.
@dataclass(slots=True)
class PairRequest:
    """requested_bits: the length that was asked for, 0 for none. curve, domain, parameter_set: None where not set.

    usage: what the private half will be restricted to. private_value: PrivKeyVal, big-endian.
    """

    algorithm: Algorithm
    usage: Usage
    requested_bits: int = 0
    curve: Curve | None = None
    parameter_set: str | None = None
    domain: DhDomain | DsaDomain | None = None
    exportable: bool = False
    private_value: bytes | None = field(default=None, repr=False)

    @property
    def bits(self) -> int:
        return self.curve.bits if self.curve else self.requested_bits


class Traits(NamedTuple):
    """What an imported key says of itself."""

    curve: Curve | None = None
    parameter_set: str | None = None
