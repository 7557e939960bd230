"""Reference 5.13, rows AEAD-08 to AEAD-10: one message in several calls."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest
from conformance.checks import COUNTING, aes, fails
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hwcng import NTSTATUS, bcrypt
from hwcng.bcrypt import BCRYPT_AUTH_MODE_CHAIN_CALLS_FLAG as CHAIN
from hwcng.bcrypt import BCRYPT_AUTH_MODE_IN_PROGRESS_FLAG as IN_PROGRESS
from hwcng.bcrypt import BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO as Info
from hwcng.cng.keys import SymmetricKey
from hwcng.contract.provider import Provider
from hwcng.testing.faults import FaultInjector

DATA = bytes(octet * 29 % 256 for octet in range(320))
AAD = bytes(range(100, 143))
NONCE = bytes.fromhex("102030405060102030405060")

CKR_FUNCTION_FAILED = 0x006

Call = Callable[..., bytes]


def chained(nonce: bytes = NONCE, aad: bytes = b"", tag: bytes | None = None) -> Info:
    return Info(nonce, aad, tag, pbMacContext=bytearray(16), dwFlags=CHAIN)


def sealed(nonce: bytes, plaintext: bytes, aad: bytes) -> tuple[bytes, bytes]:
    both = AESGCM(COUNTING).encrypt(nonce, plaintext, aad)
    return both[:-16], both[-16:]


def run(call: Call, key: SymmetricKey, chunks: Sequence[bytes], info: Info, aad: bytes = b"") -> bytes:
    """All chunks of one message; the authenticated data goes with the first call, as it does in C."""
    iv = bytearray(16)
    info.pbAuthData = aad
    output = b""
    for chunk in chunks[:-1]:
        part = call(key, chunk, info, iv)
        assert len(part) == len(chunk)
        assert info.dwFlags == CHAIN | IN_PROGRESS
        output += part
        info.pbAuthData = b""
        assert (info.cbData, info.cbAAD) == (len(output), len(aad))
    info.dwFlags &= ~CHAIN
    output += call(key, chunks[-1], info, iv)
    assert info.dwFlags == 0
    return output


def cut(data: bytes, sizes: Sequence[int]) -> list[bytes]:
    chunks, start = [], 0
    for size in sizes:
        chunks.append(data[start : start + size])
        start += size
    return [*chunks, data[start:]]


SPLITS: tuple[tuple[int, ...], ...] = (
    (),
    (0,),
    (16,),
    (32,),
    (16, 16),
    (0, 16, 0),
    (16, 32, 48, 64),
    (64, 48, 32, 16),
    (160,),
    (16,) * 10,
    (304,),
)
LENGTHS = (0, 1, 15, 16, 17, 160, 161, 175, 304, 319, 320)


@pytest.mark.row("AEAD-08")
@pytest.mark.parametrize("aad", [b"", AAD[:12], AAD[:16], AAD], ids=len)
@pytest.mark.parametrize("sizes", SPLITS, ids=str)
def test_every_split_gives_the_same_message(token: Provider, sizes: tuple[int, ...], aad: bytes) -> None:
    key = aes(token, mode="GCM")
    for length in LENGTHS:
        if length < sum(sizes):
            continue
        ciphertext, tag = sealed(NONCE, DATA[:length], aad)
        info = chained()
        assert run(bcrypt.BCryptEncrypt, key, cut(DATA[:length], sizes), info, aad) == ciphertext
        assert info.pbTag == tag
        assert run(bcrypt.BCryptDecrypt, key, cut(ciphertext, sizes), chained(tag=tag), aad) == DATA[:length]


@pytest.mark.row("AEAD-08")
def test_random_splits(token: Provider) -> None:
    key, choice = aes(token, mode="GCM"), random.Random(8)
    for step in range(60):
        sizes = [16 * choice.randrange(6) for _ in range(choice.randrange(7))]
        data = choice.randbytes(sum(sizes) + choice.randrange(40))
        aad, nonce = choice.randbytes(choice.randrange(40)), bytes([step]) * 12
        ciphertext, tag = sealed(nonce, data, aad)
        info = chained(nonce)
        assert run(bcrypt.BCryptEncrypt, key, cut(data, sizes), info, aad) == ciphertext
        assert info.pbTag == tag
        assert run(bcrypt.BCryptDecrypt, key, cut(ciphertext, sizes), chained(nonce, tag=tag), aad) == data


@pytest.mark.row("AEAD-08")
def test_the_last_call_may_clear_all_flags(provider: Provider) -> None:
    key, info = aes(provider, mode="GCM"), chained(aad=AAD)
    first = bcrypt.BCryptEncrypt(key, DATA[:32], info)
    info.dwFlags, info.pbAuthData = 0, None
    ciphertext, tag = sealed(NONCE, DATA[:40], AAD)
    assert first + bcrypt.BCryptEncrypt(key, DATA[32:40], info) == ciphertext
    assert info.pbTag == tag


@pytest.mark.row("AEAD-08")
def test_authenticated_data_in_several_calls_before_the_data(token: Provider) -> None:
    key, info = aes(token, mode="GCM"), chained()
    for start in range(0, len(AAD), 16):
        info.pbAuthData = AAD[start : start + 16]
        assert bcrypt.BCryptEncrypt(key, None, info) == b""
    assert info.cbAAD == len(AAD)
    info.pbAuthData = b""
    output = bcrypt.BCryptEncrypt(key, DATA[:16], info)
    info.dwFlags &= ~CHAIN
    ciphertext, tag = sealed(NONCE, DATA[:30], AAD)
    assert output + bcrypt.BCryptEncrypt(key, DATA[16:30], info) == ciphertext
    assert info.pbTag == tag


@pytest.mark.row("AEAD-08")
def test_authenticated_data_after_data(provider: Provider) -> None:
    """[choice] Refused, where Windows would make another tag; the chain goes on."""
    key, info = aes(provider, mode="GCM"), chained(aad=AAD)
    output = bcrypt.BCryptEncrypt(key, DATA[:16], info)
    for flags in (info.dwFlags, info.dwFlags & ~CHAIN):
        info.dwFlags = flags
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            bcrypt.BCryptEncrypt(key, DATA[16:32], info)
    info.pbAuthData = b""
    ciphertext, tag = sealed(NONCE, DATA[:32], AAD)
    assert output + bcrypt.BCryptEncrypt(key, DATA[16:32], info) == ciphertext
    assert info.pbTag == tag


@pytest.mark.row("AEAD-08")
@pytest.mark.parametrize("call", [bcrypt.BCryptEncrypt, bcrypt.BCryptDecrypt])
def test_chains_of_one_key_interleave(token: Provider, call: Call) -> None:
    """Three chains, a one-shot message and a CBC duplicate of the key, each call of another one."""
    encrypting = call is bcrypt.BCryptEncrypt
    key = aes(token, mode="GCM")
    nonces = [bytes([number]) * 12 for number in range(3)]
    messages = [DATA[number : number + 100 + number] for number in range(3)]
    made = [sealed(nonce, message, nonce) for nonce, message in zip(nonces, messages, strict=True)]
    inputs = messages if encrypting else [ciphertext for ciphertext, _ in made]
    expected = [ciphertext for ciphertext, _ in made] if encrypting else messages
    infos = [chained(nonce, nonce, None if encrypting else tag) for nonce, (_, tag) in zip(nonces, made, strict=True)]
    outputs = [b"", b"", b""]
    duplicate = bcrypt.BCryptDuplicateKey(key)
    bcrypt.BCryptSetProperty(duplicate, "ChainingMode", "ChainingModeCBC")
    for start in range(0, 96, 16):
        for number, info in enumerate(infos):
            outputs[number] += call(key, inputs[number][start : start + 16], info)
            info.pbAuthData = b""
            bcrypt.BCryptEncrypt(duplicate, DATA[:16])
            one_shot = Info(bytes(12), AAD)
            assert bcrypt.BCryptEncrypt(key, DATA[:20], one_shot) == sealed(bytes(12), DATA[:20], AAD)[0]
            assert one_shot.pbTag == sealed(bytes(12), DATA[:20], AAD)[1]
    for number, info in reversed(list(enumerate(infos))):
        info.dwFlags &= ~CHAIN
        outputs[number] += call(key, inputs[number][96:], info)
    assert outputs == expected
    assert [info.pbTag for info in infos] == [tag for _, tag in made]


@pytest.mark.row("AEAD-08")
def test_a_chain_goes_on_with_a_duplicate(provider: Provider) -> None:
    key = aes(provider, mode="GCM")
    duplicate = bcrypt.BCryptDuplicateKey(key)
    info = chained()
    output = bcrypt.BCryptEncrypt(key, DATA[:16], info)
    bcrypt.BCryptDestroyKey(key)
    info.dwFlags &= ~CHAIN
    assert output + bcrypt.BCryptEncrypt(duplicate, DATA[16:40], info) == sealed(NONCE, DATA[:40], b"")[0]


@pytest.mark.row("AEAD-08")
@pytest.mark.parametrize("call", [bcrypt.BCryptEncrypt, bcrypt.BCryptDecrypt])
def test_a_chain_stays_with_its_key(token: Provider, call: Call) -> None:
    """Not even a key of the same value, unless it is a duplicate: that it is the same is in the token."""
    key, info = aes(token, mode="GCM"), chained()
    others = aes(token, mode="GCM"), aes(token, bytes(16), mode="GCM")
    output = call(key, DATA[:16], info)
    for other in others:
        for flags in (info.dwFlags, info.dwFlags & ~CHAIN):
            record_flags, info.dwFlags = info.dwFlags, flags
            with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
                call(other, DATA[16:32], info)
            info.dwFlags = record_flags
    for length in (12, 15):
        info.cbTag = length
        with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
            call(key, DATA[16:32], info)
    info.cbTag = 16
    if call is bcrypt.BCryptEncrypt:
        info.dwFlags &= ~CHAIN
        assert output + call(key, DATA[16:32], info) == sealed(NONCE, DATA[:32], b"")[0]


@pytest.mark.row("AEAD-08")
def test_a_record_serves_one_message_after_the_other(token: Provider) -> None:
    key, info = aes(token, mode="GCM"), chained()
    for number in range(3):
        info.pbNonce, info.dwFlags, info.pbTag = bytes([number]) * 12, CHAIN, None
        ciphertext, tag = sealed(info.pbNonce, DATA[:50], AAD)
        assert run(bcrypt.BCryptEncrypt, key, cut(DATA[:50], (16, 16)), info, AAD) == ciphertext
        assert info.pbTag == tag
    single = Info(NONCE)
    assert bcrypt.BCryptEncrypt(key, DATA, single) == sealed(NONCE, DATA, b"")[0]


@pytest.mark.row("AEAD-08", "AEAD-06")
@pytest.mark.parametrize("sizes", [(), (16,), (32, 16)], ids=str)
def test_a_wrong_tag_at_the_end(token: Provider, sizes: tuple[int, ...]) -> None:
    """The chain stays as it was: the right tag ends it."""
    key = aes(token, mode="GCM")
    ciphertext, tag = sealed(NONCE, DATA[:70], AAD)
    info = chained(tag=bytes(16))
    with fails(NTSTATUS.STATUS_AUTH_TAG_MISMATCH):
        run(bcrypt.BCryptDecrypt, key, cut(ciphertext, sizes), info, AAD)
    info.pbTag = tag
    assert bcrypt.BCryptDecrypt(key, ciphertext[sum(sizes) :], info) == DATA[sum(sizes) : 70]


@pytest.mark.row("AEAD-08", "AEAD-06")
def test_a_change_in_an_early_chunk_shows_at_the_end(token: Provider) -> None:
    key = aes(token, mode="GCM")
    ciphertext, tag = sealed(NONCE, DATA[:70], AAD)
    forged = bytes([ciphertext[0] ^ 1]) + ciphertext[1:]
    with fails(NTSTATUS.STATUS_AUTH_TAG_MISMATCH):
        run(bcrypt.BCryptDecrypt, key, cut(forged, (16, 16)), chained(tag=tag), AAD)


@pytest.mark.row("AEAD-08")
@pytest.mark.parametrize("call", [bcrypt.BCryptEncrypt, bcrypt.BCryptDecrypt])
@pytest.mark.parametrize("size", [1, 15, 17])
def test_all_chunks_but_the_last_are_whole_blocks(provider: Provider, call: Call, size: int) -> None:
    key, info = aes(provider, mode="GCM"), chained(aad=AAD)
    with fails(NTSTATUS.STATUS_INVALID_BUFFER_SIZE):
        call(key, DATA[:size], info)
    assert info.dwFlags == CHAIN
    call(key, DATA[:16], info)
    info.pbAuthData = b""
    with fails(NTSTATUS.STATUS_INVALID_BUFFER_SIZE):
        call(key, DATA[16 : 16 + size], info)
    assert (info.dwFlags, info.cbData) == (CHAIN | IN_PROGRESS, 16)
    if call is bcrypt.BCryptEncrypt:
        info.dwFlags &= ~CHAIN
        call(key, DATA[16 : 16 + size], info)
        assert info.pbTag == sealed(NONCE, DATA[: 16 + size], AAD)[1]


@pytest.mark.row("AEAD-08")
def test_a_chain_has_one_direction_one_nonce_and_one_record(provider: Provider) -> None:
    key, info = aes(provider, mode="GCM"), chained()
    output = bcrypt.BCryptEncrypt(key, DATA[:16], info)
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptDecrypt(key, DATA[:16], info)
    info.pbNonce = bytes(12)
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptEncrypt(key, DATA[:16], info)
    info.pbNonce = NONCE
    copied = Info(NONCE, pbMacContext=bytearray(16), dwFlags=info.dwFlags)
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptEncrypt(key, DATA[16:32], copied)
    info.dwFlags &= ~CHAIN
    assert output + bcrypt.BCryptEncrypt(key, DATA[16:32], info) == sealed(NONCE, DATA[:32], b"")[0]


@pytest.mark.row("AEAD-08")
def test_chained_calls_need_no_iv_and_leave_it(provider: Provider) -> None:
    """[choice] The state that C keeps in pbIV and pbMacContext is the record's own."""
    key, iv = aes(provider, mode="GCM"), bytearray(COUNTING)
    with_iv, without, context = chained(), chained(), bytearray(b"\x33" * 20)
    with_iv.pbMacContext = context
    assert bcrypt.BCryptEncrypt(key, DATA[:16], with_iv, iv) == bcrypt.BCryptEncrypt(key, DATA[:16], without)
    assert (iv, context) == (COUNTING, b"\x33" * 20)


@pytest.mark.row("AEAD-08", "AEAD-02")
def test_the_tag_length_is_checked_in_every_call(provider: Provider) -> None:
    key, info = aes(provider, mode="GCM"), chained()
    info.cbTag = 11
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptEncrypt(key, DATA[:16], info)
    assert info.dwFlags == CHAIN
    info.cbTag = 12
    bcrypt.BCryptEncrypt(key, DATA[:16], info)
    info.dwFlags &= ~CHAIN
    bcrypt.BCryptEncrypt(key, DATA[16:20], info)
    assert info.pbTag == sealed(NONCE, DATA[:20], b"")[1][:12]


@pytest.mark.row("AEAD-08", "AEAD-04")
def test_block_padding_is_refused_in_a_chain(provider: Provider) -> None:
    key, info = aes(provider, mode="GCM"), chained()
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        bcrypt.BCryptEncrypt(key, DATA[:16], info, None, bcrypt.BCRYPT_BLOCK_PADDING)
    assert info.dwFlags == CHAIN


@pytest.mark.row("AEAD-08")
@pytest.mark.parametrize("name", ["C_EncryptInit", "C_Encrypt"])
def test_a_failure_in_the_token_leaves_the_chain_as_it_was(provider: Provider, name: str) -> None:
    key, info = aes(provider, mode="GCM"), chained(aad=AAD)

    def disturbed(chunk: bytes) -> bytes:
        before = (info.dwFlags, info.cbAAD, info.cbData, info.pbTag)
        with FaultInjector(provider).fail(name, CKR_FUNCTION_FAILED), fails(NTSTATUS.STATUS_INTERNAL_ERROR):
            bcrypt.BCryptEncrypt(key, chunk, info)
        assert before == (info.dwFlags, info.cbAAD, info.cbData, info.pbTag)
        return bcrypt.BCryptEncrypt(key, chunk, info)

    output = disturbed(DATA[:32])
    info.pbAuthData = b""
    output += disturbed(DATA[32:48])
    info.dwFlags &= ~CHAIN
    assert (output + disturbed(DATA[48:70]), info.pbTag) == sealed(NONCE, DATA[:70], AAD)


@pytest.mark.row("AEAD-09")
@pytest.mark.parametrize("call", [bcrypt.BCryptEncrypt, bcrypt.BCryptDecrypt])
@pytest.mark.parametrize(
    "context", [None, b"", bytearray(15), "c" * 16, 16], ids=["None", "empty", "short", "str", "int"]
)
def test_chaining_needs_a_mac_context(provider: Provider, call: Call, context: bytes | None) -> None:
    key = aes(provider, mode="GCM")
    info = Info(NONCE, AAD, bytes(16), pbMacContext=context, dwFlags=CHAIN)
    with fails(NTSTATUS.STATUS_INVALID_PARAMETER):
        call(key, DATA[:16], info)
    assert info.dwFlags == CHAIN


@pytest.mark.row("AEAD-10")
@pytest.mark.parametrize("call", [bcrypt.BCryptEncrypt, bcrypt.BCryptDecrypt])
def test_ccm_is_not_chained(provider: Provider, call: Call) -> None:
    key, info = aes(provider, mode="CCM"), chained(tag=bytes(16))
    with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
        call(key, DATA[:16], info)
    assert (info.dwFlags, info.pbTag) == (CHAIN, bytes(16))
