"""tpm2: URIs, hwcng's own on the generic syntax of RFC 3986, parsed and built."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import ClassVar

from hwcng.errors import invalid_parameter
from hwcng.providers.uri_syntax import (
    QUERY_CHARACTERS,
    UNRESERVED,
    attributes,
    check_text,
    checked_vendor,
    decode,
    encoded,
    field_of,
    quote,
    utf8,
)

__all__ = ["Tpm2Uri", "parse"]

# Any printable character may stand in a TCTI string as it is; what is built keeps to RFC 3986's path.
_TCTI_ACCEPTED = frozenset(map(chr, range(0x20, 0x7F))) - frozenset("?#%")
_TCTI_BUILT = frozenset(UNRESERVED + "!$'()*+,;=:@/")
_PERSISTENT = re.compile("0[xX]81[0-9a-fA-F]{6}")
_NAMES = ("store", "owner-auth-source", "root-auth-source", "endorsement-auth-source", "object", "handle")


@dataclass(frozen=True, slots=True)
class Tpm2Uri:
    """A tpm2: URI: a TCTI string (TCG TSS 2.0 TCTI Loader), then ?store=...&owner-auth-source=...&object=...

    tcti: such as "device:/dev/tpmrm0", None for the system's default. store: directory of the key store.
    owner_auth_source: where the owner's authorisation value is read, as `read_pin_source` takes it, root_auth_source
    that of the storage root key, endorsement_auth_source that of the endorsement hierarchy. object: the name of a key.
    handle: a persistent handle in hexadecimal, at which a key is. vendor_query: the vendor attributes, names x-... or
    vendor-...

    Raises CngError (STATUS_INVALID_PARAMETER) for a value that no such URI can hold.
    """

    scheme: ClassVar[str] = "tpm2"

    tcti: str | None = None
    store: str | None = None
    owner_auth_source: str | None = None
    object: str | None = None
    vendor_query: Mapping[str, str] = field(default_factory=dict, hash=False)
    handle: str | None = None
    root_auth_source: str | None = None
    endorsement_auth_source: str | None = None

    def __post_init__(self) -> None:
        for attribute in fields(self):
            if attribute.name != "vendor_query":
                name, value = attribute.name.replace("_", "-"), getattr(self, attribute.name)
                check_text(name, value)
                if value is not None and (not value or "\0" in value):
                    raise invalid_parameter(f"attribute {name} must not be empty nor hold a NUL")
        if self.handle is not None and _PERSISTENT.fullmatch(self.handle) is None:
            raise invalid_parameter("attribute handle is a persistent handle, such as 0x81010005")
        if self.handle is not None and self.object is not None:
            raise invalid_parameter("attributes handle and object both say which key: write one of them")
        object.__setattr__(self, "vendor_query", checked_vendor(self.vendor_query))

    @property
    def key_name(self) -> str | None:
        """The name by which a provider opens the key that the URI means, None where it means none."""
        return self.object if self.handle is None else f"handle:{self.handle.lower()}"

    def to_uri(self) -> str:
        """The URI, percent-encoded (RFC 3986)."""
        tcti = quote(self.tcti.encode(), _TCTI_BUILT) if self.tcti is not None else ""
        values = {name: getattr(self, field_of(name)) for name in _NAMES} | dict(self.vendor_query)
        query = [f"{name}={encoded(value)}" for name, value in values.items() if value is not None]
        return f"{self.scheme}:{tcti}" + ("?" + "&".join(query) if query else "")

    __str__ = to_uri


def parse(rest: str) -> Tpm2Uri:
    """The URI whose text after the scheme and its colon is `rest`.

    Raises CngError (STATUS_INVALID_PARAMETER) that names the wrong attribute and shows no value that may be secret.
    """
    path, _, query = rest.partition("?")
    for name in _NAMES:
        if f"&{name}=" in path or f";{name}=" in path:
            raise invalid_parameter(f"attribute {name} belongs in the query: write '?' before the first attribute")
    tcti = utf8("tcti", decode("tcti", path, _TCTI_ACCEPTED, shown=True)) if path else None
    values: dict[str, str] = {}
    vendor: dict[str, str] = {}
    for name, raw in attributes(query, "&", "query", _NAMES):
        text = utf8(name, decode(name, raw, QUERY_CHARACTERS))
        if name in _NAMES:
            values[field_of(name)] = text
        else:
            vendor[name] = text
    return Tpm2Uri(tcti, vendor_query=vendor, **values)
