"""Ed25519 pairs (PKCS#11 3.2, section 6.3: CKK_EC_EDWARDS, CKM_EDDSA; RFC 8032, RFC 8410)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from pkcs11 import Attribute, KeyType, Mechanism
from pkcs11.util.ec import encode_named_curve_parameters

from hwcng.contract.material import Ed25519PrivateKey, Ed25519PublicKey
from hwcng.contract.specs import EddsaSpec, PairSpec, SignSpec
from hwcng.contract.usage import Usage
from hwcng.errors import NTSTATUS, CngError
from hwcng.hostcrypto.curve25519 import SIGNATURE_SIZE, SIZE, verify_ed25519
from hwcng.providers.pkcs11 import mechanisms
from hwcng.providers.pkcs11.capabilities import Rule
from hwcng.providers.pkcs11.families.base import Attributes, PairKind, Reader, TokenPrivateKey
from hwcng.providers.pkcs11.families.ec import CURVE_ATTRIBUTES, octet_string
from hwcng.providers.pkcs11.families.values import Values, unserved
from hwcng.providers.pkcs11.probes.base import SAMPLE, Probe
from hwcng.providers.pkcs11.quirks import Quirks

__all__ = ["Ed25519Kind"]

_PARAMETERS: bytes = encode_named_curve_parameters("1.3.101.112")
# RFC 8410's object identifier, and the PrintableString of section 6.3.5.
_NAMES = frozenset({_PARAMETERS, b"\x13\x0cedwards25519"})
_EDDSA = EddsaSpec()
# NSS answers ARGUMENTS_BAD to more room than a signature has.
_SIGNING = mechanisms.call(int(Mechanism.EDDSA)), SIGNATURE_SIZE, "an Ed25519 signature"


class Ed25519Kind(PairKind[Ed25519PublicKey, Ed25519PrivateKey]):
    kind = "ED25519"
    key_type = KeyType.EC_EDWARDS
    material = Ed25519PublicKey
    usages = Usage.SIGN
    stored = CURVE_ATTRIBUTES
    rules = (Rule("ED25519", None, (Mechanism.EDDSA,)),)

    def probe(self, probe: Probe) -> None:
        probe.attempt("ED25519", "sign", probe.offered.offers("ED25519"), partial(_signs, probe))

    def generation(self, spec: PairSpec) -> Mechanism:
        return Mechanism.EC_EDWARDS_KEY_PAIR_GEN

    def describe(self, spec: PairSpec) -> str:
        return "an Ed25519 pair"

    def offered_as(self, spec: PairSpec) -> tuple[str, str | None]:
        return "ED25519", None

    def public_attributes(self, spec: PairSpec) -> Attributes:
        return {Attribute.EC_PARAMS: _PARAMETERS}

    def private_values(self, material: Ed25519PrivateKey) -> Attributes:
        return {Attribute.EC_PARAMS: _PARAMETERS, Attribute.VALUE: material.seed}

    def public_values(self, public: Ed25519PublicKey, quirks: Quirks) -> Attributes:
        point = public.value if quirks.bare_edwards_point else octet_string(public.value)
        return {Attribute.EC_PARAMS: _PARAMETERS, Attribute.EC_POINT: point}

    def traits(self, values: Values) -> dict[str, Any]:
        if values.get(Attribute.EC_PARAMS) not in _NAMES:
            raise unserved("on another Edwards curve than Ed25519")
        return {}

    def read_public(self, read: Reader, spec: PairSpec, token_name: str) -> Ed25519PublicKey:
        point = read([Attribute.EC_POINT], SIZE + 8)[Attribute.EC_POINT] or b""
        # It comes as it is or inside a DER OCTET STRING; either way it ends with the key.
        if len(point) not in (SIZE, SIZE + 2):
            raise CngError(
                NTSTATUS.STATUS_INTERNAL_ERROR, f"token {token_name!r} gave a public point of {len(point)} bytes"
            )
        return Ed25519PublicKey(point[-SIZE:])

    def to_json(self, public: Ed25519PublicKey) -> dict[str, Any]:
        return {"value": public.value.hex()}

    def from_json(self, spec: PairSpec, described: Mapping[str, Any]) -> Ed25519PublicKey:
        return Ed25519PublicKey(bytes.fromhex(described["value"]))

    def sign(self, key: TokenPrivateKey, spec: SignSpec, digest: bytes) -> bytes:
        if not isinstance(spec, EddsaSpec):
            return super().sign(key, spec, digest)
        call, room, asked = _SIGNING
        return key.sign_with(call, digest, room, asked, exact=True)

    def signing(self, key: TokenPrivateKey, spec: SignSpec) -> Callable[[bytes], bytes] | None:
        return key.signing_with(*_SIGNING, exact=True) if isinstance(spec, EddsaSpec) else None


def _signs(probe: Probe) -> bool:
    pair = probe.pair(PairSpec("ED25519", Usage.SIGN))
    try:
        signature = pair.sign_message(_EDDSA, SAMPLE)
        if not isinstance(pair.public, Ed25519PublicKey) or len(signature) != SIGNATURE_SIZE:
            return False
        try:
            verify_ed25519(pair.public, _EDDSA, SAMPLE, signature)
        except CngError as error:
            if error.status is not NTSTATUS.STATUS_INVALID_SIGNATURE:
                raise
            return False
        return True
    finally:
        pair.destroy()
