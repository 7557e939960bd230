"""Threads and processes of one host that write named keys take turns (flock of the folder that the module lies in), and
those that log in to SoftHSM (flock of a file that is the same for every path to it).

Without it two of them could both find a name free; SoftHSM does not show a process at once what another one stored, and
NSS hangs where two threads write to its database. Hosts that share a network HSM have no such lock: see
`KeyStore.persist_key` for what they do.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from hwcng.forking import ProcessLock

__all__ = ["alone_on_host", "in_turn"]

LOCK_FILE = "hwcng-softhsm.lock"
LOCK_FOLDERS = ("/dev/shm", "/tmp")  # noqa: S108 - nothing is written into it, and a link there is not followed
PATIENCE_SECONDS = 5.0
POLL_SECONDS = 0.001
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW

_writing = ProcessLock()


@contextmanager
def in_turn(module_path: str) -> Iterator[None]:
    """Keeps other writers of named keys off; a process that is stopped meanwhile does not hold others for ever."""
    with _writing.held(), _locked(module_path):
        yield


@contextmanager
def alone_on_host() -> Iterator[None]:
    """Keeps off other threads and processes that log in to SoftHSM, by whatever module, but not for ever."""
    with _flocked(_lock_file()):
        yield


def _lock_file() -> int | None:
    """The open file that everybody locks, None where no folder takes one."""
    for folder in LOCK_FOLDERS:
        path = os.path.join(folder, LOCK_FILE)
        with contextlib.suppress(OSError):
            return os.open(path, _READ)
        with contextlib.suppress(OSError):
            descriptor = os.open(path, _READ | os.O_CREAT | os.O_EXCL, 0o444)
            # Whatever the umask: other users lock it too.
            os.fchmod(descriptor, 0o444)
            return descriptor
        # Somebody else may just have made it.
        with contextlib.suppress(OSError):
            return os.open(path, _READ)
    return None


@contextmanager
def _locked(module_path: str) -> Iterator[None]:
    descriptor = None
    with contextlib.suppress(OSError):
        descriptor = os.open(os.path.dirname(module_path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    with _flocked(descriptor):
        yield


@contextmanager
def _flocked(descriptor: int | None) -> Iterator[None]:
    if descriptor is None:
        yield
        return
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EINTR):
                    break
                time.sleep(POLL_SECONDS)
        yield
    finally:
        # A child that was forked meanwhile has the descriptor too, and would keep the lock.
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)
