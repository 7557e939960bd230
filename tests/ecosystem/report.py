"""The table of docs/ecosystem.md: which library did what with keys in which token.

`pytest --write-docs tests/ecosystem` makes it anew from what ran; without it the tests compare.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pytest
from ecosystem.keys import KINDS
from ecosystem.libraries import LIBRARIES, installed_version
from page_table import PageTable
from support import LIBRARIES_THAT_RAN

__all__ = ["TOKENS", "Ran", "claimed", "note", "save", "table"]

TOKENS = ("SoftHSM", "swtpm")
HEAD = "| library | version | by | what it does |"
PAGE = PageTable("ecosystem.md", HEAD)


@dataclass
class Ran:
    """What a library did. tokens: the kinds of keys in each."""

    version: str
    tokens: dict[str, set[str]] = field(default_factory=dict)

    def cell(self, token: str) -> str:
        kinds = self.tokens.get(token, set())
        return ", ".join(kind for kind in KINDS if kind in kinds)


def note(config: pytest.Config, library: str, token: str, kind: str) -> None:
    """A test with such a key has passed: it goes into the table, or the table says so already."""
    if config.getoption("--write-docs"):
        ran = config.stash[LIBRARIES_THAT_RAN].setdefault(library, Ran(installed_version(LIBRARIES[library])))
        ran.tokens.setdefault(token, set()).add(kind)
        return
    said = claimed().get(library, {}).get(token, "")
    assert kind in said.split(", "), f"docs/ecosystem.md is old: pytest --write-docs tests/ecosystem ({library})"


def table(results: Mapping[str, Ran]) -> Iterator[str]:
    yield f"{HEAD} {' | '.join(TOKENS)} |"
    yield "| --- | --- | --- | --- |" + " --- |" * len(TOKENS)
    for row in LIBRARIES.values():
        if (ran := results.get(row.name)) is not None:
            cells = (row.name, ran.version, row.way, row.does, *map(ran.cell, TOKENS))
            yield f"| {' | '.join(cells)} |"


def claimed() -> dict[str, dict[str, str]]:
    """The table as the page has it: library -> column -> text."""
    return PAGE.claimed()


def save(results: Mapping[str, Ran]) -> None:
    PAGE.save(table(results))
