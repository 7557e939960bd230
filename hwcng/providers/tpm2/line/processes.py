"""What becomes of connections when their process forks or ends (POSIX fork; atexit; multiprocessing's finalisers)."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import weakref
from typing import Protocol

__all__ = ["Held", "end_with_worker", "living"]

# multiprocessing runs finalisers of lower numbers later.
_LAST = -1000


class Held(Protocol):
    """What must be held still while the process forks, and closed before it ends."""

    def before_fork(self) -> bool:
        """Whether it is now held."""

    def after_fork_in_parent(self) -> None: ...

    def close(self) -> None: ...


living: weakref.WeakSet[Held] = weakref.WeakSet()


class _Still(threading.local):
    """What this thread holds still while it forks; two threads may fork at a time."""

    held: tuple[Held, ...] = ()


_still = _Still()


def _before_fork() -> None:
    _still.held = tuple(one for one in list(living) if one.before_fork())


def _after_fork_in_parent() -> None:
    held, _still.held = _still.held, ()
    for one in held:
        one.after_fork_in_parent()


def _after_fork_in_child() -> None:
    _still.held = ()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)


@atexit.register
def _close_all() -> None:
    """What is left in a TPM without a resource manager would stay there."""
    for one in list(living):
        one.close()


_ends_with_worker: set[int] = set()


def end_with_worker() -> None:
    """Workers of multiprocessing end by os._exit, which runs its finalisers and nothing else."""
    process, util = sys.modules.get("multiprocessing.process"), sys.modules.get("multiprocessing.util")
    # Where these were never imported this is none of its workers.
    if process is None or util is None or process.parent_process() is None or os.getpid() in _ends_with_worker:
        return
    _ends_with_worker.add(os.getpid())
    util.Finalize(None, _close_all, exitpriority=_LAST)
