"""scripts/demo on a file of its own: every step good, the private export refused, the exit status to match."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[2] / "scripts" / "demo.py"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(DEMO), *arguments], capture_output=True, text=True, check=False)


@pytest.mark.requires("command:openssl", "command:swtpm")
def test_does_the_main_job_on_a_real_file(tmp_path: Path) -> None:
    file = tmp_path / "contract.txt"
    file.write_bytes(b"a contract\n" * 500)
    done = run(str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    for expected in (
        "contract.txt: 5,500 bytes",
        "SoftHSM 2",
        "swtpm",
        "TPM2_Sign",
        "TPM2_ECDH_ZGen",
        "- STATUS_NOT_SUPPORTED: a TPM has no",
        "CKM_AES_GCM",
        "CKM_AES_KEY_WRAP",
        "CKM_RSA_PKCS_KEY_PAIR_GEN",
        "CKM_ECDSA",
        "CKM_ECDH1_DERIVE",
        "verified by the openssl command",
        "signed there",
        "back from a SIMPLEBLOB",
        "- NTE_NOT_SUPPORTED",
        "refused: STATUS_NOT_SUPPORTED",
    ):
        assert expected in done.stdout
    assert "✗" not in done.stdout


def test_says_which_file_it_cannot_read(tmp_path: Path) -> None:
    done = run(str(tmp_path / "absent"))
    assert done.returncode == 2
    assert "cannot read" in done.stderr
