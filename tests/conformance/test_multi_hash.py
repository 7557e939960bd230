"""BCryptCreateMultiHash and BCryptProcessMultiOperations."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import pytest
from conformance.helpers import refused

from hwcng.bcrypt import (
    BCRYPT_ALG_HANDLE_HMAC_FLAG,
    BCRYPT_HASH_OPERATION_FINISH_HASH,
    BCRYPT_HASH_OPERATION_HASH_DATA,
    BCRYPT_HASH_REUSABLE_FLAG,
    BCRYPT_MULTI_FLAG,
    BCRYPT_MULTI_HASH_OPERATION,
    BCRYPT_MULTI_OBJECT_LENGTH,
    BCRYPT_OPERATION_TYPE_HASH,
    BCRYPT_SHA256_ALG_HANDLE,
    BCryptCreateHash,
    BCryptCreateMultiHash,
    BCryptDestroyHash,
    BCryptDuplicateHash,
    BCryptFinishHash,
    BCryptGetProperty,
    BCryptHashData,
    BCryptOpenAlgorithmProvider,
    BCryptProcessMultiOperations,
)
from hwcng.errors import NTSTATUS

HASH, FINISH = BCRYPT_HASH_OPERATION_HASH_DATA, BCRYPT_HASH_OPERATION_FINISH_HASH


def step(*fields: Any) -> BCRYPT_MULTI_HASH_OPERATION:
    return BCRYPT_MULTI_HASH_OPERATION(*fields)


def processed(handle: Any, *steps: Any) -> list[bytes]:
    return BCryptProcessMultiOperations(handle, BCRYPT_OPERATION_TYPE_HASH, [step(*fields) for fields in steps])


@pytest.fixture
def multiple(provider: Any) -> Any:
    return BCryptOpenAlgorithmProvider("SHA256", provider, BCRYPT_MULTI_FLAG)


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def test_each_hash_has_its_own_data(multiple: Any) -> None:
    handle = BCryptCreateMultiHash(multiple, 3)
    assert processed(handle, (0, HASH, b"a"), (2, HASH, bytearray(b"long data"), 4), (0, HASH, b"b")) == []
    copy = BCryptDuplicateHash(handle)
    buffer = bytearray(32)
    ending = [step(2, FINISH, buffer, 32), step(0, FINISH), step(1, FINISH)]
    right = [sha256(b"long"), sha256(b"ab"), sha256(b"")]
    assert BCryptProcessMultiOperations(handle, BCRYPT_OPERATION_TYPE_HASH, ending) == right
    assert [bytes(buffer), ending[1].pbBuffer, ending[2].pbBuffer] == right
    with refused(NTSTATUS.STATUS_INVALID_HANDLE):
        processed(handle, (0, HASH, b"more"))
    assert processed(copy, (1, HASH, b"c"), (1, FINISH)) == [sha256(b"c")]
    BCryptDestroyHash(handle)
    assert processed(copy, (0, FINISH)) == [sha256(b"ab")]
    for function in (BCryptDestroyHash,):
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            function(handle)


def test_reusable_hashes_begin_again(multiple: Any) -> None:
    handle = BCryptCreateMultiHash(multiple, 2, None, None, BCRYPT_HASH_REUSABLE_FLAG)
    for _ in range(2):
        assert processed(handle, (1, HASH, b"x"), (1, FINISH), (1, HASH, b"y"), (1, FINISH)) == [
            sha256(b"x"),
            sha256(b"y"),
        ]


@pytest.mark.requires("HMAC-SHA256")
def test_keyed_hashes_share_a_key(provider: Any) -> None:
    algorithm = BCryptOpenAlgorithmProvider("SHA256", provider, BCRYPT_ALG_HANDLE_HMAC_FLAG | BCRYPT_MULTI_FLAG)
    with BCryptCreateMultiHash(algorithm, 2, None, b"the key of both" * 3) as handle:
        right = [hmac.digest(b"the key of both" * 3, data, "sha256") for data in (b"one", b"two")]
        assert processed(handle, (0, HASH, b"one"), (1, HASH, b"two"), (0, FINISH), (1, FINISH)) == right


@pytest.mark.row("3.2 MultiObjectLength")
def test_the_length_of_the_object(multiple: Any, provider: Any) -> None:
    lengths = BCryptGetProperty(multiple, BCRYPT_MULTI_OBJECT_LENGTH)
    assert lengths.cbPerObject > 0 and lengths.cbPerElement > 0
    size = lengths.cbPerObject + 5 * lengths.cbPerElement
    held = bytearray(size)
    with BCryptCreateMultiHash(multiple, 5, held), pytest.raises(BufferError):
        held.append(0)
    held.append(0)
    with refused(NTSTATUS.STATUS_BUFFER_TOO_SMALL):
        BCryptCreateMultiHash(multiple, 5, bytearray(size - 1))
    with refused(NTSTATUS.STATUS_NOT_SUPPORTED):
        BCryptGetProperty(BCryptOpenAlgorithmProvider("SHA256", provider), BCRYPT_MULTI_OBJECT_LENGTH)


@pytest.mark.parametrize(
    "wrong",
    [
        (2, HASH, b"no such hash"),
        (-1, HASH, b""),
        (0, 3, b""),
        (0, HASH, b"four", 5),
        (0, HASH, "text"),
        (0, FINISH, bytes(32)),
        (0, FINISH, bytearray(31)),
        (0, FINISH, bytearray(33)),
        (0, FINISH, bytearray(33), 31),
        (0, FINISH, "text"),
    ],
)
def test_one_wrong_operation_and_nothing_is_done(multiple: Any, wrong: tuple[Any, ...]) -> None:
    handle = BCryptCreateMultiHash(multiple, 2)
    with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
        processed(handle, (0, HASH, b"data"), wrong)
    assert processed(handle, (0, FINISH)) == [sha256(b"")]


def test_parameters_that_are_wrong(multiple: Any, provider: Any) -> None:
    handle = BCryptCreateMultiHash(multiple, 1)
    for arguments in ((2, []), (1, b""), (1, [b""]), (1, None), (1, [], 1)):
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            BCryptProcessMultiOperations(handle, *arguments)
    for other in (None, 0, multiple, BCryptCreateHash(multiple)):
        with refused(NTSTATUS.STATUS_INVALID_HANDLE):
            BCryptProcessMultiOperations(other, 1, [])
    for count in (0, -1, 1 << 17, "1", None):
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            BCryptCreateMultiHash(multiple, count)  # type: ignore[arg-type]
    with BCryptCreateMultiHash(BCRYPT_SHA256_ALG_HANDLE, 1) as of_pseudo_handle:
        assert processed(of_pseudo_handle, (0, FINISH)) == [sha256(b"")]
    with refused(NTSTATUS.STATUS_NOT_SUPPORTED):
        BCryptCreateMultiHash(BCryptOpenAlgorithmProvider("AES", provider), 1)
    for function in (lambda: BCryptHashData(handle, b""), lambda: BCryptFinishHash(handle)):  # type: ignore[arg-type]
        with refused(NTSTATUS.STATUS_INVALID_HANDLE):
            function()
    for name in ("AES", "RSA", "RNG"):
        with refused(NTSTATUS.STATUS_NOT_SUPPORTED):
            BCryptOpenAlgorithmProvider(name, provider, BCRYPT_MULTI_FLAG)
