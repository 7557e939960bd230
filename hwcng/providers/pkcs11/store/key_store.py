"""The named keys of a token: token objects whose CKA_LABEL is the name (PKCS#11 3.2, section 4.4).

Beside a private key lies its public object and maybe a certificate, of the same CKA_ID. Keys that other software made
are opened by their label too, or by a `KeyAddress`. `stored_objects` says which objects count after a process was
killed.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias, TypeVar

from pkcs11 import Attribute, ObjectClass

from hwcng.contract.key_names import check_key_name, no_such_key
from hwcng.contract.material import PublicKeyMaterial, Untold
from hwcng.contract.provider import KeyRecord
from hwcng.contract.specs import PairSpec, SecretSpec
from hwcng.errors import HRESULT, NTSTATUS, CngError
from hwcng.forking import ProcessLock
from hwcng.loading import load
from hwcng.providers.events import note
from hwcng.providers.pkcs11.connection import Connection
from hwcng.providers.pkcs11.families.values import number
from hwcng.providers.pkcs11.key_addresses import KeyAddress, is_address
from hwcng.providers.pkcs11.keys.private import Pkcs11PrivateKey
from hwcng.providers.pkcs11.keys.secret import Pkcs11SecretKey
from hwcng.providers.pkcs11.losses import of_sessions
from hwcng.providers.pkcs11.store.attributes import AttributeReader
from hwcng.providers.pkcs11.store.candidates import (
    RESERVED_NAMES,
    Shelf,
    require_sight,
    shelf_at,
    shelf_of,
    shelves,
)
from hwcng.providers.pkcs11.store.ids import make_id
from hwcng.providers.pkcs11.store.listing import UriMaker, records
from hwcng.providers.pkcs11.store.making import Copied, Making
from hwcng.providers.pkcs11.store.place import NamedObject, Place
from hwcng.providers.pkcs11.store.publics import public_half
from hwcng.providers.pkcs11.store.specs import spec_of
from hwcng.providers.pkcs11.store.turns import in_turn
from hwcng.providers.pkcs11.store.writing import TakenMeanwhileError, delete, write

__all__ = ["KeyStore"]

T = TypeVar("T")
TokenKeys: TypeAlias = Pkcs11SecretKey | Pkcs11PrivateKey
MakeKey: TypeAlias = Callable[[NamedObject, "SecretSpec | PairSpec", "PublicKeyMaterial | None"], TokenKeys]

ATTEMPTS = 6
SHORTEST_PAUSE_SECONDS = 0.05
REMEMBERED = 4096
TRUSTED_SECONDS = 60.0
"""How long a key that is there is taken for the one of its name: another process may have replaced it where the token
does not end it, or have been killed before it ended it.
"""
_IDENTITY = AttributeReader({Attribute.CLASS: 8, Attribute.LABEL: 2048, Attribute.ID: 256})


class KeyStore:
    """connection: gives the provider's living connection. make: the key over a place in the token. naming: gives
    what makes URIs of keys, by object, id and type. is_local: whether only processes of this host write to the token,
    which take turns.
    """

    def __init__(
        self,
        connection: Callable[[], Connection],
        make: MakeKey,
        naming: Callable[[], UriMaker],
        is_local: Callable[[], bool],
    ) -> None:
        self._connection = connection
        self._make = make
        self._naming = naming
        self._is_local = is_local
        self._places: dict[str, Place] = {}
        self._placing = ProcessLock()

    # Opening.

    def open_key(self, name: str) -> TokenKeys:
        """Costs one call where the name was opened less than a minute before, else three and one for each object of
        that name.

        Raises NTE_BAD_KEYSET, NTE_KEYSET_ENTRY_BAD (several keys, or public halves), NTE_NOT_SUPPORTED (a kind of key
        that is not served).
        """
        place = self.place_of(name)
        note("key.opened", key=name, token=place.connection.token_name)
        return self._key_at(place)

    def _key_at(self, place: Place) -> TokenKeys:
        return self._make(NamedObject(place, self._find_again), place.spec, place.public)

    def place_of(self, name: str) -> Place:
        """Where the key is, and the least that says which one it is. Costs and raises as `open_key` does."""
        address = KeyAddress.of_name(name)
        place = self._remembered(address)
        verified = self._verified(place) if place is not None else None
        return verified or self._remember(self._find(address), address)

    def _remembered(self, address: KeyAddress) -> Place | None:
        for name in (address.name, address.label):
            place = self._places.get(name) if name else None
            if place is None or time.monotonic() - place.looked_at > TRUSTED_SECONDS:
                continue
            if address.fits(place.label, place.identifier, place.type):
                return place
        return None

    def _remember(self, place: Place, asked: KeyAddress | None = None) -> Place:
        if isinstance(place.public, Untold):
            # Its public half may be written beside it at any time.
            return place
        with self._placing.held():
            if len(self._places) >= REMEMBERED:
                self._places.clear()
            self._places.update(dict.fromkeys((place.name, place.name if asked is None else asked.name), place))
        return place

    def _forget(self, *addresses: KeyAddress) -> None:
        with self._placing.held():
            for address in addresses:
                self._places.pop(address.name, None)

    def _verified(self, place: Place) -> Place | None:
        return self._reading(lambda connection: self._verified_in(connection, place))

    @staticmethod
    def _verified_in(connection: Connection, place: Place) -> Place | None:
        """`place`, where the same object is still there: one call. Tokens give handles away again."""
        if place.connection is not connection:
            return None
        stale_handles = connection.stale_handles
        values = _IDENTITY.read(connection, place.handle)
        if (
            values is None
            or values.get(Attribute.LABEL, b"") != place.label.encode("utf-8", "surrogateescape")
            or values.get(Attribute.ID, b"") != place.identifier
            or number(values, Attribute.CLASS) != place.object_class
        ):
            return None
        return place._replace(stale_handles=stale_handles)

    def _find_again(self, place: Place) -> Place:
        """Where a key that was opened is. Raises NTE_BAD_KEYSET where it is gone or another one has its name."""
        verified = self._verified(place)
        if verified is not None:
            return verified
        try:
            found = self._find(KeyAddress(place.label, place.identifier, place.type))
        except CngError as error:
            if error.status is not HRESULT.NTE_BAD_KEYSET:
                raise
            self._forget(place.address)
            there = self._connection()
            gone = _replaced(place) if there.identity == place.connection.identity else _of_another_token(place, there)
            raise gone from error
        if found.connection.identity != place.connection.identity:
            raise _of_another_token(place, found.connection)
        if not found.same_key(place):
            raise _replaced(place)
        return self._remember(found)

    def _reading(self, read: Callable[[Connection], T]) -> T:
        """`read` of the living connection, of a new one where it was the first to see that the last one was dead."""
        connection = self._connection()
        try:
            return read(connection)
        except CngError:
            if connection.alive:
                raise
        return read(self._connection())

    def _find(self, address: KeyAddress) -> Place:
        return self._reading(lambda connection: self._find_in(connection, address))

    def _find_in(self, connection: Connection, address: KeyAddress) -> Place:
        stale_handles = connection.stale_handles
        shelf = shelf_at(connection, address)
        for pause in _pauses():
            if not shelf.unsettled(address):
                break
            time.sleep(pause)
            shelf = shelf_at(connection, address)
        stored = shelf.current(address)
        if stored is None:
            require_sight(connection)
            self._forget(address)
            raise no_such_key(address.name, f"token {connection.token_name!r}{_what_has_the_label(shelf)}")
        spec, told = spec_of(stored.values, stored.own), shelf.address_of(stored)
        return Place(
            connection,
            stale_handles,
            stored.handle,
            stored.object_class,
            stored.name,
            stored.identifier,
            told,
            told.name,
            spec,
            public_half(connection, shelf, stored, spec) if isinstance(spec, PairSpec) else None,
            stored.values.get(Attribute.ALWAYS_AUTHENTICATE) == b"\1",
            time.monotonic(),
        )

    # Storing.

    def persist_key(self, key: TokenKeys, name: str, replace: bool) -> TokenKeys:
        """A copy of a key of this token's under that name, raises what `make` does."""
        _check_new_name(name)
        connection = self._connection()
        if key.ended:
            raise CngError(NTSTATUS.STATUS_INVALID_HANDLE, "the key is destroyed")
        key.connection.require_alive()
        if key.connection is not connection:
            raise CngError(NTSTATUS.STATUS_INVALID_PARAMETER, "the key is of another provider")
        return self._made(connection, Copied(key), name, replace)

    def make(self, making: Making, name: str, replace: bool) -> TokenKeys:
        """The key under that name. Raises STATUS_DEVICE_BUSY where other hosts keep storing keys of that name.

        Hosts that store one name at the same time see each other's objects before either counts its own as stored:
        both take theirs back then, and try again.
        """
        _check_new_name(name)
        return self._made(self._connection(), making, name, replace)

    def _made(self, connection: Connection, making: Making, name: str, replace: bool) -> TokenKeys:
        for pause in _pauses():
            try:
                with in_turn(connection.module.path):
                    place = self._store(connection, making, name, replace)
                note("key.created", key=name, token=connection.token_name)
                return self._key_at(self._remember(place))
            except TakenMeanwhileError:
                time.sleep(pause)
            except CngError as error:
                # A token that was removed stores nothing.
                if error.token_code is not None and of_sessions(error.token_code):
                    connection.sees_all()
                raise
        shelf_of(connection, name).current()
        raise CngError(
            NTSTATUS.STATUS_DEVICE_BUSY, f"others keep storing keys named {name!r} in token {connection.token_name!r}"
        )

    def _store(self, connection: Connection, making: Making, name: str, replace: bool) -> Place:
        shelf = shelf_of(connection, name)
        if shelf.contested or shelf.unread:
            raise TakenMeanwhileError
        current = shelf.current()
        if current is not None and not replace:
            raise CngError(HRESULT.NTE_EXISTS, f"token {connection.token_name!r} has a key named {name!r} already")
        if current is not None and making.is_at(current.handle):
            return self._find(KeyAddress(name))
        identifier = make_id(name, making.spec, current.tag if current is not None else None)
        if current is not None:
            # Where it does not go, it is nobody's key all the same.
            self._forget(KeyAddress(name), shelf.address_of(current))
        stale_handles = connection.stale_handles
        handle, public = write(connection, making, shelf, current, identifier, alone=self._is_local())
        spec = making.spec
        object_class = int(ObjectClass.PRIVATE_KEY if isinstance(spec, PairSpec) else ObjectClass.SECRET_KEY)
        return Place(
            connection,
            stale_handles,
            handle,
            object_class,
            name,
            identifier,
            KeyAddress(name),
            name,
            spec,
            public,
            making.always_authenticate,
            time.monotonic(),
        )

    # Certificates.

    def certificates(self, name: str) -> list[bytes]:
        """Of the key of that name, else of the one certificate of that name."""
        load("hwcng.providers.pkcs11.store.certificates")
        from hwcng.providers.pkcs11.store.certificates import certificates_at, certificates_of

        address = KeyAddress.of_name(name)
        try:
            place = self.place_of(name)
        except CngError as error:
            if error.status is not HRESULT.NTE_BAD_KEYSET:
                raise
            if found := self._reading(lambda connection: certificates_at(connection, address)):
                return found
            raise
        return self._reading(lambda connection: certificates_of(connection, place))

    def store_certificates(self, name: str, certificates: Sequence[bytes]) -> None:
        load("hwcng.providers.pkcs11.store.certificates")
        from hwcng.providers.pkcs11.store.certificates import store_certificates

        connection = self._connection()
        with in_turn(connection.module.path):
            store_certificates(connection, self.place_of(name), certificates)
        note("certificates.stored", key=name, token=connection.token_name)

    # Listing and ending.

    def list_keys(self) -> Iterator[KeyRecord]:
        """One search, and one call for each token object. Kinds of keys that are not served are left out."""
        return records(self._reading(shelves), self._naming())

    def delete_key(self, name: str) -> None:
        """The whole key or nothing: what belongs to it goes after it, and only where the token said that it went."""
        address, seen = KeyAddress.of_name(name), False
        for pause in _pauses():
            connection = self._connection()
            with in_turn(connection.module.path):
                shelf = shelf_at(connection, address)
                current = shelf.current(address)
                self._forget(address, *(shelf.address_of(key) for key in (current,) if key is not None))
                seen = seen or current is not None
                # Only a session that is logged in sees private objects, and the key may be what could not be read.
                if not shelf.unread and (current is not None or connection.sees_all()):
                    try:
                        delete(connection, shelf, current)
                        break
                    except TakenMeanwhileError:
                        pass
            time.sleep(pause)
        else:
            connection.require_alive()
            raise CngError(NTSTATUS.STATUS_DEVICE_BUSY, f"others keep changing keys named {address.name!r}")
        if not seen:
            raise no_such_key(address.name, f"token {connection.token_name!r}")
        note("key.deleted", key=name, token=connection.token_name)


def _check_new_name(name: str) -> None:
    check_key_name(name)
    if name in RESERVED_NAMES:
        raise CngError(HRESULT.NTE_INVALID_PARAMETER, f"{name!r} is what hwcng calls its own objects")
    if is_address(name):
        raise CngError(HRESULT.NTE_INVALID_PARAMETER, f"{name!r} means a key by attributes that the token gives it")


def _replaced(place: Place) -> CngError:
    return CngError(
        HRESULT.NTE_BAD_KEYSET,
        f"the key named {place.name!r} is gone, or was replaced by another one: open it again",
    )


def _of_another_token(place: Place, there: Connection) -> CngError:
    was, now = place.connection.identity, there.identity
    return CngError(
        HRESULT.NTE_BAD_KEYSET,
        f"the key named {place.name!r} is in token {was.label!r} (serial {was.serial}), and now there is "
        f"{now.label!r} (serial {now.serial}) in its place: open it again where that is meant",
    )


def _what_has_the_label(shelf: Shelf) -> str:
    """Of keys that NSS's certutil made, only the certificates have labels."""
    others = (*shelf.certificates, *shelf.publics)
    identifier = next((other.identifier for other in others if shelf.name and other.identifier), None)
    if identifier is None:
        return ""
    return f"; what has that label belongs to the key {KeyAddress(identifier=identifier).name!r}, if there is one"


def _pauses() -> Iterator[float]:
    """Seconds to wait before another attempt, of other lengths on every host."""
    for attempt in range(ATTEMPTS):
        # The system's: children of one fork would all wait for as long.
        yield random.SystemRandom().uniform(0, SHORTEST_PAUSE_SECONDS * 2**attempt)
