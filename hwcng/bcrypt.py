"""The functions of bcrypt.h over keys in a token ("Cryptography API: Next Generation" of the Windows documentation).

Names and parameter order are the documented ones: out-parameters are return values, sizes come from the buffers, and a
failure raises `hwcng.CngError` whose status is the documented code. Buffers are bytes, bytearray or memoryview;
integers in them are big-endian unless the documentation says otherwise. Each function's page in that documentation is
its manual.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias, TypeVar

from hwcng.arguments import Octets, flags, number, octets, optional_octets, random_length, string
from hwcng.cng import constants, derivation_key, hashing, key_pair, multi_hash, properties, registrations, symmetric_key
from hwcng.cng.algorithm_handle import AlgorithmHandle
from hwcng.cng.algorithm_table import ALGORITHMS, Interface, Operation, PseudoHandle
from hwcng.cng.constants import *  # noqa: F403
from hwcng.cng.derivation_key import KdfKey
from hwcng.cng.derive import crypt_derive_key
from hwcng.cng.derive.functions import LARGEST_DERIVATION
from hwcng.cng.derive.parameters import ParameterList
from hwcng.cng.handles import Handle, NoHandle, invalid_handle, invalid_parameter, no_handle, not_supported, told_handle
from hwcng.cng.keys import HashObject, KeyPair, Secret, SymmetricKey
from hwcng.cng.multi_hash import MultiHash
from hwcng.contract.provider import Provider
from hwcng.contract.usage import Support
from hwcng.errors import NTSTATUS, CngError, told
from hwcng.headers import records, status_codes
from hwcng.headers.records import *  # noqa: F403
from hwcng.headers.records import BCRYPT_MULTI_HASH_OPERATION, BCRYPT_PROVIDER_NAME, CRYPT_PROVIDER_REF
from hwcng.headers.status_codes import *  # noqa: F403
from hwcng.providers.registry import default_provider, resolve_implementation

_IMPORT_VALIDATIONS = (
    0,
    constants.BCRYPT_NO_KEY_VALIDATION,
    constants.BCRYPT_KEY_VALIDATION_RANGE,
    constants.BCRYPT_KEY_VALIDATION_RANGE_AND_ORDER,
)
_FINALIZE_VALIDATIONS = (
    0,
    constants.BCRYPT_KEY_VALIDATION_RANGE,
    constants.BCRYPT_KEY_VALIDATION_RANGE_AND_ORDER,
    constants.BCRYPT_KEY_VALIDATION_REGENERATE,
)

_MOST_ITERATIONS = 1 << 28
"""HMACs of one PBKDF2 on the host: minutes, in which no signal is seen."""

BCRYPT_KEY_HANDLE: TypeAlias = KeyPair | SymmetricKey
"""What `hwcng.open_key` returns: one type of handle, as in bcrypt.h. Which kind a function takes, it checks itself."""

H = TypeVar("H", bound=Handle)
HO = TypeVar("HO", HashObject, MultiHash)


class BCRYPT_ALGORITHM_IDENTIFIER(NamedTuple):
    """One algorithm in one class, as BCryptEnumAlgorithms lists it."""

    pszName: str
    dwClass: Interface
    dwFlags: int


def _algorithm(handle: object) -> AlgorithmHandle:
    """An algorithm handle, real or pseudo. Raises STATUS_INVALID_HANDLE for any other object and for a closed one."""
    if isinstance(handle, AlgorithmHandle) and handle.alive:
        return handle
    if isinstance(handle, PseudoHandle):
        return AlgorithmHandle.of_pseudo(handle, default_provider)
    raise invalid_handle(told_handle(handle, "hAlgorithm", AlgorithmHandle.called, of_bcrypt=True))


def _alive(handle: object, kind: type[H], name: str) -> H:
    if isinstance(handle, kind) and handle.alive:
        return handle
    raise invalid_handle(told_handle(handle, name, kind.called, of_bcrypt=True))


def _key(handle: object) -> SymmetricKey | KeyPair:
    if isinstance(handle, (SymmetricKey, KeyPair)) and handle.alive:
        return handle
    raise invalid_handle(told_handle(handle, "hKey", "a symmetric key or a key pair", of_bcrypt=True))


def _validation(value: object, known: tuple[int, ...]) -> int:
    plain = number(value, "dwFlags")
    if plain not in known:
        raise invalid_parameter(f"dwFlags {told(plain)} is not a validation")
    return plain


def BCryptOpenAlgorithmProvider(
    pszAlgId: str, pszImplementation: str | Provider | None = None, dwFlags: int = 0
) -> AlgorithmHandle:
    """Opens an algorithm of a token.

    pszAlgId: such as BCRYPT_AES_ALGORITHM, case-sensitive. pszImplementation: None for the default provider, a
    configured name, a URI or a Provider. dwFlags: BCRYPT_ALG_HANDLE_HMAC_FLAG and BCRYPT_HASH_REUSABLE_FLAG for hashes;
    BCRYPT_PROV_DISPATCH and BCRYPT_ENABLE_INCOMPATIBLE_FIPS_CHECKS are accepted and have no effect.

    Raises STATUS_NOT_FOUND for an unknown algorithm or implementation and for an algorithm that the token lacks,
    STATUS_INVALID_PARAMETER for None or undefined flags, STATUS_NOT_SUPPORTED for a flag of another algorithm.
    """
    algorithm = ALGORITHMS.get(string(pszAlgId, "pszAlgId"))
    if algorithm is None:
        raise CngError(NTSTATUS.STATUS_NOT_FOUND, f"there is no algorithm {told(pszAlgId)} (names are case-sensitive)")
    provider = default_provider if pszImplementation is None else resolve_implementation(pszImplementation)
    return AlgorithmHandle.open(algorithm, provider, dwFlags)


def BCryptCloseAlgorithmProvider(hAlgorithm: AlgorithmHandle, dwFlags: int = 0) -> None:
    """Closes an algorithm handle. Keys and hashes made from it stay valid.

    Raises STATUS_INVALID_HANDLE for a pseudo-handle, a closed handle and any other object.
    """
    handle = _alive(hAlgorithm, AlgorithmHandle, "hAlgorithm")
    if handle.pseudo is not None:
        raise invalid_handle("a pseudo-handle is never closed")
    flags(dwFlags)
    handle.destroy()


def BCryptEnumAlgorithms(dwAlgOperations: int = 0, dwFlags: int = 0) -> list[BCRYPT_ALGORITHM_IDENTIFIER]:
    """What the default provider offers, one entry per algorithm and class; without a default provider, unkeyed hashes.

    dwAlgOperations: BCRYPT_*_OPERATION bits, 0 for all. Raises STATUS_INVALID_PARAMETER for undefined bits.
    """
    flags(dwFlags)
    wanted = flags(dwAlgOperations, sum(Operation), name="dwAlgOperations")
    try:
        provider: Provider | None = default_provider()
    except CngError:
        provider = None
    found = []
    for algorithm in ALGORITHMS.values():
        offered = provider is not None and provider.offers(algorithm.offered_as, algorithm.curve) is not Support.REFUSED
        host_hash = algorithm.hash_function is not None and algorithm.hash_function.available
        if not host_hash and not offered:
            continue
        for interface in algorithm.interfaces:
            if not wanted or wanted & (1 << (interface - 1)):
                found.append(BCRYPT_ALGORITHM_IDENTIFIER(algorithm.name, interface, 0))
    return found


def BCryptGetProperty(hObject: object, pszProperty: str, dwFlags: int = 0) -> Any:
    """The value of a property: int, str, bytes, tuple or a named tuple, by the property's type.

    Raises STATUS_INVALID_HANDLE, STATUS_INVALID_PARAMETER for None or flags, STATUS_NOT_SUPPORTED for a property that
    the object does not have.
    """
    handle = _object(hObject)
    flags(dwFlags)
    return properties.get_property(handle, string(pszProperty, "pszProperty"))


def BCryptSetProperty(hObject: object, pszProperty: str, pbInput: object, dwFlags: int = 0) -> None:
    """Sets a property. On an algorithm handle it is for keys made afterwards.

    Raises STATUS_ACCESS_DENIED for a pseudo-handle, STATUS_INVALID_HANDLE, STATUS_INVALID_PARAMETER for a wrong value,
    STATUS_NOT_SUPPORTED for a property that is absent, read-only, or a value that the token does not have.
    """
    handle = _object(hObject)
    properties.require_settable(handle)
    flags(dwFlags)
    properties.set_property(handle, string(pszProperty, "pszProperty"), pbInput)


def _object(handle: object) -> Handle:
    if isinstance(handle, PseudoHandle):
        return _algorithm(handle)
    if isinstance(handle, (AlgorithmHandle, SymmetricKey, KeyPair, HashObject, MultiHash, Secret)) and handle.alive:
        return handle
    raise invalid_handle(told_handle(handle, "hObject", "a handle of bcrypt.h", of_bcrypt=True))


def BCryptGenerateSymmetricKey(
    hAlgorithm: AlgorithmHandle | PseudoHandle,
    pbKeyObject: Octets | None,
    pbSecret: Octets | None,
    dwFlags: int = 0,
) -> SymmetricKey:
    """A symmetric key of the caller's bytes, in the token. The library keeps no copy of them.

    pbKeyObject: None, or a writable buffer of at least ObjectLength bytes, held until the key is destroyed and never
    written to. pbSecret: 16, 24 or 32 bytes for AES; what is over the longest key is cut off. The base key of a
    derivation algorithm has 0 to 2048 bytes, all of which count; it goes to BCryptKeyDerivation. A key that no host
    ever saw is made by `hAlgorithm.generate_key(bits)`.

    Raises STATUS_INVALID_HANDLE (hAlgorithm), STATUS_INVALID_PARAMETER (no symmetric algorithm, a length that is none,
    flags), STATUS_BUFFER_TOO_SMALL (pbKeyObject).
    """
    handle = _algorithm(hAlgorithm)
    _require_symmetric(handle)
    secret = octets(pbSecret, "pbSecret")
    flags(dwFlags)
    if handle.algorithm.derives:
        return derivation_key.import_secret(handle, secret, pbKeyObject)
    return symmetric_key.import_secret(handle, secret, pbKeyObject)


def _require_symmetric(handle: AlgorithmHandle) -> None:
    if not handle.algorithm.symmetric:
        raise invalid_parameter(f"{handle.name} has no symmetric keys")


def BCryptGenerateKeyPair(hAlgorithm: AlgorithmHandle | PseudoHandle, dwLength: int, dwFlags: int = 0) -> KeyPair:
    """An empty key pair: set its properties, then BCryptFinalizeKeyPair. Nothing reaches the token before.

    dwLength: bits; 512 to 16384 in steps of 64 for RSA, 512 to 4096 for DH, 512 to 3072 for DSA, the curve's bits for
    ECDSA and ECDH (0 too for the generic ones), 0 for ML-DSA and ML-KEM, which have ParameterSetName instead. dwFlags:
    BCRYPT_NO_KEY_VALIDATION for ML-KEM: the self-tests of a token are its own affair, so it has no effect.

    Raises STATUS_INVALID_HANDLE, STATUS_NOT_SUPPORTED for an algorithm without key pairs, STATUS_INVALID_PARAMETER for
    a length that the algorithm does not have and for any other flag.
    """
    handle = _algorithm(hAlgorithm)
    if not handle.algorithm.asymmetric:
        raise not_supported(f"{handle.name} does not use key pairs")
    return key_pair.create(handle, number(dwLength, "dwLength"), number(dwFlags, "dwFlags"))


def BCryptFinalizeKeyPair(hKey: BCRYPT_KEY_HANDLE, dwFlags: int = 0) -> None:
    """Has the token make the pair. A failure leaves it empty.

    DH without DHParameters is in a well-known group. DSA without DSAParameters first makes parameters on the host,
    which takes seconds from 2048 bits on; those of one pair, read and set, serve any number.

    dwFlags: 0 or a BCRYPT_KEY_VALIDATION_ value: a token validates what it makes in any case.

    Raises STATUS_INVALID_HANDLE for anything but an empty pair, STATUS_INVALID_PARAMETER where a curve or a parameter
    set is missing or PrivKeyVal or the domain parameters do not fit, STATUS_NOT_SUPPORTED where the token does not make
    such keys.
    """
    pair = _alive(hKey, KeyPair, "hKey")
    if pair.finalized:
        raise invalid_handle("the key pair is finalized")
    _validation(dwFlags, _FINALIZE_VALIDATIONS)
    pair.finalize()


def BCryptDuplicateKey(hKey: BCRYPT_KEY_HANDLE, pbKeyObject: Octets | None = None, dwFlags: int = 0) -> SymmetricKey:
    """An independent symmetric key of the same value: own chaining mode, own IV (as it stands now), own life.

    Raises STATUS_INVALID_HANDLE for anything but a symmetric key, key pairs too; STATUS_BUFFER_TOO_SMALL (pbKeyObject),
    STATUS_INVALID_PARAMETER for flags.
    """
    key = _alive(hKey, SymmetricKey, "hKey")
    flags(dwFlags)
    return key.duplicate(pbKeyObject)


def BCryptImportKey(
    hAlgorithm: AlgorithmHandle | PseudoHandle,
    hImportKey: BCRYPT_KEY_HANDLE | NoHandle,
    pszBlobType: str,
    pbKeyObject: Octets | None,
    pbInput: Octets,
    dwFlags: int = 0,
) -> SymmetricKey:
    """A symmetric key from a blob.

    pszBlobType: BCRYPT_KEY_DATA_BLOB; BCRYPT_AES_WRAP_KEY_BLOB, undone inside the token with the AES key hImportKey of
    the same provider; BCRYPT_OPAQUE_KEY_BLOB of this very token. hImportKey is ignored for the other two.

    Raises STATUS_INVALID_HANDLE, STATUS_NOT_SUPPORTED for another blob type, STATUS_BUFFER_TOO_SMALL for a blob shorter
    than its header or a key object that is too small, STATUS_INVALID_PARAMETER for everything else that is wrong.
    """
    handle = _algorithm(hAlgorithm)
    blob_type, blob = string(pszBlobType, "pszBlobType"), octets(pbInput, "pbInput")
    _require_symmetric(handle)
    flags(dwFlags)
    if handle.algorithm.derives:
        return derivation_key.import_blob(handle, blob_type, blob, pbKeyObject)
    return symmetric_key.import_blob(handle, hImportKey, blob_type, blob, pbKeyObject)


def BCryptImportKeyPair(
    hAlgorithm: AlgorithmHandle | PseudoHandle,
    hImportKey: BCRYPT_KEY_HANDLE | NoHandle,
    pszBlobType: str,
    pbInput: Octets,
    dwFlags: int = 0,
) -> KeyPair:
    """A public key, or a key pair whose private half goes into the token; finalized at once.

    hImportKey is not used. dwFlags: a validation; keys are always checked, because a token must never see a bad one.
    Blobs of ML-DSA and ML-KEM name their parameter set.

    Raises STATUS_INVALID_HANDLE, STATUS_NOT_SUPPORTED for a blob type that the algorithm does not have or an algorithm
    without pairs, NTE_BAD_DATA for an RSA blob of wrong size, STATUS_INVALID_PARAMETER for everything else that is
    wrong.
    """
    handle = _algorithm(hAlgorithm)
    blob_type, blob = string(pszBlobType, "pszBlobType"), octets(pbInput, "pbInput")
    _validation(dwFlags, _IMPORT_VALIDATIONS)
    return key_pair.import_blob(handle, blob_type, blob)


def BCryptExportKey(
    hKey: BCRYPT_KEY_HANDLE, hExportKey: BCRYPT_KEY_HANDLE | NoHandle, pszBlobType: str, dwFlags: int = 0
) -> bytes:
    """A blob of a key. Public blobs always; opaque and AES-wrapped ones where the key's "Export Policy" allows it.

    Raises STATUS_NOT_SUPPORTED for every blob that would hold a secret in plaintext, for a type that the key does not
    have and where the policy forbids it; STATUS_INVALID_HANDLE, also before BCryptFinalizeKeyPair;
    STATUS_INVALID_PARAMETER where BCRYPT_AES_WRAP_KEY_BLOB has no AES key hExportKey of the same provider, and for a
    private blob of a public key.
    """
    key = _key(hKey)
    blob_type = string(pszBlobType, "pszBlobType")
    flags(dwFlags)
    if isinstance(key, KeyPair):
        return key.export(blob_type)
    export_key = None if no_handle(hExportKey) else _alive(hExportKey, SymmetricKey, "hExportKey")
    return key.export(blob_type, export_key)


def BCryptDestroyKey(hKey: BCRYPT_KEY_HANDLE) -> None:
    """Ends a key. Raises STATUS_INVALID_HANDLE for what is no key and the second time."""
    _key(hKey).destroy()


def BCryptEncrypt(
    hKey: BCRYPT_KEY_HANDLE,
    pbInput: Octets | None,
    pPaddingInfo: object = None,
    pbIV: Octets | None = None,
    dwFlags: int = 0,
) -> bytes:
    """The ciphertext: of a symmetric key in the token, of an RSA key on the host.

    pPaddingInfo: BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO for GCM and CCM, BCRYPT_OAEP_PADDING_INFO for OAEP, else None.
    pbIV: 16 bytes, updated in place where it is writable, for the next call; None for the key's running IV.
    dwFlags: BCRYPT_BLOCK_PADDING, or for RSA BCRYPT_PAD_NONE, _PKCS1 or _OAEP.

    Raises STATUS_INVALID_HANDLE, STATUS_INVALID_BUFFER_SIZE for a partial block, STATUS_INVALID_PARAMETER,
    STATUS_NOT_SUPPORTED for a key that does not encrypt.
    """
    key = _key(hKey)
    data = optional_octets(pbInput, "pbInput")
    if isinstance(key, KeyPair):
        return key.encrypt(data, pPaddingInfo, number(dwFlags, "dwFlags"))
    return key.encrypt(
        data, iv=pbIV, padding=bool(flags(dwFlags, constants.BCRYPT_BLOCK_PADDING)), auth_info=pPaddingInfo
    )


def BCryptDecrypt(
    hKey: BCRYPT_KEY_HANDLE,
    pbInput: Octets | None,
    pPaddingInfo: object = None,
    pbIV: Octets | None = None,
    dwFlags: int = 0,
) -> bytes:
    """The plaintext, made in the token. Parameters as BCryptEncrypt.

    Raises as BCryptEncrypt, and STATUS_AUTH_TAG_MISMATCH for a wrong tag, STATUS_DATA_ERROR for malformed block
    padding; everything that can be wrong with an RSA padding is one STATUS_INVALID_PARAMETER.
    """
    key = _key(hKey)
    data = optional_octets(pbInput, "pbInput")
    if isinstance(key, KeyPair):
        return key.decrypt(data, pPaddingInfo, number(dwFlags, "dwFlags"))
    return key.decrypt(
        data, iv=pbIV, padding=bool(flags(dwFlags, constants.BCRYPT_BLOCK_PADDING)), auth_info=pPaddingInfo
    )


def BCryptSignHash(hKey: BCRYPT_KEY_HANDLE, pPaddingInfo: object, pbInput: Octets, dwFlags: int = 0) -> bytes:
    """A signature, made in the token: RSA big-endian of modulus length, ECDSA and DSA r || s, ML-DSA as in FIPS 204.

    pbInput: the digest; for ML-DSA the message itself, save with BCRYPT_MLDSA_EXTERNAL_MU (64 bytes of mu) and with a
    hash in the padding info (HashML-DSA: that hash's digest), which few tokens do.
    pPaddingInfo: BCRYPT_PKCS1_PADDING_INFO with BCRYPT_PAD_PKCS1 or BCRYPT_PSS_PADDING_INFO with BCRYPT_PAD_PSS for
    RSA; BCRYPT_PQDSA_PADDING_INFO with BCRYPT_PAD_PQDSA, or None for no context, for ML-DSA; None and no flags for
    ECDSA and DSA, which take the leftmost bits of a long digest.

    Raises STATUS_INVALID_HANDLE, also for an empty pair; STATUS_NOT_SUPPORTED for a key that does not sign and for an
    unknown hash; STATUS_INVALID_PARAMETER for a public key, a digest of wrong length and wrong padding parameters.
    """
    return _alive(hKey, KeyPair, "hKey").sign(pPaddingInfo, octets(pbInput, "pbInput"), number(dwFlags, "dwFlags"))


def BCryptVerifySignature(
    hKey: BCRYPT_KEY_HANDLE, pPaddingInfo: object, pbHash: Octets, pbSignature: Octets, dwFlags: int = 0
) -> None:
    """Returns where the signature is good; the host does this, no secret is involved. Parameters as BCryptSignHash.

    dwFlags: BCRYPT_PAD_PKCS1_OPTIONAL_HASH_OID also accepts a PKCS #1 signature without DigestInfo.

    Raises STATUS_INVALID_SIGNATURE, STATUS_INVALID_PARAMETER (an ECDSA or DSA signature of wrong length too),
    STATUS_NOT_SUPPORTED, STATUS_INVALID_HANDLE.
    """
    pair = _alive(hKey, KeyPair, "hKey")
    digest, signature = octets(pbHash, "pbHash"), octets(pbSignature, "pbSignature")
    pair.verify(pPaddingInfo, digest, signature, number(dwFlags, "dwFlags"))


def BCryptSecretAgreement(hPrivKey: BCRYPT_KEY_HANDLE, hPubKey: BCRYPT_KEY_HANDLE, dwFlags: int = 0) -> Secret:
    """The secret of two keys, held by the private key's token; hPubKey may be of another provider.

    Raises STATUS_INVALID_HANDLE (also: empty pairs, different algorithms, no private half), STATUS_NOT_SUPPORTED for
    keys that do not agree, STATUS_INVALID_PARAMETER for keys on different curves or parameters and for flags.
    """
    private, public = _alive(hPrivKey, KeyPair, "hPrivKey"), _alive(hPubKey, KeyPair, "hPubKey")
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
    secret = _alive(hSharedSecret, Secret, "hSharedSecret")
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
    key = _alive(hKey, SymmetricKey, "hKey")
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
    handle = _algorithm(hPrf)
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
    hash_object = _alive(hHash, HashObject, "hHash")
    target = None if no_handle(hTargetAlg) else _algorithm(hTargetAlg).name
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
    _alive(hSecret, Secret, "hSecret").destroy()


def BCryptEncapsulate(hKey: BCRYPT_KEY_HANDLE, dwFlags: int = 0) -> tuple[bytes, bytes]:
    """A fresh shared secret of 32 bytes and the ciphertext that carries it to the owner of hKey, public or pair.

    The host does this, no secret of a token is involved; where the host's `cryptography` lacks the parameter set, the
    token does it with the public half.

    Raises STATUS_INVALID_PARAMETER for None and flags, STATUS_INVALID_HANDLE, also for an empty pair,
    STATUS_NOT_SUPPORTED for a key that does not encapsulate.
    """
    if no_handle(hKey):
        raise invalid_parameter("hKey is NULL")
    pair = _alive(hKey, KeyPair, "hKey")
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
    pair, ciphertext = _alive(hKey, KeyPair, "hKey"), octets(pbCipherText, "pbCipherText")
    flags(dwFlags)
    return pair.decapsulate(ciphertext)


def BCryptGenRandom(hAlgorithm: AlgorithmHandle | PseudoHandle | NoHandle, cbBuffer: int, dwFlags: int = 0) -> bytes:
    """`cbBuffer` random bytes: of the token, or with BCRYPT_USE_SYSTEM_PREFERRED_RNG and None of the operating system.

    BCRYPT_RNG_USE_ENTROPY_IN_BUFFER has no effect, as on Windows since 8.

    Raises STATUS_INVALID_HANDLE for None without that flag and for a handle of another algorithm,
    STATUS_INVALID_PARAMETER for the flag with a handle, undefined flags and a negative size.
    """
    given = number(dwFlags, "dwFlags")
    system = bool(given & constants.BCRYPT_USE_SYSTEM_PREFERRED_RNG)
    if system and no_handle(hAlgorithm):
        handle = None
    else:
        handle = _algorithm(hAlgorithm)
        if not handle.algorithm.is_a(Interface.BCRYPT_RNG_INTERFACE):
            raise invalid_handle(f"{handle.name} is not a random number generator")
        if system:
            raise invalid_parameter("BCRYPT_USE_SYSTEM_PREFERRED_RNG goes with hAlgorithm None")
    length = random_length(cbBuffer, "cbBuffer")
    if given:
        flags(given, constants.BCRYPT_RNG_USE_ENTROPY_IN_BUFFER | constants.BCRYPT_USE_SYSTEM_PREFERRED_RNG)
    return os.urandom(length) if handle is None else handle.provider.random(length)


def BCryptCreateHash(
    hAlgorithm: AlgorithmHandle | PseudoHandle,
    pbHashObject: Octets | None = None,
    pbSecret: Octets | SymmetricKey | None = None,
    dwFlags: int = 0,
) -> HashObject:
    """A hash object. Unkeyed hashes are the host's; HMAC, AES-CMAC and AES-GMAC have their key in the token.

    pbHashObject: as pbKeyObject of BCryptGenerateSymmetricKey. pbSecret: the key of a keyed hash, as bytes or as a key
    of `hAlgorithm.generate_key(bits)`; None is HMAC's empty key. dwFlags: BCRYPT_HASH_REUSABLE_FLAG.

    Raises STATUS_INVALID_HANDLE, STATUS_NOT_SUPPORTED for an algorithm that is no hash, STATUS_BUFFER_TOO_SMALL
    (pbHashObject), STATUS_INVALID_PARAMETER (a secret where none is taken, a wrong length, flags).
    """
    handle = _algorithm(hAlgorithm)
    if not handle.algorithm.is_a(Interface.BCRYPT_HASH_INTERFACE):
        raise not_supported(f"{handle.name} is not a hash")
    return hashing.create(handle, pbHashObject, _hash_secret(pbSecret), dwFlags)


def _hash_secret(secret: object) -> bytes | SymmetricKey | None:
    if isinstance(secret, SymmetricKey):
        return _alive(secret, SymmetricKey, "pbSecret")
    return None if no_handle(secret) else octets(secret, "pbSecret")


def BCryptHashData(hHash: HashObject, pbInput: Octets | None, dwFlags: int = 0) -> None:
    """Adds data. Raises STATUS_INVALID_HANDLE, also for a finished hash; STATUS_INVALID_PARAMETER for flags."""
    hash_object = _alive(hHash, HashObject, "hHash")
    flags(dwFlags)
    hash_object.update(optional_octets(pbInput, "pbInput"))


def BCryptFinishHash(hHash: HashObject, dwFlags: int = 0) -> bytes:
    """The digest. A reusable object starts again, any other is finished.

    dwFlags: BCRYPT_HASH_DONT_RESET_FLAG leaves a reusable object as it is. Raises STATUS_INVALID_HANDLE for a finished
    hash.
    """
    hash_object = _alive(hHash, HashObject, "hHash")
    return hash_object.finish(dont_reset=bool(flags(dwFlags, constants.BCRYPT_HASH_DONT_RESET_FLAG)))


def BCryptDuplicateHash(hHash: HO, pbHashObject: Octets | None = None, dwFlags: int = 0) -> HO:
    """A copy with its whole running state. Raises STATUS_INVALID_HANDLE, STATUS_BUFFER_TOO_SMALL,
    STATUS_INVALID_PARAMETER.
    """
    if not isinstance(hHash, (HashObject, MultiHash)) or not hHash.alive:
        raise invalid_handle(told_handle(hHash, "hHash", HashObject.called, of_bcrypt=True))
    flags(dwFlags)
    return hHash.duplicate(pbHashObject)


def BCryptDestroyHash(hHash: HashObject | MultiHash) -> None:
    """Ends a hash. Raises STATUS_INVALID_PARAMETER for what is none and the second time: not STATUS_INVALID_HANDLE."""
    if not isinstance(hHash, (HashObject, MultiHash)) or not hHash.alive:
        raise invalid_parameter(told_handle(hHash, "hHash", HashObject.called, of_bcrypt=True))
    hHash.destroy()


def BCryptHash(
    hAlgorithm: AlgorithmHandle | PseudoHandle, pbSecret: Octets | SymmetricKey | None, pbInput: Octets | None
) -> bytes:
    """The digest of `pbInput` in one call. Parameters and failures as BCryptCreateHash."""
    if isinstance(pbSecret, SymmetricKey):
        handle = _algorithm(hAlgorithm)
        # One digest under a nonce of its own is no matter of one call.
        if handle.keyed_hash and handle.algorithm.name != "AES-GMAC":
            return hashing.authenticate(handle, _alive(pbSecret, SymmetricKey, "pbSecret"), pbInput)
    with BCryptCreateHash(hAlgorithm, None, pbSecret) as hash_object:
        BCryptHashData(hash_object, pbInput)
        return hash_object.finish()


def BCryptCreateMultiHash(
    hAlgorithm: AlgorithmHandle | PseudoHandle,
    nHashes: int,
    pbHashObject: Octets | None = None,
    pbSecret: Octets | SymmetricKey | None = None,
    dwFlags: int = 0,
) -> MultiHash:
    """`nHashes` hashes behind one handle, numbered from 0, for BCryptProcessMultiOperations. Each is computed by
    itself: what is saved are calls, not time.

    hAlgorithm: opened with BCRYPT_MULTI_FLAG, or a pseudo-handle. pbHashObject: at least as many bytes as
    MultiObjectLength says. pbSecret, dwFlags: as of BCryptCreateHash.

    Raises as BCryptCreateHash; STATUS_INVALID_PARAMETER for no hashes or more than 65,536.
    """
    handle = _algorithm(hAlgorithm)
    count, wanted = number(nHashes, "nHashes"), number(dwFlags, "dwFlags")
    return multi_hash.create(handle, count, pbHashObject, _hash_secret(pbSecret), wanted)


def BCryptProcessMultiOperations(
    hObject: MultiHash, operationType: int, pOperations: Sequence[BCRYPT_MULTI_HASH_OPERATION], dwFlags: int = 0
) -> list[bytes]:
    """Feeds and finishes hashes of a multi-hash object in the order of `pOperations`; the digests of the operations
    that finish a hash, which their pbBuffer receives as well.

    operationType: BCRYPT_OPERATION_TYPE_HASH. Nothing is done where one of the operations is wrong.

    Raises STATUS_INVALID_HANDLE, also for a hash that is finished, STATUS_INVALID_PARAMETER.
    """
    handle = _alive(hObject, MultiHash, "hObject")
    if number(operationType, "operationType") != constants.BCRYPT_OPERATION_TYPE_HASH:
        raise invalid_parameter(f"operationType is BCRYPT_OPERATION_TYPE_HASH, not {told(operationType)}")
    flags(dwFlags)
    if not isinstance(pOperations, (list, tuple)):
        raise invalid_parameter(f"pOperations is a list, not {type(pOperations).__name__}")
    return handle.process(pOperations)


def BCryptEnumProviders(pszAlgId: str, dwFlags: int = 0) -> list[BCRYPT_PROVIDER_NAME]:
    """The providers that have an algorithm: names that BCryptOpenAlgorithmProvider takes as pszImplementation. Every
    configured token is opened for it; one that does not open has nothing.

    Raises STATUS_NOT_FOUND for an unknown algorithm and where no provider has it, STATUS_INVALID_PARAMETER.
    """
    name = string(pszAlgId, "pszAlgId")
    flags(dwFlags)
    algorithm = ALGORITHMS.get(name)
    found = [] if algorithm is None else list(registrations.providers_of(algorithm))
    if not found:
        raise CngError(NTSTATUS.STATUS_NOT_FOUND, f"no provider has an algorithm {told(name)}")
    return [BCRYPT_PROVIDER_NAME(provider) for provider in found]


def BCryptEnumRegisteredProviders() -> list[str]:
    """The names that pszImplementation may be, beside URIs. No token is opened."""
    return registrations.provider_names()


def BCryptResolveProviders(
    pszContext: str | None,
    dwInterface: int,
    pszFunction: str | None,
    pszProvider: str | None,
    dwMode: int,
    dwFlags: int = 0,
) -> list[CRYPT_PROVIDER_REF]:
    """Which providers have which algorithms, in the order in which they would be taken.

    pszContext: None, there is one context. dwInterface: a BCRYPT_ class, 0 for any. pszFunction, pszProvider: the names
    of an algorithm and of a provider, None for any. dwMode: CRYPT_UM, CRYPT_MM or CRYPT_ANY; there is no kernel mode.
    dwFlags: CRYPT_ALL_FUNCTIONS and CRYPT_ALL_PROVIDERS for more than the first one.

    Raises STATUS_NOT_FOUND where there is none, STATUS_INVALID_PARAMETER.
    """
    if pszContext is not None:
        raise CngError(NTSTATUS.STATUS_NOT_FOUND, f"there is no context {told(string(pszContext, 'pszContext'))}")
    interface, mode = number(dwInterface, "dwInterface"), number(dwMode, "dwMode")
    function = None if pszFunction is None else string(pszFunction, "pszFunction")
    provider = None if pszProvider is None else string(pszProvider, "pszProvider")
    wanted = flags(dwFlags, constants.CRYPT_ALL_FUNCTIONS | constants.CRYPT_ALL_PROVIDERS)
    if not constants.CRYPT_UM <= mode <= constants.CRYPT_ANY:
        raise invalid_parameter(f"dwMode {mode} is no mode")
    found = (
        []
        if mode == constants.CRYPT_KM
        else registrations.resolved(
            interface,
            function,
            provider,
            all_functions=bool(wanted & constants.CRYPT_ALL_FUNCTIONS),
            all_providers=bool(wanted & constants.CRYPT_ALL_PROVIDERS),
        )
    )
    if not found:
        raise CngError(NTSTATUS.STATUS_NOT_FOUND, "no provider has such an algorithm")
    return found


def BCryptGetFipsAlgorithmMode() -> bool:
    """Whether this host is in FIPS mode: what HWCNG_FIPS says ("1" or "0"), else what the kernel says. hwcng does the
    same in both.
    """
    return registrations.fips_mode()


def BCryptFreeBuffer(pvBuffer: object) -> None:
    """Does nothing: what the functions return frees itself."""


def BCRYPT_SUCCESS(Status: int) -> bool:
    """Whether an NTSTATUS says success. The functions here raise every other."""
    return not number(Status, "Status") >> 31


__all__ = [
    "BCRYPT_ALGORITHM_IDENTIFIER",
    "BCRYPT_SUCCESS",
    "BCryptCreateMultiHash",
    "BCryptProcessMultiOperations",
    "BCryptEnumProviders",
    "BCryptEnumRegisteredProviders",
    "BCryptResolveProviders",
    "BCryptGetFipsAlgorithmMode",
    "BCryptFreeBuffer",
    "BCryptOpenAlgorithmProvider",
    "BCryptCloseAlgorithmProvider",
    "BCryptEnumAlgorithms",
    "BCryptGetProperty",
    "BCryptSetProperty",
    "BCryptGenerateSymmetricKey",
    "BCryptGenerateKeyPair",
    "BCryptFinalizeKeyPair",
    "BCryptDuplicateKey",
    "BCryptImportKey",
    "BCryptImportKeyPair",
    "BCryptExportKey",
    "BCryptDestroyKey",
    "BCryptEncrypt",
    "BCryptDecrypt",
    "BCryptSignHash",
    "BCryptVerifySignature",
    "BCryptSecretAgreement",
    "BCryptDeriveKey",
    "BCryptKeyDerivation",
    "BCryptDeriveKeyPBKDF2",
    "BCryptDeriveKeyCapi",
    "BCryptDestroySecret",
    "BCryptEncapsulate",
    "BCryptDecapsulate",
    "BCryptGenRandom",
    "BCryptCreateHash",
    "BCryptHashData",
    "BCryptFinishHash",
    "BCryptDuplicateHash",
    "BCryptDestroyHash",
    "BCryptHash",
]
__all__ += constants.__all__
__all__ += records.__all__
__all__ += status_codes.__all__
