"""An open token: what a backend implements to make, find and keep keys."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

from hwcng.contract.capabilities import Capabilities, TokenInfo
from hwcng.contract.keys import OfThisProcess, PrivateKey, SecretKey, unserved
from hwcng.contract.material import (
    MlKemPublicKey,
    PrivateKeyMaterial,
)
from hwcng.contract.openssl import OpensslProvider
from hwcng.contract.specs import (
    PairSpec,
    SecretSpec,
)
from hwcng.contract.usage import Support

__all__ = [
    "KeyRecord",
    "Provider",
    "TokenAddress",
]


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A named key as a listing shows it. created: seconds since 1970, None where the token does not say.

    certificate: whether an X.509 certificate is stored beside it. address: by what `open_key` opens this one, where its
    name does not say it, because other keys have the same; else None.
    """

    name: str
    spec: SecretSpec | PairSpec
    created: int | None = None
    certificate: bool = False
    address: str | None = None


class TokenAddress(Protocol):
    """What says which token is meant, such as the path of a pkcs11: URI."""

    def matches_token(self, token: TokenInfo, /) -> bool: ...


class Provider(OfThisProcess, abc.ABC):
    """A token, open. A context manager; safe for any number of threads."""

    uri: str
    """Where this token is found again; never holds a PIN."""

    token: TokenInfo

    closed: bool = False
    """Whether `close` was called."""

    @property
    def can_connect(self) -> bool:
        """Whether it is connected, or connects again by itself: a token's PIN that nobody gave it, it cannot tell."""
        return True

    @abc.abstractmethod
    def capabilities(self) -> Capabilities:
        """What the token really does: probed by operation, once, and remembered."""

    @abc.abstractmethod
    def offers(self, algorithm: str, operation: str | None = None) -> Support:
        """Whether keys of a CNG algorithm ("AES", "AES-CMAC", "AES-GMAC", "HMAC-SHA256", "3DES", "RSA", "ECDSA",
        "ECDH", "DH", "DSA", "ML-DSA", "ML-KEM", "HKDF", "RNG"), or one operation of it, can be had here. Costs no token
        call after the provider is open.

        Operations: ciphers: a CipherMode's value; AES also "WRAP". RSA: "PKCS1", "PSS", "OAEP", "RAW". ECDSA, ECDH: a
        CNG curve name. ML-DSA, ML-KEM: a parameter set. Derivation functions: their CNG name is the algorithm, and
        "KEY" the operation that leaves the result in the token. KDF: "JOIN", of keys and data.
        """

    @abc.abstractmethod
    def random(self, length: int) -> bytes:
        """`length` random bytes made by the token."""

    @abc.abstractmethod
    def generate_secret(self, spec: SecretSpec) -> SecretKey: ...

    @abc.abstractmethod
    def import_secret(self, spec: SecretSpec, value: bytes) -> SecretKey: ...

    @abc.abstractmethod
    def unwrap_secret(self, spec: SecretSpec, wrapping_key: SecretKey, wrapped: bytes) -> SecretKey:
        """AES key wrap (RFC 3394), undone inside the token. Raises STATUS_INVALID_PARAMETER where the blob's check
        fails.
        """

    @abc.abstractmethod
    def generate_pair(self, spec: PairSpec) -> PrivateKey: ...

    @abc.abstractmethod
    def import_pair(self, spec: PairSpec, material: PrivateKeyMaterial) -> PrivateKey: ...

    def encapsulate(self, public: MlKemPublicKey) -> tuple[bytes, bytes]:
        """A fresh shared secret for the caller and its ciphertext, for parameter sets that the host cannot do."""
        raise unserved("encapsulate")

    @abc.abstractmethod
    def reload_opaque(self, blob: bytes, *, pin: str | bytes | None = None) -> SecretKey | PrivateKey:
        """The key of `opaque`. pin: the authorization value of a key that has one of its own, as a TPM's may.

        Raises STATUS_INVALID_PARAMETER for a blob that this token did not make or that was altered.
        """

    def persist_key(self, key: SecretKey | PrivateKey, name: str, *, replace: bool = False) -> SecretKey | PrivateKey:
        """Stores a key of this provider under a name; what is returned is the stored key, which outlives the process.

        `key` itself lives on as it was. replace: whether a key of that name gives way, which it does only after the new
        one is stored. Raises NTE_EXISTS for a name that is taken, NTE_INVALID_PARAMETER for one that cannot be.
        """
        raise unserved("keep keys")

    def open_key(self, name: str, *, pin: str | bytes | None = None) -> SecretKey | PrivateKey:
        """The key of that name. It comes back by itself after a loss of the token and in a forked child.

        pin: the authorization value of a key that has one of its own, as a TPM's may.

        Raises NTE_BAD_KEYSET where there is none, NTE_KEYSET_ENTRY_BAD where there are several or it is damaged.
        """
        raise unserved("keep keys")

    def list_keys(self) -> Iterator[KeyRecord]:
        """The named keys, in no order."""
        raise unserved("keep keys")

    def delete_key(self, name: str) -> None:
        """Ends a named key for good. Raises NTE_BAD_KEYSET where there is none."""
        raise unserved("keep keys")

    def certificates(self, name: str) -> list[bytes]:
        """The X.509 certificates in DER (RFC 5280) that are stored for a named key: its own, then its issuers', as far
        as they are there. Empty where it has none. Raises NTE_BAD_KEYSET where there is neither key nor certificate.
        """
        raise unserved("keep certificates")

    def store_certificates(self, name: str, certificates: Sequence[bytes]) -> None:
        """Stores certificates for a named key in the place of those that it has; they go with it when it is deleted or
        replaced. certificates: checked, its own first, then its issuers', which may stay for other keys; empty: none.

        Raises NTE_BAD_KEYSET where there is no such key.
        """
        raise unserved("keep certificates")

    def key_uri(self, name: str) -> str:
        """Where the named key is found again, from any process: this provider's URI with the object's name, no PIN."""
        raise unserved("keep keys")

    def openssl(self) -> OpensslProvider:
        """How OpenSSL gets at this token's keys by itself."""
        raise unserved("be used by OpenSSL")

    def openssl_key(self, key: PrivateKey, name: str | None) -> str:
        """What stands for `key` in a file that OpenSSL loads, in PEM. name: under which it is stored, if it is.

        Raises STATUS_NOT_SUPPORTED for a key without a name where the file says where the key is.
        """
        raise unserved("be used by OpenSSL")

    def answers_to(self, uri: TokenAddress) -> bool:
        """Whether a pkcs11: URI means this token, by all that its path says (RFC 7512, section 2.5)."""
        return uri.matches_token(self.token)

    @abc.abstractmethod
    def close(self) -> None:
        """Ends every key made here and gives everything back. A second call does nothing."""

    def __enter__(self) -> Provider:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
