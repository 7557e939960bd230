"""Which property exists on which handle, its type, and the rules of reading and setting it (BCryptGetProperty,
BCryptSetProperty, "Cryptographic Primitive Property Identifiers").

Numbers are int, strings str, lists tuples, structures named tuples. Setting takes an int or the 4 bytes of a DWORD, a
str or the bytes of a UTF-16 string.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from hwcng.arguments import dword, octets, optional_octets, text
from hwcng.cng import aead, hashing, multi_hash
from hwcng.cng.agreement import Secret
from hwcng.cng.algorithm_handle import (
    AlgorithmHandle,
    check_chaining_mode,
    check_curve,
    check_export_policy,
    cipher_mode,
)
from hwcng.cng.algorithm_table import BCRYPT_CHAIN_MODE_CFB, Interface
from hwcng.cng.blobs import build_ecc_parameters, parse_ecc_parameters
from hwcng.cng.derivation_key import KdfKey
from hwcng.cng.derive.hkdf import HkdfState
from hwcng.cng.dh_blobs import BCRYPT_DH_PARAMETERS
from hwcng.cng.dsa_blobs import BCRYPT_DSA_PARAMETERS
from hwcng.cng.handles import Handle, invalid_handle, invalid_parameter, not_supported
from hwcng.cng.hashing import HashObject
from hwcng.cng.key_pair import KeyPair
from hwcng.cng.multi_hash import MultiHash
from hwcng.cng.ncrypt_constants import NCRYPT_PIN_PROPERTY
from hwcng.cng.symmetric_key import SymmetricKey, check_effective_bits
from hwcng.contract.material import RsaPublicKey
from hwcng.contract.usage import CipherMode, Support
from hwcng.errors import NTSTATUS, CngError
from hwcng.standards.curves import CURVE_ALIASES, CURVES
from hwcng.standards.parameter_sets import SHARED_SECRET_SIZE

__all__ = ["AuthTagLengths", "get_property", "require_settable", "set_property"]

BCRYPT_OBJECT_LENGTH = "ObjectLength"
BCRYPT_ALGORITHM_NAME = "AlgorithmName"
BCRYPT_PROVIDER_HANDLE = "ProviderHandle"
BCRYPT_CHAINING_MODE = "ChainingMode"
BCRYPT_BLOCK_LENGTH = "BlockLength"
BCRYPT_BLOCK_SIZE_LIST = "BlockSizeList"
BCRYPT_KEY_LENGTH = "KeyLength"
BCRYPT_KEY_LENGTHS = "KeyLengths"
BCRYPT_KEY_OBJECT_LENGTH = "KeyObjectLength"
BCRYPT_KEY_STRENGTH = "KeyStrength"
BCRYPT_INITIALIZATION_VECTOR = "IV"
BCRYPT_AUTH_TAG_LENGTH = "AuthTagLength"
BCRYPT_MESSAGE_BLOCK_LENGTH = "MessageBlockLength"
BCRYPT_HASH_LENGTH = hashing.HASH_LENGTH
BCRYPT_HASH_BLOCK_LENGTH = "HashBlockLength"
BCRYPT_HASH_OID_LIST = "HashOIDList"
BCRYPT_IS_KEYED_HASH = "IsKeyedHash"
BCRYPT_IS_REUSABLE_HASH = "IsReusableHash"
BCRYPT_EFFECTIVE_KEY_LENGTH = "EffectiveKeyLength"
BCRYPT_PADDING_SCHEMES = "PaddingSchemes"
BCRYPT_SIGNATURE_LENGTH = "SignatureLength"
BCRYPT_PUBLIC_KEY_LENGTH = "PublicKeyLength"
BCRYPT_ECC_CURVE_NAME = "ECCCurveName"
BCRYPT_ECC_CURVE_NAME_LIST = "ECCCurveNameList"
BCRYPT_ECC_PARAMETERS = "ECCParameters"
BCRYPT_PRIVATE_KEY = "PrivKeyVal"
BCRYPT_PARAMETER_SET_NAME = "ParameterSetName"
BCRYPT_KEM_SHARED_SECRET_LENGTH = "KEMSharedSecretLength"  # noqa: S105
BCRYPT_KEM_CIPHERTEXT_LENGTH = "KEMCiphertextLength"
BCRYPT_PRIMITIVE_TYPE = "PrimitiveType"
BCRYPT_IS_IFX_TPM_WEAK_KEY = "IsIfxTpmWeakKey"
BCRYPT_HKDF_HASH_ALGORITHM = "HkdfHashAlgorithm"
BCRYPT_HKDF_SALT_AND_FINALIZE = "HkdfSaltAndFinalize"
BCRYPT_HKDF_PRK_AND_FINALIZE = "HkdfPrkAndFinalize"
BCRYPT_FUNCTION_NAME_STRING = "FunctionNameString"
BCRYPT_CUSTOMIZATION_STRING = "CustomizationString"
BCRYPT_MULTI_OBJECT_LENGTH = "MultiObjectLength"
NCRYPT_EXPORT_POLICY_PROPERTY = "Export Policy"

Getter = Callable[[Any], Any]
Setter = Callable[[Any, Any], None]


class AuthTagLengths(NamedTuple):
    """BCRYPT_AUTH_TAG_LENGTHS_STRUCT, in bytes."""

    dwMinLength: int
    dwMaxLength: int
    dwIncrement: int


def _absent(what: object | None, name: str) -> Any:
    if what is None:
        raise not_supported(f"the handle has no property {name}")
    return what


def _only_key_length(handle: AlgorithmHandle) -> int | None:
    """The length of all keys, where the algorithm has but one."""
    lengths = handle.algorithm.key_lengths
    return lengths.dwMinLength if lengths and lengths.dwMinLength == lengths.dwMaxLength else None


def _tag_lengths(handle: AlgorithmHandle) -> AuthTagLengths:
    mode = cipher_mode(handle.algorithm, handle.chaining_mode)
    lengths = aead.TAG_LENGTHS.get(mode) if mode else None
    if lengths is None:
        raise not_supported(f"{handle.name} in {handle.chaining_mode} makes no tags")
    return AuthTagLengths(lengths[0], lengths[-1], lengths.step)


def _has_blocks(handle: AlgorithmHandle) -> bool:
    """Whether it is a block cipher, whose keys have CFB segments."""
    return BCRYPT_CHAIN_MODE_CFB in handle.algorithm.chaining_modes


def _has_units(key: SymmetricKey) -> bool:
    """Whether the key's data goes in CFB segments or XTS data units."""
    return key.chaining_mode is not None and key.mode not in (CipherMode.STREAM, CipherMode.POLY1305)


def _hash_length(handle: AlgorithmHandle) -> int | None:
    algorithm = handle.algorithm
    if algorithm.hash_function:
        return handle.output_length or algorithm.hash_function.digest_size
    return algorithm.block_length if algorithm.keyed_hash else None


def _hash_block_length(handle: AlgorithmHandle) -> int | None:
    algorithm = handle.algorithm
    if algorithm.hash_function:
        return algorithm.hash_function.block_size
    return algorithm.block_length if algorithm.keyed_hash else None


def _hash_oids(handle: AlgorithmHandle) -> tuple[bytes, ...] | None:
    """The DER contents of the hash's OBJECT IDENTIFIER, which its DigestInfo prefix holds."""
    if handle.algorithm.hash_function is None or handle.hmac:
        return None
    prefix = handle.algorithm.hash_function.digest_info_prefix
    if not prefix:
        return None
    length = prefix[5]
    return (prefix[6 : 6 + length],)


def _is_hash(handle: AlgorithmHandle) -> bool:
    return handle.algorithm.hash_function is not None or handle.algorithm.keyed_hash


def _curve_names(handle: AlgorithmHandle) -> tuple[str, ...] | None:
    if not handle.algorithm.elliptic:
        return None
    offered = [
        name for name in CURVES if handle.provider.offers(handle.algorithm.offered_as, name) is not Support.REFUSED
    ]
    return (*offered, *(alias for alias, name in CURVE_ALIASES.items() if name in offered))


def _key_strength(pair: KeyPair) -> int:
    if pair.finalized:
        return pair.family.strength(pair.public)
    # Not the public half's business: it follows from the algorithm, the curve and the length.
    return pair.family.planned_strength(pair) or _finalized(pair).bits


def _shared_secret_length(handle: AlgorithmHandle) -> int | None:
    return SHARED_SECRET_SIZE if handle.algorithm.is_a(Interface.BCRYPT_KEY_ENCAPSULATION_INTERFACE) else None


def _finalized(pair: KeyPair) -> KeyPair:
    if not pair.finalized:
        raise invalid_handle("the key pair is not finalized")
    return pair


def _domain_parameters(name: str) -> Getter:
    def get(pair: KeyPair) -> bytes | None:
        return pair.family.build_domain(pair.public) if pair.family.domain_property == name else None

    return get


def _set_domain_parameters(name: str) -> Setter:
    def set_(pair: KeyPair, value: Any) -> None:
        pair.set_domain(name, octets(value, name))

    return set_


def _signature_length(pair: KeyPair) -> int | None:
    return None if _finalized(pair).algorithm.agrees else pair.family.signature_length(pair.public)


def _pair_block_length(pair: KeyPair) -> int | None:
    return _finalized(pair).family.block_length(pair.public)


# The primes below 168: keys of the flawed generator are powers of 65537 modulo each (CVE-2017-15361, "ROCA").
_ROCA_PRIMES = tuple(n for n in range(3, 168, 2) if all(n % p for p in range(3, int(n**0.5) + 1, 2)))
_ROCA_GENERATOR = 65537


def _is_roca(pair: KeyPair) -> int | None:
    public = _finalized(pair).public
    if not isinstance(public, RsaPublicKey):
        return None
    for prime in _ROCA_PRIMES:
        powers = {pow(_ROCA_GENERATOR, exponent, prime) for exponent in range(prime)}
        if public.modulus % prime not in powers:
            return 0
    return 1


_GETTERS: Mapping[type[Handle], Mapping[str, Getter]] = MappingProxyType(
    {
        AlgorithmHandle: {
            BCRYPT_OBJECT_LENGTH: lambda handle: handle.algorithm.object_length,
            BCRYPT_KEY_OBJECT_LENGTH: lambda handle: (
                handle.algorithm.object_length if handle.algorithm.chaining_modes else None
            ),
            BCRYPT_ALGORITHM_NAME: lambda handle: handle.name,
            BCRYPT_CHAINING_MODE: lambda handle: handle.chaining_mode,
            BCRYPT_BLOCK_LENGTH: lambda handle: handle.algorithm.block_length,
            BCRYPT_BLOCK_SIZE_LIST: lambda handle: (
                (handle.algorithm.block_length,) if handle.algorithm.chaining_modes else None
            ),
            BCRYPT_KEY_LENGTH: _only_key_length,
            BCRYPT_KEY_LENGTHS: lambda handle: handle.algorithm.key_lengths,
            BCRYPT_AUTH_TAG_LENGTH: _tag_lengths,
            BCRYPT_MESSAGE_BLOCK_LENGTH: lambda handle: 1 if _has_blocks(handle) else None,
            BCRYPT_EFFECTIVE_KEY_LENGTH: lambda handle: (
                (handle.effective_bits or handle.algorithm.key_lengths.dwMaxLength) if handle.name == "RC2" else None
            ),
            BCRYPT_HASH_LENGTH: _hash_length,
            BCRYPT_HASH_BLOCK_LENGTH: _hash_block_length,
            BCRYPT_HASH_OID_LIST: _hash_oids,
            BCRYPT_MULTI_OBJECT_LENGTH: multi_hash.object_lengths,
            BCRYPT_IS_KEYED_HASH: lambda handle: int(handle.keyed_hash) if _is_hash(handle) else None,
            BCRYPT_IS_REUSABLE_HASH: lambda handle: int(handle.reusable) if _is_hash(handle) else None,
            BCRYPT_PADDING_SCHEMES: lambda handle: int(handle.algorithm.padding_schemes) or None,
            BCRYPT_ECC_CURVE_NAME: lambda handle: handle.curve_name,
            BCRYPT_ECC_CURVE_NAME_LIST: _curve_names,
            BCRYPT_ECC_PARAMETERS: lambda handle: build_ecc_parameters(handle.curve.name) if handle.curve else None,
            BCRYPT_KEM_SHARED_SECRET_LENGTH: _shared_secret_length,
            BCRYPT_PRIMITIVE_TYPE: lambda handle: int(handle.algorithm.interfaces[0]),
            NCRYPT_EXPORT_POLICY_PROPERTY: lambda handle: handle.export_policy,
        },
        SymmetricKey: {
            BCRYPT_OBJECT_LENGTH: lambda key: key.algorithm.object_length,
            BCRYPT_ALGORITHM_NAME: lambda key: key.algorithm.name,
            BCRYPT_PROVIDER_HANDLE: lambda key: key.algorithm_handle,
            BCRYPT_CHAINING_MODE: lambda key: key.chaining_mode,
            BCRYPT_BLOCK_LENGTH: lambda key: key.algorithm.block_length,
            BCRYPT_KEY_LENGTH: lambda key: key.bits,
            BCRYPT_KEY_STRENGTH: lambda key: key.bits,
            BCRYPT_MESSAGE_BLOCK_LENGTH: lambda key: key.message_block_length if _has_units(key) else None,
            BCRYPT_EFFECTIVE_KEY_LENGTH: lambda key: key.effective_bits if key.algorithm.name == "RC2" else None,
            NCRYPT_EXPORT_POLICY_PROPERTY: lambda key: key.export_policy,
        },
        KeyPair: {
            BCRYPT_ALGORITHM_NAME: lambda pair: pair.algorithm.name,
            BCRYPT_PROVIDER_HANDLE: lambda pair: _finalized(pair).algorithm_handle,
            BCRYPT_KEY_LENGTH: lambda pair: pair.bits,
            BCRYPT_KEY_STRENGTH: _key_strength,
            BCRYPT_PUBLIC_KEY_LENGTH: lambda pair: _finalized(pair).bits,
            BCRYPT_SIGNATURE_LENGTH: _signature_length,
            BCRYPT_BLOCK_LENGTH: _pair_block_length,
            BCRYPT_ECC_CURVE_NAME: lambda pair: _finalized(pair).curve_name,
            BCRYPT_ECC_PARAMETERS: lambda pair: (
                build_ecc_parameters(pair.curve.name) if _finalized(pair).curve is not None else None
            ),
            BCRYPT_DH_PARAMETERS: _domain_parameters(BCRYPT_DH_PARAMETERS),
            BCRYPT_DSA_PARAMETERS: _domain_parameters(BCRYPT_DSA_PARAMETERS),
            BCRYPT_PARAMETER_SET_NAME: lambda pair: _finalized(pair).parameter_set,
            BCRYPT_KEM_SHARED_SECRET_LENGTH: lambda pair: _shared_secret_length(_finalized(pair).algorithm_handle),
            BCRYPT_KEM_CIPHERTEXT_LENGTH: lambda pair: _finalized(pair).family.ciphertext_length(pair.public),
            BCRYPT_IS_IFX_TPM_WEAK_KEY: _is_roca,
            NCRYPT_EXPORT_POLICY_PROPERTY: lambda pair: _finalized(pair).export_policy,
        },
        MultiHash: {
            BCRYPT_ALGORITHM_NAME: lambda running: running.algorithm.name,
            BCRYPT_PROVIDER_HANDLE: lambda running: running.algorithm_handle,
            BCRYPT_HASH_LENGTH: lambda running: running.hashes[0].digest_length,
            BCRYPT_HASH_BLOCK_LENGTH: lambda running: running.hashes[0].block_length,
            BCRYPT_IS_REUSABLE_HASH: lambda running: int(running.hashes[0].reusable),
        },
        HashObject: {
            BCRYPT_OBJECT_LENGTH: lambda running: running.algorithm.object_length,
            BCRYPT_ALGORITHM_NAME: lambda running: running.algorithm.name,
            BCRYPT_PROVIDER_HANDLE: lambda running: running.algorithm_handle,
            BCRYPT_HASH_LENGTH: lambda running: running.digest_length,
            BCRYPT_HASH_BLOCK_LENGTH: lambda running: running.block_length,
            BCRYPT_IS_REUSABLE_HASH: lambda running: int(running.reusable),
        },
        Secret: {
            BCRYPT_PROVIDER_HANDLE: lambda secret: secret.algorithm_handle,
        },
        KdfKey: {
            BCRYPT_OBJECT_LENGTH: lambda key: key.algorithm.object_length,
            BCRYPT_ALGORITHM_NAME: lambda key: key.algorithm.name,
            BCRYPT_PROVIDER_HANDLE: lambda key: key.algorithm_handle,
            BCRYPT_KEY_LENGTH: lambda key: key.bits,
            BCRYPT_KEY_STRENGTH: lambda key: key.bits,
            NCRYPT_EXPORT_POLICY_PROPERTY: lambda key: key.export_policy,
        },
    }
)


def _set_algorithm_mode(handle: AlgorithmHandle, value: object) -> None:
    mode = text(value, BCRYPT_CHAINING_MODE)
    if not handle.algorithm.chaining_modes:
        raise not_supported(f"{handle.name} has no chaining modes")
    handle.chaining_mode = check_chaining_mode(handle.algorithm, mode, handle.provider)


def _set_algorithm_curve(handle: AlgorithmHandle, value: object) -> None:
    name = text(value, BCRYPT_ECC_CURVE_NAME)
    if not handle.algorithm.generic_curve:
        raise not_supported(f"{handle.name} has its own curve, or none")
    handle.curve, handle.curve_name = check_curve(name, handle.algorithm), name


def _set_algorithm_parameters(handle: AlgorithmHandle, value: Any) -> None:
    _set_algorithm_curve(handle, parse_ecc_parameters(octets(value, BCRYPT_ECC_PARAMETERS)))


def _set_algorithm_policy(handle: AlgorithmHandle, value: object) -> None:
    if not handle.algorithm.symmetric and not handle.algorithm.asymmetric:
        raise not_supported(f"{handle.name} has no keys that could be exported")
    handle.export_policy = check_export_policy(dword(value, NCRYPT_EXPORT_POLICY_PROPERTY))


def _refuse_message_block_length(handle: AlgorithmHandle, _value: object) -> None:
    if not _has_blocks(handle):
        raise not_supported(f"{handle.name} has no MessageBlockLength")
    raise invalid_parameter("MessageBlockLength is set on a key")


def _set_algorithm_pin(handle: AlgorithmHandle, value: object) -> None:
    handle.pin = text(value, NCRYPT_PIN_PROPERTY) or None


def _set_key_mode(key: SymmetricKey, value: object) -> None:
    key.set_chaining_mode(text(value, BCRYPT_CHAINING_MODE))


def _require_cipher_key(key: SymmetricKey) -> None:
    if key.chaining_mode is None:
        raise not_supported("a key that only authenticates has neither chaining nor an IV")


def _set_algorithm_effective_bits(handle: AlgorithmHandle, value: object) -> None:
    handle.effective_bits = check_effective_bits(handle.name, dword(value, BCRYPT_EFFECTIVE_KEY_LENGTH))


def _set_key_effective_bits(key: SymmetricKey, value: object) -> None:
    key.set_effective_bits(dword(value, BCRYPT_EFFECTIVE_KEY_LENGTH))


def _set_key_message_block_length(key: SymmetricKey, value: object) -> None:
    if not _has_units(key):
        raise not_supported(f"{key.algorithm.name} has no MessageBlockLength")
    key.set_message_block_length(dword(value, BCRYPT_MESSAGE_BLOCK_LENGTH))


def _set_key_iv(key: SymmetricKey, value: Any) -> None:
    _require_cipher_key(key)
    key.set_iv(octets(value, BCRYPT_INITIALIZATION_VECTOR))


def _refuse_pair_iv(_pair: KeyPair, _value: object) -> None:
    raise invalid_handle("a key pair has no IV")


def _set_pair_bits(pair: KeyPair, value: object) -> None:
    pair.set_bits(dword(value, BCRYPT_KEY_LENGTH))


def _set_pair_curve(pair: KeyPair, value: object) -> None:
    pair.set_curve(text(value, BCRYPT_ECC_CURVE_NAME))


def _set_pair_parameters(pair: KeyPair, value: Any) -> None:
    pair.set_curve(parse_ecc_parameters(octets(value, BCRYPT_ECC_PARAMETERS)))


def _set_private_value(pair: KeyPair, value: Any) -> None:
    pair.set_private_value(octets(value, BCRYPT_PRIVATE_KEY))


def _set_pair_parameter_set(pair: KeyPair, value: object) -> None:
    pair.set_parameter_set(text(value, BCRYPT_PARAMETER_SET_NAME))


def _set_pair_policy(pair: KeyPair, value: object) -> None:
    pair.set_export_policy(dword(value, NCRYPT_EXPORT_POLICY_PROPERTY))


def _set_algorithm_output_length(handle: AlgorithmHandle, value: object) -> None:
    handle.output_length = hashing.check_output_length(handle.algorithm, dword(value, BCRYPT_HASH_LENGTH))


def _set_algorithm_function_name(handle: AlgorithmHandle, value: Any) -> None:
    hashing.require_strings(handle.algorithm)
    handle.function_name = octets(value, BCRYPT_FUNCTION_NAME_STRING)


def _set_algorithm_customization(handle: AlgorithmHandle, value: Any) -> None:
    hashing.require_strings(handle.algorithm)
    handle.customization = octets(value, BCRYPT_CUSTOMIZATION_STRING)


def _set_hash_output_length(running: HashObject, value: object) -> None:
    running.set_output_length(dword(value, BCRYPT_HASH_LENGTH))


def _set_hash_function_name(running: HashObject, value: Any) -> None:
    hashing.require_strings(running.algorithm)
    running.set_strings(function_name=octets(value, BCRYPT_FUNCTION_NAME_STRING))


def _set_hash_customization(running: HashObject, value: Any) -> None:
    hashing.require_strings(running.algorithm)
    running.set_strings(customization=octets(value, BCRYPT_CUSTOMIZATION_STRING))


def _set_hash_nonce(running: HashObject, value: Any) -> None:
    running.set_nonce(octets(value, BCRYPT_INITIALIZATION_VECTOR))


def _hkdf(holder: KdfKey | Secret) -> HkdfState:
    if isinstance(holder, KdfKey) and holder.algorithm.name != "HKDF":
        raise not_supported(f"{holder.algorithm.name} is not HKDF")
    return holder.hkdf


def _set_hkdf_hash(holder: KdfKey | Secret, value: object) -> None:
    _hkdf(holder).set_hash(text(value, BCRYPT_HKDF_HASH_ALGORITHM))


def _set_hkdf_salt(holder: KdfKey | Secret, value: Any) -> None:
    _hkdf(holder).finalize(optional_octets(value, BCRYPT_HKDF_SALT_AND_FINALIZE))


def _set_hkdf_prk(holder: KdfKey | Secret, value: Any) -> None:
    if optional_octets(value, BCRYPT_HKDF_PRK_AND_FINALIZE):
        raise invalid_parameter(f"{BCRYPT_HKDF_PRK_AND_FINALIZE} takes no value: the key is the pseudorandom key")
    _hkdf(holder).finalize(None)


_MAY_BE_NONE = frozenset({BCRYPT_HKDF_SALT_AND_FINALIZE, BCRYPT_HKDF_PRK_AND_FINALIZE})

_HKDF_SETTERS: Mapping[str, Setter] = MappingProxyType(
    {
        BCRYPT_HKDF_HASH_ALGORITHM: _set_hkdf_hash,
        BCRYPT_HKDF_SALT_AND_FINALIZE: _set_hkdf_salt,
        BCRYPT_HKDF_PRK_AND_FINALIZE: _set_hkdf_prk,
    }
)

_SETTERS: Mapping[type[Handle], Mapping[str, Setter]] = MappingProxyType(
    {
        AlgorithmHandle: {
            BCRYPT_CHAINING_MODE: _set_algorithm_mode,
            BCRYPT_ECC_CURVE_NAME: _set_algorithm_curve,
            BCRYPT_ECC_PARAMETERS: _set_algorithm_parameters,
            BCRYPT_MESSAGE_BLOCK_LENGTH: _refuse_message_block_length,
            BCRYPT_EFFECTIVE_KEY_LENGTH: _set_algorithm_effective_bits,
            BCRYPT_HASH_LENGTH: _set_algorithm_output_length,
            BCRYPT_FUNCTION_NAME_STRING: _set_algorithm_function_name,
            BCRYPT_CUSTOMIZATION_STRING: _set_algorithm_customization,
            NCRYPT_EXPORT_POLICY_PROPERTY: _set_algorithm_policy,
            NCRYPT_PIN_PROPERTY: _set_algorithm_pin,
        },
        SymmetricKey: {
            BCRYPT_CHAINING_MODE: _set_key_mode,
            BCRYPT_MESSAGE_BLOCK_LENGTH: _set_key_message_block_length,
            BCRYPT_EFFECTIVE_KEY_LENGTH: _set_key_effective_bits,
            BCRYPT_INITIALIZATION_VECTOR: _set_key_iv,
        },
        KeyPair: {
            BCRYPT_KEY_LENGTH: _set_pair_bits,
            BCRYPT_ECC_CURVE_NAME: _set_pair_curve,
            BCRYPT_ECC_PARAMETERS: _set_pair_parameters,
            BCRYPT_DH_PARAMETERS: _set_domain_parameters(BCRYPT_DH_PARAMETERS),
            BCRYPT_DSA_PARAMETERS: _set_domain_parameters(BCRYPT_DSA_PARAMETERS),
            BCRYPT_PRIVATE_KEY: _set_private_value,
            BCRYPT_PARAMETER_SET_NAME: _set_pair_parameter_set,
            BCRYPT_INITIALIZATION_VECTOR: _refuse_pair_iv,
            NCRYPT_EXPORT_POLICY_PROPERTY: _set_pair_policy,
        },
        HashObject: {
            BCRYPT_INITIALIZATION_VECTOR: _set_hash_nonce,
            BCRYPT_HASH_LENGTH: _set_hash_output_length,
            BCRYPT_FUNCTION_NAME_STRING: _set_hash_function_name,
            BCRYPT_CUSTOMIZATION_STRING: _set_hash_customization,
        },
        KdfKey: _HKDF_SETTERS,
        Secret: _HKDF_SETTERS,
    }
)


def get_property(handle: Handle, name: str) -> Any:
    """The property's value. Raises STATUS_NOT_SUPPORTED where the handle has none of that name."""
    getter = _GETTERS.get(type(handle), {}).get(name)
    return _absent(getter(handle) if getter else None, name)


def require_settable(handle: Handle) -> None:
    """Raises STATUS_ACCESS_DENIED for a pseudo-handle, which goes before every other check."""
    if isinstance(handle, AlgorithmHandle) and handle.pseudo is not None:
        raise CngError(NTSTATUS.STATUS_ACCESS_DENIED, "the properties of a pseudo-handle are fixed")


def set_property(handle: Handle, name: str, value: object) -> None:
    """Sets a property. Raises STATUS_NOT_SUPPORTED for what is absent or read-only, STATUS_INVALID_PARAMETER for a
    value of the wrong type or outside the rules."""
    setter = _SETTERS.get(type(handle), {}).get(name)
    if setter is None:
        raise not_supported(f"the handle has no property {name} that can be set")
    if value is None and name not in _MAY_BE_NONE:
        raise invalid_parameter(f"a value for {name} is needed")
    setter(handle, value)
