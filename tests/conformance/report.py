"""docs/conformance.md and docs/capabilities.json: which token does what, and which test proves which row.

`pytest --write-docs tests/conformance` makes both anew from what ran; without it the tests compare. What another
version of a token does is in a column of its own, which `--write-docs --beside` makes where that version is installed.
"""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from conformance.matrix import CELLS
from conformance.rows import GROUPS, ROWS_IN_SCOPE, ROWS_LATER, ROWS_WITHOUT_MEANING

from hwcng.contract.usage import WEAK_ALGORITHMS

ROOT = Path(__file__).parent.parent.parent
CAPABILITIES = ROOT / "docs" / "capabilities.json"
DOCUMENT = ROOT / "docs" / "conformance.md"
FOLDERS = ("conformance", "wincrypt", "ncrypt", "tpm2", "store", "faults")

Results = dict[str, dict[str, Any]]
RESULTS = pytest.StashKey[Results]()
"""What `--write-docs` has seen so far."""


def load() -> Results:
    """Column -> {"token": who it was, "cells": {cell: result}}."""
    found: Results = json.loads(CAPABILITIES.read_text()) if CAPABILITIES.exists() else {}
    return found


def _kind(column: str) -> str:
    """Of the token, whose versions are "kind, version"."""
    return column.partition(", ")[0]


def column_of(name: str, identity: str, columns: Results) -> str | None:
    """The column of this very version of a token, if there is one."""
    same = (column for column, token in columns.items() if _kind(column) == name and token["token"] == identity)
    return next(same, None)


def _new_column(name: str, identity: str, columns: Results) -> str:
    """The kind, and the first version by which the token differs from that in the kind's own column, else what does."""
    known = columns[name]["token"].split(", ")
    others = [part for part in identity.split(", ") if part not in known]
    versions = (last for part in others if (last := part.rpartition(" ")[2])[0].isdecimal())
    return f"{name}, {next(versions, others[0])}"


def merged(seen: Results, columns: Results, beside: bool) -> Results:
    """The columns with what was seen. beside: whether another version leaves the kind's own column alone."""
    found = dict(columns)
    for name, token in seen.items():
        column = column_of(name, token["token"], columns)
        if column is None:
            column = _new_column(name, token["token"], columns) if beside and name in columns else name
        found[column] = token
    kinds = list(dict.fromkeys(map(_kind, found)))
    return {column: found[column] for column in sorted(found, key=lambda column: kinds.index(_kind(column)))}


def save(seen: Results, beside: bool = False) -> None:
    for token in seen.values():
        token["cells"] = {str(cell): token["cells"][str(cell)] for cell in CELLS}
    results = merged(seen, load(), beside)
    CAPABILITIES.write_text(json.dumps(results, indent=1, sort_keys=False) + "\n")
    DOCUMENT.write_text(render(results))


def rows_of(marks: object) -> Iterator[str]:
    """The row ids of marks, and of the parameter sets that parametrize marks hold."""
    for mark in marks if isinstance(marks, (list, tuple)) else [marks]:
        mark = getattr(mark, "mark", mark)
        if mark.name == "row":
            yield from mark.args
        elif mark.name == "parametrize":
            for values in mark.args[1]:
                yield from rows_of(list(getattr(values, "marks", ())))


def _rows_in(module: ModuleType) -> Iterator[tuple[str, str]]:
    whole = list(rows_of(getattr(module, "pytestmark", [])))
    for name, function in inspect.getmembers(module, inspect.isfunction):
        if name.startswith("test_"):
            for row in dict.fromkeys([*whole, *rows_of(getattr(function, "pytestmark", []))]):
                yield row, name


def _module(folder: str, name: str) -> ModuleType:
    """As pytest has collected it, which calls it by its path from the project's folder."""
    return sys.modules.get(f"tests.{folder}.{name}") or importlib.import_module(f"{folder}.{name}")


def proofs() -> dict[str, list[str]]:
    """Row -> "folder/file: tests" that are marked with it, also where those are not part of this run."""
    found: dict[str, dict[str, list[str]]] = {}
    for folder in FOLDERS:
        for path in sorted((ROOT / "tests" / folder).glob("test_*.py")):
            for row, name in _rows_in(_module(folder, path.stem)):
                found.setdefault(row, {}).setdefault(f"{folder}/{path.name}", []).append(name)
    return {row: [f"{file}: {', '.join(names)}" for file, names in files.items()] for row, files in found.items()}


def _matrix(results: Results) -> Iterator[str]:
    tokens = list(results)
    yield f"| algorithm | operation | {' | '.join(tokens)} |"
    yield "| --- | --- |" + " --- |" * len(tokens)
    cells = dict.fromkeys(cell for token in results.values() for cell in token["cells"])
    for cell in cells:
        algorithm, _, operation = cell.partition(" ")
        shown = (results[token]["cells"].get(cell, "") for token in tokens)
        weak = " \u2020" if algorithm in WEAK_ALGORITHMS else ""
        yield f"| {algorithm}{weak} | {operation} | {' | '.join(shown)} |"


def _rows(table: Mapping[str, str], proved: Mapping[str, list[str]]) -> Iterator[str]:
    yield "| row | what it says | proved by |"
    yield "| --- | --- | --- |"
    for row, text in table.items():
        yield f"| {row} | {text} | {'<br>'.join(proved[row])} |"


def render(results: Results) -> str:
    """The document."""
    proved = proofs()
    numbered = [row for row in ROWS_IN_SCOPE if row.split("-")[0] in GROUPS]
    lines = [
        "# Conformance",
        "",
        "Generated by `pytest --write-docs tests/conformance` from what ran; `tests/conformance/test_report.py` fails",
        "where it is not up to date. `docs/capabilities.json` holds the first table as data.",
        "",
        "## Which token does what",
        "",
        "native: by the token's own mechanism. composed: from smaller ones, no key byte leaving the token. works:",
        "without a word of it in the token's capabilities. Else the status that refuses it. Algorithms that are weak,",
        "for old data only, have a \u2020.",
        "",
        "| token | what it was |",
        "| --- | --- |",
        *(f"| {name} | {token['token']} |" for name, token in results.items()),
        "",
        *_matrix(results),
        "",
        "## Which test proves which row",
        "",
        f"{len(numbered)} numbered rows and {len(ROWS_IN_SCOPE) - len(numbered)} others, in our own words.",
        "",
        *_rows(ROWS_IN_SCOPE, proved),
        "",
        "## Rows that are not proved",
        "",
        "| row | why |",
        "| --- | --- |",
        *(f"| {row} | waits for: {why} |" for row, why in ROWS_LATER.items()),
        *(f"| {row} | {why} |" for row, why in ROWS_WITHOUT_MEANING.items()),
        "",
    ]
    return "\n".join(lines)
