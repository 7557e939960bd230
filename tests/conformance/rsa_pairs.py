"""RSA pairs of every size that the signature and decryption rows are compared on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from conformance import oracle
from conformance.checks import generated, imported

from hwcng import bcrypt
from hwcng.cng.keys import KeyPair
from hwcng.providers.base import Provider

__all__ = ["callers_pairs", "token_pairs"]

GENERATED = (512, 1024, 2048, 3072)
SIZES = (512, 1024, 1025, 2048, 3072)


@pytest.fixture(scope="module")
def token_pairs(token: Provider) -> dict[int, KeyPair]:
    """Pairs that the token made."""
    return {bits: generated(token, "RSA", bits) for bits in GENERATED}


@pytest.fixture(scope="module")
def callers_pairs(token: Provider) -> dict[int, KeyPair]:
    """Pairs that the caller brought."""
    return {bits: imported(token, "RSA", oracle.rsa_blob(bits)) for bits in SIZES}


def modulus(pair: KeyPair) -> int:
    return oracle.modulus_of(bcrypt.BCryptExportKey(pair, None, "RSAPUBLICBLOB"))


def every(token_pairs: dict[int, KeyPair], callers_pairs: dict[int, KeyPair]) -> Iterator[tuple[int, KeyPair]]:
    yield from token_pairs.items()
    yield from callers_pairs.items()
