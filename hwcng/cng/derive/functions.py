"""The derivation functions of BCryptDeriveKey over a secret that stays in the token.

Standards: RFC 2104 (HMAC), RFC 2246 and RFC 5246, section 5 (TLS PRF), SP 800-56A r3, section 5.8.2 (concatenation
KDF), RFC 5869 (HKDF). What reaches the host is what the functions return anyway, and the inner digest of an HMAC under
the caller's own key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from hwcng import arguments
from hwcng.cng.derive.hkdf import HkdfState
from hwcng.cng.derive.parameters import ParameterList, Parameters, require_hash
from hwcng.contract.keys import AgreedSecret, KeyingMaterial
from hwcng.contract.specs import HkdfSpec
from hwcng.errors import invalid_parameter, not_supported, told
from hwcng.headers.bcrypt_h import (
    BCRYPT_KDF_HASH,
    BCRYPT_KDF_HKDF,
    BCRYPT_KDF_HMAC,
    BCRYPT_KDF_RAW_SECRET,
    BCRYPT_KDF_TLS_PRF,
    BCRYPT_SP80056A_CONCAT_KDF,
    KDF_USE_SECRET_AS_HMAC_KEY_FLAG,
    BufferType,
)
from hwcng.hostcrypto.modes import xor
from hwcng.standards.hashes import HASHES

__all__ = ["LARGEST_DERIVATION", "concat_hash", "derive", "expanded", "hkdf_spec", "other_info", "p_hash"]


LARGEST_DERIVATION = 1 << 20
"""Bytes of one call, where a function has no bound of its own below: a token is called for every block of some 32."""

TLS_PRF_LENGTH = 48
TLS_SEED_LENGTH = 64
SSL2_TO_TLS1_1 = (0x0301, 0x0302, 0xFEFF)
TLS1_2 = 0x0303
DWORD_SIZE = 4


def _hash(agreed: AgreedSecret, _bits: int, parameters: Parameters, flags: int) -> bytes:
    arguments.flags(flags)
    hash_function = require_hash(parameters.hash_function("SHA1"))
    prefix = parameters.octets(BufferType.KDF_SECRET_PREPEND)
    suffix = parameters.octets(BufferType.KDF_SECRET_APPEND)
    return agreed.digest(hash_function.name, prefix, suffix)


def _hmac(agreed: AgreedSecret, _bits: int, parameters: Parameters, flags: int) -> bytes:
    arguments.flags(flags, KDF_USE_SECRET_AS_HMAC_KEY_FLAG)
    hash_function = require_hash(parameters.hash_function("SHA1"))
    prefix = parameters.octets(BufferType.KDF_SECRET_PREPEND)
    suffix = parameters.octets(BufferType.KDF_SECRET_APPEND)
    if flags and agreed.length <= hash_function.block_size:
        return agreed.hmac_of_itself(hash_function.name, prefix, suffix)
    # A longer key is its digest (RFC 2104, section 2), which BCRYPT_KDF_HASH tells as well.
    key = agreed.digest(hash_function.name, b"", b"") if flags else parameters.required(BufferType.KDF_HMAC_KEY)
    if len(key) > hash_function.block_size:
        key = hash_function.digest(key)
    padded = key.ljust(hash_function.block_size, b"\0")
    inner = agreed.digest(hash_function.name, xor(padded, b"\x36" * len(padded)) + prefix, suffix)
    return hash_function.digest(xor(padded, b"\x5c" * len(padded)) + inner)


def p_hash(mac: Callable[[bytes], bytes], seed: bytes, length: int) -> bytes:
    """P_hash (RFC 5246, section 5) with the secret inside `mac`."""
    output, step = bytearray(), seed
    while len(output) < length:
        step = mac(step)
        output += mac(step + seed)
    return bytes(output[:length])


def _tls_prf(agreed: AgreedSecret, _bits: int, parameters: Parameters, flags: int) -> bytes:
    arguments.flags(flags)
    label = parameters.required(BufferType.KDF_TLS_PRF_LABEL)
    seed = parameters.required(BufferType.KDF_TLS_PRF_SEED)
    if len(seed) != TLS_SEED_LENGTH:
        raise invalid_parameter(f"KDF_TLS_PRF_SEED has {TLS_SEED_LENGTH} bytes, {len(seed)} given")
    protocol = parameters.number(BufferType.KDF_TLS_PRF_PROTOCOL, SSL2_TO_TLS1_1[0], DWORD_SIZE)
    if protocol == TLS1_2:
        name = require_hash(parameters.hash_function("SHA256")).name
        return p_hash(lambda data: agreed.hmac(name, data), label + seed, TLS_PRF_LENGTH)
    if protocol not in SSL2_TO_TLS1_1:
        raise invalid_parameter(f"KDF_TLS_PRF_PROTOCOL {protocol:#06x} is not a TLS or DTLS version")
    md5 = p_hash(lambda data: agreed.half_hmac(0, "MD5", data), label + seed, TLS_PRF_LENGTH)
    sha1 = p_hash(lambda data: agreed.half_hmac(1, "SHA1", data), label + seed, TLS_PRF_LENGTH)
    return xor(md5, sha1)


_CONCAT_HASHES = ((256, "SHA256"), (384, "SHA384"))


def concat_hash(parameters: Parameters, group_bits: int) -> str:
    """The hash of SP800_56A_CONCAT, which follows the curve where none is given."""
    follows_curve = next((name for bits, name in _CONCAT_HASHES if group_bits <= bits), "SHA512")
    return require_hash(parameters.hash_function(follows_curve)).name


def other_info(parameters: Parameters) -> bytes:
    """OtherInfo of SP 800-56A r3, section 5.8.2.1."""
    return b"".join(
        (
            parameters.required(BufferType.KDF_ALGORITHMID),
            parameters.required(BufferType.KDF_PARTYUINFO),
            parameters.required(BufferType.KDF_PARTYVINFO),
            parameters.octets(BufferType.KDF_SUPPPUBINFO),
            parameters.octets(BufferType.KDF_SUPPPRIVINFO),
        )
    )


def _sp800_56a_concat(agreed: AgreedSecret, group_bits: int, parameters: Parameters, flags: int) -> bytes:
    arguments.flags(flags)
    return agreed.digest(concat_hash(parameters, group_bits), (1).to_bytes(4, "big"), other_info(parameters))


def _raw_secret(agreed: AgreedSecret, _bits: int, _parameters: Parameters, flags: int) -> bytes:
    arguments.flags(flags)
    # Windows hands the raw secret out in little-endian order.
    return agreed.raw()[::-1]


def hkdf_spec(parameters: Parameters, state: HkdfState) -> HkdfSpec:
    """HKDF as the secret's properties say it, or else the buffers of the list; without a salt, one of zeros."""
    info = parameters.octets(BufferType.KDF_HKDF_INFO)
    if state.finalized:
        return state.spec(info)
    hash_name = require_hash(parameters.hash_function(state.hash_name)).name
    return HkdfSpec(hash_name, parameters.octets(BufferType.KDF_HKDF_SALT), info)


def expanded(material: KeyingMaterial, spec: HkdfSpec, length: int) -> bytes:
    """`length` bytes of HKDF. Raises STATUS_INVALID_PARAMETER for more than it makes, before the token is asked."""
    longest = 255 * HASHES[spec.hash_name].digest_size
    if length > longest:
        raise invalid_parameter(f"HKDF makes {longest} bytes at most with {spec.hash_name}, not {length}")
    return material.hkdf(spec, length)


_FUNCTIONS: Mapping[str, Callable[[AgreedSecret, int, Parameters, int], bytes]] = MappingProxyType(
    {
        BCRYPT_KDF_HASH: _hash,
        BCRYPT_KDF_HMAC: _hmac,
        BCRYPT_KDF_TLS_PRF: _tls_prf,
        BCRYPT_SP80056A_CONCAT_KDF: _sp800_56a_concat,
        BCRYPT_KDF_RAW_SECRET: _raw_secret,
    }
)


def derive(
    agreed: AgreedSecret,
    group_bits: int,
    hkdf: HkdfState,
    function: str,
    parameters: ParameterList | None,
    length: int | None,
    flags: int,
) -> bytes:
    """The first `length` bytes of what `function` makes of the secret; its natural length where that is less, or for
    None. HKDF makes exactly `length` bytes. group_bits: the length of the agreement's field, which SP800_56A_CONCAT's
    default hash follows. hkdf: what the secret's properties say of HKDF.

    Raises STATUS_NOT_SUPPORTED for an unknown function or hash, STATUS_INVALID_PARAMETER for parameters that are
    missing or malformed, and what the token says where it cannot do its part.
    """
    if length is not None:
        length = arguments.number(length, "cbDerivedKey")
    flags = arguments.number(flags, "dwFlags")
    if function == BCRYPT_KDF_HKDF:
        arguments.flags(flags)
        spec = hkdf_spec(Parameters(parameters), hkdf)
        return expanded(agreed, spec, HASHES[spec.hash_name].digest_size if length is None else length)
    derive_key = _FUNCTIONS.get(function)
    if derive_key is None:
        raise not_supported(f"{told(function)} is not a derivation function of BCryptDeriveKey")
    return derive_key(agreed, group_bits, Parameters(parameters), flags)[:length]
