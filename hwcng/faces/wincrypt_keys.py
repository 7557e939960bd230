"""Session keys and pairs: made, taken in and out, and used (wincrypt.h)."""

from __future__ import annotations

from hwcng.arguments import Octets, number, octets, reserved
from hwcng.capi import generation, import_export, parameters
from hwcng.capi.contexts import Context
from hwcng.capi.errors import documented
from hwcng.capi.handle_base import CapiKey, bad_key
from hwcng.capi.hashes import CapiHash
from hwcng.capi.pairs import PairKey
from hwcng.capi.session_keys import SessionKey
from hwcng.cng.handles import NoHandle, no_handle
from hwcng.errors import HRESULT
from hwcng.faces.wincrypt_handles import (
    alive_handle,
    any_flags,
    capi_flags,
    context_of,
    hash_or_none,
    key_of,
    parameter_of,
)
from hwcng.headers import wincrypt_h

__all__ = [
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
    "CryptDeriveKey",
]

_VERBS = {wincrypt_h.CRYPT_ENCRYPT: "encrypt", wincrypt_h.CRYPT_DECRYPT: "decrypt"}


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
    return generation.generate(context_of(hProv), _algid(Algid), any_flags(dwFlags))


def _algid(value: object) -> int:
    return number(value, "an ALG_ID", refused=HRESULT.NTE_BAD_ALGID)


def _key_spec(value: object) -> int:
    return number(value, "dwKeySpec", refused=HRESULT.NTE_NO_KEY)


@documented
def CryptGetUserKey(hProv: Context, dwKeySpec: int) -> PairKey:
    """The container's pair of AT_KEYEXCHANGE or AT_SIGNATURE. Raises NTE_NO_KEY where there is none."""
    return generation.user_key(context_of(hProv), _key_spec(dwKeySpec))


@documented
def CryptDestroyKey(hKey: CapiKey) -> None:
    """Ends a handle: a session key's life, but not that of a container's pair.

    Raises ERROR_INVALID_HANDLE for what is no key, and the second time.
    """
    alive_handle(hKey, CapiKey, "hKey").destroy()


@documented
def CryptDuplicateKey(hKey: CapiKey, pdwReserved: NoHandle = None, dwFlags: int = 0) -> CapiKey:
    """A key of the same value and state with a life of its own."""
    key = key_of(hKey)
    reserved(pdwReserved, "pdwReserved")
    capi_flags(dwFlags)
    return key.duplicate()


@documented
def CryptGetKeyParam(hKey: CapiKey, dwParam: int, dwFlags: int = 0) -> int | bytes:
    """A KP_ parameter: an int where it is a DWORD, else bytes; lengths are in bits, numbers little-endian.

    Raises NTE_BAD_TYPE for an unknown parameter, NTE_BAD_KEY for one that the key does not have.
    """
    return parameters.get_key_param(alive_handle(hKey, CapiKey, "hKey"), parameter_of(dwParam), any_flags(dwFlags))


@documented
def CryptSetKeyParam(hKey: CapiKey, dwParam: int, pbData: object, dwFlags: int = 0) -> None:
    """Sets a KP_ parameter. Setting KP_IV, KP_MODE, KP_MODE_BITS or a salt begins a new message.

    pbData: an int or four bytes for a DWORD, bytes for the rest (of KP_SALT_EX and KP_P, KP_G, KP_Q the blob's
    contents), None for KP_X. dwFlags: of KP_ALGID the new key's length in bits in the upper half.

    Raises NTE_BAD_TYPE, NTE_BAD_KEY, NTE_BAD_DATA (a bad value), NTE_BAD_KEY_STATE, NTE_BAD_FLAGS, NTE_FIXEDPARAMETER
    (another KP_EFFECTIVE_KEYLEN than the one that the key works under).
    """
    parameters.set_key_param(alive_handle(hKey, CapiKey, "hKey"), parameter_of(dwParam), pbData, any_flags(dwFlags))


@documented
def CryptExportKey(hKey: CapiKey, hExpKey: CapiKey | NoHandle, dwBlobType: int, dwFlags: int = 0) -> bytes:
    """A blob of a key: PUBLICKEYBLOB; SIMPLEBLOB, wrapped inside the token under the CALG_RSA_KEYX key hExpKey;
    OPAQUEKEYBLOB, which this token alone loads.

    dwFlags: CRYPT_OAEP (SIMPLEBLOB), CRYPT_BLOB_VER3 (PUBLICKEYBLOB of DSS and Diffie-Hellman).

    Raises NTE_BAD_KEY_STATE for a key that is not exportable, and always for PRIVATEKEYBLOB and PLAINTEXTKEYBLOB;
    NTE_BAD_TYPE, NTE_BAD_KEY, NTE_BAD_PUBLIC_KEY (no hExpKey), NTE_BAD_FLAGS, NTE_BAD_LEN, NTE_NOT_SUPPORTED (a token
    that does not wrap).
    """
    key = key_of(hKey)
    export_key = None if no_handle(hExpKey) else key_of(hExpKey, "hExpKey")
    blob_type = number(dwBlobType, "dwBlobType", refused=HRESULT.NTE_BAD_TYPE)
    return import_export.export(key, export_key, blob_type, any_flags(dwFlags))


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
    context = context_of(hProv)
    key = None if no_handle(hPubKey) else key_of(hPubKey, "hPubKey")
    return import_export.import_blob(context, octets(pbData, "pbData"), key, any_flags(dwFlags))


def _taken(
    key_handle: object, hash_handle: object, final: object, flags: int, data: object, permission: int
) -> tuple[PairKey | SessionKey, CapiHash | None, bool, bytes]:
    """The arguments of CryptEncrypt and CryptDecrypt. permission: of a key's KP_PERMISSIONS."""
    key, hash_object, taken = key_of(key_handle), hash_or_none(hash_handle), octets(data, "pbData")
    last = bool(number(final, "Final"))
    capi_flags(flags, wincrypt_h.CRYPT_OAEP if isinstance(key, PairKey) else 0)
    if not isinstance(key, PairKey | SessionKey):
        raise bad_key("an agreed key encrypts and decrypts once KP_ALGID is set")
    key.require(permission, _VERBS[permission])
    return key, hash_object, last, taken


@documented
def CryptEncrypt(hKey: CapiKey, hHash: CapiHash | NoHandle, Final: bool, dwFlags: int, pbData: Octets) -> bytes:
    """The ciphertext. hHash: takes the plaintext too. Final: the last part of a message; before, whole blocks only.

    dwFlags: CRYPT_OAEP for an RSA key. Raises NTE_BAD_KEY, NTE_BAD_DATA (a partial block), NTE_BAD_LEN (too long for
    RSA), NTE_BAD_ALGID (KP_MODE), NTE_BAD_HASH_STATE, NTE_BAD_FLAGS, NTE_PERM.
    """
    key, hash_object, final, data = _taken(hKey, hHash, Final, dwFlags, pbData, wincrypt_h.CRYPT_ENCRYPT)
    ciphertext = key.encrypt(data, dwFlags) if isinstance(key, PairKey) else key.encrypt(data, final=final)
    if hash_object is not None:
        hash_object.update(data)
    return ciphertext


@documented
def CryptDecrypt(hKey: CapiKey, hHash: CapiHash | NoHandle, Final: bool, dwFlags: int, pbData: Octets) -> bytes:
    """The plaintext, made in the token. Parameters as CryptEncrypt; whatever is wrong with length or padding is one
    NTE_BAD_DATA.
    """
    key, hash_object, final, data = _taken(hKey, hHash, Final, dwFlags, pbData, wincrypt_h.CRYPT_DECRYPT)
    plaintext = key.decrypt(data, dwFlags) if isinstance(key, PairKey) else key.decrypt(data, final=final)
    if hash_object is not None:
        hash_object.update(plaintext)
    return plaintext


@documented
def CryptDeriveKey(hProv: Context, Algid: int, hBaseData: CapiHash, dwFlags: int) -> SessionKey:
    """A session key of a hash's value, which takes no more data. The value is the host's; the key is in the token.

    dwFlags: as of CryptGenKey; CRYPT_CREATE_SALT takes the bytes of the value behind the key's for its salt, in the
    providers that salt keys (docs/wincrypt.md).

    Raises NTE_BAD_ALGID, NTE_BAD_HASH (a MAC, or a value too short), ERROR_INVALID_PARAMETER (the length),
    NTE_BAD_FLAGS.
    """
    context = context_of(hProv)
    return generation.derive(context, _algid(Algid), alive_handle(hBaseData, CapiHash, "hBaseData"), any_flags(dwFlags))
