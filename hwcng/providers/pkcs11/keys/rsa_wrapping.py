"""Secret keys under RSA keys, and keys joined with data, inside the token.

Standards: PKCS#11 3.2, sections 6.1.6 and 6.1.8 (CKM_RSA_PKCS and CKM_RSA_PKCS_OAEP as wrapping mechanisms), section
6.43 (CKM_CONCATENATE_BASE_AND_DATA).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from dataclasses import replace

from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass

from hwcng.contract.material import RsaPublicKey
from hwcng.contract.specs import CipherSpec, RsaOaepSpec, RsaPkcs1DecryptSpec, SecretSpec
from hwcng.contract.usage import CipherMode, SecretFamily, Usage
from hwcng.errors import NTSTATUS
from hwcng.hostcrypto import rsa
from hwcng.providers.pkcs11 import mechanisms, objects, templates
from hwcng.providers.pkcs11.capabilities import MechanismSet
from hwcng.providers.pkcs11.connection import Connection
from hwcng.providers.pkcs11.cryptoki.calls import ffi
from hwcng.providers.pkcs11.cryptoki.return_values import CKR
from hwcng.providers.pkcs11.families.base import unsigned
from hwcng.providers.pkcs11.families.ciphers import AES_BLOCK, CIPHER_MECHANISMS, cipher
from hwcng.providers.pkcs11.families.derivations import string_data
from hwcng.providers.pkcs11.families.rsa import oaep, oaep_is_native
from hwcng.providers.pkcs11.keys import opaque_blob
from hwcng.providers.pkcs11.keys.base import not_supported
from hwcng.providers.pkcs11.mechanisms import MechanismCall
from hwcng.providers.pkcs11.objects import SessionObject
from hwcng.providers.pkcs11.templates import Template, packed

__all__ = ["encrypting_a_block", "followed_by", "unwrap", "wrapped_for"]

_CANNOT_UNWRAP = dict.fromkeys(opaque_blob.WRAPPED_KEY_REFUSED, NTSTATUS.STATUS_NOT_SUPPORTED)
_MEASURING_KEY = SecretSpec(SecretFamily.AES, 256, Usage.WRAP)
_WRAP_OVERHEAD = 8
_DES_BLOCK = 8
_LONGEST_SECRET = 2048


def _encryption(
    connection: Connection, offered: MechanismSet, spec: RsaPkcs1DecryptSpec | RsaOaepSpec
) -> MechanismCall:
    if isinstance(spec, RsaPkcs1DecryptSpec):
        return mechanisms.call(int(Mechanism.RSA_PKCS))
    if not oaep_is_native(offered, spec):
        raise not_supported(f"token {connection.token_name!r} has no OAEP with {spec.hash_name} to wrap keys with")
    return oaep(spec)


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
        return opaque_blob.wrap(connection, call, wrapping.handle, key, size).rjust(size, b"\0")
    finally:
        wrapping.release()


def unwrap(
    connection: Connection,
    offered: MechanismSet,
    private_key: int,
    public: RsaPublicKey,
    spec: SecretSpec,
    wrapped: bytes,
    encryption: RsaPkcs1DecryptSpec | RsaOaepSpec,
    lengths: Collection[int],
) -> tuple[SessionObject, SecretSpec] | None:
    """C_UnwrapKey, and the key's length held to `lengths`, in bits: the mechanism says nothing of it.

    None for everything that can be wrong with `wrapped`, after the same calls whatever it is: a key of the host's own
    making, unwrapped first, takes the place of the one that is not there (as TLS does, RFC 5246, section 7.4.7.1). It
    also shows what the token cannot do, which is thus refused before `wrapped` is looked at.
    """
    call = _encryption(connection, offered, encryption)
    # A length that the token does not tell is measured by wrapping the key once more.
    template = templates.unwrapped(replace(spec, exportable=True), offered.quirks)
    stand_in = objects.unwrap(
        connection,
        call,
        private_key,
        rsa.encrypt(public, encryption, _any_key(max(lengths) // 8)),
        template,
        "unwrapping a key of the host's own, to see what the token can do,",
        _CANNOT_UNWRAP,
    )
    key: SessionObject | None = None
    try:
        ruler = _Ruler(connection, offered, spec, stand_in, max(lengths))
        key = _unwrap_quietly(connection, call, private_key, wrapped, template)
        good = key is not None
        tried = key or stand_in
        objects.hold_to_template(tried, template)
        bits = ruler.bits(tried)
        if bits not in lengths:
            good, tried = False, stand_in
        if not ruler.confirms(tried):
            good, tried = False, stand_in
        spec = replace(spec, bits=bits)
        objects.hold_to_template(tried, templates.secret(spec))
    except BaseException:
        if key is not None:
            key.release()
        raise
    finally:
        stand_in.release()
    if key is not None and good:
        return key, spec
    _destroy_if_made(connection, key)
    # What looked like a wrong key may have been the end of the connection.
    if not connection.answers():
        connection.require_alive()
    return None


def _any_key(length: int) -> bytes:
    """A random value of so many bytes with the parity of DES keys, which some tokens insist on."""
    return bytes(octet ^ (octet.bit_count() & 1 ^ 1) for octet in os.urandom(length))


class _Ruler:
    """How long unwrapped keys are, by the same calls for each. Made from a key that is known to be right.

    SoftHSM 2.6.1 says 0 of the lengths of unwrapped keys, takes any length for any type, and fills up to whole blocks
    of 64 bits what it wraps: there a key is measured by being wrapped, and the last bytes by encrypting a block.
    """

    def __init__(
        self, connection: Connection, offered: MechanismSet, spec: SecretSpec, right: SessionObject, its_bits: int
    ) -> None:
        self._connection = connection
        self._spec = spec
        self._answer = int(CKR.OK)
        said = self._said(right)
        self._by_type = said is None and offered.quirks.types_have_their_length
        self._measures = not said and not self._by_type
        if self._measures and not (
            offered.has(Mechanism.AES_KEY_WRAP) and CipherMode.CBC in CIPHER_MECHANISMS[spec.family]
        ):
            raise not_supported(f"token {connection.token_name!r} does not tell the lengths of the keys it unwraps")
        bits = self.bits(right)
        if bits and bits == (spec.bits or bits) and self.confirms(right):
            return
        asked = f"measuring a {its_bits}-bit {spec.family.value} key of the host's own, which was unwrapped,"
        if self._answer != CKR.OK:
            raise connection.error(self._answer, f"{asked} failed")
        raise not_supported(f"{asked} gave {bits} bits on token {connection.token_name!r}: it unwraps no such keys")

    def _said(self, key: SessionObject) -> int | None:
        said = objects.read_attributes(self._connection, key.handle, [Attribute.VALUE_LEN], 8)[Attribute.VALUE_LEN]
        return None if said is None else int.from_bytes(said, sys.byteorder)

    def bits(self, key: SessionObject) -> int:
        """The key's length, 0 where it cannot be told; where it is measured, up to 56 bits too many."""
        if self._measures:
            return 8 * self._measured(key)
        said = self._said(key)
        return self._spec.bits if self._by_type else 8 * (said or 0)

    def _measured(self, key: SessionObject) -> int:
        connection = self._connection
        how = objects.secret_generation(_MEASURING_KEY)
        measuring = objects.generate(connection, how.call, how.template, how.asked)
        output, length = ffi.new("unsigned char[]", _LONGEST_SECRET), ffi.new("CK_ULONG *", _LONGEST_SECRET)
        call = mechanisms.call(int(Mechanism.AES_KEY_WRAP))
        try:
            with connection.owning(measuring.handle, key.handle) as session:
                rv = connection.cryptoki.C_WrapKey(
                    session.handle, call.structure, measuring.handle, key.handle, output, length
                )
        finally:
            measuring.release()
        self._answer = int(rv)
        # Two blocks at least are wrapped, and no cipher whose length needs measuring has fewer.
        return int(length[0]) - _WRAP_OVERHEAD if rv == CKR.OK else 0

    def confirms(self, key: SessionObject) -> bool:
        """Whether the key encrypts a block, where its length was only measured: one of a few bytes less does not."""
        if self._measures:
            self._answer = encrypting_a_block(self._connection, key, self._spec.family)
        return self._answer == CKR.OK


def encrypting_a_block(connection: Connection, key: SessionObject, family: SecretFamily) -> int:
    """The CKR of encrypting a block of the key's cipher: not CKR_OK of a key whose length is wrong."""
    cryptoki, block = connection.cryptoki, bytes(AES_BLOCK if family is SecretFamily.AES else _DES_BLOCK)
    call = cipher(family, CipherSpec(CipherMode.CBC, block))
    # An owner session: a refusal leaves no trace in it that would have to be swept up by further calls.
    with connection.owning(key.handle) as session:
        output = session.output_of(len(block))
        rv = cryptoki.C_EncryptInit(session.handle, call.structure, key.handle)
        # Also after a refused C_EncryptInit, and once more to end what a failure may have left in the session, so that
        # there are as many calls either way.
        then = cryptoki.C_Encrypt(session.handle, block, len(block), output, session.length)
        output = session.output_of(len(block))
        cryptoki.C_Encrypt(session.handle, block, len(block), output, session.length)
    return int(rv or then)


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
        string_data(int(Mechanism.CONCATENATE_BASE_AND_DATA), data),
        key,
        templates.secret(spec, length=True),
        "joining a key and data",
    )


def _unwrap_quietly(
    connection: Connection, mechanism: MechanismCall, wrapping_key: int, wrapped: bytes, template: Template
) -> SessionObject | None:
    """C_UnwrapKey, None where the token refuses: what it says of the reason is not even looked at."""
    objects.require_room(connection, template, "unwrapping the key")
    handle, key = ffi.new(objects.HANDLE), SessionObject(connection, objects.CK_INVALID_HANDLE)
    try:
        with packed(template) as (attributes, count), connection.owning(wrapping_key) as session:
            rv = connection.cryptoki.C_UnwrapKey(
                session.handle,
                mechanism.structure,
                wrapping_key,
                wrapped,
                len(wrapped),
                attributes,
                count,
                handle,
            )
        if rv != CKR.OK:
            return None
        key.handle = int(handle[0])
        key.at = connection, key.handle
        return key
    except BaseException as error:
        key.interrupted(error, handle)
        raise


def _destroy_if_made(connection: Connection, key: SessionObject | None) -> None:
    """C_DestroyObject, of no object where there is none: one call either way."""
    handle = objects.CK_INVALID_HANDLE if key is None else key.surrender()
    with connection.owning() as session:
        connection.cryptoki.C_DestroyObject(session.handle, handle)
