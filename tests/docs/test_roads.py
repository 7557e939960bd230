"""The road of docs/first-key.md from its beginning: an installation of this checkout in an environment of its own.

The other roads run as pages do: five of Microsoft's samples (docs/coming-from-windows.md), and an operator's day with
the command (docs/keys-by-command.md).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from docs.capabilities import has
from docs.markdown import ROOT
from docs.pages import lacks, run, session
from support import missing

PAGE = "docs/first-key.md"
OF_A_READER = ("HWCNG_PROVIDER", "HWCNG_CONFIG", "SOFTHSM2_CONF", "TOKEN_PIN")
"""What the reader of another page has, and this one makes."""


def checkout(folder: Path) -> Path:
    """A copy of what is tracked here, with what was changed since."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        missing("a checkout with git")
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


def test_from_pip_install_to_https(reader: dict[str, str], tmp_path: Path) -> None:
    if not has("package-index"):
        missing("a package index")
    install, *others = session(PAGE)
    assert "pip install" in install.source
    if absent := {need for block in others for need in lacks(block)} - {"python:uvicorn"}:
        missing(", ".join(sorted(absent)))
    # Nothing of this environment is there but where pip looks, and what it keeps.
    environ = {name: value for name, value in reader.items() if name not in ("PYTHONPATH", *OF_A_READER)}
    pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    cache = {"PIP_CACHE_DIR": str(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pip")}
    assert "hwcng 0." in run(PAGE, [install], {**environ, **cache, **pip}, checkout(tmp_path / "checkout"))
    venv = Path(environ["HOME"]) / "hwcng"
    activated = {**environ, "VIRTUAL_ENV": str(venv), "PATH": f"{venv / 'bin'}:/usr/bin:/bin"}
    (folder := tmp_path / "folder").mkdir()
    said = run(PAGE, others, activated, folder, venv / "bin" / "python")
    assert re.search("CN ?= ?localhost", said)
    assert "served by a key in a token" in said
