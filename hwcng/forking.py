"""What a forked child must renew: locks that another thread of the parent may have held (POSIX fork)."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

__all__ = ["ForkAware", "ProcessLock", "tell_after_fork"]


class ForkAware(Protocol):
    def after_fork_in_child(self) -> None: ...


_told: weakref.WeakSet[ForkAware] = weakref.WeakSet()


def tell_after_fork(subscriber: ForkAware) -> None:
    """Calls `subscriber.after_fork_in_child()` in every forked child, for as long as the subscriber lives."""
    _told.add(subscriber)


class ProcessLock:
    """A re-entrant lock that is free again in a forked child."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        tell_after_fork(self)

    def after_fork_in_child(self) -> None:
        self._lock = threading.RLock()

    @contextmanager
    def held(self) -> Iterator[None]:
        # A fork inside the block leaves the old lock to be released by the child.
        lock = self._lock
        with lock:
            yield


def _after_fork_in_child() -> None:
    for subscriber in list(_told):
        subscriber.after_fork_in_child()


os.register_at_fork(after_in_child=_after_fork_in_child)
