"""The other ciphers: each mode there and back, once, with a known answer; each key length made, once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from hwcng.contract.specs import AeadSpec, CipherSpec, SecretSpec
from hwcng.contract.usage import CipherMode, SecretFamily, Support, Usage
from hwcng.providers.pkcs11.probes.answers import CIPHERTEXTS, key_value
from hwcng.providers.pkcs11.probes.base import SAMPLE, Probe

__all__ = ["ciphers", "round_trip"]

_USAGE = Usage.ENCRYPT | Usage.DECRYPT
_BLOCK = 8
_BLOCK_MODES: tuple[CipherSpec | AeadSpec, ...] = (
    CipherSpec(CipherMode.ECB),
    *(CipherSpec(mode, bytes(_BLOCK)) for mode in (CipherMode.CBC, CipherMode.CFB8, CipherMode.CFB64)),
)
# Family -> the key lengths to make, the first of which is used, and its modes.
_PROBED: Mapping[SecretFamily, tuple[tuple[int, ...], tuple[CipherSpec | AeadSpec, ...]]] = {
    SecretFamily.DES: ((64,), _BLOCK_MODES),
    SecretFamily.DESX: ((), _BLOCK_MODES),
    SecretFamily.DES3: ((192,), _BLOCK_MODES),
    SecretFamily.DES3_112: ((128,), _BLOCK_MODES),
    SecretFamily.RC2: ((128, 40, 56, 64), _BLOCK_MODES),
    SecretFamily.RC4: ((128, 40, 56, 64), (CipherSpec(CipherMode.STREAM),)),
    SecretFamily.XTS: ((256, 512), (CipherSpec(CipherMode.XTS, bytes(16), data_unit=len(SAMPLE)),)),
    SecretFamily.CHACHA20_POLY1305: ((256,), (AeadSpec(CipherMode.POLY1305, bytes(12), b"aad", 16),)),
}


def ciphers(probe: Probe) -> None:
    for family, (lengths, modes) in _PROBED.items():
        name = family.value
        made = []
        for bits in lengths:
            operation = f"generate {bits}"
            probe.attempt(name, operation, probe.offered.offers(name), partial(_generates, probe, family, bits))
            if probe.operations[name, operation] is not Support.REFUSED:
                made.append(bits)
        probe.key_bits[name] = tuple(sorted(made))
        for spec in modes:
            mode = spec.mode.value
            works = partial(round_trip, probe, family, next(iter(lengths), 0), _USAGE, spec)
            probe.attempt(name, mode, probe.offered.offers(name, mode), works)


def _generates(probe: Probe, family: SecretFamily, bits: int) -> bool:
    probe.provider.generate_secret(SecretSpec(family, bits, _USAGE)).destroy()
    return True


def round_trip(probe: Probe, family: SecretFamily, bits: int, usage: Usage, spec: CipherSpec | AeadSpec) -> bool:
    """Whether the known key makes the known ciphertext of SAMPLE, and SAMPLE of it again."""
    key, known = probe.known_key(SecretSpec(family, bits, usage), key_value(bits))
    try:
        ciphertext = key.encrypt(spec, SAMPLE)
        right = ciphertext == CIPHERTEXTS[family, spec.mode] or not known
        return right and key.decrypt(spec, ciphertext) == SAMPLE
    finally:
        key.destroy()
