"""One TPM has one name and one default store, however its TCTI is spelled."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

import hwcng
from hwcng.contract.specs import EcdsaSpec, PairSpec
from hwcng.contract.usage import Usage
from hwcng.providers.tpm2.line.sharing import release, share
from hwcng.providers.tpm2.line.tcti import canonical
from hwcng.providers.tpm2.pinned import default_directory
from hwcng.testing.swtpm import Swtpm

SIGNING = PairSpec("EC", Usage.SIGN, curve="nistP256")

SAME = [
    (
        "swtpm",
        "swtpm:",
        "swtpm:host=localhost",
        "swtpm:port=2321",
        "swtpm:port=02321,host=LOCALHOST",
        "swtpm:host=127.0.0.1,port=2321",
        "swtpm:host=::1",
        "libtss2-tcti-swtpm.so.0:host=localhost,port=2321",
        "/usr/lib/x86_64-linux-gnu/libtss2-tcti-swtpm.so",
        "pcap:swtpm:port=2321",
    ),
    ("swtpm:port=7", "swtpm:port=7,host=localhost."),
    ("swtpm:host=Example.ORG", "swtpm:host=example.org.,port=2321"),
    ("swtpm:host=192.168.0.1", "swtpm:port=2321,host=192.168.0.1"),
    ("device", "device:", "device:/dev/tpmrm0", "device:/dev/../dev/tpmrm0", "libtss2-tcti-device.so:/dev/tpmrm0"),
    ("device:/dev/tpm0", "device:/dev//tpm0"),
    ("mssim", "mssim:host=localhost,port=2321"),
    ("tabrmd", "tabrmd:bus_type=system", "tabrmd:bus_name=com.intel.tss2.Tabrmd"),
    ("tabrmd:bus_type=session",),
    ("tabrmd:bus_name=org.example",),
    ("cmd:tpm2_send",),
    ("",),
]


@pytest.mark.parametrize("spellings", SAME, ids=lambda spellings: spellings[0] or "default")
def test_spellings_of_one_tpm(spellings: tuple[str, ...]) -> None:
    assert {canonical(spelling) for spelling in spellings} == {canonical(spellings[0])}
    others = {canonical(other[0]) for other in SAME if other != spellings}
    assert canonical(spellings[0]) not in others
    # The name is a spelling itself.
    assert canonical(canonical(spellings[0])) == canonical(spellings[0])


def test_no_tcti_is_an_empty_one() -> None:
    assert canonical(None) == canonical("")


def test_links_of_paths_are_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "socket")
    (tmp_path / "folder").symlink_to(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert {
        canonical(f"swtpm:path={path}")
        for path in ("socket", f"{tmp_path}/socket", f"{tmp_path}/link", f"{tmp_path}/folder/./socket")
    } == {f"swtpm:path={tmp_path.resolve()}/socket"}


def test_a_process_has_one_connection_to_a_tpm() -> None:
    first, second = share("swtpm:port=7", 1.0), share("swtpm:port=7,host=localhost", 1.0)
    assert first is second
    release(second)
    assert not first.closed
    release(first)
    assert first.closed


def test_a_key_is_found_through_every_spelling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with Swtpm(tcp=True) as tpm:
        port = tpm.tcti.rpartition("=")[2]
        with hwcng.open_provider(f"tpm2:{tpm.tcti}") as provider:
            provider.persist_key(provider.generate_pair(SIGNING), "mine")
        for spelling in (f"port={port},host=127.0.0.1", f"host=localhost,port={port}", f"port={port}"):
            with hwcng.open_provider(f"tpm2:swtpm:{spelling}") as provider:
                assert provider.open_key("mine").sign_digest(EcdsaSpec(), bytes(32))  # type: ignore[union-attr]
        assert len(list((tmp_path / "hwcng" / "tpm2").iterdir())) == 1


def test_a_store_that_was_named_by_its_spelling_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stores of earlier versions: keys' URIs name them by their path."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    spelling, other = "swtpm:port=7,host=localhost", "swtpm:port=7"
    old = tmp_path / "hwcng" / "tpm2" / hashlib.sha256(spelling.encode()).hexdigest()[:32]
    old.mkdir(parents=True)
    (old / "x").touch()
    assert default_directory(spelling) == old
    assert default_directory(spelling) == old
    # It is the store of all other spellings too, but for one that has its own.
    assert (default_directory(other) / "x").exists()
    assert (default_directory("swtpm:host=127.0.0.1,port=7") / "x").exists()
    own = tmp_path / "hwcng" / "tpm2" / hashlib.sha256(other.encode()).hexdigest()[:32]
    own.mkdir()
    assert default_directory(other) == own
    assert default_directory(spelling) == old
