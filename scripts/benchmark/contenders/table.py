"""The contenders by name: their module, the tokens that they know, what they need."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

from ..rows import HOST, NSS, NSS_CURRENT, P11KIT, SOFTHSM, SWTPM

__all__ = ["CONTENDERS", "CRYPTOGRAPHY", "FLOOR", "OURS", "Known", "missing"]

_PKCS11 = (SOFTHSM, NSS, NSS_CURRENT, P11KIT)
FLOOR = "c"
OURS = "hwcng"
"""The contender that the bounds are about."""
CRYPTOGRAPHY = "hwcng-cryptography"


@dataclass(frozen=True, slots=True)
class Known:
    """module: in this package, "" for the program in C. threads: whether it may be used by many at once. package: what
    must be installed, and `pip` how. own: whether it is hwcng, whose calls are counted.
    """

    name: str
    title: str
    module: str
    tokens: tuple[str, ...]
    threads: bool = False
    package: str = ""
    pip: str = ""
    own: bool = False


CONTENDERS = (
    Known(FLOOR, "C", "", _PKCS11, threads=True),
    Known("interpreter", "python -c pass", "interpreter", (HOST,)),
    Known("tcti", "raw TCTI", "tcti", (SWTPM,), package="tpm2_pytss", pip="pip install tpm2-pytss"),
    Known(OURS, "hwcng", "hwcng_bcrypt", (*_PKCS11, SWTPM, HOST), threads=True, own=True),
    Known("hwcng-objects", "hwcng objects", "hwcng_objects", (*_PKCS11, SWTPM), threads=True, own=True),
    Known(CRYPTOGRAPHY, "hwcng as cryptography", "hwcng_cryptography", (*_PKCS11, SWTPM), own=True),
    Known(
        "python-pkcs11",
        "python-pkcs11",
        "python_pkcs11",
        (*_PKCS11, HOST),
        package="pkcs11",
        pip="pip install python-pkcs11",
    ),
    Known("pykcs11", "PyKCS11", "pykcs11", (*_PKCS11, HOST), package="PyKCS11", pip="pip install PyKCS11"),
    Known("esapi", "ESAPI", "esapi", (SWTPM,), package="tpm2_pytss", pip="pip install tpm2-pytss"),
    Known(
        "esapi-encrypted",
        "ESAPI, encrypted session",
        "esapi_encrypted",
        (SWTPM,),
        package="tpm2_pytss",
        pip="pip install tpm2-pytss",
    ),
)


def missing(known: Known) -> str | None:
    """Why it cannot take part here, None where it can."""
    if known.package and importlib.util.find_spec(known.package) is None:
        return f"not installed: {known.pip}"
    return None
