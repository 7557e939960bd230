"""Blob types: whose key each holds, and whether that is a secret."""

from __future__ import annotations

from dataclasses import dataclass

from hwcng.headers.bcrypt_h import BCRYPT_PRIVATE_KEY_BLOB, BCRYPT_PUBLIC_KEY_BLOB

__all__ = ["PAIR", "PAIR_BLOBS", "SYMMETRIC", "BlobType", "blob_types"]

SYMMETRIC = "symmetric"
PAIR = "pair"


@dataclass(frozen=True, slots=True)
class BlobType:
    """One blob type. kind: of the pair in it, SYMMETRIC, or PAIR: of the pair algorithm that it is imported for.

    private: whether it holds a secret.
    """

    name: str
    kind: str
    private: bool


PAIR_BLOBS = (BlobType(BCRYPT_PUBLIC_KEY_BLOB, PAIR, False), BlobType(BCRYPT_PRIVATE_KEY_BLOB, PAIR, True))


def blob_types(kind: str, *, public: tuple[str, ...], private: tuple[str, ...]) -> tuple[BlobType, ...]:
    """The rows of a kind's own blob types, by their names."""
    return (*(BlobType(name, kind, False) for name in public), *(BlobType(name, kind, True) for name in private))
