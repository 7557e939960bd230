"""Diffie-Hellman pairs (PKCS #3, SP 800-56A r3).

Blobs and DHParameters: bcrypt.h (BCRYPT_DH_KEY_BLOB, BCRYPT_DH_PARAMETER_HEADER) and the private blobs of wincrypt.h
(DHPUBKEY, DHPRIVKEY_VER3). Header fields are little-endian, 32 bits; numbers are big-endian, in wincrypt.h's
little-endian. Private blobs are read, never written.
"""

from __future__ import annotations

from functools import partial
from types import MappingProxyType

from hwcng.cng.algorithm import AGREEMENT, Algorithm
from hwcng.cng.blobs.blob_type import blob_types
from hwcng.cng.blobs.fields import Fields
from hwcng.cng.blobs.wincrypt import read_private_header
from hwcng.cng.families.finite_field import Domains, FiniteFieldFamily
from hwcng.contract.material import DhDomain, DhPrivateKey, DhPublicKey
from hwcng.contract.specs import PairSpec
from hwcng.contract.usage import Usage
from hwcng.errors import invalid_parameter
from hwcng.headers.bcrypt_h import (
    BCRYPT_DH_PARAMETERS,
    BCRYPT_DH_PARAMETERS_MAGIC,
    BCRYPT_DH_PRIVATE_BLOB,
    BCRYPT_DH_PRIVATE_MAGIC,
    BCRYPT_DH_PUBLIC_BLOB,
    BCRYPT_DH_PUBLIC_MAGIC,
    BCRYPT_PRIVATE_KEY_BLOB,
    BCRYPT_PUBLIC_KEY_BLOB,
    LEGACY_DH_PRIVATE_BLOB,
    LEGACY_DH_PUBLIC_BLOB,
)
from hwcng.headers.records import BCRYPT_DH_KEY_BLOB, BCRYPT_DH_PARAMETER_HEADER, KeyLengths
from hwcng.hostcrypto.domains import check_dh_domain, dh_domain
from hwcng.hostcrypto.finite_field import check_dh, dh_private

__all__ = ["DhFamily", "parse_capi_dh_private", "parse_dh", "parse_dh_parameters"]

# SP 800-57 part 1, table 2: a group of up to 7679 bits is as strong as a curve of 256 bits at most.
_FIELD_BITS_OF_THE_STRENGTH = 256

_CAPI_DH2_MAGIC = 0x32484400
_CAPI_DH4_MAGIC = 0x34484400
_HEADER = BCRYPT_DH_KEY_BLOB.layout()
_PARAMETERS_HEADER = BCRYPT_DH_PARAMETER_HEADER.layout()


def parse_dh(blob: bytes, private: bool) -> DhPublicKey | DhPrivateKey:
    """Reads DHPUBLICBLOB or DHPRIVATEBLOB. Raises STATUS_INVALID_PARAMETER for a wrong magic or size."""
    wanted = BCRYPT_DH_PRIVATE_MAGIC if private else BCRYPT_DH_PUBLIC_MAGIC
    if len(blob) < _HEADER.size:
        raise invalid_parameter(f"DH blob: a header of {_HEADER.size} bytes expected, {len(blob)} bytes given")
    magic, size = _HEADER.unpack_from(blob)
    if magic != wanted:
        raise invalid_parameter(f"DH blob: magic {magic:#010x}, {wanted:#010x} expected")
    fields = Fields(blob, _HEADER.size)
    prime, generator, value = fields.modulus(size), fields.number(size), fields.number(size)
    public = DhPublicKey(DhDomain(prime, generator), value)
    key = DhPrivateKey(public, fields.number(size)) if private else public
    fields.end()
    return key


def build_dh_public(key: DhPublicKey) -> bytes:
    """DHPUBLICBLOB."""
    domain = key.domain
    size = (domain.prime.bit_length() + 7) // 8
    numbers = (domain.prime, domain.generator, key.value)
    return _HEADER.pack(BCRYPT_DH_PUBLIC_MAGIC, size) + b"".join(number.to_bytes(size, "big") for number in numbers)


def parse_dh_parameters(blob: bytes) -> DhDomain:
    """A value of DHParameters. Raises STATUS_INVALID_PARAMETER for a wrong magic or size."""
    if len(blob) < _PARAMETERS_HEADER.size:
        raise invalid_parameter("DHParameters begin with BCRYPT_DH_PARAMETER_HEADER")
    length, magic, size = _PARAMETERS_HEADER.unpack_from(blob)
    if length != len(blob) or magic != BCRYPT_DH_PARAMETERS_MAGIC:
        raise invalid_parameter(f"DHParameters: cbLength {length} and magic {magic:#010x} in {len(blob)} bytes")
    fields = Fields(blob, _PARAMETERS_HEADER.size)
    domain = DhDomain(fields.modulus(size), fields.number(size))
    fields.end()
    return domain


def build_dh_parameters(domain: DhDomain) -> bytes:
    size = (domain.prime.bit_length() + 7) // 8
    header = _PARAMETERS_HEADER.pack(_PARAMETERS_HEADER.size + 2 * size, BCRYPT_DH_PARAMETERS_MAGIC, size)
    return header + domain.prime.to_bytes(size, "big") + domain.generator.to_bytes(size, "big")


def parse_capi_dh_private(blob: bytes) -> DhPrivateKey:
    """CAPIDHPRIVATEBLOB of version 2 or 3; the public value is computed.

    Raises STATUS_INVALID_PARAMETER for a wrong type, version, magic or size.
    """
    header, fields = read_private_header(blob, _CAPI_DH2_MAGIC, _CAPI_DH4_MAGIC, LEGACY_DH_PRIVATE_BLOB)
    prime = fields.modulus(header.prime_size)
    if header.subprime_size is None:
        generator, exponent = fields.number(header.prime_size), fields.number(header.prime_size)
    else:
        fields.number(header.subprime_size)
        generator = fields.number(header.prime_size)
        fields.number(header.cofactor_size)
        fields.number(header.prime_size)
        exponent = fields.number(header.exponent_size)
    fields.end()
    return DhPrivateKey(DhPublicKey(DhDomain(prime, generator), pow(generator, exponent, prime)), exponent)


class DhFamily(FiniteFieldFamily[DhPublicKey]):
    kind = "DH"
    public_type = DhPublicKey
    algorithms = (Algorithm("DH", AGREEMENT, "DH", KeyLengths(512, 4096, 64), family="DH"),)
    blob_types = blob_types(
        "DH",
        public=(BCRYPT_DH_PUBLIC_BLOB, LEGACY_DH_PUBLIC_BLOB),
        private=(BCRYPT_DH_PRIVATE_BLOB, LEGACY_DH_PRIVATE_BLOB),
    )
    magics = MappingProxyType(dict.fromkeys((BCRYPT_DH_PUBLIC_MAGIC, BCRYPT_DH_PRIVATE_MAGIC), "DH"))
    builders = MappingProxyType(
        dict.fromkeys((BCRYPT_DH_PUBLIC_BLOB, BCRYPT_PUBLIC_KEY_BLOB), lambda _, public: build_dh_public(public))
    )
    properties = MappingProxyType({BCRYPT_DH_PARAMETERS: lambda public: build_dh_parameters(public.domain)})
    domain_property = BCRYPT_DH_PARAMETERS
    domains = Domains(DhDomain, dh_domain, parse_dh_parameters, check_dh_domain)
    readers = MappingProxyType(
        {
            **dict.fromkeys((BCRYPT_DH_PUBLIC_BLOB, BCRYPT_PUBLIC_KEY_BLOB), partial(parse_dh, private=False)),
            **dict.fromkeys((BCRYPT_DH_PRIVATE_BLOB, BCRYPT_PRIVATE_KEY_BLOB), partial(parse_dh, private=True)),
            LEGACY_DH_PRIVATE_BLOB: parse_capi_dh_private,
        }
    )

    def check(self, key: DhPublicKey | DhPrivateKey) -> None:
        check_dh(key)

    def usage(self, algorithm: Algorithm) -> Usage:
        return Usage.DERIVE

    def material(self, spec: PairSpec, private_value: bytes) -> DhPrivateKey:
        if not isinstance(spec.domain, DhDomain):
            raise invalid_parameter("a DH pair needs domain parameters")
        key = dh_private(spec.domain, int.from_bytes(private_value, "big"))
        check_dh(key)
        return key

    def check_peer(self, ours: DhPublicKey, theirs: DhPublicKey) -> str:
        if ours.domain != theirs.domain:
            raise invalid_parameter("the two keys have different domain parameters")
        return self.kind

    def field_bits(self, public: DhPublicKey) -> int:
        return _FIELD_BITS_OF_THE_STRENGTH
