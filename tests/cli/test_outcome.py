"""Where results go: files that appear when they are whole, links, what is open already, terminals of few letters."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

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


@pytest.mark.parametrize("name", ["x" * 255, "new\nline", "-dash", "schl\udcfc"])
def test_a_file_of_any_name(name, run, command_softhsm, tmp_path) -> None:
    assert run("random", command_softhsm.uri, "16", f"--output={tmp_path / name}").status == 0
    assert os.listdir(tmp_path) == [name]


def test_a_folder_that_is_not_there_is_named_as_it_was_given(run, command_softhsm, tmp_path) -> None:
    ran = run("random", command_softhsm.uri, "16", "--output", tmp_path / "none" / "out")
    assert (ran.status, ran.errors) == (1, f"hwcng: {tmp_path}/none/out: No such file or directory\n")


@pytest.mark.parametrize("ended_by", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_command_that_is_ended_leaves_no_half_of_a_file(ended_by, run, command_softhsm, new_name, tmp_path) -> None:
    """While it waits for more to encrypt."""
    uri = command_softhsm.uri
    assert run("keys", "generate", uri, "--name", new_name, "--algorithm", "AES", "--bits", "256").status == 0
    # The tests may run where a signal is ignored, under nohup for one.
    own_signals = ["env", f"--default-signal={ended_by.name}"]
    hwcng = [*own_signals, sys.executable, "-m", "hwcng"]
    command = [*hwcng, "encrypt", uri, new_name, "-", "-o", str(tmp_path / "out")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while not os.listdir(tmp_path):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(ended_by)
        _, said = process.communicate()
    assert run("keys", "delete", uri, new_name).status == 0
    assert (process.returncode, said) == (
        (1, b"\nhwcng: given up\n") if ended_by is signal.SIGINT else (128 + ended_by, b"")
    )
    assert os.listdir(tmp_path) == []


def test_a_signal_that_is_ignored_stays_so(run, command_softhsm) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert run("random", command_softhsm.uri, "16", "--hex").status == 0
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)


def test_an_interrupt_before_the_command_is_loaded(tmp_path) -> None:
    program = """
import sys
class Interrupted:
    def find_spec(self, name, path=None, target=None):
        if name == "click":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupted())
from hwcng.cli import main
sys.exit(main(["--version"]))
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (ran.returncode, ran.stderr) == (1, b"hwcng: given up\n")
