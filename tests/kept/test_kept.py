"""Keys, pickles and blobs that an older hwcng made are opened and used by this one."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import missing, needs_module

HERE = Path(__file__).parent
PAIRS = [f"{name} {how}" for name in ("RSA", "ECDSA_P256") for how in ("pickles", "uris", "NCryptOpenKey")]
NCRYPT_PAIRS = ["NCrypt RSA pickles", "NCrypt ECDSA_P256 pickles"]
AES = ["AES pickles", "AES uris", "AES opaque"]
OPAQUE_PAIRS = {
    "softhsm": ["RSA opaque", "ECDSA_P256 opaque"],
    "nss-db": ["RSA opaque"],
    "swtpm": ["RSA opaque", "ECDSA_P256 opaque"],
}


@pytest.fixture
def copied() -> Iterator[Path]:
    """A new folder whose path is as long as that of the one where they were made."""
    folder = Path(tempfile.mkdtemp(prefix="hwcng-kept-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("token", list(OPAQUE_PAIRS))
def test_what_an_older_version_made_is_opened_and_used(token: str, copied: Path) -> None:
    if token == "swtpm":
        needs_module("tpm2_pytss")
        if shutil.which("swtpm") is None:
            missing("command:swtpm")
    shutil.unpack_archive(HERE / "data" / f"{token}.tar.xz", copied)
    run = subprocess.run(
        [sys.executable, str(HERE / "kept.py"), "load", token, str(copied)], capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stderr
    assert sorted(run.stdout.splitlines()) == sorted([*AES, *PAIRS, *NCRYPT_PAIRS, *OPAQUE_PAIRS[token]])
