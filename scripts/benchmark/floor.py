"""Compiles floor.c: the C_ calls of each row, made from C."""

from __future__ import annotations

import subprocess
from pathlib import Path

from .places import Place

__all__ = ["FloorError", "arguments", "compiled"]

_SOURCE = Path(__file__).with_name("floor.c")


class FloorError(RuntimeError):
    """There is no floor; the message has what the compiler said."""


def compiled(folder: Path) -> Path:
    """The program, made in `folder` unless it is there."""
    program = folder / "floor"
    if not program.exists():
        # The function list is called through pointers without a prototype, which C23 no longer has.
        command = ["cc", "-O2", "-std=gnu11", "-o", str(program), str(_SOURCE), "-ldl", "-lpthread"]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except OSError as error:
            raise FloorError(f"cc: {error.strerror}") from error
        except subprocess.CalledProcessError as error:
            raise FloorError(error.stderr.strip()) from error
    return program


def arguments(place: Place) -> list[str]:
    token = place.label if place.slot is None else f"slot:{place.slot}"
    return [place.module, token, *filter(None, [place.reserved])]
