"""One way to one TPM, for all threads: lock, start-up, session, slots, retries, recovery and fork.

TPM 2.0 Library, Part 1, sections 12.2 (start-up), 30 (context management) and 39 (response codes that ask for a retry).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import perf_counter_ns
from typing import TypeVar, overload

from hwcng.errors import NTSTATUS, CngError
from hwcng.forking import entered, notice_fork, tell_after_fork
from hwcng.providers.events import note
from hwcng.providers.instruments import enrol
from hwcng.providers.tpm2.keys.handles import Authorization, KeyHandle
from hwcng.providers.tpm2.line import leftovers, processes
from hwcng.providers.tpm2.line.diagnosis import explained, root_loss
from hwcng.providers.tpm2.line.esys import Esys
from hwcng.providers.tpm2.line.ledger import Ledger
from hwcng.providers.tpm2.line.presence import Presence, meeting_place
from hwcng.providers.tpm2.line.slots import ObjectCache, TpmObject
from hwcng.providers.tpm2.line.tally import Tally
from hwcng.providers.tpm2.line.tracing import tracing
from hwcng.providers.tpm2.line.transport import TAGS, Transport, check_response, open_transport
from hwcng.providers.tpm2.wire import commands
from hwcng.providers.tpm2.wire.constants import CC, RC
from hwcng.providers.tpm2.wire.errors import (
    BUSY,
    NO_ROOM,
    NO_SESSION_ROOM,
    REFUSED,
    STALE,
    TpmError,
    TransportError,
    to_cng,
)
from hwcng.providers.tpm2.wire.hmac_session import Parent, Session, start_session
from hwcng.providers.tpm2.wire.marshal import Exchange, MalformedError, command, u8, u32
from hwcng.providers.tpm2.wire.public_area import STORAGE_ROOT_AREA

__all__ = ["Connection", "Instrument"]

T = TypeVar("T")
Instrument = Callable[[Exchange], Exchange]

_FIRST_PAUSE, _LONGEST_PAUSE, _PATIENCE = 0.001, 0.25, 10.0
_RECOVERIES = 6
_OTHERS_PAUSE = 0.005
_FORK_WAIT = 1.0
_LOCKED_ROOT = (
    "give its password by root-auth-source= in the URI, or have the TPM's administrator put a key without one there"
)
_SUCCESS = u32(RC.SUCCESS)
_SELF_TEST = command(CC.SelfTest, (), b"", u8(1))


def _blameless(error: TpmError) -> bool:
    """Whether the refusal of an authorization cannot be the value's fault, and costs nothing to try again."""
    return error.key is None or error.key.authorization.blameless


def _repeatable(error: TransportError) -> bool:
    """Whether what was lost on the line may be sent again without a second try of a PIN that may be wrong."""
    return not error.sent or error.key is None or error.key.authorization.repeatable


def _nothing() -> None:
    """There is nothing to repair before the first attempt."""


class Connection:
    """Runs work on the TPM, one piece at a time. encrypted: whether secrets are hidden on the bus; only tests clear it.

    generation: counts forks; a key belongs to the generation that made it. known: what its providers keep here of the
    TPM, for the next one.
    """

    def __init__(self, tcti: str | None, timeout: float | None) -> None:
        self.tcti = tcti
        self.encrypted = True
        self.known: object = None
        self._generation = 0
        self._parent: Parent | None = None
        self._root: KeyHandle | None = None
        self._timeout = timeout
        self._transport: Transport = open_transport(tcti, timeout)
        self._instruments: list[Instrument] = []
        self._exchange: Exchange
        place = meeting_place(tcti)
        self._presence, self._ledger = Presence(place), Ledger(place, STORAGE_ROOT_AREA)
        self._rebuild_exchange()
        self.cache = ObjectCache(self._parent_handle, self._alone, self._ledger.expect)
        self._session: Session | None = None
        self._open = False
        self._lost = False
        self.tally = Tally()
        self._closed = False
        self._lock = threading.RLock()
        self._owner = 0
        tell_after_fork(self)
        processes.living.add(self)
        enrol(self, tracing)

    def __repr__(self) -> str:
        return f"<Connection to {self.title}>"

    @property
    def title(self) -> str:
        """The TPM, for messages."""
        return self.tcti or "the default TPM"

    @property
    def generation(self) -> int:
        if not entered[0]:
            notice_fork()
        return self._generation

    @property
    def resets(self) -> int:
        """How often the TPM was reset before the line was opened; 0 where it was not asked."""
        return self._ledger.resets

    # What `commands` sees.

    def exchange(self, request: bytes) -> bytes:
        """One command, again and again for as long as the TPM asks for it, up to 10 seconds."""
        response = self._exchange(request)
        if (
            len(response) == int.from_bytes(response[2:6], "big")
            and response[6:10] == _SUCCESS
            and response[:2] in TAGS
        ):
            return response
        return self._insist(request, check_response(response))

    def _insist(self, request: bytes, response: bytes) -> bytes:
        pause, end = _FIRST_PAUSE, time.monotonic() + _PATIENCE
        tested = False
        while True:
            code = int.from_bytes(response[6:10], "big") & 0xFFFF
            if code == RC.NEEDS_TEST and not tested:
                tested = True
                self._exchange(_SELF_TEST)
            elif code not in BUSY or time.monotonic() > end:
                return response
            else:
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            response = check_response(self._exchange(request))

    @property
    def session(self) -> Session | None:
        """The one session of this connection, made anew where it was lost. Raises TpmError, TransportError."""
        if not self.encrypted:
            return None
        if self._session is None:
            if self.parent is None:
                raise RuntimeError("no storage root key yet")
            self._session = start_session(self.exchange, self.parent)
        return self._session

    def another_session(self, *, policy: bool) -> Session:
        """Salted as `session` is, so that it hides as well."""
        if self.parent is None:
            raise RuntimeError("no storage root key yet")
        return start_session(self.exchange, self.parent, policy=policy)

    @property
    def parent(self) -> Parent | None:
        """The storage root key, None until it was found."""
        return self._parent

    @contextmanager
    def adopting(self) -> Iterator[None]:
        """For who looks at the storage root key anew: another one than before is no failure meanwhile."""
        with self._exclusive():
            parent, self._parent = self._parent, None
            try:
                yield
            finally:
                if self._parent is None:
                    self._parent = parent
                elif parent is not None and parent.name != self._parent.name:
                    # The session was salted to the other one.
                    self._lose()

    def adopt(self, parent: Parent, auth: bytes) -> None:
        """Takes a storage root key that was checked, and its authorization value. The caller is inside `adopting`."""
        self._parent, root = parent, self._root
        if root is not None and root.name == parent.name and auth in (b"", root.auth):
            # Another provider of this TPM may know the value.
            return
        title = f"the storage root key at {parent.handle:#x}"
        authorization = Authorization(title, _LOCKED_ROOT, given=bool(auth), counted=parent.counted, fixed=True)
        self._root = KeyHandle(parent.handle, parent.name, auth, authorization)

    def _parent_handle(self) -> KeyHandle:
        if self._root is None:
            raise RuntimeError("no storage root key yet")
        if self._root.authorization.given:
            self._root.authorization.check()
        return self._root

    @property
    def storage_root(self) -> KeyHandle:
        return self._parent_handle()

    def _alone(self) -> bool:
        return not self._transport.shared and self._presence.alone()

    def instrument(self, instrument: Instrument) -> Callable[[], None]:
        """`instrument` gets the function that carries every command, and returns its replacement. Gives the undoing."""
        with self._exclusive():
            self._instruments.append(instrument)
            self._rebuild_exchange()

        def undo() -> None:
            with self._exclusive():
                self._instruments.remove(instrument)
                self._rebuild_exchange()

        return undo

    def _rebuild_exchange(self) -> None:
        exchange: Exchange = self._transport.exchange
        if not self._transport.shared:
            exchange = self._ledger.recording(exchange)
        for instrument in self._instruments:
            exchange = instrument(exchange)
        self._exchange = exchange

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        if not entered[0]:
            notice_fork()
        # A fork inside the block leaves the parent's lock to be released by the child.
        lock = self._lock
        with lock:
            previous, self._owner = self._owner, threading.get_ident()
            try:
                yield
            finally:
                self._owner = previous

    # Work.

    @overload
    def perform(self, asked: str, work: Callable[[Connection], T]) -> T: ...

    @overload
    def perform(self, asked: str, work: Callable[[Connection, KeyHandle], T], key: TpmObject) -> T: ...

    def perform(self, asked: str, work: Callable[..., T], key: TpmObject | None = None) -> T:
        """Runs `work` with the TPM to itself, again where the TPM lost its state meanwhile. It must be repeatable.

        asked: what it is, for messages. key: what `work` is on, which is brought into a slot first. An authorization
        value that may be wrong is tried once. Raises CngError.
        """
        if not entered[0]:
            notice_fork()
        # As `_exclusive` does, without a generator's cost for every operation.
        lock = self._lock
        with lock:
            previous, began, tally = self._owner, perf_counter_ns(), self.tally
            self._owner = threading.get_ident()
            try:
                return self._persist(asked, work, key)
            except BaseException:
                tally.errors += 1
                raise
            finally:
                self._owner = previous
                tally.add(perf_counter_ns() - began)

    def _persist(self, asked: str, work: Callable[..., T], key: TpmObject | None) -> T:
        reconnected = renewed = False
        recoveries = _RECOVERIES
        repair: Callable[[], object] | None = None
        while True:
            try:
                if repair is not None:
                    repair()
                if not self._open:
                    self._ensure_open()
                return work(self) if key is None else work(self, self.cache.acquire(self, key))
            except (TransportError, MalformedError) as error:
                self._lose(str(error))
                lost = error if isinstance(error, TransportError) else TransportError("the TPM's answer is malformed")
                # A silent TPM gets no second chance to stay silent for as long.
                if reconnected or lost.timed_out or not _repeatable(lost):
                    raise to_cng(lost, asked) from None
                reconnected, repair = True, None
            except TpmError as error:
                recoveries -= 1
                # No authorization value was wrong: the session or the slot holds something else after a reset.
                confused = error.code in REFUSED and not renewed and _blameless(error)
                renewed = renewed or confused
                found = self._lose if confused else self._repair_of(error.code, _RECOVERIES - recoveries)
                if found is None or not recoveries:
                    raise self._explain(error, asked) from None
                repair = found
            except CngError:
                raise
            except BaseException:
                # A command may have been cut off, and with it the session's nonces.
                self._lose()
                raise

    def _repair_of(self, code: int, attempt: int) -> Callable[[], object] | None:
        """What makes another attempt worth while, None where nothing does."""
        try:
            if code in NO_ROOM or code in NO_SESSION_ROOM:
                return self._room_maker(code, attempt)
        except (TransportError, MalformedError):
            return self._lose
        except TpmError:
            return None
        if code == RC.INITIALIZE:
            return self._start_up
        # What of ours is still there is flushed when the line is opened again.
        return self._lose if code in STALE else None

    def _room_maker(self, code: int, attempt: int) -> Callable[[], object] | None:
        """What the dead hold goes first, then what is ours, and what the living hold is waited for."""
        if not self._transport.shared and leftovers.flush_left(self, self._ledger):
            return _nothing
        if code in NO_SESSION_ROOM and self._session is not None:
            return self._end_session
        if code in NO_ROOM and len(self.cache):
            return lambda: self.cache.evict(self)
        if code in NO_ROOM and leftovers.flush_inherited(self, self.tcti):
            return _nothing
        # Other processes give their slots up one command at a time, and their sessions when they end.
        return None if code == RC.CONTEXT_GAP or self._alone() else lambda: time.sleep(_OTHERS_PAUSE * 2**attempt)

    def _start_up(self) -> None:
        self._lose()
        commands.startup(self)

    def _explain(self, error: TpmError, asked: str) -> CngError:
        failure, lost = explained(self, self._parent, error, asked)
        if lost:
            self._lose()
        if error.key is not None and error.code in (*REFUSED, RC.LOCKOUT):
            note("login.refused", failure, token=self.title)
        return failure

    def esys(self, work: Callable[[Esys], T]) -> T:
        """Runs `work` on an ESAPI context of its own. The caller is inside `perform`."""
        esys = Esys(self.exchange)
        try:
            return work(esys)
        finally:
            esys.close()

    # Life.

    def _ensure_open(self) -> None:
        if self._closed:
            raise CngError(NTSTATUS.STATUS_INVALID_HANDLE, "the provider is closed")
        self._presence.arrive()
        if not self._transport.shared:
            self._make_room()
        self._check_parent()
        self._open = True
        if self._lost:
            self._lost = False
            self.tally.reconnections += 1
            note("connection.recovered", token=self.title)

    def _make_room(self) -> None:
        """Takes out what we had before the line broke and what the dead left; and all, where nobody can work."""
        processes.end_with_worker()
        self._ledger.arrive()
        self._ledger.resets = self._reset_counts()
        leftovers.flush_own(self, self._ledger)
        leftovers.flush_left(self, self._ledger)
        if self._presence.alone() and leftovers.is_short(self):
            leftovers.flush_everything(self)

    def _reset_counts(self) -> int:
        try:
            return commands.reset_counts(self)
        except TpmError as error:
            if error.code != RC.INITIALIZE:
                return 0
            commands.startup(self)
            return commands.reset_counts(self)

    def _check_parent(self) -> None:
        lost = root_loss(self, self._parent)
        if lost is not None:
            raise CngError(NTSTATUS.STATUS_INVALID_DEVICE_STATE, lost)

    def _lose(self, reason: str = "the TPM lost our objects or sessions") -> None:
        """Takes note that the line broke: nothing is known of slots and sessions."""
        if self._open:
            self._lost = True
            note("connection.lost", token=self.title, reason=reason)
        self._forget()
        self._open = False
        self._transport.close()

    def _forget(self) -> None:
        self.cache.forget()
        self._session = None

    def _end_session(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            with suppress(TpmError):
                commands.flush(self, session.handle)

    def discard(self, key: TpmObject) -> None:
        """Frees the slot of a key that ends. Never fails."""
        self._free(lambda: self.cache.remove(self, key))

    def release_slots(self) -> None:
        """Empties every slot we hold, for others that use this TPM without a resource manager. Never fails."""
        self._free(lambda: self.cache.make_room(self, 0))

    def _free(self, work: Callable[[], object]) -> None:
        """Does what need not succeed. What is cut off in the middle is made up for when the line is opened again."""
        with self._exclusive():
            if self._open:
                try:
                    with suppress(TpmError, TransportError):
                        work()
                except BaseException:
                    self._lose()
                    raise

    def close(self) -> None:
        """Frees what we hold in the TPM. Never fails; a second call does nothing."""
        with self._exclusive():
            if self._closed:
                return
            if self._open:
                with suppress(TpmError, TransportError):
                    self.cache.make_room(self, 0)
                    self._end_session()
            self._forget()
            self._closed = True
            self._open = False
            self._transport.close()
            self._presence.leave()
            # What could not be flushed stays written down, for others to flush.
            if self._ledger.entries:
                self._ledger.abandon()
            else:
                self._ledger.leave()

    @property
    def closed(self) -> bool:
        return self._closed

    # Fork.

    def before_fork(self) -> bool:
        """Holds the line still for the fork and leaves the child free slots; whether the lock is now held."""
        # A child that never came here must not empty its parent's slots.
        notice_fork()
        if self._owner == threading.get_ident() or not self._lock.acquire(timeout=_FORK_WAIT):
            return False
        if not self._transport.shared and len(self.cache):
            self.release_slots()
        return True

    def after_fork_in_parent(self) -> None:
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """The parent keeps its slots, session and line; the child connects anew at its first use."""
        self._lock = threading.RLock()
        self._owner = 0
        self._generation += 1
        self._ledger.abandon()
        # Where C code forked, there was no time to empty the slots.
        leftovers.inherit(self.tcti, self.cache.names())
        self.cache = ObjectCache(self._parent_handle, self._alone, self._ledger.expect)
        self._session = None
        self._open = False
        self._lost = False
        self.tally = Tally()
        self._transport.after_fork_in_child()
        self._presence.abandon()
