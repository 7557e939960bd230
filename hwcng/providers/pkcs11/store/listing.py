"""The keys of a token as a listing shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TypeAlias

from hwcng.contract.provider import KeyRecord
from hwcng.contract.specs import PairSpec, SecretSpec
from hwcng.errors import CngError
from hwcng.providers.pkcs11.key_addresses import KeyAddress, says_all
from hwcng.providers.pkcs11.store.candidates import Shelf, Stored
from hwcng.providers.pkcs11.store.place import type_of
from hwcng.providers.pkcs11.store.specs import spec_of

__all__ = ["UriMaker", "records"]

UriMaker: TypeAlias = Callable[["str | None", "bytes | None", "str | None"], str]
"""Makes the URI of a key by its object, id and type."""


def records(shelves: Sequence[Shelf], uri_of: UriMaker) -> Iterator[KeyRecord]:
    """Kinds of keys that are not served are left out."""
    certified = {other.identifier for shelf in shelves for other in shelf.certificates if other.identifier}
    known: dict[int, SecretSpec | PairSpec | None] = {}
    for shelf in shelves:
        candidates = shelf.candidates()
        for key in candidates:
            spec = _spec_of(key, known)
            if spec is None:
                continue
            name, other_name, uri = _names(shelf, key, len(candidates), uri_of)
            beside = key.identifier in certified or bool(
                shelf.certificates and any(other in shelf.certificates for other in shelf.companions(key))
            )
            yield KeyRecord(
                name,
                spec,
                key.own.created if key.own is not None else None,
                beside,
                other_name,
                uri,
                key.identifier,
            )


def _spec_of(key: Stored, known: dict[int, SecretSpec | PairSpec | None]) -> SecretSpec | PairSpec | None:
    """None where it is not served. known: by the values of keys of other software, which those that are alike share."""
    values = id(key.values)
    if key.own is None and values in known:
        return known[values]
    spec = None
    with suppress(CngError):
        spec = spec_of(key.values, key.own)
    if key.own is None:
        known[values] = spec
    return spec


def _names(shelf: Shelf, key: Stored, candidates: int, uri_of: UriMaker) -> tuple[str, str | None, str]:
    """The key's name, by what it is opened where that does not say it, and its URI."""
    label, kind = shelf.name, type_of(key.object_class)
    if candidates == 1 and says_all(label):
        return label, None, uri_of(label, None, kind)
    address = shelf.address_of(key, candidates)
    name = address.name
    if address.label and name != address.label:
        name = KeyAddress(address.label).name
    return name, _other_name(address, name), uri_of(address.label, address.identifier, kind)


def _other_name(address: KeyAddress, name: str) -> str | None:
    """By what the key is opened, where its name does not say it."""
    if address.label == name and address.identifier is None and address.type is None:
        return None
    return told if (told := address.name) != name else None
