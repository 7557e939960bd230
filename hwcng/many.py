"""Many operations with one key at once: the calls of bcrypt.h, spread over the sessions that its token has.

A token, above all one behind a network, does more than one thing at a time. Each function takes any iterable, also one
without an end, and yields what came of each item: the result, or the CngError that this item met. The order is that of
the items, and only a few are under way or wait to be read at any time.
"""

from __future__ import annotations

import os
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import Final, Generic, TypeVar

from hwcng.arguments import Octets, number
from hwcng.bcrypt import BCryptDecrypt, BCryptEncrypt, BCryptHash, BCryptSignHash
from hwcng.cng.algorithm_handle import AlgorithmHandle
from hwcng.cng.handles import told_handle
from hwcng.cng.keys import KeyPair, SymmetricKey
from hwcng.contract.provider import Provider
from hwcng.errors import NTSTATUS, CngError, invalid_handle, invalid_parameter
from hwcng.forking import ProcessLock, notice_fork, tell_after_fork

__all__ = ["Outcome", "decrypt_many", "encrypt_many", "mac_many", "pool_of", "sign_many"]

THREADS: Final = min(32, (os.cpu_count() or 1) + 4)
"""Threads that work for one provider, and so the sessions that they use at most."""

MOST_THREADS: Final = 256
PARTS_PER_THREAD: Final = 2
PART_SECONDS: Final = 0.002
LARGEST_PART: Final = 64

Outcome = bytes | CngError
"""What came of one item."""

Message = (
    Octets | None | tuple[Octets | None] | tuple[Octets | None, object] | tuple[Octets | None, object, Octets | None]
)
"""pbInput, or pbInput with pPaddingInfo and pbIV."""

Handles = KeyPair | SymmetricKey

T = TypeVar("T")


class _Pools:
    """The threads that work for each provider; a forked child has none yet."""

    def __init__(self) -> None:
        self._lock = ProcessLock()
        self._pools: weakref.WeakKeyDictionary[Provider, ThreadPoolExecutor] = weakref.WeakKeyDictionary()
        tell_after_fork(self)

    def after_fork_in_child(self) -> None:
        self._pools = weakref.WeakKeyDictionary()

    def of(self, provider: Provider) -> ThreadPoolExecutor:
        with self._lock.held():
            pool = self._pools.get(provider)
            if pool is None:
                pool = self._pools[provider] = ThreadPoolExecutor(THREADS, thread_name_prefix="hwcng")
            return pool


_pools = _Pools()


def pool_of(provider: Provider) -> ThreadPoolExecutor:
    """The threads that work for a provider; they end when nothing refers to it any more."""
    return _pools.of(provider)


class _Part(Generic[T]):
    """A few neighbouring items, done by one thread one after the other. size: how many the next part should have."""

    def __init__(self, verb: Callable[[T], bytes], items: list[T]) -> None:
        self._verb, self._items = verb, items
        self.stopped = False
        self.size = 1

    def __call__(self) -> list[Outcome]:
        begun = time.monotonic()
        outcomes: list[Outcome] = []
        for item in self._items:
            if self.stopped:
                break
            try:
                outcomes.append(self._verb(item))
            except CngError as error:
                outcomes.append(error)
        # What takes less time than to hand it to a thread goes many at a time.
        seconds_each = (time.monotonic() - begun) / len(self._items)
        self.size = max(1, min(LARGEST_PART, int(PART_SECONDS / max(seconds_each, 1e-9))))
        return outcomes


def _checked(threads: int) -> int:
    wanted = number(threads, "threads")
    if not 1 <= wanted <= MOST_THREADS:
        raise invalid_parameter(f"threads: 1 to {MOST_THREADS}, not {wanted}")
    return wanted


class Batch(Generic[T]):
    """Items on their way through a provider's threads, a bounded number at a time. A context manager.

    A forked child has none of the threads, so it cannot go on with it: STATUS_INVALID_HANDLE.
    """

    def __init__(self, holder: Handles, verb: Callable[[T], bytes], items: Iterable[T], threads: int | None) -> None:
        self._verb, self._items = verb, iter(items)
        self._room = PARTS_PER_THREAD * (THREADS if threads is None else _checked(threads))
        self._own = None if threads is None else ThreadPoolExecutor(threads, thread_name_prefix="hwcng")
        self._pool = self._own or pool_of(holder.algorithm_handle.provider)
        self._under_way: deque[tuple[_Part[T], Future[list[Outcome]]]] = deque()
        self._size, self._more = 1, True
        self._inherited = False
        tell_after_fork(self)

    def after_fork_in_child(self) -> None:
        # A thread that is not here any more may have held the lock of what it was at.
        self._under_way, self._own, self._inherited = deque(), None, True

    def _check_process(self) -> None:
        notice_fork()
        if self._inherited:
            raise invalid_handle("the batch was begun in the parent process, whose threads are at it: begin one here")

    def first(self) -> Future[list[Outcome]] | None:
        """What comes of the items that are next in order, None where all are done."""
        self._check_process()
        while self._more and len(self._under_way) < self._room:
            taken = list(islice(self._items, self._size))
            self._more = bool(taken)
            if taken:
                part = _Part(self._verb, taken)
                self._under_way.append((part, self._submitted(part)))
        return self._under_way[0][1] if self._under_way else None

    def _submitted(self, part: _Part[T]) -> Future[list[Outcome]]:
        try:
            return self._pool.submit(part)
        except RuntimeError as error:
            part.stopped = True
            raise CngError(
                NTSTATUS.STATUS_INSUFFICIENT_RESOURCES,
                f"a batch needs threads: {error}; see to the limits of the user (ulimit -u) and of the container",
            ) from error

    def done(self) -> None:
        """Says that what `first` gave has been read."""
        self._check_process()
        part, _ = self._under_way.popleft()
        self._size = part.size

    def __enter__(self) -> Batch[T]:
        return self

    def __exit__(self, *error: object) -> None:
        for part, future in self._under_way:
            part.stopped = True
            future.cancel()
        if self._own is not None:
            self._own.shutdown(wait=False)

    def outcomes(self) -> Iterator[Outcome]:
        """What came of each item, in their order. An exception that is no CngError ends it."""
        with self:
            while (future := self.first()) is not None:
                yield from future.result()
                self.done()


def _alive(handle: object, *kinds: type[Handles]) -> None:
    if not isinstance(handle, kinds) or not handle.alive:
        called = " or ".join(kind.called for kind in kinds)
        raise invalid_handle(told_handle(handle, "hKey", called, of_bcrypt=True))


def _message(call: Callable[..., bytes], key: SymmetricKey | KeyPair, flags: int, message: Message) -> bytes:
    data, info, vector = (*message, None, None)[:3] if isinstance(message, tuple) else (message, None, None)
    return call(key, data, info, vector, flags)


def signing(
    hKey: KeyPair, pPaddingInfo: object, hashes: Iterable[Octets], dwFlags: int, threads: int | None
) -> Batch[Octets]:
    _alive(hKey, KeyPair)
    return Batch(hKey, lambda data: BCryptSignHash(hKey, pPaddingInfo, data, dwFlags), hashes, threads)


def ciphering(
    call: Callable[..., bytes],
    hKey: SymmetricKey | KeyPair,
    messages: Iterable[Message],
    dwFlags: int,
    threads: int | None,
) -> Batch[Message]:
    _alive(hKey, SymmetricKey, KeyPair)
    return Batch(hKey, partial(_message, call, hKey, dwFlags), messages, threads)


def authenticating(
    hAlgorithm: AlgorithmHandle, hKey: SymmetricKey, inputs: Iterable[Octets], threads: int | None
) -> Batch[Octets]:
    _alive(hKey, SymmetricKey)
    return Batch(hKey, lambda data: BCryptHash(hAlgorithm, hKey, data), inputs, threads)


def sign_many(
    hKey: KeyPair, pPaddingInfo: object, hashes: Iterable[Octets], dwFlags: int = 0, *, threads: int | None = None
) -> Iterator[Outcome]:
    """Signatures, as BCryptSignHash makes them, over each of `hashes`: bytes, or the CngError of this one.

    threads: how many work at once, 1 to 256; as many as the machine has processors and four more, if not given.
    Raises STATUS_INVALID_HANDLE and STATUS_INVALID_PARAMETER for what all items have in common.
    """
    return signing(hKey, pPaddingInfo, hashes, dwFlags, threads).outcomes()


def encrypt_many(
    hKey: SymmetricKey | KeyPair, messages: Iterable[Message], dwFlags: int = 0, *, threads: int | None = None
) -> Iterator[Outcome]:
    """Ciphertexts, as BCryptEncrypt makes them, of each of `messages`: bytes, or the CngError of this one.

    messages: pbInput, or a tuple of pbInput, pPaddingInfo and pbIV. An authenticated mode needs a pPaddingInfo for each
    message, which receives its tag; a chained one a pbIV for each, since no message comes before another.
    threads and failures: as sign_many.
    """
    return ciphering(BCryptEncrypt, hKey, messages, dwFlags, threads).outcomes()


def decrypt_many(
    hKey: SymmetricKey | KeyPair, messages: Iterable[Message], dwFlags: int = 0, *, threads: int | None = None
) -> Iterator[Outcome]:
    """Plaintexts, as BCryptDecrypt makes them, of each of `messages`. Parameters and failures: as encrypt_many."""
    return ciphering(BCryptDecrypt, hKey, messages, dwFlags, threads).outcomes()


def mac_many(
    hAlgorithm: AlgorithmHandle, hKey: SymmetricKey, inputs: Iterable[Octets], *, threads: int | None = None
) -> Iterator[Outcome]:
    """Message authentication codes, as BCryptHash makes them with a key of the token, of each of `inputs`.

    hAlgorithm: HMAC (opened with BCRYPT_ALG_HANDLE_HMAC_FLAG) or AES-CMAC, hKey: one of its keys (`generate_key`).
    threads and failures: as sign_many.
    """
    return authenticating(hAlgorithm, hKey, inputs, threads).outcomes()
