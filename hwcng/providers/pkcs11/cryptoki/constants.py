"""Numbers of OASIS PKCS#11 3.2 (pkcs11t.h) that python-pkcs11 has no name for."""

from __future__ import annotations

import enum

__all__ = [
    "CKD",
    "CKH",
    "CKK",
    "CKM",
    "CKS",
    "CKU",
    "CKZ",
    "CK_UNAVAILABLE_INFORMATION",
    "HkdfSalt",
    "InitializeFlag",
    "PrfDataType",
    "SessionFlag",
]

CK_UNAVAILABLE_INFORMATION = (1 << 64) - 1


class CKM(enum.IntEnum):
    """Mechanisms."""

    HASH_ML_DSA = 0x1F
    SP800_108_COUNTER_KDF = 0x3AC
    RSA_AES_KEY_WRAP = 0x1054
    EC_MONTGOMERY_KEY_PAIR_GEN = 0x1056
    AES_XTS = 0x1071
    AES_XTS_KEY_GEN = 0x1072
    CHACHA20_KEY_GEN = 0x1225
    CHACHA20_POLY1305 = 0x4021
    HKDF_DERIVE = 0x402A


class CKK(enum.IntEnum):
    """Key types."""

    RC2 = 0x11
    RC4 = 0x12
    DES = 0x13
    MD5_HMAC = 0x27
    CHACHA20 = 0x33
    AES_XTS = 0x35
    EC_MONTGOMERY = 0x41


class CKU(enum.IntEnum):
    """Users."""

    USER = 1
    CONTEXT_SPECIFIC = 2


class CKS(enum.IntEnum):
    """States of a session."""

    RO_USER_FUNCTIONS = 1
    RW_USER_FUNCTIONS = 3


class CKD(enum.IntEnum):
    """Key derivation functions of an agreement."""

    NULL = 1


class CKH(enum.IntEnum):
    """Hedging of ML-DSA."""

    HEDGE_PREFERRED = 0
    DETERMINISTIC_REQUIRED = 2


class CKZ(enum.IntEnum):
    """Sources of OAEP's label."""

    DATA_SPECIFIED = 1


class HkdfSalt(enum.IntEnum):
    """CKF_HKDF_SALT_*."""

    NULL = 1
    DATA = 2


class PrfDataType(enum.IntEnum):
    """CK_SP800_108_*."""

    ITERATION_VARIABLE = 1
    BYTE_ARRAY = 4


class SessionFlag(enum.IntFlag):
    """Flags of C_OpenSession."""

    RW_SESSION = 0x2
    SERIAL_SESSION = 0x4


class InitializeFlag(enum.IntFlag):
    """Flags of C_Initialize."""

    OS_LOCKING_OK = 0x2
