"""Running stream ciphers: an operation that goes on from call to call in a session of its own (PKCS#11 3.2, 5.8, 5.9).

Only a few are kept; one that gave way, or whose session was lost, is begun again and passes over the bytes that earlier
calls used up.
"""

from __future__ import annotations

from typing import NamedTuple
from weakref import WeakKeyDictionary

from hwcng.errors import NTSTATUS, CngError
from hwcng.forking import ProcessLock, at_work, foreign_work_begins
from hwcng.providers.pkcs11.connection import Connection, Session
from hwcng.providers.pkcs11.cryptoki.calls import ffi
from hwcng.providers.pkcs11.cryptoki.return_values import CKR
from hwcng.providers.pkcs11.mechanisms import MechanismCall
from hwcng.providers.pkcs11.operations import Stream

__all__ = ["KeyStreams"]

CAPACITY = 4
SKIPPED_AT_ONCE = 1 << 16


class _Running(NamedTuple):
    session: Session
    position: int
    verb: str


class KeyStreams:
    """The running operations of one connection, oldest first, each by its key's own. Safe for any number of threads.

    The session of a key that goes is one that nobody gave back, and is closed as such.
    """

    def __init__(self) -> None:
        self._running: WeakKeyDictionary[Stream, _Running] = WeakKeyDictionary()
        self._lock = ProcessLock()

    def crypt(
        self, connection: Connection, of: Stream, verb: str, call: MechanismCall, key: int, position: int, data: bytes
    ) -> bytes:
        """`data` under the key stream from `position` on. verb: "Encrypt" or "Decrypt"."""
        connection.require_alive()
        running = self._take(of)
        for once_more in (True, False):
            rv, result, session = self._attempt(connection, running, verb, call, key, position, data)
            if rv == CKR.OK:
                break
            running, once_more = None, once_more and connection.was_dead(session, rv)
            error = None if once_more else connection.error(rv, f"the key stream from byte {position} on failed")
            connection.discard(session)
            if error is not None:
                raise error
        at_work.discard(session.work)
        self._keep(connection, of, _Running(session, position + len(data), verb))
        return result

    @staticmethod
    def _attempt(
        connection: Connection,
        running: _Running | None,
        verb: str,
        call: MechanismCall,
        key: int,
        position: int,
        data: bytes,
    ) -> tuple[int, bytes, Session]:
        """The CKR, the result, and the session at work: `running`'s where it is at that position."""
        if running is not None and (running.position, running.verb) != (position, verb):
            connection.discard(running.session)
            running = None
        if running is None:
            session = connection.borrow((key,))
        else:
            session = running.session
            # Its key is in the operation already.
            session.work.keys = ()
            foreign_work_begins(session.work)
        try:
            rv, result = _go_on(connection, session, verb, call, key, position if running is None else None, data)
        except BaseException:
            connection.discard(session)
            raise
        return rv, result, session

    def _take(self, of: Stream) -> _Running | None:
        with self._lock.held():
            return self._running.pop(of, None)

    def _keep(self, connection: Connection, of: Stream, running: _Running) -> None:
        with self._lock.held():
            replaced = self._running.pop(of, None)
            self._running[of] = running
            oldest = self._oldest() if len(self._running) > CAPACITY else None
        for gone in (replaced, oldest):
            if gone is not None:
                connection.discard(gone.session)
        if not connection.alive:
            self.end_all(connection)

    def _oldest(self) -> _Running | None:
        for of in self._running:
            return self._running.pop(of, None)
        return None

    def end(self, connection: Connection, of: Stream) -> None:
        """For a key that ends."""
        running = self._take(of)
        if running is not None:
            connection.discard(running.session)

    def give_way(self, connection: Connection) -> bool:
        """Ends the oldest, for a token that has no more sessions. False where there is none."""
        with self._lock.held():
            oldest = self._oldest()
        if oldest is not None:
            connection.discard(oldest.session)
        return oldest is not None

    def end_all(self, connection: Connection) -> None:
        while self.give_way(connection):
            pass


def _go_on(
    connection: Connection, session: Session, verb: str, call: MechanismCall, key: int, skip: int | None, data: bytes
) -> tuple[int, bytes]:
    """The CKR and the result. skip: bytes to pass over in an operation that begins here, None where it runs already."""
    cryptoki = connection.cryptoki
    update = getattr(cryptoki, f"C_{verb}Update")
    rv: int = CKR.OK
    if skip is not None:
        rv = getattr(cryptoki, f"C_{verb}Init")(session.handle, call.structure, key)
        while rv == CKR.OK and skip:
            chunk = bytes(min(skip, SKIPPED_AT_ONCE))
            rv = update(session.handle, chunk, len(chunk), session.output_of(len(chunk)), session.length)
            skip -= len(chunk)
    if rv != CKR.OK:
        return rv, b""
    output = session.output_of(len(data))
    rv = update(session.handle, data, len(data), output, session.length)
    if rv != CKR.OK:
        return rv, b""
    buffer = ffi.buffer(output, session.length[0])
    result = bytes(buffer)
    buffer[:] = bytes(len(result))
    if len(result) != len(data):
        raise CngError(
            NTSTATUS.STATUS_NOT_SUPPORTED,
            f"token {connection.token_name!r} keeps stream cipher output back: {len(result)} of {len(data)} bytes",
        )
    return rv, result
