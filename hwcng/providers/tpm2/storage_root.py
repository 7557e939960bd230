"""The storage root key: read, and made where there is none (TCG TPM v2.0 Provisioning Guidance, section 7.5)."""

from __future__ import annotations

from hwcng.providers.events import note
from hwcng.providers.tpm2.line.connection import Connection
from hwcng.providers.tpm2.wire import commands
from hwcng.providers.tpm2.wire.constants import RC
from hwcng.providers.tpm2.wire.errors import TpmError
from hwcng.providers.tpm2.wire.public_area import STORAGE_ROOT_HANDLE, STORAGE_ROOT_KEY

__all__ = ["make", "read"]


def read(connection: Connection) -> bytes | None:
    try:
        return commands.read_public(connection, STORAGE_ROOT_HANDLE)[0]
    except TpmError as error:
        if error.code == RC.HANDLE:
            return None
        raise


def make(connection: Connection, owner_auth: bytes, name: bytes | None) -> None:
    """name: of the only one that is wanted."""
    try:
        connection.esys(lambda esys: esys.persist_primary(STORAGE_ROOT_KEY, STORAGE_ROOT_HANDLE, owner_auth, name))
        note("storage_root.made", handle=f"{STORAGE_ROOT_HANDLE:#x}", token=connection.title)
    except TpmError as error:
        # Another process was faster, or we were before the line broke.
        if error.code != RC.NV_DEFINED:
            raise
