"""A throw-away software TPM (swtpm, TPM 2.0): its state in a temporary directory, its socket beside it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from hwcng.providers.uri import Tpm2Uri
from hwcng.testing._server import Server

__all__ = ["Swtpm", "SwtpmError"]

_READY_SECONDS = 15.0
_ATTEMPTS = 8
_FLAGS = "not-need-init,startup-clear"


class SwtpmError(RuntimeError):
    """swtpm is not there or did not start; the message says what it said."""


class Swtpm(Server):
    """A context manager that runs swtpm on a unix socket, or on a free TCP port where tcp is True.

    uri: for hwcng.open_provider; its store is in the state directory, so nothing is left behind. tcti: for others.
    directory: where the state is kept and stays after the end; None: a temporary one. start: False leaves TPM2_Startup
    to the client.
    """

    def __init__(
        self, directory: str | os.PathLike[str] | None = None, *, tcp: bool = False, start: bool = True
    ) -> None:
        super().__init__(directory, "swtpm-")
        self._tcp = tcp
        self._start = start
        self._port = 0
        self._answered = False
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def tcti(self) -> str:
        return f"swtpm:host=127.0.0.1,port={self._port}" if self._tcp else f"swtpm:path={self._socket}"

    @property
    def uri(self) -> str:
        return Tpm2Uri(self.tcti, store=str(self.directory / "store")).to_uri()

    @property
    def _socket(self) -> Path:
        return self.directory / "tpm.sock"

    @property
    def pid(self) -> int:
        """Of the running swtpm."""
        if self._process is None:
            raise SwtpmError("swtpm is not running")
        return self._process.pid

    def start(self) -> Swtpm:
        """Starts swtpm and waits until it answers. A TCP port that is taken is replaced, until it has answered once.

        Raises SwtpmError.
        """
        if shutil.which("swtpm") is None:
            raise SwtpmError("swtpm is not installed. Debian, Ubuntu: apt-get install swtpm; Fedora: dnf install swtpm")
        for attempt in range(_ATTEMPTS):
            if self._tcp and (self._port == 0 or (attempt and not self._answered)):
                self._port = _free_port()
            self._socket.unlink(missing_ok=True)
            self._launch()
            if self._wait():
                self._answered = True
                return self
            said = self._said()
            self.kill()
            if not self._tcp:
                break
        raise SwtpmError(f"swtpm did not start in {self.directory}: {said}")

    def _launch(self) -> None:
        state = self.directory / "state"
        state.mkdir(mode=0o700, exist_ok=True)
        if self._tcp:
            channels = ["--server", f"type=tcp,port={self._port}", "--ctrl", f"type=tcp,port={self._port + 1}"]
        else:
            place = f"type=unixio,path={self._socket}"
            channels = ["--server", place, "--ctrl", f"{place}.ctrl"]
        flags = ["--flags", _FLAGS if self._start else _FLAGS.partition(",")[0]]
        # It says something for each connection that ends, and a pipe that nobody reads would stop it.
        with open(self.directory / "log", "wb") as log:
            self._process = subprocess.Popen(
                ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={state}", *channels, *flags],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C at a terminal is for the program that tests, not for its TPM.
                start_new_session=True,
            )

    def _wait(self) -> bool:
        end = time.monotonic() + _READY_SECONDS
        while time.monotonic() < end and self._process is not None and self._process.poll() is None:
            try:
                if self._tcp:
                    socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
                else:
                    with socket.socket(socket.AF_UNIX) as probe:
                        probe.connect(str(self._socket))
                return True
            except OSError:
                time.sleep(0.01)
        return False

    def _said(self) -> str:
        try:
            return (self.directory / "log").read_text("utf-8", "replace").strip()[-500:] or "it said nothing"
        except OSError:
            return "it said nothing"

    def kill(self) -> None:
        """Ends swtpm at once, as a crash or a power loss would. A second call does nothing."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()

    def pause(self) -> None:
        """Makes swtpm silent: it takes commands and does not answer until `resume`."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)


def _free_port() -> int:
    """A port whose next one is free too: swtpm's control channel."""
    for _ in range(100):
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port
    raise SwtpmError("no two free TCP ports in a row")
