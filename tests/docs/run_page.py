"""Runs the blocks of a page, one after the other, in this process: `run_page.py < blocks.json`.

The blocks of a page are a reader's session. Programs in Python share their names; lines of a shell share its variables
and its folder, which the programs see too. Words behind a block's language say what else it is:

    file=NAME     it is written to that file
    pytest        it is a file of tests, and they pass
    serves        it runs until the page ends; serves=PORT: what comes after it waits until it listens there
"""

from __future__ import annotations

import contextlib as _contextlib
import json as _json
import os as _os
import pathlib as _pathlib
import re as _re
import signal as _signal
import socket as _socket
import subprocess as _subprocess
import sys as _sys
import tempfile as _tempfile
import time as _time

_SECONDS = 300
_AFTERWARDS = '\n{ env -0; printf "%s" "PWD_NOW=$PWD"; }'


def _free_port() -> int:
    with _socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def _listens(port: int) -> bool:
    with _contextlib.suppress(OSError), _socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


class _Page:
    """The session. _served: what runs until it ends."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._ports: dict[str, str] = {}
        self._served: list[tuple[str, _subprocess.Popen[bytes]]] = []

    def run(self, block: dict[str, object]) -> None:
        words = dict(word.partition("=")[::2] for word in block["words"])
        if port := words.get("serves"):
            self._ports.setdefault(port, str(_free_port()))
        source = str(block["source"])
        for port, free in self._ports.items():
            source = _re.sub(rf"\b{port}\b", free, source)
        if "file" in words:
            path = _pathlib.Path(words["file"]).expanduser()
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)
        elif "pytest" in words:
            _pathlib.Path("test_page.py").write_text(source)
            command = [_sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_page.py"]
            _subprocess.run(command, check=True, timeout=_SECONDS)
        elif block["language"] == "python":
            # Line numbers of a traceback are the page's.
            code = compile("\n" * int(str(block["line"])) + source, self.name, "exec", dont_inherit=True)
            exec(code, _sys.modules["__main__"].__dict__)
        elif "serves" in words:
            self._serve(source, words["serves"])
        else:
            self._shell(source)

    def _serve(self, source: str, port: str) -> None:
        started = _subprocess.Popen(["bash", "-euo", "pipefail", "-c", source], start_new_session=True)
        self._served.append((source, started))
        deadline = _time.monotonic() + _SECONDS
        while port and not _listens(int(self._ports[port])):
            if started.poll() is not None or _time.monotonic() > deadline:
                raise SystemExit(f"it does not serve: {source}")
            _time.sleep(0.05)

    def _shell(self, source: str) -> None:
        # In a file, not through a pipe: a daemon that the lines start would hold its other end.
        with _tempfile.TemporaryFile() as told:
            descriptor = told.fileno()
            script = f"{source}{_AFTERWARDS} >&{descriptor}"
            done = _subprocess.run(["bash", "-euo", "pipefail", "-c", script], pass_fds=[descriptor], timeout=_SECONDS)
            if done.returncode:
                raise SystemExit(f"ended with {done.returncode}: {source}")
            told.seek(0)
            settings = told.read()
        variables = dict(item.partition(b"=")[::2] for item in settings.split(b"\0") if item)
        _os.chdir(variables.pop(b"PWD_NOW"))
        for name in _os.environb.keys() - variables.keys():
            del _os.environb[name]
        _os.environb.update(variables)

    def end(self) -> None:
        ended = [source for source, process in self._served if process.poll() is not None]
        for _, process in self._served:
            with _contextlib.suppress(ProcessLookupError):
                _os.killpg(process.pid, _signal.SIGTERM)
            try:
                process.wait(_SECONDS / 30)
            except _subprocess.TimeoutExpired:
                _os.killpg(process.pid, _signal.SIGKILL)
                process.wait()
        if ended:
            raise SystemExit(f"it ended by itself: {ended}")


if __name__ == "__main__":
    _told = _json.load(_sys.stdin)
    _page = _Page(_told["page"])
    # A module that a file= block wrote is imported from here.
    _sys.path.insert(0, "")
    try:
        for _block in _told["blocks"]:
            print(f"# {_told['page']}:{_block['line']}", flush=True)
            _page.run(_block)
    finally:
        _page.end()
