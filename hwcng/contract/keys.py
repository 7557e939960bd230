"""Keys and agreed secrets inside a token, and the verbs that a backend implements for them.

Chaining mode, running IV, block padding, handle and size rules live above, in `hwcng.cng`.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING, NoReturn, TypeAlias

from hwcng.contract.effective_length import EffectiveLength
from hwcng.contract.material import (
    PublicKeyMaterial,
    RsaPublicKey,
)
from hwcng.contract.specs import (
    AeadSpec,
    CipherSpec,
    CmacSpec,
    DecryptSpec,
    HkdfSpec,
    HmacSpec,
    KdfSpec,
    MacSpec,
    PairSpec,
    RsaOaepSpec,
    RsaPkcs1DecryptSpec,
    SecretSpec,
    SignSpec,
)
from hwcng.contract.usage import CipherMode
from hwcng.errors import NTSTATUS, CngError

if TYPE_CHECKING:
    pass

if TYPE_CHECKING:
    pass

__all__ = [
    "Message",
    "unserved",
    "NOT_EXPORTABLE",
    "AeadVerb",
    "AgreedSecret",
    "CipherVerb",
    "KeyingMaterial",
    "OfThisProcess",
    "PrivateKey",
    "SecretKey",
]


def unserved(what: str) -> CngError:
    """The refusal of a verb that this backend does not have."""
    return CngError(NTSTATUS.STATUS_NOT_SUPPORTED, f"this token or key does not {what}")


class OfThisProcess:
    """What stands for something that this process has open in a token: it is neither copied nor pickled."""

    __slots__ = ()

    def __reduce__(self) -> NoReturn:
        raise CngError(
            NTSTATUS.STATUS_NOT_SUPPORTED,
            f"a {type(self).__name__} can be neither pickled nor copied: it is what this process has open in a token. "
            "Send a named key, which travels as its URI, or open the token where it is used",
        )


class KeyingMaterial(OfThisProcess, abc.ABC):
    """A value that keys are derived from: Z of an agreement, or the base key of a derivation function.

    Held by the token where the token can hold it. Safe for any number of threads.
    """

    length: int
    """Bytes of the value, leading zeros kept."""

    @abc.abstractmethod
    def digest(self, hash_name: str, prefix: bytes, suffix: bytes) -> bytes:
        """hash(prefix || Z || suffix)."""

    @abc.abstractmethod
    def hmac(self, hash_name: str, data: bytes) -> bytes:
        """HMAC with Z as the key."""

    def masked_digest(self, hash_name: str, mask: bytes, suffix: bytes) -> bytes:
        """hash((Z xor mask) || suffix). mask: of Z's length."""
        raise unserved("digest a masked key")

    @abc.abstractmethod
    def half_hmac(self, half: int, hash_name: str, data: bytes) -> bytes:
        """HMAC with the first (0) or second (1) half of Z as the key: TLS 1.0 and 1.1 PRF (RFC 2246, section 5).

        Halves are ceil(length / 2) bytes long and share the middle byte where the length is odd.
        """

    def hkdf(self, spec: HkdfSpec, length: int) -> bytes:
        """`length` bytes of HKDF. The pseudorandom key stays where Z is."""
        raise unserved("do HKDF")

    def derive_key(self, kdf: KdfSpec, spec: SecretSpec) -> SecretKey:
        """A key of the token's, made of Z inside it: no byte of either is ever on the host."""
        raise unserved("derive keys that stay inside")


Message: TypeAlias = bytes | memoryview
"""A view is one of bytes, in one piece."""
CipherVerb: TypeAlias = Callable[[bytes, Message], bytes]
"""Given one block of IV, empty for ECB, and data. Any number of threads may call it, as long as its key lives."""
AeadVerb: TypeAlias = Callable[[bytes, bytes, Message], bytes]
"""Given the nonce, the authenticated data, and the data. Used as a CipherVerb is."""


class SecretKey(OfThisProcess, abc.ABC):
    """A secret key in a token. Safe for any number of threads. name: by which the token keeps it, None for no name.

    effective: of an RC2 key, under which alone it encrypts; shared with every other key of the same value.
    """

    spec: SecretSpec
    name: str | None = None
    effective: EffectiveLength | None = None

    @abc.abstractmethod
    def encrypt(self, spec: CipherSpec | AeadSpec, data: bytes) -> bytes: ...

    @abc.abstractmethod
    def decrypt(self, spec: CipherSpec | AeadSpec, data: bytes) -> bytes:
        """Raises STATUS_AUTH_TAG_MISMATCH where an AeadSpec's tag is wrong."""

    @abc.abstractmethod
    def mac(self, spec: MacSpec, data: bytes) -> bytes: ...

    def enciphering(self, mode: CipherMode) -> CipherVerb:
        """`encrypt` in ECB, CBC or CFB, with all worked out that does not depend on the data. Raises what `encrypt`
        raises of the key and the mode.
        """
        return lambda iv, data: self.encrypt(CipherSpec(mode, iv), bytes(data))

    def deciphering(self, mode: CipherMode) -> CipherVerb:
        """`decrypt`, as `enciphering` is `encrypt`."""
        return lambda iv, data: self.decrypt(CipherSpec(mode, iv), bytes(data))

    def sealing(self, mode: CipherMode, tag_length: int) -> AeadVerb:
        """`encrypt` in an authenticated mode, as `enciphering`. tag_length in bytes."""
        return lambda nonce, aad, data: self.encrypt(AeadSpec(mode, nonce, aad, tag_length), bytes(data))

    def opening(self, mode: CipherMode, tag_length: int) -> AeadVerb:
        """`decrypt` in an authenticated mode, as `enciphering`; the tag is the end of the data."""
        return lambda nonce, aad, data: self.decrypt(AeadSpec(mode, nonce, aad, tag_length), bytes(data))

    def authenticating(self, spec: HmacSpec | CmacSpec) -> Callable[[bytes], bytes]:
        """`mac`, as `enciphering` is `encrypt`."""
        return partial(self.mac, spec)

    @abc.abstractmethod
    def duplicate(self) -> SecretKey:
        """A key of the same value with a life of its own."""

    @abc.abstractmethod
    def wrap_key(self, key: SecretKey) -> bytes:
        """`key` under this one by AES key wrap (RFC 3394). Raises STATUS_NOT_SUPPORTED for a key that is not
        exportable.
        """

    def keying_material(self) -> KeyingMaterial:
        """The derivation verbs of a KDF key, or an HMAC key for every hash; they end with this key."""
        raise unserved("derive keys")

    def wrapped_for(self, public: RsaPublicKey, spec: RsaPkcs1DecryptSpec | RsaOaepSpec) -> bytes:
        """This key encrypted inside the token to whoever has the private half of `public`: modulus-length, big-endian.

        Raises STATUS_NOT_SUPPORTED for a key that is not exportable.
        """
        raise unserved("wrap keys under RSA keys")

    def followed_by(self, data: bytes, spec: SecretSpec) -> SecretKey:
        """A key of this one's value and then `data`, joined inside the token. It needs Usage.DERIVE."""
        raise unserved("join keys and data")

    def change_pin(self, pin: bytes) -> None:
        """Gives the key another PIN of its own, empty for none; the one that it was opened with must be right, and is
        tried once. A named key has it from then on wherever it is opened.
        """
        raise unserved("have PINs of their own")

    @abc.abstractmethod
    def opaque(self) -> bytes:
        """The token's own protected form of this key, for `Provider.reload_opaque`."""

    @abc.abstractmethod
    def destroy(self) -> None:
        """Ends the key's life in the token. Never fails because the token is gone; a second call does nothing."""


class AgreedSecret(KeyingMaterial):
    """The value Z of a key agreement."""

    @abc.abstractmethod
    def hmac_of_itself(self, hash_name: str, prefix: bytes, suffix: bytes) -> bytes:
        """HMAC with Z as the key, of prefix || Z || suffix. Z is no longer than a block of the hash."""

    @abc.abstractmethod
    def raw(self) -> bytes:
        """Z itself, big-endian. Raises STATUS_NOT_SUPPORTED unless the provider was opened with allow_raw_secret."""

    @abc.abstractmethod
    def destroy(self) -> None: ...


class PrivateKey(OfThisProcess, abc.ABC):
    """A private key in a token, with its public half at hand. Safe for any number of threads. name: by which the token
    keeps it, None for no name.
    """

    spec: PairSpec
    name: str | None = None
    public: PublicKeyMaterial

    @abc.abstractmethod
    def sign_digest(self, spec: SignSpec, digest: bytes) -> bytes: ...

    def signing(self, spec: SignSpec) -> Callable[[bytes], bytes]:
        """`sign_digest`, with all worked out that does not depend on the digest."""
        return partial(self.sign_digest, spec)

    def sign_message(self, spec: SignSpec, message: bytes) -> bytes:
        """A signature of the message itself, by an algorithm that hashes it in its own way."""
        raise unserved("sign messages")

    @abc.abstractmethod
    def decrypt(self, spec: DecryptSpec, ciphertext: bytes) -> bytes:
        """Every failure of padding raises STATUS_INVALID_PARAMETER with one and the same message."""

    def session_copy(self) -> PrivateKey:
        """A key of the same value that is this process' alone: it lives on when a named key is replaced or deleted."""
        raise unserved("copy private keys")

    def unwrap_secret(
        self,
        spec: SecretSpec,
        wrapped: bytes,
        encryption: RsaPkcs1DecryptSpec | RsaOaepSpec,
        lengths: Collection[int] = (),
    ) -> SecretKey:
        """The key that was encrypted to this pair, undone inside the token. It needs Usage.UNWRAP.

        spec.bits: the length that the key must have, 0 for any of `lengths`, in bits. Everything that can be wrong with
        `wrapped` raises STATUS_INVALID_PARAMETER with one and the same message and no cause, after the same steps. What
        the token cannot do is refused before `wrapped` is decrypted.
        """
        raise unserved("unwrap keys with RSA keys")

    def wrapped_under(self, key: SecretKey) -> bytes:
        """This key as PKCS #8 (RFC 5958) under an AES key of the same provider, by RFC 5649 inside the token.

        Raises STATUS_NOT_SUPPORTED for a key that is not exportable, and for what the token does not wrap.
        """
        raise unserved("wrap private keys")

    @abc.abstractmethod
    def agree(self, peer: PublicKeyMaterial) -> AgreedSecret:
        """`peer` is already checked to be of the same curve or group."""

    def decapsulate(self, ciphertext: bytes) -> bytes:
        """The shared secret of a ciphertext of the right length (FIPS 203, section 7.3). A forged one gives another
        secret, never an error.
        """
        raise unserved("decapsulate")

    def decapsulate_key(self, ciphertext: bytes, spec: SecretSpec) -> SecretKey:
        """The shared secret as a key of the token's, of 256 bits: no byte of it is ever on the host."""
        raise unserved("decapsulate into keys that stay inside")

    def change_pin(self, pin: bytes) -> None:
        """Gives the key another PIN of its own, empty for none; the one that it was opened with must be right, and is
        tried once. A named key has it from then on wherever it is opened.
        """
        raise unserved("have PINs of their own")

    @abc.abstractmethod
    def opaque(self) -> bytes: ...

    @abc.abstractmethod
    def destroy(self) -> None: ...


NOT_EXPORTABLE = (
    "the key's export policy forbids its export, and nothing changes that now: set the property Export Policy to "
    "NCRYPT_ALLOW_EXPORT_FLAG before a key is made, on the algorithm handle, or on the pair or NCrypt key that is not "
    "finalized"
)
"""Why a key that is not exportable does not leave its token, and what lets the next one."""
