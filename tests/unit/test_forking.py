"""What a child renews, and when it notices that it is one."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from hwcng import forking

ROOT = Path(__file__).parents[2]

PRELUDE = """
import ctypes, os, sys, threading, time
PYTHON = ctypes.PyDLL(None)

def in_child(work, fork):
    '''What work() returned in a child, which is text; "hangs" after 20 s.'''
    reading, writing = os.pipe()
    pid = fork()
    if pid == 0:
        try:
            os.write(writing, str(work()).encode())
        except BaseException as error:
            os.write(writing, repr(error).encode())
        os._exit(0)
    os.close(writing)
    import select
    said = os.read(reading, 4096).decode() if select.select([reading], [], [], 20)[0] else "hangs"
    os.close(reading)
    if said == "hangs":
        os.kill(pid, 9)
    os.waitpid(pid, 0)
    return said

class Subscriber:
    def __init__(self):
        self.told = 0
        forking.tell_after_fork(self)

    def after_fork_in_child(self):
        self.told += 1
"""

# Without a platform that wipes pages, the process id tells.
MARKS = {"page": "", "process id": "import sys; sys.platform = 'elsewhere'\n"}


@pytest.fixture(params=list(MARKS))
def run(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Runs a script with `forking` as it is, or as it is on a kernel that wipes no page."""
    begins = f"{MARKS[request.param]}from hwcng import forking\nsys = __import__('sys')\nsys.platform = 'linux'\n"

    def run(script: str) -> None:
        program = begins + PRELUDE + textwrap.dedent(script)
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr

    return run


def test_the_page_is_used_where_the_kernel_wipes_it() -> None:
    assert isinstance(forking.wiped_page(), memoryview)
    assert isinstance(forking.entered, memoryview)


def test_a_child_is_told_once_however_it_was_forked(run: Callable[[str], None]) -> None:
    run("""
    subscriber, lock = Subscriber(), forking.ProcessLock()

    def enter():
        for _ in range(2):
            with lock.held():
                pass
        return subscriber.told

    for fork in (os.fork, PYTHON.fork):
        assert in_child(enter, fork) == "1", fork
        # A child of a child that never came here, and one of a child that did.
        for second in (os.fork, PYTHON.fork):
            assert in_child(lambda: in_child(enter, second), fork) in ("1", "2"), (fork, second)
            assert in_child(lambda: (enter(), in_child(enter, second)), fork) == "(1, '2')", (fork, second)
    assert subscriber.told == 0
    """)


def test_hooks_that_run_late_tell_nobody_again(run: Callable[[str], None]) -> None:
    # uWSGI with --py-call-osafterfork: Python's hooks for the child, and those before the fork only in newer versions.
    run("""
    subscriber, lock = Subscriber(), forking.ProcessLock()

    def late():
        with lock.held():
            pass
        PYTHON.PyOS_AfterFork_Child()
        return subscriber.told

    def early():
        PYTHON.PyOS_AfterFork_Child()
        with lock.held():
            pass
        return subscriber.told

    def hooked_before():
        PYTHON.PyOS_BeforeFork()
        pid = PYTHON.fork()
        if pid:
            PYTHON.PyOS_AfterFork_Parent()
        return pid

    # Python 3.13 and later end a child whose hooks undo what none before had done.
    forks = [hooked_before] if sys.version_info >= (3, 13) else [hooked_before, PYTHON.fork]
    for fork in forks:
        assert in_child(late, fork) == "1", fork
        assert in_child(early, fork) == "1", fork
    """)


def test_locks_of_threads_that_are_gone_are_free(run: Callable[[str], None]) -> None:
    run("""
    lock, held, leave = forking.ProcessLock(), threading.Event(), threading.Event()
    forking.at_work.add("a call of another thread")
    forking.forks_under_way.append(None)

    def hold():
        with lock.held():
            held.set()
            leave.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()

    def enter():
        with lock.held(), forking.foreign_work():
            return len(forking.at_work), len(forking.forks_under_way)

    # Python's own fork would wait for what is at work.
    assert in_child(enter, PYTHON.fork) == "(1, 0)"
    leave.set()
    thread.join()
    """)


def test_a_child_reads_a_kept_property_that_another_thread_was_working_out(run: Callable[[str], None]) -> None:
    run("""
    begun, leave = threading.Event(), threading.Event()

    class Holder:
        @forking.kept_property
        def token(self):
            if not begun.is_set():
                begun.set()
                leave.wait()
                return "the first to begin"
            return "the first to end"

    holder = Holder()
    seen = []
    thread = threading.Thread(target=lambda: seen.append(holder.token))
    thread.start()
    begun.wait()
    assert in_child(lambda: holder.token, PYTHON.fork) == "the first to end"
    assert holder.token == "the first to end"
    leave.set()
    thread.join()
    assert seen == [holder.token] == ["the first to end"]
    """)


def test_threads_that_enter_at_once_wait_for_one(run: Callable[[str], None]) -> None:
    run("""
    class Slow(Subscriber):
        def after_fork_in_child(self):
            time.sleep(0.05)
            self.told += 1

    subscriber = Slow()

    def crowd():
        seen, start = [], threading.Barrier(8)

        def enter():
            start.wait()
            forking.notice_fork()
            seen.append(subscriber.told)

        threads = [threading.Thread(target=enter) for _ in range(8)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        return seen

    assert in_child(crowd, PYTHON.fork) == str([1] * 8)
    """)


def test_who_enters_while_it_is_renewed_goes_on_with_it(run: Callable[[str], None]) -> None:
    run("""
    class Entering(Subscriber):
        def after_fork_in_child(self):
            super().after_fork_in_child()
            # As a finaliser or a signal handler does.
            forking.notice_fork()

    subscribers = [Entering() for _ in range(5)]

    def enter():
        forking.notice_fork()
        return [each.told for each in subscribers]

    assert in_child(enter, PYTHON.fork) == str([1] * 5)
    """)


def test_who_comes_in_the_child_is_not_the_parents(run: Callable[[str], None]) -> None:
    run("""
    def born():
        subscriber = Subscriber()
        forking.notice_fork()
        return subscriber.told

    assert in_child(born, PYTHON.fork) == "0"
    """)


def test_advice_that_is_taken_whatever_it_is_counts_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forking, "_takes", lambda page, advice: True)
    assert forking.wiped_page() is None
    monkeypatch.setattr(forking, "_takes", lambda page, advice: False)
    assert forking.wiped_page() is None


def test_what_a_fork_waits_for_does_not_wait_for_the_fork() -> None:
    forking.forks_under_way.append(None)
    forking.at_work.add(threading.get_ident())
    try:
        forking.foreign_work_begins("a session")
        assert "a session" in forking.at_work
    finally:
        forking.forks_under_way.clear()
        forking.at_work.clear()
