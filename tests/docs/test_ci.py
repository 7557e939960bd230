"""The two files of docs/ci.md: they are YAML, their packages exist, and the lines that test do so, with tokens."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from docs.markdown import Block, blocks
from docs.pages import run
from support import missing, needs_module

PAGE = "docs/ci.md"
PROGRAMS = ("softhsm2", "swtpm", "libtss2-dev", "libnss3")


def files() -> dict[str, Any]:
    import yaml

    needs = {}
    for block in blocks(PAGE):
        (word,) = block.words
        needs[word.removeprefix("file=")] = yaml.safe_load(block.source)
    return needs


def lines_of(file: str) -> list[str]:
    needs_module("yaml")
    read = files()[file]
    if file == ".gitlab-ci.yml":
        return [*read["tests"]["before_script"], *read["tests"]["script"]]
    steps = read["jobs"]["tests"]["steps"]
    return [line for step in steps for line in step.get("run", "").splitlines()]


FILES = (".github/workflows/tests.yml", ".gitlab-ci.yml")


@pytest.mark.parametrize("file", FILES)
def test_the_packages_exist(file: str) -> None:
    (install,) = (line for line in lines_of(file) if "apt-get install" in line)
    packages = [word for word in shlex.split(install.partition(" install ")[2]) if not word.startswith("-")]
    assert set(PROGRAMS) <= set(packages)
    if shutil.which("apt-cache") is None:
        missing("command:apt-cache")
    known = subprocess.run(["apt-cache", "pkgnames"], capture_output=True, text=True, check=True).stdout.split()
    installed = subprocess.run(["dpkg-query", "-W", "-f", "${Package}\n"], capture_output=True, text=True, check=True)
    assert set(packages) <= {*known, *installed.stdout.split()}


def test_the_tests_run(reader: dict[str, str], tmp_path: Path) -> None:
    needs_module("xdist")
    line, other = (next(line for line in lines_of(file) if "pytest -n auto" in line) for file in FILES)
    assert other.removesuffix(" --junitxml=report.xml") == line
    (tests,) = (block for block in blocks("docs/testing.md") if "pytest" in block.words)
    written = Block(tests.line, "python", ("file=tests/test_tokens.py",), tests.source)
    del reader["PYTHONPATH"]
    said = run(PAGE, [written, Block(1, "sh", (), other.replace("-n auto", "-n 2"))], reader, tmp_path)
    assert " passed" in said and " failed" not in said and " error" not in said


@pytest.mark.parametrize("file", FILES)
def test_the_pythons_are_the_ends_of_the_range(file: str) -> None:
    read = str(files()[file]) if needs_module("yaml") is None else ""
    classifiers = (Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8")
    pythons = [line.rpartition(":: ")[2].strip('",') for line in classifiers.splitlines() if "Python :: 3." in line]
    assert pythons[0] in read and pythons[-1] in read
    assert f"{sys.version_info.major}.{sys.version_info.minor}" in pythons
