"""Software TPMs as a maker leaves them: endorsement keys at persistent handles, their certificates in the TPM's NV
storage, issued by a certification authority of this test (swtpm_setup, swtpm_localca).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from support import missing

__all__ = ["Maker", "manufacture"]


@dataclass(frozen=True)
class Maker:
    """root, issuer: the authority's certificates, in PEM."""

    root: bytes
    issuer: bytes


def manufacture(directory: Path) -> Maker:
    """Makes the state of a TPM in `directory`, for `Swtpm(directory)`."""
    for program in ("swtpm_setup", "swtpm_localca"):
        if shutil.which(program) is None:
            missing(f"command:{program}")
    authority, state = directory / "authority", directory / "state"
    authority.mkdir()
    state.mkdir(mode=0o700)
    (authority / "localca.conf").write_text(
        f"statedir = {authority}\n"
        f"signingkey = {authority}/signkey.pem\n"
        f"issuercert = {authority}/issuercert.pem\n"
        f"certserial = {authority}/certserial\n"
    )
    (authority / "options").write_text("--platform-manufacturer hwcng\n--platform-version 1\n--platform-model test\n")
    (authority / "setup.conf").write_text(
        f"create_certs_tool = {shutil.which('swtpm_localca')}\n"
        f"create_certs_tool_config = {authority}/localca.conf\n"
        f"create_certs_tool_options = {authority}/options\n"
    )
    line = ["swtpm_setup", "--tpm2", "--tpmstate", str(state), "--createek", "--create-ek-cert"]
    line += ["--config", str(authority / "setup.conf"), "--lock-nvram"]
    environ = {**os.environ, "HOME": str(authority), "XDG_CONFIG_HOME": str(authority)}
    done = subprocess.run(line, env=environ, capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    root = (authority / "swtpm-localca-rootca-cert.pem").read_bytes()
    return Maker(root, (authority / "issuercert.pem").read_bytes())
