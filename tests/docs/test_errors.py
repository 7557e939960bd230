"""docs/errors.md has every status that a call can end with, and what to do."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

from docs.markdown import ROOT

import hwcng
from docs import statuses
from hwcng.errors import HRESULT, NTSTATUS, Win32Error
from hwcng.remedies import GROUPS, REMEDIES, remedy

TABLES = {"hwcng/headers/status_codes.py", "hwcng/remedies.py", "hwcng/ksp/status.py", "hwcng/capi/errors.py"}
"""Modules that name statuses without ending a call with them."""
NAMES = {code.name: code for codes in (NTSTATUS, HRESULT, Win32Error) for code in codes}


@functools.cache
def used() -> frozenset[str]:
    """The statuses that the code of the package names."""
    found: set[str] = set()
    for path in Path(hwcng.__file__).parent.rglob("*.py"):
        if path.relative_to(ROOT).as_posix() not in TABLES:
            attributes = (
                node.attr for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Attribute)
            )
            found |= NAMES.keys() & set(attributes)
    return frozenset(found)


def test_every_status_that_is_used_has_a_row() -> None:
    named = used()
    assert len(named) > 50
    without = {name for name in named if NAMES[name] not in REMEDIES} - {code.name for code in statuses.translations()}
    assert not without


def test_every_row_is_of_a_status_that_is_used() -> None:
    translated = {code.name for code in statuses.translations()}
    assert not {status.name for status in REMEDIES} - used() - translated


def test_a_row_says_what_and_what_to_do() -> None:
    assert len(REMEDIES) == sum(map(len, GROUPS.values()))
    assert all(row.when and row.do and "|" not in row.when + row.do for row in REMEDIES.values())
    assert remedy(NTSTATUS.STATUS_SMARTCARD_WRONG_PIN) is REMEDIES[NTSTATUS.STATUS_SMARTCARD_WRONG_PIN]
    assert remedy(NTSTATUS.STATUS_SUCCESS) is None


def test_the_page_is_up_to_date() -> None:
    assert statuses.DOCUMENT.read_text("utf-8") == statuses.written(), "python tests/docs/statuses.py"
