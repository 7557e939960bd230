"""The calls that store a key and end it (PKCS#11 3.2, section 5.7), in an order that is sound wherever it ends."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from pkcs11 import Attribute, ObjectClass

from hwcng.errors import HRESULT, NTSTATUS, CngError
from hwcng.providers.pkcs11 import objects, templates
from hwcng.providers.pkcs11.connection import Connection
from hwcng.providers.pkcs11.cryptoki.calls import ffi
from hwcng.providers.pkcs11.cryptoki.return_values import CKR
from hwcng.providers.pkcs11.keys.private import Pkcs11PrivateKey
from hwcng.providers.pkcs11.keys.secret import Pkcs11SecretKey
from hwcng.providers.pkcs11.store.candidates import AttributeReader, Shelf, Stored, find_named, shelf_of
from hwcng.providers.pkcs11.store.specs import number, public_values

__all__ = ["CANNOT_STORE", "TakenMeanwhileError", "delete", "destroy", "write"]

CANNOT_STORE: Mapping[int, NTSTATUS | HRESULT] = {
    CKR.TOKEN_WRITE_PROTECTED: NTSTATUS.STATUS_NOT_SUPPORTED,
    CKR.SESSION_READ_ONLY: NTSTATUS.STATUS_NOT_SUPPORTED,
    CKR.ACTION_PROHIBITED: NTSTATUS.STATUS_NOT_SUPPORTED,
    CKR.DEVICE_MEMORY: HRESULT.NTE_TOKEN_KEYSET_STORAGE_FULL,
    # The token made the key a moment ago, and cannot put it where it keeps keys.
    CKR.GENERAL_ERROR: HRESULT.NTE_PERM,
    CKR.FUNCTION_FAILED: HRESULT.NTE_PERM,
}
_CANNOT_DESTROY: Mapping[int, NTSTATUS | HRESULT] = dict.fromkeys(
    (CKR.TOKEN_WRITE_PROTECTED, CKR.SESSION_READ_ONLY, CKR.ACTION_PROHIBITED), HRESULT.NTE_PERM
)
_KEPT = {
    Attribute.TOKEN: 1,
    Attribute.LABEL: 2048,
    Attribute.ID: 256,
    Attribute.SENSITIVE: 1,
    Attribute.EXTRACTABLE: 1,
}


class TakenMeanwhileError(Exception):
    """Another host stored a key of the same name at the same time."""


def write(
    connection: Connection,
    key: Pkcs11SecretKey | Pkcs11PrivateKey,
    shelf: Shelf,
    current: Stored | None,
    identifier: bytes,
) -> int:
    """Stores `key` in the place of `current`; its handle. Raises TakenMeanwhileError with nothing changed.

    The public object comes first, the private or secret one decides, what gave way goes last, the oldest first.
    """
    name = shelf.name
    made: list[int] = []
    try:
        if isinstance(key, Pkcs11PrivateKey):
            made.append(_create_public(connection, key, name, identifier))
        made.append(_copy(connection, key, name, identifier))
        _require_kept(connection, made[-1], key, name, identifier)
        _require_alone(connection, shelf, made, identifier)
    except BaseException:
        _undo(connection, made, identifier)
        raise
    try:
        for old in (*shelf.leftovers(), current) if current is not None else ():
            destroy(connection, old.handle, name)
    except CngError as error:
        # After any other error the old key may be gone.
        if error.status is HRESULT.NTE_PERM and current is not None and _is_there(connection, current):
            _undo(connection, made, identifier)
        raise
    given_way = shelf.companions(current) if current is not None else []
    for other in (*shelf.publics, *shelf.certificates):
        if other.own is not None or other in given_way:
            destroy(connection, other.handle, name)
    return made[-1]


def delete(connection: Connection, shelf: Shelf, current: Stored | None) -> None:
    """Ends `current` and all that hwcng left beside it. What gave way to it goes first, so that it never comes back.

    Of other software's objects those of its label and CKA_ID go with it. Raises TakenMeanwhileError where the key has
    another handle by now, or is gone; what belongs to it is there then.
    """
    leftovers = shelf.leftovers(current) if current is not None else []
    for stored in leftovers:
        destroy(connection, stored.handle, shelf.name)
    if current is not None and not destroy(connection, current.handle, shelf.name):
        raise TakenMeanwhileError
    companions = shelf.companions(current) if current is not None else []
    # What belongs to another key of the same name stays with it.
    kept = {key.identifier for key in shelf.keys if key is not current and key not in leftovers}
    beside = [other for other in (*shelf.publics, *shelf.certificates) if other.own and other.identifier not in kept]
    for handle in dict.fromkeys(stored.handle for stored in (*companions, *beside)):
        destroy(connection, handle, shelf.name)


def _create_public(connection: Connection, key: Pkcs11PrivateKey, name: str, identifier: bytes) -> int:
    template = templates.stored_public(key.spec, public_values(key.public), name, identifier)
    handle = ffi.new("CK_ULONG *")
    with templates.packed(template) as (attributes, count):
        rv = connection.produce(
            lambda session: connection.cryptoki.C_CreateObject(session.handle, attributes, count, handle)
        )
    if rv != CKR.OK:
        raise connection.error(rv, f"storing the public half of {name!r} failed", CANNOT_STORE)
    return int(handle[0])


def _copy(connection: Connection, key: Pkcs11SecretKey | Pkcs11PrivateKey, name: str, identifier: bytes) -> int:
    """C_CopyObject into a token object: the value never leaves the token."""
    template = {Attribute.TOKEN: True, Attribute.LABEL: name, Attribute.ID: identifier}
    handle = ffi.new("CK_ULONG *")
    source = key.held.handle
    with templates.packed(template) as (attributes, count):
        rv = connection.produce(
            lambda session: connection.cryptoki.C_CopyObject(session.handle, source, attributes, count, handle), source
        )
    if rv != CKR.OK:
        raise connection.error(rv, f"storing the key as {name!r} failed", CANNOT_STORE)
    return int(handle[0])


def _require_kept(
    connection: Connection, handle: int, key: Pkcs11SecretKey | Pkcs11PrivateKey, name: str, identifier: bytes
) -> None:
    """Makes sure that the stored key can be found by its name and is as protected as the key it was made of."""
    values = AttributeReader(_KEPT).read(connection, handle)
    if not values:
        # SoftHSM says so when the object's file could not be written.
        raise CngError(
            HRESULT.NTE_TOKEN_KEYSET_STORAGE_FULL,
            f"token {connection.token_name!r} has not kept {name!r}, although it said so: it has no room, or its store "
            "cannot be written; make room and store the key again",
        )
    wanted = {
        Attribute.TOKEN: b"\1",
        Attribute.LABEL: name.encode(),
        Attribute.ID: identifier,
        Attribute.SENSITIVE: b"\1",
    }
    if not key.spec.exportable:
        wanted[Attribute.EXTRACTABLE] = b"\0"
    changed = [kind.name for kind, value in wanted.items() if values.get(kind) != value]
    if changed:
        raise CngError(
            NTSTATUS.STATUS_NOT_SUPPORTED,
            f"token {connection.token_name!r} stored {name!r} with another {', '.join(changed)}; it was destroyed",
        )


def _require_alone(connection: Connection, shelf: Shelf, made: list[int], identifier: bytes) -> None:
    """Makes sure that all of what was made is there, and that nobody else makes a key of that name at this moment."""
    handles = frozenset(find_named(connection, shelf.name))
    if not handles - shelf.handles - frozenset(made) and handles.issuperset(made):
        return
    now = shelf_of(connection, shelf.name)
    mine = next((key for key in now.keys if key.identifier == identifier), None)
    others = [key for key in now.keys if key.handle not in shelf.handles and key is not mine]
    if mine is not None and any(other.own and other.own.replaces == mine.tag for other in others):
        # Somebody has replaced it already, and ends it.
        return
    if others or not now.handles.issuperset(made):
        raise TakenMeanwhileError


def _undo(connection: Connection, made: list[int], identifier: bytes) -> None:
    """Takes back what was stored, also what the token stored while it said that it failed.

    Keys go first, because one without its public half could not be opened; where one cannot go, the halves stay
    together.
    """
    with contextlib.suppress(CngError):
        if not connection.answers():
            return
        stored = objects.find(connection, {Attribute.TOKEN: True, Attribute.ID: identifier})
        reader = AttributeReader({Attribute.CLASS: 8})
        publics = []
        for handle in dict.fromkeys([*made, *stored]):
            values = reader.read(connection, handle) or {}
            if number(values, Attribute.CLASS) == int(ObjectClass.PUBLIC_KEY):
                publics.append(handle)
            else:
                destroy(connection, handle, "a key that was not stored")
        for handle in publics if connection.answers() else ():
            destroy(connection, handle, "a key that was not stored")


def _is_there(connection: Connection, stored: Stored) -> bool:
    """Whether the object can still be seen for sure."""
    with contextlib.suppress(CngError):
        values = AttributeReader({Attribute.ID: 256}).read(connection, stored.handle)
        return values is not None and (values[Attribute.ID] or b"") == stored.identifier
    return False


def destroy(connection: Connection, handle: int, name: str) -> bool:
    """Whether there was an object of that handle."""
    rv = connection.produce(lambda session: connection.cryptoki.C_DestroyObject(session.handle, handle))
    if rv not in (CKR.OK, CKR.OBJECT_HANDLE_INVALID):
        raise connection.error(rv, f"removing what belongs to {name!r} failed", _CANNOT_DESTROY)
    return rv == CKR.OK
