"""Keys that may have a name in their token: what a name gives them, and why a key without one stays in its process."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from hwcng.arguments import authorization
from hwcng.cng.algorithm_handle import AlgorithmHandle
from hwcng.cng.handles import Handle, in_use
from hwcng.cng.stored_algorithm import handle_of_spec
from hwcng.contract.key_names import check_key_name
from hwcng.contract.keys import PrivateKey, SecretKey
from hwcng.errors import HRESULT, CngError, invalid_handle, not_supported, told
from hwcng.forking import ProcessLock
from hwcng.loading import load

__all__ = ["StorableKey"]

K = TypeVar("K", bound="StorableKey")


class _Opening:
    """How a key that is not opened yet will be, and the lock that makes racing threads open it once."""

    def __init__(self, open_key: Callable[..., StorableKey]) -> None:
        self.open_key = open_key
        self.require: Callable[[Any], None] | None = None
        self.lock = ProcessLock()


class _Unopened:
    """What a key is before it is opened, and no longer: where a class has such a method, Python finds every attribute
    of its objects more slowly.
    """

    __slots__ = ()

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Comes where an attribute is not there: what a key has in its token, as long as it is not opened."""
            # What other software asks every object for opens no key.
            if name.startswith("__"):
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            if (opening := self._opening) is not None:
                self._open(opening)
            return object.__getattribute__(self, name)


class StorableKey(Handle):
    """A key of a token. name: under which the token keeps it, None for a key that ends with the process.

    A named key is pickled as its URI, which is opened where the key is used first, and copied by being opened once
    more; its chaining mode, IV and the like are the handle's, not the key's, and begin anew.
    """

    algorithm_handle: AlgorithmHandle
    name: str | None = None
    _uri: str | None = None
    _opening: _Opening | None = None
    token_kind: ClassVar[type[SecretKey | PrivateKey]]
    """The token's keys that the class stands for."""
    _unopened: ClassVar[type[Any]]
    """The class of those that are not opened yet."""
    reopen: ClassVar[Callable[[str, str], StorableKey]]
    """Makes a key of the name of its class and its URI; `hwcng.named_keys` sets it."""

    def __init_subclass__(cls, *, of: type[SecretKey | PrivateKey] | None = None) -> None:
        """of: the token's keys that the class stands for."""
        super().__init_subclass__()
        if of is not None:
            cls.token_kind = of
            cls._unopened = type(cls.__name__, (cls, _Unopened), {"__slots__": (), "__module__": cls.__module__})

    @classmethod
    @abc.abstractmethod
    def of_token(cls, handle: AlgorithmHandle, key: Any) -> StorableKey:
        """The object of a token's key."""

    @classmethod
    def unopened(cls: type[K], uri: str, name: str, open_key: Callable[..., StorableKey]) -> K:
        """The named key of a URI, which `open_key(uri, pin=...)` opens when it is used for the first time, and again
        where that fails; pin: None, or that of `authorize`. Until then it tells its name and URI, and is pickled,
        copied and destroyed without its token.
        """
        key: K = object.__new__(cls._unopened)
        key.name, key._uri, key._opening = name, uri, _Opening(open_key)
        return key

    @property
    def opened(self) -> bool:
        return self._opening is None

    def _open(self, opening: _Opening, pin: str | bytes | None = None) -> bool:
        """Whether it was opened here, with this PIN; else another thread did it before."""
        with opening.lock.held():
            if self._opening is None:
                return False
            self.require_alive()
            key = opening.open_key(self.uri, pin=pin)
            try:
                self._require_same(key, opening)
            except BaseException:
                key.destroy()
                raise
            # What is there already is found by other threads; the rest makes them wait for the lock.
            vars(self).update({name: value for name, value in vars(key).items() if name not in ("alive", "_uri")})
            self._opening = None
            self.__class__ = type(key)
            return True

    def _require_same(self, key: StorableKey, opening: _Opening) -> None:
        if not isinstance(self, type(key)):
            raise CngError(
                HRESULT.NTE_BAD_KEYSET, f"the key {told(self.name)} is now a {type(key).__name__}, not what it was"
            )
        if opening.require is not None:
            opening.require(key)

    def when_opened(self, require: Callable[[Any], None]) -> None:
        """What the key has to be, where it is not opened yet: `require` raises CngError for another one."""
        if self._opening is not None:
            self._opening.require = require
        else:
            require(self)

    @abc.abstractmethod
    def in_token(self) -> SecretKey | PrivateKey:
        """The token's own key. Raises CngError where there is none yet, or only a public half."""

    @abc.abstractmethod
    def take(self, key: SecretKey | PrivateKey) -> SecretKey | PrivateKey:
        """Goes on with another opening of the same token key; returns the one before."""

    def authorize(self, pin: str | bytes) -> None:
        """Opens the named key once more, with the PIN of its own, and goes on with that. Which PIN is right, a TPM
        tells at the key's first use; a PKCS#11 token was logged in to when it was opened, and asks for no other.

        Raises STATUS_NOT_SUPPORTED for a key without a name, STATUS_INVALID_HANDLE for a destroyed one.
        """
        self.require_alive()
        if self.name is None:
            raise not_supported("a key without a name gets its PIN when it is imported: set it on the provider handle")
        if self._opening is not None and self._open(self._opening, pin):
            return
        self.take(self.algorithm_handle.provider.open_key(self.name, pin=pin)).destroy()

    @in_use
    def change_pin(self, pin: str | bytes) -> None:
        """Gives the key another PIN of its own, "" for none: `SecretKey.change_pin`. A str is UTF-8."""
        self.require_alive()
        self.in_token().change_pin(authorization(pin, "pin"))

    @property
    def uri(self) -> str:
        """Where the key is found again from any process, for `hwcng.open_key`: no PIN is in it.

        Raises STATUS_NOT_SUPPORTED for a key without a name.
        """
        if self.name is None:
            raise not_supported(
                "a key without a name has no URI: it ends with this process. Store it under a name first, with "
                "NCryptCreatePersistedKey or key.persist(name)"
            )
        # Told once: a name means one key for as long as this object is of it.
        if self._uri is None:
            self._uri = self.algorithm_handle.provider.key_uri(self.name)
        return self._uri

    @in_use
    def persist(self: K, name: str, *, replace: bool = False) -> K:
        """Stores the key under a name and returns the stored key; this one lives on as it was.

        replace: whether a key of that name gives way, which it does only after this one is stored.

        Raises NTE_EXISTS for a name that is taken, NTE_INVALID_PARAMETER for one that cannot be, STATUS_INVALID_HANDLE
        for a destroyed or an empty key, STATUS_INVALID_PARAMETER for a public one.
        """
        self.require_alive()
        name = check_key_name(name)
        return self._of_same_kind(
            self.algorithm_handle.provider.persist_key(self.in_token(), name, replace=replace), name
        )

    def _of_same_kind(self: K, key: SecretKey | PrivateKey, name: str) -> K:
        """The object of another key of the same token. name: under which that keeps it."""
        try:
            made = type(self).of_token(handle_of_spec(self.algorithm_handle.provider, key.spec), key)
        except BaseException:
            key.destroy()
            raise
        made.name = name
        return cast(K, made)

    def __reduce__(self) -> tuple[Any, ...]:
        self.require_alive()
        if self.name is None:
            raise not_supported(f"this {self.algorithm_handle.name} key cannot be pickled: {self._why_not_to_pickle()}")
        if "reopen" not in vars(StorableKey):
            # Which sets it.
            load("hwcng.named_keys")
        return StorableKey.reopen, (type(self).__name__, self.uri)

    def _shown(self, *told: str) -> str:
        """Its name, what it tells of itself, and whether it lives."""
        named, state = "" if self.name is None else repr(self.name), "" if self.alive else "destroyed"
        return f"<{' '.join(filter(None, (type(self).__name__, named, *told, state)))}>"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.uri}{' not opened yet' if self.alive else ' destroyed'}>"

    def _why_not_to_pickle(self) -> str:
        return (
            "it lives in this process' session with the token and has no name. Store it under one, with "
            "NCryptCreatePersistedKey or key.persist(name), and send the stored key, which travels as its URI"
        )

    def __copy__(self: K) -> K:
        self.require_alive()
        if self.name is None:
            raise not_supported("a key without a name is not copied: BCryptDuplicateKey duplicates symmetric keys")
        if self._opening is not None:
            return type(self).unopened(self.uri, self.name, self._opening.open_key)
        key = self.algorithm_handle.provider.open_key(self.name)
        if not isinstance(key, self.token_kind):
            key.destroy()
            raise invalid_handle(f"another key has the name {self.name!r} by now: open it again")
        return self._of_same_kind(key, key.name or self.name)

    def __deepcopy__(self: K, memo: dict[int, Any]) -> K:
        return self.__copy__()
