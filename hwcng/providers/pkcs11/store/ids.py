"""CKA_ID of the named keys that hwcng stores: which name, which key, and which earlier key it takes the place of.

Layout, 27 octets: SHA-256 of the name (8), purpose (1), usage (1), length in bits (2, 0: see CKA_VALUE_LEN), seconds
since 1970 (5), random (4), tag of the key that it replaces (6, zeros for none); numbers big-endian. An RC2 key whose
effective length is not its own (purpose 13) has both lengths in octets, its own first, in the place of the bits.
Private, public and certificate object share it. No two keys do: NSS writes a new object over one of the same class and
CKA_ID.
"""

from __future__ import annotations

import hashlib
import os
import struct
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from hwcng.contract.specs import PairSpec, SecretSpec
from hwcng.contract.usage import SecretFamily, Usage
from hwcng.errors import NTSTATUS, CngError

__all__ = ["ID_OCTETS", "NOTHING", "KeyId", "make_id", "parse_id", "tag_of"]

ID_OCTETS = 27
_NAME, _TAG, _RANDOM = 8, 6, 4
NOTHING = bytes(_TAG)
"""In place of the tag of a key that is replaced, where there was none."""
# Purpose, usage, bits, and the time in two parts.
_DESCRIBED = struct.Struct(">BBHBI")
_MASK_40 = (1 << 40) - 1
_MOST_BITS = 0xFFFF

_HASHES = ("MD5", "SHA1", "SHA256", "SHA384", "SHA512", "SHA3-256", "SHA3-384", "SHA3-512")
# What CKA_KEY_TYPE does not tell. The numbers are stored: never change one.
_PURPOSES: Mapping[tuple[SecretFamily, str | None], int] = MappingProxyType(
    {
        (SecretFamily.AES, None): 1,
        (SecretFamily.CMAC, None): 2,
        (SecretFamily.GMAC, None): 3,
        (SecretFamily.DES, None): 4,
        (SecretFamily.DESX, None): 5,
        (SecretFamily.DES3, None): 6,
        (SecretFamily.DES3_112, None): 7,
        (SecretFamily.RC2, None): 8,
        (SecretFamily.RC4, None): 9,
        (SecretFamily.XTS, None): 10,
        (SecretFamily.CHACHA20_POLY1305, None): 11,
        (SecretFamily.KDF, None): 12,
        (SecretFamily.HMAC, None): 32,
        **{(SecretFamily.HMAC, name): 33 + index for index, name in enumerate(_HASHES)},
    }
)
_FAMILIES = MappingProxyType({number: purpose for purpose, number in _PURPOSES.items()})
_SHORTENED_RC2 = 13
_UNSAID = 0
# `Usage` by its numbers, which are stored as well.
_USAGES = range(2 * Usage.DECAPSULATE.value)


class KeyId(NamedTuple):
    """family, hash_name, bits: of a secret key; None and 0 where the attributes say it. replaces: a tag, or NOTHING.

    effective_bits: RC2's, 0 for the length of the key.
    """

    family: SecretFamily | None
    hash_name: str | None
    usage: Usage
    bits: int
    created: int
    replaces: bytes
    effective_bits: int = 0


def _name_hash(name: str) -> bytes:
    return hashlib.sha256(b"hwcng key " + name.encode("utf-8", "surrogateescape")).digest()[:_NAME]


def tag_of(object_class: int, identifier: bytes) -> bytes:
    """By which a replacement's CKA_ID names the key that gives way."""
    return hashlib.sha256(object_class.to_bytes(8, "big") + identifier).digest()[:_TAG]


def make_id(name: str, spec: SecretSpec | PairSpec, replaces: bytes | None) -> bytes:
    """A CKA_ID for a new key. replaces: the tag of the key that gives way to it.

    Raises STATUS_NOT_SUPPORTED for an effective length that is not whole octets.
    """
    purpose, bits = _UNSAID, 0
    if isinstance(spec, SecretSpec):
        purpose = _PURPOSES.get((spec.family, spec.hash_name), _UNSAID)
        bits = spec.bits if spec.bits <= _MOST_BITS else 0
        if spec.effective_bits:
            purpose, bits = _SHORTENED_RC2, _both_lengths(spec)
    created = int(time.time()) & _MASK_40
    described = bytes([purpose, spec.usage.value]) + bits.to_bytes(2, "big") + created.to_bytes(5, "big")
    return _name_hash(name) + described + os.urandom(_RANDOM) + (replaces or NOTHING)


def _both_lengths(spec: SecretSpec) -> int:
    if spec.effective_bits % 8:
        raise CngError(
            NTSTATUS.STATUS_NOT_SUPPORTED,
            f"an RC2 key is stored with an effective length of whole octets, not of {spec.effective_bits} bits",
        )
    return spec.bits // 8 << 8 | spec.effective_bits // 8


def _time(parts: Sequence[int]) -> int:
    high, low = parts
    return high << 32 | low


def parse_id(name: str, identifier: bytes) -> KeyId | None:
    """What a CKA_ID says, None where hwcng did not make it for this name."""
    if len(identifier) != ID_OCTETS or not identifier.startswith(_name_hash(name)):
        return None
    purpose, usage, bits, *created = _DESCRIBED.unpack_from(identifier, _NAME)
    if usage not in _USAGES:
        return None
    family, hash_name, allowed, length, effective = _said(purpose, usage, bits)
    return KeyId(family, hash_name, allowed, length, _time(created), identifier[-_TAG:], effective)


@lru_cache(maxsize=256)
def _said(purpose: int, usage: int, bits: int) -> tuple[SecretFamily | None, str | None, Usage, int, int]:
    """Family, hash, usage, bits and effective bits."""
    if purpose == _SHORTENED_RC2:
        own, effective = divmod(bits, 256)
        return SecretFamily.RC2, None, Usage(usage), 8 * own, 8 * effective
    family, hash_name = _FAMILIES.get(purpose, (None, None))
    return family, hash_name, Usage(usage), bits, 0
