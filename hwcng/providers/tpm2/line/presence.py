"""Who else in this machine uses a TPM without a resource manager: a lock file that every process of ours shares.

A TPM reached without a resource manager has one set of slots for all. Who is not alone keeps one key in a slot: enough
for two processes. More need a resource manager (device:/dev/tpmrm0).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from hwcng.providers.tpm2.line.tcti import canonical

__all__ = ["Presence", "meeting_place"]

_ATTEMPTS, _PAUSE = 200, 0.005


def meeting_place(tcti: str | None) -> Path:
    """What the names of all files begin with by which this user's processes know of each other at a TPM."""
    directory = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    name = hashlib.sha256(canonical(tcti).encode()).hexdigest()[:32]
    return Path(directory) / f"hwcng-tpm2-{os.getuid()}-{name}"


class Presence:
    """Holds a shared flock(2) for as long as a connection lives. place: `meeting_place` of the TPM."""

    def __init__(self, place: Path) -> None:
        self._path = place.with_name(f"{place.name}.lock")
        self._descriptor = -1

    def arrive(self) -> None:
        """Never fails: without the file nobody counts as alone."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        while self._descriptor < 0:
            try:
                self._descriptor = os.open(self._path, flags, 0o600)
            except OSError:
                return
            if not self._stay():
                return
            if not self._still_there():
                self.abandon()

    def _still_there(self) -> bool:
        """Whether the file we hold is still the one at its path: the last to leave removes it."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), os.stat(self._path))
        except OSError:
            return False

    def _stay(self) -> bool:
        """Takes the shared lock. Others hold the exclusive one only while they look whether they are alone."""
        for _ in range(_ATTEMPTS):
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return True
            except OSError:
                time.sleep(_PAUSE)
        self.abandon()
        return False

    def alone(self) -> bool:
        """Whether no other connection of ours, in any process of this user, is open to this TPM."""
        if self._descriptor < 0:
            return False
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            alone = False
        else:
            alone = True
        # A conversion that fails may have dropped the lock that was held (flock(2)).
        return self._stay() and alone

    def leave(self) -> None:
        """The last one removes the file."""
        if self._descriptor >= 0:
            with suppress(OSError):
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._still_there():
                    os.unlink(self._path)
        self.abandon()

    def abandon(self) -> None:
        """Closes the file and changes no lock that a parent process has."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
