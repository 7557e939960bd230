"""opencryptoki's software token: a module whose daemon, configuration and tokens are the machine's.

So it is for machines that are there for tests: where CI is "true", as the setup installs it there, or where
HWCNG_TEST_OPENCRYPTOKI is set. A token that somebody else has initialised is left alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from support import missing

__all__ = ["Opencryptoki", "is_wanted", "running", "stored_alone", "used_with_others"]

CONFIGURATION = Path("/etc/opencryptoki/opencryptoki.conf")
MODULES = "/usr/lib/*/opencryptoki/libopencryptoki.so.0"
# The second one is of 3.21 and newer, whose daemon has a user of its own.
PID_FILES = (Path("/run/pkcsslotd.pid"), Path("/run/opencryptoki/pkcsslotd.pid"))
SOCKETS = Path("/run/opencryptoki")
LOCKS = Path("/run/lock/opencryptoki/swtok")
USER = "pkcsslotd"
GROUP = "pkcs11"
LABEL = "hwcng-ock"
# The PINs that the token comes with, and those of the tests: of 4 to 8 octets.
FIRST_SO_PIN, SO_PIN, PIN = "87654321", "76543210", "24681357"
PATIENCE_SECONDS = 10.0


class Opencryptoki(NamedTuple):
    uri: str
    pin: str


def is_wanted() -> bool:
    asked = os.environ.get("CI") == "true" or bool(os.environ.get("HWCNG_TEST_OPENCRYPTOKI"))
    return asked and shutil.which("pkcsslotd") is not None


def _slot() -> str:
    """The number of the slot that the configuration gives the software token."""
    slots = re.findall(r"slot\s+(\d+)\s*\{([^}]*)\}", CONFIGURATION.read_text("utf-8"))
    found = next((number for number, body in slots if "libpkcs11_sw.so" in body), None)
    return found if found is not None else missing("a slot of opencryptoki's software token")


def _pkcsconf(slot: str, *arguments: str, typed: str = "") -> str:
    command = ["pkcsconf", "-c", slot, *arguments]
    done = subprocess.run(command, input=typed, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout + done.stderr


def _initialise(slot: str) -> None:
    told = _pkcsconf(slot, "-t")
    label = re.search(r"Label:\s*(.*)", told)
    if label is None:
        missing("opencryptoki's token")
    if "TOKEN_INITIALIZED" in told:
        if label[1].strip() != LABEL:
            missing("an opencryptoki token of the tests' own (somebody uses it)")
        return
    _pkcsconf(slot, "-I", "-S", FIRST_SO_PIN, typed=f"{LABEL}\n")
    _pkcsconf(slot, "-P", "-S", FIRST_SO_PIN, "-n", SO_PIN)
    _pkcsconf(slot, "-u", "-S", SO_PIN, "-n", PIN)


def _pid() -> int | None:
    """The daemon's, None where none is running."""
    for file in PID_FILES:
        with contextlib.suppress(OSError, ValueError):
            pid = int(file.read_text())
            os.kill(pid, 0)
            return pid
    return None


def _start() -> None:
    if _pid() is not None:
        return
    with contextlib.suppress(OSError, LookupError):
        LOCKS.mkdir(parents=True, exist_ok=True)
        for folder in (LOCKS.parent, LOCKS):
            shutil.chown(folder, group=GROUP)
            folder.chmod(0o770)
    with contextlib.suppress(OSError, LookupError):
        SOCKETS.mkdir(mode=0o710, exist_ok=True)
        shutil.chown(SOCKETS, USER, GROUP)
    done = subprocess.run(["pkcsslotd"], capture_output=True, check=False, timeout=60)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while done.returncode == 0 and _pid() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    if _pid() is None:
        missing("opencryptoki's daemon (root starts it)")


@contextlib.contextmanager
def _locked(name: str, way: int = fcntl.LOCK_EX) -> Iterator[None]:
    """One process of this machine at a time, or by LOCK_SH none that locks it alone."""
    with open(Path(tempfile.gettempdir()) / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, way)
        yield


def stored_alone() -> contextlib.AbstractContextManager[None]:
    """While no other test uses the token, whose objects this one counts: all of the machine's processes share it."""
    return _locked("hwcng-tests-opencryptoki-store")


def used_with_others() -> contextlib.AbstractContextManager[None]:
    """While no test counts the token's objects, and destroys those that it finds."""
    return _locked("hwcng-tests-opencryptoki-store", fcntl.LOCK_SH)


def running() -> Opencryptoki:
    """Starts the daemon and initialises the token where nobody has. The daemon stays: it does not end while a process
    has its module. Skips the test where that is not to be had.
    """
    modules = glob.glob(MODULES)
    if not is_wanted() or not modules:
        missing("opencryptoki (CI=true, or HWCNG_TEST_OPENCRYPTOKI)")
    with _locked("hwcng-tests-opencryptoki"):
        _start()
        _initialise(_slot())
    return Opencryptoki(f"pkcs11:token={LABEL}?module-path={modules[0]}", PIN)
