"""pkcs11: URIs (RFC 7512), parsed and built.

The widths of PKCS#11's fixed fields are not checked (an example of the RFC exceeds one): a value that is too long
matches no token. A PIN is in no repr or str.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from hwcng.contract.pins import Pin
from hwcng.errors import invalid_parameter
from hwcng.providers.pin_sources import read_pin_source
from hwcng.providers.uri_syntax import (
    PK11_RES_AVAIL,
    QUERY_CHARACTERS,
    UNRESERVED,
    attributes,
    check_text,
    checked_vendor,
    decode,
    encoded,
    field_of,
    quote,
    refuse_swallowed_pin,
    utf8,
)

__all__ = ["Pkcs11Uri", "TokenFields", "parse", "pin_of"]

_PATH_CHARACTERS = frozenset(UNRESERVED + PK11_RES_AVAIL + "&")
_NOTHING: frozenset[str] = frozenset()

_NO_OCTET = re.compile("[\ud800-\udc7f\udd00-\udfff]")
_DIGITS = re.compile(r"[0-9]+")
_VERSION = re.compile(r"([0-9]+)(?:\.([0-9]+))?")

_PATH_TEXTS = (
    "token",
    "manufacturer",
    "serial",
    "model",
    "library-manufacturer",
    "library-description",
    "slot-manufacturer",
    "slot-description",
    "object",
)
_LIBRARY_VERSION = "library-version"
_PATH_NAMES = frozenset((*_PATH_TEXTS, _LIBRARY_VERSION, "slot-id", "id", "type"))
_QUERY_NAMES = ("pin-source", "pin-value", "module-name", "module-path")
_TYPES = frozenset(("public", "private", "cert", "secret-key", "data"))
_MAX_CK_ULONG = 2**64 - 1
_WITHOUT_NUL = ("module-name", "module-path", "pin-source")


class TokenFields(Protocol):
    """The part of CK_TOKEN_INFO that a URI can ask for; `hwcng.contract.capabilities.TokenInfo` is one."""

    @property
    def label(self) -> str: ...
    @property
    def manufacturer(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def serial(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Pkcs11Uri:
    """A pkcs11: URI (RFC 7512). None: the attribute is absent and matches everything; "": it matches an empty field.

    library_version: (major, minor), each 0 to 255. object: CKA_LABEL; octets that are no UTF-8 are surrogates, as
    Python's surrogateescape makes them. id: CKA_ID, bytes. type: "public", "private", "cert", "secret-key" or "data".
    pin_value: the PIN, in no repr. vendor_path, vendor_query: the vendor attributes, names x-... or vendor-...

    Raises CngError (STATUS_INVALID_PARAMETER) for a value that no such URI can hold.
    """

    scheme: ClassVar[str] = "pkcs11"

    token: str | None = None
    manufacturer: str | None = None
    serial: str | None = None
    model: str | None = None
    library_manufacturer: str | None = None
    library_description: str | None = None
    library_version: tuple[int, int] | None = None
    slot_manufacturer: str | None = None
    slot_description: str | None = None
    slot_id: int | None = None
    object: str | None = None
    id: bytes | None = None
    type: str | None = None
    pin_source: str | None = None
    pin_value: str | None = field(default=None, repr=False)
    module_name: str | None = None
    module_path: str | None = None
    vendor_path: Mapping[str, str] = field(default_factory=dict, hash=False)
    vendor_query: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for name in (*_PATH_TEXTS, *_QUERY_NAMES):
            if name != "object" or not _is_label(self.object):
                check_text(name, getattr(self, field_of(name)))
        for name in _WITHOUT_NUL:
            if "\0" in (getattr(self, field_of(name)) or ""):
                raise invalid_parameter(f"attribute {name} must not hold a NUL")
        if self.type is not None and self.type not in _TYPES:
            raise invalid_parameter(f"attribute type must be one of {', '.join(sorted(_TYPES))}")
        if self.slot_id is not None and not 0 <= self.slot_id <= _MAX_CK_ULONG:
            raise invalid_parameter("attribute slot-id must be a decimal number that fits a CK_ULONG")
        version = getattr(self, field_of(_LIBRARY_VERSION))
        if version is not None and not all(0 <= number <= 255 for number in version):
            raise invalid_parameter("attribute library-version must be M or M.N, each a decimal number of one byte")
        if self.pin_source is not None and self.pin_value is not None:
            raise invalid_parameter("attributes pin-source and pin-value exclude each other")
        # RFC 7512, section 2.4: a relative path would load whatever lies in the current directory.
        if self.module_path is not None and not self.module_path.startswith("/"):
            raise invalid_parameter("attribute module-path must be an absolute path")
        for part in ("vendor_path", "vendor_query"):
            object.__setattr__(self, part, checked_vendor(getattr(self, part)))

    def to_uri(self, *, with_pin: bool = False) -> str:
        """The URI, percent-encoded as the ABNF of RFC 7512 says. with_pin: whether pin-value is part of it."""
        return self.naming(with_pin=with_pin)(self.object, self.id, self.type)

    def naming(self, *, with_pin: bool = False) -> Callable[[str | None, bytes | None, str | None], str]:
        """`to_uri` of this URI with another object, id and type, which are not checked: all else is worked out once."""
        path = [
            f"{name}={encoded(value, _PATH_CHARACTERS)}"
            for name in _PATH_TEXTS
            if name != "object" and (value := getattr(self, field_of(name))) is not None
        ]
        version = getattr(self, field_of(_LIBRARY_VERSION))
        inner = [] if version is None else ["{}={}.{}".format(_LIBRARY_VERSION, *version)]
        if self.slot_id is not None:
            inner.append(f"slot-id={self.slot_id}")
        vendor = [f"{name}={encoded(value, _PATH_CHARACTERS)}" for name, value in self.vendor_path.items()]
        query = [
            f"{name}={encoded(value)}"
            for name in _QUERY_NAMES
            if (value := getattr(self, field_of(name))) is not None and (with_pin or name != "pin-value")
        ]
        query += [f"{name}={encoded(value)}" for name, value in self.vendor_query.items()]
        before, between, after = ("".join(f";{part}" for part in parts) for parts in (path, inner, vendor))
        end = "?" + "&".join(query) if query else ""

        def named(object: str | None, id: bytes | None, type: str | None) -> str:
            label = "" if object is None else f";object={encoded(object, _PATH_CHARACTERS)}"
            identifier = "" if id is None else f";id={quote(id, _NOTHING)}"
            kind = "" if type is None else f";type={type}"
            said = f"{before}{label}{between}{identifier}{kind}{after}"
            return f"{self.scheme}:{said[1:]}{end}"

        return named

    __str__ = to_uri

    def matches_token(self, token: TokenFields) -> bool:
        """Whether the URI means this token (RFC 7512, section 2.5); the token's fields may be blank-padded.

        A vendor attribute in the path is unknown here and therefore matches no token, as the RFC asks.
        """
        return (
            not self.vendor_path
            and _same(self.token, token.label)
            and _same(self.manufacturer, token.manufacturer)
            and _same(self.model, token.model)
            and _same(self.serial, token.serial)
        )

    def matches_slot(self, slot_id: int, description: str, manufacturer: str) -> bool:
        """Whether the URI means this slot: its CK_SLOT_ID and two fields of CK_SLOT_INFO, maybe blank-padded."""
        return (
            self.slot_id in (None, slot_id)
            and _same(self.slot_description, description)
            and _same(self.slot_manufacturer, manufacturer)
        )

    def matches_library(self, manufacturer: str, description: str, version: str) -> bool:
        """Whether the URI means this library: three fields of CK_INFO, version as "M.N"."""
        texts = {"library-manufacturer": manufacturer, "library-description": description}
        wanted = getattr(self, field_of(_LIBRARY_VERSION))
        return all(_same(getattr(self, field_of(name)), said) for name, said in texts.items()) and (
            wanted is None or "{}.{}".format(*wanted) == version
        )


def parse(rest: str) -> Pkcs11Uri:
    """The URI whose text after the scheme and its colon is `rest`.

    Raises CngError (STATUS_INVALID_PARAMETER) that names the wrong attribute and shows no value that may be secret.
    """
    path, _, query = rest.partition("?")
    values: dict[str, Any] = {}
    vendor_path: dict[str, str] = {}
    vendor_query: dict[str, str] = {}
    for name, raw in attributes(path, ";", "path", _PATH_NAMES, _QUERY_NAMES):
        refuse_swallowed_pin(name, raw)
        data = decode(name, raw, _PATH_CHARACTERS, shown=name in _PATH_NAMES)
        if name == "id":
            values[name] = data
        elif name == "type":
            # The ABNF spells the types out: an escape in one is no type.
            values[name] = raw
        elif name == "slot-id":
            values["slot_id"] = _number(raw, "slot-id must be a decimal number that fits a CK_ULONG")
        elif name == "library-version":
            reason = "library-version must be M or M.N, each a decimal number of one byte"
            major, minor = found.groups("0") if (found := _VERSION.fullmatch(raw)) else ("", "")
            values["library_version"] = (_number(major, reason), _number(minor, reason))
        elif name == "object":
            values[name] = data.decode("utf-8", "surrogateescape")
        elif name in _PATH_NAMES:
            values[field_of(name)] = utf8(name, data)
        else:
            vendor_path[name] = utf8(name, data)
    for name, raw in attributes(query, "&", "query", _QUERY_NAMES, _PATH_NAMES):
        if name != "pin-value":
            refuse_swallowed_pin(name, raw)
        text = utf8(name, decode(name, raw, QUERY_CHARACTERS))
        if name in _QUERY_NAMES:
            values[field_of(name)] = text
        else:
            vendor_query[name] = text
    return Pkcs11Uri(**values, vendor_path=vendor_path, vendor_query=vendor_query)


def pin_of(uri: Pkcs11Uri, pin: Pin | None = None) -> Pin | None:
    """The PIN to log in with: `pin` where given, else what pin-value or pin-source of the URI says, else None.

    A pin-source comes back as a callable, so that it is read when a login needs it, and may then raise CngError
    (STATUS_INVALID_PARAMETER).
    """
    if pin is not None:
        return pin
    source = uri.pin_source
    if source is not None:
        return lambda: read_pin_source(source)
    return uri.pin_value


def _is_label(value: str | None) -> bool:
    """Whether it is what the octets of some CKA_LABEL are read as."""
    # A surrogate for an octet is one of these; two that make up a character together would be read as that.
    if (value or "").isascii():
        return True
    octets = (value or "").encode("utf-8", "surrogatepass" if _NO_OCTET.search(value or "") else "surrogateescape")
    return octets.decode("utf-8", "surrogateescape") == (value or "")


def _number(digits: str, reason: str) -> int:
    significant = digits.lstrip("0")
    # 20 digits hold any CK_ULONG; Python refuses to convert thousands of them.
    if not _DIGITS.fullmatch(digits) or len(significant) > 20:
        raise invalid_parameter(f"attribute {reason}")
    return int(significant or "0")


def _same(wanted: str | None, found: str) -> bool:
    # RFC 7512, section 5: names outside US-ASCII may predate normalisation.
    return wanted is None or unicodedata.normalize("NFC", wanted) == unicodedata.normalize("NFC", found.rstrip(" "))
