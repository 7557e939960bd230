"""The workflows run the checkout's scripts on every Python and Debian that pyproject.toml and README.md name.

And the hooks of pre-commit are gates of scripts/test.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from typing import Any

import pytest
from docs.markdown import ROOT
from support import missing, needs_module

WORKFLOWS = sorted(path.name for path in (ROOT / ".github" / "workflows").glob("*.yml"))


def read(path: str) -> Any:
    needs_module("yaml")
    import yaml

    return yaml.safe_load((ROOT / path).read_text("utf-8"))


def lines_of(name: str) -> list[str]:
    jobs = read(f".github/workflows/{name}")["jobs"].values()
    return [step["run"] for job in jobs for step in job["steps"] if "run" in step]


def test_every_python_and_debian_is_tried() -> None:
    jobs = read(".github/workflows/tests.yml")["jobs"]
    pythons = re.findall(r'Python :: (3\.\d+)"', (ROOT / "pyproject.toml").read_text("utf-8"))
    assert jobs["python"]["strategy"]["matrix"]["python"] == pythons
    named = re.search(r"Debian (\d+) or (\d+)", (ROOT / "README.md").read_text("utf-8"))
    assert named is not None
    assert jobs["debian"]["strategy"]["matrix"]["release"] == list(named.groups())


@pytest.mark.parametrize("name", WORKFLOWS)
def test_what_they_run_is_here(name: str) -> None:
    scripts = {word for line in lines_of(name) for word in shlex.split(line) if word.startswith(("scripts/", ".ci/"))}
    assert scripts
    for script in scripts:
        assert (ROOT / script).stat().st_mode & 0o100, script


@pytest.mark.parametrize("name", WORKFLOWS)
def test_they_may_only_read(name: str) -> None:
    workflow = read(f".github/workflows/{name}")
    assert workflow["permissions"] == {"contents": "read"}
    assert "secrets." not in (ROOT / ".github" / "workflows" / name).read_text("utf-8")
    assert all("timeout-minutes" in job for job in workflow["jobs"].values())


def test_they_have_the_shape_of_workflows() -> None:
    needs_module("check_jsonschema")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    files = [str(ROOT / ".github" / "workflows" / name) for name in WORKFLOWS]
    done = subprocess.run([*command, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_actionlint_has_nothing_to_say() -> None:
    if shutil.which("actionlint") is None:
        missing("command:actionlint")
    done = subprocess.run(["actionlint", "-no-color"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_hooks_are_gates() -> None:
    gates = (ROOT / "scripts" / "test").read_text("utf-8")
    hooks = {hook["id"]: hook["entry"] for repo in read(".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]}
    for tool in ("ruff check", "ruff format --check", "codespell", "mypy --strict"):
        assert any(tool in entry for entry in hooks.values()), tool
        assert tool.replace(" ", '" ', 1) in gates or f'{tool}"' in gates, tool
    for entry in hooks.values():
        program = shlex.split(entry)[0]
        assert program == "git" or (ROOT / program).exists(), program
