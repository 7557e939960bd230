"""What the conformance tests of encryption, signatures and agreement share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from support import missing

from hwcng import NTSTATUS, CngError, bcrypt
from hwcng.curves import canonical_curve_name

if TYPE_CHECKING:
    from hwcng.cng.keys import AlgorithmHandle, KeyPair, SymmetricKey
    from hwcng.providers.base import Provider

COUNTING = bytes(range(16))
"""The key, the IV and the plaintext of the reference's vectors."""


@contextmanager
def fails(status: NTSTATUS) -> Iterator[pytest.ExceptionInfo[CngError]]:
    with pytest.raises(CngError) as caught:
        yield caught
    assert caught.value.status is status, str(caught.value)


def need(token: Provider, algorithm: str, operation: str | None = None) -> None:
    """Skips where the token does not offer the algorithm."""
    if token.offers(algorithm, operation).name == "REFUSED":
        missing(f"{algorithm} {operation or ''}".strip() + f" on {token.token.label}")


def aes(token: Provider, secret: bytes = COUNTING, mode: str = "CBC") -> SymmetricKey:
    """A key of the given bytes. mode: CBC, ECB, CFB8, CFB128, GCM or CCM."""
    algorithm = bcrypt.BCryptOpenAlgorithmProvider("AES", token)
    key = bcrypt.BCryptGenerateSymmetricKey(algorithm, None, secret)
    bcrypt.BCryptSetProperty(key, "ChainingMode", f"ChainingMode{mode.rstrip('0123456789')}")
    if mode == "CFB128":
        bcrypt.BCryptSetProperty(key, "MessageBlockLength", 16)
    return key


def algorithm(token: Provider, name: str, curve: str | None = None) -> AlgorithmHandle:
    """curve: the ECCCurveName of a generic algorithm."""
    need(token, "RSA" if name == "RSA_SIGN" else name.split("_")[0], curve and canonical_curve_name(curve))
    handle = bcrypt.BCryptOpenAlgorithmProvider(name, token)
    if curve is not None:
        bcrypt.BCryptSetProperty(handle, "ECCCurveName", curve)
    return handle


def generated(token: Provider, name: str, bits: int, curve: str | None = None) -> KeyPair:
    pair = bcrypt.BCryptGenerateKeyPair(algorithm(token, name, curve), bits)
    bcrypt.BCryptFinalizeKeyPair(pair)
    return pair


def imported(token: Provider, name: str, blob: bytes, curve: str | None = None) -> KeyPair:
    """A pair of a private blob."""
    return bcrypt.BCryptImportKeyPair(algorithm(token, name, curve), None, "PRIVATEBLOB", blob)


def public_of(pair: KeyPair) -> KeyPair:
    """The pair's public half, as a key of its own."""
    handle = bcrypt.BCryptGetProperty(pair, "ProviderHandle")
    return bcrypt.BCryptImportKeyPair(handle, None, "PUBLICBLOB", bcrypt.BCryptExportKey(pair, None, "PUBLICBLOB"))
