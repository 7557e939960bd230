"""DSA signatures as r || s (IEEE P1363), verified on the host: public keys and signatures are no secrets.

The digests are SHA-224's, which CNG has no algorithm for; BCryptVerifySignature takes any digest.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from vectors.wycheproof import File, Group, Token, Vector, check_executed, check_group, groups, verifier

from hwcng import bcrypt
from hwcng.contract.provider import Provider

PRIME, SUBPRIME = 256, 28
NO_SEED = b"\xff"


def public_blob(group: Group) -> bytes:
    """DSAPUBLICBLOB of version 2, without a seed."""
    q, p, g, y = (int(group["publicKey"][name], 16) for name in "qpgy")
    header = struct.pack(
        "<6I",
        bcrypt.BCRYPT_DSA_PUBLIC_MAGIC_V2,
        PRIME,
        bcrypt.DSA_HASH_ALGORITHM_SHA256,
        bcrypt.DSA_FIPS186_3,
        SUBPRIME,
        SUBPRIME,
    )
    numbers = b"".join(number.to_bytes(PRIME, "big") for number in (p, g, y))
    return header + NO_SEED * (4 + SUBPRIME) + q.to_bytes(SUBPRIME, "big") + numbers


@contextmanager
def dsa_sha224(provider: Provider, group: Group) -> Iterator[Callable[[Vector], None]]:
    with (
        bcrypt.BCryptOpenAlgorithmProvider(bcrypt.BCRYPT_DSA_ALGORITHM, provider) as algorithm,
        bcrypt.BCryptImportKeyPair(algorithm, None, bcrypt.BCRYPT_DSA_PUBLIC_BLOB, public_blob(group)) as public,
    ):
        yield verifier(public, "sha224", 2 * SUBPRIME)


FILES = [File("dsa_2048_224_sha224_p1363", dsa_sha224, executed=109)]


@pytest.mark.parametrize("group", groups(FILES))
def test_group(request: pytest.FixtureRequest, token: Token, group: tuple[File, int]) -> None:
    check_group(request, token, group)


@pytest.mark.parametrize("token", ["SoftHSM"], indirect=True)
@pytest.mark.parametrize("file", FILES, ids=str)
def test_executed(token: Token, file: File) -> None:
    check_executed(token, file)
