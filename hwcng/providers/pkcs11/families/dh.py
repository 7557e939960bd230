"""Diffie-Hellman pairs (PKCS#11 3.2, section 6.4; PKCS #3)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from pkcs11 import Attribute, KeyType, Mechanism

from hwcng.contract.material import DhDomain, DhPrivateKey, DhPublicKey, PublicKeyMaterial
from hwcng.contract.specs import PairSpec
from hwcng.contract.usage import Usage
from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.pkcs11 import mechanisms
from hwcng.providers.pkcs11.capabilities import Rule
from hwcng.providers.pkcs11.families.base import Agreement, Attributes, PairKind, Reader, TokenPrivateKey, unsigned
from hwcng.providers.pkcs11.families.values import NUMBER, Values, integer
from hwcng.providers.pkcs11.probes.arithmetic import dh_agreements
from hwcng.providers.pkcs11.probes.base import Probe, agrees
from hwcng.providers.pkcs11.probes.domains import DOMAINS
from hwcng.providers.pkcs11.quirks import Quirks

__all__ = ["DhKind"]

SIZES = (512, 768, 1024, 1536, 2048, 3072, 4096)


def _domain(spec: PairSpec) -> DhDomain:
    if not isinstance(spec.domain, DhDomain):
        raise CngError(NTSTATUS.STATUS_INVALID_PARAMETER, "a DH pair needs its domain parameters")
    return spec.domain


def _domain_values(domain: DhDomain) -> Attributes:
    return {Attribute.PRIME: unsigned(domain.prime), Attribute.BASE: unsigned(domain.generator)}


class DhKind(PairKind[DhPublicKey, DhPrivateKey]):
    kind = "DH"
    key_type = KeyType.DH
    material = DhPublicKey
    usages = Usage.DERIVE
    known = ("domain",)
    stored = MappingProxyType({Attribute.PRIME: NUMBER, Attribute.BASE: NUMBER})
    rules = (Rule("DH", None, (Mechanism.DH_PKCS_DERIVE,)),)
    sized = (Mechanism.DH_PKCS_KEY_PAIR_GEN,)

    def probe(self, probe: Probe) -> None:
        sizes = probe.offered.key_range(Mechanism.DH_PKCS_KEY_PAIR_GEN)
        probe.key_bits["DH"] = tuple(bits for bits in SIZES if sizes and sizes[0] <= bits <= sizes[1])
        probe.attempt("DH", "agree", probe.offered.offers("DH"), partial(_agrees, probe))

    def generation(self, spec: PairSpec) -> Mechanism:
        return Mechanism.DH_PKCS_KEY_PAIR_GEN

    def describe(self, spec: PairSpec) -> str:
        return f"a {spec.bits}-bit DH pair"

    def offered_as(self, spec: PairSpec) -> tuple[str, str | None]:
        return "DH", None

    def sized_by(self, spec: PairSpec) -> Mechanism:
        return Mechanism.DH_PKCS_KEY_PAIR_GEN

    def public_attributes(self, spec: PairSpec) -> Attributes:
        return _domain_values(_domain(spec))

    def private_values(self, material: DhPrivateKey) -> Attributes:
        return _domain_values(material.public.domain) | {Attribute.VALUE: unsigned(material.exponent)}

    def public_values(self, public: DhPublicKey, quirks: Quirks) -> Attributes:
        return _domain_values(public.domain) | {Attribute.VALUE: unsigned(public.value)}

    def traits(self, values: Values) -> dict[str, Any]:
        domain = DhDomain(integer(values, Attribute.PRIME), integer(values, Attribute.BASE))
        return {"bits": domain.prime.bit_length(), "domain": domain}

    def read_public(self, read: Reader, spec: PairSpec, token_name: str) -> DhPublicKey:
        value = read([Attribute.VALUE], spec.bits // 8 + 8)[Attribute.VALUE] or b""
        return DhPublicKey(_domain(spec), int.from_bytes(value, "big"))

    def to_json(self, public: DhPublicKey) -> dict[str, Any]:
        domain = public.domain
        return {"prime": hex(domain.prime), "generator": hex(domain.generator), "value": hex(public.value)}

    def from_json(self, spec: PairSpec, described: Mapping[str, Any]) -> DhPublicKey:
        domain = DhDomain(int(described["prime"], 16), int(described["generator"], 16))
        return DhPublicKey(domain, int(described["value"], 16))

    def agreement(self, key: TokenPrivateKey, peer: PublicKeyMaterial) -> Agreement:
        if not isinstance(peer, DhPublicKey):
            return super().agreement(key, peer)
        call = mechanisms.with_octets(int(Mechanism.DH_PKCS_DERIVE), unsigned(peer.value))
        return Agreement(call, key.spec.bits // 8, "the DH agreement")


def _agrees(probe: Probe) -> bool:
    """With a peer of any Z, and with one whose Z begins with a zero octet, which tokens have been measured to drop."""
    group = DhDomain(DOMAINS[2048].prime, DOMAINS[2048].generator)
    pair = probe.provider.generate_pair(PairSpec("DH", Usage.DERIVE, bits=2048, domain=group))
    try:
        if not isinstance(pair.public, DhPublicKey):
            return False
        agreements = (
            (DhPublicKey(group, ours), agreed.to_bytes(256, "big"))
            for ours, agreed in dh_agreements(group, pair.public.value)
        )
        tried = next(agreements), next(one for one in agreements if one[1][0] == 0)
        return all(agrees(pair, peer, expected) for peer, expected in tried)
    finally:
        pair.destroy()
