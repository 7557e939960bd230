"""Agreed secrets of a TPM, which hands them to the host."""

from __future__ import annotations

from hwcng.contract import keys
from hwcng.contract.specs import (
    HkdfSpec,
)
from hwcng.errors import NTSTATUS, CngError, not_supported
from hwcng.hostcrypto import hkdf, modes
from hwcng.standards.hashes import HASHES

__all__ = ["HostSecret"]


class HostSecret(keys.AgreedSecret):
    """Z of a key agreement, in the host's memory: a TPM hands Z out, because it derives nothing from it itself."""

    def __init__(self, value: bytes, allow_raw: bool) -> None:
        self._value: bytearray | None = bytearray(value)
        self._allow_raw = allow_raw
        self.length = len(value)

    def __repr__(self) -> str:
        return f"<HostSecret {self.length} bytes{'' if self._value is not None else ' destroyed'}>"

    def _octets(self) -> bytes:
        if self._value is None:
            raise CngError(NTSTATUS.STATUS_INVALID_HANDLE, "the secret is destroyed")
        return bytes(self._value)

    def digest(self, hash_name: str, prefix: bytes, suffix: bytes) -> bytes:
        return HASHES[hash_name].digest(prefix + self._octets() + suffix)

    def hmac(self, hash_name: str, data: bytes) -> bytes:
        return HASHES[hash_name].hmac(self._octets(), data)

    def masked_digest(self, hash_name: str, mask: bytes, suffix: bytes) -> bytes:
        return HASHES[hash_name].digest(modes.xor(self._octets(), mask) + suffix)

    def hmac_of_itself(self, hash_name: str, prefix: bytes, suffix: bytes) -> bytes:
        return self.hmac(hash_name, prefix + self._octets() + suffix)

    def half_hmac(self, half: int, hash_name: str, data: bytes) -> bytes:
        value = self._octets()
        size = (len(value) + 1) // 2
        return HASHES[hash_name].hmac(value[-size:] if half else value[:size], data)

    def hkdf(self, spec: HkdfSpec, length: int) -> bytes:
        hash_function, value = HASHES[spec.hash_name], self._octets()
        key = value if spec.salt is None else hash_function.hmac(spec.salt, value)
        return hkdf.hkdf_expand(lambda data: hash_function.hmac(key, data), spec.info, length)

    def raw(self) -> bytes:
        if not self._allow_raw:
            raise not_supported("the agreed secret is handed out only by a provider opened with allow_raw_secret=True")
        return self._octets()

    def destroy(self) -> None:
        value, self._value = self._value, None
        if value is not None:
            value[:] = bytes(len(value))
