"""Private keys that are objects of a PKCS#11 token, and the verbs they serve; each kind of pair has its own ways."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from pkcs11 import Attribute

from hwcng import errors
from hwcng.contract import keys
from hwcng.contract.keys import NOT_EXPORTABLE
from hwcng.contract.material import PublicKeyMaterial, RsaPublicKey
from hwcng.contract.specs import (
    DecryptSpec,
    PairSpec,
    RsaOaepSpec,
    RsaPkcs1DecryptSpec,
    SecretSpec,
    SignSpec,
)
from hwcng.contract.usage import SecretFamily, Support, Usage
from hwcng.errors import NTSTATUS, CngError
from hwcng.forking import kept_property
from hwcng.providers.pkcs11 import mechanisms, objects, templates
from hwcng.providers.pkcs11.capabilities import MechanismSet
from hwcng.providers.pkcs11.cryptoki.return_values import CKR
from hwcng.providers.pkcs11.families import PairKind, kind_of, secret
from hwcng.providers.pkcs11.keys import opaque_blob, rsa_wrapping
from hwcng.providers.pkcs11.keys.agreed import Pkcs11AgreedSecret
from hwcng.providers.pkcs11.keys.base import HeldObject, TokenKey, not_supported
from hwcng.providers.pkcs11.keys.secret import Pkcs11SecretKey
from hwcng.providers.pkcs11.mechanisms import MechanismCall
from hwcng.providers.pkcs11.objects import SessionObject
from hwcng.providers.pkcs11.operations import OUTPUT_ROOM, Operation
from hwcng.providers.pkcs11.prepared import prepared_signature
from hwcng.standards.parameter_sets import SHARED_SECRET_SIZE

__all__ = ["Pkcs11PrivateKey"]

_BAD_BLOCK: Mapping[int, NTSTATUS] = dict.fromkeys(
    (
        CKR.GENERAL_ERROR,
        CKR.FUNCTION_FAILED,
        CKR.DATA_INVALID,
        CKR.DATA_LEN_RANGE,
        CKR.ENCRYPTED_DATA_INVALID,
        CKR.ENCRYPTED_DATA_LEN_RANGE,
    ),
    NTSTATUS.STATUS_INVALID_PARAMETER,
)

_LONGEST_WRAPPED = 16384
"""Bytes: more than PKCS #8 has of any key, RSA of 16,384 bits too."""


class Pkcs11PrivateKey(TokenKey, keys.PrivateKey):
    """public_object: the token's public half, where the token made the pair; it ends with the private half.

    always_authenticate: whether every use needs a login of its own (CKA_ALWAYS_AUTHENTICATE).
    """

    def __init__(
        self,
        held: HeldObject,
        offered: MechanismSet,
        spec: PairSpec,
        public: PublicKeyMaterial,
        public_object: SessionObject | None,
        readable_secrets: bool,
        *,
        always_authenticate: bool = False,
    ) -> None:
        super().__init__(held, offered)
        self.spec = spec
        self.public = public
        self.always_authenticate = always_authenticate
        self._public_object = public_object
        self._readable_secrets = readable_secrets

    @kept_property
    def kind(self) -> PairKind[Any, Any]:
        """What such pairs are in a token."""
        return kind_of(self.spec)

    def destroy(self) -> None:
        public_object, self._public_object = self._public_object, None
        super().destroy()
        if public_object is not None:
            public_object.release()

    def _allow(self, usage: Usage, verb: str) -> None:
        if usage not in self.spec.usage:
            raise not_supported(f"this key was made without the right to {verb}")

    def sign_digest(self, spec: SignSpec, digest: bytes) -> bytes:
        self._allow(Usage.SIGN, "sign")
        return self.kind.sign(self, spec, digest)

    def sign_with(self, call: MechanismCall, data: bytes, room: int, asked: str, *, exact: bool = False) -> bytes:
        """C_SignInit and C_Sign. room: bytes of the longest signature. exact: whether the token is told of no more."""
        return self.connection.crypt(self._signature(asked, room, exact), call, self.held.handle, data, room)

    def _signature(self, asked: str, room: int, exact: bool) -> Operation:
        told = room if exact else OUTPUT_ROOM
        return Operation("C_SignInit", "C_Sign", asked, authenticate=self.always_authenticate, told=told)

    def signing(self, spec: SignSpec) -> Callable[[bytes], bytes]:
        self._allow(Usage.SIGN, "sign")
        ready = self.kind.signing(self, spec)
        return super().signing(spec) if ready is None else ready

    def signing_with(
        self, call: MechanismCall, room: int, asked: str, *, exact: bool = False
    ) -> Callable[[bytes], bytes]:
        """`sign_with` of any data."""
        return prepared_signature(self.held, self._signature(asked, room, exact), call, room)

    def decrypt(self, spec: DecryptSpec, ciphertext: bytes) -> bytes:
        self._allow(Usage.DECRYPT, "decrypt")
        return self.kind.decrypt(self, spec, ciphertext)

    def decrypt_with(self, call: MechanismCall, ciphertext: bytes, room: int, asked: str) -> bytes:
        """C_DecryptInit and C_Decrypt. Everything that can be wrong with a padding is one error, without a cause."""
        operation = Operation(
            "C_DecryptInit",
            "C_Decrypt",
            asked,
            _BAD_BLOCK,
            wipe=True,
            authenticate=self.always_authenticate,
            quiet=True,
        )
        try:
            return self.connection.crypt(operation, call, self.held.handle, ciphertext, room)
        except CngError as error:
            # Without the token's code it is about the PIN of a key that asks for it at every use.
            if error.status is not NTSTATUS.STATUS_INVALID_PARAMETER or error.token_code is None:
                raise
        raise errors.decryption_error()

    def session_copy(self) -> Pkcs11PrivateKey:
        connection, source = self.connection, self.held.handle
        template: templates.Template = {Attribute.TOKEN: False, Attribute.LABEL: ""}
        with templates.packed(template) as (attributes, count):
            held = objects.make(
                connection,
                "copying the private key",
                connection.cryptoki.C_CopyObject,
                source,
                attributes,
                count,
                keys=(source,),
                template=template,
            )
        return Pkcs11PrivateKey(
            held,
            self.offered,
            self.spec,
            self.public,
            None,
            self._readable_secrets,
            always_authenticate=self.always_authenticate,
        )

    def unwrap_secret(
        self,
        spec: SecretSpec,
        wrapped: bytes,
        encryption: RsaPkcs1DecryptSpec | RsaOaepSpec,
        lengths: Collection[int] = (),
    ) -> Pkcs11SecretKey:
        self._allow(Usage.UNWRAP, "unwrap keys")
        if not isinstance(self.public, RsaPublicKey):
            raise not_supported("only an RSA key unwraps keys")
        unwrapped = rsa_wrapping.unwrap(
            self.connection,
            self.offered,
            self.held.handle,
            self.public,
            spec,
            wrapped,
            encryption,
            lengths or (spec.bits,),
        )
        if unwrapped is None:
            # The one message: why a wrapped key was refused is nobody's business.
            raise errors.decryption_error()
        held, spec = unwrapped
        return Pkcs11SecretKey(held, self.offered, spec)

    def agree(self, peer: PublicKeyMaterial) -> Pkcs11AgreedSecret:
        self._allow(Usage.DERIVE, "agree on secrets")
        agreement = self.kind.agreement(self, peer)
        held = objects.derive(
            self.connection,
            agreement.call,
            self.held.handle,
            templates.agreed_secret(agreement.length, self._readable_secrets),
            agreement.asked,
        )
        return Pkcs11AgreedSecret(held, self.offered, agreement.length, self._readable_secrets, Pkcs11SecretKey)

    def sign_message(self, spec: SignSpec, message: bytes) -> bytes:
        self._allow(Usage.SIGN, "sign")
        return self.kind.sign(self, spec, message)

    def decapsulate(self, ciphertext: bytes) -> bytes:
        return objects.read_secret(
            self._decapsulated(ciphertext, templates.shared_secret(SHARED_SECRET_SIZE)),
            SHARED_SECRET_SIZE,
            "the shared secret",
        )

    def decapsulate_key(self, ciphertext: bytes, spec: SecretSpec) -> Pkcs11SecretKey:
        if spec.bits != 8 * SHARED_SECRET_SIZE or self.offered.offers(secret.offered_as(spec)) is Support.REFUSED:
            raise not_supported(f"token {self.connection.token_name!r} has no {spec.bits}-bit {spec.family.value} keys")
        held = self._decapsulated(ciphertext, templates.secret(spec, length=True))
        return Pkcs11SecretKey(held, self.offered, spec)

    def _decapsulated(self, ciphertext: bytes, template: templates.Template) -> SessionObject:
        self._allow(Usage.DECAPSULATE, "decapsulate")
        call = self.kind.decapsulation(self)
        return objects.decapsulate(
            self.connection, call, self.held.handle, ciphertext, template, f"{self.kind.kind} decapsulation"
        )

    def wrapped_under(self, key: keys.SecretKey) -> bytes:
        if not self.spec.exportable:
            raise not_supported(NOT_EXPORTABLE)
        mechanism = self.offered.padded_key_wrap()
        if mechanism is None:
            raise not_supported(self.offered.reasons.get(("AES", "KWP"), "the token has no AES key wrap of RFC 5649"))
        if not isinstance(key, Pkcs11SecretKey) or key.connection is not self.connection:
            raise errors.invalid_parameter("the key and the key that wraps it are not of the same provider")
        if key.spec.family is not SecretFamily.AES or not key.spec.usage & Usage.WRAP:
            raise not_supported("the key that wraps must be an AES key with the right to wrap")
        self.connection.require_alive()
        return opaque_blob.wrap(
            self.connection, mechanisms.call(int(mechanism)), key.held.handle, self.held.handle, _LONGEST_WRAPPED
        )

    def opaque(self) -> bytes:
        if not self.spec.exportable:
            raise not_supported(NOT_EXPORTABLE)
        return opaque_blob.build(self.connection, self.offered, self.spec, self.held.handle, self.public)
