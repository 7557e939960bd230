"""Public and private key material, in numbers and octets of the algorithm's standard (big-endian integers)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    pass

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
    "MlDsaPublicKey",
    "MlDsaPrivateKey",
    "MlKemPublicKey",
    "MlKemPrivateKey",
    "PublicKeyMaterial",
    "PrivateKeyMaterial",
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


PublicKeyMaterial: TypeAlias = RsaPublicKey | EcPublicKey | DhPublicKey | DsaPublicKey | MlDsaPublicKey | MlKemPublicKey


PrivateKeyMaterial: TypeAlias = (
    RsaPrivateKey | EcPrivateKey | DhPrivateKey | DsaPrivateKey | MlDsaPrivateKey | MlKemPrivateKey
)
