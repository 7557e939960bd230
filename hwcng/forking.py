"""What a child process must renew, and what a fork waits for, because it copies locks as other threads hold them (POSIX
fork).

Python's hooks do not run where C code forks, so each entry looks at a page that Linux wipes in a child (madvise(2),
MADV_WIPEONFORK).
"""

from __future__ import annotations

import mmap
import os
import sys
import threading
import time
import weakref
from _thread import RLock
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, overload

__all__ = [
    "ForkAware",
    "ProcessLock",
    "at_work",
    "entered",
    "foreign_work",
    "foreign_work_begins",
    "forks_under_way",
    "kept_property",
    "lock_of",
    "notice_fork",
    "tell_after_fork",
]

T = TypeVar("T")

PATIENCE_SECONDS = 1.0
POLL_SECONDS = 0.0005

MADV_WIPEONFORK = 18
_NO_ADVICE = -1


class ForkAware(Protocol):
    def after_fork_in_child(self) -> None: ...


class Mark(Protocol):
    """One octet: 1 in the process that wrote it, 0 in its children."""

    def __getitem__(self, index: int, /) -> int: ...

    def __setitem__(self, index: int, value: int, /) -> None: ...


class PidMark:
    """A mark by the process id, for kernels that wipe no page."""

    def __init__(self) -> None:
        self._pid = 0

    def __getitem__(self, index: int, /) -> int:
        return int(self._pid == os.getpid())

    def __setitem__(self, index: int, value: int, /) -> None:
        self._pid = os.getpid() if value else 0


def _takes(page: mmap.mmap, advice: int) -> bool:
    try:
        page.madvise(advice)
    except OSError:
        return False
    return True


def wiped_page() -> Mark | None:
    """A mark in memory that a child finds wiped, None where the system has none such."""
    if not sys.platform.startswith("linux"):
        return None
    page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    # What agrees to anything, as old versions of QEMU do, does nothing.
    return memoryview(page) if _takes(page, MADV_WIPEONFORK) and not _takes(page, _NO_ADVICE) else None


entered: Mark = wiped_page() or PidMark()
"""entered[0] is 0 in a child that has renewed nothing yet. Hot paths read it themselves before `notice_fork`."""
entered[0] = 1

# What stands for this process: an id of one that ended may come again.
_this_process = [object()]

_told: set[weakref.ref[ForkAware]] = set()


def tell_after_fork(subscriber: ForkAware) -> None:
    """Calls `subscriber.after_fork_in_child()` in every forked child, for as long as the subscriber lives: after the
    fork where Python forked, else at the first entry.
    """
    # Who comes in a child that has not looked yet is not the parent's.
    notice_fork()
    _told.add(weakref.ref(subscriber, _told.discard))


class _Renewal:
    """What one child has to renew, and the thread that does it."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self._left = list(_told)

    def run(self) -> None:
        # Emptied step by step: a signal handler or a finaliser that enters meanwhile goes on here.
        while (told := self._next()) is not None:
            subscriber = told()
            if subscriber is not None:
                subscriber.after_fork_in_child()

    def _next(self) -> weakref.ref[ForkAware] | None:
        with suppress(IndexError):
            return self._left.pop()
        return None


# By process id: what a thread of the parent had begun there is no concern of the child.
_renewals: dict[int, _Renewal] = {}


def notice_fork() -> None:
    """Every entry's first step: in a new process, renews what it inherited, once, whichever thread comes first."""
    if entered[0]:
        return
    process, mine = os.getpid(), _Renewal()
    renewal = _renewals.setdefault(process, mine)
    if renewal.thread != mine.thread:
        while not entered[0] and process in _renewals:
            time.sleep(POLL_SECONDS)
        return notice_fork()
    try:
        # Another thread may have been through with it before this one had its turn.
        if not entered[0]:
            if renewal is mine:
                _this_process[0] = object()
                forks_under_way.clear()
                at_work.clear()
            renewal.run()
            entered[0] = 1
    finally:
        _renewals.pop(process, None)


class ProcessLock:
    """A re-entrant lock that is free again in a forked child: each process makes one of its own when it needs it."""

    __slots__ = ("_locks",)

    def __init__(self) -> None:
        self._locks: dict[object, AbstractContextManager[object]] = {}

    def held(self) -> AbstractContextManager[object]:
        """The lock, to be taken at once by a `with`. A fork inside the block leaves this one to be released by the
        child.
        """
        if not entered[0]:
            notice_fork()
        process = _this_process[0]
        return self._locks.get(process) or self._locks.setdefault(process, RLock())


def lock_of(holder: object, name: str) -> ProcessLock:
    """The lock that `holder` has as its attribute `name`, made when it is needed."""
    own = vars(holder)
    lock: ProcessLock = own.get(name) or own.setdefault(name, ProcessLock())
    return lock


class kept_property(Generic[T]):  # noqa: N801 - as property is spelled
    """A property that is worked out when it is first read, and kept with its object. Two threads may both work it out,
    and the first value stays.

    functools.cached_property before Python 3.12 holds a lock of its class meanwhile, and a child that is forked then
    waits for it for ever.
    """

    def __init__(self, work_out: Callable[[Any], T]) -> None:
        self._work_out = work_out
        self.__doc__ = work_out.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, holder: None, owner: type) -> kept_property[T]: ...
    @overload
    def __get__(self, holder: object, owner: type) -> T: ...
    def __get__(self, holder: object | None, owner: type) -> kept_property[T] | T:
        if holder is None:
            return self
        value: T = vars(holder).setdefault(self._name, self._work_out(holder))
        return value

    if TYPE_CHECKING:

        def __set__(self, holder: object, value: T) -> None: ...


# Sets and lists change in one step each, so that an operation pays for no lock.
at_work: set[object] = set()
"""What calls into a library with locks of its own: put in with `foreign_work_begins`, taken out when it is done."""
forks_under_way: list[None] = []


def foreign_work_begins(work: object) -> None:
    """Says that `work` calls into a library with locks of its own; waits where a fork is under way, and ends with
    `at_work.discard(work)`.

    A lock inside the library that is held during a fork stays locked in the child for ever.
    """
    if not entered[0]:
        notice_fork()
    try:
        at_work.add(work)
        # Part of what the fork waits for already must not wait for the fork.
        while forks_under_way and threading.get_ident() not in at_work:
            at_work.discard(work)
            time.sleep(POLL_SECONDS)
            at_work.add(work)
    except BaseException:
        at_work.discard(work)
        raise


@contextmanager
def foreign_work() -> Iterator[None]:
    """For work of this thread that has no object of its own; it may fork within."""
    if not entered[0]:
        notice_fork()
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
    notice_fork()
    forks_under_way.append(None)
    deadline = time.monotonic() + PATIENCE_SECONDS
    own = {threading.get_ident()}
    # What takes longer, such as making a large RSA key, is not waited for.
    while at_work - own and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def _after_fork_in_parent() -> None:
    forks_under_way.pop()


def _after_fork_in_child() -> None:
    # Python forked, so the process is another one, also where a process id stands for two (PID namespaces).
    if forks_under_way:
        entered[0] = 0
    # Whoever forks in C may run these hooks later than the first entry.
    notice_fork()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
