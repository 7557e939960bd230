"""The derivation functions of BCryptDeriveKey over a secret that stays in the token.

Standards: RFC 2104 (HMAC), RFC 2246 and RFC 5246, section 5 (TLS PRF), SP 800-56A r3, section 5.8.2 (concatenation
KDF). What reaches the host is what the functions return anyway, and the inner digest of an HMAC under the caller's own
key.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

from hwcng.cng.handles import invalid_parameter, not_supported
from hwcng.cng.padding import Octets
from hwcng.hashes import HASHES, HashFunction
from hwcng.providers.base import AgreedSecret
from hwcng.providers.compose import xor

__all__ = ["BufferType", "ParameterList", "derive"]

BCRYPT_KDF_HASH = "HASH"
BCRYPT_KDF_HMAC = "HMAC"
BCRYPT_KDF_TLS_PRF = "TLS_PRF"
BCRYPT_SP80056A_CONCAT_KDF = "SP800_56A_CONCAT"
BCRYPT_KDF_RAW_SECRET = "TRUNCATE"  # noqa: S105

KDF_USE_SECRET_AS_HMAC_KEY_FLAG = 0x1

TLS_PRF_LENGTH = 48
TLS_SEED_LENGTH = 64
SSL2_TO_TLS1_1 = (0x0301, 0x0302, 0xFEFF)
TLS1_2 = 0x0303


class BufferType(enum.IntEnum):
    """BCryptBuffer.BufferType of a parameter list."""

    KDF_HASH_ALGORITHM = 0x0
    KDF_SECRET_PREPEND = 0x1
    KDF_SECRET_APPEND = 0x2
    KDF_HMAC_KEY = 0x3
    KDF_TLS_PRF_LABEL = 0x4
    KDF_TLS_PRF_SEED = 0x5
    KDF_SECRET_HANDLE = 0x6
    KDF_TLS_PRF_PROTOCOL = 0x7
    KDF_ALGORITHMID = 0x8
    KDF_PARTYUINFO = 0x9
    KDF_PARTYVINFO = 0xA
    KDF_SUPPPUBINFO = 0xB
    KDF_SUPPPRIVINFO = 0xC


ParameterList: TypeAlias = Sequence[tuple[int, Octets | str | int]]
"""Pairs of buffer type and value: bytes, a hash's name as str, TLS's protocol as int."""


class _Parameters:
    """A parameter list, read."""

    def __init__(self, pairs: ParameterList | None) -> None:
        self._values: dict[int, list[Octets | str | int]] = {}
        try:
            for kind, value in pairs or ():
                self._values.setdefault(int(kind), []).append(value)
        except (TypeError, ValueError):
            raise invalid_parameter("pParameterList is a sequence of (buffer type, value) pairs") from None

    def octets(self, kind: BufferType) -> bytes:
        """All buffers of one type, concatenated in the order of the list."""
        found = self._values.get(kind, [])
        if not all(isinstance(value, (bytes, bytearray, memoryview)) for value in found):
            raise invalid_parameter(f"{kind.name} must be bytes")
        return b"".join(bytes(value) for value in found if not isinstance(value, (str, int)))

    def required(self, kind: BufferType) -> bytes:
        if kind not in self._values:
            raise invalid_parameter(f"{kind.name} is missing")
        return self.octets(kind)

    def hash_function(self, default: str | None) -> HashFunction | None:
        found = self._values.get(BufferType.KDF_HASH_ALGORITHM)
        name = found[-1] if found else default
        if isinstance(name, (bytes, bytearray, memoryview)):
            name = bytes(name).decode("utf-16-le", "replace")
        if name is None:
            return None
        hash_function = HASHES.get(name.rstrip("\0")) if isinstance(name, str) else None
        if hash_function is None:
            raise not_supported(f"{name!r} is not a hash algorithm")
        return hash_function

    def protocol(self) -> int:
        found = self._values.get(BufferType.KDF_TLS_PRF_PROTOCOL)
        value = found[-1] if found else SSL2_TO_TLS1_1[0]
        if isinstance(value, (bytes, bytearray, memoryview)) and len(value) == 4:
            return int.from_bytes(value, "little")
        if not isinstance(value, int):
            raise invalid_parameter("KDF_TLS_PRF_PROTOCOL is a DWORD")
        return value


def _require(hash_function: HashFunction | None) -> HashFunction:
    if hash_function is None:
        raise invalid_parameter("KDF_HASH_ALGORITHM is missing")
    return hash_function


def _hash(agreed: AgreedSecret, _bits: int, parameters: _Parameters, flags: int) -> bytes:
    _no_flags(flags)
    hash_function = _require(parameters.hash_function("SHA1"))
    prefix = parameters.octets(BufferType.KDF_SECRET_PREPEND)
    suffix = parameters.octets(BufferType.KDF_SECRET_APPEND)
    return agreed.digest(hash_function.name, prefix, suffix)


def _hmac(agreed: AgreedSecret, _bits: int, parameters: _Parameters, flags: int) -> bytes:
    if flags & ~KDF_USE_SECRET_AS_HMAC_KEY_FLAG:
        raise invalid_parameter(f"dwFlags {flags:#x} has undefined bits")
    hash_function = _require(parameters.hash_function("SHA1"))
    prefix = parameters.octets(BufferType.KDF_SECRET_PREPEND)
    suffix = parameters.octets(BufferType.KDF_SECRET_APPEND)
    if flags:
        return agreed.hmac(hash_function.name, prefix + suffix)
    key = parameters.required(BufferType.KDF_HMAC_KEY)
    if len(key) > hash_function.block_size:
        key = hash_function.digest(key)
    padded = key.ljust(hash_function.block_size, b"\0")
    inner = agreed.digest(hash_function.name, xor(padded, b"\x36" * len(padded)) + prefix, suffix)
    return hash_function.digest(xor(padded, b"\x5c" * len(padded)) + inner)


def _p_hash(mac: Callable[[bytes], bytes], seed: bytes, length: int) -> bytes:
    """P_hash (RFC 5246, section 5) with the secret inside `mac`."""
    output, step = b"", seed
    while len(output) < length:
        step = mac(step)
        output += mac(step + seed)
    return output[:length]


def _tls_prf(agreed: AgreedSecret, _bits: int, parameters: _Parameters, flags: int) -> bytes:
    _no_flags(flags)
    label = parameters.required(BufferType.KDF_TLS_PRF_LABEL)
    seed = parameters.required(BufferType.KDF_TLS_PRF_SEED)
    if len(seed) != TLS_SEED_LENGTH:
        raise invalid_parameter(f"KDF_TLS_PRF_SEED has {TLS_SEED_LENGTH} bytes, {len(seed)} given")
    protocol = parameters.protocol()
    if protocol == TLS1_2:
        name = _require(parameters.hash_function("SHA256")).name
        return _p_hash(lambda data: agreed.hmac(name, data), label + seed, TLS_PRF_LENGTH)
    if protocol not in SSL2_TO_TLS1_1:
        raise invalid_parameter(f"KDF_TLS_PRF_PROTOCOL {protocol:#06x} is not a TLS or DTLS version")
    md5 = _p_hash(lambda data: agreed.half_hmac(0, "MD5", data), label + seed, TLS_PRF_LENGTH)
    sha1 = _p_hash(lambda data: agreed.half_hmac(1, "SHA1", data), label + seed, TLS_PRF_LENGTH)
    return xor(md5, sha1)


_CONCAT_HASHES = ((256, "SHA256"), (384, "SHA384"))


def _sp800_56a_concat(agreed: AgreedSecret, group_bits: int, parameters: _Parameters, flags: int) -> bytes:
    _no_flags(flags)
    follows_curve = next((name for bits, name in _CONCAT_HASHES if group_bits <= bits), "SHA512")
    hash_function = _require(parameters.hash_function(follows_curve))
    other_info = b"".join(
        (
            parameters.required(BufferType.KDF_ALGORITHMID),
            parameters.required(BufferType.KDF_PARTYUINFO),
            parameters.required(BufferType.KDF_PARTYVINFO),
            parameters.octets(BufferType.KDF_SUPPPUBINFO),
            parameters.octets(BufferType.KDF_SUPPPRIVINFO),
        )
    )
    return agreed.digest(hash_function.name, (1).to_bytes(4, "big"), other_info)


def _raw_secret(agreed: AgreedSecret, _bits: int, _parameters: _Parameters, flags: int) -> bytes:
    _no_flags(flags)
    # Windows hands the raw secret out in little-endian order.
    return agreed.raw()[::-1]


def _no_flags(flags: int) -> None:
    if flags:
        raise invalid_parameter(f"dwFlags {flags:#x} has undefined bits")


_FUNCTIONS: Mapping[str, Callable[[AgreedSecret, int, _Parameters, int], bytes]] = MappingProxyType(
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
    function: str,
    parameters: ParameterList | None,
    length: int | None,
    flags: int,
) -> bytes:
    """The first `length` bytes of what `function` makes of the secret; its natural length where that is less, or for
    None. group_bits: the length of the agreement's field, which SP800_56A_CONCAT's default hash follows.

    Raises STATUS_NOT_SUPPORTED for an unknown function or hash, STATUS_INVALID_PARAMETER for parameters that are
    missing or malformed, and what the token says where it cannot do its part.
    """
    derive_key = _FUNCTIONS.get(function)
    if derive_key is None:
        raise not_supported(f"{function!r} is not a derivation function of BCryptDeriveKey")
    if length is not None and (not isinstance(length, int) or length < 0):
        raise invalid_parameter(f"cbDerivedKey is {length!r}")
    return derive_key(agreed, group_bits, _Parameters(parameters), flags)[:length]
