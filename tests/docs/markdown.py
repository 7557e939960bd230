"""The project's pages as CommonMark: what they link to, their headings' anchors, their blocks of code."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path.relative_to(ROOT).as_posix() for folder in (".", "docs", "softhsm") for path in (ROOT / folder).glob("*.md")
)
PAGES += sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*/*.md"))

_PARSER = MarkdownIt("commonmark").enable("table")


class Block(NamedTuple):
    """A block of code. words: what stands behind its language; indented blocks have neither."""

    line: int
    language: str
    words: tuple[str, ...]
    source: str


def _tokens(page: str) -> Iterator[Token]:
    for token in _PARSER.parse((ROOT / page).read_text("utf-8")):
        yield token
        yield from token.children or ()


def links(page: str) -> list[str]:
    """Where the links and pictures of a page lead, as they are written."""
    attributes = {"link_open": "href", "image": "src"}
    return [str(token.attrs[attributes[token.type]]) for token in _tokens(page) if token.type in attributes]


def anchors(page: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    found: set[str] = set()
    tokens = list(_tokens(page))
    for heading, inline in itertools.pairwise(tokens):
        if heading.type == "heading_open":
            text = "".join(child.content for child in inline.children or () if child.type in ("text", "code_inline"))
            anchor = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            number = 0
            while (numbered := anchor + (f"-{number}" if number else "")) in found:
                number += 1
            found.add(numbered)
    return found


def blocks(page: str) -> list[Block]:
    """The blocks of code of a page, in order."""
    found = []
    for token in _tokens(page):
        if token.type in ("fence", "code_block"):
            language, *words = token.info.split() or [""]
            assert token.map is not None
            found.append(Block(token.map[0] + 1, language, tuple(words), token.content))
    return found
