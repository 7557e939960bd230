"""Hash objects and signatures (wincrypt.h)."""

from __future__ import annotations

from hwcng.arguments import Octets, octets, reserved
from hwcng.capi import generation, hashes, parameters
from hwcng.capi.contexts import Context
from hwcng.capi.errors import documented, failure
from hwcng.capi.handle_base import CapiKey, bad_key
from hwcng.capi.hashes import CapiHash
from hwcng.capi.pairs import PairKey
from hwcng.capi.session_keys import SessionKey
from hwcng.cng.handles import NoHandle, no_handle
from hwcng.errors import HRESULT, Win32Error
from hwcng.faces.wincrypt_handles import alive_handle, any_flags, capi_flags, context_of, key_of, parameter_of
from hwcng.faces.wincrypt_keys import _algid, _key_spec
from hwcng.headers import wincrypt_h

__all__ = [
    "CryptCreateHash",
    "CryptHashData",
    "CryptHashSessionKey",
    "CryptGetHashParam",
    "CryptSetHashParam",
    "CryptDuplicateHash",
    "CryptDestroyHash",
    "CryptSignHash",
    "CryptVerifySignature",
]

_SIGNATURE_FLAGS = wincrypt_h.CRYPT_NOHASHOID


@documented
def CryptCreateHash(hProv: Context, Algid: int, hKey: CapiKey | NoHandle = None, dwFlags: int = 0) -> CapiHash:
    """A hash, which is the host's, or a MAC (CALG_HMAC, CALG_MAC) under the session key hKey in the token.

    Raises NTE_BAD_ALGID, NTE_BAD_KEY (a MAC without a session key, or a hash with one), NTE_BAD_FLAGS.
    """
    context = context_of(hProv)
    key = None if no_handle(hKey) else key_of(hKey)
    if key is not None and not isinstance(key, SessionKey):
        raise bad_key("a MAC needs a session key")
    capi_flags(dwFlags)
    return hashes.create(context, _algid(Algid), key)


@documented
def CryptHashData(hHash: CapiHash, pbData: Octets, dwFlags: int = 0) -> None:
    """Adds data. dwFlags: CRYPT_USERDATA, which means nothing here, is accepted.

    Raises NTE_BAD_HASH_STATE once the value was asked for, NTE_BAD_ALGID for CALG_SSL3_SHAMD5, whose value is set and
    not computed, NTE_BAD_FLAGS.
    """
    hash_object = alive_handle(hHash, CapiHash, "hHash")
    capi_flags(dwFlags, wincrypt_h.CRYPT_USERDATA)
    hash_object.update(octets(pbData, "pbData"))


@documented
def CryptHashSessionKey(hHash: CapiHash, hKey: CapiKey, dwFlags: int = 0) -> None:
    """Raises NTE_NOT_SUPPORTED: the hash is the host's, the key's bytes are the token's, and neither goes to the other.

    A token that digests a key would have to be given the whole message, and most refuse it for sensitive keys.
    """
    alive_handle(hHash, CapiHash, "hHash")
    if not isinstance(key_of(hKey), SessionKey):
        raise bad_key("only session keys are hashed")
    capi_flags(dwFlags, wincrypt_h.CRYPT_LITTLE_ENDIAN)
    raise failure(HRESULT.NTE_NOT_SUPPORTED, "a session key stays in its token: the host's hash cannot take it")


@documented
def CryptGetHashParam(hHash: CapiHash, dwParam: int, dwFlags: int = 0) -> int | bytes:
    """HP_ALGID, HP_HASHSIZE (bytes), or HP_HASHVAL, after which the hash takes no more data. Raises NTE_BAD_TYPE."""
    return parameters.get_hash_param(alive_handle(hHash, CapiHash, "hHash"), parameter_of(dwParam), any_flags(dwFlags))


@documented
def CryptSetHashParam(hHash: CapiHash, dwParam: int, pbData: object, dwFlags: int = 0) -> None:
    """HP_HASHVAL: the value of a hash computed elsewhere. HP_HMAC_INFO: an HMAC_INFO, before any data.

    Raises NTE_BAD_TYPE, NTE_BAD_LEN, NTE_BAD_HASH_STATE, NTE_NOT_SUPPORTED (other paddings than RFC 2104's).
    """
    parameters.set_hash_param(alive_handle(hHash, CapiHash, "hHash"), parameter_of(dwParam), pbData, any_flags(dwFlags))


@documented
def CryptDuplicateHash(hHash: CapiHash, pdwReserved: NoHandle = None, dwFlags: int = 0) -> CapiHash:
    """A copy with its whole running state."""
    hash_object = alive_handle(hHash, CapiHash, "hHash")
    reserved(pdwReserved, "pdwReserved")
    capi_flags(dwFlags)
    return hash_object.duplicate()


@documented
def CryptDestroyHash(hHash: CapiHash) -> None:
    """Ends a hash. Raises ERROR_INVALID_HANDLE for what is none, and the second time."""
    alive_handle(hHash, CapiHash, "hHash").destroy()


@documented
def CryptSignHash(hHash: CapiHash, dwKeySpec: int, sDescription: None = None, dwFlags: int = 0) -> bytes:
    """The signature of a hash's value by the container's pair, made in the token: RSA little-endian of modulus length,
    DSS r, then s, each 20 bytes little-endian.

    dwFlags: CRYPT_NOHASHOID leaves the hash's identifier out of an RSA signature. sDescription must be None, as the
    documentation advises.

    Raises NTE_NO_KEY, NTE_BAD_HASH (a MAC), NTE_BAD_LEN (a key too short for the hash), NTE_BAD_FLAGS.
    """
    hash_object = alive_handle(hHash, CapiHash, "hHash")
    _no_description(sDescription)
    capi_flags(dwFlags, _SIGNATURE_FLAGS)
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
    hash_object, signature = alive_handle(hHash, CapiHash, "hHash"), octets(pbSignature, "pbSignature")
    key = key_of(hPubKey, "hPubKey")
    if not isinstance(key, PairKey):
        raise bad_key("a session key verifies no signatures")
    _no_description(sDescription)
    capi_flags(dwFlags, _SIGNATURE_FLAGS)
    hash_object.require_signable()
    key.verify(*hash_object.signable(dwFlags), signature)
