"""The `hwcng` command."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Sequence

from hwcng.cli import capabilities
from hwcng.errors import CngError

__all__ = ["main"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hwcng", description="CNG's key interface over PKCS#11 tokens and TPMs")
    commands = parser.add_subparsers(required=True, metavar="command")
    asking = argparse.ArgumentParser(add_help=False)
    asking.add_argument("uri", help="pkcs11:... or tpm2:..., or a configured name")
    asking.add_argument("--ask-pin", action="store_true", help="read the PIN from the terminal")
    capabilities.add_to(commands, asking)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status: 0, or 1 after one line of error on standard error."""
    options = _parser().parse_args(arguments)
    pin = (lambda: getpass.getpass("PIN: ")) if options.ask_pin else None
    try:
        options.run(options, pin)
    except CngError as error:
        print(f"hwcng: {error}", file=sys.stderr)
        return 1
    return 0
