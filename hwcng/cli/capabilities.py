"""`hwcng capabilities`: what a token really does, tried now, as a table or as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from hwcng.cli.outcome import json_option, print_json, print_table
from hwcng.cli.targets import of_provider, pin_options

if TYPE_CHECKING:
    from hwcng.contract.capabilities import Capabilities
    from hwcng.contract.pins import Pin

__all__ = ["as_data", "capabilities"]


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


@click.command()
@click.argument("uri")
@click.option("--algorithm", multiple=True, help="Only this algorithm. Repeat it for more.")
@json_option
@pin_options
def capabilities(uri: str, algorithm: tuple[str, ...], as_json: bool, pin: Pin | None) -> None:
    """What a token really does: each operation is tried now, with keys that end with the command."""
    data = as_data(of_provider(uri, pin).provider().capabilities())
    known = dict.fromkeys(row["algorithm"] for row in data["operations"])
    for name in algorithm:
        if name not in known:
            raise click.BadParameter(f"{name!r} is none of {', '.join(known)}", param_hint="--algorithm")
    if algorithm:
        data["operations"] = [row for row in data["operations"] if row["algorithm"] in algorithm]
    if as_json:
        print_json(data)
        return
    token = data["token"]
    print_table(
        ("algorithm", "operation", "support", "why"),
        [
            (
                row["algorithm"] + (" (weak)" if row["algorithm"] in data["weak"] else ""),
                row["operation"],
                row["support"],
                row["reason"],
            )
            for row in data["operations"]
        ],
        f"{token['label']}: {token['manufacturer']} {token['model']}",
    )
