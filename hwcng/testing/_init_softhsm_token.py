"""PKCS#11 v2.40, sections 5.4 to 5.6: makes tokens in a SoftHSM directory. A child process of `hwcng.testing.softhsm`.

SoftHSM reads SOFTHSM2_CONF once in a process, at C_Initialize, so the caller's own process must not do it.
The request is {"module": path, "so_pin": text, "tokens": [{"label": text, "pin": text}, ...]}, the answer
{"tokens": [{"label": text, "serial": text, "created": bool}, ...]} or {"error": text}.
"""

from __future__ import annotations

import ctypes
import sys

from hwcng.testing._token_module import (
    CKF_TOKEN_INITIALIZED,
    CKF_USER_PIN_INITIALIZED,
    TokenInitError,
    TokenModule,
    serve,
)

# As typing's, which costs more than the token: see `hwcng.testing._token_module`.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

LABEL_LENGTH = 32


def make(module: TokenModule, label: str, so_pin: bytes) -> int:
    """The slot of a new token, which has no user PIN yet."""
    free = (slot for slot, info in module.tokens() if not info.flags & CKF_TOKEN_INITIALIZED)
    if (slot := next(free, None)) is None:
        raise TokenInitError("SoftHSM shows no free slot")
    padded = label.encode().ljust(LABEL_LENGTH, b" ")
    module.call("C_InitToken", ctypes.c_ulong(slot), so_pin, ctypes.c_ulong(len(so_pin)), padded)
    return slot


def provision(module_path: str, wanted: Iterable[tuple[str, str]], so_pin: str) -> list[dict[str, Any]]:
    module = TokenModule(module_path)
    module.initialize()
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
                slot, ready = make(module, label, so_pin.encode()), False
                serial = module.info(slot).text("serialNumber")
            # A token without a user PIN is new, or was left half made by a process that died.
            if not ready:
                module.set_pin(slot, pin.encode(), so_pin.encode())
            answer.append({"label": label, "serial": serial, "created": not ready})
        return answer
    finally:
        module.finalize()


def answer(request: dict[str, Any]) -> dict[str, Any]:
    wanted = [(token["label"], token["pin"]) for token in request["tokens"]]
    return {"tokens": provision(request["module"], wanted, request["so_pin"])}


if __name__ == "__main__":
    sys.exit(serve(answer))
