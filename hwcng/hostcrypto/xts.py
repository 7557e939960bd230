"""XTS-AES built from AES-ECB under two keys (IEEE 1619-2018, section 5; SP 800-38E).

The primitives run inside the token; what comes out of the one for the tweaks is E(K2, unit number), never a key byte.
Unit numbers are ints; a data unit may end in a short block, whose ciphertext is stolen from the one before.
"""

from __future__ import annotations

from collections.abc import Iterator

from hwcng.hostcrypto.modes import Primitive, xor

__all__ = ["BLOCK", "decrypt", "encrypt", "unit_count", "units"]

BLOCK = 16
_MASK = (1 << 128) - 1
_FEEDBACK = 0x87


def units(data: bytes, size: int) -> list[bytes]:
    """`data` in data units of `size` bytes, the last one maybe shorter."""
    return [data[start : start + size] for start in range(0, len(data), size)]


def unit_count(length: int, size: int) -> int:
    return -(-length // size)


def encrypt(tweak_ecb: Primitive, data_ecb: Primitive, number: int, size: int, data: bytes) -> bytes:
    """Data units from `number` on. tweak_ecb, data_ecb: ECB encryption under the tweak key and under the data key.

    Each data unit has at least one block. Two calls, and a third where a unit ends in a short block.
    """
    return _crypt(tweak_ecb, data_ecb, number, size, data, encrypting=True)


def decrypt(tweak_ecb: Primitive, data_ecb: Primitive, number: int, size: int, data: bytes) -> bytes:
    """As `encrypt`, with `data_ecb` ECB decryption under the data key; `tweak_ecb` stays an encryption."""
    return _crypt(tweak_ecb, data_ecb, number, size, data, encrypting=False)


def _tweaks(seed: bytes, count: int) -> Iterator[bytes]:
    """`seed` times the powers of alpha (section 5.2)."""
    value = int.from_bytes(seed, "little")
    for _ in range(count):
        yield value.to_bytes(BLOCK, "little")
        value = (value << 1 & _MASK) ^ (_FEEDBACK if value >> 127 else 0)


def _crypt(
    tweak_ecb: Primitive, data_ecb: Primitive, number: int, size: int, data: bytes, *, encrypting: bool
) -> bytes:
    if not data:
        return b""
    parts = units(data, size)
    numbers = b"".join((number + index).to_bytes(BLOCK, "little") for index in range(len(parts)))
    seeds = tweak_ecb(numbers)
    masks, last_masks = [], []
    for index, part in enumerate(parts):
        tweaks = list(_tweaks(seeds[BLOCK * index : BLOCK * (index + 1)], unit_count(len(part), BLOCK)))
        last = b""
        if len(part) % BLOCK:
            # The whole block before the short one goes first: with its own tweak to encrypt, with the next to decrypt.
            last = tweaks.pop() if encrypting else tweaks.pop(-2)
        last_masks.append(last)
        masks.append(b"".join(tweaks))
    mask = b"".join(masks)
    whole = b"".join(part[: len(part) // BLOCK * BLOCK] for part in parts)
    done = xor(data_ecb(xor(whole, mask)), mask)
    return done if not any(last_masks) else _steal(data_ecb, parts, done, last_masks)


def _steal(data_ecb: Primitive, parts: list[bytes], done: bytes, last_masks: list[bytes]) -> bytes:
    """The short block of each unit, and the block that gave its end (sections 5.3.2 and 5.4.2)."""
    bodies, joined, tails = [], [], []
    start = 0
    for part, mask in zip(parts, last_masks, strict=True):
        end = start + len(part) // BLOCK * BLOCK
        body, start = done[start:end], end
        short = len(part) % BLOCK
        bodies.append(body[:-BLOCK] if short else body)
        tails.append(body[-BLOCK:][:short] if short else b"")
        joined.append(part[-short:] + body[-BLOCK:][short:] if mask else b"")
    mask = b"".join(last_masks)
    stolen = xor(data_ecb(xor(b"".join(joined), mask)), mask)
    result, position = [], 0
    for body, tail in zip(bodies, tails, strict=True):
        result.append(body)
        if tail:
            result += [stolen[position : position + BLOCK], tail]
            position += BLOCK
    return b"".join(result)
