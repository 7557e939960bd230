"""scripts/setup, test-system and test-pythons: what they say where they cannot go on. They run in a copy and never
reach this checkout's .venv.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEBIAN = 'ID=debian\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n'


def command(path, body):
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


@pytest.fixture
def checkout(tmp_path):
    """A bare checkout on a machine without packages, whose user is neither root nor may use sudo."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "setup", tmp_path / "scripts")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "os-release").write_text(DEBIAN)
    (tmp_path / "bin").mkdir()
    command(tmp_path / "bin" / "id", "echo 1000")
    command(tmp_path / "bin" / "sudo", "exit 1")
    command(tmp_path / "bin" / "dpkg-query", '[ "$3" = gcc ] && printf installed')
    command(tmp_path / "bin" / "apt-get", "echo apt-get was called; exit 1")
    return tmp_path


def setup(checkout, *arguments, **environ):
    environ = {
        **os.environ,
        "PATH": f"{checkout / 'bin'}:{os.environ['PATH']}",
        "OS_RELEASE_FILE": str(checkout / "os-release"),
        **environ,
    }
    return subprocess.run(
        [checkout / "scripts" / "setup", *arguments],
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("release", [DEBIAN, "ID=ubuntu\n", "ID=linuxmint\nID_LIKE='ubuntu debian'\n"])
def test_without_root_or_sudo_it_prints_the_line_to_run(checkout, release):
    (checkout / "os-release").write_text(release)
    done = setup(checkout)
    assert done.returncode == 1
    line = done.stderr.splitlines()[-1]
    assert line.startswith("apt-get update && apt-get install --no-install-recommends -y softhsm2 opensc ")
    assert "libtss2-dev" in line.split()
    assert "gcc" not in line.split()
    assert not (checkout / ".venv").exists()


def test_wine_is_installed_on_request(checkout):
    assert "wine64" not in setup(checkout).stderr
    line = setup(checkout, "--wine").stderr.splitlines()[-1]
    assert line.split()[-2:] == ["wine64", "gcc-mingw-w64-x86-64"]


@pytest.mark.parametrize(
    ("release", "name"),
    [
        ('ID=fedora\nPRETTY_NAME="Fedora Linux 43"\n', "Fedora Linux 43"),
        ("ID=arch\n", "arch"),
        ("", "an unknown system"),
    ],
)
def test_another_system_is_told_what_to_install(checkout, release, name):
    (checkout / "os-release").write_text(release)
    done = setup(checkout)
    assert done.returncode == 1
    assert done.stderr.startswith(f"setup: {name} is not Debian or Ubuntu: install SoftHSM 2, OpenSC,")
    assert "scripts/setup --no-system" in done.stderr


def test_a_system_without_os_release_is_told_too(checkout):
    done = setup(checkout, OS_RELEASE_FILE="/nowhere/os-release")
    assert done.returncode == 1
    assert "setup: an unknown system is not Debian or Ubuntu" in done.stderr


def test_failing_apt_shows_its_output(checkout):
    command(checkout / "bin" / "id", "echo 0")
    done = setup(checkout)
    assert done.returncode == 1
    assert "apt-get was called" in done.stderr
    assert "setup: failed (1): env DEBIAN_FRONTEND=noninteractive apt-get" in done.stderr


@pytest.mark.parametrize("fails", ["update", "install"])
def test_sudo_is_used_where_it_is_free(checkout, fails):
    command(checkout / "bin" / "sudo", '[ "$1" = -n ] && exit 0\necho "$*" >> "$LOG"\nexec "$@"')
    command(checkout / "bin" / "apt-get", f'case "$*" in *{fails}*) exit 7;; esac')
    log = checkout / "log"
    done = setup(checkout, LOG=str(log))
    assert done.returncode == 1
    assert "setup: failed (7): sudo env DEBIAN_FRONTEND=noninteractive apt-get" in done.stderr
    assert len(log.read_text().splitlines()) == ["update", "install"].index(fails) + 1


def test_an_old_python_is_refused(checkout):
    command(checkout / "bin" / "oldpython", '[ "$1" = -V ] && echo Python 3.9.2\nexit 1')
    done = setup(checkout, "--no-system", PYTHON="oldpython")
    assert done.returncode == 1
    assert "setup: oldpython is Python 3.9.2: hwcng needs Python 3.10 or newer" in done.stderr
    done = setup(checkout, "--no-system", PYTHON="nopython")
    assert done.returncode == 1
    assert "setup: nopython is not on PATH" in done.stderr
    assert not (checkout / ".venv").exists()


def test_an_unknown_argument_is_refused(checkout):
    done = setup(checkout, "--fast")
    assert done.returncode == 1
    assert "unknown argument --fast" in done.stderr


UNAVAILABLE = 69
"""EX_UNAVAILABLE: no root of another system can be had here."""


@pytest.fixture
def bare(checkout):
    """Runs a script of the checkout with no programs but those named."""
    for script in ("test", "test-system", "test-pythons"):
        shutil.copy(ROOT / "scripts" / script, checkout / "scripts")

    def run(script, *arguments, programs=(), **environ):
        path = checkout / "programs"
        path.mkdir(exist_ok=True)
        for program in ("bash", "dirname", *programs):
            if not (path / program).exists():
                (path / program).symlink_to(shutil.which(program))
        shutil.copy(checkout / "bin" / "id", path)
        environ = {"PATH": str(path), "HOME": str(checkout / "home"), **environ}
        command = [checkout / "scripts" / script, *arguments]
        return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)

    yield run
    assert not (checkout / "home").exists()


@pytest.mark.parametrize(
    ("arguments", "releases"),
    [
        (("--debian",), "Debian? There is: 12 13 testing"),
        (("--debian", "11"), "Debian? There is: 12 13 testing"),
        (("--debian", "tests/unit"), "Debian? There is: 12 13 testing"),
        (("--debian", "22.04"), "Debian? There is: 12 13 testing"),
        (("--ubuntu", "12"), "Ubuntu? There is: 22.04"),
    ],
)
def test_another_release_is_one_that_there_is(bare, arguments, releases):
    done = bare("test", *arguments)
    assert (done.returncode, done.stderr) == (1, f"test-system: which release of {releases}\n")


@pytest.mark.parametrize("arguments", [(), ("--fedora", "43")])
def test_another_system_is_one_that_there_is(bare, arguments):
    done = bare("test-system", *arguments)
    assert (done.returncode, done.stderr) == (1, "test-system: which system? There are --debian and --ubuntu\n")


@pytest.mark.parametrize("system", [("--debian", "12"), ("--debian", "testing"), ("--ubuntu", "22.04")])
def test_another_system_is_for_root_alone(bare, system):
    done = bare("test", *system)
    assert done.returncode == UNAVAILABLE
    assert done.stderr == "test-system: a root of another system is made and entered by root alone\n"


def test_another_system_names_the_programs_that_it_needs(checkout, bare):
    command(checkout / "bin" / "id", "echo 0")
    done = bare("test", "--debian", "13", programs=("unshare", "flock"))
    assert done.returncode == UNAVAILABLE
    assert done.stderr.startswith(
        "test-system: not on PATH: debootstrap chroot git. Debian and Ubuntu: apt-get install "
    )


@pytest.fixture
def a_root_user(checkout):
    """Of a machine that has every program, and may make namespaces; its debootstrap cannot reach a mirror."""
    programs = checkout / "programs"
    programs.mkdir()
    for name, body in {
        "debootstrap": "echo E: no mirror; exit 1",
        "unshare": "exit 0",
        "chroot": "exit 1",
        "git": "exit 1",
    }.items():
        command(programs / name, body)
    command(checkout / "bin" / "id", "echo 0")
    return {
        "programs": ("flock", "mkdir", "rm", "tail", "env", "mktemp", "tee"),
        "XDG_CACHE_HOME": str(checkout / "cache"),
    }


def test_another_system_is_not_made_within_one(bare, a_root_user):
    done = bare("test", "--debian", "13", **a_root_user, HWCNG_TEST_SYSTEM="debian-testing")
    assert done.returncode == UNAVAILABLE
    assert done.stderr == "test-system: this is debian-testing, a root of another system itself\n"


def test_another_system_needs_namespaces(checkout, bare, a_root_user):
    command(checkout / "programs" / "unshare", "exit 1")
    done = bare("test", "--debian", "13", **a_root_user)
    assert done.returncode == UNAVAILABLE
    assert "no namespaces here (unshare): a container needs CAP_SYS_ADMIN" in done.stderr


def test_another_system_is_signed_by_a_keyring_that_is_here(checkout, bare, a_root_user):
    script = checkout / "scripts" / "test-system"
    here, nowhere = checkout / "here", checkout / "nowhere"
    here.mkdir()
    (here / "debian-archive-keyring.gpg").touch()
    script.write_text(
        (ROOT / "scripts" / "test-system").read_text().replace("keyrings=/usr/share/keyrings", 'keyrings="$KEYRINGS"')
    )
    done = bare("test", "--debian", "13", **a_root_user, KEYRINGS=str(here))
    assert done.returncode == UNAVAILABLE
    assert done.stderr.splitlines()[-1] == "test-system: debootstrap failed: E: no mirror"
    done = bare("test", "--ubuntu", "22.04", **a_root_user, KEYRINGS=str(nowhere))
    assert done.returncode == UNAVAILABLE
    assert f"no {nowhere}/ubuntu-archive-keyring.gpg to check http" in done.stderr
    assert done.stderr.endswith(": apt-get install ubuntu-keyring\n")


@pytest.fixture
def ends(checkout, bare):
    """test-pythons where test-system ends as `$ENDS` says for Ubuntu and for Debian."""

    def run(ubuntu, debian):
        body = f'echo "test-system: because of $1" >&2\ncase $1 in --ubuntu) exit {ubuntu};; *) exit {debian};; esac'
        command(checkout / "scripts" / "test-system", body)
        return bare("test-pythons", programs=("mktemp", "tee", "tail", "rm"))

    return run


def test_both_ends_pass(ends):
    done = ends(0, 0)
    assert (done.returncode, done.stdout) == (0, "")
    assert "test-pythons: Python 3.10 (ubuntu 22.04)\n" in done.stderr
    assert "test-pythons: Python 3.14 (debian testing)\n" in done.stderr


def test_an_end_that_cannot_be_tried_is_counted_and_no_failure(ends):
    done = ends(0, UNAVAILABLE)
    assert done.returncode == 0
    assert done.stdout == "not tried, 1 of 2: Python 3.14 (test-system: because of --debian)\n"
    done = ends(UNAVAILABLE, UNAVAILABLE)
    assert done.returncode == 0
    assert done.stdout.startswith("not tried, 2 of 2: Python 3.10 (test-system: because of --ubuntu);Python 3.14 (")
    assert done.stdout.count("\n") == 1


@pytest.mark.parametrize(("ubuntu", "debian"), [(1, 0), (0, 2), (UNAVAILABLE, 1)])
def test_an_end_that_fails_is_a_failure(ends, ubuntu, debian):
    done = ends(ubuntu, debian)
    assert done.returncode == next(status for status in (ubuntu, debian) if status not in (0, UNAVAILABLE))
    assert "test-pythons: failed on Python 3.1" in done.stderr


@pytest.fixture
def gates(checkout, bare):
    """scripts/test where every tool has nothing to say, and test-pythons does what `$PYTHONS` says."""
    tools = checkout / ".venv" / "bin"
    tools.mkdir(parents=True)
    for tool in ("python", "ruff", "codespell", "lint-imports", "mypy"):
        command(tools / tool, "exit 0")
    for script in ("setup", "docs", "release-check", "test-cryptography"):
        command(checkout / "scripts" / script, "exit 0")
    command(checkout / "scripts" / "test-pythons", 'eval "$PYTHONS"')
    (checkout / "programs").mkdir()
    command(checkout / "programs" / "git", "echo abcdef0")

    def run(*arguments, pythons, **environ):
        return bare("test", *arguments, PYTHONS=pythons, **environ)

    return run


def test_the_summary_counts_the_ends_that_were_not_tried(gates):
    done = gates(pythons="echo 'not tried, 1 of 2: Python 3.14 (no mirror)'", CI="true")
    assert done.returncode == 0
    assert done.stderr.endswith("test: all gates passed; not tried, 1 of 2: Python 3.14 (no mirror)\n")
    assert "test: both ends of the supported Pythons\n" in done.stderr


def test_a_failing_end_fails_the_whole(gates):
    done = gates("--pythons", pythons="exit 3")
    assert done.returncode == 3
    assert done.stderr.endswith("test: failed at the gate: both ends of the supported Pythons\n")


@pytest.mark.parametrize(
    ("arguments", "environ", "tried"),
    [
        ((), {}, False),
        ((), {"CI": "true"}, True),
        (("--pythons",), {}, True),
        (("tests/unit",), {"CI": "true"}, False),
        (("--pythons", "tests/unit"), {}, True),
    ],
)
def test_the_ends_are_tried_by_ci_or_when_asked_for(gates, arguments, environ, tried):
    done = gates(*arguments, pythons="exit 0", **environ)
    assert (done.returncode, "both ends" in done.stderr) == (0, tried)
    assert done.stderr.endswith("test: all gates passed\n")


def test_the_ends_are_the_first_and_the_last_python():
    pythons = re.findall(r'Python :: (3\.\d+)"', (ROOT / "pyproject.toml").read_text())
    script = (ROOT / "scripts" / "test-pythons").read_text()
    assert re.findall(r"^(3\.\d+) --", script, re.MULTILINE) == [pythons[0], pythons[-1]]


@pytest.mark.parametrize(
    "script",
    ["scripts/setup", "scripts/test", "scripts/test-system", "scripts/test-pythons", ".ci/run", "softhsm/provision"],
)
def test_scripts_are_executable(script):
    assert os.access(ROOT / script, os.X_OK)
