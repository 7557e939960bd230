"""Algorithm handles: an algorithm of a provider and what new keys inherit from it (BCryptOpenAlgorithmProvider)."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import TYPE_CHECKING

from hwcng import arguments
from hwcng.arguments import Octets
from hwcng.cng.algorithm_table import Algorithm, PseudoHandle
from hwcng.cng.handles import Handle, invalid_handle, invalid_parameter, not_supported
from hwcng.contract.provider import Provider
from hwcng.contract.usage import CipherMode, Support, Usage
from hwcng.errors import NTSTATUS, CngError, told
from hwcng.hostcrypto.hashes import ExtendableFunction
from hwcng.standards.curves import CURVES, Curve, canonical_curve_name

if TYPE_CHECKING:
    from hwcng.cng.symmetric_key import SymmetricKey

__all__ = [
    "AlgorithmHandle",
    "ExportPolicy",
    "check_chaining_mode",
    "check_curve",
    "check_export_policy",
    "cipher_mode",
]

BCRYPT_PROV_DISPATCH = 0x1
BCRYPT_TLS_CBC_HMAC_VERIFY_FLAG = 0x4
BCRYPT_ALG_HANDLE_HMAC_FLAG = 0x8
BCRYPT_HASH_REUSABLE_FLAG = 0x20
BCRYPT_MULTI_FLAG = 0x40
BCRYPT_ENABLE_INCOMPATIBLE_FIPS_CHECKS = 0x100

_IGNORED = BCRYPT_PROV_DISPATCH | BCRYPT_ENABLE_INCOMPATIBLE_FIPS_CHECKS
_FOR_HASHES = BCRYPT_ALG_HANDLE_HMAC_FLAG | BCRYPT_HASH_REUSABLE_FLAG | BCRYPT_MULTI_FLAG
_REFUSED = BCRYPT_TLS_CBC_HMAC_VERIFY_FLAG

_CIPHER_MODES = {
    "ChainingModeECB": CipherMode.ECB,
    "ChainingModeCBC": CipherMode.CBC,
    "ChainingModeGCM": CipherMode.GCM,
    "ChainingModeCCM": CipherMode.CCM,
}
_ONLY_MODES = {
    "RC4": CipherMode.STREAM,
    "XTS-AES": CipherMode.XTS,
    "CHACHA20_POLY1305": CipherMode.POLY1305,
}


def cipher_mode(algorithm: Algorithm, chaining_mode: str | None) -> CipherMode | None:
    """The mode that a chaining mode is; None for CFB, whose segment is a property of the key, and for no cipher."""
    return _ONLY_MODES.get(algorithm.name) or _CIPHER_MODES.get(chaining_mode or "")


class ExportPolicy(enum.IntFlag):
    """Values of NCRYPT_EXPORT_POLICY_PROPERTY."""

    NCRYPT_ALLOW_EXPORT_FLAG = 0x1
    NCRYPT_ALLOW_PLAINTEXT_EXPORT_FLAG = 0x2
    NCRYPT_ALLOW_ARCHIVING_FLAG = 0x4
    NCRYPT_ALLOW_PLAINTEXT_ARCHIVING_FLAG = 0x8


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
        pseudo: PseudoHandle | None = None,
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
        self._find_provider: Callable[[], Provider] | None = None
        self._provider: Provider | None = None
        if isinstance(provider, Provider):
            self._provider = provider
        else:
            self._find_provider = provider

    @classmethod
    def open(cls, algorithm: Algorithm, provider: Provider | Callable[[], Provider], flags: int) -> AlgorithmHandle:
        """Raises STATUS_NOT_FOUND where the token lacks the algorithm, STATUS_INVALID_PARAMETER for undefined flags,
        STATUS_NOT_SUPPORTED for flags that are not for this algorithm."""
        flags = arguments.flags(flags, _IGNORED | _FOR_HASHES | _REFUSED)
        allowed = 0
        if algorithm.hash_function is not None or algorithm.keyed_hash:
            extendable = isinstance(algorithm.hash_function, ExtendableFunction)
            allowed = _FOR_HASHES
            if extendable or algorithm.keyed_hash:
                allowed &= ~BCRYPT_ALG_HANDLE_HMAC_FLAG
        if flags & ~(_IGNORED | allowed):
            raise not_supported(f"dwFlags {flags:#x} has a flag that {algorithm.name} does not support")
        handle = cls(
            algorithm,
            provider,
            hmac=bool(flags & BCRYPT_ALG_HANDLE_HMAC_FLAG),
            reusable=bool(flags & BCRYPT_HASH_REUSABLE_FLAG),
        )
        handle.multiple = bool(flags & BCRYPT_MULTI_FLAG)
        handle.require_offered()
        return handle

    @classmethod
    def of_pseudo(cls, pseudo: PseudoHandle, provider: Callable[[], Provider]) -> AlgorithmHandle:
        return cls(pseudo.algorithm, provider, hmac=pseudo.hmac, chaining_mode=pseudo.chaining_mode, pseudo=pseudo)

    @property
    def provider(self) -> Provider:
        provider = self._provider
        if provider is None:
            assert self._find_provider is not None  # noqa: S101 - one of the two is there from the beginning
            provider = self._provider = self._find_provider()
        return provider

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

    def generate_key(self, bits: int, *, usage: Usage | None = None, key_object: Octets | None = None) -> SymmetricKey:
        """A key that the token makes itself, which CNG lacks: no key byte is ever on the host.

        bits: the key's length. usage: what a cipher key may do (ENCRYPT, DECRYPT, WRAP, UNWRAP), None for all of it.
        key_object: as pbKeyObject of BCryptGenerateSymmetricKey. For AES, and for the keys of HMAC, AES-CMAC and
        AES-GMAC, which BCryptCreateHash then takes as pbSecret.

        Raises STATUS_INVALID_HANDLE for a closed handle, STATUS_INVALID_PARAMETER for a length that the algorithm does
        not have, STATUS_NOT_SUPPORTED for an algorithm without such keys.
        """
        if not self.alive:
            raise invalid_handle("the algorithm handle is closed")
        bits = arguments.number(bits, "bits")
        if self.keyed_hash:
            from hwcng.cng.hashing import generate_mac_key

            return generate_mac_key(self, bits)
        if self.algorithm.derives:
            from hwcng.cng.derivation_key import generate as generate_base_key

            return generate_base_key(self, bits, key_object)
        if not self.algorithm.chaining_modes:
            raise not_supported(f"{self.name} has no secret keys")
        from hwcng.cng.symmetric_key import generate

        return generate(self, bits, usage, key_object)

    def __repr__(self) -> str:
        return f"<AlgorithmHandle {self.name}{' HMAC' if self.hmac else ''}{'' if self.alive else ' closed'}>"
