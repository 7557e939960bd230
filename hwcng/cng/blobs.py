"""Key blobs, byte-exact, as typed records.

Standards: bcrypt.h (BCRYPT_KEY_DATA_BLOB_HEADER, BCRYPT_RSAKEY_BLOB, BCRYPT_ECCKEY_BLOB, BCRYPT_ECCFULLKEY_BLOB) and
wincrypt.h (PUBLICKEYBLOB, PRIVATEKEYBLOB); SEC 2, SP 800-186, RFC 5639 (curves); RFC 8017, section 3.2 (RSA numbers).
Header fields are little-endian, 32 bits; numbers are big-endian, save in CAPI blobs and for curve25519, where they
are little-endian.

Only public blobs are built. Private and symmetric ones are read, never written.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from math import gcd
from types import MappingProxyType
from typing import Literal, TypeAlias

from hwcng.cng.dh_blobs import (
    BCRYPT_DH_PRIVATE_BLOB,
    BCRYPT_DH_PUBLIC_BLOB,
    LEGACY_DH_PRIVATE_BLOB,
    LEGACY_DH_PUBLIC_BLOB,
)
from hwcng.cng.dsa_blobs import (
    BCRYPT_DSA_PRIVATE_BLOB,
    BCRYPT_DSA_PUBLIC_BLOB,
    LEGACY_DSA_PRIVATE_BLOB,
    LEGACY_DSA_PUBLIC_BLOB,
    LEGACY_DSA_V2_PRIVATE_BLOB,
    LEGACY_DSA_V2_PUBLIC_BLOB,
)
from hwcng.cng.pq_blobs import (
    BCRYPT_MLKEM_PRIVATE_BLOB,
    BCRYPT_MLKEM_PRIVATE_SEED_BLOB,
    BCRYPT_MLKEM_PUBLIC_BLOB,
    BCRYPT_PQDSA_PRIVATE_BLOB,
    BCRYPT_PQDSA_PRIVATE_SEED_BLOB,
    BCRYPT_PQDSA_PUBLIC_BLOB,
)
from hwcng.contract.material import EcPrivateKey, EcPublicKey, RsaPrivateKey, RsaPublicKey
from hwcng.errors import HRESULT, NTSTATUS, CngError, told
from hwcng.headers.records import (
    BCRYPT_ECCFULLKEY_BLOB,
    BCRYPT_ECCKEY_BLOB,
    BCRYPT_KEY_DATA_BLOB_HEADER,
    BCRYPT_RSAKEY_BLOB,
)
from hwcng.standards.curves import CURVES, DOMAINS, Curve

__all__ = [
    "BCRYPT_AES_WRAP_KEY_BLOB",
    "BCRYPT_ECCFULLPRIVATE_BLOB",
    "BCRYPT_ECCFULLPUBLIC_BLOB",
    "BCRYPT_ECCPRIVATE_BLOB",
    "BCRYPT_ECCPUBLIC_BLOB",
    "BCRYPT_ECDH_PRIVATE_GENERIC_MAGIC",
    "BCRYPT_ECDH_PRIVATE_P256_MAGIC",
    "BCRYPT_ECDH_PRIVATE_P384_MAGIC",
    "BCRYPT_ECDH_PRIVATE_P521_MAGIC",
    "BCRYPT_ECDH_PUBLIC_GENERIC_MAGIC",
    "BCRYPT_ECDH_PUBLIC_P256_MAGIC",
    "BCRYPT_ECDH_PUBLIC_P384_MAGIC",
    "BCRYPT_ECDH_PUBLIC_P521_MAGIC",
    "BCRYPT_ECDSA_PRIVATE_GENERIC_MAGIC",
    "BCRYPT_ECDSA_PRIVATE_P256_MAGIC",
    "BCRYPT_ECDSA_PRIVATE_P384_MAGIC",
    "BCRYPT_ECDSA_PRIVATE_P521_MAGIC",
    "BCRYPT_ECDSA_PUBLIC_GENERIC_MAGIC",
    "BCRYPT_ECDSA_PUBLIC_P256_MAGIC",
    "BCRYPT_ECDSA_PUBLIC_P384_MAGIC",
    "BCRYPT_ECDSA_PUBLIC_P521_MAGIC",
    "BCRYPT_KEY_DATA_BLOB",
    "BCRYPT_KEY_DATA_BLOB_MAGIC",
    "BCRYPT_KEY_DATA_BLOB_VERSION1",
    "BCRYPT_OPAQUE_KEY_BLOB",
    "BCRYPT_PRIVATE_KEY_BLOB",
    "BCRYPT_PUBLIC_KEY_BLOB",
    "BCRYPT_RSAFULLPRIVATE_BLOB",
    "BCRYPT_RSAFULLPRIVATE_MAGIC",
    "BCRYPT_RSAPRIVATE_BLOB",
    "BCRYPT_RSAPRIVATE_MAGIC",
    "BCRYPT_RSAPUBLIC_BLOB",
    "BCRYPT_RSAPUBLIC_MAGIC",
    "BLOB_TYPES",
    "LEGACY_RSAPRIVATE_BLOB",
    "LEGACY_RSAPUBLIC_BLOB",
    "BlobFamily",
    "BlobType",
    "EccFamily",
    "KeyDataBlob",
    "build_capi_rsa_public",
    "build_ecc_full_public",
    "build_ecc_parameters",
    "build_ecc_public",
    "build_rsa_public",
    "parse_ecc",
    "parse_ecc_parameters",
    "parse_key_data",
    "parse_rsa",
]

BCRYPT_KEY_DATA_BLOB = "KeyDataBlob"
BCRYPT_AES_WRAP_KEY_BLOB = "Rfc3565KeyWrapBlob"
BCRYPT_OPAQUE_KEY_BLOB = "OpaqueKeyBlob"
BCRYPT_PUBLIC_KEY_BLOB = "PUBLICBLOB"
BCRYPT_PRIVATE_KEY_BLOB = "PRIVATEBLOB"
BCRYPT_RSAPUBLIC_BLOB = "RSAPUBLICBLOB"
BCRYPT_RSAPRIVATE_BLOB = "RSAPRIVATEBLOB"
BCRYPT_RSAFULLPRIVATE_BLOB = "RSAFULLPRIVATEBLOB"
LEGACY_RSAPUBLIC_BLOB = "CAPIPUBLICBLOB"
LEGACY_RSAPRIVATE_BLOB = "CAPIPRIVATEBLOB"
BCRYPT_ECCPUBLIC_BLOB = "ECCPUBLICBLOB"
BCRYPT_ECCPRIVATE_BLOB = "ECCPRIVATEBLOB"
BCRYPT_ECCFULLPUBLIC_BLOB = "ECCFULLPUBLICBLOB"
BCRYPT_ECCFULLPRIVATE_BLOB = "ECCFULLPRIVATEBLOB"

BCRYPT_ECC_PARAMETERS_MAGIC = 0x50434345
BCRYPT_KEY_DATA_BLOB_MAGIC = 0x4D42444B
BCRYPT_KEY_DATA_BLOB_VERSION1 = 1
BCRYPT_RSAPUBLIC_MAGIC = 0x31415352
BCRYPT_RSAPRIVATE_MAGIC = 0x32415352
BCRYPT_RSAFULLPRIVATE_MAGIC = 0x33415352
BCRYPT_ECDH_PUBLIC_P256_MAGIC = 0x314B4345
BCRYPT_ECDH_PRIVATE_P256_MAGIC = 0x324B4345
BCRYPT_ECDH_PUBLIC_P384_MAGIC = 0x334B4345
BCRYPT_ECDH_PRIVATE_P384_MAGIC = 0x344B4345
BCRYPT_ECDH_PUBLIC_P521_MAGIC = 0x354B4345
BCRYPT_ECDH_PRIVATE_P521_MAGIC = 0x364B4345
BCRYPT_ECDH_PUBLIC_GENERIC_MAGIC = 0x504B4345
BCRYPT_ECDH_PRIVATE_GENERIC_MAGIC = 0x564B4345
BCRYPT_ECDSA_PUBLIC_P256_MAGIC = 0x31534345
BCRYPT_ECDSA_PRIVATE_P256_MAGIC = 0x32534345
BCRYPT_ECDSA_PUBLIC_P384_MAGIC = 0x33534345
BCRYPT_ECDSA_PRIVATE_P384_MAGIC = 0x34534345
BCRYPT_ECDSA_PUBLIC_P521_MAGIC = 0x35534345
BCRYPT_ECDSA_PRIVATE_P521_MAGIC = 0x36534345
BCRYPT_ECDSA_PUBLIC_GENERIC_MAGIC = 0x50444345
BCRYPT_ECDSA_PRIVATE_GENERIC_MAGIC = 0x56444345

EccFamily: TypeAlias = Literal["ECDSA", "ECDH"]
RsaKey: TypeAlias = RsaPublicKey | RsaPrivateKey
EcKey: TypeAlias = EcPublicKey | EcPrivateKey

_GENERIC = ""
_ECC_MAGICS: Mapping[tuple[EccFamily, bool], Mapping[str, int]] = MappingProxyType(
    {
        ("ECDH", False): {
            "nistP256": BCRYPT_ECDH_PUBLIC_P256_MAGIC,
            "nistP384": BCRYPT_ECDH_PUBLIC_P384_MAGIC,
            "nistP521": BCRYPT_ECDH_PUBLIC_P521_MAGIC,
            _GENERIC: BCRYPT_ECDH_PUBLIC_GENERIC_MAGIC,
        },
        ("ECDH", True): {
            "nistP256": BCRYPT_ECDH_PRIVATE_P256_MAGIC,
            "nistP384": BCRYPT_ECDH_PRIVATE_P384_MAGIC,
            "nistP521": BCRYPT_ECDH_PRIVATE_P521_MAGIC,
            _GENERIC: BCRYPT_ECDH_PRIVATE_GENERIC_MAGIC,
        },
        ("ECDSA", False): {
            "nistP256": BCRYPT_ECDSA_PUBLIC_P256_MAGIC,
            "nistP384": BCRYPT_ECDSA_PUBLIC_P384_MAGIC,
            "nistP521": BCRYPT_ECDSA_PUBLIC_P521_MAGIC,
            _GENERIC: BCRYPT_ECDSA_PUBLIC_GENERIC_MAGIC,
        },
        ("ECDSA", True): {
            "nistP256": BCRYPT_ECDSA_PRIVATE_P256_MAGIC,
            "nistP384": BCRYPT_ECDSA_PRIVATE_P384_MAGIC,
            "nistP521": BCRYPT_ECDSA_PRIVATE_P521_MAGIC,
            _GENERIC: BCRYPT_ECDSA_PRIVATE_GENERIC_MAGIC,
        },
    }
)

_MAGIC = struct.Struct("<I")
_KEY_DATA_HEADER = BCRYPT_KEY_DATA_BLOB_HEADER.layout()
_RSA_HEADER = BCRYPT_RSAKEY_BLOB.layout()
_CAPI_RSA_HEADER = struct.Struct("<BBHI3I")
_ECC_HEADER = BCRYPT_ECCKEY_BLOB.layout()
_ECC_FULL_HEADER = BCRYPT_ECCFULLKEY_BLOB.layout()

_MAX_RSA_EXPONENT_SIZE = 8
# CNG's largest modulus is 16384 bits; without a bound a huge blob would buy minutes of arithmetic.
_MAX_RSA_MODULUS_SIZE = 2048
_CAPI_PUBLICKEYBLOB = 6
_CAPI_PRIVATEKEYBLOB = 7
_CAPI_VERSION = 2
_ECC_FULL_VERSION = 1
_PRIME_SHORT_WEIERSTRASS = 1


@dataclass(frozen=True, slots=True)
class KeyDataBlob:
    """A symmetric key handed over by the caller. key: its octets, never shown in repr."""

    key: bytes = field(repr=False)


def _refuse(message: str, status: NTSTATUS | HRESULT = NTSTATUS.STATUS_INVALID_PARAMETER) -> CngError:
    return CngError(status, message)


def _bad_size(expected: int, blob: bytes) -> CngError:
    return _refuse(f"RSA blob: {expected} bytes expected, {len(blob)} given", HRESULT.NTE_BAD_DATA)


def _numbers(
    blob: bytes, offset: int, sizes: Sequence[int], byteorder: Literal["big", "little"] = "big"
) -> tuple[int, ...]:
    """Consecutive unsigned numbers of `sizes` bytes each, starting at `offset`; the caller has checked the total."""
    numbers = []
    for size in sizes:
        numbers.append(int.from_bytes(blob[offset : offset + size], byteorder))
        offset += size
    return tuple(numbers)


def parse_key_data(blob: bytes) -> KeyDataBlob:
    """Reads BCRYPT_KEY_DATA_BLOB. Bytes after the key are ignored; whether the key length suits is for the algorithm.

    Raises STATUS_BUFFER_TOO_SMALL under 12 bytes, STATUS_INVALID_PARAMETER for a wrong magic, version or cbKeyData.
    """
    if len(blob) < _KEY_DATA_HEADER.size:
        raise _refuse(
            f"KeyDataBlob: a header of {_KEY_DATA_HEADER.size} bytes expected, {len(blob)} bytes given",
            NTSTATUS.STATUS_BUFFER_TOO_SMALL,
        )
    magic, version, size = _KEY_DATA_HEADER.unpack_from(blob)
    if (magic, version) != (BCRYPT_KEY_DATA_BLOB_MAGIC, BCRYPT_KEY_DATA_BLOB_VERSION1):
        raise _refuse(f"KeyDataBlob: magic {magic:#010x} version {version} is not a key data blob of version 1")
    end = _KEY_DATA_HEADER.size + size
    if end > len(blob):
        raise _refuse(f"KeyDataBlob: cbKeyData announces {size} bytes, {len(blob) - _KEY_DATA_HEADER.size} follow")
    return KeyDataBlob(bytes(blob[_KEY_DATA_HEADER.size : end]))


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
        raise _refuse(f"{told(blob_type)} is not a blob type of RSA key import", NTSTATUS.STATUS_NOT_SUPPORTED)
    if blob_type == LEGACY_RSAPRIVATE_BLOB:
        return _parse_capi_private(blob)
    if len(blob) < _RSA_HEADER.size:
        raise _bad_size(_RSA_HEADER.size, blob)
    (magic,) = _MAGIC.unpack_from(blob)
    reader = readers.get(magic)
    if reader is None:
        raise _refuse(f"{blob_type}: wrong magic {magic:#010x}")
    return reader(blob)


def _rsa_layout(blob: bytes, tail: Callable[[int, int, int], tuple[int, ...]]) -> tuple[int, ...]:
    """The numbers e, n and those that `tail` adds; `tail` maps cbModulus, cbPrime1, cbPrime2 to their sizes."""
    _, _, exponent_size, modulus_size, *prime_sizes = _RSA_HEADER.unpack_from(blob)
    if exponent_size > _MAX_RSA_EXPONENT_SIZE:
        raise _refuse(f"RSA blob: public exponent of {exponent_size} bytes, at most 8 expected", HRESULT.NTE_BAD_DATA)
    sizes = (exponent_size, modulus_size, *tail(modulus_size, *prime_sizes))
    expected = _RSA_HEADER.size + sum(sizes)
    if len(blob) != expected:
        raise _bad_size(expected, blob)
    if modulus_size > _MAX_RSA_MODULUS_SIZE:
        raise _refuse(f"RSA blob: modulus of {modulus_size} bytes, at most {_MAX_RSA_MODULUS_SIZE} expected")
    numbers = _numbers(blob, _RSA_HEADER.size, sizes)
    _check_exponent(numbers[0])
    return numbers


def _parse_rsa_public(blob: bytes) -> RsaPublicKey:
    if any(_RSA_HEADER.unpack_from(blob)[4:]):
        raise _refuse("RSAPUBLICBLOB: cbPrime1 and cbPrime2 must be 0", HRESULT.NTE_BAD_DATA)
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
    if (kind, version, magic) != (_CAPI_PRIVATEKEYBLOB, _CAPI_VERSION, BCRYPT_RSAPRIVATE_MAGIC):
        raise _refuse(f"CAPIPRIVATEBLOB: type {kind} version {version} magic {magic:#010x} is not an RSA private key")
    if bits % 16:
        raise _refuse(f"CAPIPRIVATEBLOB: {bits} bits are not whole bytes of both primes", HRESULT.NTE_BAD_DATA)
    full, half = bits // 8, bits // 16
    sizes = (full, half, half, half, half, half, full)
    expected = _CAPI_RSA_HEADER.size + sum(sizes)
    if len(blob) != expected:
        raise _bad_size(expected, blob)
    if full > _MAX_RSA_MODULUS_SIZE:
        raise _refuse(f"CAPIPRIVATEBLOB: {bits} bits, at most {8 * _MAX_RSA_MODULUS_SIZE} expected")
    _check_exponent(exponent)
    modulus, prime1, prime2, *_ = _numbers(blob, _CAPI_RSA_HEADER.size, sizes, "little")
    return _rsa_private(modulus, exponent, prime1, prime2)


def _check_exponent(exponent: int) -> None:
    if exponent < 3 or exponent % 2 == 0:
        raise _refuse("RSA blob: the public exponent must be odd and at least 3")


def _rsa_private(modulus: int, exponent: int, prime1: int, prime2: int) -> RsaPrivateKey:
    """All numbers of RFC 8017, section 3.2, with d modulo lcm(p-1, q-1)."""
    if min(prime1, prime2) < 3 or prime1 * prime2 != modulus:
        raise _refuse("RSA blob: the modulus is not the product of the two primes")
    order1, order2 = prime1 - 1, prime2 - 1
    try:
        private_exponent = pow(exponent, -1, order1 * order2 // gcd(order1, order2))
        coefficient = pow(prime2, -1, prime1)
    except ValueError:
        raise _refuse("RSA blob: the primes do not make a key with this public exponent") from None
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
        raise _refuse("an exponent of over 32 bits has no place in a PUBLICKEYBLOB", NTSTATUS.STATUS_NOT_SUPPORTED)
    bits = bits or key.modulus.bit_length()
    header = (_CAPI_PUBLICKEYBLOB, _CAPI_VERSION, 0, algid, BCRYPT_RSAPUBLIC_MAGIC, bits, key.public_exponent)
    return _CAPI_RSA_HEADER.pack(*header) + key.modulus.to_bytes((bits + 7) // 8, "little")


def parse_ecc(blob: bytes, blob_type: str, *, curve: Curve | None, family: EccFamily, generic: bool) -> EcKey:
    """Reads ECCPUBLICBLOB, ECCPRIVATEBLOB, PUBLICBLOB, PRIVATEBLOB, ECCFULLPUBLICBLOB and ECCFULLPRIVATEBLOB.

    curve: the algorithm's, None where a generic algorithm has no ECCCurveName yet; only a full blob does without.
    generic: whether the algorithm is "ECDSA" or "ECDH" without a size, whose blobs have a magic that names no curve.
    Whether the point is on the curve is not checked here.

    Raises STATUS_INVALID_PARAMETER for a wrong magic, size, version or cbKey, or a full blob of another curve;
    STATUS_NOT_SUPPORTED for another blob type and for explicit parameters of a curve that has no name here.
    """
    row = _ECC_READERS.get(blob_type)
    if row is None:
        raise _refuse(f"{told(blob_type)} is not a blob type of EC key import", NTSTATUS.STATUS_NOT_SUPPORTED)
    private, reader = row
    return reader(blob, private, curve, family, generic)


def _check_magic(blob: bytes, header: struct.Struct, family: EccFamily, private: bool, owner: str) -> None:
    if len(blob) < header.size:
        raise _refuse(f"EC blob: a header of {header.size} bytes expected, {len(blob)} bytes given")
    (magic,) = _MAGIC.unpack_from(blob)
    if magic != _ECC_MAGICS[family, private].get(owner):
        half = "private" if private else "public"
        raise _refuse(
            f"EC blob: magic {magic:#010x} is not that of a {half} {family} key of {owner or 'a named curve'}"
        )


def _parse_ecc_named(blob: bytes, private: bool, curve: Curve | None, family: EccFamily, generic: bool) -> EcKey:
    if curve is None:
        raise _refuse("EC blob: it does not name its curve, and the algorithm has no ECCCurveName")
    _check_magic(blob, _ECC_HEADER, family, private, _GENERIC if generic else curve.name)
    _, size = _ECC_HEADER.unpack_from(blob)
    sizes = (size,) * (3 if private else 2)
    if size != curve.coordinate_size or len(blob) != _ECC_HEADER.size + sum(sizes):
        raise _refuse(f"EC blob: cbKey {size} in {len(blob)} bytes does not fit {curve.name}")
    x, y, *scalar = _numbers(blob, _ECC_HEADER.size, sizes, _byte_order(curve))
    return _ec_key(curve.name, x, y, scalar)


def _byte_order(curve: Curve) -> Literal["big", "little"]:
    return "little" if curve.montgomery else "big"


def _parse_ecc_full(blob: bytes, private: bool, curve: Curve | None, family: EccFamily, generic: bool) -> EcKey:
    _check_magic(blob, _ECC_FULL_HEADER, family, private, _GENERIC)
    name, (x, y, *scalar) = _read_domain(blob, lambda field, order: (field, field, *((order,) if private else ())))
    if curve is not None and curve.name != name:
        raise _refuse(f"ECC full blob: a key of {name}, the algorithm is for {curve.name}")
    return _ec_key(name, x, y, scalar)


def _read_domain(blob: bytes, tail: Callable[[int, int], tuple[int, ...]]) -> tuple[str, tuple[int, ...]]:
    """The name of the curve that BCRYPT_ECC_PARAMETER_HEADER and what comes after it describe, and the numbers behind.

    tail: their sizes in bytes, given those of a field element and of the order.
    """
    _, version, curve_type, _, field_size, order_size, cofactor_size, seed_size = _ECC_FULL_HEADER.unpack_from(blob)
    if version != _ECC_FULL_VERSION:
        raise _refuse(f"ECC parameters: version {version}, 1 expected")
    domain_sizes = (*(field_size,) * 5, order_size, cofactor_size, seed_size)
    sizes = (*domain_sizes, *tail(field_size, order_size))
    if len(blob) != _ECC_FULL_HEADER.size + sum(sizes):
        raise _refuse(f"ECC parameters: {_ECC_FULL_HEADER.size + sum(sizes)} bytes expected, {len(blob)} given")
    numbers = _numbers(blob, _ECC_FULL_HEADER.size, sizes)
    *parameters, cofactor, _seed = numbers[: len(domain_sizes)]
    name = _CURVE_BY_DOMAIN.get(tuple(parameters)) if (curve_type, cofactor) == (_PRIME_SHORT_WEIERSTRASS, 1) else None
    if name is None:
        raise _refuse("ECC parameters: they are of no known curve", NTSTATUS.STATUS_NOT_SUPPORTED)
    return name, numbers[len(domain_sizes) :]


def parse_ecc_parameters(blob: bytes) -> str:
    """The curve's name that an ECCParameters value describes.

    Raises STATUS_INVALID_PARAMETER for a wrong magic, version or size, STATUS_NOT_SUPPORTED for an unknown curve.
    """
    if len(blob) < _ECC_FULL_HEADER.size or _MAGIC.unpack_from(blob)[0] != BCRYPT_ECC_PARAMETERS_MAGIC:
        raise _refuse("ECCParameters begin with BCRYPT_ECC_PARAMETER_HEADER")
    return _read_domain(blob, lambda _field, _order: ())[0]


def build_ecc_parameters(name: str) -> bytes:
    """ECCParameters of a curve, without the seed of its generation. Raises STATUS_NOT_SUPPORTED for curve25519."""
    return _domain_octets(BCRYPT_ECC_PARAMETERS_MAGIC, name)


def _ec_key(name: str, x: int, y: int, scalar: Sequence[int]) -> EcKey:
    public = EcPublicKey(name, x, y)
    return EcPrivateKey(public, scalar[0]) if scalar else public


_CURVE_BY_DOMAIN: Mapping[tuple[int, ...], str] = MappingProxyType(
    {(domain.p, domain.a, domain.b, domain.gx, domain.gy, domain.n): name for name, domain in DOMAINS.items()}
)

_EccReader: TypeAlias = Callable[[bytes, bool, "Curve | None", EccFamily, bool], EcKey]
_ECC_READERS: Mapping[str, tuple[bool, _EccReader]] = MappingProxyType(
    {
        BCRYPT_ECCPUBLIC_BLOB: (False, _parse_ecc_named),
        BCRYPT_ECCPRIVATE_BLOB: (True, _parse_ecc_named),
        BCRYPT_PUBLIC_KEY_BLOB: (False, _parse_ecc_named),
        BCRYPT_PRIVATE_KEY_BLOB: (True, _parse_ecc_named),
        BCRYPT_ECCFULLPUBLIC_BLOB: (False, _parse_ecc_full),
        BCRYPT_ECCFULLPRIVATE_BLOB: (True, _parse_ecc_full),
    }
)


def build_ecc_public(key: EcPublicKey, family: EccFamily, generic: bool) -> bytes:
    """ECCPUBLICBLOB. Raises STATUS_NOT_SUPPORTED where the curve has no magic of its own and `generic` is False."""
    magic = _ECC_MAGICS[family, False].get(_GENERIC if generic else key.curve)
    if magic is None:
        raise _refuse(f"{key.curve} has no ECCPUBLICBLOB of its own", NTSTATUS.STATUS_NOT_SUPPORTED)
    size, order = CURVES[key.curve].coordinate_size, _byte_order(CURVES[key.curve])
    return _ECC_HEADER.pack(magic, size) + key.x.to_bytes(size, order) + key.y.to_bytes(size, order)


def build_ecc_full_public(key: EcPublicKey, family: EccFamily) -> bytes:
    """ECCFULLPUBLICBLOB, without the seed of the curve's generation."""
    size = CURVES[key.curve].coordinate_size
    point = key.x.to_bytes(size, "big") + key.y.to_bytes(size, "big")
    return _domain_octets(_ECC_MAGICS[family, False][_GENERIC], key.curve) + point


def _domain_octets(magic: int, name: str) -> bytes:
    if name not in DOMAINS:
        raise _refuse(f"{name} is not described by its parameters", NTSTATUS.STATUS_NOT_SUPPORTED)
    domain, size = DOMAINS[name], CURVES[name].coordinate_size
    numbers = (domain.p, domain.a, domain.b, domain.gx, domain.gy, domain.n)
    header = _ECC_FULL_HEADER.pack(magic, _ECC_FULL_VERSION, _PRIME_SHORT_WEIERSTRASS, 0, size, size, 1, 0)
    return header + b"".join(number.to_bytes(size, "big") for number in numbers) + b"\x01"


class BlobFamily(Enum):
    """Whose key a blob holds. PAIR: of the pair algorithm that it is imported for."""

    SYMMETRIC = "symmetric"
    RSA = "RSA"
    ECC = "ECC"
    DH = "DH"
    DSA = "DSA"
    ML_DSA = "ML-DSA"
    ML_KEM = "ML-KEM"
    PAIR = "pair"


@dataclass(frozen=True, slots=True)
class BlobType:
    """One blob type. private: whether it holds a secret. A PAIR blob is read as the algorithm says."""

    name: str
    family: BlobFamily
    private: bool


BLOB_TYPES: Mapping[str, BlobType] = MappingProxyType(
    {
        row.name: row
        for row in (
            BlobType(BCRYPT_KEY_DATA_BLOB, BlobFamily.SYMMETRIC, True),
            BlobType(BCRYPT_AES_WRAP_KEY_BLOB, BlobFamily.SYMMETRIC, True),
            BlobType(BCRYPT_OPAQUE_KEY_BLOB, BlobFamily.SYMMETRIC, True),
            BlobType(BCRYPT_PUBLIC_KEY_BLOB, BlobFamily.PAIR, False),
            BlobType(BCRYPT_PRIVATE_KEY_BLOB, BlobFamily.PAIR, True),
            BlobType(BCRYPT_RSAPUBLIC_BLOB, BlobFamily.RSA, False),
            BlobType(BCRYPT_RSAPRIVATE_BLOB, BlobFamily.RSA, True),
            BlobType(BCRYPT_RSAFULLPRIVATE_BLOB, BlobFamily.RSA, True),
            BlobType(LEGACY_RSAPUBLIC_BLOB, BlobFamily.RSA, False),
            BlobType(LEGACY_RSAPRIVATE_BLOB, BlobFamily.RSA, True),
            BlobType(BCRYPT_ECCPUBLIC_BLOB, BlobFamily.ECC, False),
            BlobType(BCRYPT_ECCPRIVATE_BLOB, BlobFamily.ECC, True),
            BlobType(BCRYPT_ECCFULLPUBLIC_BLOB, BlobFamily.ECC, False),
            BlobType(BCRYPT_ECCFULLPRIVATE_BLOB, BlobFamily.ECC, True),
            BlobType(BCRYPT_DH_PUBLIC_BLOB, BlobFamily.DH, False),
            BlobType(BCRYPT_DH_PRIVATE_BLOB, BlobFamily.DH, True),
            BlobType(LEGACY_DH_PUBLIC_BLOB, BlobFamily.DH, False),
            BlobType(LEGACY_DH_PRIVATE_BLOB, BlobFamily.DH, True),
            BlobType(BCRYPT_DSA_PUBLIC_BLOB, BlobFamily.DSA, False),
            BlobType(BCRYPT_DSA_PRIVATE_BLOB, BlobFamily.DSA, True),
            BlobType(LEGACY_DSA_PUBLIC_BLOB, BlobFamily.DSA, False),
            BlobType(LEGACY_DSA_PRIVATE_BLOB, BlobFamily.DSA, True),
            BlobType(LEGACY_DSA_V2_PUBLIC_BLOB, BlobFamily.DSA, False),
            BlobType(LEGACY_DSA_V2_PRIVATE_BLOB, BlobFamily.DSA, True),
            BlobType(BCRYPT_PQDSA_PUBLIC_BLOB, BlobFamily.ML_DSA, False),
            BlobType(BCRYPT_PQDSA_PRIVATE_BLOB, BlobFamily.ML_DSA, True),
            BlobType(BCRYPT_PQDSA_PRIVATE_SEED_BLOB, BlobFamily.ML_DSA, True),
            BlobType(BCRYPT_MLKEM_PUBLIC_BLOB, BlobFamily.ML_KEM, False),
            BlobType(BCRYPT_MLKEM_PRIVATE_BLOB, BlobFamily.ML_KEM, True),
            BlobType(BCRYPT_MLKEM_PRIVATE_SEED_BLOB, BlobFamily.ML_KEM, True),
        )
    }
)
