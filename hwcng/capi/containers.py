"""Key containers: up to two pairs under a name ("Key Storage" of the CryptoAPI's documentation).

A container is three named keys of the token at most: a marker, an AES key that nobody uses and whose being there is the
container's, and the two pairs. Each is stored or replaced by one call that either happened or did not. The marker is
made first and deleted last, so that what a killed process leaves is a container with fewer pairs, never half of one.
Pairs that were stored while another process deleted their container are cleaned away before a new one has its name.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias
from weakref import WeakSet, WeakValueDictionary

from hwcng.capi.errors import Code, failing_as, failure
from hwcng.cng.algorithm_handle import AlgorithmHandle
from hwcng.cng.algorithm_table import ALGORITHMS
from hwcng.cng.key_pair import KeyPair
from hwcng.contract.keys import PrivateKey, SecretKey
from hwcng.contract.making import NamedMaker
from hwcng.contract.material import PublicKeyMaterial
from hwcng.contract.provider import Provider
from hwcng.contract.specs import SecretSpec
from hwcng.contract.usage import SecretFamily, Usage
from hwcng.errors import HRESULT, NTSTATUS, CngError
from hwcng.forking import ProcessLock
from hwcng.headers import wincrypt_h

__all__ = ["Container", "Make", "MemoryContainer", "SharedPair", "TokenContainer"]

Make: TypeAlias = Callable[[NamedMaker], PrivateKey]
"""Has what it is given make or take in a pair."""

LONGEST_NAME = 260
"""MAX_PATH: characters of a container's name."""

_ROLES = {wincrypt_h.AT_KEYEXCHANGE: "exchange", wincrypt_h.AT_SIGNATURE: "signature"}
_MARKER = SecretSpec(SecretFamily.AES, 128, Usage.ENCRYPT)

_CNG_NAMES = {"RSA_SIGN": "RSA"}

_FULL: Mapping[int, Code] = {NTSTATUS.STATUS_DISK_FULL: HRESULT.NTE_TOKEN_KEYSET_STORAGE_FULL}

_counting = ProcessLock()


class SharedPair:
    """A pair that several handles stand for; it ends with the last of them."""

    def __init__(self, handle: AlgorithmHandle, public: PublicKeyMaterial, private: PrivateKey | None) -> None:
        self._handle = handle
        self._holders = 1
        self.pair = KeyPair(handle).adopt(public, private)

    @classmethod
    def of(cls, handle: AlgorithmHandle, private: PrivateKey) -> SharedPair:
        return cls(handle, private.public, private)

    def share(self) -> SharedPair:
        with _counting.held():
            self._holders += 1
        return self

    def release(self) -> None:
        with _counting.held():
            self._holders -= 1
            last = self._holders == 0
        if last:
            self.pair.destroy()

    def take(self, key: PrivateKey | SecretKey) -> None:
        """Goes on with another opening of the same stored pair. Raises STATUS_INVALID_HANDLE where it is another."""
        self.pair.take(key).destroy()

    def lend(self) -> KeyPair:
        """A handle of bcrypt.h for the pair, of an algorithm that does all that the pair may do."""
        name = _CNG_NAMES.get(self._handle.name, self._handle.name)
        handle = AlgorithmHandle(ALGORITHMS[name], self._handle.provider)
        self.share()
        return self.pair.lend(handle, self.release)

    def detach(self) -> bool:
        """Goes on with a copy of the named key, which is about to be replaced, where the token makes one.

        Whether it needs no other attempt.
        """
        if not self._holders:
            return True
        try:
            copy = self.pair.private.session_copy()
        except CngError:
            return False
        self.pair = KeyPair(self._handle).adopt(copy.public, copy)
        return True


class Container(abc.ABC):
    """The two pairs of a context."""

    name: str

    @abc.abstractmethod
    def load(self, spec: int, handle: AlgorithmHandle) -> SharedPair:
        """The pair of a key specification. Raises NTE_NO_KEY where there is none."""

    @abc.abstractmethod
    def put(self, spec: int, handle: AlgorithmHandle, make: Make) -> SharedPair:
        """Makes what `make` brings about the pair of its specification. Handles to the one before go on working, where
        it can be copied.
        """

    def close(self) -> None:
        """Lets go of what only this process has."""
        return

    def set_pin(self, spec: int, pin: str | None) -> None:  # noqa: B027 - pairs of this process have no PIN
        """The PIN of a pair that has one of its own, for whoever loads it from now on."""

    def reopen(self, spec: int, shared: SharedPair) -> None:  # noqa: B027
        """Goes on with the pair as the PIN that was set opens it."""


def _no_key(spec: int) -> CngError:
    return failure(HRESULT.NTE_NO_KEY, f"the container has no {_ROLES[spec]} pair")


class MemoryContainer(Container):
    """Of a CRYPT_VERIFYCONTEXT context: its pairs are objects of the token that end with the context."""

    name = ""

    def __init__(self) -> None:
        self._pairs: dict[int, SharedPair] = {}

    def load(self, spec: int, handle: AlgorithmHandle) -> SharedPair:
        pair = self._pairs.get(spec)
        if pair is None:
            raise _no_key(spec)
        return pair.share()

    def put(self, spec: int, handle: AlgorithmHandle, make: Make) -> SharedPair:
        pair = SharedPair.of(handle, make(handle.provider))
        before, self._pairs[spec] = self._pairs.get(spec), pair.share()
        if before is not None:
            before.release()
        return pair

    def close(self) -> None:
        pairs, self._pairs = self._pairs, {}
        for pair in pairs.values():
            pair.release()


_opened: WeakValueDictionary[tuple[int, str], _Opened] = WeakValueDictionary()


class _Opened:
    """The handles of this process to one stored pair."""

    def __init__(self) -> None:
        self.pairs: WeakSet[SharedPair] = WeakSet()


class TokenContainer(Container):
    """A container of named keys. family: "rsa" or "dss", whose containers are apart; so are machine and user."""

    def __init__(self, provider: Provider, name: str, family: str, *, machine: bool) -> None:
        self.name = name
        self._provider = provider
        self._pins: dict[int, str] = {}
        self._prefix = f"capi.{'machine' if machine else 'user'}.{family}."
        self._known = {spec: self._opened_of(self._name_of(role)) for spec, role in _ROLES.items()}
        if len(name) > LONGEST_NAME or "\0" in name:
            raise failure(
                HRESULT.NTE_BAD_KEYSET_PARAM, f"a container's name has up to {LONGEST_NAME} characters without NUL"
            )

    def _name_of(self, role: str) -> str:
        return f"{self._prefix}{role}:{self.name}"

    def _opened_of(self, name: str) -> _Opened:
        return _opened.setdefault((id(self._provider), name), _Opened())

    @property
    def _marker(self) -> str:
        return self._name_of("container")

    def require(self) -> None:
        """Raises NTE_BAD_KEYSET where there is no such container."""
        if not self._exists():
            raise failure(
                HRESULT.NTE_BAD_KEYSET, f"token {self._provider.token.label!r} has no container {self.name!r}"
            )

    def _exists(self) -> bool:
        try:
            self._provider.open_key(self._marker).destroy()
        except CngError as error:
            if error.status is HRESULT.NTE_BAD_KEYSET:
                return False
            raise
        return True

    def create(self) -> None:
        """Raises NTE_EXISTS where there is one."""
        if self._exists():
            raise failure(HRESULT.NTE_EXISTS, f"there is a container {self.name!r} already")
        self._delete_pairs()
        self._provider.named(self._marker).generate_secret(_MARKER).destroy()

    def delete(self) -> None:
        """Raises NTE_BAD_KEYSET where there is none."""
        self.require()
        self._delete_pairs()
        self._provider.delete_key(self._marker)

    def _delete_pairs(self) -> None:
        for spec in _ROLES:
            try:
                self._detach(spec)
                self._provider.delete_key(self._name_of(_ROLES[spec]))
            except CngError as error:
                if error.status is not HRESULT.NTE_BAD_KEYSET:
                    raise

    def siblings(self) -> Iterator[str]:
        """The names of all containers of this kind in the token."""
        prefix = f"{self._prefix}container:"
        for record in self._provider.list_keys():
            if record.name.startswith(prefix):
                yield record.name.removeprefix(prefix)

    def load(self, spec: int, handle: AlgorithmHandle) -> SharedPair:
        try:
            key = self._provider.open_key(self._name_of(_ROLES[spec]), pin=self._pins.get(spec))
        except CngError as error:
            if error.status is HRESULT.NTE_BAD_KEYSET:
                raise _no_key(spec) from None
            raise
        if not isinstance(key, PrivateKey):
            key.destroy()
            raise failure(HRESULT.NTE_KEYSET_ENTRY_BAD, f"the {_ROLES[spec]} key of {self.name!r} is no pair")
        return self._known_pair(spec, handle, key)

    def _known_pair(self, spec: int, handle: AlgorithmHandle, key: PrivateKey) -> SharedPair:
        pair = SharedPair.of(handle, key)
        self._known[spec].pairs.add(pair)
        return pair

    def set_pin(self, spec: int, pin: str | None) -> None:
        if pin:
            self._pins[spec] = pin
        else:
            self._pins.pop(spec, None)

    def reopen(self, spec: int, shared: SharedPair) -> None:
        key = self._provider.open_key(self._name_of(_ROLES[spec]), pin=self._pins.get(spec))
        shared.take(key)

    def put(self, spec: int, handle: AlgorithmHandle, make: Make) -> SharedPair:
        """The token's from its first moment on."""
        self._detach(spec)
        with failing_as(_FULL):
            private = make(self._provider.named(self._name_of(_ROLES[spec]), replace=True))
        return self._known_pair(spec, handle, private)

    def _detach(self, spec: int) -> None:
        pairs = self._known[spec].pairs
        for pair in list(pairs):
            if pair.detach():
                pairs.discard(pair)
