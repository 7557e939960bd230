"""Pairs on elliptic curves: ECDSA (FIPS 186-5) and ECDH (SP 800-56A r3), with a curve of their own or a named one.

Blobs: bcrypt.h (BCRYPT_ECCKEY_BLOB, BCRYPT_ECCFULLKEY_BLOB); SEC 2, SP 800-186, RFC 5639 (curves). Header fields are
little-endian, 32 bits; numbers are big-endian, save for curve25519, where they are little-endian. Private blobs are
read, never written.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Literal, TypeAlias

from hwcng.cng.algorithm import AGREEMENT, SIGNATURE, Algorithm
from hwcng.cng.blobs.blob_type import blob_types
from hwcng.cng.blobs.fields import numbers
from hwcng.cng.families.base import PairFamily
from hwcng.cng.families.request import PairRequest, Traits
from hwcng.contract.keys import PrivateKey
from hwcng.contract.material import EcPrivateKey, EcPublicKey
from hwcng.contract.specs import EcdsaSpec, PairSpec, SignSpec
from hwcng.contract.usage import Usage
from hwcng.errors import invalid_parameter, not_supported, told
from hwcng.headers import bcrypt_h
from hwcng.headers.records import BCRYPT_ECCFULLKEY_BLOB, BCRYPT_ECCKEY_BLOB, KeyLengths
from hwcng.hostcrypto import curve25519, ecc
from hwcng.standards.curves import CURVES, DOMAINS, Curve

__all__ = [
    "EcFamily",
    "EccFamily",
    "build_ecc_full_public",
    "build_ecc_parameters",
    "build_ecc_public",
    "parse_ecc",
    "parse_ecc_parameters",
]

_ECDSA = EcdsaSpec()


_NIST_BITS = (256, 384, 521)


def _row(name: EccFamily, interfaces: tuple[bcrypt_h.Interface, ...], bits: int) -> Algorithm:
    lengths = KeyLengths(bits, bits, 0)
    return Algorithm(f"{name}_P{bits}", interfaces, name, lengths, curve=f"nistP{bits}", family="EC")


def _ecc_family(algorithm: Algorithm) -> EccFamily:
    return "ECDH" if algorithm.agrees else "ECDSA"


def _build(algorithm: Algorithm, public: EcPublicKey) -> bytes:
    return build_ecc_public(public, _ecc_family(algorithm), algorithm.generic_curve)


EccFamily: TypeAlias = Literal["ECDSA", "ECDH"]
EcKey: TypeAlias = EcPublicKey | EcPrivateKey
_GENERIC = ""
_ECC_MAGICS: Mapping[tuple[EccFamily, bool], Mapping[str, int]] = MappingProxyType(
    {
        ("ECDH", False): {
            "nistP256": bcrypt_h.BCRYPT_ECDH_PUBLIC_P256_MAGIC,
            "nistP384": bcrypt_h.BCRYPT_ECDH_PUBLIC_P384_MAGIC,
            "nistP521": bcrypt_h.BCRYPT_ECDH_PUBLIC_P521_MAGIC,
            _GENERIC: bcrypt_h.BCRYPT_ECDH_PUBLIC_GENERIC_MAGIC,
        },
        ("ECDH", True): {
            "nistP256": bcrypt_h.BCRYPT_ECDH_PRIVATE_P256_MAGIC,
            "nistP384": bcrypt_h.BCRYPT_ECDH_PRIVATE_P384_MAGIC,
            "nistP521": bcrypt_h.BCRYPT_ECDH_PRIVATE_P521_MAGIC,
            _GENERIC: bcrypt_h.BCRYPT_ECDH_PRIVATE_GENERIC_MAGIC,
        },
        ("ECDSA", False): {
            "nistP256": bcrypt_h.BCRYPT_ECDSA_PUBLIC_P256_MAGIC,
            "nistP384": bcrypt_h.BCRYPT_ECDSA_PUBLIC_P384_MAGIC,
            "nistP521": bcrypt_h.BCRYPT_ECDSA_PUBLIC_P521_MAGIC,
            _GENERIC: bcrypt_h.BCRYPT_ECDSA_PUBLIC_GENERIC_MAGIC,
        },
        ("ECDSA", True): {
            "nistP256": bcrypt_h.BCRYPT_ECDSA_PRIVATE_P256_MAGIC,
            "nistP384": bcrypt_h.BCRYPT_ECDSA_PRIVATE_P384_MAGIC,
            "nistP521": bcrypt_h.BCRYPT_ECDSA_PRIVATE_P521_MAGIC,
            _GENERIC: bcrypt_h.BCRYPT_ECDSA_PRIVATE_GENERIC_MAGIC,
        },
    }
)
_MAGIC = struct.Struct("<I")
_ECC_HEADER = BCRYPT_ECCKEY_BLOB.layout()
_ECC_FULL_HEADER = BCRYPT_ECCFULLKEY_BLOB.layout()
_ECC_FULL_VERSION = 1
_PRIME_SHORT_WEIERSTRASS = 1


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
        raise not_supported(f"{told(blob_type)} is not a blob type of EC key import")
    private, reader = row
    return reader(blob, private, curve, family, generic)


def _check_magic(blob: bytes, header: struct.Struct, family: EccFamily, private: bool, owner: str) -> None:
    if len(blob) < header.size:
        raise invalid_parameter(f"EC blob: a header of {header.size} bytes expected, {len(blob)} bytes given")
    (magic,) = _MAGIC.unpack_from(blob)
    if magic != _ECC_MAGICS[family, private].get(owner):
        half = "private" if private else "public"
        raise invalid_parameter(
            f"EC blob: magic {magic:#010x} is not that of a {half} {family} key of {owner or 'a named curve'}"
        )


def _parse_ecc_named(blob: bytes, private: bool, curve: Curve | None, family: EccFamily, generic: bool) -> EcKey:
    if curve is None:
        raise invalid_parameter("EC blob: it does not name its curve, and the algorithm has no ECCCurveName")
    _check_magic(blob, _ECC_HEADER, family, private, _GENERIC if generic else curve.name)
    _, size = _ECC_HEADER.unpack_from(blob)
    sizes = (size,) * (3 if private else 2)
    if size != curve.coordinate_size or len(blob) != _ECC_HEADER.size + sum(sizes):
        raise invalid_parameter(f"EC blob: cbKey {size} in {len(blob)} bytes does not fit {curve.name}")
    x, y, *scalar = numbers(blob, _ECC_HEADER.size, sizes, _byte_order(curve))
    return _ec_key(curve.name, x, y, scalar)


def _byte_order(curve: Curve) -> Literal["big", "little"]:
    return "little" if curve.montgomery else "big"


def _parse_ecc_full(blob: bytes, private: bool, curve: Curve | None, family: EccFamily, generic: bool) -> EcKey:
    _check_magic(blob, _ECC_FULL_HEADER, family, private, _GENERIC)
    name, (x, y, *scalar) = _read_domain(blob, lambda field, order: (field, field, *((order,) if private else ())))
    if curve is not None and curve.name != name:
        raise invalid_parameter(f"ECC full blob: a key of {name}, the algorithm is for {curve.name}")
    return _ec_key(name, x, y, scalar)


def _read_domain(blob: bytes, tail: Callable[[int, int], tuple[int, ...]]) -> tuple[str, tuple[int, ...]]:
    """The name of the curve that BCRYPT_ECC_PARAMETER_HEADER and what comes after it describe, and the numbers behind.

    tail: their sizes in bytes, given those of a field element and of the order.
    """
    _, version, curve_type, _, field_size, order_size, cofactor_size, seed_size = _ECC_FULL_HEADER.unpack_from(blob)
    if version != _ECC_FULL_VERSION:
        raise invalid_parameter(f"ECC parameters: version {version}, 1 expected")
    domain_sizes = (*(field_size,) * 5, order_size, cofactor_size, seed_size)
    sizes = (*domain_sizes, *tail(field_size, order_size))
    if len(blob) != _ECC_FULL_HEADER.size + sum(sizes):
        raise invalid_parameter(
            f"ECC parameters: {_ECC_FULL_HEADER.size + sum(sizes)} bytes expected, {len(blob)} given"
        )
    read = numbers(blob, _ECC_FULL_HEADER.size, sizes)
    *parameters, cofactor, _seed = read[: len(domain_sizes)]
    name = _CURVE_BY_DOMAIN.get(tuple(parameters)) if (curve_type, cofactor) == (_PRIME_SHORT_WEIERSTRASS, 1) else None
    if name is None:
        raise not_supported("ECC parameters: they are of no known curve")
    return name, read[len(domain_sizes) :]


def parse_ecc_parameters(blob: bytes) -> str:
    """The curve's name that an ECCParameters value describes.

    Raises STATUS_INVALID_PARAMETER for a wrong magic, version or size, STATUS_NOT_SUPPORTED for an unknown curve.
    """
    if len(blob) < _ECC_FULL_HEADER.size or _MAGIC.unpack_from(blob)[0] != bcrypt_h.BCRYPT_ECC_PARAMETERS_MAGIC:
        raise invalid_parameter("ECCParameters begin with BCRYPT_ECC_PARAMETER_HEADER")
    return _read_domain(blob, lambda _field, _order: ())[0]


def build_ecc_parameters(name: str) -> bytes:
    """ECCParameters of a curve, without the seed of its generation. Raises STATUS_NOT_SUPPORTED for curve25519."""
    return _domain_octets(bcrypt_h.BCRYPT_ECC_PARAMETERS_MAGIC, name)


def _ec_key(name: str, x: int, y: int, scalar: Sequence[int]) -> EcKey:
    public = EcPublicKey(name, x, y)
    return EcPrivateKey(public, scalar[0]) if scalar else public


_CURVE_BY_DOMAIN: Mapping[tuple[int, ...], str] = MappingProxyType(
    {(domain.p, domain.a, domain.b, domain.gx, domain.gy, domain.n): name for name, domain in DOMAINS.items()}
)
_EccReader: TypeAlias = Callable[[bytes, bool, "Curve | None", EccFamily, bool], EcKey]
_ECC_READERS: Mapping[str, tuple[bool, _EccReader]] = MappingProxyType(
    {
        bcrypt_h.BCRYPT_ECCPUBLIC_BLOB: (False, _parse_ecc_named),
        bcrypt_h.BCRYPT_ECCPRIVATE_BLOB: (True, _parse_ecc_named),
        bcrypt_h.BCRYPT_PUBLIC_KEY_BLOB: (False, _parse_ecc_named),
        bcrypt_h.BCRYPT_PRIVATE_KEY_BLOB: (True, _parse_ecc_named),
        bcrypt_h.BCRYPT_ECCFULLPUBLIC_BLOB: (False, _parse_ecc_full),
        bcrypt_h.BCRYPT_ECCFULLPRIVATE_BLOB: (True, _parse_ecc_full),
    }
)


def build_ecc_public(key: EcPublicKey, family: EccFamily, generic: bool) -> bytes:
    """ECCPUBLICBLOB. Raises STATUS_NOT_SUPPORTED where the curve has no magic of its own and `generic` is False."""
    magic = _ECC_MAGICS[family, False].get(_GENERIC if generic else key.curve)
    if magic is None:
        raise not_supported(f"{key.curve} has no ECCPUBLICBLOB of its own")
    size, order = CURVES[key.curve].coordinate_size, _byte_order(CURVES[key.curve])
    return _ECC_HEADER.pack(magic, size) + key.x.to_bytes(size, order) + key.y.to_bytes(size, order)


def build_ecc_full_public(key: EcPublicKey, family: EccFamily) -> bytes:
    """ECCFULLPUBLICBLOB, without the seed of the curve's generation."""
    size = CURVES[key.curve].coordinate_size
    point = key.x.to_bytes(size, "big") + key.y.to_bytes(size, "big")
    return _domain_octets(_ECC_MAGICS[family, False][_GENERIC], key.curve) + point


def _domain_octets(magic: int, name: str) -> bytes:
    if name not in DOMAINS:
        raise not_supported(f"{name} is not described by its parameters")
    domain, size = DOMAINS[name], CURVES[name].coordinate_size
    coordinates = (domain.p, domain.a, domain.b, domain.gx, domain.gy, domain.n)
    header = _ECC_FULL_HEADER.pack(magic, _ECC_FULL_VERSION, _PRIME_SHORT_WEIERSTRASS, 0, size, size, 1, 0)
    return header + b"".join(number.to_bytes(size, "big") for number in coordinates) + b"\x01"


@lru_cache(maxsize=64)
def _spec(kind: str, usage: Usage, curve: str, exportable: bool) -> PairSpec:
    return PairSpec(kind, usage, curve=curve, exportable=exportable)


class EcFamily(PairFamily[EcPublicKey]):
    kind = "EC"
    public_type = EcPublicKey
    algorithms = (
        *(_row("ECDSA", SIGNATURE, bits) for bits in _NIST_BITS),
        *(_row("ECDH", AGREEMENT, bits) for bits in _NIST_BITS),
        Algorithm("ECDSA", SIGNATURE, "ECDSA", generic_curve=True, family="EC"),
        Algorithm("ECDH", AGREEMENT, "ECDH", generic_curve=True, family="EC"),
    )
    blob_types = blob_types(
        "EC",
        public=(bcrypt_h.BCRYPT_ECCPUBLIC_BLOB, bcrypt_h.BCRYPT_ECCFULLPUBLIC_BLOB),
        private=(bcrypt_h.BCRYPT_ECCPRIVATE_BLOB, bcrypt_h.BCRYPT_ECCFULLPRIVATE_BLOB),
    )
    magics = MappingProxyType(
        {
            magic: f"{family}_{curve.removeprefix('nist')}" if curve else family
            for (family, _), row in _ECC_MAGICS.items()
            for curve, magic in row.items()
        }
    )
    builders = MappingProxyType(
        {
            bcrypt_h.BCRYPT_ECCFULLPUBLIC_BLOB: lambda algorithm, public: build_ecc_full_public(
                public, _ecc_family(algorithm)
            ),
            **dict.fromkeys((bcrypt_h.BCRYPT_ECCPUBLIC_BLOB, bcrypt_h.BCRYPT_PUBLIC_KEY_BLOB), _build),
        }
    )

    def algorithm_of_pkcs8(self, public: EcPublicKey) -> str | None:
        if CURVES[public.curve].montgomery:
            return None
        return next((row.name for row in self.algorithms if row.signs and row.curve == public.curve), "ECDSA")

    def group(self, algorithm: Algorithm) -> str:
        return algorithm.offered_as

    def check_length(self, algorithm: Algorithm, curve: Curve | None, bits: int) -> None:
        if curve is not None and bits == curve.bits:
            return
        if not algorithm.generic_curve:
            super().check_length(algorithm, curve, bits)
        elif curve is not None and bits:
            raise invalid_parameter(f"{algorithm.name} has no keys of {bits} bits on {curve.name}")

    def bits(self, public: EcPublicKey) -> int:
        return CURVES[public.curve].bits

    def strength(self, public: EcPublicKey) -> int:
        return CURVES[public.curve].order_bits

    def planned_strength(self, request: PairRequest) -> int:
        return request.curve.order_bits if request.curve is not None else 0

    def planned_signature_length(self, request: PairRequest) -> int:
        return 2 * request.curve.coordinate_size if request.curve is not None else 0

    def usage(self, algorithm: Algorithm) -> Usage:
        return Usage.DERIVE if algorithm.agrees else Usage.SIGN

    def spec(self, request: PairRequest, public: EcPublicKey | None = None) -> PairSpec:
        if public is not None:
            name = public.curve
        elif request.curve is None:
            raise invalid_parameter(f"{request.algorithm.name} needs a curve: set ECCCurveName")
        else:
            self.check_length(request.algorithm, request.curve, request.requested_bits)
            name = request.curve.name
        return _spec(self.kind, request.usage, name, request.exportable)

    def traits(self, public: EcPublicKey) -> Traits:
        return Traits(curve=CURVES[public.curve])

    def sign_spec(self, algorithm: Algorithm, padding_info: object, flags: int) -> SignSpec:
        if algorithm.agrees:
            return super().sign_spec(algorithm, padding_info, flags)
        if padding_info is not None or flags:
            raise invalid_parameter("ECDSA takes neither pPaddingInfo nor flags")
        return _ECDSA

    def signable(self, public: EcPublicKey, spec: SignSpec, data: bytes) -> bytes:
        if not data:
            raise invalid_parameter("the digest is empty")
        # ECDSA uses the leftmost bits, as many as the order has (FIPS 186-5, section 6.4.1).
        return data[: CURVES[public.curve].coordinate_size]

    def signer(self, public: EcPublicKey, private: PrivateKey, spec: SignSpec) -> Callable[[bytes], bytes]:
        sign, width = self.signing(private, spec), CURVES[public.curve].coordinate_size
        return lambda data: sign(data[:width] or self.signable(public, spec, data))

    def verify(self, public: EcPublicKey, spec: SignSpec, data: bytes, signature: bytes, *, optional_oid: bool) -> None:
        ecc.verify(public, spec, data, signature)

    def check_peer(self, ours: EcPublicKey, theirs: EcPublicKey) -> str:
        if ours.curve != theirs.curve:
            raise invalid_parameter("the two keys are not on the same curve")
        return ours.curve

    def signature_length(self, public: EcPublicKey) -> int:
        return 2 * CURVES[public.curve].coordinate_size

    def parse(self, request: PairRequest, blob_type: str, blob: bytes) -> EcPublicKey | EcPrivateKey:
        algorithm = request.algorithm
        material = parse_ecc(
            blob, blob_type, curve=request.curve, family=_ecc_family(algorithm), generic=algorithm.generic_curve
        )
        if request.curve is not None and request.curve.montgomery:
            return curve25519.checked(material)
        if isinstance(material, EcPrivateKey):
            return ecc.completed(material)
        ecc.check_public(material)
        return material
