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
from .places import Opener, opened, scratch
from .processes import started

__all__ = ["Growth", "LoadError", "grow", "named"]

_ROOT = Path(__file__).parents[2]
_MADE = "aes-generate"
_NAMED = {"open-among-": "opening one by name", "store-among-": "storing one"}


class LoadError(RuntimeError):
    """The process under load ended early; the message has its last words."""


@dataclass(frozen=True, slots=True)
class Growth:
    """keys: session keys that are alive at once. made: keys made and destroyed in turn. mebibytes: of the longest
    message. minutes: of mixed load.
    """

    token: str
    keys: int = 10_000
    made: int = 20_000
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
        if asked.made:
            say(f"{asked.token}: what {asked.made} keys leave behind")
            panels |= _kept(asked, opener, folder)
    return {f"{asked.token}, {panel}": lines for panel, lines in panels.items()}


def _kept(asked: Growth, opener: Opener, folder: Path) -> Panels:
    """What stays of keys that were made and destroyed: hwcng's memory beside the floor's, which is the module's."""
    lines: dict[str, list[tuple[float, float]]] = {}
    there = [known for known in CONTENDERS if known.name in (OURS, FLOOR) and asked.token in known.tokens]
    for known in there:
        with started(known, opener(), folder) as process:
            process.run(_MADE, 100)
            begun, step = process.resident(), max(1, asked.made // 20)
            for done in range(step, asked.made + 1, step):
                process.run(_MADE, step)
                lines.setdefault(known.title, []).append((done, (process.resident() - begun) / (1 << 20)))
    return {"AES keys made and destroyed: memory that stays, MiB": lines}


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
