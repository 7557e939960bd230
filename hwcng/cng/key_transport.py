"""Secret keys that travel under an RSA pair, wrapped and unwrapped inside the token (RFC 8017; SIMPLEBLOB)."""

from __future__ import annotations

from collections.abc import Collection
from typing import cast

from hwcng.cng.algorithm_handle import AlgorithmHandle
from hwcng.cng.key_pair import KeyPair
from hwcng.cng.symmetric_key import SymmetricKey
from hwcng.contract.material import RsaPublicKey
from hwcng.contract.specs import RsaOaepSpec, RsaPkcs1DecryptSpec, SecretSpec
from hwcng.errors import invalid_parameter

__all__ = ["unwrapped", "wrapped"]


def _encryption(pair: KeyPair, padding_info: object, flags: int) -> RsaPkcs1DecryptSpec | RsaOaepSpec:
    return cast("RsaPkcs1DecryptSpec | RsaOaepSpec", pair.family.decrypt_spec(pair.algorithm, padding_info, flags))


def wrapped(key: SymmetricKey, pair: KeyPair, padding_info: object, flags: int) -> bytes:
    """`key` under the public half of an RSA pair: modulus-length, big-endian.

    padding_info, flags: as of BCryptEncrypt, BCRYPT_PAD_PKCS1 or BCRYPT_PAD_OAEP. Raises STATUS_NOT_SUPPORTED for a key
    that is not exportable and where the token wraps none.
    """
    public = pair.public
    if not isinstance(public, RsaPublicKey):
        raise invalid_parameter(f"keys travel under RSA pairs, not under one of {pair.algorithm.name}")
    return key.in_token().wrapped_for(public, _encryption(pair, padding_info, flags))


def unwrapped(
    handle: AlgorithmHandle,
    spec: SecretSpec,
    pair: KeyPair,
    octets: bytes,
    padding_info: object,
    flags: int,
    lengths: Collection[int],
) -> SymmetricKey:
    """The key that was wrapped under an RSA pair. spec.bits: its length, 0 for any of `lengths`, in bits.

    Everything that can be wrong with `octets` raises STATUS_INVALID_PARAMETER with one and the same message and no
    cause; STATUS_NOT_SUPPORTED is raised before they are decrypted.
    """
    key = pair.private.unwrap_secret(spec, octets, _encryption(pair, padding_info, flags), lengths)
    return SymmetricKey.of_token(handle, key)
