"""Pairs on curve25519 (PKCS#11 3.2, section 6.3; RFC 7748): coordinates and scalars are little-endian strings."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from pkcs11 import Attribute

from hwcng.contract.material import EcPrivateKey, EcPublicKey, PublicKeyMaterial
from hwcng.contract.specs import PairSpec
from hwcng.contract.usage import Support, Usage
from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.pkcs11.capabilities import MechanismSet
from hwcng.providers.pkcs11.cryptoki.constants import CKK, CKM
from hwcng.providers.pkcs11.families.base import Agreement, Attributes, PairKind, Reader, TokenPrivateKey
from hwcng.providers.pkcs11.families.ec import CURVE_ATTRIBUTES, curve_of, curve_parameters, ecdh, support_on
from hwcng.providers.pkcs11.families.values import Values
from hwcng.providers.pkcs11.probes.arithmetic import x25519_agreement
from hwcng.providers.pkcs11.probes.base import Probe, agrees
from hwcng.providers.pkcs11.quirks import Quirks
from hwcng.standards.curves import CURVES

__all__ = ["MontgomeryKind"]

_CURVE = "curve25519"


class MontgomeryKind(PairKind[EcPublicKey, EcPrivateKey]):
    kind = "EC"
    key_type = CKK.EC_MONTGOMERY
    curves = (_CURVE,)
    material = EcPublicKey
    usages = Usage.SIGN | Usage.DERIVE
    known = ("curve",)
    stored = CURVE_ATTRIBUTES

    def complete(self, offered: MechanismSet) -> None:
        """CKM_ECDH1_DERIVE agrees on this curve too, where keys on it can be made."""
        offered.decide("ECDSA", _CURVE, Support.REFUSED, f"the token has no ECDSA on {_CURVE}")
        if offered.has(CKM.EC_MONTGOMERY_KEY_PAIR_GEN):
            offered.decide("ECDH", _CURVE, offered.offers("ECDH"))
        else:
            offered.decide("ECDH", _CURVE, Support.REFUSED, f"the token has no ECDH on {_CURVE}")

    def probe(self, probe: Probe) -> None:
        probe.attempt("ECDSA", _CURVE, Support.REFUSED)
        support = support_on(probe, "ECDH", _CURVE, Usage.DERIVE)
        probe.attempt("ECDH", _CURVE, support, partial(_agrees, probe))

    def generation(self, spec: PairSpec) -> int:
        return CKM.EC_MONTGOMERY_KEY_PAIR_GEN

    def describe(self, spec: PairSpec) -> str:
        return f"a pair on {spec.curve}"

    def offered_as(self, spec: PairSpec) -> tuple[str, str | None]:
        return "ECDH", spec.curve

    def public_attributes(self, spec: PairSpec) -> Attributes:
        return {Attribute.EC_PARAMS: curve_parameters(spec.curve)}

    def private_values(self, material: EcPrivateKey) -> Attributes:
        curve = CURVES[material.public.curve]
        return {
            Attribute.EC_PARAMS: curve_parameters(curve.name),
            Attribute.VALUE: material.scalar.to_bytes(curve.coordinate_size, "little"),
        }

    def public_values(self, public: EcPublicKey, quirks: Quirks) -> Attributes:
        """The point bare, as NSS has it."""
        point = public.x.to_bytes(CURVES[public.curve].coordinate_size, "little")
        return {Attribute.EC_PARAMS: curve_parameters(public.curve), Attribute.EC_POINT: point}

    def traits(self, values: Values) -> dict[str, Any]:
        return {"curve": curve_of(values)}

    def read_public(self, read: Reader, spec: PairSpec, token_name: str) -> EcPublicKey:
        width = CURVES[spec.curve].coordinate_size
        point = read([Attribute.EC_POINT], width + 8)[Attribute.EC_POINT] or b""
        # It comes as it is or inside a DER OCTET STRING; either way it ends with u.
        if len(point) not in (width, width + 2):
            raise CngError(
                NTSTATUS.STATUS_INTERNAL_ERROR, f"token {token_name!r} gave a public point of {len(point)} bytes"
            )
        return EcPublicKey(spec.curve, int.from_bytes(point[-width:], "little"), 0)

    def to_json(self, public: EcPublicKey) -> dict[str, Any]:
        return {"u": hex(public.x)}

    def from_json(self, spec: PairSpec, described: Mapping[str, Any]) -> EcPublicKey:
        return EcPublicKey(spec.curve, int(described["u"], 16), 0)

    def agreement(self, key: TokenPrivateKey, peer: PublicKeyMaterial) -> Agreement:
        if not isinstance(peer, EcPublicKey):
            return super().agreement(key, peer)
        width = CURVES[peer.curve].coordinate_size
        call = ecdh(peer.x.to_bytes(width, "little"), der=False)
        return Agreement(call, width, "the X25519 agreement")


def _agrees(probe: Probe) -> bool:
    pair = probe.pair(PairSpec("EC", Usage.DERIVE, curve=_CURVE))
    try:
        if not isinstance(pair.public, EcPublicKey):
            return False
        ours, agreed = x25519_agreement(pair.public.x)
        width = CURVES[_CURVE].coordinate_size
        return agrees(pair, EcPublicKey(_CURVE, ours, 0), agreed.to_bytes(width, "little"))
    finally:
        pair.destroy()
