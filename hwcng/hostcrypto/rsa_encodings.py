"""RSA encodings round a raw RSA operation (RFC 8017, sections 7 to 9, appendix B)."""

from __future__ import annotations

import hmac
import os

from hwcng.contract.specs import RsaOaepSpec, RsaPkcs1DecryptSpec, RsaPkcs1SignSpec, RsaPssSpec, RsaRawSpec
from hwcng.errors import NTSTATUS, CngError, decryption_error, invalid_parameter
from hwcng.hostcrypto.modes import Primitive, xor
from hwcng.standards.hashes import HASHES, HashFunction

__all__ = [
    "check_oaep_room",
    "eme_oaep_decode",
    "eme_oaep_encode",
    "eme_pkcs1_decode",
    "eme_pkcs1_encode",
    "emsa_pkcs1_encode",
    "emsa_pss_encode",
    "emsa_pss_verify",
    "hash_of_digest",
    "mgf1",
    "rsa_decrypt",
    "rsa_sign",
]


_PKCS1_OVERHEAD = 11
_PSS_TRAILER = 0xBC


def hash_of_digest(hash_name: str, digest: bytes) -> HashFunction:
    """The hash that made `digest`.

    Raises STATUS_NOT_SUPPORTED for an unknown name, STATUS_INVALID_PARAMETER for a digest of another length.
    """
    hash_function = _hash(hash_name)
    if len(digest) != hash_function.digest_size:
        raise invalid_parameter(
            f"{hash_name}: a digest of {hash_function.digest_size} bytes expected, {len(digest)} given"
        )
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
        raise invalid_parameter(f"RSA PKCS #1: {len(content)} bytes do not fit a modulus of {length} bytes")
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
        raise invalid_parameter(f"RSA PSS: {hash_name} with a salt of {salt_length} bytes does not fit {bits + 1} bits")
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
        raise invalid_parameter(f"RSA OAEP: {len(message)} bytes do not fit {length} bytes with {hash_name}")
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
        raise invalid_parameter(f"RSA PKCS #1: {len(message)} bytes do not fit a modulus of {length} bytes")
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
