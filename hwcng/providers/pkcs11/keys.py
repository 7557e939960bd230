"""Keys that are session objects of a PKCS#11 token, and the verbs they serve.

Standards of what is composed here from smaller mechanisms: SP 800-38A (CFB), SP 800-38C (CCM), SP 800-38D (GMAC), RFC
8017 (PSS and OAEP with parameters that a token lacks). Everything composed keeps every key bit in the token.
"""

from __future__ import annotations

from collections.abc import Mapping

from pkcs11 import Attribute, Mechanism

from hwcng.curves import CURVES
from hwcng.errors import NTSTATUS, CngError
from hwcng.hashes import HASHES
from hwcng.providers import base, compose
from hwcng.providers.base import (
    AeadSpec,
    AesMode,
    CipherSpec,
    CmacSpec,
    DecryptSpec,
    EcdsaSpec,
    EcPublicKey,
    GmacSpec,
    MacSpec,
    PairSpec,
    PublicKeyMaterial,
    RsaOaepSpec,
    RsaPkcs1DecryptSpec,
    RsaPkcs1SignSpec,
    RsaPublicKey,
    SecretSpec,
    SignSpec,
    Support,
    Usage,
)
from hwcng.providers.pkcs11 import mechanisms, objects, opaque, templates
from hwcng.providers.pkcs11.capabilities import MechanismSet
from hwcng.providers.pkcs11.ckr import CKR
from hwcng.providers.pkcs11.cryptoki import ffi
from hwcng.providers.pkcs11.mechanisms import AES_BLOCK, MechanismCall
from hwcng.providers.pkcs11.objects import SessionObject
from hwcng.providers.pkcs11.sessions import Connection

__all__ = ["Pkcs11AgreedSecret", "Pkcs11PrivateKey", "Pkcs11SecretKey"]

_ECB = CipherSpec(AesMode.ECB)
_CBC_ZERO_IV = CipherSpec(AesMode.CBC, bytes(AES_BLOCK))

_BAD_TAG: Mapping[int, NTSTATUS] = dict.fromkeys(
    (CKR.GENERAL_ERROR, CKR.ENCRYPTED_DATA_INVALID, CKR.ENCRYPTED_DATA_LEN_RANGE, CKR.AEAD_DECRYPT_FAILED),
    NTSTATUS.STATUS_AUTH_TAG_MISMATCH,
)
_BAD_RSA_BLOCK: Mapping[int, NTSTATUS] = dict.fromkeys(
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

_COPY_REFUSED = frozenset({CKR.ACTION_PROHIBITED, CKR.FUNCTION_NOT_SUPPORTED})

WRAP_OVERHEAD = 8


def _not_supported(message: str) -> CngError:
    return CngError(NTSTATUS.STATUS_NOT_SUPPORTED, message)


class _TokenKey:
    """What every key here is: an object, its connection, and the mechanisms of its token."""

    def __init__(self, held: SessionObject, offered: MechanismSet) -> None:
        self.held = held
        self.offered = offered
        self._ended = False

    @property
    def connection(self) -> Connection:
        return self.held.connection

    def destroy(self) -> None:
        if not self._ended:
            self._ended = True
            self.held.release()


class Pkcs11SecretKey(_TokenKey, base.SecretKey):
    def __init__(self, held: SessionObject, offered: MechanismSet, spec: SecretSpec) -> None:
        super().__init__(held, offered)
        self.spec = spec

    def _allow(self, usage: Usage, verb: str) -> None:
        if not self.spec.usage & usage:
            raise _not_supported(f"this {self.spec.family.value} key was made without the right to {verb}")

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

    def _support(self, mode: AesMode) -> Support:
        support = self.offered.offers("AES", mode.value)
        if support is Support.REFUSED:
            raise _not_supported(f"token {self.connection.token_name!r} has no AES {mode.value}")
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
        composed = compose.cfb8_encrypt if spec.mode is AesMode.CFB8 else compose.cfb128_encrypt
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
        composed = compose.cfb8_decrypt if spec.mode is AesMode.CFB8 else compose.cfb128_decrypt
        return composed(self._ecb, spec.iv, data)

    def mac(self, spec: MacSpec, data: bytes) -> bytes:
        if isinstance(spec, GmacSpec):
            return self._encrypt(AeadSpec(AesMode.GCM, spec.nonce, data, AES_BLOCK), b"", AES_BLOCK)
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
            raise _not_supported("the key's export policy forbids its export")
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

    def opaque(self) -> bytes:
        if not self.spec.exportable:
            raise _not_supported("the key's export policy forbids its export")
        return opaque.build(self.connection, self.offered, self.spec, self.held.handle)


class Pkcs11PrivateKey(_TokenKey, base.PrivateKey):
    """public_object: the token's public half, where the token made the pair; it ends with the private half."""

    def __init__(
        self,
        held: SessionObject,
        offered: MechanismSet,
        spec: PairSpec,
        public: PublicKeyMaterial,
        public_object: SessionObject | None,
        readable_secrets: bool,
    ) -> None:
        super().__init__(held, offered)
        self.spec = spec
        self.public = public
        self._public_object = public_object
        self._readable_secrets = readable_secrets

    def destroy(self) -> None:
        public_object, self._public_object = self._public_object, None
        super().destroy()
        if public_object is not None:
            public_object.release()

    def _rsa_bits(self) -> int:
        if not isinstance(self.public, RsaPublicKey):
            raise _not_supported("an elliptic curve key does no RSA")
        return self.public.modulus.bit_length()

    def sign_digest(self, spec: SignSpec, digest: bytes) -> bytes:
        if not self.spec.usage & Usage.SIGN:
            raise _not_supported("this key was made without the right to sign")
        if isinstance(spec, EcdsaSpec):
            if not isinstance(self.public, EcPublicKey):
                raise _not_supported("an RSA key makes no ECDSA signature")
            width = CURVES[self.public.curve].coordinate_size
            return self._sign(mechanisms.call(int(Mechanism.ECDSA)), digest, 2 * width, "an ECDSA signature")
        bits = self._rsa_bits()
        size = (bits + 7) // 8
        if isinstance(spec, RsaPkcs1SignSpec):
            encoded = HASHES[spec.hash_name].digest_info_prefix + digest if spec.hash_name else digest
            return self._sign(mechanisms.call(int(Mechanism.RSA_PKCS)), encoded, size, "an RSA PKCS #1 signature")
        if self.offered.native_pss(spec):
            return self._sign(mechanisms.pss(spec), digest, size, "an RSA PSS signature")
        raw = mechanisms.call(int(Mechanism.RSA_X_509))
        return compose.rsa_sign(
            lambda block: self._sign(raw, block, size, "an RSA PSS signature").rjust(size, b"\0"), spec, digest, bits
        )

    def _sign(self, call: MechanismCall, data: bytes, room: int, asked: str) -> bytes:
        return self.connection.crypt("C_SignInit", "C_Sign", call, self.held.handle, data, room, asked)

    def decrypt(self, spec: DecryptSpec, ciphertext: bytes) -> bytes:
        if not self.spec.usage & Usage.DECRYPT:
            raise _not_supported("this key was made without the right to decrypt")
        bits = self._rsa_bits()
        size = (bits + 7) // 8
        if isinstance(spec, RsaPkcs1DecryptSpec):
            return self._decrypt(mechanisms.call(int(Mechanism.RSA_PKCS)), ciphertext, size)
        if isinstance(spec, RsaOaepSpec) and self.offered.native_oaep(spec):
            return self._decrypt(mechanisms.oaep(spec), ciphertext, size)
        raw = mechanisms.call(int(Mechanism.RSA_X_509))
        return compose.rsa_decrypt(lambda block: self._decrypt(raw, block, size), spec, ciphertext, bits)

    def _decrypt(self, call: MechanismCall, ciphertext: bytes, room: int) -> bytes:
        try:
            return self.connection.crypt(
                "C_DecryptInit",
                "C_Decrypt",
                call,
                self.held.handle,
                ciphertext,
                room,
                "RSA decryption",
                _BAD_RSA_BLOCK,
                wipe=True,
            )
        except CngError as error:
            if error.status is NTSTATUS.STATUS_INVALID_PARAMETER:
                raise compose.decryption_error() from error.__cause__
            raise

    def agree(self, peer: PublicKeyMaterial) -> Pkcs11AgreedSecret:
        if not self.spec.usage & Usage.DERIVE or not isinstance(peer, EcPublicKey):
            raise _not_supported("this key was made without the right to agree on secrets")
        width = CURVES[peer.curve].coordinate_size
        point = b"\x04" + peer.x.to_bytes(width, "big") + peer.y.to_bytes(width, "big")
        held = objects.derive(
            self.connection,
            mechanisms.ecdh(point, der=self.offered.quirks.der_peer_point),
            self.held.handle,
            templates.agreed_secret(width, self._readable_secrets),
            "the ECDH agreement",
        )
        return Pkcs11AgreedSecret(held, self.offered, width, self._readable_secrets)

    def opaque(self) -> bytes:
        if not self.spec.exportable:
            raise _not_supported("the key's export policy forbids its export")
        return opaque.build(self.connection, self.offered, self.spec, self.held.handle, self.public)


class Pkcs11AgreedSecret(_TokenKey, base.AgreedSecret):
    def __init__(self, held: SessionObject, offered: MechanismSet, length: int, readable: bool) -> None:
        super().__init__(held, offered)
        self.length = length
        self._readable = readable

    def digest(self, hash_name: str, prefix: bytes, suffix: bytes) -> bytes:
        mechanism = mechanisms.DIGEST_MECHANISMS[hash_name]
        if not self.offered.has(mechanism):
            raise _not_supported(f"token {self.connection.token_name!r} has no {hash_name}")
        connection, cryptoki = self.connection, self.connection.cryptoki
        room = HASHES[hash_name].digest_size
        with connection.working() as session:
            output = session.output_of(room)
            rv = cryptoki.C_DigestInit(session.handle, session.set_mechanism(mechanisms.call(mechanism)))
            if rv == CKR.OK and prefix:
                rv = cryptoki.C_DigestUpdate(session.handle, prefix, len(prefix))
            if rv == CKR.OK:
                rv = cryptoki.C_DigestKey(session.handle, self.held.handle)
            if rv == CKR.OK and suffix:
                rv = cryptoki.C_DigestUpdate(session.handle, suffix, len(suffix))
            if rv == CKR.OK:
                rv = cryptoki.C_DigestFinal(session.handle, output, session.length)
            if rv != CKR.OK:
                raise connection.error(rv, f"the {hash_name} digest of an agreed secret failed")
            return bytes(ffi.buffer(output, session.length[0]))

    def hmac(self, hash_name: str, data: bytes) -> bytes:
        return self._hmac(self.held, hash_name, data)

    def _hmac(self, key: SessionObject, hash_name: str, data: bytes) -> bytes:
        if self.offered.offers(f"HMAC-{hash_name}") is Support.REFUSED:
            raise _not_supported(f"token {self.connection.token_name!r} has no HMAC-{hash_name}")
        return self.connection.crypt(
            "C_SignInit",
            "C_Sign",
            mechanisms.call(mechanisms.HMAC_MECHANISMS[hash_name]),
            key.handle,
            data,
            HASHES[hash_name].digest_size,
            f"HMAC-{hash_name} under an agreed secret of {self.length} bytes",
        )

    def half_hmac(self, half: int, hash_name: str, data: bytes) -> bytes:
        if not self.offered.has(int(Mechanism.EXTRACT_KEY_FROM_KEY)):
            raise _not_supported(
                f"token {self.connection.token_name!r} cannot halve a secret (CKM_EXTRACT_KEY_FROM_KEY), "
                "which the TLS 1.0 and 1.1 PRF begins with"
            )
        size = (self.length + 1) // 2
        first = 0 if half == 0 else self.length - size
        part = objects.derive(
            self.connection,
            mechanisms.extract(8 * first),
            self.held.handle,
            templates.agreed_secret(size, self._readable),
            "halving the agreed secret",
        )
        try:
            return self._hmac(part, hash_name, data)
        finally:
            part.release()

    def raw(self) -> bytes:
        if not self._readable:
            raise _not_supported(
                "the secret stays in the token: open the provider with allow_raw_secret=True to read secrets"
            )
        connection = self.connection
        connection.require_alive("the secret")
        value = objects.read_attributes(connection, self.held.handle, [Attribute.VALUE], self.length)[Attribute.VALUE]
        if value is None:
            raise _not_supported(f"token {connection.token_name!r} does not give the secret out")
        return value.rjust(self.length, b"\0")
