"""Object templates with every attribute said, because the defaults of tokens differ (OASIS PKCS#11 3.2, section 4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from pkcs11 import Attribute, KeyType, ObjectClass
from pkcs11.attributes import AttributeMapper

from hwcng.contract.material import PrivateKeyMaterial
from hwcng.contract.specs import PairSpec, SecretSpec
from hwcng.contract.usage import Usage
from hwcng.providers.pkcs11.cryptoki import CData, ffi
from hwcng.providers.pkcs11.kinds import kind_of
from hwcng.providers.pkcs11.quirks import Quirks
from hwcng.providers.pkcs11.secret_kinds import SECRET_KINDS

__all__ = [
    "Template",
    "agreed_secret",
    "generated_pair",
    "imported_private",
    "opaque_keys",
    "packed",
    "private",
    "secret",
    "shared_secret",
    "stored_public",
    "unwrapped",
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
    (Attribute.UNWRAP, Usage.UNWRAP),
    (Attribute.DERIVE, Usage.DERIVE),
)


def _usages(rows: Sequence[tuple[Attribute, Usage]], usage: Usage) -> dict[Attribute, Any]:
    return {attribute: bool(usage & flag) for attribute, flag in rows}


def _protected(exportable: bool) -> dict[Attribute, Any]:
    return {Attribute.PRIVATE: True, Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: exportable}


@contextmanager
def packed(template: Template) -> Iterator[tuple[CData, int]]:
    """A CK_ATTRIBUTE array and its length, for as long as the block lasts; its memory is wiped afterwards."""
    attributes = ffi.new("CK_ATTRIBUTE[]", len(template))
    values: list[CData] = []
    for attribute, (kind, value) in zip(attributes, template.items(), strict=True):
        # A label of other software is found by its octets, text or not.
        raw = value if isinstance(value, bytes) else _MAPPER.pack_attribute(kind, value)
        octets = ffi.new("unsigned char[]", raw)
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
        Attribute.KEY_TYPE: SECRET_KINDS[spec.family].key_type,
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


def unwrapped(spec: SecretSpec | PairSpec, quirks: Quirks) -> Template:
    """What C_UnwrapKey is given for a session key of `spec`."""
    template = dict(secret(spec) if isinstance(spec, SecretSpec) else private(spec))
    if spec.exportable and quirks.unwraps_extractable:
        del template[Attribute.EXTRACTABLE]
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


def shared_secret(length: int) -> Template:
    """The result of an encapsulation or a decapsulation that the caller asked for: read once, then destroyed."""
    return {**agreed_secret(length, readable=True), **_usages(_SECRET_USAGES, Usage.NONE)}


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
    kind = kind_of(spec)
    public = {
        Attribute.CLASS: ObjectClass.PUBLIC_KEY,
        Attribute.KEY_TYPE: kind.key_type,
        Attribute.TOKEN: False,
        Attribute.PRIVATE: False,
        Attribute.VERIFY: bool(spec.usage & Usage.SIGN),
        Attribute.ENCRYPT: bool(spec.usage & Usage.DECRYPT),
        Attribute.WRAP: False,
        Attribute.DERIVE: False,
        **kind.public_attributes(spec),
    }
    return public, private(spec)


def private(spec: PairSpec) -> dict[Attribute, Any]:
    """A session private key of `spec`, without its value."""
    kind = kind_of(spec)
    return {
        Attribute.CLASS: ObjectClass.PRIVATE_KEY,
        Attribute.KEY_TYPE: kind.key_type,
        Attribute.TOKEN: False,
        Attribute.MODIFIABLE: True,
        **_protected(spec.exportable),
        **_usages(_PRIVATE_USAGES, spec.usage),
        **kind.private_attributes(spec),
    }


def imported_private(spec: PairSpec, material: PrivateKeyMaterial) -> Template:
    """The private half with its value."""
    return private(spec) | kind_of(spec).private_values(material)


def stored_public(spec: PairSpec, numbers: Template, name: str, identifier: bytes) -> Template:
    """The public token object beside a named private key."""
    public: dict[Attribute, Any] = dict(generated_pair(spec)[0])
    public.pop(Attribute.MODULUS_BITS, None)
    named: Template = {Attribute.TOKEN: True, Attribute.LABEL: name, Attribute.ID: identifier}
    return {**public, **named, **numbers}
