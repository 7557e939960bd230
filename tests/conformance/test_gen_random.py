"""BCryptGenRandom: rows RND of the reference."""

from __future__ import annotations

import pytest
from conformance.helpers import RESERVED_BITS

from hwcng.bcrypt import (
    BCRYPT_RNG_ALG_HANDLE,
    BCRYPT_RNG_USE_ENTROPY_IN_BUFFER,
    BCRYPT_USE_SYSTEM_PREFERRED_RNG,
    BCryptCloseAlgorithmProvider,
    BCryptGenRandom,
)
from hwcng.errors import NTSTATUS

BOTH = BCRYPT_USE_SYSTEM_PREFERRED_RNG | BCRYPT_RNG_USE_ENTROPY_IN_BUFFER


@pytest.mark.row("RND-01")
@pytest.mark.parametrize("length", [0, 16, None])
@pytest.mark.parametrize("flags", [0, BCRYPT_RNG_USE_ENTROPY_IN_BUFFER])
def test_no_handle_without_the_flag_is_wrong_before_all_else(refuses, length, flags):
    with refuses(NTSTATUS.STATUS_INVALID_HANDLE):
        BCryptGenRandom(None, length, flags)


@pytest.mark.row("RND-02", "RND-04")
@pytest.mark.parametrize("flags", [BCRYPT_USE_SYSTEM_PREFERRED_RNG, BOTH])
def test_the_systems_generator_takes_no_handle_and_no_token(calls, flags):
    with calls() as counter:
        first, second = BCryptGenRandom(None, 32, flags), BCryptGenRandom(None, 32, flags)
    assert counter.names == []
    assert len(first) == len(second) == 32
    assert first != second


@pytest.mark.row("RND-02")
@pytest.mark.parametrize("flags", [BCRYPT_USE_SYSTEM_PREFERRED_RNG, BOTH])
def test_the_systems_generator_with_a_handle_is_a_wrong_parameter(algorithm, refuses, flags):
    handle = algorithm("RNG")
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptGenRandom(handle, 16, flags)
    BCryptCloseAlgorithmProvider(handle)
    with refuses(NTSTATUS.STATUS_INVALID_HANDLE):
        BCryptGenRandom(handle, 16, flags)


@pytest.mark.row("RND-03")
@pytest.mark.parametrize("length", [None, "16", 16.0, -1, b"16"])
def test_what_is_no_length_is_a_wrong_parameter(algorithm, refuses, length):
    for handle, flags in ((algorithm("RNG"), 0), (None, BCRYPT_USE_SYSTEM_PREFERRED_RNG)):
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            BCryptGenRandom(handle, length, flags)


@pytest.mark.row("RND-03")
def test_no_byte_costs_no_call(algorithm, calls):
    with calls() as counter:
        assert BCryptGenRandom(algorithm("RNG"), 0) == b""
        assert BCryptGenRandom(None, 0, BCRYPT_USE_SYSTEM_PREFERRED_RNG) == b""
    assert counter.names == []


@pytest.mark.row("RND-04")
@pytest.mark.parametrize("flags", [0, BCRYPT_RNG_USE_ENTROPY_IN_BUFFER])
@pytest.mark.parametrize("length", [1, 16, 33, 4096, 65_536])
def test_the_tokens_generator_is_asked_once_for_the_exact_length(algorithm, calls, length, flags):
    handle = algorithm("RNG")
    with calls() as counter:
        found = BCryptGenRandom(handle, length, flags)
    assert counter.asked == ["C_GenerateRandom"]
    assert type(found) is bytes
    assert len(found) == length
    if length >= 16:
        assert found != BCryptGenRandom(handle, length, flags)
        assert found != bytes(length)


@pytest.mark.row("RND-05")
@pytest.mark.parametrize("name", ["AES", "AES-CMAC", "SHA256", "RSA", "ECDSA_P256", "ECDH"])
def test_another_algorithm_is_a_wrong_handle(algorithm, refuses, name):
    handle = algorithm(name)
    for flags in (0, BCRYPT_USE_SYSTEM_PREFERRED_RNG):
        with refuses(NTSTATUS.STATUS_INVALID_HANDLE):
            BCryptGenRandom(handle, 16, flags)


@pytest.mark.row("RND-05")
def test_the_pseudo_handle_of_the_generator(default_provider, calls):
    with calls() as counter:
        assert len(BCryptGenRandom(BCRYPT_RNG_ALG_HANDLE, 16)) == 16
    assert counter.asked == ["C_GenerateRandom"]


@pytest.mark.row("RND-04")
@pytest.mark.parametrize("flags", [flag for flag in RESERVED_BITS if flag & ~BOTH])
def test_an_undefined_flag_is_a_wrong_parameter(algorithm, refuses, flags):
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptGenRandom(algorithm("RNG"), 16, flags)
    with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptGenRandom(None, 16, flags | BCRYPT_USE_SYSTEM_PREFERRED_RNG)


@pytest.mark.row("RND-04")
@pytest.mark.parametrize("length", [65_537, 200_000, 1_000_001])
def test_a_long_request_is_made_in_parts(algorithm, calls, length):
    """NSS, for one, makes 65,536 octets a call."""
    with calls() as counter:
        found = BCryptGenRandom(algorithm("RNG"), length)
    assert counter.asked == ["C_GenerateRandom"] * -(-length // 65_536)
    assert len(found) == length
    assert len({found[at : at + 16] for at in range(0, length, 4096)}) == -(-length // 4096)


@pytest.mark.row("RND-03")
@pytest.mark.parametrize("length", [2**28 + 1, 2**31, 2**32 - 1, 2**32, 2**70])
def test_more_than_a_call_serves_is_refused_before_any_is_made(algorithm, refuses, length):
    for handle, flags in ((algorithm("RNG"), 0), (None, BCRYPT_USE_SYSTEM_PREFERRED_RNG)):
        with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
            BCryptGenRandom(handle, length, flags)


@pytest.mark.row("RND-04")
@pytest.mark.parametrize("length", [1, 2, 32, 65_536])
def test_what_the_token_writes_is_nobody_elses(algorithm, length):
    """The token writes into the object that is returned; Python shares some short ones."""
    zeros = bytes(length)
    found = [BCryptGenRandom(algorithm("RNG"), length) for _ in range(20)]
    assert len({id(octets) for octets in found}) == 20
    assert zeros == bytes(length) == b"\0" * length
    assert all(bytes([octet])[0] == octet for octet in range(256))
