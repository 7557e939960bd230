"""What a token is asked for when it makes or takes a cipher's key (BCRYPT_KEY_LENGTHS_STRUCT, Export Policy)."""

from __future__ import annotations

from functools import lru_cache

from hwcng.cng.algorithm_handle import AlgorithmHandle
from hwcng.contract.specs import SecretSpec
from hwcng.contract.usage import SecretFamily, Usage
from hwcng.errors import invalid_parameter, not_supported
from hwcng.headers.ncrypt_h import ExportPolicy

__all__ = ["CIPHER_USAGE", "require_length", "require_own_length", "spec_of", "usage_of"]

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
