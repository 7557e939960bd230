"""What BCryptOpenAlgorithmProvider returns: an algorithm handle that has its token make secret keys."""

from __future__ import annotations

from hwcng import arguments
from hwcng.arguments import Octets
from hwcng.cng import cipher_keys, derivation_key, hashing
from hwcng.cng.algorithm_handle import AlgorithmHandle
from hwcng.cng.symmetric_key import SymmetricKey
from hwcng.contract.usage import Usage
from hwcng.errors import invalid_handle, not_supported

__all__ = ["AlgorithmProvider", "generate_key"]


def generate_key(
    handle: AlgorithmHandle, bits: int, *, usage: Usage | None = None, key_object: Octets | None = None
) -> SymmetricKey:
    """`AlgorithmProvider.generate_key` of any algorithm handle."""
    if not handle.alive:
        raise invalid_handle("the algorithm handle is closed")
    bits = arguments.number(bits, "bits")
    if handle.keyed_hash:
        return hashing.generate_mac_key(handle, bits)
    if handle.algorithm.derives:
        return derivation_key.generate(handle, bits, key_object)
    if not handle.algorithm.chaining_modes:
        raise not_supported(f"{handle.name} has no secret keys")
    return cipher_keys.generate(handle, bits, usage, key_object)


class AlgorithmProvider(AlgorithmHandle):
    def generate_key(self, bits: int, *, usage: Usage | None = None, key_object: Octets | None = None) -> SymmetricKey:
        """A key that the token makes itself, which CNG lacks: no key byte is ever on the host.

        bits: the key's length. usage: what a cipher key may do (ENCRYPT, DECRYPT, WRAP, UNWRAP), None for all of it.
        key_object: as pbKeyObject of BCryptGenerateSymmetricKey. For AES, and for the keys of HMAC, AES-CMAC and
        AES-GMAC, which BCryptCreateHash then takes as pbSecret.

        Raises STATUS_INVALID_HANDLE for a closed handle, STATUS_INVALID_PARAMETER for a length that the algorithm does
        not have, STATUS_NOT_SUPPORTED for an algorithm without such keys.
        """
        return generate_key(self, bits, usage=usage, key_object=key_object)
