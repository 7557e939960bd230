"""How fast hwcng has to be: bounds on ratios within one run, and what of a run is beyond them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .contenders.table import CRYPTOGRAPHY, OURS
from .figures import Measured, Run, sent
from .rows import HOST, NSS, P11KIT, ROWS, SOFTHSM, SWTPM

__all__ = ["BOUNDS", "Bound", "Verdict", "verdicts"]

Value = Callable[[Run], float | None]


@dataclass(frozen=True, slots=True)
class Bound:
    """value: what is bounded, None where the run does not say. at_least: whether `limit` is the least or the most."""

    what: str
    limit: float
    value: Value
    at_least: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a run says of a bound. value: None where it was not measured; `met` is then None too."""

    bound: Bound
    value: float | None

    @property
    def met(self) -> bool | None:
        if self.value is None:
            return None
        return self.value >= self.bound.limit if self.bound.at_least else self.value <= self.bound.limit

    def __str__(self) -> str:
        said = "not measured" if self.value is None else f"{self.value:.2f}"
        return f"{self.bound.what}: {said}, {'at least' if self.bound.at_least else 'at most'} {self.bound.limit:g}"


def _to_floor(token: str, row: str, limit: float) -> Bound:
    def value(run: Run) -> float | None:
        ours = run.find(token, row, OURS)
        return run.to_floor(ours) if ours else None

    return Bound(f"{token} {row}, times the floor", limit, value)


def _to_best_peer(token: str, row: str) -> Bound:
    def value(run: Run) -> float | None:
        ours = run.find(token, row, OURS)
        return run.to_best_peer(ours) if ours else None

    return Bound(f"{token} {row}, times the fastest other library", 1.0, value)


def _faster_than(token: str, row: str, contender: str, limit: float) -> Bound:
    def value(run: Run) -> float | None:
        ours, other = run.find(token, row, OURS), run.find(token, row, contender)
        return other.total.minimum / ours.total.minimum if ours and other else None

    return Bound(f"{token} {row}, times faster than {contender}", limit, value, at_least=True)


def _to_ours(token: str, row: str, contender: str, limit: float) -> Bound:
    def value(run: Run) -> float | None:
        ours, other = run.find(token, row, OURS), run.find(token, row, contender)
        return other.cpu.minimum / ours.cpu.minimum if ours and other else None

    return Bound(f"{token} {row}, CPU of {contender} times that of BCryptSignHash", limit, value)


def _gain(one: Measured | None, many: Measured | None) -> float | None:
    """How many times the throughput of one thread."""
    return one.wall.minimum / many.wall.minimum if one and many and many.wall.minimum else None


def _gains(row: str, threads: int, than: int = 1) -> Callable[[Run], tuple[float, float] | None]:
    """hwcng's and the floor's."""

    def gains(run: Run) -> tuple[float, float] | None:
        ours = _gain(run.find(SOFTHSM, row, OURS, than), run.find(SOFTHSM, row, OURS, threads))
        floors = _gain(run.floor(SOFTHSM, row, than), run.floor(SOFTHSM, row, threads))
        return (ours, floors) if ours and floors else None

    return gains


def _two_threads(row: str, limit: float) -> Bound:
    def value(run: Run) -> float | None:
        gains = _gains(row, 2)(run)
        return 2 * gains[0] / gains[1] if gains else None

    return Bound(f"{SOFTHSM} {row}, two threads to one, where C's two are twice its one", limit, value, at_least=True)


def _many_threads(row: str) -> Bound:
    def value(run: Run) -> float | None:
        gains = _gains(row, 32, 2)(run)
        return gains[0] / min(1.0, gains[1]) if gains else None

    # Threads that take turns on two cores lose some of it to chance.
    return Bound(f"{SOFTHSM} {row}, 32 threads to two", 0.95, value, at_least=True)


def _milliseconds(what: str, limit: float, whole: tuple[str, str, str], apart: tuple[str, str, str]) -> Bound:
    def value(run: Run) -> float | None:
        measured, less = run.find(*whole), run.find(*apart)
        return (measured.cpu.minimum - less.cpu.minimum) / 1e3 if measured and less else None

    return Bound(f"{what}, ms", limit, value)


def _alone(what: str, limit: float, row: str, token: str = HOST) -> Bound:
    def value(run: Run) -> float | None:
        measured = run.find(token, row, OURS)
        return measured.cpu.minimum / 1e3 if measured else None

    return Bound(f"{what}, ms of CPU", limit, value)


def _calls(row: str, limit: int) -> Bound:
    def value(run: Run) -> float | None:
        ours = run.find(P11KIT, row, OURS)
        return float(sent(ours.calls)) if ours and ours.calls is not None else None

    return Bound(f"{P11KIT} {row}, round trips", limit, value)


def _memory(token: str, row: str, length: int) -> Bound:
    def value(run: Run) -> float | None:
        ours, floor = run.find(token, row, OURS), run.floor(token, row)
        if ours is None or floor is None or ours.memory is None or floor.memory is None:
            return None
        return 1 + (ours.memory - floor.memory) / length

    return Bound(f"{token} {row}, memory beyond the token's own, times the message", 2.1, value)


_TO_FLOOR = {
    "hmac-sha256-64B": 2.2,
    "aes-cbc-64B": 2.2,
    "aes-gcm-64B": 2.2,
    "random-32B": 2.5,
    "ecdsa-p256-sign": 1.25,
    "aes-cbc-1MiB": 1.05,
    "aes-gcm-1MiB": 1.05,
    "aes-generate": 2.5,
    "ec-generate": 1.8,
    "ecdh-hash": 1.8,
}
_NAMED = ("open-among-10", "open-among-1000", "open-among-10000", "store-among-10", "store-among-1000", "list-2000")
_ROUND_TRIPS = {"ecdsa-p256-sign": 2, "rsa-2048-sign": 2, "aes-cbc-64B": 2, "aes-gcm-64B": 2, "random-32B": 1}


def _bounds() -> Iterator[Bound]:
    for token in (SOFTHSM, NSS):
        yield from (_to_floor(token, row, limit) for row, limit in _TO_FLOOR.items())
        yield from (_to_best_peer(token, row.name) for row in ROWS if token in row.tokens and not row.fresh)
        yield from (_memory(token, row.name, row.memory) for row in ROWS if row.memory and token in row.tokens)
    yield from (_to_floor(SOFTHSM, row, 1.3) for row in _NAMED)
    yield from (_two_threads(row, limit) for row, limit in {"rsa-2048-sign": 1.8, "ecdsa-p256-sign": 1.5}.items())
    yield from (_many_threads(row) for row in ("rsa-2048-sign", "ecdsa-p256-sign"))
    yield _to_floor(SWTPM, "ecdsa-p256-sign", 1.06)
    yield from (_to_ours(token, "ecdsa-p256-sign", CRYPTOGRAPHY, 1.25) for token in (SOFTHSM, NSS, SWTPM))
    for row in ("random-32B", "aes-cbc-1KiB"):
        yield _to_floor(SWTPM, row, 1.6)
        yield _faster_than(SWTPM, row, "esapi-encrypted", 12)
    yield from (_calls(row, limit) for row, limit in _ROUND_TRIPS.items())
    yield _milliseconds(
        "import hwcng beyond the interpreter", 20, (HOST, "import-hwcng", OURS), (HOST, "import-hwcng", "interpreter")
    )
    yield _alone("a fresh SoftHSM token", 50, "fresh-softhsm-token")
    yield _alone("a fresh swtpm", 300, "fresh-swtpm")
    yield _alone("a provider beside one of the same token", 1, "open-again", SOFTHSM)
    yield _milliseconds(
        "open a provider and a key and sign, without the login",
        20,
        (SOFTHSM, "open-and-sign", OURS),
        (SOFTHSM, "login", "c"),
    )


BOUNDS = tuple(_bounds())


def verdicts(run: Run, bounds: tuple[Bound, ...] = BOUNDS) -> list[Verdict]:
    return [Verdict(bound, bound.value(run)) for bound in bounds]
