"""The `hwcng` command."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]

_GIVEN_UP, _NOT_INSTALLED = 1, 3
_PACKAGES = ("click", "rich")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status, `hwcng.cli.outcome.Exit`.

    arguments: those of the command line, without the command's name; None: sys.argv's.
    """
    try:
        from hwcng.cli.application import run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _PACKAGES:
            raise
        print(
            f"hwcng: the command needs the package {error.name}, which is not installed: pip install 'hwcng[cli]'",
            file=sys.stderr,
        )
        return _NOT_INSTALLED
    except KeyboardInterrupt:
        print("hwcng: given up", file=sys.stderr)
        return _GIVEN_UP
    return run(arguments)
