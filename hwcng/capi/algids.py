"""The algorithms of the legacy CryptoAPI by their ALG_ID (wincrypt.h), and the CNG algorithm that each is."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwcng.contract.usage import SecretFamily
from hwcng.headers import wincrypt_h
from hwcng.hostcrypto.hashes import HOST_HASHES
from hwcng.standards.hashes import HashFunction

__all__ = ["ALGIDS", "SPEC_OF_ALGID", "AlgId", "Kind"]


class Kind(enum.Enum):
    """What an ALG_ID stands for."""

    CIPHER = "cipher"
    HASH = "hash"
    MAC = "MAC"
    SIGNATURE = "signature pair"
    EXCHANGE = "key exchange pair"


@dataclass(frozen=True, slots=True)
class AlgId:
    """name, long_name: as PP_ENUMALGS_EX has them. algorithm: CNG's name of it. protocols: CRYPT_FLAG_ bits.

    family: of a cipher's keys. fixed: the one length of the keys, in bits without parity. parity: whether they have the
    eighth bits of DES. stored: the one length with them. salted: whether the keys have a salt. block_bits: 0 for a
    stream.
    """

    value: int
    name: str
    long_name: str
    kind: Kind
    algorithm: str
    protocols: int = 0
    family: SecretFamily | None = None
    fixed: int = 0
    parity: bool = False
    stored: int = 0
    salted: bool = False
    block_bits: int = 0

    @property
    def hash_function(self) -> HashFunction | None:
        return HOST_HASHES.get(self.algorithm) if self.kind is Kind.HASH else None


def _cipher(
    value: int,
    name: str,
    long_name: str,
    family: SecretFamily,
    fixed: int,
    block_bits: int,
    *,
    parity: bool = False,
    protocols: int = 0,
) -> AlgId:
    return AlgId(
        value,
        name,
        long_name,
        Kind.CIPHER,
        family.value,
        protocols,
        family,
        fixed,
        parity,
        fixed // 7 * 8 if parity else fixed,
        salted=not fixed,
        block_bits=block_bits,
    )


_IPSEC = wincrypt_h.CRYPT_FLAG_IPSEC
_SIGNING = wincrypt_h.CRYPT_FLAG_IPSEC | wincrypt_h.CRYPT_FLAG_SIGNING

ALGIDS: Mapping[int, AlgId] = MappingProxyType(
    {
        row.value: row
        for row in (
            _cipher(wincrypt_h.CALG_RC2, "RC2", "RSA Data Security's RC2", SecretFamily.RC2, 0, 64),
            _cipher(wincrypt_h.CALG_RC4, "RC4", "RSA Data Security's RC4", SecretFamily.RC4, 0, 0),
            _cipher(
                wincrypt_h.CALG_DES,
                "DES",
                "Data Encryption Standard (DES)",
                SecretFamily.DES,
                56,
                64,
                parity=True,
                protocols=_IPSEC,
            ),
            _cipher(
                wincrypt_h.CALG_3DES_112,
                "3DES TWO KEY",
                "Two Key Triple DES",
                SecretFamily.DES3_112,
                112,
                64,
                parity=True,
            ),
            _cipher(
                wincrypt_h.CALG_3DES,
                "3DES",
                "Three Key Triple DES",
                SecretFamily.DES3,
                168,
                64,
                parity=True,
                protocols=_IPSEC,
            ),
            _cipher(
                wincrypt_h.CALG_AES_128, "AES 128", "Advanced Encryption Standard (AES-128)", SecretFamily.AES, 128, 128
            ),
            _cipher(
                wincrypt_h.CALG_AES_192, "AES 192", "Advanced Encryption Standard (AES-192)", SecretFamily.AES, 192, 128
            ),
            _cipher(
                wincrypt_h.CALG_AES_256, "AES 256", "Advanced Encryption Standard (AES-256)", SecretFamily.AES, 256, 128
            ),
            AlgId(wincrypt_h.CALG_SHA1, "SHA-1", "Secure Hash Algorithm (SHA-1)", Kind.HASH, "SHA1", _SIGNING),
            AlgId(
                wincrypt_h.CALG_MD2, "MD2", "Message Digest 2 (MD2)", Kind.HASH, "MD2", wincrypt_h.CRYPT_FLAG_SIGNING
            ),
            AlgId(
                wincrypt_h.CALG_MD4, "MD4", "Message Digest 4 (MD4)", Kind.HASH, "MD4", wincrypt_h.CRYPT_FLAG_SIGNING
            ),
            AlgId(wincrypt_h.CALG_MD5, "MD5", "Message Digest 5 (MD5)", Kind.HASH, "MD5", _SIGNING),
            AlgId(wincrypt_h.CALG_SSL3_SHAMD5, "SSL3 SHAMD5", "SSL3 SHAMD5", Kind.HASH, "MD5+SHA1"),
            AlgId(
                wincrypt_h.CALG_SHA_256,
                "SHA-256",
                "Secure Hash Algorithm (SHA-256)",
                Kind.HASH,
                "SHA256",
                wincrypt_h.CRYPT_FLAG_SIGNING,
            ),
            AlgId(
                wincrypt_h.CALG_SHA_384,
                "SHA-384",
                "Secure Hash Algorithm (SHA-384)",
                Kind.HASH,
                "SHA384",
                wincrypt_h.CRYPT_FLAG_SIGNING,
            ),
            AlgId(
                wincrypt_h.CALG_SHA_512,
                "SHA-512",
                "Secure Hash Algorithm (SHA-512)",
                Kind.HASH,
                "SHA512",
                wincrypt_h.CRYPT_FLAG_SIGNING,
            ),
            AlgId(wincrypt_h.CALG_MAC, "MAC", "Message Authentication Code", Kind.MAC, "MAC"),
            AlgId(wincrypt_h.CALG_HMAC, "HMAC", "Hugo's MAC (HMAC)", Kind.MAC, "HMAC", family=SecretFamily.HMAC),
            AlgId(wincrypt_h.CALG_RSA_SIGN, "RSA_SIGN", "RSA Signature", Kind.SIGNATURE, "RSA_SIGN", _SIGNING),
            AlgId(wincrypt_h.CALG_RSA_KEYX, "RSA_KEYX", "RSA Key Exchange", Kind.EXCHANGE, "RSA", _SIGNING),
            AlgId(wincrypt_h.CALG_DSS_SIGN, "DSA_SIGN", "Digital Signature Algorithm", Kind.SIGNATURE, "DSA", _SIGNING),
            AlgId(wincrypt_h.CALG_DH_SF, "DH_SF", "Diffie-Hellman store & forward", Kind.EXCHANGE, "DH"),
            AlgId(wincrypt_h.CALG_DH_EPHEM, "DH_EPHEM", "Diffie-Hellman ephemeral", Kind.EXCHANGE, "DH"),
        )
    }
)

SPEC_OF_ALGID: Mapping[int, int] = MappingProxyType(
    {
        wincrypt_h.CALG_RSA_KEYX: wincrypt_h.AT_KEYEXCHANGE,
        wincrypt_h.CALG_RSA_SIGN: wincrypt_h.AT_SIGNATURE,
        wincrypt_h.CALG_DSS_SIGN: wincrypt_h.AT_SIGNATURE,
        wincrypt_h.CALG_DH_SF: wincrypt_h.AT_KEYEXCHANGE,
    }
)
"""The pair of a container that an ALG_ID makes or replaces. An ephemeral Diffie-Hellman pair is in no container."""
