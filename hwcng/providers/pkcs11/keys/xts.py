"""XTS-AES keys on tokens without CKM_AES_XTS: two AES keys that stay inside (IEEE 1619-2018; SP 800-38E)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from hwcng.contract import keys
from hwcng.contract.specs import AeadSpec, CipherSpec, MacSpec, SecretSpec
from hwcng.contract.usage import CipherMode, SecretFamily, Usage
from hwcng.hostcrypto import xts
from hwcng.providers.pkcs11.keys.base import not_supported
from hwcng.providers.pkcs11.keys.secret import unwrappable

__all__ = ["Pkcs11XtsKey", "make"]

_ECB = CipherSpec(CipherMode.ECB)


def make(spec: SecretSpec, half: Callable[[SecretSpec, int], keys.SecretKey]) -> Pkcs11XtsKey:
    """half: makes the AES key of the data, which it is told by 0, and then the one of the tweaks, 1."""
    bits = spec.bits // 2
    data_key = half(SecretSpec(SecretFamily.AES, bits, spec.usage & (Usage.ENCRYPT | Usage.DECRYPT)), 0)
    try:
        return Pkcs11XtsKey(data_key, half(SecretSpec(SecretFamily.AES, bits, Usage.ENCRYPT), 1), spec)
    except BaseException:
        data_key.destroy()
        raise


class Pkcs11XtsKey(keys.SecretKey):
    """Lives and ends with its two AES keys."""

    def __init__(self, data_key: keys.SecretKey, tweak_key: keys.SecretKey, spec: SecretSpec) -> None:
        self.spec = spec
        self._data_key = data_key
        self._tweak_key = tweak_key

    def _tweak(self, blocks: bytes) -> bytes:
        return self._tweak_key.encrypt(_ECB, blocks)

    @staticmethod
    def _checked(spec: CipherSpec | AeadSpec) -> CipherSpec:
        if not isinstance(spec, CipherSpec) or spec.mode is not CipherMode.XTS:
            raise not_supported(f"an XTS-AES key has no mode {spec.mode.value}")
        return spec

    def encrypt(self, spec: CipherSpec | AeadSpec, data: bytes) -> bytes:
        asked = self._checked(spec)
        number = int.from_bytes(asked.iv, "little")
        return xts.encrypt(
            self._tweak, lambda blocks: self._data_key.encrypt(_ECB, blocks), number, asked.data_unit, data
        )

    def decrypt(self, spec: CipherSpec | AeadSpec, data: bytes) -> bytes:
        asked = self._checked(spec)
        number = int.from_bytes(asked.iv, "little")
        return xts.decrypt(
            self._tweak, lambda blocks: self._data_key.decrypt(_ECB, blocks), number, asked.data_unit, data
        )

    def mac(self, spec: MacSpec, data: bytes) -> NoReturn:
        raise not_supported("an XTS-AES key does not authenticate")

    def duplicate(self) -> Pkcs11XtsKey:
        data_key = self._data_key.duplicate()
        try:
            return Pkcs11XtsKey(data_key, self._tweak_key.duplicate(), self.spec)
        except BaseException:
            data_key.destroy()
            raise

    def wrap_key(self, key: keys.SecretKey) -> NoReturn:
        raise not_supported("an XTS-AES key wraps no keys")

    def opaque(self) -> NoReturn:
        raise unwrappable(self.spec)

    def destroy(self) -> None:
        self._data_key.destroy()
        self._tweak_key.destroy()
