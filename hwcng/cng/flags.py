"""dwFlags of the asymmetric calls (bcrypt.h)."""

from __future__ import annotations

import enum

__all__ = ["BCRYPT_NO_KEY_VALIDATION", "PaddingFlag"]

BCRYPT_NO_KEY_VALIDATION = 0x8


class PaddingFlag(enum.IntFlag):
    BCRYPT_PAD_NONE = 0x1
    BCRYPT_PAD_PKCS1 = 0x2
    BCRYPT_PAD_OAEP = 0x4
    BCRYPT_PAD_PSS = 0x8
    BCRYPT_PAD_PKCS1_OPTIONAL_HASH_OID = 0x10
    BCRYPT_PAD_PQDSA = 0x20
    BCRYPT_MLDSA_EXTERNAL_MU = 0x40
