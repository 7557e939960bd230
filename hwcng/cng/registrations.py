"""Which providers this host has for an algorithm, and whether it is in FIPS mode (BCryptEnumProviders and its sisters).

Windows' registry has it there; here it is the names that the configuration gives to tokens, and the default provider.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from hwcng.cng.algorithm import Algorithm
from hwcng.cng.algorithm_table import ALGORITHMS
from hwcng.contract.implementations import Implementations
from hwcng.contract.usage import Support
from hwcng.errors import CngError
from hwcng.headers.bcrypt_h import MS_PRIMITIVE_PROVIDER
from hwcng.headers.records import CRYPT_PROVIDER_REF

__all__ = ["fips_mode", "provider_names", "providers_of", "resolved"]

_KERNEL = Path("/proc/sys/crypto/fips_enabled")
_FALSE = frozenset({"", "0", "false", "no", "off"})


def fips_mode() -> bool:
    """What HWCNG_FIPS says ("1" or "0"), else what the kernel says. Which of its keys a token lets be used is its own
    affair.
    """
    told = os.environ.get("HWCNG_FIPS")
    if told is None:
        try:
            told = _KERNEL.read_text("ascii")
        except (OSError, ValueError):
            return False
    return told.strip().lower() not in _FALSE


def provider_names(known: Implementations) -> list[str]:
    """What pszImplementation may be: the default provider's name, then those that the configuration gives."""
    return list(dict.fromkeys((MS_PRIMITIVE_PROVIDER, *known.configured_names())))


def _has(name: str, algorithm: Algorithm, known: Implementations) -> bool:
    if algorithm.hash_function is not None:
        return algorithm.hash_function.available
    try:
        provider = known.resolve_implementation(name)
        return provider.offers(algorithm.offered_as, algorithm.curve) is not Support.REFUSED
    except CngError:
        return False


def providers_of(algorithm: Algorithm, known: Implementations) -> Iterator[str]:
    """The names of the providers that have an algorithm. Each is opened for it; one that does not open has none."""
    return (name for name in provider_names(known) if _has(name, algorithm, known))


def resolved(
    known: Implementations,
    interface: int,
    function: str | None,
    provider: str | None,
    *,
    all_functions: bool,
    all_providers: bool,
) -> list[CRYPT_PROVIDER_REF]:
    """The algorithms of the providers that the three let through. interface: 0 for any. all_functions, all_providers:
    not only the first one, of each algorithm.
    """
    found: list[CRYPT_PROVIDER_REF] = []
    for algorithm in ALGORITHMS.values():
        classes = [kind for kind in algorithm.interfaces if interface in (0, kind)]
        if not classes or function not in (None, algorithm.name):
            continue
        names = (name for name in providers_of(algorithm, known) if provider in (None, name))
        for name in names if all_providers else islice(names, 1):
            found.extend(CRYPT_PROVIDER_REF(int(kind), algorithm.name, name) for kind in classes)
        if found and not all_functions:
            break
    return found
