"""SoftHSM 2 tokens in any directory, provisioned through PKCS#11 by a child process; URIs by RFC 7512.

`python -m hwcng.testing.softhsm` makes one and prints its settings, or runs a command that has them.
"""

from __future__ import annotations

import argparse
import glob
import os
import shlex
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from hwcng.testing._packages import how_to_install
from hwcng.testing._pins import read_pin, write_new_pin
from hwcng.testing._provisioning import ask_child, only_one
from hwcng.testing._running import add_output, run_command, show, split_command

__all__ = [
    "SoftHsm",
    "SoftHsmError",
    "Token",
    "TokenRequest",
    "check_directory",
    "find_module",
    "main",
    "provision",
    "provisioned_here",
    "token_in",
    "token_uri",
]

CONF_NAME = "softhsm2.conf"
TOKEN_DIR_NAME = "tokens"  # noqa: S105 - a folder's name
_TEMPLATE = Path(__file__).with_name(CONF_NAME)

_USUAL_PLACES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/*/softhsm/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/lib64/libsofthsm2.so",
    "/usr/lib/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
    "/home/linuxbrew/.linuxbrew/lib/softhsm/libsofthsm2.so",
)
_LABEL_BYTES = 32
_PIN_BYTES = range(4, 256)
_CONF_LINE_BYTES = 1000


class SoftHsmError(RuntimeError):
    """SoftHSM is not there or refused. The message says which call failed and holds no PIN."""


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A token to make. label: at most 32 bytes of UTF-8; pin: the user PIN, 4 to 255 bytes of UTF-8."""

    label: str
    pin: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Token:
    """A token that is there. created: False where it was there before and was kept, its PINs untouched."""

    label: str
    serial: str
    created: bool


@dataclass(frozen=True, slots=True)
class SoftHsm:
    """A provisioned directory. conf: its softhsm2.conf; module: the PKCS#11 module; tokens: in the order asked for."""

    conf: Path
    module: Path
    tokens: tuple[Token, ...]

    def uri(self, label: str) -> str:
        """The RFC 7512 URI of the tokens with this label, without a PIN."""
        if label not in (there := [token.label for token in self.tokens]):
            raise KeyError(f"no token {label!r} was asked for here, only {', '.join(map(repr, there))}")
        return token_uri(label, self.module)

    def environ(self) -> dict[str, str]:
        """What a process needs in its environment, before C_Initialize, to see these tokens."""
        return {"SOFTHSM2_CONF": str(self.conf)}


def token_uri(label: str, module: Path, pin_source: str | None = None) -> str:
    """pin_source: such as "file:/path"."""
    source = f"&pin-source={quote(pin_source, safe='/:')}" if pin_source else ""
    return f"pkcs11:token={quote(label, safe='')}?module-path={quote(str(module), safe='/')}{source}"


def find_module() -> Path:
    """libsofthsm2.so: $SOFTHSM2_MODULE, else where Debian, Ubuntu, Fedora and Homebrew put it."""
    if named := os.environ.get("SOFTHSM2_MODULE"):
        if not Path(named).is_file():
            raise SoftHsmError(f"SOFTHSM2_MODULE names {named}, which is no file")
        return Path(named)
    for place in _USUAL_PLACES:
        for found in sorted(glob.glob(place)):
            return Path(found)
    raise SoftHsmError(how_to_install("SoftHSM 2 (libsofthsm2.so)", "set SOFTHSM2_MODULE to its path"))


def provision(directory: str | os.PathLike[str], tokens: Sequence[TokenRequest], so_pin: str) -> SoftHsm:
    """Makes the tokens that `directory` does not have yet; one that is there under the same label is kept as it is.

    A label asked for n times ends up with at least n tokens. Safe to run twice, and at the same time.
    """
    _check(tokens, so_pin)
    module = find_module()
    home = check_directory(directory)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with only_one(home):
        (home / TOKEN_DIR_NAME).mkdir(mode=0o700, exist_ok=True)
        conf = _write_conf(home)
        made = _run_child(conf, module, tokens, so_pin)
    softhsm = _provisioned[str(conf)] = SoftHsm(conf, module, made)
    return softhsm


_provisioned: dict[str, SoftHsm] = {}


def provisioned_here(conf: str | None) -> SoftHsm | None:
    """What `provision` last made in this process with this softhsm2.conf."""
    return _provisioned.get(conf) if conf is not None else None


def _check(tokens: Sequence[TokenRequest], so_pin: str) -> None:
    for token in tokens:
        if not 1 <= len(token.label.encode()) <= _LABEL_BYTES or token.label != token.label.rstrip(" "):
            raise ValueError(f"a label has 1 to {_LABEL_BYTES} bytes and no blank at its end: {token.label!r}")
        if len(token.pin.encode()) not in _PIN_BYTES:
            raise ValueError(f"the PIN of {token.label!r} must have 4 to 255 bytes")
    if len(so_pin.encode()) not in _PIN_BYTES:
        raise ValueError("the security officer's PIN must have 4 to 255 bytes")


def check_directory(directory: str | os.PathLike[str]) -> Path:
    """The whole path of `directory`, which need not exist. Raises ValueError where softhsm2.conf cannot hold it."""
    home = Path(directory).resolve()
    # SoftHSM cuts a line at "#" and at the second "=", and reads no more than 1024 bytes of it.
    if any(character in str(home) for character in "=#\n\r") or len(os.fsencode(home)) > _CONF_LINE_BYTES:
        raise ValueError(f"softhsm2.conf cannot hold this path: it is too long or has '=', '#' or a line break: {home}")
    return home


def _write_conf(home: Path) -> Path:
    conf = home / CONF_NAME
    text = _TEMPLATE.read_text("utf-8").replace("@TOKEN_DIR@", str(home / TOKEN_DIR_NAME))
    if not conf.exists() or conf.read_text("utf-8") != text:
        # Another process may be reading it.
        draft = conf.with_suffix(".new")
        draft.write_text(text, "utf-8")
        draft.replace(conf)
    return conf


def _run_child(conf: Path, module: Path, tokens: Sequence[TokenRequest], so_pin: str) -> tuple[Token, ...]:
    request = {
        "module": str(module),
        "so_pin": so_pin,
        "tokens": [{"label": token.label, "pin": token.pin} for token in tokens],
    }
    answer = ask_child("hwcng.testing._init_softhsm_token", request, SoftHsmError, environ={"SOFTHSM2_CONF": str(conf)})
    if "error" in answer:
        raise SoftHsmError(f"SoftHSM made no token in {conf.parent}: {answer['error']}")
    return tuple(Token(made["label"], made["serial"], made["created"]) for made in answer["tokens"])


@dataclass(slots=True)
class _Sources:
    """Where a new token's PINs come from. written: the files that were made for it."""

    pin: str
    so_pin: str
    written: list[Path]

    @property
    def pin_source(self) -> str | None:
        """For a URI. None where the PIN is in this environment, which the URI's reader may not have."""
        kind, _, name = self.pin.partition(":")
        return f"file:{Path(name).resolve()}" if kind == "file" and Path(name).exists() else None

    def take_back(self) -> None:
        for path in self.written:
            path.unlink()


def _sources(home: Path, label: str, pin: str | None, so_pin: str | None) -> _Sources:
    # A "%" in a path would meet the URI's own percent-encoding.
    stem = quote(label, safe=" ").replace("%", "=")
    written: list[Path] = []
    named = []
    for given, suffix in ((pin, "pin"), (so_pin, "so-pin")):
        path = home / f"{stem}.{suffix}"
        if given is None and write_new_pin(path):
            written.append(path)
        named.append(f"file:{path}" if given is None else given)
    return _Sources(named[0], named[1], written)


def token_in(
    directory: str | os.PathLike[str],
    label: str,
    *,
    pin_source: str | None = None,
    so_pin_source: str | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> tuple[SoftHsm, str]:
    """The directory's tokens, and the URI of the one with this label, made where it is missing.

    pin_source, so_pin_source: "file:PATH" or "env:NAME"; None: a PIN is made and written into the directory, mode 0600.
    say: is told what was written or kept. Raises OSError, ValueError, SoftHsmError.
    """
    home = check_directory(directory)
    sources = _sources(home, label, pin_source, so_pin_source)
    try:
        softhsm = provision(home, [TokenRequest(label, read_pin(sources.pin))], read_pin(sources.so_pin))
    except BaseException:
        sources.take_back()
        raise
    if softhsm.tokens[0].created:
        for path in sources.written:
            say(f"wrote a PIN to {path}")
    else:
        say(f"token {label!r} is already there and was kept, its PINs with it")
        sources.take_back()
    return softhsm, token_uri(label, softhsm.module, sources.pin_source)


def _say(text: str) -> None:
    print(f"provision: {text}", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status, 1 after one line of error on standard error."""
    own, command = split_command(arguments)
    parser = argparse.ArgumentParser(
        prog="python -m hwcng.testing.softhsm",
        description="Makes a SoftHSM token in any directory: prints its SOFTHSM2_CONF=... line and its pkcs11: URI.",
        allow_abbrev=False,
    )
    parser.add_argument("directory", type=Path, nargs="?", help="holds softhsm2.conf and the token; made where missing")
    parser.add_argument("--label", default="hwcng", help="the token's label, at most 32 bytes (%(default)s)")
    source = "file:PATH or env:NAME; where missing, one is made and written, mode 0600, into the directory"
    parser.add_argument("--pin-source", help=f"the user PIN: {source}")
    parser.add_argument("--so-pin-source", help=f"the security officer's PIN: {source}")
    add_output(parser)
    options = parser.parse_args(own)
    if options.directory is None and not command:
        parser.error("a token without a DIRECTORY is thrown away at the end of a command: -- COMMAND")
    try:
        if options.directory is None:
            with tempfile.TemporaryDirectory(prefix="softhsm-") as name:
                return _serve(options, Path(name), command)
        return _serve(options, options.directory, command)
    except (OSError, ValueError, SoftHsmError) as error:
        _say(str(error))
        return 1


def _serve(options: argparse.Namespace, directory: Path, command: Sequence[str]) -> int:
    softhsm, uri = token_in(
        directory, options.label, pin_source=options.pin_source, so_pin_source=options.so_pin_source, say=_say
    )
    settings = {**softhsm.environ(), "HWCNG_PROVIDER": uri}
    if command:
        return run_command(command, settings)
    if options.export:
        show(settings, export=True)
    else:
        print(f"SOFTHSM2_CONF={shlex.quote(str(softhsm.conf))}")
        print(uri)
    return 0


if __name__ == "__main__":
    sys.exit(main())
