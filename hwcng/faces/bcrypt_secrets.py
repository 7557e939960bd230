"""Agreed secrets, key derivation and key encapsulation (bcrypt.h)."""

from __future__ import annotations

import hashlib

from hwcng.arguments import Octets, flags, number, octets, optional_octets, string
from hwcng.cng.algorithm_handle import AlgorithmHandle
from hwcng.cng.derivation_key import KdfKey
from hwcng.cng.derive import crypt_derive_key
from hwcng.cng.derive.functions import LARGEST_DERIVATION
from hwcng.cng.derive.parameters import ParameterList
from hwcng.cng.handles import NoHandle, no_handle
from hwcng.cng.keys import HashObject, KeyPair, Secret, SymmetricKey
from hwcng.errors import invalid_handle, invalid_parameter
from hwcng.faces.bcrypt_handles import BCRYPT_KEY_HANDLE, algorithm_of, alive_handle
from hwcng.headers.bcrypt_h import PseudoHandle

__all__ = [
    "BCryptSecretAgreement",
    "BCryptDeriveKey",
    "BCryptKeyDerivation",
    "BCryptDeriveKeyPBKDF2",
    "BCryptDeriveKeyCapi",
    "BCryptDestroySecret",
    "BCryptEncapsulate",
    "BCryptDecapsulate",
]

_MOST_ITERATIONS = 1 << 28
"""HMACs of one PBKDF2 on the host: minutes, in which no signal is seen."""


def BCryptSecretAgreement(hPrivKey: BCRYPT_KEY_HANDLE, hPubKey: BCRYPT_KEY_HANDLE, dwFlags: int = 0) -> Secret:
    """The secret of two keys, held by the private key's token; hPubKey may be of another provider.

    Raises STATUS_INVALID_HANDLE (also: empty pairs, different algorithms, no private half), STATUS_NOT_SUPPORTED for
    keys that do not agree, STATUS_INVALID_PARAMETER for keys on different curves or parameters and for flags.
    """
    private, public = alive_handle(hPrivKey, KeyPair, "hPrivKey"), alive_handle(hPubKey, KeyPair, "hPubKey")
    flags(dwFlags)
    return private.agree(public)


def BCryptDeriveKey(
    hSharedSecret: Secret,
    pwszKDF: str,
    pParameterList: ParameterList | None,
    cbDerivedKey: int | None,
    dwFlags: int = 0,
) -> bytes:
    """Key material from an agreed secret that itself stays in the token.

    pwszKDF: BCRYPT_KDF_HASH, BCRYPT_KDF_HMAC, BCRYPT_KDF_TLS_PRF, BCRYPT_SP80056A_CONCAT_KDF, BCRYPT_KDF_HKDF, or
    BCRYPT_KDF_RAW_SECRET (little-endian; only with open_provider(..., allow_raw_secret=True)). pParameterList: (buffer
    type, value) pairs.
    cbDerivedKey: bytes; fewer than the function makes cut its output, more get what it makes, None is its natural
    length.

    Raises STATUS_INVALID_HANDLE, STATUS_NOT_SUPPORTED for an unknown function or hash and for what the token cannot do,
    STATUS_INVALID_PARAMETER for missing or malformed parameters.
    """
    secret = alive_handle(hSharedSecret, Secret, "hSharedSecret")
    return secret.derive(string(pwszKDF, "pwszKDF"), pParameterList, cbDerivedKey, dwFlags)


def BCryptKeyDerivation(
    hKey: BCRYPT_KEY_HANDLE, pParameterList: ParameterList | None, cbDerivedKey: int, dwFlags: int = 0
) -> bytes:
    """Key material of a base key that itself stays in the token. hKey: of BCryptGenerateSymmetricKey on a derivation
    algorithm.

    pParameterList: (buffer type, value) pairs as the algorithm needs them. cbDerivedKey: bytes, 1 or more; all are
    made. dwFlags: BCRYPT_CAPI_AES_FLAG with CAPI_KDF: the key is for AES.

    On the host come beside the result, by algorithm: PBKDF2, TLS1_1_KDF, TLS1_2_KDF: HMACs under the base key;
    CAPI_KDF: the base key's digest; SP800_108_CTR_HMAC, SP800_56A_CONCAT, HKDF: nothing. HKDF's pseudorandom key stays
    in the token as well; a token that cannot extract it there takes only HkdfPrkAndFinalize. PBKDF2 calls the token
    once per iteration.

    Raises STATUS_INVALID_HANDLE for anything but such a key, STATUS_INVALID_PARAMETER for parameters that are missing
    or malformed, flags and a length that the algorithm does not reach, STATUS_NOT_SUPPORTED for a hash or function that
    the token lacks.
    """
    key = alive_handle(hKey, SymmetricKey, "hKey")
    if not isinstance(key, KdfKey):
        raise invalid_handle(f"a {key.algorithm.name} key derives no keys")
    return key.derive(pParameterList, cbDerivedKey, dwFlags)


def BCryptDeriveKeyPBKDF2(
    hPrf: AlgorithmHandle | PseudoHandle,
    pbPassword: Octets | None,
    pbSalt: Octets | None,
    cIterations: int,
    cbDerivedKey: int,
    dwFlags: int = 0,
) -> bytes:
    """PBKDF2 (RFC 8018, section 5.2) of a password that the caller holds: on the host, as is the result.

    hPrf: an HMAC handle. cbDerivedKey: bytes. For a password key in the token: BCryptKeyDerivation.

    Raises STATUS_INVALID_HANDLE for anything but an HMAC handle, STATUS_INVALID_PARAMETER for 0 iterations or bytes and
    for flags.
    """
    handle = algorithm_of(hPrf)
    hash_function = handle.algorithm.hash_function
    if hash_function is None or not handle.hmac or not hash_function.keyed:
        raise invalid_handle(f"{handle.name} is not a keyed hash: open it with BCRYPT_ALG_HANDLE_HMAC_FLAG")
    flags(dwFlags)
    password = optional_octets(pbPassword, "pbPassword")
    salt = optional_octets(pbSalt, "pbSalt")
    iterations = number(cIterations, "cIterations", largest=_MOST_ITERATIONS)
    length = number(cbDerivedKey, "cbDerivedKey", largest=LARGEST_DERIVATION)
    if not iterations or not length:
        raise invalid_parameter("PBKDF2 takes at least one iteration and makes at least one byte")
    if iterations * -(-length // hash_function.digest_size) > _MOST_ITERATIONS:
        raise invalid_parameter(f"{iterations} iterations for each block of {length} bytes are over {_MOST_ITERATIONS}")
    return hashlib.pbkdf2_hmac(hash_function.hashlib_name, password, salt, iterations, length)


def BCryptDeriveKeyCapi(
    hHash: HashObject, hTargetAlg: AlgorithmHandle | PseudoHandle | NoHandle, cbDerivedKey: int, dwFlags: int = 0
) -> bytes:
    """The derivation of CryptDeriveKey from a hash, which the call finishes; digest and result are the host's.

    hTargetAlg: what the key is for, or None; digests of other hashes than SHA-2 are expanded for AES and 3DES.
    cbDerivedKey: bytes, at most twice the digest's.

    Raises STATUS_INVALID_HANDLE (hTargetAlg, a finished hash), STATUS_INVALID_PARAMETER for what is no hash, a length
    out of range and flags.
    """
    if not isinstance(hHash, HashObject):
        raise invalid_parameter("hHash is not a hash")
    hash_object = alive_handle(hHash, HashObject, "hHash")
    target = None if no_handle(hTargetAlg) else algorithm_of(hTargetAlg).name
    flags(dwFlags)
    hash_function = hash_object.algorithm.hash_function
    if hash_function is None or not hash_function.digest_info_prefix:
        raise invalid_parameter(f"{hash_object.algorithm.name} is not a hash that keys are derived from")
    length = number(cbDerivedKey, "cbDerivedKey")
    crypt_derive_key.check_length(hash_function, length)
    digest = hash_object.finish()
    return crypt_derive_key.expand(
        hash_function, digest, length, for_block_cipher=target in crypt_derive_key.BLOCK_CIPHERS
    )


def BCryptDestroySecret(hSecret: Secret) -> None:
    """Ends a secret. Raises STATUS_INVALID_HANDLE for what is none and the second time."""
    alive_handle(hSecret, Secret, "hSecret").destroy()


def BCryptEncapsulate(hKey: BCRYPT_KEY_HANDLE, dwFlags: int = 0) -> tuple[bytes, bytes]:
    """A fresh shared secret of 32 bytes and the ciphertext that carries it to the owner of hKey, public or pair.

    The host does this, no secret of a token is involved; where the host's `cryptography` lacks the parameter set, the
    token does it with the public half.

    Raises STATUS_INVALID_PARAMETER for None and flags, STATUS_INVALID_HANDLE, also for an empty pair,
    STATUS_NOT_SUPPORTED for a key that does not encapsulate.
    """
    if no_handle(hKey):
        raise invalid_parameter("hKey is NULL")
    pair = alive_handle(hKey, KeyPair, "hKey")
    flags(dwFlags)
    return pair.encapsulate()


def BCryptDecapsulate(hKey: BCRYPT_KEY_HANDLE, pbCipherText: Octets, dwFlags: int = 0) -> bytes:
    """The shared secret of a ciphertext, decapsulated in the token and read out of it: it is the caller's from here on.

    A forged ciphertext gives another secret, no error. `hKey.decapsulate_to_key(hAlgorithm, pbCipherText)` leaves the
    secret in the token, as a key.

    Raises STATUS_INVALID_PARAMETER for None, a public key and flags, STATUS_INVALID_BUFFER_SIZE for a ciphertext of
    wrong length, STATUS_INVALID_HANDLE, also for an empty pair, STATUS_NOT_SUPPORTED for a key that does not
    decapsulate.
    """
    if no_handle(hKey):
        raise invalid_parameter("hKey is NULL")
    pair, ciphertext = alive_handle(hKey, KeyPair, "hKey"), octets(pbCipherText, "pbCipherText")
    flags(dwFlags)
    return pair.decapsulate(ciphertext)
