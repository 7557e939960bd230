"""The configuration file: providers with their settings, the log level, and which line is wrong."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.config_file import read_configuration
from hwcng.providers.pkcs11.uri import Pkcs11Uri
from hwcng.providers.tpm2.uri import Tpm2Uri


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def written(text: str) -> Path:
        path = tmp_path / "mine.ini"
        path.write_text(text)
        monkeypatch.setenv("HWCNG_CONFIG", str(path))
        return path

    return written


def test_a_provider_with_its_settings(write) -> None:
    write(
        "[providers]\na = tpm2:\n[provider the HSM of room 5]\nuri = pkcs11:token=x?module-path=/m.so\n"
        "pin-source = file:/run/pin\nquirks = no-oaep-label\ntimeout = 2.5\n[provider t]\nuri = tpm2:\ntimeout = 1\n"
    )
    assert dict(read_configuration().providers) == {
        "a": Tpm2Uri(),
        "the HSM of room 5": Pkcs11Uri(
            token="x",
            module_path="/m.so",
            pin_source="file:/run/pin",
            vendor_query={"x-quirks": "no-oaep-label", "x-timeout": "2.5"},
        ),
        "t": Tpm2Uri(vendor_query={"x-timeout": "1"}),
    }


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("[provider a]\nuri = tpm2:\n[names]\nb = tpm2:\n", 3, "[names]"),
        ("[provider a]\nuri = tpm2:\ntime-out = 5\n", 3, "time-out"),
        ("[provider a]\ntimeout = 5\n", 1, "no uri"),
        ("[provider a]\nuri = tpm2:\ntimeout = soon\n", 3, "x-timeout"),
        ("[provider a]\nuri = tpm2:\ntimeout = -1\n", 3, "x-timeout"),
        ("[provider a]\nuri = tpm2:\npin-source = file:/x\n", 3, "pin-source"),
        ("[provider a]\nuri = tpm2:\nquirks = none\n", 3, "only uri, timeout"),
        ("[provider a]\nuri = pkcs11:?pin-value=1234\npin-source = file:/x\n", 3, "exclude"),
        ("[provider a]\nuri = nonsense\n", 2, "'a'"),
        ("[provider ]\nuri = tpm2:\n", 1, "[provider ]"),
        ("[providers]\na = tpm2:\n[provider a]\nuri = tpm2:\n", 3, "twice"),
        ("[providers]\na = pkcs11:token=a?pin-source=1234\n", 2, "pin-source must be"),
        ("[provider a]\nuri = pkcs11:token=a\npin-source = 1234\n", 3, "pin-source must be"),
        ("[provider a]\nuri = tpm2:?owner-auth-source=1234\n", 2, "pin-source must be"),
        ("[logging]\nlevel = LOUD\n", 2, "DEBUG"),
        ("[logging]\n", 1, "level"),
        ("[logging]\nlevel = INFO\nlevels = 3\n", 3, "levels"),
    ],
)
def test_what_is_wrong_is_named_with_its_line_and_no_pin(write, text: str, line: int, word: str) -> None:
    path = write(text)
    with pytest.raises(CngError) as caught:
        read_configuration()
    assert caught.value.status is NTSTATUS.STATUS_INVALID_PARAMETER
    assert f"{path}, line {line}: " in caught.value.message
    assert word in caught.value.message
    assert "1234" not in caught.value.message


PROGRAM = """
import logging, sys, hwcng
{before}
with hwcng.open_provider({uri!r}, pin={pin!r}):
    pass
"""


@pytest.mark.parametrize(
    ("level", "before", "expected"),
    [
        ("INFO", "", True),
        ("ERROR", "", False),
        ("INFO", "logging.getLogger('hwcng').setLevel(logging.CRITICAL)", False),
    ],
)
def test_the_log_level(write, token_uri, token_pin, level, before, expected) -> None:
    write(f"[logging]\nlevel = {level}\n")
    program = PROGRAM.format(before=before, uri=token_uri, pin=token_pin)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ("hwcng.token: token 'hwcng-test' is open" in done.stderr) is expected
    assert token_pin not in done.stderr


def test_a_malformed_file_hinders_no_uri(write, token_uri, token_pin) -> None:
    import hwcng

    write("nonsense\n")
    with hwcng.open_provider(token_uri, pin=token_pin) as provider:
        assert len(provider.random(8)) == 8
    assert logging.getLogger("hwcng").level == logging.NOTSET


def test_a_file_without_an_end_is_no_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWCNG_CONFIG", "/dev/zero")
    with pytest.raises(CngError, match="/dev/zero has more than") as refused:
        read_configuration()
    assert refused.value.status is NTSTATUS.STATUS_INVALID_PARAMETER
