"""The narrow waist: what a token backend implements, and the typed specs it is given.

A backend knows keys and verbs. Chaining mode, running IV, block padding, handle and size rules live above, in
`hwcng.cng`. Numbers are Python ints, octet strings are bytes in the order of the algorithm's standard (big-endian
integers).
"""

from __future__ import annotations

import abc
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from hwcng.attestation import Attestation

__all__ = [
    "AesMode",
    "AgreedSecret",
    "Attestable",
    "Capabilities",
    "CipherSpec",
    "AeadSpec",
    "CmacSpec",
    "DecryptSpec",
    "EcPrivateKey",
    "EcPublicKey",
    "EcdsaSpec",
    "GmacSpec",
    "HmacSpec",
    "MacSpec",
    "PairSpec",
    "PrivateKey",
    "PrivateKeyMaterial",
    "Provider",
    "PublicKeyMaterial",
    "RsaOaepSpec",
    "RsaPkcs1DecryptSpec",
    "RsaPkcs1SignSpec",
    "RsaPrivateKey",
    "RsaPssSpec",
    "RsaPublicKey",
    "RsaRawSpec",
    "SecretFamily",
    "SecretKey",
    "SecretSpec",
    "SignSpec",
    "Support",
    "TokenInfo",
    "Usage",
]


class SecretFamily(enum.Enum):
    """What a secret key is for."""

    AES = "AES"
    HMAC = "HMAC"
    CMAC = "AES-CMAC"
    GMAC = "AES-GMAC"


class Usage(enum.Flag):
    """What the token lets a key do. A key gets exactly what its algorithm needs."""

    NONE = 0
    ENCRYPT = enum.auto()
    DECRYPT = enum.auto()
    SIGN = enum.auto()
    WRAP = enum.auto()
    UNWRAP = enum.auto()
    DERIVE = enum.auto()


class AesMode(enum.Enum):
    """Block cipher modes of SP 800-38A, C, D as CNG can ask for them."""

    ECB = "ECB"
    CBC = "CBC"
    CFB8 = "CFB8"
    CFB128 = "CFB128"
    GCM = "GCM"
    CCM = "CCM"


@dataclass(frozen=True, slots=True)
class SecretSpec:
    """A secret key to make. bits: key length in bits. hash_name: HMAC's hash, a CNG name such as "SHA256", else None.

    exportable: whether `wrap_key` and `opaque` may ever be asked of it.
    """

    family: SecretFamily
    bits: int
    usage: Usage
    exportable: bool = False
    hash_name: str | None = None


@dataclass(frozen=True, slots=True)
class CipherSpec:
    """ECB (iv empty), CBC, CFB8 or CFB128 over whole units; iv: 16 bytes."""

    mode: AesMode
    iv: bytes = b""


@dataclass(frozen=True, slots=True)
class AeadSpec:
    """GCM or CCM. tag_length in bytes. Ciphertext and tag travel as one string, the tag last."""

    mode: AesMode
    nonce: bytes
    aad: bytes
    tag_length: int


@dataclass(frozen=True, slots=True)
class HmacSpec:
    hash_name: str


@dataclass(frozen=True, slots=True)
class CmacSpec:
    """AES-CMAC, SP 800-38B, full 16-byte tag."""


@dataclass(frozen=True, slots=True)
class GmacSpec:
    """AES-GMAC, SP 800-38D, full 16-byte tag."""

    nonce: bytes


MacSpec: TypeAlias = HmacSpec | CmacSpec | GmacSpec


@dataclass(frozen=True, slots=True)
class RsaPkcs1SignSpec:
    """RSASSA-PKCS1-v1_5 (RFC 8017, 8.2). hash_name None: the digest is padded as it is, without DigestInfo."""

    hash_name: str | None


@dataclass(frozen=True, slots=True)
class RsaPssSpec:
    """RSASSA-PSS (RFC 8017, 8.1), MGF1 with the same hash. salt_length in bytes."""

    hash_name: str
    salt_length: int


@dataclass(frozen=True, slots=True)
class EcdsaSpec:
    """ECDSA (FIPS 186-5): r || s, each the width of the curve's order."""


@dataclass(frozen=True, slots=True)
class RsaPkcs1DecryptSpec:
    """RSAES-PKCS1-v1_5 (RFC 8017, 7.2)."""


@dataclass(frozen=True, slots=True)
class RsaOaepSpec:
    """RSAES-OAEP (RFC 8017, 7.1), MGF1 with the same hash."""

    hash_name: str
    label: bytes = b""


@dataclass(frozen=True, slots=True)
class RsaRawSpec:
    """RSADP without padding: input and output are modulus-length."""


SignSpec: TypeAlias = RsaPkcs1SignSpec | RsaPssSpec | EcdsaSpec
DecryptSpec: TypeAlias = RsaPkcs1DecryptSpec | RsaOaepSpec | RsaRawSpec


@dataclass(frozen=True, slots=True)
class RsaPublicKey:
    modulus: int
    public_exponent: int


@dataclass(frozen=True, slots=True)
class EcPublicKey:
    """curve: CNG's name of it, such as "nistP256". x, y: affine coordinates."""

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


@dataclass(frozen=True, slots=True)
class EcPrivateKey:
    """A private scalar with its public point, handed over by the caller for import."""

    public: EcPublicKey
    scalar: int = field(repr=False)


PublicKeyMaterial: TypeAlias = RsaPublicKey | EcPublicKey
PrivateKeyMaterial: TypeAlias = RsaPrivateKey | EcPrivateKey


@dataclass(frozen=True, slots=True)
class PairSpec:
    """A key pair to make or import.

    kind: "RSA" or "EC". bits: modulus length in bits (RSA). curve: CNG curve name (EC).
    usage: SIGN and/or DECRYPT for RSA; SIGN for ECDSA; DERIVE for ECDH.
    """

    kind: str
    usage: Usage
    bits: int = 0
    curve: str = ""
    exportable: bool = False


class Support(enum.Enum):
    """How a token serves an operation."""

    NATIVE = "native"
    COMPOSED = "composed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """Who the token is: strings as it reports them."""

    label: str
    manufacturer: str
    model: str
    serial: str
    firmware: str
    library: str


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What this token really does.

    operations: maps (algorithm, operation), such as ("AES", "GCM") or ("RSA", "PSS SHA256"), to how it is served.
    key_bits: maps an algorithm to the key lengths in bits that the token makes.
    reasons: for what is refused or composed, why.
    """

    token: TokenInfo
    operations: Mapping[tuple[str, str], Support]
    key_bits: Mapping[str, tuple[int, ...]]
    reasons: Mapping[tuple[str, str], str]


class SecretKey(abc.ABC):
    """A secret key in a token. Safe for any number of threads."""

    spec: SecretSpec

    @abc.abstractmethod
    def encrypt(self, spec: CipherSpec | AeadSpec, data: bytes) -> bytes: ...

    @abc.abstractmethod
    def decrypt(self, spec: CipherSpec | AeadSpec, data: bytes) -> bytes:
        """Raises STATUS_AUTH_TAG_MISMATCH where an AeadSpec's tag is wrong."""

    @abc.abstractmethod
    def mac(self, spec: MacSpec, data: bytes) -> bytes: ...

    @abc.abstractmethod
    def duplicate(self) -> SecretKey:
        """A key of the same value with a life of its own."""

    @abc.abstractmethod
    def wrap_key(self, key: SecretKey) -> bytes:
        """`key` under this one by AES key wrap (RFC 3394). Raises STATUS_NOT_SUPPORTED for a key that is not
        exportable.
        """

    @abc.abstractmethod
    def opaque(self) -> bytes:
        """The token's own protected form of this key, for `Provider.reload_opaque`."""

    @abc.abstractmethod
    def destroy(self) -> None:
        """Ends the key's life in the token. Never fails because the token is gone; a second call does nothing."""


@runtime_checkable
class Attestable(Protocol):
    """A key whose token can state that it holds it. Not every token can."""

    def attest(self, nonce: bytes) -> Attestation:
        """nonce: at most 32 bytes of the verifier's choice."""


class AgreedSecret(abc.ABC):
    """The value Z of a key agreement, held by the token where the token can hold it. Safe for any number of threads."""

    length: int
    """Bytes of Z, leading zeros kept."""

    @abc.abstractmethod
    def digest(self, hash_name: str, prefix: bytes, suffix: bytes) -> bytes:
        """hash(prefix || Z || suffix)."""

    @abc.abstractmethod
    def hmac(self, hash_name: str, data: bytes) -> bytes:
        """HMAC with Z as the key."""

    @abc.abstractmethod
    def half_hmac(self, half: int, hash_name: str, data: bytes) -> bytes:
        """HMAC with the first (0) or second (1) half of Z as the key: TLS 1.0 and 1.1 PRF (RFC 2246, section 5).

        Halves are ceil(length / 2) bytes long and share the middle byte where the length is odd.
        """

    @abc.abstractmethod
    def raw(self) -> bytes:
        """Z itself, big-endian. Raises STATUS_NOT_SUPPORTED unless the provider was opened with allow_raw_secret."""

    @abc.abstractmethod
    def destroy(self) -> None: ...


class PrivateKey(abc.ABC):
    """A private key in a token, with its public half at hand. Safe for any number of threads."""

    spec: PairSpec
    public: PublicKeyMaterial

    @abc.abstractmethod
    def sign_digest(self, spec: SignSpec, digest: bytes) -> bytes: ...

    @abc.abstractmethod
    def decrypt(self, spec: DecryptSpec, ciphertext: bytes) -> bytes:
        """Every failure of padding raises STATUS_INVALID_PARAMETER with one and the same message."""

    @abc.abstractmethod
    def agree(self, peer: PublicKeyMaterial) -> AgreedSecret:
        """`peer` is already checked to be a point of the same curve."""

    @abc.abstractmethod
    def opaque(self) -> bytes: ...

    @abc.abstractmethod
    def destroy(self) -> None: ...


class Provider(abc.ABC):
    """A token, open. A context manager; safe for any number of threads."""

    uri: str
    """Where this token is found again; never holds a PIN."""

    token: TokenInfo

    @abc.abstractmethod
    def capabilities(self) -> Capabilities:
        """What the token really does: probed by operation, once, and remembered."""

    @abc.abstractmethod
    def offers(self, algorithm: str, operation: str | None = None) -> Support:
        """Whether keys of a CNG algorithm ("AES", "AES-CMAC", "AES-GMAC", "HMAC-SHA256", "RSA", "ECDSA", "ECDH",
        "RNG"), or one operation of it, can be had here. Costs no token call after the provider is open.

        Operations: AES: an AesMode's value or "WRAP". RSA: "PKCS1", "PSS", "OAEP", "RAW". ECDSA, ECDH: a CNG curve
        name.
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

    @abc.abstractmethod
    def reload_opaque(self, blob: bytes) -> SecretKey | PrivateKey:
        """Raises STATUS_INVALID_PARAMETER for a blob that this token did not make or that was altered."""

    @abc.abstractmethod
    def close(self) -> None:
        """Ends every key made here and gives everything back. A second call does nothing."""

    def __enter__(self) -> Provider:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
