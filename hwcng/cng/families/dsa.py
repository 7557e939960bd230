"""DSA pairs: FIPS 186-2 with primes of up to 1024 bits, FIPS 186-3 with longer ones.

Blobs and DSAParameters: bcrypt.h (BCRYPT_DSA_KEY_BLOB, BCRYPT_DSA_KEY_BLOB_V2 and the headers of their parameters) and
the private blobs of wincrypt.h (DSSPUBKEY, DSSPRIVKEY_VER3). Version 1 is for primes of up to 1024 bits. Header fields
are little-endian, 32 bits, save the count; count and numbers are big-endian, in wincrypt.h's little-endian. Private
blobs are read, never written.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

from hwcng.cng.algorithm import SIGNATURE, Algorithm
from hwcng.cng.blobs.blob_type import blob_types
from hwcng.cng.blobs.fields import Fields
from hwcng.cng.blobs.wincrypt import read_private_header, seed_of
from hwcng.cng.families.finite_field import Domains, FiniteFieldFamily
from hwcng.cng.families.request import PairRequest
from hwcng.contract.material import DsaDomain, DsaPrivateKey, DsaPublicKey
from hwcng.contract.specs import DsaSpec, PairSpec, SignSpec
from hwcng.contract.usage import Usage
from hwcng.errors import invalid_parameter
from hwcng.headers.bcrypt_h import (
    BCRYPT_DSA_PARAMETERS,
    BCRYPT_DSA_PARAMETERS_MAGIC,
    BCRYPT_DSA_PARAMETERS_MAGIC_V2,
    BCRYPT_DSA_PRIVATE_BLOB,
    BCRYPT_DSA_PRIVATE_MAGIC,
    BCRYPT_DSA_PRIVATE_MAGIC_V2,
    BCRYPT_DSA_PUBLIC_BLOB,
    BCRYPT_DSA_PUBLIC_MAGIC,
    BCRYPT_DSA_PUBLIC_MAGIC_V2,
    BCRYPT_PRIVATE_KEY_BLOB,
    BCRYPT_PUBLIC_KEY_BLOB,
    DSA_FIPS186_3,
    DSA_HASH_ALGORITHM_SHA1,
    DSA_HASH_ALGORITHM_SHA256,
    DSA_HASH_ALGORITHM_SHA512,
    LEGACY_DSA_PRIVATE_BLOB,
    LEGACY_DSA_PUBLIC_BLOB,
    LEGACY_DSA_V2_PRIVATE_BLOB,
    LEGACY_DSA_V2_PUBLIC_BLOB,
)
from hwcng.headers.records import KeyLengths
from hwcng.hostcrypto.domains import check_dsa_domain, dsa_domain, subprime_size
from hwcng.hostcrypto.finite_field import check_dsa, dsa_private, group_size, verify_dsa

__all__ = ["DsaFamily", "parse_capi_dsa_private", "parse_dsa", "parse_dsa_parameters"]

_CAPI_DSS2_MAGIC = 0x32535344
_CAPI_DSS4_MAGIC = 0x34535344
_HASHES: Mapping[int, str] = MappingProxyType(
    {DSA_HASH_ALGORITHM_SHA1: "SHA1", DSA_HASH_ALGORITHM_SHA256: "SHA256", DSA_HASH_ALGORITHM_SHA512: "SHA512"}
)
_HASH_NUMBERS = {name: number for number, name in _HASHES.items()}
_KEY_HEADER = struct.Struct("<2I")
_PARAMETERS_HEADER = struct.Struct("<3I")
_COUNTER = struct.Struct("<I")
_V2_HEADER = struct.Struct("<4I")
_COUNT_SIZE = 4
_V1_SIZE = 20
"""Bytes of version 1's seed and subprime."""
_LONGEST_V1 = 128
_GROUP_SIZES = (20, 28, 32)
_ABSENT = b"\xff"
"""What the octets of a missing count and seed are."""


def _read_domain(fields: Fields, size: int, v2: bool) -> tuple[DsaDomain, int]:
    """The domain parameters that begin after cbKey, and the bytes of a private exponent."""
    if v2 is not (size > _LONGEST_V1):
        raise invalid_parameter(f"DSA: a prime of {size} bytes is not for version {2 if v2 else 1}")
    hash_name, group_size, seed_size = "SHA1", _V1_SIZE, _V1_SIZE
    if v2:
        hash_number, standard, seed_size, group_size = _V2_HEADER.unpack(fields.octets(_V2_HEADER.size))
        if hash_number not in _HASHES or standard != DSA_FIPS186_3 or group_size not in _GROUP_SIZES:
            raise invalid_parameter(
                f"DSA: hashAlgorithm {hash_number}, standardVersion {standard}, cbGroupSize {group_size}"
            )
        hash_name = _HASHES[hash_number]
    count, seed = fields.octets(_COUNT_SIZE), fields.octets(seed_size)
    q, p, g = fields.number(group_size), fields.modulus(size), fields.number(size)
    if (count, seed) == (_ABSENT * _COUNT_SIZE, _ABSENT * group_size):
        return DsaDomain(p, q, g, hash_name=hash_name), group_size
    return DsaDomain(p, q, g, seed, int.from_bytes(count, "big"), hash_name), group_size


def _domain_octets(domain: DsaDomain) -> bytes:
    """What `_read_domain` reads."""
    size, group_size = (domain.prime.bit_length() + 7) // 8, (domain.subprime.bit_length() + 7) // 8
    seed = _ABSENT * group_size if domain.seed is None else domain.seed
    header = b""
    if size > _LONGEST_V1:
        hash_name = domain.hash_name or ("SHA1" if group_size == _V1_SIZE else "SHA256")
        header = _V2_HEADER.pack(_HASH_NUMBERS[hash_name], DSA_FIPS186_3, len(seed), group_size)
    count = _ABSENT * _COUNT_SIZE if domain.counter is None else domain.counter.to_bytes(_COUNT_SIZE, "big")
    q = domain.subprime.to_bytes(group_size, "big")
    numbers = domain.prime.to_bytes(size, "big") + domain.generator.to_bytes(size, "big")
    return header + count + seed + q + numbers


def parse_dsa(blob: bytes, private: bool) -> DsaPublicKey | DsaPrivateKey:
    """Reads DSAPUBLICBLOB or DSAPRIVATEBLOB. Raises STATUS_INVALID_PARAMETER for a wrong magic or size."""
    if len(blob) < _KEY_HEADER.size:
        raise invalid_parameter(f"DSA blob: a header expected, {len(blob)} bytes given")
    magic, size = _KEY_HEADER.unpack_from(blob)
    v1, v2 = (
        (BCRYPT_DSA_PRIVATE_MAGIC, BCRYPT_DSA_PRIVATE_MAGIC_V2)
        if private
        else (BCRYPT_DSA_PUBLIC_MAGIC, BCRYPT_DSA_PUBLIC_MAGIC_V2)
    )
    if magic not in (v1, v2):
        raise invalid_parameter(f"DSA blob: magic {magic:#010x}, {v1:#010x} or {v2:#010x} expected")
    fields = Fields(blob, _KEY_HEADER.size)
    domain, group_size = _read_domain(fields, size, magic == v2)
    public = DsaPublicKey(domain, fields.number(size))
    key = DsaPrivateKey(public, fields.number(group_size)) if private else public
    fields.end()
    return key


def build_dsa_public(key: DsaPublicKey) -> bytes:
    """DSAPUBLICBLOB."""
    size = (key.domain.prime.bit_length() + 7) // 8
    magic = BCRYPT_DSA_PUBLIC_MAGIC_V2 if size > _LONGEST_V1 else BCRYPT_DSA_PUBLIC_MAGIC
    return _KEY_HEADER.pack(magic, size) + _domain_octets(key.domain) + key.value.to_bytes(size, "big")


def parse_dsa_parameters(blob: bytes) -> DsaDomain:
    """A value of DSAParameters. Raises STATUS_INVALID_PARAMETER for a wrong magic or size."""
    if len(blob) < _PARAMETERS_HEADER.size:
        raise invalid_parameter("DSAParameters begin with BCRYPT_DSA_PARAMETER_HEADER or its version 2")
    length, magic, size = _PARAMETERS_HEADER.unpack_from(blob)
    if length != len(blob) or magic not in (BCRYPT_DSA_PARAMETERS_MAGIC, BCRYPT_DSA_PARAMETERS_MAGIC_V2):
        raise invalid_parameter(f"DSAParameters: cbLength {length} and magic {magic:#010x} in {len(blob)} bytes")
    fields = Fields(blob, _PARAMETERS_HEADER.size)
    domain, _ = _read_domain(fields, size, magic == BCRYPT_DSA_PARAMETERS_MAGIC_V2)
    fields.end()
    return domain


def build_dsa_parameters(domain: DsaDomain) -> bytes:
    size, body = (domain.prime.bit_length() + 7) // 8, _domain_octets(domain)
    magic = BCRYPT_DSA_PARAMETERS_MAGIC_V2 if size > _LONGEST_V1 else BCRYPT_DSA_PARAMETERS_MAGIC
    return _PARAMETERS_HEADER.pack(_PARAMETERS_HEADER.size + len(body), magic, size) + body


def parse_capi_dsa_private(blob: bytes) -> DsaPrivateKey:
    """CAPIDSAPRIVATEBLOB or V2CAPIDSAPRIVATEBLOB, of version 2 or 3; the public value is computed.

    Raises STATUS_INVALID_PARAMETER for a wrong type, version, magic or size.
    """
    header, fields = read_private_header(blob, _CAPI_DSS2_MAGIC, _CAPI_DSS4_MAGIC, LEGACY_DSA_PRIVATE_BLOB)
    size, subprime_size = header.prime_size, header.subprime_size
    p = fields.modulus(size)
    if subprime_size is None:
        q, g, x = fields.number(_V1_SIZE), fields.number(size), fields.number(_V1_SIZE)
        seeded = seed_of(_COUNTER.unpack(fields.octets(_COUNT_SIZE))[0], fields.octets(_V1_SIZE))
    else:
        q, g = fields.number(subprime_size), fields.number(size)
        fields.number(header.cofactor_size)
        fields.number(size)
        x, seeded = fields.number(header.exponent_size), header.seed
    fields.end()
    hash_name = "SHA1" if q.bit_length() <= 8 * _V1_SIZE else "SHA256"
    seed, counter = seeded or (None, None)
    return DsaPrivateKey(DsaPublicKey(DsaDomain(p, q, g, seed, counter, hash_name), pow(g, x, p)), x)


class DsaFamily(FiniteFieldFamily[DsaPublicKey]):
    kind = "DSA"
    public_type = DsaPublicKey
    algorithms = (Algorithm("DSA", SIGNATURE, "DSA", KeyLengths(512, 3072, 64), family="DSA"),)
    blob_types = blob_types(
        "DSA",
        public=(BCRYPT_DSA_PUBLIC_BLOB, LEGACY_DSA_PUBLIC_BLOB, LEGACY_DSA_V2_PUBLIC_BLOB),
        private=(BCRYPT_DSA_PRIVATE_BLOB, LEGACY_DSA_PRIVATE_BLOB, LEGACY_DSA_V2_PRIVATE_BLOB),
    )
    magics = MappingProxyType(
        dict.fromkeys(
            (
                BCRYPT_DSA_PUBLIC_MAGIC,
                BCRYPT_DSA_PRIVATE_MAGIC,
                BCRYPT_DSA_PUBLIC_MAGIC_V2,
                BCRYPT_DSA_PRIVATE_MAGIC_V2,
            ),
            "DSA",
        )
    )
    builders = MappingProxyType(
        dict.fromkeys((BCRYPT_DSA_PUBLIC_BLOB, BCRYPT_PUBLIC_KEY_BLOB), lambda _, public: build_dsa_public(public))
    )
    properties = MappingProxyType({BCRYPT_DSA_PARAMETERS: lambda public: build_dsa_parameters(public.domain)})
    domain_property = BCRYPT_DSA_PARAMETERS
    domains = Domains(DsaDomain, dsa_domain, parse_dsa_parameters, check_dsa_domain)
    readers = MappingProxyType(
        {
            **dict.fromkeys((BCRYPT_DSA_PUBLIC_BLOB, BCRYPT_PUBLIC_KEY_BLOB), partial(parse_dsa, private=False)),
            **dict.fromkeys((BCRYPT_DSA_PRIVATE_BLOB, BCRYPT_PRIVATE_KEY_BLOB), partial(parse_dsa, private=True)),
            **dict.fromkeys((LEGACY_DSA_PRIVATE_BLOB, LEGACY_DSA_V2_PRIVATE_BLOB), parse_capi_dsa_private),
        }
    )

    def check(self, key: DsaPublicKey | DsaPrivateKey) -> None:
        check_dsa(key)

    def usage(self, algorithm: Algorithm) -> Usage:
        return Usage.SIGN

    def material(self, spec: PairSpec, private_value: bytes) -> DsaPrivateKey:
        if not isinstance(spec.domain, DsaDomain):
            raise invalid_parameter("a DSA pair needs domain parameters")
        return dsa_private(spec.domain, int.from_bytes(private_value, "big"))

    def sign_spec(self, algorithm: Algorithm, padding_info: object, flags: int) -> SignSpec:
        if padding_info is not None or flags:
            raise invalid_parameter("DSA takes neither pPaddingInfo nor flags")
        return DsaSpec()

    def signable(self, public: DsaPublicKey, spec: SignSpec, data: bytes) -> bytes:
        if not data:
            raise invalid_parameter("the digest is empty")
        # DSA uses the leftmost bits, as many as the subprime has (FIPS 186-4, section 4.2): whole bytes here.
        return data[: group_size(public.domain)]

    def verify(
        self, public: DsaPublicKey, spec: SignSpec, data: bytes, signature: bytes, *, optional_oid: bool
    ) -> None:
        verify_dsa(public, data, signature)

    def signature_length(self, public: DsaPublicKey) -> int:
        return 2 * group_size(public.domain)

    def planned_signature_length(self, request: PairRequest) -> int:
        if isinstance(request.domain, DsaDomain):
            return 2 * group_size(request.domain)
        return 2 * subprime_size(request.bits)
