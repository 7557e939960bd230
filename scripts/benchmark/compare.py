"""Two runs side by side: what became slower or faster, by itself and measured by the floor of its own run."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from .contenders.table import CONTENDERS
from .figures import Measured, Run
from .report import microseconds, title

__all__ = ["Change", "changes", "show"]

_OWN = frozenset(known.name for known in CONTENDERS if known.own)


@dataclass(frozen=True, slots=True)
class Change:
    """before, after: the same row of the same contender. to_floor: the change of the ratio to the floor, as a factor;
    None where a run has no floor. It says of another machine, or a loaded one, what the times do not.
    """

    before: Measured
    after: Measured
    to_floor: float | None

    @property
    def factor(self) -> float:
        """Of the CPU time: over 1 is slower."""
        return self.after.total.minimum / self.before.total.minimum if self.before.total.minimum else float("inf")


def changes(before: Run, after: Run) -> list[Change]:
    """Of hwcng, in the rows that both runs have."""
    found = []
    for one in after.measured:
        earlier = before.find(one.token, one.row, one.contender, one.threads)
        if earlier and one.contender in _OWN:
            old, new = before.to_floor(earlier), after.to_floor(one)
            found.append(Change(earlier, one, new / old if old and new else None))
    return found


def show(before: Run, after: Run, console: Console) -> None:
    if before.machine != after.machine:
        console.print("the machines or their versions differ: only the ratios to the floor can be compared")
    table = Table("token", "operation", "who", title=f"{before.commit} to {after.commit}")
    for name in ("before, µs", "after, µs", "change", "change of the ratio to the floor"):
        table.add_column(name, justify="right")
    table.add_column("calls")
    for change in changes(before, after):
        one = change.after
        table.add_row(
            one.token,
            title(one.row, one.threads),
            one.contender,
            microseconds(change.before.total.minimum),
            microseconds(one.total.minimum),
            f"{change.factor - 1:+.0%}",
            "" if change.to_floor is None else f"{change.to_floor - 1:+.0%}",
            ""
            if change.before.calls == one.calls
            else f"{' '.join(change.before.calls or ())} -> {' '.join(one.calls or ())}",
        )
    console.print(table)
