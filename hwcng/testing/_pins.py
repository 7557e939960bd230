"""PINs of throw-away tokens: from a file or the environment, or made; never on a command line."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

__all__ = ["new_pin", "read_pin", "write_new_pin"]


def new_pin() -> str:
    """24 hexadecimal digits: pkcs11-provider reads no more than 31 characters of a PIN's file."""
    return secrets.token_hex(12)


def read_pin(source: str) -> str:
    """The PIN of file:PATH (one line end at its end is not part of it) or env:NAME. Raises ValueError, OSError."""
    kind, _, name = source.partition(":")
    if kind == "file" and name:
        return Path(name).read_text("utf-8").removesuffix("\n")
    if kind == "env" and name:
        if name not in os.environ:
            raise ValueError(f"the environment has no {name}")
        return os.environ[name]
    raise ValueError("a PIN's source is file:PATH or env:NAME; a PIN itself never stands on a command line")


def write_new_pin(path: Path, pin: str | None = None) -> bool:
    """Whether the file was written, mode 0600: one that is already there stays. pin: None: a new one."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write((new_pin() if pin is None else pin) + "\n")
    except OSError:
        path.unlink()
        raise
    return True
