"""The TPMs of this machine (tcti-device(7), tctildr(7)): nothing is made in one."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence

from hwcng.contract.places import Absence, FoundToken, Place
from hwcng.providers.tpm2.uri import Tpm2Uri

__all__ = ["ABSENCE", "candidates", "look"]

_KIND = "TPM"
ABSENCE = Absence(
    _KIND, "no /dev/tpmrm0 here, and no TPM is configured", "swtpm", "python -m hwcng.testing.swtpm -- COMMAND"
)
_VARIABLES = ("TPM2TOOLS_TCTI", "TPM2OPENSSL_TCTI", "TPM2_PKCS11_TCTI")
_MANAGED, _BARE = "/dev/tpmrm*", "/dev/tpm[0-9]*"


def candidates(known: Sequence[Tpm2Uri]) -> list[Place]:
    """TPMs of configured URIs, of other tools' variables, and the kernel's, behind its resource manager where it has
    one.
    """
    from hwcng.providers.tpm2.line.tcti import canonical

    found: dict[str, Place] = {}
    for tcti, told in _told(known):
        found.setdefault(canonical(tcti), Place(Tpm2Uri.scheme, _KIND, tcti, told))
    return list(found.values())


def _told(known: Sequence[Tpm2Uri]) -> Iterator[tuple[str, str]]:
    for uri in known:
        if uri.tcti:
            yield uri.tcti, "configuration"
    for variable in _VARIABLES:
        if tcti := os.environ.get(variable):
            yield tcti, variable
    for device in sorted(glob.glob(_MANAGED)) or sorted(glob.glob(_BARE)):
        yield f"device:{device}", "kernel"


def look(where: str) -> tuple[str, list[FoundToken]]:
    """What the TPM at this TCTI says of itself."""
    from hwcng.providers.tpm2.capabilities import token_of
    from hwcng.providers.tpm2.line.sharing import release, share

    connection = share(where, None)
    try:
        token = connection.perform("looking at the TPM", lambda line: line.esys(token_of))
    finally:
        release(connection)
    uri = Tpm2Uri(tcti=where).to_uri()
    found = FoundToken(token.label, token.manufacturer, token.model, token.serial, token.firmware, "ready", uri)
    return token.library, [found]
