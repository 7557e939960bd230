"""The figures as tables for a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from .bounds import verdicts
from .contenders.table import CONTENDERS, OURS
from .figures import Measured, Run
from .rows import ROWS

__all__ = ["check", "details", "microseconds", "show", "title"]

_TITLES = {row.name: row.title for row in ROWS}


def title(row: str, threads: int) -> str:
    return _TITLES.get(row, row) + (f", {threads} threads" if threads > 1 else "")


def microseconds(value: float) -> str:
    """With three digits that mean something."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def show(run: Run, console: Console) -> None:
    """One table a token: microseconds of CPU time, of the token's server too, the minimum of the rounds."""
    for token in dict.fromkeys(one.token for one in run.measured):
        there = [
            known
            for known in CONTENDERS
            if any((one.token, one.contender) == (token, known.name) for one in run.measured)
        ]
        table = Table("operation", title=f"{token}: µs of CPU time, minimum of {run.rounds} rounds")
        for name in (*(known.title for known in there), "hwcng/floor", "hwcng/best peer"):
            table.add_column(name, justify="right")
        table.add_column("calls")
        for where, row, threads in run.lines():
            if where == token:
                found = [run.find(token, row, known.name, threads) for known in there]
                table.add_row(title(row, threads), *_cells(run, found), *_conclusions(run, found))
        console.print(table)
    missing: dict[tuple[str, str, str], list[str]] = {}
    for skipped in run.skipped:
        if not skipped.why.endswith("has no such operation"):
            missing.setdefault((skipped.token, skipped.contender, skipped.why[:200]), []).append(skipped.row)
    for (token, contender, why), rows in missing.items():
        console.print(
            f"not measured: {token} {contender}: {why} ({', '.join(dict.fromkeys(filter(None, rows))) or 'all'})"
        )


def _cells(run: Run, found: list[Measured | None]) -> list[str]:
    return [microseconds(one.total.minimum) if one else "" for one in found]


def _conclusions(run: Run, found: list[Measured | None]) -> list[str]:
    ours = next((one for one in found if one and one.contender == OURS), None)
    if ours is None:
        return ["", "", ""]
    return [_ratio(run.to_floor(ours)), _ratio(run.to_best_peer(ours)), " ".join(ours.calls or ())]


def details(run: Run, console: Console) -> None:
    """Every figure: of the process, with the token's server, by the clock; minimum, median, and the middle half."""
    table = Table("token", "operation", "who", title="µs: minimum / median / spread of the middle half")
    for name in ("CPU", "CPU with the server's", "wall", "operations", "rounds"):
        table.add_column(name, justify="right")
    for one in run.measured:
        cells = (
            " / ".join(microseconds(value) for value in (figures.minimum, figures.median, figures.spread))
            for figures in (one.cpu, one.total, one.wall)
        )
        table.add_row(one.token, title(one.row, one.threads), one.contender, *cells, str(one.count), str(run.rounds))
    console.print(table)


def check(run: Run, console: Console) -> bool:
    """Says which bounds are not met and which were not measured. Whether all that were measured are met."""
    missed = [verdict for verdict in verdicts(run) if verdict.met is False]
    unknown = [verdict for verdict in verdicts(run) if verdict.met is None]
    for verdict in missed:
        console.print(f"beyond the bound: {verdict}", highlight=False)
    console.print(
        f"{len(missed)} bounds are not met, {len(verdicts(run)) - len(missed) - len(unknown)} are, "
        f"{len(unknown)} were not measured"
    )
    return not missed
