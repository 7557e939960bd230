"""Diffie-Hellman pairs (PKCS #3, SP 800-56A r3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwcng.cng.algorithm_table import Algorithm
from hwcng.cng.blobs import BCRYPT_PUBLIC_KEY_BLOB, BlobFamily
from hwcng.cng.dh_blobs import (
    BCRYPT_DH_PARAMETERS,
    BCRYPT_DH_PUBLIC_BLOB,
    LEGACY_DH_PRIVATE_BLOB,
    LEGACY_DH_PUBLIC_BLOB,
    build_dh_parameters,
    build_dh_public,
    parse_capi_dh_private,
    parse_dh,
    parse_dh_parameters,
)
from hwcng.cng.families.base import PairFamily
from hwcng.cng.handles import invalid_parameter, not_supported
from hwcng.contract.material import DhDomain, DhPrivateKey, DhPublicKey
from hwcng.contract.specs import PairSpec
from hwcng.contract.usage import Usage
from hwcng.errors import told
from hwcng.hostcrypto.domains import check_dh_domain, dh_domain
from hwcng.hostcrypto.finite_field import check_dh, dh_private

if TYPE_CHECKING:
    from hwcng.cng.key_pair import KeyPair

__all__ = ["DhFamily"]

# SP 800-57 part 1, table 2: a group of up to 7679 bits is as strong as a curve of 256 bits at most.
_FIELD_BITS_OF_THE_STRENGTH = 256


class DhFamily(PairFamily[DhPublicKey]):
    kind = "DH"
    blobs = BlobFamily.DH
    domain_property = BCRYPT_DH_PARAMETERS

    def bits(self, public: DhPublicKey) -> int:
        return public.domain.prime.bit_length()

    def usage(self, algorithm: Algorithm) -> Usage:
        return Usage.DERIVE

    def spec(self, pair: KeyPair, public: DhPublicKey | None = None) -> PairSpec:
        bits = pair.requested_bits if public is None else self.bits(public)
        domain = public.domain if public is not None else pair.domain
        if not isinstance(domain, DhDomain):
            domain = dh_domain(bits)
        elif domain.prime.bit_length() != bits:
            raise invalid_parameter(f"DHParameters are of {domain.prime.bit_length()} bits, the pair is of {bits}")
        return PairSpec(self.kind, self.usage(pair.algorithm), bits, exportable=pair.exportable, domain=domain)

    def material(self, spec: PairSpec, private_value: bytes) -> DhPrivateKey:
        if not isinstance(spec.domain, DhDomain):
            raise invalid_parameter("a DH pair needs domain parameters")
        key = dh_private(spec.domain, int.from_bytes(private_value, "big"))
        check_dh(key)
        return key

    def parse_domain(self, blob: bytes, bits: int) -> DhDomain:
        domain = parse_dh_parameters(blob)
        check_dh_domain(domain, bits)
        return domain

    def build_domain(self, public: DhPublicKey) -> bytes:
        return build_dh_parameters(public.domain)

    def check_peer(self, ours: DhPublicKey, theirs: DhPublicKey) -> str:
        if ours.domain != theirs.domain:
            raise invalid_parameter("the two keys have different domain parameters")
        return self.kind

    def field_bits(self, public: DhPublicKey) -> int:
        return _FIELD_BITS_OF_THE_STRENGTH

    def parse(self, pair: KeyPair, blob_type: str, blob: bytes) -> DhPublicKey | DhPrivateKey:
        if blob_type == LEGACY_DH_PUBLIC_BLOB:
            raise not_supported(f"{told(blob_type)} is not a blob type of DH key import")
        key: DhPublicKey | DhPrivateKey
        if blob_type == LEGACY_DH_PRIVATE_BLOB:
            key = parse_capi_dh_private(blob)
        else:
            key = parse_dh(blob, self.blob_type(pair.algorithm, blob_type).private)
        self.check_length(pair.algorithm, None, self.bits(key if isinstance(key, DhPublicKey) else key.public))
        check_dh(key)
        return key

    def build(self, pair: KeyPair, public: DhPublicKey, blob_type: str) -> bytes:
        if blob_type in (BCRYPT_DH_PUBLIC_BLOB, BCRYPT_PUBLIC_KEY_BLOB):
            return build_dh_public(public)
        raise not_supported(f"{told(blob_type)} is not exported")
