"""The one function that takes times, and what is made of many of its samples."""

from __future__ import annotations

import os
import resource
import statistics
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Figures", "Operation", "Sample", "Undone", "in_child", "measure", "server_seconds"]


@dataclass(frozen=True, slots=True)
class Sample:
    """What `count` operations took together, in seconds. cpu: of the process and of children that it has waited for."""

    count: int
    wall: float
    cpu: float

    def __add__(self, other: Sample) -> Sample:
        return Sample(self.count + other.count, self.wall + other.wall, self.cpu + other.cpu)


@dataclass(frozen=True, slots=True)
class Undone:
    """An operation with something between its calls that is not to be measured: `undo` of what `call` returned."""

    call: Callable[[], object]
    undo: Callable[[Any], object]


@dataclass(frozen=True, slots=True)
class Apart:
    """An operation that is measured by `measure` in another process: `call` returns the sample."""

    call: Callable[[], Sample]


Operation = Callable[[], object] | Undone | Apart


def _cpu_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _timed(work: Callable[[], object], count: int) -> Sample:
    cpu, wall = _cpu_seconds(), time.perf_counter()
    work()
    ended = time.perf_counter()
    return Sample(count, ended - wall, _cpu_seconds() - cpu)


def _repeated(call: Callable[[], object], count: int) -> Callable[[], None]:
    def work() -> None:
        for _ in range(count):
            call()

    return work


def _one_by_one(operation: Undone, count: int) -> Sample:
    total = Sample(0, 0.0, 0.0)
    made: list[object] = []

    def work() -> None:
        made.append(operation.call())

    for _ in range(count):
        total += _timed(work, 1)
        operation.undo(made.pop())
    return total


def _in_threads(call: Callable[[], object], count: int, threads: int) -> Sample:
    """`count` operations by each of the threads, which all begin together."""
    gate = threading.Barrier(threads + 1)
    errors: list[BaseException] = []

    def body() -> None:
        gate.wait()
        try:
            for _ in range(count):
                call()
        except BaseException as error:
            errors.append(error)

    team = [threading.Thread(target=body) for _ in range(threads)]
    for thread in team:
        thread.start()

    def work() -> None:
        gate.wait()
        for thread in team:
            thread.join()

    sample = _timed(work, count * threads)
    if errors:
        raise errors[0]
    return sample


def measure(operation: Operation, count: int, threads: int = 1) -> Sample:
    """Does an operation `count` times in each of `threads` threads. What it raises ends it."""
    if count < 1 or threads < 1:
        raise ValueError("there is nothing to measure")
    if isinstance(operation, Apart):
        samples = [operation.call() for _ in range(count)]
        return sum(samples[1:], samples[0])
    if isinstance(operation, Undone):
        return _one_by_one(operation, count)
    if threads > 1:
        return _in_threads(operation, count, threads)
    return _timed(_repeated(operation, count), count)


def in_child(operation: Callable[[], object]) -> Apart:
    """The first call of an operation in a forked child, without the fork itself."""

    def call() -> Sample:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                sample = measure(operation, 1)
                os.write(writing, f"{sample.wall!r} {sample.cpu!r}".encode())
                status = 0
            finally:
                os._exit(status)
        os.close(writing)
        with open(reading) as answer:
            words = answer.read().split()
        os.waitpid(child, 0)
        if len(words) != 2:
            raise RuntimeError("the child died")
        return Sample(1, float(words[0]), float(words[1]))

    return Apart(call)


def _tree(pid: int) -> Iterable[int]:
    yield pid
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in listing.read_text().split():
            yield from _tree(int(child))


def server_seconds(pid: int) -> float:
    """CPU time of a living process and its living descendants (clock_getcpuclockid(3), in Linux's numbering)."""
    return sum(time.clock_gettime((~process << 3) | 2) for process in _tree(pid))


@dataclass(frozen=True, slots=True)
class Figures:
    """Microseconds of one operation over the rounds. spread: the middle half of the rounds, from end to end."""

    minimum: float
    median: float
    spread: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Figures:
        """values: seconds of one operation, one of each round."""
        each = sorted(value * 1e6 for value in values)
        low, _, high = statistics.quantiles(each, n=4, method="inclusive") if len(each) > 1 else each * 3
        return cls(round(each[0], 3), round(statistics.median(each), 3), round(high - low, 3))
