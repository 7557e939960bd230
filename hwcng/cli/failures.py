"""What `hwcng.pyca` raises as `cryptography` does, as the CngError that is behind it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from cryptography.exceptions import UnsupportedAlgorithm

from hwcng.errors import CngError, not_supported

__all__ = ["as_cng_raises"]


@contextlib.contextmanager
def as_cng_raises() -> Iterator[None]:
    try:
        yield
    except UnsupportedAlgorithm as error:
        raise (error.__cause__ if isinstance(error.__cause__, CngError) else not_supported(str(error))) from None
    except (ValueError, TypeError) as error:
        if not isinstance(error.__cause__, CngError):
            raise
        raise error.__cause__ from None
