"""What holds for each command alike: help, a wrong argument, a token that is gone, a full disk, a pipe that ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import click
import pytest
from support import missing

from hwcng.cli.application import application

GONE = "tpm2:swtpm:host=127.0.0.1,port=1"


def commands(group: click.Group = application, *path: str) -> list[tuple[str, ...]]:
    context = click.Context(group)
    found: list[tuple[str, ...]] = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        found += commands(command, *path, name) if isinstance(command, click.Group) else [(*path, name)]
    return found


COMMANDS = commands()
OF_A_TOKEN = {
    ("attest",): ("NAME",),
    ("capabilities",): (),
    ("csr",): ("NAME", "--subject", "CN=a"),
    ("decrypt",): ("NAME", __file__, "--output", "out"),
    ("encrypt",): ("NAME", __file__, "--output", "out"),
    ("keys", "certificate"): ("NAME",),
    ("keys", "delete"): ("NAME", "--yes"),
    ("keys", "export-public"): ("NAME",),
    ("keys", "generate"): ("--name", "NAME", "--algorithm", "ECDSA_P256"),
    ("keys", "import"): ("key.pem", "--name", "NAME"),
    ("keys", "list"): (),
    ("keys", "rename"): ("NAME", "OTHER"),
    ("keys", "show"): ("NAME",),
    ("move",): ("NAME", GONE),
    ("openssl-conf",): (),
    ("random",): ("16",),
    ("sign",): ("NAME", __file__, "--output", "out"),
    ("test",): (),
    ("verify",): ("NAME", __file__, "--signature", __file__),
}
"""Every command that asks a token, with arguments that are right."""
OF_NONE = {("completion",), ("config", "check"), ("doctor",), ("token", "init"), ("tokens",)}


def test_no_command_is_left_out() -> None:
    assert set(COMMANDS) == set(OF_A_TOKEN) | OF_NONE


@pytest.mark.parametrize("command", [(), *COMMANDS], ids=" ".join)
def test_help(command, run) -> None:
    ran = run(*command, "--help")
    assert (ran.status, ran.errors) == (0, "")
    assert ran.output.startswith(f"Usage: {' '.join(('hwcng', *command))}")
    if command:
        whole = Path(__file__).parents[2].joinpath("docs/command.md").read_text("utf-8")
        assert f"`{' '.join(command)}" in whole


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_wrong_argument(command, run) -> None:
    ran = run(*command, "--no-such-option")
    assert (ran.status, ran.output) == (2, "")
    assert "No such option" in ran.errors


@pytest.mark.parametrize("command", OF_A_TOKEN, ids=" ".join)
def test_a_token_that_is_gone(command, run, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("key.pem").write_bytes(subprocess.check_output(["openssl", "genpkey", "-algorithm", "ED25519"]))
    ran = run(*command, GONE, *OF_A_TOKEN[command])
    assert (ran.status, ran.output) == (1, "")
    assert ran.errors.startswith("hwcng: STATUS_")
    assert ran.errors.count("\n") == 1
    assert not Path("out").exists()


@pytest.mark.parametrize("command", sorted(name for name in OF_A_TOKEN if "NAME" in OF_A_TOKEN[name]), ids=" ".join)
def test_a_token_that_goes_while_the_command_works(command, run, command_softhsm, tmp_path, monkeypatch) -> None:
    """Every call after the token was opened is answered by CKR_DEVICE_REMOVED."""
    from hwcng.cli import targets
    from hwcng.testing.faults import FaultInjector

    monkeypatch.chdir(tmp_path)
    Path("key.pem").write_bytes(
        subprocess.check_output(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"])
    )
    injectors, open_provider = [], targets.open_provider

    def opened(uri, **values):
        provider = open_provider(uri, **values)
        injector = FaultInjector(provider)
        injector.__enter__()
        injectors.append(injector)
        for function in ("C_FindObjectsInit", "C_GetSessionInfo", "C_GenerateKeyPair", "C_CreateObject"):
            injector.fail(function, 0x32)
        return provider

    monkeypatch.setattr(targets, "open_provider", opened)
    arguments = [command_softhsm.uri if argument == GONE else argument for argument in OF_A_TOKEN[command]]
    ran = run(*command, command_softhsm.uri, *arguments)
    for injector in reversed(injectors):
        injector.__exit__(None, None, None)
    assert injectors
    assert (ran.status, ran.output) == (1, "")
    assert ran.errors.count("\n") == 1
    assert ran.errors.startswith("hwcng: ")
    assert not Path("out").exists()


def in_a_process(*arguments: str, stdout: IO[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hwcng", *arguments], stdout=stdout, stderr=subprocess.PIPE, text=True, check=False
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("tokens", "--json"),
        ("doctor", "--json"),
        ("doctor",),
        ("completion", "bash"),
        ("keys", "list", "URI", "--json"),
        ("capabilities", "URI", "--json", "--algorithm", "AES"),
        ("test", "URI", "--json"),
        ("random", "URI", "100000"),
        ("openssl-conf", "URI"),
    ],
    ids=" ".join,
)
def test_a_full_disk(arguments, command_softhsm) -> None:
    arguments = [command_softhsm.uri if argument == "URI" else argument for argument in arguments]
    with open("/dev/full", "w") as full:
        ran = in_a_process(*arguments, stdout=full)
    assert ran.returncode == 1
    assert "No space left on device" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert ran.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["sign", "encrypt", "random", "csr", "export-public", "openssl-conf"])
def test_a_full_disk_leaves_no_half_of_a_file(command, run, command_softhsm, new_name, tmp_path) -> None:
    small, uri = tmp_path / "small", command_softhsm.uri
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(small)], capture_output=True, check=False
    )
    if mounted.returncode:
        missing("may mount a file system")
    try:
        (small / "filler").write_bytes(bytes(4096))
        key = ("keys", "generate", uri, "--name", new_name)
        algorithm = "AES" if command == "encrypt" else "ECDSA_P256"
        assert run(*key, "--algorithm", algorithm).status == 0
        arguments = {
            "sign": ("sign", uri, new_name, __file__),
            "encrypt": ("encrypt", uri, new_name, __file__),
            "random": ("random", uri, "4096"),
            "csr": ("csr", uri, new_name, "--subject", "CN=a"),
            "export-public": ("keys", "export-public", uri, new_name),
            "openssl-conf": ("openssl-conf", uri),
        }[command]
        ran = run(*arguments, "--output", small / "out")
        assert ran.status == 1
        assert "No space left on device" in ran.errors
        assert os.listdir(small) == ["filler"]
    finally:
        command_softhsm.provider.delete_key(new_name)
        subprocess.run(["umount", str(small)], check=True)


def test_a_reader_that_stops_is_no_error(command_softhsm) -> None:
    """As `hwcng ... | head -c 1` does."""
    process = subprocess.Popen(
        [sys.executable, "-m", "hwcng", "random", command_softhsm.uri, "4000000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.read(1)
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 0


@pytest.mark.parametrize(
    ("closed", "arguments", "status", "said"),
    [
        (">&-", ("completion", "bash"), 1, "hwcng: Bad file descriptor\n"),
        (">&-", ("config", "check", "--json"), 1, "hwcng: Bad file descriptor\n"),
        ("2>&-", ("keys", "show", GONE, "NAME"), 1, ""),
        ("<&-", ("completion", "bash"), 0, ""),
    ],
)
def test_a_standard_stream_that_is_closed(closed, arguments, status, said, tmp_path) -> None:
    (tmp_path / "config").touch()
    ran = subprocess.run(
        ["sh", "-c", f'exec "$0" -m hwcng "$@" {closed}', sys.executable, *arguments],
        env={**os.environ, "HWCNG_CONFIG": str(tmp_path / "config")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (status, said)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_file_does_not_get_the_number_of_a_closed_stream(closed, tmp_path) -> None:
    program = "import os, sys; from hwcng.cli import main; main(['--version']); sys.exit(os.open('.', os.O_RDONLY) < 3)"
    ran = subprocess.run(
        ["sh", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, program], cwd=tmp_path, check=False
    )
    assert ran.returncode == 0


def test_a_key_is_deleted_where_nobody_can_be_asked(run, command_softhsm, new_name) -> None:
    uri = command_softhsm.uri
    assert run("keys", "generate", uri, "--name", new_name, "--algorithm", "ECDSA_P256").status == 0
    command = ("keys", "delete", uri, new_name)
    ran = subprocess.run(
        ["sh", "-c", 'exec "$0" -m hwcng "$@" <&-', sys.executable, *command], capture_output=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert run("keys", "show", uri, new_name).status == 1


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(run, shell) -> None:
    ran = run("completion", shell)
    assert ran.status == 0
    assert "_HWCNG_COMPLETE" in ran.output


def test_the_shell_is_told_the_commands() -> None:
    environment = {**os.environ, "_HWCNG_COMPLETE": "bash_complete", "COMP_WORDS": "hwcng ke", "COMP_CWORD": "1"}
    done = subprocess.run([sys.executable, "-m", "hwcng"], env=environment, capture_output=True, text=True, check=False)
    assert "keys" in done.stdout


def test_version(run) -> None:
    import hwcng

    assert run("--version").output == f"hwcng {hwcng.__version__}\n"
