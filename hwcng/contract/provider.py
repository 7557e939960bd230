"""An open token: what a backend implements to make, find and keep keys."""

from __future__ import annotations

import abc
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType

from hwcng.contract.attestation import Credential, Endorsement, Quote
from hwcng.contract.capabilities import Capabilities, TokenInfo
from hwcng.contract.keys import OfThisProcess, PrivateKey, SecretKey, unserved
from hwcng.contract.making import KeyMaker, NamedMaker, StoringMaker
from hwcng.contract.material import (
    MlKemPublicKey,
    PrivateKeyMaterial,
    PublicKeyMaterial,
)
from hwcng.contract.openssl import OpensslProvider
from hwcng.contract.platform import Platform
from hwcng.contract.protection import Protection
from hwcng.contract.provider_uri import ProviderUri
from hwcng.contract.specs import (
    RFC_3394,
    KeyContents,
    PairSpec,
    SecretSpec,
    WrapSpec,
)
from hwcng.contract.usage import Support, Usage
from hwcng.contract.watching import Examination, Health, Statistics

__all__ = [
    "KeyRecord",
    "Provider",
]


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A named key as a listing shows it. created: seconds since 1970, None where the token does not say.

    certificate: whether an X.509 certificate is stored beside it. address: by what `open_key` opens this one, where its
    name does not say it, because other keys have the same; else None. uri: what `hwcng.open_key` opens, no PIN in it.
    id: CKA_ID of a PKCS#11 object; empty where it has none, and on a TPM.
    """

    name: str
    spec: SecretSpec | PairSpec
    created: int | None = None
    certificate: bool = False
    address: str | None = None
    uri: str = field(default="", compare=False)
    id: bytes = field(default=b"", compare=False)

    @property
    def kind(self) -> str:
        """Of a pair `PairSpec.kind`, such as "EC"; of a secret key the value of its `SecretFamily`, such as "AES"."""
        return self.spec.kind if isinstance(self.spec, PairSpec) else self.spec.family.value

    @property
    def usage(self) -> Usage:
        """What the token lets it do."""
        return self.spec.usage


class Provider(OfThisProcess, abc.ABC):
    """A token, open. A context manager; safe for any number of threads."""

    uri: str
    """Where this token is found again; never holds a PIN."""

    token: TokenInfo

    closed: bool = False
    """Whether `close` was called."""

    _examination: Examination | None = None

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

        Operations: ciphers: a CipherMode's value; AES also "WRAP" and "KWP". RSA: "PKCS1", "PSS", "OAEP", "RAW",
        "AES_KEY_WRAP". ECDSA, ECDH: a CNG curve name. ML-DSA, ML-KEM: a parameter set. Derivation functions: their CNG
        name is the algorithm, and "KEY" the operation that leaves the result in the token. KDF: "JOIN", of keys and
        data.
        """

    @abc.abstractmethod
    def random(self, length: int) -> bytes:
        """`length` random bytes made by the token."""

    @abc.abstractmethod
    def generate_secret(self, spec: SecretSpec) -> SecretKey: ...

    @abc.abstractmethod
    def import_secret(self, spec: SecretSpec, value: bytes) -> SecretKey: ...

    @abc.abstractmethod
    def unwrap_secret(
        self,
        spec: SecretSpec,
        wrapping_key: SecretKey | PrivateKey,
        wrapped: bytes,
        wrap: WrapSpec = RFC_3394,
    ) -> SecretKey:
        """A wrapped key, unwrapped inside the token. wrapping_key: a key of this provider that may unwrap, AES or RSA
        as `wrap` says. Raises STATUS_INVALID_PARAMETER where the blob's check fails, or the key in it is not one of
        `spec`; of RsaOaepSpec as `PrivateKey.unwrap_secret` does. STATUS_NOT_SUPPORTED for what the token does not
        unwrap.
        """

    @abc.abstractmethod
    def generate_pair(self, spec: PairSpec) -> PrivateKey: ...

    @abc.abstractmethod
    def import_pair(self, spec: PairSpec, material: PrivateKeyMaterial) -> PrivateKey: ...

    def unwrap_pair(
        self, spec: PairSpec, wrapping_key: SecretKey | PrivateKey, wrapped: bytes, wrap: WrapSpec
    ) -> PrivateKey:
        """A private key that was wrapped as PKCS #8 (RFC 5958), unwrapped inside the token: its bytes are never here.

        spec: its kind, its usage and, where it is known, its curve; the rest is read from the key. The public half is
        read from the token or found out; where it cannot be, the key is `Untold`. Raises as `unwrap_secret`.
        """
        raise unserved("unwrap private keys")

    def encapsulate(self, public: MlKemPublicKey) -> tuple[bytes, bytes]:
        """A fresh shared secret for the caller and its ciphertext, for parameter sets that the host cannot do."""
        raise unserved("encapsulate")

    @abc.abstractmethod
    def reload_opaque(self, blob: bytes, *, pin: str | bytes | None = None) -> SecretKey | PrivateKey:
        """The key of `opaque`. pin: the authorization value of a key that has one of its own, as a TPM's may.

        Raises STATUS_INVALID_PARAMETER for a blob that this token did not make or that was altered.
        """

    def opaque_contents(self, blob: bytes, *, pin: str | bytes | None = None) -> KeyContents:
        """What the key of `opaque` is; no key is left. Raises as `reload_opaque`."""
        key = self.reload_opaque(blob, pin=pin)
        try:
            return key.spec, key.public if isinstance(key, PrivateKey) else None
        finally:
            key.destroy()

    def named(self, name: str, *, replace: bool = False) -> NamedMaker:
        """What makes keys that the token keeps under this name from their first moment on: `generate_pair` and the like
        of it return the stored key. Each raises what `persist_key` raises, and a key that gives way does so only then.
        """
        return StoringMaker(self, name, replace)

    protects_keys: bool = False
    """Whether `protecting` is served."""

    def protecting(self, protection: Protection, name: str | None = None, *, replace: bool = False) -> KeyMaker:
        """What makes keys whose use is bound so. name, replace: as `named` has them; None: keys of this process.

        Raises STATUS_INVALID_PARAMETER for a PIN or PCRs that no key can have.
        """
        raise unserved("give keys PINs of their own or bind them to the platform")

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

        Raises STATUS_NOT_SUPPORTED for a key without a name where the file says where the key is, and for a key of
        which the token gives no blob where the file is one.
        """
        raise unserved("be used by OpenSSL")

    def lend(self) -> object:
        """What another Python package of the token's kind works with on what this provider has open: python-pkcs11's
        `lib`. None where there is none.
        """
        return None

    def platform(self) -> Platform:
        """What the token says of itself, as it was opened. Costs no token call."""
        raise unserved("be part of a platform")

    def storage_root(self) -> PublicKeyMaterial:
        """The public half of the key below which the token's keys are. Costs no token call."""
        raise unserved("have a storage root key")

    def pcr_values(self, pcrs: Collection[int], bank: str = "SHA256") -> dict[int, bytes]:
        """What these platform configuration registers are now. bank: the CNG name of their hash.

        Raises STATUS_NOT_SUPPORTED for a bank or a PCR that the token does not have.
        """
        raise unserved("measure the platform")

    def quote(
        self, pcrs: Collection[int], nonce: bytes, bank: str = "SHA256", *, by: PrivateKey | None = None
    ) -> Quote:
        """The token's statement of what these PCRs are, by its attestation key; see `hwcng.attestation.verify_quote`.

        nonce: at most 32 bytes of the verifier's choice. by: another key of Usage.ATTEST that signs. Raises as
        `pcr_values` and `Attestable.attest`.
        """
        raise unserved("make statements about the platform")

    def endorsement(self, kind: str | None = None) -> Endorsement:
        """The key by which the token's maker vouches for it, and its certificate, where the token keeps it.

        kind: "RSA" or "EC"; None: the first that has a certificate. Raises STATUS_NOT_SUPPORTED where there is none.
        """
        raise unserved("have an endorsement key")

    def attestation_key(self) -> bytes:
        """The public area (TPMT_PUBLIC) of the key that signs the token's statements; see
        `hwcng.attestation.attestation_key_name`.
        """
        raise unserved("have an attestation key")

    def activate_credential(
        self,
        credential: Credential,
        *,
        key: PrivateKey | SecretKey | None = None,
        endorsement: Endorsement | None = None,
    ) -> bytes:
        """The secret of a credential that is for this token and its attestation key, or for `key`.

        endorsement: by which of its endorsement keys, None for what the verb of that name tells.

        Raises STATUS_INVALID_PARAMETER for a credential that is for another token, key or endorsement key.
        """
        raise unserved("activate credentials")

    def health(self, timeout: float = 5.0) -> Health:
        """Whether the token answers now and does what it is asked, by a few calls; connects again as an operation does.

        timeout: seconds after which it is told that no answer came. Never raises.
        """
        examination = self._examination
        if examination is None:
            examination = self._examination = Examination()
        return examination.run(self.token.label, self._examine, timeout)

    def _examine(self) -> tuple[str, ...]:
        """What is not wrong yet. Raises CngError where something is."""
        self.random(1)
        return ()

    def statistics(self) -> Statistics:
        """What it did since it was opened. Costs no token call."""
        raise unserved("count")

    def require_pin(self, pin: str | bytes) -> None:
        """Raises STATUS_SMARTCARD_WRONG_PIN where this process let itself in with another PIN than this one. Costs no
        token call, and no try.
        """

    def answers_to(self, uri: ProviderUri) -> bool:
        """Whether a URI that `Backend.same_token` takes to be this token's means it by all that it says, now that the
        token can be looked at.
        """
        return True

    @abc.abstractmethod
    def close(self) -> None:
        """Ends every key made here and gives everything back. A second call does nothing."""

    def __enter__(self) -> Provider:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
