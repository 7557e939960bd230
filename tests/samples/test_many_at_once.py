"""The programs of docs/many-at-once.md run as they stand there, one after the other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hwcng

if TYPE_CHECKING:
    from hwcng.contract.provider import Provider

DOCUMENT = Path(__file__).parents[2] / "docs" / "many-at-once.md"


def test_the_page_runs(provider: Provider) -> None:
    programs = re.findall(r"^```python\n(.*?)^```$", DOCUMENT.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(programs) == 2
    names: dict[str, Any] = {"__name__": "__main__"}
    hwcng.set_default_provider(provider)
    try:
        for program in programs:
            exec(compile(program, DOCUMENT.name, "exec"), names)
    finally:
        hwcng.set_default_provider(None)
