"""Long results that are not copied."""

from __future__ import annotations

from io import BytesIO

__all__ = ["LONG", "shortened"]

LONG = 1 << 16
"""Bytes from which on a copy costs more than what it takes to do without: pages that the system hands out anew."""


def shortened(held: BytesIO, size: int) -> bytes:
    """The first `size` bytes of what `held` was made of: the same memory, as long as nobody else has it."""
    held.truncate(size)
    return held.getvalue()
