"""One list of inputs, good and bad, for two implementations of bcrypt.h; what each makes of them is compared.

A case is a function of an implementation: hwcng.bcrypt, or a WineBcrypt of the same shapes. Everything in it is fixed,
so that equal implementations return equal values; where an output is random it returns what can be said of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeAlias

from wine.wine_bcrypt import SizeMismatch

from hwcng import CngError

__all__ = ["Case", "Run", "add", "all_cases", "outcome", "status_of"]

MODULES = (
    "algorithms",
    "ciphers",
    "aead",
    "hashes",
    "pairs",
    "blobs",
    "signatures",
    "encryption",
    "agreement",
    "derivation",
    "handles",
)
Run: TypeAlias = Callable[[Any], Any]


@dataclass(frozen=True)
class Case:
    """needs: an algorithm or function that hwcng may lack. strict: size queries must announce what the calls return."""

    run: Run
    needs: str | None = None
    strict: bool = False


_CASES: dict[str, Case] = {}


def all_cases() -> Mapping[str, Case]:
    for module in MODULES:
        import_module(f"wine.cases.{module}")
    return _CASES


def add(name: str, run: Callable[..., Any], *arguments: Any, needs: str | None = None, strict: bool = False) -> None:
    assert name not in _CASES, name
    _CASES[name] = Case(lambda api: run(api, *arguments), needs, strict)


def _described(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex() or "empty"
    if type(value) in (tuple, list):
        return ", ".join(map(_described, value))
    return "done" if value is None else str(value)


def outcome(api: Any, case: Case) -> str:
    """What the case returns, or the name of its status."""
    try:
        return _described(case.run(api))
    except CngError as error:
        return error.status.name
    except SizeMismatch as error:
        return str(error)


def status_of(function: Callable[..., Any], *arguments: Any) -> str:
    try:
        function(*arguments)
    except CngError as error:
        return error.status.name
    return "STATUS_SUCCESS"
