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
from time import perf_counter_ns
from typing import Protocol

from hwcng.contract.keys import Message
from hwcng.errors import HRESULT, NTSTATUS, CngError
from hwcng.forking import at_work, entered, foreign_work_begins, forks_under_way, notice_fork
from hwcng.providers.events import note
from hwcng.providers.pkcs11.cryptoki.calls import CFunction, ffi
from hwcng.providers.pkcs11.cryptoki.constants import SessionFlag
from hwcng.providers.pkcs11.cryptoki.deadlines import limited_by
from hwcng.providers.pkcs11.cryptoki.return_values import CKR, CONNECTION_LOST, HANDLE_GONE, token_error
from hwcng.providers.pkcs11.destroying import Destroying
from hwcng.providers.pkcs11.logins import Login, UserPin
from hwcng.providers.pkcs11.losses import LOSSES, Standing, Witness, explanation, meaning, of_sessions
from hwcng.providers.pkcs11.mechanisms import MechanismCall
from hwcng.providers.pkcs11.module import Module
from hwcng.providers.pkcs11.operations import MEASURED, OUTPUT_ROOM, Operation, Session, Stream, at_length
from hwcng.providers.pkcs11.quirks import Quirks
from hwcng.providers.pkcs11.tally import Tally
from hwcng.providers.pkcs11.tokens import FoundToken
from hwcng.providers.tallies import BUCKETS

__all__ = ["Connection", "RunningStreams", "Session"]

SESSION_WAIT_SECONDS = 30.0
_OK = frozenset({CKR.OK})


class RunningStreams(Protocol):
    """Operations of stream ciphers that go on from call to call, each in a session of its own."""

    def crypt(
        self, connection: Connection, of: Stream, verb: str, call: MechanismCall, key: int, position: int, data: bytes
    ) -> bytes: ...
    def end(self, connection: Connection, of: Stream) -> None: ...
    def give_way(self, connection: Connection) -> bool: ...
    def end_all(self, connection: Connection) -> None: ...


class Connection(Destroying):
    """A connection with one token, logged in by `log_in`. Dead after a loss, a fork or `close`.

    Safe for any number of threads. dead: what it is, unless this is a child that has not looked yet. stale_handles: how
    often the token knew a handle no more; one that was found before may be stale since.
    """

    def __init__(
        self,
        module: Module,
        found: FoundToken,
        pin: UserPin,
        streams: RunningStreams,
        quirks: Quirks,
        tally: Tally,
        seconds: float | None = None,
    ) -> None:
        """seconds: that a call may take, None for any time."""
        self.module = module
        self.tally = tally
        self._seconds = seconds
        self._deadlines = None if seconds is None else limited_by(module, seconds)
        self.cryptoki = module.cryptoki
        self._functions: dict[str, CFunction] = vars(module.cryptoki)
        self.slot = found.slot
        self.token_name = found.info.label
        self.identity = found.identity
        self.login = Login(module, found, pin)
        self.quirks = quirks
        super().__init__()
        self.stale_handles = 0
        self.dead = False
        self._end: tuple[str, NTSTATUS] | None = None
        self._inherited = False
        self._generation = module.generation
        self._flags_of_idle = 0 if quirks.read_only_sessions else int(SessionFlag.RW_SESSION)
        self._idle: deque[Session] = deque()
        self._owners: deque[Session] = deque()
        self._sessions = 0
        self.key_streams = streams
        self._waiting = 0
        self._returned = threading.Condition()
        module.enlist(self)
        try:
            rv, handle = self._open(SessionFlag.RW_SESSION)
            if rv != CKR.OK:
                raise token_error(rv, f"C_OpenSession failed on token {self.token_name!r}")
        except BaseException:
            self._abandon("it was never opened", NTSTATUS.STATUS_DEVICE_NOT_CONNECTED)
            raise
        self._witness = Witness(module, found, handle)
        self._owners.append(self._session(handle, owns=True))

    def log_in(self) -> None:
        """The connection is dead where that fails. Raises as `Login.log_in` does."""
        try:
            if self.login.required:
                # A login lets all sessions of the process in again, so that they would not tell what they lost.
                self.module.ask_others(self)
            self.login.log_in(self._witness.session)
            if self.login.required:
                self._witness.logged_in()
                note("login.accepted", token=self.token_name)
        except BaseException as error:
            if isinstance(error, CngError):
                note("login.refused", error, token=self.token_name)
            self._abandon("the login failed", NTSTATUS.STATUS_SMARTCARD_CARD_NOT_AUTHENTICATED)
            self._close_all(self._owners)
            raise

    @property
    def _one_session(self) -> bool:
        return self._idle is self._owners

    @property
    def alive(self) -> bool:
        if not entered[0]:
            notice_fork()
        return self._end is None

    def _abandon(self, reason: str, status: NTSTATUS) -> None:
        """Marks the connection dead without a call to the token. The first reason stays."""
        if self._end is None:
            self._end = (reason, status)
            self.dead = True

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
        if self._end is None:
            note("connection.lost", token=self.token_name, reason=what)
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
        self.tally.failed()
        on_token = f"{message} on token {self.token_name!r}"
        if self._end is not None:
            reason, status = self._end
            return token_error(rv, f"{on_token}: {reason}", {rv: status})
        if (loss := self._witness.loss(rv)) is not None:
            reason, status = LOSSES[loss]
            self._lose(reason)
            return token_error(rv, f"{on_token}: {reason}", {} if rv in CONNECTION_LOST else {rv: status})
        if rv == CKR.OPERATION_ACTIVE and self._one_session:
            self._lose("an operation was left over in the only session that the token has")
        elif of_sessions(rv) and not (verdicts and rv in verdicts):
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
        if not self._one_session:
            self._close_all(self._idle)
        for owner in list(self._owners):
            if owner.handle != self._witness.session and self._witness.standing(owner.handle) is Standing.GONE:
                self._forget(owner, self._owners)

    def _open(self, flags: int) -> tuple[int, int]:
        handle = ffi.new("CK_ULONG *")
        with self.module.calling():
            if self._end is not None:
                self.require_alive("the connection")
            rv = self.cryptoki.C_OpenSession(self.slot, SessionFlag.SERIAL_SESSION | flags, ffi.NULL, ffi.NULL, handle)
            if rv == CKR.TOKEN_WRITE_PROTECTED and flags:
                rv = self.cryptoki.C_OpenSession(self.slot, SessionFlag.SERIAL_SESSION, ffi.NULL, ffi.NULL, handle)
            self._sessions += rv == CKR.OK
        if self._deadlines is not None and self._seconds is not None and rv == CKR.OK:
            self._deadlines.limit_session(int(handle[0]), self._seconds)
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
            session = self._open_another(self._idle, self._flags_of_idle)
        work = session.work
        work.keys = keys
        work.uses = uses = work.uses + 1
        if uses & MEASURED == 1:
            work.began = perf_counter_ns()
        at_work.add(work)
        if forks_under_way:
            foreign_work_begins(work)
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
            if self._strays:
                self._take_strays_in()
                with contextlib.suppress(IndexError):
                    return pool.pop()
            rv, handle = self._open(flags)
            if rv == CKR.OK:
                return self._session(handle, owns=pool is self._owners)
            if rv != CKR.SESSION_COUNT or time.monotonic() > deadline:
                if of_sessions(rv):
                    self.sees_all()
                raise self.error(rv, "C_OpenSession failed")
            if self.key_streams.give_way(self):
                continue
            if self._sessions == 1 and pool is self._idle:
                # The token has room for the witness alone: operations and new keys take turns in it.
                pool = self._idle = self._owners
            with self._returned:
                self._waiting += 1
                # The timeout covers the session that came back before the wait began.
                self._returned.wait(0.05)
                self._waiting -= 1
            with contextlib.suppress(IndexError):
                return pool.pop()

    def give_back(self, session: Session) -> None:
        work = session.work
        if work.began:
            took, work.began = perf_counter_ns() - work.began, 0
            work.nanoseconds += took
            work.buckets[min(took.bit_length(), BUCKETS - 1)] += 1
        at_work.discard(work)
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
        """Closes a session that may have an operation left in it, unless it is the only one."""
        notice_fork()
        if self._deadlines is not None and self._set_aside(session, self.discard):
            return
        if self._one_session and self._end is None:
            self._give_back_owner(session)
            return
        session.strays = None
        try:
            with self.module.calling():
                # After another C_Initialize the handle can be somebody else's.
                if not self._inherited and self._generation == self.module.generation:
                    self.cryptoki.C_CloseSession(session.handle)
                self._sessions -= 1
        finally:
            at_work.discard(session.work)
            self.tally.closed(session.work)
        if self._leaving and not self._destroying:
            self._destroy_leaving()

    @property
    def idle(self) -> int:
        """How many sessions nobody has borrowed."""
        return len(self._idle) + (0 if self._one_session else len(self._owners))

    def perform(
        self, calls: Callable[[Session], int], *keys: int, sound: Collection[int] = _OK, once_more: bool = True
    ) -> int:
        """The CKR of an operation in a pooled session.

        keys: that it uses. sound: answers after which the session has no operation left. once_more: as of `crypt`.
        """
        session = self.borrow(keys)
        try:
            rv = calls(session)
        except BaseException:
            self.discard(session)
            raise
        if rv in sound:
            self.give_back(session)
            return rv
        again = once_more and (session.judged if rv == CKR.OPERATION_ACTIVE else self.was_dead(session, rv))
        self.discard(session)
        return self.perform(calls, *keys, sound=sound, once_more=False) if again else rv

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
        try:
            session = self._owners.pop()
        except IndexError:
            session = self._open_another(self._owners, SessionFlag.RW_SESSION)
        work = session.work
        work.keys = keys
        work.uses += 1
        at_work.add(work)
        if forks_under_way:
            foreign_work_begins(work)
        if self._destroying and keys:
            self._give_back_owner(session)
            with self._destruction.held():
                return self._own(keys)
        return session

    def _give_back_owner(self, session: Session) -> None:
        if self._deadlines is not None and self._set_aside(session, self._give_back_owner):
            return
        at_work.discard(session.work)
        self._owners.append(session)
        if self._end is not None or self._waiting:
            self._returned_to(self._owners)
        if self._leaving and not self._destroying:
            self._destroy_leaving()

    def produce(self, calls: Callable[[Session], int], *keys: int, once_more: bool = True) -> int:
        """The CKR of calls that make or change an object by `keys`, in an owner session, another if it was dead."""
        session = self._own(keys)
        try:
            if self._end is not None:
                self.require_alive("the connection")
            rv = calls(session)
        finally:
            self._give_back_owner(session)
        # Only this answer says that nothing was made.
        if rv and rv == CKR.SESSION_HANDLE_INVALID and once_more and self.was_dead(session, rv):
            return self.produce(calls, *keys, once_more=False)
        return rv

    def crypt(
        self, operation: Operation, call: MechanismCall, key: int, data: Message, room: int, *, once_more: bool = True
    ) -> bytes:
        """The two C_ calls of an operation; `room`: bytes the result can have at most. once_more: whether to repeat it
        where the session was dead before.
        """
        session = self.borrow((key,))
        functions = self._functions
        try:
            rv = begun = functions[operation.begin](session.handle, call.structure, key)
            if not rv:
                if operation.authenticate:
                    self._authenticate(session)
                if room > OUTPUT_ROOM:
                    rv, result = at_length(functions[operation.end], session, data, room, wipe=operation.wipe)
                else:
                    length = session.length
                    length[0] = operation.told
                    rv = functions[operation.end](session.handle, data, len(data), session.output, length)
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

    def _crypt_failed(
        self,
        operation: Operation,
        call: MechanismCall,
        key: int,
        data: Message,
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
            self.tally.failed()
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
            note("login.refused", error, token=self.token_name)
            # A card forgets the user after a wrong PIN, but it is there.
            if error.token_code is not None and error.status is not NTSTATUS.STATUS_SMARTCARD_WRONG_PIN:
                told = self.error(int(error.token_code), "the key's own authentication failed")
                if self._end is not None:
                    raise told from error
            raise

    def close(self) -> None:
        """Closes every session, which ends every session object."""
        notice_fork()
        self._abandon("its provider was closed", NTSTATUS.STATUS_INVALID_HANDLE)
        self.key_streams.end_all(self)
        self._close_all(self._idle)
        self._close_all(self._owners)
