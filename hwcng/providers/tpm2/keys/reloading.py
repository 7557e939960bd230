"""Keys that come back: from TSS2 PRIVATE KEY files, below whatever parent they name, and from persistent handles.

TPM 2.0 Library, Part 3, sections 12.2 (TPM2_Load) and 13.3 (TPM2_Import).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from contextlib import suppress
from typing import TypeAlias

from hwcng.contract.material import PublicKeyMaterial
from hwcng.contract.specs import PairSpec, SecretSpec
from hwcng.errors import HRESULT, NTSTATUS, CngError, not_supported
from hwcng.providers.tpm2.line.connection import Connection
from hwcng.providers.tpm2.line.parents import FIRST_PERSISTENT, LAST_PERSISTENT, Place
from hwcng.providers.tpm2.line.slots import TpmObject, blaming_the_blob
from hwcng.providers.tpm2.wire import commands
from hwcng.providers.tpm2.wire.constants import RC
from hwcng.providers.tpm2.wire.errors import TpmError
from hwcng.providers.tpm2.wire.key_file_asn1 import TssKey
from hwcng.providers.tpm2.wire.marshal import MalformedError
from hwcng.providers.tpm2.wire.policies import required
from hwcng.providers.tpm2.wire.public_area import name_of, parse_public, spec_of

__all__ = ["Found", "HANDLE", "at_handle", "at_handles", "file_of", "handle_in", "load", "reloaded"]

Found: TypeAlias = tuple[TpmObject, SecretSpec | PairSpec, PublicKeyMaterial | None]
"""An object, what it serves, and its public half where it has one."""

HANDLE = "handle:"
_HANDLE = re.compile(HANDLE + "0[xX]([0-9a-fA-F]{8})")


def handle_in(name: str) -> int | None:
    """The persistent handle that a name means: "handle:0x81010005", as tpm2-openssl writes it."""
    found = _HANDLE.fullmatch(name)
    handle = int(found[1], 16) if found else 0
    return handle if FIRST_PERSISTENT <= handle <= LAST_PERSISTENT else None


def file_of(held: TpmObject, root: int) -> TssKey:
    """root: the storage root key's handle. Raises STATUS_NOT_SUPPORTED for a key at a persistent handle."""
    if held.fixed:
        raise not_supported(f"{held.title} is in the TPM's own memory, and a TPM gives no blob of such a key")
    place = held.place
    handle, rsa = (root, False) if place is None else (place.handle, place.is_rsa)
    return TssKey(handle, held.public, held.private, not held.auth, rsa, policy=held.policy)


def load(connection: Connection, held: TpmObject, places: Iterable[Place | None]) -> None:
    """Loads a key below the first of these places that it belongs to, and remembers that one."""
    for place in places:
        held.place = place
        try:
            connection.perform("loading the key", lambda line: line.cache.load(line, held))
            return
        except CngError as error:
            refused = _elsewhere(error)
    raise refused


def reloaded(connection: Connection, file: TssKey, auth: bytes, places: Iterable[Place | None]) -> Found:
    """The key of a file, loaded, and imported first where its file says that it has to be.

    Raises STATUS_INVALID_PARAMETER for what this TPM does not load and for keys that are not served.
    """
    try:
        public = parse_public(file.public)
        spec, name = spec_of(public), name_of(file.public)
    except (MalformedError, ValueError) as error:
        raise _unserved("the blob", error) from None
    policy = required(file.policy, public)
    if not file.secret:
        held = TpmObject(file.public, file.private, name, auth, policy=policy)
        load(connection, held, places)
        return held, spec, public.material
    for place in places:
        try:
            held = TpmObject(file.public, _imported(connection, file, place), name, auth, place=place, policy=policy)
        except CngError as error:
            refused = _elsewhere(error)
        else:
            load(connection, held, (place,))
            return held, spec, public.material
    raise refused


def _imported(connection: Connection, file: TssKey, place: Place | None) -> bytes:
    def work(line: Connection) -> bytes:
        line.cache.make_room(line, 1)
        with blaming_the_blob(), line.cache.parent_of(line, place) as parent:
            return commands.import_duplicate(line, parent, file.public, file.private, file.secret)

    return connection.perform("importing the key", work)


def _elsewhere(error: CngError) -> CngError:
    """What the TPM said of the blob, where the key may be below another parent; everything else is raised."""
    if error.status is not NTSTATUS.STATUS_INVALID_PARAMETER or error.token_code is None:
        raise error
    return error


def at_handle(connection: Connection, handle: int, auth: bytes) -> Found:
    """The key at a persistent handle. Raises NTE_BAD_KEYSET where nothing is there, NTE_NOT_SUPPORTED for an object of
    another kind.
    """
    found = connection.perform(f"reading the key at {handle:#x}", lambda line: _read(line, handle))
    if found is None:
        raise CngError(HRESULT.NTE_BAD_KEYSET, f"nothing is at {handle:#x} in this TPM")
    try:
        public = parse_public(found[0])
        spec = spec_of(public)
    except (MalformedError, ValueError) as error:
        raise CngError(HRESULT.NTE_NOT_SUPPORTED, f"the object at {handle:#x} is not served: {error}") from None
    title = f"the key at {handle:#x}"
    return TpmObject(found[0], b"", found[1], auth, title=title, fixed=handle), spec, public.material


def at_handles(connection: Connection, known: Collection[bytes]) -> list[tuple[int, SecretSpec | PairSpec]]:
    """The keys at persistent handles that `at_handle` opens. known: names of objects that are left out."""

    def read(line: Connection) -> list[tuple[int, bytes, bytes]]:
        return [
            (handle, *found)
            for handle in commands.handles(line, FIRST_PERSISTENT)
            if handle <= LAST_PERSISTENT and handle != line.storage_root.handle and (found := _read(line, handle))
        ]

    served: list[tuple[int, SecretSpec | PairSpec]] = []
    for handle, public, name in connection.perform("listing the keys at persistent handles", read):
        with suppress(MalformedError, ValueError):
            spec = spec_of(parse_public(public))
            if name not in known:
                served.append((handle, spec))
    return served


def _read(line: Connection, handle: int) -> tuple[bytes, bytes] | None:
    """TPMT_PUBLIC and the name of what is at a handle, None where nothing is."""
    try:
        return commands.read_public(line, handle)
    except TpmError as error:
        if error.code == RC.HANDLE:
            return None
        raise


def _unserved(what: str, error: Exception) -> CngError:
    return CngError(NTSTATUS.STATUS_INVALID_PARAMETER, f"{what} holds no key that is served: {error}")
