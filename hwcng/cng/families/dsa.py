"""DSA pairs: FIPS 186-2 with primes of up to 1024 bits, FIPS 186-3 with longer ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwcng.cng.algorithm_table import Algorithm
from hwcng.cng.blobs import BCRYPT_PUBLIC_KEY_BLOB, BlobFamily
from hwcng.cng.dsa_blobs import (
    BCRYPT_DSA_PARAMETERS,
    BCRYPT_DSA_PUBLIC_BLOB,
    LEGACY_DSA_PRIVATE_BLOB,
    LEGACY_DSA_PUBLIC_BLOB,
    LEGACY_DSA_V2_PRIVATE_BLOB,
    LEGACY_DSA_V2_PUBLIC_BLOB,
    build_dsa_parameters,
    build_dsa_public,
    parse_capi_dsa_private,
    parse_dsa,
    parse_dsa_parameters,
)
from hwcng.cng.families.base import PairFamily
from hwcng.cng.handles import invalid_parameter, not_supported
from hwcng.contract.material import DsaDomain, DsaPrivateKey, DsaPublicKey
from hwcng.contract.specs import DsaSpec, PairSpec, SignSpec
from hwcng.contract.usage import Usage
from hwcng.errors import told
from hwcng.hostcrypto.domains import check_dsa_domain, dsa_domain, subprime_size
from hwcng.hostcrypto.finite_field import check_dsa, dsa_private, group_size, verify_dsa

if TYPE_CHECKING:
    from hwcng.cng.key_pair import KeyPair

__all__ = ["DsaFamily"]


class DsaFamily(PairFamily[DsaPublicKey]):
    kind = "DSA"
    blobs = BlobFamily.DSA
    domain_property = BCRYPT_DSA_PARAMETERS

    def bits(self, public: DsaPublicKey) -> int:
        return public.domain.prime.bit_length()

    def usage(self, algorithm: Algorithm) -> Usage:
        return Usage.SIGN

    def spec(self, pair: KeyPair, public: DsaPublicKey | None = None) -> PairSpec:
        bits = pair.requested_bits if public is None else self.bits(public)
        domain = public.domain if public is not None else pair.domain
        if not isinstance(domain, DsaDomain):
            domain = dsa_domain(bits)
        elif domain.prime.bit_length() != bits:
            raise invalid_parameter(f"DSAParameters are of {domain.prime.bit_length()} bits, the pair is of {bits}")
        return PairSpec(self.kind, self.usage(pair.algorithm), bits, exportable=pair.exportable, domain=domain)

    def material(self, spec: PairSpec, private_value: bytes) -> DsaPrivateKey:
        if not isinstance(spec.domain, DsaDomain):
            raise invalid_parameter("a DSA pair needs domain parameters")
        return dsa_private(spec.domain, int.from_bytes(private_value, "big"))

    def parse_domain(self, blob: bytes, bits: int) -> DsaDomain:
        domain = parse_dsa_parameters(blob)
        check_dsa_domain(domain, bits)
        return domain

    def build_domain(self, public: DsaPublicKey) -> bytes:
        return build_dsa_parameters(public.domain)

    def sign_spec(self, pair: KeyPair, padding_info: object, flags: int) -> SignSpec:
        if padding_info is not None or flags:
            raise invalid_parameter("DSA takes neither pPaddingInfo nor flags")
        return DsaSpec()

    def signable(self, public: DsaPublicKey, spec: SignSpec, data: bytes) -> bytes:
        if not data:
            raise invalid_parameter("the digest is empty")
        # DSA uses the leftmost bits, as many as the subprime has (FIPS 186-4, section 4.2): whole bytes here.
        return data[: group_size(public.domain)]

    def verify(
        self, public: DsaPublicKey, spec: SignSpec, data: bytes, signature: bytes, *, optional_oid: bool
    ) -> None:
        verify_dsa(public, data, signature)

    def signature_length(self, public: DsaPublicKey) -> int:
        return 2 * group_size(public.domain)

    def planned_signature_length(self, pair: KeyPair) -> int:
        if isinstance(pair.domain, DsaDomain):
            return 2 * group_size(pair.domain)
        return 2 * subprime_size(pair.bits)

    def parse(self, pair: KeyPair, blob_type: str, blob: bytes) -> DsaPublicKey | DsaPrivateKey:
        if blob_type in (LEGACY_DSA_PUBLIC_BLOB, LEGACY_DSA_V2_PUBLIC_BLOB):
            raise not_supported(f"{told(blob_type)} is not a blob type of DSA key import")
        key: DsaPublicKey | DsaPrivateKey
        if blob_type in (LEGACY_DSA_PRIVATE_BLOB, LEGACY_DSA_V2_PRIVATE_BLOB):
            key = parse_capi_dsa_private(blob)
        else:
            key = parse_dsa(blob, self.blob_type(pair.algorithm, blob_type).private)
        self.check_length(pair.algorithm, None, self.bits(key if isinstance(key, DsaPublicKey) else key.public))
        check_dsa(key)
        return key

    def build(self, pair: KeyPair, public: DsaPublicKey, blob_type: str) -> bytes:
        if blob_type in (BCRYPT_DSA_PUBLIC_BLOB, BCRYPT_PUBLIC_KEY_BLOB):
            return build_dsa_public(public)
        raise not_supported(f"{told(blob_type)} is not exported")
