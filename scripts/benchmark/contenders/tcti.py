"""The bytes of one command straight to the TPM, and its answer back: TPM 2.0 Library, Part 3. Of the answer only the
response code is looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from struct import pack
from typing import Any

import tpm2_pytss as tss
from tpm2_pytss.TCTILdr import TCTILdr

from ..measuring import Operation
from ..places import Place
from ..worker import UnsupportedError
from . import tpm_keys
from .inputs import DIGEST, IV, MESSAGES

__all__ = ["Contender"]

_PASSWORD = pack(">I", 9) + pack(">IHBH", 0x40000009, 0, 0, 0)
_CREATE_PRIMARY, _SIGN, _HMAC, _ENCRYPT, _RANDOM, _FLUSH = 0x131, 0x15D, 0x155, 0x193, 0x17B, 0x165
_NULL_HIERARCHY = 0x40000007
_NULL_TICKET = pack(">HIH", 0x8024, _NULL_HIERARCHY, 0)


def _command(code: int, handle: int | None, parameters: bytes) -> bytes:
    """With the password session of an empty value where there is a handle, without one where there is none."""
    if handle is None:
        return pack(">HII", 0x8001, 10 + len(parameters), code) + parameters
    body = pack(">I", handle) + _PASSWORD + parameters
    return pack(">HII", 0x8002, 10 + len(body), code) + body


def _sized(data: bytes) -> bytes:
    return pack(">H", len(data)) + data


class Contender:
    OPERATIONS: dict[str, Callable[[Contender], Operation]]

    def __init__(self, place: Place) -> None:
        self._place = place
        self._loaded: int | None = None

    @cached_property
    def _line(self) -> Any:
        return TCTILdr(*self._place.tcti.split(":", 1))

    def exchange(self, command: bytes) -> bytes:
        self._line.transmit(command)
        answer = bytes(self._line.receive())
        if answer[6:10] != bytes(4):
            raise RuntimeError(f"the TPM answered {answer[6:10].hex()}")
        return answer

    def key(self, public: Any) -> int:
        if self._loaded is not None:
            self.exchange(_command(_FLUSH, None, pack(">I", self._loaded)))
        parameters = _sized(_sized(b"") * 2) + public.marshal() + _sized(b"") + pack(">I", 0)
        self._loaded = int.from_bytes(
            self.exchange(_command(_CREATE_PRIMARY, _NULL_HIERARCHY, parameters))[10:14], "big"
        )
        return self._loaded

    def counter(self) -> Any:
        raise UnsupportedError("has no counter")


def _keyed(public: Callable[[], Any], code: int, parameters: Callable[[], bytes], contender: Contender) -> Operation:
    return partial(contender.exchange, _command(code, contender.key(public()), parameters()))


def _signing(scheme: Callable[[], Any]) -> bytes:
    return _sized(DIGEST) + bytes(scheme().marshal()) + _NULL_TICKET


def _random(contender: Contender) -> Operation:
    return partial(contender.exchange, _command(_RANDOM, None, pack(">H", 32)))


Contender.OPERATIONS = {
    "ecdsa-p256-sign": partial(_keyed, tpm_keys.ecdsa, _SIGN, lambda: _signing(tpm_keys.ecdsa_scheme)),
    "rsa-2048-sign": partial(_keyed, tpm_keys.rsa, _SIGN, lambda: _signing(tpm_keys.rsa_scheme)),
    "hmac-sha256-64B": partial(
        _keyed, tpm_keys.hmac, _HMAC, lambda: _sized(MESSAGES["64B"]) + pack(">H", tss.TPM2_ALG.SHA256)
    ),
    "aes-cbc-1KiB": partial(
        _keyed,
        tpm_keys.aes,
        _ENCRYPT,
        lambda: _sized(MESSAGES["1KiB"]) + pack(">BH", 0, tss.TPM2_ALG.CBC) + _sized(IV),
    ),
    "random-32B": _random,
}
