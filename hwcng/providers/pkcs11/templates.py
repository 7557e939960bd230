"""Object templates with every attribute said, because the defaults of tokens differ (OASIS PKCS#11 3.2, section 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from pkcs11 import Attribute, KeyType, ObjectClass
from pkcs11.attributes import AttributeMapper

from hwcng.contract.material import PrivateKeyMaterial
from hwcng.contract.specs import PairSpec, SecretSpec
from hwcng.contract.usage import Usage
from hwcng.providers.pkcs11.cryptoki.calls import CData, ffi
from hwcng.providers.pkcs11.cryptoki.constants import CK_UNAVAILABLE_INFORMATION
from hwcng.providers.pkcs11.families import kind_of
from hwcng.providers.pkcs11.families.secret import SECRET_KINDS
from hwcng.providers.pkcs11.quirks import Quirks

__all__ = [
    "Template",
    "agreed_secret",
    "generated_pair",
    "imported_private",
    "opaque_keys",
    "packed",
    "private",
    "room_for",
    "secret",
    "shared_secret",
    "stored_public",
    "unwrapped",
]

Template = Mapping[Attribute, Any]

_MAPPER = AttributeMapper()
_CK_ULONG = 8
_CK_ATTRIBUTE_SIZE = ffi.sizeof("CK_ATTRIBUTE")

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
    """A CK_ATTRIBUTE array with the octets it points to behind it. As a context manager it wipes them at the end, or
    gives itself back to the template that is `home`, for the next to use, where the token left it as it was. given: the
    array and its length.
    """

    __slots__ = ("_before", "_block", "_filled", "_home", "_octets", "_starts", "given")

    def __init__(self, template: Template, home: FixedTemplate | None = None) -> None:
        values = [_octets_of(kind, value) for kind, value in template.items()]
        aligned = [_aligned(octets) for octets in values]
        count, offset = len(values), len(values) * _CK_ATTRIBUTE_SIZE
        # Of numbers, so that it begins where a CK_ULONG may.
        self._block: CData = ffi.new("CK_ULONG[]", (offset + sum(map(len, aligned))) // _CK_ULONG)
        self._octets = ffi.buffer(self._block)
        self._octets[offset:] = b"".join(aligned)
        self._starts = [offset]
        first, attributes = ffi.cast("CK_BYTE *", self._block), ffi.cast("CK_ATTRIBUTE *", self._block)
        for index, kind in enumerate(template):
            attributes[index] = (int(kind), first + offset, len(values[index]))
            offset += len(aligned[index])
            self._starts.append(offset)
        self.given = attributes, count
        self._home = home
        self._before = self._octets[:] if home is not None else None
        self._filled = False

    def fill(self, value: bytes) -> Packed:
        """Puts a value in the place of the last one of a fixed template, until the end of the block."""
        start = self._starts[-2]
        self._octets[start : start + len(value)] = value
        self._filled = True
        return self

    def __enter__(self) -> tuple[CData, int]:
        return self.given

    def __exit__(self, error: type[BaseException] | None, *_more: object) -> None:
        if self._home is None:
            self._octets[:] = bytes(len(self._octets))
            return
        if self._filled:
            self._octets[:], self._filled = self._before, False
        # A call that was given up may still be at it.
        if error is None and self._octets[:] == self._before:
            self._home.free.append(self)

    def told(self) -> list[bytes | None]:
        """What C_GetAttributeValue wrote over the values of a fixed template, which are put back: a secret that was
        made to be read must not stay. None where the token does not say.
        """
        found: list[bytes | None] = []
        (attributes, count), octets = self.given, self._octets
        for index in range(count):
            start, size = self._starts[index], attributes[index].ulValueLen
            found.append(None if size == CK_UNAVAILABLE_INFORMATION else octets[start : start + size])
        octets[:] = self._before
        return found


def _aligned(octets: bytes) -> bytes:
    """So that the next value begins where a CK_ULONG may."""
    return octets.ljust(-(-len(octets) // _CK_ULONG) * _CK_ULONG, b"\0")


def _octets_of(kind: Attribute, value: Any) -> bytes:
    # A label of other software is found by its octets, text or not.
    if isinstance(value, bytes):
        return value
    return _number(kind, value) if isinstance(value, int) else _MAPPER.pack_attribute(kind, value)


@lru_cache(maxsize=1024)
def _number(kind: Attribute, value: int) -> bytes:
    """A CK_ULONG or a CK_BBOOL: no secret is one."""
    return _MAPPER.pack_attribute(kind, value)


class FixedTemplate(dict[Attribute, Any]):
    """A template without secrets that is not changed any more, and packed once for each of those who use it at once."""

    def __init__(self, template: Template) -> None:
        super().__init__(template)
        self.free: list[Packed] = []

    def packed(self) -> Packed:
        try:
            return self.free.pop()
        except IndexError:
            return Packed(self, self)


class FilledTemplate(dict[Attribute, Any]):
    """A fixed template whose last value is one of the caller's."""

    def __init__(self, fixed: FixedTemplate, value: bytes) -> None:
        super().__init__(fixed)
        self[next(reversed(fixed))] = value
        self._fixed = fixed
        self._value = value

    def packed(self) -> Packed:
        return self._fixed.packed().fill(self._value)


def packed(template: Template) -> Packed:
    """A CK_ATTRIBUTE array and its length, for as long as the block lasts; its memory is wiped afterwards."""
    return template.packed() if isinstance(template, (FixedTemplate, FilledTemplate)) else Packed(template)


@lru_cache(maxsize=KEPT)
def room_for(kinds: tuple[Attribute, ...], room: int) -> FixedTemplate:
    """What C_GetAttributeValue is given for attributes that have `room` bytes each at most."""
    return FixedTemplate(dict.fromkeys(kinds, bytes(room)))


def secret(spec: SecretSpec, value: bytes | None = None, *, length: bool = False) -> Template:
    """A session secret key. value: its octets for an import. length: whether to say CKA_VALUE_LEN, for a generation."""
    return _secret(spec, length) if value is None else FilledTemplate(_secret_of(spec, len(value)), value)


@lru_cache(maxsize=KEPT)
def _secret_of(spec: SecretSpec, size: int) -> FixedTemplate:
    """With room for a value of so many bytes."""
    return FixedTemplate({**_secret(spec, False), Attribute.VALUE: bytes(size)})


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
    return _unwrapped(spec, spec.exportable and quirks.unwraps_extractable)


@lru_cache(maxsize=KEPT)
def _unwrapped(spec: SecretSpec | PairSpec, extractable_anyway: bool) -> FixedTemplate:
    template = dict(secret(spec) if isinstance(spec, SecretSpec) else private(spec))
    if extractable_anyway:
        del template[Attribute.EXTRACTABLE]
    return FixedTemplate(template)


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
