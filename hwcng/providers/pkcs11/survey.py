"""The PKCS#11 modules of this machine (p11-kit's configuration, pkcs11.conf(5); OASIS PKCS#11 3.2, C_GetTokenInfo)."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hwcng.contract.places import Absence, FoundToken, Place
from hwcng.loading import load
from hwcng.providers.pkcs11.uri import Pkcs11Uri
from hwcng.providers.timeouts import timeout_of

if TYPE_CHECKING:
    from hwcng.contract.provider import KeyRecord

__all__ = ["ABSENCE", "candidates", "look", "visible_keys"]

_KIND = "PKCS#11 module"
ABSENCE = Absence(_KIND, "no module is here", "softhsm2-util", "python -m hwcng.testing.softhsm -- COMMAND")
_MODULE_FILES = ("~/.config/pkcs11/modules", "/etc/pkcs11/modules", "/usr/share/p11-kit/modules")
_LIBRARIES = ("/usr/lib/{multiarch}", "/usr/lib64", "/usr/lib", "/usr/local/lib")
_USUAL = (
    "softhsm/libsofthsm2.so",
    "pkcs11/libsofthsm2.so",
    "opensc-pkcs11.so",
    "opencryptoki/libopencryptoki.so",
    "pkcs11/yubihsm_pkcs11.so",
    "libykcs11.so",
    "libtpm2_pkcs11.so.1",
    "pkcs11/libtpm2_pkcs11.so",
    "libkryoptic_pkcs11.so",
)
_VENDORS = (
    "/opt/cloudhsm/lib/libcloudhsm_pkcs11.so",
    "/opt/nfast/toolkits/pkcs11/libcknfast.so",
    "/usr/safenet/lunaclient/lib/libCryptoki2_64.so",
    "/usr/lib/libeToken.so",
)
_STATES = ("USER_PIN_LOCKED", "USER_PIN_FINAL_TRY", "USER_PIN_COUNT_LOW")
_TOLD = {
    "USER_PIN_LOCKED": "PIN locked",
    "USER_PIN_FINAL_TRY": "last try of the PIN",
    "USER_PIN_COUNT_LOW": "PIN was wrong last",
}


def candidates(known: Sequence[Pkcs11Uri], named: Sequence[str]) -> list[Place]:
    """Modules of configured URIs, of HWCNG_PKCS11_MODULE, of p11-kit, and where Debian, Fedora and makers put them."""
    found: dict[str, Place] = {}
    for path, told in _told(known, named):
        if os.path.exists(path) or told != "usual place":
            found.setdefault(os.path.realpath(path), Place(Pkcs11Uri.scheme, _KIND, path, told))
    return list(found.values())


def _told(known: Sequence[Pkcs11Uri], named: Sequence[str]) -> Iterator[tuple[str, str]]:
    for path in named:
        yield os.path.abspath(path), "command line"
    for uri in known:
        if uri.module_path:
            yield uri.module_path, "configuration"
    if default := os.environ.get("HWCNG_PKCS11_MODULE"):
        yield default, "HWCNG_PKCS11_MODULE"
    libraries = [folder.format(multiarch=f"{os.uname().machine}-linux-gnu") for folder in _LIBRARIES]
    for folder in _MODULE_FILES:
        for file in sorted(glob.glob(f"{os.path.expanduser(folder)}/*.module")):
            if path := _of_p11_kit(Path(file), libraries):
                yield path, f"p11-kit ({file})"
    for library in libraries:
        for name in _USUAL:
            yield f"{library}/{name}", "usual place"
    for path in _VENDORS:
        yield path, "usual place"


def _of_p11_kit(file: Path, libraries: Sequence[str]) -> str:
    """The module that a file of p11-kit names; "" for none, and for those of certificates alone."""
    settings = {}
    with suppress(OSError):
        for line in file.read_text("utf-8", "replace").splitlines():
            name, colon, value = line.partition(":")
            if colon and not line.lstrip().startswith("#"):
                settings[name.strip()] = value.strip()
    module = settings.get("module", "")
    if not module or settings.get("trust-policy") == "yes" or settings.get("remote"):
        return ""
    if os.path.isabs(module):
        return module
    places = [f"{library}/pkcs11/{module}" for library in libraries]
    return next((place for place in places if os.path.exists(place)), places[0])


def look(where: str) -> tuple[str, list[FoundToken]]:
    """What the module with this file says of itself, and its tokens."""
    from hwcng.providers.pkcs11.tokens import every_token
    from hwcng.providers.pkcs11.uri_module import module_of

    module = module_of(Pkcs11Uri(module_path=where))
    tokens = []
    for found in every_token(module):
        info, flags = found.info, found.flag_names
        made = "TOKEN_INITIALIZED" in flags
        state = next((_TOLD[name] for name in _STATES if name in flags), "ready")
        if made and "LOGIN_REQUIRED" in flags and "USER_PIN_INITIALIZED" not in flags:
            state = "no user PIN"
        uri = Pkcs11Uri(token=info.label, serial=info.serial or None, module_path=where).to_uri() if made else ""
        state = state if made else "not initialised"
        label = info.label or f"slot {found.slot}"
        tokens.append(FoundToken(label, info.manufacturer, info.model, info.serial, info.firmware, state, uri))
    return f"{module.manufacturer} {module.description} {module.library_version}".strip(), tokens


def visible_keys(uri: Pkcs11Uri) -> list[KeyRecord]:
    """The pairs of a token whose public half is there for all to see: no login, no PIN. Raises CngError as
    `hwcng.open_provider` does, but for a PIN.
    """
    from hwcng.providers.pkcs11.connection import Connection
    from hwcng.providers.pkcs11.logins import UserPin
    from hwcng.providers.pkcs11.mechanism_lists import read_mechanisms

    load("hwcng.providers.pkcs11.store.visible")
    from hwcng.providers.pkcs11.store.visible import public_records
    from hwcng.providers.pkcs11.stream_ciphers import KeyStreams
    from hwcng.providers.pkcs11.tally import Tally
    from hwcng.providers.pkcs11.tokens import find_token
    from hwcng.providers.pkcs11.uri_module import module_of
    from hwcng.providers.pkcs11.user_quirks import QUIRKS_ATTRIBUTE, UserQuirks

    module = module_of(uri)
    found = find_token(module, uri)
    quirks = read_mechanisms(module, found, UserQuirks(uri.vendor_query.get(QUIRKS_ATTRIBUTE))).quirks
    pin = UserPin(None, given=False)
    connection = Connection(module, found, pin, KeyStreams(), quirks, Tally(), timeout_of(uri))
    try:
        own = replace(uri, token=found.info.label, serial=found.info.serial or uri.serial, pin_value=None)
        return list(public_records(connection, own.naming()))
    finally:
        connection.close()
