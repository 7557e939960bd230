"""Every block in Python and every block of a shell runs as the page has it, page by page, with real tokens."""

from __future__ import annotations

from pathlib import Path

import pytest
from docs.markdown import PAGES, blocks
from docs.pages import RUN, lacks, run, session
from support import missing, record_unrun

SHOWN = ("text", "ini", "toml", "yaml", "json", "c", "{toctree}", "{eval-rst}", "{include}", "{literalinclude}")
WORDS = ("file", "pytest", "serves", "needs")

pages_that_run = [page for page in PAGES if any(block.language in RUN for block in blocks(page))]


@pytest.mark.parametrize("page", PAGES)
def test_blocks_say_what_they_are(page: str) -> None:
    for block in blocks(page):
        where = f"{page}:{block.line}"
        assert block.language in RUN + SHOWN, f"{where}: a block in {block.language or 'no language'}"
        # Behind a directive of Sphinx stands its argument.
        assert block.language.startswith("{") or {word.partition("=")[0] for word in block.words} <= set(WORDS), where
        lacks(block)


@pytest.mark.parametrize("page", pages_that_run)
def test_a_page_runs(page: str, reader: dict[str, str], tmp_path: Path, request: pytest.FixtureRequest) -> None:
    wanted = session(page)
    there = []
    for block in wanted:
        for capability in (absent := lacks(block)):
            record_unrun(request, f"{page}: {capability}")
        if not absent:
            there.append(block)
    if not any(block.language in RUN for block in there):
        missing(f"{page}: {', '.join(sorted({need for block in wanted for need in lacks(block)}))}")
    folder = tmp_path / "folder"
    folder.mkdir()
    run(page, there, reader, folder)
