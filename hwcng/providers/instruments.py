"""Who traces the calls of every module and every TPM of the process, those that are opened later too."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from hwcng.forking import ProcessLock

__all__ = ["Instrumentable", "Tell", "Tracing", "enrol", "instrument_all"]

Tell: TypeAlias = Callable[[str, float, Callable[[], str]], None]
"""Gets a call's name, time.perf_counter() from before it, and what names its answer."""
Tracing: TypeAlias = Callable[[Tell], Any]
"""Makes of a `Tell` what `instrument` takes."""


class Instrumentable(Protocol):
    """What has calls round which something can be put: the C_ functions of a module, the line to a TPM."""

    def instrument(self, instrument: Any, /) -> Callable[[], None]:
        """Puts it there. Returns the undoing."""


_lock = ProcessLock()
_enrolled: weakref.WeakKeyDictionary[Instrumentable, Tracing] = weakref.WeakKeyDictionary()
_tells: dict[Tell, list[Callable[[], None]]] = {}


def enrol(calls: Instrumentable, tracing: Tracing) -> None:
    """Makes the calls known to whoever traces, now or later."""
    with _lock.held():
        _enrolled[calls] = tracing
        for tell, undoing in _tells.items():
            undoing.append(calls.instrument(tracing(tell)))


def instrument_all(tell: Tell) -> Callable[[], None]:
    """Tells every call from now on. Returns the undoing."""
    with _lock.held():
        _tells[tell] = [calls.instrument(tracing(tell)) for calls, tracing in list(_enrolled.items())]

    def undo() -> None:
        with _lock.held():
            for undone in _tells.pop(tell, ()):
                undone()

    return undo
