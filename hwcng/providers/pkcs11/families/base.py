"""What a kind of keys decides for itself: its mechanisms, its attributes and its verbs (PKCS#11 3.2, section 6)."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

from pkcs11 import Attribute, KeyType, Mechanism

from hwcng.contract.material import PublicKeyMaterial, untold
from hwcng.contract.specs import DecryptSpec, PairSpec, SignSpec
from hwcng.contract.usage import Usage
from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.pkcs11.capabilities import MechanismSet, Rule
from hwcng.providers.pkcs11.connection import Connection
from hwcng.providers.pkcs11.cryptoki.return_values import CKR
from hwcng.providers.pkcs11.families.values import Values
from hwcng.providers.pkcs11.mechanisms import MechanismCall
from hwcng.providers.pkcs11.probes.base import Probe
from hwcng.providers.pkcs11.quirks import Quirks

__all__ = [
    "REFUSED_DOMAIN",
    "Agreement",
    "Attributes",
    "Encapsulation",
    "Family",
    "PairKind",
    "Reader",
    "TokenPrivateKey",
    "unsigned",
]

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


class Agreement(NamedTuple):
    """How Z is derived. length: bytes of Z."""

    call: MechanismCall
    length: int
    asked: str


class Encapsulation(NamedTuple):
    """How a secret is encapsulated. public_object: of a session. room: bytes of the ciphertext."""

    call: MechanismCall
    public_object: Attributes
    room: int
    asked: str


class TokenPrivateKey(Protocol):
    """The private key in the token that a kind of pair puts to use."""

    @property
    def spec(self) -> PairSpec: ...

    @property
    def public(self) -> PublicKeyMaterial: ...

    @property
    def offered(self) -> MechanismSet: ...

    @property
    def connection(self) -> Connection: ...

    def sign_with(self, call: MechanismCall, data: bytes, room: int, asked: str, *, exact: bool = False) -> bytes:
        """C_SignInit and C_Sign. room: bytes of the longest signature. exact: whether the token is told of no more."""

    def signing_with(
        self, call: MechanismCall, room: int, asked: str, *, exact: bool = False
    ) -> Callable[[bytes], bytes]:
        """`sign_with` of any data."""

    def decrypt_with(self, call: MechanismCall, ciphertext: bytes, room: int, asked: str) -> bytes:
        """C_DecryptInit and C_Decrypt. Everything that can be wrong with a padding is one error, without a cause."""


class Family(abc.ABC):
    """One per kind of secret key or pair. Stateless."""

    rules: ClassVar[tuple[Rule, ...]] = ()
    """Which mechanisms its operations need."""
    sized: ClassVar[tuple[Mechanism, ...]] = ()
    """The mechanisms beside these whose key sizes count."""

    def complete(self, offered: MechanismSet) -> None:  # noqa: B027
        """Decides what no rule can, as it is in no list of mechanisms."""

    @abc.abstractmethod
    def probe(self, probe: Probe) -> None:
        """Tries everything once that such keys may do."""


class PairKind(Family, Generic[Public, Private]):
    """One per PairSpec.kind, and more where a kind has curves with a key type of their own."""

    kind: ClassVar[str]
    key_type: ClassVar[KeyType | int]
    material: type[Public]
    """The numbers of a public half."""
    usages: ClassVar[Usage]
    """All that a private key may do."""
    known: ClassVar[tuple[str, ...]] = ()
    """The fields of PairSpec that the public half has too."""
    stored: ClassVar[Mapping[Attribute, int]]
    """What says which key a stored object is -> the octets of room that it needs."""
    curves: ClassVar[tuple[str, ...]] = ()
    """Those that have a key type of their own, where other curves of `kind` are another family's."""
    telling: ClassVar[Usage] = Usage.NONE
    """The use of a private key that tells its public half."""

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
    def public_values(self, public: Public, quirks: Quirks) -> Attributes:
        """The public object's numbers, for C_CreateObject."""

    @abc.abstractmethod
    def traits(self, values: Values) -> dict[str, Any]:
        """The fields of PairSpec that a stored private object tells, beside its usage. Raises NTE_NOT_SUPPORTED for a
        key that no spec describes.
        """

    def of_private(self, values: Values) -> Public | None:
        """The public half where a private object has it too."""
        return None

    def untold(self, values: Values, spec: PairSpec) -> Public | None:
        """What a private object tells of a public half that is nowhere, all that a signature, a decryption and an
        agreement need; None where that is not all.
        """
        return untold(self.material, **{field: getattr(spec, field) for field in self.known})

    def told_by_use(self, key: TokenPrivateKey) -> Public | None:
        """The public half as `telling` tells it, None where it does not."""
        return None

    def fits(self, public: object, spec: PairSpec) -> bool:
        """Whether a public key that was found may be the half of such a private key."""
        return isinstance(public, self.material) and all(
            getattr(public, field) == getattr(spec, field) for field in self.known
        )

    @abc.abstractmethod
    def read_public(self, read: Reader, spec: PairSpec, token_name: str) -> Public:
        """The public half of a pair that the token made."""

    @abc.abstractmethod
    def to_json(self, public: Public) -> dict[str, Any]:
        """The public half for the description of an opaque blob."""

    @abc.abstractmethod
    def from_json(self, spec: PairSpec, described: Mapping[str, Any]) -> Public: ...

    def sign(self, key: TokenPrivateKey, spec: SignSpec, digest: bytes) -> bytes:
        raise _refused(f"{self.kind} keys make no such signature")

    def signing(self, key: TokenPrivateKey, spec: SignSpec) -> Callable[[bytes], bytes] | None:
        """`sign` of any digest, worked out once; None where each digest needs the whole of it."""
        return None

    def decrypt(self, key: TokenPrivateKey, spec: DecryptSpec, ciphertext: bytes) -> bytes:
        raise _refused(f"{self.kind} keys do not decrypt")

    def agreement(self, key: TokenPrivateKey, peer: PublicKeyMaterial) -> Agreement:
        raise _refused(f"{self.kind} keys do not agree on secrets")

    def encapsulation(self, public: Public) -> Encapsulation:
        raise _refused(f"{self.kind} keys do not encapsulate")

    def decapsulation(self, key: TokenPrivateKey) -> MechanismCall:
        raise _refused(f"{self.kind} keys do not decapsulate")
