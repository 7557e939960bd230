"""An interpreter that begins and ends: what an import is measured beyond."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from ..measuring import Operation
from ..places import Place
from ..worker import UnsupportedError

__all__ = ["Contender", "imports"]


def imports(statement: str) -> Callable[[Any], Operation]:
    """An interpreter that runs one statement and ends."""
    return lambda _contender: partial(subprocess.run, [sys.executable, "-c", statement], check=True)


class Contender:
    OPERATIONS: ClassVar = {"import-hwcng": imports("pass")}

    def __init__(self, place: Place) -> None:
        pass

    def counter(self) -> Any:
        raise UnsupportedError("has no counter")
