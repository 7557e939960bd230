"""Which providers and types there are, and which is a type's default (CryptEnumProviders, CryptSetProvider and their
sisters).

Windows keeps the defaults in its registry; here they last as long as the process.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hwcng.capi.csps import CSPS, DEFAULT_CSPS
from hwcng.capi.errors import failure
from hwcng.errors import HRESULT, Win32Error, told
from hwcng.headers import wincrypt_h

__all__ = ["default_csp", "provider_at", "set_default", "told_default", "type_at"]

_TYPES: Mapping[int, str] = MappingProxyType(
    {
        wincrypt_h.PROV_RSA_FULL: "RSA Full (Signature and Key Exchange)",
        wincrypt_h.PROV_RSA_SIG: "RSA Signature",
        wincrypt_h.PROV_DSS: "DSS Signature",
        wincrypt_h.PROV_RSA_SCHANNEL: "RSA SChannel",
        wincrypt_h.PROV_DSS_DH: "DSS Signature with Diffie-Hellman Key Exchange",
        wincrypt_h.PROV_DH_SCHANNEL: "Diffie-Hellman SChannel",
        wincrypt_h.PROV_RSA_AES: "RSA Full and AES",
    }
)
_LONGEST_TYPE = 999
_SCOPES = (wincrypt_h.CRYPT_USER_DEFAULT, wincrypt_h.CRYPT_MACHINE_DEFAULT)

_chosen: dict[tuple[int, int], str] = {}
"""By scope and type: what CryptSetProvider chose. The user's goes before the machine's."""


def _entry(entries: list[tuple[int, str]], index: int) -> tuple[int, str]:
    if index >= len(entries):
        raise failure(Win32Error.ERROR_NO_MORE_ITEMS, f"there are {len(entries)} entries")
    return entries[index]


def provider_at(index: int) -> tuple[int, str]:
    """The type and the name of a provider. Raises ERROR_NO_MORE_ITEMS behind the last."""
    return _entry([(csp.kind, csp.name) for csp in CSPS.values()], index)


def type_at(index: int) -> tuple[int, str]:
    """A type and its name."""
    return _entry(list(_TYPES.items()), index)


def _type_of(kind: int) -> int:
    if not 0 < kind <= _LONGEST_TYPE:
        raise failure(HRESULT.NTE_BAD_PROV_TYPE, f"dwProvType {told(kind)} is out of range")
    if kind not in DEFAULT_CSPS:
        raise failure(HRESULT.NTE_PROV_TYPE_NOT_DEF, f"there is no provider of type {kind}")
    return kind


def default_csp(kind: int) -> str:
    """The provider that a known type means where none is named."""
    return next((_chosen[scope, kind] for scope in _SCOPES if (scope, kind) in _chosen), DEFAULT_CSPS[kind])


def _scope(flags: int) -> int:
    if flags not in _SCOPES:
        raise failure(HRESULT.NTE_BAD_FLAGS, "dwFlags has CRYPT_USER_DEFAULT or CRYPT_MACHINE_DEFAULT, one of both")
    return flags


def told_default(kind: int, flags: int) -> str:
    """CryptGetDefaultProvider."""
    scope, known = _scope(flags), _type_of(kind)
    return (
        default_csp(known)
        if scope == wincrypt_h.CRYPT_USER_DEFAULT
        else _chosen.get((scope, known), DEFAULT_CSPS[known])
    )


def set_default(name: str | None, kind: int, flags: int) -> None:
    """CryptSetProviderEx. With CRYPT_DELETE_DEFAULT the choice is taken back."""
    scope, known = _scope(flags & ~wincrypt_h.CRYPT_DELETE_DEFAULT), _type_of(kind)
    if flags & wincrypt_h.CRYPT_DELETE_DEFAULT:
        _chosen.pop((scope, known), None)
        return
    csp = CSPS.get(name or "")
    if csp is None:
        raise failure(HRESULT.NTE_BAD_PROVIDER, f"there is no provider {told(name)}")
    if csp.kind != known:
        raise failure(HRESULT.NTE_PROV_TYPE_NO_MATCH, f"{csp.name} is of type {csp.kind}, not {known}")
    _chosen[scope, known] = csp.name
