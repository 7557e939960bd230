"""Which sessions a module has open and which session objects a token holds."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from pkcs11 import Attribute

from hwcng.providers.pkcs11 import objects
from hwcng.providers.pkcs11.provider import Pkcs11Provider
from hwcng.testing.calls import CFunction

CKR_SESSION_HANDLE_INVALID = 0xB3


def pool(provider: Pkcs11Provider) -> set[int]:
    """The sessions that a provider holds while none of its operations is in flight."""
    current = provider._current
    return {session.handle for session in (*current._idle, *current._owners)}


class OpenSessions:
    """The sessions of a module that are open: those of `provider`, and all that are opened from now on."""

    def __init__(self, provider: Pkcs11Provider) -> None:
        self._lock = threading.Lock()
        self.handles = pool(provider)
        self.opened = 0
        self.closed_twice = 0
        self.undo: Callable[[], None] = provider.cryptoki.instrument(self._noted)

    def _noted(self, name: str, function: CFunction) -> CFunction:
        if name == "C_OpenSession":
            return lambda *arguments: self._open(function, *arguments)
        if name == "C_CloseSession":
            return lambda handle: self._close(function, handle)
        return function

    def _open(self, function: CFunction, *arguments: Any) -> int:
        rv = function(*arguments)
        if rv == 0:
            with self._lock:
                self.handles.add(int(arguments[-1][0]))
                self.opened += 1
        return rv

    def _close(self, function: CFunction, handle: int) -> int:
        with self._lock:
            self.closed_twice += handle not in self.handles
            self.handles.discard(handle)
        return function(handle)


def session_objects(provider: Pkcs11Provider) -> int:
    """How many session objects the provider's token holds for this process."""
    return len(objects.find(provider._connection, {Attribute.TOKEN: False}))
