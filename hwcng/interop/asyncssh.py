"""Key pairs of asyncssh over keys in a token (RFC 4253, RFC 5656, RFC 8332, RFC 8709).

A client logs in with one, a server shows one. Signatures are made in a thread: the event loop goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from hwcng import pyca
from hwcng.interop.needed import needed
from hwcng.interop.private_keys import lacking
from hwcng.pyca.failures import refusal

with needed("asyncssh", "asyncssh"):
    import asyncssh
    from asyncssh.packet import MPInt, String

if TYPE_CHECKING:
    from hwcng.pyca.opening import TokenKey

__all__ = ["TokenKeyPair"]

_HASHES: Mapping[bytes, hashes.HashAlgorithm | None] = {
    b"rsa-sha2-512": hashes.SHA512(),
    b"rsa-sha2-256": hashes.SHA256(),
    b"ecdsa-sha2-nistp256": hashes.SHA256(),
    b"ecdsa-sha2-nistp384": hashes.SHA384(),
    b"ecdsa-sha2-nistp521": hashes.SHA512(),
    b"ssh-ed25519": None,
}
"""Signature algorithms, best first. Ed25519 hashes by itself."""
_CERTIFICATE = b"-cert-v01@openssh.com"
_RSA_CERTIFICATE = b"ssh-rsa" + _CERTIFICATE


class TokenKeyPair(asyncssh.SSHKeyPair):
    """What `client_keys` and `server_host_keys` take.

    key: a URI or a key, as `hwcng.pyca.private_key` takes it. comment: of its public key.

    Raises UnsupportedAlgorithm for keys that SSH does not know, and what `private_key` raises.
    """

    _key_type = "hwcng"
    algorithm: bytes

    def __init__(self, key: TokenKey, comment: str | None = None) -> None:
        private = pyca.private_key(key)
        public = None
        with suppress(ValueError, UnsupportedAlgorithm, asyncssh.KeyImportError):
            written = private.public_key().public_bytes(
                serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
            )
            public = asyncssh.import_public_key(written)
        signs = [] if public is None else [name for name in _HASHES if name in public.sig_algorithms]
        if public is None or not signs:
            raise lacking("SSH", private)
        super().__init__(
            public.algorithm, public.algorithm, signs, signs, public.public_data, comment, use_executor=True
        )
        self._private = private

    def set_sig_algorithm(self, sig_algorithm: bytes) -> None:
        """What was negotiated. A certificate of RSA goes by its signature's name: servers refuse the one of SHA-1."""
        super().set_sig_algorithm(sig_algorithm)
        if self.algorithm == _RSA_CERTIFICATE:
            self.algorithm = self.sig_algorithm + _CERTIFICATE

    def sign(self, data: bytes) -> bytes:
        """The signature as SSH has it on the wire, with the algorithm that was negotiated before it."""
        # What stands in an X.509 certificate has the same signature.
        algorithm = self.sig_algorithm.removeprefix(b"x509v3-")
        if algorithm not in _HASHES:
            raise refusal(
                UnsupportedAlgorithm, f"{algorithm.decode()} is not signed: use one of {self.sig_algorithms!r}"
            )
        signature: bytes = String(algorithm) + String(self._signed(data, _HASHES[algorithm]))
        return signature

    def _signed(self, data: bytes, algorithm: hashes.HashAlgorithm | None) -> bytes:
        private = self._private
        if isinstance(private, ed25519.Ed25519PrivateKey):
            return private.sign(data)
        assert algorithm is not None  # noqa: S101 - of the others it has one
        if isinstance(private, rsa.RSAPrivateKey):
            return private.sign(data, padding.PKCS1v15(), algorithm)
        assert isinstance(private, ec.EllipticCurvePrivateKey)  # noqa: S101 - asyncssh took its public half
        r, s = decode_dss_signature(private.sign(data, ec.ECDSA(algorithm)))
        pair: bytes = MPInt(r) + MPInt(s)
        return pair
