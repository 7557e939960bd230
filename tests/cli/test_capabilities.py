"""`hwcng capabilities` tells what `Provider.capabilities` tells."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from support import needs_module

from hwcng.cli import main
from hwcng.contract.provider import Provider
from hwcng.providers.registry import configure


def test_json(token_uri: str, token_pin: str, provider: Provider, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["capabilities", f"{token_uri}&pin-value={token_pin}", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    capabilities = provider.capabilities()
    assert told["token"]["label"] == provider.token.label
    assert told["key_bits"]["AES"] == list(capabilities.key_bits["AES"])
    assert told["weak"] == sorted(capabilities.weak)
    rows = {(row["algorithm"], row["operation"]): row["support"] for row in told["operations"]}
    assert rows == {key: support.value for key, support in capabilities.operations.items()}


def test_table(
    token_uri: str, token_pin: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_module("rich")
    configure({"our token": f"{token_uri}&pin-value={token_pin}"})
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["capabilities", "our token"]) == 0
    shown = capsys.readouterr().out
    for word in ("algorithm", "AES", "native", "composed", "refused", "(weak)"):
        assert word in shown
    assert token_pin not in shown


def test_a_terminal_is_asked_for_the_pin(
    token_uri: str, token_pin: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []
    monkeypatch.setattr("getpass.getpass", lambda prompt: asked.append(prompt) or token_pin)
    assert main(["capabilities", token_uri, "--ask-pin", "--json"]) == 0
    assert asked == ["PIN: "]
    assert token_pin not in capsys.readouterr().out


def test_an_algorithm_that_is_misspelt_is_told(
    token_uri: str, token_pin: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["capabilities", f"{token_uri}&pin-value={token_pin}", "--algorithm", "EAS"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "'EAS' is none of" in captured.err and "AES" in captured.err


def test_an_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["capabilities", "pkcs11:token=nobody?module-path=/nowhere.so"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("hwcng: STATUS_NOT_FOUND")
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize("package", ["click", "rich"])
def test_without_a_package_the_mending_line_is_told(package: str) -> None:
    program = f"import sys; sys.modules[{package!r}] = None; from hwcng.cli import main; sys.exit(main(['doctor']))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert f"needs the package {package}" in done.stderr
    assert "pip install 'hwcng[cli]'" in done.stderr


def test_the_module_is_the_command() -> None:
    shown = subprocess.run([sys.executable, "-m", "hwcng", "--help"], capture_output=True, text=True, check=True)
    assert "capabilities" in shown.stdout
