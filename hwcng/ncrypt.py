"""The functions of ncrypt.h over the keys that a token keeps ("Cryptography API: Next Generation" of the Windows
documentation).

Names and parameter order are the documented ones: out-parameters are return values, sizes come from the buffers, and a
failure raises `hwcng.CngError` whose status is the documented SECURITY_STATUS. None where a pointer is mandatory is
0x800706F4 (RPC_X_NULL_REF_POINTER). Every function also takes the keys that `hwcng.open_key` returns; bcrypt.py takes
`hKey.key` of a key made here. Each function's page in that documentation is its manual.

NCRYPT_SILENT_FLAG is accepted everywhere: nothing here ever shows anything.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from hwcng import bcrypt
from hwcng.arguments import Octets, flags, number, octets, pairs, string
from hwcng.bcrypt import *  # noqa: F403
from hwcng.cng import naming, ncrypt_constants
from hwcng.cng import ncrypt_constants as names
from hwcng.cng.algorithm_table import ALGORITHMS, Operation
from hwcng.cng.derivation_key import KdfKey
from hwcng.cng.derive.parameters import ParameterList
from hwcng.cng.handles import NoHandle, invalid_handle, invalid_parameter, no_handle, not_supported, told_handle
from hwcng.cng.keys import KeyPair, Secret, SymmetricKey
from hwcng.cng.ncrypt_constants import *  # noqa: F403
from hwcng.cng.ncrypt_constants import (
    NCryptAlgorithmName,
    NCryptKeyName,
    NCryptProviderName,
)
from hwcng.contract.provider import Provider
from hwcng.errors import HRESULT, CngError, told
from hwcng.ksp import properties
from hwcng.ksp.handles import NCryptKey, StorageProvider, begin_key, storable_algorithm
from hwcng.ksp.importing import Parameters, parameter, read_blob, text_parameter
from hwcng.ksp.operations import decrypt, encrypt, export, sign, verify
from hwcng.ksp.status import answering_security_status, refuse, security_status
from hwcng.providers import registry

if TYPE_CHECKING:
    from hwcng.attestation import Attestation, AttestedKey
    from hwcng.capi.contexts import Context
    from hwcng.capi.handle_base import CapiKey

_SILENT = names.NCRYPT_SILENT_FLAG
_OPEN_FLAGS = names.NCRYPT_MACHINE_KEY_FLAG
_CREATE_FLAGS = names.NCRYPT_MACHINE_KEY_FLAG | names.NCRYPT_OVERWRITE_KEY_FLAG
_IMPORT_FLAGS = _CREATE_FLAGS | names.NCRYPT_DO_NOT_FINALIZE_FLAG | names.NCRYPT_NO_KEY_VALIDATION
_LEGACY_KEY_SPECS = (0, names.AT_KEYEXCHANGE, names.AT_SIGNATURE)
_SECURITY_INFORMATION = 0xF
_CLAIM_TYPES = (names.NCRYPT_CLAIM_AUTHORITY_AND_SUBJECT,)

T = TypeVar("T")

NCRYPT_KEY_HANDLE: TypeAlias = NCryptKey | KeyPair | SymmetricKey
"""A key of ncrypt.h, or one that `hwcng.open_key` returns. Which kind a function takes, it checks itself."""
NCryptHandle: TypeAlias = StorageProvider | NCRYPT_KEY_HANDLE | Secret


def _given(value: T | None, name: str) -> T:
    if value is None:
        refuse(HRESULT.RPC_X_NULL_REF_POINTER, f"{name} must not be None")
    return value


def _text(value: object, name: str) -> str:
    return string(_given(value, name), name)


def _data(value: Octets | None, name: str) -> bytes:
    _given(value, name)
    return octets(value, name)


def _flags(value: object, known: int = 0) -> int:
    return flags(value, known | _SILENT, refused=HRESULT.NTE_BAD_FLAGS)


def _storage(handle: object) -> StorageProvider:
    if isinstance(handle, StorageProvider) and handle.alive:
        return handle
    raise invalid_handle(told_handle(handle, "hProvider", StorageProvider.called))


def _key(handle: object, name: str = "hKey") -> NCryptKey:
    if isinstance(handle, NCryptKey) and handle.alive:
        return handle
    if isinstance(handle, (KeyPair, SymmetricKey)) and handle.alive:
        return NCryptKey.of(handle)
    raise invalid_handle(told_handle(handle, name, "a key"))


def _legacy_key_spec(spec: object) -> None:
    if number(spec, "dwLegacyKeySpec") not in _LEGACY_KEY_SPECS:
        raise invalid_parameter(f"dwLegacyKeySpec is 0, AT_KEYEXCHANGE or AT_SIGNATURE, not {told(spec)}")


def _key_type(flags: int) -> int:
    return flags & names.NCRYPT_MACHINE_KEY_FLAG


@answering_security_status
def NCryptOpenStorageProvider(pszProviderName: str | Provider | None = None, dwFlags: int = 0) -> StorageProvider:
    """Opens a token's key store.

    pszProviderName: None or MS_KEY_STORAGE_PROVIDER for the default provider, a configured name, a URI or a Provider.
    MS_PLATFORM_CRYPTO_PROVIDER and MS_SMART_CARD_KEY_STORAGE_PROVIDER mean what the configuration says.

    Raises NTE_NOT_FOUND for a name that is not configured, a token that is not there or a backend that is not
    installed, NTE_INVALID_PARAMETER for a malformed URI, NTE_BAD_FLAGS, and what the token answers.
    """
    _flags(dwFlags)
    if pszProviderName is None or isinstance(pszProviderName, Provider):
        provider = registry.resolve_implementation(pszProviderName)
        return StorageProvider(provider, provider.uri)
    name = _text(pszProviderName, "pszProviderName")
    if name == names.MS_KEY_STORAGE_PROVIDER and name not in registry.configured_names():
        return StorageProvider(registry.default_provider(), name)
    provider = registry.resolve_implementation(name)
    # A URI may hold a PIN, the provider's own never does.
    return StorageProvider(provider, name if name in registry.configured_names() else provider.uri)


@answering_security_status
def NCryptEnumStorageProviders(dwFlags: int = 0) -> list[NCryptProviderName]:
    """The configured names. Raises NTE_BAD_FLAGS, NTE_INVALID_PARAMETER for a malformed configuration file."""
    _flags(dwFlags)
    return [NCryptProviderName(name, str(uri)) for name, uri in registry.configured_names().items()]


@answering_security_status
def NCryptIsAlgSupported(hProvider: StorageProvider, pszAlgId: str, dwFlags: int = 0) -> None:
    """Returns where the token makes and keeps keys of the algorithm.

    Raises NTE_NOT_SUPPORTED: hashes, RNG and RSA_SIGN too; NTE_INVALID_HANDLE, NTE_BAD_FLAGS, RPC_X_NULL_REF_POINTER.
    """
    storage, name = _storage(hProvider), _text(pszAlgId, "pszAlgId")
    _flags(dwFlags)
    storable_algorithm(name, storage.provider)


@answering_security_status
def NCryptEnumAlgorithms(
    hProvider: StorageProvider, dwAlgOperations: int = 0, dwFlags: int = 0
) -> list[NCryptAlgorithmName]:
    """The algorithms whose keys the token makes and keeps. dwAlgOperations: NCRYPT_*_OPERATION bits, 0 for all.

    Raises NTE_INVALID_HANDLE, NTE_BAD_FLAGS, NTE_INVALID_PARAMETER for undefined bits.
    """
    storage = _storage(hProvider)
    _flags(dwFlags)
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
    storage, algorithm = _storage(hProvider), _text(pszAlgId, "pszAlgId")
    name = None if pszKeyName is None else _text(pszKeyName, "pszKeyName")
    _flags(dwFlags, _CREATE_FLAGS)
    _legacy_key_spec(dwLegacyKeySpec)
    replace = bool(dwFlags & names.NCRYPT_OVERWRITE_KEY_FLAG)
    return begin_key(storage, algorithm, name, key_type=_key_type(dwFlags), replace=replace)


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
    key = _key(hKey)
    _flags(dwFlags, names.NCRYPT_NO_KEY_VALIDATION | names.NCRYPT_WRITE_KEY_TO_LEGACY_STORE_FLAG)
    if dwFlags & names.NCRYPT_WRITE_KEY_TO_LEGACY_STORE_FLAG:
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
    storage, name = _storage(hProvider), _text(pszKeyName, "pszKeyName")
    _flags(dwFlags, _OPEN_FLAGS)
    _legacy_key_spec(dwLegacyKeySpec)
    key = naming.open_named(storage.provider, name, pin=storage.pin)
    return NCryptKey(storage, key=key, name=key.name, key_type=_key_type(dwFlags))


@answering_security_status
def NCryptEnumKeys(hProvider: StorageProvider, dwFlags: int = 0) -> Iterator[NCryptKeyName]:
    """The keys that the token keeps, in no order; the iterator's end is NTE_NO_MORE_ITEMS. pszName: what NCryptOpenKey
    takes, which for a key of a PKCS#11 token whose label does not name it is a URI such as "pkcs11:id=%01".

    Raises NTE_INVALID_HANDLE, NTE_BAD_FLAGS.
    """
    storage = _storage(hProvider)
    _flags(dwFlags, _OPEN_FLAGS)
    return _listed(storage.provider, _key_type(dwFlags))


def _listed(provider: Provider, key_type: int) -> Iterator[NCryptKeyName]:
    with security_status():
        for record in provider.list_keys():
            yield NCryptKeyName(record.address or record.name, naming.algorithm_name(record.spec), 0, key_type)


@answering_security_status
def NCryptDeleteKey(hKey: NCRYPT_KEY_HANDLE, dwFlags: int = 0) -> None:
    """Ends a key for good and frees the handle. A key without a name, or not finalized, is only freed.

    Raises NTE_INVALID_HANDLE, NTE_BAD_FLAGS, NTE_BAD_KEYSET where the key is gone already; the handle then lives on.
    """
    key = _key(hKey)
    _flags(dwFlags)
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
        return _storage(handle)
    return _key(handle, "hObject")


def _property(name: object) -> str:
    if len(text := _text(name, "pszProperty")) > names.NCRYPT_MAX_PROPERTY_NAME:
        raise invalid_parameter(f"a property's name has at most {names.NCRYPT_MAX_PROPERTY_NAME} characters")
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
    if name == names.NCRYPT_SECURITY_DESCR_PROPERTY and isinstance(handle, NCryptKey):
        _flags(dwFlags, names.NCRYPT_PERSIST_ONLY_FLAG | _SECURITY_INFORMATION)
        if not dwFlags & _SECURITY_INFORMATION:
            refuse(HRESULT.NTE_BAD_FLAGS, "Security Descr needs the SECURITY_INFORMATION that is wanted")
        raise not_supported("a token's keys have no security descriptors: who can log in may use them")
    _flags(dwFlags, names.NCRYPT_PERSIST_ONLY_FLAG)
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
    _flags(dwFlags, names.NCRYPT_PERSIST_FLAG)
    properties.set_property(handle, name, _given(pbInput, "pbInput"))


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

    hImportKey: the AES key of BCRYPT_AES_WRAP_KEY_BLOB. pszBlobType: the pair and symmetric types of bcrypt.h,
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
    storage, blob_type, blob = _storage(hProvider), _text(pszBlobType, "pszBlobType"), _data(pbData, "pbData")
    _flags(dwFlags, _IMPORT_FLAGS)
    import_key = None if no_handle(hImportKey) else _key(hImportKey, "hImportKey").key
    parameters = pairs(pParameterList)
    name = text_parameter(parameters, names.NCRYPTBUFFER_PKCS_KEY_NAME)
    read = read_blob(storage, import_key, blob_type, parameters, blob)
    if isinstance(read, KeyPair):
        if name is not None:
            raise invalid_parameter("a public key stays on the host and is not stored under a name")
        return NCryptKey(storage, key=read, key_type=_key_type(dwFlags))
    replace = bool(dwFlags & names.NCRYPT_OVERWRITE_KEY_FLAG)
    key = begin_key(storage, read, name, key_type=_key_type(dwFlags), replace=replace)
    if not dwFlags & names.NCRYPT_DO_NOT_FINALIZE_FLAG:
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
    key, blob_type = _key(hKey), _text(pszBlobType, "pszBlobType")
    _flags(dwFlags)
    if pairs(pParameterList):
        raise invalid_parameter("no blob that is exported takes parameters")
    export_key = None if no_handle(hExportKey) else _key(hExportKey, "hExportKey").key
    return export(key.key, export_key, blob_type)


@answering_security_status
def NCryptEncrypt(hKey: NCRYPT_KEY_HANDLE, pbInput: Octets, pPaddingInfo: object = None, dwFlags: int = 0) -> bytes:
    """The ciphertext: of a symmetric key in the token, of an RSA key on the host.

    pPaddingInfo: BCRYPT_OAEP_PADDING_INFO with NCRYPT_PAD_OAEP_FLAG, NCRYPT_CIPHER_PADDING_INFO with
    NCRYPT_PAD_CIPHER_FLAG for a symmetric key, else None. dwFlags: one padding; none is NCRYPT_NO_PADDING_FLAG.

    Raises NTE_BAD_KEY_STATE for a key that is not finalized, NTE_BAD_FLAGS for another key's padding or for two,
    NTE_NOT_SUPPORTED for a key that does not encrypt, NTE_INVALID_PARAMETER, NTE_INVALID_HANDLE,
    RPC_X_NULL_REF_POINTER.
    """
    return encrypt(_key(hKey).key, _data(pbInput, "pbInput"), pPaddingInfo, dwFlags)


@answering_security_status
def NCryptDecrypt(hKey: NCRYPT_KEY_HANDLE, pbInput: Octets, pPaddingInfo: object = None, dwFlags: int = 0) -> bytes:
    """The plaintext, made in the token. Parameters and failures as NCryptEncrypt.

    Raises too NTE_PERM for a key whose Key Usage is without NCRYPT_ALLOW_DECRYPT_FLAG, NTE_DECRYPTION_FAILURE for a
    wrong tag and NTE_BAD_DATA for malformed block padding; everything that can be wrong with an RSA padding is one
    NTE_INVALID_PARAMETER.
    """
    return decrypt(_key(hKey).key, _data(pbInput, "pbInput"), pPaddingInfo, dwFlags)


@answering_security_status
def NCryptSignHash(hKey: NCRYPT_KEY_HANDLE, pPaddingInfo: object, pbHashValue: Octets, dwFlags: int = 0) -> bytes:
    """A signature of a digest, made in the token: RSA big-endian of modulus length, ECDSA r || s.

    pPaddingInfo: BCRYPT_PKCS1_PADDING_INFO with NCRYPT_PAD_PKCS1_FLAG or BCRYPT_PSS_PADDING_INFO with
    NCRYPT_PAD_PSS_FLAG for RSA; None and no flags for ECDSA.

    Raises NTE_BAD_KEY_STATE for a key that is not finalized, NTE_BAD_ALGID for one that cannot sign, NTE_PERM for one
    whose Key Usage is without NCRYPT_ALLOW_SIGNING_FLAG, NTE_INVALID_PARAMETER for a public key, an unknown hash, a
    digest of wrong length and wrong padding parameters, NTE_INVALID_HANDLE, NTE_BAD_FLAGS, RPC_X_NULL_REF_POINTER.
    """
    return sign(_key(hKey).key, pPaddingInfo, _data(pbHashValue, "pbHashValue"), dwFlags)


@answering_security_status
def NCryptVerifySignature(
    hKey: NCRYPT_KEY_HANDLE, pPaddingInfo: object, pbHashValue: Octets, pbSignature: Octets, dwFlags: int = 0
) -> None:
    """Returns where the signature is good; the host does this. Parameters as NCryptSignHash.

    Raises NTE_BAD_SIGNATURE, NTE_INVALID_PARAMETER for a signature or digest of wrong length, NTE_BAD_ALGID for a key
    of another kind, NTE_BAD_KEY_STATE, NTE_INVALID_HANDLE, NTE_BAD_FLAGS, RPC_X_NULL_REF_POINTER.
    """
    key = _key(hKey).key
    verify(key, pPaddingInfo, _data(pbHashValue, "pbHashValue"), _data(pbSignature, "pbSignature"), dwFlags)


@answering_security_status
def NCryptSecretAgreement(hPrivKey: NCRYPT_KEY_HANDLE, hPubKey: NCRYPT_KEY_HANDLE, dwFlags: int = 0) -> Secret:
    """The secret of two keys, held by the private key's token; NCryptFreeObject ends it.

    Raises NTE_INVALID_HANDLE (also: different algorithms, no private half), NTE_BAD_KEY_STATE, NTE_NOT_SUPPORTED for
    keys that do not agree, NTE_INVALID_PARAMETER for keys on different curves, NTE_BAD_FLAGS.
    """
    private, public = _key(hPrivKey, "hPrivKey").key, _key(hPubKey, "hPubKey").key
    _flags(dwFlags)
    if not isinstance(private, KeyPair) or not isinstance(public, KeyPair):
        raise not_supported("symmetric keys do not agree on secrets")
    return private.agree(public)


@answering_security_status
def NCryptDeriveKey(
    hSharedSecret: Secret,
    pwszKDF: str,
    pParameterList: ParameterList | None = None,
    cbDerivedKey: int | None = None,
    dwFlags: int = 0,
) -> bytes:
    """Key material from an agreed secret, as BCryptDeriveKey makes it, whose parameters these are.

    dwFlags: KDF_USE_SECRET_AS_HMAC_KEY_FLAG.

    Raises NTE_INVALID_HANDLE, NTE_NOT_SUPPORTED for an unknown function or hash and for what the token cannot do,
    NTE_INVALID_PARAMETER, RPC_X_NULL_REF_POINTER.
    """
    if not isinstance(hSharedSecret, Secret) or not hSharedSecret.alive:
        raise invalid_handle(told_handle(hSharedSecret, "hSharedSecret", Secret.called))
    function = _text(pwszKDF, "pwszKDF")
    wanted = number(dwFlags, "dwFlags", refused=HRESULT.NTE_BAD_FLAGS) & ~_SILENT
    return hSharedSecret.derive(function, pParameterList, cbDerivedKey, wanted)


@answering_security_status
def NCryptCreateClaim(
    hSubjectKey: NCRYPT_KEY_HANDLE,
    hAuthorityKey: NoHandle,
    dwClaimType: int,
    pParameterList: Parameters,
    dwFlags: int = 0,
) -> Attestation:
    """The token's statement that it holds the key and how it was made, for `hwcng.attestation.verify_attestation`.

    hAuthorityKey: NoHandle, the token's own attestation key. dwClaimType: NCRYPT_CLAIM_AUTHORITY_AND_SUBJECT.
    pParameterList: NCRYPTBUFFER_CLAIM_KEYATTESTATION_NONCE, at most 32 bytes of the verifier's choice.

    Raises NTE_NOT_SUPPORTED where the token makes none, for another claim and another authority,
    NTE_INVALID_PARAMETER without a nonce, NTE_BAD_KEY_STATE, NTE_INVALID_HANDLE, NTE_BAD_FLAGS.
    """
    key = _key(hSubjectKey, "hSubjectKey")
    _flags(dwFlags)
    nonce = _claim_nonce(dwClaimType, hAuthorityKey, pParameterList)
    return key.attest(nonce)


def _claim_nonce(kind: object, authority: object, parameters: Parameters) -> bytes:
    """The nonce of the one claim that there is."""
    if number(kind, "dwClaimType") not in _CLAIM_TYPES or not no_handle(authority):
        raise not_supported("the one claim is NCRYPT_CLAIM_AUTHORITY_AND_SUBJECT by the token's own attestation key")
    nonce = parameter(pairs(parameters), names.NCRYPTBUFFER_CLAIM_KEYATTESTATION_NONCE)
    return octets(nonce, "NCRYPTBUFFER_CLAIM_KEYATTESTATION_NONCE")


def _pair(handle: object) -> KeyPair:
    key = _key(handle).key
    if not isinstance(key, KeyPair):
        raise not_supported(f"{key.algorithm.name} keys have no public half")
    return key


@answering_security_status
def NCryptEncapsulate(hKey: NCRYPT_KEY_HANDLE, dwFlags: int = 0) -> tuple[bytes, bytes]:
    """A fresh shared secret and the ciphertext that carries it to the owner of hKey, as BCryptEncapsulate makes them.

    Raises NTE_NOT_SUPPORTED for a key that does not encapsulate, NTE_BAD_KEY_STATE, NTE_INVALID_HANDLE, NTE_BAD_FLAGS.
    """
    pair = _pair(hKey)
    _flags(dwFlags)
    return pair.encapsulate()


@answering_security_status
def NCryptDecapsulate(hKey: NCRYPT_KEY_HANDLE, pbCipherText: Octets, dwFlags: int = 0) -> bytes:
    """The shared secret of a ciphertext, as BCryptDecapsulate: a forged ciphertext gives another one, no error.

    Raises NTE_NOT_SUPPORTED for a key that does not decapsulate, NTE_INVALID_PARAMETER for a public key and for a
    ciphertext of wrong length, NTE_BAD_KEY_STATE, NTE_INVALID_HANDLE, NTE_BAD_FLAGS, RPC_X_NULL_REF_POINTER.
    """
    pair, ciphertext = _pair(hKey), _data(pbCipherText, "pbCipherText")
    _flags(dwFlags)
    return pair.decapsulate(ciphertext)


@answering_security_status
def NCryptKeyDerivation(
    hKey: NCRYPT_KEY_HANDLE, pParameterList: ParameterList | None, cbDerivedKey: int, dwFlags: int = 0
) -> bytes:
    """Key material of the key of a derivation algorithm, as BCryptKeyDerivation makes it, whose parameters these are.

    hKey: of NCryptCreatePersistedKey without a name, on NCRYPT_PBKDF2_ALGORITHM and its like, with
    NCRYPT_KDF_SECRET_VALUE set before NCryptFinalizeKey; or such a key of bcrypt.h.

    Raises NTE_NOT_SUPPORTED for another key and for what the token lacks, NTE_INVALID_PARAMETER, NTE_BAD_KEY_STATE,
    NTE_INVALID_HANDLE.
    """
    key = _key(hKey).key
    wanted = number(dwFlags, "dwFlags", refused=HRESULT.NTE_BAD_FLAGS) & ~_SILENT
    if not isinstance(key, KdfKey):
        raise not_supported(f"a {key.algorithm.name} key derives no keys")
    return key.derive(pParameterList, cbDerivedKey, wanted)


@answering_security_status
def NCryptTranslateHandle(
    hLegacyProv: Context, hLegacyKey: CapiKey | NoHandle = None, dwLegacyKeySpec: int = 0, dwFlags: int = 0
) -> tuple[StorageProvider, NCryptKey]:
    """A context of wincrypt.h and one of its pairs as a provider and a key of ncrypt.h; each has a life of its own.

    hLegacyKey: a pair of that context, or NULL for the container's pair of dwLegacyKeySpec.

    Raises NTE_INVALID_HANDLE, NTE_NO_KEY where the container has no such pair, NTE_NOT_SUPPORTED for a session key,
    NTE_BAD_FLAGS.
    """
    from hwcng.capi import translation

    context = translation.context_of(hLegacyProv)
    _flags(dwFlags)
    handle = None if no_handle(hLegacyKey) else hLegacyKey
    provider, pair = translation.translated(context, handle, number(dwLegacyKeySpec, "dwLegacyKeySpec"))
    storage = StorageProvider(provider, provider.uri)
    return storage, NCryptKey(storage, key=pair, key_type=translation.machine_flag(context))


@answering_security_status
def NCryptVerifyClaim(
    hSubjectKey: NCRYPT_KEY_HANDLE | NoHandle,
    hAuthorityKey: NoHandle,
    dwClaimType: int,
    pParameterList: Parameters,
    pbClaimBlob: Attestation,
    dwFlags: int = 0,
) -> AttestedKey:
    """What a claim of NCryptCreateClaim proves; the host does this. Look at its signer_name: whose TPM it is, the
    claim itself does not say.

    hSubjectKey: the key that it must be about, or NULL. hAuthorityKey: NULL. dwClaimType, pParameterList: as of
    NCryptCreateClaim.

    Raises NTE_BAD_SIGNATURE for a claim that does not hold or is about another key, NTE_NOT_SUPPORTED for another claim
    or authority, NTE_INVALID_PARAMETER, NTE_INVALID_HANDLE, NTE_BAD_FLAGS, RPC_X_NULL_REF_POINTER.
    """
    from hwcng.attestation import Attestation, verify_attestation

    subject = None if no_handle(hSubjectKey) else _key(hSubjectKey, "hSubjectKey").key
    _flags(dwFlags)
    nonce = _claim_nonce(dwClaimType, hAuthorityKey, pParameterList)
    if not isinstance(_given(pbClaimBlob, "pbClaimBlob"), Attestation):
        raise invalid_parameter(f"pbClaimBlob is what NCryptCreateClaim returned, not {type(pbClaimBlob).__name__}")
    attested = verify_attestation(pbClaimBlob, nonce)
    if subject is not None and attested.public != (subject.public if isinstance(subject, KeyPair) else None):
        refuse(HRESULT.NTE_BAD_SIGNATURE, "the claim is about another key than hSubjectKey")
    return attested


@answering_security_status
def NCryptFreeBuffer(pvInput: object) -> None:
    """Does nothing: what the functions return frees itself."""


__all__ = [
    "NCryptEncapsulate",
    "NCryptDecapsulate",
    "NCryptKeyDerivation",
    "NCryptTranslateHandle",
    "NCryptVerifyClaim",
    "NCryptFreeBuffer",
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
    "NCryptEncrypt",
    "NCryptDecrypt",
    "NCryptSignHash",
    "NCryptVerifySignature",
    "NCryptSecretAgreement",
    "NCryptDeriveKey",
    "NCryptCreateClaim",
]
__all__ += ncrypt_constants.__all__
# ncrypt.h includes bcrypt.h.
__all__ += bcrypt.__all__
