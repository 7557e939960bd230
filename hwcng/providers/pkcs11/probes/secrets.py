"""AES and the keyed hashes, tried once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

from hwcng.contract.specs import AeadSpec, CipherSpec, CmacSpec, GmacSpec, HmacSpec, SecretSpec
from hwcng.contract.usage import CipherMode, SecretFamily, Support, Usage
from hwcng.providers.pkcs11.probes.answers import CMAC, GMAC, WRAPPED, WRAPPED_KEY, key_value
from hwcng.providers.pkcs11.probes.base import SAMPLE, Probe
from hwcng.providers.pkcs11.probes.ciphers import round_trip
from hwcng.standards.hashes import HASHES

__all__ = ["aes", "macs"]

AES_SIZES = (128, 192, 256)

_AES_USAGE = Usage.ENCRYPT | Usage.DECRYPT | Usage.WRAP | Usage.UNWRAP
_MODE_SPECS: Mapping[CipherMode, CipherSpec | AeadSpec] = MappingProxyType(
    {
        CipherMode.ECB: CipherSpec(CipherMode.ECB),
        **{mode: CipherSpec(mode, bytes(16)) for mode in (CipherMode.CBC, CipherMode.CFB8, CipherMode.CFB128)},
        **{mode: AeadSpec(mode, bytes(12), b"aad", 16) for mode in (CipherMode.GCM, CipherMode.CCM)},
    }
)


def _secret(family: SecretFamily, bits: int, usage: Usage, hash_name: str | None = None) -> SecretSpec:
    return SecretSpec(family, bits, usage, exportable=family is SecretFamily.AES, hash_name=hash_name)


def aes(probe: Probe) -> None:
    made = []
    for bits in AES_SIZES:
        probe.attempt("AES", f"generate {bits}", probe.offered.offers("AES"), partial(_aes_key, probe, bits))
        if probe.operations["AES", f"generate {bits}"] is not Support.REFUSED:
            made.append(bits)
    probe.key_bits["AES"] = tuple(made)
    for mode, spec in _MODE_SPECS.items():
        works = partial(round_trip, probe, SecretFamily.AES, 256, _AES_USAGE, spec)
        probe.attempt("AES", mode.value, probe.offered.offers("AES", mode.value), works)
    probe.attempt("AES", "WRAP", probe.offered.offers("AES", "WRAP"), partial(_wrap, probe))


def _aes_key(probe: Probe, bits: int) -> bool:
    probe.provider.generate_secret(_secret(SecretFamily.AES, bits, _AES_USAGE)).destroy()
    return True


def _wrap(probe: Probe) -> bool:
    spec = _secret(SecretFamily.AES, 256, _AES_USAGE)
    wrapping_key, known = probe.known_key(spec, key_value(256))
    key, known_too = probe.known_key(spec, WRAPPED_KEY)
    try:
        wrapped = wrapping_key.wrap_key(key)
        again = probe.provider.unwrap_secret(spec, wrapping_key, wrapped)
        ecb = CipherSpec(CipherMode.ECB)
        same = again.encrypt(ecb, SAMPLE) == key.encrypt(ecb, SAMPLE)
        again.destroy()
        return same and (wrapped == WRAPPED or not (known and known_too))
    finally:
        wrapping_key.destroy()
        key.destroy()


def macs(probe: Probe) -> None:
    cmac = partial(_mac, probe, _secret(SecretFamily.CMAC, 128, Usage.SIGN), CmacSpec(), CMAC)
    gmac = partial(_mac, probe, _secret(SecretFamily.GMAC, 128, Usage.ENCRYPT), GmacSpec(bytes(12)), GMAC)
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
    spec = _secret(SecretFamily.HMAC, 8 * len(value), Usage.SIGN, hash_name)
    key = probe.provider.import_secret(spec, value)
    try:
        return key.mac(HmacSpec(hash_name), SAMPLE) == hash_function.hmac(value, SAMPLE)
    finally:
        key.destroy()
