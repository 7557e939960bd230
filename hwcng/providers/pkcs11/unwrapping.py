"""Keys that come wrapped from elsewhere, and are unwrapped inside the token: no byte of them is ever on the host.

Standards: RFC 3394 and RFC 5649 (AES key wrap), RFC 5958 (PKCS #8, the form of a wrapped private key), PKCS#11 3.2,
sections 6.13 (CKM_AES_KEY_WRAP, CKM_AES_KEY_WRAP_KWP) and 6.1.22 (CKM_RSA_AES_KEY_WRAP).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from pkcs11 import Attribute, Mechanism

from hwcng.contract.keys import PrivateKey, SecretKey
from hwcng.contract.material import PublicKeyMaterial, RsaPublicKey
from hwcng.contract.specs import (
    RFC_3394,
    AesKeyWrapSpec,
    PairSpec,
    RsaAesKeyWrapSpec,
    RsaOaepSpec,
    SecretSpec,
    WrapSpec,
    describe,
)
from hwcng.contract.usage import SecretFamily, Support, Usage
from hwcng.errors import NTSTATUS, CngError, invalid_parameter, not_supported
from hwcng.providers.pkcs11 import mechanisms, objects, templates
from hwcng.providers.pkcs11.capabilities import MechanismSet
from hwcng.providers.pkcs11.connection import Connection
from hwcng.providers.pkcs11.cryptoki.constants import CKM
from hwcng.providers.pkcs11.cryptoki.return_values import CKR
from hwcng.providers.pkcs11.families import PAIR_KINDS, kind_of
from hwcng.providers.pkcs11.families.ciphers import CIPHER_MECHANISMS
from hwcng.providers.pkcs11.families.rsa import oaep, oaep_is_native, rsa_aes_key_wrap
from hwcng.providers.pkcs11.families.values import Values
from hwcng.providers.pkcs11.keys import rsa_wrapping
from hwcng.providers.pkcs11.keys.opaque_blob import WRAPPED_KEY_REFUSED
from hwcng.providers.pkcs11.keys.private import Pkcs11PrivateKey
from hwcng.providers.pkcs11.keys.secret import Pkcs11SecretKey
from hwcng.providers.pkcs11.mechanisms import MechanismCall
from hwcng.providers.pkcs11.objects import SecretUnwrapping, SessionObject, Verdicts
from hwcng.providers.pkcs11.store.attributes import AttributeReader
from hwcng.providers.pkcs11.store.specs import READ, spec_of
from hwcng.providers.pkcs11.templates import Template

__all__ = ["Unwrapping", "unwrapped_as_before", "unwrapping"]

_Into: TypeAlias = Callable[[Template, str, Verdicts], SessionObject]

BLOCK = 8
SMALLEST = {False: 3 * BLOCK, True: 2 * BLOCK}
"""Bytes of what AES key wrap makes of the shortest key, by whether it is padded."""
AES_BITS = (128, 192, 256)
NATIVE_AES_BITS = 256
"""What CKM_RSA_AES_KEY_WRAP is told of the AES key between the two, whose length the blob does not show."""
_NONE = dict.fromkeys((CKR.KEY_SIZE_RANGE, CKR.MECHANISM_INVALID), NTSTATUS.STATUS_INVALID_PARAMETER)
"""What tokens say of a key whose length its cipher does not have."""
_NO_VERDICTS: Verdicts = {}
_BETWEEN = SecretSpec(SecretFamily.AES, 0, Usage.ENCRYPT | Usage.UNWRAP)


class Unwrapping:
    """A wrapped key and what unwraps it, as often as it is needed in the block that it is a context manager of.

    bits: of the key, None where padding hides them. used: what ends with the block. by: the key and the mechanism of
    RFC 3394, None where it is another.
    """

    def __init__(
        self,
        connection: Connection,
        offered: MechanismSet,
        into: _Into,
        bits: int | None,
        used: Sequence[SecretKey] = (),
        by: tuple[Pkcs11SecretKey, MechanismCall] | None = None,
    ) -> None:
        self._connection = connection
        self._offered = offered
        self._into = into
        self._bits = bits
        self._used = used
        self._remembers = by

    def __enter__(self) -> Unwrapping:
        return self

    def __exit__(self, *_error: object) -> None:
        for key in self._used:
            key.destroy()

    def into(
        self, spec: SecretSpec | PairSpec, place: Callable[[Template], Template], verdicts: Verdicts, asked: str
    ) -> SessionObject:
        """An object of `spec`. place: says whose it is; verdicts: what refusals mean beside the usual.

        Raises STATUS_INVALID_PARAMETER for a blob that is damaged or of another kind of key, and for a secret key of
        another length than `spec` says.
        """
        template = place(templates.unwrapped(spec, self._offered.quirks))
        meaning = {**WRAPPED_KEY_REFUSED, **verdicts} if verdicts else WRAPPED_KEY_REFUSED
        if isinstance(spec, PairSpec):
            return self._into(template, asked, meaning)
        if self._bits not in (None, spec.bits):
            raise invalid_parameter(f"the wrapped key has {self._bits} bits, and is not one of {describe(spec)}")
        held = self._into(template, asked, meaning)
        if self._bits is None:
            try:
                self._require_length(held, spec)
            except BaseException:
                held.release()
                raise
        return held

    def here(self, spec: SecretSpec | PairSpec) -> SessionObject:
        """The same, of this process."""
        asked = f"unwrapping a key as {describe(spec)}"
        held = self.into(spec, _of_process, _NO_VERDICTS, asked)
        if self._remembers is not None and isinstance(spec, SecretSpec):
            key, call = self._remembers
            template = templates.unwrapped(spec, self._offered.quirks)
            key.last_unwrapping = SecretUnwrapping(spec, call, template, asked)
        return held

    def _require_length(self, key: SessionObject, spec: SecretSpec) -> None:
        """SoftHSM 2.6.1 takes any length for any type, and tells 0 of it: a key that encrypts has the right one."""
        said = objects.read_attributes(self._connection, key.handle, [Attribute.VALUE_LEN], 8)[Attribute.VALUE_LEN]
        if said is not None and (octets := int.from_bytes(said, sys.byteorder)):
            if 8 * octets != spec.bits:
                raise invalid_parameter(f"the wrapped key has {8 * octets} bits, and is not one of {describe(spec)}")
        elif spec.family not in CIPHER_MECHANISMS or (said is None and self._offered.quirks.types_have_their_length):
            return
        elif not spec.usage & Usage.ENCRYPT:
            # One that may not encrypt is tried as one that may, which is not kept.
            self.here(replace(spec, usage=Usage.ENCRYPT, exportable=False)).release()
        elif rv := rsa_wrapping.encrypting_a_block(self._connection, key, spec.family):
            raise self._connection.error(rv, f"trying whether the wrapped key is one of {describe(spec)} failed", _NONE)

    def pair(self, spec: PairSpec) -> tuple[PairSpec, PublicKeyMaterial]:
        """What the private key is, with the usage and protection of `spec`, and its public half."""
        telling = PAIR_KINDS[spec.kind].telling
        held = self.here(replace(spec, usage=telling, exportable=False) if telling else spec)
        try:
            return self.told(held, spec, telling)
        finally:
            held.release()

    def told(self, held: SessionObject, spec: PairSpec, usage: Usage) -> tuple[PairSpec, PublicKeyMaterial]:
        """The same of a key that has been unwrapped. usage: that it has."""
        values: Values | None = AttributeReader(READ).read(self._connection, held.handle)
        if values is None:
            raise self._connection.error(CKR.OBJECT_HANDLE_INVALID, "reading what was unwrapped failed")
        found = spec_of(values, None)
        if not isinstance(found, PairSpec) or found.kind != spec.kind or spec.curve not in ("", found.curve):
            raise invalid_parameter(f"the wrapped key is {describe(found)}, not {describe(spec)}")
        found = replace(found, usage=spec.usage, exportable=spec.exportable)
        return found, self._public(held, values, found, usage)

    @property
    def has_room(self) -> bool:
        """Whether the token keeps keys of a process."""
        return objects.has_room(self._connection)

    def _public(self, held: SessionObject, values: Values, spec: PairSpec, usage: Usage) -> PublicKeyMaterial:
        kind = kind_of(spec)
        of_private: PublicKeyMaterial | None = kind.of_private(values)
        if of_private is not None:
            return of_private
        known: PublicKeyMaterial | None = kind.untold(values, spec)
        if known is None:
            raise not_supported("the token tells neither the modulus nor the public key of what it unwrapped")
        if not kind.telling & usage:
            return known
        key = Pkcs11PrivateKey(held, self._offered, replace(spec, usage=kind.telling), known, None, False)
        told: PublicKeyMaterial | None = kind.told_by_use(key)
        return known if told is None else told


class _OaepUnwrapping(Unwrapping):
    """A secret key that is encrypted to an RSA pair, which alone says nothing of what is in it."""

    def __init__(
        self, connection: Connection, offered: MechanismSet, private: Pkcs11PrivateKey, wrapped: bytes, by: RsaOaepSpec
    ) -> None:
        super().__init__(connection, offered, self._unwrapped, None)
        self._private = private
        self._wrapped = wrapped
        self._by = by

    def _unwrapped(self, template: Template, asked: str, verdicts: Verdicts) -> SessionObject:
        return objects.unwrap(
            self._connection, oaep(self._by), self._private.held.handle, self._wrapped, template, asked, verdicts
        )

    def _require_length(self, key: SessionObject, spec: SecretSpec) -> None:
        """It was measured before."""

    def into(
        self, spec: SecretSpec | PairSpec, place: Callable[[Template], Template], verdicts: Verdicts, asked: str
    ) -> SessionObject:
        """Tried as a key of this process first, which says nothing of what is wrong."""
        if isinstance(spec, PairSpec):
            raise not_supported("a private key does not fit under an RSA key alone: RsaAesKeyWrapSpec takes any")
        self._private.unwrap_secret(replace(spec, exportable=False), self._wrapped, self._by).destroy()
        return super().into(spec, place, verdicts, asked)


def _of_process(template: Template) -> Template:
    return template


def unwrapping(
    connection: Connection,
    offered: MechanismSet,
    wrapping_key: SecretKey | PrivateKey,
    wrapped: bytes,
    wrap: WrapSpec,
) -> Unwrapping:
    """What unwraps `wrapped`, for as long as the block lasts.

    Raises STATUS_INVALID_PARAMETER for a key of another provider or that does not go with `wrap`, and for a blob that
    is none; STATUS_NOT_SUPPORTED for a key without the right to unwrap, and for what the token does not do.
    """
    if isinstance(wrap, RsaOaepSpec):
        return _OaepUnwrapping(connection, offered, _rsa_pair(connection, wrapping_key)[0], wrapped, wrap)
    if isinstance(wrap, AesKeyWrapSpec):
        key, call = _by_aes(connection, offered, wrapping_key, wrapped, wrap)
        into = partial(objects.unwrap, connection, call, key.held.handle, wrapped)
        if wrap.padded:
            return Unwrapping(connection, offered, into, None)
        return Unwrapping(connection, offered, into, 8 * (len(wrapped) - BLOCK), by=(key, call))
    used: list[SecretKey] = []
    return Unwrapping(connection, offered, _by_rsa(connection, offered, wrapping_key, wrapped, wrap, used), None, used)


def unwrapped_as_before(
    connection: Connection, spec: SecretSpec, wrapping_key: SecretKey | PrivateKey, wrapped: bytes, wrap: WrapSpec
) -> SessionObject | None:
    """The key, where `wrapping_key` unwrapped one of `spec` last and nothing has changed since; else None."""
    if wrap is not RFC_3394 or not isinstance(wrapping_key, Pkcs11SecretKey):
        return None
    known = wrapping_key.last_unwrapping
    if known is None or known.spec is not spec or 8 * (len(wrapped) - BLOCK) != spec.bits:
        return None
    on, key = wrapping_key.held.at
    if on is not connection or not connection.alive:
        return None
    return objects.unwrap(connection, known.call, key, wrapped, known.template, known.asked, WRAPPED_KEY_REFUSED)


def _require_own(connection: Connection, key: Pkcs11SecretKey | Pkcs11PrivateKey) -> None:
    key.connection.require_alive()
    if key.connection is not connection:
        raise invalid_parameter("the key that unwraps is of another provider")
    if Usage.UNWRAP not in key.spec.usage:
        raise not_supported(
            "the key that unwraps was made without the right to unwrap; a pair gets it by the property Key Usage with "
            "NCRYPT_ALLOW_KEY_IMPORT_FLAG, set before it is finalized"
        )


def _refused(connection: Connection, offered: MechanismSet, algorithm: str, operation: str) -> CngError:
    reason = offered.reasons.get((algorithm, operation), "")
    return not_supported(f"token {connection.token_name!r} does not do {algorithm} {operation}: {reason}")


def _aes_call(connection: Connection, offered: MechanismSet, padded: bool) -> MechanismCall:
    if not padded:
        if not offered.has(Mechanism.AES_KEY_WRAP):
            raise _refused(connection, offered, "AES", "WRAP")
        return mechanisms.call(int(Mechanism.AES_KEY_WRAP))
    mechanism = offered.padded_key_wrap()
    if mechanism is None:
        raise _refused(connection, offered, "AES", "KWP")
    return mechanisms.call(int(mechanism))


def _require_blocks(wrapped: bytes, padded: bool) -> None:
    smallest = SMALLEST[padded]
    if len(wrapped) < smallest or len(wrapped) % BLOCK:
        raise invalid_parameter(
            f"a wrapped key has whole {BLOCK}-byte blocks, {smallest} bytes at least; {len(wrapped)} bytes given"
        )


def _by_aes(
    connection: Connection,
    offered: MechanismSet,
    key: SecretKey | PrivateKey,
    wrapped: bytes,
    wrap: AesKeyWrapSpec,
) -> tuple[Pkcs11SecretKey, MechanismCall]:
    call = _aes_call(connection, offered, wrap.padded)
    if not isinstance(key, Pkcs11SecretKey) or key.spec.family is not SecretFamily.AES:
        raise invalid_parameter("the key that unwraps must be an AES key of this token")
    _require_own(connection, key)
    _require_blocks(wrapped, wrap.padded)
    return key, call


def _rsa_pair(connection: Connection, key: SecretKey | PrivateKey) -> tuple[Pkcs11PrivateKey, int]:
    """And the bytes of its modulus."""
    if not isinstance(key, Pkcs11PrivateKey) or not isinstance(key.public, RsaPublicKey):
        raise invalid_parameter("the key that unwraps must be an RSA pair of this token")
    _require_own(connection, key)
    return key, (key.public.modulus.bit_length() + 7) // 8


def _by_rsa(
    connection: Connection,
    offered: MechanismSet,
    key: SecretKey | PrivateKey,
    wrapped: bytes,
    wrap: RsaAesKeyWrapSpec,
    used: list[SecretKey],
) -> _Into:
    """used: what ends with the block."""
    if offered.offers("RSA", "AES_KEY_WRAP") is Support.REFUSED:
        raise _refused(connection, offered, "RSA", "AES_KEY_WRAP")
    private, size = _rsa_pair(connection, key)
    encrypted, rest = wrapped[:size], wrapped[size:]
    _require_blocks(rest, padded=True)
    handle = private.held.handle

    def composed() -> _Into:
        call = _aes_call(connection, offered, True)
        between = private.unwrap_secret(_BETWEEN, encrypted, wrap.oaep, AES_BITS)
        used.append(between)
        return partial(objects.unwrap, connection, call, between.held.handle, rest)

    composable = offered.padded_key_wrap() is not None and oaep_is_native(offered, wrap.oaep)
    if not offered.has(CKM.RSA_AES_KEY_WRAP):
        if not composable:
            raise not_supported(
                f"token {connection.token_name!r} does not undo OAEP with {wrap.oaep.hash_name}"
                f"{' and a label' if wrap.oaep.label else ''} into a key; SHA1 and no label is what every token has"
            )
        return composed()
    native = partial(objects.unwrap, connection, rsa_aes_key_wrap(wrap.oaep, NATIVE_AES_BITS), handle, encrypted + rest)

    def either(template: Template, asked: str, verdicts: Verdicts) -> SessionObject:
        """The two steps take an AES key of any length."""
        try:
            return native(template, asked, verdicts)
        except CngError as error:
            if not composable or error.token_code is None or not connection.alive:
                raise
        return composed()(template, asked, verdicts)

    return either
