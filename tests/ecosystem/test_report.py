"""docs/ecosystem.md says what the table of libraries says, and is made from what ran."""

from __future__ import annotations

import pytest
from ecosystem import report
from ecosystem.keys import PLACES
from ecosystem.libraries import LIBRARIES


@pytest.fixture
def page(request: pytest.FixtureRequest) -> dict[str, dict[str, str]]:
    """The table of the page, unless it is about to be made anew."""
    if request.config.getoption("--write-docs"):
        pytest.skip("the page is made from what runs")
    return report.claimed()


def test_the_page_has_every_library(page: dict[str, dict[str, str]]) -> None:
    told = {name: (row["by"], row["what it does"]) for name, row in page.items()}
    assert told == {row.name: (row.way, row.does) for row in LIBRARIES.values()}


def test_the_page_says_what_ran(page: dict[str, dict[str, str]]) -> None:
    """A cell has the kinds of keys for which there is a test, each of them and no other."""
    for name, row in page.items():
        for token in report.TOKENS:
            there = {kind for place, kind, _ in PLACES if place == token} & set(LIBRARIES[name].kinds)
            assert set(filter(None, row[token].split(", "))) == there, (name, token)


def test_a_table_of_what_ran() -> None:
    ran = {"PyJWT": report.Ran("9.9", {"swtpm": {"P-256", "RSA"}}), "paramiko": report.Ran("8", {"SoftHSM": {"P-256"}})}
    lines = list(report.table(ran))
    assert [line.split(" | ")[1] for line in lines[2:]] == ["9.9", "8"]
    assert lines[2].endswith("|  | RSA, P-256 |") and lines[3].endswith("| P-256 |  |")
