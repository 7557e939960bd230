"""Private keys of Diffie-Hellman over finite fields (PKCS #3, SP 800-56A r3), which `cryptography` is about to drop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import dh

from hwcng.hostcrypto.host_keys import host_class
from hwcng.pyca.agreement import agreed
from hwcng.pyca.base import TokenPrivateKey
from hwcng.pyca.failures import refusal

__all__ = ["DhTokenKey"]

if TYPE_CHECKING:
    _DHPrivateKey = dh.DHPrivateKey
else:
    _DHPrivateKey = host_class("dh", "DHPrivateKey")
_DHPublicKey: Any = host_class("dh", "DHPublicKey")


class DhTokenKey(TokenPrivateKey, _DHPrivateKey, of="dh"):
    @property
    def key_size(self) -> int:
        size: int = self._public.key_size
        return size

    def parameters(self) -> dh.DHParameters:
        parameters: dh.DHParameters = self._public.parameters()
        return parameters

    def exchange(self, peer_public_key: dh.DHPublicKey) -> bytes:
        if not isinstance(peer_public_key, _DHPublicKey):
            raise refusal(TypeError, "peer_public_key must be a DHPublicKey")
        return agreed(self, peer_public_key)
