"""What a family of key pairs decides for itself; `hwcng.cng.key_pair` keeps the state that all of them share."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from hwcng.arguments import string
from hwcng.cng.algorithm_table import Algorithm
from hwcng.cng.blobs import BLOB_TYPES, BlobFamily, BlobType
from hwcng.cng.handles import invalid_parameter, not_supported
from hwcng.contract.keys import PrivateKey
from hwcng.contract.material import DhDomain, DsaDomain, PrivateKeyMaterial, PublicKeyMaterial
from hwcng.contract.specs import DecryptSpec, PairSpec, SignSpec
from hwcng.contract.usage import Usage
from hwcng.errors import told
from hwcng.standards.curves import Curve
from hwcng.standards.hashes import HASHES, HashFunction

if TYPE_CHECKING:
    from hwcng.cng.key_pair import KeyPair

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

    blobs: ClassVar[BlobFamily]

    domain_property: ClassVar[str] = ""
    """The property that is the domain parameters; empty where the pairs have none of their own."""
    generation_flags: ClassVar[int] = 0
    """What BCryptGenerateKeyPair may be given as dwFlags."""

    def check_length(self, algorithm: Algorithm, curve: Curve | None, bits: int) -> None:
        """Raises STATUS_INVALID_PARAMETER for a dwLength that the algorithm does not have."""
        if algorithm.key_lengths is None or bits not in algorithm.key_lengths:
            raise invalid_parameter(f"{algorithm.name} has no keys of {bits} bits")

    @abc.abstractmethod
    def bits(self, public: Public) -> int:
        """KeyLength of a finalized key."""

    def strength(self, public: Public) -> int:
        """KeyStrength of a finalized key."""
        return self.bits(public)

    def planned_bits(self, pair: KeyPair) -> int:
        """What KeyLength and PublicKeyLength of the empty `pair` will be, 0 where that is not known yet."""
        return pair.bits

    def planned_strength(self, pair: KeyPair) -> int:
        """What KeyStrength of the empty `pair` will be, 0 where that is not known yet."""
        return pair.bits

    def planned_signature_length(self, pair: KeyPair) -> int:
        """Bytes of a signature of the empty `pair`, 0 where that is not known yet."""
        return 0

    def planned_block_length(self, pair: KeyPair) -> int | None:
        """BlockLength of the empty `pair` in bytes, None where such pairs have none."""
        return None

    def planned_ciphertext_length(self, pair: KeyPair) -> int:
        """Bytes of an encapsulation to the empty `pair`, 0 where that is not known yet."""
        return 0

    @abc.abstractmethod
    def usage(self, algorithm: Algorithm) -> Usage:
        """What a private key of the algorithm may do."""

    @abc.abstractmethod
    def spec(self, pair: KeyPair, public: Public | None = None) -> PairSpec:
        """What the token is asked for: to make the empty `pair`, or to take the pair of `public`.

        Raises STATUS_INVALID_PARAMETER where a property that it needs is not set.
        """

    def generate(self, pair: KeyPair) -> PrivateKey:
        """Has the token make the pair, or take it where the caller set PrivKeyVal."""
        spec, provider = self.spec(pair), pair.algorithm_handle.provider
        if pair.private_value is None:
            return provider.generate_pair(spec)
        return provider.import_pair(spec, self.material(spec, pair.private_value))

    def material(self, spec: PairSpec, private_value: bytes) -> PrivateKeyMaterial:
        """The pair of a caller's big-endian private value. Raises STATUS_INVALID_PARAMETER for one out of range."""
        raise not_supported(f"{self.kind} keys have no PrivKeyVal")

    def parse_domain(self, blob: bytes, bits: int) -> DhDomain | DsaDomain:
        """The checked domain parameters of a value of `domain_property`, for a key of `bits` bits."""
        raise not_supported(f"{self.kind} keys have no domain parameters")

    def build_domain(self, public: Public) -> bytes:
        """The value of `domain_property`."""
        raise not_supported(f"{self.kind} keys have no domain parameters")

    def adopt(self, pair: KeyPair, public: Public) -> None:
        """Sets what an imported key says of itself on its handle."""

    def sign_spec(self, pair: KeyPair, padding_info: object, flags: int) -> SignSpec:
        raise not_supported(f"{pair.algorithm.name} keys make no signatures")

    def signable(self, public: Public, spec: SignSpec, data: bytes) -> bytes:
        """The input as the token may see it. Raises STATUS_INVALID_PARAMETER for what the signature cannot hold."""
        return data

    def signing(self, private: PrivateKey, spec: SignSpec) -> Callable[[bytes], bytes]:
        """What signs, given the input as the token may see it."""
        return private.signing(spec)

    def verify(self, public: Public, spec: SignSpec, data: bytes, signature: bytes, *, optional_oid: bool) -> None:
        """On the host. Raises STATUS_INVALID_SIGNATURE."""
        raise not_supported(f"{self.kind} keys make no signatures")

    def encrypt(self, pair: KeyPair, plaintext: bytes, padding_info: object, flags: int) -> bytes:
        raise not_supported(f"{pair.algorithm.name} keys do not encrypt")

    def decrypt(self, pair: KeyPair, ciphertext: bytes, padding_info: object, flags: int) -> bytes:
        raise not_supported(f"{pair.algorithm.name} keys do not encrypt")

    def decrypt_as(self, pair: KeyPair, spec: DecryptSpec, ciphertext: bytes) -> bytes:
        raise not_supported(f"{pair.algorithm.name} keys do not encrypt")

    def encapsulate(self, pair: KeyPair) -> tuple[bytes, bytes]:
        """The shared secret and its ciphertext, made with the public half."""
        raise not_supported(f"{pair.algorithm.name} keys do not encapsulate")

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
    def parse(self, pair: KeyPair, blob_type: str, blob: bytes) -> PublicKeyMaterial | PrivateKeyMaterial:
        """The checked numbers of a blob: a token must never see bad ones."""

    @abc.abstractmethod
    def build(self, pair: KeyPair, public: Public, blob_type: str) -> bytes:
        """A public blob."""

    def blob_type(self, algorithm: Algorithm, name: str) -> BlobType:
        """Raises STATUS_NOT_SUPPORTED for a blob type that the family does not have."""
        row = BLOB_TYPES.get(name)
        if row is None or row.family not in (self.blobs, BlobFamily.PAIR):
            raise not_supported(f"{told(name)} is not a blob type of {algorithm.name}")
        return row
