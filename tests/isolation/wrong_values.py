"""Values that no parameter of a documented function takes, or that few do."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["BEHIND_A_TYPE", "PARAMETER_LISTS", "WRONG"]


class _Index:
    """What converts itself to a number, as numpy's numbers do."""

    def __index__(self) -> int:
        return 0


class _Grim:
    """What answers no question."""

    def __bool__(self) -> bool:
        raise ValueError("the truth value is ambiguous")

    __eq__ = __lt__ = __gt__ = __len__ = __iter__ = __index__ = __int__ = __float__ = __bool__  # type: ignore[assignment]
    __and__ = __or__ = __invert__ = __getitem__ = __contains__ = __buffer__ = __hash__ = __bool__  # type: ignore[assignment]


class _Number(int):
    """A number with operators of its own."""

    def __and__(self, other: Any) -> Any:
        raise ValueError("no")

    __rand__ = __eq__ = __lt__ = __gt__ = __le__ = __ge__ = __sub__ = __hash__ = __format__ = __and__  # type: ignore[assignment]


class _Text(str):
    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]


class _Flag(enum.IntFlag):
    ALL = 0xFFFFFFFF


def released(octets: bytes = bytes(64)) -> memoryview:
    view = memoryview(bytearray(octets))
    view.release()
    return view


def _generated() -> Iterator[tuple[int, bytes]]:
    yield 0, b""


WRONG: dict[str, Callable[[], object]] = {
    "None": lambda: None,
    "true": lambda: True,
    "float": lambda: 1.5,
    "infinity": lambda: float("inf"),
    "no number": lambda: float("nan"),
    "complex": lambda: 1j,
    "negative": lambda: -1,
    "of 32 bits": lambda: 2**32 - 1,
    "of 33 bits": lambda: 2**32,
    "of 70 bits": lambda: 2**70,
    "of 5000 digits": lambda: 10**5000,
    "negative of 5000 digits": lambda: -(10**5000),
    "all flags": lambda: _Flag.ALL,
    "number with operators": lambda: _Number(3),
    "digits": lambda: "2",
    "no text": lambda: "",
    "text with NUL": lambda: "AES\0SHA256",
    "half of a pair": lambda: "\ud800",
    "long text": lambda: "x" * 1_000_000,
    "long text with half of a pair": lambda: "x" * 100_000 + "\udfff",
    "text without a hash": lambda: _Text("AES"),
    "no octets": lambda: b"",
    "many octets": lambda: bytes(100_000),
    "released": released,
    "every second octet": lambda: memoryview(bytearray(128))[::2],
    "table": lambda: memoryview(bytearray(64)).cast("B", [8, 8]),
    "scalar": lambda: memoryview(bytearray(1)).cast("B", []),
    "doubles": lambda: memoryview(bytearray(64)).cast("d"),
    "read-only": lambda: memoryview(bytes(64)),
    "list": list,
    "dict": dict,
    "set": set,
    "object": object,
    "type": lambda: int,
    "function": lambda: len,
    "index": _Index,
    "grim": _Grim,
    "pair of lists": lambda: ([], []),
    "generator": _generated,
    "exception": lambda: ValueError("no"),
}

PARAMETER_LISTS: dict[str, Callable[[], object]] = {
    "nested": lambda: [[[0, b""]]],
    "of one": lambda: [(0,)],
    "of three": lambda: [(0, b"", b"")],
    "of texts": lambda: ["01", "23"],
    "of octets": lambda: [b"01"],
    "of numbers": lambda: [1, 2],
    "of None": lambda: [None],
    "kind is infinite": lambda: [(float("inf"), b"")],
    "kind is long": lambda: [(10**5000, b"")],
    "kind is negative": lambda: [(-1, b"")],
    "kind is text": lambda: [("0", b"")],
    "kind is a list": lambda: [([], b"")],
    "dict of pairs": lambda: {(0, b""): 1},
    "dict of kinds": lambda: {0: b""},
    "dict of texts": lambda: {"01": 1},
    "endless": lambda: iter(lambda: (0, b""), None),
    "itself": lambda: _knot(),
}


def _knot() -> list[Any]:
    knot: list[Any] = []
    knot.append(knot)
    return knot


BEHIND_A_TYPE = {name: make for name, make in WRONG.items() if name not in ("grim", "None", "true")}
"""Values of a property, a record's field or a parameter list."""
