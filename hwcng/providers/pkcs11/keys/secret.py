"""Secret keys that are objects of a PKCS#11 token, and the verbs they serve.

Standards of what is composed here from smaller mechanisms: SP 800-38A (CFB), SP 800-38C (CCM), SP 800-38D (GMAC).
Everything composed keeps every key bit in the token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from pkcs11 import Mechanism

from hwcng.contract import keys
from hwcng.contract.effective_length import EffectiveLength
from hwcng.contract.keys import NOT_EXPORTABLE, AeadVerb, CipherVerb
from hwcng.contract.material import RsaPublicKey
from hwcng.contract.specs import (
    AeadSpec,
    CipherSpec,
    CmacSpec,
    GmacSpec,
    HmacSpec,
    MacSpec,
    RsaOaepSpec,
    RsaPkcs1DecryptSpec,
    SecretSpec,
)
from hwcng.contract.usage import CipherMode, SecretFamily, Support, Usage
from hwcng.errors import NTSTATUS, CngError
from hwcng.hostcrypto import modes, xts
from hwcng.providers.pkcs11 import mechanisms
from hwcng.providers.pkcs11.capabilities import MechanismSet
from hwcng.providers.pkcs11.connection import Connection
from hwcng.providers.pkcs11.cryptoki.calls import ffi
from hwcng.providers.pkcs11.cryptoki.return_values import CKR
from hwcng.providers.pkcs11.families.ciphers import AES_BLOCK, cipher
from hwcng.providers.pkcs11.families.secret import SECRET_KINDS
from hwcng.providers.pkcs11.keys import opaque_blob, rsa_wrapping
from hwcng.providers.pkcs11.keys.base import HeldObject, TokenKey, not_supported
from hwcng.providers.pkcs11.keys.derivation import Pkcs11KeyingMaterial
from hwcng.providers.pkcs11.mechanisms import MechanismCall
from hwcng.providers.pkcs11.objects import SecretUnwrapping, make
from hwcng.providers.pkcs11.operations import Operation, Stream
from hwcng.providers.pkcs11.prepared import PREPARED_MODES, prepared_cipher, prepared_gcm, prepared_signature
from hwcng.standards.hashes import HASHES

__all__ = ["Pkcs11SecretKey", "unwrappable"]

_CIPHERS = {SecretFamily.CMAC: "AES", SecretFamily.GMAC: "AES"}
_ECB = CipherSpec(CipherMode.ECB)
DES_BLOCK = 8

_CBC_ZERO_IV = CipherSpec(CipherMode.CBC, bytes(AES_BLOCK))

_BAD_TAG: Mapping[int, NTSTATUS] = dict.fromkeys(
    (CKR.GENERAL_ERROR, CKR.ENCRYPTED_DATA_INVALID, CKR.ENCRYPTED_DATA_LEN_RANGE, CKR.AEAD_DECRYPT_FAILED),
    NTSTATUS.STATUS_AUTH_TAG_MISMATCH,
)
_COPY_REFUSED = frozenset({CKR.ACTION_PROHIBITED, CKR.FUNCTION_NOT_SUPPORTED})

WRAP_OVERHEAD = 8
SMALLEST_WRAPPED = 16


def unwrappable(spec: SecretSpec) -> CngError:
    """The error for a kind of key that never leaves or enters a token wrapped."""
    return not_supported(f"{spec.family.value} keys are neither wrapped nor unwrapped")


def _data_units(spec: CipherSpec, data: bytes) -> Iterator[tuple[CipherSpec, bytes]]:
    """One CKM_AES_XTS operation per data unit."""
    number = int.from_bytes(spec.iv, "little")
    for index, part in enumerate(xts.units(data, spec.data_unit)):
        yield replace(spec, iv=(number + index).to_bytes(AES_BLOCK, "little")), part


_HMAC_FAMILIES = frozenset({SecretFamily.HMAC, SecretFamily.RC2, SecretFamily.RC4})
"""Whose keys may key an HMAC of any hash."""


def _mac_of(spec: HmacSpec | CmacSpec) -> tuple[int, int, str]:
    """The mechanism, the bytes of its result, and what it is called in messages."""
    if isinstance(spec, CmacSpec):
        return int(Mechanism.AES_CMAC), AES_BLOCK, "AES-CMAC"
    name = spec.hash_name
    return mechanisms.HMAC_MECHANISMS[name], HASHES[name].digest_size, f"HMAC-{name}"


class Pkcs11SecretKey(TokenKey, keys.SecretKey):
    """effective: of an RC2 key that others of its value share it with, or that may choose it; None for one that is
    fixed as `spec` has it. last_unwrapping: how it unwrapped a key by RFC 3394 when it last did.
    """

    def __init__(
        self, held: HeldObject, offered: MechanismSet, spec: SecretSpec, effective: EffectiveLength | None = None
    ) -> None:
        super().__init__(held, offered)
        self.spec = spec
        if spec.family is SecretFamily.RC2:
            self.effective = effective or EffectiveLength(spec.effective_bits or spec.bits)
        self.last_unwrapping: SecretUnwrapping | None = None
        self._aead_verbs: dict[tuple[bool, CipherMode, int], AeadVerb] = {}
        self._stream = Stream()
        self._streaming: Connection | None = None

    def _allow(self, usage: Usage, verb: str) -> None:
        if usage not in self.spec.usage:
            raise not_supported(f"this {self.spec.family.value} key was made without the right to {verb}")

    @property
    def lasting_spec(self) -> SecretSpec:
        """The spec of what is stored or handed out of this key: RC2's effective length is fixed from here on."""
        if self.effective is None:
            return self.spec
        bits = self.effective.use()
        return replace(self.spec, effective_bits=0 if bits == self.spec.bits else bits)

    def _call(self, spec: CipherSpec | AeadSpec) -> MechanismCall:
        if self.effective is None:
            return cipher(self.spec.family, spec)
        return cipher(
            self.spec.family,
            spec,
            effective_bits=self.effective.use(),
            rc2_ecb_wants_iv=self.offered.quirks.rc2_ecb_wants_iv,
        )

    def _encrypt(self, spec: CipherSpec | AeadSpec, data: bytes, room: int) -> bytes:
        return self.connection.crypt(self._encryption(spec.mode), self._call(spec), self.held.handle, data, room)

    def _encryption(self, mode: CipherMode) -> Operation:
        return Operation("C_EncryptInit", "C_Encrypt", f"{self.cipher} {mode.value} encryption")

    def _decryption(self, mode: CipherMode, verdicts: Mapping[int, NTSTATUS] | None) -> Operation:
        return Operation("C_DecryptInit", "C_Decrypt", f"{self.cipher} {mode.value} decryption", verdicts, wipe=True)

    def _decrypt(self, spec: CipherSpec | AeadSpec, data: bytes, verdicts: Mapping[int, NTSTATUS] | None) -> bytes:
        operation = self._decryption(spec.mode, verdicts)
        return self.connection.crypt(operation, self._call(spec), self.held.handle, data, len(data))

    @property
    def cipher(self) -> str:
        """The algorithm that the key is asked for as."""
        return _CIPHERS.get(self.spec.family, self.spec.family.value)

    def _ecb(self, blocks: bytes) -> bytes:
        return self._encrypt(_ECB, blocks, len(blocks)) if blocks else b""

    def _cbc_zero_iv(self, blocks: bytes) -> bytes:
        return self._encrypt(_CBC_ZERO_IV, blocks, len(blocks))

    def _support(self, spec: CipherSpec | AeadSpec) -> Support:
        support = self.offered.offers(self.cipher, spec.mode.value)
        # An XTS key of two objects is a class of its own.
        if support is Support.REFUSED or (spec.mode is CipherMode.XTS and support is not Support.NATIVE):
            raise not_supported(f"token {self.connection.token_name!r} has no {self.cipher} {spec.mode.value}")
        if self.effective is not None and self.effective.bits % 8 and self.offered.quirks.rc2_whole_bytes:
            raise not_supported(
                f"token {self.connection.token_name!r} takes effective key lengths in whole bytes, "
                f"not {self.effective.bits} bits"
            )
        return support

    def encrypt(self, spec: CipherSpec | AeadSpec, data: bytes) -> bytes:
        if isinstance(spec, AeadSpec) and (known := self._aead_verbs.get((True, spec.mode, spec.tag_length))):
            return known(spec.nonce, spec.aad, data)
        self._allow(Usage.ENCRYPT, "encrypt")
        native = self._support(spec) is Support.NATIVE
        if isinstance(spec, AeadSpec):
            if native and spec.mode is CipherMode.GCM:
                return self.sealing(spec.mode, spec.tag_length)(spec.nonce, spec.aad, data)
            if native:
                return self._encrypt(spec, data, len(data) + spec.tag_length)
            return modes.ccm_encrypt(self._ecb, self._cbc_zero_iv, spec.nonce, spec.aad, data, spec.tag_length)
        if not data:
            return b""
        if not native:
            composed = modes.cfb8_encrypt if spec.mode is CipherMode.CFB8 else modes.cfb_encrypt
            return composed(self._ecb, spec.iv, data)
        if spec.mode is CipherMode.STREAM:
            return self._key_stream("Encrypt", spec, data)
        if spec.mode is CipherMode.XTS:
            return b"".join(self._encrypt(unit, part, len(part)) for unit, part in _data_units(spec, data))
        # opencryptoki reports the buffer's size as CFB's output length.
        return self._encrypt(spec, data, len(data))[: len(data)]

    def decrypt(self, spec: CipherSpec | AeadSpec, data: bytes) -> bytes:
        if isinstance(spec, AeadSpec) and (known := self._aead_verbs.get((False, spec.mode, spec.tag_length))):
            return known(spec.nonce, spec.aad, data)
        self._allow(Usage.DECRYPT, "decrypt")
        native = self._support(spec) is Support.NATIVE
        if isinstance(spec, AeadSpec):
            if native and spec.mode is CipherMode.GCM:
                return self.opening(spec.mode, spec.tag_length)(spec.nonce, spec.aad, data)
            if native:
                return self._decrypt(spec, data, _BAD_TAG)
            return modes.ccm_decrypt(self._ecb, self._cbc_zero_iv, spec.nonce, spec.aad, data, spec.tag_length)
        if not data:
            return b""
        if not native:
            composed = modes.cfb8_decrypt if spec.mode is CipherMode.CFB8 else modes.cfb_decrypt
            return composed(self._ecb, spec.iv, data)
        if spec.mode is CipherMode.STREAM:
            return self._key_stream("Decrypt", spec, data)
        if spec.mode is CipherMode.XTS:
            return b"".join(self._decrypt(unit, part, None) for unit, part in _data_units(spec, data))
        return self._decrypt(spec, data, None)[: len(data)]

    def _has_own_mechanism(self, mode: CipherMode) -> bool:
        """Whether one C_ operation does the mode, with nothing to choose at each call."""
        return self._support(CipherSpec(mode)) is Support.NATIVE and self.effective is None and mode in PREPARED_MODES

    def enciphering(self, mode: CipherMode) -> CipherVerb:
        self._allow(Usage.ENCRYPT, "encrypt")
        if not self._has_own_mechanism(mode):
            return super().enciphering(mode)
        return prepared_cipher(self.held, self._encryption(mode), self.spec.family, mode)

    def deciphering(self, mode: CipherMode) -> CipherVerb:
        self._allow(Usage.DECRYPT, "decrypt")
        if not self._has_own_mechanism(mode):
            return super().deciphering(mode)
        return prepared_cipher(self.held, self._decryption(mode, None), self.spec.family, mode)

    def sealing(self, mode: CipherMode, tag_length: int) -> AeadVerb:
        if known := self._aead_verbs.get((True, mode, tag_length)):
            return known
        self._allow(Usage.ENCRYPT, "encrypt")
        if mode is not CipherMode.GCM or not self._has_own_mechanism(mode):
            return super().sealing(mode, tag_length)
        verb = prepared_gcm(self.held, self._encryption(mode), self.spec.family, tag_length, tag_length)
        self._aead_verbs[True, mode, tag_length] = verb
        return verb

    def opening(self, mode: CipherMode, tag_length: int) -> AeadVerb:
        if known := self._aead_verbs.get((False, mode, tag_length)):
            return known
        self._allow(Usage.DECRYPT, "decrypt")
        if mode is not CipherMode.GCM or not self._has_own_mechanism(mode):
            return super().opening(mode, tag_length)
        verb = prepared_gcm(self.held, self._decryption(mode, _BAD_TAG), self.spec.family, tag_length, 0)
        self._aead_verbs[False, mode, tag_length] = verb
        return verb

    def authenticating(self, spec: HmacSpec | CmacSpec) -> Callable[[bytes], bytes]:
        self._allow(Usage.SIGN, "authenticate")
        mechanism, room, asked = _mac_of(spec)
        return prepared_signature(self.held, Operation("C_SignInit", "C_Sign", asked), mechanisms.call(mechanism), room)

    def _key_stream(self, verb: str, spec: CipherSpec, data: bytes) -> bytes:
        connection = self.connection
        self._streaming = connection
        # Either direction is the same exclusive or: one running operation serves both.
        if self.spec.usage & Usage.ENCRYPT:
            verb = "Encrypt"
        call, key = self._call(spec), self.held.handle
        return connection.key_streams.crypt(connection, self._stream, verb, call, key, spec.offset, data)

    def destroy(self) -> None:
        # The connection of a named key may be another by then, or not to be had.
        if self._streaming is not None:
            self._streaming.key_streams.end(self._streaming, self._stream)
        super().destroy()

    def mac(self, spec: MacSpec, data: bytes) -> bytes:
        if isinstance(spec, GmacSpec):
            return self._encrypt(AeadSpec(CipherMode.GCM, spec.nonce, data, AES_BLOCK), b"", AES_BLOCK)
        return self.authenticating(spec)(data)

    def duplicate(self) -> Pkcs11SecretKey:
        connection = self.connection
        connection.require_alive()
        if self.held.persistent:
            # A copy would be a second key of its name.
            return self._twin(self.held.share())
        # SoftHSM refuses a null pointer even for an empty template.
        template = ffi.new("CK_ATTRIBUTE[]", 1)
        source, copy = self.held.handle, connection.cryptoki.C_CopyObject
        try:
            made = make(connection, "duplicating the key", copy, source, template, 0, keys=(source,))
        except CngError as error:
            if error.token_code not in _COPY_REFUSED:
                raise
            return self._twin(self.held.share())
        return self._twin(made)

    def _twin(self, held: HeldObject) -> Pkcs11SecretKey:
        """A key of the same value."""
        effective = self.effective.of_duplicate() if self.effective is not None else None
        return Pkcs11SecretKey(held, self.offered, self.spec, effective)

    def wrap_key(self, key: keys.SecretKey) -> bytes:
        self._allow(Usage.WRAP, "wrap")
        if not key.spec.exportable:
            raise not_supported(NOT_EXPORTABLE)
        if not SECRET_KINDS[key.spec.family].wraps:
            raise unwrappable(key.spec)
        if isinstance(key, Pkcs11SecretKey) and key.lasting_spec.effective_bits:
            raise not_supported(
                f"a wrapped key says nothing of its effective length, {key.lasting_spec.effective_bits} bits of "
                f"{key.spec.bits}, and would come back with another: an opaque blob keeps it"
            )
        # The token may hold a key of HMAC in another length than it was given.
        if key.spec.family is not SecretFamily.HMAC and (key.spec.bits // 8 < SMALLEST_WRAPPED or key.spec.bits % 64):
            raise not_supported(
                f"AES key wrap takes whole 8-byte blocks, 16 bytes at least, not a key of {key.spec.bits // 8} bytes"
            )
        self.connection.require_alive()
        if isinstance(key, Pkcs11SecretKey):
            key.connection.require_alive()
        if not isinstance(key, Pkcs11SecretKey) or key.connection is not self.connection:
            raise CngError(
                NTSTATUS.STATUS_INVALID_PARAMETER, "the key and the key that wraps it are not of the same provider"
            )
        return opaque_blob.wrap(
            self.connection,
            mechanisms.call(int(Mechanism.AES_KEY_WRAP)),
            self.held.handle,
            key.held.handle,
            key.spec.bits // 8 + WRAP_OVERHEAD,
        )

    def wrapped_for(self, public: RsaPublicKey, spec: RsaPkcs1DecryptSpec | RsaOaepSpec) -> bytes:
        if not self.spec.exportable:
            raise not_supported(NOT_EXPORTABLE)
        if self.effective is not None:
            self.effective.use()
        return rsa_wrapping.wrapped_for(self.connection, self.offered, self.held.handle, public, spec)

    def followed_by(self, data: bytes, spec: SecretSpec) -> Pkcs11SecretKey:
        self._allow(Usage.DERIVE, "be joined with data")
        held = rsa_wrapping.followed_by(self.connection, self.offered, self.held.handle, data, spec)
        return Pkcs11SecretKey(held, self.offered, spec, self.effective)

    def keying_material(self) -> Pkcs11KeyingMaterial:
        any_hmac = self.spec.family in _HMAC_FAMILIES and self.spec.usage & Usage.SIGN and self.spec.hash_name is None
        if not any_hmac and self.spec.family is not SecretFamily.KDF:
            raise not_supported(f"a {self.spec.family.value} key derives no keys")
        return Pkcs11KeyingMaterial(self.held, self.offered, self.spec.bits // 8, False, Pkcs11SecretKey)

    def opaque(self) -> bytes:
        if not self.spec.exportable:
            raise not_supported(NOT_EXPORTABLE)
        if not SECRET_KINDS[self.spec.family].wraps:
            raise unwrappable(self.spec)
        return opaque_blob.build(self.connection, self.offered, self.lasting_spec, self.held.handle)
