"""URIs of tokens and of the keys in them, as all backends have them (RFC 3986)."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol

__all__ = ["ProviderUri"]


class ProviderUri(Hashable, Protocol):
    """A URI of a token, or of a key in it, as its backend reads it: immutable, and equal to one that says the same.

    A PIN that it holds counts for equality, and is in neither repr nor str. `str` gives a URI that is read as an equal
    one but for the PIN.
    """

    @property
    def scheme(self) -> str:
        """In lower case."""
