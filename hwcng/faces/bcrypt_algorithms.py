"""Algorithms and providers, their properties, and random numbers (bcrypt.h)."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from hwcng.arguments import flags, number, random_length, string
from hwcng.cng import properties, registrations
from hwcng.cng.algorithm_handle import AlgorithmHandle
from hwcng.cng.algorithm_provider import AlgorithmProvider
from hwcng.cng.algorithm_table import ALGORITHMS
from hwcng.cng.handles import Handle, NoHandle, no_handle, told_handle
from hwcng.cng.keys import HashObject, KeyPair, Secret, SymmetricKey
from hwcng.cng.multi_hash import MultiHash
from hwcng.contract.provider import Provider
from hwcng.contract.usage import Support
from hwcng.errors import NTSTATUS, CngError, invalid_handle, invalid_parameter, told
from hwcng.faces.bcrypt_handles import BCRYPT_ALG_HANDLE, algorithm_of, alive_handle
from hwcng.headers import bcrypt_h
from hwcng.headers.bcrypt_h import Interface, Operation, PseudoHandle
from hwcng.headers.records import BCRYPT_PROVIDER_NAME, CRYPT_PROVIDER_REF
from hwcng.providers import registry
from hwcng.providers.registry import default_provider, resolve_implementation

__all__ = [
    "BCRYPT_ALGORITHM_IDENTIFIER",
    "BCryptOpenAlgorithmProvider",
    "BCryptCloseAlgorithmProvider",
    "BCryptEnumAlgorithms",
    "BCryptGetProperty",
    "BCryptSetProperty",
    "BCryptGenRandom",
    "BCryptEnumProviders",
    "BCryptEnumRegisteredProviders",
    "BCryptResolveProviders",
    "BCryptGetFipsAlgorithmMode",
    "BCryptFreeBuffer",
    "BCRYPT_SUCCESS",
]


class BCRYPT_ALGORITHM_IDENTIFIER(NamedTuple):
    """One algorithm in one class, as BCryptEnumAlgorithms lists it."""

    pszName: str
    dwClass: Interface
    dwFlags: int


def BCryptOpenAlgorithmProvider(
    pszAlgId: str, pszImplementation: str | Provider | None = None, dwFlags: int = 0
) -> BCRYPT_ALG_HANDLE:
    """Opens an algorithm of a token.

    pszAlgId: such as BCRYPT_AES_ALGORITHM, case-sensitive. pszImplementation: None for the default provider, a
    configured name, a URI or a Provider. dwFlags: BCRYPT_ALG_HANDLE_HMAC_FLAG and BCRYPT_HASH_REUSABLE_FLAG for hashes;
    BCRYPT_PROV_DISPATCH and BCRYPT_ENABLE_INCOMPATIBLE_FIPS_CHECKS are accepted and have no effect.

    Raises STATUS_NOT_FOUND for an unknown algorithm or implementation and for an algorithm that the token lacks,
    STATUS_INVALID_PARAMETER for None or undefined flags, STATUS_NOT_SUPPORTED for a flag of another algorithm.
    """
    algorithm = ALGORITHMS.get(string(pszAlgId, "pszAlgId"))
    if algorithm is None:
        raise CngError(NTSTATUS.STATUS_NOT_FOUND, f"there is no algorithm {told(pszAlgId)} (names are case-sensitive)")
    provider = default_provider if pszImplementation is None else resolve_implementation(pszImplementation)
    return AlgorithmProvider.open(algorithm, provider, dwFlags)


def BCryptCloseAlgorithmProvider(hAlgorithm: AlgorithmHandle, dwFlags: int = 0) -> None:
    """Closes an algorithm handle. Keys and hashes made from it stay valid.

    Raises STATUS_INVALID_HANDLE for a pseudo-handle, a closed handle and any other object.
    """
    handle = alive_handle(hAlgorithm, AlgorithmHandle, "hAlgorithm")
    if handle.pseudo is not None:
        raise invalid_handle("a pseudo-handle is never closed")
    flags(dwFlags)
    handle.destroy()


def BCryptEnumAlgorithms(dwAlgOperations: int = 0, dwFlags: int = 0) -> list[BCRYPT_ALGORITHM_IDENTIFIER]:
    """What the default provider offers, one entry per algorithm and class; without a default provider, unkeyed hashes.

    dwAlgOperations: BCRYPT_*_OPERATION bits, 0 for all. Raises STATUS_INVALID_PARAMETER for undefined bits.
    """
    flags(dwFlags)
    wanted = flags(dwAlgOperations, sum(Operation), name="dwAlgOperations")
    try:
        provider: Provider | None = default_provider()
    except CngError:
        provider = None
    found = []
    for algorithm in ALGORITHMS.values():
        offered = provider is not None and provider.offers(algorithm.offered_as, algorithm.curve) is not Support.REFUSED
        host_hash = algorithm.hash_function is not None and algorithm.hash_function.available
        if not host_hash and not offered:
            continue
        for interface in algorithm.interfaces:
            if not wanted or wanted & (1 << (interface - 1)):
                found.append(BCRYPT_ALGORITHM_IDENTIFIER(algorithm.name, interface, 0))
    return found


def BCryptGetProperty(hObject: object, pszProperty: str, dwFlags: int = 0) -> Any:
    """The value of a property: int, str, bytes, tuple or a named tuple, by the property's type.

    Raises STATUS_INVALID_HANDLE, STATUS_INVALID_PARAMETER for None or flags, STATUS_NOT_SUPPORTED for a property that
    the object does not have.
    """
    handle = _object(hObject)
    flags(dwFlags)
    return properties.get_property(handle, string(pszProperty, "pszProperty"))


def BCryptSetProperty(hObject: object, pszProperty: str, pbInput: object, dwFlags: int = 0) -> None:
    """Sets a property. On an algorithm handle it is for keys made afterwards.

    Raises STATUS_ACCESS_DENIED for a pseudo-handle, STATUS_INVALID_HANDLE, STATUS_INVALID_PARAMETER for a wrong value,
    STATUS_NOT_SUPPORTED for a property that is absent, read-only, or a value that the token does not have.
    """
    handle = _object(hObject)
    properties.require_settable(handle)
    flags(dwFlags)
    properties.set_property(handle, string(pszProperty, "pszProperty"), pbInput)


def _object(handle: object) -> Handle:
    if isinstance(handle, PseudoHandle):
        return algorithm_of(handle)
    if isinstance(handle, (AlgorithmHandle, SymmetricKey, KeyPair, HashObject, MultiHash, Secret)) and handle.alive:
        return handle
    raise invalid_handle(told_handle(handle, "hObject", "a handle of bcrypt.h", of_bcrypt=True))


def BCryptGenRandom(hAlgorithm: AlgorithmHandle | PseudoHandle | NoHandle, cbBuffer: int, dwFlags: int = 0) -> bytes:
    """`cbBuffer` random bytes: of the token, or with BCRYPT_USE_SYSTEM_PREFERRED_RNG and None of the operating system.

    BCRYPT_RNG_USE_ENTROPY_IN_BUFFER has no effect, as on Windows since 8.

    Raises STATUS_INVALID_HANDLE for None without that flag and for a handle of another algorithm,
    STATUS_INVALID_PARAMETER for the flag with a handle, undefined flags and a negative size.
    """
    if type(dwFlags) is int and not dwFlags:
        known = hAlgorithm.generator if type(hAlgorithm) is AlgorithmProvider and hAlgorithm.alive else None
        return (known or _generator(hAlgorithm)).random(random_length(cbBuffer, "cbBuffer"))
    given = number(dwFlags, "dwFlags")
    system = bool(given & bcrypt_h.BCRYPT_USE_SYSTEM_PREFERRED_RNG)
    generator = None if system and no_handle(hAlgorithm) else _generator(hAlgorithm)
    if generator is not None and system:
        raise invalid_parameter("BCRYPT_USE_SYSTEM_PREFERRED_RNG goes with hAlgorithm None")
    length = random_length(cbBuffer, "cbBuffer")
    flags(given, bcrypt_h.BCRYPT_RNG_USE_ENTROPY_IN_BUFFER | bcrypt_h.BCRYPT_USE_SYSTEM_PREFERRED_RNG)
    return os.urandom(length) if generator is None else generator.random(length)


def _generator(handle: object) -> Provider:
    found = algorithm_of(handle)
    if not found.algorithm.makes_random_numbers:
        raise invalid_handle(f"{found.name} is not a random number generator")
    found.generator = found.provider
    return found.generator


def BCryptEnumProviders(pszAlgId: str, dwFlags: int = 0) -> list[BCRYPT_PROVIDER_NAME]:
    """The providers that have an algorithm: names that BCryptOpenAlgorithmProvider takes as pszImplementation. Every
    configured token is opened for it; one that does not open has nothing.

    Raises STATUS_NOT_FOUND for an unknown algorithm and where no provider has it, STATUS_INVALID_PARAMETER.
    """
    name = string(pszAlgId, "pszAlgId")
    flags(dwFlags)
    algorithm = ALGORITHMS.get(name)
    found = [] if algorithm is None else list(registrations.providers_of(algorithm, registry))
    if not found:
        raise CngError(NTSTATUS.STATUS_NOT_FOUND, f"no provider has an algorithm {told(name)}")
    return [BCRYPT_PROVIDER_NAME(provider) for provider in found]


def BCryptEnumRegisteredProviders() -> list[str]:
    """The names that pszImplementation may be, beside URIs. No token is opened."""
    return registrations.provider_names(registry)


def BCryptResolveProviders(
    pszContext: str | None,
    dwInterface: int,
    pszFunction: str | None,
    pszProvider: str | None,
    dwMode: int,
    dwFlags: int = 0,
) -> list[CRYPT_PROVIDER_REF]:
    """Which providers have which algorithms, in the order in which they would be taken.

    pszContext: None, there is one context. dwInterface: a BCRYPT_ class, 0 for any. pszFunction, pszProvider: the names
    of an algorithm and of a provider, None for any. dwMode: CRYPT_UM, CRYPT_MM or CRYPT_ANY; there is no kernel mode.
    dwFlags: CRYPT_ALL_FUNCTIONS and CRYPT_ALL_PROVIDERS for more than the first one.

    Raises STATUS_NOT_FOUND where there is none, STATUS_INVALID_PARAMETER.
    """
    if pszContext is not None:
        raise CngError(NTSTATUS.STATUS_NOT_FOUND, f"there is no context {told(string(pszContext, 'pszContext'))}")
    interface, mode = number(dwInterface, "dwInterface"), number(dwMode, "dwMode")
    function = None if pszFunction is None else string(pszFunction, "pszFunction")
    provider = None if pszProvider is None else string(pszProvider, "pszProvider")
    wanted = flags(dwFlags, bcrypt_h.CRYPT_ALL_FUNCTIONS | bcrypt_h.CRYPT_ALL_PROVIDERS)
    if not bcrypt_h.CRYPT_UM <= mode <= bcrypt_h.CRYPT_ANY:
        raise invalid_parameter(f"dwMode {mode} is no mode")
    found = (
        []
        if mode == bcrypt_h.CRYPT_KM
        else registrations.resolved(
            registry,
            interface,
            function,
            provider,
            all_functions=bool(wanted & bcrypt_h.CRYPT_ALL_FUNCTIONS),
            all_providers=bool(wanted & bcrypt_h.CRYPT_ALL_PROVIDERS),
        )
    )
    if not found:
        raise CngError(NTSTATUS.STATUS_NOT_FOUND, "no provider has such an algorithm")
    return found


def BCryptGetFipsAlgorithmMode() -> bool:
    """Whether this host is in FIPS mode: what HWCNG_FIPS says ("1" or "0"), else what the kernel says. hwcng does the
    same in both.
    """
    return registrations.fips_mode()


def BCryptFreeBuffer(pvBuffer: object) -> None:
    """Does nothing: what the functions return frees itself."""


def BCRYPT_SUCCESS(Status: int) -> bool:
    """Whether an NTSTATUS says success. The functions here raise every other."""
    return not number(Status, "Status") >> 31
