"""PKCS#11 v2.40, sections 5.4 to 5.6: makes tokens in a SoftHSM directory. A child process of `hwcng.testing.softhsm`.

SoftHSM reads SOFTHSM2_CONF once in a process, at C_Initialize, so the caller's own process must not do it.
The request comes as JSON on standard input, where no process list shows its PINs:
{"module": path, "so_pin": text, "tokens": [{"label": text, "pin": text}, ...]}.
The answer is JSON on standard output:
{"tokens": [{"label": text, "serial": text, "created": bool}, ...]} or {"error": text}.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from collections.abc import Iterable
from typing import Any

CKF_RW_SESSION = 0x2
CKF_SERIAL_SESSION = 0x4
CKF_USER_PIN_INITIALIZED = 0x8
CKF_TOKEN_INITIALIZED = 0x400
CKU_SO = 0
LABEL_LENGTH = 32


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


class TokenInitError(Exception):
    """A C_ function failed; the message names it and its CKR and holds no PIN."""


class Module:
    """The few calls that make a token."""

    def __init__(self, path: str) -> None:
        try:
            self._library = ctypes.CDLL(path)
        except OSError as error:
            raise TokenInitError(f"{path} cannot be loaded: {error}") from None

    def call(self, name: str, *args: Any) -> None:
        rv = getattr(self._library, name)(*args)
        if rv:
            raise TokenInitError(f"{name} failed with CKR {rv:#x}")

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

    def make(self, label: str, so_pin: bytes) -> int:
        """The slot of a new token, which has no user PIN yet."""
        free = (slot for slot, info in self.tokens() if not info.flags & CKF_TOKEN_INITIALIZED)
        if (slot := next(free, None)) is None:
            raise TokenInitError("SoftHSM shows no free slot")
        padded = label.encode().ljust(LABEL_LENGTH, b" ")
        self.call("C_InitToken", ctypes.c_ulong(slot), so_pin, ctypes.c_ulong(len(so_pin)), padded)
        return slot

    def set_pin(self, slot: int, pin: bytes, so_pin: bytes) -> None:
        session = ctypes.c_ulong()
        flags = ctypes.c_ulong(CKF_SERIAL_SESSION | CKF_RW_SESSION)
        self.call("C_OpenSession", ctypes.c_ulong(slot), flags, None, None, ctypes.byref(session))
        try:
            self.call("C_Login", session, ctypes.c_ulong(CKU_SO), so_pin, ctypes.c_ulong(len(so_pin)))
            self.call("C_InitPIN", session, pin, ctypes.c_ulong(len(pin)))
            self.call("C_Logout", session)
        finally:
            self.call("C_CloseSession", session)


def provision(module_path: str, wanted: Iterable[tuple[str, str]], so_pin: str) -> list[dict[str, Any]]:
    module = Module(module_path)
    module.call("C_Initialize", None)
    try:
        there: dict[str, list[tuple[str, int, bool]]] = {}
        for slot, info in module.tokens():
            if info.flags & CKF_TOKEN_INITIALIZED:
                ready = bool(info.flags & CKF_USER_PIN_INITIALIZED)
                there.setdefault(info.text("label"), []).append((info.text("serialNumber"), slot, ready))
        for tokens in there.values():
            tokens.sort()
        answer = []
        for label, pin in wanted:
            if there.get(label):
                serial, slot, ready = there[label].pop(0)
            else:
                slot, ready = module.make(label, so_pin.encode()), False
                serial = module.info(slot).text("serialNumber")
            # A token without a user PIN is new, or was left half made by a process that died.
            if not ready:
                module.set_pin(slot, pin.encode(), so_pin.encode())
            answer.append({"label": label, "serial": serial, "created": not ready})
        return answer
    finally:
        module.call("C_Finalize", None)


def main() -> int:
    os.umask(0o077)
    request = json.load(sys.stdin)
    wanted = [(token["label"], token["pin"]) for token in request["tokens"]]
    try:
        answer: dict[str, Any] = {"tokens": provision(request["module"], wanted, request["so_pin"])}
    except TokenInitError as error:
        answer = {"error": str(error)}
    json.dump(answer, sys.stdout)
    return 1 if "error" in answer else 0


if __name__ == "__main__":
    sys.exit(main())
