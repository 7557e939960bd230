"""What keys are for, and how well a token serves them: the words that every spec is made of."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass

__all__ = [
    "SecretFamily",
    "Usage",
    "CipherMode",
    "Support",
    "WEAK_ALGORITHMS",
]


class SecretFamily(enum.Enum):
    """What a secret key is for."""

    AES = "AES"
    HMAC = "HMAC"
    CMAC = "AES-CMAC"
    GMAC = "AES-GMAC"
    DES = "DES"
    DESX = "DESX"
    DES3 = "3DES"
    DES3_112 = "3DES_112"
    RC2 = "RC2"
    RC4 = "RC4"
    XTS = "XTS-AES"
    CHACHA20_POLY1305 = "CHACHA20_POLY1305"
    KDF = "KDF"
    """The base key of a derivation function, octet by octet: digested, halved, extracted from."""

    # Members are singletons: told apart without a call of Enum's own.
    __hash__ = object.__hash__


class Usage(enum.Flag):
    """What the token lets a key do. A key gets exactly what its algorithm needs."""

    NONE = 0
    ENCRYPT = enum.auto()
    DECRYPT = enum.auto()
    SIGN = enum.auto()
    WRAP = enum.auto()
    UNWRAP = enum.auto()
    DERIVE = enum.auto()
    DECAPSULATE = enum.auto()
    ATTEST = enum.auto()
    """Signs what its token states of keys and of the platform, and nothing else."""

    # Of each value there is one object.
    __hash__ = object.__hash__


class CipherMode(enum.Enum):
    """Modes of ciphers as CNG can ask for them: SP 800-38A, C, D and E, RFC 8439; STREAM is RC4."""

    ECB = "ECB"
    CBC = "CBC"
    CFB8 = "CFB8"
    CFB64 = "CFB64"
    CFB128 = "CFB128"
    GCM = "GCM"
    CCM = "CCM"
    XTS = "XTS"
    STREAM = "STREAM"
    POLY1305 = "POLY1305"

    # Members are singletons: told apart without a call of Enum's own.
    __hash__ = object.__hash__


WEAK_ALGORITHMS = frozenset({"DES", "DESX", "3DES", "3DES_112", "RC2", "RC4", "HMAC-MD5", "HMAC-SHA1", "DSA"})
"""Algorithms for old data only (SP 800-131A r2, FIPS 186-5): opened by their name, never chosen by default."""


class Support(enum.Enum):
    """How a token serves an operation."""

    NATIVE = "native"
    COMPOSED = "composed"
    REFUSED = "refused"
