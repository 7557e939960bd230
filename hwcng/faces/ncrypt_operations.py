"""What a stored key does: encryption, signatures, agreement, derivation and claims (ncrypt.h)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwcng.arguments import Octets, number, pairs
from hwcng.cng.derivation_key import KdfKey
from hwcng.cng.derive.parameters import ParameterList
from hwcng.cng.handles import NoHandle, no_handle, told_handle
from hwcng.cng.keys import KeyPair, Secret
from hwcng.errors import HRESULT, invalid_handle, not_supported
from hwcng.faces.ncrypt_handles import (
    NCRYPT_KEY_HANDLE,
    data_given,
    given,
    key_of,
    ncrypt_flags,
    storage_of,
    text_given,
)
from hwcng.headers import ncrypt_h
from hwcng.ksp import claims
from hwcng.ksp.handles import NCryptKey, StorageProvider
from hwcng.ksp.importing import Parameters
from hwcng.ksp.operations import decrypt, encrypt, sign, verify
from hwcng.ksp.status import answering_security_status

if TYPE_CHECKING:
    from hwcng.attestation import Attestation, AttestedKey, AttestedPlatform, Quote

__all__ = [
    "NCryptEncrypt",
    "NCryptDecrypt",
    "NCryptSignHash",
    "NCryptVerifySignature",
    "NCryptSecretAgreement",
    "NCryptDeriveKey",
    "NCryptCreateClaim",
    "NCryptEncapsulate",
    "NCryptDecapsulate",
    "NCryptKeyDerivation",
    "NCryptVerifyClaim",
]


@answering_security_status
def NCryptEncrypt(hKey: NCRYPT_KEY_HANDLE, pbInput: Octets, pPaddingInfo: object = None, dwFlags: int = 0) -> bytes:
    """The ciphertext: of a symmetric key in the token, of an RSA key on the host.

    pPaddingInfo: BCRYPT_OAEP_PADDING_INFO with NCRYPT_PAD_OAEP_FLAG, NCRYPT_CIPHER_PADDING_INFO with
    NCRYPT_PAD_CIPHER_FLAG for a symmetric key, else None. dwFlags: one padding; none is NCRYPT_NO_PADDING_FLAG.

    Raises NTE_BAD_KEY_STATE for a key that is not finalized, NTE_BAD_FLAGS for another key's padding or for two,
    NTE_NOT_SUPPORTED for a key that does not encrypt, NTE_INVALID_PARAMETER, NTE_INVALID_HANDLE,
    RPC_X_NULL_REF_POINTER.
    """
    return encrypt(key_of(hKey).key, data_given(pbInput, "pbInput"), pPaddingInfo, dwFlags)


@answering_security_status
def NCryptDecrypt(hKey: NCRYPT_KEY_HANDLE, pbInput: Octets, pPaddingInfo: object = None, dwFlags: int = 0) -> bytes:
    """The plaintext, made in the token. Parameters and failures as NCryptEncrypt.

    Raises too NTE_PERM for a key whose Key Usage is without NCRYPT_ALLOW_DECRYPT_FLAG, NTE_DECRYPTION_FAILURE for a
    wrong tag and NTE_BAD_DATA for malformed block padding; everything that can be wrong with an RSA padding is one
    NTE_INVALID_PARAMETER.
    """
    return decrypt(key_of(hKey).key, data_given(pbInput, "pbInput"), pPaddingInfo, dwFlags)


@answering_security_status
def NCryptSignHash(hKey: NCRYPT_KEY_HANDLE, pPaddingInfo: object, pbHashValue: Octets, dwFlags: int = 0) -> bytes:
    """A signature of a digest, made in the token: RSA big-endian of modulus length, ECDSA r || s.

    pPaddingInfo: BCRYPT_PKCS1_PADDING_INFO with NCRYPT_PAD_PKCS1_FLAG or BCRYPT_PSS_PADDING_INFO with
    NCRYPT_PAD_PSS_FLAG for RSA, where NCRYPT_TPM_PAD_PSS_IGNORE_SALT has a salt as long as the hash whatever cbSalt
    says; None and no flags for ECDSA.

    Raises NTE_BAD_KEY_STATE for a key that is not finalized, NTE_BAD_ALGID for one that cannot sign, NTE_PERM for one
    whose Key Usage is without NCRYPT_ALLOW_SIGNING_FLAG, NTE_INVALID_PARAMETER for a public key, an unknown hash, a
    digest of wrong length and wrong padding parameters, NTE_INVALID_HANDLE, NTE_BAD_FLAGS, RPC_X_NULL_REF_POINTER.
    """
    return sign(key_of(hKey).key, pPaddingInfo, data_given(pbHashValue, "pbHashValue"), dwFlags)


@answering_security_status
def NCryptVerifySignature(
    hKey: NCRYPT_KEY_HANDLE, pPaddingInfo: object, pbHashValue: Octets, pbSignature: Octets, dwFlags: int = 0
) -> None:
    """Returns where the signature is good; the host does this. Parameters as NCryptSignHash.

    Raises NTE_BAD_SIGNATURE, NTE_INVALID_PARAMETER for a signature or digest of wrong length, NTE_BAD_ALGID for a key
    of another kind, NTE_BAD_KEY_STATE, NTE_INVALID_HANDLE, NTE_BAD_FLAGS, RPC_X_NULL_REF_POINTER.
    """
    key = key_of(hKey).key
    verify(key, pPaddingInfo, data_given(pbHashValue, "pbHashValue"), data_given(pbSignature, "pbSignature"), dwFlags)


@answering_security_status
def NCryptSecretAgreement(hPrivKey: NCRYPT_KEY_HANDLE, hPubKey: NCRYPT_KEY_HANDLE, dwFlags: int = 0) -> Secret:
    """The secret of two keys, held by the private key's token; NCryptFreeObject ends it.

    Raises NTE_INVALID_HANDLE (also: different algorithms, no private half), NTE_BAD_KEY_STATE, NTE_NOT_SUPPORTED for
    keys that do not agree, NTE_INVALID_PARAMETER for keys on different curves, NTE_BAD_FLAGS.
    """
    private, public = key_of(hPrivKey, "hPrivKey").key, key_of(hPubKey, "hPubKey").key
    ncrypt_flags(dwFlags)
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
    function = text_given(pwszKDF, "pwszKDF")
    wanted = number(dwFlags, "dwFlags", refused=HRESULT.NTE_BAD_FLAGS) & ~ncrypt_h.NCRYPT_SILENT_FLAG
    return hSharedSecret.derive(function, pParameterList, cbDerivedKey, wanted)


@answering_security_status
def NCryptCreateClaim(
    hSubjectKey: NCRYPT_KEY_HANDLE | StorageProvider,
    hAuthorityKey: NCRYPT_KEY_HANDLE | NoHandle,
    dwClaimType: int,
    pParameterList: Parameters,
    dwFlags: int = 0,
) -> Attestation | Quote:
    """The token's statement that it holds a key and how it was made, or what its PCRs are; `hwcng.attestation` verifies
    it.

    hSubjectKey: the key; of a platform claim any key of the token, or the provider handle. hAuthorityKey: the identity
    key that signs (PCP_KEY_USAGE_POLICY), which may be the subject of a platform claim instead; NULL: the token's own
    attestation key.
    dwClaimType: NCRYPT_CLAIM_AUTHORITY_AND_SUBJECT, with NCRYPTBUFFER_CLAIM_KEYATTESTATION_NONCE; or
    NCRYPT_CLAIM_PLATFORM, with NCRYPTBUFFER_TPM_PLATFORM_CLAIM_PCR_MASK, a number with bit 0 for PCR 0 or its octets,
    little-endian, of the bank of SHA-256, and NCRYPTBUFFER_TPM_PLATFORM_CLAIM_NONCE.
    NCRYPTBUFFER_TPM_PLATFORM_CLAIM_STATIC_CREATE is 0. A nonce has at most 32 bytes of the verifier's choice.

    Raises NTE_NOT_SUPPORTED where the token makes none, for another claim and an authority that is no identity key,
    NTE_INVALID_PARAMETER without a nonce or PCRs and for an authority of another token, NTE_BAD_KEY_STATE,
    NTE_INVALID_HANDLE, NTE_BAD_FLAGS.
    """
    subject, authority = _subject(hSubjectKey), _authority(hAuthorityKey)
    ncrypt_flags(dwFlags)
    return claims.create(subject, authority, dwClaimType, pairs(pParameterList))


def _authority(handle: object) -> NCryptKey | None:
    return None if no_handle(handle) else key_of(handle, "hAuthorityKey")


def _subject(handle: object) -> NCryptKey | StorageProvider:
    return storage_of(handle) if isinstance(handle, StorageProvider) else key_of(handle, "hSubjectKey")


def _pair(handle: object) -> KeyPair:
    key = key_of(handle).key
    if not isinstance(key, KeyPair):
        raise not_supported(f"{key.algorithm.name} keys have no public half")
    return key


@answering_security_status
def NCryptEncapsulate(hKey: NCRYPT_KEY_HANDLE, dwFlags: int = 0) -> tuple[bytes, bytes]:
    """A fresh shared secret and the ciphertext that carries it to the owner of hKey, as BCryptEncapsulate makes them.

    Raises NTE_NOT_SUPPORTED for a key that does not encapsulate, NTE_BAD_KEY_STATE, NTE_INVALID_HANDLE, NTE_BAD_FLAGS.
    """
    pair = _pair(hKey)
    ncrypt_flags(dwFlags)
    return pair.encapsulate()


@answering_security_status
def NCryptDecapsulate(hKey: NCRYPT_KEY_HANDLE, pbCipherText: Octets, dwFlags: int = 0) -> bytes:
    """The shared secret of a ciphertext, as BCryptDecapsulate: a forged ciphertext gives another one, no error.

    Raises NTE_NOT_SUPPORTED for a key that does not decapsulate, NTE_INVALID_PARAMETER for a public key and for a
    ciphertext of wrong length, NTE_BAD_KEY_STATE, NTE_INVALID_HANDLE, NTE_BAD_FLAGS, RPC_X_NULL_REF_POINTER.
    """
    pair, ciphertext = _pair(hKey), data_given(pbCipherText, "pbCipherText")
    ncrypt_flags(dwFlags)
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
    key = key_of(hKey).key
    wanted = number(dwFlags, "dwFlags", refused=HRESULT.NTE_BAD_FLAGS) & ~ncrypt_h.NCRYPT_SILENT_FLAG
    if not isinstance(key, KdfKey):
        raise not_supported(f"a {key.algorithm.name} key derives no keys")
    return key.derive(pParameterList, cbDerivedKey, wanted)


@answering_security_status
def NCryptVerifyClaim(
    hSubjectKey: NCRYPT_KEY_HANDLE | StorageProvider | NoHandle,
    hAuthorityKey: NCRYPT_KEY_HANDLE | NoHandle,
    dwClaimType: int,
    pParameterList: Parameters,
    pbClaimBlob: Attestation | Quote,
    dwFlags: int = 0,
) -> AttestedKey | AttestedPlatform:
    """What a claim of NCryptCreateClaim proves; the host does this. Look at its signer_name: whose TPM it is, the
    claim itself does not say.

    hSubjectKey: the key that it must be about, or NULL; not looked at for a platform claim. hAuthorityKey: the identity
    key that must have signed it, whose public half is enough; NULL: any, or the token's own attestation key.
    dwClaimType, pParameterList: as of NCryptCreateClaim; a platform claim must be about the PCRs of the mask.

    Raises NTE_BAD_SIGNATURE for a claim that does not hold, is about another key or other PCRs, or is signed by another
    key; NTE_NOT_SUPPORTED for another claim, NTE_INVALID_PARAMETER, NTE_INVALID_HANDLE, NTE_BAD_FLAGS,
    RPC_X_NULL_REF_POINTER.
    """
    subject, authority = None if no_handle(hSubjectKey) else _subject(hSubjectKey), _authority(hAuthorityKey)
    ncrypt_flags(dwFlags)
    claim, parameters = given(pbClaimBlob, "pbClaimBlob"), pairs(pParameterList)
    return claims.verify(claim, subject, authority, dwClaimType, parameters)
