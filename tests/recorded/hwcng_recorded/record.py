"""The record itself: entries in memory and, line by line, in a file."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from hwcng.errors import CngError

__all__ = ["Record", "Recorded", "read"]

T = TypeVar("T")


@dataclass(frozen=True)
class Recorded:
    """time: ISO 8601, UTC. verb: such as "sign_digest". key: what it is and its name, "" where there is none. status:
    "STATUS_SUCCESS", or that of the CngError.
    """

    time: str
    verb: str
    key: str
    status: str


class Record:
    """What was asked, in order. path: the file that is added to, None for none."""

    def __init__(self, path: str | None) -> None:
        self.path = path
        self.entries: list[Recorded] = []

    def doing(self, verb: str, key: str, call: Callable[[], T]) -> T:
        """What `call` returns or raises, on the record."""
        status = "STATUS_INTERNAL_ERROR"
        try:
            done = call()
            status = "STATUS_SUCCESS"
            return done
        except CngError as error:
            status = getattr(error.status, "name", hex(error.status))
            raise
        finally:
            self._add(verb, key, status)

    def _add(self, verb: str, key: str, status: str) -> None:
        now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="microseconds")
        entry = Recorded(now, verb, key, status)
        self.entries.append(entry)
        if self.path is not None:
            line = json.dumps(asdict(entry)).encode() + b"\n"
            # One write of a short line: threads and processes share a file.
            file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                os.write(file, line)
            finally:
                os.close(file)


def read(path: str | Path) -> Iterator[Recorded]:
    """The entries of a file."""
    with open(path, encoding="utf-8") as file:
        for line in file:
            yield Recorded(**json.loads(line))
