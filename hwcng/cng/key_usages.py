"""The property Key Usage (ncrypt.h): its NCRYPT_ALLOW_ flags, and what a token lets a key do."""

from __future__ import annotations

from hwcng.cng.algorithm import Algorithm
from hwcng.cng.families import FAMILIES
from hwcng.contract.usage import Usage
from hwcng.errors import invalid_parameter, not_supported
from hwcng.headers.ncrypt_h import (
    NCRYPT_ALLOW_ALL_USAGES,
    NCRYPT_ALLOW_DECRYPT_FLAG,
    NCRYPT_ALLOW_KEY_AGREEMENT_FLAG,
    NCRYPT_ALLOW_KEY_IMPORT_FLAG,
    NCRYPT_ALLOW_SIGNING_FLAG,
)

__all__ = ["allowed_usage", "key_usage"]

_USAGES = (
    (NCRYPT_ALLOW_DECRYPT_FLAG, Usage.DECRYPT),
    (NCRYPT_ALLOW_SIGNING_FLAG, Usage.SIGN | Usage.ATTEST),
    (NCRYPT_ALLOW_KEY_AGREEMENT_FLAG, Usage.DERIVE | Usage.DECAPSULATE),
    (NCRYPT_ALLOW_KEY_IMPORT_FLAG, Usage.UNWRAP),
)


def key_usage(algorithm: Algorithm, usage: Usage) -> int:
    """The property of a key that may do this, where nobody set it: an RSA key that may do all is for all."""
    if algorithm.family == "RSA" and not FAMILIES["RSA"].usage(algorithm) & ~usage:
        return NCRYPT_ALLOW_ALL_USAGES
    # An AES key unwraps others whatever it is for.
    shown = usage if algorithm.asymmetric else usage & ~Usage.UNWRAP
    return sum(flag for flag, allowed in _USAGES if shown & allowed)


def allowed_usage(flags: int, possible: Usage, algorithm: Algorithm) -> Usage:
    """What the property leaves of what keys of the algorithm can do."""
    if flags & ~NCRYPT_ALLOW_ALL_USAGES or not flags:
        raise invalid_parameter(f"Key Usage {flags:#x} is no combination of NCRYPT_ALLOW_ flags")
    allowed = Usage.NONE
    for flag, usage in _USAGES:
        if flags & flag:
            allowed |= usage & possible
    if not allowed:
        raise not_supported(f"{algorithm.name} keys have no use that Key Usage {flags:#x} allows")
    return allowed
