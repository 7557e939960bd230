"""Deadlines of a module's C_ functions: a call that has one is given up after it. PKCS#11 knows no time limits.

A session whose call is lost is in nobody's hands until the call comes back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from hwcng.errors import NTSTATUS, CngError
from hwcng.forking import ProcessLock, tell_after_fork
from hwcng.lost_calls import Call, Deadlines
from hwcng.providers.pkcs11.cryptoki.calls import CFunction, Cryptoki
from hwcng.providers.pkcs11.cryptoki.return_values import CKR

__all__ = ["ModuleDeadlines", "limited_by", "limits_of"]

_OF_NO_SESSION = frozenset(
    {
        "C_Initialize",
        "C_Finalize",
        "C_GetInfo",
        "C_GetSlotList",
        "C_GetSlotInfo",
        "C_GetTokenInfo",
        "C_GetMechanismList",
        "C_GetMechanismInfo",
        "C_OpenSession",
    }
)


class ModuleDeadlines:
    """The deadlines of one module, in seconds: those of its sessions, and for all else the longest that anybody asked
    for. They are put around its functions when this is made.
    """

    def __init__(self, cryptoki: Cryptoki, path: str) -> None:
        self._deadlines = Deadlines(path)
        self._sessions: dict[int, float] = {}
        self._of_no_session = 0.0
        self._lost: dict[int, Call] = {}
        self._close: CFunction = cryptoki.C_CloseSession
        tell_after_fork(self)
        cryptoki.instrument(self._limiting)

    def after_fork_in_child(self) -> None:
        """The sessions are the parent's."""
        self._sessions, self._lost = {}, {}

    @property
    def lost(self) -> int:
        """How many calls have not come back."""
        return self._deadlines.lost

    def limit(self, seconds: float) -> None:
        """The calls that are in no session."""
        self._of_no_session = max(seconds, self._of_no_session)

    def limit_session(self, session: int, seconds: float) -> None:
        self._sessions[session] = seconds

    def when_back(self, session: int, act: Callable[[], object]) -> bool:
        """Does `act` when the lost call in the session has come back. False where there is none."""
        call = self._lost.get(session)
        if call is not None:
            call.then.append(lambda _rv: act())
        return call is not None

    def _limiting(self, name: str, function: CFunction) -> CFunction:
        call, of_no_session = self._deadlines.call, name in _OF_NO_SESSION

        def limited(*arguments: Any) -> int:
            session = arguments[0]
            if name == "C_Finalize" and self.lost:
                raise CngError(
                    NTSTATUS.STATUS_DEVICE_BUSY,
                    f"the module cannot be initialised again: {self.lost} calls have not come back from it",
                )
            seconds = self._of_no_session if of_no_session else self._sessions.get(session)
            if seconds is None:
                return function(*arguments)
            if not of_no_session and session in self._lost:
                raise CngError(
                    NTSTATUS.STATUS_IO_TIMEOUT, f"{name} was not begun: an earlier call in its session hangs"
                )
            if name == "C_CloseSession":
                del self._sessions[session]
            return call(
                seconds, name, function, *arguments, when_lost=lambda lost: self._lose(name, session, arguments, lost)
            )

        return limited

    def _lose(self, name: str, session: int, arguments: tuple[Any, ...], lost: Call) -> None:
        if name == "C_OpenSession":
            # Nobody will know of the session that it opens.
            lost.then.append(lambda rv: self._close(arguments[-1][0]) if rv == CKR.OK else None)
        elif name not in _OF_NO_SESSION:
            self._lost[session] = lost
            lost.then.append(lambda _rv: self._lost.pop(session, None))


class LoadedModule(Protocol):
    """A module, loaded once."""

    @property
    def path(self) -> str: ...
    @property
    def cryptoki(self) -> Cryptoki: ...


_limits: WeakKeyDictionary[LoadedModule, ModuleDeadlines] = WeakKeyDictionary()
_limiting = ProcessLock()


def limited_by(module: LoadedModule, seconds: float) -> ModuleDeadlines:
    """The deadlines of a module, whose calls outside of sessions may take so many seconds at least."""
    with _limiting.held():
        limits = _limits.get(module)
        if limits is None:
            limits = _limits[module] = ModuleDeadlines(module.cryptoki, module.path)
    limits.limit(seconds)
    return limits


def limits_of(module: LoadedModule) -> ModuleDeadlines | None:
    """None where nobody asked for any."""
    return _limits.get(module)
