"""Keyed hashes (PKCS#11 3.2, section 6: HMAC, CMAC; SP 800-38D for GMAC), each tried once with a known answer."""

from __future__ import annotations

from functools import partial

from pkcs11 import Mechanism

from hwcng.contract.specs import CmacSpec, GmacSpec, HmacSpec, SecretSpec
from hwcng.contract.usage import SecretFamily, Usage
from hwcng.providers.pkcs11.capabilities import Rule
from hwcng.providers.pkcs11.families.base import Family
from hwcng.providers.pkcs11.mechanisms import HMAC_MECHANISMS
from hwcng.providers.pkcs11.probes.answers import CMAC, GMAC, key_value
from hwcng.providers.pkcs11.probes.base import SAMPLE, Probe
from hwcng.standards.hashes import HASHES

__all__ = ["Macs"]


class Macs(Family):
    rules = (
        Rule("AES-CMAC", None, (Mechanism.AES_CMAC,)),
        Rule("AES-GMAC", None, (), (Mechanism.AES_GCM,), "AES-GCM of an empty plaintext"),
        *(Rule(f"HMAC-{name}", None, (Mechanism(mechanism),)) for name, mechanism in HMAC_MECHANISMS.items()),
    )

    def probe(self, probe: Probe) -> None:
        cmac = partial(_mac, probe, SecretSpec(SecretFamily.CMAC, 128, Usage.SIGN), CmacSpec(), CMAC)
        gmac = partial(_mac, probe, SecretSpec(SecretFamily.GMAC, 128, Usage.ENCRYPT), GmacSpec(bytes(12)), GMAC)
        probe.attempt("AES-CMAC", "MAC", probe.offered.offers("AES-CMAC"), cmac)
        probe.attempt("AES-GMAC", "MAC", probe.offered.offers("AES-GMAC"), gmac)
        for name in HASHES:
            probe.attempt(f"HMAC-{name}", "MAC", probe.offered.offers(f"HMAC-{name}"), partial(_hmac, probe, name))


def _mac(probe: Probe, spec: SecretSpec, mac: CmacSpec | GmacSpec, expected: bytes) -> bool:
    key, known = probe.known_key(spec, key_value(128))
    try:
        tag = key.mac(mac, SAMPLE)
        return tag == expected if known else len(tag) == len(expected)
    finally:
        key.destroy()


def _hmac(probe: Probe, hash_name: str) -> bool:
    hash_function = HASHES[hash_name]
    value = bytes(range(hash_function.digest_size))
    spec = SecretSpec(SecretFamily.HMAC, 8 * len(value), Usage.SIGN, hash_name=hash_name)
    key = probe.provider.import_secret(spec, value)
    try:
        return key.mac(HmacSpec(hash_name), SAMPLE) == hash_function.hmac(value, SAMPLE)
    finally:
        key.destroy()
