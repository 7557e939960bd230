"""A throw-away software TPM (swtpm, TPM 2.0): its state in a temporary directory, its socket beside it.

`python -m hwcng.testing.swtpm` runs one and prints its settings, or runs a command that has them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hwcng.providers.registry import open_provider
from hwcng.providers.tpm2.uri import Tpm2Uri
from hwcng.testing._packages import how_to_install
from hwcng.testing._running import add_output, run_command, show, split_command
from hwcng.testing._server import Server

if TYPE_CHECKING:
    from hwcng.contract.provider import Provider

__all__ = ["Swtpm", "SwtpmError", "find_program", "main"]

_READY_SECONDS = 15.0
_ATTEMPTS = 8
_FLAGS = "not-need-init,startup-clear"


class SwtpmError(RuntimeError):
    """swtpm is not there or did not start; the message says what it said."""


def find_program() -> Path:
    """swtpm on PATH. Raises SwtpmError, which says how to install it."""
    found = shutil.which("swtpm")
    if found is None:
        raise SwtpmError(how_to_install("swtpm"))
    return Path(found)


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

    def open(self) -> Provider:
        """A provider on the TPM, to be closed by the caller: a context manager."""
        return open_provider(self.uri)

    def environ(self) -> dict[str, str]:
        """What programs need in their environment to find this TPM: hwcng, and tpm2-tools."""
        return {"HWCNG_PROVIDER": self.uri, "TPM2TOOLS_TCTI": self.tcti}

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
        find_program()
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

    def close(self) -> None:
        """As a power loss. A temporary directory goes for good, and with it what processes noted of this TPM."""
        super().close()
        if self._temporary and not self._tcp:
            from hwcng.providers.tpm2.line import leftovers, presence

            leftovers.forget(presence.meeting_place(self.tcti))

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


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status, 1 after one line of error on standard error."""
    own, command = split_command(arguments)
    parser = argparse.ArgumentParser(
        prog="python -m hwcng.testing.swtpm",
        description="Runs a software TPM until it is interrupted: prints its settings first.",
        allow_abbrev=False,
    )
    parser.add_argument("directory", type=Path, nargs="?", help="keeps the TPM's state; a temporary one if not given")
    parser.add_argument("--tcp", action="store_true", help="on a free TCP port instead of a unix socket")
    add_output(parser)
    options = parser.parse_args(own)
    # An end by SIGTERM takes the TPM along, as Ctrl-C does.
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with Swtpm(options.directory, tcp=options.tcp) as tpm:
            if command:
                return run_command(command, tpm.environ())
            show(tpm.environ(), export=options.export)
            sys.stdout.flush()
            os.waitid(os.P_PID, tpm.pid, os.WEXITED | os.WNOWAIT)
            raise SwtpmError("swtpm has ended")
    except KeyboardInterrupt:
        return 0
    except (OSError, SwtpmError) as error:
        print(f"swtpm: {error}", file=sys.stderr)
        return 1
    finally:
        signal.signal(signal.SIGTERM, before)


if __name__ == "__main__":
    sys.exit(main())
