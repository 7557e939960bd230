"""What an answer of a token may say of its sessions, and what its sessions say when asked (OASIS PKCS#11 3.2, sections
5.1 and 5.6.6).

No answer to an operation proves a loss: tokens say CKR_DEVICE_ERROR of a damaged ciphertext and CKR_USER_NOT_LOGGED_IN
of one key, and name a dead session in any way. So C_GetSessionInfo is asked.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import TypeAlias

from hwcng.errors import HRESULT, NTSTATUS
from hwcng.providers.pkcs11.ckr import CKR, CONNECTION_LOST, VENDOR_DEFINED
from hwcng.providers.pkcs11.cryptoki import Cryptoki, ffi

__all__ = ["TOKEN_GONE", "Standing", "explanation", "meaning", "of_sessions", "standing"]

Status: TypeAlias = NTSTATUS | HRESULT

CKS_RO_USER_FUNCTIONS = 1
CKS_RW_USER_FUNCTIONS = 3

_OF_ANYTHING = frozenset({CKR.DEVICE_ERROR, CKR.GENERAL_ERROR, CKR.FUNCTION_FAILED})
TOKEN_GONE = frozenset({CKR.DEVICE_REMOVED, CKR.TOKEN_NOT_PRESENT, CKR.TOKEN_NOT_RECOGNIZED})
"""After one of these the slot is looked at before its sessions are asked: OpenSC tells by then that a card was out."""

_ALONE = {CKR.DEVICE_ERROR: NTSTATUS.STATUS_IO_DEVICE_ERROR}


class Standing(enum.Enum):
    """What a session says of itself. UNTOLD: the module has no C_GetSessionInfo."""

    USER = enum.auto()
    PUBLIC = enum.auto()
    GONE = enum.auto()
    UNTOLD = enum.auto()


def standing(cryptoki: Cryptoki, session: int) -> Standing:
    """C_GetSessionInfo. session: its handle."""
    info = ffi.new("CK_SESSION_INFO *")
    rv = cryptoki.C_GetSessionInfo(session, info)
    if rv == CKR.FUNCTION_NOT_SUPPORTED:
        return Standing.UNTOLD
    if rv != CKR.OK:
        return Standing.GONE
    return Standing.USER if info.state in (CKS_RO_USER_FUNCTIONS, CKS_RW_USER_FUNCTIONS) else Standing.PUBLIC


def _may_be_anything(rv: int) -> bool:
    return rv in _OF_ANYTHING or bool(rv & VENDOR_DEFINED)


def of_sessions(rv: int) -> bool:
    """Whether `rv` may mean that a session is dead, and not only that the token will not do what it was asked."""
    return rv in CONNECTION_LOST or _may_be_anything(rv)


def meaning(rv: int, verdicts: Mapping[int, Status] | None) -> Mapping[int, Status] | None:
    """The verdicts on an operation that failed alone: what may mean anything means what CKR_GENERAL_ERROR does."""
    if verdicts and rv not in verdicts and CKR.GENERAL_ERROR in verdicts and _may_be_anything(rv):
        return {rv: verdicts[CKR.GENERAL_ERROR]}
    return {**_ALONE, **(verdicts or {})}


def explanation(rv: int) -> str:
    """What to say beside `rv` of an operation that failed alone."""
    if rv == CKR.USER_NOT_LOGGED_IN:
        return ": the token is logged in to, so this key asks for more than that (CKA_ALWAYS_AUTHENTICATE?)"
    return ": this operation alone, the session with the token is sound" if rv in CONNECTION_LOST else ""
