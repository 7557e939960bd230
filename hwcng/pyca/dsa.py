"""Private keys of DSA (FIPS 186-4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import dsa

from hwcng.contract.specs import DsaSpec
from hwcng.pyca.base import TokenPrivateKey
from hwcng.pyca.digests import der_signature, digest_of
from hwcng.pyca.failures import as_cryptography_raises

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
    from cryptography.hazmat.primitives.hashes import HashAlgorithm
    from cryptography.utils import Buffer

__all__ = ["DsaTokenKey"]

_DSA = DsaSpec()


class DsaTokenKey(TokenPrivateKey, dsa.DSAPrivateKey, of="dsa"):
    @property
    def key_size(self) -> int:
        size: int = self._public.key_size
        return size

    def parameters(self) -> dsa.DSAParameters:
        parameters: dsa.DSAParameters = self._public.parameters()
        return parameters

    def sign(self, data: Buffer, algorithm: Prehashed | HashAlgorithm) -> bytes:
        digest = digest_of(data, algorithm)
        with as_cryptography_raises():
            return der_signature(self.cng_key.sign_as(_DSA, digest))
