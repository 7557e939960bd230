"""How a provider is at this moment, and what it did since it was opened."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from hwcng.errors import CngError, TokenCode
from hwcng.forking import ProcessLock

__all__ = ["Examination", "Health", "Latencies", "Pool", "Statistics"]


@dataclass(frozen=True, slots=True)
class Health:
    """What `Provider.health` found; true where the token is healthy.

    healthy: whether the token answered and did what it was asked. token: its label. seconds: that it took. reason: what
    is wrong, "" where nothing is. status: such as "STATUS_DEVICE_NOT_CONNECTED", "" where nothing is wrong. token_code:
    what the token answered, where that was the cause. warnings: what is not wrong yet, such as a PIN that a few more
    tries lock.
    """

    healthy: bool
    token: str
    seconds: float
    reason: str = ""
    status: str = ""
    token_code: TokenCode | None = None
    warnings: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.healthy


@dataclass(frozen=True, slots=True)
class Latencies:
    """How long operations took, of those that were measured: all of a TPM, one in 64 of a PKCS#11 session.

    buckets: pairs of seconds and how many took no longer, in rising order, as a Prometheus histogram has them. count:
    how many were measured. seconds: that they took in all.
    """

    buckets: tuple[tuple[float, int], ...]
    count: int
    seconds: float

    @property
    def mean(self) -> float:
        """Seconds; 0 where nothing was measured."""
        return self.seconds / self.count if self.count else 0.0

    def quantile(self, share: float) -> float:
        """Seconds within which `share` (0 to 1) of them were done, rounded up to a bucket; 0 where nothing was."""
        return next((bound for bound, count in self.buckets if count >= share * self.count), 0.0)


@dataclass(frozen=True, slots=True)
class Pool:
    """What a provider keeps ready: sessions with a PKCS#11 token, or keys in a TPM's slots. open = idle + busy."""

    open: int
    idle: int
    busy: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """Since the provider was opened, or since this process was forked; providers of one TPM share theirs.

    calls: operations that went to the token. errors: those of them that failed. reconnections: after a loss.
    """

    calls: int
    errors: int
    reconnections: int
    pool: Pool
    latencies: Latencies


class Examination:
    """One check at a time in a thread of its own, which is not waited for longer than asked. A token that never comes
    back costs one thread, however often it is asked for.
    """

    def __init__(self) -> None:
        self._lock = ProcessLock()
        self._thread: threading.Thread | None = None
        self._began = 0.0
        self._found: list[Health] = []

    def run(self, token: str, examine: Callable[[], tuple[str, ...]], timeout: float) -> Health:
        """What `examine` finds: warnings, or the CngError that it raises. timeout: seconds."""
        with self._lock.held():
            if self._thread is None or not self._thread.is_alive():
                # Each has a list of its own: one that was given up may still end.
                self._found, self._began = [], time.monotonic()
                self._thread = threading.Thread(
                    target=_examined, args=(token, examine, self._found), name="hwcng-health", daemon=True
                )
                self._thread.start()
            thread, found, began = self._thread, self._found, self._began
        thread.join(max(timeout, 0.0))
        if found:
            return found[0]
        seconds = time.monotonic() - began
        return Health(False, token, seconds, f"no answer within {seconds:.3g} seconds", "STATUS_IO_TIMEOUT")


def _examined(token: str, examine: Callable[[], tuple[str, ...]], found: list[Health]) -> None:
    began = time.monotonic()
    try:
        warnings = examine()
        health = Health(True, token, time.monotonic() - began, warnings=warnings)
    except CngError as error:
        status = getattr(error.status, "name", str(error.status))
        health = Health(False, token, time.monotonic() - began, error.message, status, error.token_code)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        health = Health(False, token, time.monotonic() - began, reason, "STATUS_INTERNAL_ERROR")
    found.append(health)
