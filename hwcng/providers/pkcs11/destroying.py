"""Ending the objects of a connection (OASIS PKCS#11 3.2, section 5.7.3): at once, or when nothing uses them, such as a
call that does not come back; and the sessions that nobody gave back.
"""

from __future__ import annotations

import abc
import contextlib
from collections import deque
from collections.abc import Callable, Collection

from hwcng.errors import CngError
from hwcng.forking import ProcessLock, at_work
from hwcng.providers.pkcs11.cryptoki.calls import Cryptoki
from hwcng.providers.pkcs11.cryptoki.deadlines import ModuleDeadlines
from hwcng.providers.pkcs11.cryptoki.return_values import CKR
from hwcng.providers.pkcs11.module import Module
from hwcng.providers.pkcs11.operations import Session, Work
from hwcng.providers.pkcs11.tally import Tally

__all__ = ["Destroying"]

_ENDED = frozenset({CKR.OK, CKR.SESSION_READ_ONLY})


class Destroying(abc.ABC):
    """The part of a connection that ends objects and sessions."""

    cryptoki: Cryptoki
    module: Module
    tally: Tally
    _deadlines: ModuleDeadlines | None
    _end: object | None

    def __init__(self) -> None:
        self._garbage: deque[int] = deque()
        self._leaving: deque[int] = deque()
        self._lost: set[Session] = set()
        self._strays: deque[Session] = deque()
        self._destroying = 0
        self._destruction = ProcessLock()

    @abc.abstractmethod
    def perform(self, calls: Callable[[Session], int], *keys: int, sound: Collection[int] = ...) -> int: ...

    @abc.abstractmethod
    def produce(self, calls: Callable[[Session], int], *keys: int, once_more: bool = ...) -> int: ...

    @abc.abstractmethod
    def borrow(self, keys: tuple[int, ...] = ...) -> Session: ...

    @abc.abstractmethod
    def give_back(self, session: Session) -> None: ...

    @abc.abstractmethod
    def answers(self) -> bool: ...

    @abc.abstractmethod
    def discard(self, session: Session) -> None: ...

    @abc.abstractmethod
    def _give_back_owner(self, session: Session) -> None: ...

    def _session(self, handle: int, *, owns: bool) -> Session:
        """owns: whether objects live as long as it."""
        session = Session(handle, Work(self.module), self._strays, owns=owns)
        self.tally.opened(session.work)
        return session

    def _forget(self, session: Session, pool: deque[Session]) -> None:
        """Takes one that the token has closed out of `pool`, where nobody else took it."""
        with contextlib.suppress(ValueError):
            pool.remove(session)
            session.strays = None
            self.tally.closed(session.work)

    def _close_all(self, sessions: deque[Session]) -> None:
        with contextlib.suppress(IndexError):
            while True:
                self.discard(sessions.pop())

    def _take_strays_in(self) -> None:
        """Gives back those that objects live in, and closes the others, which may be in the middle of an operation."""
        with contextlib.suppress(IndexError):
            while True:
                stray = self._strays.pop()
                if stray.owns:
                    # Another object, because a finaliser runs once.
                    self._give_back_owner(Session(stray.handle, stray.work, self._strays, owns=True))
                else:
                    self.discard(stray)

    def _set_aside(self, session: Session, then: Callable[[Session], object]) -> bool:
        """Whether a call in the session is lost, and it is nobody's until that comes back, and `then` is done."""
        self._lost.add(session)

        def back() -> None:
            self._lost.discard(session)
            then(session)

        lost = self._deadlines is not None and self._deadlines.when_back(session.handle, back)
        if lost:
            at_work.discard(session.work)
        else:
            self._lost.discard(session)
        return lost

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
                if free := not (at_work or self._lost) or not self._in_use(handle):
                    self._destroy_now(handle)
            finally:
                self._destroying -= 1
        if not free:
            self._leaving.append(handle)
            # The operation may have ended before the handle was in the line.
            if not self._in_use(handle):
                self._destroy_leaving()

    def _in_use(self, handle: int) -> bool:
        if self._lost and any(handle in session.work.keys for session in self._lost.copy()):
            return True
        return bool(at_work) and any(isinstance(work, Work) and handle in work.keys for work in at_work.copy())

    def _destroy_now(self, handle: int) -> None:
        if self._end is not None:
            return
        destroy = self.cryptoki.C_DestroyObject
        try:
            rv = self.perform(lambda session: destroy(session.handle, handle), sound=_ENDED)
            if rv and rv == CKR.SESSION_READ_ONLY:
                # Some keep session objects as they keep token objects, and for ever: tpm2-pkcs11 1.9.1.
                rv = self.produce(lambda session: destroy(session.handle, handle))
            if rv:
                self.answers()
        except CngError:
            return

    def destroy_later(self, handle: int) -> None:
        """For finalisers, which may run in the middle of a call: the next creation of a key destroys the object."""
        if self._end is None:
            self._garbage.append(handle)

    def _collect_garbage(self) -> None:
        with contextlib.suppress(IndexError):
            while True:
                self.destroy_object(self._garbage.popleft())
