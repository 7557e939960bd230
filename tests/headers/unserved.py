"""Names of the three headers that are not served, each with its reason: unserved.tsv, which docs/limitations.md tells.

`python tests/headers/unserved.py` writes the document's section anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

DOCUMENT = Path(__file__).parents[2] / "docs" / "limitations.md"
BEGIN, END = "<!-- unserved names: made by tests/headers/unserved.py -->\n", "<!-- end of unserved names -->\n"


class Reason(NamedTuple):
    """key: its short name. text: the reason. names: of what it is the reason."""

    key: str
    text: str
    names: tuple[str, ...]


def reasons() -> Iterator[Reason]:
    for line in Path(__file__).with_suffix(".tsv").read_text("utf-8").splitlines():
        key, text, names = line.split("\t")
        yield Reason(key, text, tuple(names.split()))


def names() -> list[str]:
    return [name for reason in reasons() for name in reason.names]


def section() -> str:
    """The section of the document, between its marks."""
    lines = ["| why | names |\n", "| --- | --- |\n"]
    lines += [f"| {reason.key}: {reason.text} | {', '.join(reason.names)} |\n" for reason in reasons()]
    return BEGIN + "".join(lines) + END


def written() -> str:
    """The document as it should be."""
    text = DOCUMENT.read_text("utf-8")
    head, _, rest = text.partition(BEGIN)
    return head + section() + rest.partition(END)[2]


if __name__ == "__main__":
    DOCUMENT.write_text(written(), "utf-8")
