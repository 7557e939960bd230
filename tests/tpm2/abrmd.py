"""tpm2-abrmd, the TPM's resource manager in user space, on a D-Bus of the test's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from support import missing

if TYPE_CHECKING:
    from hwcng.testing.swtpm import Swtpm

__all__ = ["resource_manager"]

PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"


@contextmanager
def _running(*command: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        command, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def resource_manager(tpm: Swtpm) -> Iterator[dict[str, str]]:
    """What a client of `tabrmd:bus_type=session` needs in its environment. The manager need not be on the bus yet.

    A client is a process of its own: GDBus may end a process whose bus goes away.
    """
    for name in ("tpm2-abrmd", "dbus-daemon"):
        if shutil.which(name, path=PATH) is None:
            missing(f"command:{name}")
    with ExitStack() as stack:
        # A unix socket's path has 107 bytes at most, and pytest's directories are long.
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="tabrmd-"))
        address = f"unix:path={directory}/bus"
        bus = ("--session", "--nofork", "--nopidfile", f"--address={address}", "--print-address=1")
        assert stack.enter_context(_running("dbus-daemon", *bus)).stdout.readline()  # type: ignore[union-attr]
        environment = {"DBUS_SESSION_BUS_ADDRESS": address}
        daemon = ("env", f"PATH={PATH}", "tpm2-abrmd", "--session", "--allow-root", f"--tcti={tpm.tcti}")
        stack.enter_context(_running(*daemon, **environment))
        yield environment
