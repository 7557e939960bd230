"""What an answer of a token may say of its sessions, and what its sessions say when asked (OASIS PKCS#11 3.2, sections
5.1 and 5.6.6).

No answer to an operation proves a loss: tokens say CKR_DEVICE_ERROR of a damaged ciphertext and CKR_USER_NOT_LOGGED_IN
of one key, and name a dead session in any way. So C_GetSessionInfo is asked.
"""

from __future__ import annotations

import contextlib
import enum
import time
from collections.abc import Mapping
from typing import TypeAlias

from hwcng.errors import HRESULT, NTSTATUS, CngError
from hwcng.providers.pkcs11.cryptoki.calls import Cryptoki, ffi
from hwcng.providers.pkcs11.cryptoki.constants import CKS
from hwcng.providers.pkcs11.cryptoki.return_values import CKR, CONNECTION_LOST, HANDLE_GONE, VENDOR_DEFINED
from hwcng.providers.pkcs11.module import Module
from hwcng.providers.pkcs11.tokens import FoundToken, identity_in

__all__ = ["LOSSES", "Standing", "Witness", "explanation", "meaning", "of_sessions", "standing"]

Status: TypeAlias = NTSTATUS | HRESULT

TOKEN_ATTEMPTS = 3
TOKEN_PAUSE_SECONDS = 0.01


_OF_ANYTHING = frozenset({CKR.DEVICE_ERROR, CKR.GENERAL_ERROR, CKR.FUNCTION_FAILED})
_TOKEN_GONE = frozenset({CKR.DEVICE_REMOVED, CKR.TOKEN_NOT_PRESENT, CKR.TOKEN_NOT_RECOGNIZED})
"""After one of these the slot is looked at before its sessions are asked: OpenSC tells by then that a card was out."""

_ALONE = {CKR.DEVICE_ERROR: NTSTATUS.STATUS_IO_DEVICE_ERROR}


class Standing(enum.Enum):
    """What a session says of itself. UNTOLD: the module has no C_GetSessionInfo, or it hangs."""

    USER = enum.auto()
    PUBLIC = enum.auto()
    GONE = enum.auto()
    UNTOLD = enum.auto()


def standing(cryptoki: Cryptoki, session: int) -> Standing:
    """C_GetSessionInfo. session: its handle."""
    info = ffi.new("CK_SESSION_INFO *")
    try:
        rv = cryptoki.C_GetSessionInfo(session, info)
    except CngError:
        # It did not come back in time, or an earlier call in the session has not.
        return Standing.UNTOLD
    if rv == CKR.FUNCTION_NOT_SUPPORTED:
        return Standing.UNTOLD
    if rv != CKR.OK:
        return Standing.GONE
    return Standing.USER if info.state in (CKS.RO_USER_FUNCTIONS, CKS.RW_USER_FUNCTIONS) else Standing.PUBLIC


def _may_be_anything(rv: int) -> bool:
    return rv in _OF_ANYTHING or bool(rv & VENDOR_DEFINED)


def of_sessions(rv: int) -> bool:
    """Whether `rv` may mean that a session is dead, and not only that the token will not do what it was asked."""
    return rv in CONNECTION_LOST or _may_be_anything(rv)


def meaning(rv: int, verdicts: Mapping[int, Status] | None) -> Mapping[int, Status] | None:
    """The verdicts on an operation that failed alone: what may mean anything means what CKR_GENERAL_ERROR does."""
    if verdicts and rv not in verdicts and CKR.GENERAL_ERROR in verdicts and _may_be_anything(rv):
        return {rv: verdicts[CKR.GENERAL_ERROR]}
    return {**_ALONE, **(verdicts or {})}


def explanation(rv: int) -> str:
    """What to say beside `rv` of an operation that failed alone."""
    if rv == CKR.USER_NOT_LOGGED_IN:
        return ": the token is logged in to, so this key asks for more than that (CKA_ALWAYS_AUTHENTICATE?)"
    if rv in HANDLE_GONE:
        return (
            ": the key is not where it was, removed or replaced; one with a name is looked for again at the next call"
        )
    return ": this operation alone, the session with the token is sound: try again" if rv in CONNECTION_LOST else ""


LOSSES: Mapping[Standing, tuple[str, NTSTATUS]] = {
    Standing.GONE: ("the connection with the token was lost", NTSTATUS.STATUS_DEVICE_NOT_CONNECTED),
    Standing.PUBLIC: (
        "the login was lost, as another user of the PKCS#11 module logged this process out of the token",
        NTSTATUS.STATUS_SMARTCARD_CARD_NOT_AUTHENTICATED,
    ),
}
"""What to say of each loss, and the status of the operation that comes upon it."""


class Witness:
    """A session that lives as long as its connection, and is asked what became of the connection.

    session: its handle, valid until the module is initialised anew.
    """

    def __init__(self, module: Module, found: FoundToken, session: int) -> None:
        self.session = session
        self._module = module
        self._generation = module.generation
        self._slot = found.slot
        self._identity = found.identity
        self._tells_login = False

    def logged_in(self) -> None:
        """After a login. A module that does not say so now is not believed when it says that nobody is."""
        self._tells_login = self.standing(self.session) is Standing.USER

    def standing(self, session: int) -> Standing:
        """What another session of the connection says of itself."""
        with self._module.calling():
            # After another C_Initialize the handle can be somebody else's.
            if self._generation != self._module.generation:
                return Standing.GONE
            return standing(self._module.cryptoki, session)

    def loss(self, rv: int = CKR.OK) -> Standing | None:
        """What was lost, None where nothing was. rv: what an operation was answered, if one was."""
        if rv in _TOKEN_GONE:
            self._look_into_slot()
        said = self.standing(self.session)
        if said is Standing.UNTOLD and rv in CONNECTION_LOST:
            return Standing.GONE
        return said if said is Standing.GONE or (said is Standing.PUBLIC and self._tells_login) else None

    def _look_into_slot(self) -> None:
        with self._module.calling():
            if self._generation == self._module.generation:
                self._module.cryptoki.C_GetSlotInfo(self._slot, ffi.new("CK_SLOT_INFO *"))

    def token_is_there(self) -> bool:
        """Whether the slot holds the token still: some modules keep the sessions of one that was removed or initialised
        anew.
        """
        # Another process may be writing what is read.
        for attempt in range(TOKEN_ATTEMPTS):
            time.sleep(attempt * TOKEN_PAUSE_SECONDS)
            with contextlib.suppress(CngError), self._module.alone(), self._module.calling():
                return identity_in(self._module, self._slot) == self._identity
        return False
