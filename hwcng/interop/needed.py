"""A library that an adapter is for, and that is not installed: the refusal names the line that installs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from hwcng.errors import not_supported
from hwcng.providers.backends import backends

__all__ = ["needed", "needed_as_by_a_backend"]


def needed(package: str, extra: str) -> AbstractContextManager[None]:
    """Around the import of a package. extra: hwcng's, which brings it. Raises ModuleNotFoundError."""
    reason = f"this needs the package {package}, which is not installed: pip install 'hwcng[{extra}]'"
    return _told(lambda error: reason if error.name == package else None)


def needed_as_by_a_backend() -> AbstractContextManager[None]:
    """Around the import of a package that a backend needs too. Raises ModuleNotFoundError in the backend's words."""
    return _told(lambda error: next(filter(None, (backend.missing(error) for backend in backends())), None))


@contextmanager
def _told(reason_of: Callable[[ModuleNotFoundError], str | None]) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if (reason := reason_of(error)) is None:
            raise
        refusal = not_supported(reason)
        raise ModuleNotFoundError(str(refusal), name=error.name) from refusal
