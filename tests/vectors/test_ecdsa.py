"""ECDSA signatures as r || s (IEEE P1363), verified on the host: public keys and signatures are no secrets."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from vectors.wycheproof import File, Group, Token, Vector, check_executed, check_group, groups, verifier

from hwcng import bcrypt
from hwcng.contract.provider import Provider

COORDINATE = 32


def public_blob(group: Group) -> bytes:
    numbers = (int(group["publicKey"][name], 16).to_bytes(COORDINATE, "big") for name in ("wx", "wy"))
    return struct.pack("<2I", bcrypt.BCRYPT_ECDSA_PUBLIC_P256_MAGIC, COORDINATE) + b"".join(numbers)


@contextmanager
def p256_sha256(provider: Provider, group: Group) -> Iterator[Callable[[Vector], None]]:
    with (
        bcrypt.BCryptOpenAlgorithmProvider(bcrypt.BCRYPT_ECDSA_P256_ALGORITHM, provider) as algorithm,
        bcrypt.BCryptImportKeyPair(algorithm, None, bcrypt.BCRYPT_ECCPUBLIC_BLOB, public_blob(group)) as public,
    ):
        yield verifier(public, "sha256", 2 * COORDINATE)


FILES = [File("ecdsa_secp256r1_sha256_p1363", p256_sha256, executed=262)]


@pytest.mark.parametrize("group", groups(FILES))
def test_group(request: pytest.FixtureRequest, token: Token, group: tuple[File, int]) -> None:
    check_group(request, token, group)


@pytest.mark.parametrize("token", ["SoftHSM"], indirect=True)
@pytest.mark.parametrize("file", FILES, ids=str)
def test_executed(token: Token, file: File) -> None:
    check_executed(token, file)
