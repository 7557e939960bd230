"""A signer of pyHanko over a key in a token: signatures in PDF (ISO 32000-2, PAdES) and CMS (RFC 5652)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding

from hwcng import pyca
from hwcng.errors import invalid_parameter
from hwcng.interop.needed import needed
from hwcng.pyca.failures import refusal

with needed("pyhanko", "pyhanko"):
    from pyhanko.sign import Signer
with needed("asn1crypto", "pyhanko"):
    from asn1crypto import x509 as asn1_x509

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from hwcng.pyca.opening import TokenKey

__all__ = ["TokenSigner"]

_HASHES: Mapping[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
    "sha3_256": hashes.SHA3_256(),
    "sha3_384": hashes.SHA3_384(),
    "sha3_512": hashes.SHA3_512(),
}
"""By the names of asn1crypto."""


class TokenSigner(Signer):
    """What `sign_pdf` and `PdfSigner` take as their signer. Signatures are made in a thread: the event loop goes on.

    key: a URI or a key, as `hwcng.pyca.private_key` takes it: RSA, ECDSA or Ed25519. certificates: the key's own, then
    its issuers'; None: those that the token keeps beside it. others: of pyHanko's Signer, such as prefer_pss.

    Raises UnsupportedAlgorithm for other kinds of keys, CngError with STATUS_INVALID_PARAMETER where there is no
    certificate or the first is another key's, and what `private_key` raises.
    """

    def __init__(self, key: TokenKey, certificates: Sequence[Certificate] | None = None, **others: Any) -> None:
        private = pyca.private_key(key)
        if not isinstance(private, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey)):
            raise refusal(UnsupportedAlgorithm, f"a PDF is not signed with {private!r} here: use RSA, ECDSA or Ed25519")
        chain = _beside(private) if certificates is None else certificates
        if not chain:
            raise invalid_parameter(f"{private!r} has no certificate: pass certificates, or store them beside the key")
        if chain[0].public_key() != private.public_key():
            raise invalid_parameter(f"the first certificate is not that of {private!r}: pass the key's own first")
        own, *issuers = (asn1_x509.Certificate.load(one.public_bytes(Encoding.DER)) for one in chain)
        super().__init__(signing_cert=own, **others)
        for issuer in issuers:
            self.cert_registry.register(issuer)
        self._private = private

    async def async_sign_raw(self, data: bytes, digest_algorithm: str, dry_run: bool = False) -> bytes:
        """The signature of `data` as CMS has it; with dry_run as many bytes as it may take, and the token is not asked.

        Raises UnsupportedAlgorithm for a hash that is not for signatures, and what the key's own `sign` raises.
        """
        if digest_algorithm not in _HASHES:
            raise refusal(
                UnsupportedAlgorithm, f"{digest_algorithm} is not for signatures: use one of {', '.join(_HASHES)}"
            )
        if dry_run:
            return bytes(self._longest())
        return await asyncio.to_thread(self._sign, data, digest_algorithm)

    def _longest(self) -> int:
        if isinstance(self._private, ed25519.Ed25519PrivateKey):
            return 64
        size: int = (self._private.key_size + 7) // 8
        if isinstance(self._private, rsa.RSAPrivateKey):
            return size
        most = (1 << 8 * size) - 1
        return len(encode_dss_signature(most, most))

    def _sign(self, data: bytes, digest_algorithm: str) -> bytes:
        algorithm = _HASHES[digest_algorithm]
        if isinstance(self._private, ed25519.Ed25519PrivateKey):
            return self._private.sign(data)
        if isinstance(self._private, ec.EllipticCurvePrivateKey):
            return self._private.sign(data, ec.ECDSA(algorithm))
        mechanism = self.get_signature_mechanism_for_digest(digest_algorithm)
        scheme: padding.AsymmetricPadding = padding.PKCS1v15()
        if mechanism["algorithm"].native == "rsassa_pss":
            scheme = padding.PSS(padding.MGF1(algorithm), mechanism["parameters"]["salt_length"].native)
        return self._private.sign(data, scheme, algorithm)


def _beside(private: Any) -> Sequence[Certificate]:
    """The certificates that the token keeps beside the key."""
    chain: Sequence[Certificate] = private.cng_key.certificates
    return chain
