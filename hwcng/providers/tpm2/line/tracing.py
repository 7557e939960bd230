"""The trace of TPM commands: their names and response codes (TPM 2.0 Library, Part 2), and nothing that they carry."""

from __future__ import annotations

import time
from collections.abc import Callable

from hwcng.providers.instruments import Tell
from hwcng.providers.tpm2.wire.constants import command_name
from hwcng.providers.tpm2.wire.errors import rc_name
from hwcng.providers.tpm2.wire.marshal import Exchange

__all__ = ["tracing"]


def tracing(tell: Tell) -> Callable[[Exchange], Exchange]:
    def traced(exchange: Exchange) -> Exchange:
        def carried(command: bytes) -> bytes:
            name = command_name(int.from_bytes(command[6:10], "big"))
            began = time.perf_counter()
            try:
                response = exchange(command)
            except Exception as error:
                # By its kind: a message may quote what was sent.
                kind = type(error).__name__
                tell(name, began, lambda: kind)
                raise
            tell(name, began, lambda: rc_name(int.from_bytes(response[6:10], "big")))
            return response

        return carried

    return traced
