"""Where a URI says that a PIN is to be read: pin-source of RFC 7512, section 2.4, with file: of RFC 8089."""

from __future__ import annotations

import os
import re

from hwcng.errors import invalid_parameter
from hwcng.providers.uri_syntax import ESCAPE, scheme_of, unquote

__all__ = ["pin_file", "read_pin_file", "read_pin_source"]

_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FILE_URI = re.compile(r"file:(?://(?:localhost)?(?=/)|(?!//))(/.*)", re.IGNORECASE | re.DOTALL)
_LONGEST = 4096


def read_pin_source(source: str) -> bytes:
    """The PIN that a pin-source or owner-auth-source means.

    source: file:/path, file:///path (percent-encoded), an absolute path as it is, or env:NAME. One newline at the end
    is not part of the PIN.

    Raises CngError (STATUS_INVALID_PARAMETER) for any other source and for one that is missing, unreadable or empty.
    """
    if source.startswith("|"):
        raise invalid_parameter(
            "pin-source with a |command is refused: a URI must not be able to run a program; use file:/path or env:NAME"
        )
    if source.startswith("env:"):
        name = source[4:]
        if not _ENVIRONMENT_NAME.fullmatch(name):
            raise invalid_parameter("pin-source env: must be followed by the name of an environment variable")
        value = os.environb.get(name.encode())
        value = value if value is None else _without_newline(value)
        if not value:
            raise invalid_parameter(
                f"pin-source: the environment variable {name!r} is {'not set' if value is None else 'empty'}"
            )
        return value
    return read_pin_file(_path_of(source), "pin-source")


def pin_file(source: str) -> bytes | None:
    """The path of the file that a pin-source names; None for one in the environment. Raises as `read_pin_source`."""
    return None if source.startswith("env:") else os.fsencode(_path_of(source))


def _path_of(source: str) -> str | bytes:
    if source.startswith("/"):
        return source
    if scheme_of(source) != "file":
        # Not shown: it may be the PIN itself, put in the wrong attribute.
        raise invalid_parameter("pin-source must be file:/path, an absolute path or env:NAME")
    found = _FILE_URI.fullmatch(source)
    if found is None:
        raise invalid_parameter(
            f"pin-source {source!r} has no absolute path on this host: write file:/path or file:///path"
        )
    if "%" in ESCAPE.sub("", found[1]):
        raise invalid_parameter(f"pin-source {source!r} has a % without two hexadecimal digits")
    return unquote(found[1])


def read_pin_file(path: str | bytes, named_by: str) -> bytes:
    """The PIN in a file, as `read_pin_source` reads it. named_by: what the error says that named the file."""
    shown = repr(os.fsdecode(path))
    try:
        with open(path, "rb") as file:
            pin = file.read(_LONGEST + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a file name"
        raise invalid_parameter(f"{named_by}: cannot read {shown}: {reason}") from error
    if len(pin) > _LONGEST:
        raise invalid_parameter(f"{named_by}: {shown} is longer than {_LONGEST} bytes, no PIN")
    pin = _without_newline(pin)
    if not pin:
        raise invalid_parameter(f"{named_by}: {shown} is empty")
    return pin


def _without_newline(pin: bytes) -> bytes:
    return pin[:-2] if pin.endswith(b"\r\n") else pin.removesuffix(b"\n")
