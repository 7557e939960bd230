"""RSA pairs (RFC 8017): BCRYPT_RSA_ALGORITHM and BCRYPT_RSA_SIGN_ALGORITHM.

Blobs: bcrypt.h (BCRYPT_RSAKEY_BLOB) and wincrypt.h (PUBLICKEYBLOB, PRIVATEKEYBLOB). Header fields are little-endian, 32
bits; numbers (RFC 8017, section 3.2) are big-endian, in wincrypt.h's little-endian. Private blobs are read, never
written.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from math import gcd
from types import MappingProxyType
from typing import TypeAlias

from hwcng.arguments import number, optional_octets
from hwcng.cng.algorithm import SIGNATURE, Algorithm
from hwcng.cng.blobs.blob_type import blob_types
from hwcng.cng.blobs.fields import numbers
from hwcng.cng.families.base import PairFamily, hash_named
from hwcng.cng.families.request import PairRequest
from hwcng.cng.padding import BCRYPT_OAEP_PADDING_INFO, BCRYPT_PKCS1_PADDING_INFO, BCRYPT_PSS_PADDING_INFO
from hwcng.contract.material import RsaPrivateKey, RsaPublicKey
from hwcng.contract.specs import (
    DecryptSpec,
    PairSpec,
    RsaOaepSpec,
    RsaPkcs1DecryptSpec,
    RsaPkcs1SignSpec,
    RsaPssSpec,
    RsaRawSpec,
    SignSpec,
)
from hwcng.contract.usage import Usage
from hwcng.errors import HRESULT, CngError, invalid_parameter, not_supported, told
from hwcng.headers.bcrypt_h import (
    BCRYPT_IS_IFX_TPM_WEAK_KEY,
    BCRYPT_PRIVATE_KEY_BLOB,
    BCRYPT_PUBLIC_KEY_BLOB,
    BCRYPT_RSAFULLPRIVATE_BLOB,
    BCRYPT_RSAFULLPRIVATE_MAGIC,
    BCRYPT_RSAPRIVATE_BLOB,
    BCRYPT_RSAPRIVATE_MAGIC,
    BCRYPT_RSAPUBLIC_BLOB,
    BCRYPT_RSAPUBLIC_MAGIC,
    LEGACY_RSAPRIVATE_BLOB,
    LEGACY_RSAPUBLIC_BLOB,
    Interface,
    PaddingFlag,
    PaddingScheme,
)
from hwcng.headers.records import BCRYPT_RSAKEY_BLOB, KeyLengths
from hwcng.headers.wincrypt_h import CALG_RSA_KEYX, CALG_RSA_SIGN, CUR_BLOB_VERSION, PRIVATEKEYBLOB, PUBLICKEYBLOB
from hwcng.hostcrypto import rsa
from hwcng.standards.hashes import HASHES

__all__ = ["RsaFamily", "build_capi_rsa_public", "build_rsa_public", "parse_rsa"]

_LENGTHS = KeyLengths(512, 16384, 64)
_SIGNING_PADDING = (
    PaddingScheme.BCRYPT_SUPPORTED_PAD_ROUTER
    | PaddingScheme.BCRYPT_SUPPORTED_PAD_PKCS1_SIG
    | PaddingScheme.BCRYPT_SUPPORTED_PAD_PSS
)
_ALL_PADDING = _SIGNING_PADDING | PaddingScheme.BCRYPT_SUPPORTED_PAD_PKCS1_ENC | PaddingScheme.BCRYPT_SUPPORTED_PAD_OAEP
PKCS1_OVERHEAD = 11
PSS_OVERHEAD = 2


def _size(public: RsaPublicKey) -> int:
    return (public.modulus.bit_length() + 7) // 8


RsaKey: TypeAlias = RsaPublicKey | RsaPrivateKey
_MAGIC = struct.Struct("<I")
_RSA_HEADER = BCRYPT_RSAKEY_BLOB.layout()
_CAPI_RSA_HEADER = struct.Struct("<BBHI3I")
_MAX_RSA_EXPONENT_SIZE = 8
# CNG's largest modulus is 16384 bits; without a bound a huge blob would buy minutes of arithmetic.
_MAX_RSA_MODULUS_SIZE = 2048


def _bad_size(expected: int, blob: bytes) -> CngError:
    return CngError(HRESULT.NTE_BAD_DATA, f"RSA blob: {expected} bytes expected, {len(blob)} given")


def parse_rsa(blob: bytes, blob_type: str) -> RsaPublicKey | RsaPrivateKey:
    """Reads RSAPUBLICBLOB, RSAPRIVATEBLOB, RSAFULLPRIVATEBLOB, CAPIPRIVATEBLOB, or PUBLICBLOB and PRIVATEBLOB by magic.

    d, dP, dQ and qInv come from p, q and e, also where the blob carries them. BitLength is not looked at, save in
    CAPIPRIVATEBLOB, where nothing else gives the size.

    Raises NTE_BAD_DATA for a wrong size or a public exponent of over 8 bytes; STATUS_INVALID_PARAMETER for a wrong
    magic, an even exponent, exponent 1, n != p*q, or a modulus of over 16384 bits; STATUS_NOT_SUPPORTED for a blob
    type that is not one of these.
    """
    readers = _RSA_READERS.get(blob_type)
    if readers is None:
        raise not_supported(f"{told(blob_type)} is not a blob type of RSA key import")
    if blob_type == LEGACY_RSAPRIVATE_BLOB:
        return _parse_capi_private(blob)
    if len(blob) < _RSA_HEADER.size:
        raise _bad_size(_RSA_HEADER.size, blob)
    (magic,) = _MAGIC.unpack_from(blob)
    reader = readers.get(magic)
    if reader is None:
        raise invalid_parameter(f"{blob_type}: wrong magic {magic:#010x}")
    return reader(blob)


def _rsa_layout(blob: bytes, tail: Callable[[int, int, int], tuple[int, ...]]) -> tuple[int, ...]:
    """The numbers e, n and those that `tail` adds; `tail` maps cbModulus, cbPrime1, cbPrime2 to their sizes."""
    _, _, exponent_size, modulus_size, *prime_sizes = _RSA_HEADER.unpack_from(blob)
    if exponent_size > _MAX_RSA_EXPONENT_SIZE:
        raise CngError(HRESULT.NTE_BAD_DATA, f"RSA blob: public exponent of {exponent_size} bytes, at most 8 expected")
    sizes = (exponent_size, modulus_size, *tail(modulus_size, *prime_sizes))
    expected = _RSA_HEADER.size + sum(sizes)
    if len(blob) != expected:
        raise _bad_size(expected, blob)
    if modulus_size > _MAX_RSA_MODULUS_SIZE:
        raise invalid_parameter(f"RSA blob: modulus of {modulus_size} bytes, at most {_MAX_RSA_MODULUS_SIZE} expected")
    read = numbers(blob, _RSA_HEADER.size, sizes)
    _check_exponent(read[0])
    return read


def _parse_rsa_public(blob: bytes) -> RsaPublicKey:
    if any(_RSA_HEADER.unpack_from(blob)[4:]):
        raise CngError(HRESULT.NTE_BAD_DATA, "RSAPUBLICBLOB: cbPrime1 and cbPrime2 must be 0")
    exponent, modulus = _rsa_layout(blob, lambda *_: ())
    return RsaPublicKey(modulus, exponent)


def _parse_rsa_private(blob: bytes) -> RsaPrivateKey:
    exponent, modulus, prime1, prime2 = _rsa_layout(blob, lambda _, prime1, prime2: (prime1, prime2))
    return _rsa_private(modulus, exponent, prime1, prime2)


def _parse_rsa_full_private(blob: bytes) -> RsaPrivateKey:
    exponent, modulus, prime1, prime2, *_ = _rsa_layout(
        blob, lambda modulus, prime1, prime2: (prime1, prime2, prime1, prime2, prime1, modulus)
    )
    return _rsa_private(modulus, exponent, prime1, prime2)


def _parse_capi_private(blob: bytes) -> RsaPrivateKey:
    """PRIVATEKEYBLOB: PUBLICKEYSTRUC, RSAPUBKEY, then n, p, q, dP, dQ, qInv, d, little-endian."""
    if len(blob) < _CAPI_RSA_HEADER.size:
        raise _bad_size(_CAPI_RSA_HEADER.size, blob)
    kind, version, _, _, magic, bits, exponent = _CAPI_RSA_HEADER.unpack_from(blob)
    if (kind, version, magic) != (PRIVATEKEYBLOB, CUR_BLOB_VERSION, BCRYPT_RSAPRIVATE_MAGIC):
        raise invalid_parameter(
            f"CAPIPRIVATEBLOB: type {kind} version {version} magic {magic:#010x} is not an RSA private key"
        )
    if bits % 16:
        raise CngError(HRESULT.NTE_BAD_DATA, f"CAPIPRIVATEBLOB: {bits} bits are not whole bytes of both primes")
    full, half = bits // 8, bits // 16
    sizes = (full, half, half, half, half, half, full)
    expected = _CAPI_RSA_HEADER.size + sum(sizes)
    if len(blob) != expected:
        raise _bad_size(expected, blob)
    if full > _MAX_RSA_MODULUS_SIZE:
        raise invalid_parameter(f"CAPIPRIVATEBLOB: {bits} bits, at most {8 * _MAX_RSA_MODULUS_SIZE} expected")
    _check_exponent(exponent)
    modulus, prime1, prime2, *_ = numbers(blob, _CAPI_RSA_HEADER.size, sizes, "little")
    return _rsa_private(modulus, exponent, prime1, prime2)


def _check_exponent(exponent: int) -> None:
    if exponent < 3 or exponent % 2 == 0:
        raise invalid_parameter("RSA blob: the public exponent must be odd and at least 3")


def _rsa_private(modulus: int, exponent: int, prime1: int, prime2: int) -> RsaPrivateKey:
    """All numbers of RFC 8017, section 3.2, with d modulo lcm(p-1, q-1)."""
    if min(prime1, prime2) < 3 or prime1 * prime2 != modulus:
        raise invalid_parameter("RSA blob: the modulus is not the product of the two primes")
    order1, order2 = prime1 - 1, prime2 - 1
    try:
        private_exponent = pow(exponent, -1, order1 * order2 // gcd(order1, order2))
        coefficient = pow(prime2, -1, prime1)
    except ValueError:
        raise invalid_parameter("RSA blob: the primes do not make a key with this public exponent") from None
    return RsaPrivateKey(
        modulus=modulus,
        public_exponent=exponent,
        private_exponent=private_exponent,
        prime1=prime1,
        prime2=prime2,
        exponent1=private_exponent % order1,
        exponent2=private_exponent % order2,
        coefficient=coefficient,
    )


_RSA_READERS: Mapping[str, Mapping[int, Callable[[bytes], RsaKey]]] = MappingProxyType(
    {
        BCRYPT_RSAPUBLIC_BLOB: {BCRYPT_RSAPUBLIC_MAGIC: _parse_rsa_public},
        BCRYPT_RSAPRIVATE_BLOB: {BCRYPT_RSAPRIVATE_MAGIC: _parse_rsa_private},
        BCRYPT_RSAFULLPRIVATE_BLOB: {BCRYPT_RSAFULLPRIVATE_MAGIC: _parse_rsa_full_private},
        BCRYPT_PUBLIC_KEY_BLOB: {BCRYPT_RSAPUBLIC_MAGIC: _parse_rsa_public},
        BCRYPT_PRIVATE_KEY_BLOB: {
            BCRYPT_RSAPRIVATE_MAGIC: _parse_rsa_private,
            BCRYPT_RSAFULLPRIVATE_MAGIC: _parse_rsa_full_private,
        },
        LEGACY_RSAPRIVATE_BLOB: {},
    }
)


def build_rsa_public(key: RsaPublicKey) -> bytes:
    """RSAPUBLICBLOB, exponent and modulus without leading zeros."""
    bits = key.modulus.bit_length()
    exponent = key.public_exponent.to_bytes((key.public_exponent.bit_length() + 7) // 8, "big")
    modulus = key.modulus.to_bytes((bits + 7) // 8, "big")
    return _RSA_HEADER.pack(BCRYPT_RSAPUBLIC_MAGIC, bits, len(exponent), len(modulus), 0, 0) + exponent + modulus


def build_capi_rsa_public(key: RsaPublicKey, algid: int, bits: int = 0) -> bytes:
    """PUBLICKEYBLOB: PUBLICKEYSTRUC, RSAPUBKEY, then the modulus, little-endian. algid: CALG_RSA_KEYX or CALG_RSA_SIGN.

    bits: the length to announce, 0 for that of the modulus.

    Raises STATUS_NOT_SUPPORTED for an exponent of over 32 bits, for which it has no room.
    """
    if key.public_exponent >> 32:
        raise not_supported("an exponent of over 32 bits has no place in a PUBLICKEYBLOB")
    bits = bits or key.modulus.bit_length()
    header = (PUBLICKEYBLOB, CUR_BLOB_VERSION, 0, algid, BCRYPT_RSAPUBLIC_MAGIC, bits, key.public_exponent)
    return _CAPI_RSA_HEADER.pack(*header) + key.modulus.to_bytes((bits + 7) // 8, "little")


class RsaFamily(PairFamily[RsaPublicKey]):
    kind = "RSA"
    public_type = RsaPublicKey
    stored_bits = 1024
    # Today's Windows; older ones: steps of 64.
    stored_lengths = KeyLengths(512, 16384, 8)
    algorithms = (
        Algorithm(
            "RSA",
            (Interface.BCRYPT_ASYMMETRIC_ENCRYPTION_INTERFACE, *SIGNATURE),
            "RSA",
            _LENGTHS,
            padding_schemes=_ALL_PADDING,
            family="RSA",
        ),
        Algorithm("RSA_SIGN", SIGNATURE, "RSA", _LENGTHS, padding_schemes=_SIGNING_PADDING, family="RSA"),
    )
    blob_types = blob_types(
        "RSA",
        public=(BCRYPT_RSAPUBLIC_BLOB, LEGACY_RSAPUBLIC_BLOB),
        private=(BCRYPT_RSAPRIVATE_BLOB, BCRYPT_RSAFULLPRIVATE_BLOB, LEGACY_RSAPRIVATE_BLOB),
    )
    magics = MappingProxyType(
        dict.fromkeys((BCRYPT_RSAPUBLIC_MAGIC, BCRYPT_RSAPRIVATE_MAGIC, BCRYPT_RSAFULLPRIVATE_MAGIC), "RSA")
    )
    builders = MappingProxyType(
        {
            BCRYPT_RSAPUBLIC_BLOB: lambda _, public: build_rsa_public(public),
            BCRYPT_PUBLIC_KEY_BLOB: lambda _, public: build_rsa_public(public),
            LEGACY_RSAPUBLIC_BLOB: lambda algorithm, public: build_capi_rsa_public(
                public, CALG_RSA_KEYX if algorithm.encrypts else CALG_RSA_SIGN
            ),
        }
    )
    properties = MappingProxyType({BCRYPT_IS_IFX_TPM_WEAK_KEY: lambda public: int(rsa.is_roca(public))})

    def algorithm_of_pkcs8(self, public: RsaPublicKey) -> str:
        return "RSA"

    def bits(self, public: RsaPublicKey) -> int:
        return public.modulus.bit_length()

    def usage(self, algorithm: Algorithm) -> Usage:
        return Usage.SIGN | (Usage.DECRYPT if algorithm.encrypts else Usage.NONE)

    def possible_usage(self, algorithm: Algorithm) -> Usage:
        return self.usage(algorithm) | (Usage.UNWRAP if algorithm.encrypts else Usage.NONE)

    def spec(self, request: PairRequest, public: RsaPublicKey | None = None) -> PairSpec:
        bits = request.bits if public is None else self.bits(public)
        return PairSpec(self.kind, request.usage, bits=bits, exportable=request.exportable)

    def sign_spec(self, algorithm: Algorithm, padding_info: object, flags: int) -> SignSpec:
        if flags == PaddingFlag.BCRYPT_PAD_PKCS1 and isinstance(padding_info, BCRYPT_PKCS1_PADDING_INFO):
            name = padding_info.pszAlgId
            return RsaPkcs1SignSpec(None if name is None else hash_named(name).name)
        if flags == PaddingFlag.BCRYPT_PAD_PSS and isinstance(padding_info, BCRYPT_PSS_PADDING_INFO):
            salt_length = number(padding_info.cbSalt, "cbSalt")
            if padding_info.pszAlgId is None:
                raise invalid_parameter("PSS needs a hash and the length of its salt")
            return RsaPssSpec(hash_named(padding_info.pszAlgId).name, salt_length)
        raise invalid_parameter(
            "an RSA signature needs BCRYPT_PAD_PKCS1 with BCRYPT_PKCS1_PADDING_INFO or BCRYPT_PAD_PSS with "
            "BCRYPT_PSS_PADDING_INFO"
        )

    def signable(self, public: RsaPublicKey, spec: SignSpec, data: bytes) -> bytes:
        if not isinstance(spec, (RsaPkcs1SignSpec, RsaPssSpec)):
            raise not_supported(f"an RSA key makes no {type(spec).__name__.removesuffix('Spec')} signature")
        if not data:
            raise invalid_parameter("the digest is empty")
        if spec.hash_name is not None and len(data) != HASHES[spec.hash_name].digest_size:
            raise invalid_parameter(
                f"a {spec.hash_name} digest has {HASHES[spec.hash_name].digest_size} bytes, {len(data)} given"
            )
        if isinstance(spec, RsaPssSpec):
            needed, room = len(data) + spec.salt_length + PSS_OVERHEAD, (public.modulus.bit_length() + 6) // 8
        else:
            prefix = len(HASHES[spec.hash_name].digest_info_prefix) if spec.hash_name else 0
            needed, room = prefix + len(data) + PKCS1_OVERHEAD, _size(public)
        if needed > room:
            raise invalid_parameter(f"the signature needs a block of {needed} bytes, the key has {room}")
        return data

    def verify(
        self, public: RsaPublicKey, spec: SignSpec, data: bytes, signature: bytes, *, optional_oid: bool
    ) -> None:
        rsa.verify(public, spec, data, signature, optional_oid=optional_oid)

    def encrypt(self, public: RsaPublicKey, spec: DecryptSpec, plaintext: bytes) -> bytes:
        return rsa.encrypt(public, spec, plaintext)

    def check_ciphertext(self, public: RsaPublicKey, ciphertext: bytes) -> None:
        size = _size(public)
        if len(ciphertext) != size or int.from_bytes(ciphertext, "big") >= public.modulus:
            raise invalid_parameter(f"RSA: a ciphertext is a number of {size} bytes below the modulus")

    def decrypt_spec(self, algorithm: Algorithm, padding_info: object, flags: int) -> DecryptSpec:
        if not algorithm.encrypts:
            return super().decrypt_spec(algorithm, padding_info, flags)
        if flags in (0, PaddingFlag.BCRYPT_PAD_NONE):
            return RsaRawSpec()
        if flags == PaddingFlag.BCRYPT_PAD_PKCS1:
            return RsaPkcs1DecryptSpec()
        if flags == PaddingFlag.BCRYPT_PAD_OAEP and isinstance(padding_info, BCRYPT_OAEP_PADDING_INFO):
            if padding_info.pszAlgId is None:
                raise invalid_parameter("OAEP needs a hash")
            label = optional_octets(padding_info.pbLabel, "pbLabel")
            return RsaOaepSpec(hash_named(padding_info.pszAlgId).name, label)
        raise invalid_parameter(
            "RSA takes BCRYPT_PAD_NONE, BCRYPT_PAD_PKCS1 or BCRYPT_PAD_OAEP with BCRYPT_OAEP_PADDING_INFO"
        )

    def signature_length(self, public: RsaPublicKey) -> int:
        return _size(public)

    def block_length(self, public: RsaPublicKey) -> int:
        return _size(public)

    def planned_signature_length(self, request: PairRequest) -> int:
        return (request.bits + 7) // 8

    def planned_block_length(self, request: PairRequest) -> int:
        return (request.bits + 7) // 8

    def parse(self, request: PairRequest, blob_type: str, blob: bytes) -> RsaPublicKey | RsaPrivateKey:
        material = parse_rsa(blob, blob_type)
        lengths, bits = request.algorithm.key_lengths, material.modulus.bit_length()
        if lengths is None or not lengths.dwMinLength <= bits <= lengths.dwMaxLength:
            raise invalid_parameter(f"{request.algorithm.name} has no keys of {bits} bits")
        rsa.check_public(material if isinstance(material, RsaPublicKey) else material.public)
        return material
