"""A trace of every C_ call (PKCS#11) and TPM command, by its name, time and answer, and of nothing that it carries.

`trace()` in a program, or HWCNG_TRACE in its environment: "stderr" or the path of a file, to which lines are added.
Without a trace no call pays for it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hwcng.errors import invalid_parameter, told
from hwcng.providers.events import EVENTS, ROOT, note
from hwcng.providers.instruments import instrument_all

__all__ = ["VARIABLE", "from_environment", "start", "trace"]

VARIABLE = "HWCNG_TRACE"
SLOW_SECONDS = 1.0
_MILLISECONDS = 1000.0
_begun: set[str] = set()
_LINE = "%(asctime)s %(process)d %(threadName)s %(message)s"


def start(*, slow: float = SLOW_SECONDS, only_slow: bool = False) -> Callable[[], None]:
    """Traces from now on, in records of the logger hwcng.trace: DEBUG for a call, WARNING for a slow one.

    slow: seconds from which a call is slow. only_slow: whether the others are left out. Returns what ends it.
    """
    import logging

    logger = logging.getLogger(f"{ROOT}.{EVENTS['call.done'].logger}")

    def tell(call: str, began: float, answer: Callable[[], str]) -> None:
        seconds = time.perf_counter() - began
        event = "call.slow" if seconds >= slow else "call.done"
        if (seconds >= slow or not only_slow) and logger.isEnabledFor(EVENTS[event].level):
            note(event, call=call, milliseconds=seconds * _MILLISECONDS, answer=answer())

    return instrument_all(tell)


@contextmanager
def trace(*, slow: float = SLOW_SECONDS, only_slow: bool = False) -> Iterator[None]:
    """`start` for the length of a block."""
    end = start(slow=slow, only_slow=only_slow)
    try:
        yield
    finally:
        end()


def from_environment() -> None:
    """Begins what HWCNG_TRACE asks for, once in a process. Called before a provider is opened.

    Raises CngError (STATUS_INVALID_PARAMETER) for a path that is not absolute, and for a file that cannot be written.
    """
    import logging

    where = os.environ[VARIABLE]
    if where in _begun:
        return
    if where != "stderr" and not os.path.isabs(where):
        raise invalid_parameter(f"{VARIABLE} is stderr or an absolute path, not {told(where)}")
    try:
        handler = logging.StreamHandler() if where == "stderr" else logging.FileHandler(where, encoding="utf-8")
    except OSError as error:
        raise invalid_parameter(f"{VARIABLE}: cannot write {told(where)}: {error.strerror}") from error
    _begun.add(where)
    handler.setFormatter(logging.Formatter(_LINE))
    logger = logging.getLogger(f"{ROOT}.{EVENTS['call.done'].logger}")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    start()
