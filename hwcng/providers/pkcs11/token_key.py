"""What every key in a PKCS#11 token is: an object, its connection, and what its token offers."""

from __future__ import annotations

from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.pkcs11.capabilities import MechanismSet
from hwcng.providers.pkcs11.objects import SessionObject
from hwcng.providers.pkcs11.sessions import Connection

__all__ = ["TokenKey", "not_supported"]


def not_supported(message: str) -> CngError:
    return CngError(NTSTATUS.STATUS_NOT_SUPPORTED, message)


class TokenKey:
    def __init__(self, held: SessionObject, offered: MechanismSet) -> None:
        self.held = held
        self.offered = offered
        self._ended = False

    @property
    def connection(self) -> Connection:
        return self.held.connection

    def destroy(self) -> None:
        if not self._ended:
            self._ended = True
            self.held.release()
