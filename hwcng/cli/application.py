"""The group of commands: which there are, and what becomes of their errors."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence

import click

from hwcng import __version__
from hwcng.cli.outcome import Exit
from hwcng.cli.wording import in_options
from hwcng.errors import CngError

__all__ = ["application", "run"]

_COMMANDS = {
    "attest": "hwcng.cli.attesting:attest",
    "capabilities": "hwcng.cli.capabilities:capabilities",
    "completion": "hwcng.cli.completion:completion",
    "config": "hwcng.cli.configuration:config",
    "csr": "hwcng.cli.signing:csr",
    "decrypt": "hwcng.cli.encryption:decrypt",
    "doctor": "hwcng.cli.doctor:doctor",
    "encrypt": "hwcng.cli.encryption:encrypt",
    "keys": "hwcng.cli.keys:keys",
    "move": "hwcng.cli.moving:move",
    "openssl-conf": "hwcng.cli.openssl:openssl_conf",
    "random": "hwcng.cli.tokens:random",
    "sign": "hwcng.cli.signing:sign",
    "test": "hwcng.cli.trying:test",
    "token": "hwcng.cli.tokens:token",
    "tokens": "hwcng.cli.tokens:tokens",
    "verify": "hwcng.cli.signing:verify",
}
"""Name -> "module:command", loaded when it is asked for."""

_ENDING = (signal.SIGHUP, signal.SIGTERM)
_SIGNALLED = 128
"""What shells add to a signal's number for an exit status."""


class _LazyGroup(click.Group):
    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # Whoever read has had enough. click would take it for a failure.
            _drop_output()
            return Exit.OK

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, attribute = _COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


@click.group(
    name="hwcng",
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="URI is a provider's (pkcs11:..., tpm2:...) or a configured name. Where it names a key itself, NAME is left "
    "out. A PIN comes from the URI's pin-source, from --pin-file, --ask-pin or the variable HWCNG_PIN, never from the "
    "command line.",
)
@click.version_option(__version__, "--version", "-V", prog_name="hwcng", message="%(prog)s %(version)s")
def application() -> None:
    """CNG's key interface over keys that live in PKCS#11 tokens and TPMs."""


def run(arguments: Sequence[str] | None = None) -> int:
    """What a command returns is its exit status; None is `Exit.OK`."""
    _stand_in_for_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # What a terminal has no letters for is told by their numbers.
            stream.reconfigure(errors="backslashreplace")
    try:
        with _ended_in_order():
            status = application.main(
                args=None if arguments is None else list(arguments), prog_name="hwcng", standalone_mode=False
            )
        sys.stdout.flush()
    except click.exceptions.Abort:
        return _refused("given up")
    except click.ClickException as error:
        error.show()
        return Exit.USAGE
    except BrokenPipeError:
        _drop_output()
        return Exit.OK
    except CngError as error:
        return _refused(in_options(str(error)))
    except OSError as error:
        _drop_output()
        return _refused(f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error))
    return status if isinstance(status, int) else Exit.OK


@contextlib.contextmanager
def _ended_in_order() -> Iterator[None]:
    """A signal that ends the process has the command take back first what is not whole, as a file half decrypted."""

    def end(number: int, frame: object) -> None:
        raise SystemExit(_SIGNALLED + number)

    # Only the main thread may, and what the caller ignores (nohup) or handles stays so.
    ours = threading.current_thread() is threading.main_thread()
    taken = [number for number in _ENDING if ours and signal.getsignal(number) is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def _stand_in_for_closed_streams() -> None:
    """A file that is opened would get the number of a standard stream that is closed, and what is printed.

    Standard input then is at its end, standard error takes all, and standard output refuses as a closed one does.
    """
    for descriptor, name, access, mode in (
        (0, "stdin", os.O_RDONLY, "r"),
        (1, "stdout", os.O_RDONLY, "w"),
        (2, "stderr", os.O_WRONLY, "w"),
    ):
        if getattr(sys, name) is not None:
            continue
        there = os.open(os.devnull, access)
        if there != descriptor:
            os.dup2(there, descriptor)
            os.close(there)
        setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - as long as the process


def _refused(reason: str) -> int:
    click.echo(f"hwcng: {' '.join(reason.splitlines())}", err=True)
    return Exit.REFUSED


def _drop_output() -> None:
    """What is buffered for an output that takes nothing would raise once more when the process ends."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
