"""Which property exists on which handle, its type, and the rules of reading and setting it (BCryptGetProperty,
BCryptSetProperty, "Cryptographic Primitive Property Identifiers").

Numbers are int, strings str, lists tuples, structures named tuples. Setting takes an int or the 4 bytes of a DWORD, a
str or the bytes of a UTF-16 string.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from hwcng.arguments import dword, octets, optional_octets, text
from hwcng.cng import hashing, multi_hash, pair_properties
from hwcng.cng.agreement import Secret
from hwcng.cng.algorithm_handle import (
    AlgorithmHandle,
    check_chaining_mode,
    check_curve,
    check_export_policy,
)
from hwcng.cng.derivation_key import KdfKey
from hwcng.cng.derive.hkdf import HkdfState
from hwcng.cng.families.ec import build_ecc_parameters, parse_ecc_parameters
from hwcng.cng.handles import Handle
from hwcng.cng.hashing import HashObject
from hwcng.cng.key_pair import KeyPair
from hwcng.cng.modes import MODES, cipher_mode
from hwcng.cng.multi_hash import MultiHash
from hwcng.cng.platform import platform_type, provider_version
from hwcng.cng.symmetric_key import SymmetricKey, check_effective_bits
from hwcng.contract.provider import Provider
from hwcng.contract.usage import CipherMode, Support
from hwcng.errors import NTSTATUS, CngError, invalid_parameter, not_supported
from hwcng.headers import bcrypt_h
from hwcng.headers.ncrypt_h import NCRYPT_EXPORT_POLICY_PROPERTY, NCRYPT_PIN_PROPERTY
from hwcng.headers.records import AuthTagLengths
from hwcng.standards.curves import CURVE_ALIASES, CURVES

__all__ = ["get_property", "require_settable", "set_property"]


Getter = Callable[[Any], Any]
Setter = Callable[[Any, Any], None]
T = TypeVar("T")


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
    lengths = MODES[mode].tags if mode else None
    if not lengths:
        raise not_supported(f"{handle.name} in {handle.chaining_mode} makes no tags")
    return AuthTagLengths(lengths[0], lengths[-1], lengths.step)


def _has_blocks(handle: AlgorithmHandle) -> bool:
    """Whether it is a block cipher, whose keys have CFB segments."""
    return bcrypt_h.BCRYPT_CHAIN_MODE_CFB in handle.algorithm.chaining_modes


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


def _of_the_generator(told: Callable[[Provider], str]) -> Getter:
    return lambda handle: told(handle.provider) if handle.name == "RNG" else None


_GETTERS: Mapping[type[Handle], Mapping[str, Getter]] = MappingProxyType(
    {
        AlgorithmHandle: {
            bcrypt_h.BCRYPT_OBJECT_LENGTH: lambda handle: handle.algorithm.object_length,
            bcrypt_h.BCRYPT_KEY_OBJECT_LENGTH: lambda handle: (
                handle.algorithm.object_length if handle.algorithm.chaining_modes else None
            ),
            bcrypt_h.BCRYPT_ALGORITHM_NAME: lambda handle: handle.name,
            bcrypt_h.BCRYPT_CHAINING_MODE: lambda handle: handle.chaining_mode,
            bcrypt_h.BCRYPT_BLOCK_LENGTH: lambda handle: handle.algorithm.block_length,
            bcrypt_h.BCRYPT_BLOCK_SIZE_LIST: lambda handle: (
                (handle.algorithm.block_length,) if handle.algorithm.chaining_modes else None
            ),
            bcrypt_h.BCRYPT_KEY_LENGTH: _only_key_length,
            bcrypt_h.BCRYPT_KEY_LENGTHS: lambda handle: handle.algorithm.key_lengths,
            bcrypt_h.BCRYPT_AUTH_TAG_LENGTH: _tag_lengths,
            bcrypt_h.BCRYPT_MESSAGE_BLOCK_LENGTH: lambda handle: 1 if _has_blocks(handle) else None,
            bcrypt_h.BCRYPT_EFFECTIVE_KEY_LENGTH: lambda handle: (
                (handle.effective_bits or handle.algorithm.key_lengths.dwMaxLength) if handle.name == "RC2" else None
            ),
            bcrypt_h.BCRYPT_HASH_LENGTH: _hash_length,
            bcrypt_h.BCRYPT_HASH_BLOCK_LENGTH: _hash_block_length,
            bcrypt_h.BCRYPT_HASH_OID_LIST: _hash_oids,
            bcrypt_h.BCRYPT_MULTI_OBJECT_LENGTH: multi_hash.object_lengths,
            bcrypt_h.BCRYPT_IS_KEYED_HASH: lambda handle: int(handle.keyed_hash) if _is_hash(handle) else None,
            bcrypt_h.BCRYPT_IS_REUSABLE_HASH: lambda handle: int(handle.reusable) if _is_hash(handle) else None,
            bcrypt_h.BCRYPT_PADDING_SCHEMES: lambda handle: int(handle.algorithm.padding_schemes) or None,
            bcrypt_h.BCRYPT_ECC_CURVE_NAME: lambda handle: handle.curve_name,
            bcrypt_h.BCRYPT_ECC_CURVE_NAME_LIST: _curve_names,
            bcrypt_h.BCRYPT_ECC_PARAMETERS: lambda handle: (
                build_ecc_parameters(handle.curve.name) if handle.curve else None
            ),
            bcrypt_h.BCRYPT_KEM_SHARED_SECRET_LENGTH: lambda handle: handle.algorithm.shared_secret_length,
            bcrypt_h.BCRYPT_PRIMITIVE_TYPE: lambda handle: int(handle.algorithm.interfaces[0]),
            bcrypt_h.BCRYPT_PCP_PLATFORM_TYPE_PROPERTY: _of_the_generator(platform_type),
            bcrypt_h.BCRYPT_PCP_PROVIDER_VERSION_PROPERTY: _of_the_generator(provider_version),
            NCRYPT_EXPORT_POLICY_PROPERTY: lambda handle: handle.export_policy,
        },
        SymmetricKey: {
            bcrypt_h.BCRYPT_OBJECT_LENGTH: lambda key: key.algorithm.object_length,
            bcrypt_h.BCRYPT_ALGORITHM_NAME: lambda key: key.algorithm.name,
            bcrypt_h.BCRYPT_PROVIDER_HANDLE: lambda key: key.algorithm_handle,
            bcrypt_h.BCRYPT_CHAINING_MODE: lambda key: key.chaining_mode,
            bcrypt_h.BCRYPT_BLOCK_LENGTH: lambda key: key.algorithm.block_length,
            bcrypt_h.BCRYPT_KEY_LENGTH: lambda key: key.bits,
            bcrypt_h.BCRYPT_KEY_STRENGTH: lambda key: key.bits,
            bcrypt_h.BCRYPT_MESSAGE_BLOCK_LENGTH: lambda key: key.message_block_length if _has_units(key) else None,
            bcrypt_h.BCRYPT_EFFECTIVE_KEY_LENGTH: lambda key: (
                key.effective_bits if key.algorithm.name == "RC2" else None
            ),
            NCRYPT_EXPORT_POLICY_PROPERTY: lambda key: key.export_policy,
        },
        KeyPair: pair_properties.GETTERS,
        MultiHash: {
            bcrypt_h.BCRYPT_ALGORITHM_NAME: lambda running: running.algorithm.name,
            bcrypt_h.BCRYPT_PROVIDER_HANDLE: lambda running: running.algorithm_handle,
            bcrypt_h.BCRYPT_HASH_LENGTH: lambda running: running.hashes[0].digest_length,
            bcrypt_h.BCRYPT_HASH_BLOCK_LENGTH: lambda running: running.hashes[0].block_length,
            bcrypt_h.BCRYPT_IS_REUSABLE_HASH: lambda running: int(running.hashes[0].reusable),
        },
        HashObject: {
            bcrypt_h.BCRYPT_OBJECT_LENGTH: lambda running: running.algorithm.object_length,
            bcrypt_h.BCRYPT_ALGORITHM_NAME: lambda running: running.algorithm.name,
            bcrypt_h.BCRYPT_PROVIDER_HANDLE: lambda running: running.algorithm_handle,
            bcrypt_h.BCRYPT_HASH_LENGTH: lambda running: running.digest_length,
            bcrypt_h.BCRYPT_HASH_BLOCK_LENGTH: lambda running: running.block_length,
            bcrypt_h.BCRYPT_IS_REUSABLE_HASH: lambda running: int(running.reusable),
        },
        Secret: {
            bcrypt_h.BCRYPT_PROVIDER_HANDLE: lambda secret: secret.algorithm_handle,
        },
        KdfKey: {
            bcrypt_h.BCRYPT_OBJECT_LENGTH: lambda key: key.algorithm.object_length,
            bcrypt_h.BCRYPT_ALGORITHM_NAME: lambda key: key.algorithm.name,
            bcrypt_h.BCRYPT_PROVIDER_HANDLE: lambda key: key.algorithm_handle,
            bcrypt_h.BCRYPT_KEY_LENGTH: lambda key: key.bits,
            bcrypt_h.BCRYPT_KEY_STRENGTH: lambda key: key.bits,
            NCRYPT_EXPORT_POLICY_PROPERTY: lambda key: key.export_policy,
        },
    }
)


def _set_algorithm_mode(handle: AlgorithmHandle, value: object) -> None:
    mode = text(value, bcrypt_h.BCRYPT_CHAINING_MODE)
    if not handle.algorithm.chaining_modes:
        raise not_supported(f"{handle.name} has no chaining modes")
    handle.chaining_mode = check_chaining_mode(handle.algorithm, mode, handle.provider)


def _set_algorithm_curve(handle: AlgorithmHandle, value: object) -> None:
    name = text(value, bcrypt_h.BCRYPT_ECC_CURVE_NAME)
    if not handle.algorithm.generic_curve:
        raise not_supported(f"{handle.name} has its own curve, or none")
    handle.curve, handle.curve_name = check_curve(name, handle.algorithm), name


def _set_algorithm_parameters(handle: AlgorithmHandle, value: Any) -> None:
    _set_algorithm_curve(handle, parse_ecc_parameters(octets(value, bcrypt_h.BCRYPT_ECC_PARAMETERS)))


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
    key.set_chaining_mode(text(value, bcrypt_h.BCRYPT_CHAINING_MODE))


def _require_cipher_key(key: SymmetricKey) -> None:
    if key.chaining_mode is None:
        raise not_supported("a key that only authenticates has neither chaining nor an IV")


def _set_algorithm_effective_bits(handle: AlgorithmHandle, value: object) -> None:
    handle.effective_bits = check_effective_bits(handle.name, dword(value, bcrypt_h.BCRYPT_EFFECTIVE_KEY_LENGTH))


def _set_key_effective_bits(key: SymmetricKey, value: object) -> None:
    key.set_effective_bits(dword(value, bcrypt_h.BCRYPT_EFFECTIVE_KEY_LENGTH))


def _set_key_message_block_length(key: SymmetricKey, value: object) -> None:
    if not _has_units(key):
        raise not_supported(f"{key.algorithm.name} has no MessageBlockLength")
    key.set_message_block_length(dword(value, bcrypt_h.BCRYPT_MESSAGE_BLOCK_LENGTH))


def _set_key_iv(key: SymmetricKey, value: Any) -> None:
    _require_cipher_key(key)
    key.set_iv(octets(value, bcrypt_h.BCRYPT_INITIALIZATION_VECTOR))


def _set_algorithm_output_length(handle: AlgorithmHandle, value: object) -> None:
    handle.output_length = hashing.check_output_length(handle.algorithm, dword(value, bcrypt_h.BCRYPT_HASH_LENGTH))


def _set_algorithm_function_name(handle: AlgorithmHandle, value: Any) -> None:
    hashing.require_strings(handle.algorithm)
    handle.function_name = octets(value, bcrypt_h.BCRYPT_FUNCTION_NAME_STRING)


def _set_algorithm_customization(handle: AlgorithmHandle, value: Any) -> None:
    hashing.require_strings(handle.algorithm)
    handle.customization = octets(value, bcrypt_h.BCRYPT_CUSTOMIZATION_STRING)


def _set_hash_output_length(running: HashObject, value: object) -> None:
    running.set_output_length(dword(value, bcrypt_h.BCRYPT_HASH_LENGTH))


def _set_hash_function_name(running: HashObject, value: Any) -> None:
    hashing.require_strings(running.algorithm)
    running.set_strings(function_name=octets(value, bcrypt_h.BCRYPT_FUNCTION_NAME_STRING))


def _set_hash_customization(running: HashObject, value: Any) -> None:
    hashing.require_strings(running.algorithm)
    running.set_strings(customization=octets(value, bcrypt_h.BCRYPT_CUSTOMIZATION_STRING))


def _set_hash_nonce(running: HashObject, value: Any) -> None:
    running.set_nonce(octets(value, bcrypt_h.BCRYPT_INITIALIZATION_VECTOR))


def _hkdf(holder: KdfKey | Secret) -> HkdfState:
    if isinstance(holder, KdfKey) and holder.algorithm.name != "HKDF":
        raise not_supported(f"{holder.algorithm.name} is not HKDF")
    return holder.hkdf


def _set_hkdf_hash(holder: KdfKey | Secret, value: object) -> None:
    _hkdf(holder).set_hash(text(value, bcrypt_h.BCRYPT_HKDF_HASH_ALGORITHM))


def _set_hkdf_salt(holder: KdfKey | Secret, value: Any) -> None:
    _hkdf(holder).finalize(optional_octets(value, bcrypt_h.BCRYPT_HKDF_SALT_AND_FINALIZE))


def _set_hkdf_prk(holder: KdfKey | Secret, value: Any) -> None:
    if optional_octets(value, bcrypt_h.BCRYPT_HKDF_PRK_AND_FINALIZE):
        raise invalid_parameter(
            f"{bcrypt_h.BCRYPT_HKDF_PRK_AND_FINALIZE} takes no value: the key is the pseudorandom key"
        )
    _hkdf(holder).finalize(None)


_MAY_BE_NONE = frozenset({bcrypt_h.BCRYPT_HKDF_SALT_AND_FINALIZE, bcrypt_h.BCRYPT_HKDF_PRK_AND_FINALIZE})

_HKDF_SETTERS: Mapping[str, Setter] = MappingProxyType(
    {
        bcrypt_h.BCRYPT_HKDF_HASH_ALGORITHM: _set_hkdf_hash,
        bcrypt_h.BCRYPT_HKDF_SALT_AND_FINALIZE: _set_hkdf_salt,
        bcrypt_h.BCRYPT_HKDF_PRK_AND_FINALIZE: _set_hkdf_prk,
    }
)

_SETTERS: Mapping[type[Handle], Mapping[str, Setter]] = MappingProxyType(
    {
        AlgorithmHandle: {
            bcrypt_h.BCRYPT_CHAINING_MODE: _set_algorithm_mode,
            bcrypt_h.BCRYPT_ECC_CURVE_NAME: _set_algorithm_curve,
            bcrypt_h.BCRYPT_ECC_PARAMETERS: _set_algorithm_parameters,
            bcrypt_h.BCRYPT_MESSAGE_BLOCK_LENGTH: _refuse_message_block_length,
            bcrypt_h.BCRYPT_EFFECTIVE_KEY_LENGTH: _set_algorithm_effective_bits,
            bcrypt_h.BCRYPT_HASH_LENGTH: _set_algorithm_output_length,
            bcrypt_h.BCRYPT_FUNCTION_NAME_STRING: _set_algorithm_function_name,
            bcrypt_h.BCRYPT_CUSTOMIZATION_STRING: _set_algorithm_customization,
            NCRYPT_EXPORT_POLICY_PROPERTY: _set_algorithm_policy,
            NCRYPT_PIN_PROPERTY: _set_algorithm_pin,
        },
        SymmetricKey: {
            bcrypt_h.BCRYPT_CHAINING_MODE: _set_key_mode,
            bcrypt_h.BCRYPT_MESSAGE_BLOCK_LENGTH: _set_key_message_block_length,
            bcrypt_h.BCRYPT_EFFECTIVE_KEY_LENGTH: _set_key_effective_bits,
            bcrypt_h.BCRYPT_INITIALIZATION_VECTOR: _set_key_iv,
        },
        KeyPair: pair_properties.SETTERS,
        HashObject: {
            bcrypt_h.BCRYPT_INITIALIZATION_VECTOR: _set_hash_nonce,
            bcrypt_h.BCRYPT_HASH_LENGTH: _set_hash_output_length,
            bcrypt_h.BCRYPT_FUNCTION_NAME_STRING: _set_hash_function_name,
            bcrypt_h.BCRYPT_CUSTOMIZATION_STRING: _set_hash_customization,
        },
        KdfKey: _HKDF_SETTERS,
        Secret: _HKDF_SETTERS,
    }
)


def _of_kind(table: Mapping[type[Handle], Mapping[str, T]], handle: Handle) -> Mapping[str, T]:
    own = table.get(type(handle))
    return own if own is not None else next((table[kind] for kind in type(handle).__mro__ if kind in table), {})


def get_property(handle: Handle, name: str) -> Any:
    """The property's value. Raises STATUS_NOT_SUPPORTED where the handle has none of that name."""
    getter = _of_kind(_GETTERS, handle).get(name)
    if getter is None and isinstance(handle, KeyPair):
        return _absent(pair_properties.of_its_kind(handle, name), name)
    return _absent(getter(handle) if getter else None, name)


def require_settable(handle: Handle) -> None:
    """Raises STATUS_ACCESS_DENIED for a pseudo-handle, which goes before every other check."""
    if isinstance(handle, AlgorithmHandle) and handle.pseudo is not None:
        raise CngError(NTSTATUS.STATUS_ACCESS_DENIED, "the properties of a pseudo-handle are fixed")


def set_property(handle: Handle, name: str, value: object) -> None:
    """Sets a property. Raises STATUS_NOT_SUPPORTED for what is absent or read-only, STATUS_INVALID_PARAMETER for a
    value of the wrong type or outside the rules."""
    setter = _of_kind(_SETTERS, handle).get(name)
    if setter is None:
        raise not_supported(f"the handle has no property {name} that can be set")
    if value is None and name not in _MAY_BE_NONE:
        raise invalid_parameter(f"a value for {name} is needed")
    setter(handle, value)
