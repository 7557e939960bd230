"""Base keys of derivation functions in a TPM: HMAC keys, and nothing that would need their octets (TPM2_HMAC)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from hwcng.contract.keys import KeyingMaterial
from hwcng.contract.specs import HkdfSpec, HmacSpec
from hwcng.errors import NTSTATUS, CngError
from hwcng.hostcrypto.hkdf import hkdf_expand

__all__ = ["TpmKeyingMaterial"]


class TpmKeyingMaterial(KeyingMaterial):
    """mac: HMAC under a key that the TPM made or took for every hash. length: bytes of the key."""

    def __init__(self, mac: Callable[[HmacSpec, bytes], bytes], length: int) -> None:
        self._mac = mac
        self.length = length

    def _refuse(self, what: str) -> NoReturn:
        raise CngError(NTSTATUS.STATUS_NOT_SUPPORTED, f"a TPM does not {what} a key")

    def digest(self, hash_name: str, prefix: bytes, suffix: bytes) -> bytes:
        self._refuse("digest")

    def hmac(self, hash_name: str, data: bytes) -> bytes:
        return self._mac(HmacSpec(hash_name), data)

    def half_hmac(self, half: int, hash_name: str, data: bytes) -> bytes:
        self._refuse("halve")

    def hkdf(self, spec: HkdfSpec, length: int) -> bytes:
        if spec.salt is not None:
            self._refuse("extract HKDF's pseudorandom key from")
        return hkdf_expand(lambda data: self.hmac(spec.hash_name, data), spec.info, length)
