"""Pairs on elliptic curves (PKCS#11 3.2, section 6.3; SEC 1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pkcs11 import Attribute, KeyType, Mechanism
from pkcs11.util.ec import encode_named_curve_parameters

from hwcng.contract.material import EcPrivateKey, EcPublicKey, PublicKeyMaterial
from hwcng.contract.specs import EcdsaSpec, PairSpec, SignSpec
from hwcng.contract.usage import Usage
from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.pkcs11 import mechanisms
from hwcng.providers.pkcs11.families.base import Agreement, Attributes, PairKind, Reader
from hwcng.standards.curves import CURVES

if TYPE_CHECKING:
    from hwcng.providers.pkcs11.keys.private import Pkcs11PrivateKey

__all__ = ["EcKind"]

_ASKED = "an ECDSA signature"


def _parameters(curve: str) -> bytes:
    encoded: bytes = encode_named_curve_parameters(CURVES[curve].oid)
    return encoded


class EcKind(PairKind[EcPublicKey, EcPrivateKey]):
    kind = "EC"
    key_type = KeyType.EC

    def generation(self, spec: PairSpec) -> Mechanism:
        return Mechanism.EC_KEY_PAIR_GEN

    def describe(self, spec: PairSpec) -> str:
        return f"a pair on {spec.curve}"

    def offered_as(self, spec: PairSpec) -> tuple[str, str | None]:
        return "ECDH" if spec.usage & Usage.DERIVE else "ECDSA", spec.curve

    def public_attributes(self, spec: PairSpec) -> Attributes:
        return {Attribute.EC_PARAMS: _parameters(spec.curve)}

    def private_values(self, material: EcPrivateKey) -> Attributes:
        """Without CKA_EC_POINT, which SoftHSM and opencryptoki refuse here."""
        curve = CURVES[material.public.curve]
        return {
            Attribute.EC_PARAMS: _parameters(curve.name),
            Attribute.VALUE: material.scalar.to_bytes(curve.coordinate_size, "big"),
        }

    def read_public(self, read: Reader, spec: PairSpec, token_name: str) -> EcPublicKey:
        width = CURVES[spec.curve].coordinate_size
        point = read([Attribute.EC_POINT], 2 * width + 8)[Attribute.EC_POINT] or b""
        # The point comes as it is (SEC 1) or inside a DER OCTET STRING; either way it ends with x and y.
        if len(point) < 2 * width + 1 or point[-2 * width - 1] != 4:
            raise CngError(
                NTSTATUS.STATUS_INTERNAL_ERROR, f"token {token_name!r} gave a public point of {len(point)} bytes"
            )
        x, y = point[-2 * width : -width], point[-width:]
        return EcPublicKey(spec.curve, int.from_bytes(x, "big"), int.from_bytes(y, "big"))

    def to_json(self, public: EcPublicKey) -> dict[str, Any]:
        return {"x": hex(public.x), "y": hex(public.y)}

    def from_json(self, spec: PairSpec, described: Mapping[str, Any]) -> EcPublicKey:
        return EcPublicKey(spec.curve, int(described["x"], 16), int(described["y"], 16))

    def sign(self, key: Pkcs11PrivateKey, spec: SignSpec, digest: bytes) -> bytes:
        if not isinstance(spec, EcdsaSpec):
            return super().sign(key, spec, digest)
        width = CURVES[key.spec.curve].coordinate_size
        return key.sign_with(mechanisms.call(int(Mechanism.ECDSA)), digest, 2 * width, _ASKED)

    def signing(self, key: Pkcs11PrivateKey, spec: SignSpec) -> Callable[[bytes], bytes] | None:
        if not isinstance(spec, EcdsaSpec):
            return None
        width = CURVES[key.spec.curve].coordinate_size
        return key.signing_with(mechanisms.call(int(Mechanism.ECDSA)), 2 * width, _ASKED)

    def agreement(self, key: Pkcs11PrivateKey, peer: PublicKeyMaterial) -> Agreement:
        if not isinstance(peer, EcPublicKey):
            return super().agreement(key, peer)
        width = CURVES[peer.curve].coordinate_size
        point = b"\x04" + peer.x.to_bytes(width, "big") + peer.y.to_bytes(width, "big")
        call = mechanisms.ecdh(point, der=key.offered.quirks.der_peer_point)
        return Agreement(call, width, "the ECDH agreement")
