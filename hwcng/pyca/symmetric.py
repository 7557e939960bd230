"""AESGCM, HMAC and Fernet as `cryptography` has them, under keys that stay in a token.

Standards: SP 800-38D (GCM), RFC 2104 (HMAC); Fernet's specification (github.com/fernet/spec): 0x80, a time of 64 bits,
an IV, AES-128-CBC under PKCS #7, HMAC-SHA256, all in base64url.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import time
from typing import TYPE_CHECKING, NoReturn

from cryptography import fernet
from cryptography.exceptions import AlreadyFinalized
from cryptography.fernet import InvalidToken
from cryptography.hazmat.primitives import hashes

from hwcng.cng.symmetric_key import SymmetricKey
from hwcng.contract.specs import HmacSpec
from hwcng.contract.usage import CipherMode, SecretFamily
from hwcng.errors import NTSTATUS, CngError, not_supported
from hwcng.hostcrypto.modes import pad, unpad
from hwcng.ksp.handles import NCryptKey
from hwcng.pyca.digests import bytes_of, cng_name, octets_of
from hwcng.pyca.failures import as_cryptography_raises, refusal, translated

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.utils import Buffer

    from hwcng.contract.keys import SecretKey

__all__ = ["AESGCM", "HMAC", "Fernet"]

_TAG_LENGTH = 16
_NONCE_LENGTHS = range(8, 129)
_BLOCK = 16
_FERNET_VERSION = 0x80
_FERNET_TIME = slice(1, 9)
_FERNET_IV = slice(9, 25)
_FERNET_DIGEST = 32
_FERNET_SHORTEST = 1 + 8 + _BLOCK + _BLOCK + _FERNET_DIGEST
_FERNET_BITS = 128
_MAX_CLOCK_SKEW_SECONDS = 60


def _secret(key: SymmetricKey | NCryptKey, family: SecretFamily) -> SymmetricKey:
    """The key of a certain kind that a caller means. Raises TypeError, UnsupportedAlgorithm."""
    with as_cryptography_raises():
        plain = key.key if isinstance(key, NCryptKey) else key
        if not isinstance(plain, SymmetricKey):
            raise refusal(TypeError, f"a secret key of hwcng expected, not {type(plain).__name__}")
        plain.require_alive()
        its = plain.token_key.spec.family
        if its is not family:
            raise not_supported(f"an {family.value} key expected, this one is {its.value}")
    return plain


class AESGCM:
    """cryptography.hazmat.primitives.ciphers.aead.AESGCM. key: an AES key of bcrypt.h, ncrypt.h or `hwcng.open_key`,
    made by `hAlgorithm.generate_key(bits)` for instance; its chaining mode stays what it is. Any number of threads.
    """

    def __init__(self, key: SymmetricKey | NCryptKey) -> None:
        self.cng_key = _secret(key, SecretFamily.AES)

    def encrypt(self, nonce: Buffer, data: Buffer, associated_data: Buffer | None) -> bytes:
        """The ciphertext and the tag of 16 bytes behind it. nonce: 8 to 128 bytes, never one twice under a key.

        Raises ValueError for a nonce of another length, UnsupportedAlgorithm where the key or its token does not.
        """
        octets, plaintext, associated = octets_of(nonce), octets_of(data), _optional(associated_data)
        _require_length(octets)
        try:
            return self._token_key().sealing(CipherMode.GCM, _TAG_LENGTH)(octets, associated, plaintext)
        except CngError as error:
            raise translated(error) from error

    def decrypt(self, nonce: Buffer, data: Buffer, associated_data: Buffer | None) -> bytes:
        """As `encrypt`; InvalidTag for what was altered."""
        octets, ciphertext, associated = octets_of(nonce), octets_of(data), _optional(associated_data)
        _require_length(octets)
        try:
            if len(ciphertext) < _TAG_LENGTH:
                raise CngError(NTSTATUS.STATUS_AUTH_TAG_MISMATCH, f"data ends with a tag of {_TAG_LENGTH} bytes")
            return self._token_key().opening(CipherMode.GCM, _TAG_LENGTH)(octets, associated, ciphertext)
        except CngError as error:
            raise translated(error) from error

    def encrypt_into(self, nonce: Buffer, data: Buffer, associated_data: Buffer | None, buf: Buffer) -> int:
        """As `encrypt`, into a buffer of just that size. Returns how many bytes it has."""
        octets, plaintext, associated = octets_of(nonce), octets_of(data), _optional(associated_data)
        room = _room(buf)
        _require_length(octets)
        _require_room(room, len(plaintext) + _TAG_LENGTH)
        room[:] = self.encrypt(octets, plaintext, associated)
        return len(room)

    def decrypt_into(self, nonce: Buffer, data: Buffer, associated_data: Buffer | None, buf: Buffer) -> int:
        """As `decrypt`, into a buffer of just that size. Returns how many bytes it has."""
        octets, ciphertext, associated = octets_of(nonce), octets_of(data), _optional(associated_data)
        room = _room(buf)
        _require_length(octets)
        if len(ciphertext) >= _TAG_LENGTH:
            _require_room(room, len(ciphertext) - _TAG_LENGTH)
        room[:] = self.decrypt(octets, ciphertext, associated)
        return len(room)

    def _token_key(self) -> SecretKey:
        self.cng_key.require_alive()
        return self.cng_key.token_key

    def __repr__(self) -> str:
        return f"<AESGCM of {self.cng_key!r}>"


def _require_length(nonce: bytes) -> None:
    if len(nonce) not in _NONCE_LENGTHS:
        raise refusal(ValueError, "Nonce must be between 8 and 128 bytes")


def _room(buf: Buffer) -> memoryview:
    octets_of(buf)
    room = memoryview(buf)
    if room.readonly:
        raise refusal(TypeError, "Buffer is not writable: give a bytearray")
    return room.cast("B")


def _require_room(room: memoryview, size: int) -> None:
    if len(room) != size:
        raise refusal(ValueError, f"buffer must be {size} bytes")


def _optional(data: Buffer | None) -> bytes:
    return b"" if data is None else octets_of(data)


class HMAC(hashes.HashContext):
    """cryptography.hazmat.primitives.hmac.HMAC. key: an HMAC key of a token, for this hash or for all.

    The data is kept until it is finished, because a token's running MAC cannot be copied. One thread at a time.
    """

    def __init__(self, key: SymmetricKey | NCryptKey, algorithm: hashes.HashAlgorithm) -> None:
        if not isinstance(algorithm, hashes.HashAlgorithm):
            raise refusal(TypeError, "Expected instance of hashes.HashAlgorithm.")
        self.cng_key = _secret(key, SecretFamily.HMAC)
        self._algorithm = algorithm
        self._hash_name = cng_name(algorithm)
        with as_cryptography_raises():
            its = self.cng_key.token_key.spec.hash_name
            if its not in (None, self._hash_name):
                raise not_supported(f"the key is for HMAC of {its}, not of {self._hash_name}")
        self._data: list[bytes] | None = []

    @property
    def algorithm(self) -> hashes.HashAlgorithm:
        return self._algorithm

    def _running(self) -> list[bytes]:
        if self._data is None:
            raise AlreadyFinalized("Context was already finalized.")
        return self._data

    def update(self, data: Buffer) -> None:
        self._running().append(octets_of(data))

    def copy(self) -> HMAC:
        copied = HMAC(self.cng_key, self._algorithm)
        copied._data = list(self._running())
        return copied

    def finalize(self) -> bytes:
        data = b"".join(self._running())
        self._data = None
        with as_cryptography_raises():
            self.cng_key.require_alive()
            return self.cng_key.token_key.mac(HmacSpec(self._hash_name), data)

    def verify(self, signature: bytes) -> None:
        """Raises InvalidSignature."""
        expected = bytes_of(signature, "signature")
        if not hmac.compare_digest(self.finalize(), expected):
            with as_cryptography_raises():
                raise CngError(NTSTATUS.STATUS_INVALID_SIGNATURE, "Signature did not match digest.")


class Fernet(fernet.Fernet):
    """cryptography.fernet.Fernet, whose one key of 32 bytes is two of a token here: HMAC-SHA256's, then AES's. What the
    one writes, the other reads, where both are of its 128 bits. Any number of threads. MultiFernet takes and rotates
    it, for which three methods have the names that it calls.
    """

    def __init__(self, signing_key: SymmetricKey | NCryptKey, encryption_key: SymmetricKey | NCryptKey) -> None:
        """signing_key: 128 bits or more: some tokens make no HMAC key that is shorter than the hash. encryption_key:
        128 bits. Raises TypeError, UnsupportedAlgorithm, ValueError for a key of another length.
        """
        self.signing_key = _secret(signing_key, SecretFamily.HMAC)
        self.encryption_key = _secret(encryption_key, SecretFamily.AES)
        if self.signing_key.bits < _FERNET_BITS or self.encryption_key.bits != _FERNET_BITS:
            raise refusal(ValueError, f"Fernet's AES key has {_FERNET_BITS} bits, its HMAC key no fewer")

    def encrypt(self, data: bytes) -> bytes:
        return self.encrypt_at_time(data, int(time.time()))

    def encrypt_at_time(self, data: bytes, current_time: int) -> bytes:
        return self._encrypt_from_parts(data, current_time, os.urandom(_BLOCK))

    def _encrypt_from_parts(self, data: bytes, current_time: int, iv: bytes) -> bytes:
        octets = bytes_of(data, "data")
        with as_cryptography_raises():
            encrypt = self._verb(lambda key: key.enciphering(CipherMode.CBC))
            head = bytes([_FERNET_VERSION]) + current_time.to_bytes(8, "big") + iv
            signed = head + encrypt(iv, pad(octets, _BLOCK))
        return base64.urlsafe_b64encode(signed + self._digest(signed))

    def decrypt(self, token: bytes | str, ttl: int | None = None) -> bytes:
        """Raises InvalidToken. ttl: seconds."""
        octets = _fernet_octets(token)
        return self._decrypt_data(octets, _fernet_time(octets), None if ttl is None else (ttl, int(time.time())))

    def decrypt_at_time(self, token: bytes | str, ttl: int, current_time: int) -> bytes:
        """Raises InvalidToken. ttl: seconds."""
        if ttl is None:
            raise refusal(ValueError, "decrypt_at_time() can only be used with a non-None ttl")
        octets = _fernet_octets(token)
        return self._decrypt_data(octets, _fernet_time(octets), (ttl, current_time))

    def extract_timestamp(self, token: bytes | str) -> int:
        """Seconds since 1970 of a sound token. Raises InvalidToken."""
        octets = _fernet_octets(token)
        self._verify_signature(octets)
        return _fernet_time(octets)

    def _decrypt_data(self, data: bytes, timestamp: int, time_info: tuple[int, int] | None) -> bytes:
        if time_info is not None:
            ttl, now = time_info
            if timestamp + ttl < now or now + _MAX_CLOCK_SKEW_SECONDS < timestamp:
                raise InvalidToken
        self._verify_signature(data)
        ciphertext = data[_FERNET_IV.stop : -_FERNET_DIGEST]
        if len(ciphertext) % _BLOCK:
            raise InvalidToken
        with as_cryptography_raises():
            padded = self._verb(lambda key: key.deciphering(CipherMode.CBC))(data[_FERNET_IV], ciphertext)
        try:
            return unpad(padded, _BLOCK)
        except CngError as error:
            raise InvalidToken from error

    def _verb(self, make: Callable[[SecretKey], Callable[[bytes, bytes], bytes]]) -> Callable[[bytes, bytes], bytes]:
        self.encryption_key.require_alive()
        return make(self.encryption_key.token_key)

    def _digest(self, data: bytes) -> bytes:
        running = HMAC(self.signing_key, hashes.SHA256())
        running.update(data)
        return running.finalize()

    def _verify_signature(self, data: bytes) -> None:
        if len(data) < _FERNET_SHORTEST:
            raise InvalidToken
        if not hmac.compare_digest(self._digest(data[:-_FERNET_DIGEST]), data[-_FERNET_DIGEST:]):
            raise InvalidToken

    @classmethod
    def generate_key(cls) -> NoReturn:
        error = not_supported("no key of bytes is made here: Fernet takes two keys of a token, hAlgorithm.generate_key")
        raise translated(error) from error

    def __repr__(self) -> str:
        return f"<Fernet of {self.signing_key!r} and {self.encryption_key!r}>"


def _fernet_octets(token: bytes | str) -> bytes:
    if not isinstance(token, (str, bytes)):
        raise refusal(TypeError, "token must be bytes or str")
    try:
        octets = base64.urlsafe_b64decode(token)
    except (TypeError, ValueError, binascii.Error):
        raise InvalidToken from None
    if len(octets) < _FERNET_SHORTEST or octets[0] != _FERNET_VERSION:
        raise InvalidToken
    return octets


def _fernet_time(octets: bytes) -> int:
    return int.from_bytes(octets[_FERNET_TIME], "big")
