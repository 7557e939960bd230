"""Pairs that the tests of `hwcng.pyca` make in a token."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import mldsa, mlkem
from support import missing, needs, needs_bits

if TYPE_CHECKING:
    from hwcng.cng.keys import KeyPair
    from hwcng.contract.provider import Provider

__all__ = ["MakePair", "make_pair", "needs_host"]

MakePair = Callable[..., "KeyPair"]


_OF_THE_HOST = {"ML-DSA": mldsa.MLDSA65PrivateKey, "ML-KEM": mlkem.MLKEM768PrivateKey}


def needs_host(algorithm: str) -> None:
    """Skips where the installed `cryptography` has the classes of the algorithm and not the algorithm."""
    try:
        if algorithm in _OF_THE_HOST:
            _OF_THE_HOST[algorithm].generate()
    except UnsupportedAlgorithm:
        missing(f"cryptography's {algorithm}")


def make_pair(token: Provider, algorithm: str, bits: int = 0, **properties: Any) -> KeyPair:
    """A finalized pair of the token. properties: of the empty pair. Skips where the token has no such keys."""
    from hwcng import bcrypt

    needs_host(algorithm)
    if algorithm == "RSA":
        needs_bits(token, "RSA", bits)
    needs(token, algorithm, properties.get("ECCCurveName") or properties.get("ParameterSetName"))
    handle = bcrypt.BCryptOpenAlgorithmProvider(algorithm, token)
    pair = bcrypt.BCryptGenerateKeyPair(handle, bits)
    for name, value in properties.items():
        bcrypt.BCryptSetProperty(pair, name, value)
    bcrypt.BCryptFinalizeKeyPair(pair)
    return pair
