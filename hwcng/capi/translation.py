"""A context and its pairs as handles of ncrypt.h (NCryptTranslateHandle)."""

from __future__ import annotations

from hwcng.capi.contexts import Context
from hwcng.capi.errors import failure
from hwcng.capi.generation import user_key
from hwcng.capi.handle_base import CapiKey
from hwcng.capi.pairs import PairKey
from hwcng.cng.handles import told_handle
from hwcng.cng.key_pair import KeyPair
from hwcng.contract.provider import Provider
from hwcng.errors import HRESULT, Win32Error, invalid_handle, not_supported, told
from hwcng.headers import wincrypt_h

__all__ = ["context_of", "machine_flag", "translated"]


def context_of(handle: object) -> Context:
    if not isinstance(handle, Context) or not handle.alive:
        raise invalid_handle(told_handle(handle, "hLegacyProv", Context.called))
    return handle


def machine_flag(context: Context) -> int:
    return wincrypt_h.CRYPT_MACHINE_KEYSET if context.machine else 0


def _pair(context: Context, handle: object, spec: int) -> PairKey:
    if handle is None:
        if spec not in (wincrypt_h.AT_KEYEXCHANGE, wincrypt_h.AT_SIGNATURE):
            raise failure(
                Win32Error.ERROR_INVALID_PARAMETER,
                f"dwLegacyKeySpec is AT_KEYEXCHANGE or AT_SIGNATURE where there is no hLegacyKey, not {told(spec)}",
            )
        return user_key(context, spec)
    if not isinstance(handle, CapiKey) or not handle.alive:
        raise invalid_handle(told_handle(handle, "hLegacyKey", CapiKey.called))
    if not isinstance(handle, PairKey):
        raise not_supported("a session key is no key of ncrypt.h")
    if handle.context is not context:
        raise failure(HRESULT.NTE_INVALID_HANDLE, "hLegacyKey is of another context")
    return handle


def translated(context: Context, handle: object, spec: int) -> tuple[Provider, KeyPair]:
    """The context's provider, and a handle of its own to a pair: to hLegacyKey's, or without one to the container's."""
    pair = _pair(context, handle, spec)
    try:
        return context.provider, pair.shared.lend()
    finally:
        if handle is None:
            pair.destroy()
