"""`hwcng completion`: what a shell reads to complete the command's words."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from hwcng.cli.outcome import json_option, print_json

__all__ = ["completion"]

_WHERE = {
    "bash": "~/.bash_completion, or /etc/bash_completion.d/hwcng",
    "fish": "~/.config/fish/completions/hwcng.fish",
    "zsh": "a file _hwcng in a folder of $fpath",
}


@click.command(
    epilog=" ".join(f"{shell}: {place}." for shell, place in _WHERE.items()),
)
@click.argument("shell", type=click.Choice(sorted(_WHERE)))
@json_option
def completion(shell: str, as_json: bool) -> None:
    """Write the completion of a shell to standard output. The shell reads it from a file."""
    from hwcng.cli.application import application

    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 - click has all of the choices
    script = kind(application, {}, "hwcng", "_HWCNG_COMPLETE").source()
    if as_json:
        print_json({"shell": shell, "script": script})
    else:
        click.echo(script)
