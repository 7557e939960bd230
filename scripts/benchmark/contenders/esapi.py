"""tpm2-pytss's ESAPI with password sessions: nothing is hidden on the bus. Keys are primaries, one at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

import tpm2_pytss as tss
from tpm2_pytss import ESAPI, ESYS_TR

from ..measuring import Operation
from ..places import Place
from ..worker import UnsupportedError
from . import tpm_keys
from .inputs import DIGEST, IV, MESSAGES

__all__ = ["Contender", "operations"]


class Contender:
    OPERATIONS: dict[str, Callable[[Any], Operation]]

    def __init__(self, place: Place) -> None:
        self._place = place
        self._loaded: Any = None

    @cached_property
    def esapi(self) -> Any:
        esapi = ESAPI(self._place.tcti)
        esapi.startup(tss.TPM2_SU.CLEAR)
        return esapi

    @cached_property
    def session(self) -> Any:
        """What authorizes a key."""
        return ESYS_TR.PASSWORD

    @cached_property
    def hiding(self) -> Any:
        """What hides the parameters of a command that nobody needs to authorize."""
        return ESYS_TR.NONE

    def key(self, public: Any) -> Any:
        """A new key in the place of the one before: a TPM has three."""
        if self._loaded is not None:
            self.esapi.flush_context(self._loaded)
        self._loaded = self.esapi.create_primary(tss.TPM2B_SENSITIVE_CREATE(), public, ESYS_TR.NULL)[0]
        return self._loaded

    def counter(self) -> Any:
        raise UnsupportedError("has no counter")


def _sign(public: Callable[[], Any], scheme: Callable[[], Any], contender: Contender) -> Operation:
    session, esapi, key = contender.session, contender.esapi, contender.key(public())
    how = scheme()
    ticket = tss.TPMT_TK_HASHCHECK(tag=tss.TPM2_ST.HASHCHECK, hierarchy=tss.TPM2_RH.NULL)
    return lambda: esapi.sign(key, tss.TPM2B_DIGEST(DIGEST), how, ticket, session1=session).marshal()


def _hmac(contender: Contender) -> Operation:
    session, esapi, key = contender.session, contender.esapi, contender.key(tpm_keys.hmac())
    message = MESSAGES["64B"]
    return lambda: bytes(esapi.hmac(key, tss.TPM2B_MAX_BUFFER(message), tss.TPM2_ALG.SHA256, session1=session))


def _cbc(contender: Contender) -> Operation:
    session, esapi, key = contender.session, contender.esapi, contender.key(tpm_keys.aes())
    message = MESSAGES["1KiB"]

    def encrypt() -> bytes:
        sealed, _ = esapi.encrypt_decrypt_2(
            key, False, tss.TPM2_ALG.CBC, tss.TPM2B_IV(IV), tss.TPM2B_MAX_BUFFER(message), session1=session
        )
        return bytes(sealed)

    return encrypt


def _random(contender: Contender) -> Operation:
    esapi, hiding = contender.esapi, contender.hiding
    return lambda: bytes(esapi.get_random(32, session1=hiding))


def operations() -> dict[str, Callable[[Any], Operation]]:
    return {
        "ecdsa-p256-sign": partial(_sign, tpm_keys.ecdsa, tpm_keys.ecdsa_scheme),
        "rsa-2048-sign": partial(_sign, tpm_keys.rsa, tpm_keys.rsa_scheme),
        "hmac-sha256-64B": _hmac,
        "aes-cbc-1KiB": _cbc,
        "random-32B": _random,
    }


Contender.OPERATIONS = operations()
