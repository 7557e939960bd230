"""What the slots of a module list: C_GetMechanismList and C_GetMechanismInfo (OASIS PKCS#11 3.2, section 5.5)."""

from __future__ import annotations

from dataclasses import fields
from operator import attrgetter
from typing import NamedTuple, NoReturn

from pkcs11 import Mechanism

from hwcng.errors import CngError
from hwcng.providers.events import note
from hwcng.providers.pkcs11.capabilities import MechanismInfo, MechanismSet
from hwcng.providers.pkcs11.cryptoki.calls import ffi
from hwcng.providers.pkcs11.cryptoki.return_values import CKR, token_error
from hwcng.providers.pkcs11.families import FAMILIES, RELEVANT_MECHANISMS
from hwcng.providers.pkcs11.module import Module
from hwcng.providers.pkcs11.quirks import Quirks, quirks_of
from hwcng.providers.pkcs11.tokens import FoundToken
from hwcng.providers.pkcs11.user_quirks import UserQuirks

__all__ = ["read_mechanisms"]

_AS_STANDARD = Quirks()
_KEPT = 8
"""Tokens of different kinds that one process has open, with some to spare."""

# What only a later function list can use, whatever the mechanism list says.
_NEEDS = {int(Mechanism.ML_KEM): (3, 2)}

_of_module = attrgetter("path", "manufacturer", "description")
_of_token = attrgetter("manufacturer", "model")
_version = attrgetter("library_version")


def read_mechanisms(module: Module, found: FoundToken, user_quirks: UserQuirks) -> MechanismSet:
    """What the token lists, and with some modules its neighbours. Raises what C_GetMechanismList answers."""
    cryptoki = module.cryptoki
    quirks = user_quirks.over(quirks_of(*_of_module(module), *_of_token(found.info), _version(module)))
    others = [slot for slot in module.slots() if slot != found.slot] if quirks.slots_share_mechanisms else []
    names: set[int] = set()
    infos: dict[int, MechanismInfo] = {}
    raw = ffi.new("CK_MECHANISM_INFO *")
    for slot in (found.slot, *others):
        try:
            listed = _listed(module, slot)
        except CngError:
            # A slot that does not answer blocks no other's token.
            if slot == found.slot:
                raise
            continue
        for mechanism in RELEVANT_MECHANISMS.intersection(listed) - infos.keys():
            if cryptoki.C_GetMechanismInfo(slot, mechanism, raw) == CKR.OK:
                infos[mechanism] = MechanismInfo(int(raw.ulMinKeySize), int(raw.ulMaxKeySize), int(raw.flags))
        names.update(listed)
    if peculiar := _differences(quirks):
        note("quirks.applied", token=found.info.label, quirks=", ".join(peculiar))
    return _ruled(_Said(infos, names, quirks, found.has_rng))


class _Said(NamedTuple):
    """All that decides what a token offers."""

    infos: dict[int, MechanismInfo]
    listed: set[int]
    quirks: Quirks
    has_rng: bool


_ruled_before: list[tuple[_Said, MechanismSet]] = []


def _ruled(said: _Said) -> MechanismSet:
    """What the families make of it; worked out once where a token, or one of its kind, is opened again."""
    for before, offered in tuple(_ruled_before):
        if before == said:
            return offered
    offered = MechanismSet(*said, FAMILIES)
    _ruled_before[:] = [(said, offered), *_ruled_before[: _KEPT - 1]]
    return offered


def _listed(module: Module, slot: int) -> list[int]:
    cryptoki = module.cryptoki
    count = ffi.new("CK_ULONG *")
    if (rv := cryptoki.C_GetMechanismList(slot, ffi.NULL, count)) != CKR.OK:
        _failed(module, rv)
    listed = ffi.new("CK_ULONG[]", count[0])
    if (rv := cryptoki.C_GetMechanismList(slot, listed, count)) != CKR.OK:
        _failed(module, rv)
    usable = (number for number in listed[0 : count[0]] if cryptoki.version >= _NEEDS.get(number, (0, 0)))
    return [int(mechanism) for mechanism in usable]


def _failed(module: Module, rv: int) -> NoReturn:
    raise token_error(rv, f"C_GetMechanismList of {module.path} failed")


def _differences(quirks: Quirks) -> list[str]:
    """What of a row is not as PKCS#11 has it, by name."""
    return [field.name for field in fields(quirks) if getattr(quirks, field.name) != getattr(_AS_STANDARD, field.name)]
