"""The calls that store a key and end it (PKCS#11 3.2, section 5.7), in an order that is sound wherever it ends."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping

from pkcs11 import Attribute, ObjectClass

from hwcng.contract.material import PublicKeyMaterial
from hwcng.contract.specs import PairSpec, SecretSpec
from hwcng.errors import HRESULT, NTSTATUS, CngError
from hwcng.providers.events import note
from hwcng.providers.pkcs11 import objects
from hwcng.providers.pkcs11.connection import Connection
from hwcng.providers.pkcs11.cryptoki.return_values import CKR, token_error
from hwcng.providers.pkcs11.families.values import number
from hwcng.providers.pkcs11.store.attributes import AttributeReader
from hwcng.providers.pkcs11.store.candidates import Shelf, Stored, find_named, shelf_of
from hwcng.providers.pkcs11.store.making import Making, Spot

__all__ = ["TakenMeanwhileError", "delete", "destroy", "not_kept", "write"]

_CANNOT_DESTROY: Mapping[int, NTSTATUS | HRESULT] = dict.fromkeys(
    (CKR.TOKEN_WRITE_PROTECTED, CKR.SESSION_READ_ONLY, CKR.ACTION_PROHIBITED), HRESULT.NTE_PERM
)
_KEPT = AttributeReader(
    {
        Attribute.TOKEN: 1,
        Attribute.LABEL: 2048,
        Attribute.ID: 256,
        Attribute.SENSITIVE: 1,
        Attribute.EXTRACTABLE: 1,
    }
)


class TakenMeanwhileError(Exception):
    """Another host stored a key of the same name at the same time."""


def write(
    connection: Connection,
    making: Making,
    shelf: Shelf,
    current: Stored | None,
    identifier: bytes,
    *,
    alone: bool,
) -> tuple[int, PublicKeyMaterial | None]:
    """Stores a key in the place of `current`; its handle and its public half. alone: whether nobody else can write at
    this moment. Raises TakenMeanwhileError with nothing changed.

    The public object comes first, the private or secret one decides, what gave way goes last, the oldest first.
    """
    name = shelf.name
    made: list[int] = []
    try:
        public = making.at(Spot(connection, name, identifier, made))
        _require_kept(connection, made[-1], making.spec, name, identifier)
        if not alone:
            _require_alone(connection, shelf, made, identifier)
    except BaseException:
        _undo(connection, made, identifier)
        raise
    try:
        for old in (*shelf.leftovers(), current) if current is not None else ():
            destroy(connection, old.handle, name)
    except CngError as error:
        # What gave way is nobody's key, and goes with the first write after which it can.
        if error.token_code != CKR.FUNCTION_NOT_SUPPORTED:
            # After any answer but a plain refusal the old key may be gone.
            refused = error.status is HRESULT.NTE_PERM
            if refused and current is not None and _sees(connection, current.handle, current.identifier):
                _undo(connection, made, identifier)
                if _sees(connection, made[-1], identifier) is False:
                    raise
            raise _both_there(error, name) from error
        return made[-1], public
    given_way = shelf.companions(current) if current is not None else []
    beside = [other for other in (*shelf.publics, *shelf.certificates) if other.own is not None or other in given_way]
    for left in _destroy_all(connection, beside, name):
        # The key is stored.
        note("object.left", left, key=name, token=connection.token_name)
    return made[-1], public


def _both_there(error: CngError, name: str) -> CngError:
    return CngError(
        error.status,
        f"the new key is stored as {name!r}, and the one that it replaces may be in the token too, as nobody's key, "
        f"until another is stored so or {name!r} is deleted: {error.message}",
        error.token_code,
    )


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
    for error in _destroy_all(connection, (*companions, *beside), shelf.name):
        if current is None:
            raise error
        raise CngError(
            error.status, f"the key is gone, and not all that lay beside it: {error.message}", error.token_code
        ) from error


def not_kept(connection: Connection, what: str) -> CngError:
    """SoftHSM says that it stored what has no attribute then, where the object's file could not be written."""
    return token_error(
        CKR.OBJECT_HANDLE_INVALID,
        f"token {connection.token_name!r} has not kept {what}, although it said so: it has no room, or its store "
        "cannot be written; make room and store it again",
        {CKR.OBJECT_HANDLE_INVALID: HRESULT.NTE_TOKEN_KEYSET_STORAGE_FULL},
    )


def _require_kept(
    connection: Connection, handle: int, spec: SecretSpec | PairSpec, name: str, identifier: bytes
) -> None:
    """Makes sure that the stored key can be found by its name and is as protected as it was to be."""
    values = _KEPT.read(connection, handle)
    if not values:
        raise not_kept(connection, repr(name))
    wanted = {
        Attribute.TOKEN: b"\1",
        Attribute.LABEL: name.encode(),
        Attribute.ID: identifier,
        Attribute.SENSITIVE: b"\1",
    }
    if not spec.exportable:
        wanted[Attribute.EXTRACTABLE] = b"\0"
    changed = [
        f"another {kind.name}" if kind in values else f"a {kind.name} that it does not tell"
        for kind, value in wanted.items()
        if values.get(kind) != value
    ]
    if changed:
        raise CngError(
            NTSTATUS.STATUS_NOT_SUPPORTED,
            f"token {connection.token_name!r} stored {name!r} with {', '.join(changed)}; it was destroyed",
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


def _sees(connection: Connection, handle: int, identifier: bytes) -> bool | None:
    """Whether the object of that CKA_ID is there; None where the token does not say."""
    with contextlib.suppress(CngError):
        values = AttributeReader({Attribute.ID: 256}).read(connection, handle)
        return values is not None and values.get(Attribute.ID, b"") == identifier
    return None


def _destroy_all(connection: Connection, objects_beside: Iterable[Stored], name: str) -> list[CngError]:
    """Ends each of them; what was said of those that stay."""
    errors = []
    for handle in dict.fromkeys(stored.handle for stored in objects_beside):
        try:
            destroy(connection, handle, name)
        except CngError as error:
            errors.append(error)
    return errors


def destroy(connection: Connection, handle: int, name: str) -> bool:
    """Whether there was an object of that handle."""
    rv = connection.produce(lambda session: connection.cryptoki.C_DestroyObject(session.handle, handle))
    if rv == CKR.FUNCTION_NOT_SUPPORTED:
        asked = (
            f"token {connection.token_name!r} ends no keys, so what belongs to {name!r} stays: its own tools may do it"
        )
        raise token_error(rv, asked)
    if rv not in (CKR.OK, CKR.OBJECT_HANDLE_INVALID):
        raise connection.error(rv, f"removing what belongs to {name!r} failed", _CANNOT_DESTROY)
    return rv == CKR.OK
