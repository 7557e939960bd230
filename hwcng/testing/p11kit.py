"""A PKCS#11 module behind `p11-kit server`, reached through p11-kit-client.so: what a network HSM looks like.

The client reads P11_KIT_SERVER_ADDRESS when a process first loads it, so a process has one server.
"""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from hwcng.providers.pkcs11.uri import Pkcs11Uri
from hwcng.testing._packages import how_to_install
from hwcng.testing._server import Server

__all__ = ["P11KitError", "P11KitServer", "find_client"]

_READY_SECONDS = 15.0
_CLIENT_PLACES = (
    "/usr/lib/*/pkcs11/p11-kit-client.so",
    "/usr/lib64/pkcs11/p11-kit-client.so",
    "/usr/lib/pkcs11/p11-kit-client.so",
    "/usr/local/lib/pkcs11/p11-kit-client.so",
)


class P11KitError(RuntimeError):
    """p11-kit is not there or did not start; the message says what it said."""


def find_client() -> Path:
    """p11-kit-client.so: $P11_KIT_CLIENT, else where Debian, Ubuntu and Fedora put it."""
    if named := os.environ.get("P11_KIT_CLIENT"):
        if not Path(named).is_file():
            raise P11KitError(f"P11_KIT_CLIENT names {named}, which is no file")
        return Path(named)
    for place in _CLIENT_PLACES:
        for found in sorted(glob.glob(place)):
            return Path(found)
    raise P11KitError(how_to_install("p11-kit-client.so"))


class P11KitServer(Server):
    """A context manager that serves a module's tokens on a private socket.

    module: of the tokens; environ: what that module needs, such as `SoftHsm.environ()`; directory: where the socket is,
    None: a temporary one.
    """

    def __init__(
        self,
        module: str | os.PathLike[str],
        environ: Mapping[str, str] | None = None,
        directory: str | os.PathLike[str] | None = None,
    ) -> None:
        self.module = Path(module)
        self._environ = dict(environ or {})
        super().__init__(directory, "p11kit-")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def _socket(self) -> Path:
        return self.directory / "pkcs11.sock"

    def environ(self) -> dict[str, str]:
        """What a process needs in its environment, before it loads p11-kit-client.so, to reach this server."""
        return {"P11_KIT_SERVER_ADDRESS": f"unix:path={self._socket}"}

    def uri(self, label: str) -> str:
        """The RFC 7512 URI of the tokens with this label, without a PIN."""
        return Pkcs11Uri(token=label, module_path=str(find_client())).to_uri()

    @property
    def pid(self) -> int:
        """Of the running server."""
        if self._process is None:
            raise P11KitError("the p11-kit server is not running")
        return self._process.pid

    def start(self) -> P11KitServer:
        """Starts the server and waits until it answers. Raises P11KitError."""
        if shutil.which("p11-kit") is None:
            raise P11KitError(how_to_install("p11-kit"))
        find_client()
        self._socket.unlink(missing_ok=True)
        with open(self.directory / "log", "wb") as log:
            self._process = subprocess.Popen(
                ["p11-kit", "server", "--foreground", "--name", self._socket, "--provider", self.module, "pkcs11:"],
                env={**os.environ, **self._environ},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # The server forks for each connection, and all of them end together.
                start_new_session=True,
            )
        if not self._wait():
            said = (self.directory / "log").read_text("utf-8", "replace").strip()[-500:] or "nothing"
            self.kill()
            raise P11KitError(f"p11-kit server did not start for {self.module} and said: {said}")
        return self

    def _wait(self) -> bool:
        end = time.monotonic() + _READY_SECONDS
        while time.monotonic() < end and self._process is not None and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(self._socket))
                return True
            time.sleep(0.01)
        return False

    def kill(self) -> None:
        """Ends the server and its connections at once, as a crash would. A second call does nothing."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
