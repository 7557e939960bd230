"""A record of what a program asks of a token: recorded:FILE?URI is the token of URI, each call a line of JSON in FILE.

A line has the time (UTC), the verb of hwcng's contract, the key and the status that was answered: no data, no PIN. FILE
is percent-encoded; without one the record is in memory, as `provider.record`.
"""

from __future__ import annotations

from hwcng_recorded.record import Record, Recorded, read

__all__ = ["Record", "Recorded", "read"]
