"""ML-KEM-768: decapsulation in the token by keys that are imported as seeds and expanded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from conformance.lattice_keys import blob, expanded
from vectors.wycheproof import File, Group, NotRun, Token, Vector, check_executed, check_group, groups, load, refused

from hwcng import bcrypt
from hwcng.contract.provider import Provider

SET = bcrypt.BCRYPT_MLKEM_PARAMETER_SET_768
SEED_SIZE, CIPHERTEXT_SIZE = 64, 1088


def _decapsulates(provider: Provider, blob_type: str, make: Callable[[bytes], bytes]) -> Callable[[Vector], None]:
    """make: the blob of a seed."""

    def run(vector: Vector) -> None:
        with bcrypt.BCryptOpenAlgorithmProvider(bcrypt.BCRYPT_MLKEM_ALGORITHM, provider) as algorithm:
            import_key = bcrypt.BCryptImportKeyPair, algorithm, None, blob_type, make(vector["seed"])
            if len(vector["seed"]) != SEED_SIZE:
                assert vector.invalid
                refused(bcrypt.STATUS_INVALID_PARAMETER, *import_key)
                return
            with bcrypt.BCryptImportKeyPair(*import_key[1:]) as pair:
                if vector.invalid:
                    assert len(vector["c"]) != CIPHERTEXT_SIZE
                    refused(bcrypt.STATUS_INVALID_BUFFER_SIZE, bcrypt.BCryptDecapsulate, pair, vector["c"])
                    return
                public = bcrypt.BCryptExportKey(pair, None, bcrypt.BCRYPT_MLKEM_PUBLIC_BLOB)
                assert public == blob(b"MLKP", SET, vector["ek"])
                assert bcrypt.BCryptDecapsulate(pair, vector["c"]) == vector["K"]

    return run


@contextmanager
def seeds(provider: Provider, _group: Group) -> Iterator[Callable[[Vector], None]]:
    yield _decapsulates(provider, bcrypt.BCRYPT_MLKEM_PRIVATE_SEED_BLOB, lambda seed: blob(b"MLKS", SET, seed))


@contextmanager
def expanded_keys(provider: Provider, _group: Group) -> Iterator[Callable[[Vector], None]]:
    def make(seed: bytes) -> bytes:
        if len(seed) != SEED_SIZE:
            raise NotRun("no expanded key comes of a seed of wrong length")
        return blob(b"MLKR", SET, expanded(provider, "ML-KEM", SET, seed))

    yield _decapsulates(provider, bcrypt.BCRYPT_MLKEM_PRIVATE_BLOB, make)


FILES = [File("mlkem_768", seeds, executed=193)]


@pytest.mark.parametrize("group", groups(FILES))
def test_group(request: pytest.FixtureRequest, lattice_token: Token, group: tuple[File, int]) -> None:
    check_group(request, lattice_token, group)


@pytest.mark.parametrize("file", FILES, ids=str)
def test_executed(lattice_token: Token, file: File) -> None:
    check_executed(lattice_token, file)


def test_the_same_vectors_with_expanded_keys(request: pytest.FixtureRequest, nss_current_provider: Provider) -> None:
    token = Token("current NSS, expanded keys", nss_current_provider)
    file = File("mlkem_768", expanded_keys, executed=173)
    for position in range(len(load(file.name)["testGroups"])):
        check_group(request, token, (file, position))
    check_executed(token, file)
