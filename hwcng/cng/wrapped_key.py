"""A key that comes wrapped, and the key that unwraps it inside the token.

Calls: BCryptImportKey, BCryptImportKeyPair, NCryptImportKey.
"""

from __future__ import annotations

from typing import NamedTuple

from hwcng.cng.algorithm import Algorithm
from hwcng.cng.blobs.wrapped import parse_wrapped
from hwcng.cng.handles import no_handle, told_handle
from hwcng.cng.storable_key import StorableKey
from hwcng.contract.keys import PrivateKey, SecretKey
from hwcng.contract.material import RsaPublicKey
from hwcng.contract.specs import AesKeyWrapSpec, WrapSpec
from hwcng.contract.usage import SecretFamily
from hwcng.errors import invalid_handle, invalid_parameter, not_supported
from hwcng.headers.bcrypt_h import BCRYPT_PKCS11_RSA_AES_WRAP_KEY_BLOB

__all__ = ["Wrapped", "key_bits", "read"]

BLOCK = 8
SMALLEST = {False: 3 * BLOCK, True: 2 * BLOCK}
"""Bytes of the shortest wrapped key, by whether it is padded."""


class Wrapped(NamedTuple):
    """key: the token's, which unwraps. under_aes: bytes of what is wrapped under an AES key."""

    key: SecretKey | PrivateKey
    octets: bytes
    wrap: WrapSpec
    under_aes: int

    @property
    def padded(self) -> bool:
        return not isinstance(self.wrap, AesKeyWrapSpec) or self.wrap.padded


def read(import_key: object, blob_type: str, blob: bytes, provider: object) -> Wrapped:
    """A blob of one of WRAPPED_BLOBS. import_key: hImportKey, of `provider`: an AES key, or an RSA pair, as the blob's
    type has it.

    Raises STATUS_INVALID_HANDLE for what is no secret key, or no pair, as the blob's type has it, STATUS_NOT_SUPPORTED
    for a pair that is not RSA's, STATUS_INVALID_PARAMETER for NULL, another secret key, and for a malformed blob.
    """
    by_rsa = blob_type == BCRYPT_PKCS11_RSA_AES_WRAP_KEY_BLOB
    expected = "an RSA pair" if by_rsa else "an AES key"
    if no_handle(import_key):
        raise invalid_parameter(f"{blob_type} needs {expected} as hImportKey")
    kind = PrivateKey if by_rsa else SecretKey
    if not isinstance(import_key, StorableKey) or not import_key.alive or import_key.token_kind is not kind:
        raise invalid_handle(told_handle(import_key, "hImportKey", expected, of_bcrypt=True))
    key = import_key.in_token()
    size = 0
    if by_rsa:
        if not isinstance(key, PrivateKey) or not isinstance(key.public, RsaPublicKey):
            raise not_supported(f"the key that unwraps {blob_type} must be {expected}")
        size = (key.public.modulus.bit_length() + 7) // 8
    elif isinstance(key, PrivateKey) or key.spec.family is not SecretFamily.AES:
        raise invalid_parameter(f"the key that unwraps {blob_type} must be {expected}")
    if import_key.algorithm_handle.provider is not provider:
        raise invalid_parameter("the key that unwraps is of another provider")
    wrap, octets = parse_wrapped(blob_type, blob)
    wrapped = Wrapped(key, octets, wrap, len(octets) - size)
    if wrapped.under_aes < SMALLEST[wrapped.padded] or wrapped.under_aes % BLOCK:
        raise invalid_parameter(
            f"a wrapped key has whole {BLOCK}-byte blocks, {SMALLEST[wrapped.padded]} bytes at least; "
            f"{max(wrapped.under_aes, 0)} bytes given"
        )
    return wrapped


def key_bits(algorithm: Algorithm, wrapped: Wrapped) -> int:
    """The length of the secret key. Padding hides it: where the algorithm's keys can have several that fit, nothing
    tells which, and STATUS_NOT_SUPPORTED is raised; STATUS_INVALID_PARAMETER where none fits.
    """
    longest, lengths = wrapped.under_aes - BLOCK, algorithm.key_lengths
    if lengths is not None and not wrapped.padded and 8 * longest in lengths:
        return 8 * longest
    shortest = longest - BLOCK + 1 if wrapped.padded else longest
    fitting = [8 * size for size in range(shortest, longest + 1) if lengths is not None and 8 * size in lengths]
    if not fitting:
        raise invalid_parameter(f"{algorithm.name} has no keys of {8 * longest} bits ({longest} bytes)")
    if len(fitting) > 1:
        raise not_supported(
            f"an {algorithm.name} key of {fitting[0]} to {fitting[-1]} bits is in the blob, and nothing tells which; "
            "have it wrapped by RFC 3394"
        )
    return fitting[0]
