"""Numbers of the TPM 2.0 Library Specification, Part 2: Structures."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType

__all__ = [
    "AES_128_CFB",
    "ALG",
    "CAP",
    "CC",
    "CURVE_IDS",
    "HASH_IDS",
    "HASH_NAMES",
    "PT",
    "RC",
    "RH",
    "ST",
    "Attributes",
    "command_name",
]


class ALG(enum.IntEnum):
    """TPM_ALG_ID (TCG Algorithm Registry)."""

    RSA = 0x0001
    TDES = 0x0003
    SHA1 = 0x0004
    HMAC = 0x0005
    AES = 0x0006
    KEYEDHASH = 0x0008
    SHA256 = 0x000B
    SHA384 = 0x000C
    SHA512 = 0x000D
    NULL = 0x0010
    RSASSA = 0x0014
    RSAES = 0x0015
    RSAPSS = 0x0016
    OAEP = 0x0017
    ECDSA = 0x0018
    ECDH = 0x0019
    ECC = 0x0023
    SYMCIPHER = 0x0025
    SHA3_256 = 0x0027
    SHA3_384 = 0x0028
    SHA3_512 = 0x0029
    CMAC = 0x003F
    CBC = 0x0042
    CFB = 0x0043
    ECB = 0x0044


class CC(enum.IntEnum):
    """TPM_CC, under the commands' own names."""

    EvictControl = 0x120
    Clear = 0x126
    HierarchyChangeAuth = 0x129
    CreatePrimary = 0x131
    DictionaryAttackLockReset = 0x139
    SequenceComplete = 0x13E
    SelfTest = 0x143
    Startup = 0x144
    Shutdown = 0x145
    ActivateCredential = 0x147
    Certify = 0x148
    CertifyCreation = 0x14A
    NV_Read = 0x14E
    ObjectChangeAuth = 0x150
    PolicySecret = 0x151
    Create = 0x153
    ECDH_ZGen = 0x154
    HMAC = 0x155
    Import = 0x156
    Load = 0x157
    Quote = 0x158
    RSA_Decrypt = 0x159
    HMAC_Start = 0x15B
    SequenceUpdate = 0x15C
    Sign = 0x15D
    ContextLoad = 0x161
    ContextSave = 0x162
    EncryptDecrypt = 0x164
    FlushContext = 0x165
    LoadExternal = 0x167
    NV_ReadPublic = 0x169
    PolicyAuthorize = 0x16A
    PolicyAuthValue = 0x16B
    ReadPublic = 0x173
    StartAuthSession = 0x176
    GetCapability = 0x17A
    GetRandom = 0x17B
    GetTestResult = 0x17C
    PCR_Read = 0x17E
    PolicyPCR = 0x17F
    ReadClock = 0x181
    TestParms = 0x18A
    EncryptDecrypt2 = 0x193


def command_name(code: int) -> str:
    """Such as "TPM2_Sign"."""
    return f"TPM2_{CC(code).name}" if code in CC._value2member_map_ else f"TPM2_CC_{code:#x}"


class RC(enum.IntEnum):
    """TPM_RC without layer and position, as `errors.base_code` makes it: Part 2, section 6.6."""

    SUCCESS = 0x000
    ASYMMETRIC = 0x081
    ATTRIBUTES = 0x082
    HASH = 0x083
    VALUE = 0x084
    HIERARCHY = 0x085
    KEY_SIZE = 0x087
    MGF = 0x088
    MODE = 0x089
    TYPE = 0x08A
    HANDLE = 0x08B
    KDF = 0x08C
    RANGE = 0x08D
    AUTH_FAIL = 0x08E
    NONCE = 0x08F
    PP = 0x090
    SCHEME = 0x092
    SIZE = 0x095
    SYMMETRIC = 0x096
    TAG = 0x097
    SELECTOR = 0x098
    INSUFFICIENT = 0x09A
    SIGNATURE = 0x09B
    KEY = 0x09C
    POLICY_FAIL = 0x09D
    INTEGRITY = 0x09F
    TICKET = 0x0A0
    RESERVED_BITS = 0x0A1
    BAD_AUTH = 0x0A2
    EXPIRED = 0x0A3
    POLICY_CC = 0x0A4
    BINDING = 0x0A5
    CURVE = 0x0A6
    ECC_POINT = 0x0A7
    INITIALIZE = 0x100
    FAILURE = 0x101
    SEQUENCE = 0x103
    DISABLED = 0x120
    EXCLUSIVE = 0x121
    AUTH_TYPE = 0x124
    AUTH_MISSING = 0x125
    POLICY = 0x126
    UPGRADE = 0x12D
    PCR_CHANGED = 0x128
    AUTH_UNAVAILABLE = 0x12F
    REBOOT = 0x130
    COMMAND_SIZE = 0x142
    COMMAND_CODE = 0x143
    NV_SPACE = 0x14B
    NV_DEFINED = 0x14C
    NEEDS_TEST = 0x153
    NO_RESULT = 0x154
    CONTEXT_GAP = 0x901
    OBJECT_MEMORY = 0x902
    SESSION_MEMORY = 0x903
    MEMORY = 0x904
    SESSION_HANDLES = 0x905
    OBJECT_HANDLES = 0x906
    YIELDED = 0x908
    CANCELED = 0x909
    TESTING = 0x90A
    REFERENCE_H0 = 0x910
    REFERENCE_H1 = 0x911
    REFERENCE_H2 = 0x912
    REFERENCE_S0 = 0x918
    REFERENCE_S1 = 0x919
    REFERENCE_S2 = 0x91A
    NV_RATE = 0x920
    LOCKOUT = 0x921
    RETRY = 0x922
    NV_UNAVAILABLE = 0x923


class ST(enum.IntEnum):
    """TPM_ST."""

    NO_SESSIONS = 0x8001
    SESSIONS = 0x8002
    ATTEST_CERTIFY = 0x8017
    ATTEST_QUOTE = 0x8018
    ATTEST_CREATION = 0x801A
    CREATION = 0x8021
    HASHCHECK = 0x8024


class RH(enum.IntEnum):
    """TPM_RH."""

    OWNER = 0x40000001
    NULL = 0x40000007
    PW = 0x40000009
    LOCKOUT = 0x4000000A
    ENDORSEMENT = 0x4000000B


class CAP(enum.IntEnum):
    """TPM_CAP."""

    ALGS = 0
    HANDLES = 1
    COMMANDS = 2
    PCRS = 5
    TPM_PROPERTIES = 6
    ECC_CURVES = 8


class PT(enum.IntEnum):
    """TPM_PT."""

    FAMILY_INDICATOR = 0x100
    LEVEL = 0x101
    REVISION = 0x102
    MANUFACTURER = 0x105
    VENDOR_STRING_1 = 0x106
    FIRMWARE_VERSION_1 = 0x10B
    FIRMWARE_VERSION_2 = 0x10C
    INPUT_BUFFER = 0x10D
    HR_TRANSIENT_MIN = 0x10E
    NV_BUFFER_MAX = 0x12C
    PERMANENT = 0x200
    HR_LOADED_AVAIL = 0x204
    HR_ACTIVE_AVAIL = 0x206
    HR_TRANSIENT_AVAIL = 0x207
    LOCKOUT_COUNTER = 0x20E
    MAX_AUTH_FAIL = 0x20F
    LOCKOUT_INTERVAL = 0x210
    LOCKOUT_RECOVERY = 0x211


class Attributes(enum.IntFlag):
    """TPMA_OBJECT."""

    FIXEDTPM = 0x2
    FIXEDPARENT = 0x10
    SENSITIVEDATAORIGIN = 0x20
    USERWITHAUTH = 0x40
    ADMINWITHPOLICY = 0x80
    NODA = 0x400
    ENCRYPTEDDUPLICATION = 0x800
    RESTRICTED = 0x10000
    DECRYPT = 0x20000
    SIGN = 0x40000


HASH_IDS: Mapping[str, ALG] = MappingProxyType(
    {
        "SHA1": ALG.SHA1,
        "SHA256": ALG.SHA256,
        "SHA384": ALG.SHA384,
        "SHA512": ALG.SHA512,
        "SHA3-256": ALG.SHA3_256,
        "SHA3-384": ALG.SHA3_384,
        "SHA3-512": ALG.SHA3_512,
    }
)
"""CNG's hash names to TPM_ALG_ID."""

HASH_NAMES: Mapping[int, str] = MappingProxyType({int(number): name for name, number in HASH_IDS.items()})

CURVE_IDS: Mapping[str, int] = MappingProxyType({"nistP224": 2, "nistP256": 3, "nistP384": 4, "nistP521": 5})
"""CNG's curve names to TPM_ECC_CURVE."""

AES_128_CFB = bytes.fromhex("000600800043")
"""TPMT_SYM_DEF(_OBJECT) of sessions and storage keys."""
