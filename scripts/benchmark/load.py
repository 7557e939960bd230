"""What a process of hwcng costs as its work grows, seen from inside: keys, messages, minutes. Run by growth.py.

The first line of the standard input is the place; the answer is one JSON object: panels, their lines, their points.
"""

from __future__ import annotations

import json
import os
import random
import re
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .contenders.hwcng_bcrypt import Contender
from .contenders.inputs import IV
from .measuring import Operation, Undone, measure
from .places import Place

__all__ = ["Panels", "main"]

Panels = dict[str, dict[str, list[tuple[float, float]]]]

_MIXED = (
    "ecdsa-p256-sign",
    "aes-cbc-4KiB",
    "aes-gcm-64B",
    "hmac-sha256-64B",
    "random-32B",
    "aes-generate",
    "ec-generate",
    "ecdh-hash",
    "import-32B",
)
_MIB = 1 << 20


def _status(name: str) -> float:
    found = re.search(rf"^{name}:\s*(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


class Resources:
    """What the process holds. Sessions are counted from the moment at which this is made, through the provider's own
    instrument.
    """

    def __init__(self, provider: Any) -> None:
        self._sessions = 0
        if hasattr(provider, "cryptoki"):
            provider.cryptoki.instrument(self._watched)

    def _watched(self, name: str, function: Callable[..., int]) -> Callable[..., int]:
        step = {"C_OpenSession": 1, "C_CloseSession": -1}.get(name)
        if step is None:
            return function

        def watched(*arguments: Any) -> int:
            rv = function(*arguments)
            if rv == 0:
                self._sessions += step
            return rv

        return watched

    def now(self) -> dict[str, float]:
        return {
            "resident, MiB": _status("VmRSS"),
            "sessions opened and not closed": float(self._sessions),
            "descriptors": float(len(os.listdir("/proc/self/fd"))),
        }


class _Panels:
    def __init__(self) -> None:
        self.panels: Panels = {}

    def add(self, panel: str, line: str, x: float, y: float) -> None:
        self.panels.setdefault(panel, {}).setdefault(line, []).append((round(x, 3), round(y, 3)))

    def add_resources(self, of: str, x: float, resources: Resources) -> None:
        for name, value in resources.now().items():
            self.add(f"{of}: {name}", "hwcng", x, value)


def keys(contender: Contender, most: int) -> Panels:
    """`most` session keys that all stay alive, made in twenty steps."""
    panels, resources = _Panels(), Resources(contender.provider)
    algorithm = contender.algorithm("AES")
    alive: list[Any] = []
    chosen = random.Random(1)  # noqa: S311 - chooses keys to measure
    from hwcng import bcrypt

    step = max(1, most // 20)
    while len(alive) < most:
        made = measure(lambda: alive.append(algorithm.generate_key(256)), min(step, most - len(alive)))
        used = measure(lambda: bcrypt.BCryptEncrypt(chosen.choice(alive), IV, None, IV), 500)
        panels.add("live session keys: µs of CPU time", "make one", len(alive), made.cpu / made.count * 1e6)
        panels.add(
            "live session keys: µs of CPU time", "encrypt with any of them", len(alive), used.cpu / used.count * 1e6
        )
        panels.add_resources("live session keys", len(alive), resources)
    return panels.panels


def messages(contender: Contender, most: int) -> Panels:
    """Messages of up to `most` MiB in one call: the peak of memory, the message itself included, by its length."""
    from hwcng import bcrypt

    panels = _Panels()
    key = contender.algorithm("AES").generate_key(256)
    bcrypt.BCryptEncrypt(key, IV, None, IV)
    size = 1
    while size <= most:
        before = _status("VmRSS")
        message = bytes(size * _MIB)
        Path("/proc/self/clear_refs").write_text("5")
        sample = measure(lambda: bcrypt.BCryptEncrypt(key, message, None, IV), 1)  # noqa: B023 - called at once
        panels.add(
            "AES-CBC in one call: peak of memory, MiB, the token's own copies included",
            "hwcng",
            size,
            _status("VmHWM") - before,
        )
        panels.add("AES-CBC in one call: ms of CPU time", "hwcng", size, sample.cpu * 1e3)
        del message
        size *= 2
    return panels.panels


class _Background:
    """Threads that do operations at random until they are told to stop."""

    def __init__(self, operations: dict[str, Callable[[], object]], threads: int) -> None:
        self._operations = list(operations.items())
        self._stop = threading.Event()
        self._spent = [dict.fromkeys(operations, (0, 0)) for _ in range(threads)]
        self.errors: list[BaseException] = []
        self._team = [threading.Thread(target=self._work, args=(number,)) for number in range(threads)]

    def _work(self, number: int) -> None:
        chosen = random.Random(number)  # noqa: S311 - chooses operations
        spent = self._spent[number]
        try:
            while not self._stop.is_set():
                row, operation = chosen.choice(self._operations)
                begun = time.thread_time_ns()
                operation()
                took = time.thread_time_ns() - begun
                count, nanoseconds = spent[row]
                spent[row] = count + 1, nanoseconds + took
        except BaseException as error:
            self.errors.append(error)

    def spent(self) -> dict[str, tuple[int, int]]:
        """Of each operation, how often it was done and the CPU time that it took in its threads, in nanoseconds."""
        return {
            row: (sum(spent[row][0] for spent in self._spent), sum(spent[row][1] for spent in self._spent))
            for row, _ in self._operations
        }

    def __enter__(self) -> _Background:
        for thread in self._team:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._team:
            thread.join()


def _plain(operation: Operation) -> Callable[[], object]:
    if not callable(operation) or isinstance(operation, Undone):
        raise TypeError("a mixed load has plain operations only")
    return operation


def mixed(contender: Contender, minutes: float, threads: int = 2) -> Panels:
    """Every kind of operation at once, for so long, and at sixty moments what each took since the moment before."""
    panels = _Panels()
    operations = {row: _plain(Contender.OPERATIONS[row](contender)) for row in _MIXED}
    for operation in operations.values():
        operation()
    resources = Resources(contender.provider)
    begun, pause = time.monotonic(), minutes
    with _Background(operations, threads) as background:
        before = background.spent()
        for _ in range(60):
            time.sleep(pause)
            if background.errors:
                raise background.errors[0]
            since, now = (time.monotonic() - begun) / 60, background.spent()
            for row, (count, nanoseconds) in now.items():
                if done := count - before[row][0]:
                    took = (nanoseconds - before[row][1]) / done / 1e3
                    panels.add("mixed load, minutes: µs of CPU time", row, since, took)
            panels.add("mixed load, minutes: operations, thousands", "hwcng", since, _counted(now) / 1e3)
            panels.add_resources("mixed load, minutes", since, resources)
            before = now
    return panels.panels


def _counted(spent: dict[str, tuple[int, int]]) -> int:
    return sum(count for count, _ in spent.values())


_KINDS: dict[str, Callable[..., Panels]] = {"keys": keys, "messages": messages, "mixed": mixed}


def main() -> None:
    """argv: the kind and how much of it."""
    contender = Contender(Place.from_json(sys.stdin.readline()))
    kind, most = sys.argv[1], float(sys.argv[2])
    print(json.dumps(_KINDS[kind](contender, most if kind == "mixed" else int(most))))


if __name__ == "__main__":
    main()
