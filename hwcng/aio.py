"""Calls of bcrypt.h for asyncio: the event loop goes on while the token works.

Each call is done by one of a provider's few threads (`hwcng.many`). A task that is cancelled does not wait for it: a
call that has not begun never begins, and one that the token is busy with ends by itself and gives its session back.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from typing import ParamSpec, TypeVar

from hwcng import many
from hwcng.arguments import Octets
from hwcng.bcrypt import BCryptDecrypt, BCryptEncrypt, BCryptHash, BCryptSignHash
from hwcng.cng.algorithm_handle import AlgorithmHandle
from hwcng.cng.handles import told_handle
from hwcng.cng.keys import KeyPair, SymmetricKey
from hwcng.contract.provider import Provider
from hwcng.errors import invalid_handle

__all__ = [
    "call",
    "decrypt",
    "decrypt_many",
    "encrypt",
    "encrypt_many",
    "mac",
    "mac_many",
    "random",
    "sign",
    "sign_many",
]

P = ParamSpec("P")
T = TypeVar("T")


async def call(
    holder: Provider | AlgorithmHandle | KeyPair | SymmetricKey,
    function: Callable[P, T],
    /,
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """What `function` returns, called in a thread of the provider that `holder` is or belongs to.

    For every call that has no name of its own here: `await call(provider, provider.list_keys)`. Raises
    STATUS_INVALID_HANDLE for another holder.
    """
    match holder:
        case Provider():
            provider = holder
        case AlgorithmHandle():
            provider = holder.provider
        case KeyPair() | SymmetricKey():
            provider = holder.algorithm_handle.provider
        case _:
            raise invalid_handle(told_handle(holder, "hKey", "a key or a provider", of_bcrypt=True))
    context = contextvars.copy_context()
    work = partial(context.run, partial(function, *args, **kwargs))
    return await asyncio.get_running_loop().run_in_executor(many.pool_of(provider), work)


async def sign(hKey: KeyPair, pPaddingInfo: object, pbInput: Octets, dwFlags: int = 0) -> bytes:
    """BCryptSignHash. Parameters and failures as there."""
    return await call(hKey, BCryptSignHash, hKey, pPaddingInfo, pbInput, dwFlags)


async def encrypt(
    hKey: SymmetricKey | KeyPair,
    pbInput: Octets | None,
    pPaddingInfo: object = None,
    pbIV: Octets | None = None,
    dwFlags: int = 0,
) -> bytes:
    """BCryptEncrypt. Parameters and failures as there."""
    return await call(hKey, BCryptEncrypt, hKey, pbInput, pPaddingInfo, pbIV, dwFlags)


async def decrypt(
    hKey: SymmetricKey | KeyPair,
    pbInput: Octets | None,
    pPaddingInfo: object = None,
    pbIV: Octets | None = None,
    dwFlags: int = 0,
) -> bytes:
    """BCryptDecrypt. Parameters and failures as there."""
    return await call(hKey, BCryptDecrypt, hKey, pbInput, pPaddingInfo, pbIV, dwFlags)


async def mac(hAlgorithm: AlgorithmHandle, hKey: SymmetricKey, pbInput: Octets) -> bytes:
    """BCryptHash with a key of the token. Parameters and failures as there."""
    return await call(hKey, BCryptHash, hAlgorithm, hKey, pbInput)


async def random(provider: Provider, length: int) -> bytes:
    """`length` random bytes that the token made."""
    return await call(provider, provider.random, length)


async def _outcomes(batch: many.Batch[T]) -> AsyncIterator[many.Outcome]:
    with batch:
        while (future := batch.first()) is not None:
            for outcome in await asyncio.wrap_future(future):
                yield outcome
            batch.done()


def sign_many(
    hKey: KeyPair, pPaddingInfo: object, hashes: Iterable[Octets], dwFlags: int = 0, *, threads: int | None = None
) -> AsyncIterator[many.Outcome]:
    """`hwcng.many.sign_many`, read by `async for`."""
    return _outcomes(many.signing(hKey, pPaddingInfo, hashes, dwFlags, threads))


def encrypt_many(
    hKey: SymmetricKey | KeyPair, messages: Iterable[many.Message], dwFlags: int = 0, *, threads: int | None = None
) -> AsyncIterator[many.Outcome]:
    """`hwcng.many.encrypt_many`, read by `async for`."""
    return _outcomes(many.ciphering(BCryptEncrypt, hKey, messages, dwFlags, threads))


def decrypt_many(
    hKey: SymmetricKey | KeyPair, messages: Iterable[many.Message], dwFlags: int = 0, *, threads: int | None = None
) -> AsyncIterator[many.Outcome]:
    """`hwcng.many.decrypt_many`, read by `async for`."""
    return _outcomes(many.ciphering(BCryptDecrypt, hKey, messages, dwFlags, threads))


def mac_many(
    hAlgorithm: AlgorithmHandle, hKey: SymmetricKey, inputs: Iterable[Octets], *, threads: int | None = None
) -> AsyncIterator[many.Outcome]:
    """`hwcng.many.mac_many`, read by `async for`."""
    return _outcomes(many.authenticating(hAlgorithm, hKey, inputs, threads))
