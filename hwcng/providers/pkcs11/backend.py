"""PKCS#11 tokens as they are found before one is open: by pkcs11: URIs (RFC 7512)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import fields, replace

from hwcng.contract.backend import Backend
from hwcng.contract.pins import Pin
from hwcng.contract.places import Absence, FoundToken, Place
from hwcng.contract.provider import KeyRecord, Provider
from hwcng.errors import NTSTATUS, CngError
from hwcng.loading import load
from hwcng.providers.pin_sources import pin_file
from hwcng.providers.pkcs11.key_addresses import KeyAddress
from hwcng.providers.pkcs11.uri import Pkcs11Uri, parse, pin_of
from hwcng.providers.timeouts import with_timeout

__all__ = ["BACKEND"]

_OF_A_TOKEN = ("token", "serial", "model", "manufacturer", "slot_id")
_OF_THE_OBJECT = ("object", "id", "type")
_OF_THE_WAY = ("pin_source", "pin_value", "module_name", "module_path", "vendor_path", "vendor_query")
_CERTIFICATE = "cert"


class _Pkcs11(Backend[Pkcs11Uri]):
    scheme = Pkcs11Uri.scheme
    description = "a PKCS#11 token: HSM, smart card, SoftHSM, NSS"
    modules = ("hwcng.providers.pkcs11.provider",)
    packages = ("_cffi_backend", "asn1crypto", "cffi", "pkcs11")
    requirement = "hwcng[pkcs11]"

    def parse(self, rest: str) -> Pkcs11Uri:
        return parse(rest)

    def open(self, uri: Pkcs11Uri, *, pin: Pin | None, allow_raw_secret: bool) -> Provider:
        from hwcng.providers.pkcs11.provider import open_uri

        return open_uri(uri, pin=pin, allow_raw_secret=allow_raw_secret)

    def split(self, uri: Pkcs11Uri) -> tuple[Pkcs11Uri, str]:
        name = KeyAddress.of_uri(uri).name
        if uri.vendor_path:
            raise CngError(
                NTSTATUS.STATUS_NOT_FOUND,
                f"no token matches a URI with {', '.join(uri.vendor_path)} in its path: it is unknown here, and every "
                "attribute there has to match (RFC 7512, section 2.5)",
            )
        return replace(uri, object=None, id=None, type=None), name

    def names_a_key(self, uri: Pkcs11Uri) -> bool:
        return uri.object is not None or uri.id is not None

    def shown_name(self, uri: Pkcs11Uri) -> str:
        # Every URI of a key has its type, which seldom belongs to the name.
        return KeyAddress.of_uri(uri)._replace(type=None).name

    def key_of_certificate(self, uri: Pkcs11Uri) -> Pkcs11Uri:
        return replace(uri, type=None) if uri.type == _CERTIFICATE else uri

    def pin_in(self, uri: Pkcs11Uri) -> Pin | None:
        return pin_of(uri)

    def settings(self, uri: Pkcs11Uri) -> Sequence[str]:
        return ("pin-source", "quirks", "timeout")

    def with_setting(self, uri: Pkcs11Uri, name: str, value: str) -> Pkcs11Uri:
        if name == "pin-source":
            return replace(uri, pin_source=value)
        if name == "timeout":
            return with_timeout(uri, value)
        return replace(uri, vendor_query={**uri.vendor_query, f"x-{name}": value})

    def require_sources(self, uri: Pkcs11Uri) -> None:
        if uri.pin_source is not None:
            pin_file(uri.pin_source)

    def same_token(self, one: Pkcs11Uri, other: Pkcs11Uri, *, by_module: bool = True) -> bool:
        # A vendor's attribute may say which token too: NSS softokn's says which database.
        for name, value in one.vendor_query.items():
            if other.vendor_query.get(name, value) != value:
                return False
        for attribute in fields(Pkcs11Uri):
            if attribute.name not in (*_OF_THE_OBJECT, *_OF_THE_WAY):
                first, second = getattr(one, attribute.name), getattr(other, attribute.name)
                if first is not None and second is not None and first != second:
                    return False
        if not by_module:
            return True
        # Where both files are here: the other host's may be elsewhere.
        paths = {os.path.realpath(uri.module_path) for uri in (one, other) if uri.module_path is not None}
        return len(paths) < 2 or not all(os.path.exists(path) for path in paths)

    def places(self, known: Sequence[Pkcs11Uri], named: Sequence[str]) -> Sequence[Place]:
        load("hwcng.providers.pkcs11.survey")
        from hwcng.providers.pkcs11.survey import candidates

        return candidates(known, named)

    def absence(self) -> Absence:
        load("hwcng.providers.pkcs11.survey")
        from hwcng.providers.pkcs11.survey import ABSENCE

        return ABSENCE

    def look(self, where: str) -> tuple[str, list[FoundToken]]:
        load("hwcng.providers.pkcs11.survey")
        from hwcng.providers.pkcs11.survey import look

        return look(where)

    def visible_keys(self, uri: Pkcs11Uri) -> list[KeyRecord]:
        load("hwcng.providers.pkcs11.survey")
        from hwcng.providers.pkcs11.survey import visible_keys

        return visible_keys(uri)

    def is_vague(self, uri: Pkcs11Uri) -> bool:
        return all(getattr(uri, name) is None for name in _OF_A_TOKEN)

    def told_apart_by(self, uri: Pkcs11Uri) -> str:
        return "token= or serial="

    def in_common(self, one: Pkcs11Uri, other: Pkcs11Uri) -> int:
        values = ((getattr(one, name), getattr(other, name)) for name in _OF_A_TOKEN)
        return sum(first is not None and first == second for first, second in values)


BACKEND = _Pkcs11()
