"""AES-CMAC, AES-GMAC and HMAC with the key in the token."""

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

GMAC_NONCE_LENGTH = 12


def mac(name: str, flags: int = 0) -> Check:
    @contextmanager
    def check(provider: Provider, group: Group) -> Iterator[Callable[[Vector], None]]:
        algorithm = bcrypt.BCryptOpenAlgorithmProvider(name, provider, flags)

        def run(vector: Vector) -> None:
            if "InvalidKeySize" in vector.flags:
                refused(bcrypt.STATUS_INVALID_PARAMETER, bcrypt.BCryptCreateHash, algorithm, None, vector["key"])
                return
            with bcrypt.BCryptCreateHash(algorithm, None, vector["key"]) as running:
                if name == bcrypt.BCRYPT_AES_GMAC_ALGORITHM:
                    set_nonce = bcrypt.BCryptSetProperty, running, bcrypt.BCRYPT_INITIALIZATION_VECTOR, vector["iv"]
                    if len(vector["iv"]) != GMAC_NONCE_LENGTH:
                        refused(bcrypt.STATUS_INVALID_PARAMETER, *set_nonce)
                        raise NotRun("nonces of other than 96 bits")
                    bcrypt.BCryptSetProperty(*set_nonce[1:])
                bcrypt.BCryptHashData(running, vector["msg"])
                tag = bcrypt.BCryptFinishHash(running)[: group["tagSize"] // 8]
            assert (tag == vector["tag"]) is not vector.invalid

        with algorithm:
            yield run

    return check


def hmac(name: str) -> Check:
    return mac(name, bcrypt.BCRYPT_ALG_HANDLE_HMAC_FLAG)


FILES = [
    File("aes_cmac", mac(bcrypt.BCRYPT_AES_CMAC_ALGORITHM), executed=311),
    File("aes_gmac", mac(bcrypt.BCRYPT_AES_GMAC_ALGORITHM), executed=207),
    File("hmac_sha1", hmac(bcrypt.BCRYPT_SHA1_ALGORITHM), executed=170),
    File("hmac_sha256", hmac(bcrypt.BCRYPT_SHA256_ALGORITHM), executed=174),
    File("hmac_sha384", hmac(bcrypt.BCRYPT_SHA384_ALGORITHM), executed=174),
    File("hmac_sha512", hmac(bcrypt.BCRYPT_SHA512_ALGORITHM), executed=174),
]


@pytest.mark.parametrize("group", groups(FILES))
def test_group(request: pytest.FixtureRequest, token: Token, group: tuple[File, int]) -> None:
    check_group(request, token, group)


@pytest.mark.parametrize("token", ["SoftHSM"], indirect=True)
@pytest.mark.parametrize("file", FILES, ids=str)
def test_executed(token: Token, file: File) -> None:
    check_executed(token, file)
