"""Messages of the library in the words of the command: what is an argument there is an option here."""

from __future__ import annotations

__all__ = ["in_options"]

_ARGUMENTS = (
    ('as pin=..., or pin="" where its authorization value is empty', "by {}"),
    # No option is the owner's.
    ("as pin=... or by owner-auth-source=", "by owner-auth-source="),
    ("as pin=...", "by {}"),
    ("give pin=...", "give it by {},"),
    ("NCRYPT_OVERWRITE_KEY_FLAG replaces it", "--replace replaces it"),
    ("takes the length 0: ParameterSetName says", "takes no --bits: --parameter-set says"),
    ("set ParameterSetName", "give --parameter-set"),
    ("set ECCCurveName", "take an algorithm that is named after one, as those in _P256 are"),
)
"""An argument as a message names it, and what takes its place; the longer first."""


def in_options(message: str, options: str = "--pin-file, --ask-pin or HWCNG_PIN") -> str:
    """The same message, by which options the command is given what it asks for."""
    for argument, option in _ARGUMENTS:
        message = message.replace(argument, option.format(options))
    return message
