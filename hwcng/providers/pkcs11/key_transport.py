"""Secret keys under RSA keys, and keys joined with data, inside the token.

Standards: PKCS#11 3.2, sections 6.1.6 and 6.1.8 (CKM_RSA_PKCS and CKM_RSA_PKCS_OAEP as wrapping mechanisms), section
6.43 (CKM_CONCATENATE_BASE_AND_DATA).
"""

from __future__ import annotations

import sys
from dataclasses import replace

from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass

from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.base import RsaOaepSpec, RsaPkcs1DecryptSpec, RsaPublicKey, SecretFamily, SecretSpec, Usage
from hwcng.providers.pkcs11 import mechanisms, objects, opaque, templates
from hwcng.providers.pkcs11.capabilities import MechanismSet
from hwcng.providers.pkcs11.ckr import CKR
from hwcng.providers.pkcs11.kinds.base import unsigned
from hwcng.providers.pkcs11.mechanisms import MechanismCall
from hwcng.providers.pkcs11.objects import SessionObject
from hwcng.providers.pkcs11.sessions import Connection
from hwcng.providers.pkcs11.token_key import not_supported

__all__ = ["followed_by", "unwrap", "wrapped_for"]

# NSS says of a key that is too long or too short for its type that its size is out of range.
_REFUSED = opaque.WRAPPED_KEY_REFUSED | {CKR.KEY_SIZE_RANGE: NTSTATUS.STATUS_INVALID_PARAMETER}
_MEASURING_KEY = SecretSpec(SecretFamily.AES, 256, Usage.WRAP)
_WRAP_OVERHEAD = 8
_LONGEST_SECRET = 2048


def _encryption(
    connection: Connection, offered: MechanismSet, spec: RsaPkcs1DecryptSpec | RsaOaepSpec
) -> MechanismCall:
    if isinstance(spec, RsaPkcs1DecryptSpec):
        return mechanisms.call(int(Mechanism.RSA_PKCS))
    if not offered.native_oaep(spec):
        raise not_supported(f"token {connection.token_name!r} has no OAEP with {spec.hash_name} to wrap keys with")
    return mechanisms.oaep(spec)


def wrapped_for(
    connection: Connection,
    offered: MechanismSet,
    key: int,
    public: RsaPublicKey,
    spec: RsaPkcs1DecryptSpec | RsaOaepSpec,
) -> bytes:
    """C_WrapKey under a public key that is in the token for this one call. The caller has checked the policy."""
    call = _encryption(connection, offered, spec)
    template = {
        Attribute.CLASS: ObjectClass.PUBLIC_KEY,
        Attribute.KEY_TYPE: KeyType.RSA,
        Attribute.TOKEN: False,
        Attribute.PRIVATE: False,
        Attribute.VERIFY: False,
        Attribute.ENCRYPT: False,
        Attribute.WRAP: True,
        Attribute.MODULUS: unsigned(public.modulus),
        Attribute.PUBLIC_EXPONENT: unsigned(public.public_exponent),
    }
    wrapping = objects.create(connection, template, "bringing an RSA public key into the token")
    try:
        size = (public.modulus.bit_length() + 7) // 8
        return opaque.wrap(connection, call, wrapping.handle, key, size).rjust(size, b"\0")
    finally:
        wrapping.release()


def unwrap(
    connection: Connection,
    offered: MechanismSet,
    private_key: int,
    spec: SecretSpec,
    wrapped: bytes,
    encryption: RsaPkcs1DecryptSpec | RsaOaepSpec,
) -> tuple[SessionObject, SecretSpec, bool]:
    """C_UnwrapKey, and the key's length held to the spec's: the mechanism says nothing of it.

    The key, its spec, and whether its length is sure only up to whole 64-bit blocks.
    """
    call = _encryption(connection, offered, encryption)
    template = dict(templates.secret(spec))
    # A length that the token does not tell is measured by wrapping the key once more.
    template[Attribute.EXTRACTABLE] = True
    key = objects.unwrap(connection, call, private_key, wrapped, template, "unwrapping the key", _REFUSED)
    try:
        length, measured = _length(connection, offered, key, spec)
        bits = 8 * length
        if not bits or spec.bits not in (0, bits):
            raise CngError(NTSTATUS.STATUS_INVALID_PARAMETER, "unwrapping the key failed")
        spec = replace(spec, bits=bits)
        objects.hold_to_template(key, templates.secret(spec))
    except BaseException:
        key.release()
        raise
    return key, spec, measured


def _length(connection: Connection, offered: MechanismSet, key: SessionObject, spec: SecretSpec) -> tuple[int, bool]:
    """Bytes of a secret key, and whether they were measured, in 64-bit blocks, because the token does not tell.

    SoftHSM 2.6.1 says 0 of unwrapped keys, takes any length for any type, and fills up what it wraps.
    """
    said = objects.read_attributes(connection, key.handle, [Attribute.VALUE_LEN], 8)[Attribute.VALUE_LEN]
    length = int.from_bytes(said or b"", sys.byteorder)
    if length:
        return length, False
    if said is None and offered.quirks.types_have_their_length:
        return spec.bits // 8, False
    if not offered.has(Mechanism.AES_KEY_WRAP):
        raise not_supported(f"token {connection.token_name!r} does not tell the lengths of the keys it unwraps")
    measuring = objects.generate(
        connection,
        mechanisms.call(int(Mechanism.AES_KEY_GEN)),
        templates.secret(_MEASURING_KEY, length=True),
        "generating a 256-bit AES key",
    )
    try:
        call = mechanisms.call(int(Mechanism.AES_KEY_WRAP))
        wrapped = opaque.wrap(connection, call, measuring.handle, key.handle, _LONGEST_SECRET)
        return len(wrapped) - _WRAP_OVERHEAD, True
    except CngError:
        # Two blocks at least are wrapped, and no cipher whose length needs measuring has fewer.
        return 0, True
    finally:
        measuring.release()


def followed_by(
    connection: Connection, offered: MechanismSet, key: int, data: bytes, spec: SecretSpec
) -> SessionObject:
    """CKM_CONCATENATE_BASE_AND_DATA."""
    if not offered.has(Mechanism.CONCATENATE_BASE_AND_DATA):
        raise not_supported(
            f"token {connection.token_name!r} has no CKM_CONCATENATE_BASE_AND_DATA to join keys and data"
        )
    return objects.derive(
        connection,
        mechanisms.string_data(int(Mechanism.CONCATENATE_BASE_AND_DATA), data),
        key,
        templates.secret(spec, length=True),
        "joining a key and data",
    )
