"""Runs blocks of a page in a process of their own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from docs.capabilities import has
from docs.markdown import Block, blocks

RUN = ("python", "sh")
"""The languages of blocks that are run."""

PIN = "1234-page"
BEFORE = Path(__file__).parent / "before"
"""What a page takes for granted, as programs that run before it."""
SECONDS = 600


def needs_of(block: Block) -> list[str]:
    """The capabilities that it names."""
    return [need for word in block.words if word.startswith("needs=") for need in word[len("needs=") :].split(",")]


def lacks(block: Block) -> list[str]:
    """Those that the machine does not have."""
    return [need for need in needs_of(block) if not has(need)]


def session(page: str) -> list[Block]:
    """The blocks of a page that are run, or are files of those."""
    return [
        block
        for block in blocks(page)
        if block.language in RUN or any(word.startswith("file=") for word in block.words)
    ]


def run(
    page: str, there: list[Block], environ: dict[str, str], folder: Path, python: str | Path = sys.executable
) -> str:
    """Runs blocks as a page's; what they print. python: which runs the programs."""
    before = (BEFORE / page).with_suffix(".py")
    if before.exists():
        there = [Block(0, "python", (), before.read_text("utf-8")), *there]
    # A file, because a daemon that a page leaves behind would hold the other end of a pipe.
    with tempfile.TemporaryFile("w+") as told:
        done = subprocess.run(
            [python, str(Path(__file__).parent / "run_page.py")],
            input=json.dumps({"page": page, "blocks": [block._asdict() for block in there]}),
            env=environ,
            cwd=folder,
            stdout=told,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        told.seek(0)
        said = told.read()
    assert done.returncode == 0, said
    assert PIN not in said
    return said
