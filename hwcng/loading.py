"""What hwcng and its libraries load at first use (Python's import system).

A module that one thread loads while another one forks stays locked in the child, which waits for it for ever: a fork
waits for what is loaded here.
"""

from __future__ import annotations

import errno
import importlib
import os
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import ParamSpec, TypeVar

from hwcng.errors import NTSTATUS, CngError
from hwcng.forking import foreign_work

__all__ = ["host_work", "load", "load_the_rest"]

P = ParamSpec("P")
T = TypeVar("T")

_LATE = (
    "cryptography.exceptions",
    "cryptography.hazmat.primitives.asymmetric.dsa",
    "cryptography.hazmat.primitives.asymmetric.ec",
    "cryptography.hazmat.primitives.asymmetric.mldsa",
    "cryptography.hazmat.primitives.asymmetric.mlkem",
    "cryptography.hazmat.primitives.asymmetric.rsa",
    "cryptography.hazmat.primitives.asymmetric.utils",
    "cryptography.hazmat.primitives.asymmetric.x25519",
    "cryptography.hazmat.primitives.hashes",
    "cryptography.hazmat.primitives.serialization",
    # `cryptography` loads it itself, at the first ECDSA key.
    "cryptography.hazmat.backends.openssl.backend",
    "hwcng.cng.first_uses",
)
_loaded: set[str] = set()
_NO_DESCRIPTOR = frozenset({errno.EMFILE, errno.ENFILE})


def load(name: str) -> object:
    """The module, while no fork is under way.

    Raises ImportError, and CngError (STATUS_INSUFFICIENT_RESOURCES) where no file descriptor is left to read it by.
    """
    try:
        with foreign_work():
            return importlib.import_module(name)
    except (OSError, ImportError) as error:
        if not _lacks_descriptor(error):
            raise
        raise CngError(
            NTSTATUS.STATUS_INSUFFICIENT_RESOURCES,
            f"{name} cannot be loaded, because every file descriptor of the process is in use: close files, or raise "
            "the limit (ulimit -n), and call again",
        ) from error


def _lacks_descriptor(error: OSError | ImportError) -> bool:
    if isinstance(error, OSError):
        return error.errno in _NO_DESCRIPTOR
    # The dynamic linker has no numbers, only their words.
    return any(os.strerror(number) in str(error) for number in _NO_DESCRIPTOR)


def load_the_rest() -> None:
    """Loads what the first work of the host's library would load. What is not installed is not missed before it is
    used.
    """
    for name in _LATE:
        with suppress(ImportError):
            load(name)
        _loaded.add(name)


def host_work(function: Callable[P, T]) -> Callable[P, T]:
    """`foreign_work` of a function that uses the host's library of cryptography, which is loaded when the first one is
    called: what only a token does needs none of it.
    """

    @wraps(function)
    def working(*arguments: P.args, **named: P.kwargs) -> T:
        with foreign_work():
            if len(_loaded) < len(_LATE):
                load_the_rest()
            return function(*arguments, **named)

    return working
