"""Token objects by name, and which of several is the key (PKCS#11 3.2, sections 4.4 and 5.7).

A key is stored by one call that makes its private or secret object, whose CKA_ID names the key that it replaces. So
there is no moment without a key and none with half of one: what another object replaces is a leftover, and so is a
public object of hwcng's that no private one belongs to.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from pkcs11 import Attribute, ObjectClass

from hwcng.contract.specs import describe
from hwcng.contract.usage import Usage
from hwcng.errors import HRESULT, CngError
from hwcng.providers.pkcs11 import objects
from hwcng.providers.pkcs11.connection import Connection
from hwcng.providers.pkcs11.families.values import ULONG, Values
from hwcng.providers.pkcs11.key_addresses import KeyAddress
from hwcng.providers.pkcs11.keys.opaque_blob import AUTHENTICATION_LABEL, WRAPPING_LABEL
from hwcng.providers.pkcs11.store.attributes import AttributeReader
from hwcng.providers.pkcs11.store.ids import NOTHING, KeyId, parse_id, tag_of
from hwcng.providers.pkcs11.store.place import type_of
from hwcng.providers.pkcs11.store.specs import READ, spec_of

__all__ = [
    "RESERVED_NAMES",
    "Shelf",
    "Stored",
    "find_named",
    "require_sight",
    "shelf_at",
    "shelf_of",
    "shelves",
]

RESERVED_NAMES = frozenset({WRAPPING_LABEL, AUTHENTICATION_LABEL})
"""Labels of hwcng's own token objects, which are nobody's keys."""

_KEYS = frozenset({int(ObjectClass.PRIVATE_KEY), int(ObjectClass.SECRET_KEY)})
_PUBLIC, _CERTIFICATE = int(ObjectClass.PUBLIC_KEY), int(ObjectClass.CERTIFICATE)
_CLASSES = {number.to_bytes(ULONG, sys.byteorder): number for number in (*_KEYS, _PUBLIC, _CERTIFICATE)}
_LIST_BATCH = 4096
_LOOKS = 3
_READER = AttributeReader(READ)


class Stored(NamedTuple):
    """A token object and what was read of it. own: what its CKA_ID says where hwcng made it.

    name: CKA_LABEL, octets that are no UTF-8 as surrogates; "" where there is none.
    """

    handle: int
    object_class: int
    name: str
    identifier: bytes
    values: Values
    own: KeyId | None = None

    def __repr__(self) -> str:
        return f"<{self.address.name!r} at {self.handle}>"

    @property
    def tag(self) -> bytes:
        return tag_of(self.object_class, self.identifier)

    @property
    def address(self) -> KeyAddress:
        """Everything that can be said of which key it is."""
        return KeyAddress(self.name, self.identifier, type_of(self.object_class))

    def fits(self, address: KeyAddress | None) -> bool:
        """Whether it is a key, and meant."""
        if self.object_class not in _KEYS:
            return False
        return address is None or address.fits(self.name, self.identifier, type_of(self.object_class))


class Shelf(NamedTuple):
    """What a token holds under one label, "" for none. keys: private and secret objects. elsewhere: the CKA_IDs that
    keys of other labels have. unread: whether what was found could not be read, as it went or changed at that moment.
    """

    name: str
    keys: tuple[Stored, ...] = ()
    publics: tuple[Stored, ...] = ()
    certificates: tuple[Stored, ...] = ()
    elsewhere: frozenset[bytes] = frozenset()
    unread: bool = False

    @classmethod
    def of(
        cls, name: str, found: Sequence[Stored], elsewhere: frozenset[bytes] = frozenset(), *, unread: bool = False
    ) -> Shelf:
        """found: all that lies on it."""
        if not found or (len(found) == 1 and found[0].object_class in _KEYS):
            return cls(name, tuple(found), (), (), elsewhere, unread)
        keys = tuple(stored for stored in found if stored.object_class in _KEYS)
        publics = tuple(stored for stored in found if stored.object_class == _PUBLIC)
        certificates = tuple(stored for stored in found if stored.object_class == _CERTIFICATE)
        return cls(name, keys, publics, certificates, elsewhere, unread)

    @property
    def handles(self) -> frozenset[int]:
        return frozenset(stored.handle for stored in (*self.keys, *self.publics, *self.certificates))

    def candidates(self, address: KeyAddress | None = None) -> list[Stored]:
        """The keys that no other one replaces; those that are meant, where an address is given."""
        if len(self.keys) < 2:
            return [key for key in self.keys if address is None or key.fits(address)]
        given_way = []
        for key in self.keys:
            replaced = [other for other in self.keys if key.own and other is not key and other.tag == key.own.replaces]
            # A replacement takes the place of one key, so of two that fit neither has given way for sure.
            given_way += replaced if len(replaced) == 1 else []
        return [key for key in self.keys if key not in given_way and key.fits(address)]

    def address_of(self, key: Stored, candidates: int | None = None) -> KeyAddress:
        """The least that says which key it is: the label, where no other key has it; without one the CKA_ID.

        candidates: how many there are, where that is known.
        """
        if self.name:
            return KeyAddress(self.name) if (candidates or len(self.candidates())) == 1 else key.address
        alone = key.identifier and key.identifier not in self.elsewhere
        return key.address._replace(label=None) if alone else key.address

    @property
    def contested(self) -> bool:
        """Whether hosts may be storing keys of this name at this moment: all but one of those that replace the same one
        take theirs back soon, and one that replaces what was taken back ends what that was to replace.
        """
        candidates = self.candidates()
        if len(candidates) < 2:
            return False
        replaced = [key.own.replaces if key.own is not None else None for key in candidates]
        there = {NOTHING, None, *(key.tag for key in self.keys)}
        return (len(set(replaced)) == 1 and None not in replaced) or not there.issuperset(replaced)

    def unsettled(self, address: KeyAddress) -> bool:
        """Whether another look may tell which key is meant, or that there is one."""
        candidates = self.candidates(address)
        return (self.contested and len(candidates) > 1) or (self.unread and not candidates)

    def current(self, address: KeyAddress | None = None) -> Stored | None:
        """The key of this name, or of the address; None where there is none.

        Raises NTE_KEYSET_ENTRY_BAD where there are several.
        """
        candidates = self.candidates(address)
        if len(candidates) > 1:
            raise CngError(
                HRESULT.NTE_KEYSET_ENTRY_BAD,
                f"the token has {len(candidates)} keys named {(address or KeyAddress(self.name)).name!r}: "
                f"{', '.join(map(_told, candidates))}; {_way_out(candidates)}",
            )
        return candidates[0] if candidates else None

    def leftovers(self, newest: Stored | None = None) -> list[Stored]:
        """The keys that gave way to `newest`, or else to the current one, and are still there, oldest first: nothing
        else may end sooner.
        """
        chain: list[Stored] = []
        newest = newest or self.current()
        while newest is not None and newest.own is not None:
            replaces = newest.own.replaces
            newest = next((key for key in self.keys if key.tag == replaces and key not in chain), None)
            chain += [newest] if newest is not None else []
        return chain[::-1]

    def companions(self, key: Stored) -> list[Stored]:
        """The public and certificate objects that go with a key."""
        if not key.identifier and not self.name:
            return []
        return [other for other in (*self.publics, *self.certificates) if other.identifier == key.identifier]


def _told(key: Stored) -> str:
    """Which key it is, for a person who has to choose."""
    try:
        spec = spec_of(key.values, key.own)
    except CngError:
        return f"{key.address.name} (not served)"
    usage = ", ".join(flag.name for flag in Usage if flag & spec.usage and flag.name) or "no use"
    return f"{key.address.name} ({describe(spec)}: {usage})"


def _way_out(candidates: Sequence[Stored]) -> str:
    if len({key.address for key in candidates}) == len(candidates):
        return (
            "open the one that is meant by one of these names, or rename or remove all but one with the tool that made "
            "them"
        )
    return "nothing tells them apart: give each a CKA_ID of its own with the tool that made them, or remove all but one"


def _stored(handle: int, label: bytes, identifier: bytes, values: Mapping[Attribute, bytes]) -> Stored | None:
    object_class = _CLASSES.get(values.get(Attribute.CLASS, b""))
    name = label.decode("utf-8", "surrogateescape")
    if object_class is None or name in RESERVED_NAMES:
        return None
    return Stored(handle, object_class, name, identifier, values, parse_id(name, identifier))


class _Readings:
    """The objects of some handles, read as they are asked for. unread: whether one of them could not be read."""

    def __init__(self, connection: Connection, handles: Sequence[int]) -> None:
        self._connection = connection
        self._handles = handles
        self.unread = False

    def __iter__(self) -> Iterator[Stored]:
        each = _READER.read_each(self._connection, self._handles)
        for handle, read in zip(self._handles, each, strict=True):
            if read is None:
                # It is gone, or not to be seen any more, or somebody writes it.
                require_sight(self._connection)
                self.unread = True
            elif (stored := _stored(handle, *read)) is not None:
                yield stored


def require_sight(connection: Connection) -> None:
    """Asks whether what was not found is not there: a session sees no private object that is not logged in, and nothing
    of a token that was removed. Raises where that is not known.
    """
    if not connection.sees_all():
        connection.require_alive()


def find_named(connection: Connection, name: str) -> list[int]:
    """The handles of all token objects of a name: three calls."""
    return objects.find(connection, {Attribute.TOKEN: True, Attribute.LABEL: name.encode("utf-8", "surrogateescape")})


def shelf_of(connection: Connection, name: str) -> Shelf:
    """One search, and one read for each object found."""
    readings = _Readings(connection, find_named(connection, name))
    found = [stored for stored in readings if stored.name == name]
    return Shelf.of(name, found, unread=readings.unread)


def shelf_at(connection: Connection, address: KeyAddress) -> Shelf:
    """What lies beside the key that is meant. By its label as `shelf_of`; without one by its CKA_ID, and then once more
    by the label of what was found.
    """
    if address.label:
        return shelf_of(connection, address.label)
    # Tokens do not agree on whether what is not there is equal to what is empty.
    sought = {Attribute.ID: address.identifier} if address.identifier else {}
    readings = _Readings(connection, objects.find(connection, {Attribute.TOKEN: True, **sought}, _LIST_BATCH))
    found = list(readings)
    keys = [stored for stored in found if stored.fits(address)]
    labels = {key.name for key in keys}
    if len(labels) == 1 and "" not in labels:
        return shelf_of(connection, labels.pop())
    beside = [stored for stored in found if not stored.name and stored not in keys]
    return Shelf.of("", [*keys, *beside], _identifiers_of_named(found), unread=readings.unread)


def shelves(connection: Connection) -> list[Shelf]:
    """Everything that has a name: one search, and one read for each token object; again where one went meanwhile, as
    another may have its name.
    """
    found: dict[str, list[Stored]] = {}
    for _ in range(_LOOKS):
        readings = _Readings(connection, objects.find(connection, {Attribute.TOKEN: True}, _LIST_BATCH))
        everything = list(readings)
        if not readings.unread:
            break
    if not any(stored.values.get(Attribute.PRIVATE) == b"\1" for stored in everything):
        require_sight(connection)
    elsewhere = _identifiers_of_named(everything)
    for stored in everything:
        beside = found.get(stored.name)
        if beside is None:
            found[stored.name] = [stored]
        else:
            beside.append(stored)
    return [Shelf.of(name, there, elsewhere) for name, there in found.items()]


def _identifiers_of_named(found: Sequence[Stored]) -> frozenset[bytes]:
    return frozenset(stored.identifier for stored in found if stored.name and stored.object_class in _KEYS)
