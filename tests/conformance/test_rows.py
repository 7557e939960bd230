"""Every row in scope has a test that is marked with it, and every row of the groups is accounted for."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from conformance.rows import GROUPS, ROWS_IN_SCOPE, ROWS_LATER, ROWS_WITHOUT_MEANING

TABLES = (ROWS_IN_SCOPE, ROWS_LATER, ROWS_WITHOUT_MEANING)


def rows_of(marks: object) -> Iterator[str]:
    """The row ids of marks, and of the parameter sets that parametrize marks hold."""
    for mark in marks if isinstance(marks, (list, tuple)) else [marks]:
        mark = getattr(mark, "mark", mark)
        if mark.name == "row":
            yield from mark.args
        elif mark.name == "parametrize":
            for values in mark.args[1]:
                yield from rows_of(list(getattr(values, "marks", ())))


def rows_in(module: ModuleType) -> Iterator[str]:
    yield from rows_of(getattr(module, "pytestmark", []))
    for name, function in inspect.getmembers(module, inspect.isfunction):
        if name.startswith("test_"):
            yield from rows_of(getattr(function, "pytestmark", []))


@pytest.fixture(scope="module")
def marked() -> dict[str, set[str]]:
    """Row -> modules of this folder with a test marked with it, also where those are not part of this run."""
    found: dict[str, set[str]] = {}
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        for row in rows_in(importlib.import_module(f"conformance.{path.stem}")):
            found.setdefault(row, set()).add(path.stem)
    return found


def test_every_row_in_scope_has_a_test(marked: dict[str, set[str]]) -> None:
    assert sorted(set(ROWS_IN_SCOPE) - set(marked)) == []


def test_no_test_is_marked_with_a_row_of_these_groups_that_does_not_exist(marked: dict[str, set[str]]) -> None:
    ours = {row for row in marked if row.split("-")[0] in GROUPS or row.startswith(("2.", "3.", "5."))}
    assert sorted(ours - set(ROWS_IN_SCOPE)) == []


def test_the_tables_hold_every_row_of_each_group_once() -> None:
    listed = [row for table in TABLES for row in table]
    assert len(listed) == len(set(listed))
    numbered = {f"{group}-{number:02}" for group, last in GROUPS.items() for number in range(1, last + 1)}
    assert {row for row in listed if row.split("-")[0] in GROUPS} == numbered
