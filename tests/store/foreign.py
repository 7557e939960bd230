"""Token objects as other software writes them."""

from __future__ import annotations

import datetime
import zlib
from typing import TYPE_CHECKING, Any, TypeAlias

from asn1crypto.core import Integer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pkcs11 import Attribute, KeyType, ObjectClass
from pkcs11.util.ec import encode_named_curve_parameters

from hwcng.contract.material import EcPublicKey
from hwcng.providers.pkcs11 import objects

if TYPE_CHECKING:
    from hwcng.providers.pkcs11.provider import Pkcs11Provider

Template: TypeAlias = dict[Attribute, Any]

P256 = encode_named_curve_parameters("1.2.840.10045.3.1.7")


def create(provider: Pkcs11Provider, template: Template) -> int:
    """Attributes that are None are left out."""
    said = {kind: value for kind, value in template.items() if value is not None}
    held = objects.create(provider._connection, {Attribute.TOKEN: True, **said}, "a foreign object")
    return held.surrender()


def private_key(label: bytes | str | None, identifier: bytes | None, scalar: int) -> Template:
    return {
        Attribute.CLASS: ObjectClass.PRIVATE_KEY,
        Attribute.KEY_TYPE: KeyType.EC,
        Attribute.LABEL: label,
        Attribute.ID: identifier,
        Attribute.PRIVATE: True,
        Attribute.SENSITIVE: True,
        Attribute.EXTRACTABLE: False,
        Attribute.SIGN: True,
        Attribute.DERIVE: False,
        Attribute.EC_PARAMS: P256,
        Attribute.VALUE: scalar.to_bytes(32, "big"),
    }


def public_key(label: bytes | str | None, identifier: bytes | None, scalar: int) -> Template:
    public = ec.derive_private_key(scalar, ec.SECP256R1()).public_key()
    point = public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    return {
        Attribute.CLASS: ObjectClass.PUBLIC_KEY,
        Attribute.KEY_TYPE: KeyType.EC,
        Attribute.LABEL: label,
        Attribute.ID: identifier,
        Attribute.PRIVATE: False,
        Attribute.VERIFY: True,
        Attribute.EC_PARAMS: P256,
        Attribute.EC_POINT: b"\x04\x41" + point,
    }


def secret_key(label: bytes | str | None, identifier: bytes | None, kind: int = KeyType.AES, **others: Any) -> Template:
    usage = {"ENCRYPT": True, "DECRYPT": True, "SIGN": False} if kind == KeyType.AES else {"SIGN": True}
    return {
        Attribute.CLASS: ObjectClass.SECRET_KEY,
        Attribute.KEY_TYPE: kind,
        Attribute.LABEL: label,
        Attribute.ID: identifier,
        Attribute.PRIVATE: True,
        Attribute.SENSITIVE: True,
        Attribute.EXTRACTABLE: False,
        Attribute.VALUE: bytes(range(32)),
        **{Attribute[name]: value for name, value in (usage | others).items()},
    }


def certificate(label: bytes | str | None, identifier: bytes | None, public: Any, subject: str = "hwcng") -> Template:
    """public: a key of `cryptography`. subject: its common name; the issuer's is "hwcng"."""
    issuer, name = (x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, one)]) for one in ("hwcng", subject))
    start = datetime.datetime(2026, 1, 1)
    # NSS keeps one certificate of an issuer and serial number.
    described = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    serial = zlib.crc32(described + subject.encode()) + 1
    builder = x509.CertificateBuilder(issuer, name, public, serial, start, start + datetime.timedelta(days=9999))
    made = builder.sign(ec.derive_private_key(3, ec.SECP256R1()), hashes.SHA256())
    return {
        Attribute.CLASS: ObjectClass.CERTIFICATE,
        Attribute.CERTIFICATE_TYPE: 0,
        Attribute.LABEL: label,
        Attribute.ID: identifier,
        Attribute.PRIVATE: False,
        Attribute.SUBJECT: name.public_bytes(),
        Attribute.ISSUER: issuer.public_bytes(),
        Attribute.SERIAL_NUMBER: Integer(serial).dump(),
        Attribute.VALUE: made.public_bytes(serialization.Encoding.DER),
    }


def ec_public(scalar: int) -> ec.EllipticCurvePublicKey:
    return ec.derive_private_key(scalar, ec.SECP256R1()).public_key()


def material(scalar: int) -> EcPublicKey:
    numbers = ec_public(scalar).public_numbers()
    return EcPublicKey("nistP256", numbers.x, numbers.y)
