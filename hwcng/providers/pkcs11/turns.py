"""Processes of one host that write named keys take turns (flock of the folder that the module lies in).

Without it two of them could both find a name free. Hosts that share a network HSM have no such lock: see
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

__all__ = ["in_turn"]

PATIENCE_SECONDS = 5.0
POLL_SECONDS = 0.001


@contextmanager
def in_turn(module_path: str) -> Iterator[None]:
    """Keeps other processes of hwcng from writing named keys; where one is stopped meanwhile, not for ever."""
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
