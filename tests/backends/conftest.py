"""hwcng-recorded, installed for the tests that want it: its folder and what pip writes beside it, on sys.path."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hwcng.providers import backends

RECORDED = Path(__file__).parents[1] / "recorded"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The scheme."""
    project = (RECORDED / "pyproject.toml").read_text("utf-8")
    (entry,) = re.findall(rf'^\[project\.entry-points\."{backends.GROUP}"\]\n(.*) = "(.*)"$', project, re.M)
    site = tmp_path_factory.mktemp("site-packages")
    information = site / "hwcng_recorded-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: hwcng-recorded\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(f"[{backends.GROUP}]\n{' = '.join(entry)}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backends, "_loaded", dict(backends._loaded))
        patch.setattr(sys, "path", [str(site), str(RECORDED), *sys.path])
        yield entry[0]
