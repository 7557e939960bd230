"""Calls that may not come back, given up after a time: C code cannot be interrupted, so it goes on in a thread that
nobody waits for.

What the call reads and writes lives as long as the call. How many may be lost at once is bounded; a call that comes
back after all is lost no more.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from queue import SimpleQueue
from types import FrameType
from typing import Any, TypeVar

from hwcng.errors import NTSTATUS, CngError
from hwcng.forking import tell_after_fork

__all__ = ["MOST_LOST", "Call", "Deadlines"]

R = TypeVar("R")

MOST_LOST = 16
"""Calls of one library that may be lost at once: each holds a thread."""
_OURS = __package__ or "hwcng"


class Call:
    """A call under way. then: what is done when it comes back lost, in its own thread, given what it returned, None
    where it raised.
    """

    __slots__ = ("_arguments", "_ended", "_function", "_kept", "begun", "error", "is_over", "lost", "result", "then")

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self._function = function
        self._arguments = arguments
        self._ended = threading.Lock()
        self._ended.acquire()
        self._kept: list[FrameType] = []
        self.result: Any = None
        self.error: BaseException | None = None
        self.begun = False
        self.is_over = False
        self.lost = False
        self.then: list[Callable[[Any], object]] = []

    def run(self) -> None:
        try:
            self.result = self._function(*self._arguments)
        except BaseException as error:
            self.error = error

    def end(self) -> None:
        """Tells who waits."""
        self._ended.release()

    def wait(self, seconds: float) -> bool:
        """Whether it came back meanwhile."""
        return self._ended.acquire(timeout=seconds)

    def keep(self, frame: FrameType | None) -> None:
        """Keeps what the callers have in hand, from `frame` up to the application: arguments may point to it."""
        while frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] == _OURS:
            self._kept.append(frame)
            frame = frame.f_back

    def came_back(self) -> None:
        for act in self.then:
            act(self.result)
        self._kept.clear()


class Deadlines:
    """The calls of one library. Any number of threads may make them; none is inherited by a forked child.

    Each call is done by a thread of its own, which does another one afterwards and ends with the process.
    """

    def __init__(self, library: str) -> None:
        self._library = library
        self._begin_anew()
        tell_after_fork(self)

    def _begin_anew(self) -> None:
        self._waiting: SimpleQueue[Call] = SimpleQueue()
        self._under_way: set[Call] = set()
        self._lost: set[Call] = set()
        self._workers: set[threading.Thread] = set()
        self._lock = threading.RLock()

    def after_fork_in_child(self) -> None:
        """The threads are the parent's."""
        self._begin_anew()

    @property
    def lost(self) -> int:
        """How many calls have not come back."""
        return len(self._lost)

    def call(
        self,
        seconds: float,
        asked: str,
        function: Callable[..., R],
        *arguments: Any,
        when_lost: Callable[[Call], object] | None = None,
    ) -> R:
        """What the function returns or raises. asked: what it is, for messages. when_lost: told of a call that is given
        up, before anybody else can be.

        Raises STATUS_IO_TIMEOUT where it does not come back in time, and at once where too many have not;
        STATUS_INSUFFICIENT_RESOURCES where there is no thread for it.
        """
        if len(self._lost) >= MOST_LOST:
            raise CngError(
                NTSTATUS.STATUS_IO_TIMEOUT,
                f"{asked} was not begun: {len(self._lost)} calls of {self._library} have not come back; the token or "
                "its module hangs, and a new process is the way out where it does not come to itself",
            )
        call = Call(function, arguments)
        try:
            self._begin(call, asked)
            came_back = call.wait(seconds)
        except BaseException:
            self._interrupted(call, sys._getframe(1), when_lost)
            raise
        if not came_back and self._give_up(call, sys._getframe(1), when_lost):
            raise CngError(
                NTSTATUS.STATUS_IO_TIMEOUT,
                f"{asked} did not come back in {seconds:g} seconds and was given up; whether it does what it was asked "
                "is not known, what else the token is asked goes on in other sessions",
            )
        if call.error is not None:
            raise call.error
        result: R = call.result
        return result

    def _begin(self, call: Call, asked: str) -> None:
        # Without the lock, for which the worker of a call would wait that a signal's handler makes meanwhile.
        self._under_way.add(call)
        if len(self._under_way) > len(self._workers):
            self._another_worker(asked)
        self._waiting.put(call)

    def _another_worker(self, asked: str) -> None:
        worker = threading.Thread(target=self._work, name="hwcng call with a deadline", daemon=True)
        try:
            worker.start()
        except RuntimeError as error:
            raise CngError(
                NTSTATUS.STATUS_INSUFFICIENT_RESOURCES,
                f"{asked} was not begun, because a call with a deadline needs a thread: {error}; see to the limits of "
                "the user (ulimit -u) and of the container",
            ) from error
        self._workers.add(worker)

    def _work(self) -> None:
        while True:
            call = self._waiting.get()
            if self._taken(call):
                call.run()
                self._over(call)
            del call

    def _taken(self, call: Call) -> bool:
        """False for a call that was dropped before it began."""
        with self._lock:
            call.begun = call in self._under_way
            return call.begun

    def _interrupted(self, call: Call, frame: FrameType, when_lost: Callable[[Call], object] | None) -> None:
        """An interruption of the caller's thread does not end the call: one that has not begun never does, and what
        another one makes is taken back when it is over.
        """
        with self._lock:
            if not call.begun:
                self._under_way.discard(call)
                return
        if not self._give_up(call, frame, when_lost):
            if when_lost is not None:
                when_lost(call)
            call.came_back()

    def _give_up(self, call: Call, frame: FrameType, when_lost: Callable[[Call], object] | None) -> bool:
        """False where it came back at the last moment."""
        with self._lock:
            if call.is_over:
                return False
            call.lost = True
            self._lost.add(call)
            call.keep(frame)
            if when_lost is not None:
                when_lost(call)
        return True

    def _over(self, call: Call) -> None:
        with self._lock:
            call.is_over = True
            self._lost.discard(call)
            if not call.lost:
                self._under_way.discard(call)
        call.end()
        if call.lost:
            call.came_back()
            self._under_way.discard(call)
