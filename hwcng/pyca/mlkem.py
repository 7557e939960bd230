"""Private keys of ML-KEM (FIPS 203)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwcng.pyca.base import TokenPrivateKey
from hwcng.pyca.digests import octets_of
from hwcng.pyca.failures import as_cryptography_raises

if TYPE_CHECKING:
    from cryptography.utils import Buffer

__all__ = ["MlKemTokenKey"]


class MlKemTokenKey(TokenPrivateKey, of="mlkem"):
    """Of any parameter set; `hwcng.pyca.private_keys` makes the class of each."""

    def decapsulate(self, ciphertext: Buffer) -> bytes:
        """The shared secret, read out of the token; `cng_key.decapsulate_to_key` leaves it there."""
        with as_cryptography_raises():
            return self.cng_key.decapsulate(octets_of(ciphertext))
