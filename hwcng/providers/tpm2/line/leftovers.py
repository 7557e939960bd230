"""Makes room in a TPM without a resource manager: flushes what processes left that are no more.

TPM 2.0 Library, Part 1, section 30. What a process has now is flushed by its own children at most, and nothing is that
is in no ledger: other programs use the TPM too.
"""

from __future__ import annotations

import glob
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from hwcng.providers.tpm2.line.ledger import OBJECT, SEQUENCE, SESSION, SESSIONS, SUFFIX, Entry, Ledger
from hwcng.providers.tpm2.line.presence import Presence
from hwcng.providers.tpm2.wire import commands
from hwcng.providers.tpm2.wire.commands import Link
from hwcng.providers.tpm2.wire.constants import PT, RC
from hwcng.providers.tpm2.wire.errors import TpmError

__all__ = ["flush_everything", "flush_inherited", "flush_left", "flush_own", "forget", "inherit", "is_short"]

_TRANSIENT, _SAVED_SESSIONS = 0x80000000, 0x03000000
_RANGES = (_TRANSIENT, SESSIONS, _SAVED_SESSIONS)
_OBJECTS_NEEDED = 2
"""Slots for a key and for its parent at work."""

_inherited: dict[str | None, dict[int, bytes]] = {}


def flush_left(link: Link, ledger: Ledger) -> bool:
    """Flushes what ended processes left; whether there was anything. Raises TransportError."""
    with ledger.dead() as dead:
        if not dead:
            return False
        present = _present(link)
        living = [*ledger.living(dead), *ledger.entries.values()]
        flushed = False
        for path, entries in dead.items():
            settled = [_settle(link, entry, present, living, ledger.resets) for entry in entries]
            flushed = any(handles for handles in settled) or flushed
            if None not in settled:
                with suppress(OSError):
                    path.unlink()
        return flushed


def forget(place: Path) -> None:
    """Removes what processes wrote down at a TPM that will never be again. place: `meeting_place` of it."""
    for path in place.parent.glob(f"{glob.escape(place.name)}-*{SUFFIX}"):
        with suppress(OSError):
            path.unlink()
    last = Presence(place)
    last.arrive()
    last.leave()


def flush_own(link: Link, ledger: Ledger) -> None:
    """Flushes what this process had before the line broke, and begins a new page. Raises TransportError."""
    if not ledger.entries:
        return
    present, living = _present(link), ledger.living({})
    for index, entry in list(ledger.entries.items()):
        _settle(link, entry, present, living, ledger.resets)
        ledger.note(index, None)


def inherit(tcti: str | None, names: Mapping[int, bytes]) -> None:
    """Notes what the parent process had in slots at the fork: names by handle."""
    _inherited.setdefault(tcti, {}).update(names)


def flush_inherited(link: Link, tcti: str | None) -> bool:
    """Flushes one key that the parent process had in a slot at the fork; whether one was still there.

    The parent, which may be idle for ever, loads its key again when it needs it.
    """
    inherited = _inherited.get(tcti, {})
    while inherited:
        handle, name = inherited.popitem()
        with suppress(TpmError):
            if commands.read_public(link, handle)[1] == name:
                commands.flush(link, handle)
                return True
    return False


def _present(link: Link) -> list[int]:
    return [handle for first in (_TRANSIENT, SESSIONS) for handle in commands.handles(link, first)]


def _settle(link: Link, entry: Entry, present: Iterable[int], living: Sequence[Entry], resets: int) -> list[int] | None:
    """Flushes what an entry stands for, and says what; None where that cannot be told now."""
    if entry.resets != resets:
        # A reset flushed it.
        return []
    begun = [other for other in living if not other.handle and _alike(entry, other)]
    taken = {other.handle for other in living if other.handle}
    candidates = [entry.handle] if entry.handle else present
    free = [handle for handle in candidates if handle in present and handle not in taken and _may_be(entry, handle)]
    found = [handle for handle in free if _is(link, entry, handle)]
    if found and begun:
        # Somebody is just making one like it, and has not written down its handle.
        return None
    if entry.handle or len(found) == 1:
        for handle in found:
            with suppress(TpmError):
                commands.flush(link, handle)
        return found
    return []


def _alike(entry: Entry, other: Entry) -> bool:
    return entry.kind == other.kind and (entry.kind != OBJECT or entry.identity == other.identity)


def _may_be(entry: Entry, handle: int) -> bool:
    # Sessions for policies are 0x03 handles in the list of loaded ones.
    is_session = handle < _TRANSIENT
    return is_session == (entry.kind == SESSION) and handle not in entry.before


def _is(link: Link, entry: Entry, handle: int) -> bool:
    """Whether the object at a handle is the one that was written down; sessions have nothing to tell them by."""
    if entry.kind == SESSION:
        return True
    try:
        public, name = commands.read_public(link, handle)
    except TpmError as error:
        return entry.kind == SEQUENCE and error.code == RC.SEQUENCE
    return (
        entry.kind == OBJECT and bool(entry.identity) and (name == entry.identity or public.startswith(entry.identity))
    )


def is_short(link: Link) -> bool:
    """Whether there is no room for a key, its parent at work and a session."""
    available = commands.properties(link, PT.HR_LOADED_AVAIL)
    needed = {PT.HR_LOADED_AVAIL: 1, PT.HR_ACTIVE_AVAIL: 1, PT.HR_TRANSIENT_AVAIL: _OBJECTS_NEEDED}
    return any(available.get(number, least) < least for number, least in needed.items())


def flush_everything(link: Link) -> None:
    """Also what other programs made: only for who is alone and has no room at all."""
    for first in _RANGES:
        for handle in commands.handles(link, first):
            with suppress(TpmError):
                # Saved sessions are listed by 0x03 and flushed by 0x02 handles.
                commands.flush(link, SESSIONS | handle & 0x00FFFFFF if first == _SAVED_SESSIONS else handle)
