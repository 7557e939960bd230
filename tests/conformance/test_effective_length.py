"""RC2's effective key length is one for each key in a token, on whatever road the key is come by: two give it away."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import cycle

import pytest
from conformance import cipher_oracle as oracle
from conformance.checks import fails, need

import hwcng
from hwcng import NTSTATUS, CngError, bcrypt
from hwcng.cng.keys import AlgorithmHandle, SymmetricKey
from hwcng.contract.provider import Provider
from hwcng.providers.pkcs11.store.ids import make_id, parse_id
from hwcng.testing.nss import NssDatabase

LENGTHS = range(8, 136, 8)
LENGTH = bcrypt.BCRYPT_EFFECTIVE_KEY_LENGTH
OPAQUE, WRAPPED = bcrypt.BCRYPT_OPAQUE_KEY_BLOB, bcrypt.BCRYPT_AES_WRAP_KEY_BLOB
BLOCK = bytes(8)
NAME = "an RC2 key"

pytestmark = pytest.mark.row("3.2 EffectiveKeyLength")


def handle_of(token: Provider, length: int | None = None, *, exporting: bool = False) -> AlgorithmHandle:
    need(token, "RC2", "ECB")
    handle = bcrypt.BCryptOpenAlgorithmProvider("RC2", token)
    bcrypt.BCryptSetProperty(handle, "ChainingMode", bcrypt.BCRYPT_CHAIN_MODE_ECB)
    if length is not None:
        bcrypt.BCryptSetProperty(handle, LENGTH, length)
    if exporting:
        bcrypt.BCryptSetProperty(handle, "Export Policy", bcrypt.NCRYPT_ALLOW_EXPORT_FLAG)
    return handle


def encrypted(key: SymmetricKey) -> bytes:
    bcrypt.BCryptSetProperty(key, "ChainingMode", bcrypt.BCRYPT_CHAIN_MODE_ECB)
    return bcrypt.BCryptEncrypt(key, BLOCK)


def ciphertexts(*keys: SymmetricKey) -> set[bytes]:
    """What an attacker sees of one block, who tries every length on handles to one key."""
    seen = set()
    for key, bits in zip(cycle(keys), LENGTHS, strict=False):
        with suppress(CngError):
            bcrypt.BCryptSetProperty(key, LENGTH, bits)
        seen.add(encrypted(key))
    return seen


@contextmanager
def named(token: Provider, key: SymmetricKey) -> Iterator[SymmetricKey]:
    with suppress(CngError):
        token.delete_key(NAME)
    try:
        yield key.persist(NAME)
    finally:
        token.delete_key(NAME)


def test_one_handle(token: Provider) -> None:
    assert len(ciphertexts(handle_of(token).generate_key(128))) == 1


def test_duplicates(token: Provider) -> None:
    key = handle_of(token).generate_key(128)
    assert len(ciphertexts(key, *(bcrypt.BCryptDuplicateKey(key) for _ in range(4)))) == 1


def test_a_duplicate_of_before_shares_the_choice(token: Provider) -> None:
    key = handle_of(token).generate_key(128)
    copy = bcrypt.BCryptDuplicateKey(key)
    bcrypt.BCryptSetProperty(key, LENGTH, 40)
    assert bcrypt.BCryptGetProperty(copy, LENGTH) == 40
    later = bcrypt.BCryptDuplicateKey(copy)
    for one in (key, copy, later):
        bcrypt.BCryptSetProperty(one, LENGTH, 40)
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
            bcrypt.BCryptSetProperty(one, LENGTH, 48)
    assert len({encrypted(one) for one in (key, copy, later)}) == 1


@pytest.mark.parametrize("first", ["encrypt", "decrypt"])
def test_a_key_that_was_used_keeps_its_length(token: Provider, first: str) -> None:
    key = handle_of(token).generate_key(128)
    {"encrypt": bcrypt.BCryptEncrypt, "decrypt": bcrypt.BCryptDecrypt}[first](key, BLOCK)
    with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
        bcrypt.BCryptSetProperty(key, LENGTH, 40)
    bcrypt.BCryptSetProperty(key, LENGTH, 128)
    assert bcrypt.BCryptGetProperty(key, LENGTH) == 128


def test_a_length_of_the_algorithm_handle_is_the_keys_for_good(token: Provider) -> None:
    key = handle_of(token, 64).generate_key(128)
    with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
        bcrypt.BCryptSetProperty(key, LENGTH, 128)
    assert bcrypt.BCryptGetProperty(key, LENGTH) == 64 and len(ciphertexts(key)) == 1


def test_a_mistaken_length_chooses_nothing(token: Provider) -> None:
    key = handle_of(token).generate_key(128)
    for bits in (0, 1025):
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptSetProperty(key, LENGTH, bits)
    bcrypt.BCryptSetProperty(key, LENGTH, 40)
    assert bcrypt.BCryptGetProperty(key, LENGTH) == 40


def test_threads_that_choose_and_use_at_once(token: Provider) -> None:
    """Whoever comes first decides for all."""
    for _ in range(10):
        key = handle_of(token).generate_key(128)
        copies = [bcrypt.BCryptDuplicateKey(key) for _ in range(4)]
        start, seen = threading.Barrier(len(copies)), set()

        def attack(copy: SymmetricKey, bits: int, start: threading.Barrier = start, seen: set[bytes] = seen) -> None:
            start.wait()
            with suppress(CngError):
                bcrypt.BCryptSetProperty(copy, LENGTH, bits)
            seen.add(encrypted(copy))

        threads = [
            threading.Thread(target=attack, args=(one, bits)) for one, bits in zip(copies, LENGTHS, strict=False)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(seen) == 1


def test_a_key_of_the_callers_own_bytes_may_change(token: Provider) -> None:
    """Who has the bytes learns nothing; a duplicate has a length of its own, as on Windows."""
    secret = bytes(range(16))
    key = bcrypt.BCryptGenerateSymmetricKey(handle_of(token), None, secret)
    for bits in (40, 128, 1024):
        copy = bcrypt.BCryptDuplicateKey(key)
        bcrypt.BCryptSetProperty(key, LENGTH, bits)
        assert bcrypt.BCryptEncrypt(key, BLOCK) == oracle.rc2("ECB", secret, b"", BLOCK, bits)
        bcrypt.BCryptSetProperty(copy, LENGTH, 64)
        assert bcrypt.BCryptGetProperty(key, LENGTH) == bits
        assert bcrypt.BCryptEncrypt(copy, BLOCK) == oracle.rc2("ECB", secret, b"", BLOCK, 64)


@pytest.mark.parametrize("given", [False, True], ids=["generated", "given"])
@pytest.mark.parametrize("bits", [None, 40, 128])
def test_a_named_key_keeps_its_length(
    nss_db_provider: Provider, nss_database: NssDatabase, nss_pin: str, given: bool, bits: int | None
) -> None:
    token = nss_db_provider
    handle = handle_of(token)
    key = bcrypt.BCryptGenerateSymmetricKey(handle, None, bytes(range(16))) if given else handle.generate_key(128)
    if bits is not None:
        bcrypt.BCryptSetProperty(key, LENGTH, bits)
    with named(token, key) as stored, hwcng.open_provider(nss_database.uri, pin=nss_pin) as other:
        assert not given or encrypted(stored) == oracle.rc2("ECB", bytes(range(16)), b"", BLOCK, bits)
        found = [hwcng.open_key(one.key_uri(NAME), pin=nss_pin) for one in (token, other)]
        keys = [stored, *(one for one in found if isinstance(one, SymmetricKey)), bcrypt.BCryptDuplicateKey(stored)]
        assert len(keys) == 4 and {bcrypt.BCryptGetProperty(one, LENGTH) for one in keys} == {bits or 128}
        assert ciphertexts(*keys) == {encrypted(stored)}
        if not given:
            assert ciphertexts(key) == {encrypted(stored)}


def test_a_length_of_a_part_of_an_octet_is_not_stored(nss_db_provider: Provider) -> None:
    key = handle_of(nss_db_provider, 63).generate_key(128)
    with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
        key.persist(NAME)


def test_both_lengths_are_in_the_id_of_a_named_key(nss_db_provider: Provider) -> None:
    spec = handle_of(nss_db_provider, 1024).generate_key(40).token_key.lasting_spec  # type: ignore[attr-defined]
    own = parse_id(NAME, make_id(NAME, spec, None))
    assert own is not None and (own.bits, own.effective_bits) == (40, 1024)


@pytest.mark.parametrize("bits", [None, 40])
def test_an_opaque_blob_keeps_the_length(nss_db_provider: Provider, bits: int | None) -> None:
    key = handle_of(nss_db_provider, exporting=True).generate_key(128)
    if bits is not None:
        bcrypt.BCryptSetProperty(key, LENGTH, bits)
    blob = bcrypt.BCryptExportKey(key, None, OPAQUE)
    again = [
        bcrypt.BCryptImportKey(handle_of(nss_db_provider, other), None, OPAQUE, None, blob) for other in (None, 64, 8)
    ]
    assert {bcrypt.BCryptGetProperty(one, LENGTH) for one in again} == {bits or 128}
    assert ciphertexts(key, *again) == {encrypted(key)}


def wrapping_key(token: Provider) -> SymmetricKey:
    need(token, "AES", "WRAP")
    return bcrypt.BCryptOpenAlgorithmProvider("AES", token).generate_key(256)


def test_a_wrapped_key_comes_back_under_its_own_length_alone(token: Provider) -> None:
    kek, key = wrapping_key(token), handle_of(token, exporting=True).generate_key(128)
    blob = bcrypt.BCryptExportKey(key, kek, WRAPPED)
    again = [bcrypt.BCryptImportKey(handle_of(token, bits), kek, WRAPPED, None, blob) for bits in (None, 128)]
    for bits in (8, 40, 1024):
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
            bcrypt.BCryptImportKey(handle_of(token, bits), kek, WRAPPED, None, blob)
    assert ciphertexts(key, *again) == {encrypted(key)}


def test_a_key_of_another_length_is_not_wrapped(token: Provider) -> None:
    """It would come back under its own."""
    kek, key = wrapping_key(token), handle_of(token, exporting=True).generate_key(128)
    bcrypt.BCryptSetProperty(key, LENGTH, 40)
    with fails(NTSTATUS.STATUS_NOT_SUPPORTED) as caught:
        bcrypt.BCryptExportKey(key, kek, WRAPPED)
    assert "opaque" in caught.value.message


def derived(token: Provider) -> Callable[[AlgorithmHandle], SymmetricKey]:
    need(token, "HKDF", "KEY")
    base = bcrypt.BCryptOpenAlgorithmProvider("HKDF", token).generate_key(256)
    bcrypt.BCryptSetProperty(base, "HkdfHashAlgorithm", "SHA256")
    bcrypt.BCryptSetProperty(base, "HkdfPrkAndFinalize", None)
    return lambda handle: base.derive_to_key(handle, [], 128)  # type: ignore[attr-defined, no-any-return]


def test_a_derived_key_works_under_its_own_length_alone(nss_current_provider: Provider) -> None:
    derive = derived(nss_current_provider)
    keys = [derive(handle_of(nss_current_provider)) for _ in range(3)]
    for bits in (8, 40):
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
            derive(handle_of(nss_current_provider, bits))
    assert len(ciphertexts(*keys)) == 1
