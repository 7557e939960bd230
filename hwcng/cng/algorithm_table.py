"""The algorithms of CNG: one row each (bcrypt.h; "CNG Algorithm Identifiers" of the Windows documentation).

A new algorithm of secret keys or of hashes is one row here; one of pairs is a row of its family.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hwcng.cng.algorithm import Algorithm
from hwcng.cng.families import FAMILIES
from hwcng.headers import bcrypt_h
from hwcng.headers.records import KeyLengths
from hwcng.hostcrypto.hashes import HOST_HASHES

__all__ = [
    "ALGORITHMS",
]

_CHAIN_MODES = (
    bcrypt_h.BCRYPT_CHAIN_MODE_CBC,
    bcrypt_h.BCRYPT_CHAIN_MODE_ECB,
    bcrypt_h.BCRYPT_CHAIN_MODE_CFB,
    bcrypt_h.BCRYPT_CHAIN_MODE_CCM,
    bcrypt_h.BCRYPT_CHAIN_MODE_GCM,
)


_BLOCK_CIPHER_MODES = (bcrypt_h.BCRYPT_CHAIN_MODE_CBC, bcrypt_h.BCRYPT_CHAIN_MODE_ECB, bcrypt_h.BCRYPT_CHAIN_MODE_CFB)
_CIPHER = (bcrypt_h.Interface.BCRYPT_CIPHER_INTERFACE,)
_AES_LENGTHS = KeyLengths(128, 256, 64)
_KDF_LENGTHS = KeyLengths(0, 16384, 8)
_HASH_OBJECT_LENGTHS = {"MD2": 270, "MD4": 270, "MD5": 274, "SHA1": 278, "SHA256": 286, "SHA384": 382, "SHA512": 382}
_SPONGE_OBJECT_LENGTH = 478


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
        chaining_mode=bcrypt_h.BCRYPT_CHAIN_MODE_CBC,
    )


def _stream_row(name: str, lengths: KeyLengths, object_length: int, block_length: int = 1) -> Algorithm:
    return Algorithm(
        name,
        _CIPHER,
        name,
        lengths,
        object_length=object_length,
        block_length=block_length,
        chaining_modes=(bcrypt_h.BCRYPT_CHAIN_MODE_NA,),
        chaining_mode=bcrypt_h.BCRYPT_CHAIN_MODE_NA,
    )


def _kdf_row(name: str, object_length: int) -> Algorithm:
    return Algorithm(
        name, (bcrypt_h.Interface.BCRYPT_KEY_DERIVATION_INTERFACE,), name, _KDF_LENGTHS, object_length=object_length
    )


ALGORITHMS: Mapping[str, Algorithm] = MappingProxyType(
    {
        row.name: row
        for row in (
            Algorithm(
                "AES",
                (bcrypt_h.Interface.BCRYPT_CIPHER_INTERFACE,),
                "AES",
                _AES_LENGTHS,
                object_length=654,
                block_length=16,
                chaining_modes=_CHAIN_MODES,
                chaining_mode=bcrypt_h.BCRYPT_CHAIN_MODE_CBC,
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
                chaining_mode=bcrypt_h.BCRYPT_CHAIN_MODE_CBC,
            ),
            _stream_row("RC4", KeyLengths(8, 512, 8), 654),
            _stream_row("XTS-AES", KeyLengths(256, 512, 256), 1234, block_length=16),
            _stream_row("CHACHA20_POLY1305", KeyLengths(256, 256, 0), 166),
            Algorithm(
                "AES-CMAC",
                (bcrypt_h.Interface.BCRYPT_HASH_INTERFACE,),
                "AES-CMAC",
                _AES_LENGTHS,
                object_length=654,
                block_length=16,
                keyed_hash=True,
            ),
            Algorithm(
                "AES-GMAC",
                (bcrypt_h.Interface.BCRYPT_HASH_INTERFACE,),
                "AES-GMAC",
                _AES_LENGTHS,
                object_length=654,
                block_length=16,
                keyed_hash=True,
            ),
            *(
                Algorithm(
                    name,
                    (bcrypt_h.Interface.BCRYPT_HASH_INTERFACE,),
                    name,
                    object_length=_HASH_OBJECT_LENGTHS.get(name, _SPONGE_OBJECT_LENGTH),
                    hash_function=hash_function,
                )
                for name, hash_function in HOST_HASHES.items()
            ),
            *(row for family in FAMILIES.values() for row in family.algorithms),
            *(
                Algorithm(
                    name,
                    (bcrypt_h.Interface.BCRYPT_HASH_INTERFACE,),
                    name,
                    object_length=_SPONGE_OBJECT_LENGTH,
                    keyed_hash=True,
                )
                for name in ("KMAC128", "KMAC256")
            ),
            Algorithm("RNG", (bcrypt_h.Interface.BCRYPT_RNG_INTERFACE,), "RNG"),
            Algorithm("FIPS186DSARNG", (bcrypt_h.Interface.BCRYPT_RNG_INTERFACE,), "RNG"),
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
