"""`hwcng openssl-conf`: what OpenSSL, and whatever uses it, needs for the keys of a token (config(5))."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hwcng.cli.outcome import json_option, new_file, output_option, print_json
from hwcng.cli.targets import of_provider, pin_options
from hwcng.interop import openssl

if TYPE_CHECKING:
    from hwcng.contract.pins import Pin

__all__ = ["openssl_conf"]


@click.command("openssl-conf")
@click.argument("uri")
@output_option("The openssl.cnf to write.")
@click.option(
    "--module",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The provider's file (pkcs11.so, tpm2.so), where it is not in OpenSSL's own folder.",
)
@json_option
@pin_options
def openssl_conf(uri: str, output: Path | None, module: Path | None, as_json: bool, pin: Pin | None) -> None:
    """A configuration that loads OpenSSL's provider for a token. With --output, the variables to set are told."""
    provider = of_provider(uri, pin).provider()
    text = openssl.configuration(provider, module=module)
    variables = dict(openssl.environment(provider, output.absolute())) if output is not None else {}
    if output is not None:
        with new_file(output) as file:
            file.write(text.encode())
    if as_json:
        print_json({"configuration": text, "environment": variables})
    elif output is None:
        click.echo(text, nl=False)
    else:
        for name, value in variables.items():
            click.echo(f"export {name}={shlex.quote(value)}")
