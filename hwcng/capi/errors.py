"""What GetLastError tells after a failure: winerror.h's codes for what the layers below report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from types import MappingProxyType
from typing import ParamSpec, TypeAlias, TypeVar

from hwcng.cng.handles import Handle
from hwcng.errors import HRESULT, NTSTATUS, CngError, Win32Error

__all__ = ["MALFORMED", "Code", "documented", "failing_as", "failure", "win32_code"]

P = ParamSpec("P")
R = TypeVar("R")

Code: TypeAlias = HRESULT | Win32Error

_CODES: Mapping[int, Code] = MappingProxyType(
    {
        NTSTATUS.STATUS_INVALID_HANDLE: Win32Error.ERROR_INVALID_HANDLE,
        NTSTATUS.STATUS_INVALID_PARAMETER: Win32Error.ERROR_INVALID_PARAMETER,
        NTSTATUS.STATUS_INVALID_BUFFER_SIZE: HRESULT.NTE_BAD_DATA,
        NTSTATUS.STATUS_DATA_ERROR: HRESULT.NTE_BAD_DATA,
        NTSTATUS.STATUS_NOT_SUPPORTED: HRESULT.NTE_NOT_SUPPORTED,
        NTSTATUS.STATUS_NOT_FOUND: HRESULT.NTE_NOT_FOUND,
        NTSTATUS.STATUS_NO_MEMORY: HRESULT.NTE_NO_MEMORY,
        NTSTATUS.STATUS_INSUFFICIENT_RESOURCES: HRESULT.NTE_NO_MEMORY,
        NTSTATUS.STATUS_INVALID_SIGNATURE: HRESULT.NTE_BAD_SIGNATURE,
        NTSTATUS.STATUS_ACCESS_DENIED: HRESULT.NTE_PERM,
        NTSTATUS.STATUS_DISK_FULL: HRESULT.NTE_TOKEN_KEYSET_STORAGE_FULL,
        NTSTATUS.STATUS_DEVICE_BUSY: Win32Error.ERROR_BUSY,
        NTSTATUS.STATUS_DEVICE_NOT_CONNECTED: HRESULT.NTE_DEVICE_NOT_FOUND,
        NTSTATUS.STATUS_DEVICE_NOT_READY: HRESULT.NTE_DEVICE_NOT_READY,
        NTSTATUS.STATUS_INVALID_DEVICE_STATE: HRESULT.NTE_DEVICE_NOT_READY,
        NTSTATUS.STATUS_IO_TIMEOUT: HRESULT.NTE_DEVICE_NOT_READY,
        NTSTATUS.STATUS_RETRY: HRESULT.NTE_DEVICE_NOT_READY,
        NTSTATUS.STATUS_IO_DEVICE_ERROR: HRESULT.NTE_SYS_ERR,
        NTSTATUS.STATUS_WRONG_PASSWORD: HRESULT.SCARD_W_WRONG_CHV,
        NTSTATUS.STATUS_SMARTCARD_WRONG_PIN: HRESULT.SCARD_W_WRONG_CHV,
        NTSTATUS.STATUS_SMARTCARD_CARD_BLOCKED: HRESULT.SCARD_W_CHV_BLOCKED,
        NTSTATUS.STATUS_ACCOUNT_LOCKED_OUT: HRESULT.SCARD_W_CHV_BLOCKED,
        NTSTATUS.STATUS_SMARTCARD_CARD_NOT_AUTHENTICATED: HRESULT.SCARD_W_CARD_NOT_AUTHENTICATED,
        NTSTATUS.STATUS_SMARTCARD_NO_CARD: HRESULT.SCARD_E_NO_SMARTCARD,
    }
)


MALFORMED: Mapping[int, Code] = MappingProxyType({NTSTATUS.STATUS_INVALID_PARAMETER: HRESULT.NTE_BAD_DATA})
"""Of a blob, or of what a key is given, whose octets are not what they should be."""


def win32_code(status: NTSTATUS) -> Code:
    """What GetLastError tells where the layers below report `status`."""
    return _CODES.get(status, HRESULT.NTE_FAIL)


def failure(code: Code, message: str) -> CngError:
    return CngError(code, message)


def _translated(error: CngError, code: Code) -> CngError:
    """Its cause is what the token layer said, or the error itself."""
    return CngError(code, error.message, error.token_code)


@contextmanager
def failing_as(codes: Mapping[int, Code]) -> Iterator[None]:
    """Within the block, statuses have these codes instead of the general ones."""
    try:
        yield
    except CngError as error:
        code = codes.get(error.status)
        if code is None:
            raise
        raise _translated(error, code) from error.__cause__ or error


def documented(function: Callable[P, R]) -> Callable[P, R]:
    """A function whose failures carry the code that GetLastError has after the documented one."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except CngError as error:
            if error.token_code is not None and any(isinstance(value, Handle) and not value.alive for value in args):
                raise failure(Win32Error.ERROR_INVALID_HANDLE, "a handle was destroyed while it was used") from error
            if not isinstance(error.status, NTSTATUS):
                raise
            raise _translated(error, win32_code(error.status)) from error.__cause__ or error

    return call
