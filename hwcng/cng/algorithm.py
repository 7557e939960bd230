"""What CNG says of an algorithm, whatever its kind (bcrypt.h; "CNG Algorithm Identifiers").

Sizes are bits for keys and bytes for blocks, objects and digests.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwcng.headers.bcrypt_h import Interface, PaddingScheme
from hwcng.headers.records import KeyLengths
from hwcng.standards.hashes import HashFunction
from hwcng.standards.parameter_sets import SHARED_SECRET_SIZE

__all__ = ["AGREEMENT", "SIGNATURE", "Algorithm"]

_NO_PADDING_SCHEMES = PaddingScheme(0)

# A member of an enumeration is looked up at some cost where Python is older than 3.12.
_CIPHER = Interface.BCRYPT_CIPHER_INTERFACE
_HASH = Interface.BCRYPT_HASH_INTERFACE
_ENCRYPTION = Interface.BCRYPT_ASYMMETRIC_ENCRYPTION_INTERFACE
_RNG = Interface.BCRYPT_RNG_INTERFACE
_SIGNATURE = Interface.BCRYPT_SIGNATURE_INTERFACE
_AGREEMENT = Interface.BCRYPT_SECRET_AGREEMENT_INTERFACE
_DERIVATION = Interface.BCRYPT_KEY_DERIVATION_INTERFACE
_ENCAPSULATION = Interface.BCRYPT_KEY_ENCAPSULATION_INTERFACE

SIGNATURE, AGREEMENT = (_SIGNATURE,), (_AGREEMENT,)


@dataclass(frozen=True, slots=True)
class Algorithm:
    """interfaces: the classes it belongs to. offered_as: the name by which a provider is asked for it.

    object_length: bytes of ObjectLength, opaque to callers. chaining_mode: the default of a cipher. curve: CNG's name
    of a fixed curve. generic_curve: the curve comes from ECCCurveName. family: whose pairs (hwcng.cng.families).
    parameter_sets: values of ParameterSetName.
    """

    name: str
    interfaces: tuple[Interface, ...]
    offered_as: str
    key_lengths: KeyLengths | None = None
    object_length: int | None = None
    block_length: int | None = None
    chaining_modes: tuple[str, ...] = ()
    chaining_mode: str | None = None
    hash_function: HashFunction | None = None
    keyed_hash: bool = False
    curve: str | None = None
    generic_curve: bool = False
    padding_schemes: PaddingScheme = _NO_PADDING_SCHEMES
    family: str = ""
    parameter_sets: tuple[str, ...] = ()

    @property
    def asymmetric(self) -> bool:
        return bool(self.family)

    @property
    def derives(self) -> bool:
        return _DERIVATION in self.interfaces

    @property
    def symmetric(self) -> bool:
        """Whether BCryptGenerateSymmetricKey makes its keys: ciphers and derivation functions."""
        return self.derives or _CIPHER in self.interfaces

    @property
    def agrees(self) -> bool:
        return _AGREEMENT in self.interfaces

    @property
    def signs(self) -> bool:
        return _SIGNATURE in self.interfaces

    @property
    def hashes(self) -> bool:
        return _HASH in self.interfaces

    @property
    def makes_random_numbers(self) -> bool:
        return _RNG in self.interfaces

    @property
    def encrypts(self) -> bool:
        return _ENCRYPTION in self.interfaces

    @property
    def shared_secret_length(self) -> int | None:
        """Bytes of what is encapsulated, None where nothing is."""
        return SHARED_SECRET_SIZE if _ENCAPSULATION in self.interfaces else None

    @property
    def elliptic(self) -> bool:
        return self.curve is not None or self.generic_curve
