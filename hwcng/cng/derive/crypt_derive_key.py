"""The derivation of CryptDeriveKey (wincrypt.h), which BCryptDeriveKeyCapi and CAPI_KDF share."""

from __future__ import annotations

from hwcng.errors import invalid_parameter
from hwcng.hostcrypto.modes import xor
from hwcng.standards.hashes import HashFunction

__all__ = ["BLOCK_CIPHERS", "check_length", "expand"]

_SHA2 = frozenset({"SHA256", "SHA384", "SHA512"})
_EXPANSION_BLOCK = 64
BLOCK_CIPHERS = frozenset({"AES", "3DES"})
"""Not 3DES_112: Windows takes its key from the digest as it stands, as the vector of Wine's tests shows."""


def check_length(hash_function: HashFunction, length: int) -> None:
    """Raises STATUS_INVALID_PARAMETER for 0 and for over twice the digest's bytes."""
    longest = 2 * hash_function.digest_size
    if not 0 < length <= longest:
        raise invalid_parameter(f"1 to {longest} bytes come of a {hash_function.name} digest, not {length}")


def expand(hash_function: HashFunction, digest: bytes, length: int, *, for_block_cipher: bool) -> bytes:
    """`length` bytes of key from a digest: its first ones, or those of H(0x36.. ^ D) || H(0x5C.. ^ D).

    for_block_cipher: whether the key is for AES or 3DES, which a digest of another hash than SHA-2 is expanded for at
    every length. Raises as `check_length`.
    """
    check_length(hash_function, length)
    size = hash_function.digest_size
    if length <= size and not (for_block_cipher and hash_function.name not in _SHA2):
        return digest[:length]
    padded = digest.ljust(_EXPANSION_BLOCK, b"\0")
    halves = (xor(padded, bytes([octet]) * _EXPANSION_BLOCK) for octet in (0x36, 0x5C))
    return b"".join(map(hash_function.digest, halves))[:length]
