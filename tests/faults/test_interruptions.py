"""An exception that a signal's handler raises, as Ctrl-C or a worker's time limit does, leaves nothing behind wherever
it comes: no session that is taken for one at work, for which forks, recovery and the end of keys would wait.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import pytest
from isolation.interrupting import interrupted

from hwcng import bcrypt
from hwcng.contract.provider import Provider
from hwcng.forking import at_work

if TYPE_CHECKING:
    from hwcng.providers.pkcs11.provider import Pkcs11Provider

WARM = 2


def _signature(provider: Provider) -> Callable[[], object]:
    pair = bcrypt.BCryptGenerateKeyPair(bcrypt.BCryptOpenAlgorithmProvider("ECDSA_P256", provider), 256)
    bcrypt.BCryptFinalizeKeyPair(pair)
    return partial(bcrypt.BCryptSignHash, pair, None, bytes(32))


def _encryption(provider: Provider) -> Callable[[], object]:
    key = bcrypt.BCryptOpenAlgorithmProvider("AES", provider).generate_key(256)
    return lambda: bcrypt.BCryptEncrypt(key, bytes(10_000), None, bytes(16))


def _random(provider: Provider) -> Callable[[], object]:
    return partial(bcrypt.BCryptGenRandom, bcrypt.BCryptOpenAlgorithmProvider("RNG", provider), 32)


def _key(provider: Provider) -> Callable[[], object]:
    algorithm = bcrypt.BCryptOpenAlgorithmProvider("AES", provider)
    return lambda: bcrypt.BCryptDestroyKey(algorithm.generate_key(256))


def _mac(provider: Provider) -> Callable[[], object]:
    algorithm = bcrypt.BCryptOpenAlgorithmProvider("SHA256", provider, bcrypt.BCRYPT_ALG_HANDLE_HMAC_FLAG)
    return lambda: bcrypt.BCryptHash(algorithm, b"a key", b"message")


@pytest.mark.parametrize("made", [_signature, _encryption, _random, _key, _mac])
def test_an_interruption_anywhere_leaves_nothing_at_work(
    fresh_provider: Pkcs11Provider, made: Callable[[Provider], Callable[[], object]]
) -> None:
    call = made(fresh_provider)
    for _ in range(WARM):
        call()
    before, errors, nth = fresh_provider.statistics().pool, [], 0
    module = fresh_provider._current.module
    while interrupted(call, nth):
        if at_work or module._calls:
            errors.append(f"{nth}: {len(at_work)} sessions and {len(module._calls)} calls at work")
            at_work.clear()
            module._calls.clear()
        for _ in range(WARM):
            call()
        # One that the next use of its kind takes in may be left.
        if (pool := fresh_provider.statistics().pool).open > before.open + 1:
            errors.append(f"{nth}: {pool}")
            before = pool
        nth += 1
    assert not errors
    assert nth > 10


def test_a_session_with_objects_is_given_back(fresh_provider: Pkcs11Provider) -> None:
    """Closed, it would end the keys that were made in it."""
    key = bcrypt.BCryptOpenAlgorithmProvider("AES", fresh_provider).generate_key(256)
    connection = fresh_provider._current
    witness = connection._owners.pop()
    handle = witness.handle
    del witness
    made = bcrypt.BCryptOpenAlgorithmProvider("AES", fresh_provider).generate_key(256)
    assert [owner.handle for owner in connection._owners] == [handle]
    assert bcrypt.BCryptEncrypt(key, bytes(16), None, bytes(16)) != bcrypt.BCryptEncrypt(
        made, bytes(16), None, bytes(16)
    )
    assert not fresh_provider.statistics().reconnections
