"""PKCS#11 v2.40, sections 3 and 5: the few C_ calls that make a token, by ctypes.

A module can be initialised once in a process, with one configuration: `initialize` is for child processes of this
package, and `in_use` for a module that others have initialised. A child is started for each token that a test asks for,
and loads nothing that it can do without: `json` and `typing` cost it more than the token does.
"""

from __future__ import annotations

import ctypes
import marshal
import os
import sys

from hwcng.providers.pkcs11.cryptoki.function_lists import LIST_2_40

# As typing's.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = [
    "CKF_TOKEN_INITIALIZED",
    "CKF_USER_PIN_INITIALIZED",
    "TokenInfo",
    "TokenInitError",
    "TokenModule",
    "serve",
]

CKF_OS_LOCKING_OK = 0x2
CKF_RW_SESSION = 0x2
CKF_SERIAL_SESSION = 0x4
CKF_USER_PIN_INITIALIZED = 0x8
CKF_TOKEN_INITIALIZED = 0x400
CKU_SO = 0
CKR_OK = 0


_INFO_BYTES = 256
"""More than CK_INFO has (section 3.1)."""


class TokenInfo(ctypes.Structure):
    """CK_TOKEN_INFO (section 3.2)."""

    _fields_ = (
        ("label", ctypes.c_char * 32),
        ("manufacturerID", ctypes.c_char * 32),
        ("model", ctypes.c_char * 16),
        ("serialNumber", ctypes.c_char * 16),
        ("flags", ctypes.c_ulong),
        ("counts", ctypes.c_ulong * 10),
        ("hardwareVersion", ctypes.c_ubyte * 2),
        ("firmwareVersion", ctypes.c_ubyte * 2),
        ("utcTime", ctypes.c_char * 16),
    )

    def text(self, field: str) -> str:
        value: bytes = getattr(self, field)
        return value.decode("utf-8", "replace").rstrip(" ")


class InitializeArguments(ctypes.Structure):
    """CK_C_INITIALIZE_ARGS (section 3.7); NSS takes a text in pReserved."""

    _fields_ = (
        ("mutexes", ctypes.c_void_p * 4),
        ("flags", ctypes.c_ulong),
        ("pReserved", ctypes.c_char_p),
    )


class FunctionList(ctypes.Structure):
    """CK_FUNCTION_LIST (section 3.6)."""

    _fields_ = (("version", ctypes.c_ubyte * 2), *((name, ctypes.c_void_p) for name in LIST_2_40))


class TokenInitError(Exception):
    """A C_ function failed; the message names it and its CKR and holds no PIN."""


class TokenModule:
    """The few calls that make a token."""

    def __init__(self, path: str) -> None:
        functions = ctypes.POINTER(FunctionList)()
        try:
            self._library = ctypes.CDLL(path)
            # NSS exports no other C_ function by its name.
            self._library.C_GetFunctionList(ctypes.byref(functions))
        except (OSError, AttributeError) as error:
            raise TokenInitError(f"{path} cannot be loaded: {error}") from None
        self._functions = functions.contents

    @classmethod
    def in_use(cls, path: str) -> TokenModule | None:
        """The module as this process has it loaded and initialised, None where it has not. Loads nothing."""
        try:
            ctypes.CDLL(path, mode=os.RTLD_NOLOAD | os.RTLD_NOW)
        except OSError:
            return None
        module = cls(path)
        info = ctypes.create_string_buffer(_INFO_BYTES)
        return module if module._returned("C_GetInfo", info) == CKR_OK else None

    def _returned(self, name: str, *args: Any) -> int:
        rv: int = ctypes.CFUNCTYPE(ctypes.c_ulong)(getattr(self._functions, name))(*args)
        return rv

    def call(self, name: str, *args: Any) -> None:
        rv = self._returned(name, *args)
        if rv:
            raise TokenInitError(f"{name} failed with CKR {rv:#x}")

    def initialize(self, reserved: str | None = None) -> None:
        """reserved: what pReserved says."""
        text = None if reserved is None else reserved.encode()
        self.call("C_Initialize", ctypes.byref(InitializeArguments(flags=CKF_OS_LOCKING_OK, pReserved=text)))

    def finalize(self) -> None:
        self.call("C_Finalize", None)

    def tokens(self) -> list[tuple[int, TokenInfo]]:
        """Every slot's id with its token; listing anew makes SoftHSM add a free slot where the last one was taken."""
        count = ctypes.c_ulong()
        self.call("C_GetSlotList", ctypes.c_ubyte(1), None, ctypes.byref(count))
        slots = (ctypes.c_ulong * count.value)()
        self.call("C_GetSlotList", ctypes.c_ubyte(1), slots, ctypes.byref(count))
        return [(slot, self.info(slot)) for slot in slots[: count.value]]

    def info(self, slot: int) -> TokenInfo:
        info = TokenInfo()
        self.call("C_GetTokenInfo", ctypes.c_ulong(slot), ctypes.byref(info))
        return info

    def mechanisms(self, slot: int) -> list[int]:
        """The CKM numbers that the slot lists."""
        count = ctypes.c_ulong()
        self.call("C_GetMechanismList", ctypes.c_ulong(slot), None, ctypes.byref(count))
        listed = (ctypes.c_ulong * count.value)()
        self.call("C_GetMechanismList", ctypes.c_ulong(slot), listed, ctypes.byref(count))
        return list(listed[: count.value])

    def set_pin(self, slot: int, pin: bytes, so_pin: bytes) -> None:
        """Gives the token its first user PIN."""
        session = ctypes.c_ulong()
        flags = ctypes.c_ulong(CKF_SERIAL_SESSION | CKF_RW_SESSION)
        self.call("C_OpenSession", ctypes.c_ulong(slot), flags, None, None, ctypes.byref(session))
        try:
            self.call("C_Login", session, ctypes.c_ulong(CKU_SO), so_pin, ctypes.c_ulong(len(so_pin)))
            self.call("C_InitPIN", session, pin, ctypes.c_ulong(len(pin)))
            self.call("C_Logout", session)
        finally:
            self.call("C_CloseSession", session)


def serve(work: Callable[[dict[str, Any]], dict[str, Any]]) -> int:
    """The other end of `hwcng.testing._provisioning.ask_child`: answers one request, in a process of its own.

    work: gets the request and returns the answer, of what Python's literals can say. Returns the exit status.
    """
    os.umask(0o077)
    try:
        answer = work(marshal.load(sys.stdin.buffer))  # noqa: S302 - the process that started this one wrote it
    except TokenInitError as error:
        answer = {"error": str(error)}
    sys.stdout.write(ascii(answer))
    return 1 if "error" in answer else 0
