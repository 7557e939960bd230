"""The algorithm of a key that a token has: CNG's row for what the token says of it."""

from __future__ import annotations

from functools import lru_cache

from hwcng.cng.algorithm import Algorithm
from hwcng.cng.algorithm_handle import AlgorithmHandle
from hwcng.cng.algorithm_table import ALGORITHMS
from hwcng.cng.families import FAMILIES
from hwcng.contract.provider import Provider
from hwcng.contract.specs import PairSpec, SecretSpec
from hwcng.contract.usage import SecretFamily, Usage
from hwcng.errors import not_supported

__all__ = ["algorithm_name", "handle_of_spec"]

HASH_OF_NO_HASH = "SHA256"
"""By which an HMAC key is opened that was stored for no certain hash, as other software does."""


@lru_cache(maxsize=256)
def _pair_algorithm(spec: PairSpec) -> Algorithm | None:
    """The row of a pair: with the curve of its own where there is one, and a use that the key has."""
    if spec.kind not in FAMILIES:
        return None
    family = FAMILIES[spec.kind]
    usage = Usage.SIGN if spec.usage & Usage.ATTEST else spec.usage
    rows = [
        row
        for row in family.algorithms
        if family.possible_usage(row) & usage and (row.generic_curve or row.curve in (None, spec.curve))
    ]
    return min(rows, key=lambda row: row.generic_curve, default=None)


def algorithm_name(spec: SecretSpec | PairSpec) -> str:
    """CNG's name of a key's algorithm, such as "ECDSA_P256"; for an HMAC key, which has none there, "HMAC-SHA256"; that
    for one that is for every hash too.
    """
    if isinstance(spec, PairSpec):
        row = _pair_algorithm(spec)
        return row.name if row else spec.kind
    return f"HMAC-{spec.hash_name or HASH_OF_NO_HASH}" if spec.family is SecretFamily.HMAC else spec.family.value


def handle_of_spec(provider: Provider, spec: SecretSpec | PairSpec) -> AlgorithmHandle:
    """An algorithm handle for a key that a token has. Raises STATUS_NOT_SUPPORTED where CNG has no such algorithm."""
    if isinstance(spec, PairSpec):
        row, hmac = _pair_algorithm(spec), False
    else:
        hmac = spec.family is SecretFamily.HMAC
        row = ALGORITHMS.get(spec.hash_name or HASH_OF_NO_HASH if hmac else spec.family.value)
    if row is None:
        raise not_supported(f"the stored key, {algorithm_name(spec)}, is of no algorithm of CNG's with named keys")
    return AlgorithmHandle(row, provider, hmac=hmac)
