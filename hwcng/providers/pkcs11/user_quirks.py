"""Quirks that the user sets, as x-quirks of a token's URI: "der-peer-point,no-oaep-label,oaep-hashes=SHA1".

Items are separated by commas. A name is a field of `Quirks` with hyphens; "no-" before it says that it is not so. Sets
are given by "=" and "+" between their members: names of hashes and curves, CKM_ and CKK_ names or numbers. "none" at
the beginning forgets what hwcng knows of the module.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from types import MappingProxyType
from typing import Any

from pkcs11 import KeyType, Mechanism

from hwcng.errors import CngError, invalid_parameter, told
from hwcng.providers.pkcs11.cryptoki.constants import CKK, CKM
from hwcng.providers.pkcs11.quirks import Quirks
from hwcng.standards.curves import CURVES
from hwcng.standards.hashes import HASHES

__all__ = ["QUIRKS_ATTRIBUTE", "UserQuirks"]

QUIRKS_ATTRIBUTE = "x-quirks"

_NONE = "none"
_NUMBER = re.compile("0[xX][0-9a-fA-F]+|[0-9]+")


def _one_of(known: Mapping[str, object], what: str) -> Callable[[str], str]:
    def read(word: str) -> str:
        if word not in known:
            raise invalid_parameter(f"{QUIRKS_ATTRIBUTE}: {told(word)} is no {what}; there are {', '.join(known)}")
        return word

    return read


def _number(prefix: str, *tables: Any) -> Callable[[str], int]:
    def read(word: str) -> int:
        if _NUMBER.fullmatch(word):
            return int(word, 0)
        name = word.removeprefix(prefix)
        for table in tables:
            # python-pkcs11 has a line before the names of what it calls unsafe.
            for spelt in (name, f"_{name}") if word.startswith(prefix) else ():
                if (found := getattr(table, spelt, None)) is not None:
                    return int(found)
        raise invalid_parameter(f"{QUIRKS_ATTRIBUTE}: {told(word)} is neither a number nor a {prefix} name")

    return read


_SETS: Mapping[str, Callable[[str], Any]] = MappingProxyType(
    {
        "oaep_hashes": _one_of(HASHES, "hash"),
        "pss_hashes": _one_of(HASHES, "hash"),
        "named_curves": _one_of(CURVES, "curve"),
        "unusable_mechanisms": _number("CKM_", Mechanism, CKM),
        "wrapped_key_types": _number("CKK_", KeyType, CKK),
    }
)
_SWITCHES = frozenset(field.name for field in fields(Quirks) if isinstance(field.default, bool)) - {"verified"}


def _known() -> str:
    return ", ".join(sorted(name.replace("_", "-") for name in (*_SWITCHES, *_SETS)))


class UserQuirks:
    """What a user said, None or empty for nothing. Raises STATUS_INVALID_PARAMETER for what is no quirk."""

    def __init__(self, text: str | None) -> None:
        items = [item.strip() for item in (text or "").split(",") if item.strip()]
        self._forgets = bool(items) and items[0] == _NONE
        self._changes: dict[str, Any] = dict(self._change(item) for item in items[self._forgets :])

    @staticmethod
    def _change(item: str) -> tuple[str, object]:
        name, given, members = item.partition("=")
        field = name.replace("-", "_")
        if given and field in _SETS:
            return field, frozenset(_SETS[field](member) for member in members.split("+") if member)
        if not given:
            switched = field.removeprefix("no_")
            if switched in _SWITCHES:
                return switched, switched == field
        raise _unknown(item)

    def over(self, known: Quirks) -> Quirks:
        """The quirks of a module with what the user said over them."""
        return replace(Quirks() if self._forgets else known, **self._changes)


def _unknown(item: str) -> CngError:
    return invalid_parameter(
        f"{QUIRKS_ATTRIBUTE}: there is no quirk {told(item)}; there are {_known()}, and {_NONE} first"
    )
