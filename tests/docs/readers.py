"""What a page takes for granted, made before it runs: named keys in the default provider's token."""

from __future__ import annotations

from hwcng import ncrypt

__all__ = ["make_key"]


def make_key(name: str, algorithm: str = "ECDSA_P256") -> str:
    """Makes a key with that name; its URI."""
    storage = ncrypt.NCryptOpenStorageProvider()
    key = ncrypt.NCryptCreatePersistedKey(storage, algorithm, name)
    ncrypt.NCryptFinalizeKey(key)
    return str(key.uri)
