"""GCM, CCM and ChaCha20-Poly1305 with BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO, in one call or chained.

Standards: SP 800-38C (CCM), SP 800-38D (GCM), RFC 8439 (ChaCha20-Poly1305).

A chained GCM message is kept until its last call: its keystream comes from AES-ECB of the counter blocks, call by call,
and the tag from one GCM call over the whole message at the end, because tokens differ in what they do between the two.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO

from hwcng.arguments import flags
from hwcng.cng.modes import KeyMode
from hwcng.cng.padding import BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO, SIZE_OF_INFO
from hwcng.contract.keys import Message
from hwcng.contract.octets import LONG, shortened
from hwcng.contract.specs import CipherSpec
from hwcng.contract.usage import CipherMode
from hwcng.errors import NTSTATUS, CngError, invalid_parameter, not_supported, told
from hwcng.headers.bcrypt_h import (
    BCRYPT_AUTH_MODE_CHAIN_CALLS_FLAG,
    BCRYPT_AUTH_MODE_IN_PROGRESS_FLAG,
    BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO_VERSION,
)
from hwcng.hostcrypto.modes import ctr_keystream, xor

__all__ = ["crypt"]

BLOCK = 16
_KNOWN_FLAGS = BCRYPT_AUTH_MODE_CHAIN_CALLS_FLAG | BCRYPT_AUTH_MODE_IN_PROGRESS_FLAG
LARGEST_TAG = 16
GCM_COUNTER_SIZE = 4
# The counter block of a 12-byte nonce starts at 1, which masks the tag; the first keystream block has 2.
GCM_FIRST_COUNTER = 2


@dataclass(slots=True)
class _Chain:
    """A GCM message between its first and its last call. origin: of the key that began it."""

    origin: object
    encrypting: bool
    nonce: bytes
    tag_length: int
    aad: bytearray = field(default_factory=bytearray)
    data: bytearray = field(default_factory=bytearray)


def crypt(
    way: KeyMode,
    data: Message,
    info: BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO,
    encrypting: bool,
    origin: object,
) -> bytes:
    """The ciphertext or the plaintext of `data`; the tag goes into `info` or comes from it.

    origin: what the key has in common with its duplicates and with no other key.

    Raises STATUS_INVALID_PARAMETER for a nonce or tag length that the mode does not have, for undefined flags and for a
    record of another size or version, STATUS_AUTH_TAG_MISMATCH for a wrong tag.
    """
    nonce, aad, tag_length = info.given()
    if type(info.dwFlags) is not int or info.dwFlags:
        info.dwFlags = flags(info.dwFlags, _KNOWN_FLAGS, name="the record's dwFlags")
    if len(nonce) not in way.nonces:
        raise invalid_parameter(f"{way.mode.value} takes no nonce of {len(nonce)} bytes")
    if info.dwInfoVersion != BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO_VERSION:
        raise invalid_parameter(f"the record's dwInfoVersion is {told(info.dwInfoVersion)}, not 1")
    if info.cbSize != SIZE_OF_INFO:
        raise invalid_parameter(f"the record's cbSize is {told(info.cbSize)}, not {SIZE_OF_INFO}")
    if tag_length not in way.tags:
        raise invalid_parameter(f"{way.mode.value} has no tag of {tag_length} bytes")
    if info.dwFlags or info._chain is not None:
        return _chained(way, data, info, nonce, aad, encrypting, origin)
    if not encrypting:
        opening = way.openings.get(tag_length) or way.aead(False, tag_length)
        return opening(nonce, aad, b"".join((data, info.expected_tag())))
    room = None if info.pbTag is None else info.check_tag_buffer()
    size = len(data)
    sealing = way.sealings.get(tag_length) or way.aead(True, tag_length)
    sealed = sealing(nonce, aad, data)
    tag = sealed[size:]
    if room is None:
        info.pbTag = tag
    else:
        room[:tag_length] = tag
    if size < LONG:
        return sealed[:size]
    held = BytesIO(sealed)
    del sealed
    return shortened(held, size)


def _chained(
    way: KeyMode,
    data: Message,
    info: BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO,
    nonce: bytes,
    aad: bytes,
    encrypting: bool,
    origin: object,
) -> bytes:
    more = bool(info.dwFlags & BCRYPT_AUTH_MODE_CHAIN_CALLS_FLAG)
    if way.mode is not CipherMode.GCM:
        raise not_supported(f"calls of {way.mode.value} cannot be chained: only those of GCM can")
    chain = _chain_of(origin, info, nonce, encrypting)
    if more and len(data) % BLOCK:
        raise CngError(
            NTSTATUS.STATUS_INVALID_BUFFER_SIZE, f"all chunks but the last are whole blocks; {len(data)} bytes given"
        )
    if chain.data and aad:
        raise invalid_parameter("authenticated data comes before the first data")
    if more:
        first = GCM_FIRST_COUNTER + len(chain.data) // BLOCK
        counter_block = nonce + first.to_bytes(GCM_COUNTER_SIZE, "big")
        keystream = ctr_keystream(
            lambda blocks: way.key.encrypt(CipherSpec(CipherMode.ECB), blocks),
            counter_block,
            GCM_COUNTER_SIZE,
            len(data),
        )
        chain.aad += aad
        chain.data += data
        info._chain = chain
        info.dwFlags |= BCRYPT_AUTH_MODE_IN_PROGRESS_FLAG
        info.cbAAD, info.cbData = len(chain.aad), len(chain.data)
        return xor(bytes(data), keystream)
    start = len(chain.data)
    whole_aad, tag_length = bytes(chain.aad + aad), info.tag_length
    message = bytes(chain.data + data)
    if encrypting:
        info.check_tag_buffer()
        sealed = way.aead(True, tag_length)(nonce, whole_aad, message)
        result = sealed[start : len(message)]
        info.store_tag(sealed[len(message) :])
    else:
        result = way.aead(False, tag_length)(nonce, whole_aad, message + info.expected_tag())[start:]
    info._chain = None
    info.dwFlags &= ~BCRYPT_AUTH_MODE_IN_PROGRESS_FLAG
    info.cbAAD, info.cbData = len(whole_aad), len(message)
    return result


def _chain_of(origin: object, info: BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO, nonce: bytes, encrypting: bool) -> _Chain:
    chain = info._chain
    if chain is None:
        if info.dwFlags & BCRYPT_AUTH_MODE_IN_PROGRESS_FLAG:
            raise invalid_parameter("the record says that calls are in progress, but it has made none: keep one record")
        if len(info.mac_context()) < LARGEST_TAG:
            raise invalid_parameter(f"chained calls need a pbMacContext of {LARGEST_TAG} bytes")
        return _Chain(origin, encrypting, nonce, info.tag_length)
    if not isinstance(chain, _Chain) or chain.origin is not origin:
        raise invalid_parameter(
            "the record's message was begun with another key: it goes on with that one or a duplicate"
        )
    if (chain.encrypting, chain.nonce, chain.tag_length) != (encrypting, nonce, info.tag_length):
        raise invalid_parameter("chained calls go in one direction, with one nonce and one length of tag")
    return chain
