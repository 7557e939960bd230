"""The functions of wincrypt.h over keys in a token (the "CryptoAPI" of the Windows documentation).

Names and parameter order are the documented ones: out-parameters are return values, sizes come from the buffers, and a
failure raises `hwcng.CngError` whose status is what GetLastError has after the documented function. Buffers are bytes,
bytearray or memoryview; numbers in blobs, signatures and RSA ciphertexts are little-endian. Each function's page in
that documentation is its manual.
"""

from __future__ import annotations

from typing import Any, TypeVar

from hwcng import ncrypt
from hwcng.arguments import Octets, flags, number, octets, optional_octets, random_length, reserved, string
from hwcng.capi import constants, generation, hashes, import_export, parameters, provider_defaults, settings
from hwcng.capi.agreed_keys import AgreedKey
from hwcng.capi.constants import *  # noqa: F403
from hwcng.capi.contexts import Context, ProviderName, acquire
from hwcng.capi.errors import documented, failure
from hwcng.capi.handle_base import CapiKey, bad_key
from hwcng.capi.hashes import HMAC_INFO, CapiHash
from hwcng.capi.pairs import PairKey
from hwcng.capi.parameters import PROV_ENUMALGS, PROV_ENUMALGS_EX
from hwcng.capi.session_keys import SessionKey
from hwcng.cng import public_key_info
from hwcng.cng.handles import Handle, NoHandle, no_handle, told_handle
from hwcng.cng.keys import KeyPair
from hwcng.errors import HRESULT, Win32Error
from hwcng.ksp.handles import NCryptKey
from hwcng.ncrypt import *  # noqa: F403

_SIGNATURE_FLAGS = constants.CRYPT_NOHASHOID

H = TypeVar("H", bound=Handle)


def _alive(handle: object, kind: type[H], name: str) -> H:
    if isinstance(handle, kind) and handle.alive:
        return handle
    raise failure(Win32Error.ERROR_INVALID_HANDLE, told_handle(handle, name, kind.called))


def _context(handle: object) -> Context:
    """Raises ERROR_INVALID_HANDLE for what is no context, NTE_BAD_UID for one that is released."""
    if isinstance(handle, Context) and not handle.alive:
        raise failure(HRESULT.NTE_BAD_UID, "hProv is released")
    return _alive(handle, Context, "hProv")


def _key(handle: object, name: str = "hKey") -> CapiKey:
    """A key; an agreed key that became a session key is that key."""
    key = _alive(handle, CapiKey, name)
    return key.session if isinstance(key, AgreedKey) and key.session is not None else key


def _hash_or_none(handle: object) -> CapiHash | None:
    return None if no_handle(handle) else _alive(handle, CapiHash, "hHash")


def _flags(value: object, known: int = 0) -> int:
    return flags(value, known, refused=HRESULT.NTE_BAD_FLAGS)


def _any_flags(value: object) -> int:
    return number(value, "dwFlags", refused=HRESULT.NTE_BAD_FLAGS)


def _parameter(value: object) -> int:
    return number(value, "dwParam", refused=HRESULT.NTE_BAD_TYPE)


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
    return acquire(pszContainer, pszProvider, dwProvType, _any_flags(dwFlags))


@documented
def CryptContextAddRef(hProv: Context, pdwReserved: NoHandle = None, dwFlags: int = 0) -> None:
    """One more CryptReleaseContext is needed to end the context."""
    context = _context(hProv)
    reserved(pdwReserved, "pdwReserved")
    _flags(dwFlags)
    context.add_reference()


@documented
def CryptReleaseContext(hProv: Context, dwFlags: int = 0) -> None:
    """Ends a context, and with its last reference its keys and hashes.

    Raises NTE_BAD_FLAGS for flags, and releases the context all the same; ERROR_INVALID_HANDLE, NTE_BAD_UID.
    """
    _context(hProv).release()
    _flags(dwFlags)


@documented
def CryptGetProvParam(hProv: Context, dwParam: int, dwFlags: int = 0) -> Any:
    """A parameter of a context: an int or a str; of PP_ENUMALGS, PP_ENUMALGS_EX and PP_ENUMCONTAINERS one entry a call.

    dwFlags: CRYPT_FIRST begins an enumeration again, 0 and CRYPT_NEXT go on. Algorithms are those that both the
    provider and its token have; lengths are the provider's.

    Raises NTE_BAD_TYPE for a parameter that a context does not have, ERROR_NO_MORE_ITEMS, NTE_BAD_FLAGS.
    """
    return parameters.get_prov_param(_context(hProv), _parameter(dwParam), _any_flags(dwFlags))


@documented
def CryptGenKey(hProv: Context, Algid: int, dwFlags: int) -> CapiKey:
    """A session key or a pair that the token makes: no byte of either is ever on the host.

    Algid: a CALG_ that the provider has, AT_KEYEXCHANGE or AT_SIGNATURE. A new pair takes the container's place for its
    key specification; handles to the one before go on working. CALG_HMAC makes a key for CryptCreateHash (beyond the
    CryptoAPI). dwFlags: the length in bits in the upper half, 0 for the provider's default; CRYPT_EXPORTABLE,
    CRYPT_CREATE_SALT, CRYPT_NO_SALT, CRYPT_PREGEN, CRYPT_ARCHIVABLE, CRYPT_USER_PROTECTED and
    CRYPT_FORCE_KEY_PROTECTION_HIGH (the token's PIN protects every key, and they ask for no more); flags that the
    documentation calls unused are accepted.

    Raises ERROR_INVALID_HANDLE, NTE_BAD_UID, NTE_BAD_ALGID (also where the token lacks the algorithm),
    ERROR_INVALID_PARAMETER (a length that the provider or the token does not have), NTE_BAD_FLAGS,
    NTE_SILENT_CONTEXT, NTE_NOT_SUPPORTED (a salt in a token that cannot join it to a key), NTE_FAIL.
    """
    return generation.generate(_context(hProv), _algid(Algid), _any_flags(dwFlags))


def _algid(value: object) -> int:
    return number(value, "an ALG_ID", refused=HRESULT.NTE_BAD_ALGID)


def _key_spec(value: object) -> int:
    return number(value, "dwKeySpec", refused=HRESULT.NTE_NO_KEY)


@documented
def CryptGetUserKey(hProv: Context, dwKeySpec: int) -> PairKey:
    """The container's pair of AT_KEYEXCHANGE or AT_SIGNATURE. Raises NTE_NO_KEY where there is none."""
    return generation.user_key(_context(hProv), _key_spec(dwKeySpec))


@documented
def CryptDestroyKey(hKey: CapiKey) -> None:
    """Ends a handle: a session key's life, but not that of a container's pair.

    Raises ERROR_INVALID_HANDLE for what is no key, and the second time.
    """
    _alive(hKey, CapiKey, "hKey").destroy()


@documented
def CryptDuplicateKey(hKey: CapiKey, pdwReserved: NoHandle = None, dwFlags: int = 0) -> CapiKey:
    """A key of the same value and state with a life of its own."""
    key = _key(hKey)
    reserved(pdwReserved, "pdwReserved")
    _flags(dwFlags)
    return key.duplicate()


@documented
def CryptGetKeyParam(hKey: CapiKey, dwParam: int, dwFlags: int = 0) -> int | bytes:
    """A KP_ parameter: an int where it is a DWORD, else bytes; lengths are in bits, numbers little-endian.

    Raises NTE_BAD_TYPE for an unknown parameter, NTE_BAD_KEY for one that the key does not have.
    """
    return parameters.get_key_param(_alive(hKey, CapiKey, "hKey"), _parameter(dwParam), _any_flags(dwFlags))


@documented
def CryptSetKeyParam(hKey: CapiKey, dwParam: int, pbData: object, dwFlags: int = 0) -> None:
    """Sets a KP_ parameter. Setting KP_IV, KP_MODE, KP_MODE_BITS or a salt begins a new message.

    pbData: an int or four bytes for a DWORD, bytes for the rest (of KP_SALT_EX and KP_P, KP_G, KP_Q the blob's
    contents), None for KP_X. dwFlags: of KP_ALGID the new key's length in bits in the upper half.

    Raises NTE_BAD_TYPE, NTE_BAD_KEY, NTE_BAD_DATA (a bad value), NTE_BAD_KEY_STATE, NTE_BAD_FLAGS, NTE_FIXEDPARAMETER
    (another KP_EFFECTIVE_KEYLEN than the one that the key works under).
    """
    parameters.set_key_param(_alive(hKey, CapiKey, "hKey"), _parameter(dwParam), pbData, _any_flags(dwFlags))


@documented
def CryptExportKey(hKey: CapiKey, hExpKey: CapiKey | NoHandle, dwBlobType: int, dwFlags: int = 0) -> bytes:
    """A blob of a key: PUBLICKEYBLOB; SIMPLEBLOB, wrapped inside the token under the CALG_RSA_KEYX key hExpKey;
    OPAQUEKEYBLOB, which this token alone loads.

    dwFlags: CRYPT_OAEP (SIMPLEBLOB), CRYPT_BLOB_VER3 (PUBLICKEYBLOB of DSS and Diffie-Hellman).

    Raises NTE_BAD_KEY_STATE for a key that is not exportable, and always for PRIVATEKEYBLOB and PLAINTEXTKEYBLOB;
    NTE_BAD_TYPE, NTE_BAD_KEY, NTE_BAD_PUBLIC_KEY (no hExpKey), NTE_BAD_FLAGS, NTE_BAD_LEN, NTE_NOT_SUPPORTED (a token
    that does not wrap).
    """
    key = _key(hKey)
    export_key = None if no_handle(hExpKey) else _key(hExpKey, "hExpKey")
    blob_type = number(dwBlobType, "dwBlobType", refused=HRESULT.NTE_BAD_TYPE)
    return import_export.export(key, export_key, blob_type, _any_flags(dwFlags))


@documented
def CryptImportKey(hProv: Context, pbData: Octets, hPubKey: CapiKey | NoHandle = None, dwFlags: int = 0) -> CapiKey:
    """The key of a blob. A PRIVATEKEYBLOB becomes the container's pair, in the token; a SIMPLEBLOB is unwrapped inside
    the token.

    hPubKey: of a SIMPLEBLOB the exchange key, None for the container's; of a Diffie-Hellman PUBLICKEYBLOB one's own
    pair, with which the import is an agreement. dwFlags: CRYPT_EXPORTABLE, CRYPT_NO_SALT, CRYPT_OAEP,
    CRYPT_IPSEC_HMAC_KEY (a PLAINTEXTKEYBLOB of CALG_RC2 holds a key of HMAC, of any length that the token holds).

    Raises NTE_BAD_DATA (a malformed blob, or one that does not decrypt), NTE_BAD_VER, NTE_BAD_TYPE, NTE_BAD_ALGID,
    NTE_BAD_FLAGS, NTE_BAD_KEY, NTE_NO_KEY, NTE_NOT_SUPPORTED.
    """
    context = _context(hProv)
    key = None if no_handle(hPubKey) else _key(hPubKey, "hPubKey")
    return import_export.import_blob(context, octets(pbData, "pbData"), key, _any_flags(dwFlags))


@documented
def CryptEncrypt(hKey: CapiKey, hHash: CapiHash | NoHandle, Final: bool, dwFlags: int, pbData: Octets) -> bytes:
    """The ciphertext. hHash: takes the plaintext too. Final: the last part of a message; before, whole blocks only.

    dwFlags: CRYPT_OAEP for an RSA key. Raises NTE_BAD_KEY, NTE_BAD_DATA (a partial block), NTE_BAD_LEN (too long for
    RSA), NTE_BAD_ALGID (KP_MODE), NTE_BAD_HASH_STATE, NTE_BAD_FLAGS, NTE_PERM.
    """
    key, hash_object, data = _key(hKey), _hash_or_none(hHash), octets(pbData, "pbData")
    final = bool(number(Final, "Final"))
    _flags(dwFlags, constants.CRYPT_OAEP if isinstance(key, PairKey) else 0)
    if isinstance(key, PairKey):
        key.require(constants.CRYPT_ENCRYPT, "encrypt")
        ciphertext = key.encrypt(data, dwFlags)
    elif isinstance(key, SessionKey):
        ciphertext = key.encrypt(data, final=final)
    else:
        raise bad_key("an agreed key encrypts once KP_ALGID is set")
    if hash_object is not None:
        hash_object.update(data)
    return ciphertext


@documented
def CryptDecrypt(hKey: CapiKey, hHash: CapiHash | NoHandle, Final: bool, dwFlags: int, pbData: Octets) -> bytes:
    """The plaintext, made in the token. Parameters as CryptEncrypt; whatever is wrong with length or padding is one
    NTE_BAD_DATA.
    """
    key, hash_object, data = _key(hKey), _hash_or_none(hHash), octets(pbData, "pbData")
    final = bool(number(Final, "Final"))
    _flags(dwFlags, constants.CRYPT_OAEP if isinstance(key, PairKey) else 0)
    if isinstance(key, PairKey):
        key.require(constants.CRYPT_DECRYPT, "decrypt")
        plaintext = key.decrypt(data, dwFlags)
    elif isinstance(key, SessionKey):
        plaintext = key.decrypt(data, final=final)
    else:
        raise bad_key("an agreed key decrypts once KP_ALGID is set")
    if hash_object is not None:
        hash_object.update(plaintext)
    return plaintext


@documented
def CryptCreateHash(hProv: Context, Algid: int, hKey: CapiKey | NoHandle = None, dwFlags: int = 0) -> CapiHash:
    """A hash, which is the host's, or a MAC (CALG_HMAC, CALG_MAC) under the session key hKey in the token.

    Raises NTE_BAD_ALGID, NTE_BAD_KEY (a MAC without a session key, or a hash with one), NTE_BAD_FLAGS.
    """
    context = _context(hProv)
    key = None if no_handle(hKey) else _key(hKey)
    if key is not None and not isinstance(key, SessionKey):
        raise bad_key("a MAC needs a session key")
    _flags(dwFlags)
    return hashes.create(context, _algid(Algid), key)


@documented
def CryptHashData(hHash: CapiHash, pbData: Octets, dwFlags: int = 0) -> None:
    """Adds data. dwFlags: CRYPT_USERDATA, which means nothing here, is accepted.

    Raises NTE_BAD_HASH_STATE once the value was asked for, NTE_BAD_ALGID for CALG_SSL3_SHAMD5, whose value is set and
    not computed, NTE_BAD_FLAGS.
    """
    hash_object = _alive(hHash, CapiHash, "hHash")
    _flags(dwFlags, constants.CRYPT_USERDATA)
    hash_object.update(octets(pbData, "pbData"))


@documented
def CryptHashSessionKey(hHash: CapiHash, hKey: CapiKey, dwFlags: int = 0) -> None:
    """Raises NTE_NOT_SUPPORTED: the hash is the host's, the key's bytes are the token's, and neither goes to the other.

    A token that digests a key would have to be given the whole message, and most refuse it for sensitive keys.
    """
    _alive(hHash, CapiHash, "hHash")
    if not isinstance(_key(hKey), SessionKey):
        raise bad_key("only session keys are hashed")
    _flags(dwFlags, constants.CRYPT_LITTLE_ENDIAN)
    raise failure(HRESULT.NTE_NOT_SUPPORTED, "a session key stays in its token: the host's hash cannot take it")


@documented
def CryptGetHashParam(hHash: CapiHash, dwParam: int, dwFlags: int = 0) -> int | bytes:
    """HP_ALGID, HP_HASHSIZE (bytes), or HP_HASHVAL, after which the hash takes no more data. Raises NTE_BAD_TYPE."""
    return parameters.get_hash_param(_alive(hHash, CapiHash, "hHash"), _parameter(dwParam), _any_flags(dwFlags))


@documented
def CryptSetHashParam(hHash: CapiHash, dwParam: int, pbData: object, dwFlags: int = 0) -> None:
    """HP_HASHVAL: the value of a hash computed elsewhere. HP_HMAC_INFO: an HMAC_INFO, before any data.

    Raises NTE_BAD_TYPE, NTE_BAD_LEN, NTE_BAD_HASH_STATE, NTE_NOT_SUPPORTED (other paddings than RFC 2104's).
    """
    parameters.set_hash_param(_alive(hHash, CapiHash, "hHash"), _parameter(dwParam), pbData, _any_flags(dwFlags))


@documented
def CryptDuplicateHash(hHash: CapiHash, pdwReserved: NoHandle = None, dwFlags: int = 0) -> CapiHash:
    """A copy with its whole running state."""
    hash_object = _alive(hHash, CapiHash, "hHash")
    reserved(pdwReserved, "pdwReserved")
    _flags(dwFlags)
    return hash_object.duplicate()


@documented
def CryptDestroyHash(hHash: CapiHash) -> None:
    """Ends a hash. Raises ERROR_INVALID_HANDLE for what is none, and the second time."""
    _alive(hHash, CapiHash, "hHash").destroy()


@documented
def CryptSignHash(hHash: CapiHash, dwKeySpec: int, sDescription: None = None, dwFlags: int = 0) -> bytes:
    """The signature of a hash's value by the container's pair, made in the token: RSA little-endian of modulus length,
    DSS r, then s, each 20 bytes little-endian.

    dwFlags: CRYPT_NOHASHOID leaves the hash's identifier out of an RSA signature. sDescription must be None, as the
    documentation advises.

    Raises NTE_NO_KEY, NTE_BAD_HASH (a MAC), NTE_BAD_LEN (a key too short for the hash), NTE_BAD_FLAGS.
    """
    hash_object = _alive(hHash, CapiHash, "hHash")
    _no_description(sDescription)
    _flags(dwFlags, _SIGNATURE_FLAGS)
    hash_object.require_signable()
    with generation.user_key(hash_object.context, _key_spec(dwKeySpec)) as key:
        return key.sign(*hash_object.signable(dwFlags))


def _no_description(description: object) -> None:
    if not no_handle(description):
        raise failure(Win32Error.ERROR_INVALID_PARAMETER, "sDescription must be None")


@documented
def CryptVerifySignature(
    hHash: CapiHash, pbSignature: Octets, hPubKey: CapiKey, sDescription: None = None, dwFlags: int = 0
) -> None:
    """Returns where the signature is good, on the host. Raises NTE_BAD_SIGNATURE, NTE_BAD_KEY, NTE_BAD_FLAGS."""
    hash_object, signature = _alive(hHash, CapiHash, "hHash"), octets(pbSignature, "pbSignature")
    key = _key(hPubKey, "hPubKey")
    if not isinstance(key, PairKey):
        raise bad_key("a session key verifies no signatures")
    _no_description(sDescription)
    _flags(dwFlags, _SIGNATURE_FLAGS)
    hash_object.require_signable()
    key.verify(*hash_object.signable(dwFlags), signature)


@documented
def CryptDeriveKey(hProv: Context, Algid: int, hBaseData: CapiHash, dwFlags: int) -> SessionKey:
    """A session key of a hash's value, which takes no more data. The value is the host's; the key is in the token.

    dwFlags: as of CryptGenKey; CRYPT_CREATE_SALT takes the bytes of the value behind the key's for its salt, in the
    providers that salt keys (docs/wincrypt.md).

    Raises NTE_BAD_ALGID, NTE_BAD_HASH (a MAC, or a value too short), ERROR_INVALID_PARAMETER (the length),
    NTE_BAD_FLAGS.
    """
    context = _context(hProv)
    return generation.derive(context, _algid(Algid), _alive(hBaseData, CapiHash, "hBaseData"), _any_flags(dwFlags))


@documented
def CryptGenRandom(hProv: Context, dwLen: int, pbBuffer: Octets | None = None) -> bytes:
    """`dwLen` random bytes of the token. pbBuffer: a seed of the caller's, which a token's generator does not need."""
    context = _context(hProv)
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
    context = _context(hProv)
    _flags(dwFlags)
    settings.set_prov_param(context, _parameter(dwParam), pbData)


@documented
def CryptEnumProviders(dwIndex: int, pdwReserved: NoHandle = None, dwFlags: int = 0) -> tuple[int, str]:
    """The type (PROV_) and the name of one of Microsoft's providers, from index 0 on.

    Raises ERROR_NO_MORE_ITEMS behind the last one, NTE_BAD_FLAGS, ERROR_INVALID_PARAMETER.
    """
    reserved(pdwReserved, "pdwReserved")
    _flags(dwFlags)
    return provider_defaults.provider_at(number(dwIndex, "dwIndex"))


@documented
def CryptEnumProviderTypes(dwIndex: int, pdwReserved: NoHandle = None, dwFlags: int = 0) -> tuple[int, str]:
    """A type of providers (PROV_) and its name, from index 0 on. Raises as CryptEnumProviders."""
    reserved(pdwReserved, "pdwReserved")
    _flags(dwFlags)
    return provider_defaults.type_at(number(dwIndex, "dwIndex"))


@documented
def CryptGetDefaultProvider(dwProvType: int, pdwReserved: NoHandle = None, dwFlags: int = 0) -> str:
    """The name of the provider that a type means where CryptAcquireContext is given none.

    dwFlags: CRYPT_USER_DEFAULT or CRYPT_MACHINE_DEFAULT. Raises NTE_BAD_FLAGS, NTE_BAD_PROV_TYPE,
    NTE_PROV_TYPE_NOT_DEF, ERROR_INVALID_PARAMETER.
    """
    reserved(pdwReserved, "pdwReserved")
    return provider_defaults.told_default(number(dwProvType, "dwProvType"), _any_flags(dwFlags))


@documented
def CryptSetProvider(pszProvName: str, dwProvType: int) -> None:
    """Makes a provider its type's default for the user, as long as the process lasts. Raises as CryptSetProviderEx."""
    provider_defaults.set_default(
        string(pszProvName, "pszProvName"), number(dwProvType, "dwProvType"), constants.CRYPT_USER_DEFAULT
    )


@documented
def CryptSetProviderEx(
    pszProvName: str | None, dwProvType: int, pdwReserved: NoHandle = None, dwFlags: int = constants.CRYPT_USER_DEFAULT
) -> None:
    """Makes a provider its type's default, as long as the process lasts; the user's goes before the machine's.

    pszProvName: one of Microsoft's names. dwFlags: CRYPT_USER_DEFAULT or CRYPT_MACHINE_DEFAULT, with
    CRYPT_DELETE_DEFAULT to take the choice back.

    Raises NTE_BAD_PROVIDER (no such name), NTE_PROV_TYPE_NO_MATCH, NTE_BAD_PROV_TYPE, NTE_PROV_TYPE_NOT_DEF,
    NTE_BAD_FLAGS, ERROR_INVALID_PARAMETER.
    """
    reserved(pdwReserved, "pdwReserved")
    name = None if pszProvName is None else string(pszProvName, "pszProvName")
    provider_defaults.set_default(name, number(dwProvType, "dwProvType"), _any_flags(dwFlags))


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
    with generation.user_key(_context(handle), number(dwKeySpec, "dwKeySpec")) as key:
        return public_key_info.build(key.public)


@documented
def CryptImportPublicKeyInfo(hCryptProv: Context, dwCertEncodingType: int, pInfo: Octets) -> PairKey:
    """The public key of a SubjectPublicKeyInfo in DER: CALG_RSA_KEYX or CALG_DSS_SIGN.

    Raises NTE_BAD_DATA for what is none, NTE_BAD_ALGID for a kind that the provider does not have,
    ERROR_INVALID_HANDLE, ERROR_INVALID_PARAMETER.
    """
    context, info = _context(hCryptProv), octets(pInfo, "pInfo")
    _encoding(dwCertEncodingType)
    return import_export.import_public_key(context, info)


def _encoding(value: object) -> None:
    known = constants.X509_ASN_ENCODING | constants.PKCS_7_ASN_ENCODING
    if not flags(value, known, name="dwCertEncodingType") & constants.X509_ASN_ENCODING:
        raise failure(Win32Error.ERROR_INVALID_PARAMETER, "dwCertEncodingType is X509_ASN_ENCODING")


def GET_ALG_CLASS(x: int) -> int:
    """The class of an ALG_ID, an ALG_CLASS_."""
    return x & constants.ALG_CLASS_ALL


def GET_ALG_TYPE(x: int) -> int:
    """The type of an ALG_ID, an ALG_TYPE_."""
    return x & 0x1E00


def GET_ALG_SID(x: int) -> int:
    """The sub-identifier of an ALG_ID, an ALG_SID_."""
    return x & 0x1FF


__all__ = [
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
    "HMAC_INFO",
    "PROV_ENUMALGS",
    "PROV_ENUMALGS_EX",
    "CryptAcquireContext",
    "CryptContextAddRef",
    "CryptReleaseContext",
    "CryptGetProvParam",
    "CryptGenKey",
    "CryptGetUserKey",
    "CryptDestroyKey",
    "CryptDuplicateKey",
    "CryptGetKeyParam",
    "CryptSetKeyParam",
    "CryptExportKey",
    "CryptImportKey",
    "CryptEncrypt",
    "CryptDecrypt",
    "CryptCreateHash",
    "CryptHashData",
    "CryptHashSessionKey",
    "CryptGetHashParam",
    "CryptSetHashParam",
    "CryptDuplicateHash",
    "CryptDestroyHash",
    "CryptSignHash",
    "CryptVerifySignature",
    "CryptDeriveKey",
    "CryptGenRandom",
]
__all__ += constants.__all__
# wincrypt.h includes bcrypt.h and ncrypt.h.
__all__ += ncrypt.__all__
