"""Secret keys that are objects of a PKCS#11 token, and the verbs they serve.

Standards of what is composed here from smaller mechanisms: SP 800-38A (CFB), SP 800-38C (CCM), SP 800-38D (GMAC).
Everything composed keeps every key bit in the token.
"""

from __future__ import annotations

from collections.abc import Mapping

from pkcs11 import Mechanism

from hwcng.errors import NTSTATUS, CngError
from hwcng.hashes import HASHES
from hwcng.providers import base, compose
from hwcng.providers.base import (
    AeadSpec,
    CipherMode,
    CipherSpec,
    CmacSpec,
    GmacSpec,
    MacSpec,
    RsaOaepSpec,
    RsaPkcs1DecryptSpec,
    RsaPublicKey,
    SecretFamily,
    SecretSpec,
    Support,
    Usage,
)
from hwcng.providers.pkcs11 import key_transport, mechanisms, opaque
from hwcng.providers.pkcs11.capabilities import MechanismSet
from hwcng.providers.pkcs11.ckr import CKR
from hwcng.providers.pkcs11.cryptoki import ffi
from hwcng.providers.pkcs11.keying import Pkcs11KeyingMaterial
from hwcng.providers.pkcs11.mechanisms import AES_BLOCK
from hwcng.providers.pkcs11.objects import SessionObject
from hwcng.providers.pkcs11.token_key import HeldObject, TokenKey, not_supported

__all__ = ["Pkcs11SecretKey"]

_ECB = CipherSpec(CipherMode.ECB)
_CBC_ZERO_IV = CipherSpec(CipherMode.CBC, bytes(AES_BLOCK))

_BAD_TAG: Mapping[int, NTSTATUS] = dict.fromkeys(
    (CKR.GENERAL_ERROR, CKR.ENCRYPTED_DATA_INVALID, CKR.ENCRYPTED_DATA_LEN_RANGE, CKR.AEAD_DECRYPT_FAILED),
    NTSTATUS.STATUS_AUTH_TAG_MISMATCH,
)
_COPY_REFUSED = frozenset({CKR.ACTION_PROHIBITED, CKR.FUNCTION_NOT_SUPPORTED})

WRAP_OVERHEAD = 8


class Pkcs11SecretKey(TokenKey, base.SecretKey):
    def __init__(self, held: HeldObject, offered: MechanismSet, spec: SecretSpec) -> None:
        super().__init__(held, offered)
        self.spec = spec

    def _allow(self, usage: Usage, verb: str) -> None:
        if not self.spec.usage & usage:
            raise not_supported(f"this {self.spec.family.value} key was made without the right to {verb}")

    def _encrypt(self, spec: CipherSpec | AeadSpec, data: bytes, room: int) -> bytes:
        return self.connection.crypt(
            "C_EncryptInit",
            "C_Encrypt",
            mechanisms.cipher(spec),
            self.held.handle,
            data,
            room,
            f"AES {spec.mode.value} encryption",
        )

    def _decrypt(self, spec: CipherSpec | AeadSpec, data: bytes, verdicts: Mapping[int, NTSTATUS] | None) -> bytes:
        return self.connection.crypt(
            "C_DecryptInit",
            "C_Decrypt",
            mechanisms.cipher(spec),
            self.held.handle,
            data,
            len(data),
            f"AES {spec.mode.value} decryption",
            verdicts,
            wipe=True,
        )

    def _ecb(self, blocks: bytes) -> bytes:
        return self._encrypt(_ECB, blocks, len(blocks)) if blocks else b""

    def _cbc_zero_iv(self, blocks: bytes) -> bytes:
        return self._encrypt(_CBC_ZERO_IV, blocks, len(blocks))

    def _support(self, mode: CipherMode) -> Support:
        support = self.offered.offers("AES", mode.value)
        if support is Support.REFUSED:
            raise not_supported(f"token {self.connection.token_name!r} has no AES {mode.value}")
        return support

    def encrypt(self, spec: CipherSpec | AeadSpec, data: bytes) -> bytes:
        self._allow(Usage.ENCRYPT, "encrypt")
        native = self._support(spec.mode) is Support.NATIVE
        if isinstance(spec, AeadSpec):
            if native:
                return self._encrypt(spec, data, len(data) + spec.tag_length)
            return compose.ccm_encrypt(self._ecb, self._cbc_zero_iv, spec.nonce, spec.aad, data, spec.tag_length)
        if native:
            # opencryptoki reports the buffer's size as CFB's output length.
            return self._encrypt(spec, data, len(data))[: len(data)] if data else b""
        composed = compose.cfb8_encrypt if spec.mode is CipherMode.CFB8 else compose.cfb128_encrypt
        return composed(self._ecb, spec.iv, data)

    def decrypt(self, spec: CipherSpec | AeadSpec, data: bytes) -> bytes:
        self._allow(Usage.DECRYPT, "decrypt")
        native = self._support(spec.mode) is Support.NATIVE
        if isinstance(spec, AeadSpec):
            if native:
                return self._decrypt(spec, data, _BAD_TAG)
            return compose.ccm_decrypt(self._ecb, self._cbc_zero_iv, spec.nonce, spec.aad, data, spec.tag_length)
        if native:
            return self._decrypt(spec, data, None)[: len(data)] if data else b""
        composed = compose.cfb8_decrypt if spec.mode is CipherMode.CFB8 else compose.cfb128_decrypt
        return composed(self._ecb, spec.iv, data)

    def mac(self, spec: MacSpec, data: bytes) -> bytes:
        if isinstance(spec, GmacSpec):
            return self._encrypt(AeadSpec(CipherMode.GCM, spec.nonce, data, AES_BLOCK), b"", AES_BLOCK)
        self._allow(Usage.SIGN, "authenticate")
        if isinstance(spec, CmacSpec):
            return self._sign(int(Mechanism.AES_CMAC), data, AES_BLOCK, "AES-CMAC")
        hash_function = HASHES[spec.hash_name]
        return self._sign(
            mechanisms.HMAC_MECHANISMS[spec.hash_name], data, hash_function.digest_size, f"HMAC-{spec.hash_name}"
        )

    def _sign(self, mechanism: int, data: bytes, room: int, asked: str) -> bytes:
        return self.connection.crypt(
            "C_SignInit", "C_Sign", mechanisms.call(mechanism), self.held.handle, data, room, asked
        )

    def duplicate(self) -> Pkcs11SecretKey:
        connection = self.connection
        connection.require_alive()
        if self.held.persistent:
            # A copy would be a second key of its name.
            return Pkcs11SecretKey(self.held.share(), self.offered, self.spec)
        handle = ffi.new("CK_ULONG *")
        # SoftHSM refuses a null pointer even for an empty template.
        template = ffi.new("CK_ATTRIBUTE[]", 1)
        with connection.owning() as session:
            rv = connection.cryptoki.C_CopyObject(session.handle, self.held.handle, template, 0, handle)
        if rv == CKR.OK:
            return Pkcs11SecretKey(SessionObject(connection, int(handle[0])), self.offered, self.spec)
        if rv in _COPY_REFUSED:
            return Pkcs11SecretKey(self.held.share(), self.offered, self.spec)
        raise connection.error(rv, "duplicating the key failed")

    def wrap_key(self, key: base.SecretKey) -> bytes:
        self._allow(Usage.WRAP, "wrap")
        if not key.spec.exportable:
            raise not_supported("the key's export policy forbids its export")
        self.connection.require_alive()
        if isinstance(key, Pkcs11SecretKey):
            key.connection.require_alive()
        if not isinstance(key, Pkcs11SecretKey) or key.connection is not self.connection:
            raise CngError(
                NTSTATUS.STATUS_INVALID_PARAMETER, "the key and the key that wraps it are not of the same provider"
            )
        return opaque.wrap(
            self.connection,
            mechanisms.call(int(Mechanism.AES_KEY_WRAP)),
            self.held.handle,
            key.held.handle,
            key.spec.bits // 8 + WRAP_OVERHEAD,
        )

    def wrapped_for(self, public: RsaPublicKey, spec: RsaPkcs1DecryptSpec | RsaOaepSpec) -> bytes:
        if not self.spec.exportable:
            raise not_supported("the key's export policy forbids its export")
        return key_transport.wrapped_for(self.connection, self.offered, self.held.handle, public, spec)

    def followed_by(self, data: bytes, spec: SecretSpec) -> Pkcs11SecretKey:
        self._allow(Usage.DERIVE, "be joined with data")
        held = key_transport.followed_by(self.connection, self.offered, self.held.handle, data, spec)
        return Pkcs11SecretKey(held, self.offered, spec)

    def keying_material(self) -> Pkcs11KeyingMaterial:
        any_hmac = self.spec.family is SecretFamily.HMAC and self.spec.hash_name is None
        if not any_hmac and self.spec.family is not SecretFamily.KDF:
            raise not_supported(f"a {self.spec.family.value} key derives no keys")
        return Pkcs11KeyingMaterial(self.held, self.offered, self.spec.bits // 8, readable=False)

    def opaque(self) -> bytes:
        if not self.spec.exportable:
            raise not_supported("the key's export policy forbids its export")
        return opaque.build(self.connection, self.offered, self.spec, self.held.handle)
