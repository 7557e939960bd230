"""Secret keys that are objects of a PKCS#11 token, and the verbs they serve.

Standards of what is composed here from smaller mechanisms: SP 800-38A (CFB), SP 800-38C (CCM), SP 800-38D (GMAC).
Everything composed keeps every key bit in the token.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

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

RC2_BLOCK = 8
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
            mechanisms.cipher(self.spec.family, spec),
            self.held.handle,
            data,
            room,
            f"{self.cipher} {spec.mode.value} encryption",
        )

    def _decrypt(self, spec: CipherSpec | AeadSpec, data: bytes, verdicts: Mapping[int, NTSTATUS] | None) -> bytes:
        return self.connection.crypt(
            "C_DecryptInit",
            "C_Decrypt",
            mechanisms.cipher(self.spec.family, spec),
            self.held.handle,
            data,
            len(data),
            f"{self.cipher} {spec.mode.value} decryption",
            verdicts,
            wipe=True,
        )

    @property
    def cipher(self) -> str:
        """The algorithm that the key is asked for as."""
        return _CIPHERS.get(self.spec.family, self.spec.family.value)

    def _ecb(self, blocks: bytes, effective_bits: int = 0) -> bytes:
        if self.spec.family is not SecretFamily.RC2:
            return self._encrypt(_ECB, blocks, len(blocks)) if blocks else b""
        cbc = CipherSpec(CipherMode.CBC, bytes(RC2_BLOCK), effective_bits)
        pieces = (blocks[start : start + RC2_BLOCK] for start in range(0, len(blocks), RC2_BLOCK))
        return b"".join(self._encrypt(cbc, piece, RC2_BLOCK) for piece in pieces)

    def _ecb_decrypt(self, blocks: bytes, effective_bits: int) -> bytes:
        """RC2's: in CBC every plaintext block is masked by the ciphertext block before it."""
        iv = bytes(RC2_BLOCK)
        plaintext = self._decrypt(CipherSpec(CipherMode.CBC, iv, effective_bits), blocks, None)
        return compose.xor(plaintext, (iv + blocks)[: len(blocks)])

    def _cbc_zero_iv(self, blocks: bytes) -> bytes:
        return self._encrypt(_CBC_ZERO_IV, blocks, len(blocks))

    def _support(self, mode: CipherMode) -> Support:
        support = self.offered.offers(self.cipher, mode.value)
        if support is Support.REFUSED:
            raise not_supported(f"token {self.connection.token_name!r} has no {self.cipher} {mode.value}")
        return support

    def encrypt(self, spec: CipherSpec | AeadSpec, data: bytes) -> bytes:
        self._allow(Usage.ENCRYPT, "encrypt")
        native = self._support(spec.mode) is Support.NATIVE
        if isinstance(spec, AeadSpec):
            if native:
                return self._encrypt(spec, data, len(data) + spec.tag_length)
            return compose.ccm_encrypt(self._ecb, self._cbc_zero_iv, spec.nonce, spec.aad, data, spec.tag_length)
        if not data:
            return b""
        if spec.mode is CipherMode.STREAM:
            return self._key_stream(spec.offset, data)
        if native:
            # opencryptoki reports the buffer's size as CFB's output length.
            return self._encrypt(spec, data, len(data))[: len(data)]
        ecb = partial(self._ecb, effective_bits=spec.effective_bits)
        if spec.mode is CipherMode.ECB:
            return ecb(data)
        composed = compose.cfb8_encrypt if spec.mode is CipherMode.CFB8 else compose.cfb_encrypt
        return composed(ecb, spec.iv, data)

    def decrypt(self, spec: CipherSpec | AeadSpec, data: bytes) -> bytes:
        self._allow(Usage.DECRYPT, "decrypt")
        native = self._support(spec.mode) is Support.NATIVE
        if isinstance(spec, AeadSpec):
            if native:
                return self._decrypt(spec, data, _BAD_TAG)
            return compose.ccm_decrypt(self._ecb, self._cbc_zero_iv, spec.nonce, spec.aad, data, spec.tag_length)
        if not data:
            return b""
        if spec.mode is CipherMode.STREAM:
            return self._key_stream(spec.offset, data)
        if native:
            return self._decrypt(spec, data, None)[: len(data)]
        if spec.mode is CipherMode.ECB:
            return self._ecb_decrypt(data, spec.effective_bits)
        ecb = partial(self._ecb, effective_bits=spec.effective_bits)
        composed = compose.cfb8_decrypt if spec.mode is CipherMode.CFB8 else compose.cfb_decrypt
        return composed(ecb, spec.iv, data)

    def _key_stream(self, offset: int, data: bytes) -> bytes:
        """RC4 from a place in its key stream on: the token runs through what went before."""
        padded = bytes(offset) + data
        return self._encrypt(CipherSpec(CipherMode.STREAM), padded, len(padded))[offset:]

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

    def prove_length(self) -> None:
        """Encrypts a block, which a key with a few bytes too many or too few does not; such a key ends here.

        Raises STATUS_INVALID_PARAMETER.
        """
        block = AES_BLOCK if self.spec.family is SecretFamily.AES else DES_BLOCK
        try:
            self.encrypt(CipherSpec(CipherMode.CBC, bytes(block)), bytes(block))
        except CngError as error:
            self.destroy()
            raise CngError(NTSTATUS.STATUS_INVALID_PARAMETER, "the key has not the length of its kind") from error

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
