"""Pairs over a finite field, whose domain parameters may be a caller's: DH and DSA."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from hwcng.cng.families.base import PairFamily
from hwcng.cng.families.request import PairRequest
from hwcng.contract.material import DhDomain, DhPublicKey, DsaDomain, DsaPublicKey
from hwcng.contract.specs import PairSpec
from hwcng.errors import invalid_parameter, not_supported, told

__all__ = ["Domains", "FiniteFieldFamily"]

Public = TypeVar("Public", DhPublicKey, DsaPublicKey)


@dataclass(frozen=True, slots=True)
class Domains:
    """of_bits: the domain parameters of a length where the caller has none. read: from a value of the property. check:
    that they are sound, and of so many bits.
    """

    kind: type[DhDomain] | type[DsaDomain]
    of_bits: Callable[[int], Any]
    read: Callable[[bytes], Any]
    check: Callable[[Any, int], None]


class FiniteFieldFamily(PairFamily[Public]):
    stored_bits = 1024
    domains: ClassVar[Domains]
    readers: ClassVar[Mapping[str, Callable[[bytes], Any]]]
    """Blob type -> what reads such a blob."""

    @abc.abstractmethod
    def check(self, key: Any) -> None:
        """Of a public or a private key. Raises STATUS_INVALID_PARAMETER for one that is not sound."""

    def bits(self, public: Public) -> int:
        return public.domain.prime.bit_length()

    def spec(self, request: PairRequest, public: Public | None = None) -> PairSpec:
        bits = request.requested_bits if public is None else self.bits(public)
        domain = public.domain if public is not None else request.domain
        if not isinstance(domain, self.domains.kind):
            domain = self.domains.of_bits(bits)
        elif domain.prime.bit_length() != bits:
            raise invalid_parameter(
                f"{self.domain_property} are of {domain.prime.bit_length()} bits, the pair is of {bits}"
            )
        return PairSpec(self.kind, request.usage, bits, exportable=request.exportable, domain=domain)

    def parse_domain(self, blob: bytes, bits: int) -> DhDomain | DsaDomain:
        domain: DhDomain | DsaDomain = self.domains.read(blob)
        self.domains.check(domain, bits)
        return domain

    def parse(self, request: PairRequest, blob_type: str, blob: bytes) -> Any:
        reader = self.readers.get(blob_type)
        if reader is None:
            raise not_supported(f"{told(blob_type)} is not a blob type of {self.kind} key import")
        key = reader(blob)
        self.check_length(request.algorithm, None, self.bits(getattr(key, "public", key)))
        self.check(key)
        return key
