"""What a block of a page says that it needs (`needs=...`), and whether the machine has it."""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable

__all__ = ["has"]

FETCH_SECONDS = 60
"""What is not installed may be fetched, once for all runs, into the user's cache folder."""


@functools.cache
def _swtpm(_: str) -> bool:
    return shutil.which("swtpm") is not None and importlib.util.find_spec("tpm2_pytss") is not None


@functools.cache
def _nss(_: str) -> bool:
    from hwcng.testing import nss

    return _found(nss.find_module, nss.NssError)


@functools.cache
def _current_nss(_: str) -> bool:
    from hwcng.testing import nss

    return _found(functools.partial(nss.current_nss, seconds=FETCH_SECONDS), nss.NssError)


@functools.cache
def _pkcs11_provider(_: str) -> bool:
    from hwcng.testing.pkcs11_provider import PackageError, find_module

    return _found(functools.partial(find_module, seconds=FETCH_SECONDS), PackageError)


@functools.cache
def _package_index(_: str) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, "asn1crypto"]
        return subprocess.run(pip, capture_output=True, check=False, timeout=FETCH_SECONDS).returncode == 0


def _found(find: Callable[[], object], error: type[Exception]) -> bool:
    try:
        find()
    except error:
        return False
    return True


_KINDS: dict[str, Callable[[str], bool]] = {
    "python": lambda name: importlib.util.find_spec(name) is not None,
    "command": lambda name: shutil.which(name) is not None,
    "swtpm": _swtpm,
    "nss": _nss,
    "current-nss": _current_nss,
    "package-index": _package_index,
    "pkcs11-provider": _pkcs11_provider,
    "variable": lambda name: name in os.environ,
    # A checkout of the project as the folder, which test_roads.py gives a page.
    "checkout": lambda _: False,
    # Of no machine that runs the tests: a maker's device, an administrator's rights, an hour and more.
    "hardware": lambda _: False,
    "administrator": lambda _: False,
    "hours": lambda _: False,
}


def has(capability: str) -> bool:
    """Whether the machine has "KIND" or "KIND:NAME". Raises KeyError for a kind that there is not."""
    kind, _, name = capability.partition(":")
    return _KINDS[kind](name)
