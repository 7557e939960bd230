"""Diffie-Hellman pairs (PKCS#11 3.2, section 6.4; PKCS #3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pkcs11 import Attribute, KeyType, Mechanism

from hwcng.contract.material import DhDomain, DhPrivateKey, DhPublicKey, PublicKeyMaterial
from hwcng.contract.specs import PairSpec
from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.pkcs11 import mechanisms
from hwcng.providers.pkcs11.families.base import Agreement, Attributes, PairKind, Reader, unsigned

if TYPE_CHECKING:
    from hwcng.providers.pkcs11.keys.private import Pkcs11PrivateKey

__all__ = ["DhKind"]


def _domain(spec: PairSpec) -> DhDomain:
    if not isinstance(spec.domain, DhDomain):
        raise CngError(NTSTATUS.STATUS_INVALID_PARAMETER, "a DH pair needs its domain parameters")
    return spec.domain


def _domain_values(domain: DhDomain) -> Attributes:
    return {Attribute.PRIME: unsigned(domain.prime), Attribute.BASE: unsigned(domain.generator)}


class DhKind(PairKind[DhPublicKey, DhPrivateKey]):
    kind = "DH"
    key_type = KeyType.DH

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

    def read_public(self, read: Reader, spec: PairSpec, token_name: str) -> DhPublicKey:
        value = read([Attribute.VALUE], spec.bits // 8 + 8)[Attribute.VALUE] or b""
        return DhPublicKey(_domain(spec), int.from_bytes(value, "big"))

    def to_json(self, public: DhPublicKey) -> dict[str, Any]:
        domain = public.domain
        return {"prime": hex(domain.prime), "generator": hex(domain.generator), "value": hex(public.value)}

    def from_json(self, spec: PairSpec, described: Mapping[str, Any]) -> DhPublicKey:
        domain = DhDomain(int(described["prime"], 16), int(described["generator"], 16))
        return DhPublicKey(domain, int(described["value"], 16))

    def agreement(self, key: Pkcs11PrivateKey, peer: PublicKeyMaterial) -> Agreement:
        if not isinstance(peer, DhPublicKey):
            return super().agreement(key, peer)
        return Agreement(mechanisms.dh(unsigned(peer.value)), key.spec.bits // 8, "the DH agreement")
