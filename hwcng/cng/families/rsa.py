"""RSA pairs (RFC 8017): BCRYPT_RSA_ALGORITHM and BCRYPT_RSA_SIGN_ALGORITHM."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwcng.arguments import number, optional_octets
from hwcng.cng.algorithm_table import Algorithm
from hwcng.cng.blobs import (
    BCRYPT_PUBLIC_KEY_BLOB,
    BCRYPT_RSAPUBLIC_BLOB,
    LEGACY_RSAPUBLIC_BLOB,
    BlobFamily,
    build_capi_rsa_public,
    build_rsa_public,
    parse_rsa,
)
from hwcng.cng.families.base import PairFamily, hash_named
from hwcng.cng.flags import PaddingFlag
from hwcng.cng.handles import invalid_parameter, not_supported
from hwcng.cng.padding import BCRYPT_OAEP_PADDING_INFO, BCRYPT_PKCS1_PADDING_INFO, BCRYPT_PSS_PADDING_INFO
from hwcng.contract.material import RsaPrivateKey, RsaPublicKey
from hwcng.contract.specs import (
    DecryptSpec,
    PairSpec,
    RsaOaepSpec,
    RsaPkcs1DecryptSpec,
    RsaPkcs1SignSpec,
    RsaPssSpec,
    RsaRawSpec,
    SignSpec,
)
from hwcng.contract.usage import Usage
from hwcng.errors import told
from hwcng.hostcrypto import rsa
from hwcng.standards.hashes import HASHES

if TYPE_CHECKING:
    from hwcng.cng.key_pair import KeyPair

__all__ = ["RsaFamily"]

CALG_RSA_SIGN, CALG_RSA_KEYX = 0x2400, 0xA400
PKCS1_OVERHEAD = 11
PSS_OVERHEAD = 2


def _size(public: RsaPublicKey) -> int:
    return (public.modulus.bit_length() + 7) // 8


class RsaFamily(PairFamily[RsaPublicKey]):
    kind = "RSA"
    blobs = BlobFamily.RSA

    def bits(self, public: RsaPublicKey) -> int:
        return public.modulus.bit_length()

    def usage(self, algorithm: Algorithm) -> Usage:
        return Usage.SIGN | (Usage.DECRYPT if algorithm.encrypts else Usage.NONE)

    def spec(self, pair: KeyPair, public: RsaPublicKey | None = None) -> PairSpec:
        bits = pair.bits if public is None else self.bits(public)
        return PairSpec(self.kind, pair.usage, bits=bits, exportable=pair.exportable)

    def sign_spec(self, pair: KeyPair, padding_info: object, flags: int) -> SignSpec:
        if flags == PaddingFlag.BCRYPT_PAD_PKCS1 and isinstance(padding_info, BCRYPT_PKCS1_PADDING_INFO):
            name = padding_info.pszAlgId
            return RsaPkcs1SignSpec(None if name is None else hash_named(name).name)
        if flags == PaddingFlag.BCRYPT_PAD_PSS and isinstance(padding_info, BCRYPT_PSS_PADDING_INFO):
            salt_length = number(padding_info.cbSalt, "cbSalt")
            if padding_info.pszAlgId is None:
                raise invalid_parameter("PSS needs a hash and the length of its salt")
            return RsaPssSpec(hash_named(padding_info.pszAlgId).name, salt_length)
        raise invalid_parameter(
            "an RSA signature needs BCRYPT_PAD_PKCS1 with BCRYPT_PKCS1_PADDING_INFO or BCRYPT_PAD_PSS with "
            "BCRYPT_PSS_PADDING_INFO"
        )

    def signable(self, public: RsaPublicKey, spec: SignSpec, data: bytes) -> bytes:
        if not isinstance(spec, (RsaPkcs1SignSpec, RsaPssSpec)):
            raise not_supported(f"an RSA key makes no {type(spec).__name__.removesuffix('Spec')} signature")
        if not data:
            raise invalid_parameter("the digest is empty")
        if spec.hash_name is not None and len(data) != HASHES[spec.hash_name].digest_size:
            raise invalid_parameter(
                f"a {spec.hash_name} digest has {HASHES[spec.hash_name].digest_size} bytes, {len(data)} given"
            )
        if isinstance(spec, RsaPssSpec):
            needed, room = len(data) + spec.salt_length + PSS_OVERHEAD, (public.modulus.bit_length() + 6) // 8
        else:
            prefix = len(HASHES[spec.hash_name].digest_info_prefix) if spec.hash_name else 0
            needed, room = prefix + len(data) + PKCS1_OVERHEAD, _size(public)
        if needed > room:
            raise invalid_parameter(f"the signature needs a block of {needed} bytes, the key has {room}")
        return data

    def verify(
        self, public: RsaPublicKey, spec: SignSpec, data: bytes, signature: bytes, *, optional_oid: bool
    ) -> None:
        rsa.verify(public, spec, data, signature, optional_oid=optional_oid)

    def encrypt(self, pair: KeyPair, plaintext: bytes, padding_info: object, flags: int) -> bytes:
        public, spec = self._public(pair), self._decrypt_spec(padding_info, flags)
        return rsa.encrypt(public, spec, plaintext)

    def decrypt(self, pair: KeyPair, ciphertext: bytes, padding_info: object, flags: int) -> bytes:
        self._public(pair)
        return self.decrypt_as(pair, self._decrypt_spec(padding_info, flags), ciphertext)

    def decrypt_as(self, pair: KeyPair, spec: DecryptSpec, ciphertext: bytes) -> bytes:
        public, private = self._public(pair), pair.private
        size = _size(public)
        if len(ciphertext) != size or int.from_bytes(ciphertext, "big") >= public.modulus:
            raise invalid_parameter(f"RSA: a ciphertext is a number of {size} bytes below the modulus")
        return private.decrypt(spec, ciphertext)

    @staticmethod
    def _public(pair: KeyPair) -> RsaPublicKey:
        public = pair.public
        if not pair.algorithm.encrypts or not isinstance(public, RsaPublicKey):
            raise not_supported(f"{pair.algorithm.name} keys do not encrypt")
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
            label = optional_octets(padding_info.pbLabel, "pbLabel")
            return RsaOaepSpec(hash_named(padding_info.pszAlgId).name, label)
        raise invalid_parameter(
            "RSA takes BCRYPT_PAD_NONE, BCRYPT_PAD_PKCS1 or BCRYPT_PAD_OAEP with BCRYPT_OAEP_PADDING_INFO"
        )

    def signature_length(self, public: RsaPublicKey) -> int:
        return _size(public)

    def block_length(self, public: RsaPublicKey) -> int:
        return _size(public)

    def planned_signature_length(self, pair: KeyPair) -> int:
        return (pair.bits + 7) // 8

    def planned_block_length(self, pair: KeyPair) -> int:
        return (pair.bits + 7) // 8

    def parse(self, pair: KeyPair, blob_type: str, blob: bytes) -> RsaPublicKey | RsaPrivateKey:
        material = parse_rsa(blob, blob_type)
        lengths, bits = pair.algorithm.key_lengths, material.modulus.bit_length()
        if lengths is None or not lengths.dwMinLength <= bits <= lengths.dwMaxLength:
            raise invalid_parameter(f"{pair.algorithm.name} has no keys of {bits} bits")
        rsa.check_public(material if isinstance(material, RsaPublicKey) else material.public)
        return material

    def build(self, pair: KeyPair, public: RsaPublicKey, blob_type: str) -> bytes:
        if blob_type in (BCRYPT_RSAPUBLIC_BLOB, BCRYPT_PUBLIC_KEY_BLOB):
            return build_rsa_public(public)
        if blob_type == LEGACY_RSAPUBLIC_BLOB:
            return build_capi_rsa_public(public, CALG_RSA_KEYX if pair.algorithm.encrypts else CALG_RSA_SIGN)
        raise not_supported(f"{told(blob_type)} is not exported")
