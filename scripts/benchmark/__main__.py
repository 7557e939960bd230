"""The command: `scripts/bench`, and its `compare`, `growth` and `page`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path

from rich.console import Console

from . import compare, growth, machine, page, plot, report
from .contenders.table import CONTENDERS
from .figures import Run, split
from .rows import ROWS, SOFTHSM, TOKENS
from .runs import Asked, run, tell


def _names(known: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    """An option's value: names with commas; each may be the beginning of several."""

    def names(text: str) -> tuple[str, ...]:
        found = [name for part in text.split(",") for name in known if name == part]
        for part in text.split(","):
            found += [name for name in known if part not in known and name.startswith(part)]
            if not any(name.startswith(part) for name in known):
                raise argparse.ArgumentTypeError(f"there is no {part!r}, only {', '.join(known)}")
        return tuple(dict.fromkeys(found))

    return names


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _run_parser(parser: argparse.ArgumentParser) -> None:
    contenders = [known.name for known in CONTENDERS]
    parser.add_argument(
        "--rows", type=_names([row.name for row in ROWS]), help="of these names or beginnings, with commas"
    )
    parser.add_argument("--tokens", type=_names(TOKENS), default=TOKENS, help=f"of {', '.join(TOKENS)}")
    parser.add_argument("--contenders", type=_names(contenders), default=contenders, help=f"of {', '.join(contenders)}")
    parser.add_argument("--threads", type=_numbers, default=(1, 2, 4, 8, 32), help="numbers of threads, with commas")
    parser.add_argument("--rounds", type=int, default=15, help="turns of each contender (%(default)s)")
    parser.add_argument("--seconds", type=float, default=0.02, help="length of one turn (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the figures there")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw the ratios to the floor there")
    parser.add_argument("--details", action="store_true", help="show medians, spreads and wall time too")
    parser.add_argument("--check", action="store_true", help="say what is beyond its bound; end with 1 if anything is")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    _run_parser(parser)
    parser.set_defaults(work=_measure)
    commands = parser.add_subparsers(title="other work")
    comparing = commands.add_parser("compare", help="two kept runs side by side")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    comparing.set_defaults(work=_compare)
    growing = commands.add_parser("growth", help="cost as keys, messages and time grow")
    growing.add_argument("--token", choices=TOKENS, default=SOFTHSM)
    growing.add_argument("--keys", type=int, default=10_000, help="session keys alive at once (%(default)s)")
    growing.add_argument("--made", type=int, default=20_000, help="keys made and destroyed (%(default)s)")
    growing.add_argument("--mebibytes", type=int, default=64, help="the longest message (%(default)s)")
    growing.add_argument("--minutes", type=float, default=1.0, help="of mixed load (%(default)s)")
    growing.add_argument(
        "--into", type=Path, metavar="FILE.json", help="add it to a kept run, whose named keys are drawn too"
    )
    growing.add_argument("--plot", type=Path, metavar="FILE.svg")
    growing.set_defaults(work=_grow)
    paging = commands.add_parser("page", help="write a kept run's figures into a page")
    paging.add_argument("run", type=Path)
    paging.add_argument("--page", type=Path, default=Path("docs/performance.md"))
    paging.add_argument("--images", nargs="*", default=(), help="names of plots beside the page")
    paging.set_defaults(work=_page)
    return parser


def _asked(given: argparse.Namespace) -> Asked:
    return Asked(
        rows=tuple(row for row in ROWS if not given.rows or row.name in given.rows),
        tokens=tuple(given.tokens),
        contenders=tuple(known for known in CONTENDERS if known.name in given.contenders),
        threads=given.threads,
        rounds=given.rounds,
        seconds=given.seconds,
    )


def _measure(given: argparse.Namespace, console: Console) -> int:
    # What the machine is like before the bench keeps it busy.
    where, commit = machine.describe(), machine.commit()
    now = datetime.now(timezone.utc).isoformat(timespec="minutes")
    measured, skipped = split(run(_asked(given), tell))
    done = Run(commit, now, where, given.rounds, measured, skipped)
    if given.json:
        given.json.write_text(done.to_json(), "utf-8")
    if given.plot:
        given.plot.write_text(plot.ratios(done), "utf-8")
    report.show(done, console)
    if given.details:
        report.details(done, console)
    return 0 if not given.check or report.check(done, console) else 1


def _compare(given: argparse.Namespace, console: Console) -> int:
    compare.show(Run.read(given.before), Run.read(given.after), console)
    return 0


def _grow(given: argparse.Namespace, console: Console) -> int:
    panels = growth.grow(growth.Growth(given.token, given.keys, given.made, given.mebibytes, given.minutes), tell)
    for panel, lines in panels.items():
        for line, points in lines.items():
            console.print(
                f"{panel}, {line}: {points[0][1]:,.4g} at {points[0][0]:g}, {points[-1][1]:,.4g} at {points[-1][0]:g}"
            )
    if given.into:
        kept = Run.read(given.into)
        kept.growth.update(panels)
        given.into.write_text(kept.to_json(), "utf-8")
        panels = panels | growth.named(kept)
    if given.plot:
        given.plot.write_text(plot.growth(panels), "utf-8")
    return 0


def _page(given: argparse.Namespace, _console: Console) -> int:
    page.write(given.page, Run.read(given.run), tuple(given.images))
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    wide = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    status: int = given.work(given, wide)
    return status


if __name__ == "__main__":
    sys.exit(main())
