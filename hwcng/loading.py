"""What hwcng and its libraries load at first use, loaded when a token is opened (Python's import system).

A module that one thread loads while another one forks stays locked in the child, which waits for it for ever.
"""

from __future__ import annotations

import importlib
from contextlib import suppress

from hwcng.forking import foreign_work

__all__ = ["load", "load_the_rest"]

_LATE = (
    "hwcng.attestation",
    "hwcng.named_keys",
    "hwcng.capi.translation",
    "hwcng.cng.certificates",
    "hwcng.cng.first_uses",
    "hwcng.ksp.importing",
    "hwcng.pyca.opening",
    "hwcng.pyca.private_keys",
    "hwcng.pyca.symmetric",
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
)


def load(name: str) -> object:
    """The module, while no fork is under way. Raises ImportError."""
    with foreign_work():
        return importlib.import_module(name)


def load_the_rest() -> None:
    """Loads what would be loaded at first use. What is not installed is not missed before it is used."""
    for name in _LATE:
        with suppress(ImportError):
            load(name)
