"""Hash functions by their CNG names: sizes, hashlib's name, and the DigestInfo prefix of RFC 8017, section 9.2.

Standards: RFC 1321 (MD5), FIPS 180-4 (SHA-1, SHA-2), FIPS 202 (SHA-3).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

__all__ = ["HASHES", "HashFunction", "RunningHash"]


class RunningHash(Protocol):
    """hashlib's, or one that looks like it."""

    def update(self, data: bytes, /) -> object: ...
    def digest(self) -> bytes: ...
    def copy(self) -> RunningHash: ...


@dataclass(frozen=True, slots=True)
class HashFunction:
    """name: CNG's. digest_size, block_size: bytes. digest_info_prefix: DER before the digest in a PKCS #1 v1.5
    signature.
    """

    name: str
    hashlib_name: str
    digest_size: int
    block_size: int
    digest_info_prefix: bytes

    @property
    def available(self) -> bool:
        """Whether this host has it."""
        return True

    @property
    def keyed(self) -> bool:
        """Whether HMAC, signatures and derivations take it."""
        return True

    def new(self, data: bytes = b"") -> RunningHash:
        return hashlib.new(self.hashlib_name, data, usedforsecurity=False)

    def digest(self, data: bytes) -> bytes:
        return self.new(data).digest()

    def hmac(self, key: bytes, data: bytes) -> bytes:
        """HMAC (RFC 2104) under a key that is already host memory."""
        return hmac.digest(key, data, self.hashlib_name)


def _row(name: str, hashlib_name: str, digest_size: int, block_size: int, prefix: str) -> tuple[str, HashFunction]:
    return name, HashFunction(name, hashlib_name, digest_size, block_size, bytes.fromhex(prefix))


HASHES: Mapping[str, HashFunction] = MappingProxyType(
    dict(
        [
            _row("MD5", "md5", 16, 64, "3020300c06082a864886f70d020505000410"),
            _row("SHA1", "sha1", 20, 64, "3021300906052b0e03021a05000414"),
            _row("SHA256", "sha256", 32, 64, "3031300d060960864801650304020105000420"),
            _row("SHA384", "sha384", 48, 128, "3041300d060960864801650304020205000430"),
            _row("SHA512", "sha512", 64, 128, "3051300d060960864801650304020305000440"),
            _row("SHA3-256", "sha3_256", 32, 136, "3031300d060960864801650304020805000420"),
            _row("SHA3-384", "sha3_384", 48, 104, "3041300d060960864801650304020905000430"),
            _row("SHA3-512", "sha3_512", 64, 72, "3051300d060960864801650304020a05000440"),
        ]
    )
)
