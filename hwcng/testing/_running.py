"""What the commands of hwcng.testing share: printing a token's settings, and running a command that has them."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence

__all__ = ["add_output", "run_command", "show", "split_command"]

_NOT_FOUND = 127
_SIGNALLED = 128


def split_command(arguments: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """The arguments before "--", and the command after it. arguments: None: those of this process."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if "--" not in given:
        return given, []
    cut = given.index("--")
    return given[:cut], given[cut + 1 :]


def add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--export", action="store_true", help='print lines of a shell: eval "$(... --export)"')
    parser.epilog = "After --, a command that is run with these settings; its exit status is this one's."


def show(settings: Mapping[str, str], *, export: bool) -> None:
    """Prints the environment variables, one a line. export: as a shell takes them."""
    for name, value in settings.items():
        print(f"export {name}={shlex.quote(value)}" if export else f"{name}={shlex.quote(value)}", flush=True)


def run_command(command: Sequence[str], settings: Mapping[str, str]) -> int:
    """Runs the command with `settings` in its environment; its exit status as a shell tells it."""
    try:
        status = subprocess.run(command, env={**os.environ, **settings}, check=False).returncode
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        return _NOT_FOUND
    return status if status >= 0 else _SIGNALLED - status
