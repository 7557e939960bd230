"""The named keys of a TPM: files under the TPM's own protection (`key_files`), and on request objects in its NV memory.

TPM 2.0 Library, Part 3, section 28.5 (TPM2_EvictControl); TCG Registry of Reserved TPM 2.0 Handles (which an owner may
use).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from dataclasses import replace as replaced
from pathlib import Path
from typing import TypeAlias

from hwcng.contract.key_names import check_key_name, no_such_key
from hwcng.contract.material import PublicKeyMaterial
from hwcng.contract.pins import pin_value
from hwcng.contract.provider import KeyRecord
from hwcng.contract.specs import PairSpec, SecretSpec
from hwcng.contract.usage import Usage
from hwcng.errors import HRESULT, NTSTATUS, CngError, not_supported
from hwcng.forking import ProcessLock
from hwcng.providers.events import note
from hwcng.providers.tpm2.keys.handles import ADVICE_OF_A_KEY
from hwcng.providers.tpm2.keys.private import Tpm2PrivateKey
from hwcng.providers.tpm2.keys.reloading import file_of
from hwcng.providers.tpm2.keys.secret import Tpm2SecretKey
from hwcng.providers.tpm2.line.connection import Connection
from hwcng.providers.tpm2.line.slots import TpmObject
from hwcng.providers.tpm2.store.certificates import read_certificates, store_certificates
from hwcng.providers.tpm2.store.files import KeyFile, KeyFiles, Stamp
from hwcng.providers.tpm2.wire import commands
from hwcng.providers.tpm2.wire.constants import CAP, RC
from hwcng.providers.tpm2.wire.errors import TpmError
from hwcng.providers.tpm2.wire.hmac_session import Parent
from hwcng.providers.tpm2.wire.key_file_asn1 import TssKey
from hwcng.providers.tpm2.wire.marshal import MalformedError
from hwcng.providers.tpm2.wire.policies import required
from hwcng.providers.tpm2.wire.public_area import STORAGE_ROOT_KEY, name_of, parse_public, spec_of

__all__ = ["FIRST_HANDLE", "KeyStore", "LAST_HANDLE", "Opened", "authorization_value"]

OwnerAuth: TypeAlias = Callable[[], bytes]
"""Asks for the owner's authorization value, when it is needed."""

FOLDER = "keys"
REMEMBERED = 4096
FIRST_HANDLE, LAST_HANDLE = 0x81020000, 0x817FFFFF
"""Persistent handles that the registry leaves to the owner's own keys."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What a file says, ready to be used. generation: of the connection, whose forked children start anew."""

    file: KeyFile
    stamp: Stamp
    generation: int
    held: TpmObject
    spec: SecretSpec | PairSpec
    public: PublicKeyMaterial | None


def authorization_value(key: TssKey, pin: str | bytes | None, what: str) -> bytes:
    """The value that goes with the key: the caller's, whatever the file says. what: the key, to who gave none.

    Raises STATUS_WRONG_PASSWORD where the file does not say that it is empty, before the TPM is asked.
    """
    if pin is None:
        if key.empty_auth:
            return b""
        raise CngError(NTSTATUS.STATUS_WRONG_PASSWORD, f"{what} needs a PIN; {ADVICE_OF_A_KEY}")
    return pin_value(pin)


def _authorization_value(file: KeyFile, pin: str | bytes | None) -> bytes:
    return authorization_value(file.key, pin, f"the key named {file.name!r}")


class KeyStore:
    """directory: of the provider's store."""

    def __init__(self, directory: Path, connection: Connection) -> None:
        self.files = KeyFiles(directory / FOLDER)
        self._connection = connection
        self._opened: dict[str, Opened] = {}
        self._remembering = ProcessLock()

    # Opening.

    def open(self, name: str, parent: Parent, pin: str | bytes | None) -> Opened:
        """Reads the file where it is not the one that was read before. Nothing is loaded yet."""
        opened = self._opened.get(name) if type(name) is str else None
        if opened is None:
            check_key_name(name)
        stamp = self.files.stamp(name)
        known = opened is not None and (stamp, self._connection.generation) == (opened.stamp, opened.generation)
        if opened is not None and known and _authorization_value(opened.file, pin) == opened.held.auth:
            return opened
        found = self.files.read(name) if stamp is not None else None
        if found is None:
            raise no_such_key(name, str(self.files.directory))
        opened = self._understood(*found, parent, pin)
        with self._remembering.held():
            if len(self._opened) >= REMEMBERED:
                self._opened.clear()
            self._opened[name] = opened
        note("key.opened", key=name, token=self._connection.title)
        return opened

    def _understood(self, file: KeyFile, stamp: Stamp, parent: Parent, pin: str | bytes | None) -> Opened:
        elsewhere = not file.parent_name and file.key.parent != parent.handle
        if not elsewhere and (file.parent_name != parent.name or file.key.parent != parent.handle):
            raise CngError(
                HRESULT.NTE_KEYSET_ENTRY_BAD,
                f"the key named {file.name!r} is under another storage root key than this TPM's at {parent.handle:#x}: "
                "it is of another TPM, or this one was cleared",
            )
        auth = _authorization_value(file, pin)
        try:
            public = parse_public(file.key.public)
            spec, object_name = spec_of(public), name_of(file.key.public)
        except (MalformedError, ValueError):
            raise CngError(
                HRESULT.NTE_KEYSET_ENTRY_BAD, f"the file of the key named {file.name!r} holds no key that is served"
            ) from None
        policy, title = required(file.key.policy, public), f"the key named {file.name!r}"
        held = TpmObject(file.key.public, file.key.private, object_name, auth, title=title, policy=policy)
        spec = replaced(spec, exportable=file.exportable)
        return Opened(file, stamp, self._connection.generation, held, spec, public.material)

    def has(self, name: str) -> bool:
        return self.files.stamp(check_key_name(name)) is not None

    def require(self, name: str) -> None:
        """Raises NTE_BAD_KEYSET where there is no key of that name."""
        if not self.has(name):
            raise no_such_key(name, str(self.files.directory))

    # Storing.

    def persist(self, key: Tpm2SecretKey | Tpm2PrivateKey, name: str, parent: Parent, replace: bool) -> list[KeyFile]:
        """Writes the file. What comes back are the files of keys that gave way and have objects left in the TPM."""
        check_key_name(name)
        held, origin = key.blob()
        file = KeyFile(
            name,
            file_of(held, parent.handle),
            # Below another parent: the TPM itself tells whether a key is of that one.
            parent.name if held.place is None else b"",
            _algorithm(key.spec),
            _usage(key.spec.usage),
            int(time.time()),
            key.spec.exportable,
            origin,
        )
        with self.files.writing():
            given_way = self._sound(name) if replace else None
            if given_way is not None:
                file = replaced(file, left=_handles(given_way))
            self.files.write(file, replace=replace)
            # What was beside another key of that name is not this one's.
            self.files.remove_beside(name)
        self.forget(name)
        note("key.created", key=name, token=self._connection.title)
        return [file] if file.left else []

    def withdraw(self, name: str, held: TpmObject) -> None:
        """Takes back what `persist` wrote, where that is there still."""
        with self.files.writing():
            found = self._sound(name)
            if found is not None and found.key.private == held.private:
                self.files.remove(name)
        self.forget(name)

    def _sound(self, name: str) -> KeyFile | None:
        """The file of that name, None where there is none or it is beyond repair."""
        try:
            found = self.files.read(name)
        except CngError:
            return None
        return found[0] if found is not None else None

    def rewrite(self, name: str, before: TpmObject, after: TpmObject) -> None:
        """Puts the key's new blob in the place of the one before. Raises NTE_BAD_KEYSET where that is there no more."""
        with self.files.writing():
            found = self.files.read(name)
            if found is None or found[0].key.private != before.private:
                raise CngError(HRESULT.NTE_BAD_KEYSET, f"the key named {name!r} was removed or replaced meanwhile")
            file = found[0]
            if file.handle:
                raise not_supported(
                    f"the key named {name!r} is at {file.handle:#x} in the TPM too, and has its PIN there for good"
                )
            key = replaced(file.key, private=after.private, empty_auth=not after.auth)
            self.files.write(replaced(file, key=key), replace=True)
        self.forget(name)

    def forget(self, name: str) -> None:
        with self._remembering.held():
            self._opened.pop(name, None)

    def list_keys(self) -> Iterator[tuple[KeyRecord, bytes]]:
        """Each with the name by which the TPM knows it."""
        for file in self.files.read_all():
            try:
                spec, object_name = spec_of(parse_public(file.key.public)), name_of(file.key.public)
            except (MalformedError, ValueError):
                continue
            certified = self.files.path_beside(file.name).exists()
            record = KeyRecord(file.name, replaced(spec, exportable=file.exportable), file.created, certified)
            yield record, object_name

    # Certificates.

    def certificates(self, name: str) -> list[bytes]:
        found = self.files.read(check_key_name(name))
        if found is None:
            raise no_such_key(name, str(self.files.directory))
        return read_certificates(self.files, name, _public(found[0]))

    def store_certificates(self, name: str, certificates: Sequence[bytes]) -> None:
        with self.files.writing():
            self.require(name)
            store_certificates(self.files, name, certificates)
        note("certificates.stored", key=name, token=self._connection.title)

    def delete(self, name: str, owner_auth: OwnerAuth) -> None:
        """Objects in the TPM go first: the file is what remembers them. A file that is damaged goes too."""
        check_key_name(name)
        with self.files.writing():
            file = self._sound(name)
            if file is not None:
                for handle, object_name in _handles(file):
                    self._evict(handle, object_name, owner_auth)
            self.forget(name)
            if not self.files.remove(name):
                raise no_such_key(name, str(self.files.directory))
        note("key.deleted", key=name, token=self._connection.title)

    # Persistent handles.

    def make_persistent(self, name: str, opened: Opened, handle: int | None, owner_auth: OwnerAuth) -> int:
        """The file remembers the handle before the TPM has it, so that no object is ever forgotten in the TPM."""
        if handle is not None and not FIRST_HANDLE <= handle <= LAST_HANDLE:
            raise CngError(
                HRESULT.NTE_INVALID_PARAMETER,
                f"a key of the owner's has a persistent handle from {FIRST_HANDLE:#x} to {LAST_HANDLE:#x}",
            )
        with self.files.writing():
            found = self.files.read(name)
            if found is None or found[0].key != opened.file.key:
                raise CngError(HRESULT.NTE_BAD_KEYSET, f"the key named {name!r} was removed or replaced meanwhile")
            file = found[0]
            if file.handle and (handle or file.handle) != file.handle:
                raise CngError(HRESULT.NTE_EXISTS, f"the key named {name!r} has the handle {file.handle:#x} already")
            chosen = file.handle or handle or self._free_handle()
            if file.handle != chosen:
                self.files.write(replaced(file, handle=chosen), replace=True)
            self._connection.perform(
                f"making {name!r} persistent at {chosen:#x}",
                lambda connection: _make_persistent(connection, opened.held, chosen, owner_auth),
            )
        self.forget(name)
        return chosen

    def clean(self, file: KeyFile, owner_auth: OwnerAuth) -> None:
        """Takes the objects of keys that gave way out of the TPM, and then out of the record."""
        with self.files.writing():
            for handle, object_name in file.left:
                self._evict(handle, object_name, owner_auth)
            found = self.files.read(file.name)
            if found is not None and found[0].left:
                left = tuple(item for item in found[0].left if item not in file.left)
                self.files.write(replaced(found[0], left=left), replace=True)
        self.forget(file.name)

    def _evict(self, handle: int, object_name: bytes, owner_auth: OwnerAuth) -> None:
        self._connection.perform(
            f"removing the persistent key at {handle:#x}",
            lambda connection: _evict(connection, handle, object_name, owner_auth),
        )

    def _free_handle(self) -> int:
        taken = self._connection.perform(
            "listing persistent handles",
            lambda connection: connection.esys(lambda esys: esys.numbers(CAP.HANDLES, FIRST_HANDLE)),
        )
        remembered = {handle for file in self.files.read_all() for handle, _ in _handles(file)}
        taken_handles = remembered.union(taken)
        return next(handle for handle in range(FIRST_HANDLE, LAST_HANDLE) if handle not in taken_handles)


def _public(file: KeyFile) -> PublicKeyMaterial | None:
    try:
        return parse_public(file.key.public).material
    except (MalformedError, ValueError):
        return None


def _handles(file: KeyFile) -> tuple[tuple[int, bytes], ...]:
    """Every persistent handle that a file remembers, with the name of the key that it is to hold."""
    return (*((file.handle, name_of(file.key.public)),) * bool(file.handle), *file.left)


def _object_at(connection: Connection, handle: int) -> bytes | None:
    """The name of the object at a persistent handle."""
    try:
        return commands.read_public(connection, handle)[1]
    except TpmError as error:
        if error.code == RC.HANDLE:
            return None
        raise


def _make_persistent(connection: Connection, held: TpmObject, handle: int, owner_auth: OwnerAuth) -> None:
    there = _object_at(connection, handle)
    if there == held.name:
        return
    if there is not None:
        raise CngError(HRESULT.NTE_EXISTS, f"another object is at {handle:#x}")
    loaded = connection.cache.acquire(connection, held)
    connection.esys(lambda esys: esys.evict(loaded.handle, handle, owner_auth(), STORAGE_ROOT_KEY))


def _evict(connection: Connection, handle: int, object_name: bytes, owner_auth: OwnerAuth) -> None:
    # Whoever put another object there keeps it.
    if _object_at(connection, handle) == object_name:
        connection.esys(lambda esys: esys.evict(handle, handle, owner_auth(), STORAGE_ROOT_KEY))


def _algorithm(spec: SecretSpec | PairSpec) -> str:
    """For people who read the record; what counts is the public area."""
    if isinstance(spec, SecretSpec):
        return f"{spec.family.value} {spec.hash_name or spec.bits}"
    return f"{spec.kind} {spec.curve or spec.bits}"


def _usage(usage: Usage) -> str:
    return " ".join(str(flag.name).lower() for flag in Usage if flag is not Usage.NONE and usage & flag)
