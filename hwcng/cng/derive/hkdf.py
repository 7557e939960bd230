"""HKDF's settings before a derivation (RFC 5869; bcrypt.h, BCRYPT_HKDF_* properties)."""

from __future__ import annotations

from hwcng.contract.specs import HkdfSpec
from hwcng.errors import invalid_parameter, told
from hwcng.standards.hashes import HASHES

__all__ = ["HkdfState"]


class HkdfState:
    """What the properties of one key or secret say: the hash first, then how the pseudorandom key comes about."""

    def __init__(self) -> None:
        self.hash_name: str | None = None
        self.salt: bytes | None = None
        self.finalized = False

    def copy(self) -> HkdfState:
        other = HkdfState()
        other.hash_name, other.salt, other.finalized = self.hash_name, self.salt, self.finalized
        return other

    def _require_open(self) -> None:
        if self.finalized:
            raise invalid_parameter("the HKDF key is finalized")

    def set_hash(self, name: str) -> None:
        """HkdfHashAlgorithm. Raises STATUS_INVALID_PARAMETER for an unknown hash and for a finalized key."""
        self._require_open()
        if name not in HASHES:
            raise invalid_parameter(f"{told(name)} is not a hash algorithm")
        self.hash_name = name

    def finalize(self, salt: bytes | None) -> None:
        """HkdfSaltAndFinalize with the salt's bytes, b"" for none; HkdfPrkAndFinalize with None."""
        self._require_open()
        if self.hash_name is None:
            raise invalid_parameter("set HkdfHashAlgorithm before the HKDF key is finalized")
        self.salt, self.finalized = salt, True

    def spec(self, info: bytes) -> HkdfSpec:
        """Raises STATUS_INVALID_PARAMETER unless the hash is set and the key finalized."""
        if self.hash_name is None or not self.finalized:
            raise invalid_parameter("HKDF needs HkdfHashAlgorithm, and then HkdfSaltAndFinalize or HkdfPrkAndFinalize")
        return HkdfSpec(self.hash_name, self.salt, info)
