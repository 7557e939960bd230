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

from hwcng.contract.provider import Provider
from hwcng.errors import NTSTATUS, CngError
from hwcng.interop.needed import needed_as_by_a_backend

with needed_as_by_a_backend():
    from pkcs11._pkcs11 import lib

__all__ = ["adopt"]


def adopt(provider: Provider) -> lib:
    """What `pkcs11.lib(path)` returns from now on, for the module's path as the provider's URI has it and its real one.

    Where the application has initialised the module through python-pkcs11 before, its library stays and is returned.

    Raises CngError: STATUS_NOT_SUPPORTED for a provider that is not over PKCS#11, and for a module that gives every
    caller an instance of its own (p11-kit-client); STATUS_INVALID_HANDLE for a closed provider.
    """
    library = provider.lend() if isinstance(provider, Provider) else None
    if not isinstance(library, lib):
        raise CngError(NTSTATUS.STATUS_NOT_SUPPORTED, f"{provider!r} is not over PKCS#11")
    return library
