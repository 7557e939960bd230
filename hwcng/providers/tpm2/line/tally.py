"""What the line to a TPM did. It is held by one thread at a time, which counts."""

from __future__ import annotations

from hwcng.contract.watching import Pool, Statistics
from hwcng.providers.tallies import BUCKETS, latencies

__all__ = ["Tally"]


class Tally:
    """calls: pieces of work, each of a few commands. errors: those that failed. reconnections: after a loss."""

    def __init__(self) -> None:
        self.calls = self.errors = self.reconnections = self._nanoseconds = 0
        self._buckets = [0] * BUCKETS

    def add(self, nanoseconds: int) -> None:
        self.calls += 1
        self._nanoseconds += nanoseconds
        self._buckets[min(nanoseconds.bit_length(), BUCKETS - 1)] += 1

    def statistics(self, slots: int) -> Statistics:
        """slots: how many hold a key of ours."""
        measured = latencies(list(self._buckets), self._nanoseconds)
        return Statistics(self.calls, self.errors, self.reconnections, Pool(slots, slots, 0), measured)
