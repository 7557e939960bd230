"""ML-DSA-65: deterministic signatures of the token by keys that come as seeds and expanded, and verification."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from conformance.lattice_keys import blob, expanded
from vectors.wycheproof import File, Group, NotRun, Token, Vector, check_executed, check_group, groups, load, refused

from hwcng import bcrypt
from hwcng.cng.keys import AlgorithmHandle, KeyPair
from hwcng.contract.provider import Provider

SET = bcrypt.BCRYPT_MLDSA_PARAMETER_SET_65
SEED_SIZE, PUBLIC_SIZE = 32, 1952


def padding(vector: Vector) -> bcrypt.BCRYPT_PQDSA_PADDING_INFO:
    return bcrypt.BCRYPT_PQDSA_PADDING_INFO(vector.get("ctx"), deterministic=True)


@contextmanager
def opened(provider: Provider) -> Iterator[AlgorithmHandle]:
    with bcrypt.BCryptOpenAlgorithmProvider(bcrypt.BCRYPT_MLDSA_ALGORITHM, provider) as algorithm:
        yield algorithm


def check_signature(pair: KeyPair, vector: Vector) -> None:
    if "mu" in vector:
        external = bcrypt.BCRYPT_MLDSA_EXTERNAL_MU
        bcrypt.BCryptVerifySignature(pair, None, vector["mu"], vector["sig"], external)
        refused(bcrypt.STATUS_NOT_SUPPORTED, bcrypt.BCryptSignHash, pair, None, vector["mu"], external)
    if "msg" not in vector:
        raise NotRun("signing a message representative (mu): PKCS#11 has no mechanism for it")
    sign = bcrypt.BCryptSignHash, pair, padding(vector), vector["msg"], bcrypt.BCRYPT_PAD_PQDSA
    if vector.invalid:
        refused(bcrypt.STATUS_INVALID_PARAMETER, *sign)
        return
    bcrypt.BCryptVerifySignature(pair, padding(vector), vector["msg"], vector["sig"], bcrypt.BCRYPT_PAD_PQDSA)
    if "rnd" in vector:
        raise NotRun("signing with randomness of the caller's choice")
    assert bcrypt.BCryptSignHash(*sign[1:]) == vector["sig"]


@contextmanager
def seeds(provider: Provider, group: Group) -> Iterator[Callable[[Vector], None]]:
    seed = bytes.fromhex(group["privateSeed"])
    with opened(provider) as algorithm:
        blob_type, data = bcrypt.BCRYPT_PQDSA_PRIVATE_SEED_BLOB, blob(b"DSSS", SET, seed)
        if len(seed) != SEED_SIZE:
            yield lambda vector: refused(
                bcrypt.STATUS_INVALID_PARAMETER, bcrypt.BCryptImportKeyPair, algorithm, None, blob_type, data
            )
            return
        with bcrypt.BCryptImportKeyPair(algorithm, None, blob_type, data) as pair:
            public = bcrypt.BCryptExportKey(pair, None, bcrypt.BCRYPT_PQDSA_PUBLIC_BLOB)
            assert public == blob(b"DSPK", SET, bytes.fromhex(group["publicKey"]))
            yield lambda vector: check_signature(pair, vector)


@contextmanager
def expanded_keys(provider: Provider, group: Group) -> Iterator[Callable[[Vector], None]]:
    seed = bytes.fromhex(group["privateSeed"])
    if len(seed) != SEED_SIZE:

        def impossible(_vector: Vector) -> None:
            raise NotRun("no expanded key comes of a seed of wrong length")

        yield impossible
        return
    data = blob(b"DSSK", SET, expanded(provider, "ML-DSA", SET, seed))
    with (
        opened(provider) as algorithm,
        bcrypt.BCryptImportKeyPair(algorithm, None, bcrypt.BCRYPT_PQDSA_PRIVATE_BLOB, data) as pair,
    ):
        public = bcrypt.BCryptExportKey(pair, None, bcrypt.BCRYPT_PQDSA_PUBLIC_BLOB)
        assert public == blob(b"DSPK", SET, bytes.fromhex(group["publicKey"]))
        yield lambda vector: check_signature(pair, vector)


@contextmanager
def public_keys(provider: Provider, group: Group) -> Iterator[Callable[[Vector], None]]:
    key = bytes.fromhex(group["publicKey"])
    with opened(provider) as algorithm:
        import_key = (
            bcrypt.BCryptImportKeyPair,
            algorithm,
            None,
            bcrypt.BCRYPT_PQDSA_PUBLIC_BLOB,
            blob(b"DSPK", SET, key),
        )
        if len(key) != PUBLIC_SIZE:
            yield lambda vector: refused(bcrypt.STATUS_INVALID_PARAMETER, *import_key)
            return
        with bcrypt.BCryptImportKeyPair(*import_key[1:]) as public:

            def run(vector: Vector) -> None:
                arguments = public, padding(vector), vector["msg"], vector["sig"], bcrypt.BCRYPT_PAD_PQDSA
                if not vector.invalid:
                    bcrypt.BCryptVerifySignature(*arguments)
                elif "InvalidContext" in vector.flags:
                    refused(bcrypt.STATUS_INVALID_PARAMETER, bcrypt.BCryptVerifySignature, *arguments)
                else:
                    refused(bcrypt.STATUS_INVALID_SIGNATURE, bcrypt.BCryptVerifySignature, *arguments)

            yield run


FILES = [
    File("mldsa_65_sign_seed", seeds, executed=87),
    File("mldsa_65_verify", public_keys, executed=210),
]


@pytest.mark.parametrize("group", groups(FILES))
def test_group(request: pytest.FixtureRequest, lattice_token: Token, group: tuple[File, int]) -> None:
    check_group(request, lattice_token, group)


@pytest.mark.parametrize("file", FILES, ids=str)
def test_executed(lattice_token: Token, file: File) -> None:
    check_executed(lattice_token, file)


def test_the_same_vectors_with_expanded_keys(request: pytest.FixtureRequest, nss_current_provider: Provider) -> None:
    token = Token("current NSS, expanded keys", nss_current_provider)
    file = File("mldsa_65_sign_seed", expanded_keys, executed=84)
    for position in range(len(load(file.name)["testGroups"])):
        check_group(request, token, (file, position))
    check_executed(token, file)
