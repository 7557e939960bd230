"""Ed25519 pairs (RFC 8032): HWCNG_ED25519_ALGORITHM, which CNG lacks and hwcng adds.

Their blobs: BCRYPT_ECCKEY_BLOB with a magic of its own and cbKey 32, both little-endian, and 32 bytes: of the public
key (RFC 8032, section 5.1.2), or of the private key that it is made of (section 5.1.5). Only public ones are built.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import MappingProxyType

from hwcng.cng.algorithm import SIGNATURE, Algorithm
from hwcng.cng.blobs.blob_type import blob_types
from hwcng.cng.families.base import PairFamily
from hwcng.cng.families.request import PairRequest
from hwcng.contract.keys import PrivateKey
from hwcng.contract.material import Ed25519PrivateKey, Ed25519PublicKey
from hwcng.contract.specs import EddsaSpec, PairSpec, SignSpec
from hwcng.contract.usage import Usage
from hwcng.errors import invalid_parameter, not_supported
from hwcng.headers import bcrypt_h
from hwcng.headers.records import BCRYPT_ECCKEY_BLOB, KeyLengths
from hwcng.hostcrypto import curve25519
from hwcng.standards.curves import Curve

__all__ = ["Ed25519Family"]

_NAME = bcrypt_h.HWCNG_ED25519_ALGORITHM
_BITS, _ORDER_BITS = 255, 253
_EDDSA = EddsaSpec()
_HEADER = BCRYPT_ECCKEY_BLOB.layout()
_MAGICS = {
    bcrypt_h.HWCNG_ED25519_PUBLIC_BLOB: bcrypt_h.HWCNG_ED25519_PUBLIC_MAGIC,
    bcrypt_h.BCRYPT_PUBLIC_KEY_BLOB: bcrypt_h.HWCNG_ED25519_PUBLIC_MAGIC,
    bcrypt_h.HWCNG_ED25519_PRIVATE_SEED_BLOB: bcrypt_h.HWCNG_ED25519_PRIVATE_SEED_MAGIC,
    bcrypt_h.BCRYPT_PRIVATE_KEY_BLOB: bcrypt_h.HWCNG_ED25519_PRIVATE_SEED_MAGIC,
}


def _build(_algorithm: Algorithm, public: Ed25519PublicKey) -> bytes:
    return _HEADER.pack(bcrypt_h.HWCNG_ED25519_PUBLIC_MAGIC, curve25519.SIZE) + public.value


class Ed25519Family(PairFamily[Ed25519PublicKey]):
    kind = "ED25519"
    public_type = Ed25519PublicKey
    algorithms = (Algorithm(_NAME, SIGNATURE, _NAME, KeyLengths(_BITS, _BITS, 0), family="ED25519"),)
    blob_types = blob_types(
        "ED25519",
        public=(bcrypt_h.HWCNG_ED25519_PUBLIC_BLOB,),
        private=(bcrypt_h.HWCNG_ED25519_PRIVATE_SEED_BLOB,),
    )
    magics = MappingProxyType(dict.fromkeys(_MAGICS.values(), _NAME))
    builders = MappingProxyType(
        dict.fromkeys((bcrypt_h.HWCNG_ED25519_PUBLIC_BLOB, bcrypt_h.BCRYPT_PUBLIC_KEY_BLOB), _build)
    )

    def check_length(self, algorithm: Algorithm, curve: Curve | None, bits: int) -> None:
        if bits:
            super().check_length(algorithm, curve, bits)

    def algorithm_of_pkcs8(self, public: Ed25519PublicKey) -> str:
        return _NAME

    def bits(self, public: Ed25519PublicKey) -> int:
        return _BITS

    def strength(self, public: Ed25519PublicKey) -> int:
        return _ORDER_BITS

    def planned_bits(self, request: PairRequest) -> int:
        return _BITS

    def planned_strength(self, request: PairRequest) -> int:
        return _ORDER_BITS

    def planned_signature_length(self, request: PairRequest) -> int:
        return curve25519.SIGNATURE_SIZE

    def signature_length(self, public: Ed25519PublicKey) -> int:
        return curve25519.SIGNATURE_SIZE

    def usage(self, algorithm: Algorithm) -> Usage:
        return Usage.SIGN

    def spec(self, request: PairRequest, public: Ed25519PublicKey | None = None) -> PairSpec:
        return PairSpec(self.kind, Usage.SIGN, exportable=request.exportable)

    def sign_spec(self, algorithm: Algorithm, padding_info: object, flags: int) -> SignSpec:
        if padding_info is not None or flags:
            raise invalid_parameter("Ed25519 takes neither pPaddingInfo nor flags")
        return _EDDSA

    def signing(self, private: PrivateKey, spec: SignSpec) -> Callable[[bytes], bytes]:
        return partial(private.sign_message, spec)

    def verify(
        self, public: Ed25519PublicKey, spec: SignSpec, data: bytes, signature: bytes, *, optional_oid: bool
    ) -> None:
        curve25519.verify_ed25519(public, spec, data, signature)

    def parse(self, request: PairRequest, blob_type: str, blob: bytes) -> Ed25519PublicKey | Ed25519PrivateKey:
        if len(blob) != _HEADER.size + curve25519.SIZE:
            raise invalid_parameter(
                f"{blob_type}: {_HEADER.size + curve25519.SIZE} bytes expected, {len(blob)} bytes given"
            )
        magic, size = _HEADER.unpack_from(blob)
        if blob_type not in _MAGICS:
            raise not_supported(f"{blob_type} is not a blob type of Ed25519")
        if magic != _MAGICS[blob_type] or size != curve25519.SIZE:
            raise invalid_parameter(f"{blob_type}: wrong magic {magic:#010x}, or cbKey {size} that is not 32")
        octets = bytes(blob[_HEADER.size :])
        if magic == bcrypt_h.HWCNG_ED25519_PRIVATE_SEED_MAGIC:
            return curve25519.ed25519_private(octets)
        public = Ed25519PublicKey(octets)
        curve25519.check_ed25519(public)
        return public
