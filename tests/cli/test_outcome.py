"""Where results go: files that appear when they are whole, links, what is open already, terminals of few letters."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest


def hwcng(*arguments: object, **given) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-m", "hwcng", *map(str, arguments)], check=False, **given)


def test_a_link_stays_and_what_it_leads_to_is_written(run, command_softhsm, tmp_path) -> None:
    there, link = tmp_path / "there", tmp_path / "link"
    there.write_bytes(b"old")
    link.symlink_to(there)
    assert run("random", command_softhsm.uri, "16", "--output", link).status == 0
    assert link.is_symlink()
    assert len(there.read_bytes()) == 16


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
@pytest.mark.parametrize("how", ["file", "pipe"])
def test_standard_output_is_written_as_it_is(name, how, command_softhsm, tmp_path) -> None:
    """What stands in a log before stays, and /dev/stdout is still the link that it was."""
    log, before = tmp_path / "log", os.readlink("/dev/stdout")
    log.write_bytes(b"before ")
    with log.open("ab") as file:
        target = {"stdout": file} if how == "file" else {"capture_output": True}
        ran = hwcng("random", command_softhsm.uri, "16", "--output", name, cwd=tmp_path, **target)
    assert ran.returncode == 0
    assert len(log.read_bytes() if how == "file" else b"before " + ran.stdout) == len("before ") + 16
    assert os.readlink("/dev/stdout") == before
    assert os.listdir(tmp_path) == ["log"]


def test_two_things_do_not_share_standard_output(run, command_softhsm, new_name, tmp_path) -> None:
    (tmp_path / "plain").touch()
    ran = run("encrypt", command_softhsm.uri, new_name, tmp_path / "plain", "--output", "-", "--json")
    assert (ran.status, ran.output) == (2, "")


def test_a_result_goes_to_its_file_and_is_told(run, command_softhsm, tmp_path) -> None:
    out = tmp_path / "out"
    told = run("random", command_softhsm.uri, "16", "--output", out, "--json").data
    assert told == {"count": 16, "random": None}
    assert len(out.read_bytes()) == 16


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_json_in_any_encoding(encoding, command_softhsm, new_name, run) -> None:
    name = f"{new_name} Schlüssel 鍵"
    uri = command_softhsm.uri
    assert run("keys", "generate", uri, "--name", name, "--algorithm", "ECDSA_P256").status == 0
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    ran = hwcng("keys", "show", uri, name, "--json", env=environment, capture_output=True)
    table = hwcng("keys", "list", uri, env=environment, capture_output=True)
    assert run("keys", "delete", uri, name).status == 0
    assert json.loads(ran.stdout.decode(encoding))["name"] == name
    assert (table.returncode, table.stderr) == (0, b"")
