"""What hwcng sends to a token, counted by its own public counters."""

from __future__ import annotations

from typing import Any

from hwcng.testing.calls import CallCounter
from hwcng.testing.commands import CommandCounter

__all__ = ["counter_of"]


def counter_of(provider: Any) -> CallCounter | CommandCounter:
    """A context manager whose `names` are the C_ functions or the TPM's commands."""
    return CommandCounter(provider) if provider.uri.startswith("tpm2:") else CallCounter(provider)
