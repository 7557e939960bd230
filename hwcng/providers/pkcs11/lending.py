"""A module that hwcng initialised, as python-pkcs11 works with it (python-pkcs11 0.10)."""

from __future__ import annotations

import os

import pkcs11
from pkcs11._pkcs11 import lib

from hwcng.errors import NTSTATUS, CngError
from hwcng.forking import ProcessLock
from hwcng.providers.pkcs11.module import Module

__all__ = ["lent"]

_adopting = ProcessLock()


class _AdoptedLibrary(lib):
    """A library that neither initialises nor finalises. As long as it lives, hwcng does not finalise the module."""

    # The application may have sessions with any token.
    slot = None

    def initialize(self) -> None:
        """hwcng has done it. `initialized` stays False, so that nothing here calls C_Finalize."""

    def unload(self) -> None:
        """Stays, because another name may mean it."""

    def answers(self) -> bool:
        """Nobody knows the application's sessions, so the module is taken to be in use."""
        return True

    def after_fork_in_child(self) -> None:
        """Nothing to do: the sessions are the application's."""


def lent(module: Module, given_path: str) -> lib:
    """What `pkcs11.lib(path)` returns from now on. given_path: the module's by which the token was opened.

    Raises STATUS_NOT_SUPPORTED for a module that gives every caller an instance of its own.
    """
    module.belong_here()
    names = {module.path, given_path}
    with _adopting.held():
        # Dropping a library that python-pkcs11 initialised would finalise the module.
        working = {name for name in names if name in pkcs11._loaded and _works(pkcs11._loaded[name])}
        library: lib = pkcs11._loaded[min(working)] if working else _adopted(module)
        pkcs11._loaded.update(dict.fromkeys(names - working, library))
    return library


def _works(library: lib) -> bool:
    return library.initialized or isinstance(library, _AdoptedLibrary)


def _adopted(module: Module) -> _AdoptedLibrary:
    try:
        library = _AdoptedLibrary(module.path)
    except pkcs11.PKCS11Error as error:
        # An instance of its own is not initialised.
        name = os.path.basename(module.path)
        raise CngError(
            NTSTATUS.STATUS_NOT_SUPPORTED, f"{name} gives every caller an instance of its own, which cannot be shared"
        ) from error
    module.enlist(library)
    return library
