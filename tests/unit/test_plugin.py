"""hwcng.testing.plugin: the fixtures in a project downstream, and what they say where something is missing."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from support import programs_of

from hwcng.testing._packages import how_to_install
from hwcng.testing.nss import main as nss_main
from hwcng.testing.requirements import parse
from hwcng.testing.softhsm import main as softhsm_main
from hwcng.testing.swtpm import main as swtpm_main

DOWNSTREAM = Path(__file__).parents[1] / "downstream"
HEAVY = {"asn1crypto", "cffi", "cryptography", "pkcs11", "tpm2_pytss"}
MAINS = {"softhsm": softhsm_main, "nss": nss_main, "swtpm": swtpm_main}


def run_pytest(folder, *arguments, **environ):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "SOFTHSM2_", "COV_"))}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:randomly", *arguments]
    return subprocess.run(
        command, cwd=folder, env={**kept, **environ}, capture_output=True, text=True, check=False, timeout=300
    )


@pytest.fixture
def project(tmp_path):
    """Writes a test file of a new project, and runs it."""

    def run(program, *arguments, **environ):
        (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\n")
        (tmp_path / "test_it.py").write_text(program)
        return run_pytest(tmp_path, "-rsfE", *arguments, **environ)

    return run


@pytest.mark.requires("command:swtpm")
def test_a_project_downstream_passes_with_two_workers(tmp_path, nss_database):
    copy = shutil.copytree(DOWNSTREAM, tmp_path / "project", ignore=shutil.ignore_patterns("__pycache__"))
    temporary = tmp_path / "t"
    temporary.mkdir()
    run = run_pytest(copy, "-n", "2", "-rs", TMPDIR=str(temporary))
    assert run.returncode == 0, run.stdout
    assert re.search(r"20 passed, 1 skipped", run.stdout), run.stdout
    assert "does not do 3DES CBC: " in run.stdout
    left = [path.name for path in temporary.iterdir() if not path.name.startswith("pytest-of-")]
    assert not left


def test_the_plugin_is_an_entry_point_and_loads_nothing(project):
    (found,) = importlib.metadata.entry_points(group="pytest11", name="hwcng")
    assert found.value == "hwcng.testing.plugin"
    run = project(
        "import sys\n"
        "def test_loaded(pytestconfig):\n"
        "    assert pytestconfig.pluginmanager.get_plugin('hwcng') is sys.modules['hwcng.testing.plugin']\n"
        "    ours = {name for name in sys.modules if name.partition('.')[0] == 'hwcng'}\n"
        "    assert ours == {'hwcng', 'hwcng.testing', 'hwcng.testing.plugin'}\n"
        f"    assert not {HEAVY!r} & sys.modules.keys()\n",
        # Whatever else is installed here loads what it likes.
        *("-p", "no:hypothesispytest", "-p", "no:xdist"),
    )
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize(
    ("fixture", "environ", "packages"),
    [
        ("softhsm_token", {"SOFTHSM2_MODULE": "/nonexistent"}, ["SOFTHSM2_MODULE names /nonexistent"]),
        ("nss_token", {"NSS_SOFTOKN": "/nonexistent"}, ["NSS_SOFTOKN names /nonexistent"]),
        ("swtpm", {"PATH": "/nonexistent"}, ["apt-get install swtpm", "dnf install swtpm", "brew install swtpm"]),
    ],
)
def test_a_missing_program_is_an_error_that_says_what_to_install(project, fixture, environ, packages):
    run = project(f"def test_one({fixture}): pass\n", **environ)
    assert run.returncode == 1
    assert "1 error" in run.stdout
    assert all(package in run.stdout for package in packages)


@pytest.mark.parametrize(
    ("program", "packages"),
    [
        ("SoftHSM 2 (libsofthsm2.so)", ["apt-get install softhsm2", "dnf install softhsm", "brew install softhsm"]),
        ("NSS softokn (libsoftokn3.so)", ["apt-get install libnss3", "dnf install nss-softokn", "brew install nss"]),
    ],
)
def test_each_system_s_package_is_named(program, packages):
    assert all(package in how_to_install(program, "set X") for package in packages)


def test_a_provider_of_what_is_not_there_is_skipped(project):
    run = project(
        "def test_one(hwcng_provider): assert hwcng_provider.random(4)\n",
        SOFTHSM2_MODULE="/nonexistent",
        NSS_SOFTOKN="/nonexistent",
    )
    assert run.returncode == 0
    assert "SOFTHSM2_MODULE names /nonexistent" in run.stdout and "NSS_SOFTOKN names /nonexistent" in run.stdout


def test_a_configuration_that_was_read_before_is_told(project, tmp_path):
    program = """
import os
from hwcng.testing.softhsm import find_module
from hwcng.testing._token_module import TokenModule

os.environ["SOFTHSM2_CONF"] = {conf!r}
TokenModule(str(find_module())).initialize()

def test_one(softhsm_token): pass
"""
    conf = tmp_path / "softhsm2.conf"
    (tmp_path / "theirs").mkdir()
    conf.write_text(f"directories.tokendir = {tmp_path}/theirs\n")
    run = project(program.format(conf=str(conf)))
    assert "1 error" in run.stdout
    assert "this process has initialised" in run.stdout
    assert f"SOFTHSM2_CONF is {conf} now" in run.stdout
    assert "python -m hwcng.testing.softhsm -- COMMAND" in run.stdout
    assert not [*(tmp_path / "theirs").iterdir()]


WRONG_MARKS = {
    """softhsm_token, requires=["ECDSA_P265"]""": "'ECDSA_P265' begins with no algorithm of CNG",
    """softhsm_token, requires=["AES GMC"]""": "'GMC' is no operation of AES",
    """softhsm_token, requires="AES\"""": "the mark is @pytest.mark.hwcng(requires=",
    """softhsm_token, "AES\"""": "the mark is @pytest.mark.hwcng(requires=",
    """request, requires=["AES"]""": "this test has none",
}
"""Fixture and arguments of a mark -> what its test fails with."""


def test_a_mark_that_is_wrong_fails_its_test(project):
    tests = (
        f"@pytest.mark.hwcng({wrong.partition(', ')[2]})\ndef test_{number}({wrong.partition(', ')[0]}): pass\n"
        for number, wrong in enumerate(WRONG_MARKS)
    )
    run = project("import pytest\n" + "".join(tests))
    told = re.split(r"^_+ ERROR at setup of test_\d+ _+$", run.stdout, flags=re.MULTILINE)[1:]
    assert len(told) == len(WRONG_MARKS), run.stdout
    for report, said in zip(told, WRONG_MARKS.values(), strict=True):
        assert said in report


@pytest.mark.parametrize(
    ("capability", "asked"),
    [
        ("AES GCM", ("AES", "GCM")),
        ("ECDSA_P384", ("ECDSA", "nistP384")),
        ("ECDH curve25519", ("ECDH", "curve25519")),
        ("RSA PSS SHA256", ("RSA", "PSS SHA256")),
        ("ML-DSA 65", ("ML-DSA", "65")),
        ("HMAC-SHA256", ("HMAC-SHA256", None)),
    ],
)
def test_a_capability_has_the_words_of_offers(capability, asked):
    assert parse(capability) == asked


def test_the_session_s_own_directory_is_joined(softhsm, provider, softhsm_token):
    with softhsm_token.open() as opened:
        assert opened.token.label == softhsm_token.label
        assert opened.token.serial not in {token.serial for token in softhsm.tokens}
    assert softhsm_token.settings == softhsm.environ()


OPENS = "import hwcng; print(len(hwcng.open_provider(__import__('os').environ['HWCNG_PROVIDER']).random(8)))"


@pytest.mark.requires("command:swtpm")
@pytest.mark.parametrize("kind", MAINS)
def test_a_command_runs_with_a_token_that_is_gone_afterwards(tmp_path, kind, nss_database, capfd, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert MAINS[kind](["--", sys.executable, "-c", f"{OPENS}; raise SystemExit(7)"]) == 7
    assert capfd.readouterr().out == "8\n"
    assert not [*tmp_path.iterdir()]


def test_a_command_that_is_killed_is_told_as_a_shell_does(capfd):
    assert softhsm_main(["--", "sh", "-c", "kill -9 $$"]) == 128 + 9
    assert "wrote a PIN to " in capfd.readouterr().err


@pytest.mark.parametrize("kind", ["softhsm", "nss"])
def test_a_shell_takes_the_exported_settings(tmp_path, kind, nss_database, capfd):
    folder = {"softhsm": [str(tmp_path / "a b")], "nss": ["--database", str(tmp_path / "a b")]}[kind]
    assert MAINS[kind]([*folder, "--export"]) == 0
    exported = capfd.readouterr().out
    script = f'{exported}exec "{sys.executable}" -c "{OPENS}"'
    assert subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout == "8\n"
    assert MAINS[kind]([*folder, "--export"]) == 0
    assert capfd.readouterr().out == exported


@pytest.mark.requires("command:swtpm")
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_a_tpm_runs_until_it_is_interrupted(tmp_path, end):
    command = [sys.executable, "-m", "hwcng.testing.swtpm", "--export"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}

    # A shell has what it starts in the background ignore SIGINT, and all below that.
    def heed_interrupts() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment, preexec_fn=heed_interrupts
    ) as running:
        try:
            lines = running.stdout.readline() + running.stdout.readline()
            script = f'{lines}exec "{sys.executable}" -c "{OPENS}"'
            assert subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout == "8\n"
            running.send_signal(end)
            assert running.wait(60) == 0
        finally:
            running.kill()
    assert not [*tmp_path.iterdir()]


def test_what_a_command_is_refused_for(tmp_path, capsys, monkeypatch):
    with pytest.raises(SystemExit) as usage:
        softhsm_main([])
    assert usage.value.code == 2 and "-- COMMAND" in capsys.readouterr().err
    assert softhsm_main(["--", "/nonexistent/program"]) == 127
    assert "/nonexistent/program: No such file" in capsys.readouterr().err
    assert softhsm_main([str(tmp_path / "a=b")]) == 1
    assert "softhsm2.conf cannot hold this path" in capsys.readouterr().err
    assert nss_main(["--database", str(tmp_path), "--pin-source", "1234"]) == 1
    assert "a PIN itself never stands on a command line" in capsys.readouterr().err
    monkeypatch.setenv("PATH", str(tmp_path))
    assert swtpm_main(["--", "true"]) == 1
    assert "apt-get install swtpm" in capsys.readouterr().err


@pytest.mark.requires("command:swtpm")
def test_the_page_s_programs_run(project):
    tests, program = programs_of("docs/testing.md")
    run = project(tests)
    assert run.returncode == 0, run.stdout
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed.startswith("hwcng-1\n")
