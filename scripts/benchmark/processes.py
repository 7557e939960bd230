"""A contender's process, seen from the bench: one line to it, one line back."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from . import floor
from .contenders.table import Known
from .measuring import Sample, server_seconds
from .places import Place
from .worker import UnsupportedError

__all__ = ["DeadWorkerError", "Process", "started"]

_ROOT = Path(__file__).parents[2]


class DeadWorkerError(RuntimeError):
    """The contender's process ended by itself."""


class Process:
    """A context manager around a worker or the floor, which live until its end. server: as `Place.server`.

    Python keeps bytecode of everybody in a folder of the bench's, as an installed library has it beside its source.
    """

    def __init__(self, command: Sequence[str], first_line: str, environ: dict[str, str], server: int = 0) -> None:
        self._server = server
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            cwd=_ROOT,
            env={**_inherited(), "PYTHONPATH": str(_ROOT), **environ},
            # Ctrl-C at a terminal is for the bench, which ends its contenders in good order.
            start_new_session=True,
        )
        try:
            self.ask(first_line)
        except BaseException:
            self.end()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, line: str) -> list[str]:
        """The words of the answer. Raises UnsupportedError where it is "no", DeadWorkerError where there is none."""
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise DeadWorkerError("has no pipes")
        try:
            print(line, file=stdin, flush=True)
            answer = stdout.readline().split(maxsplit=1)
        except BrokenPipeError:
            answer = []
        if not answer:
            raise DeadWorkerError(f"ended with {self._process.wait()}")
        verb, *rest = answer
        if verb != "ok":
            raise UnsupportedError("".join(rest).strip())
        return rest[0].split() if rest else []

    def run(self, row: str, count: int, threads: int = 1) -> tuple[Sample, float]:
        """What the operations took, and the CPU time of the server meanwhile, in seconds for all of them."""
        before = server_seconds(self._server) if self._server else 0.0
        wall, cpu = map(float, self.ask(f"run {row} {count} {threads}"))
        after = server_seconds(self._server) if self._server else 0.0
        return Sample(count * threads, wall, cpu), after - before

    def calls(self, row: str) -> list[str]:
        return self.ask(f"calls {row}")

    def forget_peak(self) -> int:
        """Bytes that are resident; the peak begins anew (proc(5), clear_refs)."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")
        return self.resident()

    def resident(self) -> int:
        """Bytes of its memory that are there now."""
        return self._memory("VmRSS")

    def peak(self) -> int:
        """Bytes that were resident at most since `forget_peak`."""
        return self._memory("VmHWM")

    def _memory(self, name: str) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(rf"^{name}:\s*(\d+) kB$", status, re.MULTILINE)
        return int(found[1]) * 1024 if found else 0

    def end(self) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


def _inherited() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def started(known: Known, place: Place, folder: Path) -> Process:
    """folder: where the floor is compiled and bytecode kept. Raises UnsupportedError, DeadWorkerError, FloorError."""
    if known.module:
        command = [sys.executable, "-m", "scripts.benchmark.worker", known.module]
        environ = {"PYTHONPYCACHEPREFIX": str(folder / "bytecode"), **place.environ}
        return Process(command, place.to_json(), environ, place.server)
    command = [str(floor.compiled(folder)), *floor.arguments(place)]
    return Process(command, place.pin or "", place.environ, place.server)
