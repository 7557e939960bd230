"""Named keys of a provider as the objects that bcrypt.py and ncrypt.py work on; the algorithm is told by the key."""

from __future__ import annotations

from hwcng.cng.algorithm_handle import AlgorithmHandle
from hwcng.cng.algorithm_table import ALGORITHMS, Algorithm
from hwcng.cng.families import FAMILIES
from hwcng.cng.handles import not_supported
from hwcng.cng.key_pair import KeyPair
from hwcng.cng.symmetric_key import SymmetricKey
from hwcng.contract.keys import PrivateKey, SecretKey
from hwcng.contract.provider import Provider
from hwcng.contract.specs import PairSpec, SecretSpec
from hwcng.contract.usage import SecretFamily

__all__ = ["algorithm_name", "handle_of", "open_named"]

HASH_OF_NO_HASH = "SHA256"
"""By which an HMAC key is opened that was stored for no certain hash, as other software does."""


def _pair_algorithm(spec: PairSpec) -> Algorithm | None:
    """The row of a pair: with the curve of its own where there is one, and a use that the key has."""
    rows = [
        row
        for row in ALGORITHMS.values()
        if row.family == spec.kind in FAMILIES
        and FAMILIES[row.family].usage(row) & spec.usage
        and (row.generic_curve or row.curve in (None, spec.curve))
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


def _algorithm_handle(provider: Provider, spec: SecretSpec | PairSpec) -> AlgorithmHandle:
    if isinstance(spec, PairSpec):
        row, hmac = _pair_algorithm(spec), False
    else:
        hmac = spec.family is SecretFamily.HMAC
        row = ALGORITHMS.get(spec.hash_name or HASH_OF_NO_HASH if hmac else spec.family.value)
    if row is None:
        raise not_supported(f"the stored key, {algorithm_name(spec)}, is of no algorithm of CNG's with named keys")
    return AlgorithmHandle(row, provider, hmac=hmac)


def handle_of(provider: Provider, key: SecretKey | PrivateKey, name: str | None) -> KeyPair | SymmetricKey:
    """A key of `provider`, which keeps it under `name` where that is not None, as an object of its own."""
    handle = _algorithm_handle(provider, key.spec)
    made: KeyPair | SymmetricKey
    if isinstance(key, PrivateKey):
        made = KeyPair(handle).adopt(key.public, key)
    else:
        made = SymmetricKey(handle, key, None, chaining_mode=handle.chaining_mode)
    made.name = name
    return made


def open_named(provider: Provider, name: str, *, pin: str | bytes | None = None) -> KeyPair | SymmetricKey:
    """The key that `provider` keeps under a name. pin: the key's own, where it has one. The name of what comes back is
    the shortest that says which key it is.

    Raises NTE_BAD_KEYSET where there is none, NTE_KEYSET_ENTRY_BAD where there are several or it is damaged,
    STATUS_NOT_SUPPORTED for one of an algorithm that CNG does not have.
    """
    key = provider.open_key(name, pin=pin)
    try:
        return handle_of(provider, key, key.name or name)
    except BaseException:
        key.destroy()
        raise
