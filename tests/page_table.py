"""A table in a page of docs/, which tests make from what ran and compare with what runs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

__all__ = ["PageTable"]

DOCS = Path(__file__).parents[1] / "docs"


class PageTable(NamedTuple):
    """page: its name in docs/. head: how the table's first line begins."""

    page: str
    head: str

    def _parts(self) -> tuple[str, list[str], str]:
        """What is before the table, its lines, and what is behind."""
        before, head, rest = (DOCS / self.page).read_text("utf-8").partition(self.head)
        assert head, f"docs/{self.page} has no table that begins with {self.head}"
        lines, end, behind = (head + rest).partition("\n\n")
        return before, lines.splitlines(), end + behind

    def claimed(self) -> dict[str, dict[str, str]]:
        """The table as the page has it: the first cell of a row -> column -> text."""
        _, (head, _, *rows), _ = self._parts()
        names, *cells = ([cell.strip() for cell in line.strip("|").split("|")] for line in (head, *rows))
        return {row[0]: dict(zip(names, row, strict=True)) for row in cells}

    def save(self, lines: Iterable[str]) -> None:
        before, _, behind = self._parts()
        (DOCS / self.page).write_text(before + "\n".join(lines) + behind, "utf-8")
