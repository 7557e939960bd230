"""Object templates with every attribute said, because the defaults of tokens differ (OASIS PKCS#11 3.2, section 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
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

KEPT = 256
"""Templates of one kind that stay packed."""

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


class Packed:
    """A CK_ATTRIBUTE array, which tokens only read. As a context manager it wipes the octets that it was given."""

    __slots__ = ("_constants", "_octets", "attributes", "count")

    def __init__(self, template: Template) -> None:
        self.count = len(template)
        self.attributes: CData = ffi.new("CK_ATTRIBUTE[]", self.count)
        self._constants: list[CData] = []
        self._octets: list[CData] = []
        for index, (kind, value) in enumerate(template.items()):
            # A label of other software is found by its octets, text or not.
            if isinstance(value, (bytes, str)):
                raw = value if isinstance(value, bytes) else _MAPPER.pack_attribute(kind, value)
                octets, size = ffi.new("unsigned char[]", raw), len(raw)
                self._octets.append(octets)
            else:
                octets, size = _constant(kind, value)
                self._constants.append(octets)
            self.attributes[index] = (int(kind), octets, size)

    def __enter__(self) -> tuple[CData, int]:
        return self.attributes, self.count

    def __exit__(self, *_error: object) -> None:
        for octets in self._octets:
            ffi.buffer(octets)[:] = bytes(len(octets))


@lru_cache(maxsize=1024)
def _constant(kind: Attribute, value: Any) -> tuple[CData, int]:
    """A number or a CK_BBOOL and its size: no secret is one."""
    raw = _MAPPER.pack_attribute(kind, value)
    return ffi.new("unsigned char[]", raw), len(raw)


class FixedTemplate(dict[Attribute, Any]):
    """A template without secrets that is not changed any more, and packed once."""

    def __init__(self, template: Template) -> None:
        super().__init__(template)
        self._packed = Packed(template)

    def packed(self) -> AbstractContextManager[tuple[CData, int]]:
        return nullcontext((self._packed.attributes, self._packed.count))


def packed(template: Template) -> AbstractContextManager[tuple[CData, int]]:
    """A CK_ATTRIBUTE array and its length, for as long as the block lasts; its memory is wiped afterwards."""
    return template.packed() if isinstance(template, FixedTemplate) else Packed(template)


def secret(spec: SecretSpec, value: bytes | None = None, *, length: bool = False) -> Template:
    """A session secret key. value: its octets for an import. length: whether to say CKA_VALUE_LEN, for a generation."""
    return _secret(spec, length) if value is None else {**_secret(spec, length), Attribute.VALUE: value}


@lru_cache(maxsize=KEPT)
def _secret(spec: SecretSpec, length: bool) -> FixedTemplate:
    template: dict[Attribute, Any] = {
        Attribute.CLASS: ObjectClass.SECRET_KEY,
        Attribute.KEY_TYPE: SECRET_KINDS[spec.family].key_type,
        Attribute.TOKEN: False,
        Attribute.MODIFIABLE: True,
        **_protected(spec.exportable),
        **_usages(_SECRET_USAGES, spec.usage),
    }
    if length:
        template[Attribute.VALUE_LEN] = spec.bits // 8
    return FixedTemplate(template)


def unwrapped(spec: SecretSpec | PairSpec, quirks: Quirks) -> Template:
    """What C_UnwrapKey is given for a session key of `spec`."""
    template = dict(secret(spec) if isinstance(spec, SecretSpec) else private(spec))
    if spec.exportable and quirks.unwraps_extractable:
        del template[Attribute.EXTRACTABLE]
    return template


@lru_cache(maxsize=KEPT)
def agreed_secret(length: int, readable: bool) -> Template:
    """Z of a key agreement, `length` bytes: to be digested, to key an HMAC, and to be halved."""
    return FixedTemplate(
        {
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
    )


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


@lru_cache(maxsize=KEPT)
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
    return FixedTemplate(public), FixedTemplate(private(spec))


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
