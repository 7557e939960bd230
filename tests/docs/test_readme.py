"""README.md shows first what a user wants to see: a key by its URI, and a request that it signs."""

from __future__ import annotations

import subprocess
from pathlib import Path

from docs.markdown import blocks
from docs.pages import run

LONGEST_FIRST = 10


def test_the_first_program_signs_a_request(reader: dict[str, str], tmp_path: Path) -> None:
    first = next(block for block in blocks("README.md") if block.language == "python")
    assert first.source.count("\n") <= LONGEST_FIRST and "CertificateSigningRequestBuilder" in first.source
    verified = subprocess.run(
        ["openssl", "req", "-verify", "-noout", "-subject"],
        input=run("README.md", [first], reader, tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "www.example.org" in verified.stdout
