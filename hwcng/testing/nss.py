"""NSS softokn (libsoftokn3.so): databases in any folder, made through PKCS#11 by a child process; URIs by RFC 7512.

The module shows two tokens. The first, of crypto services, asks for no PIN and keeps nothing; the second is the
database, where keys stay. A process initialises the module once, so it has one database, and its first URI names it.

`python -m hwcng.testing.nss` prints the path of a current NSS, with ML-DSA and ML-KEM, and fetches it where need be;
with --database or a command it makes a database, and prints its settings or runs the command with them.
"""

from __future__ import annotations

import argparse
import glob
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hwcng.providers.pkcs11.uri import Pkcs11Uri
from hwcng.testing._debian_package import cache_directory
from hwcng.testing._nss_from_debian import CURRENT_NSS_VARIABLE, fetch
from hwcng.testing._nss_module import NssError, ask, look_at
from hwcng.testing._packages import how_to_install
from hwcng.testing._pins import read_pin, write_new_pin
from hwcng.testing._provisioning import only_one
from hwcng.testing._running import add_output, run_command, show, split_command

__all__ = ["NssDatabase", "NssError", "current_nss", "find_module", "look_at", "main", "provision", "services_uri"]

_USUAL_PLACES = (
    "/usr/lib/*/libsoftokn3.so",
    "/usr/lib/*/nss/libsoftokn3.so",
    "/usr/lib64/libsoftokn3.so",
    "/usr/lib/libsoftokn3.so",
    "/opt/homebrew/lib/libsoftokn3.so",
)
_SERVICES_SLOT = 1
_LABEL_BYTES = 32
_PIN_BYTES = range(1, 256)


@dataclass(frozen=True, slots=True)
class NssDatabase:
    """A database that is there. created: False where it was there before and was kept, its PIN untouched.

    label: of its token; module: the libsoftokn3.so that made it, of which one process can have this database only.
    """

    directory: Path
    module: Path
    label: str
    created: bool

    @property
    def uri(self) -> str:
        """The database's token, without its PIN."""
        return self._uri(token=self.label)

    @property
    def services_uri(self) -> str:
        """The token of crypto services beside it, which asks for no PIN."""
        return self._uri(slot_id=_SERVICES_SLOT)

    def uri_with(self, pin_source: str | None) -> str:
        """The database's token with where its PIN is, such as "file:/path"."""
        return self._uri(token=self.label, pin_source=pin_source)

    def _uri(self, token: str | None = None, slot_id: int | None = None, pin_source: str | None = None) -> str:
        reserved = {"x-initialize-reserved": _reserved(self.directory, self.label)}
        return Pkcs11Uri(
            token=token, slot_id=slot_id, module_path=str(self.module), pin_source=pin_source, vendor_query=reserved
        ).to_uri()


def services_uri(module: Path) -> str:
    """The token of crypto services of an NSS without a database."""
    return Pkcs11Uri(slot_id=_SERVICES_SLOT, module_path=str(module)).to_uri()


def find_module() -> Path:
    """libsoftokn3.so of the system: $NSS_SOFTOKN, else where Debian, Ubuntu, Fedora and Homebrew put it."""
    if named := os.environ.get("NSS_SOFTOKN"):
        if not Path(named).is_file():
            raise NssError(f"NSS_SOFTOKN names {named}, which is no file")
        return Path(named)
    for place in _USUAL_PLACES:
        for found in sorted(glob.glob(place)):
            return Path(found)
    raise NssError(how_to_install("NSS softokn (libsoftokn3.so)", "set NSS_SOFTOKN to its path"))


def current_nss(directory: str | os.PathLike[str] | None = None, *, seconds: float = 180) -> Path:
    """libsoftokn3.so of an NSS with ML-DSA and ML-KEM: $HWCNG_CURRENT_NSS, else the one in `directory`.

    directory: None: hwcng/nss in $XDG_CACHE_HOME or ~/.cache. Where there is none yet, apt fetches Debian testing's
    libnss3 for at most `seconds`, verified as apt verifies any package, and installs nothing. Safe to run twice, and at
    the same time. It works in one process beside the system's NSS.

    Raises NssError, which says how else to get one.
    """
    if named := os.environ.get(CURRENT_NSS_VARIABLE):
        if not Path(named).is_file():
            raise NssError(f"{CURRENT_NSS_VARIABLE} names {named}, which is no file")
        return Path(named)
    home = Path(directory).resolve() if directory is not None else cache_directory("nss")
    return fetch(home, seconds)


def provision(
    directory: str | os.PathLike[str], pin: str, *, label: str = "hwcng-nss", module: Path | None = None
) -> NssDatabase:
    """Makes the database in `directory` where there is none yet; one that is there keeps its keys and its PIN.

    pin: the user PIN, 1 to 255 bytes of UTF-8; label: the token's, at most 32 bytes; module: None: the system's.
    Safe to run twice, and at the same time. Raises NssError.
    """
    if len(pin.encode()) not in _PIN_BYTES:
        raise ValueError("the PIN must have 1 to 255 bytes")
    if not 1 <= len(label.encode()) <= _LABEL_BYTES or label != label.strip(" ") or _breaks_quotes(label):
        raise ValueError(f"a label has 1 to {_LABEL_BYTES} bytes, no blank at its ends, no quote: {label!r}")
    home = Path(directory).resolve()
    if _breaks_quotes(str(home)):
        raise ValueError(f"NSS's parameters cannot hold this path, for its quote, backslash or line break: {home}")
    library = (module or find_module()).resolve()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with only_one(home):
        answer = ask(library, _reserved(home, label), label=label, pin=pin)
    if "error" in answer:
        raise NssError(f"NSS made no database in {home}: {answer['error']}")
    return NssDatabase(home, library, label, answer["created"])


def _breaks_quotes(text: str) -> bool:
    return any(character in text for character in "'\"\\\n\r\0")


def _reserved(directory: Path, label: str) -> str:
    return (
        f"configDir='sql:{directory}' certPrefix='' keyPrefix='' secmod='secmod.db' flags=noModDB "
        f"dbTokenDescription='{label}'"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status, 1 after one line of error on standard error."""
    own, command = split_command(arguments)
    parser = argparse.ArgumentParser(
        prog="python -m hwcng.testing.nss",
        description="Prints the path of a current NSS; with --database or a command, makes a database.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--directory", help="where a current NSS is kept; hwcng/nss in the user's cache folder if not given"
    )
    parser.add_argument("--seconds", type=float, default=180, help="how long fetching may take (%(default)s)")
    parser.add_argument(
        "--database", type=Path, help="the folder of a database of the system's NSS; made where missing"
    )
    parser.add_argument("--pin-source", help="the database's PIN, file:PATH or env:NAME; one is made if not given")
    parser.add_argument("--current", action="store_true", help="make the database with a current NSS")
    add_output(parser)
    asked = parser.parse_args(own)
    try:
        if asked.database is not None:
            return _serve(asked, asked.database, command)
        if command:
            with tempfile.TemporaryDirectory(prefix="nss-") as name:
                return _serve(asked, Path(name), command)
        print(current_nss(asked.directory, seconds=asked.seconds))
    except (OSError, ValueError, NssError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _serve(asked: argparse.Namespace, directory: Path, command: Sequence[str]) -> int:
    module = current_nss(asked.directory, seconds=asked.seconds) if asked.current else None
    pin_file = directory.resolve() / "pin"
    if asked.pin_source is None:
        write_new_pin(pin_file)
    source = asked.pin_source or f"file:{pin_file}"
    database = provision(directory, read_pin(source), module=module)
    kind, _, name = source.partition(":")
    settings = {"HWCNG_PROVIDER": database.uri_with(f"file:{Path(name).resolve()}" if kind == "file" else None)}
    if command:
        return run_command(command, settings)
    show(settings, export=asked.export)
    return 0


if __name__ == "__main__":
    sys.exit(main())
