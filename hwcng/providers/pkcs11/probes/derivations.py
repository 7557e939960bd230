"""The verbs that derivation functions are made of, tried once, with known values against the host's formulas."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from functools import partial

from hwcng.contract.keys import KeyingMaterial
from hwcng.contract.specs import CipherSpec, CounterKdfSpec, DigestKdfSpec, HkdfSpec, KdfSpec, SecretSpec
from hwcng.contract.usage import CipherMode, SecretFamily, Usage
from hwcng.providers.pkcs11.probes.base import SAMPLE, Probe

__all__ = ["derivations"]

_EXACT = SecretFamily.KDF, Usage.SIGN | Usage.DERIVE
_ANY_HMAC = SecretFamily.HMAC, Usage.SIGN | Usage.DERIVE
_HALF = len(SAMPLE) // 2
_HMAC = hmac.digest(SAMPLE, b"data", "sha256")
_DIGEST_OF_SECRET = hashlib.sha256(b"before" + SAMPLE + b"after").digest()
_PSEUDORANDOM_KEY = hmac.digest(b"salt", SAMPLE, "sha256")
_OUTPUT = hmac.digest(_PSEUDORANDOM_KEY, b"info\1", "sha256")


def _counted(length: int) -> bytes:
    """SP 800-108, 4.1: the length is part of what is hashed, so that no key is the beginning of another."""
    fixed = b"label\0context" + (8 * length).to_bytes(4, "big")
    return hmac.digest(SAMPLE, (1).to_bytes(4, "big") + fixed, "sha256")[:length]


def derivations(probe: Probe) -> None:
    for name in ("PBKDF2", "SP800_108_CTR_HMAC", "TLS1_2_KDF"):
        _attempt(probe, name, "derive", _ANY_HMAC, lambda material: material.hmac("SHA256", b"data") == _HMAC)
    for name in ("SP800_56A_CONCAT", "CAPI_KDF"):
        _attempt(probe, name, "derive", _EXACT, _digests)
    _attempt(probe, "TLS1_1_KDF", "derive", _EXACT, _halves)
    _attempt(probe, "HKDF", "expand", _EXACT, _expands)
    _attempt(probe, "HKDF", "KEY", _EXACT, _extracts)
    for name, kdf, expected in (
        ("HKDF", HkdfSpec("SHA256", b"salt", b"info"), lambda length: _OUTPUT[:length]),
        ("SP800_108_CTR_HMAC", CounterKdfSpec("SHA256", b"label", b"context"), _counted),
        ("HASH", DigestKdfSpec("SHA256", b"before", b"after"), lambda length: _DIGEST_OF_SECRET[:length]),
    ):
        base_key = _ANY_HMAC if name == "SP800_108_CTR_HMAC" else _EXACT
        for length in (16, 32):
            _attempt(probe, name, "KEY", base_key, partial(_derives_a_key, probe, kdf, expected(length)))


def _attempt(
    probe: Probe,
    name: str,
    operation: str,
    base_key: tuple[SecretFamily, Usage],
    works: Callable[[KeyingMaterial], bool],
) -> None:
    def attempt() -> bool:
        family, usage = base_key
        key = probe.provider.import_secret(SecretSpec(family, 8 * len(SAMPLE), usage), SAMPLE)
        try:
            return works(key.keying_material())
        finally:
            key.destroy()

    if probe.operations.get((name, operation)) is None or probe.operations[name, operation].value != "refused":
        support = probe.offered.offers(name, operation if operation == "KEY" else None)
        probe.attempt(name, operation, support, attempt)


def _digests(material: KeyingMaterial) -> bool:
    return material.digest("SHA256", b"before", b"after") == _DIGEST_OF_SECRET


def _halves(material: KeyingMaterial) -> bool:
    return material.half_hmac(1, "SHA1", b"data") == hmac.digest(SAMPLE[_HALF:], b"data", "sha1")


def _expands(material: KeyingMaterial) -> bool:
    return material.hkdf(HkdfSpec("SHA256", None, b"info"), 32) == hmac.digest(SAMPLE, b"info\1", "sha256")


def _extracts(material: KeyingMaterial) -> bool:
    return material.hkdf(HkdfSpec("SHA256", b"salt", b"info"), 32) == _OUTPUT


def _derives_a_key(probe: Probe, kdf: KdfSpec, expected: bytes, material: KeyingMaterial) -> bool:
    """Whether the derived key encrypts as one of the expected value does."""
    spec = SecretSpec(SecretFamily.AES, 8 * len(expected), Usage.ENCRYPT)
    key, same = material.derive_key(kdf, spec), probe.provider.import_secret(spec, expected)
    try:
        ecb = CipherSpec(CipherMode.ECB)
        return key.encrypt(ecb, SAMPLE) == same.encrypt(ecb, SAMPLE)
    finally:
        key.destroy()
        same.destroy()
