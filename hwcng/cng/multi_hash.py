"""Several hashes of one algorithm behind one handle (BCryptCreateMultiHash, BCryptProcessMultiOperations)."""

from __future__ import annotations

from collections.abc import Sequence

from hwcng.arguments import Octets, holding, number, octets
from hwcng.cng import hashing
from hwcng.cng.algorithm_handle import AlgorithmHandle
from hwcng.cng.handles import Handle
from hwcng.cng.hashing import HashObject
from hwcng.cng.symmetric_key import SymmetricKey
from hwcng.errors import CngError, invalid_handle, invalid_parameter, not_supported
from hwcng.headers.bcrypt_h import BCRYPT_HASH_OPERATION_FINISH_HASH, BCRYPT_HASH_OPERATION_HASH_DATA
from hwcng.headers.records import BCRYPT_MULTI_HASH_OPERATION, BCRYPT_MULTI_OBJECT_LENGTH_STRUCT

__all__ = ["MultiHash", "create", "object_lengths"]

MOST_HASHES = 1 << 16
_PER_OBJECT = 64


def object_lengths(handle: AlgorithmHandle) -> BCRYPT_MULTI_OBJECT_LENGTH_STRUCT | None:
    """MultiObjectLength of an algorithm that was opened with BCRYPT_MULTI_FLAG."""
    length = handle.algorithm.object_length
    return BCRYPT_MULTI_OBJECT_LENGTH_STRUCT(_PER_OBJECT, length) if handle.multiple and length else None


class MultiHash(Handle):
    """Hashes that are fed by their numbers. One thread at a time."""

    called = "a multi-hash object"

    def __init__(self, handle: AlgorithmHandle, hashes: Sequence[HashObject], held: memoryview | None) -> None:
        super().__init__()
        self.algorithm_handle = handle
        self.algorithm = handle.algorithm
        self.hashes = hashes
        self._held = held

    def __repr__(self) -> str:
        return f"<MultiHash {len(self.hashes)} of {self.algorithm_handle.name}{'' if self.alive else ' destroyed'}>"

    def process(self, operations: Sequence[BCRYPT_MULTI_HASH_OPERATION]) -> list[bytes]:
        """The digests of the operations that finish a hash, in their order. All are checked before any is done."""
        steps = [self._step(operation) for operation in operations]
        digests = []
        for operation, (running, data) in zip(operations, steps, strict=True):
            if data is not None:
                running.update(data)
                continue
            digest = running.finish()
            _hand_over(operation, digest)
            digests.append(digest)
        return digests

    def _step(self, operation: BCRYPT_MULTI_HASH_OPERATION) -> tuple[HashObject, bytes | None]:
        """The hash, and the data that it takes, None where it is finished."""
        if not isinstance(operation, BCRYPT_MULTI_HASH_OPERATION):
            raise invalid_parameter(
                f"pOperations are BCRYPT_MULTI_HASH_OPERATIONs, one is of type {type(operation).__name__}"
            )
        running = self.hashes[number(operation.iHash, "iHash", largest=len(self.hashes) - 1)]
        if running.finished:
            raise invalid_handle(f"hash {operation.iHash} is finished")
        kind = number(operation.hashOperation, "hashOperation")
        if kind == BCRYPT_HASH_OPERATION_FINISH_HASH:
            _check_room(operation, running.digest_length)
            return running, None
        if kind != BCRYPT_HASH_OPERATION_HASH_DATA:
            raise invalid_parameter(f"hashOperation {kind} is neither HASH_DATA nor FINISH_HASH")
        data = b"" if operation.pbBuffer is None else octets(operation.pbBuffer, "pbBuffer")
        if operation.cbBuffer is None:
            return running, data
        return running, data[: number(operation.cbBuffer, "cbBuffer", largest=len(data))]

    def duplicate(self, hash_object: Octets | None = None) -> MultiHash:
        """BCryptDuplicateHash."""
        with holding(hash_object, _object_length(self.algorithm_handle, len(self.hashes)), "pbHashObject") as held:
            return MultiHash(self.algorithm_handle, [running.duplicate() for running in self.hashes], held)

    def destroy(self) -> None:
        if self.alive:
            super().destroy()
            for running in self.hashes:
                running.destroy()
            if self._held is not None:
                self._held.release()


def _check_room(operation: BCRYPT_MULTI_HASH_OPERATION, length: int) -> None:
    if operation.pbBuffer is None:
        return
    octets(operation.pbBuffer, "pbBuffer")
    view = memoryview(operation.pbBuffer)
    room = view.nbytes if operation.cbBuffer is None else number(operation.cbBuffer, "cbBuffer", largest=view.nbytes)
    if view.readonly or not view.c_contiguous or room != length:
        raise invalid_parameter(f"pbBuffer of a digest is a writable buffer of {length} bytes")


def _hand_over(operation: BCRYPT_MULTI_HASH_OPERATION, digest: bytes) -> None:
    if operation.pbBuffer is None:
        operation.pbBuffer = digest
    else:
        memoryview(operation.pbBuffer).cast("B")[: len(digest)] = digest


def _object_length(handle: AlgorithmHandle, count: int) -> int:
    return _PER_OBJECT + count * (handle.algorithm.object_length or 0)


def create(
    handle: AlgorithmHandle, count: int, hash_object: Octets | None, secret: bytes | SymmetricKey | None, flags: int
) -> MultiHash:
    """BCryptCreateMultiHash. secret: the key of all the hashes, where they are keyed.

    Raises STATUS_NOT_SUPPORTED for an algorithm that is no hash, STATUS_INVALID_PARAMETER for no hashes or more than
    65,536.
    """
    if not handle.algorithm.hashes:
        raise not_supported(f"{handle.name} is not a hash")
    if not 0 < count <= MOST_HASHES:
        raise invalid_parameter(f"nHashes is 1 to {MOST_HASHES}, not {count}")
    with holding(hash_object, _object_length(handle, count), "pbHashObject") as held:
        made = [hashing.create(handle, None, secret, flags)]
        try:
            made.extend(made[0].duplicate() for _ in range(count - 1))
        except CngError:
            for running in made:
                running.destroy()
            raise
        return MultiHash(handle, made, held)
