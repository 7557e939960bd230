"""What a kind of key pair decides for itself: its mechanisms, its attributes and its verbs (PKCS#11 3.2, section 6)."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeAlias, TypeVar

from pkcs11 import Attribute, KeyType, Mechanism

from hwcng.contract.material import PublicKeyMaterial
from hwcng.contract.specs import DecryptSpec, PairSpec, SignSpec
from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.pkcs11.cryptoki.return_values import CKR
from hwcng.providers.pkcs11.mechanisms import MechanismCall

if TYPE_CHECKING:
    from hwcng.providers.pkcs11.keys.private import Pkcs11PrivateKey

__all__ = ["REFUSED_DOMAIN", "Agreement", "Attributes", "PairKind", "Reader", "unsigned"]

Public = TypeVar("Public", bound=PublicKeyMaterial)
Private = TypeVar("Private")

Attributes: TypeAlias = dict[Attribute, Any]
Reader: TypeAlias = Callable[[Sequence[Attribute], int], Mapping[Attribute, "bytes | None"]]
"""Attributes of the public object, each of at most so many bytes, in one C_GetAttributeValue."""


REFUSED_DOMAIN: Mapping[int, NTSTATUS] = MappingProxyType(
    dict.fromkeys((CKR.GENERAL_ERROR, CKR.ARGUMENTS_BAD), NTSTATUS.STATUS_NOT_SUPPORTED)
)
"""SoftHSM's and NSS's answers to sound DSA parameters of a length that they list but make no keys of."""


def unsigned(value: int) -> bytes:
    """A big-endian number without leading zeros, as attributes have it."""
    return value.to_bytes((value.bit_length() + 7) // 8 or 1, "big")


def _refused(message: str) -> CngError:
    return CngError(NTSTATUS.STATUS_NOT_SUPPORTED, message)


@dataclass(frozen=True, slots=True)
class Agreement:
    """How Z is derived. length: bytes of Z."""

    call: MechanismCall
    length: int
    asked: str


class PairKind(abc.ABC, Generic[Public, Private]):
    """One per PairSpec.kind. Stateless."""

    kind: ClassVar[str]
    key_type: ClassVar[KeyType | int]

    refusals: ClassVar[Mapping[int, NTSTATUS]] = MappingProxyType({})
    """What a failed generation or import means, where the number alone does not say it."""

    @abc.abstractmethod
    def generation(self, spec: PairSpec) -> Mechanism | int:
        """The mechanism that makes such a pair."""

    @abc.abstractmethod
    def describe(self, spec: PairSpec) -> str:
        """With its article, for messages: "a 2048-bit RSA pair"."""

    @abc.abstractmethod
    def offered_as(self, spec: PairSpec) -> tuple[str, str | None]:
        """Algorithm and operation of `Provider.offers` that holding such a pair needs."""

    def sized_by(self, spec: PairSpec) -> Mechanism | None:
        """The mechanism whose key sizes bound PairSpec.bits, None where they do not."""
        return None

    @abc.abstractmethod
    def public_attributes(self, spec: PairSpec) -> Attributes:
        """What C_GenerateKeyPair's public template says beside class, type and usage."""

    def private_attributes(self, spec: PairSpec) -> Attributes:
        """What the private template says beside class, type, protection and usage."""
        return {}

    @abc.abstractmethod
    def private_values(self, material: Private) -> Attributes:
        """The private object's numbers, for C_CreateObject."""

    @abc.abstractmethod
    def read_public(self, read: Reader, spec: PairSpec, token_name: str) -> Public:
        """The public half of a pair that the token made."""

    @abc.abstractmethod
    def to_json(self, public: Public) -> dict[str, Any]:
        """The public half for the description of an opaque blob."""

    @abc.abstractmethod
    def from_json(self, spec: PairSpec, described: Mapping[str, Any]) -> Public: ...

    def sign(self, key: Pkcs11PrivateKey, spec: SignSpec, digest: bytes) -> bytes:
        raise _refused(f"{self.kind} keys make no such signature")

    def signing(self, key: Pkcs11PrivateKey, spec: SignSpec) -> Callable[[bytes], bytes] | None:
        """`sign` of any digest, worked out once; None where each digest needs the whole of it."""
        return None

    def decrypt(self, key: Pkcs11PrivateKey, spec: DecryptSpec, ciphertext: bytes) -> bytes:
        raise _refused(f"{self.kind} keys do not decrypt")

    def agreement(self, key: Pkcs11PrivateKey, peer: PublicKeyMaterial) -> Agreement:
        raise _refused(f"{self.kind} keys do not agree on secrets")

    def decapsulation(self, key: Pkcs11PrivateKey) -> MechanismCall:
        raise _refused(f"{self.kind} keys do not decapsulate")
