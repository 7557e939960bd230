"""Which mechanism serves which spec, and its parameter (OASIS PKCS#11 3.2, section 6: mechanisms).

One table per family; a call is the mechanism's number with its parameter structure and what the structure points to.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from pkcs11 import MGF, Mechanism

from hwcng.contract.specs import AeadSpec, CipherSpec, CounterKdfSpec, HkdfSpec, MlDsaSpec, RsaOaepSpec, RsaPssSpec
from hwcng.contract.usage import CipherMode, SecretFamily
from hwcng.providers.pkcs11.cryptoki.calls import CData, ffi

__all__ = [
    "AES_BLOCK",
    "GCM_NONCE",
    "GcmCall",
    "IvCall",
    "CKM",
    "CKK_EC_MONTGOMERY",
    "EC_MONTGOMERY_KEY_PAIR_GEN",
    "HASH_ML_DSA",
    "CIPHER_MECHANISMS",
    "DIGEST_MECHANISMS",
    "HMAC_MECHANISMS",
    "MechanismCall",
    "KEY_DERIVATION_MECHANISMS",
    "call",
    "cipher",
    "counter_kdf",
    "dh",
    "ecdh",
    "extract",
    "gcm",
    "hkdf",
    "ml_dsa",
    "oaep",
    "pss",
    "string_data",
    "with_iv",
]

AES_BLOCK = 16
GCM_NONCE = 12

CKK_EC_MONTGOMERY = 0x41
EC_MONTGOMERY_KEY_PAIR_GEN = 0x1056
HASH_ML_DSA = 0x1F
CKH_HEDGE_PREFERRED, CKH_DETERMINISTIC_REQUIRED = 0, 2


class CKM(enum.IntEnum):
    """Mechanisms that python-pkcs11 has no name for."""

    SP800_108_COUNTER_KDF = 0x3AC
    AES_XTS = 0x1071
    AES_XTS_KEY_GEN = 0x1072
    CHACHA20_KEY_GEN = 0x1225
    CHACHA20_POLY1305 = 0x4021
    HKDF_DERIVE = 0x402A


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

HMAC_MECHANISMS: Mapping[str, int] = MappingProxyType(
    {
        "MD5": int(Mechanism._MD5_HMAC),
        "SHA1": int(Mechanism.SHA_1_HMAC),
        "SHA256": int(Mechanism.SHA256_HMAC),
        "SHA384": int(Mechanism.SHA384_HMAC),
        "SHA512": int(Mechanism.SHA512_HMAC),
        "SHA3-256": int(Mechanism.SHA3_256_HMAC),
        "SHA3-384": int(Mechanism.SHA3_384_HMAC),
        "SHA3-512": int(Mechanism.SHA3_512_HMAC),
    }
)

DIGEST_MECHANISMS: Mapping[str, int] = MappingProxyType(
    {
        "MD5": int(Mechanism._MD5),
        "SHA1": int(Mechanism.SHA_1),
        "SHA256": int(Mechanism.SHA256),
        "SHA384": int(Mechanism.SHA384),
        "SHA512": int(Mechanism.SHA512),
        "SHA3-256": int(Mechanism.SHA3_256),
        "SHA3-384": int(Mechanism.SHA3_384),
        "SHA3-512": int(Mechanism.SHA3_512),
    }
)

_MGF1: Mapping[str, int] = MappingProxyType(
    {
        "SHA1": int(MGF.SHA1),
        "SHA256": int(MGF.SHA256),
        "SHA384": int(MGF.SHA384),
        "SHA512": int(MGF.SHA512),
        "SHA3-256": int(MGF.SHA3_256),
        "SHA3-384": int(MGF.SHA3_384),
        "SHA3-512": int(MGF.SHA3_512),
    }
)

KEY_DERIVATION_MECHANISMS: Mapping[str, int] = MappingProxyType(
    {
        "SHA1": int(Mechanism.SHA1_KEY_DERIVATION),
        "SHA256": int(Mechanism.SHA256_KEY_DERIVATION),
        "SHA384": int(Mechanism.SHA384_KEY_DERIVATION),
        "SHA512": int(Mechanism.SHA512_KEY_DERIVATION),
    }
)


CKZ_DATA_SPECIFIED = 1
CKD_NULL = 1
CKF_HKDF_SALT_NULL = 1
CKF_HKDF_SALT_DATA = 2
CK_SP800_108_ITERATION_VARIABLE = 1
CK_SP800_108_BYTE_ARRAY = 4
_COUNTER_BITS = 32


_CK_MECHANISM = ffi.typeof("CK_MECHANISM *")


class MechanismCall:
    """A CK_MECHANISM, which tokens only read. parameter: what it points to. alive: what that points to."""

    __slots__ = ("alive", "parameter", "structure")

    def __init__(
        self, mechanism: int, parameter: CData = ffi.NULL, parameter_length: int = 0, alive: tuple[CData, ...] = ()
    ) -> None:
        self.structure: CData = ffi.new(_CK_MECHANISM, (mechanism, parameter, parameter_length))
        self.parameter = parameter
        self.alive = alive


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
    time.
    """

    __slots__ = ("_nonce",)

    def __init__(self, mechanism: int, tag_length: int) -> None:
        octets = ffi.new("unsigned char[]", GCM_NONCE)
        parameters = ffi.new("CK_GCM_PARAMS *", (octets, GCM_NONCE, 8 * GCM_NONCE, ffi.NULL, 0, 8 * tag_length))
        super().__init__(mechanism, parameters, ffi.sizeof("CK_GCM_PARAMS"), (octets,))
        self._nonce = memoryview(ffi.buffer(octets))

    def begin(self, nonce: bytes, aad: bytes) -> None:
        """`aad` must live until `end`."""
        self._nonce[:] = nonce
        if aad:
            self.parameter.pAAD, self.parameter.ulAADLen = ffi.from_buffer(aad), len(aad)

    def end(self) -> None:
        self.parameter.pAAD, self.parameter.ulAADLen = ffi.NULL, 0


@cache
def call(mechanism: int) -> MechanismCall:
    """A mechanism without parameter."""
    return MechanismCall(mechanism)


def with_iv(mechanism: int, iv: bytes) -> MechanismCall:
    """A mechanism whose parameter is its initialisation vector."""
    pointer = ffi.from_buffer(iv)
    return MechanismCall(mechanism, pointer, len(iv), (pointer,))


def _structured(mechanism: int, parameter: CData, *alive: CData) -> MechanismCall:
    return MechanismCall(mechanism, parameter, ffi.sizeof(ffi.typeof(parameter).item), (parameter, *alive))


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
            return _structured(mechanism, ffi.new("CK_ULONG *", effective_bits))
        parameters = ffi.new("CK_RC2_CBC_PARAMS *")
        parameters.ulEffectiveBits, parameters.iv = effective_bits, spec.iv or bytes(8)
        return _structured(mechanism, parameters)
    return with_iv(mechanism, spec.iv) if spec.iv else MechanismCall(mechanism)


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
    return _structured(mechanism, parameters, iv, data)


def _chacha20_poly1305(mechanism: int, spec: AeadSpec) -> MechanismCall:
    nonce, aad = ffi.from_buffer(spec.nonce), ffi.from_buffer(spec.aad)
    parameters = ffi.new("CK_SALSA20_CHACHA20_POLY1305_PARAMS *")
    parameters.pNonce, parameters.ulNonceLen = nonce, len(spec.nonce)
    parameters.pAAD, parameters.ulAADLen = (aad, len(spec.aad)) if spec.aad else (ffi.NULL, 0)
    return _structured(mechanism, parameters, nonce, aad)


def pss(spec: RsaPssSpec) -> MechanismCall:
    parameters = ffi.new("CK_RSA_PKCS_PSS_PARAMS *")
    parameters.hashAlg, parameters.mgf = DIGEST_MECHANISMS[spec.hash_name], _MGF1[spec.hash_name]
    parameters.sLen = spec.salt_length
    return _structured(int(Mechanism.RSA_PKCS_PSS), parameters)


def oaep(spec: RsaOaepSpec) -> MechanismCall:
    label = ffi.from_buffer(spec.label)
    parameters = ffi.new("CK_RSA_PKCS_OAEP_PARAMS *")
    parameters.hashAlg, parameters.mgf = DIGEST_MECHANISMS[spec.hash_name], _MGF1[spec.hash_name]
    parameters.source = CKZ_DATA_SPECIFIED
    parameters.pSourceData, parameters.ulSourceDataLen = (label, len(spec.label)) if spec.label else (ffi.NULL, 0)
    return _structured(int(Mechanism.RSA_PKCS_OAEP), parameters, label)


def _octet_string(octets: bytes) -> bytes:
    """DER of an OCTET STRING of fewer than 256 octets (X.690, 8.7): no point of a curve here has more."""
    return bytes((4, len(octets)) if len(octets) < 128 else (4, 0x81, len(octets))) + octets


def ecdh(point: bytes, *, der: bool) -> MechanismCall:
    """point: the peer's, uncompressed (SEC 1, 2.3.3). der: whether the token wants it in a DER OCTET STRING."""
    if der:
        point = _octet_string(point)
    pointer = ffi.from_buffer(point)
    parameters = ffi.new("CK_ECDH1_DERIVE_PARAMS *")
    parameters.kdf = CKD_NULL
    parameters.pPublicData, parameters.ulPublicDataLen = pointer, len(point)
    return _structured(int(Mechanism.ECDH1_DERIVE), parameters, pointer)


def dh(public_value: bytes) -> MechanismCall:
    """public_value: the peer's, big-endian."""
    return with_iv(int(Mechanism.DH_PKCS_DERIVE), public_value)


def ml_dsa(spec: MlDsaSpec) -> MechanismCall:
    """CKM_ML_DSA of a message, or CKM_HASH_ML_DSA of a digest; the latter's structure is the former's and the hash."""
    context = ffi.from_buffer(spec.context)
    if spec.prehash is None:
        mechanism, parameters = int(Mechanism.ML_DSA), ffi.new("CK_SIGN_ADDITIONAL_CONTEXT *")
    else:
        mechanism, parameters = HASH_ML_DSA, ffi.new("CK_HASH_SIGN_ADDITIONAL_CONTEXT *")
        parameters.hash = DIGEST_MECHANISMS[spec.prehash]
    parameters.hedgeVariant = CKH_DETERMINISTIC_REQUIRED if spec.deterministic else CKH_HEDGE_PREFERRED
    parameters.pContext, parameters.ulContextLen = (context, len(spec.context)) if spec.context else (ffi.NULL, 0)
    return _structured(mechanism, parameters, context)


def extract(first_bit: int) -> MechanismCall:
    """CKM_EXTRACT_KEY_FROM_KEY: a key of the base key's bits from `first_bit` on."""
    parameter = ffi.new("CK_ULONG *", first_bit)
    return _structured(int(Mechanism.EXTRACT_KEY_FROM_KEY), parameter)


def string_data(mechanism: int, data: bytes) -> MechanismCall:
    """A derivation whose parameter is data to join to the base key."""
    pointer = ffi.from_buffer(data)
    parameters = ffi.new("CK_KEY_DERIVATION_STRING_DATA *")
    parameters.pData, parameters.ulLen = pointer, len(data)
    return _structured(mechanism, parameters, pointer)


def hkdf(spec: HkdfSpec, *, expand: bool) -> MechanismCall:
    """CKM_HKDF_DERIVE: extraction unless the salt is None, and expansion where asked."""
    salt, info = ffi.from_buffer(spec.salt or b""), ffi.from_buffer(spec.info)
    parameters = ffi.new("CK_HKDF_PARAMS *")
    parameters.bExtract, parameters.bExpand = spec.salt is not None, expand
    parameters.prfHashMechanism = DIGEST_MECHANISMS[spec.hash_name]
    parameters.ulSaltType = CKF_HKDF_SALT_NULL
    if spec.salt:
        parameters.ulSaltType, parameters.pSalt, parameters.ulSaltLen = CKF_HKDF_SALT_DATA, salt, len(spec.salt)
    if expand and spec.info:
        parameters.pInfo, parameters.ulInfoLen = info, len(spec.info)
    return _structured(CKM.HKDF_DERIVE, parameters, salt, info)


def counter_kdf(spec: CounterKdfSpec, bits: int) -> MechanismCall:
    """CKM_SP800_108_COUNTER_KDF: counter || label || 00 || context || length, numbers of 32 bits, big-endian.

    bits: of the key. They go in as octets: of CK_SP800_108_DKM_LENGTH a token has been measured to make bytes.
    """
    fixed = ffi.from_buffer(spec.label + b"\0" + spec.context + bits.to_bytes(_COUNTER_BITS // 8, "big"))
    counter = ffi.new("CK_SP800_108_COUNTER_FORMAT *")
    counter.ulWidthInBits = _COUNTER_BITS
    data = ffi.new("CK_PRF_DATA_PARAM[]", 2)
    data[0] = (CK_SP800_108_ITERATION_VARIABLE, counter, ffi.sizeof("CK_SP800_108_COUNTER_FORMAT"))
    data[1] = (CK_SP800_108_BYTE_ARRAY, fixed, len(fixed))
    parameters = ffi.new("CK_SP800_108_KDF_PARAMS *")
    parameters.prfType = HMAC_MECHANISMS[spec.hash_name]
    parameters.ulNumberOfDataParams, parameters.pDataParams = len(data), data
    return _structured(CKM.SP800_108_COUNTER_KDF, parameters, fixed, counter, data)
