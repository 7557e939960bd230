"""Status codes and the one exception of hwcng.

Values: NTSTATUS (ntstatus.h), HRESULT security codes (winerror.h, NTE_* and SCARD_*), Win32 error codes (winerror.h).
"""

from __future__ import annotations

import enum

__all__ = ["CngError", "HRESULT", "NTSTATUS", "TokenCode", "Win32Error", "told"]


class NTSTATUS(enum.IntEnum):
    """Codes that the BCrypt functions return (ntstatus.h)."""

    STATUS_SUCCESS = 0x00000000
    STATUS_BUFFER_OVERFLOW = 0x80000005
    STATUS_DEVICE_BUSY = 0x80000011
    STATUS_UNSUCCESSFUL = 0xC0000001
    STATUS_NOT_IMPLEMENTED = 0xC0000002
    STATUS_INVALID_HANDLE = 0xC0000008
    STATUS_INVALID_PARAMETER = 0xC000000D
    STATUS_NO_MEMORY = 0xC0000017
    STATUS_ACCESS_DENIED = 0xC0000022
    STATUS_BUFFER_TOO_SMALL = 0xC0000023
    STATUS_OBJECT_NAME_COLLISION = 0xC0000035
    STATUS_DATA_ERROR = 0xC000003E
    STATUS_WRONG_PASSWORD = 0xC000006A
    STATUS_DISK_FULL = 0xC000007F
    STATUS_INTEGER_OVERFLOW = 0xC0000095
    STATUS_INSUFFICIENT_RESOURCES = 0xC000009A
    STATUS_DEVICE_NOT_CONNECTED = 0xC000009D
    STATUS_DEVICE_NOT_READY = 0xC00000A3
    STATUS_IO_TIMEOUT = 0xC00000B5
    STATUS_NOT_SUPPORTED = 0xC00000BB
    STATUS_INTERNAL_ERROR = 0xC00000E5
    STATUS_CANCELLED = 0xC0000120
    STATUS_IO_DEVICE_ERROR = 0xC0000185
    STATUS_INVALID_DEVICE_STATE = 0xC0000184
    STATUS_INVALID_BUFFER_SIZE = 0xC0000206
    STATUS_NOT_FOUND = 0xC0000225
    STATUS_RETRY = 0xC000022D
    STATUS_ACCOUNT_LOCKED_OUT = 0xC0000234
    STATUS_ENCRYPTION_FAILED = 0xC000028A
    STATUS_DECRYPTION_FAILED = 0xC000028B
    STATUS_CRYPTO_SYSTEM_INVALID = 0xC00002F3
    STATUS_SMARTCARD_SUBSYSTEM_FAILURE = 0xC0000321
    STATUS_SMARTCARD_WRONG_PIN = 0xC0000380
    STATUS_SMARTCARD_CARD_BLOCKED = 0xC0000381
    STATUS_SMARTCARD_CARD_NOT_AUTHENTICATED = 0xC0000382
    STATUS_SMARTCARD_NO_CARD = 0xC0000383
    STATUS_SMARTCARD_NO_KEY_CONTAINER = 0xC0000384
    STATUS_SMARTCARD_NO_CERTIFICATE = 0xC0000385
    STATUS_SMARTCARD_NO_KEYSET = 0xC0000386
    STATUS_SMARTCARD_IO_ERROR = 0xC0000387
    STATUS_SMARTCARD_SILENT_CONTEXT = 0xC000038F
    STATUS_INVALID_SIGNATURE = 0xC000A000
    STATUS_HMAC_NOT_SUPPORTED = 0xC000A001
    STATUS_AUTH_TAG_MISMATCH = 0xC000A002


class HRESULT(enum.IntEnum):
    """Codes that the NCrypt functions return and CryptXxx leaves in GetLastError (winerror.h)."""

    NTE_BAD_UID = 0x80090001
    NTE_BAD_HASH = 0x80090002
    NTE_BAD_KEY = 0x80090003
    NTE_BAD_LEN = 0x80090004
    NTE_BAD_DATA = 0x80090005
    NTE_BAD_SIGNATURE = 0x80090006
    NTE_BAD_VER = 0x80090007
    NTE_BAD_ALGID = 0x80090008
    NTE_BAD_FLAGS = 0x80090009
    NTE_BAD_TYPE = 0x8009000A
    NTE_BAD_KEY_STATE = 0x8009000B
    NTE_BAD_HASH_STATE = 0x8009000C
    NTE_NO_KEY = 0x8009000D
    NTE_NO_MEMORY = 0x8009000E
    NTE_EXISTS = 0x8009000F
    NTE_PERM = 0x80090010
    NTE_NOT_FOUND = 0x80090011
    NTE_DOUBLE_ENCRYPT = 0x80090012
    NTE_BAD_PROVIDER = 0x80090013
    NTE_BAD_PROV_TYPE = 0x80090014
    NTE_BAD_PUBLIC_KEY = 0x80090015
    NTE_BAD_KEYSET = 0x80090016
    NTE_PROV_TYPE_NOT_DEF = 0x80090017
    NTE_PROV_TYPE_ENTRY_BAD = 0x80090018
    NTE_KEYSET_NOT_DEF = 0x80090019
    NTE_KEYSET_ENTRY_BAD = 0x8009001A
    NTE_PROV_TYPE_NO_MATCH = 0x8009001B
    NTE_SIGNATURE_FILE_BAD = 0x8009001C
    NTE_PROVIDER_DLL_FAIL = 0x8009001D
    NTE_PROV_DLL_NOT_FOUND = 0x8009001E
    NTE_BAD_KEYSET_PARAM = 0x8009001F
    NTE_FAIL = 0x80090020
    NTE_SYS_ERR = 0x80090021
    NTE_SILENT_CONTEXT = 0x80090022
    NTE_TOKEN_KEYSET_STORAGE_FULL = 0x80090023
    NTE_TEMPORARY_PROFILE = 0x80090024
    NTE_FIXEDPARAMETER = 0x80090025
    NTE_INVALID_HANDLE = 0x80090026
    NTE_INVALID_PARAMETER = 0x80090027
    NTE_BUFFER_TOO_SMALL = 0x80090028
    NTE_NOT_SUPPORTED = 0x80090029
    NTE_NO_MORE_ITEMS = 0x8009002A
    NTE_BUFFERS_OVERLAP = 0x8009002B
    NTE_DECRYPTION_FAILURE = 0x8009002C
    NTE_INTERNAL_ERROR = 0x8009002D
    NTE_UI_REQUIRED = 0x8009002E
    NTE_HMAC_NOT_SUPPORTED = 0x8009002F
    NTE_DEVICE_NOT_READY = 0x80090030
    NTE_AUTHENTICATION_IGNORED = 0x80090031
    NTE_VALIDATION_FAILED = 0x80090032
    NTE_INCORRECT_PASSWORD = 0x80090033
    NTE_ENCRYPTION_FAILURE = 0x80090034
    NTE_DEVICE_NOT_FOUND = 0x80090035
    NTE_USER_CANCELLED = 0x80090036
    NTE_PASSWORD_CHANGE_REQUIRED = 0x80090037
    NTE_NOT_ACTIVE_CONSOLE = 0x80090038
    SCARD_E_NO_SMARTCARD = 0x8010000C
    SCARD_E_NO_KEY_CONTAINER = 0x80100030
    SCARD_W_WRONG_CHV = 0x8010006B
    SCARD_W_CHV_BLOCKED = 0x8010006C
    SCARD_W_CANCELLED_BY_USER = 0x8010006E
    SCARD_W_CARD_NOT_AUTHENTICATED = 0x8010006F
    RPC_X_NULL_REF_POINTER = 0x800706F4
    """HRESULT_FROM_WIN32 of 1780: None where a pointer is mandatory."""


class Win32Error(enum.IntEnum):
    """Win32 codes of the CryptGenKey family (winerror.h)."""

    ERROR_INVALID_HANDLE = 6
    ERROR_NOT_ENOUGH_MEMORY = 8
    ERROR_INVALID_PARAMETER = 87
    ERROR_BUSY = 170
    ERROR_MORE_DATA = 234
    ERROR_NO_MORE_ITEMS = 259


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


class CngError(Exception):
    """A documented failure.

    status: the code that the documented function returns (NTSTATUS, HRESULT or Win32Error).
    token_code: what the token answered, where a token call was the cause, else None.
    """

    def __init__(
        self, status: NTSTATUS | HRESULT | Win32Error, message: str, token_code: TokenCode | None = None
    ) -> None:
        super().__init__(status, message, token_code)
        self.status = status
        self.message = message
        self.token_code = token_code

    def __str__(self) -> str:
        cause = f"; the token answered {self.token_code!r}" if self.token_code is not None else ""
        return f"{self.status.name} ({int(self.status):#010x}): {self.message}{cause}"


def told(value: object) -> str:
    """How a message shows an argument: texts and numbers as they are, of all else, which may be a key, its type."""
    return repr(value) if value is None or isinstance(value, (str, int)) else type(value).__name__
