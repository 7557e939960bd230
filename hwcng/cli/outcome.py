"""How the command ends and what it writes: exit statuses, JSON, tables, files that appear only when they are whole."""

from __future__ import annotations

import contextlib
import enum
import json
import os
import secrets
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, TypeVar

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = [
    "Exit",
    "deliver",
    "json_option",
    "new_file",
    "output_option",
    "print_json",
    "print_table",
    "readable",
]

F = TypeVar("F", bound=Callable[..., Any])
_NARROWEST = 4
"""Of a column: a letter and what is round it. Where the terminal has less, it folds the lines."""


class Exit(enum.IntEnum):
    """Exit statuses of every command."""

    OK = 0
    REFUSED = 1
    """The token, the file or the configuration said no: one line on standard error says why."""
    USAGE = 2
    """The command line is wrong; nothing was done."""
    NOT_INSTALLED = 3
    """A package that the command itself needs is not installed."""
    NOT_VALID = 4
    """A signature is not that of the key, an encrypted file was changed, a test or a check found a fault."""


json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON to standard output.")


def output_option(text: str = "The file to write; else standard output.", required: bool = False) -> Callable[[F], F]:
    """`--output FILE`, which the command gets as its argument `output`: a Path, None for standard output, or `-`."""
    return click.option(
        "--output",
        "-o",
        required=required,
        type=click.Path(dir_okay=False, path_type=Path),
        callback=lambda ctx, parameter, value: None if value == Path("-") else value,
        help=text,
    )


def print_json(data: object) -> None:
    """Keys in the order that they were built in: the schema is docs/command.md's."""
    text = json.dumps(data, indent=1, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        text = json.dumps(data, indent=1)
    sys.stdout.write(f"{text}\n")


def deliver(octets: bytes, output: Path | None, as_json: bool, data: Mapping[str, object]) -> None:
    """A result: to its file; and to standard output as JSON, or, where it has no file, as it is. Raises OSError."""
    if output is not None or not as_json:
        with new_file(output) as file:
            file.write(octets)
    if as_json:
        print_json(data)


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]], title: str = "") -> None:
    """Columns that fold where the terminal is narrow. Nothing is cut off."""
    table = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(_plain(cell) for cell in row))
    console = Console()
    if (narrowest := 1 + _NARROWEST * len(headings)) > console.width:
        console.width = narrowest
    console.print(table)


def _plain(cell: str) -> Text:
    """A cell as it is: a key's name may look like markup."""
    return Text(readable(cell))


def readable(text: str) -> str:
    """Without control characters, which a key's name may have and a terminal would obey."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


@contextlib.contextmanager
def new_file(path: Path | None, *, secret: bool = False) -> Iterator[IO[bytes]]:
    """A file that takes `path`'s place when the block ends well, and is not there otherwise. None: standard output.

    secret: whether its owner alone may read it. Raises OSError.
    """
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if path.exists() and (not path.is_file() or _is_kernels(path.parent)):
        # A terminal, a pipe, /dev/null or /dev/stdout is written as it is.
        with open(path, "ab") as file:
            yield file
        return
    path = path.resolve()
    # A name of its own: with a suffix the one that was asked for may be too long.
    temporary = path.with_name(f".hwcng-{secrets.token_hex(6)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        descriptor = os.open(temporary, flags, 0o600 if secret else 0o666)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    try:
        with open(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise


def _is_kernels(folder: Path) -> bool:
    """Whether what is in a folder are names of what is open already: /dev, /dev/fd, /proc/self/fd."""
    there = folder.resolve()
    return there == Path("/dev") or there.parts[:2] == ("/", "proc")
