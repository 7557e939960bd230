"""What worker processes of the tests do. Functions here are sent by their name, keys as their URI."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwcng.cng.keys import KeyPair, SymmetricKey
    from hwcng.ksp.handles import NCryptKey

__all__ = ["Signer", "encrypt", "names", "ncrypt_sign", "sign_all", "who_signs"]


def sign_all(key: KeyPair, digests: Sequence[bytes]) -> list[bytes]:
    from hwcng.bcrypt import BCryptSignHash

    return [BCryptSignHash(key, None, digest) for digest in digests]


def who_signs(key: KeyPair, digest: bytes) -> tuple[int, bytes]:
    """The process, and its signature."""
    return os.getpid(), sign_all(key, [digest])[0]


def ncrypt_sign(key: NCryptKey, digest: bytes) -> bytes:
    from hwcng.ncrypt import NCryptSignHash

    return NCryptSignHash(key, None, digest)


def encrypt(key: SymmetricKey, block: bytes) -> bytes:
    from hwcng.bcrypt import BCryptEncrypt

    return BCryptEncrypt(key, block, None, bytes(16))


def names(provider_name: str) -> set[str]:
    """The keys that a configured provider keeps."""
    from hwcng.ncrypt import NCryptEnumKeys, NCryptOpenStorageProvider

    return {record.pszName for record in NCryptEnumKeys(NCryptOpenStorageProvider(provider_name))}


def fails_with(task: Any) -> str:
    """What calling `task` says when it fails."""
    from hwcng import CngError

    try:
        task()
    except CngError as error:
        return f"{error.status.name}: {error.message}"
    return ""


class Signer:
    """An actor: one process."""

    def sign(self, key: KeyPair, digest: bytes) -> bytes:
        return sign_all(key, [digest])[0]
