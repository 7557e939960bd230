"""Keys before NCryptFinalizeKey: what is set on them, and how the token then makes, takes or keeps them."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NoReturn, TypeVar, cast

from hwcng.cng import derivation_key
from hwcng.cng.algorithm_handle import AlgorithmHandle, check_export_policy
from hwcng.cng.algorithm_table import Algorithm, KeyLengths
from hwcng.cng.families import FAMILIES
from hwcng.cng.handles import Handle, invalid_parameter, not_supported
from hwcng.cng.key_pair import KeyPair
from hwcng.cng.ncrypt_constants import (
    NCRYPT_ALLOW_ALL_USAGES,
    NCRYPT_ALLOW_DECRYPT_FLAG,
    NCRYPT_ALLOW_KEY_AGREEMENT_FLAG,
    NCRYPT_ALLOW_SIGNING_FLAG,
)
from hwcng.cng.symmetric_key import CIPHER_USAGE, SymmetricKey
from hwcng.contract.keys import PrivateKey, SecretKey
from hwcng.contract.material import PrivateKeyMaterial
from hwcng.contract.usage import Usage

__all__ = [
    "DEFAULT_BITS",
    "BaseKeyDraft",
    "Draft",
    "LoadedDraft",
    "PairDraft",
    "SecretDraft",
    "default_bits",
    "draft_of",
    "key_lengths",
    "key_usage",
]

T = TypeVar("T", PrivateKey, SecretKey)

DEFAULT_BITS: Mapping[str, int] = MappingProxyType({"RSA": 1024, "DH": 1024, "DSA": 1024, "AES": 256})
"""Length of a key whose Length nobody set, where the algorithm has several."""

SOUND_BITS = 2048
"""SP 800-131A r2: what a modulus or prime has at least."""

_USAGES = (
    (NCRYPT_ALLOW_DECRYPT_FLAG, Usage.DECRYPT),
    (NCRYPT_ALLOW_SIGNING_FLAG, Usage.SIGN),
    (NCRYPT_ALLOW_KEY_AGREEMENT_FLAG, Usage.DERIVE | Usage.DECAPSULATE),
)


_LENGTHS: Mapping[str, KeyLengths] = MappingProxyType({"RSA": KeyLengths(512, 16384, 8)})
"""Lengths that the key storage provider has otherwise than bcrypt.h (today's Windows; older ones: steps of 64)."""


def key_lengths(algorithm: Algorithm) -> KeyLengths | None:
    """What Length may be, None for an algorithm whose keys have none."""
    return _LENGTHS.get(algorithm.name, algorithm.key_lengths)


def default_bits(algorithm: Algorithm) -> int:
    """0 for an algorithm whose keys have no Length."""
    lengths = algorithm.key_lengths
    return DEFAULT_BITS.get(algorithm.name, lengths.dwMaxLength if lengths else 0)


def key_usage(algorithm: Algorithm, usage: Usage) -> int:
    """The property Key Usage of a key that may do this, where nobody set it: an RSA key that may do all is for all."""
    if algorithm.family == "RSA" and not FAMILIES["RSA"].usage(algorithm) & ~usage:
        return NCRYPT_ALLOW_ALL_USAGES
    return sum(flag for flag, allowed in _USAGES if usage & allowed)


def _allowed(flags: int, possible: Usage, algorithm: Algorithm) -> Usage:
    """What Key Usage leaves of what keys of the algorithm can do."""
    if flags & ~NCRYPT_ALLOW_ALL_USAGES or not flags:
        raise invalid_parameter(f"Key Usage {flags:#x} is no combination of NCRYPT_ALLOW_ flags")
    allowed = Usage.NONE
    for flag, usage in _USAGES:
        if flags & flag:
            allowed |= usage & possible
    if not allowed:
        raise not_supported(f"{algorithm.name} keys have no use that Key Usage {flags:#x} allows")
    return allowed


class Draft(abc.ABC):
    """A key that is not finalized. algorithm_handle: of its own; target: whose properties of bcrypt.h are set.

    usage_flags: what Key Usage was set to, None before.
    """

    algorithm_handle: AlgorithmHandle
    target: Handle
    usage_flags: int | None = None

    @property
    def algorithm(self) -> Algorithm:
        return self.algorithm_handle.algorithm

    @property
    @abc.abstractmethod
    def bits(self) -> int: ...

    @abc.abstractmethod
    def set_bits(self, bits: int) -> None:
        """Length, in bits. Raises STATUS_INVALID_PARAMETER for one that the algorithm does not have."""

    @property
    @abc.abstractmethod
    def export_policy(self) -> int: ...

    @abc.abstractmethod
    def set_export_policy(self, policy: int) -> None: ...

    @property
    @abc.abstractmethod
    def usage(self) -> Usage: ...

    @abc.abstractmethod
    def set_key_usage(self, flags: int) -> None: ...

    @property
    def told_by(self) -> Handle:
        """Whose properties of bcrypt.h are read before the key is finalized."""
        return self.target

    @abc.abstractmethod
    def finalize(self, name: str | None, *, replace: bool) -> KeyPair | SymmetricKey:
        """The key, stored where it has a name. A failure leaves the draft as it was, and an old key of that name."""

    @property
    def weak_default(self) -> bool:
        """Whether the key will have a default length that is for old data only."""
        return False

    def discard(self) -> None:  # noqa: B027 - most have nothing
        """Lets go of what an unfinished key has in the token already."""

    def _store(self, made: T, name: str | None, replace: bool) -> T:
        """The key that `made`, new in the token, becomes."""
        if name is None:
            return made
        try:
            # A stored key is of the kind of what was stored.
            return cast(T, self.algorithm_handle.provider.persist_key(made, name, replace=replace))
        finally:
            made.destroy()


class PairDraft(Draft):
    """material: a private key handed over for import, which goes into the token instead of a new one."""

    def __init__(self, pair: KeyPair, material: PrivateKeyMaterial | None = None) -> None:
        self.algorithm_handle = pair.algorithm_handle
        self.pair = pair
        self.target = pair
        self._material = material
        self._length_is_set = False

    @property
    def weak_default(self) -> bool:
        pair = self.pair
        weak = DEFAULT_BITS.get(self.algorithm.name, SOUND_BITS) < SOUND_BITS
        return weak and self._material is None and not self._length_is_set and pair.domain is None

    @property
    def bits(self) -> int:
        return self.pair.bits if self._material is None else self.pair.family.bits(self._material.public)

    def _require_new(self) -> None:
        if self._material is not None:
            raise invalid_parameter("what an imported key is was decided when it was made")

    def set_bits(self, bits: int) -> None:
        self._require_new()
        self._set_bits(bits)
        self._length_is_set = True

    def _set_bits(self, bits: int) -> None:
        if self.algorithm.name not in _LENGTHS:
            self.pair.set_bits(bits)
            return
        if bits not in _LENGTHS[self.algorithm.name]:
            raise invalid_parameter(f"{self.algorithm.name} has no keys of {bits} bits")
        self.pair.requested_bits = bits

    @property
    def told_by(self) -> Handle:
        if self._material is None:
            return self.pair
        return KeyPair(self.algorithm_handle).adopt(self._material.public, None)

    @property
    def export_policy(self) -> int:
        return self.pair.export_policy

    def set_export_policy(self, policy: int) -> None:
        self.pair.set_export_policy(policy)

    @property
    def usage(self) -> Usage:
        return self.pair.usage

    def set_key_usage(self, flags: int) -> None:
        pair = self.pair
        pair.allowed_usage = _allowed(flags, pair.family.usage(pair.algorithm), pair.algorithm)
        self.usage_flags = flags

    def _make(self) -> PrivateKey:
        if self._material is None:
            return self.pair.family.generate(self.pair)
        spec = self.pair.family.spec(self.pair, self._material.public)
        return self.algorithm_handle.provider.import_pair(spec, self._material)

    def finalize(self, name: str | None, *, replace: bool) -> KeyPair:
        private = self._store(self._make(), name, replace)
        self._material = None
        self.pair.name = name
        return self.pair.adopt(private.public, private)


class SecretDraft(Draft):
    """load: takes over a key from a blob instead of having a new one made; it is then of `bits`."""

    def __init__(
        self, handle: AlgorithmHandle, bits: int, load: Callable[[AlgorithmHandle], SymmetricKey] | None = None
    ) -> None:
        self.algorithm_handle = handle
        self.target = handle
        self._bits = bits
        self._load = load

    @property
    def bits(self) -> int:
        return self._bits

    def set_bits(self, bits: int) -> None:
        if self._load is not None:
            raise invalid_parameter("the length of an imported key is that of its bytes")
        lengths = self.algorithm.key_lengths
        if lengths is None or bits not in lengths:
            raise invalid_parameter(f"{self.algorithm.name} has no keys of {bits} bits")
        self._bits = bits

    @property
    def export_policy(self) -> int:
        return self.algorithm_handle.export_policy

    def set_export_policy(self, policy: int) -> None:
        self.algorithm_handle.export_policy = check_export_policy(policy)

    @property
    def usage(self) -> Usage:
        return CIPHER_USAGE

    def set_key_usage(self, flags: int) -> None:
        _allowed(flags, CIPHER_USAGE, self.algorithm)
        self.usage_flags = flags

    def finalize(self, name: str | None, *, replace: bool) -> SymmetricKey:
        handle = self.algorithm_handle
        made = handle.generate_key(self._bits) if self._load is None else self._load(handle)
        stored = self._store(made.token_key, name, replace)
        self._load = None
        key = SymmetricKey(handle, stored, None, chaining_mode=handle.chaining_mode)
        key.name = name
        return key


class BaseKeyDraft(Draft):
    """The key of a derivation algorithm, of the bytes that KDFKeySecret says; it ends with the process."""

    def __init__(self, handle: AlgorithmHandle) -> None:
        self.algorithm_handle = handle
        self.target = handle
        self._secret: bytes | None = None

    @property
    def bits(self) -> int:
        return 8 * len(self._secret or b"")

    def set_secret(self, secret: bytes) -> None:
        """KDFKeySecret; kept until the token has it."""
        lengths = self.algorithm.key_lengths
        if lengths is None or 8 * len(secret) not in lengths:
            raise invalid_parameter(f"{self.algorithm.name} has no keys of {len(secret)} bytes")
        self._secret = secret

    def set_bits(self, bits: int) -> None:
        raise invalid_parameter("the length of a derivation key is that of its KDFKeySecret")

    @property
    def export_policy(self) -> int:
        return self.algorithm_handle.export_policy

    def set_export_policy(self, policy: int) -> None:
        self.algorithm_handle.export_policy = check_export_policy(policy)

    @property
    def usage(self) -> Usage:
        return Usage.DERIVE

    def set_key_usage(self, flags: int) -> None:
        _allowed(flags, Usage.DERIVE, self.algorithm)

    def finalize(self, name: str | None, *, replace: bool) -> SymmetricKey:
        if self._secret is None:
            raise invalid_parameter("set KDFKeySecret before the key is finalized")
        key = derivation_key.import_secret(self.algorithm_handle, self._secret, None)
        self._secret = None
        return key

    def discard(self) -> None:
        self._secret = None


class LoadedDraft(Draft):
    """A key from the token's own protected form: it is in the token already, and what it is is not to be changed."""

    def __init__(self, key: KeyPair | SymmetricKey) -> None:
        self.algorithm_handle = key.algorithm_handle
        self.target = key
        self._key = key

    @property
    def bits(self) -> int:
        return self._key.bits

    @property
    def export_policy(self) -> int:
        return self._key.export_policy

    @property
    def usage(self) -> Usage:
        return self._key.in_token().spec.usage

    def _refuse(self) -> NoReturn:
        raise invalid_parameter("what the key of an opaque blob is was decided when it was made")

    def set_bits(self, bits: int) -> None:
        self._refuse()

    def set_export_policy(self, policy: int) -> None:
        self._refuse()

    def set_key_usage(self, flags: int) -> None:
        self._refuse()

    def finalize(self, name: str | None, *, replace: bool) -> KeyPair | SymmetricKey:
        if name is None:
            return self._key
        stored = self._key.persist(name, replace=replace)
        self._key.destroy()
        return stored

    def discard(self) -> None:
        self._key.destroy()


def draft_of(handle: AlgorithmHandle) -> Draft:
    """A new key of the algorithm, as NCryptCreatePersistedKey begins it."""
    if handle.algorithm.derives:
        return BaseKeyDraft(handle)
    bits = default_bits(handle.algorithm)
    return PairDraft(KeyPair(handle, bits)) if handle.algorithm.asymmetric else SecretDraft(handle, bits)
