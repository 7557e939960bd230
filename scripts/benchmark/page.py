"""The part of docs/performance.md that is figures: written between two marks, from a run's JSON."""

from __future__ import annotations

from pathlib import Path

from .bounds import verdicts
from .contenders.table import CONTENDERS, OURS
from .figures import Run
from .report import microseconds, title

__all__ = ["BEGIN", "END", "block", "write"]

BEGIN, END = "<!-- figures: written by scripts/bench page -->", "<!-- end of figures -->"


def _machine(run: Run) -> str:
    machine = run.machine
    versions = ", ".join(
        [
            *(f"{name} {version}" for name, version in machine["packages"].items()),
            *(f"{name}: {said}" for name, said in machine["programs"].items() if said),
        ]
    )
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}, Linux {machine['kernel']}, "
        f"Python {machine['python']}; {versions}. Commit {run.commit}, {run.date}, {run.rounds} rounds; the load "
        f"of the machine was {machine['load']} when the run began."
    )


def _table(run: Run, token: str) -> list[str]:
    there = [
        known for known in CONTENDERS if any((one.token, one.contender) == (token, known.name) for one in run.measured)
    ]
    head = ["operation", *(known.title for known in there), "hwcng/floor", "hwcng/best peer", "calls"]
    lines = [f"### {token}", "", "| " + " | ".join(head) + " |", "| --- " * len(head) + "|"]
    for where, row, threads in run.lines():
        if where == token:
            lines.append("| " + " | ".join([title(row, threads), *_row(run, token, row, threads, there)]) + " |")
    return [*lines, ""]


def _row(run: Run, token: str, row: str, threads: int, there: list) -> list[str]:  # type: ignore[type-arg]
    found = [run.find(token, row, known.name, threads) for known in there]
    cells = [microseconds(one.total.minimum) if one else "" for one in found]
    ours = run.find(token, row, OURS, threads)
    if ours is None:
        return [*cells, "", "", ""]
    ratios = (run.to_floor(ours), run.to_best_peer(ours))
    return [*cells, *("" if ratio is None else f"{ratio:.2f}" for ratio in ratios), " ".join(ours.calls or ())]


def block(run: Run, images: tuple[str, ...] = ()) -> str:
    """images: file names of plots, beside the page."""
    lines = [BEGIN, "", _machine(run), ""]
    lines += [f"![{Path(image).stem}]({image})\n" for image in images]
    lines += ["Microseconds of CPU time of one operation, the token's server included, the minimum of the rounds.", ""]
    for token in dict.fromkeys(one.token for one in run.measured):
        lines += _table(run, token)
    missed = [verdict for verdict in verdicts(run) if verdict.met is False]
    lines += ["### Beyond the bounds in this run", "", *(f"- {verdict}" for verdict in missed), "" * bool(missed)]
    return "\n".join([*lines, "" if missed else "Nothing.", END]).replace("\n\n\n", "\n\n")


def write(path: Path, run: Run, images: tuple[str, ...] = ()) -> None:
    """Raises ValueError where the page has no place for it."""
    before, begin, rest = path.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path} has no {BEGIN} and {END}")
    path.write_text(before + block(run, images) + after, "utf-8")
