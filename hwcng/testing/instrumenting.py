"""What the counters and the fault injector share: something put round a provider's calls for the length of a block."""

from __future__ import annotations

import abc
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

__all__ = ["Instrumenting", "RecordsNames"]

I = TypeVar("I", bound="Instrumenting")  # noqa: E741


class Instrumenting(abc.ABC):
    """A context manager that installs an instrument and takes it away again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._undo: Callable[[], None] | None = None

    @abc.abstractmethod
    def _install(self) -> Callable[[], None]:
        """Puts the instrument in place; returns the undoing."""

    def __enter__(self: I) -> I:
        if self._undo is not None:
            raise RuntimeError(f"this {type(self).__name__} is already at work")
        self._undo = self._install()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._undo is not None:
            self._undo()
            self._undo = None


class RecordsNames(Instrumenting):
    """names: of the calls, in the order of their start; readable after the block's end too."""

    def __init__(self) -> None:
        super().__init__()
        self._names: list[str] = []

    @property
    def total(self) -> int:
        return len(self._names)

    @property
    def names(self) -> list[str]:
        with self._lock:
            return list(self._names)

    def clear(self) -> None:
        with self._lock:
            self._names.clear()
