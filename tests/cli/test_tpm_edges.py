"""The commands on a TPM that ends while they work, and on one whose keys are in a folder of a disk that is full."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cli.commands import ROWS, World
from support import missing

from hwcng.providers.tpm2.wire.constants import command_name
from hwcng.testing.swtpm import Swtpm

NOT_ON_A_TPM = {("move",), ("openssl-conf",)}
"""No key leaves a TPM under another one; the other asks no TPM."""
PINNED = {"attestation-key.pem", "storage-root-key.json"}
"""What the TPM itself has in the folder, beside the keys."""
ON_A_TPM = {command: row for command, row in ROWS.items() if row.token and command not in NOT_ON_A_TPM}


@pytest.fixture
def tpm_world(run, idle_swtpm: Swtpm, new_name, tmp_path) -> Iterator[World]:
    """What the rows name, with a TPM for their token."""
    with idle_swtpm.open() as provider:
        uri = idle_swtpm.uri

        def tpm_name() -> str:
            assert run("keys", "generate", uri, "--name", new_name, "--algorithm", "ECDSA_P256").status == 0
            return new_name

        yield World(tmp_path, provider, {"uri": lambda: uri, "tpm": lambda: uri, "tpm_name": tpm_name}, run)


@pytest.fixture
def end_after(idle_swtpm: Swtpm, monkeypatch) -> Iterator[Callable[[int], list[str]]]:
    """Has swtpm end once so many commands of a provider that is opened from now on were served; what it was asked."""
    from hwcng.cli import targets

    open_provider, asked = targets.open_provider, list[str]()
    with contextlib.ExitStack() as stack:

        def end(served: int) -> list[str]:
            def ending(exchange: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
                def exchanged(request: bytes) -> bytes:
                    asked.append(command_name(int.from_bytes(request[6:10], "big")))
                    if len(asked) == served + 1:
                        idle_swtpm.kill()
                    return exchange(request)

                return exchanged

            def opened(uri, **values):
                provider = open_provider(uri, **values)
                stack.callback(provider.connection.instrument(ending))
                return provider

            monkeypatch.setattr(targets, "open_provider", opened)
            return asked

        yield end


@pytest.mark.parametrize("served", [0, 1, 2, 4, 8, 16])
@pytest.mark.parametrize("command", ON_A_TPM, ids=" ".join)
def test_a_tpm_that_goes_while_the_command_works(
    command, served, run, tpm_world, idle_swtpm, tmp_path, end_after
) -> None:
    """What was asked meanwhile has no answer, and every key's file is as it was."""
    arguments = tpm_world.arguments(command)
    kept = {name: octets for name, octets in kept_in(idle_swtpm).items() if name not in PINNED}
    asked = end_after(served)
    ran = run(*command, *arguments)
    if {"TPM2_FlushContext"}.issuperset(asked[served:]):
        assert ran.status == 0
        return
    assert ran.status == 1, asked[served:]
    assert {name: octets for name, octets in kept_in(idle_swtpm).items() if name not in PINNED} == kept
    if command != ("test",):
        assert ran.output == ""
        assert ran.errors.count("\n") == 1
        assert ran.errors.startswith("hwcng: ")
    assert not (tmp_path / "out").exists()


def test_a_tpm_that_goes_once_a_key_gave_way(run, tpm_world, idle_swtpm, end_after) -> None:
    """The place of the old one is not left empty, and the message says so."""
    uri, name = tpm_world["uri"], tpm_world["name"]
    before = kept_in(idle_swtpm)
    assert end_after(1) == []
    ran = run("keys", "generate", uri, "--name", name, "--algorithm", "ECDSA_P256", "--replace")
    assert (ran.status, ran.output) == (1, "")
    assert ran.errors.endswith(f"; the key is stored as {name!r}\n")
    assert set(kept_in(idle_swtpm)) == set(before)
    assert kept_in(idle_swtpm) != before
    with idle_swtpm.start().open() as provider:
        provider.open_key(name).destroy()


def kept_in(tpm: Swtpm) -> dict[str, bytes]:
    store = tpm.directory / "store"
    return {path.name: path.read_bytes() for path in store.rglob("*") if path.is_file()}


@pytest.fixture
def full(idle_swtpm: Swtpm) -> Iterator[Callable[[], Path]]:
    """Fills the disk that the TPM's keys are on, which is so small; the folder."""
    store = idle_swtpm.directory / "store"
    store.mkdir(mode=0o700)
    small = ["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", str(store)]
    if subprocess.run(small, capture_output=True, check=False).returncode:
        missing("may mount a file system")

    def fill() -> Path:
        with contextlib.suppress(OSError), (store / "filler").open("ab", buffering=0) as filler:
            while True:
                filler.write(bytes(4096))
        assert os.statvfs(store).f_bavail == 0
        return store

    yield fill
    subprocess.run(["umount", str(store)], check=True)


STORING: dict[str, tuple[str, ...]] = {
    "keys generate": ("{uri}", "--name", "{new}", "--algorithm", "RSA"),
    "keys generate, replacing": ("{uri}", "--name", "{name}", "--algorithm", "RSA", "--replace"),
    "keys import": ("{uri}", "{pem}", "--name", "{new}"),
    "keys rename": ("{uri}", "{name}", "{new}"),
    "keys certificate": ("{uri}", "{name}", "--store", "{certificate}"),
    "attest": ("{uri}", "{name}", "--nonce", "00ff"),
}


@pytest.mark.parametrize("case", STORING)
def test_a_full_disk_below_the_keys(case, full, run, tpm_world, idle_swtpm, tmp_path) -> None:
    """Every file that was there is as it was, none is new, and the key that was there still works."""
    command = case.partition(",")[0].split()
    assert tpm_world["name"]
    arguments = list(tpm_world.of(STORING[case]))
    store = full()
    before = kept_in(idle_swtpm)
    ran = run(*command, *arguments)
    assert (ran.status, ran.output) == (1, "")
    assert ran.errors.startswith("hwcng: ")
    assert ran.errors.count("\n") == 1
    assert str(store) in ran.errors
    assert "No space left on device" in ran.errors
    assert kept_in(idle_swtpm) == before
    names = {key["name"] for key in run("keys", "list", tpm_world["uri"], "--json").data["keys"]}
    assert names == {tpm_world["name"]}
    assert run("sign", tpm_world["uri"], tpm_world["name"], tpm_world["file"], "-o", tmp_path / "out").status == 0
    (store / "filler").unlink()
    assert run(*command, *arguments).status == 0


def test_a_key_is_deleted_from_a_full_disk(full, run, tpm_world, idle_swtpm) -> None:
    """What makes room needs none."""
    uri, name = tpm_world["uri"], tpm_world["name"]
    before = set(kept_in(idle_swtpm))
    assert run("keys", "certificate", uri, name, "--store", tpm_world["certificate"]).status == 0
    assert set(kept_in(idle_swtpm)) > before
    full()
    ran = run("keys", "delete", uri, name, "--json")
    assert (ran.status, ran.data, ran.errors) == (0, {"deleted": name}, "")
    assert set(kept_in(idle_swtpm)) <= {*PINNED, "filler"}
