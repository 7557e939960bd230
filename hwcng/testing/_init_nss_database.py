"""PKCS#11 v2.40, sections 5.4 to 5.6: opens a database of NSS softokn, and gives it its PIN. A child process of
`hwcng.testing.nss`.

The request is {"module": path, "companions": [path of what is loaded before it, ...], "reserved": what C_Initialize
gets as pReserved, "label": the token's, "pin": text}; without label and pin the module is only looked at. The answer is
{"created": bool, "mechanisms": [CKM of the first slot, ...]} or {"error": text}.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

from hwcng.testing._token_module import CKF_USER_PIN_INITIALIZED, TokenInitError, TokenModule, serve


def provision(request: dict[str, Any]) -> dict[str, Any]:
    try:
        loaded = [ctypes.CDLL(path) for path in request["companions"]]
    except OSError as error:
        raise TokenInitError(str(error)) from None
    module = TokenModule(request["module"])
    module.initialize(request["reserved"])
    try:
        tokens = module.tokens()
        created = False
        if "pin" in request:
            found = [(slot, info) for slot, info in tokens if info.text("label") == request["label"]]
            if len(found) != 1:
                raise TokenInitError(f"{len(found)} tokens have the label {request['label']!r}")
            slot, info = found[0]
            created = not info.flags & CKF_USER_PIN_INITIALIZED
            if created:
                # The security officer of a new database has the empty PIN.
                module.set_pin(slot, request["pin"].encode(), b"")
        return {"created": created, "mechanisms": module.mechanisms(tokens[0][0])}
    finally:
        module.finalize()
        loaded.clear()


if __name__ == "__main__":
    sys.exit(serve(provision))
