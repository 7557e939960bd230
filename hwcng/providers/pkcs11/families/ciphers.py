"""Ciphers (PKCS#11 3.2, section 6): which modes a token serves, and each of them tried once with a known answer."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

from pkcs11 import Mechanism

from hwcng.contract.specs import AeadSpec, AesKeyWrapSpec, CipherSpec, SecretSpec
from hwcng.contract.usage import CipherMode, SecretFamily, Support, Usage
from hwcng.providers.pkcs11.capabilities import MechanismSet, Rule
from hwcng.providers.pkcs11.cryptoki.calls import ffi
from hwcng.providers.pkcs11.cryptoki.constants import CKM
from hwcng.providers.pkcs11.families.base import Family
from hwcng.providers.pkcs11.mechanisms import MechanismCall, structured, with_octets
from hwcng.providers.pkcs11.probes.answers import CIPHERTEXTS, WRAPPED, WRAPPED_KEY, WRAPPED_PADDED, key_value
from hwcng.providers.pkcs11.probes.base import SAMPLE, Probe

__all__ = ["AES_BLOCK", "CIPHER_MECHANISMS", "GCM_NONCE", "Ciphers", "GcmCall", "IvCall", "cipher", "gcm"]

AES_BLOCK = 16
GCM_NONCE = 12
_AES_MECHANISMS: Mapping[CipherMode, int] = MappingProxyType(
    {
        CipherMode.ECB: int(Mechanism.AES_ECB),
        CipherMode.CBC: int(Mechanism.AES_CBC),
        CipherMode.CFB8: int(Mechanism.AES_CFB8),
        CipherMode.CFB128: int(Mechanism.AES_CFB128),
        CipherMode.GCM: int(Mechanism.AES_GCM),
    }
)
_DES3_MECHANISMS: Mapping[CipherMode, int] = MappingProxyType(
    {CipherMode.ECB: int(Mechanism.DES3_ECB), CipherMode.CBC: int(Mechanism.DES3_CBC)}
)

CIPHER_MECHANISMS: Mapping[SecretFamily, Mapping[CipherMode, int]] = MappingProxyType(
    {
        SecretFamily.AES: _AES_MECHANISMS,
        SecretFamily.GMAC: _AES_MECHANISMS,
        SecretFamily.DES3: _DES3_MECHANISMS,
        SecretFamily.DES3_112: _DES3_MECHANISMS,
        SecretFamily.DES: {CipherMode.ECB: int(Mechanism._DES_ECB), CipherMode.CBC: int(Mechanism._DES_CBC)},
        SecretFamily.RC2: {CipherMode.ECB: int(Mechanism._RC2_ECB), CipherMode.CBC: int(Mechanism._RC2_CBC)},
        SecretFamily.RC4: {CipherMode.STREAM: int(Mechanism._RC4)},
        SecretFamily.XTS: {CipherMode.XTS: int(CKM.AES_XTS)},
        SecretFamily.CHACHA20_POLY1305: {CipherMode.POLY1305: int(CKM.CHACHA20_POLY1305)},
    }
)

AES_SIZES = (128, 192, 256)

_AES_USAGE = Usage.ENCRYPT | Usage.DECRYPT | Usage.WRAP | Usage.UNWRAP
_MODE_SPECS: Mapping[CipherMode, CipherSpec | AeadSpec] = MappingProxyType(
    {
        CipherMode.ECB: CipherSpec(CipherMode.ECB),
        **{mode: CipherSpec(mode, bytes(16)) for mode in (CipherMode.CBC, CipherMode.CFB8, CipherMode.CFB128)},
        **{mode: AeadSpec(mode, bytes(12), b"aad", 16) for mode in (CipherMode.GCM, CipherMode.CCM)},
    }
)
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


_NO_DESX = "PKCS #11 has no DESX, and composing it would put its whitening keys on the host"


class IvCall(MechanismCall):
    """A mechanism whose parameter is an initialisation vector that is written anew for each operation: for one at a
    time. iv: its octets.
    """

    __slots__ = ("iv",)

    def __init__(self, mechanism: int, size: int) -> None:
        octets = ffi.new("unsigned char[]", size)
        super().__init__(mechanism, octets, size)
        self.iv = memoryview(ffi.buffer(octets))


class GcmCall(MechanismCall):
    """CKM_AES_GCM with a nonce of 12 bytes; nonce and additional data are written anew for each operation: for one at a
    time. nonce: its octets.
    """

    __slots__ = ("nonce",)

    def __init__(self, mechanism: int, tag_length: int) -> None:
        octets = ffi.new("unsigned char[]", GCM_NONCE)
        parameters = ffi.new("CK_GCM_PARAMS *", (octets, GCM_NONCE, 8 * GCM_NONCE, ffi.NULL, 0, 8 * tag_length))
        super().__init__(mechanism, parameters, ffi.sizeof("CK_GCM_PARAMS"), (octets,))
        self.nonce = memoryview(ffi.buffer(octets))

    def add(self, aad: bytes) -> None:
        """`aad` must live until `add_nothing`."""
        self.parameter.pAAD, self.parameter.ulAADLen = ffi.from_buffer(aad), len(aad)

    def add_nothing(self) -> None:
        self.parameter.pAAD, self.parameter.ulAADLen = ffi.NULL, 0


def cipher(
    family: SecretFamily, spec: CipherSpec | AeadSpec, *, effective_bits: int = 0, rc2_ecb_wants_iv: bool = False
) -> MechanismCall:
    """For a family and a mode in CIPHER_MECHANISMS.

    effective_bits: RC2's effective key length. rc2_ecb_wants_iv: whether the token reads CK_RC2_CBC_PARAMS for
    CKM_RC2_ECB too, where the standard has CK_RC2_PARAMS.
    """
    mechanism = CIPHER_MECHANISMS[family][spec.mode]
    if isinstance(spec, AeadSpec):
        return _aead(mechanism, spec)
    if family is SecretFamily.RC2:
        if spec.mode is CipherMode.ECB and not rc2_ecb_wants_iv:
            return structured(mechanism, ffi.new("CK_ULONG *", effective_bits))
        parameters = ffi.new("CK_RC2_CBC_PARAMS *")
        parameters.ulEffectiveBits, parameters.iv = effective_bits, spec.iv or bytes(8)
        return structured(mechanism, parameters)
    return with_octets(mechanism, spec.iv) if spec.iv else MechanismCall(mechanism)


def _aead(mechanism: int, spec: AeadSpec) -> MechanismCall:
    if spec.mode is CipherMode.POLY1305:
        return _chacha20_poly1305(mechanism, spec)
    return gcm(mechanism, spec.nonce, spec.aad, spec.tag_length)


def gcm(mechanism: int, nonce: bytes, aad: bytes, tag_length: int) -> MechanismCall:
    """CKM_AES_GCM. tag_length in bytes."""
    iv, data = ffi.from_buffer(nonce), ffi.from_buffer(aad)
    parameters = ffi.new("CK_GCM_PARAMS *")
    parameters.pIv, parameters.ulIvLen, parameters.ulIvBits = iv, len(nonce), 8 * len(nonce)
    parameters.pAAD, parameters.ulAADLen = (data, len(aad)) if aad else (ffi.NULL, 0)
    parameters.ulTagBits = 8 * tag_length
    return structured(mechanism, parameters, iv, data)


def _chacha20_poly1305(mechanism: int, spec: AeadSpec) -> MechanismCall:
    nonce, aad = ffi.from_buffer(spec.nonce), ffi.from_buffer(spec.aad)
    parameters = ffi.new("CK_SALSA20_CHACHA20_POLY1305_PARAMS *")
    parameters.pNonce, parameters.ulNonceLen = nonce, len(spec.nonce)
    parameters.pAAD, parameters.ulAADLen = (aad, len(spec.aad)) if spec.aad else (ffi.NULL, 0)
    return structured(mechanism, parameters, nonce, aad)


class Ciphers(Family):
    rules = (
        Rule("AES", "ECB", (Mechanism.AES_ECB,)),
        Rule("AES", "CBC", (Mechanism.AES_CBC,)),
        Rule("AES", "CFB8", (Mechanism.AES_CFB8,), (Mechanism.AES_ECB,), "one AES-ECB call per byte encrypted"),
        Rule("AES", "CFB128", (Mechanism.AES_CFB128,), (Mechanism.AES_ECB,), "one AES-ECB call per block encrypted"),
        Rule("AES", "GCM", (Mechanism.AES_GCM,)),
        Rule(
            "AES", "CCM", (), (Mechanism.AES_ECB, Mechanism.AES_CBC), "AES-CBC for the tag, AES-ECB for the key stream"
        ),
        Rule("AES", "WRAP", (Mechanism.AES_KEY_WRAP,)),
        Rule("AES", "KWP", (Mechanism.AES_KEY_WRAP_KWP,)),
        *(
            rule
            for name, ecb, cbc in (
                ("DES", Mechanism._DES_ECB, Mechanism._DES_CBC),
                ("3DES", Mechanism.DES3_ECB, Mechanism.DES3_CBC),
                ("3DES_112", Mechanism.DES3_ECB, Mechanism.DES3_CBC),
                ("RC2", Mechanism._RC2_ECB, Mechanism._RC2_CBC),
            )
            for rule in (
                Rule(name, "ECB", (ecb,)),
                Rule(name, "CBC", (cbc,)),
                Rule(name, "CFB8", (), (ecb,), "one ECB call per byte encrypted"),
                Rule(name, "CFB64", (), (ecb,), "one ECB call per block encrypted"),
            )
        ),
        Rule("RC4", "STREAM", (Mechanism._RC4,)),
        Rule(
            "XTS-AES",
            "XTS",
            (CKM.AES_XTS,),
            (Mechanism.AES_ECB,),
            "AES-ECB under two keys: the tweaks are on the host, no key byte is",
        ),
        *(Rule("DESX", mode, composition=_NO_DESX) for mode in ("ECB", "CBC", "CFB8", "CFB64")),
        Rule("CHACHA20_POLY1305", "POLY1305", (CKM.CHACHA20_POLY1305,)),
    )
    sized = (
        Mechanism.AES_KEY_GEN,
        Mechanism.GENERIC_SECRET_KEY_GEN,
        Mechanism.AES_KEY_WRAP_KWP,
        Mechanism.AES_KEY_WRAP_PAD,
        Mechanism.AES_CBC_PAD,
    )

    def complete(self, offered: MechanismSet) -> None:
        """A cipher is offered where one of its modes is."""
        for algorithm in dict.fromkeys(rule.algorithm for rule in self.rules):
            modes = {offered.offers(algorithm, mode.value) for mode in CipherMode}
            served = (support for support in (Support.NATIVE, Support.COMPOSED) if support in modes)
            best = next(served, Support.REFUSED)
            reasons = (offered.reasons.get((algorithm, mode.value)) for mode in CipherMode)
            offered.decide(algorithm, None, best, None if best is Support.NATIVE else next(filter(None, reasons)))

    def probe(self, probe: Probe) -> None:
        _probe_aes(probe)
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


def _aes(bits: int) -> SecretSpec:
    return SecretSpec(SecretFamily.AES, bits, _AES_USAGE, exportable=True)


def _probe_aes(probe: Probe) -> None:
    made = []
    for bits in AES_SIZES:
        probe.attempt("AES", f"generate {bits}", probe.offered.offers("AES"), partial(_aes_key, probe, bits))
        if probe.operations["AES", f"generate {bits}"] is not Support.REFUSED:
            made.append(bits)
    probe.key_bits["AES"] = tuple(made)
    for mode, spec in _MODE_SPECS.items():
        works = partial(round_trip, probe, SecretFamily.AES, 256, Usage.ENCRYPT | Usage.DECRYPT, spec)
        probe.attempt("AES", mode.value, probe.offered.offers("AES", mode.value), works)
    probe.attempt("AES", "WRAP", probe.offered.offers("AES", "WRAP"), partial(_wrap, probe))
    probe.attempt("AES", "KWP", probe.offered.offers("AES", "KWP"), partial(_unwrap_padded, probe))


def _aes_key(probe: Probe, bits: int) -> bool:
    probe.provider.generate_secret(_aes(bits)).destroy()
    return True


def _wrap(probe: Probe) -> bool:
    spec = _aes(256)
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


def _unwrap_padded(probe: Probe) -> bool:
    """Only where the token takes a key from outside: what it would wrap for itself proves nothing."""
    spec = _aes(256)
    wrapping_key = probe.provider.import_secret(spec, key_value(256))
    expected = probe.provider.import_secret(spec, WRAPPED_KEY)
    try:
        key = probe.provider.unwrap_secret(spec, wrapping_key, WRAPPED_PADDED, AesKeyWrapSpec(padded=True))
        ecb = CipherSpec(CipherMode.ECB)
        same = key.encrypt(ecb, SAMPLE) == expected.encrypt(ecb, SAMPLE)
        key.destroy()
        return same
    finally:
        wrapping_key.destroy()
        expected.destroy()


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
