"""RSA pairs (PKCS#11 3.2, section 6.1; RFC 8017)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pkcs11 import Attribute, KeyType, Mechanism

from hwcng.contract.material import RsaPrivateKey, RsaPublicKey
from hwcng.contract.specs import (
    DecryptSpec,
    PairSpec,
    RsaOaepSpec,
    RsaPkcs1DecryptSpec,
    RsaPkcs1SignSpec,
    RsaPssSpec,
    SignSpec,
)
from hwcng.errors import NTSTATUS, CngError
from hwcng.hostcrypto import rsa_encodings
from hwcng.providers.pkcs11 import mechanisms
from hwcng.providers.pkcs11.families.base import Attributes, PairKind, Reader, unsigned
from hwcng.standards.hashes import HASHES

if TYPE_CHECKING:
    from hwcng.providers.pkcs11.keys.private import Pkcs11PrivateKey

__all__ = ["RsaKind"]

PUBLIC_EXPONENT = b"\x01\x00\x01"
_RAW = int(Mechanism.RSA_X_509)
_ASKED_DECRYPTION = "RSA decryption"


def _bits(key: Pkcs11PrivateKey) -> int:
    if not isinstance(key.public, RsaPublicKey):
        raise CngError(NTSTATUS.STATUS_NOT_SUPPORTED, "only an RSA key does RSA")
    return key.public.modulus.bit_length()


class RsaKind(PairKind[RsaPublicKey, RsaPrivateKey]):
    kind = "RSA"
    key_type = KeyType.RSA

    def generation(self, spec: PairSpec) -> Mechanism:
        return Mechanism.RSA_PKCS_KEY_PAIR_GEN

    def describe(self, spec: PairSpec) -> str:
        return f"a {spec.bits}-bit RSA pair"

    def offered_as(self, spec: PairSpec) -> tuple[str, str | None]:
        return "RSA", None

    def sized_by(self, spec: PairSpec) -> Mechanism:
        return Mechanism.RSA_PKCS_KEY_PAIR_GEN

    def public_attributes(self, spec: PairSpec) -> Attributes:
        return {Attribute.MODULUS_BITS: spec.bits, Attribute.PUBLIC_EXPONENT: PUBLIC_EXPONENT}

    def private_values(self, material: RsaPrivateKey) -> Attributes:
        numbers = {
            Attribute.MODULUS: material.modulus,
            Attribute.PUBLIC_EXPONENT: material.public_exponent,
            Attribute.PRIVATE_EXPONENT: material.private_exponent,
            Attribute.PRIME_1: material.prime1,
            Attribute.PRIME_2: material.prime2,
            Attribute.EXPONENT_1: material.exponent1,
            Attribute.EXPONENT_2: material.exponent2,
            Attribute.COEFFICIENT: material.coefficient,
        }
        return {attribute: unsigned(value) for attribute, value in numbers.items()}

    def read_public(self, read: Reader, spec: PairSpec, token_name: str) -> RsaPublicKey:
        kinds = [Attribute.MODULUS, Attribute.PUBLIC_EXPONENT]
        values = read(kinds, spec.bits // 8 + 8)
        modulus, exponent = (int.from_bytes(values[kind] or b"", "big") for kind in kinds)
        return RsaPublicKey(modulus, exponent)

    def to_json(self, public: RsaPublicKey) -> dict[str, Any]:
        return {"modulus": hex(public.modulus), "exponent": hex(public.public_exponent)}

    def from_json(self, spec: PairSpec, described: Mapping[str, Any]) -> RsaPublicKey:
        return RsaPublicKey(int(described["modulus"], 16), int(described["exponent"], 16))

    def sign(self, key: Pkcs11PrivateKey, spec: SignSpec, digest: bytes) -> bytes:
        bits = _bits(key)
        size = (bits + 7) // 8
        if isinstance(spec, RsaPkcs1SignSpec):
            encoded = HASHES[spec.hash_name].digest_info_prefix + digest if spec.hash_name else digest
            call = mechanisms.call(int(Mechanism.RSA_PKCS))
            return key.sign_with(call, encoded, size, "an RSA PKCS #1 signature")
        if not isinstance(spec, RsaPssSpec):
            return super().sign(key, spec, digest)
        asked = "an RSA PSS signature"
        # Tokens have been measured that miscount where the modulus has one bit more than whole octets.
        by_raw = bits % 8 == 1 and key.offered.has(_RAW)
        if key.offered.native_pss(spec) and not by_raw:
            return key.sign_with(mechanisms.pss(spec), digest, size, asked)
        raw = mechanisms.call(_RAW)
        return rsa_encodings.rsa_sign(
            lambda block: key.sign_with(raw, block, size, asked).rjust(size, b"\0"), spec, digest, bits
        )

    def decrypt(self, key: Pkcs11PrivateKey, spec: DecryptSpec, ciphertext: bytes) -> bytes:
        bits = _bits(key)
        size = (bits + 7) // 8
        by_raw = key.offered.quirks.pkcs1_is_lax and key.offered.has(_RAW)
        if isinstance(spec, RsaPkcs1DecryptSpec) and not by_raw:
            return key.decrypt_with(mechanisms.call(int(Mechanism.RSA_PKCS)), ciphertext, size, _ASKED_DECRYPTION)
        if isinstance(spec, RsaOaepSpec):
            rsa_encodings.check_oaep_room(size, spec.hash_name)
        if isinstance(spec, RsaOaepSpec) and key.offered.native_oaep(spec):
            return key.decrypt_with(mechanisms.oaep(spec), ciphertext, size, _ASKED_DECRYPTION)
        raw = mechanisms.call(_RAW)
        return rsa_encodings.rsa_decrypt(
            lambda block: key.decrypt_with(raw, block, size, _ASKED_DECRYPTION), spec, ciphertext, bits
        )
