"""The programs of docs/many-at-once.md run as they stand there, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support import programs_of

import hwcng

if TYPE_CHECKING:
    from hwcng.contract.provider import Provider

PAGE = "docs/many-at-once.md"


def test_the_page_runs(provider: Provider) -> None:
    programs = programs_of(PAGE)
    assert len(programs) == 2
    names: dict[str, Any] = {"__name__": "__main__"}
    hwcng.set_default_provider(provider)
    try:
        for program in programs:
            exec(compile(program, PAGE, "exec"), names)
    finally:
        hwcng.set_default_provider(None)
