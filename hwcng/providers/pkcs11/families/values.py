"""What the attributes of a stored object say (PKCS#11 3.2, section 4): octets, as C_GetAttributeValue gives them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TypeAlias

from pkcs11 import Attribute

from hwcng.errors import HRESULT, CngError

__all__ = ["NUMBER", "ULONG", "Values", "integer", "number", "unserved"]

Values: TypeAlias = Mapping[Attribute, "bytes | None"]
"""None, or nothing, where the token does not say it."""

ULONG = 8
"""Octets of a CK_ULONG."""
NUMBER = 2048
"""Octets of room for a number. NSS wants no more room than a number has."""


def number(values: Values, kind: Attribute) -> int | None:
    """A CK_ULONG in this machine's byte order."""
    octets = values.get(kind)
    return int.from_bytes(octets, sys.byteorder) if octets is not None and len(octets) == ULONG else None


def integer(values: Values, kind: Attribute) -> int:
    """A big-endian number of any length, 0 where the token does not say it."""
    return int.from_bytes(values.get(kind) or b"", "big")


def unserved(what: str) -> CngError:
    return CngError(HRESULT.NTE_NOT_SUPPORTED, f"the key is {what}, which is not served")
