"""One contender in a process of its own: takes a line, does what it says, answers by a line.

"run ROW COUNT THREADS" is answered by "ok WALL CPU" in seconds, "calls ROW" by "ok" and the names of what went to the
token, and whatever fails by "no" and why. The first line of the standard input is the place.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from itertools import groupby
from typing import Any, Protocol

from .measuring import Apart, Operation, Undone, measure
from .places import Place

__all__ = ["Contender", "UnsupportedError", "main"]


class UnsupportedError(Exception):
    """This contender, or this token, has no such operation."""


class Counter(Protocol):
    names: list[str]


class Contender(Protocol):
    """What a module of `contenders` names Contender. Nothing is opened before the first operation is asked for."""

    OPERATIONS: Mapping[str, Callable[[Any], Operation]]

    def __init__(self, place: Place) -> None: ...

    def counter(self) -> AbstractContextManager[Counter]:
        """Counts the calls or commands to the token. Raises UnsupportedError."""


class Worker:
    def __init__(self, contender: Contender) -> None:
        self._contender = contender
        self._operations: dict[str, Operation] = {}

    def _operation(self, row: str) -> Operation:
        if row not in self._operations:
            if row not in self._contender.OPERATIONS:
                raise UnsupportedError("has no such operation")
            self._operations[row] = self._contender.OPERATIONS[row](self._contender)
        return self._operations[row]

    def run(self, row: str, count: str, threads: str) -> str:
        sample = measure(self._operation(row), int(count), int(threads))
        return f"{sample.wall!r} {sample.cpu!r}"

    def calls(self, row: str) -> str:
        operation = self._operation(row)
        if isinstance(operation, Apart):
            raise UnsupportedError("is done in another process")
        call = operation.call if isinstance(operation, Undone) else operation
        with self._contender.counter() as counter:
            made = call()
        names = list(counter.names)
        if isinstance(operation, Undone):
            operation.undo(made)
        return " ".join(
            name if (times := len(list(group))) == 1 else f"{name}*{times}" for name, group in groupby(names)
        )

    def answer(self, line: str) -> str:
        verb, *words = line.split()
        try:
            return f"ok {self.run(*words) if verb == 'run' else self.calls(*words)}"
        except Exception as error:
            return _no(error)


def _no(error: Exception) -> str:
    return f"no {type(error).__name__}: {error}".replace("\n", " ")


def main() -> None:
    """Serves until the standard input ends. argv[1]: the module of the contender."""
    # What a library prints must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    place = Place.from_json(sys.stdin.readline())
    try:
        module = importlib.import_module(f"{__package__}.contenders.{sys.argv[1]}")
        worker = Worker(module.Contender(place))
    except Exception as error:
        print(_no(error), file=answers)
        return
    print("ok", file=answers)
    for line in sys.stdin:
        print(worker.answer(line), file=answers)


if __name__ == "__main__":
    main()
