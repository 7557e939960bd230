"""What a forked child must renew, and what a fork waits for, because it copies locks as other threads hold them (POSIX
fork).
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

__all__ = [
    "ForkAware",
    "ProcessLock",
    "at_work",
    "foreign_work",
    "foreign_work_begins",
    "forks_under_way",
    "tell_after_fork",
]

PATIENCE_SECONDS = 1.0
POLL_SECONDS = 0.0005


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


# Sets and lists change in one step each, so that an operation pays for no lock.
at_work: set[object] = set()
"""What calls into a library with locks of its own: put in with `foreign_work_begins`, taken out when it is done."""
forks_under_way: list[None] = []


def foreign_work_begins(work: object) -> None:
    """Says that `work` calls into a library with locks of its own; waits where a fork is under way, and ends with
    `at_work.discard(work)`.

    A lock inside the library that is held during a fork stays locked in the child for ever.
    """
    at_work.add(work)
    while forks_under_way:
        at_work.discard(work)
        time.sleep(POLL_SECONDS)
        at_work.add(work)


@contextmanager
def foreign_work() -> Iterator[None]:
    """For work of this thread that has no object of its own; it may fork within."""
    thread = threading.get_ident()
    if thread in at_work:
        yield
        return
    foreign_work_begins(thread)
    try:
        yield
    finally:
        at_work.discard(thread)


def _before_fork() -> None:
    forks_under_way.append(None)
    deadline = time.monotonic() + PATIENCE_SECONDS
    own = {threading.get_ident()}
    # What takes longer, such as making a large RSA key, is not waited for.
    while at_work - own and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def _after_fork_in_parent() -> None:
    forks_under_way.pop()


def _after_fork_in_child() -> None:
    forks_under_way.clear()
    at_work.clear()
    for subscriber in list(_told):
        subscriber.after_fork_in_child()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
