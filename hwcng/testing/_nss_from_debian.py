"""Debian testing's libnss3 in a folder of its own, for systems whose NSS is older. Nothing is installed.

Its libraries get names that the system's NSS does not have: the linker, and NSPR's list of loaded libraries, know a
library by its name alone, and would give the one NSS the other's parts.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

from hwcng.testing._debian_package import PackageError, unpack
from hwcng.testing._nss_module import NssError, look_at
from hwcng.testing._provisioning import only_one

__all__ = ["CURRENT_NSS_VARIABLE", "fetch"]

CURRENT_NSS_VARIABLE = "HWCNG_CURRENT_NSS"
SUITE = "testing"
PACKAGE = "libnss3"
MODULE = "libsoftokn3.so"
NEW_NAMES = {
    "libsoftokn3.so": "libsoftoknC.so",
    "libnssutil3.so": "libnssutilC.so",
    "libfreeblpriv3.so": "libfreeblprivC.so",
}
"""Of the same length, so that a name is replaced where it stands."""
WANTED_MECHANISMS = {0x0F: "ML-KEM", 0x17: "ML-KEM", 0x1C: "ML-DSA", 0x1D: "ML-DSA"}

_ELSEWHERE = (
    f"Or set {CURRENT_NSS_VARIABLE} to the libsoftokn3.so of any NSS that has ML-DSA and ML-KEM (3.131 has, "
    "3.110 has not)"
)


def fetch(home: Path, seconds: float) -> Path:
    """The module in `home`, fetched within `seconds` where it is not there yet. Raises NssError."""
    module = home / "current" / MODULE
    if module.is_file():
        return module
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with only_one(home):
            if not module.is_file():
                _fetch_into(module.parent, time.monotonic() + seconds)
    except OSError as error:
        raise _failed(f"{home} cannot be written: {error}") from error
    return module


def _fetch_into(target: Path, deadline: float) -> None:
    with tempfile.TemporaryDirectory(prefix="hwcng-nss-") as name:
        unpacked = Path(name)
        try:
            package = unpack(PACKAGE, SUITE, unpacked, deadline)
        except PackageError as error:
            raise _failed(str(error)) from error
        _lay_out(unpacked, target, package)


def _lay_out(unpacked: Path, target: Path, package: str) -> None:
    """Makes the folder `target`, whole or not at all."""
    draft = target.with_name("draft")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir()
        _rename(unpacked, draft)
        _check(draft / MODULE, package)
        draft.replace(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _rename(unpacked: Path, new: Path) -> None:
    """The three libraries that are needed, into `new`, under their new names; the module keeps its file's name."""
    for old_name, new_name in NEW_NAMES.items():
        found = next(unpacked.rglob(old_name), None)
        if found is None:
            raise _failed(f"there is no {old_name} in it")
        octets = found.read_bytes()
        for old, other in NEW_NAMES.items():
            octets = octets.replace(old.encode() + b"\0", other.encode() + b"\0")
        (new / (MODULE if old_name == MODULE else new_name)).write_bytes(octets)


def _check(module: Path, package: str) -> None:
    try:
        listed = look_at(module)
    except NssError as error:
        raise _failed(f"{package}: {error}") from error
    if lacking := {name for number, name in WANTED_MECHANISMS.items() if number not in listed}:
        raise _failed(f"{package} has no {', '.join(sorted(lacking))}")


def _failed(reason: str) -> NssError:
    return NssError(f"no current NSS (Debian {SUITE}'s {PACKAGE}) could be had: {reason}. {_ELSEWHERE}")
