"""What a provider's sessions did. Each session counts for itself, as one thread at a time has it."""

from __future__ import annotations

from hwcng.contract.watching import Pool, Statistics
from hwcng.forking import ProcessLock, tell_after_fork
from hwcng.providers.pkcs11.operations import Work
from hwcng.providers.tallies import BUCKETS, latencies

__all__ = ["Tally"]


class Tally:
    """Goes on from connection to connection. reconnections: counted by the provider."""

    def __init__(self) -> None:
        self._lock = ProcessLock()
        self.reconnections = 0
        self._clear()
        tell_after_fork(self)

    def _clear(self) -> None:
        self._living: set[Work] = set()
        self._calls = self._errors = self._nanoseconds = 0
        self._buckets = [0] * BUCKETS

    def opened(self, session: Work) -> None:
        with self._lock.held():
            self._living.add(session)

    def closed(self, session: Work) -> None:
        with self._lock.held():
            if session in self._living:
                self._living.remove(session)
                self._add(session)

    def failed(self) -> None:
        with self._lock.held():
            self._errors += 1

    def _add(self, session: Work) -> None:
        self._calls += session.uses
        self._nanoseconds += session.nanoseconds
        for bits, count in enumerate(session.buckets):
            self._buckets[bits] += count

    def statistics(self, idle: int) -> Statistics:
        """idle: how many of the living sessions nobody has borrowed."""
        with self._lock.held():
            living = list(self._living)
            calls = self._calls + sum(session.uses for session in living)
            nanoseconds = self._nanoseconds + sum(session.nanoseconds for session in living)
            counted = (self._buckets, *(session.buckets for session in living))
            buckets = [sum(column) for column in zip(*counted, strict=True)]
            errors = self._errors
        # A forked child has its parent's connection at hand until it opens its own.
        idle = min(idle, len(living))
        pool = Pool(len(living), idle, len(living) - idle)
        return Statistics(calls, errors, self.reconnections, pool, latencies(buckets, nanoseconds))

    def after_fork_in_child(self) -> None:
        """The sessions are the parent's, and so is what they did."""
        self.reconnections = 0
        self._clear()
