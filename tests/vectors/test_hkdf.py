"""HKDF (RFC 5869) with the input key in the token, and the pseudorandom key too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from vectors.wycheproof import File, Group, NotRun, Token, Vector, check_executed, check_group, groups, refused

from hwcng import bcrypt
from hwcng.contract.provider import Provider
from hwcng.contract.usage import Support


def hkdf(hash_name: str) -> Callable[[Provider, Group], object]:
    @contextmanager
    def check(provider: Provider, group: Group) -> Iterator[Callable[[Vector], None]]:
        algorithm = bcrypt.BCryptOpenAlgorithmProvider(bcrypt.BCRYPT_HKDF_ALGORITHM, provider)

        def run(vector: Vector) -> None:
            with bcrypt.BCryptGenerateSymmetricKey(algorithm, None, vector["ikm"]) as key:
                bcrypt.BCryptSetProperty(key, bcrypt.BCRYPT_HKDF_HASH_ALGORITHM, hash_name)
                bcrypt.BCryptSetProperty(key, bcrypt.BCRYPT_HKDF_SALT_AND_FINALIZE, vector["salt"])
                arguments = key, [(bcrypt.KDF_HKDF_INFO, vector["info"])], vector.count("size")
                if vector.invalid:
                    refused(bcrypt.STATUS_INVALID_PARAMETER, bcrypt.BCryptKeyDerivation, *arguments)
                elif provider.offers("HKDF", "KEY") is Support.REFUSED:
                    refused(bcrypt.STATUS_NOT_SUPPORTED, bcrypt.BCryptKeyDerivation, *arguments)
                    raise NotRun("HKDF whose pseudorandom key stays in the token")
                else:
                    assert bcrypt.BCryptKeyDerivation(*arguments) == vector["okm"]

        with algorithm:
            yield run

    return check


FILES = [File("hkdf_sha256", hkdf("SHA256"), executed=86)]


@pytest.mark.parametrize("group", groups(FILES))
def test_group(request: pytest.FixtureRequest, token: Token, group: tuple[File, int]) -> None:
    check_group(request, token, group)


@pytest.mark.parametrize("token", ["NSS"], indirect=True)
@pytest.mark.parametrize("file", FILES, ids=str)
def test_executed(token: Token, file: File) -> None:
    check_executed(token, file)
