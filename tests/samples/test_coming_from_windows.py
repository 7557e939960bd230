"""The programs of docs/coming-from-windows.md run as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import hwcng

if TYPE_CHECKING:
    from hwcng.contract.provider import Provider

DOCUMENT = Path(__file__).parents[2] / "docs" / "coming-from-windows.md"
SAMPLES = re.findall(r"^## (.+?)\n.*?^```python\n(.*?)^```$", DOCUMENT.read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture
def _default(provider: Provider) -> Iterator[None]:
    hwcng.set_default_provider(provider)
    yield
    hwcng.set_default_provider(None)


def test_five_samples_are_there() -> None:
    assert len(SAMPLES) == 5 and all("assert" in program for _, program in SAMPLES)


@pytest.mark.usefixtures("_default")
@pytest.mark.parametrize(("title", "program"), SAMPLES, ids=[title for title, _ in SAMPLES])
def test_a_sample_runs(title: str, program: str) -> None:
    exec(compile(program, f"{DOCUMENT.name}: {title}", "exec"), {"__name__": "__main__"})


def test_a_sample_runs_as_a_program_of_its_own(token_uri: str, token_pin: str, tmp_path: Path) -> None:
    source = tmp_path / "token-pin"
    source.write_text(token_pin)
    separator = "&" if "?" in token_uri else "?"
    uri = f"{token_uri}{separator}pin-source=file:{source}"
    for title, program in SAMPLES:
        run = subprocess.run([sys.executable, "-c", program], env={**os.environ, "HWCNG_PROVIDER": uri}, check=False)
        assert run.returncode == 0, title
