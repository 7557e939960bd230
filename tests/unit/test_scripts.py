"""scripts/setup and scripts/test-debian: what they say where they cannot go on. They run in a copy and never reach this
checkout's .venv.
"""

from __future__ import annotations

import os
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


@pytest.fixture
def other_release(checkout):
    """Runs `scripts/test --debian` in the checkout with no programs but those named."""
    for script in ("test", "test-debian"):
        shutil.copy(ROOT / "scripts" / script, checkout / "scripts")

    def run(*arguments, programs):
        path = checkout / "programs"
        path.mkdir()
        for program in ("bash", "dirname", *programs):
            (path / program).symlink_to(shutil.which(program))
        shutil.copy(checkout / "bin" / "id", path)
        environ = {"PATH": str(path), "HOME": str(checkout / "home")}
        command = [checkout / "scripts" / "test", "--debian", *arguments]
        return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)

    yield run
    assert not (checkout / "home").exists()


@pytest.mark.parametrize("arguments", [(), ("11",), ("tests/unit",)])
def test_another_release_is_one_that_there_is(other_release, arguments):
    done = other_release(*arguments, programs=())
    assert (done.returncode, done.stderr) == (1, "test-debian: which release of Debian? There are 12 and 13\n")


def test_another_release_is_for_root_alone(other_release):
    done = other_release("13", programs=())
    assert done.returncode == 1
    assert done.stderr == "test-debian: a root of another release is made and entered by root alone\n"


def test_another_release_names_the_programs_that_it_needs(checkout, other_release):
    command(checkout / "bin" / "id", "echo 0")
    done = other_release("13", programs=("unshare", "flock"))
    assert done.returncode == 1
    assert done.stderr.startswith(
        "test-debian: not on PATH: debootstrap chroot git. Debian and Ubuntu: apt-get install "
    )


@pytest.mark.parametrize(
    "script", ["scripts/setup", "scripts/test", "scripts/test-debian", ".ci/run", "softhsm/provision"]
)
def test_scripts_are_executable(script):
    assert os.access(ROOT / script, os.X_OK)
