"""Key pairs: empty, then finalized; signatures, decryption and agreement with the private half in the token.

Standards: RFC 8017 (RSA), FIPS 186-5 (ECDSA), SP 800-56A r3 (ECDH).
Calls: BCryptGenerateKeyPair, BCryptFinalizeKeyPair, BCryptImportKeyPair, BCryptExportKey, BCryptSignHash,
BCryptVerifySignature, BCryptEncrypt, BCryptDecrypt, BCryptSecretAgreement.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from hwcng.cng import host
from hwcng.cng.agreement import Secret
from hwcng.cng.algorithm import AlgorithmHandle, ExportPolicy, check_curve, check_export_policy
from hwcng.cng.algorithms import Algorithm
from hwcng.cng.blobs import (
    BCRYPT_ECCFULLPUBLIC_BLOB,
    BCRYPT_ECCPUBLIC_BLOB,
    BCRYPT_OPAQUE_KEY_BLOB,
    BCRYPT_PUBLIC_KEY_BLOB,
    BCRYPT_RSAPUBLIC_BLOB,
    BLOB_TYPES,
    BlobFamily,
    EccFamily,
    build_ecc_full_public,
    build_ecc_public,
    build_rsa_public,
    parse_ecc,
    parse_rsa,
)
from hwcng.cng.handles import Handle, attest, invalid_handle, invalid_parameter, not_supported, octets
from hwcng.cng.padding import (
    BCRYPT_OAEP_PADDING_INFO,
    BCRYPT_PKCS1_PADDING_INFO,
    BCRYPT_PSS_PADDING_INFO,
)
from hwcng.curves import CURVES, Curve
from hwcng.forking import ProcessLock
from hwcng.hashes import HASHES, HashFunction
from hwcng.providers.base import (
    DecryptSpec,
    EcdsaSpec,
    EcPrivateKey,
    EcPublicKey,
    PairSpec,
    PrivateKey,
    PrivateKeyMaterial,
    PublicKeyMaterial,
    RsaOaepSpec,
    RsaPkcs1DecryptSpec,
    RsaPkcs1SignSpec,
    RsaPrivateKey,
    RsaPssSpec,
    RsaPublicKey,
    RsaRawSpec,
    SecretKey,
    SignSpec,
    Usage,
)

if TYPE_CHECKING:
    from hwcng.attestation import Attestation

__all__ = ["KeyPair", "PaddingFlag", "create", "import_blob"]

PKCS1_OVERHEAD = 11
PSS_OVERHEAD = 2


class PaddingFlag(enum.IntFlag):
    """dwFlags of the asymmetric calls."""

    BCRYPT_PAD_NONE = 0x1
    BCRYPT_PAD_PKCS1 = 0x2
    BCRYPT_PAD_OAEP = 0x4
    BCRYPT_PAD_PSS = 0x8
    BCRYPT_PAD_PKCS1_OPTIONAL_HASH_OID = 0x10


class KeyPair(Handle):
    """A key pair. Empty until `finalize`; a public key has no private half. Any number of threads may use one."""

    def __init__(self, handle: AlgorithmHandle, bits: int = 0) -> None:
        super().__init__()
        self.algorithm_handle = handle
        self.algorithm: Algorithm = handle.algorithm
        self.export_policy = handle.export_policy
        self.curve: Curve | None = handle.curve
        self.curve_name: str | None = handle.curve_name
        self._bits = bits
        self._private: PrivateKey | None = None
        self._public: PublicKeyMaterial | None = None
        self._finalizing = ProcessLock()

    @property
    def finalized(self) -> bool:
        return self._public is not None

    @property
    def bits(self) -> int:
        """The key's length in bits: of the modulus or of the curve."""
        if isinstance(self._public, RsaPublicKey):
            return self._public.modulus.bit_length()
        return self.curve.bits if self.curve else self._bits

    @property
    def public(self) -> PublicKeyMaterial:
        """The public half. Raises STATUS_INVALID_HANDLE before `finalize`."""
        if self._public is None:
            raise invalid_handle("the key pair is not finalized")
        return self._public

    @property
    def has_private(self) -> bool:
        return self._private is not None

    def __repr__(self) -> str:
        kind = "empty" if not self.finalized else "pair" if self.has_private else "public"
        return f"<KeyPair {self.algorithm.name} {self.bits} bits {kind}{'' if self.alive else ' destroyed'}>"

    def _require_empty(self) -> None:
        if self.finalized:
            raise invalid_handle("the key pair is finalized")

    def set_bits(self, bits: int) -> None:
        """KeyLength of an empty pair, in bits."""
        self._require_empty()
        check_length(self.algorithm, self.curve, bits)
        self._bits = bits

    def set_curve(self, name: str) -> None:
        """ECCCurveName of an empty pair of a generic algorithm."""
        self._require_empty()
        if not self.algorithm.generic_curve:
            raise not_supported(f"{self.algorithm.name} has its own curve")
        self.curve, self.curve_name = check_curve(name), name

    def set_export_policy(self, policy: int) -> None:
        self._require_empty()
        self.export_policy = check_export_policy(policy)

    def _spec(self) -> PairSpec:
        exportable = bool(self.export_policy & ExportPolicy.NCRYPT_ALLOW_EXPORT_FLAG)
        if not self.algorithm.elliptic:
            usage = Usage.SIGN | (Usage.DECRYPT if self.algorithm.encrypts else Usage.NONE)
            return PairSpec("RSA", usage, bits=self._bits, exportable=exportable)
        if self.curve is None:
            raise invalid_parameter(f"{self.algorithm.name} needs a curve: set ECCCurveName")
        check_length(self.algorithm, self.curve, self._bits)
        usage = Usage.DERIVE if self.algorithm.agrees else Usage.SIGN
        return PairSpec("EC", usage, curve=self.curve.name, exportable=exportable)

    def finalize(self) -> None:
        """Has the token make the pair. Raises STATUS_INVALID_HANDLE the second time; a failure leaves it empty."""
        with self._finalizing.held():
            self._require_empty()
            private = self.algorithm_handle.provider.generate_pair(self._spec())
            self._private, self._public = private, private.public

    def adopt(self, public: PublicKeyMaterial, private: PrivateKey | None) -> KeyPair:
        """Makes this empty pair the one that was imported."""
        self._private, self._public = private, public
        if isinstance(public, EcPublicKey):
            self.curve = CURVES[public.curve]
            self.curve_name = self.curve_name or public.curve
        else:
            self._bits = public.modulus.bit_length()
        if private is not None:
            self.export_policy = int(ExportPolicy.NCRYPT_ALLOW_EXPORT_FLAG) if private.spec.exportable else 0
        return self

    def _require_private(self) -> PrivateKey:
        self.public  # noqa: B018
        if self._private is None:
            raise invalid_parameter("the key has no private half")
        return self._private

    def sign(self, padding_info: object, digest: bytes, flags: int) -> bytes:
        """BCryptSignHash: RSA big-endian of modulus length, ECDSA r || s."""
        public = self.public
        spec = self._sign_spec(padding_info, flags)
        private = self._require_private()
        digest = _checked_digest(public, spec, digest)
        return private.sign_digest(spec, digest)

    def verify(self, padding_info: object, digest: bytes, signature: bytes, flags: int) -> None:
        """BCryptVerifySignature, on the host. Raises STATUS_INVALID_SIGNATURE."""
        public = self.public
        optional_oid = bool(flags & PaddingFlag.BCRYPT_PAD_PKCS1_OPTIONAL_HASH_OID)
        if optional_oid and not flags & PaddingFlag.BCRYPT_PAD_PKCS1:
            raise invalid_parameter("BCRYPT_PAD_PKCS1_OPTIONAL_HASH_OID goes with BCRYPT_PAD_PKCS1")
        # As an int: the complement of an IntFlag has no undefined bits, and would let them pass.
        spec = self._sign_spec(padding_info, flags & ~int(PaddingFlag.BCRYPT_PAD_PKCS1_OPTIONAL_HASH_OID))
        host.verify(public, spec, digest, signature, optional_oid=optional_oid)

    def _sign_spec(self, padding_info: object, flags: int) -> SignSpec:
        if self.algorithm.agrees:
            raise not_supported(f"{self.algorithm.name} keys make no signatures")
        if self.algorithm.elliptic:
            if padding_info is not None or flags:
                raise invalid_parameter("ECDSA takes neither pPaddingInfo nor flags")
            return EcdsaSpec()
        if flags == PaddingFlag.BCRYPT_PAD_PKCS1 and isinstance(padding_info, BCRYPT_PKCS1_PADDING_INFO):
            name = padding_info.pszAlgId
            return RsaPkcs1SignSpec(None if name is None else _hash(name).name)
        if flags == PaddingFlag.BCRYPT_PAD_PSS and isinstance(padding_info, BCRYPT_PSS_PADDING_INFO):
            salt_length = padding_info.cbSalt
            if padding_info.pszAlgId is None or not isinstance(salt_length, int) or salt_length < 0:
                raise invalid_parameter("PSS needs a hash and the length of its salt")
            return RsaPssSpec(_hash(padding_info.pszAlgId).name, salt_length)
        raise invalid_parameter(
            "an RSA signature needs BCRYPT_PAD_PKCS1 with BCRYPT_PKCS1_PADDING_INFO or BCRYPT_PAD_PSS with "
            "BCRYPT_PSS_PADDING_INFO"
        )

    def encrypt(self, plaintext: bytes, padding_info: object, flags: int) -> bytes:
        """BCryptEncrypt under the public half, on the host."""
        public, spec = self._rsa_public(), self._decrypt_spec(padding_info, flags)
        return host.rsa_encrypt(public, spec, plaintext)

    def decrypt(self, ciphertext: bytes, padding_info: object, flags: int) -> bytes:
        """BCryptDecrypt in the token. Every failure of padding is the same STATUS_INVALID_PARAMETER."""
        public, spec = self._rsa_public(), self._decrypt_spec(padding_info, flags)
        private = self._require_private()
        size = (public.modulus.bit_length() + 7) // 8
        if len(ciphertext) != size or int.from_bytes(ciphertext, "big") >= public.modulus:
            raise invalid_parameter(f"RSA: a ciphertext is a number of {size} bytes below the modulus")
        return private.decrypt(spec, ciphertext)

    def _rsa_public(self) -> RsaPublicKey:
        public = self.public
        if not self.algorithm.encrypts or not isinstance(public, RsaPublicKey):
            raise not_supported(f"{self.algorithm.name} keys do not encrypt")
        return public

    @staticmethod
    def _decrypt_spec(padding_info: object, flags: int) -> DecryptSpec:
        if flags in (0, PaddingFlag.BCRYPT_PAD_NONE):
            return RsaRawSpec()
        if flags == PaddingFlag.BCRYPT_PAD_PKCS1:
            return RsaPkcs1DecryptSpec()
        if flags == PaddingFlag.BCRYPT_PAD_OAEP and isinstance(padding_info, BCRYPT_OAEP_PADDING_INFO):
            if padding_info.pszAlgId is None:
                raise invalid_parameter("OAEP needs a hash")
            label = b"" if padding_info.pbLabel is None else octets(padding_info.pbLabel, "pbLabel")
            return RsaOaepSpec(_hash(padding_info.pszAlgId).name, label)
        raise invalid_parameter(
            "RSA takes BCRYPT_PAD_NONE, BCRYPT_PAD_PKCS1 or BCRYPT_PAD_OAEP with BCRYPT_OAEP_PADDING_INFO"
        )

    def agree(self, peer: KeyPair) -> Secret:
        """BCryptSecretAgreement: Z stays in this key's token."""
        ours, theirs = self.public, peer.public
        if self.algorithm.name != peer.algorithm.name:
            raise invalid_handle(f"{self.algorithm.name} and {peer.algorithm.name} keys do not agree on secrets")
        if not self.algorithm.agrees:
            raise not_supported(f"{self.algorithm.name} keys do not agree on secrets")
        if self._private is None:
            raise invalid_handle("hPrivKey has no private half")
        if not isinstance(ours, EcPublicKey) or not isinstance(theirs, EcPublicKey) or ours.curve != theirs.curve:
            raise invalid_parameter("the two keys are not on the same curve")
        return Secret(self.algorithm_handle, self._private.agree(theirs), CURVES[ours.curve])

    def export(self, blob_type: str) -> bytes:
        """A public blob, or the token's own opaque one. Raises STATUS_NOT_SUPPORTED for private plaintext blobs."""
        public = self.public
        if blob_type == BCRYPT_OPAQUE_KEY_BLOB:
            return self._require_private().opaque()
        row = BLOB_TYPES.get(blob_type)
        own = BlobFamily.ECC if self.algorithm.elliptic else BlobFamily.RSA
        if row is None or row.family not in (own, BlobFamily.PAIR):
            raise not_supported(f"{blob_type!r} is not a blob type of {self.algorithm.name}")
        if row.private:
            if self._private is None:
                raise invalid_parameter("the key has no private half")
            raise not_supported(f"the private key stays in its token: {blob_type} would be its plaintext")
        if isinstance(public, RsaPublicKey) and blob_type in (BCRYPT_RSAPUBLIC_BLOB, BCRYPT_PUBLIC_KEY_BLOB):
            return build_rsa_public(public)
        if isinstance(public, EcPublicKey):
            family = _ecc_family(self.algorithm)
            if blob_type == BCRYPT_ECCFULLPUBLIC_BLOB:
                return build_ecc_full_public(public, family)
            if blob_type in (BCRYPT_ECCPUBLIC_BLOB, BCRYPT_PUBLIC_KEY_BLOB):
                return build_ecc_public(public, family, self.algorithm.generic_curve)
        raise not_supported(f"{blob_type!r} is not exported")

    def attest(self, nonce: bytes) -> Attestation:
        """The token's statement that it holds this pair and how it was made; `hwcng.attestation` verifies it.

        nonce: at most 32 bytes of the verifier's choice. Raises STATUS_NOT_SUPPORTED where the token makes none.
        """
        return attest(self._require_private(), nonce)

    def destroy(self) -> None:
        if self._alive:
            super().destroy()
            if self._private is not None:
                self._private.destroy()


def _ecc_family(algorithm: Algorithm) -> EccFamily:
    return "ECDH" if algorithm.agrees else "ECDSA"


def _hash(name: str) -> HashFunction:
    hash_function = HASHES.get(name) if isinstance(name, str) else None
    if hash_function is None:
        raise not_supported(f"{name!r} is not a hash algorithm")
    return hash_function


def _checked_digest(public: PublicKeyMaterial, spec: SignSpec, digest: bytes) -> bytes:
    """The digest as the token may see it. Raises STATUS_INVALID_PARAMETER for one that the signature cannot hold."""
    if not digest:
        raise invalid_parameter("the digest is empty")
    if isinstance(public, EcPublicKey):
        # ECDSA uses the leftmost bits, as many as the order has (FIPS 186-5, section 6.4.1).
        return digest[: CURVES[public.curve].coordinate_size]
    bits = public.modulus.bit_length()
    size = (bits + 7) // 8
    if isinstance(spec, EcdsaSpec):
        raise not_supported("an RSA key makes no ECDSA signature")
    if spec.hash_name is not None and len(digest) != HASHES[spec.hash_name].digest_size:
        raise invalid_parameter(
            f"a {spec.hash_name} digest has {HASHES[spec.hash_name].digest_size} bytes, {len(digest)} given"
        )
    if isinstance(spec, RsaPssSpec):
        needed, room = len(digest) + spec.salt_length + PSS_OVERHEAD, (bits + 6) // 8
    else:
        prefix = len(HASHES[spec.hash_name].digest_info_prefix) if spec.hash_name else 0
        needed, room = prefix + len(digest) + PKCS1_OVERHEAD, size
    if needed > room:
        raise invalid_parameter(f"the signature needs a block of {needed} bytes, the key has {room}")
    return digest


def check_length(algorithm: Algorithm, curve: Curve | None, bits: int) -> None:
    """Raises STATUS_INVALID_PARAMETER for a dwLength that the algorithm does not have."""
    if algorithm.generic_curve:
        allowed = curve is None or bits in (0, curve.bits)
    else:
        allowed = algorithm.key_lengths is not None and bits in algorithm.key_lengths
    if not allowed:
        raise invalid_parameter(f"{algorithm.name} has no keys of {bits} bits")


def create(handle: AlgorithmHandle, bits: int) -> KeyPair:
    """BCryptGenerateKeyPair: an empty pair. Nothing reaches the token before `finalize`."""
    if not handle.algorithm.asymmetric:
        raise not_supported(f"{handle.name} does not use key pairs")
    check_length(handle.algorithm, handle.curve, bits)
    return KeyPair(handle, bits)


def import_blob(handle: AlgorithmHandle, blob_type: str, blob: bytes) -> KeyPair:
    """BCryptImportKeyPair: a public key of the host, or a pair whose private half goes into the token."""
    algorithm = handle.algorithm
    if not algorithm.asymmetric:
        raise not_supported(f"{handle.name} does not use key pairs")
    pair = KeyPair(handle)
    if blob_type == BCRYPT_OPAQUE_KEY_BLOB:
        return _reload(pair, blob)
    row = BLOB_TYPES.get(blob_type)
    own = BlobFamily.ECC if algorithm.elliptic else BlobFamily.RSA
    if row is None or row.family not in (own, BlobFamily.PAIR):
        raise not_supported(f"{blob_type!r} is not a blob type of {handle.name}")
    material: PublicKeyMaterial | PrivateKeyMaterial
    if algorithm.elliptic:
        material = parse_ecc(
            blob, blob_type, curve=handle.curve, family=_ecc_family(algorithm), generic=algorithm.generic_curve
        )
    else:
        material = parse_rsa(blob, blob_type)
        lengths = algorithm.key_lengths
        bits = material.modulus.bit_length()
        if lengths is None or not lengths.dwMinLength <= bits <= lengths.dwMaxLength:
            raise invalid_parameter(f"{handle.name} has no keys of {bits} bits")
    if isinstance(material, (RsaPublicKey, EcPublicKey)):
        host.check_public(material)
        return pair.adopt(material, None)
    host.check_private(material)
    return _import_private(pair, material)


def _import_private(pair: KeyPair, material: RsaPrivateKey | EcPrivateKey) -> KeyPair:
    exportable = bool(pair.export_policy & ExportPolicy.NCRYPT_ALLOW_EXPORT_FLAG)
    algorithm = pair.algorithm
    if isinstance(material, EcPrivateKey):
        usage = Usage.DERIVE if algorithm.agrees else Usage.SIGN
        spec = PairSpec("EC", usage, curve=material.public.curve, exportable=exportable)
    else:
        usage = Usage.SIGN | (Usage.DECRYPT if algorithm.encrypts else Usage.NONE)
        spec = PairSpec("RSA", usage, bits=material.modulus.bit_length(), exportable=exportable)
    private = pair.algorithm_handle.provider.import_pair(spec, material)
    return pair.adopt(private.public, private)


def _reload(pair: KeyPair, blob: bytes) -> KeyPair:
    algorithm = pair.algorithm
    key = pair.algorithm_handle.provider.reload_opaque(blob)
    needed = Usage.DERIVE if algorithm.agrees else Usage.SIGN
    if algorithm.encrypts:
        needed |= Usage.DECRYPT
    if (
        isinstance(key, SecretKey)
        or (key.spec.kind == "EC") is not algorithm.elliptic
        or needed & ~key.spec.usage
        or (pair.curve is not None and key.spec.curve != pair.curve.name)
    ):
        key.destroy()
        raise invalid_parameter(f"the opaque blob holds no {algorithm.name} key")
    return pair.adopt(key.public, key)
