"""python-pkcs11 on a module that hwcng initialised (python-pkcs11 0.10).

python-pkcs11 would initialise the module itself, which fails where somebody else did, and for a single thread. After
`adopt` it uses the module as hwcng set it up, and sees the same tokens, logins and objects.

Open its sessions without a PIN, `token.open()`: hwcng has logged the process in. A session opened with `user_pin` fails
with UserAlreadyLoggedIn and stays open; and closing one that was opened with a PIN logs the whole process out, upon
which many tokens destroy every private session object, those of hwcng too.

In a forked child hwcng initialises the module anew on first use: call `adopt` again there, and open sessions of
python-pkcs11 anew after that.
"""

from __future__ import annotations

import os

import pkcs11
from pkcs11._pkcs11 import lib

from hwcng.contract.provider import Provider
from hwcng.errors import NTSTATUS, CngError
from hwcng.forking import ProcessLock
from hwcng.providers.pkcs11.module import Module, module_search
from hwcng.providers.pkcs11.provider import Pkcs11Provider
from hwcng.providers.uri import Pkcs11Uri, parse_uri

__all__ = ["adopt"]

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


def adopt(provider: Provider) -> lib:
    """What `pkcs11.lib(path)` returns from now on, for the module's path as the provider's URI has it and its real one.

    Where the application has initialised the module through python-pkcs11 before, its library stays and is returned.

    Raises CngError: STATUS_NOT_SUPPORTED for a provider that is not over PKCS#11, and for a module that gives every
    caller an instance of its own (p11-kit-client); STATUS_INVALID_HANDLE for a closed provider.
    """
    if not isinstance(provider, Pkcs11Provider):
        raise CngError(NTSTATUS.STATUS_NOT_SUPPORTED, f"{provider!r} is not over PKCS#11")
    if provider.closed:
        raise CngError(NTSTATUS.STATUS_INVALID_HANDLE, f"{provider!r} is closed")
    module = provider.module
    module.belong_here()
    names = {module.path, *_given_path(provider)}
    with _adopting.held():
        # Dropping a library that python-pkcs11 initialised would finalise the module.
        working = {name for name in names if name in pkcs11._loaded and _works(pkcs11._loaded[name])}
        library: lib = pkcs11._loaded[min(working)] if working else _adopted(module)
        pkcs11._loaded.update(dict.fromkeys(names - working, library))
    return library


def _given_path(provider: Provider) -> list[str]:
    uri = parse_uri(provider.uri)
    return [module_search(uri.module_path, uri.module_name)] if isinstance(uri, Pkcs11Uri) else []


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
