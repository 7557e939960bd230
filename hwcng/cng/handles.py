"""What every handle is: an object of one kind, alive until it is closed or destroyed (bcrypt.h, BCRYPT_HANDLE)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from hwcng.cng.padding import Octets
from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.base import Attestable

if TYPE_CHECKING:
    from hwcng.attestation import Attestation

__all__ = ["Handle", "attest", "holding", "invalid_handle", "invalid_parameter", "not_supported", "octets"]

H = TypeVar("H", bound="Handle")


def invalid_handle(message: str) -> CngError:
    return CngError(NTSTATUS.STATUS_INVALID_HANDLE, message)


def invalid_parameter(message: str) -> CngError:
    return CngError(NTSTATUS.STATUS_INVALID_PARAMETER, message)


def not_supported(message: str) -> CngError:
    return CngError(NTSTATUS.STATUS_NOT_SUPPORTED, message)


def octets(value: Octets | None, name: str) -> bytes:
    """A caller's buffer as bytes. Raises STATUS_INVALID_PARAMETER for None and for what is no buffer of bytes."""
    if type(value) is bytes:
        return value
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise invalid_parameter(f"{name} must be bytes, bytearray or memoryview, not {type(value).__name__}")
    return bytes(value)


@contextmanager
def holding(buffer: Octets | None, required: int, name: str) -> Iterator[memoryview | None]:
    """Checks a caller-supplied object and exports it, so that it cannot be resized while it is held.

    required: bytes, the ObjectLength. Nothing is ever written to it. The new handle holds it after the block; a block
    that fails lets go of it. Raises STATUS_BUFFER_TOO_SMALL where it is shorter, STATUS_INVALID_PARAMETER where it is
    no writable buffer.
    """
    view = _writable_view(buffer, required, name)
    try:
        yield view
    except BaseException:
        # The error's traceback would hold the buffer for as long as somebody keeps the error.
        if view is not None:
            view.release()
        raise


def _writable_view(buffer: Octets | None, required: int, name: str) -> memoryview | None:
    if buffer is None:
        return None
    try:
        view = memoryview(buffer)
    except TypeError:
        raise invalid_parameter(f"{name} must be a writable buffer, not {type(buffer).__name__}") from None
    if view.readonly:
        raise invalid_parameter(f"{name} must be a writable buffer, not a read-only one")
    if view.nbytes < required:
        raise CngError(
            NTSTATUS.STATUS_BUFFER_TOO_SMALL,
            f"{name} has {view.nbytes} bytes, the algorithm's ObjectLength is {required}",
        )
    return view


def attest(key: object, nonce: bytes) -> Attestation:
    """The token's statement about a key. Raises STATUS_NOT_SUPPORTED where the token makes none."""
    if not isinstance(key, Attestable):
        raise not_supported("the token makes no statements about its keys")
    return key.attest(nonce)


class Handle:
    """A context manager that ends its life at the end of the block."""

    def __init__(self) -> None:
        self._alive = True

    @property
    def alive(self) -> bool:
        return self._alive

    def destroy(self) -> None:
        """Ends the handle's life. A second call does nothing."""
        self._alive = False

    def __reduce__(self) -> tuple[Any, ...]:
        raise not_supported(
            f"a {type(self).__name__} can be neither pickled nor copied: it stands for what this process has open. "
            "Send a named key, which travels as its URI, and open the rest where it is used"
        )

    def __enter__(self: H) -> H:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.destroy()
