"""AES-GCM, AES-CCM and AES-CBC with block padding, both ways in the token."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from vectors.wycheproof import (
    Check,
    File,
    Group,
    NotRun,
    Token,
    Vector,
    check_executed,
    check_group,
    groups,
    refused,
)

from hwcng import bcrypt
from hwcng.contract.provider import Provider

GCM_NONCE_LENGTH = 12
BLOCK = 16
BAD_SIZE = frozenset({"InvalidNonceSize", "ZeroLengthIv", "InvalidTagSize", "InsecureTagSize"})


def record(vector: Vector, group: Group, tag: bytes | None) -> bcrypt.BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO:
    return bcrypt.BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(
        vector["iv"], vector["aad"], pbTag=tag, cbTag=group["tagSize"] // 8
    )


def aead(chaining_mode: str) -> Check:
    @contextmanager
    def check(provider: Provider, group: Group) -> Iterator[Callable[[Vector], None]]:
        algorithm = bcrypt.BCryptOpenAlgorithmProvider(bcrypt.BCRYPT_AES_ALGORITHM, provider)
        bcrypt.BCryptSetProperty(algorithm, bcrypt.BCRYPT_CHAINING_MODE, chaining_mode)

        def run(vector: Vector) -> None:
            sealing, opening = record(vector, group, None), record(vector, group, vector["tag"])
            with bcrypt.BCryptGenerateSymmetricKey(algorithm, None, vector["key"]) as key:
                encrypt = bcrypt.BCryptEncrypt, key, vector["msg"], sealing
                decrypt = bcrypt.BCryptDecrypt, key, vector["ct"], opening
                gcm = chaining_mode == bcrypt.BCRYPT_CHAIN_MODE_GCM
                other_nonce = gcm and len(vector["iv"]) != GCM_NONCE_LENGTH
                if other_nonce or vector.flags & BAD_SIZE:
                    refused(bcrypt.STATUS_INVALID_PARAMETER, *encrypt)
                    refused(bcrypt.STATUS_INVALID_PARAMETER, *decrypt)
                    if not vector.flags & BAD_SIZE:
                        raise NotRun("nonces of other than 96 bits")
                elif vector.invalid:
                    refused(bcrypt.STATUS_AUTH_TAG_MISMATCH, *decrypt)
                    bcrypt.BCryptEncrypt(key, vector["msg"], sealing)
                    assert sealing.pbTag != vector["tag"]
                else:
                    assert bcrypt.BCryptEncrypt(key, vector["msg"], sealing) == vector["ct"]
                    assert sealing.pbTag == vector["tag"]
                    assert bcrypt.BCryptDecrypt(key, vector["ct"], opening) == vector["msg"]

        with algorithm:
            yield run

    return check


@contextmanager
def cbc_pkcs5(provider: Provider, group: Group) -> Iterator[Callable[[Vector], None]]:
    algorithm = bcrypt.BCryptOpenAlgorithmProvider(bcrypt.BCRYPT_AES_ALGORITHM, provider)
    padding = bcrypt.BCRYPT_BLOCK_PADDING

    def run(vector: Vector) -> None:
        with bcrypt.BCryptGenerateSymmetricKey(algorithm, None, vector["key"]) as key:
            decrypt = bcrypt.BCryptDecrypt, key, vector["ct"], None, vector["iv"], padding
            if vector.invalid:
                whole_blocks = len(vector["ct"]) % BLOCK == 0
                refused(bcrypt.STATUS_DATA_ERROR if whole_blocks else bcrypt.STATUS_INVALID_BUFFER_SIZE, *decrypt)
            else:
                assert bcrypt.BCryptEncrypt(key, vector["msg"], None, vector["iv"], padding) == vector["ct"]
                assert bcrypt.BCryptDecrypt(*decrypt[1:]) == vector["msg"]

    with algorithm:
        yield run


FILES = [
    File("aes_gcm", aead(bcrypt.BCRYPT_CHAIN_MODE_GCM), executed=203),
    File("aes_ccm", aead(bcrypt.BCRYPT_CHAIN_MODE_CCM), executed=552),
    File("aes_cbc_pkcs5", cbc_pkcs5, executed=216),
]


@pytest.mark.parametrize("group", groups(FILES))
def test_group(request: pytest.FixtureRequest, token: Token, group: tuple[File, int]) -> None:
    check_group(request, token, group)


@pytest.mark.parametrize("token", ["SoftHSM"], indirect=True)
@pytest.mark.parametrize("file", FILES, ids=str)
def test_executed(token: Token, file: File) -> None:
    check_executed(token, file)
