"""Parameters of keys, hashes and contexts: one row of a table each (CryptGetKeyParam and its sisters)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

from hwcng.arguments import dword, flags, octets
from hwcng.capi import settings
from hwcng.capi.agreed_keys import AgreedKey
from hwcng.capi.algids import Kind
from hwcng.capi.containers import TokenContainer
from hwcng.capi.contexts import Context
from hwcng.capi.errors import MALFORMED, failing_as, failure
from hwcng.capi.handle_base import CapiKey, bad_key
from hwcng.capi.hashes import CapiHash
from hwcng.capi.pairs import PairKey
from hwcng.capi.pregen import PregenKey
from hwcng.capi.session_keys import SessionKey
from hwcng.cng.blobs import key_blobs
from hwcng.contract.material import DhPublicKey, DsaPublicKey
from hwcng.errors import HRESULT, CngError, Win32Error, told
from hwcng.headers import wincrypt_h
from hwcng.ksp.implementation import impl_type

__all__ = [
    "PROV_ENUMALGS",
    "PROV_ENUMALGS_EX",
    "get_hash_param",
    "get_key_param",
    "get_prov_param",
    "set_hash_param",
    "set_key_param",
]

VERSION = 0x200


class PROV_ENUMALGS(NamedTuple):
    """An algorithm of a provider. dwBitLen: the default length of its keys in bits. dwNameLen counts the NUL."""

    aiAlgid: int
    dwBitLen: int
    dwNameLen: int
    szName: str


class PROV_ENUMALGS_EX(NamedTuple):
    """An algorithm of a provider. Lengths of keys are in bits, without parity; lengths of names count the NUL."""

    aiAlgid: int
    dwDefaultLen: int
    dwMinLen: int
    dwMaxLen: int
    dwProtocols: int
    dwNameLen: int
    szName: str
    dwLongNameLen: int
    szLongName: str


def _unknown(parameter: object, of: str) -> CngError:
    return failure(HRESULT.NTE_BAD_TYPE, f"{of} has no parameter {told(parameter)}")


def _no_flags(value: int) -> None:
    flags(value, refused=HRESULT.NTE_BAD_FLAGS)


# Keys.


def _session(key: CapiKey) -> SessionKey:
    if not isinstance(key, SessionKey):
        raise bad_key(f"a {key.row.name} key is no session key")
    return key


def _number(parameter: int, key: CapiKey) -> bytes:
    """KP_P, KP_Q, KP_G and KP_Y of a Diffie-Hellman or DSS key, little-endian."""
    public = key.public if isinstance(key, PairKey) else None
    if not isinstance(public, (DhPublicKey, DsaPublicKey)):
        raise bad_key(f"a {key.row.name} key has no domain parameters")
    domain = public.domain
    if parameter == wincrypt_h.KP_Q:
        if not isinstance(public, DsaPublicKey):
            raise failure(HRESULT.NTE_BAD_TYPE, "the token knows no KP_Q of Diffie-Hellman keys")
        subprime = public.domain.subprime
        return subprime.to_bytes((subprime.bit_length() + 7) // 8, "little")
    value = {wincrypt_h.KP_P: domain.prime, wincrypt_h.KP_G: domain.generator, wincrypt_h.KP_Y: public.value}[parameter]
    return value.to_bytes((domain.prime.bit_length() + 7) // 8, "little")


def _effective_bits(key: CapiKey) -> int:
    session = _session(key)
    if session.row.value != wincrypt_h.CALG_RC2:
        raise failure(HRESULT.NTE_BAD_TYPE, f"{key.row.name} has no effective key length")
    return session.key.effective_bits


_GET: Mapping[int, Callable[[CapiKey], int | bytes]] = MappingProxyType(
    {
        wincrypt_h.KP_ALGID: lambda key: key.row.value,
        wincrypt_h.KP_BLOCKLEN: lambda key: key.block_bits,
        wincrypt_h.KP_KEYLEN: lambda key: key.bits,
        wincrypt_h.KP_PERMISSIONS: lambda key: key.permissions,
        wincrypt_h.KP_IV: lambda key: _session(key).iv,
        wincrypt_h.KP_SALT: lambda key: _session(key).salt,
        wincrypt_h.KP_PADDING: lambda key: wincrypt_h.PKCS5_PADDING if _session(key).row.block_bits else 0,
        wincrypt_h.KP_MODE: lambda key: _session(key).mode,
        wincrypt_h.KP_MODE_BITS: lambda key: _session(key).mode_bits,
        wincrypt_h.KP_EFFECTIVE_KEYLEN: _effective_bits,
        **{
            parameter: partial(_number, parameter)
            for parameter in (wincrypt_h.KP_P, wincrypt_h.KP_Q, wincrypt_h.KP_G, wincrypt_h.KP_Y)
        },
    }
)


def _resolved(key: CapiKey) -> CapiKey:
    """An agreed key that became a session key is that key."""
    return key.session if isinstance(key, AgreedKey) and key.session is not None else key


def get_key_param(key: CapiKey, parameter: int, flags: int) -> int | bytes:
    """DWORDs are ints."""
    _no_flags(flags)
    getter = _GET.get(parameter)
    if getter is None:
        raise _unknown(parameter, "a key")
    return getter(_resolved(key))


def _set_algid(key: CapiKey, value: object, flags: int) -> None:
    if not isinstance(key, AgreedKey):
        raise failure(HRESULT.NTE_BAD_TYPE, "KP_ALGID is set on agreed keys only")
    key.become(dword(value, "KP_ALGID"), flags)


def _empty(key: CapiKey) -> PregenKey:
    if not isinstance(key, PregenKey):
        raise bad_key("parameters are set on pairs that were made with CRYPT_PREGEN")
    return key


def _set_number(parameter: int, key: CapiKey, value: object, flags: int) -> None:
    _empty(key).set_parameter(parameter, _octets(value))


def _set_domain(key: CapiKey, value: object, flags: int) -> None:
    pregen = _empty(key)
    with failing_as(MALFORMED):
        domain, seed = key_blobs.parse_public_parameters(_octets(value), pregen.row.algorithm)
    pregen.set_domain(domain, seed)


def _set_x(key: CapiKey, value: object, flags: int) -> None:
    if value is not None:
        raise failure(Win32Error.ERROR_INVALID_PARAMETER, "KP_X takes None: the token chooses the private value")
    _empty(key).generate()


def _octets(value: object) -> bytes:
    return octets(value, "pbData")


def _set_pin(parameter: int, key: CapiKey, value: object, _: int) -> None:
    """KP_KEYEXCHANGE_PIN and KP_SIGNATURE_PIN."""
    if not isinstance(key, PairKey):
        raise bad_key(f"a {key.row.name} key has no PIN")
    settings.set_pair_pin(key, parameter, value)


_SetKey = Callable[[CapiKey, object, int], None]
_SET: Mapping[int, _SetKey] = MappingProxyType(
    {
        wincrypt_h.KP_ALGID: _set_algid,
        wincrypt_h.KP_IV: lambda key, value, _: _session(key).set_iv(_octets(value)),
        wincrypt_h.KP_SALT: lambda key, value, _: _session(key).set_salt(_octets(value)),
        wincrypt_h.KP_SALT_EX: lambda key, value, _: _session(key).set_salt_ex(_octets(value)),
        wincrypt_h.KP_PADDING: lambda key, value, _: _session(key).set_padding(dword(value, "KP_PADDING")),
        wincrypt_h.KP_MODE: lambda key, value, _: _session(key).set_mode(dword(value, "KP_MODE")),
        wincrypt_h.KP_MODE_BITS: lambda key, value, _: _session(key).set_mode_bits(dword(value, "KP_MODE_BITS")),
        wincrypt_h.KP_PERMISSIONS: lambda key, value, _: key.set_permissions(dword(value, "KP_PERMISSIONS")),
        wincrypt_h.KP_EFFECTIVE_KEYLEN: lambda key, value, _: _session(key).set_effective_bits(
            dword(value, "KP_EFFECTIVE_KEYLEN")
        ),
        **{
            parameter: partial(_set_number, parameter)
            for parameter in (wincrypt_h.KP_P, wincrypt_h.KP_Q, wincrypt_h.KP_G)
        },
        wincrypt_h.KP_X: _set_x,
        wincrypt_h.KP_PUB_PARAMS: _set_domain,
        **{parameter: partial(_set_pin, parameter) for parameter in settings.SPECS_OF_PINS},
    }
)


def set_key_param(key: CapiKey, parameter: int, value: object, flags: int) -> None:
    """flags: of KP_ALGID, whose upper half is the new key's length in bits; else 0."""
    setter = _SET.get(parameter)
    if setter is None:
        raise _unknown(parameter, "a key")
    if parameter != wincrypt_h.KP_ALGID:
        _no_flags(flags)
    setter(key if parameter == wincrypt_h.KP_ALGID else _resolved(key), value, flags)


# Hashes.

_GET_HASH: Mapping[int, Callable[[CapiHash], int | bytes]] = MappingProxyType(
    {
        wincrypt_h.HP_ALGID: lambda hash_object: hash_object.row.value,
        wincrypt_h.HP_HASHSIZE: lambda hash_object: hash_object.size,
        wincrypt_h.HP_HASHVAL: lambda hash_object: hash_object.value(),
    }
)


def get_hash_param(hash_object: CapiHash, parameter: int, flags: int) -> int | bytes:
    _no_flags(flags)
    getter = _GET_HASH.get(parameter)
    if getter is None:
        raise _unknown(parameter, "a hash")
    return getter(hash_object)


def set_hash_param(hash_object: CapiHash, parameter: int, value: object, flags: int) -> None:
    _no_flags(flags)
    if parameter == wincrypt_h.HP_HASHVAL:
        hash_object.set_value(_octets(value))
    elif parameter == wincrypt_h.HP_HMAC_INFO:
        hash_object.set_hmac_info(value)
    else:
        raise _unknown(parameter, "a hash")


# Contexts.


def _algorithms(context: Context) -> Iterator[PROV_ENUMALGS]:
    for extended in _algorithms_ex(context):
        yield PROV_ENUMALGS(extended.aiAlgid, extended.dwDefaultLen, extended.dwNameLen, extended.szName)


def _algorithms_ex(context: Context) -> Iterator[PROV_ENUMALGS_EX]:
    """What both the provider and its token have."""
    for value, limits in context.csp.algorithms.items():
        row = context.csp.algid(value)
        if context.offers(row):
            yield PROV_ENUMALGS_EX(
                value,
                limits.default,
                limits.minimum,
                limits.maximum,
                row.protocols,
                len(row.name) + 1,
                row.name,
                len(row.long_name) + 1,
                row.long_name,
            )


def _containers(context: Context) -> Iterator[str]:
    container = context.container
    if not isinstance(container, TokenContainer):
        container = TokenContainer(context.provider, "", context.csp.family, machine=context.machine)
    return iter(sorted(container.siblings()))


_ENUMERATED: Mapping[int, Callable[[Context], Iterator[object]]] = MappingProxyType(
    {
        wincrypt_h.PP_ENUMALGS: _algorithms,
        wincrypt_h.PP_ENUMALGS_EX: _algorithms_ex,
        wincrypt_h.PP_ENUMCONTAINERS: _containers,
    }
)


def _increment(context: Context, kinds: tuple[Kind, ...]) -> int:
    for value in (context.csp.exchange, context.csp.signature):
        row = context.csp.algid(value) if value is not None else None
        if row is not None and row.kind in kinds:
            return context.csp.increment(row)
    raise failure(HRESULT.NTE_BAD_TYPE, f"{context.csp.name} has no such pairs")


def _key_specs(context: Context) -> int:
    exchange = wincrypt_h.AT_KEYEXCHANGE if context.csp.exchange is not None else 0
    return exchange | (wincrypt_h.AT_SIGNATURE if context.csp.signature is not None else 0)


_IMPLEMENTATIONS = wincrypt_h.CRYPT_IMPL_HARDWARE | wincrypt_h.CRYPT_IMPL_SOFTWARE | wincrypt_h.CRYPT_IMPL_REMOVABLE

_GET_PROV: Mapping[int, Callable[[Context], int | str]] = MappingProxyType(
    {
        wincrypt_h.PP_NAME: lambda context: context.csp.name,
        wincrypt_h.PP_PROVTYPE: lambda context: context.csp.kind,
        wincrypt_h.PP_CONTAINER: lambda context: context.container.name,
        wincrypt_h.PP_UNIQUE_CONTAINER: lambda context: context.container.name,
        wincrypt_h.PP_VERSION: lambda context: VERSION,
        wincrypt_h.PP_IMPTYPE: lambda context: impl_type(context.provider) & _IMPLEMENTATIONS,
        wincrypt_h.PP_KEYSTORAGE: lambda context: wincrypt_h.CRYPT_SEC_DESCR,
        wincrypt_h.PP_KEYSET_TYPE: lambda context: wincrypt_h.CRYPT_MACHINE_KEYSET if context.machine else 0,
        wincrypt_h.PP_KEYSPEC: _key_specs,
        wincrypt_h.PP_SIG_KEYSIZE_INC: lambda context: _increment(context, (Kind.SIGNATURE,)),
        wincrypt_h.PP_KEYX_KEYSIZE_INC: lambda context: _increment(context, (Kind.EXCHANGE,)),
    }
)


def get_prov_param(context: Context, parameter: int, flags: int) -> Any:
    """Of the enumerations one entry a call; ERROR_NO_MORE_ITEMS behind the last. CRYPT_FIRST begins again."""
    enumerated = _ENUMERATED.get(parameter)
    if parameter == wincrypt_h.PP_KEYSET_SEC_DESCR:
        raise failure(HRESULT.NTE_NOT_SUPPORTED, "a token keeps its keys by PIN and has no security descriptors")
    if enumerated is None:
        _no_flags(flags)
        getter = _GET_PROV.get(parameter)
        if getter is None:
            raise _unknown(parameter, "a context")
        return getter(context)
    if flags not in (0, wincrypt_h.CRYPT_FIRST, wincrypt_h.CRYPT_NEXT):
        raise failure(HRESULT.NTE_BAD_FLAGS, f"dwFlags is CRYPT_FIRST or CRYPT_NEXT here, not {told(flags)}")
    if flags == wincrypt_h.CRYPT_FIRST or parameter not in context.position:
        context.position[parameter] = list(enumerated(context))
    entries = context.position[parameter]
    if not entries:
        raise failure(Win32Error.ERROR_NO_MORE_ITEMS, "the enumeration is at its end")
    return entries.pop(0)
