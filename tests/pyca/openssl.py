"""The `openssl` command, which verifies what keys of tokens sign."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from support import missing

__all__ = ["has_tpm2_provider", "openssl", "succeeds"]


def _run(*arguments: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    command = shutil.which("openssl")
    if command is None:
        missing("command:openssl")
    said = {**os.environ, **environ}
    words = [command, *map(str, arguments)]
    return subprocess.run(words, capture_output=True, check=False, text=True, timeout=60, env=said)


def openssl(*arguments: str | Path, **environ: str) -> str:
    """What the command says. Fails the test where the command fails."""
    done = _run(*arguments, **environ)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def succeeds(*arguments: str | Path) -> bool:
    return _run(*arguments).returncode == 0


def has_tpm2_provider() -> bool:
    """Whether tpm2.so is where openssl looks; loading it would need a TPM."""
    said = openssl("version", "-m").partition('"')[2].strip().rstrip('"')
    return (Path(said) / "tpm2.so").is_file()
