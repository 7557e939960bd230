"""What the functions of ncrypt.h check of their arguments, and the types of handles."""

from __future__ import annotations

from typing import TypeAlias, TypeVar

from hwcng.arguments import Octets, flags, number, octets, string
from hwcng.cng.handles import told_handle
from hwcng.cng.keys import KeyPair, Secret, SymmetricKey
from hwcng.errors import HRESULT, invalid_handle, invalid_parameter, told
from hwcng.headers import ncrypt_h
from hwcng.ksp.handles import NCryptKey, StorageProvider
from hwcng.ksp.status import refuse

__all__ = [
    "NCRYPT_KEY_HANDLE",
    "NCryptHandle",
    "given",
    "text_given",
    "data_given",
    "ncrypt_flags",
    "storage_of",
    "key_of",
    "check_legacy_key_spec",
    "key_type",
]

_SILENT = ncrypt_h.NCRYPT_SILENT_FLAG

_LEGACY_KEY_SPECS = (0, ncrypt_h.AT_KEYEXCHANGE, ncrypt_h.AT_SIGNATURE)

_T = TypeVar("_T")

NCRYPT_KEY_HANDLE: TypeAlias = NCryptKey | KeyPair | SymmetricKey
"""A key of ncrypt.h, or one that `hwcng.open_key` returns. Which kind a function takes, it checks itself."""

NCryptHandle: TypeAlias = StorageProvider | NCRYPT_KEY_HANDLE | Secret


def given(value: _T | None, name: str) -> _T:
    """What a mandatory pointer is. Raises RPC_X_NULL_REF_POINTER for None."""
    if value is None:
        refuse(HRESULT.RPC_X_NULL_REF_POINTER, f"{name} must not be None")
    return value


def text_given(value: object, name: str) -> str:
    """A mandatory string."""
    return string(given(value, name), name)


def data_given(value: Octets | None, name: str) -> bytes:
    """A mandatory buffer."""
    given(value, name)
    return octets(value, name)


def ncrypt_flags(value: object, known: int = 0) -> int:
    """dwFlags of which `known` and NCRYPT_SILENT_FLAG are defined. Raises NTE_BAD_FLAGS."""
    return flags(value, known | _SILENT, refused=HRESULT.NTE_BAD_FLAGS)


def storage_of(handle: object) -> StorageProvider:
    """An open key store. Raises STATUS_INVALID_HANDLE, which ncrypt.h's functions tell as NTE_INVALID_HANDLE."""
    if isinstance(handle, StorageProvider) and handle.alive:
        return handle
    raise invalid_handle(told_handle(handle, "hProvider", StorageProvider.called))


def key_of(handle: object, name: str = "hKey") -> NCryptKey:
    """A key of ncrypt.h, or one that `hwcng.open_key` returned as such. Raises as `storage_of`."""
    if isinstance(handle, NCryptKey) and handle.alive:
        return handle
    if isinstance(handle, (KeyPair, SymmetricKey)) and handle.alive:
        return NCryptKey.of(handle)
    raise invalid_handle(told_handle(handle, name, "a key"))


def check_legacy_key_spec(spec: object) -> None:
    """Raises STATUS_INVALID_PARAMETER for a dwLegacyKeySpec that there is not."""
    if number(spec, "dwLegacyKeySpec") not in _LEGACY_KEY_SPECS:
        raise invalid_parameter(f"dwLegacyKeySpec is 0, AT_KEYEXCHANGE or AT_SIGNATURE, not {told(spec)}")


def key_type(flags: int) -> int:
    """The property Key Type that flags ask for: of the machine, or 0."""
    return flags & ncrypt_h.NCRYPT_MACHINE_KEY_FLAG
