"""What the URIs of all providers have in common: scheme, percent-encoding and attributes (RFC 3986, RFC 7512).

Stricter than RFC 7512 where a mistake would go unnoticed: an attribute name that is neither known nor a vendor's
(x-... or vendor-...) is refused in the query too, and so is a vendor attribute given twice. A PIN never gets into a
message.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from types import MappingProxyType

from hwcng.errors import invalid_parameter

__all__ = [
    "ESCAPE",
    "PK11_RES_AVAIL",
    "QUERY_CHARACTERS",
    "UNRESERVED",
    "attributes",
    "check_text",
    "checked_vendor",
    "decode",
    "encoded",
    "field_of",
    "quote",
    "refuse_swallowed_pin",
    "scheme_of",
    "unquote",
    "utf8",
]

UNRESERVED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
PK11_RES_AVAIL = ":[]@!$'()*+,="
"""pk11-res-avail of RFC 7512's ABNF."""
QUERY_CHARACTERS = frozenset(UNRESERVED + PK11_RES_AVAIL + "/?|")
"""pk11-qchar, what stands in a query as it is."""

ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_VENDOR_NAME = re.compile(r"(?:x|vendor)-[A-Za-z0-9_-]+")
_SURROGATE = re.compile("[\ud800-\udfff]")
_PIN_MARK = "pin-value="


def scheme_of(text: str) -> str | None:
    """The scheme that `text` begins with, in lower case; None where it begins with none (RFC 3986, section 3.1)."""
    found = _SCHEME.match(text)
    return found[1].lower() if found else None


def attributes(
    text: str, separator: str, part: str, known: Collection[str], elsewhere: Collection[str] = ()
) -> Iterator[tuple[str, str]]:
    """The (name, raw value) pairs of a path or query. Names that may be the rest of a PIN are told by position.

    part: "path" or "query", for messages. known: the names that may stand here; elsewhere: those of the other part.
    """
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
            raise invalid_parameter(f"attribute {position} of the {part} has no name{hint}")
        if not equals:
            raise invalid_parameter(f"{shown} has no '='{hint}")
        if name in elsewhere:
            raise invalid_parameter(f"{shown} does not belong in the {part}{hint}")
        if name.lower() == "x-pin-value":
            raise invalid_parameter("attribute x-pin-value is that of an old draft: write pin-value")
        if name not in known and not _VENDOR_NAME.fullmatch(name):
            raise invalid_parameter(
                f"{shown} is unknown in the {part}; a vendor's attribute begins with x- or vendor-{hint}"
            )
        if name in seen:
            raise invalid_parameter(f"{shown} stands twice in the {part}{hint}")
        seen.add(name)
        after_pin = after_pin or name == "pin-value"
        yield name, raw


def refuse_swallowed_pin(name: str, raw: str) -> None:
    """Raises where the value of another attribute holds a PIN.

    "&" for the first "?", or "?" for "&", would make it part of a label or a path, and those are shown.
    """
    if _PIN_MARK in raw:
        raise invalid_parameter(
            f"attribute pin-value stands inside attribute {name}: "
            "the query begins with '?', its attributes are divided by '&'"
        )


def decode(name: str, raw: str, accepted: frozenset[str], *, shown: bool = False) -> bytes:
    """The octets of a value. shown: whether a wrong character of it may be told: no PIN and no vendor's value."""
    for character in ESCAPE.sub("", raw):
        if character == "%":
            raise invalid_parameter(f"attribute {name} has a % without two hexadecimal digits")
        if character not in accepted:
            raise invalid_parameter(
                f"attribute {name} has "
                + (f"the character {character!r}" if shown else "a character")
                + " that must be percent-encoded"
            )
    return unquote(raw)


def unquote(raw: str) -> bytes:
    """The octets of a text whose escapes are whole."""
    head, *escaped = raw.encode("utf-8", "surrogatepass").split(b"%")
    return head + b"".join(bytes([int(piece[:2], 16)]) + piece[2:] for piece in escaped)


@cache
def _escapes(kept: frozenset[str]) -> list[str]:
    return [chr(octet) if chr(octet) in kept else f"%{octet:02X}" for octet in range(256)]


def quote(data: bytes, kept: frozenset[str]) -> str:
    """`data` percent-encoded but for the characters that are kept."""
    escapes = _escapes(kept)
    return "".join([escapes[octet] for octet in data])


def encoded(text: str, kept: frozenset[str] = QUERY_CHARACTERS) -> str:
    """An attribute's value percent-encoded; surrogates are octets that are no UTF-8, as surrogateescape makes them."""
    if not text.strip(UNRESERVED):
        return text
    # Parsing refuses the mark inside a value, so one that really holds it is escaped more than the ABNF asks.
    return quote(text.encode("utf-8", "surrogateescape"), kept).replace(_PIN_MARK, "pin-value%3D")


def utf8(name: str, data: bytes) -> str:
    """An attribute's text. Raises STATUS_INVALID_PARAMETER for octets that are no UTF-8."""
    text = data.decode("utf-8", "surrogateescape")
    # No UnicodeDecodeError is raised, handled or chained: it would carry the octets of a PIN.
    if not _encodable(text):
        raise invalid_parameter(f"attribute {name} is not UTF-8")
    return text


def _encodable(text: str) -> bool:
    return text.isascii() or _SURROGATE.search(text) is None


def check_text(name: str, text: str | None) -> None:
    """Raises STATUS_INVALID_PARAMETER for a text that no URI can hold."""
    if text is not None and not _encodable(text):
        raise invalid_parameter(f"attribute {name} is not UTF-8")


def checked_vendor(given: Mapping[str, str]) -> Mapping[str, str]:
    """Vendor attributes, their names x-... or vendor-..., in a mapping of their own that nobody can change."""
    for name, text in given.items():
        if not _VENDOR_NAME.fullmatch(name) or name.lower() == "x-pin-value":
            raise invalid_parameter(f"attribute {name!r}: a vendor's attribute begins with x- or vendor-")
        check_text(name, text)
    return MappingProxyType(dict(given))


def field_of(name: str) -> str:
    """The field of a URI's record that holds the attribute."""
    return name.replace("-", "_")
