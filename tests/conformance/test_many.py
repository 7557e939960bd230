"""Many operations at once: order, errors apart, bounded memory, sessions given back; and the same under asyncio."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from isolation.child import run
from isolation.ledger import OpenSessions, pool

from hwcng import aio, many
from hwcng.bcrypt import (
    BCRYPT_ALG_HANDLE_HMAC_FLAG,
    BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO,
    BCRYPT_BLOCK_PADDING,
    BCRYPT_CHAIN_MODE_GCM,
    BCRYPT_CHAINING_MODE,
    BCRYPT_PAD_PKCS1,
    BCRYPT_PKCS1_PADDING_INFO,
    BCryptDestroyKey,
    BCryptHash,
    BCryptVerifySignature,
)
from hwcng.contract.provider import Provider
from hwcng.errors import NTSTATUS, CngError

PKCS1 = BCRYPT_PKCS1_PADDING_INFO("SHA256")
DIGESTS = [bytes([value]) * 32 for value in range(100)]
Make = Callable[..., Any]


def _wait_for_threads(provider: Provider) -> None:
    """Returns when what a provider's threads were doing is done: each has come to the barrier."""
    barrier = threading.Barrier(many.THREADS + 1)
    waiting = [many.pool_of(provider).submit(barrier.wait, 30) for _ in range(many.THREADS)]
    barrier.wait(30)
    for done in waiting:
        done.result()


def test_signatures_come_in_order(pair: Make) -> None:
    key = pair("ECDSA_P256")
    signatures = list(many.sign_many(key, None, DIGESTS))
    assert len(signatures) == len(DIGESTS)
    for digest, signature in zip(DIGESTS, signatures, strict=True):
        assert isinstance(signature, bytes)
        BCryptVerifySignature(key, None, digest, signature)


@pytest.mark.parametrize("threads", [1, 3, None])
def test_an_error_is_that_of_its_item(pair: Make, threads: int | None) -> None:
    key = pair("ECDSA_P256")
    items: list[Any] = [DIGESTS[0], "no octets", DIGESTS[1], None, DIGESTS[2]]
    outcomes = list(many.sign_many(key, None, items, threads=threads))
    assert [isinstance(outcome, CngError) for outcome in outcomes] == [False, True, False, True, False]
    for digest, outcome in zip(DIGESTS, outcomes[::2], strict=False):
        assert isinstance(outcome, bytes)
        BCryptVerifySignature(key, None, digest, outcome)


def test_ciphertexts_under_vectors_of_their_own(aes_key: Any) -> None:
    messages = [(bytes([value]) * 50, None, bytes([value]) * 16) for value in range(60)]
    sealed = list(many.encrypt_many(aes_key, messages, BCRYPT_BLOCK_PADDING))
    back = [(outcome, None, message[2]) for outcome, message in zip(sealed, messages, strict=True)]
    assert len(set(map(bytes, sealed))) == 60  # type: ignore[arg-type]
    opened = many.decrypt_many(aes_key, back, BCRYPT_BLOCK_PADDING)  # type: ignore[arg-type]
    assert list(opened) == [message[0] for message in messages]


def test_tags_are_those_of_their_messages(algorithm: Make) -> None:
    handle = algorithm("AES", properties={BCRYPT_CHAINING_MODE: BCRYPT_CHAIN_MODE_GCM})
    with handle.generate_key(256) as key:
        plain = [bytes([value]) * 20 for value in range(40)]
        infos = [BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(bytes(11) + bytes([value])) for value in range(40)]
        sealed = list(many.encrypt_many(key, zip(plain, infos, strict=True)))
        infos[7].pbTag = bytes(16)
        opened = list(many.decrypt_many(key, zip(sealed, infos, strict=True)))  # type: ignore[arg-type]
    wrong = opened.pop(7)
    assert isinstance(wrong, CngError) and wrong.status is NTSTATUS.STATUS_AUTH_TAG_MISMATCH
    del plain[7]
    assert opened == plain


def test_codes_of_many_messages(algorithm: Make) -> None:
    handle = algorithm("SHA256", BCRYPT_ALG_HANDLE_HMAC_FLAG)
    with handle.generate_key(256) as key:
        codes = list(many.mac_many(handle, key, DIGESTS))
        assert codes == [BCryptHash(handle, key, digest) for digest in DIGESTS]


def test_an_endless_iterable_is_read_as_far_as_needed(pair: Make, warm: Provider) -> None:
    taken = itertools.count()
    digests = (bytes(31) + bytes([next(taken) % 256]) for _ in itertools.count())
    outcomes = many.sign_many(pair("ECDSA_P256"), None, digests)
    for _ in range(10):
        assert isinstance(next(outcomes), bytes)
    outcomes.close()  # type: ignore[attr-defined]
    most = 10 + (1 + many.PARTS_PER_THREAD * many.THREADS) * many.LARGEST_PART
    assert next(taken) <= most


def test_an_iterable_that_fails_ends_it(pair: Make) -> None:
    def failing() -> Iterator[bytes]:
        yield DIGESTS[0]
        raise KeyError("the next one is not there")

    with pytest.raises(KeyError):
        list(many.sign_many(pair("ECDSA_P256"), None, failing()))


def test_no_session_is_left_to_those_who_stop_early(pair: Make, warm: Any) -> None:
    key = pair("ECDSA_P256")
    sessions = OpenSessions(warm)
    outcomes = many.sign_many(key, None, itertools.repeat(DIGESTS[0]))
    next(outcomes)
    outcomes.close()  # type: ignore[attr-defined]
    _wait_for_threads(warm)
    sessions.undo()
    assert sessions.handles == pool(warm)
    assert all(isinstance(outcome, bytes) for outcome in many.sign_many(key, None, DIGESTS[:8]))


@pytest.mark.parametrize("threads", [0, -1, 257, "two", 1.5])
def test_a_wrong_number_of_threads(pair: Make, threads: Any) -> None:
    with pytest.raises(CngError) as error:
        many.sign_many(pair("ECDSA_P256"), None, DIGESTS, threads=threads)
    assert error.value.status is NTSTATUS.STATUS_INVALID_PARAMETER


def test_keys_that_cannot_be_used(pair: Make, aes_key: Any) -> None:
    dead = pair("ECDSA_P256")
    BCryptDestroyKey(dead)
    for call in (
        lambda: many.sign_many(dead, None, DIGESTS),
        lambda: many.sign_many(aes_key, None, DIGESTS),
        lambda: many.encrypt_many("a key", DIGESTS),  # type: ignore[arg-type]
        lambda: many.mac_many("SHA256", dead, DIGESTS),  # type: ignore[arg-type]
    ):
        with pytest.raises(CngError) as error:
            call()
        assert error.value.status is NTSTATUS.STATUS_INVALID_HANDLE


def test_a_key_that_ends_meanwhile(pair: Make) -> None:
    key = pair("ECDSA_P256")
    outcomes = many.sign_many(key, None, itertools.islice(itertools.repeat(DIGESTS[0]), 5000))
    assert isinstance(next(outcomes), bytes)
    BCryptDestroyKey(key)
    last = list(outcomes)[-1]
    assert isinstance(last, CngError) and last.status is NTSTATUS.STATUS_INVALID_HANDLE


def test_a_forked_child_has_threads_of_its_own(token_uri: str) -> None:
    script = """
    from hwcng import many
    provider = open_token()
    pair = ec_key(provider)
    assert all(isinstance(s, bytes) for s in many.sign_many(pair, None, [bytes(32)] * 50))

    def child():
        own = open_token()
        pair = ec_key(own)
        return sum(isinstance(s, bytes) for s in many.sign_many(pair, None, [bytes(32)] * 50))

    assert fork(child) == 50
    """
    run(script, token_uri)


def test_a_process_that_may_have_no_more_threads(token_uri: str) -> None:
    script = """
    from hwcng import many
    pair = ec_key(open_token())

    def start(self):
        raise RuntimeError("can't start new thread")

    threading.Thread.start = start
    fails(NTSTATUS.STATUS_INSUFFICIENT_RESOURCES, lambda: list(many.sign_many(pair, None, [bytes(32)])), "ulimit -u")
    fails(
        NTSTATUS.STATUS_INSUFFICIENT_RESOURCES,
        lambda: hwcng.open_provider(URI, pin=PIN, timeout=5),
        "with a deadline",
        "ulimit -u",
    )
    BCryptSignHash(pair, None, bytes(32))
    """
    run(script, token_uri)


def test_a_forked_child_does_not_go_on_with_its_parents_batch(token_uri: str) -> None:
    """Nobody there is at it: it waited for ever."""
    script = """
    from hwcng import many
    pair = ec_key(open_token())
    batch = many.sign_many(pair, None, [bytes(32)] * 500)
    next(batch)

    def child():
        fails(NTSTATUS.STATUS_INVALID_HANDLE, lambda: list(batch), "parent process")
        return 7

    assert fork(child) == 7
    assert all(isinstance(s, bytes) for s in batch)
    """
    run(script, token_uri)


def test_asyncio_signs_while_the_loop_goes_on(pair: Make) -> None:
    key = pair("RSA", 2048)

    async def work() -> int:
        beats = 0
        signatures = asyncio.gather(*(aio.sign(key, PKCS1, digest, BCRYPT_PAD_PKCS1) for digest in DIGESTS[:20]))
        while not signatures.done():
            beats += 1
            await asyncio.sleep(0)
        for digest, signature in zip(DIGESTS, await signatures, strict=False):
            BCryptVerifySignature(key, PKCS1, digest, signature, BCRYPT_PAD_PKCS1)
        return beats

    from hwcng.bcrypt import BCRYPT_PKCS1_PADDING_INFO

    PKCS1 = BCRYPT_PKCS1_PADDING_INFO("SHA256")
    assert asyncio.run(work()) > 20


def test_asyncio_has_every_operation(algorithm: Make, aes_key: Any, warm: Provider) -> None:
    handle = algorithm("SHA256", BCRYPT_ALG_HANDLE_HMAC_FLAG)

    async def work() -> None:
        sealed = await aio.encrypt(aes_key, b"text", None, bytes(16), BCRYPT_BLOCK_PADDING)
        assert await aio.decrypt(aes_key, sealed, None, bytes(16), BCRYPT_BLOCK_PADDING) == b"text"
        with handle.generate_key(256) as key:
            assert await aio.mac(handle, key, b"text") == BCryptHash(handle, key, b"text")
            codes = [code async for code in aio.mac_many(handle, key, DIGESTS)]
            assert codes == [BCryptHash(handle, key, digest) for digest in DIGESTS]
        assert len(await aio.random(warm, 32)) == 32
        assert await aio.call(aes_key, lambda: aes_key.bits) == aes_key.bits
        assert await aio.call(handle, handle.provider.offers, "AES") is warm.offers("AES")
        messages = [(bytes(16), None, bytes([value]) * 16) for value in range(20)]
        ciphertexts = [outcome async for outcome in aio.encrypt_many(aes_key, messages)]
        back = [(sealed, None, message[2]) for sealed, message in zip(ciphertexts, messages, strict=True)]
        assert {outcome async for outcome in aio.decrypt_many(aes_key, back)} == {bytes(16)}  # type: ignore[arg-type]

    asyncio.run(work())


def test_a_failure_under_asyncio_is_the_same(pair: Make) -> None:
    async def work() -> None:
        await aio.sign(pair("ECDSA_P256"), None, "no octets")  # type: ignore[arg-type]

    with pytest.raises(CngError) as error:
        asyncio.run(work())
    assert error.value.status is NTSTATUS.STATUS_INVALID_PARAMETER


def test_a_cancelled_task_leaves_no_session_behind(pair: Make, warm: Any) -> None:
    key = pair("RSA", 2048)
    sessions = OpenSessions(warm)

    async def work() -> None:
        tasks = [asyncio.create_task(aio.sign(key, PKCS1, DIGESTS[0], BCRYPT_PAD_PKCS1)) for _ in range(50)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        assert all(
            isinstance(end, asyncio.CancelledError) for end in await asyncio.gather(*tasks, return_exceptions=True)
        )
        stream = aio.sign_many(key, PKCS1, itertools.repeat(DIGESTS[0]), BCRYPT_PAD_PKCS1)
        assert isinstance(await anext(stream), bytes)
        await stream.aclose()  # type: ignore[attr-defined]

    asyncio.run(work())
    _wait_for_threads(warm)
    sessions.undo()
    assert sessions.handles == pool(warm)
