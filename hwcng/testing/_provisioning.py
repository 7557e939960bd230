"""What makers of token folders share: one at a time in a folder, and a child process that has the module to itself."""

from __future__ import annotations

import ast
import fcntl
import marshal
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["ask_child", "only_one"]

_PACKAGE_ROOT = Path(__file__).parents[2]
_CHILD_SECONDS = 60


@contextmanager
def only_one(home: Path) -> Iterator[None]:
    """Keeps other processes' blocks of this folder off."""
    descriptor = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def ask_child(
    program: str, request: Mapping[str, Any], error: type[Exception], environ: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Runs the module `program` in a new interpreter, which answers by `hwcng.testing._token_module.serve`, and
    returns that. The request goes by its standard input, where no process list shows its PINs.

    environ: added to this process's. Raises `error` where the child died; what it answers is the caller's to judge.
    """
    search_path = os.pathsep.join(filter(None, [str(_PACKAGE_ROOT), os.environ.get("PYTHONPATH")]))
    child = subprocess.run(
        # It needs the standard library alone: what a site adds is a third of its start.
        [sys.executable, "-S", "-m", program],
        input=marshal.dumps(dict(request)),
        env={**os.environ, **(environ or {}), "PYTHONPATH": search_path, "PYTHONSAFEPATH": "1"},
        capture_output=True,
        check=False,
        timeout=_CHILD_SECONDS,
    )
    try:
        answer: dict[str, Any] = ast.literal_eval(child.stdout.decode())
    except (ValueError, SyntaxError):
        said = child.stderr.decode("utf-8", "replace").strip() or "nothing"
        raise error(f"the process that makes tokens ended with {child.returncode} and said: {said}") from None
    return answer
