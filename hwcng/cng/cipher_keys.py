"""Making and taking in the keys of ciphers: what the token is asked for, and the lengths that an algorithm's keys have
(BCRYPT_KEY_LENGTHS_STRUCT, Export Policy).

Calls: BCryptGenerateSymmetricKey, BCryptImportKey, NCryptCreatePersistedKey, NCryptImportKey.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from hwcng.arguments import Octets, holding
from hwcng.cng import wrapped_key
from hwcng.cng.algorithm_handle import AlgorithmHandle
from hwcng.cng.blobs.symmetric import parse_key_data
from hwcng.cng.blobs.wrapped import WRAPPED_BLOBS
from hwcng.cng.symmetric_key import SymmetricKey
from hwcng.cng.wrapped_key import Wrapped
from hwcng.contract.keys import SecretKey
from hwcng.contract.making import KeyMaker
from hwcng.contract.provider import Provider
from hwcng.contract.specs import SecretSpec
from hwcng.contract.usage import SecretFamily, Usage
from hwcng.errors import invalid_handle, invalid_parameter, not_supported, told
from hwcng.headers.bcrypt_h import BCRYPT_KEY_DATA_BLOB, BCRYPT_OPAQUE_KEY_BLOB
from hwcng.headers.ncrypt_h import ExportPolicy

__all__ = [
    "CIPHER_USAGE",
    "generate",
    "generate_named",
    "import_blob",
    "import_secret",
    "import_wrapped",
    "made",
    "reloaded",
]

CIPHER_USAGE = Usage.ENCRYPT | Usage.DECRYPT | Usage.WRAP | Usage.UNWRAP
"""What an AES key of CNG may do: it has no usage restrictions, and may be the key of a wrapped blob."""

_CRYPT_USAGE = Usage.ENCRYPT | Usage.DECRYPT
_ALLOW_EXPORT = int(ExportPolicy.NCRYPT_ALLOW_EXPORT_FLAG)


def usage_of(handle: AlgorithmHandle) -> Usage:
    """All that keys of the algorithm may do: only AES keys are the keys of wrapped blobs."""
    return _usage_of(handle.name)


def _usage_of(name: str) -> Usage:
    return CIPHER_USAGE if name == "AES" else _CRYPT_USAGE


def spec_of(handle: AlgorithmHandle, bits: int, usage: Usage | None = None) -> SecretSpec:
    return _spec_named(
        handle.algorithm.name, bits, usage, bool(handle.export_policy & _ALLOW_EXPORT), handle.effective_bits or 0
    )


@lru_cache(maxsize=256)
def _spec_named(name: str, bits: int, usage: Usage | None, exportable: bool, effective_bits: int) -> SecretSpec:
    allowed = _usage_of(name) if usage is None else usage
    return SecretSpec(SecretFamily(name), bits, allowed, exportable, effective_bits=effective_bits)


def require_own_length(handle: AlgorithmHandle, bits: int) -> None:
    """What may come into the token again and again works under one effective length whoever brings it, its own."""
    if handle.effective_bits not in (None, bits):
        raise not_supported(
            f"an RC2 key of {bits} bits that is unwrapped or derived in the token has no EffectiveKeyLength of "
            f"{handle.effective_bits} bits: two lengths would give it away"
        )


def require_length(handle: AlgorithmHandle, bits: int) -> None:
    lengths = handle.algorithm.key_lengths
    if lengths is None or bits not in lengths:
        raise invalid_parameter(f"{handle.name} has no keys of {bits} bits ({bits // 8} bytes)")


def _require_cipher(handle: AlgorithmHandle) -> None:
    if not handle.algorithm.chaining_modes:
        raise invalid_parameter(f"{handle.name} has no symmetric cipher keys")


def import_secret(
    handle: AlgorithmHandle, secret: bytes, key_object: Octets | None, maker: KeyMaker | None = None
) -> SymmetricKey:
    """BCryptGenerateSymmetricKey: a key of the caller's bytes. Excess over the longest key is cut off.

    maker: what takes it in under a name; None: the provider.
    """
    _require_cipher(handle)
    longest = handle.algorithm.key_lengths.dwMaxLength // 8 if handle.algorithm.key_lengths else 0
    value = secret[:longest]
    require_length(handle, 8 * len(value))
    half = len(value) // 2
    if handle.name == SecretFamily.XTS.value and value[:half] == value[half:]:
        raise invalid_parameter("the two keys of XTS-AES must differ")
    with holding(key_object, handle.algorithm.object_length or 0, "pbKeyObject") as held:
        return SymmetricKey.imported(handle, spec_of(handle, 8 * len(value)), value, held, maker)


def generate(handle: AlgorithmHandle, bits: int, usage: Usage | None, key_object: Octets | None) -> SymmetricKey:
    """A key that the token makes itself. bits: its length. usage: None for all that it can have."""
    _require_cipher(handle)
    require_length(handle, bits)
    if usage is not None and not (isinstance(usage, Usage) and usage and usage in usage_of(handle)):
        raise invalid_parameter(f"the usage of {handle.name} keys is of {usage_of(handle)}, not {told(usage)}")
    with holding(key_object, handle.algorithm.object_length or 0, "pbKeyObject") as held:
        key = SymmetricKey.generated(handle, spec_of(handle, bits, usage), held)
        if handle.effective_bits:
            key.set_effective_bits(handle.effective_bits)
        return key


def generate_named(handle: AlgorithmHandle, bits: int, maker: KeyMaker) -> SecretKey:
    """A cipher key for all that such keys can do, which `maker` has the token make under a name. bits: its length."""
    if not handle.alive:
        raise invalid_handle("the algorithm handle is closed")
    _require_cipher(handle)
    require_length(handle, bits)
    effective = handle.effective_bits if handle.effective_bits != bits else 0
    return maker.generate_secret(replace(spec_of(handle, bits), effective_bits=effective or 0))


def made(handle: AlgorithmHandle, bits: int, make: Callable[[SecretSpec], SecretKey]) -> SymmetricKey:
    """A cipher key that `make` brings about in the token."""
    _require_cipher(handle)
    require_length(handle, bits)
    require_own_length(handle, bits)
    return SymmetricKey.of_token(handle, make(spec_of(handle, bits)))


def import_blob(
    handle: AlgorithmHandle, import_key: object, blob_type: str, blob: bytes, key_object: Octets | None
) -> SymmetricKey:
    """BCryptImportKey: KeyDataBlob, a wrapped key that `import_key` unwraps, or OpaqueKeyBlob."""
    if blob_type == BCRYPT_KEY_DATA_BLOB:
        _require_cipher(handle)
        return import_secret(handle, parse_key_data(blob).key, key_object)
    if blob_type in WRAPPED_BLOBS:
        _require_cipher(handle)
        return import_wrapped(handle, wrapped_key.read(import_key, blob_type, blob, handle.provider), key_object)
    if blob_type == BCRYPT_OPAQUE_KEY_BLOB:
        _require_cipher(handle)
        return _reload(handle, blob, key_object)
    raise not_supported(f"{told(blob_type)} is not a blob type of symmetric keys")


def import_wrapped(
    handle: AlgorithmHandle, wrapped: Wrapped, key_object: Octets | None, maker: KeyMaker | None = None
) -> SymmetricKey:
    """A key that comes wrapped. maker: what takes it in under a name; None: the provider."""
    bits = wrapped_key.key_bits(handle.algorithm, wrapped)
    require_own_length(handle, bits)
    with holding(key_object, handle.algorithm.object_length or 0, "pbKeyObject") as held:
        unwrap = (maker or handle.provider).unwrap_secret
        return SymmetricKey.of_token(
            handle, unwrap(spec_of(handle, bits), wrapped.key, wrapped.octets, wrapped.wrap), held
        )


def _reload(handle: AlgorithmHandle, blob: bytes, key_object: Octets | None) -> SymmetricKey:
    with holding(key_object, handle.algorithm.object_length or 0, "pbKeyObject") as held:
        name = handle.name
        key = reloaded(handle.provider, blob, name, lambda spec: spec.family.value == name, handle.pin)
        return SymmetricKey.of_token(handle, key, held)


def reloaded(
    provider: Provider, blob: bytes, name: str, accepts: Callable[[SecretSpec], bool], pin: str | None = None
) -> SecretKey:
    """The secret key of an opaque blob. name: what messages call its algorithm. pin: the key's own, where it has one.

    Raises STATUS_INVALID_PARAMETER for a key that `accepts` says is of another algorithm.
    """
    token_key = provider.reload_opaque(blob, pin=pin)
    if not isinstance(token_key, SecretKey) or not accepts(token_key.spec):
        token_key.destroy()
        raise invalid_parameter(f"the opaque blob holds no {name} key")
    return token_key
