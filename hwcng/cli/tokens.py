"""`hwcng tokens`, `hwcng token init` and `hwcng random`: the tokens of this machine, new ones, and what they give."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hwcng.cli.outcome import json_option, new_file, output_option, print_json, print_table
from hwcng.cli.targets import of_provider, pin_options
from hwcng.errors import HRESULT, CngError
from hwcng.providers.registry import configured_names
from hwcng.providers.survey import surveyed

if TYPE_CHECKING:
    from hwcng.contract.pins import Pin

__all__ = ["random", "token", "tokens"]

_MOST_AT_ONCE = 4096


@click.command()
@click.option("--module", "modules", multiple=True, help="Look into this PKCS#11 module too. Repeat it for more.")
@json_option
def tokens(modules: tuple[str, ...], as_json: bool) -> None:
    """The tokens and TPMs of this machine, and the configured names. Needs no PIN."""
    found = surveyed(modules)
    names = {name: str(uri) for name, uri in configured_names().items()}
    if as_json:
        print_json(
            {
                "tokens": [asdict(token) for place in found for token in place.tokens],
                "places": [{**asdict(place), "tokens": len(place.tokens)} for place in found],
                "configured": names,
            }
        )
        return
    there = [token for place in found for token in place.tokens]
    if there:
        rows = [(at.label, f"{at.manufacturer} {at.model}".strip(), at.serial, at.state) for at in there]
        print_table(("token", "kind", "serial", "state"), rows)
    else:
        click.echo("no token found: hwcng doctor says what is missing", err=True)
    # A URI is copied: a column would fold it.
    for uri in (token.uri for token in there if token.uri):
        click.echo(uri)
    if names:
        print_table(("configured name", "URI"), list(names.items()))


@click.group()
def token() -> None:
    """Make tokens."""


@token.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option("--label", default="hwcng", show_default=True, help="The token's label, 32 bytes of UTF-8 at most.")
@click.option("--pin-source", help="The user PIN: file:PATH or env:NAME. Where missing, one is made and written.")
@click.option("--so-pin-source", help="The security officer's PIN: likewise.")
@json_option
def init(directory: Path, label: str, pin_source: str | None, so_pin_source: str | None, as_json: bool) -> None:
    """Make a SoftHSM token in a directory of its own. A token of that label is kept as it is."""
    from hwcng.testing.softhsm import SoftHsmError, token_in

    try:
        softhsm, uri = token_in(directory, label, pin_source=pin_source, so_pin_source=so_pin_source, say=_say)
    except (SoftHsmError, ValueError) as error:
        raise CngError(HRESULT.NTE_FAIL, str(error)) from error
    made = softhsm.tokens[0]
    environment = softhsm.environ()
    if as_json:
        print_json(
            {
                "uri": uri,
                "label": made.label,
                "serial": made.serial,
                "created": made.created,
                "environment": environment,
            }
        )
        return
    for name, value in environment.items():
        click.echo(f"{name}={value}")
    click.echo(uri)


def _say(text: str) -> None:
    click.echo(text, err=True)


@click.command()
@click.argument("uri")
@click.argument("count", type=click.IntRange(1))
@output_option()
@click.option("--hex", "as_hex", is_flag=True, help="Write hexadecimal digits and a newline.")
@json_option
@pin_options
def random(uri: str, count: int, output: Path | None, as_hex: bool, as_json: bool, pin: Pin | None) -> None:
    """COUNT random bytes of the token's generator."""
    provider = of_provider(uri, pin).provider()
    parts = (provider.random(min(_MOST_AT_ONCE, count - start)) for start in range(0, count, _MOST_AT_ONCE))
    if output is None and as_json:
        print_json({"count": count, "random": b"".join(parts).hex()})
        return
    with new_file(output, secret=True) as file:
        for octets in parts:
            file.write(octets.hex().encode() if as_hex else octets)
        if as_hex:
            file.write(b"\n")
    if as_json:
        print_json({"count": count, "random": None})
