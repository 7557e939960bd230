"""How long a call to a token may take: the vendor attribute x-timeout of a provider's URI, in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypeVar

from hwcng.errors import invalid_parameter, told

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    class _Uri(DataclassInstance, Protocol):
        """A URI with vendor attributes in its query."""

        @property
        def vendor_query(self) -> Mapping[str, str]: ...


__all__ = ["TIMEOUT_ATTRIBUTE", "seconds_of", "timeout_of", "with_timeout"]

U = TypeVar("U", bound="_Uri")

TIMEOUT_ATTRIBUTE = "x-timeout"
_LONGEST = 1e6


def _checked(seconds: float, shown: object, what: str) -> float:
    if not 0 < seconds < _LONGEST:
        raise invalid_parameter(f"{what} is a number of seconds over 0, under {_LONGEST:g}, not {told(shown)}")
    return seconds


def seconds_of(value: object) -> str:
    """A timeout that the caller gave, as `with_timeout` takes it.

    Raises STATUS_INVALID_PARAMETER for what is no number of seconds.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise invalid_parameter(f"timeout is a number of seconds, not {told(value)}")
    return f"{_checked(float(value), value, 'timeout'):g}"


def timeout_of(uri: _Uri) -> float | None:
    """In seconds, None where the URI says none. Raises STATUS_INVALID_PARAMETER for what is no such number."""
    text = uri.vendor_query.get(TIMEOUT_ATTRIBUTE)
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    return _checked(seconds, text, f"attribute {TIMEOUT_ATTRIBUTE}")


def with_timeout(uri: U, seconds: str) -> U:
    """The URI with this timeout in the place of its own. Raises STATUS_INVALID_PARAMETER for what is no number of them.

    It is in the URI, so that keys and providers that are opened by theirs elsewhere have it too.
    """
    timed = replace(uri, vendor_query={**uri.vendor_query, TIMEOUT_ATTRIBUTE: seconds})
    timeout_of(timed)
    return timed
