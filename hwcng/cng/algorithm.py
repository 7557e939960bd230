"""What CNG says of an algorithm, whatever its kind (bcrypt.h; "CNG Algorithm Identifiers").

Sizes are bits for keys and bytes for blocks, objects and digests.
"""

from __future__ import annotations

from dataclasses import dataclass, field

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

    What follows from these is told once. symmetric: BCryptGenerateSymmetricKey makes its keys, ciphers' and derivation
    functions'. shared_secret_length: bytes of what is encapsulated, None where nothing is.
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

    asymmetric: bool = field(init=False, repr=False, compare=False)
    derives: bool = field(init=False, repr=False, compare=False)
    symmetric: bool = field(init=False, repr=False, compare=False)
    agrees: bool = field(init=False, repr=False, compare=False)
    signs: bool = field(init=False, repr=False, compare=False)
    hashes: bool = field(init=False, repr=False, compare=False)
    makes_random_numbers: bool = field(init=False, repr=False, compare=False)
    encrypts: bool = field(init=False, repr=False, compare=False)
    shared_secret_length: int | None = field(init=False, repr=False, compare=False)
    elliptic: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        classes = self.interfaces
        follows = {
            "asymmetric": bool(self.family),
            "derives": _DERIVATION in classes,
            "symmetric": _DERIVATION in classes or _CIPHER in classes,
            "agrees": _AGREEMENT in classes,
            "signs": _SIGNATURE in classes,
            "hashes": _HASH in classes,
            "makes_random_numbers": _RNG in classes,
            "encrypts": _ENCRYPTION in classes,
            "shared_secret_length": SHARED_SECRET_SIZE if _ENCAPSULATION in classes else None,
            "elliptic": self.curve is not None or self.generic_curve,
        }
        for name, value in follows.items():
            object.__setattr__(self, name, value)
