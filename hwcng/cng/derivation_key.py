"""The derivation algorithms of CNG: their base keys, in the token, and BCryptKeyDerivation.

Standards: RFC 8018, 5.2 (PBKDF2); SP 800-108 r1, 4.1 (counter mode); SP 800-56A r3, 5.8.2 (concatenation); RFC 2246 and
RFC 5246, 5 (TLS PRF); RFC 5869 (HKDF); wincrypt.h (CryptDeriveKey).

The base key never reaches the host. What does, beside the result: the digest of the base key (CAPI_KDF), every U of a
block (PBKDF2), the A values of P_hash (TLS).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from hwcng import arguments
from hwcng.arguments import Octets, holding
from hwcng.cng import cipher_keys, hashing
from hwcng.cng.algorithm_handle import AlgorithmHandle
from hwcng.cng.blobs.symmetric import parse_key_data
from hwcng.cng.derive import crypt_derive_key
from hwcng.cng.derive.functions import LARGEST_DERIVATION, expanded, other_info, p_hash
from hwcng.cng.derive.hkdf import HkdfState
from hwcng.cng.derive.parameters import ParameterList, Parameters
from hwcng.cng.handles import in_use
from hwcng.cng.symmetric_key import SymmetricKey
from hwcng.contract.keys import SecretKey
from hwcng.contract.provider import Provider
from hwcng.contract.specs import CounterKdfSpec, KdfSpec, SecretSpec
from hwcng.contract.usage import SecretFamily, Usage
from hwcng.errors import invalid_handle, invalid_parameter, not_supported, told
from hwcng.headers.bcrypt_h import (
    BCRYPT_CAPI_AES_FLAG,
    BCRYPT_KDF_HKDF,
    BCRYPT_KEY_DATA_BLOB,
    BCRYPT_OPAQUE_KEY_BLOB,
    BufferType,
)
from hwcng.headers.ncrypt_h import ExportPolicy
from hwcng.hostcrypto.modes import xor

__all__ = ["KdfKey", "counter_spec", "generate", "import_blob", "import_secret", "made"]


SP800_108_CTR_HMAC = "SP800_108_CTR_HMAC"
LEAST_BITS = 112
DEFAULT_ITERATIONS = 10000
ITERATION_COUNT_SIZE = 8
COUNTER_SIZE = 4
MOST_TOKEN_CALLS = 1 << 24
"""Of one derivation: minutes on the fastest token."""


class KdfKey(SymmetricKey):
    """The base key of a derivation algorithm. hkdf: HKDF's settings."""

    def __init__(self, handle: AlgorithmHandle, token_key: SecretKey, key_object: memoryview | None) -> None:
        super().__init__(handle, token_key, key_object, chaining_mode=None)
        self.hkdf = HkdfState()

    @in_use
    def duplicate(self, key_object: Octets | None = None) -> KdfKey:
        """A base key of the same value and settings, with a life of its own."""
        with holding(key_object, self.algorithm.object_length or 0, "pbKeyObject") as held:
            copy = KdfKey(self.algorithm_handle, self.token_key.duplicate(), held)
        copy.hkdf = self.hkdf.copy()
        return copy

    @in_use
    def derive(self, parameters: ParameterList | None, length: int, flags: int = 0) -> bytes:
        """BCryptKeyDerivation: `length` bytes.

        Raises STATUS_INVALID_PARAMETER for parameters that are missing or malformed, flags of another algorithm and a
        length that the algorithm does not reach, and what the token says where it cannot do its part.
        """
        wanted = arguments.number(length, "cbDerivedKey", largest=LARGEST_DERIVATION)
        if not wanted:
            raise invalid_parameter("cbDerivedKey is 0")
        return _FUNCTIONS[self.algorithm.name](self, Parameters(parameters), wanted, flags)

    @in_use
    def derive_to_key(self, handle: AlgorithmHandle, parameters: ParameterList | None, bits: int) -> SymmetricKey:
        """A key of the algorithm `handle`, `bits` long, derived into the token: by HKDF or SP800_108_CTR_HMAC.

        This call brings no byte of it to the host; BCryptKeyDerivation with the same parameters gives it to whoever has
        the base key's handle. Raises STATUS_NOT_SUPPORTED for another algorithm, for fewer bits than 112 and where the
        token has no mechanism for it.
        """
        return _from_base_key(self, parameters, handle, bits)


def counter_spec(parameters: Parameters) -> CounterKdfSpec:
    """Label and context of SP800_108_CTR_HMAC, by themselves or as label || 00 || context in one."""
    hash_name = parameters.required_hash().name
    if BufferType.KDF_GENERIC_PARAMETER not in parameters:
        label, context = parameters.required(BufferType.KDF_LABEL), parameters.required(BufferType.KDF_CONTEXT)
        return CounterKdfSpec(hash_name, label, context)
    label, zero, context = parameters.octets(BufferType.KDF_GENERIC_PARAMETER).partition(b"\0")
    if not zero:
        raise invalid_parameter("KDF_GENERIC_PARAMETER of SP800_108_CTR_HMAC is label, a zero octet, context")
    return CounterKdfSpec(hash_name, label, context)


def _counter(number: int) -> bytes:
    return number.to_bytes(COUNTER_SIZE, "big")


def _blocks(block: Callable[[int], bytes], length: int) -> bytes:
    """Blocks 1, 2, ... until there are `length` bytes."""
    output, number = bytearray(), 0
    while len(output) < length:
        number += 1
        output += block(number)
    return bytes(output[:length])


def _pbkdf2(key: KdfKey, parameters: Parameters, length: int, flags: int) -> bytes:
    arguments.flags(flags)
    hash_function = parameters.required_hash()
    hash_name = hash_function.name
    generic = BufferType.KDF_GENERIC_PARAMETER in parameters
    salt = parameters.octets(BufferType.KDF_GENERIC_PARAMETER if generic else BufferType.KDF_SALT)
    iterations = parameters.number(BufferType.KDF_ITERATION_COUNT, DEFAULT_ITERATIONS, ITERATION_COUNT_SIZE)
    if not iterations:
        raise invalid_parameter("KDF_ITERATION_COUNT is 0")
    blocks = -(-length // hash_function.digest_size)
    if iterations * blocks > MOST_TOKEN_CALLS:
        raise invalid_parameter(
            f"PBKDF2 with the password in the token calls it {told(iterations)} times for each of {blocks} blocks: "
            f"{MOST_TOKEN_CALLS} calls are the most"
        )
    material = key.token_key.keying_material()

    def block(number: int) -> bytes:
        step = material.hmac(hash_name, salt + _counter(number))
        result = int.from_bytes(step, "big")
        for _ in range(iterations - 1):
            step = material.hmac(hash_name, step)
            result ^= int.from_bytes(step, "big")
        return result.to_bytes(len(step), "big")

    return _blocks(block, length)


def _sp800_108(key: KdfKey, parameters: Parameters, length: int, flags: int) -> bytes:
    arguments.flags(flags)
    spec = counter_spec(parameters)
    material = key.token_key.keying_material()
    fixed = spec.label + b"\0" + spec.context + (8 * length).to_bytes(COUNTER_SIZE, "big")
    return _blocks(lambda number: material.hmac(spec.hash_name, _counter(number) + fixed), length)


def _sp800_56a(key: KdfKey, parameters: Parameters, length: int, flags: int) -> bytes:
    arguments.flags(flags)
    hash_name = parameters.required_hash().name
    if BufferType.KDF_GENERIC_PARAMETER in parameters:
        info = parameters.octets(BufferType.KDF_GENERIC_PARAMETER)
    else:
        info = other_info(parameters)
    material = key.token_key.keying_material()
    return _blocks(lambda number: material.digest(hash_name, _counter(number), info), length)


def _capi(key: KdfKey, parameters: Parameters, length: int, flags: int) -> bytes:
    arguments.flags(flags, BCRYPT_CAPI_AES_FLAG)
    hash_function = parameters.required_hash()
    crypt_derive_key.check_length(hash_function, length)
    digest = key.token_key.keying_material().digest(hash_function.name, b"", b"")
    return crypt_derive_key.expand(hash_function, digest, length, for_block_cipher=bool(flags))


def _seed(parameters: Parameters) -> bytes:
    return parameters.required(BufferType.KDF_TLS_PRF_LABEL) + parameters.required(BufferType.KDF_TLS_PRF_SEED)


def _tls1_1(key: KdfKey, parameters: Parameters, length: int, flags: int) -> bytes:
    arguments.flags(flags)
    seed, material = _seed(parameters), key.token_key.keying_material()
    md5 = p_hash(lambda data: material.half_hmac(0, "MD5", data), seed, length)
    return xor(md5, p_hash(lambda data: material.half_hmac(1, "SHA1", data), seed, length))


def _tls1_2(key: KdfKey, parameters: Parameters, length: int, flags: int) -> bytes:
    arguments.flags(flags)
    seed, hash_name = _seed(parameters), parameters.required_hash().name
    material = key.token_key.keying_material()
    return p_hash(lambda data: material.hmac(hash_name, data), seed, length)


def _hkdf(key: KdfKey, parameters: Parameters, length: int, flags: int) -> bytes:
    arguments.flags(flags)
    spec = key.hkdf.spec(parameters.octets(BufferType.KDF_HKDF_INFO))
    return expanded(key.token_key.keying_material(), spec, length)


_FUNCTIONS: Mapping[str, Callable[[KdfKey, Parameters, int, int], bytes]] = MappingProxyType(
    {
        "PBKDF2": _pbkdf2,
        "SP800_108_CTR_HMAC": _sp800_108,
        "SP800_56A_CONCAT": _sp800_56a,
        "CAPI_KDF": _capi,
        "TLS1_1_KDF": _tls1_1,
        "TLS1_2_KDF": _tls1_2,
        "HKDF": _hkdf,
    }
)

_ANY_HMAC = SecretFamily.HMAC, Usage.SIGN
_EXACT = SecretFamily.KDF, Usage.DERIVE

_BASE_KEYS: Mapping[str, tuple[SecretFamily, Usage]] = MappingProxyType(
    {
        "PBKDF2": _ANY_HMAC,
        "SP800_108_CTR_HMAC": (SecretFamily.HMAC, Usage.SIGN | Usage.DERIVE),
        "SP800_56A_CONCAT": _EXACT,
        "CAPI_KDF": _EXACT,
        "TLS1_1_KDF": _EXACT,
        "TLS1_2_KDF": _ANY_HMAC,
        "HKDF": (SecretFamily.KDF, Usage.SIGN | Usage.DERIVE),
    }
)


def _spec(handle: AlgorithmHandle, bits: int) -> SecretSpec:
    lengths = handle.algorithm.key_lengths
    if lengths is None or bits not in lengths:
        raise invalid_parameter(f"{handle.name} has no keys of {bits} bits ({bits // 8} bytes)")
    exportable = bool(handle.export_policy & ExportPolicy.NCRYPT_ALLOW_EXPORT_FLAG)
    family, usage = _BASE_KEYS[handle.name]
    return SecretSpec(family, bits, usage, exportable)


def made(handle: AlgorithmHandle, bits: int, make: Callable[[SecretSpec], SecretKey]) -> KdfKey:
    """A base key that `make` brings about in the token."""
    return KdfKey(handle, make(_spec(handle, bits)), None)


def import_secret(handle: AlgorithmHandle, secret: bytes, key_object: Octets | None) -> KdfKey:
    """BCryptGenerateSymmetricKey: a base key of the caller's bytes, 0 to 2048 of them, all kept."""
    spec = _spec(handle, 8 * len(secret))
    with holding(key_object, handle.algorithm.object_length or 0, "pbKeyObject") as held:
        return KdfKey(handle, handle.provider.import_secret(spec, secret), held)


def generate(handle: AlgorithmHandle, bits: int, key_object: Octets | None) -> KdfKey:
    """A base key that the token makes itself."""
    spec = _spec(handle, bits)
    if not bits:
        raise invalid_parameter("a token makes no empty key")
    with holding(key_object, handle.algorithm.object_length or 0, "pbKeyObject") as held:
        return KdfKey(handle, handle.provider.generate_secret(spec), held)


def import_blob(handle: AlgorithmHandle, blob_type: str, blob: bytes, key_object: Octets | None) -> KdfKey:
    """BCryptImportKey: KeyDataBlob or OpaqueKeyBlob."""
    if blob_type == BCRYPT_KEY_DATA_BLOB:
        return import_secret(handle, parse_key_data(blob).key, key_object)
    if blob_type != BCRYPT_OPAQUE_KEY_BLOB:
        raise not_supported(f"{told(blob_type)} is not a blob type of {handle.name}")
    with holding(key_object, handle.algorithm.object_length or 0, "pbKeyObject") as held:
        is_base_key = partial(_is_base_key, handle.name)
        key = cipher_keys.reloaded(handle.provider, blob, handle.name, is_base_key, handle.pin)
        return KdfKey(handle, key, held)


def _is_base_key(name: str, spec: SecretSpec) -> bool:
    return spec.hash_name is None and (spec.family, spec.usage) == _BASE_KEYS[name]


def whole_bytes(bits: object) -> int:
    plain = arguments.number(bits, "bits")
    if not plain or plain % 8:
        raise invalid_parameter(f"a key of {plain} bits is not whole bytes")
    return plain


def _require_strength(handle: AlgorithmHandle, bits: int) -> None:
    strength = min(bits, handle.effective_bits or bits)
    if strength < LEAST_BITS:
        raise not_supported(
            f"a key of {strength} bits that a token derives can be guessed, and with it the beginning of a longer one: "
            f"{LEAST_BITS} bits at least"
        )


def resident_key(
    handle: AlgorithmHandle, bits: int, provider: Provider, make: Callable[[SecretSpec], SecretKey]
) -> SymmetricKey:
    """A key of the algorithm `handle`, `bits` long, that `make` brings about in the token of `provider`.

    Raises STATUS_NOT_SUPPORTED for a key of under 112 bits, or of so few effective ones.
    """
    if not isinstance(handle, AlgorithmHandle) or not handle.alive:
        raise invalid_handle("the algorithm handle is closed")
    bits = whole_bytes(bits)
    if handle.provider is not provider:
        raise invalid_parameter("the algorithm handle is of another provider than the secret")

    def make_strong(spec: SecretSpec) -> SecretKey:
        _require_strength(handle, spec.bits)
        return make(spec)

    if handle.algorithm.derives:
        return made(handle, bits, make_strong)
    if handle.keyed_hash:
        return hashing.made(handle, bits, make_strong)
    return cipher_keys.made(handle, bits, make_strong)


def _from_base_key(key: KdfKey, pairs: ParameterList | None, handle: AlgorithmHandle, bits: int) -> SymmetricKey:
    """A key of a base key of HKDF or SP800_108_CTR_HMAC."""
    parameters = Parameters(pairs)
    kdf: KdfSpec
    if key.algorithm.name == BCRYPT_KDF_HKDF:
        kdf = key.hkdf.spec(parameters.octets(BufferType.KDF_HKDF_INFO))
    elif key.algorithm.name == SP800_108_CTR_HMAC:
        kdf = counter_spec(parameters)
    else:
        raise not_supported(f"no token makes a key of {key.algorithm.name} inside: use HKDF or {SP800_108_CTR_HMAC}")
    material = key.token_key.keying_material()
    return resident_key(handle, bits, key.provider, lambda spec: material.derive_key(kdf, spec))
