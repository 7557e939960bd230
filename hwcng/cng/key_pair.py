"""Key pairs: empty, then finalized; the private half stays in the token. What differs is each family's.

Calls: BCryptGenerateKeyPair, BCryptFinalizeKeyPair, BCryptImportKeyPair, BCryptExportKey, BCryptSignHash,
BCryptVerifySignature, BCryptEncrypt, BCryptDecrypt, BCryptSecretAgreement, BCryptEncapsulate, BCryptDecapsulate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from hwcng.cng.agreement import Secret
from hwcng.cng.algorithm import Algorithm
from hwcng.cng.algorithm_handle import AlgorithmHandle, check_curve, check_export_policy
from hwcng.cng.blobs.wrapped import AES_KWP_KEY_BLOB
from hwcng.cng.derivation_key import resident_key
from hwcng.cng.families import FAMILIES, PairFamily
from hwcng.cng.families.request import PairRequest
from hwcng.cng.handles import attest, in_use
from hwcng.cng.key_usages import allowed_usage
from hwcng.cng.storable_key import StorableKey
from hwcng.cng.symmetric_key import SymmetricKey
from hwcng.contract.keys import AgreedSecret, PrivateKey, SecretKey
from hwcng.contract.making import KeyMaker
from hwcng.contract.material import DhDomain, DsaDomain, PrivateKeyMaterial, PublicKeyMaterial
from hwcng.contract.specs import DecryptSpec, PairSpec, SignSpec
from hwcng.contract.usage import Usage
from hwcng.errors import NTSTATUS, CngError, invalid_handle, invalid_parameter, not_supported, told
from hwcng.forking import lock_of
from hwcng.headers.bcrypt_h import BCRYPT_OPAQUE_KEY_BLOB, PaddingFlag
from hwcng.headers.ncrypt_h import ExportPolicy
from hwcng.loading import load
from hwcng.standards.curves import Curve
from hwcng.standards.parameter_sets import SHARED_SECRET_SIZE

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
    from cryptography.x509 import Certificate

    from hwcng.contract.attestation import Attestation

__all__ = ["KeyPair"]


class KeyPair(StorableKey, of=PrivateKey):
    """A key pair. Empty until `finalize`; a public key has no private half. Any number of threads may use one.

    requested_bits: the length that was asked for. allowed_usage: what the private half of an empty pair will be
    restricted to, None for nothing. domain, private_value (big-endian), parameter_set: what the properties DHParameters
    and DSAParameters, PrivKeyVal and ParameterSetName set on an empty pair, else None.
    """

    called = "a key pair"

    def __init__(self, handle: AlgorithmHandle, bits: int = 0) -> None:
        super().__init__()
        self.algorithm_handle = handle
        self.algorithm: Algorithm = handle.algorithm
        self.family: PairFamily[Any] = FAMILIES[handle.algorithm.family]
        self.export_policy = handle.export_policy
        self.curve: Curve | None = handle.curve
        self.curve_name: str | None = handle.curve_name
        self.domain: DhDomain | DsaDomain | None = None
        self.private_value: bytes | None = None
        self.parameter_set: str | None = None
        self.requested_bits = bits
        self.allowed_usage: Usage | None = None
        self._private: PrivateKey | None = None
        self._public: PublicKeyMaterial | None = None
        self._ready_to_sign: tuple[SignSpec, PrivateKey, Callable[[bytes], bytes], bool] | None = None
        self._release: Callable[[], None] | None = None

    def lend(self, handle: AlgorithmHandle, release: Callable[[], None]) -> KeyPair:
        """A handle of its own to this pair, on another algorithm handle; its end calls `release` and ends no key."""
        lent = KeyPair(handle).adopt(self.public, self._private)
        lent._release = release
        return lent

    @property
    def finalized(self) -> bool:
        return self._public is not None

    @property
    def bits(self) -> int:
        """The key's length in bits: of the modulus, the prime or the curve."""
        if self._public is not None:
            return self.family.bits(self._public)
        return self.curve.bits if self.curve else self.requested_bits

    @property
    def public(self) -> PublicKeyMaterial:
        """The public half. Raises STATUS_INVALID_HANDLE before `finalize`."""
        if self._public is None:
            raise invalid_handle("the key pair is not finalized")
        return self._public

    @property
    def private(self) -> PrivateKey:
        """The private half, in its token. Raises STATUS_INVALID_HANDLE before `finalize`, STATUS_INVALID_PARAMETER for
        a public key.
        """
        self.public  # noqa: B018
        if self._private is None:
            raise invalid_parameter("the key has no private half")
        return self._private

    @property
    def usage(self) -> Usage:
        """What the private half may do, or will be made for."""
        if self._private is not None:
            return self._private.spec.usage
        return self.family.usage(self.algorithm) if self.allowed_usage is None else self.allowed_usage

    def _require_usage(self, usage: Usage, what: str) -> None:
        if self._private is not None and usage not in self._private.spec.usage:
            raise not_supported(
                f"this {self.algorithm.name} key was not made to {what}: use one whose Usage has {usage.name}"
            )

    @property
    def has_private(self) -> bool:
        return self._private is not None

    @property
    def exportable(self) -> bool:
        return bool(self.export_policy & int(ExportPolicy.NCRYPT_ALLOW_EXPORT_FLAG))

    @classmethod
    def of_token(cls, handle: AlgorithmHandle, key: PrivateKey) -> KeyPair:
        return cls(handle).adopt(key.public, key)

    def in_token(self) -> PrivateKey:
        return self.private

    def take(self, key: SecretKey | PrivateKey) -> SecretKey | PrivateKey:
        before = self.private
        if not isinstance(key, PrivateKey) or key.public != before.public:
            key.destroy()
            raise invalid_handle(f"another key has the name {self.name!r} by now: open it again")
        self._private = key
        return before

    def _why_not_to_pickle(self) -> str:
        if self.finalized and not self.has_private:
            return "send its public blob, which BCryptExportKey makes and BCryptImportKeyPair reads"
        return super()._why_not_to_pickle()

    def __repr__(self) -> str:
        if not self.opened:
            return super().__repr__()
        kind = "empty" if not self.finalized else "pair" if self.has_private else "public"
        size = self.parameter_set or f"{self.bits} bits"
        return self._shown(self.algorithm.name, size, kind)

    def require_empty(self) -> None:
        """Raises STATUS_INVALID_HANDLE for a finalized pair."""
        if self.finalized:
            raise invalid_handle("the key pair is finalized")

    def set_bits(self, bits: int) -> None:
        """KeyLength of an empty pair, in bits; that of a finished one may be set to what it is."""
        if self.finalized and bits == self.bits:
            return
        self.require_empty()
        self.family.check_length(self.algorithm, self.curve, bits)
        self.requested_bits = bits

    def set_curve(self, name: str) -> None:
        """ECCCurveName of an empty pair of a generic algorithm."""
        self.require_empty()
        if not self.algorithm.generic_curve:
            raise not_supported(f"{self.algorithm.name} has its own curve")
        self.curve, self.curve_name = check_curve(name, self.algorithm), name

    def set_parameter_set(self, name: str) -> None:
        """ParameterSetName of an empty pair. Raises STATUS_INVALID_PARAMETER for a set that there is not."""
        if not self.algorithm.parameter_sets:
            raise not_supported(f"{self.algorithm.name} has no parameter sets")
        self.require_empty()
        if name not in self.algorithm.parameter_sets:
            sets = ", ".join(self.algorithm.parameter_sets)
            raise invalid_parameter(f"{self.algorithm.name} has the parameter sets {sets}, not {told(name)}")
        self.parameter_set = name

    def set_domain(self, name: str, blob: bytes) -> None:
        """DHParameters or DSAParameters of an empty pair."""
        if self.family.domain_property != name:
            raise not_supported(f"{self.algorithm.name} keys have no {name}")
        self.require_empty()
        self.domain = self.family.parse_domain(blob, self.requested_bits)

    def set_private_value(self, value: bytes) -> None:
        """PrivKeyVal of an empty pair, big-endian; kept until the token has it."""
        if not self.family.domain_property:
            raise not_supported(f"{self.algorithm.name} keys have no PrivKeyVal")
        self.require_empty()
        self.private_value = value

    def set_key_usage(self, flags: int) -> None:
        """Key Usage of an empty pair: what of all that pairs of the algorithm can do it may do."""
        self.require_empty()
        self.allowed_usage = allowed_usage(flags, self.family.possible_usage(self.algorithm), self.algorithm)

    def set_attesting(self) -> None:
        """Has an empty pair sign what its token states, and nothing else."""
        self.require_empty()
        if not self.algorithm.signs:
            raise not_supported(f"{self.algorithm.name} keys sign nothing")
        self.allowed_usage = Usage.ATTEST

    def set_export_policy(self, policy: int) -> None:
        self.require_empty()
        self.export_policy = check_export_policy(policy)

    def finalize(self) -> None:
        """Has the token make the pair. Raises STATUS_INVALID_HANDLE the second time; a failure leaves it empty."""
        with lock_of(self, "_finalizing").held():
            self.require_empty()
            private = self.generate()
            self._private, self._public = private, private.public
            self.private_value = None

    def request(self) -> PairRequest:
        """What is asked for as long as the pair is empty."""
        return PairRequest(
            self.algorithm,
            self.usage,
            self.requested_bits,
            self.curve,
            self.parameter_set,
            self.domain,
            self.exportable,
            self.private_value,
        )

    def spec_of(self, public: PublicKeyMaterial) -> PairSpec:
        """What the token is asked for to take the pair of `public`."""
        return self.family.spec(self.request(), public)

    def parse(self, blob_type: str, blob: bytes) -> PublicKeyMaterial | PrivateKeyMaterial:
        """The checked numbers of a blob. Raises STATUS_NOT_SUPPORTED for a blob type of another kind."""
        self.family.blob_type(self.algorithm, blob_type)
        return self.family.parse(self.request(), blob_type, blob)

    def generate(self, maker: KeyMaker | None = None) -> PrivateKey:
        """Has the token make the pair that this empty one asks for, or take it where the caller set PrivKeyVal.

        maker: of the token's keys, None for one of the process.
        """
        request, made_by = self.request(), maker or self.algorithm_handle.provider
        spec = self.family.spec(request)
        if request.private_value is None:
            return made_by.generate_pair(spec)
        return made_by.import_pair(spec, self.family.material(spec, request.private_value))

    def know(self, public: PublicKeyMaterial) -> None:
        """Takes over what an imported key says of itself."""
        traits = self.family.traits(public)
        if traits.curve is not None:
            self.curve, self.curve_name = traits.curve, self.curve_name or traits.curve.name
        self.parameter_set = traits.parameter_set or self.parameter_set

    def adopt(self, public: PublicKeyMaterial, private: PrivateKey | None) -> KeyPair:
        """Makes this empty pair the one that was imported."""
        self._private, self._public = private, public
        self.know(public)
        if private is not None:
            self.export_policy = int(ExportPolicy.NCRYPT_ALLOW_EXPORT_FLAG) if private.spec.exportable else 0
        return self

    def sign(self, padding_info: object, data: bytes, flags: int) -> bytes:
        """BCryptSignHash: RSA big-endian of modulus length; ECDSA and DSA r || s; ML-DSA as FIPS 204 has it."""
        plain, ready = padding_info is None and not flags, self._ready_to_sign
        if plain and ready is not None and ready[3]:
            return self._signed(ready[0], data, True)
        self.public  # noqa: B018
        return self._signed(self.family.sign_spec(self.algorithm, padding_info, flags), data, plain)

    def sign_as(self, spec: SignSpec, data: bytes) -> bytes:
        """`sign` in the words of the contract."""
        self.require_alive()
        return self._signed(spec, data, False)

    def _signed(self, spec: SignSpec, data: bytes, plain: bool) -> bytes:
        """A spec that is used again is prepared once. plain: whether it is what no padding info and no flags mean."""
        ready = self._ready_to_sign
        try:
            if ready is None or ready[0] is not spec or ready[1] is not self._private:
                public, private = self.public, self.private
                self._require_usage(Usage.SIGN, "sign")
                self.family.signable(public, spec, data)
                ready = self._ready_to_sign = spec, private, self.family.signer(public, private, spec), plain
            return ready[2](data)
        except CngError:
            self.require_alive()
            raise

    def verify(self, padding_info: object, data: bytes, signature: bytes, flags: int) -> None:
        """BCryptVerifySignature, on the host. Raises STATUS_INVALID_SIGNATURE."""
        public = self.public
        optional_oid = bool(flags & PaddingFlag.BCRYPT_PAD_PKCS1_OPTIONAL_HASH_OID)
        if optional_oid and not flags & PaddingFlag.BCRYPT_PAD_PKCS1:
            raise invalid_parameter("BCRYPT_PAD_PKCS1_OPTIONAL_HASH_OID goes with BCRYPT_PAD_PKCS1")
        # As an int: the complement of an IntFlag has no undefined bits, and would let them pass.
        spec = self.family.sign_spec(
            self.algorithm, padding_info, flags & ~int(PaddingFlag.BCRYPT_PAD_PKCS1_OPTIONAL_HASH_OID)
        )
        self.family.verify(public, spec, data, signature, optional_oid=optional_oid)

    def encrypt(self, plaintext: bytes, padding_info: object, flags: int) -> bytes:
        """BCryptEncrypt under the public half, on the host."""
        public = self.public
        return self.family.encrypt(public, self.family.decrypt_spec(self.algorithm, padding_info, flags), plaintext)

    @in_use
    def decrypt(self, ciphertext: bytes, padding_info: object, flags: int) -> bytes:
        """BCryptDecrypt in the token. Every failure of padding is the same STATUS_INVALID_PARAMETER."""
        self.public  # noqa: B018
        self._require_usage(Usage.DECRYPT, "decrypt")
        return self._decrypted(self.family.decrypt_spec(self.algorithm, padding_info, flags), ciphertext)

    @in_use
    def decrypt_as(self, spec: DecryptSpec, ciphertext: bytes) -> bytes:
        """`decrypt` in the words of the contract."""
        self.public  # noqa: B018
        self._require_usage(Usage.DECRYPT, "decrypt")
        return self._decrypted(spec, ciphertext)

    def _decrypted(self, spec: DecryptSpec, ciphertext: bytes) -> bytes:
        if not self.algorithm.encrypts:
            raise not_supported(f"{self.algorithm.name} keys do not encrypt")
        private = self.private
        self.family.check_ciphertext(private.public, ciphertext)
        return private.decrypt(spec, ciphertext)

    @in_use
    def agree_with(self, peer: PublicKeyMaterial) -> AgreedSecret:
        """The secret with a peer's public key, held by this key's token. The key may be one that signs too."""
        self._require_usage(Usage.DERIVE, "agree on secrets")
        self.family.check_peer(self.public, peer)
        return self.private.agree(peer)

    @in_use
    def agree(self, peer: KeyPair) -> Secret:
        """BCryptSecretAgreement: Z stays in this key's token."""
        ours, theirs = self.public, peer.public
        alike, agrees = self.algorithm.name == peer.algorithm.name, self.algorithm.agrees
        if not (alike and agrees) and not self._is_for_both(peer):
            if not alike:
                raise invalid_handle(f"{self.algorithm.name} and {peer.algorithm.name} keys do not agree on secrets")
            raise not_supported(f"{self.algorithm.name} keys do not agree on secrets")
        if self._private is None:
            raise invalid_handle("hPrivKey has no private half")
        group = self.family.check_peer(ours, theirs)
        return Secret(self.algorithm_handle, self._private.agree(theirs), group, self.family.field_bits(ours))

    def _is_for_both(self, peer: KeyPair) -> bool:
        """Whether both agree, and one is a stored key that its maker let sign and agree, as other software does."""
        if self.algorithm.family != peer.algorithm.family or (self.algorithm.agrees and peer.algorithm.agrees):
            return False
        return all(pair.algorithm.agrees or pair._signs_and_agrees for pair in (self, peer))

    @property
    def _signs_and_agrees(self) -> bool:
        return self._private is not None and bool(self._private.spec.usage & Usage.DERIVE)

    def encapsulate(self) -> tuple[bytes, bytes]:
        """BCryptEncapsulate: the shared secret and the ciphertext that carries it."""
        public = self.public
        if self.family.ciphertext_length(public) is None:
            raise not_supported(f"{self.algorithm.name} keys do not encapsulate")
        return self.family.encapsulate(public, lambda: self.algorithm_handle.provider)

    @in_use
    def decapsulate(self, ciphertext: bytes) -> bytes:
        """BCryptDecapsulate in the token. A forged ciphertext of the right length gives another secret, no error.

        Raises STATUS_INVALID_BUFFER_SIZE for a ciphertext of another length.
        """
        return self._decapsulating(ciphertext).decapsulate(ciphertext)

    @in_use
    def decapsulate_to_key(self, hAlgorithm: AlgorithmHandle, ciphertext: bytes) -> SymmetricKey:
        """The shared secret of a ciphertext as a key of 256 bits in the token, which CNG lacks: the host never has it.

        hAlgorithm: AES, a keyed hash, whose key BCryptCreateHash then takes as pbSecret, or a derivation algorithm; of
        the same provider.
        Raises as `decapsulate`, and STATUS_INVALID_HANDLE, STATUS_INVALID_PARAMETER for an algorithm without keys of
        256 bits and for another provider.
        """
        private = self._decapsulating(ciphertext)
        provider = self.algorithm_handle.provider
        make = partial(private.decapsulate_key, ciphertext)
        return resident_key(hAlgorithm, 8 * SHARED_SECRET_SIZE, provider, make)

    def _decapsulating(self, ciphertext: bytes) -> PrivateKey:
        length = self.family.ciphertext_length(self.public)
        if length is None:
            raise not_supported(f"{self.algorithm.name} keys do not decapsulate")
        private = self.private
        if len(ciphertext) != length:
            raise CngError(
                NTSTATUS.STATUS_INVALID_BUFFER_SIZE, f"a ciphertext of {length} bytes expected, {len(ciphertext)} given"
            )
        return private

    @in_use
    def export(self, blob_type: str, export_key: SymmetricKey | None = None) -> bytes:
        """A public blob, the token's own opaque one, or the private key wrapped under `export_key`.

        Raises STATUS_NOT_SUPPORTED for private plaintext blobs.
        """
        public = self.public
        if blob_type == AES_KWP_KEY_BLOB:
            if export_key is None:
                raise invalid_parameter(f"{blob_type} needs an AES key as hExportKey")
            return self.private.wrapped_under(export_key.token_key)
        if blob_type == BCRYPT_OPAQUE_KEY_BLOB:
            return self.private.opaque()
        if self.family.blob_type(self.algorithm, blob_type).private:
            if self._private is None:
                raise invalid_parameter("the key has no private half")
            raise not_supported(f"the private key stays in its token: {blob_type} would be its plaintext")
        return self.family.build(self.algorithm, public, blob_type)

    @property
    def certificates(self) -> tuple[Certificate, ...]:
        """The X.509 certificates that the token keeps for this named key: its own, then its issuers', as far as they
        are there; empty where there is none. Raises STATUS_NOT_SUPPORTED for a key without a name.
        """
        load("hwcng.cng.certificates")
        from hwcng.cng import certificates

        return certificates.read(self.algorithm_handle.provider, self.name)

    def store_certificates(self, certificates: Iterable[Certificate | bytes]) -> None:
        """Stores certificates for this named key, in the place of those that there are; they go when it is deleted or
        replaced. certificates: in DER or of `cryptography`: its own, then its issuers'; empty for none.

        Raises STATUS_INVALID_PARAMETER for a certificate of another key or a chain that is none, STATUS_NOT_SUPPORTED
        for a key without a name.
        """
        load("hwcng.cng.certificates")
        from hwcng.cng.certificates import store

        store(self.algorithm_handle.provider, self.name, self.public, certificates)

    def public_key(self) -> PublicKeyTypes:
        """The public half as a key of `cryptography`. Raises STATUS_NOT_SUPPORTED where that has no such keys,
        STATUS_INVALID_HANDLE before `finalize`.
        """
        load("hwcng.hostcrypto.host_keys")
        from hwcng.hostcrypto.host_keys import host_key

        return host_key(self.public)

    def as_cryptography(self) -> PrivateKeyTypes:
        """This pair as a private key of `cryptography`, for whatever takes one; it lives as long as the pair.

        Raises, as that does, UnsupportedAlgorithm where it has no such keys, ValueError for a pair that has no private
        half, or none yet.
        """
        load("hwcng.pyca.private_keys")
        from hwcng.pyca.private_keys import private_key_of

        return private_key_of(self)

    @in_use
    def attest(self, nonce: bytes) -> Attestation:
        """The token's statement that it holds this pair and how it was made; `hwcng.attestation` verifies it.

        nonce: at most 32 bytes of the verifier's choice. Raises STATUS_NOT_SUPPORTED where the token makes none.
        """
        return attest(self.private, nonce)

    @in_use
    def to_provider_pem(self) -> str:
        """What stands for this pair in a file that OpenSSL's provider for its token loads (`hwcng.interop.openssl`):
        the URI of a key in a PKCS#11 token, a TSS2 PRIVATE KEY of a TPM. No private material, no PIN.

        Raises STATUS_NOT_SUPPORTED for a key without a name in a PKCS#11 token, and for a key at a TPM's
        persistent handle.
        """
        return self.algorithm_handle.provider.openssl_key(self.private, self.name)

    def destroy(self) -> None:
        if self.alive:
            super().destroy()
            if self._opening is None:
                self.private_value = None
                if self._release is not None:
                    self._release()
                elif self._private is not None:
                    self._private.destroy()
