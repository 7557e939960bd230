"""What processes hold in a TPM without a resource manager, written down: TPM 2.0 Library, Part 1, section 30.

Objects and sessions outlive the process that made them. Each process has a file, one line for each thing that it holds,
written before the TPM makes it, so that no end of the process comes too early. The file is mapped, which costs next to
nothing, and locked by fcntl(2): the lock ends with the process, and no child inherits it. Its name has the process' id
and start time, for those that lose their lock.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import stat
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from hwcng.providers.tpm2.wire.constants import CAP, CC, RC
from hwcng.providers.tpm2.wire.errors import base_code
from hwcng.providers.tpm2.wire.marshal import Exchange, MalformedError, Reader, command, u32

__all__ = ["Entry", "Ledger", "OBJECT", "SEQUENCE", "SESSION", "SESSIONS", "SUFFIX"]

OBJECT, SEQUENCE, SESSION = "object", "sequence", "session"
SESSIONS = 0x02000000
"""The first handle of sessions that are loaded."""

SUFFIX = ".held"
_LINE, _LINES = 256, 64
_BLANK = b" " * _LINE
_ATTEMPTS = 8
_SUCCESS = u32(RC.SUCCESS)
_CREATE_PRIMARY = u32(CC.CreatePrimary)
_GONE = frozenset({RC.SUCCESS, RC.HANDLE, RC.REFERENCE_H0})
_MOST_SESSIONS = 8

_MADE: Mapping[bytes, str] = MappingProxyType(
    {
        u32(CC.Load): OBJECT,
        u32(CC.ContextLoad): OBJECT,
        _CREATE_PRIMARY: OBJECT,
        u32(CC.HMAC_Start): SEQUENCE,
        u32(CC.StartAuthSession): SESSION,
    }
)
"""Commands that make something, and what."""
_ENDING = frozenset({u32(CC.FlushContext), u32(CC.SequenceComplete)})
_LOW_OF_CODE = 9
_MAY_BE_NOTED = bytes(any(code[3] == low for code in (*_MADE, *_ENDING)) for low in range(256))
_LIST_SESSIONS = command(CC.GetCapability, (), b"", u32(CAP.HANDLES) + u32(SESSIONS) + u32(_MOST_SESSIONS))


@dataclass(frozen=True, slots=True)
class Entry:
    """handle: 0 where the TPM was asked to make it, and nothing more is known.

    identity: an object's name, or how its public area begins. resets: of the TPM, before it was made. before: sessions
    that were there when a session was asked for.
    """

    kind: str
    handle: int
    identity: bytes
    resets: int
    before: tuple[int, ...] = ()

    def line(self) -> bytes:
        before = ",".join([f"{handle:x}" for handle in self.before]) if self.before else ""
        text = f"{self.handle:08x};{self.kind};{self.resets:x};{self.identity.hex()};{before}"
        return text.encode().ljust(_LINE - 1) + b"\n"


def _entry(line: bytes) -> Entry | None:
    try:
        handle, kind, resets, identity, before = line.decode("ascii").rstrip(" \n").split(";")
        handles = tuple(int(item, 16) for item in before.split(",") if item)
        return Entry(kind, int(handle, 16), bytes.fromhex(identity), int(resets, 16), handles)
    except ValueError:
        return None


def _read(descriptor: int) -> list[Entry]:
    content = os.pread(descriptor, _LINES * _LINE, 0)
    lines = (content[start : start + _LINE] for start in range(0, len(content), _LINE))
    return [entry for line in lines if line.strip() and (entry := _entry(line)) is not None]


class Ledger:
    """place: where processes that use this TPM meet; their files begin with its name. primary: how the public areas of
    primary objects begin that we make for a moment. resets: how often the TPM was reset.

    The caller holds the connection's lock. Nothing here fails: what cannot be written down is nobody's to flush.
    """

    def __init__(self, place: Path, primary: bytes) -> None:
        self.resets = 0
        self._primary = primary
        self.entries: dict[int, Entry] = {}
        self._place = place
        self._path: Path | None = None
        self._descriptor = -1
        self._file: os.stat_result | None = None
        self._lines: mmap.mmap | None = None
        self._expected = b""
        _ledgers.add(self)

    # The own file.

    def arrive(self) -> None:
        """Makes the file, where there is none yet."""
        for _ in range(_ATTEMPTS if self._descriptor < 0 else 0):
            start = f"{self._place.name}-{os.getpid()}-{_started(os.getpid())}-"
            try:
                descriptor, name = tempfile.mkstemp(SUFFIX, start, self._place.parent)
            except OSError:
                return
            self._descriptor, self._path, self._file = descriptor, Path(name), os.fstat(descriptor)
            with suppress(OSError, ValueError):
                # Whole from the beginning: a disk that is full later on does not matter to what is mapped.
                os.pwrite(descriptor, _BLANK * _LINES, 0)
                self._lines = mmap.mmap(descriptor, _LINE * _LINES)
            # Who looks for files of the dead may have been faster than the lock.
            if _locked(descriptor) and os.fstat(descriptor).st_nlink:
                return
            self.leave()

    def leave(self) -> None:
        if self._path is not None:
            with suppress(OSError):
                os.unlink(self._path)
        self.abandon()

    def abandon(self) -> None:
        """In a child: the file, and what is in it, are the parent's."""
        descriptor, file, lines = self._descriptor, self._file, self._lines
        self._descriptor, self._path, self._file, self._lines = -1, None, None, None
        if lines is not None:
            lines.close()
        self.entries = {}
        self._expected = b""
        if file is not None:
            with suppress(OSError):
                # A program that closed all its files may have another one under this number.
                if os.path.samestat(os.fstat(descriptor), file):
                    os.close(descriptor)

    def expect(self, identity: bytes) -> None:
        """Says which object the next command makes: by its name, or by how its public area begins."""
        self._expected = identity

    def recording(self, exchange: Exchange) -> Exchange:
        """`exchange`, with everything written down that it makes and ends."""

        def recorded(request: bytes) -> bytes:
            # One octet tells of most commands that they are none of these, in no time.
            if not _MAY_BE_NOTED[request[_LOW_OF_CODE]]:
                return exchange(request)
            return self._noted(exchange, request)

        return recorded

    def _noted(self, exchange: Exchange, request: bytes) -> bytes:
        code = request[6:10]
        if code in _MADE:
            return self._making(exchange, request, _MADE[code])
        response = exchange(request)
        if code in _ENDING and base_code(int.from_bytes(response[6:10], "big")) in _GONE:
            self._ended(int.from_bytes(request[10:14], "big"))
        return response

    def _making(self, exchange: Exchange, request: bytes, kind: str) -> bytes:
        identity, self._expected = self._expected, b""
        if request[6:10] == _CREATE_PRIMARY:
            identity = identity or self._primary
        before = _sessions(exchange) if kind is SESSION else ()
        index = 0
        while index in self.entries:
            index += 1
        self.note(index, Entry(kind, 0, identity, self.resets, before))
        response = exchange(request)
        made = response[6:10] == _SUCCESS
        handle = int.from_bytes(response[10:14], "big")
        self.note(index, Entry(kind, handle, identity, self.resets) if made else None)
        return response

    def _ended(self, handle: int) -> None:
        for index, entry in list(self.entries.items()):
            if entry.handle == handle:
                self.note(index, None)

    def note(self, index: int, entry: Entry | None) -> None:
        """Writes a line, or wipes it."""
        if entry is None:
            self.entries.pop(index, None)
        else:
            self.entries[index] = entry
        if self._lines is not None and index < _LINES:
            self._lines[index * _LINE : (index + 1) * _LINE] = entry.line() if entry else _BLANK

    # The files of others.

    def _others(self) -> list[Path]:
        own = {ledger._path for ledger in list(_ledgers)}
        try:
            names = os.listdir(self._place.parent)
        except OSError:
            return []
        start = f"{self._place.name}-"
        paths = (self._place.parent / name for name in names if name.startswith(start) and name.endswith(SUFFIX))
        return [path for path in paths if path not in own]

    @contextmanager
    def dead(self) -> Iterator[dict[Path, list[Entry]]]:
        """What processes left that are no more, by file. Nobody else deals with these files meanwhile."""
        found: dict[Path, list[Entry]] = {}
        descriptors = []
        try:
            for path in self._others():
                descriptor = _opened(path)
                if descriptor < 0:
                    continue
                descriptors.append(descriptor)
                if not _runs(path) and _locked(descriptor) and os.fstat(descriptor).st_nlink:
                    found[path] = _read(descriptor)
            yield found
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def living(self, dead: Mapping[Path, list[Entry]]) -> list[Entry]:
        """What all others hold, of this process and of others. To be asked after the TPM was: what is made is written
        down before.
        """
        beside = [ledger for ledger in list(_ledgers) if ledger._place == self._place and ledger is not self]
        held = [entry for ledger in beside for entry in ledger.entries.values()]
        for path in self._others():
            descriptor = _opened(path) if path not in dead else -1
            if descriptor >= 0:
                held += _read(descriptor)
                os.close(descriptor)
        return held


_ledgers: weakref.WeakSet[Ledger] = weakref.WeakSet()


def _opened(path: Path) -> int:
    """-1 for what is no file of this user's."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return -1
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid():
        return descriptor
    os.close(descriptor)
    return -1


def _runs(path: Path) -> bool:
    """Whether the process that a file's name tells of is there, by its id and start: also where it lost its lock."""
    try:
        pid, started = path.name.split("-")[-3:-1]
        # What this process made before it called exec(2) is nobody's any more.
        return int(pid) != os.getpid() and started == _started(int(pid))
    except ValueError:
        return False


def _started(pid: int) -> str:
    """When a process started, in ticks since the machine did (proc(5)); "" where that is not known."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _locked(descriptor: int) -> bool:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _sessions(exchange: Exchange) -> tuple[int, ...]:
    reader = Reader(exchange(_LIST_SESSIONS))
    try:
        reader.take(15)
        return tuple(reader.u32() for _ in range(reader.u32()))
    except MalformedError:
        return ()
