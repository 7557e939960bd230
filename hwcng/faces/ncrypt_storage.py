"""Key stores and the keys in them: opened, made, listed, moved and described (ncrypt.h)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from hwcng.arguments import Octets, flags, number, pairs
from hwcng.cng import naming
from hwcng.cng.algorithm_table import ALGORITHMS
from hwcng.cng.handles import NoHandle, no_handle, told_handle
from hwcng.cng.keys import KeyPair, Secret, SymmetricKey
from hwcng.contract.provider import Provider
from hwcng.errors import HRESULT, CngError, invalid_handle, invalid_parameter, not_supported
from hwcng.faces.ncrypt_handles import (
    NCRYPT_KEY_HANDLE,
    NCryptHandle,
    check_legacy_key_spec,
    data_given,
    given,
    key_of,
    key_type,
    ncrypt_flags,
    storage_of,
    text_given,
)
from hwcng.headers import ncrypt_h
from hwcng.headers.bcrypt_h import Operation
from hwcng.headers.ncrypt_h import NCryptAlgorithmName, NCryptProviderName
from hwcng.ksp import properties
from hwcng.ksp.handles import NCryptKey, StorageProvider, begin_key, storable_algorithm
from hwcng.ksp.importing import Parameters, read_blob, text_parameter
from hwcng.ksp.listing import ListedKey
from hwcng.ksp.operations import export
from hwcng.ksp.status import answering_security_status, refuse, security_status
from hwcng.loading import load
from hwcng.providers import registry

if TYPE_CHECKING:
    from hwcng.capi.contexts import Context
    from hwcng.capi.handle_base import CapiKey

__all__ = [
    "NCryptOpenStorageProvider",
    "NCryptEnumStorageProviders",
    "NCryptIsAlgSupported",
    "NCryptEnumAlgorithms",
    "NCryptCreatePersistedKey",
    "NCryptFinalizeKey",
    "NCryptOpenKey",
    "NCryptEnumKeys",
    "NCryptDeleteKey",
    "NCryptFreeObject",
    "NCryptIsKeyHandle",
    "NCryptGetProperty",
    "NCryptSetProperty",
    "NCryptImportKey",
    "NCryptExportKey",
    "NCryptTranslateHandle",
    "NCryptFreeBuffer",
]

_OPEN_FLAGS = ncrypt_h.NCRYPT_MACHINE_KEY_FLAG

_CREATE_FLAGS = ncrypt_h.NCRYPT_MACHINE_KEY_FLAG | ncrypt_h.NCRYPT_OVERWRITE_KEY_FLAG

_IMPORT_FLAGS = _CREATE_FLAGS | ncrypt_h.NCRYPT_DO_NOT_FINALIZE_FLAG | ncrypt_h.NCRYPT_NO_KEY_VALIDATION

_SECURITY_INFORMATION = 0xF


@answering_security_status
def NCryptOpenStorageProvider(pszProviderName: str | Provider | None = None, dwFlags: int = 0) -> StorageProvider:
    """Opens a token's key store.

    pszProviderName: None or MS_KEY_STORAGE_PROVIDER for the default provider, a configured name, a URI or a Provider.
    MS_PLATFORM_CRYPTO_PROVIDER and MS_SMART_CARD_KEY_STORAGE_PROVIDER mean what the configuration says.

    Raises NTE_NOT_FOUND for a name that is not configured, a token that is not there or a backend that is not
    installed, NTE_INVALID_PARAMETER for a malformed URI, NTE_BAD_FLAGS, and what the token answers.
    """
    ncrypt_flags(dwFlags)
    if pszProviderName is None or isinstance(pszProviderName, Provider):
        provider = registry.resolve_implementation(pszProviderName)
        return StorageProvider(provider, provider.uri)
    name = text_given(pszProviderName, "pszProviderName")
    if name == ncrypt_h.MS_KEY_STORAGE_PROVIDER and name not in registry.configured_names():
        return StorageProvider(registry.default_provider(), name)
    provider = registry.resolve_implementation(name)
    # A URI may hold a PIN, the provider's own never does.
    return StorageProvider(provider, name if name in registry.configured_names() else provider.uri)


@answering_security_status
def NCryptEnumStorageProviders(dwFlags: int = 0) -> list[NCryptProviderName]:
    """The configured names. Raises NTE_BAD_FLAGS, NTE_INVALID_PARAMETER for a malformed configuration file."""
    ncrypt_flags(dwFlags)
    return [NCryptProviderName(name, str(uri)) for name, uri in registry.configured_names().items()]


@answering_security_status
def NCryptIsAlgSupported(hProvider: StorageProvider, pszAlgId: str, dwFlags: int = 0) -> None:
    """Returns where the token makes and keeps keys of the algorithm.

    Raises NTE_NOT_SUPPORTED: hashes, RNG and RSA_SIGN too; NTE_INVALID_HANDLE, NTE_BAD_FLAGS, RPC_X_NULL_REF_POINTER.
    """
    storage, name = storage_of(hProvider), text_given(pszAlgId, "pszAlgId")
    ncrypt_flags(dwFlags)
    storable_algorithm(name, storage.provider)


@answering_security_status
def NCryptEnumAlgorithms(
    hProvider: StorageProvider, dwAlgOperations: int = 0, dwFlags: int = 0
) -> list[NCryptAlgorithmName]:
    """The algorithms whose keys the token makes and keeps. dwAlgOperations: NCRYPT_*_OPERATION bits, 0 for all.

    Raises NTE_INVALID_HANDLE, NTE_BAD_FLAGS, NTE_INVALID_PARAMETER for undefined bits.
    """
    storage = storage_of(hProvider)
    ncrypt_flags(dwFlags)
    wanted = flags(dwAlgOperations, sum(Operation), name="dwAlgOperations")
    found = []
    for algorithm in ALGORITHMS.values():
        operations = sum(1 << (interface - 1) for interface in algorithm.interfaces)
        if wanted and not wanted & operations:
            continue
        try:
            storable_algorithm(algorithm.name, storage.provider)
        except CngError:
            continue
        found.append(NCryptAlgorithmName(algorithm.name, int(algorithm.interfaces[0]), operations))
    return found


@answering_security_status
def NCryptCreatePersistedKey(
    hProvider: StorageProvider, pszAlgId: str, pszKeyName: str | None, dwLegacyKeySpec: int = 0, dwFlags: int = 0
) -> NCryptKey:
    """A key that is not finalized: set its properties, then NCryptFinalizeKey. Nothing is made or replaced before.

    pszAlgId: such as NCRYPT_RSA_ALGORITHM, whose default Length is 1024 bits: set it. pszKeyName: 1 to 512 UTF-16
    units; None: the key ends with the process. dwLegacyKeySpec: checked, without effect. dwFlags:
    NCRYPT_OVERWRITE_KEY_FLAG has a key of that name give way at NCryptFinalizeKey; NCRYPT_MACHINE_KEY_FLAG only shows
    in Key Type, because a token has one set of keys, for whoever may log in.

    Raises NTE_EXISTS, NTE_NOT_SUPPORTED for an algorithm that the token does not have, NTE_INVALID_PARAMETER for an
    impossible name, NTE_INVALID_HANDLE, NTE_BAD_FLAGS, RPC_X_NULL_REF_POINTER.
    """
    storage, algorithm = storage_of(hProvider), text_given(pszAlgId, "pszAlgId")
    name = None if pszKeyName is None else text_given(pszKeyName, "pszKeyName")
    ncrypt_flags(dwFlags, _CREATE_FLAGS)
    check_legacy_key_spec(dwLegacyKeySpec)
    replace = bool(dwFlags & ncrypt_h.NCRYPT_OVERWRITE_KEY_FLAG)
    return begin_key(storage, algorithm, name, key_type=key_type(dwFlags), replace=replace)


@answering_security_status
def NCryptFinalizeKey(hKey: NCryptKey, dwFlags: int = 0) -> None:
    """Has the token make the key, and store it where it has a name. A failure leaves it unfinished, and an old key of
    that name untouched.

    dwFlags: NCRYPT_NO_KEY_VALIDATION is accepted, and a token validates all the same. An RSA, DH or DSA key whose
    Length nobody set has the documented 1024 bits, of which a UserWarning tells.

    Raises NTE_INVALID_HANDLE, the second time too; NTE_EXISTS where the name was taken meanwhile, NTE_BAD_FLAGS,
    NTE_INVALID_PARAMETER where a property is missing, NTE_NOT_SUPPORTED for a key that the token does not make or for
    NCRYPT_WRITE_KEY_TO_LEGACY_STORE_FLAG.
    """
    key = key_of(hKey)
    ncrypt_flags(dwFlags, ncrypt_h.NCRYPT_NO_KEY_VALIDATION | ncrypt_h.NCRYPT_WRITE_KEY_TO_LEGACY_STORE_FLAG)
    if dwFlags & ncrypt_h.NCRYPT_WRITE_KEY_TO_LEGACY_STORE_FLAG:
        raise not_supported("a token has no second store for legacy keys")
    if not key.finalized and key.draft.weak_default:
        warnings.warn(
            f"this {key.algorithm.name} key gets the documented default of {key.draft.bits} bits, which is for old "
            "data only: set Length before NCryptFinalizeKey",
            stacklevel=3,
        )
    key.finalize()


@answering_security_status
def NCryptOpenKey(hProvider: StorageProvider, pszKeyName: str, dwLegacyKeySpec: int = 0, dwFlags: int = 0) -> NCryptKey:
    """The key that the token keeps under a name: one of NCryptEnumKeys.

    Raises NTE_BAD_KEYSET where there is none, NTE_KEYSET_ENTRY_BAD where there are several or it is damaged,
    NTE_INVALID_HANDLE, NTE_BAD_FLAGS, RPC_X_NULL_REF_POINTER.
    """
    storage, name = storage_of(hProvider), text_given(pszKeyName, "pszKeyName")
    ncrypt_flags(dwFlags, _OPEN_FLAGS)
    check_legacy_key_spec(dwLegacyKeySpec)
    key = naming.open_named(storage.provider, name, pin=storage.pin)
    return NCryptKey(storage, key=key, name=key.name, key_type=key_type(dwFlags))


@answering_security_status
def NCryptEnumKeys(hProvider: StorageProvider, dwFlags: int = 0) -> Iterator[ListedKey]:
    """The keys that the token keeps, in no order; the iterator's end is NTE_NO_MORE_ITEMS. pszName: what NCryptOpenKey
    takes, which for a key of a PKCS#11 token whose label does not name it is a URI such as "pkcs11:id=%01". Beside the
    documented fields each has uri, kind, usage, id and certificate of its `hwcng.KeyRecord`.

    Raises NTE_INVALID_HANDLE, NTE_BAD_FLAGS.
    """
    storage = storage_of(hProvider)
    ncrypt_flags(dwFlags, _OPEN_FLAGS)
    return _listed(storage.provider, key_type(dwFlags))


def _listed(provider: Provider, key_type: int) -> Iterator[ListedKey]:
    with security_status():
        for record in provider.list_keys():
            yield ListedKey.of(record, key_type)


@answering_security_status
def NCryptDeleteKey(hKey: NCRYPT_KEY_HANDLE, dwFlags: int = 0) -> None:
    """Ends a key for good and frees the handle. A key without a name, or not finalized, is only freed.

    Raises NTE_INVALID_HANDLE, NTE_BAD_FLAGS, NTE_BAD_KEYSET where the key is gone already; the handle then lives on.
    """
    key = key_of(hKey)
    ncrypt_flags(dwFlags)
    key.delete()


@answering_security_status
def NCryptFreeObject(hObject: NCryptHandle) -> None:
    """Frees a handle; the stored key, and the token, stay. Raises NTE_INVALID_HANDLE for what is none, and twice."""
    if not isinstance(hObject, (StorageProvider, NCryptKey, KeyPair, SymmetricKey, Secret)) or not hObject.alive:
        raise invalid_handle(told_handle(hObject, "hObject", "a handle of ncrypt.h"))
    hObject.destroy()


@answering_security_status
def NCryptIsKeyHandle(hKey: object) -> bool:
    """Whether it is a key that is not freed."""
    return isinstance(hKey, (NCryptKey, KeyPair, SymmetricKey)) and hKey.alive


def _object(handle: object) -> StorageProvider | NCryptKey:
    if isinstance(handle, StorageProvider):
        return storage_of(handle)
    return key_of(handle, "hObject")


def _property(name: object) -> str:
    if len(text := text_given(name, "pszProperty")) > ncrypt_h.NCRYPT_MAX_PROPERTY_NAME:
        raise invalid_parameter(f"a property's name has at most {ncrypt_h.NCRYPT_MAX_PROPERTY_NAME} characters")
    return text


@answering_security_status
def NCryptGetProperty(hObject: NCryptHandle, pszProperty: str, dwFlags: int = 0) -> Any:
    """The value of a property: int, str, bytes, tuple, a named tuple or a handle, by the property's type.

    dwFlags: NCRYPT_PERSIST_ONLY_FLAG is accepted; Security Descr takes the SECURITY_INFORMATION bits.

    Raises NTE_NOT_SUPPORTED for a property that such an object does not have, NTE_NOT_FOUND for one that is not there,
    NTE_BAD_KEY_STATE for one that a key has when it is finalized, NTE_BAD_FLAGS, NTE_INVALID_HANDLE,
    RPC_X_NULL_REF_POINTER.
    """
    handle, name = _object(hObject), _property(pszProperty)
    if name == ncrypt_h.NCRYPT_SECURITY_DESCR_PROPERTY and isinstance(handle, NCryptKey):
        ncrypt_flags(dwFlags, ncrypt_h.NCRYPT_PERSIST_ONLY_FLAG | _SECURITY_INFORMATION)
        if not dwFlags & _SECURITY_INFORMATION:
            refuse(HRESULT.NTE_BAD_FLAGS, "Security Descr needs the SECURITY_INFORMATION that is wanted")
        raise not_supported("a token's keys have no security descriptors: who can log in may use them")
    ncrypt_flags(dwFlags, ncrypt_h.NCRYPT_PERSIST_ONLY_FLAG)
    return properties.get_property(handle, name)


@answering_security_status
def NCryptSetProperty(hObject: NCryptHandle, pszProperty: str, pbInput: object, dwFlags: int = 0) -> None:
    """Sets a property of a key, most of them before NCryptFinalizeKey.

    dwFlags: NCRYPT_PERSIST_FLAG is accepted: what a stored key keeps is part of it in any case. NCRYPT_PIN_PROPERTY is
    set on a provider, for keys with a PIN of their own (a TPM's) that it opens or imports from then on, or on such a
    key; nothing reads it.

    Raises NTE_NOT_SUPPORTED for a property that is absent, read-only or a program's own; NTE_INVALID_HANDLE for one
    that NCryptFinalizeKey has fixed, NTE_INVALID_PARAMETER for a wrong value, NTE_BAD_FLAGS, RPC_X_NULL_REF_POINTER.
    """
    handle, name = _object(hObject), _property(pszProperty)
    ncrypt_flags(dwFlags, ncrypt_h.NCRYPT_PERSIST_FLAG)
    properties.set_property(handle, name, given(pbInput, "pbInput"))


@answering_security_status
def NCryptImportKey(
    hProvider: StorageProvider,
    hImportKey: NCRYPT_KEY_HANDLE | NoHandle,
    pszBlobType: str,
    pParameterList: Parameters,
    pbData: Octets,
    dwFlags: int = 0,
) -> NCryptKey:
    """A key from a blob; a private or secret one goes into the token, a public one stays on the host.

    hImportKey: what unwraps a wrapped key, inside the token: an AES key of BCRYPT_AES_WRAP_KEY_BLOB and
    `hwcng.AES_KWP_KEY_BLOB`, an RSA pair of BCRYPT_PKCS11_RSA_AES_WRAP_KEY_BLOB; NCRYPTBUFFER_PKCS_ALG_ID is then what
    is wrapped, without it AES, and RSA in the last of them. pszBlobType: the pair and symmetric types of bcrypt.h,
    BCRYPT_OPAQUE_KEY_BLOB and NCRYPT_OPAQUETRANSPORT_BLOB, NCRYPT_CIPHER_KEY_BLOB, NCRYPT_PKCS8_PRIVATE_KEY_BLOB.
    pParameterList: (buffer type, value) pairs: NCRYPTBUFFER_PKCS_KEY_NAME stores the key under that name,
    NCRYPTBUFFER_PKCS_SECRET is the password of a PKCS #8 blob, and the PIN of an opaque one (without it the
    provider's NCRYPT_PIN_PROPERTY), NCRYPTBUFFER_PKCS_ALG_ID an algorithm for its EC key,
    NCRYPTBUFFER_ECC_CURVE_NAME the curve of a blob that names none. dwFlags: NCRYPT_OVERWRITE_KEY_FLAG,
    NCRYPT_MACHINE_KEY_FLAG; NCRYPT_DO_NOT_FINALIZE_FLAG leaves Export Policy and Key Usage to be set.

    Raises NTE_NOT_SUPPORTED for a blob type that is not imported, NTE_BAD_DATA for a blob of wrong size,
    NTE_INVALID_PARAMETER for one that is malformed and for a public key with a name, NTE_EXISTS, NTE_INVALID_HANDLE,
    NTE_BAD_FLAGS, RPC_X_NULL_REF_POINTER.
    """
    storage, blob_type, blob = (
        storage_of(hProvider),
        text_given(pszBlobType, "pszBlobType"),
        data_given(pbData, "pbData"),
    )
    ncrypt_flags(dwFlags, _IMPORT_FLAGS)
    import_key = None if no_handle(hImportKey) else key_of(hImportKey, "hImportKey").key
    parameters = pairs(pParameterList)
    name = text_parameter(parameters, ncrypt_h.NCRYPTBUFFER_PKCS_KEY_NAME)
    read = read_blob(storage, import_key, blob_type, parameters, blob)
    if isinstance(read, KeyPair):
        if name is not None:
            raise invalid_parameter("a public key stays on the host and is not stored under a name")
        return NCryptKey(storage, key=read, key_type=key_type(dwFlags))
    if dwFlags & ncrypt_h.NCRYPT_DO_NOT_FINALIZE_FLAG:
        read.require_sound()
    replace = bool(dwFlags & ncrypt_h.NCRYPT_OVERWRITE_KEY_FLAG)
    key = begin_key(storage, read, name, key_type=key_type(dwFlags), replace=replace)
    if not dwFlags & ncrypt_h.NCRYPT_DO_NOT_FINALIZE_FLAG:
        key.finalize()
    return key


@answering_security_status
def NCryptExportKey(
    hKey: NCRYPT_KEY_HANDLE,
    hExportKey: NCRYPT_KEY_HANDLE | NoHandle,
    pszBlobType: str,
    pParameterList: Parameters = None,
    dwFlags: int = 0,
) -> bytes:
    """A blob of a key: public ones always, opaque and AES-wrapped ones where Export Policy allows it, others never.

    Raises NTE_BAD_KEY_STATE for a key that is not finalized, NTE_BAD_TYPE for a blob type that it does not have,
    NTE_NOT_SUPPORTED for one that would hold a secret in plaintext or that the policy forbids, NTE_INVALID_HANDLE,
    NTE_INVALID_PARAMETER, NTE_BAD_FLAGS, RPC_X_NULL_REF_POINTER.
    """
    key, blob_type = key_of(hKey), text_given(pszBlobType, "pszBlobType")
    ncrypt_flags(dwFlags)
    if pairs(pParameterList):
        raise invalid_parameter("no blob that is exported takes parameters")
    export_key = None if no_handle(hExportKey) else key_of(hExportKey, "hExportKey").key
    return export(key.key, export_key, blob_type)


@answering_security_status
def NCryptTranslateHandle(
    hLegacyProv: Context, hLegacyKey: CapiKey | NoHandle = None, dwLegacyKeySpec: int = 0, dwFlags: int = 0
) -> tuple[StorageProvider, NCryptKey]:
    """A context of wincrypt.h and one of its pairs as a provider and a key of ncrypt.h; each has a life of its own.

    hLegacyKey: a pair of that context, or NULL for the container's pair of dwLegacyKeySpec.

    Raises NTE_INVALID_HANDLE, NTE_NO_KEY where the container has no such pair, NTE_NOT_SUPPORTED for a session key,
    NTE_BAD_FLAGS.
    """
    load("hwcng.capi.translation")
    from hwcng.capi import translation

    context = translation.context_of(hLegacyProv)
    ncrypt_flags(dwFlags)
    handle = None if no_handle(hLegacyKey) else hLegacyKey
    provider, pair = translation.translated(context, handle, number(dwLegacyKeySpec, "dwLegacyKeySpec"))
    storage = StorageProvider(provider, provider.uri)
    return storage, NCryptKey(storage, key=pair, key_type=translation.machine_flag(context))


@answering_security_status
def NCryptFreeBuffer(pvInput: object) -> None:
    """Does nothing: what the functions return frees itself."""
