"""Names of keys, as NCryptCreatePersistedKey takes them (ncrypt.h): any Unicode, compared exactly."""

from __future__ import annotations

from hwcng.arguments import string
from hwcng.errors import HRESULT, CngError, told

__all__ = ["LONGEST_NAME", "LONGEST_NAME_OCTETS", "check_key_name", "is_key_name", "no_such_key"]

LONGEST_NAME = 512
"""NCRYPT_MAX_KEY_NAME_LENGTH, in UTF-16 code units."""
LONGEST_NAME_OCTETS = 3 * LONGEST_NAME
"""The longest name in UTF-8: a code unit takes at most three octets."""


def is_key_name(name: str) -> bool:
    """Whether a key can have this name: 1 to 512 UTF-16 code units, no NUL, no half of a surrogate pair."""
    if not name or "\0" in name:
        return False
    if name.isascii():
        return len(name) <= LONGEST_NAME
    if any("\ud800" <= character <= "\udfff" for character in name):
        return False
    return len(name.encode("utf-16-le")) <= 2 * LONGEST_NAME


def check_key_name(name: str) -> str:
    """`name`, where a key can have it, else NTE_INVALID_PARAMETER. Slashes, dots and blanks mean nothing."""
    name = string(name, "a key's name", refused=HRESULT.NTE_INVALID_PARAMETER)
    if not is_key_name(name):
        raise CngError(
            HRESULT.NTE_INVALID_PARAMETER,
            f"a key's name has 1 to {LONGEST_NAME} UTF-16 code units, none of them NUL or half a character; "
            f"this one is {told(name[:40])} of {len(name)} characters",
        )
    return name


def no_such_key(name: str, where: str) -> CngError:
    return CngError(HRESULT.NTE_BAD_KEYSET, f"there is no key named {told(name)} in {where}")
