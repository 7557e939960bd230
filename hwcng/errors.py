"""The one exception of hwcng, with the status codes that it carries."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from hwcng.headers.status_codes import HRESULT, NTSTATUS, Win32Error

__all__ = [
    "HRESULT",
    "NTSTATUS",
    "CngError",
    "TokenCode",
    "Win32Error",
    "decryption_error",
    "invalid_handle",
    "invalid_parameter",
    "not_supported",
    "told",
]


class TokenCode(int):
    """What the token answered: a CK_RV or a TPM_RC, as an int that knows its name."""

    name: str

    def __new__(cls, value: int, name: str) -> TokenCode:
        code = super().__new__(cls, value)
        code.name = name
        return code

    def __repr__(self) -> str:
        return f"{self.name} ({int(self):#x})"

    __str__ = __repr__

    def __reduce__(self) -> tuple[type[TokenCode], tuple[int, str]]:
        return TokenCode, (int(self), self.name)


def _status_of(code: NTSTATUS | HRESULT | Win32Error | int) -> Any:
    """The status that a number is, also one with a sign; a number that is none stays one."""
    if type(code) is not int or not -(2**31) <= code < 2**32:
        return code
    for statuses in (NTSTATUS, HRESULT, Win32Error):
        with suppress(ValueError):
            return statuses(code & 0xFFFFFFFF)
    return code


def _token_code_of(code: TokenCode | int | None) -> TokenCode | None:
    return code if code is None or isinstance(code, TokenCode) else TokenCode(int(code), "a code")


class CngError(Exception):
    """A documented failure.

    status: the code that the documented function returns (NTSTATUS, HRESULT or Win32Error).
    token_code: what the token answered, where a token call was the cause, else None.

    Both may be given as plain numbers, as JSON and other transports leave them of `args`.
    """

    def __init__(
        self, status: NTSTATUS | HRESULT | Win32Error | int, message: str, token_code: TokenCode | int | None = None
    ) -> None:
        self.status = _status_of(status)
        self.message = message
        self.token_code = _token_code_of(token_code)
        super().__init__(self.status, message, self.token_code)

    def __str__(self) -> str:
        cause = f"; the token answered {self.token_code!r}" if self.token_code is not None else ""
        return f"{self.status} ({self.status:#010x}): {self.message}{cause}"


def invalid_handle(message: str) -> CngError:
    return CngError(NTSTATUS.STATUS_INVALID_HANDLE, message)


def invalid_parameter(message: str) -> CngError:
    return CngError(NTSTATUS.STATUS_INVALID_PARAMETER, message)


def not_supported(message: str) -> CngError:
    return CngError(NTSTATUS.STATUS_NOT_SUPPORTED, message)


_TOLD_CHARACTERS = 80
_TOLD_BITS = 64


def told(value: object) -> str:
    """How a message shows an argument: short texts and numbers as they are, of all else, which may be a key, its type.

    A long text is cut. A long number is told by its length: Python refuses to write it out.
    """
    if isinstance(value, str):
        shown = str.__repr__(value[:_TOLD_CHARACTERS])
        return shown if len(value) <= _TOLD_CHARACTERS else f"{shown} and {len(value) - _TOLD_CHARACTERS} more"
    if isinstance(value, int) and int.bit_length(value) > _TOLD_BITS:
        return f"a number of {int.bit_length(value)} bits"
    return repr(value) if value is None or isinstance(value, int) else type(value).__name__


def decryption_error() -> CngError:
    """The one answer to every ciphertext that does not decrypt, so that it tells nothing about why."""
    return invalid_parameter("decryption error")
