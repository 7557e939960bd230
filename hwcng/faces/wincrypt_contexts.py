"""Contexts, providers and their parameters, random numbers, public keys of certificates (wincrypt.h)."""

from __future__ import annotations

from typing import Any

from hwcng.arguments import Octets, flags, number, octets, optional_octets, random_length, reserved, string
from hwcng.capi import generation, import_export, parameters, provider_defaults, settings
from hwcng.capi.contexts import Context, ProviderName, acquire
from hwcng.capi.errors import documented, failure
from hwcng.capi.handle_base import bad_key
from hwcng.capi.pairs import PairKey
from hwcng.cng import public_key_info
from hwcng.cng.handles import NoHandle
from hwcng.cng.keys import KeyPair
from hwcng.errors import Win32Error
from hwcng.faces.wincrypt_handles import any_flags, capi_flags, context_of, parameter_of
from hwcng.headers import wincrypt_h
from hwcng.ksp.handles import NCryptKey
from hwcng.providers import registry

__all__ = [
    "CryptAcquireContext",
    "CryptContextAddRef",
    "CryptReleaseContext",
    "CryptGetProvParam",
    "CryptGenRandom",
    "CryptSetProvParam",
    "CryptEnumProviders",
    "CryptEnumProviderTypes",
    "CryptGetDefaultProvider",
    "CryptSetProvider",
    "CryptSetProviderEx",
    "CryptExportPublicKeyInfo",
    "CryptImportPublicKeyInfo",
    "GET_ALG_CLASS",
    "GET_ALG_TYPE",
    "GET_ALG_SID",
]


@documented
def CryptAcquireContext(
    pszContainer: str | None, pszProvider: ProviderName, dwProvType: int, dwFlags: int = 0
) -> Context:
    """Opens a container of pairs on a token, or with CRYPT_VERIFYCONTEXT no container.

    pszContainer: up to 260 characters; None or "" is the user's own name. pszProvider: one of Microsoft's names (MS_*)
    selects whose lengths and algorithms hold, on the token that is configured under this name, else on the default
    provider's; a configured name, a URI or a Provider selects the token, and dwProvType whose lengths hold; a pair of
    one of Microsoft's names and one of these selects both; None or "" leaves both to dwProvType and the default
    provider. dwFlags: CRYPT_VERIFYCONTEXT (beside which CRYPT_NEWKEYSET means nothing), CRYPT_NEWKEYSET or
    CRYPT_DELETEKEYSET, and CRYPT_MACHINE_KEYSET, CRYPT_SILENT, CRYPT_DEFAULT_CONTAINER_OPTIONAL. With
    CRYPT_DELETEKEYSET the context that is returned is released already.

    Raises NTE_BAD_KEYSET (no such container), NTE_EXISTS (CRYPT_NEWKEYSET), NTE_BAD_FLAGS, NTE_BAD_KEYSET_PARAM (a bad
    name), NTE_BAD_PROV_TYPE, NTE_PROV_TYPE_NOT_DEF, NTE_PROV_TYPE_NO_MATCH, NTE_KEYSET_NOT_DEF (no such provider),
    NTE_BAD_PROVIDER, and what the token says.
    """
    return acquire(pszContainer, pszProvider, dwProvType, any_flags(dwFlags), registry)


@documented
def CryptContextAddRef(hProv: Context, pdwReserved: NoHandle = None, dwFlags: int = 0) -> None:
    """One more CryptReleaseContext is needed to end the context."""
    context = context_of(hProv)
    reserved(pdwReserved, "pdwReserved")
    capi_flags(dwFlags)
    context.add_reference()


@documented
def CryptReleaseContext(hProv: Context, dwFlags: int = 0) -> None:
    """Ends a context, and with its last reference its keys and hashes.

    Raises NTE_BAD_FLAGS for flags, and releases the context all the same; ERROR_INVALID_HANDLE, NTE_BAD_UID.
    """
    context_of(hProv).release()
    capi_flags(dwFlags)


@documented
def CryptGetProvParam(hProv: Context, dwParam: int, dwFlags: int = 0) -> Any:
    """A parameter of a context: an int or a str; of PP_ENUMALGS, PP_ENUMALGS_EX and PP_ENUMCONTAINERS one entry a call.

    dwFlags: CRYPT_FIRST begins an enumeration again, 0 and CRYPT_NEXT go on. Algorithms are those that both the
    provider and its token have; lengths are the provider's.

    Raises NTE_BAD_TYPE for a parameter that a context does not have, ERROR_NO_MORE_ITEMS, NTE_BAD_FLAGS.
    """
    return parameters.get_prov_param(context_of(hProv), parameter_of(dwParam), any_flags(dwFlags))


@documented
def CryptGenRandom(hProv: Context, dwLen: int, pbBuffer: Octets | None = None) -> bytes:
    """`dwLen` random bytes of the token. pbBuffer: a seed of the caller's, which a token's generator does not need."""
    context = context_of(hProv)
    optional_octets(pbBuffer, "pbBuffer")
    return context.provider.random(random_length(dwLen, "dwLen"))


@documented
def CryptSetProvParam(hProv: Context, dwParam: int, pbData: object, dwFlags: int = 0) -> None:
    """Sets a parameter of a context.

    dwParam: PP_KEYEXCHANGE_PIN or PP_SIGNATURE_PIN: the PIN of the container's pair where it has one of its own, a str
    or bytes up to their NUL, None to take it back, for handles that are made from then on; PP_USE_HARDWARE_RNG: the
    token's generator, which is used in any case.

    Raises NTE_BAD_TYPE, NTE_NOT_SUPPORTED for what no token has (a security descriptor, another user's PIN),
    ERROR_INVALID_PARAMETER, NTE_BAD_FLAGS.
    """
    context = context_of(hProv)
    capi_flags(dwFlags)
    settings.set_prov_param(context, parameter_of(dwParam), pbData)


@documented
def CryptEnumProviders(dwIndex: int, pdwReserved: NoHandle = None, dwFlags: int = 0) -> tuple[int, str]:
    """The type (PROV_) and the name of one of Microsoft's providers, from index 0 on.

    Raises ERROR_NO_MORE_ITEMS behind the last one, NTE_BAD_FLAGS, ERROR_INVALID_PARAMETER.
    """
    reserved(pdwReserved, "pdwReserved")
    capi_flags(dwFlags)
    return provider_defaults.provider_at(number(dwIndex, "dwIndex"))


@documented
def CryptEnumProviderTypes(dwIndex: int, pdwReserved: NoHandle = None, dwFlags: int = 0) -> tuple[int, str]:
    """A type of providers (PROV_) and its name, from index 0 on. Raises as CryptEnumProviders."""
    reserved(pdwReserved, "pdwReserved")
    capi_flags(dwFlags)
    return provider_defaults.type_at(number(dwIndex, "dwIndex"))


@documented
def CryptGetDefaultProvider(dwProvType: int, pdwReserved: NoHandle = None, dwFlags: int = 0) -> str:
    """The name of the provider that a type means where CryptAcquireContext is given none.

    dwFlags: CRYPT_USER_DEFAULT or CRYPT_MACHINE_DEFAULT. Raises NTE_BAD_FLAGS, NTE_BAD_PROV_TYPE,
    NTE_PROV_TYPE_NOT_DEF, ERROR_INVALID_PARAMETER.
    """
    reserved(pdwReserved, "pdwReserved")
    return provider_defaults.told_default(number(dwProvType, "dwProvType"), any_flags(dwFlags))


@documented
def CryptSetProvider(pszProvName: str, dwProvType: int) -> None:
    """Makes a provider its type's default for the user, as long as the process lasts. Raises as CryptSetProviderEx."""
    provider_defaults.set_default(
        string(pszProvName, "pszProvName"), number(dwProvType, "dwProvType"), wincrypt_h.CRYPT_USER_DEFAULT
    )


@documented
def CryptSetProviderEx(
    pszProvName: str | None, dwProvType: int, pdwReserved: NoHandle = None, dwFlags: int = wincrypt_h.CRYPT_USER_DEFAULT
) -> None:
    """Makes a provider its type's default, as long as the process lasts; the user's goes before the machine's.

    pszProvName: one of Microsoft's names. dwFlags: CRYPT_USER_DEFAULT or CRYPT_MACHINE_DEFAULT, with
    CRYPT_DELETE_DEFAULT to take the choice back.

    Raises NTE_BAD_PROVIDER (no such name), NTE_PROV_TYPE_NO_MATCH, NTE_BAD_PROV_TYPE, NTE_PROV_TYPE_NOT_DEF,
    NTE_BAD_FLAGS, ERROR_INVALID_PARAMETER.
    """
    reserved(pdwReserved, "pdwReserved")
    name = None if pszProvName is None else string(pszProvName, "pszProvName")
    provider_defaults.set_default(name, number(dwProvType, "dwProvType"), any_flags(dwFlags))


@documented
def CryptExportPublicKeyInfo(
    hCryptProvOrNCryptKey: Context | NCryptKey | KeyPair, dwKeySpec: int, dwCertEncodingType: int
) -> bytes:
    """The public half of a container's pair, or of a key of ncrypt.h, as the DER of a SubjectPublicKeyInfo.

    dwKeySpec: AT_KEYEXCHANGE or AT_SIGNATURE of a context; not looked at with a key. dwCertEncodingType:
    X509_ASN_ENCODING.

    Raises NTE_NO_KEY, NTE_NOT_SUPPORTED for keys other than RSA, DSS and EC ones, ERROR_INVALID_HANDLE,
    ERROR_INVALID_PARAMETER.
    """
    handle = hCryptProvOrNCryptKey
    _encoding(dwCertEncodingType)
    if isinstance(handle, (NCryptKey, KeyPair)) and handle.alive:
        pair = handle.key if isinstance(handle, NCryptKey) else handle
        if not isinstance(pair, KeyPair):
            raise bad_key("a symmetric key has no public half")
        return public_key_info.build(pair.public)
    with generation.user_key(context_of(handle), number(dwKeySpec, "dwKeySpec")) as key:
        return public_key_info.build(key.public)


@documented
def CryptImportPublicKeyInfo(hCryptProv: Context, dwCertEncodingType: int, pInfo: Octets) -> PairKey:
    """The public key of a SubjectPublicKeyInfo in DER: CALG_RSA_KEYX or CALG_DSS_SIGN.

    Raises NTE_BAD_DATA for what is none, NTE_BAD_ALGID for a kind that the provider does not have,
    ERROR_INVALID_HANDLE, ERROR_INVALID_PARAMETER.
    """
    context, info = context_of(hCryptProv), octets(pInfo, "pInfo")
    _encoding(dwCertEncodingType)
    return import_export.import_public_key(context, info)


def _encoding(value: object) -> None:
    known = wincrypt_h.X509_ASN_ENCODING | wincrypt_h.PKCS_7_ASN_ENCODING
    if not flags(value, known, name="dwCertEncodingType") & wincrypt_h.X509_ASN_ENCODING:
        raise failure(Win32Error.ERROR_INVALID_PARAMETER, "dwCertEncodingType is X509_ASN_ENCODING")


def GET_ALG_CLASS(x: int) -> int:
    """The class of an ALG_ID, an ALG_CLASS_."""
    return x & wincrypt_h.ALG_CLASS_ALL


def GET_ALG_TYPE(x: int) -> int:
    """The type of an ALG_ID, an ALG_TYPE_."""
    return x & 0x1E00


def GET_ALG_SID(x: int) -> int:
    """The sub-identifier of an ALG_ID, an ALG_SID_."""
    return x & 0x1FF
