"""PINs and authorization values as a caller gives them: text, octets, or what is asked when a login needs it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, cast

from hwcng.arguments import octets, string
from hwcng.errors import invalid_parameter

__all__ = ["Pin", "checked_pin", "pin_value"]

Pin: TypeAlias = str | bytes | Callable[[], str | bytes]


def checked_pin(pin: object) -> Pin | None:
    """A PIN that the caller gave. Raises STATUS_INVALID_PARAMETER, which shows nothing of it, for what is none.

    What a callable returns is looked at when a login needs it.
    """
    if pin is not None and not callable(pin):
        pin_value(pin)
    return cast("Pin | None", pin)


def pin_value(value: object) -> bytes:
    """A PIN's octets. Raises STATUS_INVALID_PARAMETER, which shows nothing of it, for what is neither str nor bytes."""
    if isinstance(value, str):
        return string(value, "a PIN").encode()
    # bytes(1234) would be 1234 zero bytes, and a try at the PIN wasted on them.
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise invalid_parameter(f"a PIN is str or bytes, or a callable that returns one, not {type(value).__name__}")
    return octets(value, "a PIN")
