"""The connections of a process: one to each TPM, however many providers are open on it (TPM 2.0 Part 1, section 30)."""

from __future__ import annotations

from hwcng.forking import ProcessLock
from hwcng.providers.tpm2.line.connection import Connection
from hwcng.providers.tpm2.line.tcti import canonical

__all__ = ["release", "share"]

_sharing = ProcessLock()
_shared: dict[tuple[str, float | None], tuple[Connection, int]] = {}


def share(tcti: str | None, timeout: float | None) -> Connection:
    """The process' connection to this TPM: two would take each other's slots. Give it back with `release`.

    timeout: seconds that a command may take, None for the transport's own.
    """
    with _sharing.held():
        key = canonical(tcti), timeout
        connection, users = _shared.get(key, (None, 0))
        if connection is None:
            connection = Connection(tcti, timeout)
        _shared[key] = (connection, users + 1)
        return connection


def release(connection: Connection) -> None:
    """Closes the connection where this was its last user."""
    with _sharing.held():
        for key, (shared, users) in list(_shared.items()):
            if shared is connection:
                if users > 1:
                    _shared[key] = (shared, users - 1)
                    return
                del _shared[key]
        connection.close()
