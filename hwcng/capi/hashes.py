"""Hash objects: those of bcrypt.h, and MACs, which keep their data until the token is asked for the value."""

from __future__ import annotations

from typing import NamedTuple

from hwcng.arguments import number, optional_octets
from hwcng.capi.algids import AlgId, Kind
from hwcng.capi.contexts import Context
from hwcng.capi.errors import failing_as, failure
from hwcng.capi.handle_base import bad_key
from hwcng.capi.session_keys import SessionKey
from hwcng.cng import hashing
from hwcng.cng.handles import Handle
from hwcng.cng.hashing import HashObject
from hwcng.errors import HRESULT, NTSTATUS, CngError
from hwcng.headers import wincrypt_h
from hwcng.standards.hashes import HASHES

__all__ = ["HMAC_INFO", "CapiHash", "create"]

SSL3_SHAMD5_SIZE = 36
_PADS = (b"\x36", b"\x5c")
"""Octets of RFC 2104's strings."""
BITS_OF_A_BYTE = 8


class HMAC_INFO(NamedTuple):
    """What HP_HMAC_INFO takes. HashAlgid: the hash. The strings take the place of the RFC 2104 paddings where they are
    not empty; they are no shorter than the key.
    """

    HashAlgid: int
    pbInnerString: bytes = b""
    pbOuterString: bytes = b""


def _bad_state(message: str) -> CngError:
    return failure(HRESULT.NTE_BAD_HASH_STATE, message)


class CapiHash(Handle):
    """A running hash, until its value is asked for. key: of a MAC."""

    called = "a CryptoAPI hash"

    def __init__(self, context: Context, row: AlgId, key: SessionKey | None) -> None:
        super().__init__()
        self.context = context
        self.row = row
        self._key = key
        self._info: HMAC_INFO | None = None
        self._data: list[bytes] = []
        self._value: bytes | None = None
        self._running: HashObject | None = None
        if row.hash_function is not None:
            self._running = hashing.create(context.algorithm(row.algorithm), None, None, 0)
        context.members.add(self)

    def __repr__(self) -> str:
        return f"<CapiHash {self.row.name}{'' if self.alive else ' destroyed'}>"

    @property
    def size(self) -> int:
        """Bytes of the value."""
        if self.row.kind is Kind.HASH:
            function = self.row.hash_function
            return function.digest_size if function is not None else SSL3_SHAMD5_SIZE
        if self.row.algorithm == "MAC":
            return self._mac_key.row.block_bits // BITS_OF_A_BYTE
        return HASHES[self.hmac_hash].digest_size

    @property
    def _mac_key(self) -> SessionKey:
        if self._key is None or not self._key.alive:
            raise bad_key("the key of the MAC is destroyed")
        return self._key

    @property
    def hmac_hash(self) -> str:
        """The name of HMAC's hash."""
        if self._info is None:
            raise _bad_state("set HP_HMAC_INFO first")
        return self.context.csp.algid(self._info.HashAlgid).algorithm

    def set_hmac_info(self, info: object) -> None:
        """info: an HMAC_INFO, or a sequence of its fields."""
        if self.row.algorithm != "HMAC":
            raise failure(HRESULT.NTE_BAD_TYPE, f"{self.row.name} takes no HP_HMAC_INFO")
        if not isinstance(info, tuple) or not 1 <= len(info) <= len(HMAC_INFO._fields):
            raise failure(HRESULT.NTE_BAD_DATA, "HP_HMAC_INFO is an HMAC_INFO")
        self._require_running()
        taken = HMAC_INFO(number(info[0], "HashAlgid", refused=HRESULT.NTE_BAD_ALGID), *info[1:])
        function = self.context.csp.algid(taken.HashAlgid).hash_function
        if function is None or not function.keyed:
            raise failure(HRESULT.NTE_BAD_ALGID, f"HMAC has no hash {taken.HashAlgid:#06x}")
        strings = [optional_octets(string, "a string of HMAC_INFO") or b"" for string in taken[1:]]
        if any(strings):
            strings = [string or pad * function.block_size for string, pad in zip(strings, _PADS, strict=True)]
            if BITS_OF_A_BYTE * min(map(len, strings)) < self._mac_key.bits:
                raise failure(
                    HRESULT.NTE_NOT_SUPPORTED, "a string of HMAC_INFO that is shorter than the key would give it away"
                )
        self._info = HMAC_INFO(taken.HashAlgid, *strings)

    def _require_running(self) -> None:
        if self._value is not None:
            raise _bad_state("the hash has its value and takes no more data")

    def update(self, data: bytes) -> None:
        self._require_running()
        if self._running is not None:
            self._running.update(data)
            return
        if self.row.kind is Kind.HASH:
            raise failure(HRESULT.NTE_BAD_ALGID, f"{self.row.name} hashes nothing: set its value by HP_HASHVAL")
        if self.row.algorithm == "HMAC":
            self.hmac_hash  # noqa: B018
        self._data.append(data)

    def value(self) -> bytes:
        """HP_HASHVAL: finishes the hash."""
        if self._value is None:
            self._value = self._finished()
            self._data = []
        return self._value

    def _finished(self) -> bytes:
        if self._running is not None:
            return self._running.finish()
        data = b"".join(self._data)
        if self._info is not None and self._info.pbInnerString:
            return self._mac_key.padded_hmac(self.hmac_hash, *self._info[1:], data)
        if self.row.algorithm == "HMAC":
            return self._mac_key.hmac(self.hmac_hash, data)
        if self.row.algorithm == "MAC":
            return self._mac_key.mac_block(data)
        raise _bad_state(f"{self.row.name} has no value: set it by HP_HASHVAL")

    def set_value(self, value: bytes) -> None:
        """HP_HASHVAL of a hash that somebody else computed."""
        self._require_running()
        if self._data:
            raise _bad_state("data was hashed already")
        if len(value) != self.size:
            raise failure(HRESULT.NTE_BAD_LEN, f"a {self.row.name} value has {self.size} bytes, {len(value)} given")
        self._value = bytes(value)

    def duplicate(self) -> CapiHash:
        copy = CapiHash(self.context, self.row, self._key)
        copy._info, copy._data, copy._value = self._info, list(self._data), self._value
        if copy._running is not None and self._running is not None and self._value is None:
            copy._running = self._running.duplicate()
        return copy

    def signable(self, flags: int) -> tuple[str | None, bytes]:
        """The hash that a PKCS #1 signature names, None for one that names none here, and what it signs."""
        function, value = self.row.hash_function, self.value()
        if function is None or flags & wincrypt_h.CRYPT_NOHASHOID:
            return None, value
        if function.keyed:
            return function.name, value
        # The layers below know no such hash: they pad a DigestInfo that is complete.
        return None, function.digest_info_prefix + value

    def require_signable(self) -> None:
        if self.row.kind is not Kind.HASH:
            raise failure(HRESULT.NTE_BAD_HASH, f"a {self.row.name} value is not signed")

    def destroy(self) -> None:
        if self.alive:
            super().destroy()
            self._data = []
            if self._running is not None:
                self._running.destroy()


def create(context: Context, algid: int, key: SessionKey | None) -> CapiHash:
    """CryptCreateHash. key: of a MAC, else None."""
    row = context.csp.algid(algid)
    if row.kind not in (Kind.HASH, Kind.MAC):
        raise failure(HRESULT.NTE_BAD_ALGID, f"{row.name} is no hash")
    if row.kind is Kind.HASH:
        if key is not None:
            raise bad_key(f"{row.name} takes no key")
        with failing_as({NTSTATUS.STATUS_NOT_FOUND: HRESULT.NTE_BAD_ALGID}):
            return CapiHash(context, row, None)
    if key is None:
        raise bad_key(f"{row.name} needs a session key")
    if row.algorithm == "MAC" and (not key.row.block_bits or key.for_mac):
        raise bad_key("CALG_MAC needs the key of a block cipher")
    return CapiHash(context, row, key)
