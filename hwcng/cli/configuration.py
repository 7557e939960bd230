"""`hwcng config check`: whether the configuration file is right, and what was read of it."""

from __future__ import annotations

import click

from hwcng.cli.outcome import json_option, print_json, print_table
from hwcng.providers.config_file import config_path, read_configuration
from hwcng.providers.registry import chosen_default, configured_names

__all__ = ["config"]


@click.group()
def config() -> None:
    """The configuration file."""


@config.command()
@json_option
def check(as_json: bool) -> None:
    """Read the configuration file, and tell what was read. A line that is wrong is named with its number."""
    path, names, default = config_path(), configured_names(), chosen_default()
    level = read_configuration().log_level
    providers = {name: str(uri) for name, uri in names.items()}
    if as_json:
        chosen = str(default) if default is not None else None
        print_json({"file": path, "providers": providers, "default": chosen, "log_level": level or None})
        return
    click.echo(f"file: {path or 'none'}")
    if default is not None:
        click.echo(f"default provider: {default}")
    if level:
        click.echo(f"log level: {level}")
    if providers:
        print_table(("name", "URI"), list(providers.items()))
