"""Private keys on elliptic curves: ECDSA (FIPS 186-5) and ECDH (SP 800-56A r3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec

from hwcng.contract.specs import EcdsaSpec
from hwcng.errors import CngError
from hwcng.pyca.agreement import agreed
from hwcng.pyca.base import TokenPrivateKey
from hwcng.pyca.digests import buffer_of, der_signature, digest_of
from hwcng.pyca.failures import refusal, translated

if TYPE_CHECKING:
    from cryptography.utils import Buffer

__all__ = ["EcTokenKey"]

_ECDSA = EcdsaSpec()


class EcTokenKey(TokenPrivateKey, ec.EllipticCurvePrivateKey, of="ec"):
    @property
    def curve(self) -> ec.EllipticCurve:
        curve: ec.EllipticCurve = self._public.curve
        return curve

    @property
    def key_size(self) -> int:
        return self.curve.key_size

    def sign(self, data: Buffer, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        buffer = buffer_of(data)
        if not isinstance(signature_algorithm, ec.ECDSA):
            raise refusal(UnsupportedAlgorithm, "Unsupported elliptic curve signature algorithm: use ec.ECDSA")
        if signature_algorithm.deterministic_signing:
            raise refusal(
                UnsupportedAlgorithm,
                "a token draws random numbers of its own: use ec.ECDSA without deterministic_signing",
            )
        digest = digest_of(buffer, signature_algorithm.algorithm)
        try:
            return der_signature(self.cng_key.sign_as(_ECDSA, digest))
        except CngError as error:
            raise translated(error) from error

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> bytes:
        if not isinstance(peer_public_key, ec.EllipticCurvePublicKey):
            raise refusal(TypeError, "peer_public_key must be an EllipticCurvePublicKey")
        if not isinstance(algorithm, ec.ECDH):
            raise refusal(UnsupportedAlgorithm, "Unsupported EC exchange algorithm: use ec.ECDH")
        if peer_public_key.curve.name != self.curve.name:
            raise refusal(ValueError, "peer_public_key and self are not on the same curve")
        return agreed(self, peer_public_key)
