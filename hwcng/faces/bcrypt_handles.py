"""What the functions of bcrypt.h check of a handle, and the types of those handles."""

from __future__ import annotations

from typing import TypeAlias, TypeVar

from hwcng.cng.algorithm_handle import AlgorithmHandle
from hwcng.cng.algorithm_provider import AlgorithmProvider
from hwcng.cng.handles import Handle, told_handle
from hwcng.cng.keys import HashObject, KeyPair, Secret, SymmetricKey
from hwcng.cng.multi_hash import MultiHash
from hwcng.errors import invalid_handle
from hwcng.headers.bcrypt_h import PseudoHandle
from hwcng.providers.registry import default_provider

__all__ = [
    "BCRYPT_ALG_HANDLE",
    "BCRYPT_KEY_HANDLE",
    "BCRYPT_HASH_HANDLE",
    "BCRYPT_SECRET_HANDLE",
    "algorithm_of",
    "alive_handle",
    "any_key",
]

BCRYPT_ALG_HANDLE: TypeAlias = AlgorithmProvider

BCRYPT_KEY_HANDLE: TypeAlias = KeyPair | SymmetricKey
"""What `hwcng.open_key` returns: one type of handle, as in bcrypt.h. Which kind a function takes, it checks itself."""

BCRYPT_HASH_HANDLE: TypeAlias = HashObject | MultiHash

BCRYPT_SECRET_HANDLE: TypeAlias = Secret

_H = TypeVar("_H", bound=Handle)


def algorithm_of(handle: object) -> AlgorithmHandle:
    """An algorithm handle, real or pseudo. Raises STATUS_INVALID_HANDLE for any other object and for a closed one."""
    if isinstance(handle, AlgorithmHandle) and handle.alive:
        return handle
    if isinstance(handle, PseudoHandle):
        return AlgorithmProvider.of_pseudo(handle, default_provider)
    raise invalid_handle(told_handle(handle, "hAlgorithm", AlgorithmHandle.called, of_bcrypt=True))


def alive_handle(handle: object, kind: type[_H], name: str) -> _H:
    """A handle of one kind. name: of the parameter. Raises STATUS_INVALID_HANDLE for any other, or an ended one."""
    if isinstance(handle, kind) and handle.alive:
        return handle
    raise invalid_handle(told_handle(handle, name, kind.called, of_bcrypt=True))


def any_key(handle: object) -> SymmetricKey | KeyPair:
    """A key of either kind. Raises as `alive_handle`."""
    if isinstance(handle, (SymmetricKey, KeyPair)) and handle.alive:
        return handle
    raise invalid_handle(told_handle(handle, "hKey", "a symmetric key or a key pair", of_bcrypt=True))
