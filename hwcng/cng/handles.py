"""What every handle is: an object of one kind, alive until it is closed or destroyed (bcrypt.h, BCRYPT_HANDLE)."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from hwcng.arguments import octets
from hwcng.errors import invalid_handle, invalid_parameter, not_supported
from hwcng.providers.base import Attestable

if TYPE_CHECKING:
    from hwcng.attestation import Attestation

__all__ = ["Handle", "attest", "invalid_handle", "invalid_parameter", "not_supported"]

H = TypeVar("H", bound="Handle")


def attest(key: object, nonce: bytes) -> Attestation:
    """The token's statement about a key. Raises STATUS_NOT_SUPPORTED where the token makes none."""
    if not isinstance(key, Attestable):
        raise not_supported("the token makes no statements about its keys")
    return key.attest(octets(nonce, "the nonce"))


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
