"""What the throw-away servers have in common: one child process and the directory that it works in."""

from __future__ import annotations

import abc
import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Server"]


class Server(abc.ABC):
    """A context manager around a server. directory: its own, None: a temporary one, named after `prefix`."""

    def __init__(self, directory: str | os.PathLike[str] | None, prefix: str) -> None:
        self._temporary = directory is None
        # A unix socket's path has 107 bytes at most, and pytest's directories are long.
        self.directory = Path(tempfile.mkdtemp(prefix=prefix)) if directory is None else Path(directory).resolve()
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    @abc.abstractmethod
    def start(self) -> Self:
        """Starts the server and waits until it answers."""

    @abc.abstractmethod
    def kill(self) -> None:
        """Ends the server at once, as a crash would. A second call does nothing."""

    def restart(self) -> None:
        """Kills the server and starts it on the same state and at the same address."""
        self.kill()
        self.start()

    def close(self) -> None:
        """Ends the server and removes a temporary directory."""
        self.kill()
        if self._temporary:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
