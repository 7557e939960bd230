"""Sessions with one token (OASIS PKCS#11 3.2, sections 5.6 and 6.7).

Session objects die with the session that made them, so owner sessions make keys and live as long as the connection,
while pooled sessions work and are thrown away after any error. The token is logged in to once and never logged out of,
because a logout destroys everybody's private session objects. The first owner session is the connection's witness.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping

from hwcng.errors import HRESULT, NTSTATUS, CngError
from hwcng.forking import ProcessLock, at_work, entered, foreign_work_begins, forks_under_way, notice_fork
from hwcng.providers.pkcs11.cryptoki.calls import ffi
from hwcng.providers.pkcs11.cryptoki.return_values import CKR, CONNECTION_LOST, HANDLE_GONE, token_error
from hwcng.providers.pkcs11.logins import Login, UserPin
from hwcng.providers.pkcs11.losses import LOSSES, Standing, Witness, explanation, meaning, of_sessions
from hwcng.providers.pkcs11.mechanisms import MechanismCall
from hwcng.providers.pkcs11.module import Module
from hwcng.providers.pkcs11.operations import OUTPUT_ROOM, Operation, Session
from hwcng.providers.pkcs11.stream_ciphers import KeyStreams
from hwcng.providers.pkcs11.tokens import FoundToken

__all__ = ["Connection", "Session"]

CKF_RW_SESSION = 0x2
CKF_SERIAL_SESSION = 0x4

SESSION_WAIT_SECONDS = 30.0

_OK = frozenset({CKR.OK})
_ENDED = frozenset({CKR.OK, CKR.SESSION_READ_ONLY})


class Connection:
    """A connection with one token, logged in by `log_in`. Dead after a loss, a fork or `close`.

    Safe for any number of threads. stale_handles: how often the token knew a handle no more; one that was found before
    may be stale since.
    """

    def __init__(self, module: Module, found: FoundToken, pin: UserPin) -> None:
        self.module = module
        self.cryptoki = module.cryptoki
        self.slot = found.slot
        self.token_name = found.info.label
        self.identity = found.identity
        self.login = Login(module, found, pin)
        self.stale_handles = 0
        self._end: tuple[str, NTSTATUS] | None = None
        self._inherited = False
        self._generation = module.generation
        self._idle: deque[Session] = deque()
        self._owners: deque[Session] = deque()
        self._garbage: deque[int] = deque()
        self._leaving: deque[int] = deque()
        self._destroying = 0
        self._destruction = ProcessLock()
        self.key_streams = KeyStreams()
        self._waiting = 0
        self._returned = threading.Condition()
        module.enlist(self)
        rv, handle = self._open(CKF_RW_SESSION)
        if rv != CKR.OK:
            self._abandon("it was never opened", NTSTATUS.STATUS_DEVICE_NOT_CONNECTED)
            raise token_error(rv, f"C_OpenSession failed on token {self.token_name!r}")
        self._witness = Witness(module, found, handle)
        self._owners.append(Session(handle, module))

    def log_in(self) -> None:
        """The connection is dead where that fails. Raises as `Login.log_in` does."""
        try:
            if self.login.required:
                # A login lets all sessions of the process in again, so that they would not tell what they lost.
                self.module.ask_others(self)
            self.login.log_in(self._witness.session)
            if self.login.required:
                self._witness.logged_in()
        except BaseException:
            self._abandon("the login failed", NTSTATUS.STATUS_SMARTCARD_CARD_NOT_AUTHENTICATED)
            self._close_all(self._owners)
            raise

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
        """Whether the token still knows the witness, logged in. Where not, the connection is dead from now on."""
        notice_fork()
        if self._end is None and (loss := self._witness.loss()) is not None:
            self._lose(LOSSES[loss][0])
        return self._end is None

    def sees_all(self) -> bool:
        """Whether what it does not find is not there: `answers`, and its token is in the slot. Dead where not."""
        if self.answers() and not self._witness.token_is_there():
            self._lose()
        return self._end is None

    def _lose(self, what: str = LOSSES[Standing.GONE][0]) -> None:
        self._abandon(f"{what}; open it by its name or make it again", NTSTATUS.STATUS_INVALID_DEVICE_STATE)

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
        """The error for `rv` of an operation. The witness is asked: where it is lost, so is the connection.

        Where the connection ended during the call, that is the error, whatever the token made of it.
        """
        on_token = f"{message} on token {self.token_name!r}"
        if self._end is not None:
            reason, status = self._end
            return token_error(rv, f"{on_token}: {reason}", {rv: status})
        if (loss := self._witness.loss(rv)) is not None:
            reason, status = LOSSES[loss]
            self._lose(reason)
            return token_error(rv, f"{on_token}: {reason}", {} if rv in CONNECTION_LOST else {rv: status})
        if of_sessions(rv) and not (verdicts and rv in verdicts):
            self._retire()
        return self._alone(rv, message, verdicts)

    def _alone(self, rv: int, message: str, verdicts: Mapping[int, NTSTATUS | HRESULT] | None) -> CngError:
        """The error for `rv` of an operation that failed alone."""
        if rv in HANDLE_GONE:
            self.stale_handles += 1
        return token_error(rv, f"{message} on token {self.token_name!r}{explanation(rv)}", meaning(rv, verdicts))

    def was_dead(self, session: Session, rv: int) -> bool:
        """Whether the token knows `session` no more while the connection lives: then nothing was done in it.

        rv: what a call in it answered. The other sessions are thrown away too, as they may be dead alike.
        """
        if not of_sessions(rv) or self._end is not None:
            return False
        dead = self._witness.standing(session.handle) is Standing.GONE and self._witness.loss() is None
        if dead:
            self._retire()
        return dead

    def _retire(self) -> None:
        """Throws the idle sessions away, and of the owners those that are dead."""
        self._close_all(self._idle)
        for owner in list(self._owners):
            if owner.handle != self._witness.session and self._witness.standing(owner.handle) is Standing.GONE:
                with contextlib.suppress(ValueError):
                    self._owners.remove(owner)

    def _open(self, flags: int) -> tuple[int, int]:
        handle = ffi.new("CK_ULONG *")
        with self.module.calling():
            if self._end is not None:
                self.require_alive("the connection")
            rv = self.cryptoki.C_OpenSession(self.slot, CKF_SERIAL_SESSION | flags, ffi.NULL, ffi.NULL, handle)
            if rv == CKR.TOKEN_WRITE_PROTECTED and flags:
                rv = self.cryptoki.C_OpenSession(self.slot, CKF_SERIAL_SESSION, ffi.NULL, ffi.NULL, handle)
        return rv, int(handle[0])

    def borrow(self, keys: tuple[int, ...] = ()) -> Session:
        """A session for an operation that uses `keys`, none of which is destroyed before it is over. Give it back with
        `give_back` after success, with `discard` after anything else.
        """
        if not entered[0]:
            notice_fork()
        try:
            session = self._idle.pop()
        except IndexError:
            session = None
        if session is None:
            self.require_alive()
            session = self._open_another(self._idle, 0)
        session.keys = keys
        at_work.add(session)
        if forks_under_way:
            foreign_work_begins(session)
        # Last, because C_Finalize waits for those at work when all connections are dead.
        if self._end is not None:
            self.discard(session)
            self.require_alive()
        # After it is at work, so that either this thread sees that a key is being destroyed or the other one sees the
        # operation. It is not waited for with a session that the other one may need.
        if self._destroying and keys:
            self.give_back(session)
            with self._destruction.held():
                return self.borrow(keys)
        return session

    def _open_another(self, pool: deque[Session], flags: int) -> Session:
        """A new session; where the token has no more, the first that comes back to `pool`."""
        deadline = time.monotonic() + SESSION_WAIT_SECONDS
        while True:
            rv, handle = self._open(flags)
            if rv == CKR.OK:
                return Session(handle, self.module)
            if rv != CKR.SESSION_COUNT or time.monotonic() > deadline:
                if of_sessions(rv):
                    self.sees_all()
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
        if self._leaving and not self._destroying:
            self._destroy_leaving()

    def _returned_to(self, pool: deque[Session]) -> None:
        if self._end is not None:
            self._close_all(pool)
        with self._returned:
            self._returned.notify_all()

    def discard(self, session: Session) -> None:
        """Closes a session that may have an operation left in it."""
        notice_fork()
        with self.module.calling():
            # After another C_Initialize the handle can be somebody else's.
            if not self._inherited and self._generation == self.module.generation:
                self.cryptoki.C_CloseSession(session.handle)
        at_work.discard(session)
        if self._leaving and not self._destroying:
            self._destroy_leaving()

    def _close_all(self, sessions: deque[Session]) -> None:
        with contextlib.suppress(IndexError):
            while True:
                self.discard(sessions.pop())

    def perform(self, calls: Callable[[Session], int], *keys: int, sound: Collection[int] = _OK) -> int:
        """The CKR of an operation in a pooled session, in another one where that was dead before.

        keys: that it uses. sound: answers after which the session has no operation left in it.
        """
        for once_more in (True, False):
            session = self.borrow(keys)
            try:
                rv = calls(session)
            except BaseException:
                self.discard(session)
                raise
            if rv in sound:
                self.give_back(session)
                break
            once_more = once_more and self.was_dead(session, rv)
            self.discard(session)
            if not once_more:
                break
        return rv

    @contextlib.contextmanager
    def owning(self, *keys: int) -> Iterator[Session]:
        """A session whose objects live as long as this connection. keys: that the operation in it uses."""
        session = self._own(keys)
        try:
            if self._end is not None:
                self.require_alive("the connection")
            yield session
        finally:
            self._give_back_owner(session)

    def _own(self, keys: tuple[int, ...]) -> Session:
        if not entered[0]:
            notice_fork()
        if self._end is not None:
            self.require_alive("the connection")
        if self._garbage:
            self._collect_garbage()
        return self._borrow_owner(keys)

    def _borrow_owner(self, keys: tuple[int, ...]) -> Session:
        try:
            session = self._owners.pop()
        except IndexError:
            session = self._open_another(self._owners, CKF_RW_SESSION)
        session.keys = keys
        foreign_work_begins(session)
        if self._destroying and keys:
            self._give_back_owner(session)
            with self._destruction.held():
                return self._borrow_owner(keys)
        return session

    def _give_back_owner(self, session: Session) -> None:
        at_work.discard(session)
        self._owners.append(session)
        if self._end is not None or self._waiting:
            self._returned_to(self._owners)
        if self._leaving and not self._destroying:
            self._destroy_leaving()

    def produce(self, calls: Callable[[Session], int], *keys: int) -> int:
        """The CKR of calls that make or change an object by `keys`, in an owner session, another if it was dead."""
        session, rv = self._produced(calls, keys)
        # Only this answer says that nothing was made.
        if rv == CKR.SESSION_HANDLE_INVALID and self.was_dead(session, rv):
            session, rv = self._produced(calls, keys)
        return rv

    def _produced(self, calls: Callable[[Session], int], keys: tuple[int, ...]) -> tuple[Session, int]:
        session = self._own(keys)
        try:
            if self._end is not None:
                self.require_alive("the connection")
            return session, calls(session)
        finally:
            self._give_back_owner(session)

    def crypt(
        self, operation: Operation, call: MechanismCall, key: int, data: bytes, room: int, *, once_more: bool = True
    ) -> bytes:
        """The two C_ calls of an operation; `room`: bytes the result can have at most. once_more: whether to repeat it
        where the session was dead before.
        """
        session = self.borrow((key,))
        cryptoki = self.cryptoki
        try:
            rv = begun = getattr(cryptoki, operation.begin)(session.handle, call.structure, key)
            if not rv:
                if operation.authenticate:
                    self._authenticate(session)
                if room > OUTPUT_ROOM:
                    rv, result = self._at_length(session, operation, data, room)
                else:
                    length = session.length
                    length[0] = OUTPUT_ROOM
                    rv = getattr(cryptoki, operation.end)(session.handle, data, len(data), session.output, length)
                    if not rv:
                        result = session.octets[: length[0]]
                        if operation.wipe:
                            session.octets[: len(result)] = bytes(len(result))
        except BaseException:
            self.discard(session)
            raise
        if rv:
            return self._crypt_failed(operation, call, key, data, room, session, begun, rv, once_more)
        self.give_back(session)
        return result

    def _at_length(self, session: Session, operation: Operation, data: bytes, room: int) -> tuple[int, bytes]:
        """The CKR and the result of an operation that has begun, whose result the token writes where it stays."""
        # Nobody else has this object yet, as after PyBytes_FromStringAndSize with NULL, and its memory is still fresh.
        result = bytes(room)
        output = ffi.from_buffer("unsigned char[]", result)
        length = session.length
        length[0] = room
        rv = getattr(self.cryptoki, operation.end)(session.handle, data, len(data), output, length)
        if rv or length[0] == room:
            return rv, result
        shorter = result[: length[0]]
        if operation.wipe:
            ffi.memmove(output, bytes(len(shorter)), len(shorter))
        return rv, shorter

    def _crypt_failed(
        self,
        operation: Operation,
        call: MechanismCall,
        key: int,
        data: bytes,
        room: int,
        session: Session,
        begun: int,
        rv: int,
        once_more: bool,
    ) -> bytes:
        """Raises the error for `rv`, or repeats the operation in another session. begun: the first call's answer."""
        verdicts, asked = operation.verdicts, operation.asked
        judged = begun == CKR.OK and verdicts is not None and rv in verdicts and self._end is None
        if judged and (operation.quiet or not of_sessions(rv)):
            session.judged = True
            self.give_back(session)
            raise self._alone(rv, asked, verdicts)
        # A decryption changes nothing, and of the others only one answer says that nothing was done.
        undone = begun != CKR.OK or operation.end == "C_Decrypt" or rv == CKR.SESSION_HANDLE_INVALID
        again = session.judged if rv == CKR.OPERATION_ACTIVE else undone and self.was_dead(session, rv)
        if once_more and again:
            self.discard(session)
            return self.crypt(operation, call, key, data, room, once_more=False)
        error = self.error(rv, asked, verdicts if begun == CKR.OK else None)
        if judged and self._end is None:
            session.judged = True
            self.give_back(session)
        else:
            self.discard(session)
        raise error

    def _authenticate(self, session: Session) -> None:
        """The login of one operation. A card that is not there any more is a loss; no other failure ends other keys."""
        try:
            self.login.authenticate(session.handle)
        except CngError as error:
            # A card forgets the user after a wrong PIN, but it is there.
            if error.token_code is not None and error.status is not NTSTATUS.STATUS_SMARTCARD_WRONG_PIN:
                told = self.error(int(error.token_code), "the key's own authentication failed")
                if self._end is not None:
                    raise told from error
            raise

    def destroy_object(self, handle: int) -> None:
        """C_DestroyObject, once no operation under way uses the key: SoftHSM reads freed memory where one does.

        A key that the token has lost is destroyed already.
        """
        self._destroy_or_queue(handle)
        if self._leaving:
            self._destroy_leaving()

    def _destroy_leaving(self) -> None:
        with contextlib.suppress(IndexError):
            for _ in range(len(self._leaving)):
                self._destroy_or_queue(self._leaving.popleft())

    def _destroy_or_queue(self, handle: int) -> None:
        with self._destruction.held():
            self._destroying += 1
            try:
                if free := not self._in_use(handle):
                    self._destroy_now(handle)
            finally:
                self._destroying -= 1
        if not free:
            self._leaving.append(handle)
            # The operation may have ended before the handle was in the line.
            if not self._in_use(handle):
                self._destroy_leaving()

    def _in_use(self, handle: int) -> bool:
        if not at_work:
            return False
        return any(isinstance(work, Session) and handle in work.keys for work in at_work.copy())

    def _destroy_now(self, handle: int) -> None:
        if self._end is None:
            with contextlib.suppress(CngError):
                rv = self.perform(lambda session: self.cryptoki.C_DestroyObject(session.handle, handle), sound=_ENDED)
                if rv == CKR.SESSION_READ_ONLY:
                    # Some keep session objects as they keep token objects, and for ever: tpm2-pkcs11 1.9.1.
                    rv = self.produce(lambda session: self.cryptoki.C_DestroyObject(session.handle, handle))
                if rv != CKR.OK:
                    self.answers()

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
