"""Encrypted files of any size: a data key under a key of a token, the content in authenticated chunks.

Header, big-endian: 8 bytes "HWCNGENV", 1 byte version (1), 1 byte how the data key is wrapped (`Wrapping`), 2 bytes the
length of the wrapped key, 7 bytes the nonces' prefix, the wrapped key. Then chunks of 65,536 bytes of content, the last
one shorter or empty, each AES-256-GCM under the data key with its tag of 16 bytes behind it. A nonce is the prefix, the
chunk's number in 4 bytes, and a byte that is 1 for the last chunk: STREAM (Hoang, Reyhanitabar, Rogaway, Vizar, 2015).
The header is the associated data of every chunk. What was cut, appended, put in another order or altered is refused.
"""

from __future__ import annotations

import enum
import os
import struct
from collections.abc import Callable
from typing import IO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hwcng.errors import HRESULT, NTSTATUS, CngError

__all__ = ["CHUNK", "Header", "Wrapping", "open_chunks", "read_header", "seal_chunks"]

MAGIC, VERSION = b"HWCNGENV", 1
CHUNK = 1 << 16
_FIXED = struct.Struct(">8sBBH7s")
_TAG = 16
_KEY, _PREFIX = 32, 7
_MOST_CHUNKS = 1 << 32


class Wrapping(enum.IntEnum):
    """How the data key is wrapped."""

    AES_GCM = 1
    """Nonce of 12 bytes, ciphertext, tag; by a token's AES key."""
    RSA_OAEP = 2
    """RSAES-OAEP with SHA-256, MGF1 with SHA-256 and no label; for a token's RSA key."""
    AES_CBC = 3
    """IV of 16 bytes, ciphertext without padding; by an AES key of a token without GCM. The chunks' tags tell of a data
    key that was altered."""


class Header:
    """What stands before the chunks. octets: the header as it is in the file."""

    def __init__(self, wrapping: Wrapping, prefix: bytes, wrapped: bytes) -> None:
        self.wrapping, self.prefix, self.wrapped = wrapping, prefix, wrapped
        self.octets = _FIXED.pack(MAGIC, VERSION, wrapping, len(wrapped), prefix) + wrapped

    def nonce(self, number: int, last: bool) -> bytes:
        return self.prefix + struct.pack(">IB", number, last)


def read_header(file: IO[bytes]) -> Header:
    """Raises NTE_BAD_DATA for what is no such file."""
    fixed = file.read(_FIXED.size)
    if len(fixed) < _FIXED.size or not fixed.startswith(MAGIC):
        raise _malformed("it was not written by `hwcng encrypt`")
    _, version, wrapping, length, prefix = _FIXED.unpack(fixed)
    if version != VERSION or wrapping not in set(Wrapping):
        raise _malformed(f"version {version}, wrapping {wrapping}: a newer hwcng wrote it")
    wrapped = file.read(length)
    if len(wrapped) != length:
        raise _malformed("it ends within its header")
    return Header(Wrapping(wrapping), prefix, wrapped)


def seal_chunks(
    source: IO[bytes], into: IO[bytes], wrap: Callable[[bytes], tuple[Wrapping, bytes]], tell: Callable[[int], None]
) -> None:
    """Encrypts `source`. wrap: the wrapped data key. tell: is told how many bytes of content are done."""
    data_key = os.urandom(_KEY)
    wrapping, wrapped = wrap(data_key)
    header, cipher = Header(wrapping, os.urandom(_PREFIX), wrapped), AESGCM(data_key)
    into.write(header.octets)
    number, chunk, last = 0, _whole(source, CHUNK), False
    while not last:
        following = _whole(source, CHUNK) if len(chunk) == CHUNK else b""
        last = len(chunk) < CHUNK or not following
        if number >= _MOST_CHUNKS:
            raise CngError(HRESULT.NTE_BAD_LEN, "the file is longer than 2**48 bytes")
        into.write(cipher.encrypt(header.nonce(number, last), chunk, header.octets))
        tell(len(chunk))
        number, chunk = number + 1, following


def open_chunks(
    header: Header, data_key: bytes, source: IO[bytes], into: IO[bytes], tell: Callable[[int], None]
) -> None:
    """Decrypts what follows the header. Raises STATUS_AUTH_TAG_MISMATCH for what was altered; then `into` holds nothing
    that may be used."""
    cipher = AESGCM(data_key)
    number, chunk, last = 0, _whole(source, CHUNK + _TAG), False
    while not last:
        following = _whole(source, CHUNK + _TAG)
        last = not following
        try:
            into.write(cipher.decrypt(header.nonce(number, last), chunk, header.octets))
        except (InvalidTag, ValueError):
            raise CngError(
                NTSTATUS.STATUS_AUTH_TAG_MISMATCH,
                f"chunk {number} is not what was written: the file was cut or altered, or another key encrypted it",
            ) from None
        tell(len(chunk))
        number, chunk = number + 1, following


def _whole(source: IO[bytes], size: int) -> bytes:
    """`size` bytes, fewer only at the end: a pipe gives what it has."""
    parts, left = [], size
    while left and (part := source.read(left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _malformed(reason: str) -> CngError:
    return CngError(HRESULT.NTE_BAD_DATA, f"no encrypted file: {reason}")
