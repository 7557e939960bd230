"""Messages of the library in the words of the command: what is an argument there is an option here."""

from __future__ import annotations

__all__ = ["in_options"]

_OPTIONS = "--pin-file, --ask-pin or HWCNG_PIN"
_ARGUMENTS = (
    ('as pin=..., or pin="" where its authorization value is empty', f"by {_OPTIONS}"),
    # No option is the owner's.
    ("as pin=... or by owner-auth-source=", "by owner-auth-source="),
    ("as pin=...", f"by {_OPTIONS}"),
    ("give pin=...", f"give it by {_OPTIONS},"),
)
"""An argument as a message names it, and what takes its place; the longer first."""


def in_options(message: str) -> str:
    """The same message, by which options the command is given what it asks for."""
    for argument, option in _ARGUMENTS:
        message = message.replace(argument, option)
    return message
