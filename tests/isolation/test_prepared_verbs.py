"""What a key keeps worked out between calls: each call has its own IV, a changed mode is seen, little is left to do."""

from __future__ import annotations

import gc
import os
import sys
import tracemalloc
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from types import FrameType

import pytest

from hwcng import NTSTATUS, CngError, bcrypt
from hwcng.cng.keys import SymmetricKey
from hwcng.contract import Provider

THREADS, ROUNDS = 8, 60
LARGE = 64 << 20
BLOCK = bytes(range(64))


def key_in(provider: Provider, mode: str = bcrypt.BCRYPT_CHAIN_MODE_CBC) -> SymmetricKey:
    handle = bcrypt.BCryptOpenAlgorithmProvider(bcrypt.BCRYPT_AES_ALGORITHM, provider)
    bcrypt.BCryptSetProperty(handle, bcrypt.BCRYPT_CHAINING_MODE, mode)
    return handle.generate_key(256)


def sealed(key: SymmetricKey, nonce: bytes, aad: bytes) -> tuple[bytes, bytes]:
    info = bcrypt.BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(nonce, aad)
    return bcrypt.BCryptEncrypt(key, BLOCK, info), bytes(info.pbTag or b"")


def alike_in_threads(work: Callable[[int], object]) -> None:
    """Whether calls of several threads at once give what they give one after another."""
    alone = [work(number) for number in range(THREADS)]
    with ThreadPoolExecutor(THREADS) as pool:
        together = list(pool.map(lambda number: [work(number) for _ in range(ROUNDS)], range(THREADS)))
    assert together == [[result] * ROUNDS for result in alone]


def test_each_call_has_its_own_iv(provider: Provider) -> None:
    with key_in(provider) as key:
        alike_in_threads(lambda number: bcrypt.BCryptEncrypt(key, BLOCK, None, bytes([number] * 16)))
        alike_in_threads(lambda number: bcrypt.BCryptDecrypt(key, BLOCK, None, bytes([number] * 16)))


def test_each_call_has_its_own_nonce_and_data(provider: Provider) -> None:
    with key_in(provider, bcrypt.BCRYPT_CHAIN_MODE_GCM) as key:
        alike_in_threads(lambda number: sealed(key, bytes([number] * 12), b"data" * number))


def test_authenticated_data_ends_with_its_call(provider: Provider) -> None:
    with key_in(provider, bcrypt.BCRYPT_CHAIN_MODE_GCM) as key:
        before = sealed(key, bytes(12), b"")
        assert sealed(key, bytes(12), os.urandom(100)) != before
        assert sealed(key, bytes(12), b"") == before


def test_a_mode_that_is_set_later_is_seen(provider: Provider) -> None:
    with key_in(provider) as key:
        chained = bcrypt.BCryptEncrypt(key, BLOCK, None, bytes(16))
        bcrypt.BCryptSetProperty(key, bcrypt.BCRYPT_CHAINING_MODE, bcrypt.BCRYPT_CHAIN_MODE_ECB)
        assert bcrypt.BCryptEncrypt(key, BLOCK)[:16] == bcrypt.BCryptEncrypt(key, BLOCK[:16]) == chained[:16]
        bcrypt.BCryptSetProperty(key, bcrypt.BCRYPT_CHAINING_MODE, bcrypt.BCRYPT_CHAIN_MODE_CBC)
        assert bcrypt.BCryptEncrypt(key, BLOCK, None, bytes(16)) == chained


def test_tags_of_several_lengths(provider: Provider) -> None:
    with key_in(provider, bcrypt.BCRYPT_CHAIN_MODE_GCM) as key:
        tags = []
        for length in (16, 12, 16):
            info = bcrypt.BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(bytes(12), cbTag=length)
            bcrypt.BCryptEncrypt(key, BLOCK, info)
            tags.append(bytes(info.pbTag or b""))
        assert tags[1] == tags[0][:12] and tags[2] == tags[0]


@pytest.mark.parametrize("mode", [bcrypt.BCRYPT_CHAIN_MODE_CBC, bcrypt.BCRYPT_CHAIN_MODE_GCM])
def test_a_key_that_was_used_ends_with_its_last_reference(mode: str, provider: Provider) -> None:
    """What it keeps worked out does not lead back to it: its object would stay in the token for longer."""
    key = key_in(provider, mode)
    info = bcrypt.BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(bytes(12)) if "GCM" in mode else None
    sealed_block = bcrypt.BCryptEncrypt(key, BLOCK, info, None if info else bytes(16))
    assert bcrypt.BCryptDecrypt(key, sealed_block, info, None if info else bytes(16)) == BLOCK
    pair = bcrypt.BCryptGenerateKeyPair(bcrypt.BCryptOpenAlgorithmProvider("ECDSA_P256", provider), 256)
    bcrypt.BCryptFinalizeKeyPair(pair)
    bcrypt.BCryptSignHash(pair, None, bytes(32))
    ends: list[weakref.ref[object]] = [weakref.ref(key.token_key), weakref.ref(pair.private)]
    gc.disable()
    try:
        del key, pair
        assert [end() for end in ends] == [None, None]
    finally:
        gc.enable()


def test_a_key_is_unwrapped_like_the_one_before(provider: Provider) -> None:
    """And what is none is refused as at the first time, whatever was unwrapped last."""
    algorithm = bcrypt.BCryptOpenAlgorithmProvider(bcrypt.BCRYPT_AES_ALGORITHM, provider)
    wrapping, other = algorithm.generate_key(256), algorithm.generate_key(256)
    bcrypt.BCryptSetProperty(algorithm, bcrypt.NCRYPT_EXPORT_POLICY_PROPERTY, bcrypt.NCRYPT_ALLOW_EXPORT_FLAG)
    keys = [algorithm.generate_key(bits) for bits in (256, 256, 128, 256)]
    into = bcrypt.BCryptOpenAlgorithmProvider(bcrypt.BCRYPT_AES_ALGORITHM, provider)

    def unwrapped(blob: bytes, by: SymmetricKey = wrapping) -> SymmetricKey:
        return bcrypt.BCryptImportKey(into, by, bcrypt.BCRYPT_AES_WRAP_KEY_BLOB, None, blob)

    for key in keys:
        blob = bcrypt.BCryptExportKey(key, wrapping, bcrypt.BCRYPT_AES_WRAP_KEY_BLOB)
        again = unwrapped(blob)
        assert (again.bits, again.export_policy) == (key.bits, 0)
        assert bcrypt.BCryptEncrypt(again, BLOCK, None, bytes(16)) == bcrypt.BCryptEncrypt(key, BLOCK, None, bytes(16))
        for wrong, by in ((blob[:-1] + bytes([blob[-1] ^ 1]), wrapping), (blob[:-1], wrapping), (blob, other)):
            with pytest.raises(CngError) as refused:
                unwrapped(wrong, by)
            assert refused.value.status == NTSTATUS.STATUS_INVALID_PARAMETER
    bcrypt.BCryptDestroyKey(wrapping)
    with pytest.raises(CngError) as refused:
        unwrapped(blob)
    assert refused.value.status == NTSTATUS.STATUS_INVALID_HANDLE


def _peak(call: Callable[[], bytes]) -> tuple[bytes, int]:
    """What `call` returns, and the most bytes that it held at once."""
    tracemalloc.start()
    try:
        return call(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_a_large_message_is_in_memory_once_more(kind: Callable[[bytes], bytes], provider: Provider) -> None:
    with key_in(provider) as key:
        message = kind(bytes(LARGE))
        result, peak = _peak(lambda: bcrypt.BCryptEncrypt(key, message, None, bytes(16)))
        assert len(result) == LARGE
        assert peak < 1.1 * LARGE
        ciphertext = kind(result)
        back, peak = _peak(lambda: bcrypt.BCryptDecrypt(key, ciphertext, None, bytes(16)))
        assert back == message
        assert peak < 1.1 * LARGE


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_how_often_a_large_sealed_message_is_in_memory(kind: Callable[[bytes], bytes], provider: Provider) -> None:
    with key_in(provider, bcrypt.BCRYPT_CHAIN_MODE_GCM) as key:
        message = kind(bytes(LARGE))
        info = bcrypt.BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(bytes(12), b"data")
        # With the tag behind it, which is then cut off.
        result, peak = _peak(lambda: bcrypt.BCryptEncrypt(key, message, info))
        assert peak < 1.1 * LARGE
        # With the tag behind it, and the room that the token asks for, which the plaintext stays in.
        ciphertext = kind(result)
        back, peak = _peak(lambda: bcrypt.BCryptDecrypt(key, ciphertext, info))
        assert back == message
        assert peak < 2.1 * LARGE


@pytest.mark.parametrize("mode", [bcrypt.BCRYPT_CHAIN_MODE_CBC, bcrypt.BCRYPT_CHAIN_MODE_GCM])
def test_a_large_buffer_can_be_resized_after_the_call(mode: str, provider: Provider) -> None:
    with key_in(provider, mode) as key:
        message = bytearray(1 << 17)
        with pytest.raises(CngError) as refused:
            bcrypt.BCryptEncrypt(key, message, object(), None, 0)
        message.clear()
        assert refused.value.status == NTSTATUS.STATUS_INVALID_PARAMETER
        message.extend(bytes(1 << 17))
        info = bcrypt.BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(bytes(12), b"") if "GCM" in mode else None
        assert len(bcrypt.BCryptEncrypt(key, message, info)) == 1 << 17
        message.clear()


def python_calls(call: Callable[[], object]) -> int:
    """How many Python functions a call of `call` comes to, itself aside."""
    seen = []

    def profile(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            seen.append(frame.f_code.co_name)

    call()
    call()
    sys.setprofile(profile)
    try:
        call()
    finally:
        sys.setprofile(None)
    return len(seen) - 1


def _cbc(provider: Provider, keys: ExitStack) -> Callable[[], object]:
    key = keys.enter_context(key_in(provider))
    return lambda: bcrypt.BCryptEncrypt(key, BLOCK, None, bytes(16))


def _gcm(provider: Provider, keys: ExitStack) -> Callable[[], object]:
    key = keys.enter_context(key_in(provider, bcrypt.BCRYPT_CHAIN_MODE_GCM))
    return lambda: sealed(key, bytes(12), b"")


def _hmac(provider: Provider, keys: ExitStack) -> Callable[[], object]:
    handle = bcrypt.BCryptOpenAlgorithmProvider("SHA256", provider, bcrypt.BCRYPT_ALG_HANDLE_HMAC_FLAG)
    key = keys.enter_context(handle.generate_key(256))
    return lambda: bcrypt.BCryptHash(handle, key, BLOCK)


def _ecdsa(provider: Provider, keys: ExitStack) -> Callable[[], object]:
    pair = bcrypt.BCryptGenerateKeyPair(bcrypt.BCryptOpenAlgorithmProvider("ECDSA_P256", provider), 256)
    bcrypt.BCryptFinalizeKeyPair(keys.enter_context(pair))
    return lambda: bcrypt.BCryptSignHash(pair, None, bytes(32))


def _random(provider: Provider, keys: ExitStack) -> Callable[[], object]:
    handle = bcrypt.BCryptOpenAlgorithmProvider("RNG", provider)
    return lambda: bcrypt.BCryptGenRandom(handle, 32)


def _aes_key(provider: Provider, keys: ExitStack) -> Callable[[], object]:
    handle = bcrypt.BCryptOpenAlgorithmProvider("AES", provider)
    return lambda: bcrypt.BCryptDestroyKey(handle.generate_key(256))


# Twice to five times as many, where each call works out what the key and its mode decide.
@pytest.mark.parametrize(
    ("make", "most"), [(_cbc, 20), (_gcm, 36), (_hmac, 16), (_ecdsa, 20), (_random, 20), (_aes_key, 100)]
)
def test_little_is_left_to_do(
    make: Callable[[Provider, ExitStack], Callable[[], object]], most: int, provider: Provider
) -> None:
    with ExitStack() as keys:
        assert python_calls(make(provider, keys)) <= most
