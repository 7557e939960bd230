"""Keys of a PKCS#11 token for OpenSSL, by its provider for PKCS#11 (pkcs11-provider, provider-pkcs11(7))."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from asn1crypto import core, pem

from hwcng.contract.openssl import OpensslProvider
from hwcng.providers.pin_sources import pin_file
from hwcng.providers.pkcs11.uri import Pkcs11Uri

__all__ = ["key_pem", "provider_of"]

_LABEL = "PKCS#11 PROVIDER URI"
_DESCRIPTION = "PKCS#11 Provider URI v1.0"

# The module is this process' own too: whoever finalises it ends our sessions. Few tokens save the state of an operation
# for which OpenSSL would ask, and SoftHSM crashes when it is finalised late.
_QUIRKS = "no-deinit no-operation-state"


# What needs no key of the token, OpenSSL does itself.
_PROPERTIES = "?provider=default"


class _ProviderUri(core.Sequence):  # type: ignore[misc]
    _fields = [("description", core.VisibleString), ("uri", core.UTF8String)]  # noqa: RUF012


# pkcs11-provider takes a source that is no file: for the PIN itself, and sends it.
def _pin_file(uri: Pkcs11Uri) -> bytes | None:
    return None if uri.pin_source is None else pin_file(uri.pin_source)


def key_pem(uri: Pkcs11Uri) -> str:
    """What stands for the key in a file: its URI. A PIN is named by its source, never told."""
    path = _pin_file(uri)
    pin_source = None if path is None else f"file:{os.fsdecode(path)}"
    told = replace(
        uri, module_path=None, module_name=None, pin_value=None, pin_source=pin_source, vendor_path={}, vendor_query={}
    )
    content: Any = _ProviderUri({"description": _DESCRIPTION, "uri": told.to_uri()})
    return str(pem.armor(_LABEL, content.dump()).decode("ascii"))


def provider_of(module_path: str, reserved: str | None, uri: Pkcs11Uri) -> OpensslProvider:
    """reserved: what the module is given as pReserved of CK_C_INITIALIZE_ARGS."""
    settings = {
        "pkcs11-module-path": module_path,
        # Loaded at a first use, it checks the signatures of others in the module's first slot, and logs in there with
        # this token's PIN.
        "pkcs11-module-load-behavior": "early",
        "pkcs11-module-quirks": _QUIRKS,
    }
    if reserved is not None:
        settings["pkcs11-module-init-args"] = reserved
    if (path := _pin_file(uri)) is not None:
        settings["pkcs11-module-token-pin"] = f"file:{quote(path)}"
    return OpensslProvider("pkcs11", "pkcs11-provider", settings, _PROPERTIES)
