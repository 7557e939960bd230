"""The algorithms of CNG: one row each (bcrypt.h; "CNG Algorithm Identifiers" of the Windows documentation).

Sizes are bits for keys and bytes for blocks, objects and digests. A new algorithm is one row here.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from hwcng.hostcrypto.hashes import HOST_HASHES
from hwcng.standards.hashes import HashFunction

__all__ = [
    "ALGORITHMS",
    "CHAIN_MODES",
    "Algorithm",
    "Interface",
    "KeyLengths",
    "Operation",
    "PaddingScheme",
    "PseudoHandle",
]


class Interface(enum.IntEnum):
    """Classes of algorithms: the value of PrimitiveType."""

    BCRYPT_CIPHER_INTERFACE = 1
    BCRYPT_HASH_INTERFACE = 2
    BCRYPT_ASYMMETRIC_ENCRYPTION_INTERFACE = 3
    BCRYPT_SECRET_AGREEMENT_INTERFACE = 4
    BCRYPT_SIGNATURE_INTERFACE = 5
    BCRYPT_RNG_INTERFACE = 6
    BCRYPT_KEY_DERIVATION_INTERFACE = 7
    BCRYPT_KEY_ENCAPSULATION_INTERFACE = 8


class Operation(enum.IntFlag):
    """Bits of BCryptEnumAlgorithms."""

    BCRYPT_CIPHER_OPERATION = 0x1
    BCRYPT_HASH_OPERATION = 0x2
    BCRYPT_ASYMMETRIC_ENCRYPTION_OPERATION = 0x4
    BCRYPT_SECRET_AGREEMENT_OPERATION = 0x8
    BCRYPT_SIGNATURE_OPERATION = 0x10
    BCRYPT_RNG_OPERATION = 0x20
    BCRYPT_KEY_DERIVATION_OPERATION = 0x40
    BCRYPT_KEY_ENCAPSULATION_OPERATION = 0x80


class PaddingScheme(enum.IntFlag):
    """Bits of PaddingSchemes."""

    BCRYPT_SUPPORTED_PAD_ROUTER = 0x1
    BCRYPT_SUPPORTED_PAD_PKCS1_ENC = 0x2
    BCRYPT_SUPPORTED_PAD_PKCS1_SIG = 0x4
    BCRYPT_SUPPORTED_PAD_OAEP = 0x8
    BCRYPT_SUPPORTED_PAD_PSS = 0x10


class KeyLengths(NamedTuple):
    """BCRYPT_KEY_LENGTHS_STRUCT, in bits."""

    dwMinLength: int
    dwMaxLength: int
    dwIncrement: int

    def __contains__(self, bits: object) -> bool:
        if not isinstance(bits, int) or not self.dwMinLength <= bits <= self.dwMaxLength:
            return False
        return not self.dwIncrement or (bits - self.dwMinLength) % self.dwIncrement == 0


_NO_PADDING_SCHEMES = PaddingScheme(0)

BCRYPT_CHAIN_MODE_NA = "ChainingModeN/A"
BCRYPT_CHAIN_MODE_CBC = "ChainingModeCBC"
BCRYPT_CHAIN_MODE_ECB = "ChainingModeECB"
BCRYPT_CHAIN_MODE_CFB = "ChainingModeCFB"
BCRYPT_CHAIN_MODE_CCM = "ChainingModeCCM"
BCRYPT_CHAIN_MODE_GCM = "ChainingModeGCM"

CHAIN_MODES = (
    BCRYPT_CHAIN_MODE_CBC,
    BCRYPT_CHAIN_MODE_ECB,
    BCRYPT_CHAIN_MODE_CFB,
    BCRYPT_CHAIN_MODE_CCM,
    BCRYPT_CHAIN_MODE_GCM,
)


@dataclass(frozen=True, slots=True)
class Algorithm:
    """interfaces: the classes it belongs to. offered_as: the name by which a provider is asked for it.

    object_length: bytes of ObjectLength, opaque to callers. chaining_mode: the default of a cipher. curve: CNG's name
    of a fixed curve. generic_curve: the curve comes from ECCCurveName. family: whose pairs (hwcng.cng.families).
    parameter_sets: values of ParameterSetName.
    """

    name: str
    interfaces: tuple[Interface, ...]
    offered_as: str
    key_lengths: KeyLengths | None = None
    object_length: int | None = None
    block_length: int | None = None
    chaining_modes: tuple[str, ...] = ()
    chaining_mode: str | None = None
    hash_function: HashFunction | None = None
    keyed_hash: bool = False
    curve: str | None = None
    generic_curve: bool = False
    padding_schemes: PaddingScheme = _NO_PADDING_SCHEMES
    family: str = ""
    parameter_sets: tuple[str, ...] = ()

    def is_a(self, *interfaces: Interface) -> bool:
        return any(map(self.interfaces.__contains__, interfaces))

    @property
    def asymmetric(self) -> bool:
        return self.is_a(
            Interface.BCRYPT_ASYMMETRIC_ENCRYPTION_INTERFACE,
            Interface.BCRYPT_SECRET_AGREEMENT_INTERFACE,
            Interface.BCRYPT_SIGNATURE_INTERFACE,
            Interface.BCRYPT_KEY_ENCAPSULATION_INTERFACE,
        )

    @property
    def derives(self) -> bool:
        return self.is_a(Interface.BCRYPT_KEY_DERIVATION_INTERFACE)

    @property
    def symmetric(self) -> bool:
        """Whether BCryptGenerateSymmetricKey makes its keys: ciphers and derivation functions."""
        return self.derives or self.is_a(Interface.BCRYPT_CIPHER_INTERFACE)

    @property
    def agrees(self) -> bool:
        return self.is_a(Interface.BCRYPT_SECRET_AGREEMENT_INTERFACE)

    @property
    def signs(self) -> bool:
        return self.is_a(Interface.BCRYPT_SIGNATURE_INTERFACE)

    @property
    def encrypts(self) -> bool:
        return self.is_a(Interface.BCRYPT_ASYMMETRIC_ENCRYPTION_INTERFACE)

    @property
    def elliptic(self) -> bool:
        return self.curve is not None or self.generic_curve


_BLOCK_CIPHER_MODES = (BCRYPT_CHAIN_MODE_CBC, BCRYPT_CHAIN_MODE_ECB, BCRYPT_CHAIN_MODE_CFB)
_CIPHER = (Interface.BCRYPT_CIPHER_INTERFACE,)
_AES_LENGTHS = KeyLengths(128, 256, 64)
_KDF_LENGTHS = KeyLengths(0, 16384, 8)
_RSA_LENGTHS = KeyLengths(512, 16384, 64)
_RSA_SIGNING = (
    PaddingScheme.BCRYPT_SUPPORTED_PAD_ROUTER
    | PaddingScheme.BCRYPT_SUPPORTED_PAD_PKCS1_SIG
    | PaddingScheme.BCRYPT_SUPPORTED_PAD_PSS
)
_RSA_ALL = _RSA_SIGNING | PaddingScheme.BCRYPT_SUPPORTED_PAD_PKCS1_ENC | PaddingScheme.BCRYPT_SUPPORTED_PAD_OAEP
_HASH_OBJECT_LENGTHS = {"MD2": 270, "MD4": 270, "MD5": 274, "SHA1": 278, "SHA256": 286, "SHA384": 382, "SHA512": 382}
_SPONGE_OBJECT_LENGTH = 478
_SIGNATURE = (Interface.BCRYPT_SIGNATURE_INTERFACE,)
_AGREEMENT = (Interface.BCRYPT_SECRET_AGREEMENT_INTERFACE,)


def _des_row(name: str, bits: int) -> Algorithm:
    """Parity bits count in the length."""
    return Algorithm(
        name,
        _CIPHER,
        name,
        KeyLengths(bits, bits, 0),
        object_length=522,
        block_length=8,
        chaining_modes=_BLOCK_CIPHER_MODES,
        chaining_mode=BCRYPT_CHAIN_MODE_CBC,
    )


def _stream_row(name: str, lengths: KeyLengths, object_length: int, block_length: int = 1) -> Algorithm:
    return Algorithm(
        name,
        _CIPHER,
        name,
        lengths,
        object_length=object_length,
        block_length=block_length,
        chaining_modes=(BCRYPT_CHAIN_MODE_NA,),
        chaining_mode=BCRYPT_CHAIN_MODE_NA,
    )


def _kdf_row(name: str, object_length: int) -> Algorithm:
    return Algorithm(
        name, (Interface.BCRYPT_KEY_DERIVATION_INTERFACE,), name, _KDF_LENGTHS, object_length=object_length
    )


def _curve_row(family: str, name: str, curve: str, bits: int) -> Algorithm:
    interfaces = _SIGNATURE if family == "ECDSA" else _AGREEMENT
    return Algorithm(name, interfaces, family, KeyLengths(bits, bits, 0), curve=curve, family="EC")


ALGORITHMS: Mapping[str, Algorithm] = MappingProxyType(
    {
        row.name: row
        for row in (
            Algorithm(
                "AES",
                (Interface.BCRYPT_CIPHER_INTERFACE,),
                "AES",
                _AES_LENGTHS,
                object_length=654,
                block_length=16,
                chaining_modes=CHAIN_MODES,
                chaining_mode=BCRYPT_CHAIN_MODE_CBC,
            ),
            _des_row("DES", 64),
            _des_row("DESX", 192),
            _des_row("3DES", 192),
            _des_row("3DES_112", 128),
            Algorithm(
                "RC2",
                _CIPHER,
                "RC2",
                KeyLengths(16, 128, 8),
                object_length=522,
                block_length=8,
                chaining_modes=_BLOCK_CIPHER_MODES,
                chaining_mode=BCRYPT_CHAIN_MODE_CBC,
            ),
            _stream_row("RC4", KeyLengths(8, 512, 8), 654),
            _stream_row("XTS-AES", KeyLengths(256, 512, 256), 1234, block_length=16),
            _stream_row("CHACHA20_POLY1305", KeyLengths(256, 256, 0), 166),
            Algorithm(
                "AES-CMAC",
                (Interface.BCRYPT_HASH_INTERFACE,),
                "AES-CMAC",
                _AES_LENGTHS,
                object_length=654,
                block_length=16,
                keyed_hash=True,
            ),
            Algorithm(
                "AES-GMAC",
                (Interface.BCRYPT_HASH_INTERFACE,),
                "AES-GMAC",
                _AES_LENGTHS,
                object_length=654,
                block_length=16,
                keyed_hash=True,
            ),
            *(
                Algorithm(
                    name,
                    (Interface.BCRYPT_HASH_INTERFACE,),
                    name,
                    object_length=_HASH_OBJECT_LENGTHS.get(name, _SPONGE_OBJECT_LENGTH),
                    hash_function=hash_function,
                )
                for name, hash_function in HOST_HASHES.items()
            ),
            Algorithm(
                "RSA",
                (Interface.BCRYPT_ASYMMETRIC_ENCRYPTION_INTERFACE, Interface.BCRYPT_SIGNATURE_INTERFACE),
                "RSA",
                _RSA_LENGTHS,
                padding_schemes=_RSA_ALL,
                family="RSA",
            ),
            Algorithm("RSA_SIGN", _SIGNATURE, "RSA", _RSA_LENGTHS, padding_schemes=_RSA_SIGNING, family="RSA"),
            _curve_row("ECDSA", "ECDSA_P256", "nistP256", 256),
            _curve_row("ECDSA", "ECDSA_P384", "nistP384", 384),
            _curve_row("ECDSA", "ECDSA_P521", "nistP521", 521),
            _curve_row("ECDH", "ECDH_P256", "nistP256", 256),
            _curve_row("ECDH", "ECDH_P384", "nistP384", 384),
            _curve_row("ECDH", "ECDH_P521", "nistP521", 521),
            Algorithm("ECDSA", _SIGNATURE, "ECDSA", generic_curve=True, family="EC"),
            Algorithm("ECDH", _AGREEMENT, "ECDH", generic_curve=True, family="EC"),
            Algorithm("DH", _AGREEMENT, "DH", KeyLengths(512, 4096, 64), family="DH"),
            Algorithm("DSA", _SIGNATURE, "DSA", KeyLengths(512, 3072, 64), family="DSA"),
            Algorithm("ML-DSA", _SIGNATURE, "ML-DSA", family="ML-DSA", parameter_sets=("44", "65", "87")),
            Algorithm(
                "ML-KEM",
                (Interface.BCRYPT_KEY_ENCAPSULATION_INTERFACE,),
                "ML-KEM",
                family="ML-KEM",
                parameter_sets=("512", "768", "1024"),
            ),
            *(
                Algorithm(
                    name,
                    (Interface.BCRYPT_HASH_INTERFACE,),
                    name,
                    object_length=_SPONGE_OBJECT_LENGTH,
                    keyed_hash=True,
                )
                for name in ("KMAC128", "KMAC256")
            ),
            Algorithm("RNG", (Interface.BCRYPT_RNG_INTERFACE,), "RNG"),
            Algorithm("FIPS186DSARNG", (Interface.BCRYPT_RNG_INTERFACE,), "RNG"),
            _kdf_row("PBKDF2", 618),
            _kdf_row("SP800_108_CTR_HMAC", 618),
            _kdf_row("SP800_56A_CONCAT", 618),
            _kdf_row("CAPI_KDF", 618),
            _kdf_row("TLS1_1_KDF", 702),
            _kdf_row("TLS1_2_KDF", 702),
            _kdf_row("HKDF", 702),
        )
    }
)


class PseudoHandle(enum.IntEnum):
    """Algorithm handles that need no opening: the default provider's ("CNG Algorithm Pseudo-handles")."""

    algorithm: Algorithm
    chaining_mode: str | None
    hmac: bool

    def __new__(cls, value: int, name: str, chaining_mode: str | None = None, hmac: bool = False) -> PseudoHandle:
        handle = int.__new__(cls, value)
        handle._value_ = value
        handle.algorithm = ALGORITHMS[name]
        handle.chaining_mode = chaining_mode
        handle.hmac = hmac
        return handle

    BCRYPT_MD2_ALG_HANDLE = 0x001, "MD2"
    BCRYPT_MD4_ALG_HANDLE = 0x011, "MD4"
    BCRYPT_MD5_ALG_HANDLE = 0x021, "MD5"
    BCRYPT_SHA1_ALG_HANDLE = 0x031, "SHA1"
    BCRYPT_SHA256_ALG_HANDLE = 0x041, "SHA256"
    BCRYPT_SHA384_ALG_HANDLE = 0x051, "SHA384"
    BCRYPT_SHA512_ALG_HANDLE = 0x061, "SHA512"
    BCRYPT_RC4_ALG_HANDLE = 0x071, "RC4", BCRYPT_CHAIN_MODE_NA
    BCRYPT_RNG_ALG_HANDLE = 0x081, "RNG"
    BCRYPT_HMAC_MD5_ALG_HANDLE = 0x091, "MD5", None, True
    BCRYPT_HMAC_SHA1_ALG_HANDLE = 0x0A1, "SHA1", None, True
    BCRYPT_HMAC_SHA256_ALG_HANDLE = 0x0B1, "SHA256", None, True
    BCRYPT_HMAC_SHA384_ALG_HANDLE = 0x0C1, "SHA384", None, True
    BCRYPT_HMAC_SHA512_ALG_HANDLE = 0x0D1, "SHA512", None, True
    BCRYPT_RSA_ALG_HANDLE = 0x0E1, "RSA"
    BCRYPT_ECDSA_ALG_HANDLE = 0x0F1, "ECDSA"
    BCRYPT_AES_CMAC_ALG_HANDLE = 0x101, "AES-CMAC"
    BCRYPT_AES_GMAC_ALG_HANDLE = 0x111, "AES-GMAC"
    BCRYPT_HMAC_MD2_ALG_HANDLE = 0x121, "MD2", None, True
    BCRYPT_HMAC_MD4_ALG_HANDLE = 0x131, "MD4", None, True
    BCRYPT_3DES_CBC_ALG_HANDLE = 0x141, "3DES", BCRYPT_CHAIN_MODE_CBC
    BCRYPT_3DES_ECB_ALG_HANDLE = 0x151, "3DES", BCRYPT_CHAIN_MODE_ECB
    BCRYPT_3DES_CFB_ALG_HANDLE = 0x161, "3DES", BCRYPT_CHAIN_MODE_CFB
    BCRYPT_3DES_112_CBC_ALG_HANDLE = 0x171, "3DES_112", BCRYPT_CHAIN_MODE_CBC
    BCRYPT_3DES_112_ECB_ALG_HANDLE = 0x181, "3DES_112", BCRYPT_CHAIN_MODE_ECB
    BCRYPT_3DES_112_CFB_ALG_HANDLE = 0x191, "3DES_112", BCRYPT_CHAIN_MODE_CFB
    BCRYPT_AES_CBC_ALG_HANDLE = 0x1A1, "AES", BCRYPT_CHAIN_MODE_CBC
    BCRYPT_AES_ECB_ALG_HANDLE = 0x1B1, "AES", BCRYPT_CHAIN_MODE_ECB
    BCRYPT_AES_CFB_ALG_HANDLE = 0x1C1, "AES", BCRYPT_CHAIN_MODE_CFB
    BCRYPT_AES_CCM_ALG_HANDLE = 0x1D1, "AES", BCRYPT_CHAIN_MODE_CCM
    BCRYPT_AES_GCM_ALG_HANDLE = 0x1E1, "AES", BCRYPT_CHAIN_MODE_GCM
    BCRYPT_DES_CBC_ALG_HANDLE = 0x1F1, "DES", BCRYPT_CHAIN_MODE_CBC
    BCRYPT_DES_ECB_ALG_HANDLE = 0x201, "DES", BCRYPT_CHAIN_MODE_ECB
    BCRYPT_DES_CFB_ALG_HANDLE = 0x211, "DES", BCRYPT_CHAIN_MODE_CFB
    BCRYPT_DESX_CBC_ALG_HANDLE = 0x221, "DESX", BCRYPT_CHAIN_MODE_CBC
    BCRYPT_DESX_ECB_ALG_HANDLE = 0x231, "DESX", BCRYPT_CHAIN_MODE_ECB
    BCRYPT_DESX_CFB_ALG_HANDLE = 0x241, "DESX", BCRYPT_CHAIN_MODE_CFB
    BCRYPT_RC2_CBC_ALG_HANDLE = 0x251, "RC2", BCRYPT_CHAIN_MODE_CBC
    BCRYPT_RC2_ECB_ALG_HANDLE = 0x261, "RC2", BCRYPT_CHAIN_MODE_ECB
    BCRYPT_RC2_CFB_ALG_HANDLE = 0x271, "RC2", BCRYPT_CHAIN_MODE_CFB
    BCRYPT_DH_ALG_HANDLE = 0x281, "DH"
    BCRYPT_ECDH_ALG_HANDLE = 0x291, "ECDH"
    BCRYPT_ECDH_P256_ALG_HANDLE = 0x2A1, "ECDH_P256"
    BCRYPT_ECDH_P384_ALG_HANDLE = 0x2B1, "ECDH_P384"
    BCRYPT_ECDH_P521_ALG_HANDLE = 0x2C1, "ECDH_P521"
    BCRYPT_DSA_ALG_HANDLE = 0x2D1, "DSA"
    BCRYPT_ECDSA_P256_ALG_HANDLE = 0x2E1, "ECDSA_P256"
    BCRYPT_ECDSA_P384_ALG_HANDLE = 0x2F1, "ECDSA_P384"
    BCRYPT_ECDSA_P521_ALG_HANDLE = 0x301, "ECDSA_P521"
    BCRYPT_RSA_SIGN_ALG_HANDLE = 0x311, "RSA_SIGN"
    BCRYPT_CAPI_KDF_ALG_HANDLE = 0x321, "CAPI_KDF"
    BCRYPT_PBKDF2_ALG_HANDLE = 0x331, "PBKDF2"
    BCRYPT_SP800108_CTR_HMAC_ALG_HANDLE = 0x341, "SP800_108_CTR_HMAC"
    BCRYPT_SP80056A_CONCAT_ALG_HANDLE = 0x351, "SP800_56A_CONCAT"
    BCRYPT_TLS1_1_KDF_ALG_HANDLE = 0x361, "TLS1_1_KDF"
    BCRYPT_TLS1_2_KDF_ALG_HANDLE = 0x371, "TLS1_2_KDF"
    BCRYPT_XTS_AES_ALG_HANDLE = 0x381, "XTS-AES", BCRYPT_CHAIN_MODE_NA
    BCRYPT_HKDF_ALG_HANDLE = 0x391, "HKDF"
    BCRYPT_CHACHA20_POLY1305_ALG_HANDLE = 0x3A1, "CHACHA20_POLY1305", BCRYPT_CHAIN_MODE_NA
    BCRYPT_SHA3_256_ALG_HANDLE = 0x3B1, "SHA3-256"
    BCRYPT_SHA3_384_ALG_HANDLE = 0x3C1, "SHA3-384"
    BCRYPT_SHA3_512_ALG_HANDLE = 0x3D1, "SHA3-512"
    BCRYPT_HMAC_SHA3_256_ALG_HANDLE = 0x3E1, "SHA3-256", None, True
    BCRYPT_HMAC_SHA3_384_ALG_HANDLE = 0x3F1, "SHA3-384", None, True
    BCRYPT_HMAC_SHA3_512_ALG_HANDLE = 0x401, "SHA3-512", None, True
    BCRYPT_CSHAKE128_ALG_HANDLE = 0x411, "CSHAKE128"
    BCRYPT_CSHAKE256_ALG_HANDLE = 0x421, "CSHAKE256"
    BCRYPT_KMAC128_ALG_HANDLE = 0x431, "KMAC128"
    BCRYPT_KMAC256_ALG_HANDLE = 0x441, "KMAC256"
    BCRYPT_SHAKE128_ALG_HANDLE = 0x451, "SHAKE128"
    BCRYPT_SHAKE256_ALG_HANDLE = 0x461, "SHAKE256"
    BCRYPT_MLDSA_ALG_HANDLE = 0x471, "ML-DSA"
    BCRYPT_MLKEM_ALG_HANDLE = 0x481, "ML-KEM"
