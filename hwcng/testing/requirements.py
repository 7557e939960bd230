"""What a test may require of a token: the words of `Provider.offers`, and CNG's names of curves (bcrypt.h)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hwcng.cng.algorithm_table import ALGORITHMS
from hwcng.contract.usage import CipherMode, SecretFamily, Support
from hwcng.standards.curves import CURVES
from hwcng.standards.hashes import HASHES
from hwcng.standards.parameter_sets import ML_DSA_SETS, ML_KEM_SETS

if TYPE_CHECKING:
    from hwcng.contract.provider import Provider

__all__ = ["lacks", "parse"]

_CURVES = {
    f"{algorithm}_P{bits}": (algorithm, f"nistP{bits}") for algorithm in ("ECDSA", "ECDH") for bits in (256, 384, 521)
}
_RSA = ("PKCS1", "PSS", "OAEP", "RAW")
_ALGORITHMS = frozenset(
    {
        *ALGORITHMS,
        *(family.value for family in SecretFamily),
        *(f"HMAC-{name}" for name in HASHES),
        "DH",
        "DSA",
        "ECDH",
        "ECDSA",
        "HASH",
        "KDF",
        "ML-DSA",
        "ML-KEM",
        "RSA",
    }
)
_OPERATIONS = frozenset(
    {
        *(mode.value for mode in CipherMode),
        *CURVES,
        *ML_DSA_SETS,
        *ML_KEM_SETS,
        *_RSA,
        *(f"{padding} {name}" for padding in _RSA[:3] for name in HASHES),
        "JOIN",
        "KEY",
        "WRAP",
    }
)


def parse(capability: str) -> tuple[str, str | None]:
    """The arguments of `Provider.offers` that "ALGORITHM" or "ALGORITHM OPERATION" means, such as "AES GCM",
    "ECDSA nistP256", "ECDSA_P256" or "RSA PSS".

    Raises ValueError for a name that no token has: a misspelt one would skip its test for ever.
    """
    if capability in _CURVES:
        return _CURVES[capability]
    algorithm, _, operation = capability.partition(" ")
    if algorithm not in _ALGORITHMS:
        raise ValueError(f"{capability!r} begins with no algorithm of CNG, such as AES, RSA, ECDSA_P256 or ML-DSA")
    if operation and operation not in _OPERATIONS:
        raise ValueError(
            f"{operation!r} is no operation of {algorithm}: there are modes, paddings, curves, parameter sets: "
            "GCM, PSS, nistP256, 65 and more"
        )
    return algorithm, operation or None


def lacks(provider: Provider, capability: str) -> str | None:
    """Why the token does not have it, None where it has. Raises ValueError as `parse` does."""
    algorithm, operation = parse(capability)
    if provider.offers(algorithm, operation) is not Support.REFUSED:
        return None
    reason = _reasons_of(provider).get((algorithm, operation or ""), "")
    return f"{provider.token.label or provider.token.model} does not do {capability}{f': {reason}' if reason else ''}"


_reasons: dict[tuple[str, ...], Mapping[tuple[str, str], str]] = {}


def _reasons_of(provider: Provider) -> Mapping[tuple[str, str], str]:
    """Probing is asked for once for all tokens of a kind."""
    token = provider.token
    kind = token.manufacturer, token.model, token.firmware
    if kind not in _reasons:
        _reasons[kind] = provider.capabilities().reasons
    return _reasons[kind]
