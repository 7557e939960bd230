"""Session keys: what the CryptoAPI adds to a cipher's key of bcrypt.h, a salt and an IV that each message begins with.

Mode, segment, running IV, key stream and effective length are the state of `hwcng.cng.symmetric_key`, and kept there.

A salt (RC2 and RC4, "Salt Value Functionality" of the documentation) follows the key's own bytes. The token joins them:
the key itself is generated or unwrapped there and never on the host.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from types import MappingProxyType

from hwcng.capi.algids import AlgId
from hwcng.capi.contexts import Context
from hwcng.capi.csps import LONGEST_ENCRYPTING
from hwcng.capi.errors import MALFORMED, Code, failing_as, failure
from hwcng.capi.handle_base import CapiKey, bad_key
from hwcng.cng import hashing
from hwcng.cng.symmetric_key import SymmetricKey
from hwcng.contract.specs import SecretSpec
from hwcng.contract.usage import SecretFamily, Usage
from hwcng.errors import HRESULT, NTSTATUS
from hwcng.forking import lock_of
from hwcng.headers import wincrypt_h
from hwcng.headers.bcrypt_h import BCRYPT_CHAIN_MODE_CBC, BCRYPT_CHAIN_MODE_CFB, BCRYPT_CHAIN_MODE_ECB

__all__ = ["FULL_BITS", "ZERO_SALT_BITS", "SessionKey", "imported", "secret_spec"]

FULL_BITS = 128
"""What a key and its salt make together."""
ZERO_SALT_BITS = 40
"""Keys of this length have a salt of zeros unless CRYPT_NO_SALT is given."""
LONGEST_SALT = 24
CFB8_BITS = 8

_EXPORTABLE = wincrypt_h.CRYPT_EXPORTABLE | wincrypt_h.CRYPT_ARCHIVABLE
_CIPHER_USAGE = Usage.ENCRYPT | Usage.DECRYPT
_MODES: Mapping[int, str] = MappingProxyType(
    {
        wincrypt_h.CRYPT_MODE_CBC: BCRYPT_CHAIN_MODE_CBC,
        wincrypt_h.CRYPT_MODE_ECB: BCRYPT_CHAIN_MODE_ECB,
        wincrypt_h.CRYPT_MODE_CFB: BCRYPT_CHAIN_MODE_CFB,
    }
)
_NAMED_MODES = frozenset({*_MODES, wincrypt_h.CRYPT_MODE_OFB, wincrypt_h.CRYPT_MODE_CTS})
_MODE_NAMES = {name: mode for mode, name in _MODES.items()}
_FIXED: Mapping[int, Code] = MappingProxyType({NTSTATUS.STATUS_NOT_SUPPORTED: HRESULT.NTE_FIXEDPARAMETER})


def secret_spec(context: Context, row: AlgId, bits: int, flags: int, *, mac: bool = False) -> SecretSpec:
    """What the token is asked for. bits: with parity, 0 for any. flags: dwFlags. mac: a key of HMAC, whatever the
    ALG_ID.

    A key that can have a salt must be one that data can be joined to, and MSDN's way to an HMAC key is an RC2 or RC4
    key.
    """
    exportable = bool(flags & _EXPORTABLE)
    if mac or row.family is None or row.family is SecretFamily.HMAC:
        return SecretSpec(SecretFamily.HMAC, bits, Usage.SIGN, exportable)
    usage = _CIPHER_USAGE | Usage.DERIVE | Usage.SIGN if row.salted else _CIPHER_USAGE
    effective_bits = context.csp.default_effective_bits(bits) if row.family is SecretFamily.RC2 else 0
    return SecretSpec(row.family, bits, usage, exportable, effective_bits=effective_bits)


def imported(context: Context, spec: SecretSpec, value: bytes) -> SymmetricKey:
    """A key of the caller's bytes, in the token."""
    return SymmetricKey.imported(context.algorithm_of(spec), spec, value)


def _default_salt(context: Context, row: AlgId, bits: int, flags: int, leftover: bytes | None) -> bytes:
    if not row.salted or flags & wincrypt_h.CRYPT_NO_SALT:
        return b""
    if flags & wincrypt_h.CRYPT_CREATE_SALT:
        length = context.csp.salt
        return context.provider.random(length) if leftover is None else leftover[:length]
    return bytes((FULL_BITS - bits) // 8) if bits == ZERO_SALT_BITS else b""


class SessionKey(CapiKey):
    """key: of bcrypt.h, without the salt; this handle's own. flags: dwFlags of what made it. leftover: what
    CRYPT_CREATE_SALT takes instead of random bytes. cipher: a duplicate's, with its salt.
    """

    def __init__(
        self,
        context: Context,
        row: AlgId,
        key: SymmetricKey,
        flags: int = 0,
        *,
        leftover: bytes | None = None,
        cipher: SymmetricKey | None = None,
    ) -> None:
        archivable = bool(flags & wincrypt_h.CRYPT_ARCHIVABLE)
        spec = key.token_key.spec
        super().__init__(context, row, exportable=spec.exportable, archivable=archivable)
        self.key = key
        self.for_mac = spec.family is SecretFamily.HMAC
        self.iv = bytes(row.block_bits // 8)
        self.salt = b""
        self._unserved_mode: int | None = None
        self._cipher = cipher
        if cipher is None and not self.for_mac:
            try:
                self._join(_default_salt(context, row, spec.bits, flags, leftover))
            except BaseException:
                key.destroy()
                raise

    @property
    def bits(self) -> int:
        return self.key.bits

    @property
    def mode(self) -> int:
        """KP_MODE: CTS and OFB as they were set, which no key is used in. 0 of a stream cipher."""
        if self._unserved_mode is not None:
            return self._unserved_mode
        name = self._cipher.chaining_mode if self._cipher is not None else None
        return _MODE_NAMES.get(name or "", wincrypt_h.CRYPT_MODE_CBC) if self.row.block_bits else 0

    @property
    def mode_bits(self) -> int:
        """KP_MODE_BITS: of a segment of CFB. 0 of a stream cipher."""
        if not self.row.block_bits:
            return 0
        return 8 * self._cipher.message_block_length if self._cipher is not None else CFB8_BITS

    def _turn(self) -> AbstractContextManager[object]:
        """Who uses or sets the key has its message to himself."""
        return lock_of(self, "_using").held()

    def _require_cipher(self) -> SymmetricKey:
        if self._cipher is None:
            raise bad_key("the key authenticates and does not encrypt")
        return self._cipher

    def _join(self, salt: bytes) -> SymmetricKey:
        """Has the token join a salt to the key; returns the key that comes of it, which the data is encrypted under."""
        self._cipher = cipher = self.key.followed_by(salt, _CIPHER_USAGE) if salt else self.key
        self.salt = salt
        return cipher

    def _join_anew(self, salt: bytes) -> None:
        """Joins another salt; mode and IV stay."""
        before = self._require_cipher()
        cipher = self._join(salt)
        cipher.chaining_mode = before.chaining_mode
        cipher.message_block_length = before.message_block_length
        self._begin_message()
        if before is not self.key:
            before.destroy()

    def _begin_message(self) -> None:
        cipher = self._require_cipher()
        if self.row.block_bits:
            cipher.set_iv(self.iv)
        else:
            cipher.stream_offset = 0

    def _require_block(self) -> None:
        if not self.row.block_bits:
            raise failure(HRESULT.NTE_BAD_TYPE, f"{self.row.name} is a stream cipher")
        self._require_cipher()

    def set_iv(self, iv: bytes) -> None:
        """iv: a block; what is over it is cut off."""
        self._require_block()
        if len(iv) < len(self.iv):
            raise failure(HRESULT.NTE_BAD_DATA, f"an IV of {len(self.iv)} bytes expected, {len(iv)} given")
        self.iv = iv[: len(self.iv)]
        self._begin_message()

    def set_mode(self, mode: int) -> None:
        """CTS and OFB can be set, save in the providers of DSS, but not used."""
        self._require_block()
        if mode not in _NAMED_MODES - self.context.csp.refused_modes:
            raise failure(HRESULT.NTE_BAD_DATA, f"{mode} is no CRYPT_MODE_ of {self.context.csp.name}")
        chaining_mode = _MODES.get(mode)
        self._unserved_mode = mode if chaining_mode is None else None
        if chaining_mode is not None:
            self._require_cipher().chaining_mode = chaining_mode
        self._begin_message()

    def set_mode_bits(self, bits: int) -> None:
        """The segment of CFB: 8 bits or a block."""
        self._require_block()
        if bits not in (CFB8_BITS, self.row.block_bits):
            raise failure(HRESULT.NTE_BAD_DATA, f"CFB has segments of 8 or {self.row.block_bits} bits, not {bits}")
        self._require_cipher().set_message_block_length(bits // 8)
        self._begin_message()

    def set_padding(self, padding: int) -> None:
        self._require_block()
        if padding != wincrypt_h.PKCS5_PADDING:
            raise failure(HRESULT.NTE_BAD_DATA, "the only padding is PKCS5_PADDING")

    def set_salt(self, salt: bytes) -> None:
        """KP_SALT: of the length that the provider's salts have, whatever the key had; what is over it is cut off."""
        size = self.context.csp.salt
        if len(salt) < size:
            raise failure(HRESULT.NTE_BAD_DATA, f"a salt of {size} bytes expected, {len(salt)} given")
        self.set_salt_ex(salt[:size])

    def set_salt_ex(self, salt: bytes) -> None:
        """KP_SALT_EX: of 0 to 24 bytes."""
        # Under 40 effective bits, salts of several lengths tell a long key's octets.
        if not self.row.salted or self.for_mac or self.bits > LONGEST_ENCRYPTING:
            raise bad_key(f"{self.row.name} keys of {self.bits} bits have no salt")
        if len(salt) > LONGEST_SALT:
            raise failure(HRESULT.NTE_BAD_DATA, f"a salt has up to {LONGEST_SALT} bytes, {len(salt)} given")
        with self._turn():
            self._join_anew(salt)

    def set_effective_bits(self, bits: int) -> None:
        """RC2's effective key length (RFC 2268), of all handles to the key: `hwcng.contract.effective_length`."""
        if self.for_mac or self.row.family is not SecretFamily.RC2:
            raise failure(HRESULT.NTE_BAD_TYPE, f"{self.row.name} has no effective key length")
        if not 0 < bits <= self.context.csp.effective_bits:
            raise failure(HRESULT.NTE_BAD_DATA, f"{bits} bits is no effective key length of {self.context.csp.name}")
        with failing_as(_FIXED), self._turn():
            self.key.set_effective_bits(bits)
            self._begin_message()

    def encrypt(self, data: bytes, *, final: bool) -> bytes:
        """final: pads, and begins a new message afterwards; before, only whole blocks come."""
        if self.row.family is SecretFamily.RC2 and self.bits > LONGEST_ENCRYPTING:
            raise bad_key(f"an RC2 key of over {LONGEST_ENCRYPTING} bits decrypts and authenticates alone")
        return self._crypt(data, final, encrypting=True)

    def decrypt(self, data: bytes, *, final: bool) -> bytes:
        """Everything that is wrong with length or padding is one NTE_BAD_DATA; no bytes as the last of a stream are
        NTE_BAD_LEN.
        """
        if final and not data and not self.row.block_bits:
            raise failure(HRESULT.NTE_BAD_LEN, "there is nothing to decrypt")
        return self._crypt(data, final, encrypting=False)

    def _crypt(self, data: bytes, final: bool, *, encrypting: bool) -> bytes:
        cipher = self._require_cipher()
        block = self.row.block_bits // 8
        with self._turn(), failing_as(MALFORMED):
            if self._unserved_mode is not None:
                raise failure(HRESULT.NTE_BAD_ALGID, f"KP_MODE {self._unserved_mode} is not supported")
            try:
                if block and len(data) % block and not (final and encrypting):
                    raise failure(HRESULT.NTE_BAD_DATA, f"{len(data)} bytes are not whole blocks of {block}")
                crypt = cipher.encrypt if encrypting else cipher.decrypt
                return crypt(data, padding=final and bool(block))
            finally:
                if final:
                    self._begin_message()

    def mac_block(self, data: bytes) -> bytes:
        """CALG_MAC: the last block of the data, padded and encrypted in CBC mode from the key's IV."""
        cipher = self._require_cipher()
        self._require_block()
        self.require(wincrypt_h.CRYPT_MAC, "authenticate")
        return cipher.beside(BCRYPT_CHAIN_MODE_CBC, self.iv).encrypt(data, padding=True)[-self.row.block_bits // 8 :]

    def padded_hmac(self, hash_name: str, inner: bytes, outer: bytes, data: bytes) -> bytes:
        """CALG_HMAC with other strings than RFC 2104's."""
        self._require_hmac()
        return hashing.authenticate_padded(self.context.algorithm(hash_name), self.key, inner, outer, data)

    def hmac(self, hash_name: str, data: bytes) -> bytes:
        """CALG_HMAC under the key without its salt."""
        self._require_hmac()
        return hashing.authenticate_with(self.context.algorithm(hash_name), self.key, data)

    def _require_hmac(self) -> None:
        self.require(wincrypt_h.CRYPT_MAC, "authenticate")
        if not self.key.token_key.spec.usage & Usage.SIGN:
            raise bad_key(
                f"a token's {self.row.name} key is no key of HMAC: import it with CRYPT_IPSEC_HMAC_KEY, or make a "
                "CALG_HMAC key"
            )

    def duplicate(self) -> SessionKey:
        with self._turn():
            key, cipher = self.key.duplicate(), self._cipher
            if cipher is not None:
                cipher = key if cipher is self.key else cipher.duplicate()
            copy = SessionKey(self.context, self.row, key, cipher=cipher)
            copy._like(self)
            copy.iv, copy.salt, copy._unserved_mode = self.iv, self.salt, self._unserved_mode
        return copy

    def require_exportable(self) -> None:
        if not self.permissions & (wincrypt_h.CRYPT_EXPORT | wincrypt_h.CRYPT_ARCHIVE):
            raise failure(HRESULT.NTE_BAD_KEY_STATE, "the key was not made with CRYPT_EXPORTABLE")

    def destroy(self) -> None:
        if self.alive:
            super().destroy()
            if self._cipher is not None:
                self._cipher.destroy()
            self.key.destroy()
