"""docs/tools.md says what the table of tools says, and is made from what ran."""

from __future__ import annotations

from tools import report


def test_the_page_has_every_tool() -> None:
    told = {name: (row["token"], row["how it uses them"]) for name, row in report.claimed().items()}
    assert told == {tool.name: (tool.token, tool.how) for tool in report.TOOLS.values()}


def test_every_cell_of_pairs_is_filled() -> None:
    """An agent is asked to make no keys; all others make and use RSA and EC."""
    for name, row in report.claimed().items():
        for column in (report.MADE, report.USED):
            kinds = row[column].split(", ")
            assert {"RSA", "EC"} <= set(kinds) or (name, column) == ("ssh-agent", report.MADE), (name, column)


def test_a_table_of_what_ran() -> None:
    ran = {"p11tool": report.Ran("9.9", {report.USED: {"EC", "RSA"}}), "keytool": report.Ran("8", {})}
    lines = list(report.table(ran))
    assert lines[2:] == [
        "| p11tool | 9.9 | SoftHSM | - | RSA, EC | lists, signs |",
        "| keytool | 8 | SoftHSM | - | - | lists, requests a certificate |",
    ]
