"""Wine in a directory of its own, and the programs beneath it that call a DLL on behalf of a test (peer.h)."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from support import missing

__all__ = ["Peer", "Reply", "Wine", "Word"]

HERE = Path(__file__).parent
COMPILER = "x86_64-w64-mingw32-gcc"
# Debian and Ubuntu keep the two out of PATH.
DEBIAN_DIRECTORY = "/usr/lib/wine"
BOOT_SECONDS = 300
REPLY_SECONDS = 120
IDLE_SECONDS = 20

Word: TypeAlias = "bytes | bytearray | memoryview | str | int | None"


def _command(*names: str) -> str:
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), DEBIAN_DIRECTORY))
    found = next(filter(None, (shutil.which(name, path=path) for name in names)), None)
    return found or missing(f"command:{names[0]}")


class Wine:
    """A prefix that is made in `directory` and nothing of which is left there by `close`."""

    def __init__(self, directory: Path) -> None:
        self._wine, self._server = _command("wine64", "wine"), _command("wineserver")
        self._compiler = _command(COMPILER)
        self.directory = directory
        self._environ = {
            "HOME": str(directory),
            "LC_ALL": "C.UTF-8",
            "PATH": os.environ.get("PATH", os.defpath),
            "WINEPREFIX": str(directory / "prefix"),
            "WINEARCH": "win64",
            "WINEDEBUG": "-all",
            # No Mono, no Gecko, no entries in anybody's menus.
            "WINEDLLOVERRIDES": "mscoree,mshtml,winemenubuilder.exe=",
        }
        version = subprocess.run([self._wine, "--version"], capture_output=True, text=True, check=True)
        self.version = version.stdout.split()[0]
        (directory / "prefix").mkdir()
        # It outlives its last program by so many seconds, also where this process is killed.
        self._run(self._server, f"-p{IDLE_SECONDS}")
        try:
            self._run(self._wine, "wineboot", "--init")
        except BaseException:
            self.close()
            raise

    def _run(self, *command: str, check: bool = True) -> None:
        # No pipe: the services that a program starts would hold it open.
        subprocess.run(
            command,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=check,
            timeout=BOOT_SECONDS,
        )

    def compile(self, name: str, *libraries: str) -> Path:
        """tests/wine/`name`.c as a Windows program."""
        program = self.directory / f"{name}.exe"
        warnings = ("-std=c11", "-O1", "-Wall", "-Wextra", "-Werror")
        links = [f"-l{library}" for library in libraries]
        subprocess.run([self._compiler, *warnings, "-o", program, HERE / f"{name}.c", *links], check=True)
        return program

    def start(self, program: Path) -> subprocess.Popen[bytes]:
        with open(program.with_suffix(".log"), "wb") as log:
            return subprocess.Popen(
                [self._wine, program],
                env=self._environ,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )

    def close(self) -> None:
        """Ends every process of the prefix and removes it: it is some hundred megabytes."""
        self._run(self._server, "-k", check=False)
        self._run(self._server, "-w")
        shutil.rmtree(self.directory / "prefix", ignore_errors=True)


class Reply(list[str]):
    """What a command resulted in: its status and, one word each, its results."""

    def __init__(self, words: Sequence[str]) -> None:
        super().__init__(words[1:])
        self.status = int(words[0], 16)

    def octets(self, index: int) -> bytes:
        return b"" if self[index] in ("-", ".") else bytes.fromhex(self[index])

    def number(self, index: int) -> int:
        return int(self[index])


def _text(word: Word) -> str:
    if word is None:
        return "-"
    if isinstance(word, str):
        assert " " not in word and word not in ("-", ".") and "\n" not in word
        return word or "."
    if isinstance(word, int):
        return str(int(word))
    return bytes(word).hex() or "."


class Peer:
    """One program, for any number of commands."""

    def __init__(self, wine: Wine, name: str, *libraries: str) -> None:
        self._program = wine.compile(name, *libraries)
        self._process = wine.start(self._program)

    def call(self, command: str, *words: Word) -> Reply:
        assert self._process.stdin is not None and self._process.stdout is not None
        request = " ".join((command, *map(_text, words)))
        try:
            self._process.stdin.write(request.encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise RuntimeError(f"{self._program.stem} has ended before {command}: {self._said()}") from None
        if not select.select([self._process.stdout], [], [], REPLY_SECONDS)[0]:
            raise RuntimeError(f"{self._program.stem} does not answer {command}")
        reply = self._process.stdout.readline()
        if not reply.endswith(b"\n"):
            raise RuntimeError(f"{self._program.stem} ended at {request[:200]}: {self._said()}")
        return Reply(reply.decode().split())

    def _said(self) -> str:
        return self._program.with_suffix(".log").read_text("utf-8", "replace").strip() or "it said nothing"

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
