"""Where a URI's PIN comes from: pin-source's files and environment, and what is refused of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.pin_sources import read_pin_source
from hwcng.providers.pkcs11.uri import Pkcs11Uri, pin_of

NOBODY = 65534


@pytest.mark.parametrize(
    ("content", "pin"),
    [
        (b"1234", b"1234"),
        (b"1234\n", b"1234"),
        (b"1234\r\n", b"1234"),
        (b"1234\n\n", b"1234\n"),
        (b"1234\r", b"1234\r"),
        (b" 12 34 \n", b" 12 34 "),
        (b"\xff\x00\n", b"\xff\x00"),
        (b"x" * 4096, b"x" * 4096),
    ],
)
def test_pin_file(tmp_path: Path, content: bytes, pin: bytes) -> None:
    path = tmp_path / "pin"
    path.write_bytes(content)
    for source in (f"file:{path}", f"file://{path}", f"file://localhost{path}", f"FILE:{path}", str(path)):
        assert read_pin_source(source) == pin


def test_pin_file_names(tmp_path: Path) -> None:
    path = tmp_path / "my pin%41\u00e1"
    path.write_bytes(b"1234")
    assert read_pin_source(str(path)) == b"1234"
    assert read_pin_source(f"file:{tmp_path}/my%20pin%2541%C3%A1") == b"1234"


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n", b"x" * 4097])
def test_pin_file_that_holds_no_pin(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "pin"
    path.write_bytes(content)
    with pytest.raises(CngError, match=str(path)) as caught:
        read_pin_source(f"file:{path}")
    assert caught.value.status is NTSTATUS.STATUS_INVALID_PARAMETER
    assert "xxx" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("file:/no/such/pin", "'/no/such/pin': No such file"),
        ("/no/such/pin", "'/no/such/pin': No such file"),
        ("/", "'/': Is a directory"),
        ("/a\0b", "not a file name"),
        ("file:/a%00b", "not a file name"),
        ("file:pin", "absolute path"),
        ("file://host/pin", "absolute path"),
        ("file:", "absolute path"),
        ("file:/a%4", "% without"),
        ("|/usr/bin/getpin", "must not be able to run a program"),
        ("https://example.org/pin", "must be file:/path"),
        ("pkcs11:object=pin", "must be file:/path"),
        ("relative", "must be file:/path"),
        ("", "must be file:/path"),
        ("env:", "must be followed by"),
        ("env:A=B", "must be followed by"),
        ("env:HWCNG_TEST_UNSET", "HWCNG_TEST_UNSET' is not set"),
        ("env:HWCNG_TEST_EMPTY", "HWCNG_TEST_EMPTY' is empty"),
    ],
)
def test_pin_source_that_is_refused(monkeypatch: pytest.MonkeyPatch, source: str, said: str) -> None:
    monkeypatch.delenv("HWCNG_TEST_UNSET", raising=False)
    monkeypatch.setenv("HWCNG_TEST_EMPTY", "")
    with pytest.raises(CngError) as caught:
        read_pin_source(source)
    assert caught.value.status is NTSTATUS.STATUS_INVALID_PARAMETER
    assert said in caught.value.message


def test_pin_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "pin"
    path.write_bytes(b"1234")
    path.chmod(0)
    before = os.geteuid()
    # Root reads every file.
    os.seteuid(before or NOBODY)
    try:
        with pytest.raises(CngError, match="Permission denied"):
            read_pin_source(str(path))
    finally:
        os.seteuid(before)


@pytest.mark.parametrize("source", ["1234abcd", "hunter2:1234abcd", "|echo 1234abcd", "env:1234abcd!"])
def test_a_pin_in_place_of_its_source_is_not_told(source: str) -> None:
    with pytest.raises(CngError) as caught:
        read_pin_source(source)
    assert "1234" not in str(caught.value)
    assert caught.value.__context__ is None


def test_pin_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environb, b"HWCNG_TEST_PIN", b"\xff12 ")
    assert read_pin_source("env:HWCNG_TEST_PIN") == b"\xff12 "


def test_pin_of(tmp_path: Path) -> None:
    path = tmp_path / "pin"
    assert pin_of(Pkcs11Uri()) is None
    assert pin_of(Pkcs11Uri(pin_value="a")) == "a"
    assert pin_of(Pkcs11Uri(pin_value="a"), b"b") == b"b"
    late = pin_of(Pkcs11Uri(pin_source=f"file:{path}"))
    assert callable(late)
    with pytest.raises(CngError):
        late()
    path.write_bytes(b"1234\n")
    assert late() == b"1234"
