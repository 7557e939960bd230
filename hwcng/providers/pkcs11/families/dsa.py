"""DSA pairs (PKCS#11 3.2, section 6.2; FIPS 186-4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pkcs11 import Attribute, KeyType, Mechanism

from hwcng.contract.material import DsaDomain, DsaPrivateKey, DsaPublicKey
from hwcng.contract.specs import DsaSpec, PairSpec, SignSpec
from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.pkcs11 import mechanisms
from hwcng.providers.pkcs11.families.base import REFUSED_DOMAIN, Attributes, PairKind, Reader, unsigned

if TYPE_CHECKING:
    from hwcng.providers.pkcs11.keys.private import Pkcs11PrivateKey

__all__ = ["DsaKind"]


def _domain(spec: PairSpec) -> DsaDomain:
    if not isinstance(spec.domain, DsaDomain):
        raise CngError(NTSTATUS.STATUS_INVALID_PARAMETER, "a DSA pair needs its domain parameters")
    return spec.domain


def _domain_values(domain: DsaDomain) -> Attributes:
    return {
        Attribute.PRIME: unsigned(domain.prime),
        Attribute.SUBPRIME: unsigned(domain.subprime),
        Attribute.BASE: unsigned(domain.generator),
    }


class DsaKind(PairKind[DsaPublicKey, DsaPrivateKey]):
    kind = "DSA"
    key_type = KeyType.DSA
    refusals = REFUSED_DOMAIN

    def generation(self, spec: PairSpec) -> Mechanism:
        return Mechanism.DSA_KEY_PAIR_GEN

    def describe(self, spec: PairSpec) -> str:
        return f"a {spec.bits}-bit DSA pair"

    def offered_as(self, spec: PairSpec) -> tuple[str, str | None]:
        return "DSA", None

    def sized_by(self, spec: PairSpec) -> Mechanism:
        return Mechanism.DSA_KEY_PAIR_GEN

    def public_attributes(self, spec: PairSpec) -> Attributes:
        return _domain_values(_domain(spec))

    def private_values(self, material: DsaPrivateKey) -> Attributes:
        return _domain_values(material.public.domain) | {Attribute.VALUE: unsigned(material.exponent)}

    def read_public(self, read: Reader, spec: PairSpec, token_name: str) -> DsaPublicKey:
        value = read([Attribute.VALUE], spec.bits // 8 + 8)[Attribute.VALUE] or b""
        return DsaPublicKey(_domain(spec), int.from_bytes(value, "big"))

    def to_json(self, public: DsaPublicKey) -> dict[str, Any]:
        domain = public.domain
        numbers = (domain.prime, domain.subprime, domain.generator, public.value)
        described: dict[str, Any] = dict(
            zip(("prime", "subprime", "generator", "value"), map(hex, numbers), strict=True)
        )
        seed = None if domain.seed is None else domain.seed.hex()
        return described | {"seed": seed, "counter": domain.counter, "hash": domain.hash_name}

    def from_json(self, spec: PairSpec, described: Mapping[str, Any]) -> DsaPublicKey:
        prime, subprime, generator, value = (
            int(described[name], 16) for name in ("prime", "subprime", "generator", "value")
        )
        seed = None if described["seed"] is None else bytes.fromhex(described["seed"])
        domain = DsaDomain(prime, subprime, generator, seed, described["counter"], described["hash"])
        return DsaPublicKey(domain, value)

    def sign(self, key: Pkcs11PrivateKey, spec: SignSpec, digest: bytes) -> bytes:
        if not isinstance(spec, DsaSpec) or not isinstance(key.public, DsaPublicKey):
            return super().sign(key, spec, digest)
        size = (key.public.domain.subprime.bit_length() + 7) // 8
        # NSS takes no digest shorter than the subprime; leading zeros do not change the number that it is.
        block = digest[:size].rjust(size, b"\0")
        return key.sign_with(mechanisms.call(int(Mechanism.DSA)), block, 2 * size, "a DSA signature")
