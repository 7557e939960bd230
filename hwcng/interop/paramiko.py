"""Keys of paramiko over keys in a token (RFC 4253, RFC 5656, RFC 8332, RFC 8709), for clients and hosts.

paramiko reads the numbers of RSA keys from their private half; these have them from the public one. It makes keys of
Ed25519 out of files only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from hwcng import pyca
from hwcng.interop.needed import needed
from hwcng.interop.private_keys import rsa_or_nist_key

with needed("paramiko", "paramiko"):
    import paramiko

if TYPE_CHECKING:
    from hwcng.pyca.opening import TokenKey

__all__ = ["pkey"]


class _RsaTokenKey(paramiko.RSAKey):
    @property
    def public_numbers(self) -> rsa.RSAPublicNumbers:
        numbers: rsa.RSAPublicNumbers = self.key.public_key().public_numbers()
        return numbers


class _Ed25519TokenKey(paramiko.PKey):
    name = "ssh-ed25519"

    def __init__(self, key: ed25519.Ed25519PrivateKey) -> None:
        self.key = key
        self.public_blob = None

    def asbytes(self) -> bytes:
        wire = paramiko.Message()
        wire.add_string(self.name)
        wire.add_string(self.key.public_key().public_bytes_raw())
        octets: bytes = wire.asbytes()
        return octets

    @property
    def _fields(self) -> tuple[str, bytes]:
        return self.name, self.asbytes()

    def get_name(self) -> str:
        return self.name

    def get_bits(self) -> int:
        return 256

    def can_sign(self) -> bool:
        return True

    def sign_ssh_data(self, data: bytes, algorithm: str | None = None) -> paramiko.Message:
        signed = paramiko.Message()
        signed.add_string(self.name)
        signed.add_string(self.key.sign(data))
        return signed

    def verify_ssh_sig(self, data: bytes, msg: paramiko.Message) -> bool:
        verified: bool = paramiko.Ed25519Key(data=self.asbytes()).verify_ssh_sig(data, msg)
        return verified


def pkey(key: TokenKey) -> paramiko.PKey:
    """The key as `SSHClient.connect(pkey=...)` and `Transport.add_server_key` take it.

    key: a URI or a key, as `hwcng.pyca.private_key` takes it: RSA, Ed25519, or ECDSA on P-256, P-384 or P-521.

    Raises UnsupportedAlgorithm for other kinds, and what `private_key` raises.
    """
    private = pyca.private_key(key)
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return _Ed25519TokenKey(private)
    private = rsa_or_nist_key(private, "paramiko")
    if isinstance(private, rsa.RSAPrivateKey):
        return _RsaTokenKey(key=private)
    return paramiko.ECDSAKey(vals=(private, private.public_key()))
