"""What a key in the token is, read from its attributes (PKCS#11 3.2, section 4 and the key types of section 6).

Keys of any software are read, so nothing is expected but what the standard asks of an object of that class and type.
CKA_VALUE is never asked for: of a key that is not sensitive it would be the key itself.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from asn1crypto.core import OctetString
from pkcs11 import Attribute, KeyType, ObjectClass
from pkcs11.util.ec import encode_named_curve_parameters

from hwcng.contract.key_names import LONGEST_NAME_OCTETS
from hwcng.contract.material import (
    DhDomain,
    DhPublicKey,
    DsaDomain,
    DsaPublicKey,
    EcPublicKey,
    MlKemPublicKey,
    PublicKeyMaterial,
    RsaPublicKey,
)
from hwcng.contract.specs import PairSpec, SecretSpec
from hwcng.contract.usage import SecretFamily, Usage
from hwcng.errors import HRESULT, CngError
from hwcng.providers.pkcs11.families.base import unsigned
from hwcng.providers.pkcs11.mechanisms import CKK_EC_MONTGOMERY
from hwcng.providers.pkcs11.store.ids import KeyId
from hwcng.standards.curves import CURVES

__all__ = ["READ", "Values", "number", "public_values", "rsa_public", "spec_of"]

Values: TypeAlias = Mapping[Attribute, "bytes | None"]

_ULONG, _BBOOL, _NUMBER = 8, 1, 2048

READ: Mapping[Attribute, int] = MappingProxyType(
    {
        Attribute.CLASS: _ULONG,
        Attribute.LABEL: LONGEST_NAME_OCTETS,
        Attribute.ID: 256,
        Attribute.KEY_TYPE: _ULONG,
        Attribute.PRIVATE: _BBOOL,
        Attribute.EXTRACTABLE: _BBOOL,
        Attribute.ENCRYPT: _BBOOL,
        Attribute.DECRYPT: _BBOOL,
        Attribute.SIGN: _BBOOL,
        Attribute.WRAP: _BBOOL,
        Attribute.UNWRAP: _BBOOL,
        Attribute.DERIVE: _BBOOL,
        Attribute.DECAPSULATE: _BBOOL,
        Attribute.ALWAYS_AUTHENTICATE: _BBOOL,
        Attribute.VALUE_LEN: _ULONG,
        Attribute.MODULUS: _NUMBER,
        Attribute.PUBLIC_EXPONENT: _NUMBER,
        Attribute.EC_PARAMS: 512,
        Attribute.EC_POINT: 512,
        Attribute.PRIME: _NUMBER,
        Attribute.SUBPRIME: _NUMBER,
        Attribute.BASE: _NUMBER,
        Attribute.PARAMETER_SET: _ULONG,
    }
)
"""Attribute to octets of room: what is read of every object, in one call. NSS wants no more room than a number has."""

_USAGES: Mapping[Attribute, Usage] = MappingProxyType(
    {
        Attribute.ENCRYPT: Usage.ENCRYPT,
        Attribute.DECRYPT: Usage.DECRYPT,
        Attribute.SIGN: Usage.SIGN,
        Attribute.WRAP: Usage.WRAP,
        Attribute.UNWRAP: Usage.UNWRAP,
        Attribute.DERIVE: Usage.DERIVE,
        Attribute.DECAPSULATE: Usage.DECAPSULATE,
    }
)
_PAIR_USAGES: Mapping[str, Usage] = MappingProxyType(
    {
        "RSA": Usage.SIGN | Usage.DECRYPT | Usage.UNWRAP,
        "EC": Usage.SIGN | Usage.DERIVE,
        "DH": Usage.DERIVE,
        "DSA": Usage.SIGN,
        "ML-DSA": Usage.SIGN,
        "ML-KEM": Usage.DECAPSULATE,
    }
)

_CURVES = MappingProxyType({bytes(encode_named_curve_parameters(curve.oid)): name for name, curve in CURVES.items()})
_ML_DSA_SETS = ("44", "65", "87")
_ML_KEM_SETS = ("512", "768", "1024")


def _unserved(what: str) -> CngError:
    return CngError(HRESULT.NTE_NOT_SUPPORTED, f"the key is {what}, which is not served")


def number(values: Values, kind: Attribute) -> int | None:
    """A CK_ULONG in this machine's byte order."""
    octets = values.get(kind)
    return int.from_bytes(octets, sys.byteorder) if octets is not None and len(octets) == _ULONG else None


def _integer(values: Values, kind: Attribute) -> int:
    return int.from_bytes(values.get(kind) or b"", "big")


def _usage(values: Values) -> Usage:
    usage = Usage.NONE
    for kind, flag in _USAGES.items():
        if values.get(kind) == b"\1":
            usage |= flag
    return usage


def _rsa(values: Values) -> dict[str, Any]:
    return {"bits": _integer(values, Attribute.MODULUS).bit_length()}


def _ec(values: Values) -> dict[str, Any]:
    curve = _CURVES.get(values.get(Attribute.EC_PARAMS) or b"")
    if curve is None:
        raise _unserved("on another curve than " + ", ".join(_CURVES.values()))
    return {"curve": curve}


def _dh(values: Values) -> dict[str, Any]:
    domain = DhDomain(_integer(values, Attribute.PRIME), _integer(values, Attribute.BASE))
    return {"bits": domain.prime.bit_length(), "domain": domain}


def _dsa(values: Values) -> dict[str, Any]:
    prime, subprime, generator = (
        _integer(values, kind) for kind in (Attribute.PRIME, Attribute.SUBPRIME, Attribute.BASE)
    )
    domain = DsaDomain(prime, subprime, generator)
    return {"bits": domain.prime.bit_length(), "domain": domain}


def _parameter_set(sets: tuple[str, ...]) -> Callable[[Values], dict[str, Any]]:
    def read(values: Values) -> dict[str, Any]:
        index = number(values, Attribute.PARAMETER_SET) or 0
        if not 1 <= index <= len(sets):
            raise _unserved("of an unknown parameter set")
        return {"parameter_set": sets[index - 1]}

    return read


_PAIRS: Mapping[int, tuple[str, Callable[[Values], dict[str, Any]]]] = MappingProxyType(
    {
        int(KeyType.RSA): ("RSA", _rsa),
        int(KeyType.EC): ("EC", _ec),
        CKK_EC_MONTGOMERY: ("EC", _ec),
        int(KeyType.DH): ("DH", _dh),
        int(KeyType.DSA): ("DSA", _dsa),
        int(KeyType.ML_DSA): ("ML-DSA", _parameter_set(_ML_DSA_SETS)),
        int(KeyType.ML_KEM): ("ML-KEM", _parameter_set(_ML_KEM_SETS)),
    }
)

_RC2, _RC4, _DES, _MD5_HMAC, _CHACHA20, _AES_XTS = 0x11, 0x12, 0x13, 0x27, 0x33, 0x35
# Key type to family, HMAC's hash, and the bits of types that have no CKA_VALUE_LEN.
_SECRETS: Mapping[int, tuple[SecretFamily, str | None, int]] = MappingProxyType(
    {
        int(KeyType.AES): (SecretFamily.AES, None, 0),
        int(KeyType.GENERIC_SECRET): (SecretFamily.HMAC, None, 0),
        _RC2: (SecretFamily.RC2, None, 0),
        _RC4: (SecretFamily.RC4, None, 0),
        _DES: (SecretFamily.DES, None, 64),
        int(KeyType.DES2): (SecretFamily.DES3_112, None, 128),
        int(KeyType.DES3): (SecretFamily.DES3, None, 192),
        _CHACHA20: (SecretFamily.CHACHA20_POLY1305, None, 256),
        _AES_XTS: (SecretFamily.XTS, None, 0),
        _MD5_HMAC: (SecretFamily.HMAC, "MD5", 0),
        int(KeyType.SHA_1_HMAC): (SecretFamily.HMAC, "SHA1", 0),
        int(KeyType.SHA256_HMAC): (SecretFamily.HMAC, "SHA256", 0),
        int(KeyType.SHA384_HMAC): (SecretFamily.HMAC, "SHA384", 0),
        int(KeyType.SHA512_HMAC): (SecretFamily.HMAC, "SHA512", 0),
        int(KeyType.SHA3_256_HMAC): (SecretFamily.HMAC, "SHA3-256", 0),
        int(KeyType.SHA3_384_HMAC): (SecretFamily.HMAC, "SHA3-384", 0),
        int(KeyType.SHA3_512_HMAC): (SecretFamily.HMAC, "SHA3-512", 0),
    }
)


def spec_of(values: Values, own: KeyId | None) -> SecretSpec | PairSpec:
    """The spec of a private or secret key. own: what its CKA_ID says, where hwcng made it.

    Raises NTE_NOT_SUPPORTED for keys that no spec describes.
    """
    key_type = number(values, Attribute.KEY_TYPE) or 0
    exportable = values.get(Attribute.EXTRACTABLE) == b"\1"
    usage = own.usage if own is not None else _usage(values)
    if number(values, Attribute.CLASS) == int(ObjectClass.PRIVATE_KEY):
        if key_type not in _PAIRS:
            raise _unserved(f"a private key of type {key_type}")
        kind, read = _PAIRS[key_type]
        return PairSpec(kind, usage & _PAIR_USAGES[kind], exportable=exportable, **read(values))
    if key_type not in _SECRETS:
        raise _unserved(f"a secret key of type {key_type}")
    family, hash_name, bits = _SECRETS[key_type]
    bits = bits or 8 * (number(values, Attribute.VALUE_LEN) or 0)
    if own is not None and own.family is not None:
        return SecretSpec(own.family, own.bits or bits, usage, exportable, own.hash_name, own.effective_bits)
    if family is SecretFamily.AES and usage & Usage.SIGN and not usage & (Usage.ENCRYPT | Usage.DECRYPT):
        family = SecretFamily.CMAC
    if family is SecretFamily.HMAC and usage & Usage.DERIVE and not usage & Usage.SIGN:
        family = SecretFamily.KDF
    return SecretSpec(family, bits, usage, exportable, hash_name)


def rsa_public(values: Values) -> RsaPublicKey | None:
    """An RSA private object has its public half too (PKCS#11 3.2, section 6.1.3); None where the token will not say."""
    modulus, exponent = _integer(values, Attribute.MODULUS), _integer(values, Attribute.PUBLIC_EXPONENT)
    return RsaPublicKey(modulus, exponent) if modulus and exponent else None


def _point(public: EcPublicKey) -> bytes:
    """In a DER OCTET STRING, as the standard says: opencryptoki refuses it bare. Of a Montgomery curve bare: NSS."""
    curve = CURVES[public.curve]
    width = curve.coordinate_size
    if curve.montgomery:
        return public.x.to_bytes(width, "little")
    point = b"\x04" + public.x.to_bytes(width, "big") + public.y.to_bytes(width, "big")
    encoded: bytes = OctetString(point).dump()
    return encoded


def public_values(public: PublicKeyMaterial) -> dict[Attribute, Any]:
    """The numbers of a public object, for C_CreateObject."""
    if isinstance(public, RsaPublicKey):
        return {
            Attribute.MODULUS: unsigned(public.modulus),
            Attribute.PUBLIC_EXPONENT: unsigned(public.public_exponent),
        }
    if isinstance(public, EcPublicKey):
        curve = CURVES[public.curve]
        return {Attribute.EC_PARAMS: encode_named_curve_parameters(curve.oid), Attribute.EC_POINT: _point(public)}
    if isinstance(public, DhPublicKey):
        return {
            Attribute.PRIME: unsigned(public.domain.prime),
            Attribute.BASE: unsigned(public.domain.generator),
            Attribute.VALUE: unsigned(public.value),
        }
    if isinstance(public, DsaPublicKey):
        return {
            Attribute.PRIME: unsigned(public.domain.prime),
            Attribute.SUBPRIME: unsigned(public.domain.subprime),
            Attribute.BASE: unsigned(public.domain.generator),
            Attribute.VALUE: unsigned(public.value),
        }
    sets = _ML_KEM_SETS if isinstance(public, MlKemPublicKey) else _ML_DSA_SETS
    return {Attribute.PARAMETER_SET: sets.index(public.parameter_set) + 1, Attribute.VALUE: public.value}
