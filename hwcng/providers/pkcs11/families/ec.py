"""Pairs on elliptic curves (PKCS#11 3.2, section 6.3; SEC 1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from pkcs11 import Attribute, KeyType, Mechanism
from pkcs11.util.ec import encode_named_curve_parameters

from hwcng.contract.material import EcPrivateKey, EcPublicKey, PublicKeyMaterial
from hwcng.contract.specs import EcdsaSpec, PairSpec, SignSpec
from hwcng.contract.usage import Support, Usage
from hwcng.errors import NTSTATUS, CngError
from hwcng.hostcrypto import ecc
from hwcng.providers.pkcs11 import mechanisms
from hwcng.providers.pkcs11.capabilities import MechanismSet, Rule
from hwcng.providers.pkcs11.cryptoki.calls import ffi
from hwcng.providers.pkcs11.cryptoki.constants import CKD
from hwcng.providers.pkcs11.families.base import Agreement, Attributes, PairKind, Reader, TokenPrivateKey
from hwcng.providers.pkcs11.families.values import Values, unserved
from hwcng.providers.pkcs11.probes.arithmetic import ec_agreements, ecdsa_is_good
from hwcng.providers.pkcs11.probes.base import SAMPLE, Probe, agrees
from hwcng.providers.pkcs11.quirks import Quirks
from hwcng.standards.curves import CURVES

__all__ = ["CURVE_ATTRIBUTES", "EcKind", "curve_of", "curve_parameters", "ecdh", "octet_string", "support_on"]

CURVE_ATTRIBUTES: Mapping[Attribute, int] = MappingProxyType({Attribute.EC_PARAMS: 512, Attribute.EC_POINT: 512})
"""Those of every kind of curve -> octets of room."""

_ASKED = "an ECDSA signature"
_ECDSA = EcdsaSpec()
# Whether a token drops leading zeros does not hang on the curve, and to find a Z that has them takes its time.
_SEARCHED = "nistP256"


# Of two digests: each signature leaves two keys that may have made it (SEC 1, section 4.1.6).
_TELLING_DIGESTS = (bytes([1]) * 32, bytes([2]) * 32)
_CURVES = tuple(name for name, curve in CURVES.items() if not curve.montgomery)


def curve_parameters(curve: str) -> bytes:
    """CKA_EC_PARAMS: the curve's object identifier."""
    encoded: bytes = encode_named_curve_parameters(CURVES[curve].oid)
    return encoded


_BY_PARAMETERS: Mapping[bytes, str] = MappingProxyType({curve_parameters(name): name for name in CURVES})


def curve_of(values: Values) -> str:
    """Raises NTE_NOT_SUPPORTED for a curve that no spec has."""
    curve = _BY_PARAMETERS.get(values.get(Attribute.EC_PARAMS) or b"")
    if curve is None:
        raise unserved("on another curve than " + ", ".join(CURVES))
    return curve


def octet_string(octets: bytes) -> bytes:
    """DER of an OCTET STRING of fewer than 256 octets (X.690, 8.7): no point of a curve here has more."""
    return bytes((4, len(octets)) if len(octets) < 128 else (4, 0x81, len(octets))) + octets


def ecdh(point: bytes, *, der: bool) -> mechanisms.MechanismCall:
    """CKM_ECDH1_DERIVE. point: the peer's (SEC 1, 2.3.3; RFC 7748). der: whether it goes in a DER OCTET STRING."""
    if der:
        point = octet_string(point)
    pointer = ffi.from_buffer(point)
    parameters = ffi.new("CK_ECDH1_DERIVE_PARAMS *")
    parameters.kdf = CKD.NULL
    parameters.pPublicData, parameters.ulPublicDataLen = pointer, len(point)
    return mechanisms.structured(int(Mechanism.ECDH1_DERIVE), parameters, pointer)


class EcKind(PairKind[EcPublicKey, EcPrivateKey]):
    kind = "EC"
    key_type = KeyType.EC
    material = EcPublicKey
    usages = Usage.SIGN | Usage.DERIVE
    known = ("curve",)
    stored = CURVE_ATTRIBUTES
    telling = Usage.SIGN
    rules = (
        Rule("ECDSA", None, (Mechanism.ECDSA,)),
        Rule("ECDH", None, (Mechanism.ECDH1_DERIVE,)),
    )
    sized = (Mechanism.EC_KEY_PAIR_GEN,)

    def complete(self, offered: MechanismSet) -> None:
        """Sizes and quirks say which curves may be tried."""
        for algorithm in ("ECDSA", "ECDH"):
            for curve in _CURVES:
                support = offered.offers(algorithm) if _may_be(offered, curve) else Support.REFUSED
                reason = None
                if support is Support.REFUSED:
                    reason = offered.reasons.get((algorithm, None), f"the token makes no keys on {curve}")
                offered.decide(algorithm, curve, support, reason)

    def probe(self, probe: Probe) -> None:
        for curve in _CURVES:
            probe.attempt("ECDSA", curve, support_on(probe, "ECDSA", curve, Usage.SIGN), partial(_signs, probe, curve))
            probe.attempt("ECDH", curve, support_on(probe, "ECDH", curve, Usage.DERIVE), partial(_agrees, probe, curve))

    def generation(self, spec: PairSpec) -> Mechanism:
        return Mechanism.EC_KEY_PAIR_GEN

    def describe(self, spec: PairSpec) -> str:
        return f"a pair on {spec.curve}"

    def offered_as(self, spec: PairSpec) -> tuple[str, str | None]:
        return "ECDH" if spec.usage & Usage.DERIVE else "ECDSA", spec.curve

    def public_attributes(self, spec: PairSpec) -> Attributes:
        return {Attribute.EC_PARAMS: curve_parameters(spec.curve)}

    def private_values(self, material: EcPrivateKey) -> Attributes:
        """Without CKA_EC_POINT, which SoftHSM and opencryptoki refuse here."""
        curve = CURVES[material.public.curve]
        return {
            Attribute.EC_PARAMS: curve_parameters(curve.name),
            Attribute.VALUE: material.scalar.to_bytes(curve.coordinate_size, "big"),
        }

    def public_values(self, public: EcPublicKey, quirks: Quirks) -> Attributes:
        """The point in a DER OCTET STRING, as the standard says: opencryptoki refuses it bare."""
        width = CURVES[public.curve].coordinate_size
        point = b"\x04" + public.x.to_bytes(width, "big") + public.y.to_bytes(width, "big")
        return {
            Attribute.EC_PARAMS: curve_parameters(public.curve),
            Attribute.EC_POINT: octet_string(point),
        }

    def traits(self, values: Values) -> dict[str, Any]:
        return {"curve": curve_of(values)}

    def told_by_use(self, key: TokenPrivateKey) -> EcPublicKey | None:
        curve = key.spec.curve
        if key.offered.offers("ECDSA", curve) is Support.REFUSED:
            return None
        return ecc.signer(curve, [(digest, self.sign(key, _ECDSA, digest)) for digest in _TELLING_DIGESTS])

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

    def sign(self, key: TokenPrivateKey, spec: SignSpec, digest: bytes) -> bytes:
        if not isinstance(spec, EcdsaSpec):
            return super().sign(key, spec, digest)
        width = CURVES[key.spec.curve].coordinate_size
        return key.sign_with(mechanisms.call(int(Mechanism.ECDSA)), digest, 2 * width, _ASKED)

    def signing(self, key: TokenPrivateKey, spec: SignSpec) -> Callable[[bytes], bytes] | None:
        if not isinstance(spec, EcdsaSpec):
            return None
        width = CURVES[key.spec.curve].coordinate_size
        return key.signing_with(mechanisms.call(int(Mechanism.ECDSA)), 2 * width, _ASKED)

    def agreement(self, key: TokenPrivateKey, peer: PublicKeyMaterial) -> Agreement:
        if not isinstance(peer, EcPublicKey):
            return super().agreement(key, peer)
        width = CURVES[peer.curve].coordinate_size
        point = b"\x04" + peer.x.to_bytes(width, "big") + peer.y.to_bytes(width, "big")
        call = ecdh(point, der=key.offered.quirks.der_peer_point)
        return Agreement(call, width, "the ECDH agreement")


def _may_be(offered: MechanismSet, curve: str) -> bool:
    named, sizes = offered.quirks.named_curves, offered.infos.get(int(Mechanism.EC_KEY_PAIR_GEN))
    if sizes is None or not sizes.min_key_size <= CURVES[curve].bits <= sizes.max_key_size:
        return False
    return named is None or curve in named


def support_on(probe: Probe, algorithm: str, curve: str, usage: Usage) -> Support:
    """That of a curve on which the token makes no keys, but holds one, is that of the algorithm."""
    support = probe.offered.offers(algorithm, curve)
    if support is Support.REFUSED and probe.offered.offers(algorithm) is not Support.REFUSED:
        makes_none = not probe.offered.has(Mechanism.EC_KEY_PAIR_GEN)
        if makes_none and probe.held_keys.pair("EC", usage, curve) is not None:
            return probe.offered.offers(algorithm)
    return support


def _signs(probe: Probe, curve: str) -> bool:
    pair = probe.pair(PairSpec("EC", Usage.SIGN, curve=curve))
    try:
        signature = pair.sign_digest(_ECDSA, SAMPLE)
        whole = len(signature) == 2 * CURVES[curve].coordinate_size
        return whole and isinstance(pair.public, EcPublicKey) and ecdsa_is_good(pair.public, SAMPLE, signature)
    finally:
        pair.destroy()


def _agrees(probe: Probe, curve: str) -> bool:
    pair = probe.pair(PairSpec("EC", Usage.DERIVE, curve=curve))
    try:
        if not isinstance(pair.public, EcPublicKey):
            return False
        return all(agrees(pair, peer, expected) for peer, expected in _expected(pair.public))
    finally:
        pair.destroy()


def _expected(theirs: EcPublicKey) -> Iterator[tuple[EcPublicKey, bytes]]:
    """Public keys of the host's and the Z of each: any, and on one curve one that begins with a zero octet."""
    width = CURVES[theirs.curve].coordinate_size
    agreements = ((ours, agreed.to_bytes(width, "big")) for ours, agreed in ec_agreements(theirs))
    yield next(agreements)
    if theirs.curve == _SEARCHED:
        yield next(one for one in agreements if one[1][0] == 0)
