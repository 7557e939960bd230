"""The run: on each token, row by row, the contenders take turns, round by round."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from . import rows as names
from .contenders.table import CONTENDERS, FLOOR, Known, missing
from .figures import Measured, Skipped
from .floor import FloorError
from .measuring import Figures
from .places import Opener, opened, scratch
from .processes import DeadWorkerError, Process, started
from .rows import Row
from .worker import UnsupportedError

__all__ = ["Asked", "run", "tell"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What to measure. rounds: turns of each contender. seconds: how long one turn should last at least."""

    rows: tuple[Row, ...]
    tokens: tuple[str, ...] = names.TOKENS
    contenders: tuple[Known, ...] = CONTENDERS
    threads: tuple[int, ...] = (1, 2, 4, 8, 32)
    rounds: int = 15
    seconds: float = 0.02


Results = list[Measured | Skipped]


@dataclass(slots=True)
class _Turn:
    """A contender within a row."""

    known: Known
    process: Process
    count: int = 1
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    total: list[float] = field(default_factory=list)

    def take(self, row: str, threads: int) -> None:
        sample, server = self.process.run(row, self.count, threads)
        self.cpu.append(sample.cpu / sample.count)
        self.wall.append(sample.wall / sample.count)
        self.total.append((sample.cpu + server) / sample.count)


class _Token:
    """One token with so many named keys, and the processes that use it."""

    def __init__(
        self, asked: Asked, token: str, keys: int, folder: Path, say: Callable[[str], None], results: Results
    ) -> None:
        self._asked, self._token, self._keys, self._folder, self._say = asked, token, keys, folder, say
        self.results = results
        self._absent: set[str] = set()

    def _skip(self, row: str, contender: str, why: object) -> None:
        self.results.append(Skipped(self._token, row, contender, str(why)))

    def run(self, rows: Sequence[Row]) -> None:
        place = self._folder / f"{self._token}-{self._keys}"
        try:
            with opened(self._token, place) as opener:
                if self._keys:
                    self._fill(opener)
                self._rows(rows, opener)
        except (RuntimeError, UnsupportedError, OSError) as error:
            self._skip("", "", error)

    def _fill(self, opener: Opener) -> None:
        floor = next(known for known in CONTENDERS if known.name == FLOOR)
        with started(floor, opener(), self._folder) as process:
            process.ask(f"fill {self._keys}")

    def _rows(self, rows: Sequence[Row], opener: Opener) -> None:
        there = [known for known in self._asked.contenders if self._token in known.tokens]
        with ExitStack() as stack:
            kept: dict[str, Process] = {}
            for row in rows:
                self._say(f"{self._token}: {row.title}")
                if row.fresh:
                    self._fresh(row, there, opener)
                    continue
                for known in there:
                    if known.name not in kept and (process := self._start(known, opener)):
                        kept[known.name] = stack.enter_context(process)
                self._alive(row, [known for known in there if known.name in kept], kept)

    def _start(self, known: Known, opener: Opener) -> Process | None:
        if known.name in self._absent:
            return None
        try:
            if why := missing(known):
                raise UnsupportedError(why)
            return started(known, opener(), self._folder)
        except (UnsupportedError, DeadWorkerError, FloorError) as error:
            self._absent.add(known.name)
            self._skip("", known.name, error)
            return None

    def _alive(self, row: Row, there: Sequence[Known], kept: dict[str, Process]) -> None:
        for threads in row.threads:
            if threads not in self._asked.threads:
                continue
            able = [known for known in there if self._can(known, row) and (threads == 1 or known.threads)]
            turns = [turn for known in able if (turn := self._prepared(row, threads, known, kept))]
            self._rounds(row, threads, turns)
            self.results += [self._result(row, threads, turn) for turn in turns]

    def _prepared(self, row: Row, threads: int, known: Known, kept: dict[str, Process]) -> _Turn | None:
        turn = _Turn(known, kept[known.name])
        try:
            turn.count = self._enough(turn.process, row, threads)
        except (UnsupportedError, DeadWorkerError) as error:
            self._skip(row.name, known.name, error)
            if isinstance(error, DeadWorkerError):
                kept.pop(known.name)
            return None
        return turn

    def _enough(self, process: Process, row: Row, threads: int) -> int:
        """How many operations fill a round. The first ones, which are slow, are done with here."""
        count, seconds = 1, self._asked.seconds
        process.run(row.name, 1, threads)
        while count < row.most and (busy := self._busy(process, row, count, threads)) < seconds / 2:
            # An interruption makes the estimate small, never the round long.
            count = min(row.most, max(count + 1, min(8 * count, int(count * seconds / max(busy, 1e-7)))))
        return count

    def _busy(self, process: Process, row: Row, count: int, threads: int) -> float:
        """Seconds that one thread works, without what others take of the machine."""
        sample, server = process.run(row.name, count, threads)
        return max((sample.cpu + server) / threads, sample.wall / 10)

    def _rounds(self, row: Row, threads: int, turns: list[_Turn]) -> None:
        for number in range(min(self._asked.rounds, row.rounds)):
            # Nobody always comes first, and nobody always after the same one.
            order = turns[number % max(1, len(turns)) :] + turns[: number % max(1, len(turns))]
            for turn in reversed(order) if number % 2 else order:
                if not self._took(turn, row, threads):
                    turns.remove(turn)

    def _took(self, turn: _Turn, row: Row, threads: int) -> bool:
        try:
            turn.take(row.name, threads)
        except (UnsupportedError, DeadWorkerError) as error:
            self._skip(row.name, turn.known.name, error)
            return False
        return True

    def _fresh(self, row: Row, there: Sequence[Known], opener: Opener) -> None:
        turns: dict[str, _Turn] = {}
        for _ in range(self._asked.rounds):
            for known in there:
                process = self._start(known, opener) if self._can(known, row) else None
                if process is None:
                    continue
                with process:
                    turn = turns.setdefault(known.name, _Turn(known, process))
                    turn.process = process
                    self._took(turn, row, 1)
        self.results += [self._result(row, 1, turn) for turn in turns.values() if turn.cpu]

    def _can(self, known: Known, row: Row) -> bool:
        return not any(
            isinstance(result, Skipped)
            and (result.token, result.row, result.contender) == (self._token, row.name, known.name)
            for result in self.results
        )

    def _result(self, row: Row, threads: int, turn: _Turn) -> Measured:
        return Measured(
            self._token,
            row.name,
            threads,
            turn.known.name,
            turn.count,
            Figures.of(turn.cpu),
            Figures.of(turn.wall),
            Figures.of(turn.total),
            self._calls(row, turn) if turn.known.own and threads == 1 else None,
            self._peak(row, turn) if row.memory else None,
        )

    def _calls(self, row: Row, turn: _Turn) -> list[str] | None:
        try:
            return None if row.fresh or self._token == names.HOST else turn.process.calls(row.name)
        except UnsupportedError:
            return None

    def _peak(self, row: Row, turn: _Turn) -> int:
        before = turn.process.forget_peak()
        turn.process.run(row.name, 1)
        return turn.process.peak() - before


def _groups(asked: Asked) -> Iterator[tuple[str, int, list[Row]]]:
    for token in asked.tokens:
        there = sorted((row for row in asked.rows if token in row.tokens), key=lambda row: row.keys)
        for keys, group in groupby(there, key=lambda row: row.keys):
            yield token, keys, list(group)


def run(asked: Asked, say: Callable[[str], None] | None = None) -> Results:
    """Measures everything that was asked for. say: is told what is being measured. Ctrl-C keeps what there is."""
    results: Results = []
    try:
        with scratch() as folder:
            for token, keys, rows in _groups(asked):
                _Token(asked, token, keys, folder, say or _silent, results).run(rows)
    except KeyboardInterrupt:
        results.append(Skipped("", "", "", "interrupted: the rest was not measured"))
    return results


def _silent(_text: str) -> None:
    pass


def tell(text: str) -> None:
    """Says on the standard error what goes on."""
    print(f"bench: {text}", file=sys.stderr)
