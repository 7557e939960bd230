"""Symmetric keys and key pairs: made, taken in and out, and used (bcrypt.h)."""

from __future__ import annotations

from hwcng.arguments import Octets, flags, message, number, octets, optional_octets, string
from hwcng.cng import cipher_keys, derivation_key, new_pairs
from hwcng.cng.algorithm_handle import AlgorithmHandle
from hwcng.cng.handles import NoHandle, no_handle
from hwcng.cng.keys import KeyPair, SymmetricKey
from hwcng.errors import invalid_handle, invalid_parameter, not_supported, told
from hwcng.faces.bcrypt_handles import BCRYPT_KEY_HANDLE, algorithm_of, alive_handle, any_key
from hwcng.headers import bcrypt_h
from hwcng.headers.bcrypt_h import PseudoHandle

__all__ = [
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
]

_IMPORT_VALIDATIONS = (
    0,
    bcrypt_h.BCRYPT_NO_KEY_VALIDATION,
    bcrypt_h.BCRYPT_KEY_VALIDATION_RANGE,
    bcrypt_h.BCRYPT_KEY_VALIDATION_RANGE_AND_ORDER,
)

_FINALIZE_VALIDATIONS = (
    0,
    bcrypt_h.BCRYPT_KEY_VALIDATION_RANGE,
    bcrypt_h.BCRYPT_KEY_VALIDATION_RANGE_AND_ORDER,
    bcrypt_h.BCRYPT_KEY_VALIDATION_REGENERATE,
)


def _validation(value: object, known: tuple[int, ...]) -> int:
    if type(value) is int and not value:
        return 0
    plain = number(value, "dwFlags")
    if plain not in known:
        raise invalid_parameter(f"dwFlags {told(plain)} is not a validation")
    return plain


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
    handle = algorithm_of(hAlgorithm)
    _require_symmetric(handle)
    secret = octets(pbSecret, "pbSecret")
    flags(dwFlags)
    if handle.algorithm.derives:
        return derivation_key.import_secret(handle, secret, pbKeyObject)
    return cipher_keys.import_secret(handle, secret, pbKeyObject)


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
    handle = algorithm_of(hAlgorithm)
    if not handle.algorithm.asymmetric:
        raise not_supported(f"{handle.name} does not use key pairs")
    return new_pairs.create(handle, number(dwLength, "dwLength"), number(dwFlags, "dwFlags"))


def BCryptFinalizeKeyPair(hKey: BCRYPT_KEY_HANDLE, dwFlags: int = 0) -> None:
    """Has the token make the pair. A failure leaves it empty.

    DH without DHParameters is in a well-known group. DSA without DSAParameters first makes parameters on the host,
    which takes seconds from 2048 bits on; those of one pair, read and set, serve any number.

    dwFlags: 0 or a BCRYPT_KEY_VALIDATION_ value: a token validates what it makes in any case.

    Raises STATUS_INVALID_HANDLE for anything but an empty pair, STATUS_INVALID_PARAMETER where a curve or a parameter
    set is missing or PrivKeyVal or the domain parameters do not fit, STATUS_NOT_SUPPORTED where the token does not make
    such keys.
    """
    pair = alive_handle(hKey, KeyPair, "hKey")
    if pair.finalized:
        raise invalid_handle("the key pair is finalized")
    _validation(dwFlags, _FINALIZE_VALIDATIONS)
    pair.finalize()


def BCryptDuplicateKey(hKey: BCRYPT_KEY_HANDLE, pbKeyObject: Octets | None = None, dwFlags: int = 0) -> SymmetricKey:
    """An independent symmetric key of the same value: own chaining mode, own IV (as it stands now), own life.

    Raises STATUS_INVALID_HANDLE for anything but a symmetric key, key pairs too; STATUS_BUFFER_TOO_SMALL (pbKeyObject),
    STATUS_INVALID_PARAMETER for flags.
    """
    key = alive_handle(hKey, SymmetricKey, "hKey")
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

    pszBlobType: BCRYPT_KEY_DATA_BLOB; BCRYPT_AES_WRAP_KEY_BLOB and `hwcng.AES_KWP_KEY_BLOB` (RFC 5649), undone inside
    the token with the AES key hImportKey of the same provider; BCRYPT_PKCS11_RSA_AES_WRAP_KEY_BLOB, likewise with an
    RSA pair; BCRYPT_OPAQUE_KEY_BLOB of this very token. hImportKey is ignored for the other two.

    Raises STATUS_INVALID_HANDLE, STATUS_NOT_SUPPORTED for another blob type, STATUS_BUFFER_TOO_SMALL for a blob shorter
    than its header or a key object that is too small, STATUS_INVALID_PARAMETER for everything else that is wrong.
    """
    handle = algorithm_of(hAlgorithm)
    blob_type, blob = string(pszBlobType, "pszBlobType"), octets(pbInput, "pbInput")
    _require_symmetric(handle)
    flags(dwFlags)
    if handle.algorithm.derives:
        return derivation_key.import_blob(handle, blob_type, blob, pbKeyObject)
    return cipher_keys.import_blob(handle, hImportKey, blob_type, blob, pbKeyObject)


def BCryptImportKeyPair(
    hAlgorithm: AlgorithmHandle | PseudoHandle,
    hImportKey: BCRYPT_KEY_HANDLE | NoHandle,
    pszBlobType: str,
    pbInput: Octets,
    dwFlags: int = 0,
) -> KeyPair:
    """A public key, or a key pair whose private half goes into the token; finalized at once.

    hImportKey unwraps a private key that comes wrapped, inside the token, and is of the same provider: an RSA pair of
    BCRYPT_PKCS11_RSA_AES_WRAP_KEY_BLOB, an AES key of `hwcng.AES_KWP_KEY_BLOB`; what is wrapped is PKCS #8.
    dwFlags: a validation; keys are always checked, because a token must never see a bad one. Blobs of ML-DSA and ML-KEM
    name their parameter set.

    Raises STATUS_INVALID_HANDLE, STATUS_NOT_SUPPORTED for a blob type that the algorithm does not have or an algorithm
    without pairs, NTE_BAD_DATA for an RSA blob of wrong size, STATUS_INVALID_PARAMETER for everything else that is
    wrong.
    """
    handle = algorithm_of(hAlgorithm)
    blob_type, blob = string(pszBlobType, "pszBlobType"), octets(pbInput, "pbInput")
    _validation(dwFlags, _IMPORT_VALIDATIONS)
    return new_pairs.import_blob(handle, blob_type, blob, hImportKey)


def BCryptExportKey(
    hKey: BCRYPT_KEY_HANDLE, hExportKey: BCRYPT_KEY_HANDLE | NoHandle, pszBlobType: str, dwFlags: int = 0
) -> bytes:
    """A blob of a key. Public blobs always; opaque and AES-wrapped ones where the key's "Export Policy" allows it: a
    secret key as BCRYPT_AES_WRAP_KEY_BLOB, a private key in PKCS #8 as `hwcng.AES_KWP_KEY_BLOB`.

    Raises STATUS_NOT_SUPPORTED for every blob that would hold a secret in plaintext, for a type that the key does not
    have and where the policy forbids it; STATUS_INVALID_HANDLE, also before BCryptFinalizeKeyPair;
    STATUS_INVALID_PARAMETER where BCRYPT_AES_WRAP_KEY_BLOB has no AES key hExportKey of the same provider, and for a
    private blob of a public key.
    """
    key = any_key(hKey)
    blob_type = string(pszBlobType, "pszBlobType")
    flags(dwFlags)
    export_key = None if no_handle(hExportKey) else alive_handle(hExportKey, SymmetricKey, "hExportKey")
    return key.export(blob_type, export_key)


def BCryptDestroyKey(hKey: BCRYPT_KEY_HANDLE) -> None:
    """Ends a key. Raises STATUS_INVALID_HANDLE for what is no key and the second time."""
    any_key(hKey).destroy()


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
    key = hKey if type(hKey) is SymmetricKey and hKey.alive else any_key(hKey)
    if isinstance(key, KeyPair):
        return key.encrypt(optional_octets(pbInput, "pbInput"), pPaddingInfo, number(dwFlags, "dwFlags"))
    data = message(pbInput, "pbInput")
    try:
        padding = bool(flags(dwFlags, bcrypt_h.BCRYPT_BLOCK_PADDING))
        return key.encrypt(data, iv=pbIV, padding=padding, auth_info=pPaddingInfo)
    finally:
        if type(data) is memoryview:
            data.release()


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
    key = hKey if type(hKey) is SymmetricKey and hKey.alive else any_key(hKey)
    if isinstance(key, KeyPair):
        return key.decrypt(optional_octets(pbInput, "pbInput"), pPaddingInfo, number(dwFlags, "dwFlags"))
    data = message(pbInput, "pbInput")
    try:
        padding = bool(flags(dwFlags, bcrypt_h.BCRYPT_BLOCK_PADDING))
        return key.decrypt(data, iv=pbIV, padding=padding, auth_info=pPaddingInfo)
    finally:
        if type(data) is memoryview:
            data.release()


def BCryptSignHash(hKey: BCRYPT_KEY_HANDLE, pPaddingInfo: object, pbInput: Octets, dwFlags: int = 0) -> bytes:
    """A signature, made in the token: RSA big-endian of modulus length, ECDSA and DSA r || s, others as their standard
    has it.

    pbInput: the digest, of which ECDSA and DSA take the leftmost bits; for an algorithm that hashes in its own way the
    message itself, save for ML-DSA with BCRYPT_MLDSA_EXTERNAL_MU (64 bytes of mu) and with a hash in the padding info
    (HashML-DSA: that hash's digest), which few tokens do.
    pPaddingInfo: BCRYPT_PKCS1_PADDING_INFO with BCRYPT_PAD_PKCS1 or BCRYPT_PSS_PADDING_INFO with BCRYPT_PAD_PSS for
    RSA; BCRYPT_PQDSA_PADDING_INFO with BCRYPT_PAD_PQDSA, or None for no context, for ML-DSA; None and no flags for
    all others.

    Raises STATUS_INVALID_HANDLE, also for an empty pair; STATUS_NOT_SUPPORTED for a key that does not sign and for an
    unknown hash; STATUS_INVALID_PARAMETER for a public key, a digest of wrong length and wrong padding parameters.
    """
    pair = hKey if type(hKey) is KeyPair and hKey.alive else alive_handle(hKey, KeyPair, "hKey")
    data = octets(pbInput, "pbInput")
    return pair.sign(pPaddingInfo, data, 0 if type(dwFlags) is int and not dwFlags else number(dwFlags, "dwFlags"))


def BCryptVerifySignature(
    hKey: BCRYPT_KEY_HANDLE, pPaddingInfo: object, pbHash: Octets, pbSignature: Octets, dwFlags: int = 0
) -> None:
    """Returns where the signature is good; the host does this, no secret is involved. Parameters as BCryptSignHash.

    dwFlags: BCRYPT_PAD_PKCS1_OPTIONAL_HASH_OID also accepts a PKCS #1 signature without DigestInfo.

    Raises STATUS_INVALID_SIGNATURE, STATUS_INVALID_PARAMETER (an ECDSA or DSA signature of wrong length too),
    STATUS_NOT_SUPPORTED, STATUS_INVALID_HANDLE.
    """
    pair = alive_handle(hKey, KeyPair, "hKey")
    digest, signature = octets(pbHash, "pbHash"), octets(pbSignature, "pbSignature")
    pair.verify(pPaddingInfo, digest, signature, number(dwFlags, "dwFlags"))
