"""The programs of docs/cryptography.md, run as they stand, one after the other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from support import programs_of

if TYPE_CHECKING:
    from hwcng.contract.provider import Provider
    from hwcng.testing.softhsm import SoftHsm

ROOT = Path(__file__).parents[2]
HEAD = """
import os

def read_pin():
    return os.environ["TOKEN_PIN"]

"""


def test_programs_run(softhsm: SoftHsm, provider: Provider, token_uri: str, token_pin: str) -> None:
    from hwcng import ncrypt

    programs = programs_of("docs/cryptography.md")
    assert len(programs) == 5
    code = HEAD + "\n".join(programs)
    for name, uri in (
        ("token=my-token", token_uri),
        ("token=my-token;object=www", token_uri.replace("?", ";object=www?", 1)),
    ):
        code = code.replace(f"pkcs11:{name}?module-name=softhsm2", uri)
    assert "my-token" not in code
    environment = {"PATH": "/usr/bin:/bin", "TOKEN_PIN": token_pin, "PYTHONPATH": str(ROOT), **softhsm.environ()}
    storage = ncrypt.NCryptOpenStorageProvider(provider)
    key = ncrypt.NCryptCreatePersistedKey(storage, ncrypt.NCRYPT_ECDSA_P256_ALGORITHM, "www")
    ncrypt.NCryptFinalizeKey(key)
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
        )
    finally:
        ncrypt.NCryptDeleteKey(key)
        provider.delete_key("imported")
    assert done.returncode == 0, done.stderr
