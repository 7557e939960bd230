"""Hash objects, keyed and unkeyed, one and many (bcrypt.h)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from hwcng.arguments import Octets, flags, number, octets, optional_octets
from hwcng.cng import hashing, multi_hash
from hwcng.cng.algorithm_handle import AlgorithmHandle
from hwcng.cng.handles import no_handle, told_handle
from hwcng.cng.keys import HashObject, SymmetricKey
from hwcng.cng.multi_hash import MultiHash
from hwcng.errors import invalid_handle, invalid_parameter, not_supported, told
from hwcng.faces.bcrypt_handles import algorithm_of, alive_handle
from hwcng.headers import bcrypt_h
from hwcng.headers.bcrypt_h import PseudoHandle
from hwcng.headers.records import BCRYPT_MULTI_HASH_OPERATION

__all__ = [
    "BCryptCreateHash",
    "BCryptHashData",
    "BCryptFinishHash",
    "BCryptDuplicateHash",
    "BCryptDestroyHash",
    "BCryptHash",
    "BCryptCreateMultiHash",
    "BCryptProcessMultiOperations",
]

_HO = TypeVar("_HO", HashObject, MultiHash)


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
    handle = algorithm_of(hAlgorithm)
    if not handle.algorithm.hashes:
        raise not_supported(f"{handle.name} is not a hash")
    return hashing.create(handle, pbHashObject, _hash_secret(pbSecret), dwFlags)


def _hash_secret(secret: object) -> bytes | SymmetricKey | None:
    if isinstance(secret, SymmetricKey):
        return alive_handle(secret, SymmetricKey, "pbSecret")
    return None if no_handle(secret) else octets(secret, "pbSecret")


def BCryptHashData(hHash: HashObject, pbInput: Octets | None, dwFlags: int = 0) -> None:
    """Adds data. Raises STATUS_INVALID_HANDLE, also for a finished hash; STATUS_INVALID_PARAMETER for flags."""
    hash_object = alive_handle(hHash, HashObject, "hHash")
    flags(dwFlags)
    hash_object.update(optional_octets(pbInput, "pbInput"))


def BCryptFinishHash(hHash: HashObject, dwFlags: int = 0) -> bytes:
    """The digest. A reusable object starts again, any other is finished.

    dwFlags: BCRYPT_HASH_DONT_RESET_FLAG leaves a reusable object as it is. Raises STATUS_INVALID_HANDLE for a finished
    hash.
    """
    hash_object = alive_handle(hHash, HashObject, "hHash")
    return hash_object.finish(dont_reset=bool(flags(dwFlags, bcrypt_h.BCRYPT_HASH_DONT_RESET_FLAG)))


def BCryptDuplicateHash(hHash: _HO, pbHashObject: Octets | None = None, dwFlags: int = 0) -> _HO:
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
        handle = algorithm_of(hAlgorithm)
        # One digest under a nonce of its own is no matter of one call.
        if handle.keyed_hash and handle.algorithm.name != "AES-GMAC":
            return hashing.authenticate(handle, alive_handle(pbSecret, SymmetricKey, "pbSecret"), pbInput)
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
    handle = algorithm_of(hAlgorithm)
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
    handle = alive_handle(hObject, MultiHash, "hObject")
    if number(operationType, "operationType") != bcrypt_h.BCRYPT_OPERATION_TYPE_HASH:
        raise invalid_parameter(f"operationType is BCRYPT_OPERATION_TYPE_HASH, not {told(operationType)}")
    flags(dwFlags)
    if not isinstance(pOperations, (list, tuple)):
        raise invalid_parameter(f"pOperations is a list, not {type(pOperations).__name__}")
    return handle.process(pOperations)
