"""Keys derived from a secret into the token itself, which CNG lacks: the derivation brings neither to the host.

Functions: HASH and SP800_56A_CONCAT of up to one digest, HKDF, and SP800_108_CTR_HMAC of a base key. A short key is the
beginning of a longer one of the same parameters: by ones that can be guessed the long one could be had piece by piece
(SP 800-131A: 112 bits of strength at least).
"""

from __future__ import annotations

from collections.abc import Callable

from hwcng.arguments import number, string
from hwcng.cng import derivation_key, hashing, symmetric_key
from hwcng.cng.algorithm_handle import AlgorithmHandle
from hwcng.cng.derivation_key import KdfKey, counter_spec
from hwcng.cng.derive.functions import (
    BCRYPT_KDF_HASH,
    BCRYPT_KDF_HKDF,
    BCRYPT_SP80056A_CONCAT_KDF,
    concat_hash,
    hkdf_spec,
    other_info,
)
from hwcng.cng.derive.hkdf import HkdfState
from hwcng.cng.derive.parameters import BufferType, ParameterList, Parameters, require_hash
from hwcng.cng.handles import invalid_handle, invalid_parameter, not_supported
from hwcng.cng.symmetric_key import SymmetricKey
from hwcng.contract.keys import KeyingMaterial, SecretKey
from hwcng.contract.provider import Provider
from hwcng.contract.specs import DigestKdfSpec, KdfSpec, SecretSpec
from hwcng.errors import told
from hwcng.standards.hashes import HASHES

__all__ = ["from_base_key", "from_secret", "resident_key"]

SP800_108_CTR_HMAC = "SP800_108_CTR_HMAC"
_FIRST = (1).to_bytes(4, "big")
LEAST_BITS = 112


def _require_bits(bits: object) -> int:
    plain = number(bits, "bits")
    if not plain or plain % 8:
        raise invalid_parameter(f"a key of {plain} bits is not whole bytes")
    return plain


def _require_strength(handle: AlgorithmHandle, bits: int) -> None:
    strength = min(bits, handle.effective_bits or bits)
    if strength < LEAST_BITS:
        raise not_supported(
            f"a key of {strength} bits that a token derives can be guessed, and with it the beginning of a longer one: "
            f"{LEAST_BITS} bits at least"
        )


def resident_key(
    handle: AlgorithmHandle, bits: int, provider: Provider, make: Callable[[SecretSpec], SecretKey]
) -> SymmetricKey:
    """A key of the algorithm `handle`, `bits` long, that `make` brings about in the token of `provider`.

    Raises STATUS_NOT_SUPPORTED for a key of under 112 bits, or of so few effective ones.
    """
    if not isinstance(handle, AlgorithmHandle) or not handle.alive:
        raise invalid_handle("the algorithm handle is closed")
    bits = _require_bits(bits)
    if handle.provider is not provider:
        raise invalid_parameter("the algorithm handle is of another provider than the secret")

    def make_strong(spec: SecretSpec) -> SecretKey:
        _require_strength(handle, spec.bits)
        return make(spec)

    if handle.algorithm.derives:
        return derivation_key.made(handle, bits, make_strong)
    if handle.keyed_hash:
        return hashing.made(handle, bits, make_strong)
    return symmetric_key.made(handle, bits, make_strong)


def from_secret(
    material: KeyingMaterial,
    provider: Provider,
    group_bits: int,
    hkdf: HkdfState,
    function: str,
    pairs: ParameterList | None,
    handle: AlgorithmHandle,
    bits: int,
) -> SymmetricKey:
    """A key of an agreed secret, by HASH, SP800_56A_CONCAT or HKDF."""
    bits, function = _require_bits(bits), string(function, "function")
    parameters = Parameters(pairs)
    kdf: KdfSpec
    if function == BCRYPT_KDF_HASH:
        hash_name = require_hash(parameters.hash_function("SHA1")).name
        prefix = parameters.octets(BufferType.KDF_SECRET_PREPEND)
        kdf = _one_digest(DigestKdfSpec(hash_name, prefix, parameters.octets(BufferType.KDF_SECRET_APPEND)), bits)
    elif function == BCRYPT_SP80056A_CONCAT_KDF:
        hash_name = concat_hash(parameters, group_bits)
        kdf = _one_digest(DigestKdfSpec(hash_name, _FIRST, other_info(parameters)), bits)
    elif function == BCRYPT_KDF_HKDF:
        kdf = hkdf_spec(parameters, hkdf)
    else:
        raise not_supported(
            f"no token makes a key of {told(function)} inside: use {BCRYPT_KDF_HASH}, {BCRYPT_SP80056A_CONCAT_KDF} or "
            f"{BCRYPT_KDF_HKDF}"
        )
    return resident_key(handle, bits, provider, lambda spec: material.derive_key(kdf, spec))


def _one_digest(kdf: DigestKdfSpec, bits: int) -> DigestKdfSpec:
    size = HASHES[kdf.hash_name].digest_size
    if bits > 8 * size:
        raise not_supported(f"a key inside the token has at most the {8 * size} bits of one {kdf.hash_name} digest")
    return kdf


def from_base_key(key: KdfKey, pairs: ParameterList | None, handle: AlgorithmHandle, bits: int) -> SymmetricKey:
    """A key of a base key of HKDF or SP800_108_CTR_HMAC."""
    parameters = Parameters(pairs)
    kdf: KdfSpec
    if key.algorithm.name == BCRYPT_KDF_HKDF:
        kdf = key.hkdf.spec(parameters.octets(BufferType.KDF_HKDF_INFO))
    elif key.algorithm.name == SP800_108_CTR_HMAC:
        kdf = counter_spec(parameters)
    else:
        raise not_supported(f"no token makes a key of {key.algorithm.name} inside: use HKDF or {SP800_108_CTR_HMAC}")
    material = key.token_key.keying_material()
    return resident_key(handle, bits, key.provider, lambda spec: material.derive_key(kdf, spec))
