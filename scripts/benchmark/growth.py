"""Cost as work grows: live keys, named keys, long messages, a mixed load over time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .contenders.table import CONTENDERS, FLOOR, OURS
from .figures import Run
from .load import Panels
from .places import opened, scratch

__all__ = ["Growth", "LoadError", "grow", "named"]

_ROOT = Path(__file__).parents[2]
_NAMED = {"open-among-": "opening one by name", "store-among-": "storing one"}


class LoadError(RuntimeError):
    """The process under load ended early; the message has its last words."""


@dataclass(frozen=True, slots=True)
class Growth:
    """keys: session keys that are alive at once. mebibytes: the longest message. minutes: of mixed load."""

    token: str
    keys: int = 10_000
    mebibytes: int = 64
    minutes: float = 1.0


def grow(asked: Growth, say: Callable[[str], None]) -> Panels:
    """Raises LoadError, and what the maker of the token raises."""
    panels: Panels = {}
    with scratch() as folder, opened(asked.token, folder / asked.token) as opener:
        for kind, most in (("keys", asked.keys), ("messages", asked.mebibytes), ("mixed", asked.minutes)):
            if most:
                say(f"{asked.token}: growth of {kind} to {most}")
                place = opener()
                panels |= _child(kind, most, place.to_json(), place.environ)
    return panels


def _child(kind: str, most: float, first_line: str, environ: dict[str, str]) -> Panels:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.benchmark.load", kind, str(most)],
        input=first_line + "\n",
        capture_output=True,
        text=True,
        check=False,
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": str(_ROOT), **environ},
    )
    if done.returncode:
        raise LoadError(f"the load of {kind} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    panels: Panels = json.loads(done.stdout)
    return panels


def named(run: Run) -> Panels:
    """What a run's rows say of named keys, by how many of them the token has."""
    panels: Panels = {}
    titles = {known.name: known.title for known in CONTENDERS}
    for one in run.measured:
        for prefix, name in _NAMED.items():
            if one.row.startswith(prefix) and one.contender in (OURS, FLOOR):
                line = panels.setdefault(f"named keys: {name}, ms of CPU time", {}).setdefault(
                    titles[one.contender], []
                )
                line.append((float(one.row.removeprefix(prefix)), one.total.minimum / 1e3))
    return panels
