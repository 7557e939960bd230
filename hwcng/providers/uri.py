"""Provider URIs: pkcs11: (RFC 7512) and tpm2: (hwcng's own, on the generic syntax of RFC 3986), parsed and built.

Stricter than RFC 7512 where a mistake would go unnoticed: an attribute name that is neither the RFC's nor a vendor's
(x-... or vendor-...) is refused in the query too, and so is a vendor attribute given twice. The widths of PKCS#11's
fixed fields are not checked (an example of the RFC exceeds one): a value that is too long matches no token.
A PIN never gets into a message, a repr or a str.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias, cast

from hwcng.arguments import octets, string
from hwcng.errors import NTSTATUS, CngError

__all__ = [
    "Pin",
    "Pkcs11Uri",
    "ProviderUri",
    "TokenFields",
    "Tpm2Uri",
    "checked_pin",
    "parse_uri",
    "pin_file",
    "pin_of",
    "pin_value",
    "read_pin_source",
    "scheme_of",
]

Pin: TypeAlias = str | bytes | Callable[[], str | bytes]

_UNRESERVED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_PK11_RES_AVAIL = ":[]@!$'()*+,="
_PATH_CHARACTERS = frozenset(_UNRESERVED + _PK11_RES_AVAIL + "&")
_QUERY_CHARACTERS = frozenset(_UNRESERVED + _PK11_RES_AVAIL + "/?|")
# Any printable character may stand in a TCTI string as it is; what is built keeps to RFC 3986's path.
_TCTI_ACCEPTED = frozenset(map(chr, range(0x20, 0x7F))) - frozenset("?#%")
_TCTI_BUILT = frozenset(_UNRESERVED + "!$'()*+,;=:@/")

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_VENDOR_NAME = re.compile(r"(?:x|vendor)-[A-Za-z0-9_-]+")
_NO_OCTET = re.compile("[\ud800-\udc7f\udd00-\udfff]")
_DIGITS = re.compile(r"[0-9]+")
_VERSION = re.compile(r"([0-9]+)(?:\.([0-9]+))?")
_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FILE_URI = re.compile(r"file:(?://(?:localhost)?(?=/)|(?!//))(/.*)", re.IGNORECASE | re.DOTALL)

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
_PATH_NAMES = frozenset((*_PATH_TEXTS, "library-version", "slot-id", "id", "type"))
_QUERY_NAMES = ("pin-source", "pin-value", "module-name", "module-path")
_TPM2_NAMES = ("store", "owner-auth-source", "object")
_TYPES = frozenset(("public", "private", "cert", "secret-key", "data"))
_PIN_MARK = "pin-value="
_MAX_CK_ULONG = 2**64 - 1
_MAX_PIN_FILE = 4096


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
                _check_text(name, getattr(self, _field(name)))
        if self.type is not None and self.type not in _TYPES:
            raise _invalid(f"attribute type must be one of {', '.join(sorted(_TYPES))}")
        if self.slot_id is not None and not 0 <= self.slot_id <= _MAX_CK_ULONG:
            raise _invalid("attribute slot-id must be a decimal number that fits a CK_ULONG")
        if self.library_version is not None and not all(0 <= number <= 255 for number in self.library_version):
            raise _invalid("attribute library-version must be M or M.N, each a decimal number of one byte")
        if self.pin_source is not None and self.pin_value is not None:
            raise _invalid("attributes pin-source and pin-value exclude each other")
        # RFC 7512, section 2.4: a relative path would load whatever lies in the current directory.
        if self.module_path is not None and not self.module_path.startswith("/"):
            raise _invalid("attribute module-path must be an absolute path")
        for part in ("vendor_path", "vendor_query"):
            object.__setattr__(self, part, _checked_vendor(getattr(self, part)))

    def to_uri(self, *, with_pin: bool = False) -> str:
        """The URI, percent-encoded as the ABNF of RFC 7512 says. with_pin: whether pin-value is part of it."""
        path = [
            f"{name}={_value(value, _PATH_CHARACTERS)}"
            for name in _PATH_TEXTS
            if (value := getattr(self, _field(name))) is not None
        ]
        if self.library_version is not None:
            path.append("library-version={}.{}".format(*self.library_version))
        if self.slot_id is not None:
            path.append(f"slot-id={self.slot_id}")
        if self.id is not None:
            path.append("id=" + _quote(self.id, frozenset()))
        if self.type is not None:
            path.append(f"type={self.type}")
        path += [f"{name}={_value(value, _PATH_CHARACTERS)}" for name, value in self.vendor_path.items()]
        query = [
            f"{name}={_value(value, _QUERY_CHARACTERS)}"
            for name in _QUERY_NAMES
            if (value := getattr(self, _field(name))) is not None and (with_pin or name != "pin-value")
        ]
        query += [f"{name}={_value(value, _QUERY_CHARACTERS)}" for name, value in self.vendor_query.items()]
        return "pkcs11:" + ";".join(path) + ("?" + "&".join(query) if query else "")

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
        return (
            _same(self.library_manufacturer, manufacturer)
            and _same(self.library_description, description)
            and (self.library_version is None or "{}.{}".format(*self.library_version) == version)
        )


@dataclass(frozen=True, slots=True)
class Tpm2Uri:
    """A tpm2: URI: a TCTI string (TCG TSS 2.0 TCTI Loader), then ?store=...&owner-auth-source=...&object=...

    tcti: such as "device:/dev/tpmrm0", None for the system's default. store: directory of the key store.
    owner_auth_source: where the owner's authorisation value is read, as `read_pin_source` takes it. object: the name of
    a key. vendor_query: the vendor attributes, names x-... or vendor-...

    Raises CngError (STATUS_INVALID_PARAMETER) for a value that no such URI can hold.
    """

    tcti: str | None = None
    store: str | None = None
    owner_auth_source: str | None = None
    object: str | None = None
    vendor_query: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for attribute in fields(self):
            if attribute.name != "vendor_query":
                name, value = attribute.name.replace("_", "-"), getattr(self, attribute.name)
                _check_text(name, value)
                if value is not None and (not value or "\0" in value):
                    raise _invalid(f"attribute {name} must not be empty nor hold a NUL")
        object.__setattr__(self, "vendor_query", _checked_vendor(self.vendor_query))

    def to_uri(self) -> str:
        """The URI, percent-encoded (RFC 3986)."""
        tcti = _quote(self.tcti.encode(), _TCTI_BUILT) if self.tcti is not None else ""
        values = {name: getattr(self, _field(name)) for name in _TPM2_NAMES} | dict(self.vendor_query)
        query = [f"{name}={_value(value, _QUERY_CHARACTERS)}" for name, value in values.items() if value is not None]
        return f"tpm2:{tcti}" + ("?" + "&".join(query) if query else "")

    __str__ = to_uri


ProviderUri: TypeAlias = Pkcs11Uri | Tpm2Uri


def parse_uri(text: str) -> ProviderUri:
    """The provider that `text` names. The scheme is case-insensitive (RFC 3986), all else is not; blanks are refused.

    Raises CngError (STATUS_INVALID_PARAMETER) that names the wrong attribute and shows no value that may be secret.
    """
    text = string(text, "a provider URI")
    scheme = scheme_of(text)
    if scheme is None:
        raise _invalid("a provider URI begins with its scheme, pkcs11: or tpm2:")
    rest, _, query = text[len(scheme) + 1 :].partition("?")
    if scheme == "pkcs11":
        return _parse_pkcs11(rest, query)
    if scheme == "tpm2":
        return _parse_tpm2(rest, query)
    raise _invalid(f"the scheme {scheme}: names no provider; the schemes are pkcs11: and tpm2:")


def scheme_of(text: str) -> str | None:
    """The scheme that `text` begins with, in lower case; None where it begins with none (RFC 3986, section 3.1)."""
    found = _SCHEME.match(text)
    return found[1].lower() if found else None


def checked_pin(pin: object) -> Pin | None:
    """A PIN that the caller gave. Raises STATUS_INVALID_PARAMETER, which shows nothing of it, for what is none.

    What a callable returns is looked at when a login needs it.
    """
    if pin is not None and not callable(pin):
        pin_value(pin)
    return cast("Pin | None", pin)


def pin_value(value: object) -> bytes:
    """A PIN's octets. Raises STATUS_INVALID_PARAMETER, which shows nothing of it, for what is neither str nor bytes."""
    if isinstance(value, str):
        return string(value, "a PIN").encode()
    # bytes(1234) would be 1234 zero bytes, and a try at the PIN wasted on them.
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise _invalid(f"a PIN is str or bytes, or a callable that returns one, not {type(value).__name__}")
    return octets(value, "a PIN")


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


def read_pin_source(source: str) -> bytes:
    """The PIN that a pin-source or owner-auth-source means (RFC 7512, section 2.4; RFC 8089 for file:).

    source: file:/path, file:///path (percent-encoded), an absolute path as it is, or env:NAME. One newline at the end
    is not part of the PIN.

    Raises CngError (STATUS_INVALID_PARAMETER) for any other source and for one that is missing, unreadable or empty.
    """
    if source.startswith("|"):
        raise _invalid(
            "pin-source with a |command is refused: a URI must not be able to run a program; use file:/path or env:NAME"
        )
    if source.startswith("env:"):
        name = source[4:]
        if not _ENVIRONMENT_NAME.fullmatch(name):
            raise _invalid("pin-source env: must be followed by the name of an environment variable")
        value = os.environb.get(name.encode())
        value = value if value is None else _without_newline(value)
        if not value:
            raise _invalid(
                f"pin-source: the environment variable {name!r} is {'not set' if value is None else 'empty'}"
            )
        return value
    return _read_pin_file(_path_of(source))


def pin_file(source: str) -> bytes | None:
    """The path of the file that a pin-source names; None for one in the environment. Raises as `read_pin_source`."""
    return None if source.startswith("env:") else os.fsencode(_path_of(source))


def _path_of(source: str) -> str | bytes:
    if source.startswith("/"):
        return source
    if scheme_of(source) != "file":
        # Not shown: it may be the PIN itself, put in the wrong attribute.
        raise _invalid("pin-source must be file:/path, an absolute path or env:NAME")
    found = _FILE_URI.fullmatch(source)
    if found is None:
        raise _invalid(f"pin-source {source!r} has no absolute path on this host: write file:/path or file:///path")
    if "%" in _ESCAPE.sub("", found[1]):
        raise _invalid(f"pin-source {source!r} has a % without two hexadecimal digits")
    return _unquote(found[1])


def _read_pin_file(path: str | bytes) -> bytes:
    shown = repr(os.fsdecode(path))
    try:
        with open(path, "rb") as file:
            pin = file.read(_MAX_PIN_FILE + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a file name"
        raise _invalid(f"pin-source: cannot read {shown}: {reason}") from error
    if len(pin) > _MAX_PIN_FILE:
        raise _invalid(f"pin-source: {shown} is longer than {_MAX_PIN_FILE} bytes, no PIN")
    pin = _without_newline(pin)
    if not pin:
        raise _invalid(f"pin-source: {shown} is empty")
    return pin


def _without_newline(pin: bytes) -> bytes:
    return pin[:-2] if pin.endswith(b"\r\n") else pin.removesuffix(b"\n")


def _parse_pkcs11(path: str, query: str) -> Pkcs11Uri:
    values: dict[str, Any] = {}
    vendor_path: dict[str, str] = {}
    vendor_query: dict[str, str] = {}
    for name, raw in _attributes(path, ";", "path", _PATH_NAMES, _QUERY_NAMES):
        _refuse_swallowed_pin(name, raw)
        data = _decode(name, raw, _PATH_CHARACTERS)
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
            values[_field(name)] = _utf8(name, data)
        else:
            vendor_path[name] = _utf8(name, data)
    for name, raw in _attributes(query, "&", "query", _QUERY_NAMES, _PATH_NAMES):
        if name != "pin-value":
            _refuse_swallowed_pin(name, raw)
        text = _utf8(name, _decode(name, raw, _QUERY_CHARACTERS))
        if name in _QUERY_NAMES:
            values[_field(name)] = text
        else:
            vendor_query[name] = text
    return Pkcs11Uri(**values, vendor_path=vendor_path, vendor_query=vendor_query)


def _parse_tpm2(path: str, query: str) -> Tpm2Uri:
    for name in _TPM2_NAMES:
        if f"&{name}=" in path or f";{name}=" in path:
            raise _invalid(f"attribute {name} belongs in the query: write '?' before the first attribute")
    tcti = _utf8("tcti", _decode("tcti", path, _TCTI_ACCEPTED)) if path else None
    values: dict[str, str] = {}
    vendor: dict[str, str] = {}
    for name, raw in _attributes(query, "&", "query", _TPM2_NAMES, ()):
        text = _utf8(name, _decode(name, raw, _QUERY_CHARACTERS))
        if name in _TPM2_NAMES:
            values[_field(name)] = text
        else:
            vendor[name] = text
    return Tpm2Uri(tcti, vendor_query=vendor, **values)


def _attributes(
    text: str,
    separator: str,
    part: str,
    known: frozenset[str] | tuple[str, ...],
    elsewhere: frozenset[str] | tuple[str, ...],
) -> Iterator[tuple[str, str]]:
    """The (name, raw value) pairs of a path or query. Names that may be the rest of a PIN are told by position."""
    seen: set[str] = set()
    after_pin = False
    for position, attribute in enumerate(text.split(separator) if text else (), 1):
        name, equals, raw = attribute.partition("=")
        recognised = name in known or name in elsewhere or name.lower() == "pin-value"
        shown = (
            f"attribute {name!r}" if recognised or (equals and not after_pin) else f"attribute {position} of the {part}"
        )
        hint = "; is a '&' in pin-value not percent-encoded?" if after_pin and not recognised else ""
        if not name:
            raise _invalid(f"attribute {position} of the {part} has no name{hint}")
        if not equals:
            raise _invalid(f"{shown} has no '='{hint}")
        if name in elsewhere:
            raise _invalid(f"{shown} does not belong in the {part}{hint}")
        if name.lower() == "x-pin-value":
            raise _invalid("attribute x-pin-value is that of an old draft: write pin-value")
        if name not in known and not _VENDOR_NAME.fullmatch(name):
            raise _invalid(f"{shown} is unknown in the {part}; a vendor's attribute begins with x- or vendor-{hint}")
        if name in seen:
            raise _invalid(f"{shown} stands twice in the {part}{hint}")
        seen.add(name)
        after_pin = after_pin or name == "pin-value"
        yield name, raw


def _refuse_swallowed_pin(name: str, raw: str) -> None:
    # "&" for the first "?", or "?" for "&", would make the PIN part of a label or a path, and those are shown.
    if _PIN_MARK in raw:
        raise _invalid(
            f"attribute pin-value stands inside attribute {name}: "
            "the query begins with '?', its attributes are divided by '&'"
        )


def _decode(name: str, raw: str, accepted: frozenset[str]) -> bytes:
    for character in _ESCAPE.sub("", raw):
        if character == "%":
            raise _invalid(f"attribute {name} has a % without two hexadecimal digits")
        if character not in accepted:
            # What a PIN or a vendor's value holds is not told.
            open_name = name in _PATH_NAMES or name == "tcti"
            raise _invalid(
                f"attribute {name} has "
                + (f"the character {character!r}" if open_name else "a character")
                + " that must be percent-encoded"
            )
    return _unquote(raw)


def _unquote(raw: str) -> bytes:
    head, *escaped = raw.encode("utf-8", "surrogatepass").split(b"%")
    return head + b"".join(bytes([int(piece[:2], 16)]) + piece[2:] for piece in escaped)


def _quote(data: bytes, kept: frozenset[str]) -> str:
    return "".join(chr(octet) if chr(octet) in kept else f"%{octet:02X}" for octet in data)


def _value(value: str, kept: frozenset[str]) -> str:
    # Parsing refuses the mark inside a value, so one that really holds it is escaped more than the ABNF asks.
    return _quote(value.encode("utf-8", "surrogateescape"), kept).replace(_PIN_MARK, "pin-value%3D")


def _utf8(name: str, data: bytes) -> str:
    text = data.decode("utf-8", "surrogateescape")
    # No UnicodeDecodeError is raised, handled or chained: it would carry the octets of a PIN.
    if not _encodable(text):
        raise _invalid(f"attribute {name} is not UTF-8")
    return text


def _is_label(value: str | None) -> bool:
    """Whether it is what the octets of some CKA_LABEL are read as."""
    # A surrogate for an octet is one of these; two that make up a character together would be read as that.
    octets = (value or "").encode("utf-8", "surrogatepass" if _NO_OCTET.search(value or "") else "surrogateescape")
    return octets.decode("utf-8", "surrogateescape") == (value or "")


def _encodable(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _number(digits: str, reason: str) -> int:
    significant = digits.lstrip("0")
    # 20 digits hold any CK_ULONG; Python refuses to convert thousands of them.
    if not _DIGITS.fullmatch(digits) or len(significant) > 20:
        raise _invalid(f"attribute {reason}")
    return int(significant or "0")


def _check_text(name: str, value: str | None) -> None:
    if value is None:
        return
    if not _encodable(value):
        raise _invalid(f"attribute {name} is not UTF-8")
    if "\0" in value and name in ("module-name", "module-path", "pin-source"):
        raise _invalid(f"attribute {name} must not hold a NUL")


def _checked_vendor(attributes: Mapping[str, str]) -> Mapping[str, str]:
    for name, value in attributes.items():
        if not _VENDOR_NAME.fullmatch(name) or name.lower() == "x-pin-value":
            raise _invalid(f"attribute {name!r}: a vendor's attribute begins with x- or vendor-")
        _check_text(name, value)
    return MappingProxyType(dict(attributes))


def _same(wanted: str | None, found: str) -> bool:
    # RFC 7512, section 5: names outside US-ASCII may predate normalisation.
    return wanted is None or unicodedata.normalize("NFC", wanted) == unicodedata.normalize("NFC", found.rstrip(" "))


def _field(name: str) -> str:
    return name.replace("-", "_")


def _invalid(message: str) -> CngError:
    return CngError(NTSTATUS.STATUS_INVALID_PARAMETER, message)
