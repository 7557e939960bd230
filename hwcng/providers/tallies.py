"""What backends count: plain integers, so that no operation pays for more than an addition."""

from __future__ import annotations

from collections.abc import Sequence

from hwcng.contract.watching import Latencies

__all__ = ["BUCKETS", "latencies"]

BUCKETS = 40
"""The n-th counts what took less than 2 ** n nanoseconds and no less than half of it; the last one, all that took more:
2 ** 39 nanoseconds are nine minutes.
"""
_FIRST = 10
_NANOSECONDS = 1e9


def latencies(buckets: Sequence[int], nanoseconds: int) -> Latencies:
    """buckets: by the bit length of the nanoseconds. What is under a microsecond is one bucket."""
    bounds, reached = [], sum(buckets[:_FIRST])
    for bits, count in enumerate(buckets[_FIRST:], _FIRST):
        reached += count
        bounds.append((2**bits / _NANOSECONDS, reached))
    return Latencies(tuple(bounds), reached, nanoseconds / _NANOSECONDS)
