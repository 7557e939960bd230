"""The keys of a token as a listing shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from hwcng.contract.provider import KeyRecord
from hwcng.errors import CngError
from hwcng.providers.pkcs11.key_addresses import KeyAddress
from hwcng.providers.pkcs11.store.candidates import Shelf
from hwcng.providers.pkcs11.store.place import type_of
from hwcng.providers.pkcs11.store.specs import spec_of

__all__ = ["UriMaker", "records"]

UriMaker: TypeAlias = Callable[["str | None", "bytes | None", "str | None"], str]
"""Makes the URI of a key by its object, id and type."""


def records(shelves: Sequence[Shelf], uri_of: UriMaker) -> Iterator[KeyRecord]:
    """Kinds of keys that are not served are left out."""
    certified = {other.identifier for shelf in shelves for other in shelf.certificates if other.identifier}
    for shelf in shelves:
        candidates = shelf.candidates()
        for key in candidates:
            try:
                spec = spec_of(key.values, key.own)
            except CngError:
                continue
            address = shelf.address_of(key, len(candidates))
            name = address.name
            if address.label and name != address.label:
                name = KeyAddress(address.label).name
            beside = key.identifier in certified or bool(
                shelf.certificates and any(other in shelf.certificates for other in shelf.companions(key))
            )
            yield KeyRecord(
                name,
                spec,
                key.own.created if key.own is not None else None,
                beside,
                _other_name(address, name),
                uri_of(address.label, address.identifier, type_of(key.object_class)),
                key.identifier,
            )


def _other_name(address: KeyAddress, name: str) -> str | None:
    """By what the key is opened, where its name does not say it."""
    if address.label == name and address.identifier is None and address.type is None:
        return None
    return told if (told := address.name) != name else None
