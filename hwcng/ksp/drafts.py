"""Keys before NCryptFinalizeKey: what is set on them, and how the token then makes, takes or keeps them."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import NoReturn

from hwcng.cng import cipher_keys, derivation_key, new_pairs
from hwcng.cng.algorithm import Algorithm
from hwcng.cng.algorithm_handle import AlgorithmHandle, check_export_policy
from hwcng.cng.algorithm_provider import generate_key
from hwcng.cng.cipher_keys import CIPHER_USAGE
from hwcng.cng.families import FAMILIES
from hwcng.cng.handles import Handle
from hwcng.cng.key_pair import KeyPair
from hwcng.cng.key_usages import allowed_usage
from hwcng.cng.stored_algorithm import handle_of_spec
from hwcng.cng.symmetric_key import SymmetricKey
from hwcng.cng.wrapped_key import Wrapped
from hwcng.contract.keys import SecretKey
from hwcng.contract.making import KeyMaker
from hwcng.contract.material import PrivateKeyMaterial
from hwcng.contract.provider import Provider
from hwcng.contract.specs import KeyContents, PairSpec, SecretSpec
from hwcng.contract.usage import Usage
from hwcng.errors import invalid_parameter
from hwcng.forking import kept_property
from hwcng.headers.ncrypt_h import ExportPolicy
from hwcng.headers.records import KeyLengths
from hwcng.ksp.binding import Binding

__all__ = [
    "BaseKeyDraft",
    "Draft",
    "LoadedDraft",
    "PairDraft",
    "SecretDraft",
    "WrappedPairDraft",
    "default_bits",
    "draft_of",
    "key_lengths",
]

SOUND_BITS = 2048
"""SP 800-131A r2: what a modulus or prime has at least."""


def key_lengths(algorithm: Algorithm) -> KeyLengths | None:
    """What Length may be, None for an algorithm whose keys have none."""
    family = FAMILIES.get(algorithm.family)
    return family.stored_lengths if family and family.stored_lengths else algorithm.key_lengths


def default_bits(algorithm: Algorithm) -> int:
    """0 for an algorithm whose keys have no Length."""
    family, lengths = FAMILIES.get(algorithm.family), algorithm.key_lengths
    return family.stored_bits if family and family.stored_bits else lengths.dwMaxLength if lengths else 0


class Draft(abc.ABC):
    """A key that is not finalized. algorithm_handle: of its own; target: whose properties of bcrypt.h are set.

    usage_flags: what Key Usage was set to, None before. binding: what its use will be bound to.
    """

    algorithm_handle: AlgorithmHandle
    target: Handle
    usage_flags: int | None = None

    @kept_property
    def binding(self) -> Binding:
        return Binding()

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

    def require_sound(self) -> None:  # noqa: B027 - most have seen it by then
        """Raises where a key that is not finalized at once comes of what the token does not take."""

    @property
    def weak_default(self) -> bool:
        """Whether the key will have a default length that is for old data only."""
        return False

    def discard(self) -> None:  # noqa: B027 - most have nothing
        """Lets go of what an unfinished key has in the token already."""

    def _maker(self, name: str | None, replace: bool) -> KeyMaker:
        """What makes the key: the provider, or where the key has a name what makes keys under that."""
        provider, protection = self.algorithm_handle.provider, self.binding.protection
        if protection is not None:
            return provider.protecting(protection, name, replace=replace)
        return provider if name is None else provider.named(name, replace=replace)


class PairDraft(Draft):
    """material: a private key handed over for import, which goes into the token instead of a new one."""

    def __init__(self, pair: KeyPair, material: PrivateKeyMaterial | None = None) -> None:
        self.algorithm_handle = pair.algorithm_handle
        self.pair = pair
        self.target = pair
        self._material = material
        self._length_is_set = False

    def require_sound(self) -> None:
        """Raises where a key that is not finalized at once comes of what the token does not take."""

    @property
    def weak_default(self) -> bool:
        pair = self.pair
        weak = 0 < pair.family.stored_bits < SOUND_BITS
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
        lengths = self.pair.family.stored_lengths
        if lengths is None:
            self.pair.set_bits(bits)
            return
        if bits not in lengths:
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
        self.pair.set_key_usage(flags)
        self.usage_flags = flags

    def set_attesting(self) -> None:
        """Has the pair sign what its token states, and nothing else."""
        self._require_new()
        self.pair.set_attesting()
        self.usage_flags = None

    def finalize(self, name: str | None, *, replace: bool) -> KeyPair:
        maker = self._maker(name, replace)
        if self._material is None:
            private = self.pair.generate(maker)
        else:
            private = maker.import_pair(self.pair.spec_of(self._material.public), self._material)
        self._material = None
        self.pair.name = name
        return self.pair.adopt(private.public, private)


class WrappedPairDraft(PairDraft):
    """A private key that comes wrapped, and is unwrapped in its place."""

    def __init__(self, pair: KeyPair, wrapped: Wrapped) -> None:
        super().__init__(pair)
        self._wrapped = wrapped

    def _require_new(self) -> None:
        raise invalid_parameter("what a wrapped key is was decided when it was made")

    def require_sound(self) -> None:
        """Raises where a key that is not finalized at once comes of what the token does not take."""

    @property
    def weak_default(self) -> bool:
        return False

    def finalize(self, name: str | None, *, replace: bool) -> KeyPair:
        private = new_pairs.unwrapped(self.pair, self._wrapped, self._maker(name, replace))
        self.pair.name = name
        return self.pair.adopt(private.public, private)


class SecretDraft(Draft):
    """load: takes over a key from a blob instead of having a new one made; it is then of `bits`."""

    def __init__(
        self,
        handle: AlgorithmHandle,
        bits: int,
        load: Callable[[AlgorithmHandle, KeyMaker], SymmetricKey] | None = None,
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
        allowed_usage(flags, CIPHER_USAGE, self.algorithm)
        self.usage_flags = flags

    def finalize(self, name: str | None, *, replace: bool) -> SymmetricKey:
        handle = self.algorithm_handle
        if self._load is not None:
            stored = self._load(handle, self._maker(name, replace)).token_key
            self._load = None
        elif name is None and self.binding.protection is None:
            stored = generate_key(handle, self._bits).token_key
        else:
            stored = cipher_keys.generate_named(handle, self._bits, self._maker(name, replace))
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
        allowed_usage(flags, Usage.DERIVE, self.algorithm)

    def finalize(self, name: str | None, *, replace: bool) -> SymmetricKey:
        if self._secret is None:
            raise invalid_parameter("set KDFKeySecret before the key is finalized")
        key = derivation_key.import_secret(self.algorithm_handle, self._secret, None)
        self._secret = None
        return key

    def discard(self) -> None:
        self._secret = None


class LoadedDraft(Draft):
    """A key from the token's own protected form: what it is is not to be changed. It stays outside until it is
    finalized. pin: as `Provider.reload_opaque` has it.
    """

    def __init__(self, provider: Provider, blob: bytes, pin: str | bytes | None) -> None:
        self._provider = provider
        self._blob = blob
        self._pin = pin

    @kept_property
    def _contents(self) -> KeyContents:
        return self._provider.opaque_contents(self._blob, pin=self._pin)

    @property
    def _spec(self) -> SecretSpec | PairSpec:
        return self._contents[0]

    def require_sound(self) -> None:
        self._contents  # noqa: B018

    @kept_property
    def algorithm_handle(self) -> AlgorithmHandle:
        return handle_of_spec(self._provider, self._spec)

    @kept_property
    def target(self) -> Handle:
        public = self._contents[1]
        return self.algorithm_handle if public is None else KeyPair(self.algorithm_handle).adopt(public, None)

    @property
    def bits(self) -> int:
        return self.target.bits if isinstance(self.target, KeyPair) else self._spec.bits

    @property
    def export_policy(self) -> int:
        return int(ExportPolicy.NCRYPT_ALLOW_EXPORT_FLAG) if self._spec.exportable else 0

    @property
    def usage(self) -> Usage:
        return self._spec.usage

    def _refuse(self) -> NoReturn:
        raise invalid_parameter("what the key of an opaque blob is was decided when it was made")

    def set_bits(self, bits: int) -> None:
        self._refuse()

    def set_export_policy(self, policy: int) -> None:
        self._refuse()

    def set_key_usage(self, flags: int) -> None:
        self._refuse()

    def finalize(self, name: str | None, *, replace: bool) -> KeyPair | SymmetricKey:
        maker = self._provider if name is None else self._provider.named(name, replace=replace)
        loaded = maker.reload_opaque(self._blob, pin=self._pin)
        # What was set on it before goes along.
        known = "_contents" in vars(self)
        handle = self.algorithm_handle if known else handle_of_spec(self._provider, loaded.spec)
        key: KeyPair | SymmetricKey
        if isinstance(loaded, SecretKey):
            key = SymmetricKey.of_token(handle, loaded)
        else:
            key = KeyPair.of_token(handle, loaded)
        key.name = name
        return key


def draft_of(handle: AlgorithmHandle) -> Draft:
    """A new key of the algorithm, as NCryptCreatePersistedKey begins it."""
    if handle.algorithm.derives:
        return BaseKeyDraft(handle)
    bits = default_bits(handle.algorithm)
    return PairDraft(KeyPair(handle, bits)) if handle.algorithm.asymmetric else SecretDraft(handle, bits)
