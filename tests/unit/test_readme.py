"""README.md's programs, run as they stand on a SoftHSM token, one after the other in one process."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from support import programs_of

if TYPE_CHECKING:
    from hwcng.contract.provider import Provider
    from hwcng.testing.softhsm import SoftHsm

ROOT = Path(__file__).parents[2]
TOKEN = "pkcs11:token=my-token?module-name=softhsm2"
KEY = "pkcs11:token=my-token;object=www?module-name=softhsm2"
LONGEST_FIRST = 10


def test_programs_run(softhsm: SoftHsm, provider: Provider, token_uri: str, token_pin: str) -> None:
    from hwcng import ncrypt

    programs = programs_of("README.md")
    assert len(programs) == 2 and KEY in programs[0] and TOKEN in programs[1]
    # What a user sees first: a key by its URI, and a request that it signs.
    assert programs[0].count("\n") <= LONGEST_FIRST and "CertificateSigningRequestBuilder" in programs[0]
    code = "\n".join(programs).replace(KEY, token_uri.replace("?", ";object=www?", 1)).replace(TOKEN, token_uri)
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
    assert done.returncode == 0, done.stderr
    verified = subprocess.run(
        ["openssl", "req", "-verify", "-noout", "-subject"],
        input=done.stdout,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "www.example.org" in verified.stdout


def test_every_linked_page_is_there() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", (ROOT / "README.md").read_text()):
        assert target.startswith("https://") or (ROOT / target).exists(), target
