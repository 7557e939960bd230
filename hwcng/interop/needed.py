"""A library that an adapter is for, and that is not installed: the refusal names the line that installs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hwcng.errors import not_supported

__all__ = ["needed"]


@contextmanager
def needed(package: str, extra: str) -> Iterator[None]:
    """Around the import of a package. extra: hwcng's, which brings it. Raises ModuleNotFoundError."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        refusal = not_supported(
            f"this needs the package {package}, which is not installed: pip install 'hwcng[{extra}]'"
        )
        raise ModuleNotFoundError(str(refusal), name=package) from refusal
