"""The module that a pkcs11: URI means (RFC 7512, section 2.3), loaded, initialised and told of its deadline."""

from __future__ import annotations

from hwcng.errors import CngError
from hwcng.lost_calls import Deadlines
from hwcng.providers.pkcs11 import diagnosis
from hwcng.providers.pkcs11.cryptoki.deadlines import limited_by
from hwcng.providers.pkcs11.module import Module, load_module, module_search
from hwcng.providers.pkcs11.uri import Pkcs11Uri
from hwcng.providers.timeouts import timeout_of

__all__ = ["module_of"]

# CK_INFO of libsoftokn3 needs the database's folder, which RFC 7512 has no attribute for.
INITIALIZE_RESERVED_ATTRIBUTE = "x-initialize-reserved"

_LOADING = Deadlines("PKCS#11 modules that are loaded")


def module_of(uri: Pkcs11Uri) -> Module:
    """Raises CngError as `load_module` does, with what is wrong where the module does not say so."""
    path = module_search(uri.module_path, uri.module_name)
    reserved, seconds = uri.vendor_query.get(INITIALIZE_RESERVED_ATTRIBUTE), timeout_of(uri)
    try:
        if seconds is None:
            module = load_module(path, reserved)
        else:
            module = _LOADING.call(seconds, f"loading PKCS#11 module {path}", load_module, path, reserved)
            limited_by(module, seconds)
    except CngError as error:
        raise diagnosis.explained(error, path) from error.__cause__
    diagnosis.remember_environment(module)
    return module
