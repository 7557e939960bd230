"""What the conformance tests of encryption, signatures and agreement share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from conformance.tokens import LESS
from support import missing_on, needs, needs_bits, token_name

from hwcng import NTSTATUS, CngError, bcrypt
from hwcng.standards.curves import canonical_curve_name

if TYPE_CHECKING:
    from hwcng.cng.keys import AlgorithmHandle, KeyPair, SymmetricKey
    from hwcng.contract.provider import Provider

COUNTING = bytes(range(16))
"""The key, the IV and the plaintext of the reference's vectors."""


@contextmanager
def fails(status: NTSTATUS) -> Iterator[pytest.ExceptionInfo[CngError]]:
    with pytest.raises(CngError) as caught:
        yield caught
    assert caught.value.status is status, str(caught.value)


need = needs


def aes(token: Provider, secret: bytes = COUNTING, mode: str = "CBC") -> SymmetricKey:
    """A key of the given bytes. mode: CBC, ECB, CFB or CFB8, CFB128, GCM or CCM."""
    needs(token, "AES", "CFB8" if mode == "CFB" else mode)
    needs_bits(token, "AES", 8 * len(secret))
    algorithm = bcrypt.BCryptOpenAlgorithmProvider("AES", token)
    key = bcrypt.BCryptGenerateSymmetricKey(algorithm, None, secret)
    bcrypt.BCryptSetProperty(key, "ChainingMode", f"ChainingMode{mode.rstrip('0123456789')}")
    if mode == "CFB128":
        bcrypt.BCryptSetProperty(key, "MessageBlockLength", 16)
    return key


def cipher_key(token: Provider, name: str, secret: bytes, mode: str | None = None) -> SymmetricKey:
    """A key of another cipher than AES. mode: CBC, ECB, CFB8, CFB64, or None for the algorithm's default."""
    need(token, name, mode)
    handle = bcrypt.BCryptOpenAlgorithmProvider(name, token)
    key = bcrypt.BCryptGenerateSymmetricKey(handle, None, secret)
    if mode:
        bcrypt.BCryptSetProperty(key, "ChainingMode", f"ChainingMode{mode.rstrip('0123456789')}")
    if mode == "CFB64":
        bcrypt.BCryptSetProperty(key, "MessageBlockLength", 8)
    return key


def algorithm(token: Provider, name: str, curve: str | None = None) -> AlgorithmHandle:
    """curve: the ECCCurveName of a generic algorithm."""
    needs(token, "RSA" if name == "RSA_SIGN" else name.split("_")[0], curve and canonical_curve_name(curve))
    handle = bcrypt.BCryptOpenAlgorithmProvider(name, token)
    if curve is not None:
        bcrypt.BCryptSetProperty(handle, "ECCCurveName", curve)
    return handle


def needs_generation(token: Provider, name: str, bits: int) -> None:
    """Skips where a token beyond the known ones makes no such keys; the known ones must."""
    if token_name(token) in LESS and bits not in token.capabilities().key_bits[name]:
        missing_on(token, f"generation of {bits}-bit {name} keys")


def generated(token: Provider, name: str, bits: int, curve: str | None = None) -> KeyPair:
    if name.startswith("RSA"):
        needs_bits(token, "RSA", bits)
    pair = bcrypt.BCryptGenerateKeyPair(algorithm(token, name, curve), bits)
    bcrypt.BCryptFinalizeKeyPair(pair)
    return pair


def imported(token: Provider, name: str, blob: bytes, curve: str | None = None) -> KeyPair:
    """A pair of a private blob."""
    if name.startswith("RSA"):
        # BCRYPT_RSAKEY_BLOB: Magic, BitLength.
        needs_bits(token, "RSA", int.from_bytes(blob[4:8], "little"))
    return bcrypt.BCryptImportKeyPair(algorithm(token, name, curve), None, "PRIVATEBLOB", blob)


def is_tpm(token: Provider) -> bool:
    return token.uri.startswith("tpm2:")


def public_of(pair: KeyPair) -> KeyPair:
    """The pair's public half, as a key of its own."""
    handle = bcrypt.BCryptGetProperty(pair, "ProviderHandle")
    return bcrypt.BCryptImportKeyPair(handle, None, "PUBLICBLOB", bcrypt.BCryptExportKey(pair, None, "PUBLICBLOB"))
