"""Private keys of ML-DSA (FIPS 204)."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from hwcng.contract.specs import MlDsaSpec
from hwcng.errors import CngError
from hwcng.pyca.base import TokenPrivateKey
from hwcng.pyca.digests import octets_of
from hwcng.pyca.failures import refusal, translated

if TYPE_CHECKING:
    from cryptography.utils import Buffer

__all__ = ["MlDsaTokenKey"]

LONGEST_CONTEXT = 255
MU_SIZE = 64
_pure = lru_cache(MlDsaSpec)
_EXTERNAL_MU = MlDsaSpec(external_mu=True)


class MlDsaTokenKey(TokenPrivateKey, of="mldsa"):
    """Of any parameter set; `hwcng.pyca.private_keys` makes the class of each."""

    def sign(self, data: Buffer, context: Buffer | None = None) -> bytes:
        signed, octets = octets_of(data), b"" if context is None else octets_of(context)
        if len(octets) > LONGEST_CONTEXT:
            raise refusal(ValueError, f"Context must be at most {LONGEST_CONTEXT} bytes")
        return self._sign(_pure(octets), signed)

    def sign_mu(self, mu: Buffer) -> bytes:
        octets = octets_of(mu)
        if len(octets) != MU_SIZE:
            raise refusal(ValueError, f"mu must be {MU_SIZE} bytes")
        return self._sign(_EXTERNAL_MU, octets)

    def _sign(self, spec: MlDsaSpec, data: bytes) -> bytes:
        try:
            return self.cng_key.sign_as(spec, data)
        except CngError as error:
            raise translated(error) from error
