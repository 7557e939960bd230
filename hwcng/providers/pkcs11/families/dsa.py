"""DSA pairs (PKCS#11 3.2, section 6.2; FIPS 186-4)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from pkcs11 import Attribute, KeyType, Mechanism

from hwcng.contract.material import DsaDomain, DsaPrivateKey, DsaPublicKey
from hwcng.contract.specs import DsaSpec, PairSpec, SignSpec
from hwcng.contract.usage import Support, Usage
from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.pkcs11 import mechanisms
from hwcng.providers.pkcs11.capabilities import Rule
from hwcng.providers.pkcs11.families.base import REFUSED_DOMAIN, Attributes, PairKind, Reader, TokenPrivateKey, unsigned
from hwcng.providers.pkcs11.families.values import NUMBER, Values, integer
from hwcng.providers.pkcs11.probes.arithmetic import dsa_is_good
from hwcng.providers.pkcs11.probes.base import SAMPLE, Probe
from hwcng.providers.pkcs11.probes.domains import DOMAINS
from hwcng.providers.pkcs11.quirks import Quirks

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
    material = DsaPublicKey
    usages = Usage.SIGN
    known = ("domain",)
    stored = MappingProxyType(dict.fromkeys((Attribute.PRIME, Attribute.SUBPRIME, Attribute.BASE), NUMBER))
    refusals = REFUSED_DOMAIN
    rules = (Rule("DSA", None, (Mechanism.DSA,)),)
    sized = (Mechanism.DSA_KEY_PAIR_GEN,)

    def probe(self, probe: Probe) -> None:
        made = []
        for bits in DOMAINS:
            probe.attempt("DSA", f"sign {bits}", probe.offered.offers("DSA"), partial(_signs, probe, bits))
            if probe.operations["DSA", f"sign {bits}"] is not Support.REFUSED:
                made.append(bits)
        probe.key_bits["DSA"] = tuple(made)

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

    def public_values(self, public: DsaPublicKey, quirks: Quirks) -> Attributes:
        return _domain_values(public.domain) | {Attribute.VALUE: unsigned(public.value)}

    def traits(self, values: Values) -> dict[str, Any]:
        prime, subprime, generator = (integer(values, kind) for kind in self.stored)
        domain = DsaDomain(prime, subprime, generator)
        return {"bits": domain.prime.bit_length(), "domain": domain}

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

    def sign(self, key: TokenPrivateKey, spec: SignSpec, digest: bytes) -> bytes:
        if not isinstance(spec, DsaSpec) or not isinstance(key.public, DsaPublicKey):
            return super().sign(key, spec, digest)
        size = (key.public.domain.subprime.bit_length() + 7) // 8
        # NSS takes no digest shorter than the subprime; leading zeros do not change the number that it is.
        block = digest[:size].rjust(size, b"\0")
        return key.sign_with(mechanisms.call(int(Mechanism.DSA)), block, 2 * size, "a DSA signature")


def _signs(probe: Probe, bits: int) -> bool:
    domain = DOMAINS[bits]
    pair = probe.provider.generate_pair(PairSpec("DSA", Usage.SIGN, bits=bits, domain=domain))
    try:
        # DSA signs digests of its subprime's length.
        digest = SAMPLE[: domain.subprime.bit_length() // 8]
        signature = pair.sign_digest(DsaSpec(), digest)
        whole = len(signature) == 2 * len(digest)
        return whole and isinstance(pair.public, DsaPublicKey) and dsa_is_good(pair.public, digest, signature)
    finally:
        pair.destroy()
