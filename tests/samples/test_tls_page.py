"""The first program of docs/tls.md runs as it stands there."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import programs_of

import hwcng

PAGE = "docs/tls.md"


def test_the_page_runs(
    token_uri: str, token_pin: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = programs_of(PAGE)[0]
    pin = tmp_path / "pin"
    pin.touch(mode=0o600)
    pin.write_text(token_pin + "\n")
    uri = f"{token_uri}&pin-source=file:{pin}"
    monkeypatch.chdir(tmp_path)
    try:
        exec(compile(program, PAGE, "exec"), {"__name__": "__main__", "TOKEN_URI": uri})
    finally:
        with hwcng.open_provider(uri) as provider:
            provider.delete_key("server")
    assert capsys.readouterr().out == f"export OPENSSL_CONF='{tmp_path / 'openssl.cnf'}'\n"
    assert str(pin) in (tmp_path / "openssl.cnf").read_text()
    for file in tmp_path.glob("*.[pc][en][mf]"):
        assert token_pin not in file.read_text()
