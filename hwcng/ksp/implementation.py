"""What a token says of how it is built: "Impl Type" of ncrypt.h, PP_IMPTYPE of wincrypt.h."""

from __future__ import annotations

from hwcng.contract.provider import Provider
from hwcng.contract.usage import Support
from hwcng.headers.ncrypt_h import (
    NCRYPT_IMPL_HARDWARE_FLAG,
    NCRYPT_IMPL_HARDWARE_RNG_FLAG,
    NCRYPT_IMPL_REMOVABLE_FLAG,
    NCRYPT_IMPL_SOFTWARE_FLAG,
)

__all__ = ["impl_type"]


def impl_type(provider: Provider) -> int:
    """NCRYPT_IMPL_ flags. wincrypt.h has the same numbers, without that of the generator of random numbers."""
    token = provider.token
    kind = NCRYPT_IMPL_HARDWARE_FLAG if token.hardware else NCRYPT_IMPL_SOFTWARE_FLAG
    if token.removable:
        kind |= NCRYPT_IMPL_REMOVABLE_FLAG
    if token.hardware and provider.offers("RNG") is not Support.REFUSED:
        kind |= NCRYPT_IMPL_HARDWARE_RNG_FLAG
    return kind
