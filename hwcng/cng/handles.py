"""What every handle is: an object of one kind, alive until it is closed or destroyed (bcrypt.h, BCRYPT_HANDLE)."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias, TypeVar, cast

from hwcng.arguments import octets
from hwcng.contract.attestation import Attestable
from hwcng.errors import CngError, invalid_handle, not_supported

if TYPE_CHECKING:
    from hwcng.contract.attestation import Attestation

__all__ = [
    "Handle",
    "NoHandle",
    "attest",
    "in_use",
    "no_handle",
    "told_handle",
]

NoHandle: TypeAlias = Literal[0] | None
"""NULL."""

H = TypeVar("H", bound="Handle")
M = TypeVar("M", bound=Callable[..., Any])


def no_handle(value: object) -> bool:
    """Whether it is the NULL of a handle: None or 0."""
    return value is None or (type(value) is int and not value)


def told_handle(value: object, name: str, expected: str, *, of_bcrypt: bool = False) -> str:
    """Why `value`, which is not `expected` or no more, is refused as the parameter `name`. of_bcrypt: of a function of
    bcrypt.h, for which some handles have another.
    """
    if no_handle(value):
        return f"{name} is NULL, {expected} expected"
    if not isinstance(value, Handle):
        instead = getattr(type(value), "cng_handle", "")
        return f"{name} is of type {type(value).__name__}, {expected} expected{instead and f': take its .{instead}'}"
    hint = f": {value.hint}" if of_bcrypt and value.hint and value.alive else ""
    state = "" if value.alive else " that is closed or destroyed"
    return f"{name} is {value.called}{state}, {expected} expected{hint}"


def attest(key: object, nonce: bytes, by: object = None) -> Attestation:
    """The token's statement about a key. by: the token's key that signs it, None for the token's own choice.

    Raises STATUS_NOT_SUPPORTED where the token makes none.
    """
    if not isinstance(key, Attestable):
        raise not_supported("the token makes no statements about its keys")
    return key.attest(octets(nonce, "the nonce"), by)


def in_use(method: M) -> M:
    """A method that fails with STATUS_INVALID_HANDLE, whatever the token said, once the handle has ended: a key with a
    name would go on in its token. Another thread may end it meanwhile.
    """

    @wraps(method)
    def using(self: Handle, *args: Any, **kwargs: Any) -> Any:
        if not self.alive:
            self.require_alive()
        try:
            return method(self, *args, **kwargs)
        except CngError:
            self.require_alive()
            raise

    return cast(M, using)


class Handle:
    """A context manager that ends its life at the end of the block.

    alive: whether it is neither closed nor destroyed. called: what messages call it. hint: what bcrypt.h's functions
    take instead.
    """

    called: ClassVar[str] = "a handle"
    hint: ClassVar[str] = ""
    alive: bool = True

    def destroy(self) -> None:
        """Ends the handle's life. A second call does nothing."""
        self.alive = False

    def require_alive(self) -> None:
        """Raises STATUS_INVALID_HANDLE once the handle's life has ended."""
        if not self.alive:
            raise invalid_handle(f"the {type(self).__name__} is destroyed")

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
