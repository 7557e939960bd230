"""Makes the C_ calls of a PKCS#11 provider fail on purpose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hwcng.testing.calls import CFunction, InstrumentedProvider
from hwcng.testing.instrumenting import Instrumenting

__all__ = ["FaultInjector"]


@dataclass(slots=True)
class _Fault:
    name: str
    rv: int
    nth: int | None
    after: bool
    seen: int = 0
    injected: int = 0


class FaultInjector(Instrumenting):
    """A context manager within which named C_ functions return what the test says, on every thread."""

    def __init__(self, provider: InstrumentedProvider) -> None:
        super().__init__()
        self._provider = provider
        self._faults: list[_Fault] = []

    def _install(self) -> Callable[[], None]:
        return self._provider.cryptoki.instrument(self._faulty)

    def fail(self, name: str, rv: int, *, nth: int | None = None, after: bool = False) -> FaultInjector:
        """Makes `name` return the CKR `rv`.

        nth: the one call that fails, 1 being the next one; None: every call.
        after: whether the token is really called first, so that its effect stays and only its answer is lost.
        """
        if nth is not None and nth < 1:
            raise ValueError(f"nth counts from 1, not {nth}")
        with self._lock:
            self._faults.append(_Fault(name, int(rv), nth, after))
        return self

    def clear(self) -> None:
        """Forgets every fault: calls are served again."""
        with self._lock:
            self._faults.clear()

    @property
    def injected(self) -> int:
        """How many calls were made to fail by the faults in force."""
        with self._lock:
            return sum(fault.injected for fault in self._faults)

    def _due(self, name: str) -> _Fault | None:
        due = None
        with self._lock:
            for fault in self._faults:
                if fault.name != name:
                    continue
                fault.seen += 1
                if due is None and fault.nth in (None, fault.seen):
                    due = fault
                    fault.injected += 1
        return due

    def _faulty(self, name: str, function: CFunction) -> CFunction:
        def faulty(*args: Any) -> int:
            fault = self._due(name)
            if fault is None:
                return function(*args)
            if fault.after:
                function(*args)
            return fault.rv

        return faulty
