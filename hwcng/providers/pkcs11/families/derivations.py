"""The verbs that derivation functions are made of (PKCS#11 3.2, section 6; SP 800-108, RFC 5869), tried once, with
known values against the host's formulas.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from pkcs11 import Mechanism

from hwcng.contract.keys import KeyingMaterial
from hwcng.contract.specs import CipherSpec, CounterKdfSpec, DigestKdfSpec, HkdfSpec, KdfSpec, SecretSpec
from hwcng.contract.usage import CipherMode, SecretFamily, Usage
from hwcng.providers.pkcs11.capabilities import Rule
from hwcng.providers.pkcs11.cryptoki.calls import ffi
from hwcng.providers.pkcs11.cryptoki.constants import CKM, HkdfSalt, PrfDataType
from hwcng.providers.pkcs11.families.base import Family
from hwcng.providers.pkcs11.mechanisms import DIGEST_MECHANISMS, HMAC_MECHANISMS, MechanismCall, structured
from hwcng.providers.pkcs11.probes.base import SAMPLE, Probe

__all__ = ["KEY_DERIVATION_MECHANISMS", "Derivations", "counter_kdf", "extract", "hkdf", "string_data"]

KEY_DERIVATION_MECHANISMS: Mapping[str, int] = MappingProxyType(
    {
        "SHA1": int(Mechanism.SHA1_KEY_DERIVATION),
        "SHA256": int(Mechanism.SHA256_KEY_DERIVATION),
        "SHA384": int(Mechanism.SHA384_KEY_DERIVATION),
        "SHA512": int(Mechanism.SHA512_KEY_DERIVATION),
    }
)

_COUNTER_BITS = 32

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


def extract(first_bit: int) -> MechanismCall:
    """CKM_EXTRACT_KEY_FROM_KEY: a key of the base key's bits from `first_bit` on."""
    parameter = ffi.new("CK_ULONG *", first_bit)
    return structured(int(Mechanism.EXTRACT_KEY_FROM_KEY), parameter)


def string_data(mechanism: int, data: bytes) -> MechanismCall:
    """A derivation whose parameter is data to join to the base key."""
    pointer = ffi.from_buffer(data)
    parameters = ffi.new("CK_KEY_DERIVATION_STRING_DATA *")
    parameters.pData, parameters.ulLen = pointer, len(data)
    return structured(mechanism, parameters, pointer)


def hkdf(spec: HkdfSpec, *, expand: bool) -> MechanismCall:
    """CKM_HKDF_DERIVE: extraction unless the salt is None, and expansion where asked."""
    salt, info = ffi.from_buffer(spec.salt or b""), ffi.from_buffer(spec.info)
    parameters = ffi.new("CK_HKDF_PARAMS *")
    parameters.bExtract, parameters.bExpand = spec.salt is not None, expand
    parameters.prfHashMechanism = DIGEST_MECHANISMS[spec.hash_name]
    parameters.ulSaltType = HkdfSalt.NULL
    if spec.salt:
        parameters.ulSaltType, parameters.pSalt, parameters.ulSaltLen = HkdfSalt.DATA, salt, len(spec.salt)
    if expand and spec.info:
        parameters.pInfo, parameters.ulInfoLen = info, len(spec.info)
    return structured(CKM.HKDF_DERIVE, parameters, salt, info)


def counter_kdf(spec: CounterKdfSpec, bits: int) -> MechanismCall:
    """CKM_SP800_108_COUNTER_KDF: counter || label || 00 || context || length, numbers of 32 bits, big-endian.

    bits: of the key. They go in as octets: of CK_SP800_108_DKM_LENGTH a token has been measured to make bytes.
    """
    fixed = ffi.from_buffer(spec.label + b"\0" + spec.context + bits.to_bytes(_COUNTER_BITS // 8, "big"))
    counter = ffi.new("CK_SP800_108_COUNTER_FORMAT *")
    counter.ulWidthInBits = _COUNTER_BITS
    data = ffi.new("CK_PRF_DATA_PARAM[]", 2)
    data[0] = (PrfDataType.ITERATION_VARIABLE, counter, ffi.sizeof("CK_SP800_108_COUNTER_FORMAT"))
    data[1] = (PrfDataType.BYTE_ARRAY, fixed, len(fixed))
    parameters = ffi.new("CK_SP800_108_KDF_PARAMS *")
    parameters.prfType = HMAC_MECHANISMS[spec.hash_name]
    parameters.ulNumberOfDataParams, parameters.pDataParams = len(data), data
    return structured(CKM.SP800_108_COUNTER_KDF, parameters, fixed, counter, data)


class Derivations(Family):
    rules = (
        Rule("KDF", None, (Mechanism.SHA256_HMAC,)),
        Rule("KDF", "JOIN", (Mechanism.CONCATENATE_BASE_AND_DATA,)),
        Rule("PBKDF2", None, (), (Mechanism.SHA256_HMAC,), "one HMAC per iteration"),
        Rule("SP800_108_CTR_HMAC", None, (), (Mechanism.SHA256_HMAC,), "one HMAC per block"),
        Rule("SP800_56A_CONCAT", None, (), (Mechanism.SHA256,), "C_DigestKey once per block"),
        Rule("CAPI_KDF", None, (), (Mechanism.SHA256,), "C_DigestKey, and the expansion on the host"),
        Rule(
            "TLS1_1_KDF",
            None,
            (),
            (Mechanism.EXTRACT_KEY_FROM_KEY, Mechanism._MD5_HMAC, Mechanism.SHA_1_HMAC),
            "one HMAC per block of each half",
        ),
        Rule("TLS1_2_KDF", None, (), (Mechanism.SHA256_HMAC,), "two HMACs per block"),
        Rule("HKDF", None, (CKM.HKDF_DERIVE,), (Mechanism.SHA256_HMAC,), "HkdfPrkAndFinalize only, one HMAC per block"),
        Rule("HKDF", "KEY", (CKM.HKDF_DERIVE,)),
        Rule("SP800_108_CTR_HMAC", "KEY", (CKM.SP800_108_COUNTER_KDF,)),
        Rule(
            "HASH",
            "KEY",
            (
                Mechanism.SHA256_KEY_DERIVATION,
                Mechanism.CONCATENATE_BASE_AND_DATA,
                Mechanism.CONCATENATE_DATA_AND_BASE,
            ),
        ),
    )

    def probe(self, probe: Probe) -> None:
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
