"""`hwcng capabilities`: what a token really does, tried now, as a table or as JSON."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.registry import open_provider, resolve_implementation
from hwcng.providers.uri import scheme_of

if TYPE_CHECKING:
    from hwcng.contract.capabilities import Capabilities
    from hwcng.providers.uri import Pin

__all__ = ["add_to", "as_data"]


def add_to(commands: Any, asking: argparse.ArgumentParser) -> None:
    """Adds the command to argparse's subparsers. asking: the arguments that every command has."""
    parser = commands.add_parser("capabilities", parents=[asking], help="what a token really does")
    parser.add_argument("--json", action="store_true", help="JSON on standard output instead of a table")
    parser.set_defaults(run=run)


def as_data(capabilities: Capabilities) -> dict[str, Any]:
    """What JSON can hold: the token, key lengths in bits, and every operation with how it is served and why not."""
    return {
        "token": asdict(capabilities.token),
        "key_bits": {name: list(bits) for name, bits in capabilities.key_bits.items()},
        "weak": sorted(capabilities.weak),
        "operations": [
            {
                "algorithm": algorithm,
                "operation": operation,
                "support": support.value,
                "reason": capabilities.reasons.get((algorithm, operation), ""),
            }
            for (algorithm, operation), support in capabilities.operations.items()
        ],
    }


def run(options: argparse.Namespace, pin: Pin | None) -> None:
    if scheme_of(options.uri) in ("pkcs11", "tpm2"):
        with open_provider(options.uri, pin=pin) as provider:
            capabilities = provider.capabilities()
    else:
        capabilities = resolve_implementation(options.uri).capabilities()
    data = as_data(capabilities)
    if options.json:
        json.dump(data, sys.stdout, indent=1)
        print()
    else:
        _show(data)


def _show(data: dict[str, Any]) -> None:
    try:
        from rich.console import Console
        from rich.table import Table
    except ModuleNotFoundError:
        raise CngError(
            NTSTATUS.STATUS_NOT_FOUND,
            "tables need the package rich, which is not installed: pip install 'hwcng[cli]', or use --json",
        ) from None
    token = data["token"]
    table = Table(title=f"{token['label']}: {token['manufacturer']} {token['model']}", title_justify="left")
    for heading in ("algorithm", "operation", "support", "why"):
        table.add_column(heading)
    for row in data["operations"]:
        weak = " (weak)" if row["algorithm"] in data["weak"] else ""
        table.add_row(row["algorithm"] + weak, row["operation"], row["support"], row["reason"])
    Console().print(table)
