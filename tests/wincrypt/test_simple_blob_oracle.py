"""A SIMPLEBLOB that is wrong tells nothing of why: one code, one message, no cause and the same calls to the token."""

from __future__ import annotations

import gc
import os
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from conformance import oracle
from support import missing_on, name_token
from wincrypt.helpers import RSA_BITS, has, needs_wrapping, refused, rsa_public_numbers

from hwcng import CngError
from hwcng import wincrypt as w
from hwcng.errors import HRESULT
from hwcng.testing.calls import CallCounter
from hwcng.testing.faults import FaultInjector

if TYPE_CHECKING:
    from hwcng.capi.contexts import Context
    from hwcng.capi.handle_base import CapiKey
    from hwcng.contract.provider import Provider

SIZE = RSA_BITS // 8
ALGORITHMS = (w.CALG_AES_128, w.CALG_AES_256, w.CALG_3DES, w.CALG_RC2, w.CALG_RC4)
KEY_BYTES = {w.CALG_AES_128: 16, w.CALG_AES_256: 32, w.CALG_3DES: 24, w.CALG_RC2: 16, w.CALG_RC4: 16}


def nonzero(count: int) -> bytes:
    return bytes(1 + octet % 255 for octet in os.urandom(count))


def pkcs1(key: bytes, start: bytes = b"\0\2") -> bytes:
    return start + nonzero(SIZE - 3 - len(key)) + b"\0" + key


def wrong_blocks(algorithm: int, flags: int) -> Iterator[tuple[str, bytes]]:
    """Encoded messages, each wrong for another reason."""
    size = KEY_BYTES[algorithm]
    lengths = sorted(
        {0, 3, 65 if algorithm == w.CALG_RC2 else size + 17, 150}
        | (set() if algorithm in (w.CALG_RC2, w.CALG_RC4) else {size - 8, size - 1})
    )
    if flags & w.CRYPT_OAEP:
        good = oracle.oaep_block(SIZE, "SHA1", b"", os.urandom(size))
        yield "first octet", b"\1" + good[1:]
        yield "label", oracle.oaep_block(SIZE, "SHA1", b"label", os.urandom(size))
        yield "end", good[:-1] + bytes([good[-1] ^ 1])
        for length in lengths:
            yield f"{length} octets", oracle.oaep_block(SIZE, "SHA1", b"", os.urandom(length))
        return
    yield "block type", pkcs1(os.urandom(size), b"\0\1")
    yield "first octet", pkcs1(os.urandom(size), b"\1\2")
    yield "no separator", b"\0\2" + nonzero(SIZE - 2)
    yield "zeros", bytes(SIZE)
    for length in lengths:
        yield f"{length} octets", pkcs1(os.urandom(length))


def simple_blob(algorithm: int, encrypted: bytes) -> bytes:
    return struct.pack("<BBHII", w.SIMPLEBLOB, 2, 0, algorithm, w.CALG_RSA_KEYX) + encrypted[::-1]


def raised(call: Any) -> CngError:
    with pytest.raises(CngError) as caught:
        call()
    return caught.value


@pytest.fixture
def exchange(context: Context) -> CapiKey:
    # Keys that other tests left behind are destroyed by the next creation of one: here, not where calls are counted.
    gc.collect()
    return w.CryptGenKey(context, w.AT_KEYEXCHANGE, RSA_BITS << 16)


@pytest.mark.parametrize("flags", [0, w.CRYPT_OAEP], ids=["PKCS1", "OAEP"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_wrong_blob_looks_alike(
    token: Provider, context: Context, exchange: CapiKey, algorithm: int, flags: int
) -> None:
    needs_wrapping(token)
    if not has(token, algorithm):
        missing_on(token, f"ALG_ID {algorithm:#x}")
    modulus = rsa_public_numbers(w.CryptExportKey(exchange, None, w.PUBLICKEYBLOB))[0]
    answers, calls = set(), {}
    for why, block in wrong_blocks(algorithm, flags):
        blob = simple_blob(algorithm, oracle.raw_public(block, modulus))
        with CallCounter(token) as counter:
            try:
                key = w.CryptImportKey(context, blob, exchange, flags)
            except CngError as error:
                answers.add((error.status, str(error), error.token_code, error.__cause__, error.__context__))
                calls[why] = tuple(counter.names)
                continue
        # NSS rejects implicitly, as SoftHSM's OpenSSL does from 3.2 on: a wrong padding gives a random message, which
        # now and then has a key's length.
        assert not flags and not why.endswith("octets")
        assert token.token.manufacturer.startswith(("Mozilla", "SoftHSM"))
        w.CryptDestroyKey(key)
    (answer,) = answers
    assert (answer[0], *answer[2:]) == (HRESULT.NTE_BAD_DATA, None, None, None)
    assert len(set(calls.values())) == 1, calls


def test_a_right_blob_costs_no_other_calls_than_a_wrong_one(
    token: Provider, context: Context, exchange: CapiKey
) -> None:
    needs_wrapping(token)
    modulus = rsa_public_numbers(w.CryptExportKey(exchange, None, w.PUBLICKEYBLOB))[0]
    seen = []
    for block in (pkcs1(os.urandom(16)), pkcs1(os.urandom(15))):
        blob = simple_blob(w.CALG_AES_128, oracle.raw_public(block, modulus))
        with CallCounter(token) as counter:
            try:
                w.CryptDestroyKey(w.CryptImportKey(context, blob, exchange, 0))
            except CngError:
                answered_at = len(counter.names)
        seen.append(tuple(counter.names))
    assert seen[0] == seen[1][: len(seen[0])] and answered_at <= len(seen[0]) + 1


def test_what_a_token_cannot_do_is_refused_before_the_blob_is_decrypted(
    token: Provider, context: Context, exchange: CapiKey
) -> None:
    """The first C_UnwrapKey is of a key of the host's own: its failure is told as it is, and nothing else is asked."""
    needs_wrapping(token)
    modulus = rsa_public_numbers(w.CryptExportKey(exchange, None, w.PUBLICKEYBLOB))[0]
    blob = simple_blob(w.CALG_AES_128, oracle.raw_public(pkcs1(os.urandom(16)), modulus))
    with CallCounter(token) as counter, FaultInjector(token) as faults:
        faults.fail("C_UnwrapKey", 0x70, nth=1)
        with refused(HRESULT.NTE_NOT_SUPPORTED):
            w.CryptImportKey(context, blob, exchange, 0)
    assert counter.names.count("C_UnwrapKey") <= 1


@pytest.mark.parametrize("rv", [0x05, 0x06, 0x40, 0x62, 0x110, 0xD1])
def test_whatever_a_token_says_of_a_blob_it_is_one_answer(
    token: Provider, context: Context, exchange: CapiKey, rv: int
) -> None:
    needs_wrapping(token)
    modulus = rsa_public_numbers(w.CryptExportKey(exchange, None, w.PUBLICKEYBLOB))[0]
    blob = simple_blob(w.CALG_AES_128, oracle.raw_public(pkcs1(os.urandom(16)), modulus))
    with FaultInjector(token) as faults:
        faults.fail("C_UnwrapKey", rv, nth=2)
        error = raised(lambda: w.CryptImportKey(context, blob, exchange, 0))
    assert (error.status, error.token_code, error.__cause__) == (HRESULT.NTE_BAD_DATA, None, None)
    assert error.message == "decryption error"
    w.CryptDestroyKey(w.CryptImportKey(context, blob, exchange, 0))


def test_a_token_that_tells_no_lengths_refuses_before_it_decrypts(p11_kit_provider: Provider) -> None:
    """SoftHSM behind p11-kit: no CKM_AES_KEY_WRAP to measure a key with."""
    token = name_token(p11_kit_provider, "p11-kit")
    context = w.CryptAcquireContext(None, (w.MS_ENH_RSA_AES_PROV, token), w.PROV_RSA_AES, w.CRYPT_VERIFYCONTEXT)
    gc.collect()
    exchange = w.CryptGenKey(context, w.AT_KEYEXCHANGE, RSA_BITS << 16)
    modulus = rsa_public_numbers(w.CryptExportKey(exchange, None, w.PUBLICKEYBLOB))[0]
    answers, calls = set(), set()
    blocks = [pkcs1(os.urandom(16)), *(block for _, block in wrong_blocks(w.CALG_AES_128, 0))]
    for block in blocks:
        blob = simple_blob(w.CALG_AES_128, oracle.raw_public(block, modulus))
        with CallCounter(token) as counter:
            error = raised(lambda blob=blob: w.CryptImportKey(context, blob, exchange, 0))
        answers.add((error.status, str(error)))
        calls.add(tuple(counter.names))
    assert {status for status, _ in answers} == {HRESULT.NTE_NOT_SUPPORTED}
    assert len(answers) == len(calls) == 1
