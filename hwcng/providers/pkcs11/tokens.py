"""Finding the one token that a URI means (RFC 7512, section 2; OASIS PKCS#11 3.2, section 5.5)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

from pkcs11.constants import SlotFlag, TokenFlag

from hwcng.contract.capabilities import TokenInfo
from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.pkcs11.cryptoki.calls import ffi
from hwcng.providers.pkcs11.cryptoki.constants import CK_UNAVAILABLE_INFORMATION
from hwcng.providers.pkcs11.cryptoki.return_values import CKR, token_error
from hwcng.providers.pkcs11.module import Module, text
from hwcng.providers.pkcs11.uri import Pkcs11Uri

__all__ = ["FoundToken", "TokenIdentity", "every_token", "find_token", "identity_in", "sessions_of_others"]


class TokenIdentity(NamedTuple):
    """Which token it is, by whatever module and slot it is reached: fields of CK_TOKEN_INFO."""

    manufacturer: str
    model: str
    serial: str
    label: str


class FoundToken(NamedTuple):
    """A slot with a token in it. flags: CK_TOKEN_INFO's."""

    slot: int
    flags: int
    info: TokenInfo
    slot_description: str
    slot_manufacturer: str

    @property
    def has_rng(self) -> bool:
        return bool(self.flags & TokenFlag.RNG)

    @property
    def flag_names(self) -> frozenset[str]:
        return frozenset(flag.name for flag in TokenFlag if self.flags & flag and flag.name)

    @property
    def identity(self) -> TokenIdentity:
        info = self.info
        return TokenIdentity(info.manufacturer, info.model, info.serial, info.label)

    def meant_by(self, module: Module, uri: Pkcs11Uri) -> bool:
        """Whether all that the URI's path says of token, slot and library is so."""
        return (
            uri.matches_token(self.info)
            and uri.matches_slot(self.slot, self.slot_description, self.slot_manufacturer)
            and uri.matches_library(module.manufacturer, module.description, module.library_version)
        )

    def __str__(self) -> str:
        return f"{self.info.label!r} (serial {self.info.serial}, model {self.info.model}, slot-id {self.slot})"


def _describe(module: Module, slot: int, with_slot: bool) -> FoundToken | None:
    raw = ffi.new("CK_TOKEN_INFO *")
    rv = module.cryptoki.C_GetTokenInfo(slot, raw)
    if rv in (CKR.TOKEN_NOT_PRESENT, CKR.TOKEN_NOT_RECOGNIZED):
        return None
    if rv != CKR.OK:
        raise token_error(rv, f"C_GetTokenInfo of slot {slot} failed")
    info = TokenInfo(
        label=text(raw.label),
        manufacturer=text(raw.manufacturerID),
        model=text(raw.model),
        serial=text(raw.serialNumber),
        firmware=f"{raw.firmwareVersion.major}.{raw.firmwareVersion.minor}",
        library=f"{module.description} {module.library_version}".strip(),
    )
    module.learn(info.manufacturer, info.model)
    description = manufacturer = ""
    if with_slot:
        slot_raw = _slot_info(module, slot)
        description, manufacturer = text(slot_raw.slotDescription), text(slot_raw.manufacturerID)
    return FoundToken(slot, int(raw.flags), info, description, manufacturer)


def identity_in(module: Module, slot: int) -> TokenIdentity | None:
    """Which token is in a slot, None where there is none. Raises what C_GetTokenInfo answers."""
    found = _describe(module, slot, False)
    return found.identity if found is not None else None


def sessions_of_others(module: Module) -> bool:
    """Whether a token says that sessions are open with it, where this process' own are dead or of a token that went."""
    raw = ffi.new("CK_TOKEN_INFO *")
    for slot in module.slots():
        if module.cryptoki.C_GetTokenInfo(slot, raw) == CKR.OK and raw.ulSessionCount not in (
            0,
            CK_UNAVAILABLE_INFORMATION,
        ):
            return True
    return False


def _slot_info(module: Module, slot: int) -> Any:
    raw = ffi.new("CK_SLOT_INFO *")
    if (rv := module.cryptoki.C_GetSlotInfo(slot, raw)) != CKR.OK:
        raise token_error(rv, f"C_GetSlotInfo of slot {slot} failed")
    return raw


def _with_kind(module: Module, found: FoundToken) -> FoundToken:
    """What its slot says of the hardware that it is, or is not."""
    slot = _slot_info(module, found.slot)
    flags = int(slot.flags)
    info = replace(
        found.info, hardware=bool(flags & SlotFlag.HW_SLOT), removable=bool(flags & SlotFlag.REMOVABLE_DEVICE)
    )
    description, manufacturer = text(slot.slotDescription), text(slot.manufacturerID)
    return found._replace(info=info, slot_description=description, slot_manufacturer=manufacturer)


def _present(module: Module, with_slot: bool) -> tuple[list[FoundToken], dict[int, CngError]]:
    """The tokens, and by slot the answers of those that do not say which token they hold: they block no other."""
    present, silent = [], {}
    for slot in module.slots():
        try:
            token = _describe(module, slot, with_slot)
        except CngError as error:
            silent[slot] = error
            continue
        if token is not None and token.flags & TokenFlag.TOKEN_INITIALIZED:
            present.append(token)
    return present, silent


def every_token(module: Module) -> Iterator[FoundToken]:
    """What is in the slots, initialised or not; a slot that does not say is left out."""
    for slot in module.slots():
        with suppress(CngError):
            if (found := _describe(module, slot, False)) is not None:
                yield found


def find_token(module: Module, uri: Pkcs11Uri, known: TokenIdentity | None = None) -> FoundToken:
    """The token that `uri` means. known: the one that was open until now, wherever it is by now.

    Another one takes its place only where it is called the same or the URI names it: a URI that says nothing but a slot
    means what was there. Raises STATUS_NOT_FOUND where there is none, STATUS_INVALID_PARAMETER where there are several;
    both say what is there. Where no slot at all says which token it holds, raises what the first one answered.
    """
    with_slot = uri.slot_description is not None or uri.slot_manufacturer is not None
    present, silent = _present(module, with_slot)
    matching = [token for token in present if token.meant_by(module, uri)]
    if known is not None:
        named = uri.token is not None or uri.serial is not None
        here = [token for token in present if token.identity == known and uri.matches_token(token.info)]
        others = [token for token in matching if named or token.info.label == known.label]
        matching = here if len(here) == 1 else [token for token in matching if token in here] or others
    if len(matching) == 1:
        return _with_kind(module, matching[0])
    there = ", ".join(str(token) for token in present) or "none"
    if matching:
        raise CngError(
            NTSTATUS.STATUS_INVALID_PARAMETER,
            f"{len(matching)} tokens match {uri}: {', '.join(str(token) for token in matching)}; "
            "add serial= or slot-id= to the URI",
        )
    if silent and not present:
        raise next(iter(silent.values()))
    answers = "".join(
        f"; slot {slot} does not say which it holds ({error.token_code!r})" for slot, error in silent.items()
    )
    raise CngError(NTSTATUS.STATUS_NOT_FOUND, f"no token matches {uri}; tokens of {module.path}: {there}{answers}")
