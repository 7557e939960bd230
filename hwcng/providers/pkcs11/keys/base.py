"""What every key in a PKCS#11 token is: an object, its connection, and what its token offers."""

from __future__ import annotations

from typing import Protocol

from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.pkcs11.capabilities import MechanismSet
from hwcng.providers.pkcs11.connection import Connection

__all__ = ["HeldObject", "TokenKey", "not_supported"]


def not_supported(message: str) -> CngError:
    return CngError(NTSTATUS.STATUS_NOT_SUPPORTED, message)


class HeldObject(Protocol):
    """What a key holds: an object of this process' (`SessionObject`) or a named one (`NamedObject`).

    persistent: whether the object outlives its holders. name: by which it is found again, None where it is not. at: the
    connection and the handle.
    """

    @property
    def persistent(self) -> bool: ...
    @property
    def name(self) -> str | None: ...
    @property
    def at(self) -> tuple[Connection, int]: ...
    @property
    def connection(self) -> Connection: ...
    @property
    def handle(self) -> int: ...
    def share(self) -> HeldObject: ...
    def release(self) -> None: ...


class TokenKey:
    def __init__(self, held: HeldObject, offered: MechanismSet) -> None:
        self.held = held
        self.name: str | None = held.name
        self.offered = offered
        self._ended = False

    @property
    def connection(self) -> Connection:
        return self.held.connection

    @property
    def ended(self) -> bool:
        return self._ended

    def destroy(self) -> None:
        if not self._ended:
            self._ended = True
            self.held.release()
