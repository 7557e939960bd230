"""Reference 2.1, 3.2, 5.6 and 5.13 for RC4: one key stream per key handle, which goes on from call to call."""

from __future__ import annotations

import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from conformance import cipher_oracle as oracle
from conformance.checks import cipher_key, fails, need
from isolation.child import NSS_URI, run

import hwcng
from hwcng import NTSTATUS, CngError, bcrypt
from hwcng.contract.provider import Provider
from hwcng.contract.usage import Usage
from hwcng.providers.pkcs11 import stream_ciphers
from hwcng.providers.pkcs11.cryptoki.return_values import CKR
from hwcng.testing.calls import CallCounter
from hwcng.testing.faults import FaultInjector

CKR_OPERATION_NOT_INITIALIZED = 0x91
SECRET = bytes(range(1, 17))
DATA = bytes(octet * 5 % 256 for octet in range(1000))


FORKED = """
import os
from hwcng import CngError, bcrypt

provider = open_token()
handle = bcrypt.BCryptOpenAlgorithmProvider("RC4", provider)
key = bcrypt.BCryptGenerateSymmetricKey(handle, None, bytes(range(1, 17)))
before = bcrypt.BCryptEncrypt(key, bytes(10)).hex()
if (child := os.fork()) == 0:
    try:
        bcrypt.BCryptEncrypt(key, bytes(10))
    except CngError as error:
        print(error.status.name, flush=True)
    os._exit(0)
os.waitpid(child, 0)
print(before, bcrypt.BCryptEncrypt(key, bytes(20)).hex())
"""


@pytest.mark.row("GSK-27", "GSK-15")
def test_lengths_of_secrets(token: Provider) -> None:
    need(token, "RC4")
    handle = bcrypt.BCryptOpenAlgorithmProvider("RC4", token)
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptGenerateSymmetricKey(handle, None, b"")
    for length in (*range(1, 65), 65, 100):
        key, used = bcrypt.BCryptGenerateSymmetricKey(handle, None, bytes(range(length))), min(length, 64)
        assert bcrypt.BCryptGetProperty(key, "KeyLength") == bcrypt.BCryptGetProperty(key, "KeyStrength") == 8 * used
        assert bcrypt.BCryptEncrypt(key, DATA[:40]) == oracle.rc4(bytes(range(used)), DATA[:40])


# RFC 6229, section 2.
VECTORS = {
    "0102030405": {
        0: "b2396305f03dc027ccc3524a0a1118a8",
        16: "6982944f18fc82d589c403a47a0d0919",
        240: "28cb1132c96ce286421dcaadb8b69eae",
        4096: "ff25b58995996707e51fbdf08b34d875",
    },
    "0102030405060708090a0b0c0d0e0f10": {0: "9ac7cc9a609d1ef7b2932899cde41b97"},
}


@pytest.mark.row("GSK-27")
@pytest.mark.parametrize("secret", VECTORS)
def test_published_vectors(token: Provider, secret: str) -> None:
    key, position = cipher_key(token, "RC4", bytes.fromhex(secret)), 0
    for offset, stream in VECTORS[secret].items():
        bcrypt.BCryptEncrypt(key, bytes(offset - position))
        assert bcrypt.BCryptEncrypt(key, bytes(16)).hex() == stream
        position = offset + 16


@pytest.mark.row("ENC-08", "DEC-05", "DEC-07")
def test_the_key_stream_goes_on_in_either_direction(token: Provider) -> None:
    key, whole = cipher_key(token, "RC4", SECRET), oracle.rc4(SECRET, DATA)
    assert bcrypt.BCryptEncrypt(key, DATA[:1]) == whole[:1]
    assert bcrypt.BCryptDecrypt(key, DATA[1:17]) == whole[1:17]
    assert bcrypt.BCryptEncrypt(key, b"") == bcrypt.BCryptDecrypt(key, None) == b""
    assert bcrypt.BCryptEncrypt(key, DATA[17:500]) == whole[17:500]
    assert bcrypt.BCryptDecrypt(key, DATA[500:]) == whole[500:]
    other = cipher_key(token, "RC4", SECRET)
    assert bcrypt.BCryptDecrypt(other, whole) == DATA


@pytest.mark.row("DUP-11", "DUP-12", "DUP-13", "DUP-15")
def test_a_duplicate_has_the_position(token: Provider) -> None:
    key, whole = cipher_key(token, "RC4", SECRET), oracle.rc4(SECRET, DATA)
    assert bcrypt.BCryptEncrypt(key, DATA[:100]) == whole[:100]
    duplicate = bcrypt.BCryptDuplicateKey(key)
    assert bcrypt.BCryptEncrypt(key, DATA[100:200]) == whole[100:200]
    again = bcrypt.BCryptDuplicateKey(duplicate)
    bcrypt.BCryptDestroyKey(key)
    for one in (duplicate, again):
        assert bcrypt.BCryptEncrypt(one, DATA[100:]) == whole[100:]


@pytest.mark.row("ENC-07", "ENC-12", "ENC-13", "3.2 IV")
def test_what_it_does_not_take(token: Provider) -> None:
    key = cipher_key(token, "RC4", SECRET)
    for iv in (b"", bytes(1), bytearray(16)):
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptEncrypt(key, DATA, None, iv)
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptEncrypt(key, DATA, None, None, bcrypt.BCRYPT_BLOCK_PADDING)
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptEncrypt(key, DATA, bcrypt.BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(bytes(12)))
    with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
        bcrypt.BCryptSetProperty(key, "IV", bytes(16))
    assert bcrypt.BCryptEncrypt(key, DATA) == oracle.rc4(SECRET, DATA)


@pytest.mark.row(
    "3.2 ChainingMode", "3.2 BlockLength", "3.2 BlockSizeList", "3.2 KeyLengths", "3.2 MessageBlockLength",
    "3.2 ObjectLength", "3.2 AuthTagLength",
)  # fmt: skip
def test_properties(token: Provider) -> None:
    key = cipher_key(token, "RC4", SECRET)
    handle = bcrypt.BCryptGetProperty(key, "ProviderHandle")
    for one in (handle, key):
        assert bcrypt.BCryptGetProperty(one, "ChainingMode") == "ChainingModeN/A"
        assert bcrypt.BCryptGetProperty(one, "BlockLength") == 1
        assert bcrypt.BCryptGetProperty(one, "ObjectLength") == 654
        bcrypt.BCryptSetProperty(one, "ChainingMode", "ChainingModeN/A")
        for mode in ("ChainingModeCBC", "ChainingModeECB", "ChainingModeCFB", "ChainingModeGCM", "N/A"):
            with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
                bcrypt.BCryptSetProperty(one, "ChainingMode", mode)
        for absent in ("MessageBlockLength", "EffectiveKeyLength", "AuthTagLength"):
            with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
                bcrypt.BCryptGetProperty(one, absent)
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
            bcrypt.BCryptSetProperty(one, "MessageBlockLength", 1)
    assert bcrypt.BCryptGetProperty(handle, "BlockSizeList") == (1,)
    assert bcrypt.BCryptGetProperty(handle, "KeyLengths") == (8, 512, 8)


@pytest.mark.row("GSK-03", "2.5")
def test_the_pseudo_handle(as_default: Provider) -> None:
    need(as_default, "RC4")
    key = bcrypt.BCryptGenerateSymmetricKey(bcrypt.BCRYPT_RC4_ALG_HANDLE, None, SECRET)
    assert bcrypt.BCryptEncrypt(key, DATA) == oracle.rc4(SECRET, DATA)


@pytest.mark.parametrize("bits", [8, 40, 128, 512])
@pytest.mark.parametrize("usage", [None, Usage.ENCRYPT, Usage.DECRYPT])
def test_keys_that_the_token_makes(token: Provider, bits: int, usage: Usage | None) -> None:
    need(token, "RC4")
    key = bcrypt.BCryptOpenAlgorithmProvider("RC4", token).generate_key(bits, usage=usage)
    call = bcrypt.BCryptDecrypt if usage is Usage.DECRYPT else bcrypt.BCryptEncrypt
    other = bcrypt.BCryptDecrypt if usage is Usage.ENCRYPT else bcrypt.BCryptEncrypt
    start = bcrypt.BCryptDuplicateKey(key)
    whole = call(start, bytes(100))
    assert call(key, bytes(10)) + call(key, bytes(90)) == whole != bytes(100)
    if usage is not None:
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
            other(key, DATA)


def test_it_is_weak(token: Provider) -> None:
    need(token, "RC4")
    assert "RC4" in token.capabilities().weak
    assert 128 in token.capabilities().key_bits["RC4"]


def test_threads_take_their_turn(token: Provider) -> None:
    """The pieces that threads get of one key stream are disjoint, and are all of it."""
    key, size, count = cipher_key(token, "RC4", SECRET), 17, 400
    with ThreadPoolExecutor(8) as threads:
        pieces = list(threads.map(lambda _: bcrypt.BCryptEncrypt(key, bytes(size)), range(count)))
    stream = oracle.rc4(SECRET, bytes(size * count))
    assert sorted(pieces) == sorted(stream[start : start + size] for start in range(0, len(stream), size))


def test_more_keys_than_running_streams(token: Provider) -> None:
    """Each goes on where it was, also where its operation in the token gave way to others."""
    count = 3 * stream_ciphers.CAPACITY
    keys = {number: cipher_key(token, "RC4", bytes([number]) * 16) for number in range(count)}
    whole = {number: oracle.rc4(bytes([number]) * 16, DATA) for number in keys}
    for start in range(0, len(DATA), 250):
        for number, key in keys.items():
            assert bcrypt.BCryptEncrypt(key, DATA[start : start + 250]) == whole[number][start : start + 250]


def test_threads_with_keys_of_their_own(token: Provider) -> None:
    need(token, "RC4")
    ready = threading.Barrier(8)

    def work(number: int) -> bool:
        secret = bytes([number]) * 16
        key = cipher_key(token, "RC4", secret)
        ready.wait()
        pieces = [bcrypt.BCryptEncrypt(key, DATA[start : start + 50]) for start in range(0, len(DATA), 50)]
        bcrypt.BCryptDestroyKey(key)
        return b"".join(pieces) == oracle.rc4(secret, DATA)

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(work, range(8)))


def test_what_a_call_costs(nss_provider: Provider) -> None:
    key = cipher_key(nss_provider, "RC4", SECRET)
    with CallCounter(nss_provider) as first:
        bcrypt.BCryptEncrypt(key, DATA)
    with CallCounter(nss_provider) as later:
        for _ in range(3):
            bcrypt.BCryptEncrypt(key, DATA)
    # A session is opened for the stream, and the one of another stream may be closed.
    assert first.asked == ["C_EncryptInit", "C_EncryptUpdate"]
    assert later.asked == ["C_EncryptUpdate"] * 3
    with CallCounter(nss_provider) as end:
        bcrypt.BCryptDestroyKey(key)
    assert sorted(name for name in end.names if name != "C_OpenSession") == ["C_CloseSession", "C_DestroyObject"]


def test_a_key_that_nobody_destroyed_keeps_no_session(nss_provider: Provider) -> None:
    with hwcng.open_provider(nss_provider.uri) as provider:
        handle = bcrypt.BCryptOpenAlgorithmProvider("RC4", provider)
        kept = bcrypt.BCryptGenerateSymmetricKey(handle, None, SECRET)
        whole = bcrypt.BCryptEncrypt(kept, DATA[:50])
        dropped = [bcrypt.BCryptGenerateSymmetricKey(handle, None, SECRET) for _ in range(2)]
        for key in dropped:
            bcrypt.BCryptEncrypt(key, DATA)
        assert provider.statistics().pool.busy == 3
        del key, dropped
        gc.collect()
        assert whole + bcrypt.BCryptEncrypt(kept, DATA[50:]) == oracle.rc4(SECRET, DATA)
        provider.random(1)
        assert provider.statistics().pool.busy == 1


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", ["C_EncryptInit", "C_EncryptUpdate"])
def test_a_call_that_fails_leaves_the_position(nss_provider: Provider, name: str, after: bool) -> None:
    key, whole = cipher_key(nss_provider, "RC4", SECRET), oracle.rc4(SECRET, DATA)
    if name == "C_EncryptUpdate":
        assert bcrypt.BCryptEncrypt(key, DATA[:100]) == whole[:100]
    start = key.stream_offset
    with FaultInjector(nss_provider) as faults:
        faults.fail(name, CKR.FUNCTION_FAILED, nth=1, after=after)
        with fails(NTSTATUS.STATUS_INTERNAL_ERROR):
            bcrypt.BCryptEncrypt(key, DATA[start:200])
        assert faults.injected == 1
    assert bcrypt.BCryptEncrypt(key, DATA[start:200]) == whole[start:200]
    assert bcrypt.BCryptEncrypt(key, DATA[200:]) == whole[200:]


def test_a_lost_operation_begins_again(nss_provider: Provider) -> None:
    """Long streams are passed over in pieces."""
    key, size = cipher_key(nss_provider, "RC4", SECRET), 200_001
    bcrypt.BCryptEncrypt(key, bytes(size))
    with FaultInjector(nss_provider) as faults:
        faults.fail("C_EncryptUpdate", CKR_OPERATION_NOT_INITIALIZED, nth=1)
        with pytest.raises(CngError) as caught:
            bcrypt.BCryptEncrypt(key, DATA)
        assert caught.value.token_code == CKR_OPERATION_NOT_INITIALIZED
    assert bcrypt.BCryptEncrypt(key, DATA) == oracle.rc4(SECRET, bytes(size) + DATA)[size:]


@pytest.mark.parametrize("function", ["C_EncryptInit", "C_EncryptUpdate"])
def test_one_operations_failure_ends_no_key(function: str) -> None:
    """The session is asked, and it lives: nothing but this operation is lost."""
    with hwcng.open_provider(NSS_URI) as provider:
        need(provider, "RC4")
        key = cipher_key(provider, "RC4", SECRET)
        running = cipher_key(provider, "RC4", SECRET)
        first = bcrypt.BCryptEncrypt(running, DATA)
        with FaultInjector(provider) as faults:
            faults.fail(function, CKR.SESSION_HANDLE_INVALID, nth=1)
            with fails(NTSTATUS.STATUS_DEVICE_NOT_CONNECTED):
                bcrypt.BCryptEncrypt(key, DATA)
        assert (key.stream_offset, running.stream_offset) == (0, len(DATA))
        assert bcrypt.BCryptEncrypt(key, DATA) == first == oracle.rc4(SECRET, DATA)
        assert first + bcrypt.BCryptEncrypt(running, DATA) == oracle.rc4(SECRET, DATA + DATA)


@pytest.mark.parametrize("function", ["C_EncryptInit", "C_EncryptUpdate"])
def test_a_lost_connection_ends_the_key_as_any_other(function: str) -> None:
    """The next key of the provider is made in a new connection."""
    with hwcng.open_provider(NSS_URI) as provider:
        need(provider, "RC4")
        key = cipher_key(provider, "RC4", SECRET)
        running = cipher_key(provider, "RC4", SECRET)
        bcrypt.BCryptEncrypt(running, DATA[:10])
        with FaultInjector(provider) as faults:
            faults.fail(function, CKR.SESSION_HANDLE_INVALID, nth=1)
            faults.fail("C_GetSessionInfo", CKR.SESSION_HANDLE_INVALID)
            with fails(NTSTATUS.STATUS_DEVICE_NOT_CONNECTED):
                bcrypt.BCryptEncrypt(key, DATA)
        for dead in (key, running):
            with fails(NTSTATUS.STATUS_INVALID_DEVICE_STATE):
                bcrypt.BCryptEncrypt(dead, DATA)
        assert (key.stream_offset, running.stream_offset) == (0, 10)
        assert bcrypt.BCryptEncrypt(cipher_key(provider, "RC4", SECRET), DATA) == oracle.rc4(SECRET, DATA)
        bcrypt.BCryptDestroyKey(running)


def test_a_fork_leaves_the_parent_its_stream() -> None:
    whole = oracle.rc4(SECRET, bytes(30)).hex()
    assert run(FORKED, NSS_URI).split() == ["STATUS_INVALID_HANDLE", whole[:20], whole[20:]]


def test_a_token_without_more_sessions_takes_those_of_streams(nss_provider: Provider) -> None:
    key, other, whole = *(cipher_key(nss_provider, "RC4", SECRET) for _ in range(2)), oracle.rc4(SECRET, DATA)
    assert bcrypt.BCryptEncrypt(key, DATA[:10]) == whole[:10]
    with FaultInjector(nss_provider) as faults:
        faults.fail("C_OpenSession", CKR.SESSION_COUNT, nth=1)
        borrowed = []
        while not faults.injected:
            borrowed.append(nss_provider._connection.borrow())
    for session in borrowed:
        nss_provider._connection.discard(session)
    assert bcrypt.BCryptEncrypt(other, DATA) == whole
    assert bcrypt.BCryptEncrypt(key, DATA[10:]) == whole[10:]
