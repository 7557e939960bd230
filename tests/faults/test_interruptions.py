"""An exception that a signal's handler raises, as Ctrl-C or a worker's time limit does, leaves nothing behind wherever
it comes: no session that is taken for one at work, for which forks, recovery and the end of keys would wait.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING

import pytest
from isolation.interrupting import interrupted
from pkcs11 import Attribute

from hwcng import bcrypt
from hwcng.cng.handles import Handle
from hwcng.contract.provider import Provider
from hwcng.forking import at_work
from hwcng.lost_calls import Call, Deadlines
from hwcng.providers.pkcs11.objects import find

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


def _generated(provider: Provider) -> Callable[[], Handle]:
    algorithm = bcrypt.BCryptOpenAlgorithmProvider("AES", provider)
    return lambda: algorithm.generate_key(256)


def _pair(provider: Provider) -> Callable[[], Handle]:
    algorithm = bcrypt.BCryptOpenAlgorithmProvider("ECDH_P256", provider)

    def call() -> Handle:
        pair = bcrypt.BCryptGenerateKeyPair(algorithm, 256)
        bcrypt.BCryptFinalizeKeyPair(pair)
        return pair

    return call


def _imported(provider: Provider) -> Callable[[], Handle]:
    algorithm = bcrypt.BCryptOpenAlgorithmProvider("AES", provider)
    return lambda: bcrypt.BCryptGenerateSymmetricKey(algorithm, None, bytes(range(16)))


def _duplicate(provider: Provider) -> Callable[[], Handle]:
    return partial(bcrypt.BCryptDuplicateKey, _generated(provider)())


def _agreement(provider: Provider) -> Callable[[], Handle]:
    pair = _pair(provider)()
    return partial(bcrypt.BCryptSecretAgreement, pair, pair)


@pytest.mark.parametrize("makes", [_generated, _pair, _imported, _duplicate, _agreement])
def test_what_the_token_made_when_the_interruption_came_is_destroyed(
    fresh_provider: Pkcs11Provider, makes: Callable[[Provider], Callable[[], Handle]]
) -> None:
    make, keys = makes(fresh_provider), {Attribute.TOKEN: False}
    made: list[Handle] = []

    def there() -> int:
        for _ in range(WARM):
            made.append(make())
        while made:
            made.pop().destroy()
        return len(find(fresh_provider._current, keys))

    there()
    before, left, nth = there(), [], 0
    while interrupted(lambda: made.append(make()), nth):
        # The next creation of a key destroys what finalisers left.
        if (now := there()) != before:
            left.append((nth, now - before))
            before = now
        nth += 1
    assert not left
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


def test_what_a_call_with_a_deadline_made_is_had_or_taken_back() -> None:
    """Wherever the interruption comes: the call never begins, or is over; and its thread does the next one."""
    deadlines, threads = Deadlines("a library"), threading.active_count()
    made: list[int] = []
    had: list[int] = []
    taken_back: list[int] = []

    def make(number: int) -> int:
        made.append(number)
        return number

    def take_back(lost: Call) -> None:
        lost.then.append(lambda _result: taken_back.append(lost.result))

    def call() -> None:
        had.append(deadlines.call(60, "making", make, nth, when_lost=take_back))

    nth = 0
    while interrupted(call, nth):
        # In the order of the calls: what was interrupted is over, or never begins.
        deadlines.call(60, "waiting", lambda: None)
        nth += 1
    for _ in range(1000):
        if deadlines.lost == 0 and len(made) == len(had) + len(taken_back):
            break
        deadlines.call(60, "waiting", threading.Event().wait, 0.001)
    assert sorted(made) == sorted(had + taken_back) and nth > 10
    assert deadlines.lost == 0 and not deadlines._under_way
    assert threading.active_count() <= threads + 3


def test_a_handler_makes_a_call_within_a_call() -> None:
    deadlines = Deadlines("a library")
    deadlines.call(60, "making", lambda: None)
    answers = []

    class Nested:
        def __call__(self, frame: FrameType, event: str, _argument: object) -> None:
            if event == "call" and frame.f_code.co_name == "_another_worker":
                sys.setprofile(None)
                answers.append(deadlines.call(60, "making", lambda: 1))

    release = threading.Event()
    holding = threading.Thread(target=deadlines.call, args=(60, "holding", release.wait))
    holding.start()
    while not deadlines._under_way:
        pass
    sys.setprofile(Nested())
    try:
        assert deadlines.call(60, "making", lambda: 2) == 2
    finally:
        sys.setprofile(None)
        release.set()
    holding.join()
    assert answers == [1]
