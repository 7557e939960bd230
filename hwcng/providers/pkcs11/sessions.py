"""Sessions with one token (OASIS PKCS#11 3.2, sections 5.6 and 6.7).

Session objects die with the session that made them, so owner sessions make keys and live as long as the connection,
while pooled sessions work and are thrown away after any error. The token is logged in to once and never logged out of,
because a logout destroys everybody's private session objects.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping

from hwcng.errors import HRESULT, NTSTATUS, CngError
from hwcng.forking import at_work, entered, foreign_work, foreign_work_begins, forks_under_way, notice_fork
from hwcng.providers.pkcs11.ckr import CKR, CONNECTION_LOST, HANDLE_GONE, token_error
from hwcng.providers.pkcs11.cryptoki import CData, ffi
from hwcng.providers.pkcs11.key_streams import KeyStreams
from hwcng.providers.pkcs11.logins import Login, UserPin
from hwcng.providers.pkcs11.mechanisms import MechanismCall
from hwcng.providers.pkcs11.module import Module
from hwcng.providers.pkcs11.tokens import FoundToken

__all__ = ["Connection", "Session"]

CKF_RW_SESSION = 0x2
CKF_SERIAL_SESSION = 0x4

OUTPUT_ROOM = 4096
SESSION_WAIT_SECONDS = 30.0


class Session:
    """An open session and the memory its operations reuse.

    judged: whether an operation in it ended with the token's verdict on the data, after which some tokens may not have
    ended it.
    """

    __slots__ = ("handle", "judged", "length", "mechanism", "output", "room")

    def __init__(self, handle: int) -> None:
        self.handle = handle
        self.judged = False
        self.mechanism: CData = ffi.new("CK_MECHANISM *")
        self.length: CData = ffi.new("CK_ULONG *")
        self.room = OUTPUT_ROOM
        self.output: CData = ffi.new("unsigned char[]", OUTPUT_ROOM)

    def set_mechanism(self, call: MechanismCall) -> CData:
        mechanism = self.mechanism
        mechanism.mechanism = call.mechanism
        mechanism.pParameter = call.parameter
        mechanism.ulParameterLen = call.parameter_length
        return mechanism

    def output_of(self, room: int) -> CData:
        """A buffer of at least `room` bytes, and its size in `length`."""
        if room <= self.room:
            self.length[0] = self.room
            return self.output
        self.length[0] = room
        return ffi.new("unsigned char[]", room)


class Connection:
    """A logged-in connection with one token. Safe for any number of threads. Dead after a loss, a fork or `close`.

    stale_handles: how often the token knew a handle no more; one that was found before may be stale since.
    """

    def __init__(self, module: Module, found: FoundToken, pin: UserPin) -> None:
        self.module = module
        self.cryptoki = module.cryptoki
        self.slot = found.slot
        self.token_name = found.info.label
        self.login = Login(module, found, pin)
        self.stale_handles = 0
        self._end: tuple[str, NTSTATUS] | None = None
        self._inherited = False
        self._generation = module.generation
        self._idle: deque[Session] = deque()
        self._owners: deque[Session] = deque()
        self._garbage: deque[int] = deque()
        self.key_streams = KeyStreams()
        self._waiting = 0
        self._returned = threading.Condition()
        module.enlist(self)
        rv, handle = self._open(CKF_RW_SESSION)
        if rv != CKR.OK:
            raise self.error(rv, "C_OpenSession failed")
        owner = Session(handle)
        try:
            self.login.log_in(owner.handle)
        except BaseException:
            self._abandon("the login failed", NTSTATUS.STATUS_SMARTCARD_CARD_NOT_AUTHENTICATED)
            self.cryptoki.C_CloseSession(owner.handle)
            raise
        self._owners.append(owner)

    @property
    def alive(self) -> bool:
        if not entered[0]:
            notice_fork()
        return self._end is None

    def _abandon(self, reason: str, status: NTSTATUS) -> None:
        """Marks the connection dead without a call to the token. The first reason stays."""
        if self._end is None:
            self._end = (reason, status)

    def answers(self) -> bool:
        """Whether the token still knows the sessions. Where it does not, the connection is dead from now on."""
        # An owner at work is not asked: its call will tell.
        with contextlib.suppress(IndexError):
            info = ffi.new("CK_SESSION_INFO *")
            if self._end is None and self.cryptoki.C_GetSessionInfo(self._owners[0].handle, info) in CONNECTION_LOST:
                self._lose()
        return self._end is None

    def _lose(self) -> None:
        self._abandon(
            "the connection with the token was lost; open it by its name or make it again",
            NTSTATUS.STATUS_INVALID_DEVICE_STATE,
        )

    def after_fork_in_child(self) -> None:
        """The sessions are the parent's: dead here, and never closed from here."""
        self._abandon(
            "it was made before fork, in the parent process; open or make it again in this process",
            NTSTATUS.STATUS_INVALID_HANDLE,
        )
        self._inherited = True
        self._returned = threading.Condition()

    def require_alive(self, what: str = "the key") -> None:
        notice_fork()
        if self._end is not None:
            reason, status = self._end
            raise CngError(status, f"{what} of token {self.token_name!r} is gone: {reason}")

    def error(self, rv: int, message: str, verdicts: Mapping[int, NTSTATUS | HRESULT] | None = None) -> CngError:
        """The error for `rv`; where it says that the connection is lost, the connection is dead from now on.

        Where the connection ended during the call, that is the error, whatever the token made of it.
        """
        if self._end is not None:
            reason, status = self._end
            return token_error(rv, f"{message} on token {self.token_name!r}: {reason}", {rv: status})
        if rv in HANDLE_GONE:
            self.stale_handles += 1
        if rv in CONNECTION_LOST:
            self._lose()
        return token_error(rv, f"{message} on token {self.token_name!r}", verdicts)

    def _open(self, flags: int) -> tuple[int, int]:
        handle = ffi.new("CK_ULONG *")
        with foreign_work():
            rv = self.cryptoki.C_OpenSession(self.slot, CKF_SERIAL_SESSION | flags, ffi.NULL, ffi.NULL, handle)
            if rv == CKR.TOKEN_WRITE_PROTECTED and flags:
                rv = self.cryptoki.C_OpenSession(self.slot, CKF_SERIAL_SESSION, ffi.NULL, ffi.NULL, handle)
        return rv, int(handle[0])

    def borrow(self) -> Session:
        """A session to work with. Give it back with `give_back` after success, with `discard` after anything else."""
        if not entered[0]:
            notice_fork()
        if self._end is not None:
            self.require_alive()
        try:
            session = self._idle.pop()
        except IndexError:
            session = self._open_another(self._idle, 0)
        at_work.add(session)
        if forks_under_way:
            foreign_work_begins(session)
        return session

    def _open_another(self, pool: deque[Session], flags: int) -> Session:
        """A new session; where the token has no more, the first that comes back to `pool`."""
        deadline = time.monotonic() + SESSION_WAIT_SECONDS
        while True:
            rv, handle = self._open(flags)
            if rv == CKR.OK:
                return Session(handle)
            if rv != CKR.SESSION_COUNT or time.monotonic() > deadline:
                raise self.error(rv, "C_OpenSession failed")
            if self.key_streams.give_way(self):
                continue
            with self._returned:
                self._waiting += 1
                # The timeout covers the session that came back before the wait began.
                self._returned.wait(0.05)
                self._waiting -= 1
            with contextlib.suppress(IndexError):
                return pool.pop()

    def give_back(self, session: Session) -> None:
        at_work.discard(session)
        self._idle.append(session)
        if self._end is not None or self._waiting:
            self._returned_to(self._idle)

    def _returned_to(self, pool: deque[Session]) -> None:
        if self._end is not None:
            self._close_all(pool)
        with self._returned:
            self._returned.notify_all()

    def discard(self, session: Session) -> None:
        """Closes a session that may have an operation left in it."""
        notice_fork()
        # After another C_Initialize the handle can be somebody else's.
        if not self._inherited and self._generation == self.module.generation:
            with foreign_work():
                self.cryptoki.C_CloseSession(session.handle)
        at_work.discard(session)

    def _close_all(self, sessions: deque[Session]) -> None:
        with contextlib.suppress(IndexError):
            while True:
                self.discard(sessions.pop())

    @contextlib.contextmanager
    def working(self) -> Iterator[Session]:
        """A pooled session for the calls of one operation."""
        session = self.borrow()
        try:
            yield session
        except BaseException:
            self.discard(session)
            raise
        self.give_back(session)

    @contextlib.contextmanager
    def owning(self) -> Iterator[Session]:
        """A session whose objects live as long as this connection."""
        notice_fork()
        if self._end is not None:
            self.require_alive("the connection")
        self._collect_garbage()
        try:
            session = self._owners.pop()
        except IndexError:
            session = self._open_another(self._owners, CKF_RW_SESSION)
        foreign_work_begins(session)
        try:
            yield session
        finally:
            at_work.discard(session)
            self._owners.append(session)
            self._returned_to(self._owners)

    def crypt(
        self,
        init: str,
        operate: str,
        call: MechanismCall,
        key: int,
        data: bytes,
        room: int,
        asked: str,
        verdicts: Mapping[int, NTSTATUS] | None = None,
        wipe: bool = False,
        authenticate: bool = False,
    ) -> bytes:
        """The two C_ calls of an encryption, decryption or signature; `room`: bytes the result can have at most.

        wipe: the result is a secret of the caller's, which must not stay in the session's memory. authenticate: whether
        the key asks for a login between the two (CKA_ALWAYS_AUTHENTICATE). A failure that `verdicts` names costs no
        further call, so that the number of calls does not tell it from a success.
        """
        session = self.borrow()
        cryptoki = self.cryptoki
        try:
            rv = initialised = getattr(cryptoki, init)(session.handle, session.set_mechanism(call), key)
            if rv == CKR.OK:
                if authenticate:
                    self.login.authenticate(session.handle)
                output = session.output_of(room)
                rv = getattr(cryptoki, operate)(session.handle, data, len(data), output, session.length)
                if rv == CKR.OK:
                    buffer = ffi.buffer(output, session.length[0])
                    result: bytes = buffer[:]
                    if wipe:
                        buffer[:] = bytes(len(result))
        except BaseException:
            self.discard(session)
            raise
        if rv != CKR.OK:
            if rv == CKR.OPERATION_ACTIVE and session.judged:
                self.discard(session)
                return self.crypt(init, operate, call, key, data, room, asked, verdicts, wipe, authenticate)
            error = self.error(rv, asked, verdicts)
            if initialised == CKR.OK and verdicts and rv in verdicts and self._end is None:
                session.judged = True
                self.give_back(session)
            else:
                self.discard(session)
            raise error
        self.give_back(session)
        return result

    def destroy_object(self, handle: int) -> None:
        """C_DestroyObject. A key that the token has lost is destroyed already."""
        if self._end is None:
            with contextlib.suppress(CngError):
                with self.working() as session:
                    rv = self.cryptoki.C_DestroyObject(session.handle, handle)
                    if rv not in (CKR.OK, CKR.SESSION_READ_ONLY):
                        raise self.error(rv, "destroying a key failed")
                if rv == CKR.SESSION_READ_ONLY:
                    self._destroy_in_owner(handle)

    def _destroy_in_owner(self, handle: int) -> None:
        """For tokens that keep session objects as they keep token objects, and for ever: tpm2-pkcs11 1.9.1."""
        with self.owning() as session:
            rv = self.cryptoki.C_DestroyObject(session.handle, handle)
        if rv != CKR.OK:
            raise self.error(rv, "destroying a key failed")

    def destroy_later(self, handle: int) -> None:
        """For finalisers, which may run in the middle of a call: the next creation of a key destroys the object."""
        if self._end is None:
            self._garbage.append(handle)

    def _collect_garbage(self) -> None:
        with contextlib.suppress(IndexError):
            while self._garbage:
                self.destroy_object(self._garbage.popleft())

    def close(self) -> None:
        """Closes every session, which ends every session object."""
        notice_fork()
        self._abandon("its provider was closed", NTSTATUS.STATUS_INVALID_HANDLE)
        self.key_streams.end_all(self)
        self._close_all(self._idle)
        self._close_all(self._owners)
