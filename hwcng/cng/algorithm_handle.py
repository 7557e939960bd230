"""Algorithm handles: an algorithm of a provider and what new keys inherit from it (BCryptOpenAlgorithmProvider)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from hwcng import arguments
from hwcng.cng.algorithm import Algorithm
from hwcng.cng.algorithm_table import ALGORITHMS
from hwcng.cng.handles import Handle
from hwcng.cng.modes import cipher_mode
from hwcng.contract.provider import Provider
from hwcng.contract.usage import Support
from hwcng.errors import NTSTATUS, CngError, invalid_parameter, not_supported, told
from hwcng.forking import kept_property
from hwcng.headers import bcrypt_h
from hwcng.headers.ncrypt_h import ExportPolicy
from hwcng.hostcrypto.hashes import ExtendableFunction
from hwcng.standards.curves import CURVES, Curve, canonical_curve_name

__all__ = [
    "AlgorithmHandle",
    "check_chaining_mode",
    "check_curve",
    "check_export_policy",
]


H = TypeVar("H", bound="AlgorithmHandle")

_IGNORED = bcrypt_h.BCRYPT_PROV_DISPATCH | bcrypt_h.BCRYPT_ENABLE_INCOMPATIBLE_FIPS_CHECKS
_FOR_HASHES = bcrypt_h.BCRYPT_ALG_HANDLE_HMAC_FLAG | bcrypt_h.BCRYPT_HASH_REUSABLE_FLAG | bcrypt_h.BCRYPT_MULTI_FLAG
_REFUSED = bcrypt_h.BCRYPT_TLS_CBC_HMAC_VERIFY_FLAG

_KNOWN_POLICY = 0xF


def check_export_policy(value: int) -> int:
    """Raises STATUS_NOT_SUPPORTED for what would let plaintext out, STATUS_INVALID_PARAMETER for unknown bits."""
    if value & ~_KNOWN_POLICY:
        raise invalid_parameter(f"Export Policy {value:#x} has undefined bits")
    if value & ~ExportPolicy.NCRYPT_ALLOW_EXPORT_FLAG:
        raise not_supported("keys leave a token wrapped or not at all: the only policy is NCRYPT_ALLOW_EXPORT_FLAG")
    return value


def check_chaining_mode(algorithm: Algorithm, mode: str, provider: Provider) -> str:
    """Raises STATUS_NOT_SUPPORTED for a mode that the algorithm or the token does not have."""
    if mode not in algorithm.chaining_modes:
        raise not_supported(f"{algorithm.name} has no chaining mode {mode!r}")
    known = cipher_mode(algorithm, mode)
    if known is not None and provider.offers(algorithm.offered_as, known.value) is Support.REFUSED:
        raise not_supported(f"token {provider.token.label!r} has no {algorithm.name} {known.value}")
    return mode


def check_curve(name: str, algorithm: Algorithm) -> Curve:
    """Raises STATUS_NOT_SUPPORTED for a curve that is not known here or not the algorithm's."""
    curve = CURVES.get(canonical_curve_name(name))
    if curve is None:
        raise not_supported(f"curve {told(name)} is not one of {', '.join(CURVES)}")
    if curve.montgomery and not algorithm.agrees:
        raise not_supported(f"{name} is for ECDH alone")
    return curve


class AlgorithmHandle(Handle):
    """An algorithm, open. What is set here is inherited by keys made later, and by no earlier one.

    effective_bits: EffectiveKeyLength of RC2 keys, None for the length that they have. pin: the authorization value of
    keys that are imported from now on, where they have one of their own.

    multiple: whether it was opened with BCRYPT_MULTI_FLAG. function_name, customization: the strings of cSHAKE.
    output_length: bytes that SHAKE and cSHAKE make, None for the function's default.

    generator: the provider, once it was found that the algorithm makes random numbers.

    provider: a Provider, or what returns it when it is first needed: unkeyed hashes never ask.
    """

    called = "an algorithm handle"

    def __init__(
        self,
        algorithm: Algorithm,
        provider: Provider | Callable[[], Provider],
        *,
        hmac: bool = False,
        reusable: bool = False,
        chaining_mode: str | None = None,
        pseudo: bcrypt_h.PseudoHandle | None = None,
    ) -> None:
        super().__init__()
        self.algorithm = algorithm
        self.hmac = hmac
        self.reusable = reusable
        self.pseudo = pseudo
        self.chaining_mode = chaining_mode or algorithm.chaining_mode
        self.effective_bits: int | None = None
        self.curve: Curve | None = CURVES[algorithm.curve] if algorithm.curve else None
        self.curve_name: str | None = algorithm.curve
        self.export_policy = 0
        self.pin: str | None = None
        self.multiple = False
        self.function_name = b""
        self.customization = b""
        self.output_length: int | None = None
        self.generator: Provider | None = None
        if isinstance(provider, Provider):
            self.provider = provider
        else:
            self._find_provider = provider

    @classmethod
    def open(cls: type[H], algorithm: Algorithm, provider: Provider | Callable[[], Provider], flags: int) -> H:
        """Raises STATUS_NOT_FOUND where the token lacks the algorithm, STATUS_INVALID_PARAMETER for undefined flags,
        STATUS_NOT_SUPPORTED for flags that are not for this algorithm."""
        flags = arguments.flags(flags, _IGNORED | _FOR_HASHES | _REFUSED)
        allowed = 0
        if algorithm.hash_function is not None or algorithm.keyed_hash:
            extendable = isinstance(algorithm.hash_function, ExtendableFunction)
            allowed = _FOR_HASHES
            if extendable or algorithm.keyed_hash:
                allowed &= ~bcrypt_h.BCRYPT_ALG_HANDLE_HMAC_FLAG
        if flags & ~(_IGNORED | allowed):
            raise not_supported(f"dwFlags {flags:#x} has a flag that {algorithm.name} does not support")
        handle = cls(
            algorithm,
            provider,
            hmac=bool(flags & bcrypt_h.BCRYPT_ALG_HANDLE_HMAC_FLAG),
            reusable=bool(flags & bcrypt_h.BCRYPT_HASH_REUSABLE_FLAG),
        )
        handle.multiple = bool(flags & bcrypt_h.BCRYPT_MULTI_FLAG)
        handle.require_offered()
        return handle

    @classmethod
    def of_pseudo(cls: type[H], pseudo: bcrypt_h.PseudoHandle, provider: Callable[[], Provider]) -> H:
        return cls(
            ALGORITHMS[pseudo.algorithm_name],
            provider,
            hmac=pseudo.hmac,
            chaining_mode=pseudo.chaining_mode,
            pseudo=pseudo,
        )

    @kept_property
    def provider(self) -> Provider:
        return self._find_provider()

    @property
    def keyed_hash(self) -> bool:
        return self.hmac or self.algorithm.keyed_hash

    @property
    def name(self) -> str:
        return self.algorithm.name

    @property
    def offered_as(self) -> tuple[str, str | None]:
        """What a provider is asked for: algorithm and operation."""
        return (f"HMAC-{self.name}" if self.hmac else self.algorithm.offered_as), self.algorithm.curve

    def require_offered(self) -> None:
        """Raises STATUS_NOT_FOUND where the token lacks the algorithm. Unkeyed hashes are the host's."""
        hash_function = self.algorithm.hash_function
        if hash_function is not None and not self.hmac:
            if not hash_function.available:
                hash_function.new()
            return
        if self.provider.offers(*self.offered_as) is Support.REFUSED:
            name = f"HMAC of {self.name}" if self.hmac else self.name
            raise CngError(NTSTATUS.STATUS_NOT_FOUND, f"token {self.provider.token.label!r} has no {name}")

    def __repr__(self) -> str:
        return f"<AlgorithmHandle {self.name}{' HMAC' if self.hmac else ''}{'' if self.alive else ' closed'}>"
