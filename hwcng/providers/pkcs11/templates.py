"""Object templates with every attribute said, because the defaults of tokens differ (OASIS PKCS#11 3.2, section 4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from pkcs11 import Attribute, KeyType, ObjectClass
from pkcs11.attributes import AttributeMapper
from pkcs11.util.ec import encode_named_curve_parameters

from hwcng.curves import CURVES
from hwcng.providers.base import EcPrivateKey, PairSpec, PrivateKeyMaterial, SecretFamily, SecretSpec, Usage
from hwcng.providers.pkcs11.cryptoki import CData, ffi

__all__ = [
    "Template",
    "agreed_secret",
    "generated_pair",
    "imported_private",
    "opaque_keys",
    "packed",
    "private",
    "secret",
]

Template = Mapping[Attribute, Any]

_MAPPER = AttributeMapper()

_SECRET_USAGES: tuple[tuple[Attribute, Usage], ...] = (
    (Attribute.ENCRYPT, Usage.ENCRYPT),
    (Attribute.DECRYPT, Usage.DECRYPT),
    (Attribute.SIGN, Usage.SIGN),
    (Attribute.VERIFY, Usage.NONE),
    (Attribute.WRAP, Usage.WRAP),
    (Attribute.UNWRAP, Usage.UNWRAP),
    (Attribute.DERIVE, Usage.DERIVE),
)
_PRIVATE_USAGES: tuple[tuple[Attribute, Usage], ...] = (
    (Attribute.DECRYPT, Usage.DECRYPT),
    (Attribute.SIGN, Usage.SIGN),
    (Attribute.SIGN_RECOVER, Usage.NONE),
    (Attribute.UNWRAP, Usage.NONE),
    (Attribute.DERIVE, Usage.DERIVE),
)
_KEY_TYPES: Mapping[SecretFamily, KeyType] = {
    SecretFamily.AES: KeyType.AES,
    SecretFamily.CMAC: KeyType.AES,
    SecretFamily.GMAC: KeyType.AES,
    SecretFamily.HMAC: KeyType.GENERIC_SECRET,
}


def _usages(rows: Sequence[tuple[Attribute, Usage]], usage: Usage) -> dict[Attribute, Any]:
    return {attribute: bool(usage & flag) for attribute, flag in rows}


def _protected(exportable: bool) -> dict[Attribute, Any]:
    return {Attribute.PRIVATE: True, Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: exportable}


def _integer(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8 or 1, "big")


@contextmanager
def packed(template: Template) -> Iterator[tuple[CData, int]]:
    """A CK_ATTRIBUTE array and its length, for as long as the block lasts; its memory is wiped afterwards."""
    attributes = ffi.new("CK_ATTRIBUTE[]", len(template))
    values: list[CData] = []
    for attribute, (kind, value) in zip(attributes, template.items(), strict=True):
        octets = ffi.new("unsigned char[]", _MAPPER.pack_attribute(kind, value))
        values.append(octets)
        attribute.type, attribute.pValue, attribute.ulValueLen = int(kind), octets, len(octets) - 1
    try:
        yield attributes, len(template)
    finally:
        for octets in values:
            ffi.buffer(octets)[:] = bytes(len(octets))


def secret(spec: SecretSpec, value: bytes | None = None, *, length: bool = False) -> Template:
    """A session secret key. value: its octets for an import. length: whether to say CKA_VALUE_LEN, for a generation."""
    template: dict[Attribute, Any] = {
        Attribute.CLASS: ObjectClass.SECRET_KEY,
        Attribute.KEY_TYPE: _KEY_TYPES[spec.family],
        Attribute.TOKEN: False,
        Attribute.MODIFIABLE: True,
        **_protected(spec.exportable),
        **_usages(_SECRET_USAGES, spec.usage),
    }
    if value is not None:
        template[Attribute.VALUE] = value
    if length:
        template[Attribute.VALUE_LEN] = spec.bits // 8
    return template


def agreed_secret(length: int, readable: bool) -> Template:
    """Z of a key agreement, `length` bytes: to be digested, to key an HMAC, and to be halved."""
    return {
        Attribute.CLASS: ObjectClass.SECRET_KEY,
        Attribute.KEY_TYPE: KeyType.GENERIC_SECRET,
        Attribute.TOKEN: False,
        Attribute.MODIFIABLE: True,
        Attribute.VALUE_LEN: length,
        Attribute.PRIVATE: True,
        Attribute.SENSITIVE: not readable,
        Attribute.EXTRACTABLE: readable,
        **_usages(_SECRET_USAGES, Usage.SIGN | Usage.DERIVE),
    }


def opaque_keys(identifier: bytes, label: str, length: int, usage: Usage, key_type: KeyType) -> Template:
    """A token object that protects opaque blobs: never extractable. length in bytes."""
    return {
        Attribute.CLASS: ObjectClass.SECRET_KEY,
        Attribute.KEY_TYPE: key_type,
        Attribute.TOKEN: True,
        Attribute.MODIFIABLE: False,
        Attribute.LABEL: label,
        Attribute.ID: identifier,
        Attribute.VALUE_LEN: length,
        **_protected(exportable=False),
        **_usages(_SECRET_USAGES, usage),
    }


def generated_pair(spec: PairSpec) -> tuple[Template, Template]:
    """Templates of the public and the private half."""
    public: dict[Attribute, Any] = {
        Attribute.CLASS: ObjectClass.PUBLIC_KEY,
        Attribute.TOKEN: False,
        Attribute.PRIVATE: False,
        Attribute.VERIFY: bool(spec.usage & Usage.SIGN),
        Attribute.ENCRYPT: bool(spec.usage & Usage.DECRYPT),
        Attribute.WRAP: False,
        Attribute.DERIVE: False,
    }
    if spec.kind == "RSA":
        public[Attribute.KEY_TYPE] = KeyType.RSA
        public[Attribute.MODULUS_BITS] = spec.bits
        public[Attribute.PUBLIC_EXPONENT] = b"\x01\x00\x01"
    else:
        public[Attribute.KEY_TYPE] = KeyType.EC
        public[Attribute.EC_PARAMS] = encode_named_curve_parameters(CURVES[spec.curve].oid)
    return public, private(spec)


def private(spec: PairSpec) -> dict[Attribute, Any]:
    """A session private key of `spec`, without its value."""
    return {
        Attribute.CLASS: ObjectClass.PRIVATE_KEY,
        Attribute.KEY_TYPE: KeyType.RSA if spec.kind == "RSA" else KeyType.EC,
        Attribute.TOKEN: False,
        Attribute.MODIFIABLE: True,
        **_protected(spec.exportable),
        **_usages(_PRIVATE_USAGES, spec.usage),
    }


def imported_private(spec: PairSpec, material: PrivateKeyMaterial) -> Template:
    """The private half with its value. SoftHSM and opencryptoki refuse CKA_EC_POINT in it."""
    template = private(spec)
    if isinstance(material, EcPrivateKey):
        curve = CURVES[material.public.curve]
        template[Attribute.EC_PARAMS] = encode_named_curve_parameters(curve.oid)
        template[Attribute.VALUE] = material.scalar.to_bytes(curve.coordinate_size, "big")
        return template
    numbers = {
        Attribute.MODULUS: material.modulus,
        Attribute.PUBLIC_EXPONENT: material.public_exponent,
        Attribute.PRIVATE_EXPONENT: material.private_exponent,
        Attribute.PRIME_1: material.prime1,
        Attribute.PRIME_2: material.prime2,
        Attribute.EXPONENT_1: material.exponent1,
        Attribute.EXPONENT_2: material.exponent2,
        Attribute.COEFFICIENT: material.coefficient,
    }
    return template | {attribute: _integer(value) for attribute, value in numbers.items()}
