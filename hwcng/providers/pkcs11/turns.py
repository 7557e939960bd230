"""Threads and processes of one host that write named keys take turns (flock of the folder that the module lies in).

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

__all__ = ["in_turn"]

PATIENCE_SECONDS = 5.0
POLL_SECONDS = 0.001

_writing = ProcessLock()


@contextmanager
def in_turn(module_path: str) -> Iterator[None]:
    """Keeps other writers of named keys off; a process that is stopped meanwhile does not hold others for ever."""
    with _writing.held(), _locked(module_path):
        yield


@contextmanager
def _locked(module_path: str) -> Iterator[None]:
    try:
        descriptor = os.open(os.path.dirname(module_path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
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
