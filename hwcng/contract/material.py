"""Public and private key material, in numbers and octets of the algorithm's standard (big-endian integers)."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any, NoReturn, TypeAlias, TypeVar, cast

from hwcng.errors import NTSTATUS, CngError

__all__ = [
    "RsaPublicKey",
    "EcPublicKey",
    "RsaPrivateKey",
    "EcPrivateKey",
    "DhDomain",
    "DhPublicKey",
    "DhPrivateKey",
    "DsaDomain",
    "DsaPublicKey",
    "DsaPrivateKey",
    "Ed25519PublicKey",
    "Ed25519PrivateKey",
    "MlDsaPublicKey",
    "MlDsaPrivateKey",
    "MlKemPublicKey",
    "MlKemPrivateKey",
    "PublicKeyMaterial",
    "PrivateKeyMaterial",
    "Untold",
    "require_told",
    "untold",
]


@dataclass(frozen=True, slots=True)
class RsaPublicKey:
    modulus: int
    public_exponent: int


@dataclass(frozen=True, slots=True)
class EcPublicKey:
    """curve: CNG's name of it, such as "nistP256". x, y: affine coordinates; curve25519 has u as x, and no y: 0."""

    curve: str
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class RsaPrivateKey:
    """All eight numbers of RFC 8017 A.1.2, handed over by the caller for import."""

    modulus: int
    public_exponent: int
    private_exponent: int = field(repr=False)
    prime1: int = field(repr=False)
    prime2: int = field(repr=False)
    exponent1: int = field(repr=False)
    exponent2: int = field(repr=False)
    coefficient: int = field(repr=False)

    @property
    def public(self) -> RsaPublicKey:
        return RsaPublicKey(self.modulus, self.public_exponent)


@dataclass(frozen=True, slots=True)
class EcPrivateKey:
    """A private scalar with its public point, handed over by the caller for import."""

    public: EcPublicKey
    scalar: int = field(repr=False)


@dataclass(frozen=True, slots=True)
class DhDomain:
    """PKCS #3: a prime and a generator of (a subgroup of) its multiplicative group."""

    prime: int
    generator: int


@dataclass(frozen=True, slots=True)
class DhPublicKey:
    domain: DhDomain
    value: int


@dataclass(frozen=True, slots=True)
class DhPrivateKey:
    """A private exponent with its public value, handed over by the caller for import."""

    public: DhPublicKey
    exponent: int = field(repr=False)


@dataclass(frozen=True, slots=True)
class DsaDomain:
    """FIPS 186-4, section 4.3. seed, counter, hash_name: how the primes were made; None where nobody knows."""

    prime: int
    subprime: int
    generator: int
    seed: bytes | None = None
    counter: int | None = None
    hash_name: str | None = None


@dataclass(frozen=True, slots=True)
class DsaPublicKey:
    domain: DsaDomain
    value: int


@dataclass(frozen=True, slots=True)
class DsaPrivateKey:
    """A private exponent with its public value, handed over by the caller for import."""

    public: DsaPublicKey
    exponent: int = field(repr=False)


@dataclass(frozen=True, slots=True)
class Ed25519PublicKey:
    """value: the public key of RFC 8032, section 5.1.5 (32 bytes)."""

    value: bytes


@dataclass(frozen=True, slots=True)
class Ed25519PrivateKey:
    """The private key of RFC 8032, section 5.1.5 (32 bytes), which others call its seed, handed over by the caller for
    import.
    """

    public: Ed25519PublicKey
    seed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class MlDsaPublicKey:
    """parameter_set: "44", "65" or "87". value: pk of FIPS 204."""

    parameter_set: str
    value: bytes


@dataclass(frozen=True, slots=True)
class MlDsaPrivateKey:
    """sk of FIPS 204 and, or, its seed xi (32 bytes), handed over by the caller for import."""

    public: MlDsaPublicKey
    value: bytes | None = field(repr=False)
    seed: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class MlKemPublicKey:
    """parameter_set: "512", "768" or "1024". value: ek of FIPS 203."""

    parameter_set: str
    value: bytes


@dataclass(frozen=True, slots=True)
class MlKemPrivateKey:
    """dk of FIPS 203 and, or, its seed d || z (64 bytes), handed over by the caller for import."""

    public: MlKemPublicKey
    value: bytes | None = field(repr=False)
    seed: bytes | None = field(repr=False)


PublicKeyMaterial: TypeAlias = (
    RsaPublicKey | EcPublicKey | DhPublicKey | DsaPublicKey | Ed25519PublicKey | MlDsaPublicKey | MlKemPublicKey
)


PrivateKeyMaterial: TypeAlias = (
    RsaPrivateKey | EcPrivateKey | DhPrivateKey | DsaPrivateKey | Ed25519PrivateKey | MlDsaPrivateKey | MlKemPrivateKey
)


P = TypeVar("P", bound=PublicKeyMaterial)


class Untold:
    """A public half of which the token tells the curve, domain or modulus and no more. Reading what it does not tell
    raises STATUS_NOT_FOUND; what needs only the private half works.
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> NoReturn:
        """Comes where a slot was never filled."""
        if name.startswith("__"):
            raise AttributeError(name)
        raise _not_told(name)

    def _told(self) -> dict[str, Any]:
        own = fields(cast("Any", self))
        return {one.name: value for one in own if (value := _slot(self, one.name)) is not None}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Untold) and type(other) is type(self) and self._told() == other._told()

    def __hash__(self) -> int:
        return hash((type(self), *self._told().values()))

    def __repr__(self) -> str:
        told = "".join(f"{name}={value!r}, " for name, value in self._told().items())
        return f"{type(self).__name__}({told}rest=unknown)"


def _not_told(what: str) -> CngError:
    return CngError(
        NTSTATUS.STATUS_NOT_FOUND,
        f"the token does not tell the public half of this key ({what}): it signs, decrypts and agrees, but nothing can "
        "be verified, encrypted or exported here; write its public key or its certificate beside it with the tool that "
        "made it, or keep the public key where it is needed",
    )


def require_told(public: PublicKeyMaterial) -> None:
    """Raises STATUS_NOT_FOUND for a public half that the token does not tell."""
    if isinstance(public, Untold):
        raise _not_told(repr(public))


def _slot(material: Untold, name: str) -> Any:
    """The value in a slot, None for an empty one."""
    try:
        return object.__getattribute__(material, name)
    except AttributeError:
        return None


@lru_cache
def _untold_class(kind: Any) -> type[Any]:
    return type(f"Untold{kind.__name__}", (Untold, kind), {"__slots__": (), "__module__": __name__})


def untold(kind: type[P], **told: Any) -> P:
    """The public half of a key whose token tells only this of it: `untold(EcPublicKey, curve="nistP256")`."""
    made: P = object.__new__(_untold_class(cast("Any", kind)))
    for name, value in told.items():
        object.__setattr__(made, name, value)
    return made
