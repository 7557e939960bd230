"""What holds for each command: JSON, help, a wrong argument, a token that is lost, a full disk, no secret said."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
from cli.commands import COMMANDS, ROWS, differs, said_by
from support import missing

from hwcng.providers.events import ROOT

GONE = "tpm2:swtpm:host=127.0.0.1,port=1"
OF_A_TOKEN = [command for command, row in ROWS.items() if row.token]
WITH_OUTPUT = [name for name, command in COMMANDS.items() if "output" in {given.name for given in command.params}]
STORING = [command for command, row in ROWS.items() if row.stores]
each = pytest.mark.parametrize("command", ROWS, ids=" ".join)


def test_no_command_is_left_out() -> None:
    assert set(COMMANDS) == set(ROWS)


@pytest.mark.parametrize("command", [(), *COMMANDS], ids=" ".join)
def test_help(command, run) -> None:
    ran = run(*command, "--help")
    assert (ran.status, ran.errors) == (0, "")
    assert ran.output.startswith(f"Usage: {' '.join(('hwcng', *command))}")
    if command:
        whole = Path(__file__).parents[2].joinpath("docs/command.md").read_text("utf-8")
        assert f"`{' '.join(command)}" in whole


@each
def test_a_wrong_argument(command, run) -> None:
    ran = run(*command, "--no-such-option")
    assert (ran.status, ran.output) == (2, "")
    assert "No such option" in ran.errors


@each
def test_json(command, run, world) -> None:
    """The documented members in their order, and nothing beside them."""
    ran = run(*command, *world.arguments(command), "--json")
    assert ran.status in ROWS[command].statuses, ran.errors
    assert differs(ran.data, world.of(ROWS[command].json)) == ""


@each
def test_every_member_is_documented(command) -> None:
    page = Path(__file__).parents[2].joinpath("docs/command.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| ((?:`[^|]+`(?:, )?)+) \| (`.*) \|$", page[page.index("## JSON") :], re.MULTILINE))
    (told,) = [told for names, told in rows.items() if " ".join(command) in names.strip("`").split("`, `")]
    documented = re.findall(r"`([a-z_]+)`", told)
    assert [member for member in ROWS[command].json if member not in documented] == []


@pytest.mark.parametrize("command", OF_A_TOKEN, ids=" ".join)
def test_a_token_that_is_gone(command, run, world, tmp_path) -> None:
    world.update(dict.fromkeys(("uri", "other_uri", "tpm"), GONE))
    world.update(dict.fromkeys(("name", "rsa", "exportable", "new", "tpm_name"), "NAME"))
    world.update(dict.fromkeys(("sealed", "signature", "certificate"), __file__))
    ran = run(*command, *world.arguments(command))
    world.clear()
    assert (ran.status, ran.output) == (1, "")
    assert ran.errors.startswith("hwcng: STATUS_")
    assert ran.errors.count("\n") == 1
    assert not (tmp_path / "out").exists()


ON_PKCS11 = [command for command in OF_A_TOKEN if command not in {("attest",), ("openssl-conf",)}]
"""Those that ask a PKCS#11 token more once it is open."""


@pytest.fixture
def answer(monkeypatch):
    """Has a function answer each C_ call once a provider is open: it gets the name, the function, its arguments."""
    from hwcng.cli import targets
    from hwcng.providers.pkcs11 import probing

    # What was tried is remembered.
    monkeypatch.setattr(probing, "_probed", {})
    with contextlib.ExitStack() as stack:
        open_provider = targets.open_provider

        def answered(by):
            def opened(uri, **values):
                provider = open_provider(uri, **values)
                undo = provider.cryptoki.instrument(lambda name, function: lambda *given: by(name, function, *given))
                stack.callback(undo)
                return provider

            monkeypatch.setattr(targets, "open_provider", opened)

        yield answered


@pytest.mark.parametrize("served", [0, 2, 5, 9, 15])
@pytest.mark.parametrize("command", ON_PKCS11, ids=" ".join)
def test_a_token_that_goes_while_the_command_works(command, served, run, world, tmp_path, answer) -> None:
    """So many calls after the token was opened are served, and every other is answered by CKR_DEVICE_REMOVED."""
    arguments, asked = world.arguments(command), []

    def removed(name, function, *given):
        asked.append(name)
        return function(*given) if len(asked) <= served else 0x32

    answer(removed)
    ran = run(*command, *arguments)
    if {"C_CloseSession"}.issuperset(asked[served:]):
        assert ran.status == 0
        return
    assert ran.status == 1, asked[served:]
    if command != ("test",):
        assert ran.output == ""
        assert ran.errors.count("\n") == 1
        assert ran.errors.startswith("hwcng: ")
    assert not (tmp_path / "out").exists()


@each
def test_a_full_disk(command, run, world, monkeypatch) -> None:
    """Standard output, which a shell has sent to a file."""
    arguments = world.arguments(command)
    with contextlib.ExitStack() as stack:
        full = open("/dev/full", "w")  # noqa: SIM115 - closing it would raise what is to be seen
        stack.callback(os.close, os.dup(full.fileno()))
        with monkeypatch.context() as patched:
            patched.setattr(sys, "stdout", full)
            ran = run(*command, *arguments, "--json")
    assert ran.status == 1
    assert ran.errors.splitlines()[-1] == "hwcng: No space left on device"


@pytest.mark.parametrize("command", WITH_OUTPUT, ids=" ".join)
def test_a_full_disk_leaves_no_half_of_a_file(command, run, world, tmp_path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    arguments = [given for given in world.arguments(command) if given not in ("--output", world["out"])]
    if command == ("keys", "certificate"):
        assert run(*command, *arguments).status == 0
        arguments = arguments[:2]
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(small)], capture_output=True, check=False
    )
    if mounted.returncode:
        missing("may mount a file system")
    try:
        (small / "filler").write_bytes(bytes(4096))
        ran = run(*command, *arguments, "--output", small / "out")
        assert ran.status == 1
        assert "No space left on device" in ran.errors
        assert os.listdir(small) == ["filler"]
    finally:
        subprocess.run(["umount", str(small)], check=True)


FULL_DISK = """
import resource, sys
from hwcng.cli import main, targets

open_provider, left = targets.open_provider, int(sys.argv[1])

def limit():
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))

def opened(uri, **values):
    global left
    provider = open_provider(uri, **values)
    left -= 1
    if not left:
        limit()
    return provider

targets.open_provider = opened
if not left:
    limit()
sys.exit(main(sys.argv[2:]))
"""
"""From when the last provider is open. A login writes into SoftHSM's token too, and spoils it where it cannot."""


def names_in(run, uri) -> set[str]:
    return {key["name"] for key in run("keys", "list", uri, "--json").data["keys"]}


@pytest.mark.parametrize("command", STORING, ids=" ".join)
def test_a_full_disk_under_the_token(command, run, world) -> None:
    """No byte of any file can be written: nothing is made, and nothing that was there is gone."""
    arguments = world.arguments(command)
    before = names_in(run, world["uri"])
    tokens = str(len({"{uri}", "{other_uri}"} & set(ROWS[command].arguments)))
    program = [sys.executable, "-c", FULL_DISK, tokens, *command, *arguments]
    ran = subprocess.run(program, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "Traceback" not in ran.stderr
    assert ran.stderr.startswith("hwcng: ")
    assert ran.stderr.count("\n") == 1
    assert names_in(run, world["uri"]) == before
    assert run(*command, *arguments).status == 0


@each
def test_no_secret_is_said(command, run, world, token_pin, tmp_path) -> None:
    """With every record of the loggers at DEBUG and every call traced, in a process that logs in itself."""
    arguments = world.arguments(command)
    configuration = tmp_path / "providers.ini"
    configuration.write_text("[logging]\nlevel = DEBUG\n")
    environment = {**os.environ, "HWCNG_CONFIG": str(configuration), "HWCNG_TRACE": "stderr"}
    program = [sys.executable, "-m", "hwcng", *command, *arguments, "--json"]
    ran = subprocess.run(program, capture_output=True, text=True, check=False, env=environment)
    assert ran.returncode in ROWS[command].statuses, ran.stderr
    assert differs(json.loads(ran.stdout), world.of(ROWS[command].json)) == ""
    if ROWS[command].token:
        assert re.search("C_|TPM2_", ran.stderr)
        assert "DEBUG" in ran.stderr or "INFO" in ran.stderr
    secrets = {token_pin}.union(*map(said_by, world.key_bytes))
    assert [secret for secret in secrets if secret in ran.stdout + ran.stderr] == []


@pytest.mark.parametrize("command", OF_A_TOKEN, ids=" ".join)
def test_a_wrong_pin_is_one_line_that_does_not_say_it(command, run, world, unopened_token_uri, tmp_path) -> None:
    """With every call traced, which tells that it was tried once."""
    world.update(dict.fromkeys(("uri", "other_uri", "tpm"), unopened_token_uri))
    world.update(dict.fromkeys(("name", "rsa", "exportable", "new", "tpm_name"), "NAME"))
    world.update(dict.fromkeys(("sealed", "signature", "certificate"), __file__))
    trace = tmp_path / "trace"
    program = [sys.executable, "-m", "hwcng", *command, *world.arguments(command)]
    environment = {**os.environ, "HWCNG_PIN": "a-wrong-pin-of-mine", "HWCNG_TRACE": str(trace)}
    ran = subprocess.run(program, capture_output=True, text=True, check=False, env=environment)
    world.clear()
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("hwcng: STATUS_SMARTCARD_WRONG_PIN")
    assert ran.stderr.count("\n") == 1
    assert trace.read_text().count("C_Login ") == 1
    assert "a-wrong-pin-of-mine" not in ran.stderr + trace.read_text()


@pytest.mark.parametrize("command", ON_PKCS11, ids=" ".join)
def test_no_traceback_says_a_secret(command, run, world, token_pin, answer, caplog) -> None:
    """Of a mistake in hwcng itself, which is what a traceback is for."""
    arguments = world.arguments(command)

    def mistaken(name, function, *given):
        raise RuntimeError("a mistake")

    answer(mistaken)
    with caplog.at_level(logging.DEBUG, ROOT), pytest.raises(RuntimeError) as raised:
        run(*command, *arguments)
    said = "".join(traceback.format_exception(raised.value)) + caplog.text
    secrets = {token_pin}.union(*map(said_by, world.key_bytes))
    assert "a mistake" in said
    assert [secret for secret in secrets if secret in said] == []


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
