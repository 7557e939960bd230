"""Exceptions of a signal's handler, at each place where Python looks for signals."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import hwcng

__all__ = ["interrupted"]

PACKAGE = str(Path(hwcng.__file__).parent)


class Interruption(BaseException):
    """What the handler raises."""


class _Interrupting:
    """Raises where Python looks for signals, on the way into a function and back from one in C: at the nth such place
    in hwcng.
    """

    def __init__(self, nth: int) -> None:
        self._left = nth
        self.came = False

    def __call__(self, frame: FrameType, event: str, _argument: object) -> None:
        # An exception in a finaliser reaches nobody.
        if event not in ("call", "c_return") or frame.f_code.co_name == "__del__":
            return
        if frame.f_code.co_filename.startswith(PACKAGE):
            self._left -= 1
            if self._left < 0:
                self.came = True
                sys.setprofile(None)
                raise Interruption


def interrupted(call: Callable[[], object], nth: int) -> bool:
    """Whether `call` was interrupted, at its nth place."""
    interrupting = _Interrupting(nth)
    sys.setprofile(interrupting)
    try:
        call()
    except Interruption:
        pass
    finally:
        sys.setprofile(None)
    return interrupting.came
