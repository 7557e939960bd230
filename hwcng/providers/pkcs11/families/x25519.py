"""Pairs on curve25519 (PKCS#11 3.2, section 6.3; RFC 7748): coordinates and scalars are little-endian strings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pkcs11 import Attribute
from pkcs11.util.ec import encode_named_curve_parameters

from hwcng.contract.material import EcPrivateKey, EcPublicKey, PublicKeyMaterial
from hwcng.contract.specs import PairSpec
from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.pkcs11 import mechanisms
from hwcng.providers.pkcs11.families.base import Agreement, Attributes, PairKind, Reader
from hwcng.standards.curves import CURVES

if TYPE_CHECKING:
    from hwcng.providers.pkcs11.keys.private import Pkcs11PrivateKey

__all__ = ["MontgomeryKind"]


def _parameters(curve: str) -> bytes:
    encoded: bytes = encode_named_curve_parameters(CURVES[curve].oid)
    return encoded


class MontgomeryKind(PairKind[EcPublicKey, EcPrivateKey]):
    kind = "EC"
    key_type = mechanisms.CKK_EC_MONTGOMERY

    def generation(self, spec: PairSpec) -> int:
        return mechanisms.EC_MONTGOMERY_KEY_PAIR_GEN

    def describe(self, spec: PairSpec) -> str:
        return f"a pair on {spec.curve}"

    def offered_as(self, spec: PairSpec) -> tuple[str, str | None]:
        return "ECDH", spec.curve

    def public_attributes(self, spec: PairSpec) -> Attributes:
        return {Attribute.EC_PARAMS: _parameters(spec.curve)}

    def private_values(self, material: EcPrivateKey) -> Attributes:
        curve = CURVES[material.public.curve]
        return {
            Attribute.EC_PARAMS: _parameters(curve.name),
            Attribute.VALUE: material.scalar.to_bytes(curve.coordinate_size, "little"),
        }

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

    def agreement(self, key: Pkcs11PrivateKey, peer: PublicKeyMaterial) -> Agreement:
        if not isinstance(peer, EcPublicKey):
            return super().agreement(key, peer)
        width = CURVES[peer.curve].coordinate_size
        call = mechanisms.ecdh(peer.x.to_bytes(width, "little"), der=False)
        return Agreement(call, width, "the X25519 agreement")
