"""Where and of what the figures are: the machine and the versions of what took part."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

__all__ = ["commit", "describe"]

_ROOT = Path(__file__).parents[2]
_PACKAGES = ("hwcng", "cffi", "cryptography", "python-pkcs11", "PyKCS11", "tpm2-pytss")
_PROGRAMS = {
    "softhsm2": "softhsm2-util --version",
    "swtpm": "swtpm --version",
    "p11-kit": "p11-kit --version",
    "cc": "cc --version",
}


def _said(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=_ROOT)
    except OSError:
        return ""
    return done.stdout.strip()


def commit() -> str:
    """The last one that changed hwcng; "+" says that it has changes since, "unknown" that this is no checkout."""
    name = _said("git", "log", "-1", "--format=%h", "--abbrev=12", "--", "hwcng")
    return (name + "+" * bool(_said("git", "status", "--porcelain", "--", "hwcng"))) if name else "unknown"


def _processor() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _package(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def describe() -> dict[str, Any]:
    """load: the system's at this moment, over one minute: others who are at work make figures worse."""
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "") if os.path.exists("/etc/os-release") else ""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "system": system,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 1),
        "packages": {name: version for name in _PACKAGES if (version := _package(name))},
        "programs": {name: _said(*line.split()).partition("\n")[0] for name, line in _PROGRAMS.items()},
    }
