"""Numbers of OASIS PKCS#11 3.2 (pkcs11t.h), by the names that python-pkcs11 gives them where it has one."""

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
    "MGF",
    "Attribute",
    "CertificateType",
    "HkdfSalt",
    "InitializeFlag",
    "KeyType",
    "Mechanism",
    "ObjectClass",
    "PrfDataType",
    "SessionFlag",
    "SlotFlag",
    "TokenFlag",
]

CK_UNAVAILABLE_INFORMATION = (1 << 64) - 1


class ObjectClass(enum.IntEnum):
    """CKO: classes of objects."""

    DATA = 0x0
    CERTIFICATE = 0x1
    PUBLIC_KEY = 0x2
    PRIVATE_KEY = 0x3
    SECRET_KEY = 0x4


class KeyType(enum.IntEnum):
    """CKK: types of keys."""

    RSA = 0x0
    DSA = 0x1
    DH = 0x2
    EC = 0x3
    GENERIC_SECRET = 0x10
    DES2 = 0x14
    DES3 = 0x15
    AES = 0x1F
    BLOWFISH = 0x20
    SHA_1_HMAC = 0x28
    SHA256_HMAC = 0x2B
    SHA384_HMAC = 0x2C
    SHA512_HMAC = 0x2D
    SHA3_256_HMAC = 0x37
    SHA3_384_HMAC = 0x38
    SHA3_512_HMAC = 0x39
    EC_EDWARDS = 0x40
    ML_KEM = 0x49
    ML_DSA = 0x4A


class CertificateType(enum.IntEnum):
    """CKC: types of certificates."""

    X_509 = 0x0


class Attribute(enum.IntEnum):
    """CKA: attributes of objects."""

    CLASS = 0x0
    TOKEN = 0x1
    PRIVATE = 0x2
    LABEL = 0x3
    VALUE = 0x11
    CERTIFICATE_TYPE = 0x80
    ISSUER = 0x81
    SERIAL_NUMBER = 0x82
    KEY_TYPE = 0x100
    SUBJECT = 0x101
    ID = 0x102
    SENSITIVE = 0x103
    ENCRYPT = 0x104
    DECRYPT = 0x105
    WRAP = 0x106
    UNWRAP = 0x107
    SIGN = 0x108
    SIGN_RECOVER = 0x109
    VERIFY = 0x10A
    DERIVE = 0x10C
    MODULUS = 0x120
    MODULUS_BITS = 0x121
    PUBLIC_EXPONENT = 0x122
    PRIVATE_EXPONENT = 0x123
    PRIME_1 = 0x124
    PRIME_2 = 0x125
    EXPONENT_1 = 0x126
    EXPONENT_2 = 0x127
    COEFFICIENT = 0x128
    PRIME = 0x130
    SUBPRIME = 0x131
    BASE = 0x132
    VALUE_LEN = 0x161
    EXTRACTABLE = 0x162
    MODIFIABLE = 0x170
    EC_PARAMS = 0x180
    EC_POINT = 0x181
    ALWAYS_AUTHENTICATE = 0x202
    PARAMETER_SET = 0x61D
    ENCAPSULATE = 0x633
    DECAPSULATE = 0x634
    SEED = 0x637


class Mechanism(enum.IntEnum):
    """CKM: mechanisms."""

    RSA_PKCS_KEY_PAIR_GEN = 0x0
    RSA_PKCS = 0x1
    RSA_X_509 = 0x3
    RSA_PKCS_OAEP = 0x9
    RSA_PKCS_PSS = 0xD
    ML_KEM_KEY_PAIR_GEN = 0xF
    DSA_KEY_PAIR_GEN = 0x10
    DSA = 0x11
    ML_KEM = 0x17
    ML_DSA_KEY_PAIR_GEN = 0x1C
    ML_DSA = 0x1D
    DH_PKCS_KEY_PAIR_GEN = 0x20
    DH_PKCS_DERIVE = 0x21
    RC2_KEY_GEN = 0x100
    RC2_ECB = 0x101
    RC2_CBC = 0x102
    RC4_KEY_GEN = 0x110
    RC4 = 0x111
    DES_KEY_GEN = 0x120
    DES_ECB = 0x121
    DES_CBC = 0x122
    DES2_KEY_GEN = 0x130
    DES3_KEY_GEN = 0x131
    DES3_ECB = 0x132
    DES3_CBC = 0x133
    MD5 = 0x210
    MD5_HMAC = 0x211
    SHA_1 = 0x220
    SHA_1_HMAC = 0x221
    SHA256 = 0x250
    SHA256_HMAC = 0x251
    SHA384 = 0x260
    SHA384_HMAC = 0x261
    SHA512 = 0x270
    SHA512_HMAC = 0x271
    SHA3_256 = 0x2B0
    SHA3_256_HMAC = 0x2B1
    SHA3_384 = 0x2C0
    SHA3_384_HMAC = 0x2C1
    SHA3_512 = 0x2D0
    SHA3_512_HMAC = 0x2D1
    GENERIC_SECRET_KEY_GEN = 0x350
    CONCATENATE_BASE_AND_DATA = 0x362
    CONCATENATE_DATA_AND_BASE = 0x363
    XOR_BASE_AND_DATA = 0x364
    EXTRACT_KEY_FROM_KEY = 0x365
    SHA1_KEY_DERIVATION = 0x392
    SHA256_KEY_DERIVATION = 0x393
    SHA384_KEY_DERIVATION = 0x394
    SHA512_KEY_DERIVATION = 0x395
    EC_KEY_PAIR_GEN = 0x1040
    ECDSA = 0x1041
    ECDH1_DERIVE = 0x1050
    EC_EDWARDS_KEY_PAIR_GEN = 0x1055
    EDDSA = 0x1057
    AES_KEY_GEN = 0x1080
    AES_ECB = 0x1081
    AES_CBC = 0x1082
    AES_CBC_PAD = 0x1085
    AES_GCM = 0x1087
    AES_CMAC = 0x108A
    AES_CFB8 = 0x2106
    AES_CFB128 = 0x2107
    AES_KEY_WRAP = 0x2109
    AES_KEY_WRAP_PAD = 0x210A
    AES_KEY_WRAP_KWP = 0x210B


class MGF(enum.IntEnum):
    """CKG: mask generation functions."""

    SHA1 = 0x1
    SHA256 = 0x2
    SHA384 = 0x3
    SHA512 = 0x4
    SHA3_256 = 0x7
    SHA3_384 = 0x8
    SHA3_512 = 0x9


class SlotFlag(enum.IntFlag):
    """CKF of a slot."""

    REMOVABLE_DEVICE = 0x2
    HW_SLOT = 0x4


class TokenFlag(enum.IntFlag):
    """CKF of a token."""

    RNG = 0x1
    LOGIN_REQUIRED = 0x4
    PROTECTED_AUTHENTICATION_PATH = 0x100
    TOKEN_INITIALIZED = 0x400
    USER_PIN_COUNT_LOW = 0x10000
    USER_PIN_FINAL_TRY = 0x20000
    USER_PIN_LOCKED = 0x40000


class CKM(enum.IntEnum):
    """Mechanisms without a name in python-pkcs11."""

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
    """Key types without a name in python-pkcs11."""

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
