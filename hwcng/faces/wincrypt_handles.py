"""What the functions of wincrypt.h check of their arguments."""

from __future__ import annotations

from typing import TypeVar

from hwcng.arguments import flags, number
from hwcng.capi.agreed_keys import AgreedKey
from hwcng.capi.contexts import Context
from hwcng.capi.errors import failure
from hwcng.capi.handle_base import CapiKey
from hwcng.capi.hashes import CapiHash
from hwcng.cng.handles import Handle, no_handle, told_handle
from hwcng.errors import HRESULT, Win32Error

__all__ = [
    "alive_handle",
    "context_of",
    "key_of",
    "hash_or_none",
    "capi_flags",
    "any_flags",
    "parameter_of",
]

_H = TypeVar("_H", bound=Handle)


def alive_handle(handle: object, kind: type[_H], name: str) -> _H:
    """A handle of one kind. name: of the parameter. Raises ERROR_INVALID_HANDLE for any other, or an ended one."""
    if isinstance(handle, kind) and handle.alive:
        return handle
    raise failure(Win32Error.ERROR_INVALID_HANDLE, told_handle(handle, name, kind.called))


def context_of(handle: object) -> Context:
    """Raises ERROR_INVALID_HANDLE for what is no context, NTE_BAD_UID for one that is released."""
    if isinstance(handle, Context) and not handle.alive:
        raise failure(HRESULT.NTE_BAD_UID, "hProv is released")
    return alive_handle(handle, Context, "hProv")


def key_of(handle: object, name: str = "hKey") -> CapiKey:
    """A key; an agreed key that became a session key is that key."""
    key = alive_handle(handle, CapiKey, name)
    return key.session if isinstance(key, AgreedKey) and key.session is not None else key


def hash_or_none(handle: object) -> CapiHash | None:
    """A hash, None for NULL. Raises as `alive_handle`."""
    return None if no_handle(handle) else alive_handle(handle, CapiHash, "hHash")


def capi_flags(value: object, known: int = 0) -> int:
    """dwFlags of which `known` are defined. Raises NTE_BAD_FLAGS."""
    return flags(value, known, refused=HRESULT.NTE_BAD_FLAGS)


def any_flags(value: object) -> int:
    """dwFlags that are looked at later. Raises NTE_BAD_FLAGS for what is no DWORD."""
    return number(value, "dwFlags", refused=HRESULT.NTE_BAD_FLAGS)


def parameter_of(value: object) -> int:
    """dwParam. Raises NTE_BAD_TYPE for what is no DWORD."""
    return number(value, "dwParam", refused=HRESULT.NTE_BAD_TYPE)
