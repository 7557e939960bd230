"""A run's figures, as they are kept: one JSON file with the commit and the machine."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .contenders.table import CONTENDERS, FLOOR
from .measuring import Figures
from .rows import FLOORS

__all__ = ["FORMAT", "Measured", "Run", "Skipped", "sent", "split"]

FORMAT = 1
_PEERS = frozenset(known.name for known in CONTENDERS if not known.own) - {FLOOR, *FLOORS.values()}


@dataclass(frozen=True, slots=True)
class Measured:
    """One contender in one row. count: operations in a round. cpu: of its process; total: with the CPU time of the
    server that is the token. calls: what hwcng sent to the token. memory: bytes at the peak beyond the message itself.
    """

    token: str
    row: str
    threads: int
    contender: str
    count: int
    cpu: Figures
    wall: Figures
    total: Figures
    calls: list[str] | None = None
    memory: int | None = None

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Measured:
        figures = {name: Figures(**value[name]) for name in ("cpu", "wall", "total")}
        return cls(**{**value, **figures})


@dataclass(frozen=True, slots=True)
class Skipped:
    """What was not measured, and why."""

    token: str
    row: str
    contender: str
    why: str


@dataclass(frozen=True, slots=True)
class Run:
    """commit: the last that changed hwcng, "+" behind it where it has changes since. machine: what `machine.describe`
    says of it.
    """

    commit: str
    date: str
    machine: dict[str, Any]
    rounds: int
    measured: tuple[Measured, ...]
    skipped: tuple[Skipped, ...] = ()
    growth: dict[str, Any] = field(default_factory=dict)

    def find(self, token: str, row: str, contender: str, threads: int = 1) -> Measured | None:
        key = (token, row, contender, threads)
        return next((one for one in self.measured if (one.token, one.row, one.contender, one.threads) == key), None)

    def floor(self, token: str, row: str, threads: int = 1) -> Measured | None:
        return self.find(token, row, FLOORS.get(token, FLOOR), threads)

    def to_floor(self, one: Measured) -> float | None:
        """How many times the floor's CPU time it took, by the minimum of the rounds."""
        floor = self.floor(one.token, one.row, one.threads)
        return _ratio(one, floor)

    def to_best_peer(self, one: Measured) -> float | None:
        """How many times the CPU time of the fastest other library it took."""
        peers = [self.find(one.token, one.row, name, one.threads) for name in sorted(_PEERS)]
        best = min((peer for peer in peers if peer), key=lambda peer: peer.total.minimum, default=None)
        return _ratio(one, best)

    def lines(self) -> list[tuple[str, str, int]]:
        """Every token, row and number of threads, in the order in which they were measured."""
        return list(dict.fromkeys((one.token, one.row, one.threads) for one in self.measured))

    def to_json(self) -> str:
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Run:
        """Raises ValueError for what is no run of this format."""
        value = json.loads(text)
        if not isinstance(value, dict) or value.pop("format", None) != FORMAT:
            raise ValueError(f"this is no run of the bench in format {FORMAT}")
        measured = tuple(Measured.from_json(one) for one in value.pop("measured"))
        skipped = tuple(Skipped(**one) for one in value.pop("skipped"))
        return cls(measured=measured, skipped=skipped, **value)

    @classmethod
    def read(cls, path: Path) -> Run:
        return cls.from_json(path.read_text("utf-8"))


def _ratio(one: Measured, other: Measured | None) -> float | None:
    return one.total.minimum / other.total.minimum if other and other.total.minimum else None


def sent(calls: Iterable[str]) -> int:
    """How many calls a list of them is, in which "C_Encrypt*3" stands for three."""
    return sum(int(call.partition("*")[2] or 1) for call in calls)


def split(results: Iterable[Measured | Skipped]) -> tuple[tuple[Measured, ...], tuple[Skipped, ...]]:
    """What was measured, and what was not."""
    kept = list(results)
    return (
        tuple(one for one in kept if isinstance(one, Measured)),
        tuple(one for one in kept if isinstance(one, Skipped)),
    )
