"""pkcs11-provider, OpenSSL 3's provider for PKCS#11 tokens: the system's, or Debian 13's in a folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from hwcng.testing._debian_package import PackageError, cache_directory, unpack
from hwcng.testing._provisioning import only_one

__all__ = ["PackageError", "find_module"]

VARIABLE = "HWCNG_PKCS11_PROVIDER"
PACKAGE = "pkcs11-provider"
SUITE = "trixie"
FILE = "pkcs11.so"


def _modules_directory() -> Path | None:
    """Where the system's OpenSSL looks for its providers."""
    command = shutil.which("openssl")
    if command is None:
        return None
    told = subprocess.run([command, "version", "-m"], capture_output=True, text=True, check=False)
    return Path(told.stdout.partition('"')[2].partition('"')[0]) if told.returncode == 0 else None


def find_module(directory: str | Path | None = None, seconds: float = 60) -> Path:
    """The provider's file: what HWCNG_PKCS11_PROVIDER names, else the system's, else Debian 13's, fetched once.

    directory: for what is fetched; hwcng/pkcs11-provider in the user's cache folder if not given. seconds: within which
    it is fetched. Raises PackageError.
    """
    if named := os.environ.get(VARIABLE):
        if not Path(named).is_file():
            raise PackageError(f"{VARIABLE} names {named}, which is no file")
        return Path(named)
    installed = _modules_directory()
    if installed is not None and (installed / FILE).is_file():
        return installed / FILE
    home = Path(directory).resolve() if directory is not None else cache_directory(PACKAGE)
    try:
        return _fetched(home, time.monotonic() + seconds)
    except OSError as error:
        raise PackageError(f"{home} cannot be written: {error}") from error


def _fetched(home: Path, deadline: float) -> Path:
    module = home / FILE
    if module.is_file():
        return module
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with only_one(home):
        if not module.is_file():
            with tempfile.TemporaryDirectory(dir=home) as name:
                package = unpack(PACKAGE, SUITE, Path(name), deadline)
                found = next((path for path in Path(name).rglob(FILE) if path.parent.name == "ossl-modules"), None)
                if found is None:
                    raise PackageError(f"there is no {FILE} in {package}")
                found.replace(module)
    return module
