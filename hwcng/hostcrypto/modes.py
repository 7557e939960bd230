"""Modes of operation built from ECB or CBC, and block padding, over whatever encrypts a block.

Standards: SP 800-38A, section 6.3 (CFB) and appendix B.1 (counters); SP 800-38C (CCM); RFC 5652, section 6.3 (PKCS #7).
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import TypeAlias

from hwcng.errors import NTSTATUS, CngError, invalid_parameter

__all__ = [
    "BLOCK",
    "Primitive",
    "ccm_decrypt",
    "ccm_encrypt",
    "cfb8_decrypt",
    "cfb8_encrypt",
    "cfb_decrypt",
    "cfb_encrypt",
    "ctr_keystream",
    "pad",
    "unpad",
    "xor",
]

Primitive: TypeAlias = Callable[[bytes], bytes]


BLOCK = 16
"""Bytes of an AES block."""


def xor(left: bytes, right: bytes) -> bytes:
    """The exclusive or of two strings of equal length, fast for megabytes. Raises ValueError where lengths differ."""
    if len(left) != len(right):
        raise ValueError(f"xor of {len(left)} and {len(right)} bytes")
    return (int.from_bytes(left, "little") ^ int.from_bytes(right, "little")).to_bytes(len(left), "little")


def cfb8_encrypt(ecb: Primitive, iv: bytes, data: bytes) -> bytes:
    """CFB with 8-bit segments: one `ecb` call per byte, because each byte depends on the ciphertext before it."""
    register, ciphertext = iv, bytearray()
    for octet in data:
        ciphertext.append(octet ^ ecb(register)[0])
        register = register[1:] + ciphertext[-1:]
    return bytes(ciphertext)


def cfb8_decrypt(ecb: Primitive, iv: bytes, data: bytes) -> bytes:
    """One `ecb` call over all shift registers, a block for each byte of data."""
    if not data:
        return b""
    stream, block = iv + data, len(iv)
    registers = b"".join(stream[start : start + block] for start in range(len(data)))
    return xor(data, ecb(registers)[::block])


def cfb_encrypt(ecb: Primitive, iv: bytes, data: bytes) -> bytes:
    """CFB with segments of a block: one `ecb` call each. A last short segment takes the leading keystream bytes."""
    register, segments, block = iv, [], len(iv)
    for start in range(0, len(data), block):
        segment = data[start : start + block]
        register = xor(segment, ecb(register)[: len(segment)])
        segments.append(register)
    return b"".join(segments)


def cfb_decrypt(ecb: Primitive, iv: bytes, data: bytes) -> bytes:
    """One `ecb` call. A last short segment takes the leading keystream bytes."""
    if not data:
        return b""
    block = len(iv)
    whole_before_last = (len(data) - 1) // block * block
    return xor(data, ecb(iv + data[:whole_before_last])[: len(data)])


def ctr_keystream(ecb: Primitive, counter_block: bytes, counter_size: int, length: int) -> bytes:
    """`length` bytes of keystream in one `ecb` call.

    counter_block: the first input block, 16 bytes, whose last `counter_size` bytes are a big-endian counter that wraps
    (SP 800-38A, appendix B.1): 4 for GCM (SP 800-38D, section 6.2), q = 15 - nonce length for CCM.
    """
    if length == 0:
        return b""
    fixed, start = counter_block[:-counter_size], int.from_bytes(counter_block[-counter_size:], "big")
    limit, blocks = 1 << 8 * counter_size, -(-length // BLOCK)
    counters = ((start + step) % limit for step in range(blocks))
    return ecb(b"".join(fixed + counter.to_bytes(counter_size, "big") for counter in counters))[:length]


def ccm_encrypt(
    ecb: Primitive, cbc_zero_iv: Primitive, nonce: bytes, aad: bytes, plaintext: bytes, tag_length: int
) -> bytes:
    """CCM generation-encryption (SP 800-38C, section 6.1): the ciphertext, then the tag, in two primitive calls.

    Raises STATUS_INVALID_PARAMETER for a nonce outside 7 to 13 bytes, a tag that is not 4, 6 .. 16 bytes, or a
    plaintext too long for the nonce.
    """
    _check_ccm(nonce, tag_length, len(plaintext))
    mac = cbc_zero_iv(_ccm_blocks(nonce, aad, plaintext, tag_length))[-BLOCK:]
    mask, keystream = _ccm_keystream(ecb, nonce, len(plaintext))
    return xor(plaintext, keystream) + xor(mac, mask)[:tag_length]


def ccm_decrypt(
    ecb: Primitive, cbc_zero_iv: Primitive, nonce: bytes, aad: bytes, ciphertext: bytes, tag_length: int
) -> bytes:
    """CCM decryption-verification (SP 800-38C, section 6.2) of ciphertext and tag, in two primitive calls.

    Raises STATUS_AUTH_TAG_MISMATCH for a wrong tag, before any plaintext is released; STATUS_INVALID_PARAMETER as
    `ccm_encrypt` does, and for input shorter than the tag.
    """
    length = len(ciphertext) - tag_length
    _check_ccm(nonce, tag_length, length)
    if length < 0:
        raise invalid_parameter(f"CCM: {len(ciphertext)} bytes are shorter than a tag of {tag_length}")
    mask, keystream = _ccm_keystream(ecb, nonce, length)
    plaintext = xor(ciphertext[:length], keystream)
    mac = cbc_zero_iv(_ccm_blocks(nonce, aad, plaintext, tag_length))[-BLOCK:]
    if not hmac.compare_digest(xor(mac, mask)[:tag_length], ciphertext[length:]):
        raise CngError(NTSTATUS.STATUS_AUTH_TAG_MISMATCH, "CCM: the tag does not match")
    return plaintext


def _check_ccm(nonce: bytes, tag_length: int, length: int) -> None:
    """SP 800-38C, appendix A.1: n in 7..13, t in {4, 6 .. 16}, and the length fits q = 15 - n bytes."""
    if not 7 <= len(nonce) <= 13:
        raise invalid_parameter(f"CCM: a nonce of 7 to 13 bytes expected, {len(nonce)} given")
    if tag_length not in range(4, 17, 2):
        raise invalid_parameter(f"CCM: a tag of 4, 6 .. 16 bytes expected, {tag_length} asked")
    if length >= 1 << 8 * (15 - len(nonce)):
        raise invalid_parameter(f"CCM: {length} bytes are too long for a nonce of {len(nonce)} bytes")


def _ccm_blocks(nonce: bytes, aad: bytes, plaintext: bytes, tag_length: int) -> bytes:
    """B0 .. Br of SP 800-38C, appendix A.2."""
    q = 15 - len(nonce)
    flags = (0x40 if aad else 0) | (tag_length - 2) // 2 << 3 | (q - 1)
    first = bytes([flags]) + nonce + len(plaintext).to_bytes(q, "big")
    return first + _zero_padded(_ccm_aad_length(len(aad)) + aad) + _zero_padded(plaintext)


def _ccm_aad_length(length: int) -> bytes:
    if length == 0:
        return b""
    if length < 0xFF00:
        return length.to_bytes(2, "big")
    if length < 1 << 32:
        return b"\xff\xfe" + length.to_bytes(4, "big")
    return b"\xff\xff" + length.to_bytes(8, "big")


def _zero_padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK)


def _ccm_keystream(ecb: Primitive, nonce: bytes, length: int) -> tuple[bytes, bytes]:
    """S0, which masks the tag, and S1 .. Sm, cut to `length` (SP 800-38C, appendix A.3)."""
    q = 15 - len(nonce)
    stream = ctr_keystream(ecb, bytes([q - 1]) + nonce + bytes(q), q, BLOCK + length)
    return stream[:BLOCK], stream[BLOCK:]


def pad(data: bytes, block_size: int = 16) -> bytes:
    """`data` filled up to whole blocks by PKCS #7: always 1 to `block_size` more bytes."""
    count = block_size - len(data) % block_size
    return data + bytes([count]) * count


def unpad(data: bytes, block_size: int = 16) -> bytes:
    """`data` without its PKCS #7 padding. The whole last block is looked at before the one verdict.

    Raises STATUS_INVALID_BUFFER_SIZE where `data` is not whole blocks, STATUS_DATA_ERROR where it is empty or the
    padding is malformed.
    """
    if len(data) % block_size:
        raise CngError(
            NTSTATUS.STATUS_INVALID_BUFFER_SIZE, f"{len(data)} bytes are not whole blocks of {block_size} bytes"
        )
    last = data[-block_size:]
    count = last[-1] if last else 0
    bad = int(count == 0) | int(count > block_size)
    for distance, octet in enumerate(reversed(last)):
        bad |= int(distance < count) & int(octet != count)
    if bad:
        raise CngError(NTSTATUS.STATUS_DATA_ERROR, "the block padding is malformed")
    return data[: len(data) - count]
