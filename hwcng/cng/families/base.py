"""What a family of key pairs decides for itself; `hwcng.cng.key_pair` keeps the state that all of them share."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Generic, TypeVar

from hwcng.arguments import string
from hwcng.cng.algorithm import Algorithm
from hwcng.cng.blobs.blob_type import PAIR_BLOBS, BlobType
from hwcng.cng.families.request import PairRequest, Traits
from hwcng.contract.keys import PrivateKey
from hwcng.contract.material import DhDomain, DsaDomain, PrivateKeyMaterial, PublicKeyMaterial
from hwcng.contract.provider import Provider
from hwcng.contract.specs import DecryptSpec, PairSpec, SignSpec
from hwcng.contract.usage import Usage
from hwcng.errors import invalid_parameter, not_supported, told
from hwcng.headers.records import KeyLengths
from hwcng.standards.curves import Curve
from hwcng.standards.hashes import HASHES, HashFunction

__all__ = ["PairFamily", "hash_named"]

Public = TypeVar("Public", bound=PublicKeyMaterial)


def hash_named(name: object) -> HashFunction:
    """A hash by its CNG name. Raises STATUS_NOT_SUPPORTED for any other."""
    hash_function = HASHES.get(string(name, "the name of a hash")) if isinstance(name, str) else None
    if hash_function is None:
        raise not_supported(f"{told(name)} is not a hash algorithm")
    return hash_function


class PairFamily(abc.ABC, Generic[Public]):
    """One per kind of pair. Stateless; what a family does not do is refused with STATUS_NOT_SUPPORTED."""

    kind: ClassVar[str]
    """PairSpec.kind."""
    public_type: ClassVar[type[PublicKeyMaterial]]
    """The numbers of a public half."""
    algorithms: ClassVar[tuple[Algorithm, ...]]
    """The algorithms of bcrypt.h whose pairs are of this kind."""
    blob_types: ClassVar[tuple[BlobType, ...]]
    """Those of this kind alone."""
    magics: ClassVar[Mapping[int, str]]
    """The first 32 bits of a blob, little-endian -> the algorithm of the key in it, where none is named."""
    builders: ClassVar[Mapping[str, Callable[[Algorithm, Any], bytes]]]
    """Blob type -> what writes a public key as such a blob."""
    properties: ClassVar[Mapping[str, Callable[[Any], Any]]] = MappingProxyType({})
    """Properties of this kind's finalized keys alone -> their value, given the public half."""
    domain_property: ClassVar[str] = ""
    """The property that is the domain parameters; empty where the pairs have none of their own."""
    stored_bits: ClassVar[int] = 0
    """Length of a key of NCryptCreatePersistedKey that nobody sets, 0 for the longest of the algorithm."""
    stored_lengths: ClassVar[KeyLengths | None] = None
    """The lengths of such keys, where they are not those of the algorithm."""
    generation_flags: ClassVar[int] = 0
    """What BCryptGenerateKeyPair may be given as dwFlags."""

    def check_length(self, algorithm: Algorithm, curve: Curve | None, bits: int) -> None:
        """Raises STATUS_INVALID_PARAMETER for a dwLength that the algorithm does not have."""
        if algorithm.key_lengths is None or bits not in algorithm.key_lengths:
            raise invalid_parameter(f"{algorithm.name} has no keys of {bits} bits")

    def group(self, algorithm: Algorithm) -> str:
        """NCRYPT_ALGORITHM_GROUP_PROPERTY."""
        return self.kind

    def algorithm_of_pkcs8(self, public: Public) -> str | None:
        """The algorithm of a PKCS #8 key that names none; None for keys that are not imported so."""
        return None

    @abc.abstractmethod
    def bits(self, public: Public) -> int:
        """KeyLength of a finalized key."""

    def strength(self, public: Public) -> int:
        """KeyStrength of a finalized key."""
        return self.bits(public)

    def planned_bits(self, request: PairRequest) -> int:
        """What KeyLength and PublicKeyLength of the empty pair will be, 0 where that is not known yet."""
        return request.bits

    def planned_strength(self, request: PairRequest) -> int:
        """What KeyStrength of the empty pair will be, 0 where that is not known yet."""
        return request.bits

    def planned_signature_length(self, request: PairRequest) -> int:
        """Bytes of a signature of the empty pair, 0 where that is not known yet."""
        return 0

    def planned_block_length(self, request: PairRequest) -> int | None:
        """BlockLength of the empty pair in bytes, None where such pairs have none."""
        return None

    def planned_ciphertext_length(self, request: PairRequest) -> int:
        """Bytes of an encapsulation to the empty pair, 0 where that is not known yet."""
        return 0

    @abc.abstractmethod
    def usage(self, algorithm: Algorithm) -> Usage:
        """What a private key of the algorithm may do, where nobody says what it is for."""

    def possible_usage(self, algorithm: Algorithm) -> Usage:
        """All that one may do that is made for it."""
        return self.usage(algorithm)

    @abc.abstractmethod
    def spec(self, request: PairRequest, public: Public | None = None) -> PairSpec:
        """What the token is asked for: to make the empty pair, or to take the pair of `public`.

        Raises STATUS_INVALID_PARAMETER where a property that it needs is not set.
        """

    def material(self, spec: PairSpec, private_value: bytes) -> PrivateKeyMaterial:
        """The pair of a caller's big-endian private value. Raises STATUS_INVALID_PARAMETER for one out of range."""
        raise not_supported(f"{self.kind} keys have no PrivKeyVal")

    def parse_domain(self, blob: bytes, bits: int) -> DhDomain | DsaDomain:
        """The checked domain parameters of a value of `domain_property`, for a key of `bits` bits."""
        raise not_supported(f"{self.kind} keys have no domain parameters")

    def traits(self, public: Public) -> Traits:
        """What an imported key says of itself."""
        return Traits()

    def sign_spec(self, algorithm: Algorithm, padding_info: object, flags: int) -> SignSpec:
        raise not_supported(f"{algorithm.name} keys make no signatures")

    def signable(self, public: Public, spec: SignSpec, data: bytes) -> bytes:
        """The input as the token may see it. Raises STATUS_INVALID_PARAMETER for what the signature cannot hold."""
        return data

    def signing(self, private: PrivateKey, spec: SignSpec) -> Callable[[bytes], bytes]:
        """What signs, given the input as the token may see it."""
        return private.signing(spec)

    def signer(self, public: Public, private: PrivateKey, spec: SignSpec) -> Callable[[bytes], bytes]:
        """What signs, given the input as the caller has it."""
        sign = self.signing(private, spec)
        return lambda data: sign(self.signable(public, spec, data))

    def verify(self, public: Public, spec: SignSpec, data: bytes, signature: bytes, *, optional_oid: bool) -> None:
        """On the host. Raises STATUS_INVALID_SIGNATURE."""
        raise not_supported(f"{self.kind} keys make no signatures")

    def decrypt_spec(self, algorithm: Algorithm, padding_info: object, flags: int) -> DecryptSpec:
        raise not_supported(f"{algorithm.name} keys do not encrypt")

    def encrypt(self, public: Public, spec: DecryptSpec, plaintext: bytes) -> bytes:
        """On the host."""
        raise not_supported(f"{self.kind} keys do not encrypt")

    def check_ciphertext(self, public: Public, ciphertext: bytes) -> None:
        """Raises STATUS_INVALID_PARAMETER for what is no ciphertext under the key: no token sees it."""
        raise not_supported(f"{self.kind} keys do not encrypt")

    def encapsulate(self, public: Public, provider: Callable[[], Provider]) -> tuple[bytes, bytes]:
        """The shared secret and its ciphertext, made with the public half; by the token where the host cannot."""
        raise not_supported(f"{self.kind} keys do not encapsulate")

    def ciphertext_length(self, public: Public) -> int | None:
        """Bytes of an encapsulation."""
        return None

    def check_peer(self, ours: Public, theirs: Public) -> str:
        """The name of the group that both keys are of. Raises STATUS_INVALID_PARAMETER where they are not of one."""
        raise not_supported(f"{self.kind} keys do not agree on secrets")

    def field_bits(self, public: Public) -> int:
        """The bits of an elliptic curve's field of the same strength."""
        return self.bits(public)

    def signature_length(self, public: Public) -> int | None:
        """Bytes of a signature, None where the keys make none."""
        return None

    def block_length(self, public: Public) -> int | None:
        """BlockLength in bytes, None where the keys have none."""
        return None

    @abc.abstractmethod
    def parse(self, request: PairRequest, blob_type: str, blob: bytes) -> PublicKeyMaterial | PrivateKeyMaterial:
        """The checked numbers of a blob: a token must never see bad ones."""

    def build(self, algorithm: Algorithm, public: Public, blob_type: str) -> bytes:
        """A public blob. Raises STATUS_NOT_SUPPORTED for a type that is only read."""
        builder = self.builders.get(blob_type)
        if builder is None:
            raise not_supported(f"{told(blob_type)} is not exported")
        return builder(algorithm, public)

    def blob_type(self, algorithm: Algorithm, name: str) -> BlobType:
        """Raises STATUS_NOT_SUPPORTED for a blob type that the family does not have."""
        for row in (*self.blob_types, *PAIR_BLOBS):
            if row.name == name:
                return row
        raise not_supported(f"{told(name)} is not a blob type of {algorithm.name}")
