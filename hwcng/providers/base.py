"""The narrow waist: what a token backend implements, and the typed specs it is given.

A backend knows keys and verbs. Chaining mode, running IV, block padding, handle and size rules live above, in
`hwcng.cng`. Numbers are Python ints, octet strings are bytes in the order of the algorithm's standard (big-endian
integers).
"""

from __future__ import annotations

import abc
import enum
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn, Protocol, TypeAlias, runtime_checkable

from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.effective_length import EffectiveLength

if TYPE_CHECKING:
    from hwcng.attestation import Attestation
    from hwcng.providers.uri import Pkcs11Uri

__all__ = [
    "NOT_EXPORTABLE",
    "AgreedSecret",
    "Attestable",
    "Capabilities",
    "CipherMode",
    "CipherSpec",
    "AeadSpec",
    "CmacSpec",
    "CounterKdfSpec",
    "DecryptSpec",
    "DhDomain",
    "DhPrivateKey",
    "DhPublicKey",
    "DigestKdfSpec",
    "DsaDomain",
    "DsaPrivateKey",
    "DsaPublicKey",
    "DsaSpec",
    "EcPrivateKey",
    "EcPublicKey",
    "EcdsaSpec",
    "GmacSpec",
    "HkdfSpec",
    "HmacSpec",
    "KdfSpec",
    "KeyRecord",
    "KeyingMaterial",
    "MacSpec",
    "MlDsaPrivateKey",
    "MlDsaPublicKey",
    "MlDsaSpec",
    "MlKemPrivateKey",
    "MlKemPublicKey",
    "OfThisProcess",
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
    "WEAK_ALGORITHMS",
]


class SecretFamily(enum.Enum):
    """What a secret key is for."""

    AES = "AES"
    HMAC = "HMAC"
    CMAC = "AES-CMAC"
    GMAC = "AES-GMAC"
    DES = "DES"
    DESX = "DESX"
    DES3 = "3DES"
    DES3_112 = "3DES_112"
    RC2 = "RC2"
    RC4 = "RC4"
    XTS = "XTS-AES"
    CHACHA20_POLY1305 = "CHACHA20_POLY1305"
    KDF = "KDF"
    """The base key of a derivation function, octet by octet: digested, halved, extracted from."""


class Usage(enum.Flag):
    """What the token lets a key do. A key gets exactly what its algorithm needs."""

    NONE = 0
    ENCRYPT = enum.auto()
    DECRYPT = enum.auto()
    SIGN = enum.auto()
    WRAP = enum.auto()
    UNWRAP = enum.auto()
    DERIVE = enum.auto()
    DECAPSULATE = enum.auto()


class CipherMode(enum.Enum):
    """Modes of ciphers as CNG can ask for them: SP 800-38A, C, D and E, RFC 8439; STREAM is RC4."""

    ECB = "ECB"
    CBC = "CBC"
    CFB8 = "CFB8"
    CFB64 = "CFB64"
    CFB128 = "CFB128"
    GCM = "GCM"
    CCM = "CCM"
    XTS = "XTS"
    STREAM = "STREAM"
    POLY1305 = "POLY1305"


WEAK_ALGORITHMS = frozenset({"DES", "DESX", "3DES", "3DES_112", "RC2", "RC4", "HMAC-MD5", "HMAC-SHA1", "DSA"})
"""Algorithms for old data only (SP 800-131A r2, FIPS 186-5): opened by their name, never chosen by default."""


@dataclass(frozen=True, slots=True)
class SecretSpec:
    """A secret key to make. bits: key length in bits. hash_name: HMAC's hash, a CNG name such as "SHA256"; None for
    every hash that the token has.

    exportable: whether `wrap_key` and `opaque` may ever be asked of it. effective_bits: RC2's effective key length
    (RFC 2268), 0 for that of the key.
    """

    family: SecretFamily
    bits: int
    usage: Usage
    exportable: bool = False
    hash_name: str | None = None
    effective_bits: int = 0


@dataclass(frozen=True, slots=True)
class CipherSpec:
    """A mode without authentication over whole units. iv: one block, empty for ECB and STREAM.

    offset: bytes of an RC4 key stream that earlier calls used up. data_unit: bytes of one XTS data unit; iv is then the
    number of the first unit, 16 bytes little-endian.
    """

    mode: CipherMode
    iv: bytes = b""
    offset: int = 0
    data_unit: int = 0


@dataclass(frozen=True, slots=True)
class AeadSpec:
    """GCM, CCM or POLY1305. tag_length in bytes. Ciphertext and tag travel as one string, the tag last."""

    mode: CipherMode
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
class DsaSpec:
    """DSA (FIPS 186-4, section 4): r || s, each the width of the subprime."""


@dataclass(frozen=True, slots=True)
class MlDsaSpec:
    """ML-DSA (FIPS 204, section 5.2) of a message, not of a digest. context: 0 to 255 bytes.

    deterministic: the variant without fresh randomness; else hedged. external_mu: the input is the 64-byte mu.
    prehash: HashML-DSA (section 5.4): the input is this hash's digest of the message.
    """

    context: bytes = b""
    deterministic: bool = False
    external_mu: bool = False
    prehash: str | None = None


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


SignSpec: TypeAlias = RsaPkcs1SignSpec | RsaPssSpec | EcdsaSpec | DsaSpec | MlDsaSpec
DecryptSpec: TypeAlias = RsaPkcs1DecryptSpec | RsaOaepSpec | RsaRawSpec


@dataclass(frozen=True, slots=True)
class DigestKdfSpec:
    """hash(prefix || Z || suffix), its first bytes: CNG's HASH function, one step of SP 800-56A r3, 5.8.2."""

    hash_name: str
    prefix: bytes = b""
    suffix: bytes = b""


@dataclass(frozen=True, slots=True)
class HkdfSpec:
    """HKDF (RFC 5869). salt None: Z is the pseudorandom key already, and only the expansion is done."""

    hash_name: str
    salt: bytes | None
    info: bytes = b""


@dataclass(frozen=True, slots=True)
class CounterKdfSpec:
    """SP 800-108 r1, section 4.1, with HMAC: a 32-bit counter before the label, a zero octet and the context, and the
    length in bits as 32 bits behind.
    """

    hash_name: str
    label: bytes
    context: bytes


KdfSpec: TypeAlias = DigestKdfSpec | HkdfSpec | CounterKdfSpec


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


@dataclass(frozen=True, slots=True)
class PairSpec:
    """A key pair to make or import.

    kind: "RSA", "EC", "DH", "DSA", "ML-DSA" or "ML-KEM". bits: length of the modulus or prime (RSA, DH, DSA).
    curve: CNG curve name (EC). domain: the parameters to make the pair on (DH, DSA). parameter_set: such as "65".
    usage: SIGN, DECRYPT, UNWRAP for RSA; SIGN for ECDSA, DSA, ML-DSA; DERIVE for ECDH, DH; DECAPSULATE for ML-KEM.
    """

    kind: str
    usage: Usage
    bits: int = 0
    curve: str = ""
    exportable: bool = False
    domain: DhDomain | DsaDomain | None = None
    parameter_set: str = ""


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


class Support(enum.Enum):
    """How a token serves an operation."""

    NATIVE = "native"
    COMPOSED = "composed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """Who the token is: strings as it reports them. hardware, removable: as it says of itself."""

    label: str
    manufacturer: str
    model: str
    serial: str
    firmware: str
    library: str
    hardware: bool = True
    removable: bool = False


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What this token really does.

    operations: maps (algorithm, operation), such as ("AES", "GCM") or ("RSA", "PSS SHA256"), to how it is served.
    key_bits: maps an algorithm to the key lengths in bits that the token makes.
    reasons: for what is refused or composed, why. weak: those of its algorithms that are for old data only.
    """

    token: TokenInfo
    operations: Mapping[tuple[str, str], Support]
    key_bits: Mapping[str, tuple[int, ...]]
    reasons: Mapping[tuple[str, str], str]

    @property
    def weak(self) -> frozenset[str]:
        return WEAK_ALGORITHMS & {
            algorithm for (algorithm, _), support in self.operations.items() if support is not Support.REFUSED
        }


NOT_EXPORTABLE = (
    "the key's export policy forbids its export, and nothing changes that now: set the property Export Policy to "
    "NCRYPT_ALLOW_EXPORT_FLAG before a key is made, on the algorithm handle, or on the pair or NCrypt key that is not "
    "finalized"
)
"""Why a key that is not exportable does not leave its token, and what lets the next one."""


def _refused(what: str) -> CngError:
    return CngError(NTSTATUS.STATUS_NOT_SUPPORTED, f"this token or key does not {what}")


class OfThisProcess:
    """What stands for something that this process has open in a token: it is neither copied nor pickled."""

    __slots__ = ()

    def __reduce__(self) -> NoReturn:
        raise CngError(
            NTSTATUS.STATUS_NOT_SUPPORTED,
            f"a {type(self).__name__} can be neither pickled nor copied: it is what this process has open in a token. "
            "Send a named key, which travels as its URI, or open the token where it is used",
        )


class KeyingMaterial(OfThisProcess, abc.ABC):
    """A value that keys are derived from: Z of an agreement, or the base key of a derivation function.

    Held by the token where the token can hold it. Safe for any number of threads.
    """

    length: int
    """Bytes of the value, leading zeros kept."""

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

    def hkdf(self, spec: HkdfSpec, length: int) -> bytes:
        """`length` bytes of HKDF. The pseudorandom key stays where Z is."""
        raise _refused("do HKDF")

    def derive_key(self, kdf: KdfSpec, spec: SecretSpec) -> SecretKey:
        """A key of the token's, made of Z inside it: no byte of either is ever on the host."""
        raise _refused("derive keys that stay inside")


class SecretKey(OfThisProcess, abc.ABC):
    """A secret key in a token. Safe for any number of threads. name: by which the token keeps it, None for no name.

    effective: of an RC2 key, under which alone it encrypts; shared with every other key of the same value.
    """

    spec: SecretSpec
    name: str | None = None
    effective: EffectiveLength | None = None

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

    def keying_material(self) -> KeyingMaterial:
        """The derivation verbs of a KDF key, or an HMAC key for every hash; they end with this key."""
        raise _refused("derive keys")

    def wrapped_for(self, public: RsaPublicKey, spec: RsaPkcs1DecryptSpec | RsaOaepSpec) -> bytes:
        """This key encrypted inside the token to whoever has the private half of `public`: modulus-length, big-endian.

        Raises STATUS_NOT_SUPPORTED for a key that is not exportable.
        """
        raise _refused("wrap keys under RSA keys")

    def followed_by(self, data: bytes, spec: SecretSpec) -> SecretKey:
        """A key of this one's value and then `data`, joined inside the token. It needs Usage.DERIVE."""
        raise _refused("join keys and data")

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


class AgreedSecret(KeyingMaterial):
    """The value Z of a key agreement."""

    @abc.abstractmethod
    def hmac_of_itself(self, hash_name: str, prefix: bytes, suffix: bytes) -> bytes:
        """HMAC with Z as the key, of prefix || Z || suffix. Z is no longer than a block of the hash."""

    @abc.abstractmethod
    def raw(self) -> bytes:
        """Z itself, big-endian. Raises STATUS_NOT_SUPPORTED unless the provider was opened with allow_raw_secret."""

    @abc.abstractmethod
    def destroy(self) -> None: ...


class PrivateKey(OfThisProcess, abc.ABC):
    """A private key in a token, with its public half at hand. Safe for any number of threads. name: by which the token
    keeps it, None for no name.
    """

    spec: PairSpec
    name: str | None = None
    public: PublicKeyMaterial

    @abc.abstractmethod
    def sign_digest(self, spec: SignSpec, digest: bytes) -> bytes: ...

    def sign_message(self, spec: MlDsaSpec, message: bytes) -> bytes:
        """A signature of the message itself, by an algorithm that hashes it in its own way."""
        raise _refused("sign messages")

    @abc.abstractmethod
    def decrypt(self, spec: DecryptSpec, ciphertext: bytes) -> bytes:
        """Every failure of padding raises STATUS_INVALID_PARAMETER with one and the same message."""

    def session_copy(self) -> PrivateKey:
        """A key of the same value that is this process' alone: it lives on when a named key is replaced or deleted."""
        raise _refused("copy private keys")

    def unwrap_secret(
        self,
        spec: SecretSpec,
        wrapped: bytes,
        encryption: RsaPkcs1DecryptSpec | RsaOaepSpec,
        lengths: Collection[int] = (),
    ) -> SecretKey:
        """The key that was encrypted to this pair, undone inside the token. It needs Usage.UNWRAP.

        spec.bits: the length that the key must have, 0 for any of `lengths`, in bits. Everything that can be wrong with
        `wrapped` raises STATUS_INVALID_PARAMETER with one and the same message and no cause, after the same steps. What
        the token cannot do is refused before `wrapped` is decrypted.
        """
        raise _refused("unwrap keys with RSA keys")

    @abc.abstractmethod
    def agree(self, peer: PublicKeyMaterial) -> AgreedSecret:
        """`peer` is already checked to be of the same curve or group."""

    def decapsulate(self, ciphertext: bytes) -> bytes:
        """The shared secret of a ciphertext of the right length (FIPS 203, section 7.3). A forged one gives another
        secret, never an error.
        """
        raise _refused("decapsulate")

    def decapsulate_key(self, ciphertext: bytes, spec: SecretSpec) -> SecretKey:
        """The shared secret as a key of the token's, of 256 bits: no byte of it is ever on the host."""
        raise _refused("decapsulate into keys that stay inside")

    @abc.abstractmethod
    def opaque(self) -> bytes: ...

    @abc.abstractmethod
    def destroy(self) -> None: ...


class Provider(OfThisProcess, abc.ABC):
    """A token, open. A context manager; safe for any number of threads."""

    uri: str
    """Where this token is found again; never holds a PIN."""

    token: TokenInfo

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
        raise _refused("encapsulate")

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
        raise _refused("keep keys")

    def open_key(self, name: str, *, pin: str | bytes | None = None) -> SecretKey | PrivateKey:
        """The key of that name. It comes back by itself after a loss of the token and in a forked child.

        pin: the authorization value of a key that has one of its own, as a TPM's may.

        Raises NTE_BAD_KEYSET where there is none, NTE_KEYSET_ENTRY_BAD where there are several or it is damaged.
        """
        raise _refused("keep keys")

    def list_keys(self) -> Iterator[KeyRecord]:
        """The named keys, in no order."""
        raise _refused("keep keys")

    def delete_key(self, name: str) -> None:
        """Ends a named key for good. Raises NTE_BAD_KEYSET where there is none."""
        raise _refused("keep keys")

    def key_uri(self, name: str) -> str:
        """Where the named key is found again, from any process: this provider's URI with the object's name, no PIN."""
        raise _refused("keep keys")

    def answers_to(self, uri: Pkcs11Uri) -> bool:
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
