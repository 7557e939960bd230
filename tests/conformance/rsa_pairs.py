"""RSA pairs of every size that the signature and decryption rows are compared on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pytest
from conformance import oracle
from conformance.checks import generated, imported
from support import has_bits, needs_bits

from hwcng import bcrypt
from hwcng.cng.keys import KeyPair
from hwcng.contract.provider import Provider

__all__ = ["callers_pairs", "token_pairs"]

GENERATED = (512, 1024, 2048, 3072)
SIZES = (512, 1024, 1025, 2048, 3072)


class Pairs(dict[int, KeyPair]):
    """A token's pairs by their length in bits. A test that asks for a length which the token lacks is skipped."""

    def __init__(self, token: Provider, lengths: Iterable[int], make: Callable[[int], KeyPair]) -> None:
        super().__init__({bits: make(bits) for bits in lengths if has_bits(token, "RSA", bits)})
        self._token = token

    def __missing__(self, bits: int) -> KeyPair:
        needs_bits(self._token, "RSA", bits)
        raise KeyError(bits)


@pytest.fixture(scope="module")
def token_pairs(token: Provider) -> dict[int, KeyPair]:
    """Pairs that the token made."""
    return Pairs(token, GENERATED, lambda bits: generated(token, "RSA", bits))


@pytest.fixture(scope="module")
def callers_pairs(token: Provider) -> dict[int, KeyPair]:
    """Pairs that the caller brought."""
    return Pairs(token, SIZES, lambda bits: imported(token, "RSA", oracle.rsa_blob(bits)))


def modulus(pair: KeyPair) -> int:
    return oracle.modulus_of(bcrypt.BCryptExportKey(pair, None, "RSAPUBLICBLOB"))


def every(token_pairs: dict[int, KeyPair], callers_pairs: dict[int, KeyPair]) -> Iterator[tuple[int, KeyPair]]:
    yield from token_pairs.items()
    yield from callers_pairs.items()
