"""Symmetric keys: chaining mode, running IV, block padding and authenticated modes over a key in a token.

Standards: SP 800-38A (modes), RFC 5652, section 6.3 (block padding), SP 800-38C and D (CCM, GCM), RFC 8439, IEEE 1619
(XTS), RFC 2268 (RC2), RFC 3394 (key wrap).
Calls: BCryptDuplicateKey, BCryptExportKey, BCryptEncrypt, BCryptDecrypt.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, NoReturn

from hwcng.arguments import Octets, holding, octets
from hwcng.cng import aead
from hwcng.cng.algorithm_handle import AlgorithmHandle, check_chaining_mode
from hwcng.cng.handles import attest, in_use
from hwcng.cng.modes import CFB8_UNIT, KeyMode, cfb_mode, cipher_mode
from hwcng.cng.padding import BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO
from hwcng.cng.storable_key import StorableKey
from hwcng.contract.keys import Message, PrivateKey, SecretKey
from hwcng.contract.making import KeyMaker
from hwcng.contract.specs import CipherSpec, SecretSpec
from hwcng.contract.usage import CipherMode, SecretFamily, Usage
from hwcng.errors import NTSTATUS, CngError, invalid_handle, invalid_parameter, not_supported, told
from hwcng.forking import ProcessLock
from hwcng.headers.bcrypt_h import BCRYPT_AES_WRAP_KEY_BLOB, BCRYPT_KEY_DATA_BLOB, BCRYPT_OPAQUE_KEY_BLOB
from hwcng.headers.ncrypt_h import ExportPolicy
from hwcng.hostcrypto.modes import pad, unpad

if TYPE_CHECKING:
    from hwcng.contract.attestation import Attestation

__all__ = ["SymmetricKey", "check_effective_bits"]

EFFECTIVE_BITS = range(1, 1025)
SHORT_UNIT_NUMBER = 8
LARGEST_UNIT_BLOCKS = 1 << 20
"""SP 800-38E, section 4."""

_XTS = SecretFamily.XTS.value


class SymmetricKey(StorableKey, of=SecretKey):
    """A cipher's key. Any number of threads may use one; calls without an IV take their turn at the running one.

    message_block_length: bytes of a CFB segment, or of an XTS data unit, 0 until it is set. stream_offset: bytes of the
    RC4 key stream that are used up. origin: of the key that this is a duplicate of.
    """

    called = "a symmetric key"

    mac_verb: tuple[AlgorithmHandle, SecretKey, Callable[[bytes], bytes]] | None = None
    """`SecretKey.authenticating` of a MAC key, and of what it is."""

    def __init__(
        self,
        handle: AlgorithmHandle,
        token_key: SecretKey,
        key_object: memoryview | None,
        *,
        chaining_mode: str | None,
        message_block_length: int | None = None,
        running_iv: bytes | None = None,
        stream_offset: int = 0,
        origin: object = None,
    ) -> None:
        super().__init__()
        self.algorithm_handle = handle
        self.algorithm = handle.algorithm
        self.provider = handle.provider
        self.token_key = token_key
        self._key_object = key_object
        self.chaining_mode = chaining_mode
        self.block = handle.algorithm.block_length or 1
        if message_block_length is None:
            message_block_length = 0 if handle.algorithm.name == _XTS else CFB8_UNIT
        self.message_block_length = message_block_length
        self.running_iv = bytes(self.block) if running_iv is None else running_iv
        self.stream_offset = stream_offset
        self._origin = origin or object()
        self._way: KeyMode | None = None

    def _turn(self) -> AbstractContextManager[object]:
        """Who goes on with the running IV, or the key stream, has it alone. The lock is made when it is needed."""
        own = vars(self)
        lock: ProcessLock = own.get("_chaining") or own.setdefault("_chaining", ProcessLock())
        return lock.held()

    @property
    def bits(self) -> int:
        """The key's length in bits."""
        return self.token_key.spec.bits

    @property
    def export_policy(self) -> int:
        return int(ExportPolicy.NCRYPT_ALLOW_EXPORT_FLAG) if self.token_key.spec.exportable else 0

    @classmethod
    def of_token(cls, handle: AlgorithmHandle, key: SecretKey, held: memoryview | None = None) -> SymmetricKey:
        return SymmetricKey(handle, key, held, chaining_mode=handle.chaining_mode)

    @classmethod
    def generated(cls, handle: AlgorithmHandle, spec: SecretSpec, held: memoryview | None = None) -> SymmetricKey:
        """A key that the token of `handle` makes itself."""
        return SymmetricKey(handle, handle.provider.generate_secret(spec), held, chaining_mode=handle.chaining_mode)

    @classmethod
    def imported(
        cls,
        handle: AlgorithmHandle,
        spec: SecretSpec,
        value: bytes,
        held: memoryview | None = None,
        maker: KeyMaker | None = None,
    ) -> SymmetricKey:
        """A key of the caller's bytes. maker: what takes it in under a name; None: the token of `handle`."""
        key = (maker or handle.provider).import_secret(spec, value)
        return SymmetricKey(handle, key, held, chaining_mode=handle.chaining_mode)

    def followed_by(self, data: bytes, usage: Usage) -> SymmetricKey:
        """A key of this one's bytes and then `data`, which the token joins; it may do what `usage` says.

        Raises STATUS_NOT_SUPPORTED for a key that was made without Usage.DERIVE and where no token joins them.
        """
        spec = self.token_key.spec
        joined = SecretSpec(spec.family, spec.bits + 8 * len(data), usage)
        return SymmetricKey.of_token(self.algorithm_handle, self.token_key.followed_by(data, joined))

    def beside(self, chaining_mode: str, running_iv: bytes) -> SymmetricKey:
        """The same key in another mode, for as long as this one lives: it is not destroyed by itself."""
        return SymmetricKey(
            self.algorithm_handle, self.token_key, None, chaining_mode=chaining_mode, running_iv=running_iv
        )

    def in_token(self) -> SecretKey:
        return self.token_key

    def public_key(self) -> NoReturn:
        """As every key has it. Raises STATUS_NOT_SUPPORTED."""
        raise not_supported(f"{self.algorithm.name} keys have no public half")

    def to_provider_pem(self) -> NoReturn:
        """Raises STATUS_NOT_SUPPORTED: OpenSSL's providers load pairs from files, and no secret keys."""
        raise not_supported("OpenSSL loads pairs from files, and no secret keys")

    def as_cryptography(self) -> NoReturn:
        """As every key has it. Raises STATUS_NOT_SUPPORTED."""
        raise not_supported(
            f"{self.algorithm.name} keys are no private keys: hwcng.pyca has AESGCM, HMAC and Fernet for them"
        )

    def take(self, key: SecretKey | PrivateKey) -> SecretKey | PrivateKey:
        before = self.token_key
        if not isinstance(key, SecretKey) or key.spec != before.spec:
            key.destroy()
            raise invalid_handle(f"another key has the name {self.name!r} by now: open it again")
        self.token_key = key
        return before

    def __repr__(self) -> str:
        if not self.opened:
            return super().__repr__()
        return self._shown(self.algorithm.name, f"{self.bits} bits", self.chaining_mode or "")

    def set_chaining_mode(self, mode: str) -> None:
        self.chaining_mode = check_chaining_mode(self.algorithm, mode, self.provider)

    @property
    def mode(self) -> CipherMode | None:
        """The mode that the chaining mode is, None for a key that does not encrypt."""
        return self._mode_of(self.chaining_mode, self.message_block_length)

    def _mode_of(self, chaining_mode: str | None, segment: int) -> CipherMode | None:
        if chaining_mode is None:
            return None
        return cipher_mode(self.algorithm, chaining_mode) or cfb_mode(segment, self.block)

    def set_message_block_length(self, length: int) -> None:
        """length in bytes: of a CFB segment, 1 or the block's; of an XTS data unit, 16 to 2 ** 24.

        Raises STATUS_INVALID_PARAMETER for any other.
        """
        if self.mode is CipherMode.XTS:
            if not self.block <= length <= self.block * LARGEST_UNIT_BLOCKS:
                raise invalid_parameter(
                    f"a data unit of {self.block} to {self.block * LARGEST_UNIT_BLOCKS} bytes expected, {length} given"
                )
        elif length not in (CFB8_UNIT, self.block):
            raise invalid_parameter(f"MessageBlockLength is {CFB8_UNIT} or {self.block} bytes, not {length}")
        self.message_block_length = length

    @property
    def effective_bits(self) -> int:
        """EffectiveKeyLength of an RC2 key, of any other its length, in bits."""
        effective = self.token_key.effective
        return effective.bits if effective is not None else self.bits

    def set_effective_bits(self, bits: int) -> None:
        """EffectiveKeyLength of an RC2 key, in bits: of all handles to it.

        Raises STATUS_NOT_SUPPORTED for another length than the one that is fixed (`hwcng.contract.effective_length`).
        """
        check_effective_bits(self.algorithm.name, bits)
        if self.token_key.effective is not None:
            self.token_key.effective.choose(bits)

    def set_iv(self, iv: bytes) -> None:
        if self.mode is CipherMode.STREAM or self.mode is CipherMode.POLY1305:
            raise not_supported(f"{self.algorithm.name} has no IV")
        self._check_iv(iv)
        self.running_iv = iv.ljust(self.block, b"\0")

    def _check_iv(self, iv: bytes) -> None:
        short = self.mode is CipherMode.XTS and len(iv) == SHORT_UNIT_NUMBER
        if len(iv) != self.block and not short:
            raise invalid_parameter(f"an IV of {self.block} bytes expected, {len(iv)} given")

    def encrypt(
        self,
        plaintext: Message,
        *,
        iv: Octets | None = None,
        padding: bool = False,
        auth_info: object = None,
    ) -> bytes:
        """iv: one block, updated in place where it is writable; None: the key's running IV. For XTS-AES the number of
        the first data unit, 8 or 16 bytes, little-endian. padding: PKCS #7. auth_info: a
        BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO for GCM, CCM and CHACHA20_POLY1305.

        Raises STATUS_INVALID_BUFFER_SIZE for a partial block without padding, STATUS_INVALID_PARAMETER for what the
        mode does not take.
        """
        try:
            return self._crypt(plaintext, iv, padding, auth_info, True)
        except CngError:
            self.require_alive()
            raise

    def decrypt(
        self,
        ciphertext: Message,
        *,
        iv: Octets | None = None,
        padding: bool = False,
        auth_info: object = None,
    ) -> bytes:
        """As `encrypt`; raises STATUS_DATA_ERROR for malformed padding and STATUS_AUTH_TAG_MISMATCH for a wrong tag
        too.
        """
        try:
            return self._crypt(ciphertext, iv, padding, auth_info, False)
        except CngError:
            self.require_alive()
            raise

    def _crypt(self, data: Message, iv: Octets | None, padding: bool, auth_info: object, encrypting: bool) -> bytes:
        way, block = self._way, self.block
        if (
            way is None
            or way.chaining_mode is not self.chaining_mode
            or way.key is not self.token_key
            or way.segment != self.message_block_length
        ):
            way = self._way = self._as_set()
        if way.takes_record:
            if not isinstance(auth_info, BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO) or padding:
                raise self._no_record(way, auth_info)
            return aead.crypt(way, data, auth_info, encrypting, self._origin)
        whole = way.chains and not padding and data and not len(data) % block
        if whole and type(iv) is bytes and len(iv) == block and auth_info is None:
            verb = (way.encipher if encrypting else way.decipher) or way.cipher(encrypting)
            result = verb(iv, data)
            self.running_iv = bytes((result if encrypting else data)[-block:])
            return result
        if auth_info is not None or (padding and not way.takes_padding) or (iv is not None and not way.takes_iv):
            raise way.refusal(self.algorithm.name, auth_info, iv)
        if not way.takes_iv:
            return self._unchained(way, data, padding, encrypting)
        if iv is None:
            with self._turn():
                result, self.running_iv = self._chained(way, self.running_iv, data, padding, encrypting)
            return result
        if type(iv) is bytes and len(iv) == block:
            result, self.running_iv = self._chained(way, iv, data, padding, encrypting)
            return result
        given, view = octets(iv, "pbIV"), memoryview(iv)
        # Before the token is called: the result of a call whose IV cannot be handed back would be lost.
        self._check_iv(given)
        if not view.c_contiguous:
            raise invalid_parameter("a pbIV in one piece expected")
        result, following = self._chained(way, given.ljust(block, b"\0"), data, padding, encrypting)
        if not view.readonly:
            view.cast("B")[:] = following[: len(given)]
        self.running_iv = following
        return result

    def _as_set(self) -> KeyMode:
        """The key in its mode, refused for one that does not encrypt."""
        key, chaining_mode, segment = self.token_key, self.chaining_mode, self.message_block_length
        mode = self._mode_of(chaining_mode, segment)
        if mode is None:
            raise not_supported(f"a {key.spec.family.value} key does not encrypt")
        return KeyMode(key, mode, chaining_mode, segment)

    @staticmethod
    def _no_record(way: KeyMode, auth_info: object) -> CngError:
        if not isinstance(auth_info, BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO):
            return invalid_parameter(f"{way.mode.value} takes a BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO as pPaddingInfo")
        return invalid_parameter(f"{way.mode.value} takes no BCRYPT_BLOCK_PADDING")

    def _unchained(self, way: KeyMode, data: Message, padding: bool, encrypting: bool) -> bytes:
        if way.mode is CipherMode.ECB:
            return self._blocks(way, b"", data, padding, encrypting)[0]
        with self._turn():
            result = self._apply(CipherSpec(CipherMode.STREAM, offset=self.stream_offset), data, encrypting)
            self.stream_offset += len(data)
        return result

    def _apply(self, spec: CipherSpec, data: Message, encrypting: bool) -> bytes:
        work = self.token_key.encrypt if encrypting else self.token_key.decrypt
        return work(spec, bytes(data))

    def _chained(self, way: KeyMode, iv: bytes, data: Message, padding: bool, encrypting: bool) -> tuple[bytes, bytes]:
        """The result, and the IV that the next call continues with."""
        if way.mode is CipherMode.XTS:
            return self._data_units(iv, data, encrypting)
        result, ciphertext = self._blocks(way, iv, data, padding, encrypting)
        block = self.block
        return result, bytes(ciphertext[-block:]) if len(ciphertext) >= block else (iv + ciphertext)[-block:]

    def _data_units(self, first: bytes, data: Message, encrypting: bool) -> tuple[bytes, bytes]:
        """Whole data units and perhaps a shorter last one, and the number of the unit behind them."""
        unit = self.message_block_length
        if not unit:
            raise invalid_parameter("XTS-AES needs the length of its data units: set MessageBlockLength on the key")
        if 0 < len(data) % unit < self.block:
            raise CngError(
                NTSTATUS.STATUS_INVALID_BUFFER_SIZE,
                f"a last data unit of {len(data) % unit} bytes is under one block of {self.block}",
            )
        following = int.from_bytes(first, "little") + -(-len(data) // unit)
        if following > 1 << 8 * self.block:
            raise invalid_parameter(f"the numbers of the data units go beyond {self.block} bytes")
        result = self._apply(CipherSpec(CipherMode.XTS, first, data_unit=unit), data, encrypting) if data else b""
        return result, (following % (1 << 8 * self.block)).to_bytes(self.block, "little")

    def _blocks(self, way: KeyMode, iv: bytes, data: Message, padding: bool, encrypting: bool) -> tuple[bytes, Message]:
        """The result, and the ciphertext, which chains on in both directions."""
        if padding and encrypting:
            data = pad(bytes(data), self.block)
        if len(data) % self.block and (padding or way.whole_blocks):
            raise CngError(
                NTSTATUS.STATUS_INVALID_BUFFER_SIZE, f"{len(data)} bytes are not whole blocks of {self.block} bytes"
            )
        result = way.cipher(encrypting)(iv, data) if data else b""
        if encrypting:
            return result, result
        return (unpad(result, self.block) if padding else result), data

    @in_use
    def duplicate(self, key_object: Octets | None = None) -> SymmetricKey:
        """A key of the same value with its own mode, IV and life."""
        with holding(key_object, self.algorithm.object_length or 0, "pbKeyObject") as held:
            return SymmetricKey(
                self.algorithm_handle,
                self.token_key.duplicate(),
                held,
                chaining_mode=self.chaining_mode,
                message_block_length=self.message_block_length,
                running_iv=self.running_iv,
                stream_offset=self.stream_offset,
                origin=self._origin,
            )

    @in_use
    def export(self, blob_type: str, export_key: SymmetricKey | None = None) -> bytes:
        """OpaqueKeyBlob or, under `export_key`, Rfc3565KeyWrapBlob of a key whose policy allows its export.

        Raises STATUS_NOT_SUPPORTED for KeyDataBlob, for any other type and where the policy forbids it.
        """
        if blob_type == BCRYPT_AES_WRAP_KEY_BLOB:
            if export_key is None:
                raise invalid_parameter(f"{blob_type} needs an AES key as hExportKey")
            require_wrapping_key(export_key, self.provider)
            return export_key.token_key.wrap_key(self.token_key)
        if blob_type == BCRYPT_OPAQUE_KEY_BLOB:
            return self.token_key.opaque()
        if blob_type == BCRYPT_KEY_DATA_BLOB:
            raise not_supported("the key stays in its token: KeyDataBlob would be its plaintext")
        raise not_supported(f"{told(blob_type)} is not a blob type of symmetric keys")

    def attest(self, nonce: bytes) -> Attestation:
        """The token's statement that it holds this key and how it was made; `hwcng.attestation` verifies it.

        nonce: at most 32 bytes of the verifier's choice. Raises STATUS_NOT_SUPPORTED where the token makes none.
        """
        return attest(self.token_key, nonce)

    def destroy(self) -> None:
        if self.alive:
            super().destroy()
            if self._opening is not None:
                return
            self.token_key.destroy()
            if self._key_object is not None:
                self._key_object.release()


def require_wrapping_key(key: SymmetricKey, provider: object) -> None:
    """Raises STATUS_INVALID_PARAMETER unless `key` is an AES key of `provider`."""
    if key.token_key.spec.family is not SecretFamily.AES:
        raise invalid_parameter("the key that wraps must be an AES key")
    if key.provider is not provider:
        raise invalid_parameter("the key that wraps is of another provider")


def check_effective_bits(name: str, bits: int) -> int:
    """Raises STATUS_NOT_SUPPORTED for another algorithm than RC2, STATUS_INVALID_PARAMETER for a bad length."""
    if name != SecretFamily.RC2.value:
        raise not_supported(f"{name} has no EffectiveKeyLength")
    if bits not in EFFECTIVE_BITS:
        raise invalid_parameter(f"EffectiveKeyLength is 1 to {EFFECTIVE_BITS[-1]} bits, not {bits}")
    return bits
