"""What a token says of the platform that it is part of, and of a key as it holds it (TPM 2.0 Library, Part 2, sections
6.13, 8.3 and 12.2), as records.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from hwcng.contract.attestation import Origin

__all__ = ["BoundPcrs", "Held", "HeldKey", "Platform"]

_SALTED_BY_THE_HASH = 116


@dataclass(frozen=True, slots=True)
class Platform:
    """family: of the specification, such as "2.0". level, revision: of it; a revision is a hundred times its number.

    manufacturer: four characters, such as "IBM ". firmware: two numbers of 32 bits.
    """

    family: str
    level: int
    revision: int
    manufacturer: str
    firmware: tuple[int, int]

    @property
    def pss_salt_is_the_hash(self) -> bool:
        """Whether PSS signatures have a salt as long as the hash, which revision 1.16 brought; the longest before."""
        return self.revision >= _SALTED_BY_THE_HASH


@dataclass(frozen=True, slots=True)
class BoundPcrs:
    """What the PCRs of a bank must be for a key to be used. bank: the CNG name of their hash, empty where the policy
    has several or one that has no name. digest: of their values, one after the other, by SHA-256.
    """

    bank: str
    pcrs: tuple[int, ...]
    digest: bytes


@dataclass(frozen=True, slots=True)
class HeldKey:
    """A key as its public area says it.

    name: by which the token's statements call it. parent: the handle that it is loaded below, 0 where nothing says it.
    has_pin: whether an authorization value goes with it. counted: whether wrong ones count. restricted: whether it does
    its work only on what the token itself makes. scheme: the algorithm that it is held to and its hash, TPM_ALG_ID
    each, 0 for no hash; None: held to none. policy: by which it is used, as a digest, empty for none. origin: how it
    was made, None where that is not known.
    """

    name: bytes
    parent: int
    has_pin: bool
    counted: bool
    signs: bool
    decrypts: bool
    restricted: bool
    scheme: tuple[int, int] | None
    policy: bytes
    pcrs: BoundPcrs | None
    origin: Origin | None


@runtime_checkable
class Held(Protocol):
    """A key whose token tells how it holds it. Not every token does."""

    def describe(self) -> HeldKey:
        """Costs no token call."""
