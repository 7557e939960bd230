"""What a token lacks, built from what it has, when no key byte leaves it.

Standards: SP 800-38A, section 6.3 (CFB) and appendix B.1 (counters); SP 800-38C (CCM); RFC 8017, sections 7 to 9 and
appendix B (RSA encodings). Primitives arrive as callables that run inside the token; all else is public arithmetic.

`ecb` and `cbc_zero_iv` map whole 16-byte blocks to as many bytes; `raw_rsa` is RSADP/RSASP1 on modulus-length,
big-endian strings.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable
from typing import TypeAlias

from hwcng.contract.material import RsaPublicKey
from hwcng.contract.specs import RsaOaepSpec, RsaPkcs1DecryptSpec, RsaPkcs1SignSpec, RsaPssSpec, RsaRawSpec
from hwcng.errors import NTSTATUS, CngError
from hwcng.standards.hashes import HASHES, HashFunction

__all__ = [
    "BLOCK",
    "Primitive",
    "ccm_decrypt",
    "ccm_encrypt",
    "check_oaep_room",
    "cfb8_decrypt",
    "cfb8_encrypt",
    "cfb_decrypt",
    "cfb_encrypt",
    "ctr_keystream",
    "eme_oaep_decode",
    "eme_oaep_encode",
    "eme_pkcs1_decode",
    "eme_pkcs1_encode",
    "decryption_error",
    "emsa_pkcs1_encode",
    "emsa_pss_encode",
    "emsa_pss_verify",
    "hash_of_digest",
    "mgf1",
    "rsa_decrypt",
    "rsa_encrypt",
    "rsa_sign",
    "xor",
]

Primitive: TypeAlias = Callable[[bytes], bytes]

BLOCK = 16
"""Bytes of an AES block."""

_PKCS1_OVERHEAD = 11
_PSS_TRAILER = 0xBC


def _invalid(message: str) -> CngError:
    return CngError(NTSTATUS.STATUS_INVALID_PARAMETER, message)


def decryption_error() -> CngError:
    """The one answer to every ciphertext that does not decrypt, so that it tells nothing about why."""
    return _invalid("decryption error")


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
        raise _invalid(f"CCM: {len(ciphertext)} bytes are shorter than a tag of {tag_length}")
    mask, keystream = _ccm_keystream(ecb, nonce, length)
    plaintext = xor(ciphertext[:length], keystream)
    mac = cbc_zero_iv(_ccm_blocks(nonce, aad, plaintext, tag_length))[-BLOCK:]
    if not hmac.compare_digest(xor(mac, mask)[:tag_length], ciphertext[length:]):
        raise CngError(NTSTATUS.STATUS_AUTH_TAG_MISMATCH, "CCM: the tag does not match")
    return plaintext


def _check_ccm(nonce: bytes, tag_length: int, length: int) -> None:
    """SP 800-38C, appendix A.1: n in 7..13, t in {4, 6 .. 16}, and the length fits q = 15 - n bytes."""
    if not 7 <= len(nonce) <= 13:
        raise _invalid(f"CCM: a nonce of 7 to 13 bytes expected, {len(nonce)} given")
    if tag_length not in range(4, 17, 2):
        raise _invalid(f"CCM: a tag of 4, 6 .. 16 bytes expected, {tag_length} asked")
    if length >= 1 << 8 * (15 - len(nonce)):
        raise _invalid(f"CCM: {length} bytes are too long for a nonce of {len(nonce)} bytes")


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


def hash_of_digest(hash_name: str, digest: bytes) -> HashFunction:
    """The hash that made `digest`.

    Raises STATUS_NOT_SUPPORTED for an unknown name, STATUS_INVALID_PARAMETER for a digest of another length.
    """
    hash_function = _hash(hash_name)
    if len(digest) != hash_function.digest_size:
        raise _invalid(f"{hash_name}: a digest of {hash_function.digest_size} bytes expected, {len(digest)} given")
    return hash_function


def _hash(hash_name: str) -> HashFunction:
    hash_function = HASHES.get(hash_name)
    if hash_function is None:
        raise CngError(NTSTATUS.STATUS_NOT_SUPPORTED, f"{hash_name!r} is not a hash")
    return hash_function


def mgf1(hash_function: HashFunction, seed: bytes, length: int) -> bytes:
    """MGF1 (RFC 8017, appendix B.2.1)."""
    blocks = -(-length // hash_function.digest_size)
    return b"".join(hash_function.digest(seed + count.to_bytes(4, "big")) for count in range(blocks))[:length]


def emsa_pkcs1_encode(digest: bytes, hash_name: str | None, length: int) -> bytes:
    """EMSA-PKCS1-v1_5 (RFC 8017, section 9.2) in `length` bytes. hash_name None: without DigestInfo.

    Raises STATUS_INVALID_PARAMETER where it does not fit or the digest is not of the hash's size,
    STATUS_NOT_SUPPORTED for an unknown hash.
    """
    content = digest if hash_name is None else hash_of_digest(hash_name, digest).digest_info_prefix + digest
    if len(content) + _PKCS1_OVERHEAD > length:
        raise _invalid(f"RSA PKCS #1: {len(content)} bytes do not fit a modulus of {length} bytes")
    return b"\x00\x01" + b"\xff" * (length - len(content) - 3) + b"\x00" + content


def emsa_pss_encode(digest: bytes, hash_name: str, salt_length: int, bits: int) -> bytes:
    """EMSA-PSS-ENCODE (RFC 8017, section 9.1.1) in ceil(bits / 8) bytes, with a random salt. bits: modulus bits - 1.

    Raises STATUS_INVALID_PARAMETER where it does not fit or the digest is not of the hash's size,
    STATUS_NOT_SUPPORTED for an unknown hash.
    """
    hash_function = hash_of_digest(hash_name, digest)
    length = (bits + 7) // 8
    padding = length - hash_function.digest_size - salt_length - 2
    if salt_length < 0 or padding < 0:
        raise _invalid(f"RSA PSS: {hash_name} with a salt of {salt_length} bytes does not fit {bits + 1} bits")
    salt = os.urandom(salt_length)
    seal = hash_function.digest(bytes(8) + digest + salt)
    block = bytes(padding) + b"\x01" + salt
    masked = bytearray(xor(block, mgf1(hash_function, seal, len(block))))
    masked[0] &= 0xFF >> 8 * length - bits
    return bytes(masked) + seal + bytes([_PSS_TRAILER])


def emsa_pss_verify(digest: bytes, encoded: bytes, hash_name: str, salt_length: int, bits: int) -> bool:
    """EMSA-PSS-VERIFY (RFC 8017, section 9.1.2) with exactly `salt_length` bytes of salt. bits: modulus bits - 1.

    Raises STATUS_INVALID_PARAMETER where the digest is not of the hash's size, STATUS_NOT_SUPPORTED for an unknown
    hash.
    """
    hash_function = hash_of_digest(hash_name, digest)
    length, size = (bits + 7) // 8, hash_function.digest_size
    padding = length - size - salt_length - 2
    if salt_length < 0 or padding < 0 or len(encoded) != length or encoded[-1] != _PSS_TRAILER:
        return False
    masked, seal = encoded[: length - size - 1], encoded[length - size - 1 : -1]
    usable = 0xFF >> 8 * length - bits
    if masked[0] & ~usable:
        return False
    block = bytearray(xor(masked, mgf1(hash_function, seal, len(masked))))
    block[0] &= usable
    if block[:padding].strip(b"\x00") or block[padding] != 1:
        return False
    return hmac.compare_digest(seal, hash_function.digest(bytes(8) + digest + bytes(block[padding + 1 :])))


def eme_oaep_encode(message: bytes, length: int, hash_name: str, label: bytes = b"") -> bytes:
    """EME-OAEP encoding (RFC 8017, section 7.1.1, step 2) in `length` bytes, with a random seed.

    Raises STATUS_INVALID_PARAMETER where the message does not fit, STATUS_NOT_SUPPORTED for an unknown hash.
    """
    hash_function = _hash(hash_name)
    size = hash_function.digest_size
    padding = length - len(message) - 2 * size - 2
    if padding < 0:
        raise _invalid(f"RSA OAEP: {len(message)} bytes do not fit {length} bytes with {hash_name}")
    seed = os.urandom(size)
    block = hash_function.digest(label) + bytes(padding) + b"\x01" + message
    masked_block = xor(block, mgf1(hash_function, seed, len(block)))
    return b"\x00" + xor(seed, mgf1(hash_function, masked_block, size)) + masked_block


def check_oaep_room(length: int, hash_name: str) -> None:
    """Raises STATUS_INVALID_PARAMETER, with the one message, where OAEP with this hash makes no `length` bytes."""
    if length < 2 * _hash(hash_name).digest_size + 2:
        raise decryption_error()


def eme_oaep_decode(encoded: bytes, hash_name: str, label: bytes = b"") -> bytes:
    """EME-OAEP decoding (RFC 8017, section 7.1.2, step 3): every octet is looked at before the one verdict.

    Raises STATUS_INVALID_PARAMETER, always with one message; STATUS_NOT_SUPPORTED for an unknown hash.
    """
    check_oaep_room(len(encoded), hash_name)
    hash_function = _hash(hash_name)
    size = hash_function.digest_size
    masked_seed, masked_block = encoded[1 : size + 1], encoded[size + 1 :]
    seed = xor(masked_seed, mgf1(hash_function, masked_block, size))
    block = xor(masked_block, mgf1(hash_function, seed, len(masked_block)))
    separator, bad, looking = 0, encoded[0], 1
    for position in range(size, len(block)):
        is_zero, is_one = int(block[position] == 0), int(block[position] == 1)
        separator += looking * is_one * position
        bad |= looking & ~(is_zero | is_one)
        looking &= ~is_one
    bad |= looking | int(not hmac.compare_digest(block[:size], hash_function.digest(label)))
    if bad:
        raise decryption_error()
    return block[separator + 1 :]


def eme_pkcs1_encode(message: bytes, length: int) -> bytes:
    """EME-PKCS1-v1_5 encoding (RFC 8017, section 7.2.1, step 2) in `length` bytes, padded with random non-zero octets.

    Raises STATUS_INVALID_PARAMETER where the message does not fit.
    """
    padding = length - len(message) - 3
    if padding < _PKCS1_OVERHEAD - 3:
        raise _invalid(f"RSA PKCS #1: {len(message)} bytes do not fit a modulus of {length} bytes")
    filler = b""
    while len(filler) < padding:
        filler += os.urandom(padding - len(filler)).replace(b"\x00", b"")
    return b"\x00\x02" + filler + b"\x00" + message


def eme_pkcs1_decode(encoded: bytes) -> bytes:
    """EME-PKCS1-v1_5 decoding (RFC 8017, section 7.2.2, step 3): every octet is looked at before the one verdict.

    Raises STATUS_INVALID_PARAMETER, always with one message.
    """
    if len(encoded) < _PKCS1_OVERHEAD:
        raise decryption_error()
    separator, bad, looking = 0, encoded[0] | encoded[1] ^ 2, 1
    for position in range(2, len(encoded)):
        is_zero = int(encoded[position] == 0)
        separator += looking * is_zero * position
        looking &= ~is_zero
    bad |= looking | int(separator < _PKCS1_OVERHEAD - 1)
    if bad:
        raise decryption_error()
    return encoded[separator + 1 :]


def rsa_sign(raw_rsa: Primitive, spec: RsaPkcs1SignSpec | RsaPssSpec, digest: bytes, bits: int) -> bytes:
    """RSASSA-PKCS1-v1_5 or RSASSA-PSS (RFC 8017, sections 8.1.1, 8.2.1) by one `raw_rsa` call. bits: of the modulus.

    Raises STATUS_INVALID_PARAMETER where the encoding does not fit or the digest is not of the hash's size,
    STATUS_NOT_SUPPORTED for an unknown hash.
    """
    length = (bits + 7) // 8
    if isinstance(spec, RsaPssSpec):
        encoded = emsa_pss_encode(digest, spec.hash_name, spec.salt_length, bits - 1)
    else:
        encoded = emsa_pkcs1_encode(digest, spec.hash_name, length)
    return raw_rsa(encoded.rjust(length, b"\x00"))


def rsa_decrypt(
    raw_rsa: Primitive, spec: RsaPkcs1DecryptSpec | RsaOaepSpec | RsaRawSpec, ciphertext: bytes, bits: int
) -> bytes:
    """RSAES-PKCS1-v1_5, RSAES-OAEP or no padding (RFC 8017, sections 7.1.2, 7.2.2) by one `raw_rsa` call.

    Raises STATUS_INVALID_PARAMETER, with one message for a wrong length and for any wrong padding.
    """
    length = (bits + 7) // 8
    if len(ciphertext) != length:
        raise decryption_error()
    encoded = raw_rsa(ciphertext).rjust(length, b"\x00")
    if isinstance(spec, RsaOaepSpec):
        return eme_oaep_decode(encoded, spec.hash_name, spec.label)
    return eme_pkcs1_decode(encoded) if isinstance(spec, RsaPkcs1DecryptSpec) else encoded


def rsa_encrypt(public: RsaPublicKey, spec: RsaPkcs1DecryptSpec | RsaOaepSpec, message: bytes) -> bytes:
    """RSAES-PKCS1-v1_5 or RSAES-OAEP encryption (RFC 8017, sections 7.1.1 and 7.2.1), on the host.

    Raises STATUS_INVALID_PARAMETER where the message does not fit, STATUS_NOT_SUPPORTED for an unknown hash.
    """
    length = (public.modulus.bit_length() + 7) // 8
    if isinstance(spec, RsaOaepSpec):
        block = eme_oaep_encode(message, length, spec.hash_name, spec.label)
    else:
        block = eme_pkcs1_encode(message, length)
    return pow(int.from_bytes(block, "big"), public.public_exponent, public.modulus).to_bytes(length, "big")


def hkdf_expand(mac: Primitive, info: bytes, length: int) -> bytes:
    """HKDF-Expand (RFC 5869, section 2.3), `mac` being HMAC under the pseudorandom key. length: at most 255 digests."""
    output, step, number = b"", b"", 0
    while len(output) < length:
        number += 1
        step = mac(step + info + bytes([number]))
        output += step
    return output[:length]
