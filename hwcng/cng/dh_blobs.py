"""DH key blobs and DHParameters, byte-exact (bcrypt.h: BCRYPT_DH_KEY_BLOB, BCRYPT_DH_PARAMETER_HEADER), and the private
blobs of wincrypt.h (DHPUBKEY, DHPRIVKEY_VER3).

Header fields are little-endian, 32 bits; numbers are big-endian, save in CAPI blobs, where they are little-endian. Here
only the layout is checked, and that the modulus is as long as the header says. Private blobs are read, never written.
"""

from __future__ import annotations

from hwcng.cng.handles import invalid_parameter
from hwcng.cng.legacy_blobs import Fields, read_private_header
from hwcng.contract.material import DhDomain, DhPrivateKey, DhPublicKey
from hwcng.headers.records import BCRYPT_DH_KEY_BLOB, BCRYPT_DH_PARAMETER_HEADER

__all__ = [
    "BCRYPT_DH_PARAMETERS",
    "BCRYPT_DH_PARAMETERS_MAGIC",
    "BCRYPT_DH_PRIVATE_BLOB",
    "BCRYPT_DH_PRIVATE_MAGIC",
    "BCRYPT_DH_PUBLIC_BLOB",
    "BCRYPT_DH_PUBLIC_MAGIC",
    "LEGACY_DH_PRIVATE_BLOB",
    "LEGACY_DH_PUBLIC_BLOB",
    "build_dh_parameters",
    "build_dh_public",
    "parse_capi_dh_private",
    "parse_dh",
    "parse_dh_parameters",
]

BCRYPT_DH_PARAMETERS = "DHParameters"
BCRYPT_DH_PUBLIC_BLOB = "DHPUBLICBLOB"
BCRYPT_DH_PRIVATE_BLOB = "DHPRIVATEBLOB"
LEGACY_DH_PUBLIC_BLOB = "CAPIDHPUBLICBLOB"
LEGACY_DH_PRIVATE_BLOB = "CAPIDHPRIVATEBLOB"

BCRYPT_DH_PUBLIC_MAGIC = 0x42504844
BCRYPT_DH_PRIVATE_MAGIC = 0x56504844
BCRYPT_DH_PARAMETERS_MAGIC = 0x4D504844

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
