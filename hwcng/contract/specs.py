"""Typed specs: which key, which operation, with which parameters. Frozen, and checked by who makes them.

Numbers are Python ints, octet strings are bytes in the order of the algorithm's standard.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from hwcng.contract.material import (
    DhDomain,
    DsaDomain,
    PublicKeyMaterial,
)
from hwcng.contract.usage import CipherMode, SecretFamily, Usage

__all__ = [
    "SecretSpec",
    "CipherSpec",
    "AeadSpec",
    "HmacSpec",
    "CmacSpec",
    "GmacSpec",
    "MacSpec",
    "RsaPkcs1SignSpec",
    "RsaPssSpec",
    "EcdsaSpec",
    "DsaSpec",
    "EddsaSpec",
    "MlDsaSpec",
    "RsaPkcs1DecryptSpec",
    "RsaOaepSpec",
    "RsaRawSpec",
    "SignSpec",
    "DecryptSpec",
    "DigestKdfSpec",
    "HkdfSpec",
    "CounterKdfSpec",
    "KdfSpec",
    "PairSpec",
    "AesKeyWrapSpec",
    "RFC_3394",
    "RsaAesKeyWrapSpec",
    "WrapSpec",
    "KeyContents",
    "describe",
]


@dataclass(frozen=True, slots=True)
class SecretSpec:
    """A secret key to make. bits: key length in bits. hash_name: HMAC's hash, a CNG name such as "SHA256"; None for
    every hash that the token has.

    exportable: whether `wrap_key` and `opaque` may ever be asked of it. effective_bits: RC2's effective key length
    (RFC 2268), 0 for that of the key.
    """

    family: SecretFamily
    bits: int
    usage: Usage
    exportable: bool = False
    hash_name: str | None = None
    effective_bits: int = 0


@dataclass(frozen=True, slots=True)
class CipherSpec:
    """A mode without authentication over whole units. iv: one block, empty for ECB and STREAM.

    offset: bytes of an RC4 key stream that earlier calls used up. data_unit: bytes of one XTS data unit; iv is then the
    number of the first unit, 16 bytes little-endian.
    """

    mode: CipherMode
    iv: bytes = b""
    offset: int = 0
    data_unit: int = 0


@dataclass(frozen=True, slots=True)
class AeadSpec:
    """GCM, CCM or POLY1305. tag_length in bytes. Ciphertext and tag travel as one string, the tag last."""

    mode: CipherMode
    nonce: bytes
    aad: bytes
    tag_length: int


@dataclass(frozen=True, slots=True)
class HmacSpec:
    hash_name: str


@dataclass(frozen=True, slots=True)
class CmacSpec:
    """AES-CMAC, SP 800-38B, full 16-byte tag."""


@dataclass(frozen=True, slots=True)
class GmacSpec:
    """AES-GMAC, SP 800-38D, full 16-byte tag."""

    nonce: bytes


MacSpec: TypeAlias = HmacSpec | CmacSpec | GmacSpec


@dataclass(frozen=True, slots=True)
class RsaPkcs1SignSpec:
    """RSASSA-PKCS1-v1_5 (RFC 8017, 8.2). hash_name None: the digest is padded as it is, without DigestInfo."""

    hash_name: str | None


@dataclass(frozen=True, slots=True)
class RsaPssSpec:
    """RSASSA-PSS (RFC 8017, 8.1), MGF1 with the same hash. salt_length in bytes."""

    hash_name: str
    salt_length: int


@dataclass(frozen=True, slots=True)
class EcdsaSpec:
    """ECDSA (FIPS 186-5): r || s, each the width of the curve's order."""


@dataclass(frozen=True, slots=True)
class DsaSpec:
    """DSA (FIPS 186-4, section 4): r || s, each the width of the subprime."""


@dataclass(frozen=True, slots=True)
class EddsaSpec:
    """Ed25519 (RFC 8032, section 5.1) of a message, not of a digest: without context, without a hash before it."""


@dataclass(frozen=True, slots=True)
class MlDsaSpec:
    """ML-DSA (FIPS 204, section 5.2) of a message, not of a digest. context: 0 to 255 bytes.

    deterministic: the variant without fresh randomness; else hedged. external_mu: the input is the 64-byte mu.
    prehash: HashML-DSA (section 5.4): the input is this hash's digest of the message.
    """

    context: bytes = b""
    deterministic: bool = False
    external_mu: bool = False
    prehash: str | None = None


@dataclass(frozen=True, slots=True)
class RsaPkcs1DecryptSpec:
    """RSAES-PKCS1-v1_5 (RFC 8017, 7.2)."""


@dataclass(frozen=True, slots=True)
class RsaOaepSpec:
    """RSAES-OAEP (RFC 8017, 7.1), MGF1 with the same hash."""

    hash_name: str
    label: bytes = b""


@dataclass(frozen=True, slots=True)
class RsaRawSpec:
    """RSADP without padding: input and output are modulus-length."""


@dataclass(frozen=True, slots=True)
class AesKeyWrapSpec:
    """AES key wrap: of whole blocks of 64 bits (RFC 3394), or padded, of any length (RFC 5649, AES-KWP). A private key
    is wrapped as PKCS #8 (RFC 5958), padded.
    """

    padded: bool = False


@dataclass(frozen=True, slots=True)
class RsaAesKeyWrapSpec:
    """CKM_RSA_AES_KEY_WRAP (PKCS#11 3.2, section 6.1.22): an AES key encrypted to an RSA key by OAEP, modulus-length,
    and behind it the wrapped key, under that AES key by RFC 5649.
    """

    oaep: RsaOaepSpec


RFC_3394 = AesKeyWrapSpec()
WrapSpec: TypeAlias = AesKeyWrapSpec | RsaAesKeyWrapSpec | RsaOaepSpec
"""RsaOaepSpec: a secret key alone, encrypted to an RSA pair."""
SignSpec: TypeAlias = RsaPkcs1SignSpec | RsaPssSpec | EcdsaSpec | DsaSpec | EddsaSpec | MlDsaSpec
DecryptSpec: TypeAlias = RsaPkcs1DecryptSpec | RsaOaepSpec | RsaRawSpec


@dataclass(frozen=True, slots=True)
class DigestKdfSpec:
    """hash(prefix || Z || suffix), its first bytes: CNG's HASH function, one step of SP 800-56A r3, 5.8.2."""

    hash_name: str
    prefix: bytes = b""
    suffix: bytes = b""


@dataclass(frozen=True, slots=True)
class HkdfSpec:
    """HKDF (RFC 5869). salt None: Z is the pseudorandom key already, and only the expansion is done."""

    hash_name: str
    salt: bytes | None
    info: bytes = b""


@dataclass(frozen=True, slots=True)
class CounterKdfSpec:
    """SP 800-108 r1, section 4.1, with HMAC: a 32-bit counter before the label, a zero octet and the context, and the
    length in bits as 32 bits behind.
    """

    hash_name: str
    label: bytes
    context: bytes


KdfSpec: TypeAlias = DigestKdfSpec | HkdfSpec | CounterKdfSpec


@dataclass(frozen=True, slots=True)
class PairSpec:
    """A key pair to make or import.

    kind: "RSA", "EC", "DH", "DSA", "ED25519", "ML-DSA" or "ML-KEM". bits: length of the modulus or prime (RSA, DH,
    DSA). curve: CNG curve name (EC). domain: the parameters to make the pair on (DH, DSA). parameter_set: such as "65".
    usage: SIGN, DECRYPT, UNWRAP for RSA; SIGN for ECDSA, DSA, Ed25519, ML-DSA; DERIVE for ECDH, DH; DECAPSULATE for
    ML-KEM; ATTEST alone for RSA and EC keys of a TPM.
    """

    kind: str
    usage: Usage
    bits: int = 0
    curve: str = ""
    exportable: bool = False
    domain: DhDomain | DsaDomain | None = None
    parameter_set: str = ""


KeyContents: TypeAlias = tuple[SecretSpec | PairSpec, PublicKeyMaterial | None]
"""What a key is, and of a pair the public half."""


def describe(spec: SecretSpec | PairSpec) -> str:
    """What a key is, in a few words for messages: "EC nistP256", "RSA 2048 bits"."""
    if isinstance(spec, SecretSpec):
        return f"{spec.family.value}{f'-{spec.hash_name}' if spec.hash_name else ''} {spec.bits} bits"
    which = spec.curve or spec.parameter_set or (f"{spec.bits} bits" if spec.bits else "")
    return f"{spec.kind} {which}".rstrip()
