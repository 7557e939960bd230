"""Every row in scope has a test that is marked with it, and every row of the groups is accounted for."""

from __future__ import annotations

import pytest
from conformance.report import proofs
from conformance.rows import GROUPS, ROWS_IN_SCOPE, ROWS_LATER, ROWS_WITHOUT_MEANING

TABLES = (ROWS_IN_SCOPE, ROWS_LATER, ROWS_WITHOUT_MEANING)


@pytest.fixture(scope="module")
def marked() -> dict[str, list[str]]:
    return proofs()


def test_every_row_in_scope_has_a_test(marked: dict[str, list[str]]) -> None:
    assert sorted(set(ROWS_IN_SCOPE) - set(marked)) == []


def test_no_test_is_marked_with_a_row_of_these_groups_that_does_not_exist(marked: dict[str, list[str]]) -> None:
    ours = {row for row in marked if row.split("-")[0] in GROUPS or row.startswith(("2.", "3.", "5."))}
    assert sorted(ours - set(ROWS_IN_SCOPE)) == []


def test_the_tables_hold_every_row_of_each_group_once() -> None:
    listed = [row for table in TABLES for row in table]
    assert len(listed) == len(set(listed))
    numbered = {f"{group}-{number:02}" for group, last in GROUPS.items() for number in range(1, last + 1)}
    assert {row for row in listed if row.split("-")[0] in GROUPS} == numbered
