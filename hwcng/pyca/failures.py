"""What `cryptography` raises where hwcng raises CngError, which is the cause."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from cryptography.exceptions import InvalidSignature, InvalidTag, UnsupportedAlgorithm

from hwcng.errors import HRESULT, NTSTATUS, CngError, invalid_parameter, not_supported

__all__ = ["as_cryptography_raises", "refusal", "stays_in_token", "translated"]

Refusal = TypeVar("Refusal", bound=Exception)

_UNSUPPORTED = frozenset(
    {NTSTATUS.STATUS_NOT_SUPPORTED, NTSTATUS.STATUS_NOT_FOUND, HRESULT.NTE_NOT_SUPPORTED, HRESULT.NTE_BAD_ALGID}
)


def translated(error: CngError) -> Exception:
    """UnsupportedAlgorithm for what a key or its token does not do, InvalidSignature, InvalidTag, else ValueError: for
    bad input, and for a key or a token that is gone. The message is the same.
    """
    if error.status in _UNSUPPORTED:
        return UnsupportedAlgorithm(str(error))
    if error.status is NTSTATUS.STATUS_INVALID_SIGNATURE:
        return InvalidSignature(str(error))
    if error.status is NTSTATUS.STATUS_AUTH_TAG_MISMATCH:
        return InvalidTag(str(error))
    return ValueError(str(error))


@contextmanager
def as_cryptography_raises() -> Iterator[None]:
    try:
        yield
    except CngError as error:
        raise translated(error) from error


def refusal(kind: type[Refusal], message: str) -> Refusal:
    """What is refused before a token sees it, with a CngError as its cause. kind: UnsupportedAlgorithm, ValueError,
    TypeError or BufferError, whichever `cryptography` raises. message: what is wrong and what would do.
    """
    refused = kind(message)
    refused.__cause__ = not_supported(message) if kind is UnsupportedAlgorithm else invalid_parameter(message)
    return refused


def stays_in_token(title: str) -> UnsupportedAlgorithm:
    """The one refusal of everything that would hand out a private key. title: what the key is."""
    error = not_supported(
        f"the private half of this {title} stays in its token: use the key itself (sign, decrypt, exchange, "
        "decapsulate), and public_key() for the other half"
    )
    refusal = UnsupportedAlgorithm(str(error))
    refusal.__cause__ = error
    return refusal
