"""Pairs on elliptic curves: ECDSA (FIPS 186-5) and ECDH (SP 800-56A r3), with a curve of their own or a named one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwcng.cng.algorithm_table import Algorithm
from hwcng.cng.blobs import (
    BCRYPT_ECCFULLPUBLIC_BLOB,
    BCRYPT_ECCPUBLIC_BLOB,
    BCRYPT_PUBLIC_KEY_BLOB,
    BlobFamily,
    EccFamily,
    build_ecc_full_public,
    build_ecc_public,
    parse_ecc,
)
from hwcng.cng.families.base import PairFamily
from hwcng.cng.handles import invalid_parameter, not_supported
from hwcng.contract.material import EcPrivateKey, EcPublicKey
from hwcng.contract.specs import EcdsaSpec, PairSpec, SignSpec
from hwcng.contract.usage import Usage
from hwcng.errors import told
from hwcng.hostcrypto import ecc, x25519
from hwcng.standards.curves import CURVES, Curve

if TYPE_CHECKING:
    from hwcng.cng.key_pair import KeyPair

__all__ = ["EcFamily"]

_ECDSA = EcdsaSpec()


def _ecc_family(algorithm: Algorithm) -> EccFamily:
    return "ECDH" if algorithm.agrees else "ECDSA"


class EcFamily(PairFamily[EcPublicKey]):
    kind = "EC"
    blobs = BlobFamily.ECC

    def check_length(self, algorithm: Algorithm, curve: Curve | None, bits: int) -> None:
        if not algorithm.generic_curve:
            super().check_length(algorithm, curve, bits)
        elif curve is not None and bits not in (0, curve.bits):
            raise invalid_parameter(f"{algorithm.name} has no keys of {bits} bits on {curve.name}")

    def bits(self, public: EcPublicKey) -> int:
        return CURVES[public.curve].bits

    def strength(self, public: EcPublicKey) -> int:
        return CURVES[public.curve].order_bits

    def planned_strength(self, pair: KeyPair) -> int:
        return pair.curve.order_bits if pair.curve is not None else 0

    def planned_signature_length(self, pair: KeyPair) -> int:
        return 2 * pair.curve.coordinate_size if pair.curve is not None else 0

    def usage(self, algorithm: Algorithm) -> Usage:
        return Usage.DERIVE if algorithm.agrees else Usage.SIGN

    def spec(self, pair: KeyPair, public: EcPublicKey | None = None) -> PairSpec:
        if public is not None:
            name = public.curve
        elif pair.curve is None:
            raise invalid_parameter(f"{pair.algorithm.name} needs a curve: set ECCCurveName")
        else:
            self.check_length(pair.algorithm, pair.curve, pair.requested_bits)
            name = pair.curve.name
        return PairSpec(self.kind, self.usage(pair.algorithm), curve=name, exportable=pair.exportable)

    def adopt(self, pair: KeyPair, public: EcPublicKey) -> None:
        pair.curve = CURVES[public.curve]
        pair.curve_name = pair.curve_name or public.curve

    def sign_spec(self, pair: KeyPair, padding_info: object, flags: int) -> SignSpec:
        if pair.algorithm.agrees:
            return super().sign_spec(pair, padding_info, flags)
        if padding_info is not None or flags:
            raise invalid_parameter("ECDSA takes neither pPaddingInfo nor flags")
        return _ECDSA

    def signable(self, public: EcPublicKey, spec: SignSpec, data: bytes) -> bytes:
        if not data:
            raise invalid_parameter("the digest is empty")
        # ECDSA uses the leftmost bits, as many as the order has (FIPS 186-5, section 6.4.1).
        return data[: CURVES[public.curve].coordinate_size]

    def verify(self, public: EcPublicKey, spec: SignSpec, data: bytes, signature: bytes, *, optional_oid: bool) -> None:
        ecc.verify(public, spec, data, signature)

    def check_peer(self, ours: EcPublicKey, theirs: EcPublicKey) -> str:
        if ours.curve != theirs.curve:
            raise invalid_parameter("the two keys are not on the same curve")
        return ours.curve

    def signature_length(self, public: EcPublicKey) -> int:
        return 2 * CURVES[public.curve].coordinate_size

    def parse(self, pair: KeyPair, blob_type: str, blob: bytes) -> EcPublicKey | EcPrivateKey:
        algorithm = pair.algorithm
        material = parse_ecc(
            blob, blob_type, curve=pair.curve, family=_ecc_family(algorithm), generic=algorithm.generic_curve
        )
        if pair.curve is not None and pair.curve.montgomery:
            return x25519.checked(material)
        if isinstance(material, EcPrivateKey):
            return ecc.completed(material)
        ecc.check_public(material)
        return material

    def build(self, pair: KeyPair, public: EcPublicKey, blob_type: str) -> bytes:
        family = _ecc_family(pair.algorithm)
        if blob_type == BCRYPT_ECCFULLPUBLIC_BLOB:
            return build_ecc_full_public(public, family)
        if blob_type in (BCRYPT_ECCPUBLIC_BLOB, BCRYPT_PUBLIC_KEY_BLOB):
            return build_ecc_public(public, family, pair.algorithm.generic_curve)
        raise not_supported(f"{told(blob_type)} is not exported")
